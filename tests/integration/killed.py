#!/usr/bin/env python3
"""kill -9 at random moments leaves readable traces that lack only the last few milliseconds."""

import random
import statistics
import struct
import sys
import time

import scenario
from scenario import Bench, expect

KILLS = 200
LAST_DRAIN_OFFSET = 120  # FileHeader::last_drain_ns of shim/trace_format.h
SERVER = ("--ranks threads --kernel good --dim 64 --buckets 1,4 --layers 1 --eager-percent 20 "
          "--requests 1000000 --hang-limit 0")


def wait_for_trace(folder, process) -> None:
    deadline = time.monotonic() + 30
    while not list(folder.glob("*.lamptrace")):
        expect(process.poll() is None, f"the server ended early: {process.returncode}")
        expect(time.monotonic() < deadline, "no trace within 30 s")
        time.sleep(0.002)


def one_kill(bench: Bench, delay_s: float, folder) -> int:
    """Kills a server `delay_s` after its trace appeared; the nanosecond of the kill."""
    folder.mkdir()
    environment = bench.environment(
        LD_PRELOAD=bench.shim, LAMPLIGHT_DIR=folder, LAMPLIGHT_RING_MB=1)
    process = bench.start([bench.server, *SERVER.split()], environment)
    try:
        wait_for_trace(folder, process)
        time.sleep(delay_s)
        killed_ns = time.monotonic_ns()
    finally:
        scenario.kill_session(process)
        process.communicate()
    return killed_ns


def undrained_ms(trace, killed_ns: int) -> float:
    with open(trace, "rb") as file:
        file.seek(LAST_DRAIN_OFFSET)
        (last_drain_ns,) = struct.unpack("<Q", file.read(8))
    return (killed_ns - last_drain_ns) / 1e6 if last_drain_ns else 0.0


def check_kills(bench: Bench) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    undrained, replays = [], 0
    for number in range(KILLS):
        folder = bench.folder / str(number)
        # Early moments meet the file's creation, captures and first replays; late ones the stream.
        killed_ns = one_kill(bench, moments.choice((0.05, 0.4)) * moments.random(), folder)
        traces = list(folder.glob("*.lamptrace"))
        expect(len(traces) == 1, f"kill {number}: {len(traces)} traces")
        report = bench.report(folder)
        expect(not report["findings"], f"kill {number}: {report['findings']}")
        corrupt = [loss for loss in report["losses"] if loss["kind"] in ("corrupt", "file")]
        expect(not corrupt, f"kill {number}: {corrupt}")
        undrained.append(undrained_ms(traces[0], killed_ns))
        replays += sum(process["replays"] for process in report["processes"])
        scenario.shutil.rmtree(folder)
    print(f"{KILLS} traces read, {replays} replays in them; not yet drained at the kill: median "
          f"{statistics.median(undrained):.1f} ms, worst {max(undrained):.1f} ms")
    expect(replays > KILLS, f"only {replays} replays in all traces: the kills came too early")
    # The bound is for a drain thread that gets a core; this machine may be loaded.
    expect(statistics.median(undrained) <= 10, f"median of undrained: {undrained}")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {"kill-200": check_kills}))
