#!/usr/bin/env python3
"""A healthy server stays healthy under the shim: clean reports, the same outputs, nothing lost."""

import functools
import sys

import scenario
from scenario import Bench, expect

REPLAYS = 10_000


def check_replays(world: int, bench: Bench) -> None:
    trace = bench.folder / "trace"
    arguments = (f"--world {world} --kernel good --dim 64 --buckets 1,4,8 --layers 1 "
                 f"--eager-percent 5 --requests {REPLAYS * 108 // 100} --hang-limit 60")
    done = bench.serve_traced(arguments, trace, timeout_s=30, limit_s=900)
    expect(done.status == scenario.OK, f"ended with {done.status}: {done.last_words()}")
    report = bench.report(trace)
    expect(report["exit_status"] == 0 and not report["findings"],
           f"findings {[finding['hazard'] for finding in report['findings']]}")
    replays = [process["replays"] for process in report["processes"]]
    expect(len(replays) == world, f"{len(replays)} traces of {world} ranks")
    expect(min(replays) >= REPLAYS, f"replays {replays}, expected {REPLAYS} each")
    expect(not report["losses"], f"losses: {report['losses']}")


def check_same_outputs(arguments: str, bench: Bench) -> None:
    arguments += " --dim 64 --buckets 1,4,8 --requests 200 --hang-limit 60"
    plain = bench.serve(arguments)
    expect(plain.status == scenario.OK, f"without the shim: {plain.last_words()}")
    expect("checksum" in plain.output, f"no checksum in {plain.output!r}")
    for mode in ("default", "strict", "journal"):
        traced = bench.serve_traced(arguments, bench.folder / mode, mode=mode, timeout_s=30)
        expect(traced.status == scenario.OK, f"mode {mode}: {traced.last_words()}")
        expect(traced.output == plain.output,
               f"mode {mode}: outputs {traced.output!r}, without the shim {plain.output!r}")


CHECKS = {f"replays-world{world}": functools.partial(check_replays, world) for world in (2, 4, 8)}
CHECKS |= {
    "same-outputs-good": functools.partial(check_same_outputs, "--kernel good"),
    "same-outputs-legacy": functools.partial(check_same_outputs, "--kernel legacy --world 4"),
    "same-outputs-twoshot": functools.partial(
        check_same_outputs, "--kernel good --algorithm twoshot --ranks threads"),
}

if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, CHECKS))
