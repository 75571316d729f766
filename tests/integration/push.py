#!/usr/bin/env python3
"""SGLang's own all-reduce: what is wrong is named, what is not is not, and it is never swapped."""

import dataclasses
import functools
import sys

import scenario
from scenario import Bench, expect

STANDS_STILL = 3  # push_host's status


@dataclasses.dataclass(frozen=True)
class Case:
    hazard: str = ""  # empty: clean
    mode: str = ""  # of push_host; empty: the case's own name
    ranks: tuple = ()  # at which the cause is
    evidence: tuple = ()  # what the evidence must say
    errors: tuple = ()  # what the watchdog must say while it stands still
    environment: tuple = ()


# The last 16 bytes of rank 1, for which the last block waits; the others have gone on.
LAST = "rank 0: 4 of 512 awaited words have not arrived"
CASES = {
    "results": Case(),
    "eager": Case(),
    "swap-leaves-it": Case(mode="results", environment=(("LAMPLIGHT_SWAP", "1"),)),
    "strict": Case(mode="results", environment=(("LAMPLIGHT_MODE", "strict"),)),
    "journal": Case(mode="results", environment=(("LAMPLIGHT_MODE", "journal"),)),
    "fewer": Case("C10", ranks=(0, 1), errors=(LAST,),
                  evidence=("push one-shot, 1 token x 512", "push one-shot, 1 token x 504")),
    "fewer-eager": Case("C10", ranks=(0, 1), errors=(LAST,),
                        evidence=("push one-shot, 1 token x 512", "push one-shot, 1 token x 504")),
    "absent": Case("C10", ranks=(1,), errors=("rank 0: nothing has arrived from rank 1",)),
}


def check_case(name: str, bench: Bench) -> None:
    case = CASES[name]
    trace = bench.folder / "trace"
    command = [bench.lamplight, "run", "--out", trace, "--timeout", 2, "--",
               bench.build / "bin" / "push_host", case.mode or name]
    done = bench.run(command, 60, bench.environment(**dict(case.environment)))
    expect(done.status == (STANDS_STILL if case.hazard else scenario.OK),
           f"push_host ended with {done.status}: {done.errors}")
    for words in case.errors:
        expect(words in done.errors, f"no \"{words}\" in {done.errors}")
    (file,) = trace.glob("*.lamptrace")
    kernels = bench.records(file, "Kernel")
    expect([kernel["descriptor"] for kernel in kernels if kernel["descriptor"]] ==
           ["sglang-push-oneshot-23"], f"kernels {kernels}")
    report = bench.report(trace)
    found = report["findings"]
    expect(not any(swap["by"] for swap in report["swaps"]), f"swaps {report['swaps']}")
    if not case.hazard:
        expect(not found, f"findings {found}")
        return
    expect([finding["hazard"] for finding in found] == [case.hazard], f"findings {found}")
    (finding,) = found
    expect(finding["severity"] == "hang", f"{finding}")
    expect(tuple(finding["ranks"]) == case.ranks, f"{finding}")
    text = " | ".join(finding["evidence"])
    for words in case.evidence:
        expect(words in text, f"no \"{words}\" in {text}")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {name: functools.partial(check_case, name) for name in CASES}))
