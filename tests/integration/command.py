#!/usr/bin/env python3
"""The `lamplight` command as a shell sees it: exit status, next command, bad folders."""

import os
import signal
import sys
import time

import scenario
from scenario import Bench, expect


def check_exit_status(bench: Bench) -> None:
    for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM)):
        trace = bench.folder / f"trace-{status}"
        done = bench.run([bench.lamplight, "run", "--out", trace, "--", "sh", "-c", script], 30)
        expect(done.status == status, f"'{script}' gave {done.status}: {done.last_words()}")


def check_next_command(bench: Bench) -> None:
    trace = bench.folder / "with space"
    server = [bench.server, *"--dim 64 --buckets 1 --requests 10 --hang-limit 60".split()]
    done = bench.run([bench.lamplight, "run", "--out", trace, "--", *server], 60)
    expect(done.status == scenario.OK, done.last_words())
    lines = [line for line in done.errors.splitlines() if "lamplight report" in line]
    expect(lines, f"no next command in: {done.errors}")
    command = lines[-1][lines[-1].index("lamplight report"):]
    path = f"{bench.build / 'bin'}:{os.environ['PATH']}"
    again = bench.run(["sh", "-c", command], 30, bench.environment(PATH=path))
    expect(again.status == 0, f"'{command}' ended with {again.status}: {again.last_words()}")
    expect("replay" in again.output, f"the report says nothing of replays: {again.output}")


def check_signal_reaches_child(bench: Bench) -> None:
    marker = bench.folder / "ready"
    script = f"trap 'exit 9' TERM; : >'{marker}'; while :; do sleep 0.05; done"
    process = bench.start([bench.lamplight, "run", "--out", bench.folder / "t", "--", "sh", "-c",
                           script])
    deadline = time.monotonic() + 20
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    try:
        process.communicate(timeout=20)
    finally:
        scenario.kill_session(process)
    expect(process.returncode == 9, f"ended with {process.returncode}, expected the child's 9")


def check_bad_folders(bench: Bench) -> None:
    empty = bench.folder / "empty"
    empty.mkdir()
    wrong = bench.folder / "wrong.lamptrace"
    wrong.write_bytes(b"not a trace" * 1000)
    for path in (empty, bench.folder / "missing", wrong, "/dev/null"):
        done = bench.run([bench.lamplight, "report", path], 30)
        expect(done.status == 2, f"{path}: exit {done.status}: {done.output} {done.errors}")
        expect(str(path) in done.errors, f"the error does not name {path}: {done.errors!r}")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        "exit-status": check_exit_status, "next-command": check_next_command,
        "signal": check_signal_reaches_child, "bad-folders": check_bad_folders}))
