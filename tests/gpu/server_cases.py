#!/usr/bin/env python3
"""The piecewise server's variants on a GPU, each with the verdict that Lamplight must give.

The counterpart of tests/integration, which runs the same variants on the simulated device. Needs
only the standard library; one thread. Prints one PASS or FAIL line per check, exit status 1 if any
failed.
"""

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

TIMEOUT_S = 5  # LAMPLIGHT_TIMEOUT
HANG_LIMIT_S = 20  # the server gives up
KILL_S = 60
OK, HANG = 0, 3  # the server's exit status


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    server: str  # arguments
    status: int
    hazards: frozenset = frozenset()
    peer: int = -1  # rank whose words every finding must name
    mode: str = "default"
    abi: bool = False  # needs the descriptor of the server's own kernel
    program: str = "piecewise_server"
    swap: bool = False


THREADS = "--ranks threads --dim 2880 "
POISON = "--kernel legacy --payload subnormal "
ZERO_SUM = "--requests 60 --algorithm twoshot --payload negative-zero-sum "
STATIC = "piecewise_server_static"
CASES = [
    Case("good", THREADS + "--requests 300 --verify", OK),
    Case("good-twoshot", THREADS + "--requests 300 --algorithm twoshot --verify", OK),
    Case("good-strict", THREADS + "--requests 100", OK, mode="strict"),
    Case("good-journal", THREADS + "--requests 100", OK, mode="journal"),
    Case("good-processes", "--dim 2880 --requests 30", OK),
    Case("good-subnormal", THREADS + "--requests 60 --payload subnormal", OK),
    Case("legacy", THREADS + "--requests 60 " + POISON, HANG, frozenset({"C1"}), peer=1),
    # The state of FlashInfer's issue 3053: the flags have moved on, one token's words are polled.
    Case("legacy-token5", THREADS + "--requests 60 --poison-token 5 " + POISON, HANG,
         frozenset({"C1"}), peer=1),
    Case("legacy-twoshot-token5", THREADS + "--requests 60 --algorithm twoshot --poison-token 5 " +
         POISON, HANG, frozenset({"C1"}), peer=1),
    Case("legacy-twoshot", THREADS + "--requests 60 --algorithm twoshot " + POISON, HANG,
         frozenset({"C1"}), peer=1),
    # Sums that -ftz=true rounds to -0: the payload is the sentinel.
    Case("zero-sum", THREADS + ZERO_SUM + "--kernel legacy", HANG, frozenset({"C1"})),
    Case("zero-sum-token5", THREADS + ZERO_SUM + "--kernel legacy --poison-token 5", HANG,
         frozenset({"C1"})),
    Case("zero-sum-good", THREADS + ZERO_SUM + "--verify", OK),
    Case("legacy-processes", "--dim 2880 --requests 20 " + POISON, HANG, frozenset({"C1"}), peer=1),
    Case("baked-index", THREADS + "--requests 60 --lockstep --kernel baked-index", OK, frozenset({"C3"}),
         abi=True),
    Case("lost-update", THREADS + "--requests 60 --lockstep --kernel lost-update", OK, frozenset({"C3b"})),
    # With a CUDA runtime of its own, which the shim sees at the driver.
    Case("static-good", "--dim 2880 --requests 60", OK, program=STATIC),
    Case("static-legacy", "--dim 2880 --requests 20 " + POISON, HANG, frozenset({"C1"}), peer=1,
         program=STATIC),
    Case("static-swapped", "--dim 2880 --requests 60 --verify " + POISON, OK, program=STATIC,
         swap=True),
    Case("static-swapped-twoshot", "--dim 2880 --requests 60 --algorithm twoshot --verify " + POISON,
         OK, program=STATIC, swap=True),
    Case("host-stall", THREADS + "--requests 60 --fault host-stall", HANG, frozenset({"C16"})),
    Case("diverge", THREADS + "--requests 60 --fault diverge", HANG, frozenset({"C10"})),
    Case("skip", THREADS + "--requests 60 --fault skip", HANG, frozenset({"C10"})),
    Case("overlap", THREADS + "--requests 60 --fault overlap", HANG, frozenset({"C9"})),
]

Outcome = collections.namedtuple("Outcome", "status checksums errors")


class Runner:
    """Starts servers in their own session, so that a kill reaches every rank."""

    def __init__(self, build: pathlib.Path, out: pathlib.Path):
        self.bin = build / "bin"
        self.out = out
        self.failures = 0

    def check(self, case: Case, what: str, problems: list) -> None:
        print(f"{'FAIL' if problems else 'PASS'} {case.name}: {what}", flush=True)
        for problem in problems:
            print(f"     {problem}", flush=True)
        self.failures += bool(problems)

    def environment(self, case: Case) -> dict:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
        if case.swap:
            environment["LAMPLIGHT_SWAP"] = "1"
        if case.abi:
            servers = pathlib.Path(__file__).resolve().parents[1] / "servers"
            environment["LAMPLIGHT_ABI"] = str(servers / "baked_index.abi.json")
        if THREADS in case.server:
            # Ranks of one process write to each other by plain pointers: one device for all.
            seen = environment.get("CUDA_VISIBLE_DEVICES", "0").split(",")
            environment["CUDA_VISIBLE_DEVICES"] = seen[0]
        return environment

    def serve(self, case: Case, trace: pathlib.Path = None) -> Outcome:
        server = [str(self.bin / case.program), "--hang-limit", str(HANG_LIMIT_S)]
        command = server + case.server.split()
        if trace:
            options = ["--out", str(trace), "--timeout", str(TIMEOUT_S), "--mode", case.mode]
            command = [str(self.bin / "lamplight"), "run", *options, "--", *command]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(case), start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate(timeout=KILL_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
        return Outcome(process.returncode, stdout, stderr)

    def report(self, trace: pathlib.Path) -> dict:
        command = [str(self.bin / "lamplight"), "report", str(trace), "--format"]
        text = subprocess.run(command + ["text"], capture_output=True, text=True, timeout=60)
        (trace.parent / "report.txt").write_text(text.stdout + text.stderr)
        done = subprocess.run(command + ["json"], capture_output=True, text=True, timeout=60)
        (trace.parent / "report.json").write_text(done.stdout)
        return json.loads(done.stdout) | {"exit_status": done.returncode}


def report_problems(case: Case, report: dict) -> list:
    problems = []
    found = {finding["hazard"] for finding in report["findings"]}
    if found != case.hazards:
        problems.append(f"findings {sorted(found)}, expected {sorted(case.hazards)}")
    if report["exit_status"] != (1 if case.hazards else 0):
        problems.append(f"lamplight report ended with {report['exit_status']}")
    peers = {slot["peer"] for finding in report["findings"] for slot in finding["slots"]}
    if case.peer >= 0 and peers != {case.peer}:
        problems.append(f"slots name the peers {sorted(peers)}, expected {case.peer}")
    if not any(process["replays"] for process in report["processes"]):
        problems.append("no replay was recorded")
    return problems


def run_case(runner: Runner, case: Case) -> None:
    folder = runner.out / case.name
    folder.mkdir(parents=True)
    shim = runner.serve(case, folder / "trace")
    (folder / "stderr").write_text(shim.errors)
    last = " | ".join(shim.errors.strip().splitlines()[-3:])
    ended = [] if shim.status == case.status else [f"ended with {shim.status}: {last}"]
    runner.check(case, f"the server ends with {case.status}", ended)
    # Without the swap the poisoned ones hang.
    if not case.hazards and not case.swap:
        plain = runner.serve(case)
        same = plain.checksums == shim.checksums and plain.checksums.strip() != ""
        runner.check(case, "checksums as without Lamplight", [] if same else [
            f"without: {plain.checksums!r}", f"with: {shim.checksums!r}"])
    name = ", ".join(sorted(case.hazards)) or "clean"
    try:
        problems = report_problems(case, runner.report(folder / "trace"))
    except (ValueError, KeyError, TypeError, OSError) as error:
        problems = [f"the report is not as documented: {error!r}"]
    runner.check(case, f"report says {name}", problems)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="has bin/lamplight")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="is emptied first")
    parser.add_argument("case", nargs="*", help="only these")
    arguments = parser.parse_args()
    unknown = set(arguments.case) - {case.name for case in CASES}
    if unknown:
        parser.error(f"no case {sorted(unknown)}; cases: {[case.name for case in CASES]}")
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    runner = Runner(arguments.build.resolve(), arguments.out.resolve())
    for case in CASES:
        if not arguments.case or case.name in arguments.case:
            run_case(runner, case)
    print("all checks passed" if not runner.failures else f"{runner.failures} checks failed")
    return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())
