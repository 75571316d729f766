"""Threads that capture, replay, update and destroy at once: every replay and call is recorded once.

usage: crowd.py HOST SHIM LAMPLIGHT LIBRARY_FOLDERS [sanitizer]

With "sanitizer", what the sanitizers can follow. Under ThreadSanitizer a race ends the host with
status 66.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

THREADS, ROUNDS = 4, 24


def expect(condition, *problem):
    if not condition:
        sys.exit(" ".join(map(str, problem)))


def check(programs, *meanwhile, rounds=ROUNDS, **extra):
    host, shim, lamplight, libraries = programs
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
        environment.update(LD_LIBRARY_PATH=libraries, LAMPLIGHT_DIR=folder, **extra)
        environment["LD_PRELOAD"] = shim
        done = subprocess.run([host, str(THREADS), str(rounds), *meanwhile], env=environment,
                              capture_output=True, text=True, timeout=100)
        expect(done.returncode == 0, meanwhile, extra, "ended with", done.returncode, done.stderr)
        expect(not done.stderr, meanwhile, extra, "stderr:", done.stderr)
        del environment["LD_PRELOAD"]
        report = subprocess.run([lamplight, "report", folder, "--format", "json"], env=environment,
                                capture_output=True, text=True, timeout=60)
        report = json.loads(report.stdout)
        expect(not report["findings"] and not report["hangs"], meanwhile, extra, report["findings"])
        return done.stdout, report["processes"]


def check_counts(programs, *meanwhile, **extra):
    """Every replay and call is recorded once, and known to be complete."""
    said, processes = check(programs, *meanwhile, **extra)
    counts = re.fullmatch(r"replays (\d+) eager (\d+)\n", said)
    expect(counts, meanwhile, extra, "said", said)
    replays, eager = map(int, counts.groups())
    process = max(processes, key=lambda process: process["replays"])  # the others are children
    seen = process["replays"], process["replays_completed"], process["eager_calls"]
    expect(seen == (replays, replays, eager), meanwhile, extra, "recorded", seen, "of", said)


def check_exit(programs):
    """The process ends in the middle of it all: its trace is whole."""
    _, (process,) = check(programs, "exit")
    expect(process["ended_orderly"] and process["replays"] >= 20, "exit:", process)


def main():
    programs = sys.argv[1:5]
    check_counts(programs)
    check_counts(programs, LAMPLIGHT_MODE="journal")
    check_counts(programs, LAMPLIGHT_CUPTI="1")
    check_exit(programs)
    if "sanitizer" in sys.argv[5:]:
        # A child that starts threads: ThreadSanitizer cannot follow it, and AddressSanitizer's own
        # locks may be held in it for ever. And ThreadSanitizer gives no memory back to the fibers
        # on which the simulated device runs kernels of ours.
        return check_counts(programs, rounds=2, LAMPLIGHT_SWAP="1")
    check_counts(programs, LAMPLIGHT_SWAP="1")
    check_counts(programs, "fork")


if __name__ == "__main__":
    main()
