"""Runs a program with or without Lamplight on a GPU, ends it where it hangs, asks for the report.

Every program runs in a session of its own, so that a kill reaches all of its processes. For one
thread.
"""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 5  # LAMPLIGHT_TIMEOUT
HANG_S = 8  # no progress for this long after the poisoned launch: it hangs
SPEAK_S = 30  # wait this long for the watchdog
LINGER_S = 2  # behind its last word
LIMIT_S = 120  # for a whole run, imports included
CASE_S = 60  # with less time left than this no case is begun
POISON_LINES = ("sends negative subnormals", "sends a token less")
WATCHDOG_LINE = "lamplight report"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    release: str
    arguments: tuple
    program: str = "incident.py"
    hangs: int = 0  # processes that must hang
    swap: str = ""  # LAMPLIGHT_SWAP


@dataclasses.dataclass
class Outcome:
    status: int  # −9: killed here
    stdout: str
    stderr: str
    poisoned_s: float  # when the poisoned replay was announced, 0: never
    spoke_s: float  # when Lamplight told of the first hang since then, 0: never

    def tail(self) -> str:
        return " | ".join((self.stdout + self.stderr).strip().splitlines()[-3:])


@dataclasses.dataclass
class Sites:
    """What prepare.sh packed."""

    by_release: dict  # folder to import from
    multicast: pathlib.Path


class Runner:
    """Invariant: every case has a folder of its own below `out`. `seconds`: for all of them."""

    def __init__(self, build: pathlib.Path, sites: Sites, out: pathlib.Path, seconds: float):
        self.lamplight = build / "bin" / "lamplight"
        self.sites = sites
        self.out = out
        self.failures = 0
        self._until = time.monotonic() + seconds

    def has_time(self) -> bool:
        return time.monotonic() + CASE_S <= self._until

    def check(self, case: Case, what: str, problems: list) -> None:
        print(f"{'FAIL' if problems else 'PASS'} {case.name}: {what}", flush=True)
        for problem in problems[:20]:
            print(f"     {problem}", flush=True)
        self.failures += bool(problems)

    def environment(self, case: Case) -> dict:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
        path = [str(self.sites.by_release[case.release])]
        if environment.get("PYTHONPATH"):
            path.append(environment["PYTHONPATH"])
        environment["PYTHONPATH"] = ":".join(path)
        environment["FLASHINFER_WORKSPACE_BASE"] = str(self.out / "flashinfer-home")
        if case.swap:
            environment["LAMPLIGHT_SWAP"] = case.swap
        return environment

    def run(self, case: Case, folder: pathlib.Path, shim: bool) -> Outcome:
        folder.mkdir(parents=True)
        command = [sys.executable, str(HERE / case.program), *case.arguments]
        command += ["--manifest", str(folder / "manifest.json")]
        if shim:
            options = ["--out", str(folder / "trace"), "--timeout", str(TIMEOUT_S)]
            command = [str(self.lamplight), "run", *options, "--", *command]
        with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
            process = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, env=self.environment(case),
                start_new_session=True,
            )
            return self._watch(process, case, folder, shim)

    def _watch(self, process: subprocess.Popen, case: Case, folder: pathlib.Path,
               shim: bool) -> Outcome:
        begin = time.monotonic()
        limit = min(LIMIT_S, self._until - begin)
        poisoned = spoke = last_word = 0.0
        quiet_stderr = 0
        while process.poll() is None:
            time.sleep(0.05)
            now = time.monotonic() - begin
            errors = (folder / "stderr").read_text(errors="replace")
            said = (folder / "stdout").read_text(errors="replace")
            if not poisoned and any(line in said for line in POISON_LINES):
                poisoned, quiet_stderr, spoke = now, len(errors), 0.0
            # Before anything is poisoned it is a hang that must not be: nothing to wait for.
            words = errors[quiet_stderr:].count(WATCHDOG_LINE)
            if words and not spoke:
                spoke = now
            if words >= max(case.hangs, 1) and not last_word:
                last_word = now
            waited = poisoned and now - poisoned > (SPEAK_S if shim else HANG_S)
            if now > limit or waited or (last_word and now - last_word > LINGER_S):
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


def ending_problems(case: Case, outcome: Outcome) -> list:
    if case.hangs and (outcome.status != -signal.SIGKILL or not outcome.poisoned_s):
        return [f"expected a hang in the poisoned replay, exit status {outcome.status}: "
                f"{outcome.tail()}"]
    if not case.hangs and outcome.status != 0:
        return [f"exit status {outcome.status}, expected 0: {outcome.tail()}"]
    return []


def watchdog_problems(outcome: Outcome) -> list:
    if not outcome.poisoned_s:
        return ["nothing was poisoned"]
    if not outcome.spoke_s:
        return [f"said nothing within {SPEAK_S} s of the poisoned launch"]
    delay = outcome.spoke_s - outcome.poisoned_s
    return [f"spoke after {delay:.1f} s"] if delay > 2 * TIMEOUT_S else []
