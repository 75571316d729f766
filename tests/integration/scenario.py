"""Runs programs on the simulated device, with and without Lamplight, and reads the reports.

Every program runs in a session of its own under a time limit, so that a hung rank dies with it. One
thread; the folder of a Bench is its own.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

OK, CUDA_ERROR, HANG = 0, 2, 3  # the server's exit status


class Failure(Exception):
    """What a check found wrong, in one line."""


class Skip(Exception):
    """Why this machine cannot make the check."""


@dataclasses.dataclass
class Outcome:
    status: int
    output: str
    errors: str

    def last_words(self) -> str:
        return " | ".join(self.errors.strip().splitlines()[-4:])


def expect(condition: bool, problem: str) -> None:
    if not condition:
        raise Failure(problem)


class Bench:
    """A build to test and a folder to work in."""

    def __init__(self, build: pathlib.Path, folder: pathlib.Path):
        self.build = build
        self.folder = folder
        self.shim = build / "lib" / "liblamplight.so"
        self.lamplight = build / "bin" / "lamplight"
        self.server = build / "bin" / "piecewise_server"

    def environment(self, simulated: bool = True, **extra: str) -> dict:
        dropped = ("LAMPLIGHT_", "LD_PRELOAD", "LD_LIBRARY_PATH")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        if simulated:
            kept["LD_LIBRARY_PATH"] = str(self.build / "tests" / "device_sim" / "lib")
        return kept | {k: str(v) for k, v in extra.items()}

    def run(self, command: list, limit_s: float, environment: dict = None) -> Outcome:
        process = self.start(command, environment)
        try:
            output, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            kill_session(process)
            output, errors = process.communicate()
            raise Failure(f"no end within {limit_s} s: {' '.join(map(str, command))}: "
                          f"{errors[-500:]}") from None
        return Outcome(process.returncode, output, errors)

    def start(self, command: list, environment: dict = None) -> subprocess.Popen:
        return subprocess.Popen(
            [str(word) for word in command], cwd=self.folder, start_new_session=True, text=True,
            env=environment or self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def serve(self, arguments: str, limit_s: float = 120, **extra: str) -> Outcome:
        command = [self.server, *arguments.split()]
        return self.run(command, limit_s, self.environment(**extra))

    def serve_traced(self, arguments: str, trace: pathlib.Path, timeout_s: float = 2,
                     mode: str = "default", limit_s: float = 120, **extra: str) -> Outcome:
        command = [self.lamplight, "run", "--out", trace, "--timeout", timeout_s, "--mode", mode,
                   "--", self.server, *arguments.split()]
        return self.run(command, limit_s, self.environment(**extra))

    def report(self, *traces: pathlib.Path) -> dict:
        """The JSON report, with the command's exit status as "exit_status"."""
        command = [self.lamplight, "report", *traces, "--format", "json"]
        done = self.run(command, 120)
        expect(done.status in (0, 1), f"report ended with {done.status}: {done.last_words()}")
        return json.loads(done.output) | {"exit_status": done.status}

    def records(self, trace: pathlib.Path, kind: str) -> list:
        """The fields of every record of one kind in one file."""
        command = [self.lamplight, "dump", trace, "--type", kind, "--format", "json"]
        lines = map(json.loads, self.run(command, 60).output.splitlines())
        return [line["fields"] for line in lines if line["type"] == kind]


def kill_session(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def main(description: str, checks: dict) -> int:
    """Runs one of `checks` (name → function of a Bench); 0 passed, 1 failed, 77 skipped."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="has bin/ and lib/")
    parser.add_argument("check", choices=sorted(checks))
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lamplight-test-"))
    try:
        checks[arguments.check](Bench(arguments.build.resolve(), folder))
    except Failure as failure:
        print(f"FAIL {arguments.check}: {failure}", file=sys.stderr)
        print(f"its folder: {folder}", file=sys.stderr)
        return 1
    except Skip as reason:
        print(f"SKIPPED {arguments.check}: {reason}")
        return 77
    print(f"PASS {arguments.check}")
    shutil.rmtree(folder, ignore_errors=True)
    return 0
