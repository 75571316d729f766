"""Threads that capture, replay, update and destroy at once: every replay and call is recorded once.

usage: crowd.py HOST SHIM LAMPLIGHT LIBRARY_FOLDERS

Under ThreadSanitizer a race ends the host with status 66.
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


def check(programs, **extra):
    host, shim, lamplight, libraries = programs
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
        environment.update(LD_LIBRARY_PATH=libraries, LAMPLIGHT_DIR=folder, **extra)
        environment["LD_PRELOAD"] = shim
        done = subprocess.run([host, str(THREADS), str(ROUNDS)], env=environment,
                              capture_output=True, text=True, timeout=100)
        expect(done.returncode == 0, extra, "ended with", done.returncode, done.stderr)
        counts = re.fullmatch(r"replays (\d+) eager (\d+)\n", done.stdout)
        expect(counts, extra, "said", done.stdout, done.stderr)
        replays, eager = map(int, counts.groups())
        del environment["LD_PRELOAD"]
        report = subprocess.run([lamplight, "report", folder, "--format", "json"], env=environment,
                                capture_output=True, text=True, timeout=60)
        report = json.loads(report.stdout)
        expect(not report["findings"] and not report["hangs"], extra, report["findings"],
               done.stderr)
        (process,) = report["processes"]
        seen = process["replays"], process["replays_completed"], process["eager_calls"]
        expect(seen == (replays, replays, eager), extra, "recorded", seen, "of", replays, eager)
        expect(not done.stderr, extra, "stderr:", done.stderr)


def main():
    programs = sys.argv[1:5]
    check(programs)
    check(programs, LAMPLIGHT_MODE="journal")
    check(programs, LAMPLIGHT_CUPTI="1")


if __name__ == "__main__":
    main()
