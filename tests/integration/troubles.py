#!/usr/bin/env python3
"""What kernels of ours report themselves is in the trace and in the report, hang or not."""

import functools
import sys

import scenario
from scenario import Bench, expect

TIMEOUT_S = 1
DIED = 100  # engine_host's status for a rank that a signal ended


def diverge(bench: Bench, mode: str, status: int):
    trace = bench.folder / "trace"
    command = [bench.lamplight, "run", "--out", trace, "--timeout", TIMEOUT_S, "--",
               bench.build / "bin" / "engine_host", mode, "epoch", "one-shot", 4]
    done = bench.run(command, 90, bench.environment())
    expect(done.status == status, f"engine_host ended with {done.status}: {done.last_words()}")
    expect("linked kernel: rank" in done.errors, f"no line on stderr: {done.errors}")
    return trace


def check_divergence(mode: str, status: int, bench: Bench) -> None:
    """Nothing hangs, results are NaN: the kernels' reports prove it, killed or not."""
    trace = diverge(bench, mode, status)
    report = bench.report(trace)
    expect(not report["hangs"], f"hangs {report['hangs']}")
    expect(len(report["findings"]) == 1, f"findings {report['findings']}")
    (finding,) = report["findings"]
    expect((finding["hazard"], finding["severity"], finding["confidence"], finding["ranks"]) ==
           ("C10", "silent", "proven", [1]), f"finding {finding}")
    expect(finding["place"]["operation"] == 1, f"place {finding['place']}")
    reported = {trouble["rank"] for trouble in finding["troubles"]}
    expect(1 in reported and len(reported) >= 2, f"reports of ranks {reported}")
    for trouble in finding["troubles"]:
        tokens, other = (6, 5) if trouble["rank"] == 1 else (5, 6)
        expect((trouble["kind"], trouble["swapped"], trouble["call_number"]) ==
               ("divergence", False, 1), f"{trouble}")
        expect(f"{tokens} tokens x 72" in trouble["call"], f"{trouble}")
        if trouble["rank"] == 1 or trouble["peer"] == 1:
            expect(f"{other} tokens x 72" in trouble["peer_call"], f"{trouble}")
        expect(len(trouble["bits"]) == 4 and trouble["buffer"], f"{trouble}")


def check_alone(bench: Bench) -> None:
    """One rank's trace is enough."""
    trace = diverge(bench, "diverge-and-go-on", scenario.OK)
    seen = 0
    for file in trace.glob("*.lamptrace"):
        if not bench.records(file, "Trouble"):
            continue
        seen += 1
        (finding,) = bench.report(file)["findings"]
        expect((finding["hazard"], finding["confidence"]) == ("C10", "proven"), f"{finding}")
        expect(1 in finding["ranks"], f"ranks {finding['ranks']}")
    expect(seen >= 2, f"{seen} traces hold a report")


def check_swapped_wait(bench: Bench) -> None:
    """What a swapped kernel waits for is part of the hang's finding."""
    trace = bench.folder / "trace"
    arguments = "--dim 64 --requests 60 --hang-limit 6 --buckets 1,4,8 --fault host-stall"
    done = bench.serve_traced(arguments, trace, TIMEOUT_S, LAMPLIGHT_SWAP="1")
    expect(done.status == scenario.HANG, f"the server ended with {done.status}")
    (finding,) = bench.report(trace)["findings"]
    expect(finding["hazard"] == "C16", f"finding {finding}")
    waits = [trouble for trouble in finding["troubles"] if trouble["kind"] == "timeout"]
    expect(waits and all(wait["swapped"] for wait in waits), f"troubles {finding['troubles']}")
    expect({(wait["rank"], wait["peer"]) for wait in waits} == {(0, 1)}, f"waits {waits}")
    expect(all(wait["bits"][0] == 0x80000000 for wait in waits), f"bits {waits}")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        "divergence": functools.partial(check_divergence, "diverge-and-go-on", scenario.OK),
        "divergence-killed": functools.partial(check_divergence, "diverge-and-die", DIED),
        "divergence-alone": check_alone,
        "swapped-wait": check_swapped_wait,
    }))
