#!/usr/bin/env python3
"""Runs the program under test with and without Lamplight on a GPU and checks the reports.

Each case: FlashInfer release, algorithm, payload, expected verdict. A case that must hang is killed
with SIGKILL once it has hung (without the shim) or once the watchdog has spoken (with it). The swap
cases run once, with our kernels in the place of FlashInfer's: what hangs alone must end there. One
thread; prints one PASS or FAIL line per check, exit status 1 if any failed.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import verdict

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 5  # LAMPLIGHT_TIMEOUT
HANG_S = 8  # no progress for this long after the poisoned launch: it hangs
SPEAK_S = 30  # wait this long for the watchdog
LIMIT_S = 120  # for a whole run, imports included
POISON_LINE = "rank 1 sends negative subnormals"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    release: str
    arguments: tuple
    hangs: bool
    swap: bool = False  # LAMPLIGHT_SWAP=1


def cases(old: str, new: str) -> list:
    one, two = ("--algorithm", "oneshot"), ("--algorithm", "twoshot")
    poison = ("--payload", "subnormal")
    return [
        Case("old-oneshot-random", old, one, False),
        Case("old-twoshot-random", old, two, False),
        Case("old-oneshot-subnormal", old, one + poison, True),
        Case("old-twoshot-subnormal", old, two + poison, True),
        # Token 0 is healthy: its block finishes and moves the index on while token 5's block spins.
        Case("old-oneshot-token5", old, one + poison + ("--poison-tokens", "5"), True),
        Case("new-oneshot-subnormal", new, one + poison, False),
        Case("new-twoshot-subnormal", new, two + poison, False),
        Case("swap-old-oneshot", old, one + poison, False, swap=True),
        Case("swap-old-twoshot", old, two + poison, False, swap=True),
        Case("swap-new-oneshot", new, one + poison, False, swap=True),
        Case("swap-new-twoshot", new, two + poison, False, swap=True),
    ]


@dataclasses.dataclass
class Outcome:
    status: int  # −9: killed here
    stdout: str
    stderr: str
    poisoned_s: float  # when the poisoned replay was announced, 0: never
    spoke_s: float  # when Lamplight wrote its first line after that, 0: never


class Runner:
    """Starts processes in their own session, so that a kill reaches all of them."""

    def __init__(self, build: pathlib.Path, sites: dict, out: pathlib.Path):
        self.lamplight = build / "bin" / "lamplight"
        self.sites = sites
        self.out = out
        self.failures = 0

    def check(self, case: Case, what: str, problems: list) -> None:
        print(f"{'FAIL' if problems else 'PASS'} {case.name}: {what}", flush=True)
        for problem in problems[:20]:
            print(f"     {problem}", flush=True)
        self.failures += bool(problems)

    def environment(self, case: Case) -> dict:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
        path = [str(self.sites[case.release])]
        if environment.get("PYTHONPATH"):
            path.append(environment["PYTHONPATH"])
        environment["PYTHONPATH"] = ":".join(path)
        environment["FLASHINFER_WORKSPACE_BASE"] = str(self.out / "flashinfer-home")
        return environment

    def run(self, case: Case, folder: pathlib.Path, shim: bool) -> Outcome:
        folder.mkdir(parents=True)
        command = [sys.executable, str(HERE / "incident.py"), *case.arguments]
        command += ["--manifest", str(folder / "manifest.json")]
        if shim:
            options = ["run", "--out", str(folder / "trace"), "--timeout", str(TIMEOUT_S)]
            options += ["--swap"] if case.swap else []
            command = [str(self.lamplight), *options, "--", *command]
        with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
            process = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, env=self.environment(case),
                start_new_session=True,
            )
            return self._watch(process, folder, shim)

    def _watch(self, process: subprocess.Popen, folder: pathlib.Path, shim: bool) -> Outcome:
        begin = time.monotonic()
        poisoned = spoke = 0.0
        quiet_stderr = 0
        while process.poll() is None:
            time.sleep(0.05)
            now = time.monotonic() - begin
            errors = (folder / "stderr").read_text(errors="replace")
            if not poisoned and POISON_LINE in (folder / "stdout").read_text(errors="replace"):
                poisoned, quiet_stderr = now, len(errors)
            if poisoned and not spoke and "lamplight report" in errors[quiet_stderr:]:
                spoke = now
            waited = poisoned and now - poisoned > (SPEAK_S if shim else HANG_S)
            if now > LIMIT_S or waited or (spoke and now - spoke > 2):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        texts = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
        return Outcome(process.returncode, *texts, poisoned, spoke)

    def report(self, folder: pathlib.Path) -> dict:
        """The JSON report; the text one is written beside it. {} where there is none."""
        trace, arguments = str(folder / "trace"), {"json": "report.json", "text": "report.txt"}
        for kind, name in arguments.items():
            done = subprocess.run(
                [str(self.lamplight), "report", trace, "--format", kind],
                capture_output=True, text=True, timeout=60, check=False,
            )
            (folder / name).write_text(done.stdout + (done.stderr if kind == "text" else ""))
        try:
            report = json.loads((folder / "report.json").read_text())
        except json.JSONDecodeError as error:
            print(f"     {folder / 'report.json'}: {error}; {done.stderr.strip()}", flush=True)
            return {}
        report["exit_status"] = done.returncode
        return report


def replay_lines(outcome: Outcome) -> list:
    return [line for line in outcome.stdout.splitlines() if line.startswith(("replay", "all"))]


def ending_problems(case: Case, outcome: Outcome) -> list:
    tail = " | ".join((outcome.stdout + outcome.stderr).strip().splitlines()[-3:])
    if case.hangs and (outcome.status != -signal.SIGKILL or not outcome.poisoned_s):
        return [f"expected a hang in the poisoned replay, exit status {outcome.status}: {tail}"]
    if not case.hangs and outcome.status != 0:
        return [f"exit status {outcome.status}, expected 0: {tail}"]
    return []


def watchdog_problems(outcome: Outcome) -> list:
    if not outcome.spoke_s:
        return [f"said nothing within {SPEAK_S} s of the poisoned launch"]
    delay = outcome.spoke_s - outcome.poisoned_s
    return [f"spoke after {delay:.1f} s"] if delay > 2 * TIMEOUT_S else []


def run_swapped(runner: Runner, case: Case) -> None:
    folder = runner.out / case.name / "shim"
    outcome = runner.run(case, folder, shim=True)
    runner.check(case, "with our kernels all replays are right", ending_problems(case, outcome))
    check_report(runner, case, folder)


def run_case(runner: Runner, case: Case) -> None:
    folder = runner.out / case.name
    if case.swap:
        run_swapped(runner, case)
        return
    plain = runner.run(case, folder / "plain", shim=False)
    runner.check(case, "alone " + ("hangs" if case.hangs else "ends"), ending_problems(case, plain))
    shim = runner.run(case, folder / "shim", shim=True)
    runner.check(case, "under Lamplight the same", ending_problems(case, shim))
    same = replay_lines(plain) == replay_lines(shim) and len(replay_lines(plain)) > 1
    runner.check(case, "results bit for bit the same", [] if same else ["stdout differs"])
    if case.hangs:
        runner.check(case, f"watchdog within {2 * TIMEOUT_S} s", watchdog_problems(shim))
    check_report(runner, case, folder / "shim")


def check_report(runner: Runner, case: Case, folder: pathlib.Path) -> None:
    report = runner.report(folder)
    name = "C1 with the right positions" if case.hangs else "clean"
    if case.swap:
        name += " and which kernels were swapped"
    try:
        manifest = argparse.Namespace(**json.loads((folder / "manifest.json").read_text()))
        check = verdict.check_c1 if case.hangs else verdict.check_clean
        problems = check(report, manifest)
        if case.swap:
            problems += verdict.check_swaps(report, manifest)
    except (KeyError, TypeError, OSError) as error:
        problems = [f"report or manifest is not as documented: {error!r}"]
    status = 1 if case.hangs else 0
    if report.get("exit_status") != status:
        problems.append(f"lamplight report ended with {report.get('exit_status')}, not {status}")
    runner.check(case, f"report says {name}", problems)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="has bin/lamplight")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="an empty or missing folder")
    parser.add_argument("--old", required=True, metavar="VERSION=SITE", help="a release that hangs")
    parser.add_argument("--new", required=True, metavar="VERSION=SITE", help="a fixed release")
    parser.add_argument("case", nargs="*", help="only these")
    arguments = parser.parse_args()
    sites = {}
    for text in (arguments.old, arguments.new):
        version, _, site = text.partition("=")
        sites[version] = pathlib.Path(site).resolve()
    every = cases(*sites)
    unknown = set(arguments.case) - {case.name for case in every}
    if unknown:
        parser.error(f"no case {sorted(unknown)}; cases: {[case.name for case in every]}")
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    runner = Runner(arguments.build.resolve(), sites, arguments.out.resolve())
    for case in every:
        if not arguments.case or case.name in arguments.case:
            run_case(runner, case)
    print("all checks passed" if not runner.failures else f"{runner.failures} checks failed")
    return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())
