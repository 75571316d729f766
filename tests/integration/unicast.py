#!/usr/bin/env python3
"""Hazards of FlashInfer's and TensorRT-LLM's non-MNNVL kernels: each is named, what is not is not."""

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
    by: str = ""  # of ours that must stand for all that is swapped; empty: not looked at
    seen: tuple = ()  # the ranks of which the shim sees calls; empty: not looked at
    family: str = "flashinfer"
    evidence: tuple = ()  # what the evidence must say
    action: str = ""  # and the advice
    errors: tuple = ()  # and stderr
    status: int = scenario.OK  # of unicast_host: 3 where the ranks stand still
    awaited: tuple = ()  # the tokens whose words rank 0 awaits of rank 1
    clusters: range = range(0)  # how many a swapped call may have; empty: not looked at


NOT_SWAPPED = "16-bit and fp32 calls share its workspace"
ELEMENTS, WORDS = "lamplight_oneshot_unicast_", "lamplight_oneshot_unicastwords_"
BEHIND = "rank 0: the flags have moved on while blocks still poll: 64 of 256 awaited words"
FEWER = Case("C10", "hang", mode="fewer-tokens", status=3, awaited=(2, 3), errors=(BEHIND,),
             evidence=("unicast one-shot, 4 tokens x 64", "unicast one-shot, 3 tokens x 64"))


# Sums and norms are looked at. Of one rank the shim may see nothing: that one keeps its kernels.
def results(by: str) -> dict:
    return {
        "results": Case(),
        "results-swapped": Case(mode="results", swap="1", by=by + "bf16"),
        **{f"results-rank-{rank}-swapped": Case(mode=f"results-seen-of-rank-{rank}", swap="1",
                                                by=by + "bf16", seen=(rank,))
           for rank in range(2)},
    }


CASES = {
    **results(ELEMENTS),
    "one-width": Case(),
    "one-width-swapped": Case(mode="one-width", swap="1", by=ELEMENTS),
    # More tokens than a share of the device has clusters at once.
    "many-tokens-swapped": Case(mode="many-tokens", swap="1", clusters=range(256, 257)),
    "on-shares-swapped": Case(mode="on-shares", swap="1", clusters=range(1, 256)),
    "two-widths": Case("C2", evidence=("operation 1: unicast one-shot, 4 tokens x 64 bf16",
                                       "operation 3: unicast one-shot, 4 tokens x 64 fp32")),
    "two-widths-swapped": Case("C2", mode="two-widths", swap="1", errors=(NOT_SWAPPED,)),
    "early-read": Case("C8", evidence=("node 1 reads its residual (512 bytes at ", "writes there"),
                       action="Use FlashInfer 0.7.1 or later"),
    "early-read-swapped": Case(mode="early-read", swap="1"),
    "early-read-ordered": Case(),
    "early-read-at-end": Case(),
    "behind-residual": Case("C8", "advisory", "possible",
                            evidence=("has an address of it among its parameters",)),
    "behind-input": Case(),
    "larger-grid": Case("C7", "advisory", "possible", evidence=("4 blocks", "8 blocks"),
                        action="Use FlashInfer 0.7.2 or later"),
    "smaller-grid": Case(),
    "too-large": Case("C4", swap="1", evidence=("refused, its results are NaN",),
                      errors=("swapped kernel: rank 0 refused", "swapped kernel: rank 1 refused")),
    # The first block is through, and has moved the flags on.
    "fewer-tokens": FEWER,
    "fewer-tokens-eager": dataclasses.replace(FEWER, mode="fewer-tokens-eager"),
    # The slots of the call that hangs lie elsewhere than those of the one behind it.
    "fewer-tokens-then-more": dataclasses.replace(
        FEWER, mode="fewer-tokens-then-more", awaited=(1, 2),
        errors=(BEHIND.replace("256", "192"),),
        evidence=("unicast one-shot, 3 tokens x 64", "unicast one-shot, 2 tokens x 64")),
    "fewer-tokens-swapped": dataclasses.replace(
        FEWER, swap="1", errors=("rank 0 waits for rank 1", "64 of 256 awaited words")),
    "fewer-tokens-eager-swapped": dataclasses.replace(
        FEWER, mode="fewer-tokens-eager", swap="1",
        errors=("rank 0 waits for rank 1", "64 of 256 awaited words")),
}


# TensorRT-LLM's: words are polled whatever the type, so the words of two widths are not mixed up.
# But a 16-bit call behind one of fp32 clears half of what that one wrote: two widths are not swapped.
def of_tensorrt_llm() -> dict:
    swapped = ("one-width-swapped", "many-tokens-swapped", "early-read-swapped", "too-large",
               "fewer-tokens-swapped", "fewer-tokens-eager-swapped")
    return {
        **results(WORDS),
        "results-fp32-swapped": Case(mode="results-fp32", swap="1", by=WORDS + "fp32"),
        **{name: dataclasses.replace(CASES[name], mode=CASES[name].mode or name, by=WORDS)
           for name in swapped},
        "one-width": Case(),
        "two-widths": Case(),
        "two-widths-swapped": Case(mode="two-widths", swap="1",
                                   errors=(NOT_SWAPPED + ", and clear",)),
        "early-read": dataclasses.replace(CASES["early-read"], action="TRTLLM_ENABLE_PDL=0"),
        "larger-grid": dataclasses.replace(CASES["larger-grid"], action="allreduce_strategy: NCCL"),
        "fewer-tokens": FEWER,
        "fewer-tokens-eager": CASES["fewer-tokens-eager"],
        "fewer-tokens-then-more": CASES["fewer-tokens-then-more"],
    }


CASES.update({f"{family}-{name}": dataclasses.replace(case, family=family, mode=case.mode or name)
              for family in ("trtllm-32", "trtllm-64")
              for name, case in of_tensorrt_llm().items()})


def check_case(name: str, bench: Bench) -> None:
    case = CASES[name]
    trace = bench.folder / "trace"
    command = [bench.lamplight, "run", "--out", trace, "--timeout", 2, "--",
               bench.build / "bin" / "unicast_host", case.mode or name, case.family]
    extra = {"LAMPLIGHT_SWAP": case.swap} if case.swap else {}
    done = bench.run(command, 60, bench.environment(**extra))
    expect(done.status == case.status, f"unicast_host ended with {done.status}: {done.errors}")
    for words in case.errors:
        expect(words in done.errors, f"no \"{words}\" in {done.errors}")
    (file,) = trace.glob("*.lamptrace")
    calls = [launch["call"] for launch in bench.records(file, "EagerLaunch")]
    expect(calls or not case.clusters, "no call was recorded")
    for call in calls if case.clusters else ():
        expect(call["grid"][0] in case.clusters, f"{call['grid']} blocks of {case.clusters}")
    ranks = {workspace["rank"] for workspace in bench.records(file, "Workspace")}
    expect(not case.seen or ranks == set(case.seen), f"calls of ranks {ranks}")
    report = bench.report(trace)
    found = report["findings"]
    expect(report["exit_status"] == (1 if case.hazard and case.severity != "advisory" else 0),
           f"exit {report['exit_status']}: {found}")
    expect(bool(case.hazard) == bool(found), f"findings {found}")
    expect(bool(case.swap) == bool(report["swaps"]), f"swaps {report['swaps']}")
    for swap in report["swaps"] if case.by else ():
        expect(swap["by"].startswith(case.by), f"not by {case.by}: {swap}")
    if not case.hazard:
        return
    expect(len(found) == 1, f"findings {[(f['hazard'], f['title']) for f in found]}")
    (finding,) = found
    expect((finding["hazard"], finding["severity"], finding["confidence"], finding["ranks"]) ==
           (case.hazard, case.severity, case.confidence, [0, 1]), f"{finding}")
    text = " | ".join(finding["evidence"])
    for words in case.evidence:
        expect(words in text, f"no \"{words}\" in {text}")
    expect(case.action in " | ".join(finding["actions"]), f"advice {finding['actions']}")
    slots = [(slot["rank"], slot["peer"], slot["token"]) for slot in finding["slots"]]
    expect(slots == [(0, 1, token) for token in case.awaited], f"slots {slots}")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {name: functools.partial(check_case, name) for name in CASES}))
