#!/usr/bin/env python3
"""Hazards of FlashInfer's non-MNNVL kernels that leave no hang: each is named, what is not is not."""

import dataclasses
import functools
import sys

import scenario
from scenario import Bench, expect


@dataclasses.dataclass(frozen=True)
class Case:
    hazard: str = ""  # empty: clean
    severity: str = "silent"
    confidence: str = "proven"
    mode: str = ""  # of unicast_host; empty: the case's own name
    swap: str = ""
    evidence: tuple = ()  # what the evidence must say
    errors: tuple = ()  # and stderr


NOT_SWAPPED = "16-bit and fp32 calls share its workspace"
CASES = {
    "one-width": Case(),
    "one-width-swapped": Case(mode="one-width", swap="1"),
    "two-widths": Case("C2", evidence=("operation 1: unicast one-shot, 4 tokens x 64 bf16",
                                       "operation 3: unicast one-shot, 4 tokens x 64 fp32")),
    "two-widths-swapped": Case("C2", mode="two-widths", swap="1", errors=(NOT_SWAPPED,)),
    "early-read": Case("C8", evidence=("node 1 reads its residual (512 bytes at ", "writes there")),
    "early-read-swapped": Case(mode="early-read", swap="1"),
    "early-read-ordered": Case(),
    "early-read-at-end": Case(),
    "behind-residual": Case("C8", "advisory", "possible",
                            evidence=("has an address of it among its parameters",)),
    "behind-input": Case(),
    "larger-grid": Case("C7", "advisory", "possible", evidence=("4 blocks", "8 blocks")),
    "smaller-grid": Case(),
    "too-large": Case("C4", swap="1", evidence=("refused, its results are NaN",),
                      errors=("swapped kernel: rank 0 refused", "swapped kernel: rank 1 refused")),
}


def check_case(name: str, bench: Bench) -> None:
    case = CASES[name]
    trace = bench.folder / "trace"
    command = [bench.lamplight, "run", "--out", trace, "--timeout", 2, "--",
               bench.build / "bin" / "unicast_host", case.mode or name]
    extra = {"LAMPLIGHT_SWAP": case.swap} if case.swap else {}
    done = bench.run(command, 60, bench.environment(**extra))
    expect(done.status == scenario.OK, f"unicast_host ended with {done.status}: {done.errors}")
    for words in case.errors:
        expect(words in done.errors, f"no \"{words}\" in {done.errors}")
    report = bench.report(trace)
    found = report["findings"]
    expect(report["exit_status"] == (1 if case.hazard and case.severity != "advisory" else 0),
           f"exit {report['exit_status']}: {found}")
    expect(bool(case.hazard) == bool(found), f"findings {found}")
    expect(bool(case.swap) == bool(report["swaps"]), f"swaps {report['swaps']}")
    if not case.hazard:
        return
    expect(len(found) == 1, f"findings {[(f['hazard'], f['title']) for f in found]}")
    (finding,) = found
    expect((finding["hazard"], finding["severity"], finding["confidence"], finding["ranks"]) ==
           (case.hazard, case.severity, case.confidence, [0, 1]), f"{finding}")
    text = " | ".join(finding["evidence"])
    for words in case.evidence:
        expect(words in text, f"no \"{words}\" in {text}")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {name: functools.partial(check_case, name) for name in CASES}))
