#!/usr/bin/env python3
"""Everything that wants GPUs, on as many as there are, the most wanted first, within a time.

The kernels library's tests, the benchmark against FlashInfer, NCCL and PyTorch, FlashInfer with our
kernels at one rank only, the server's variants, sanitizers. Steps for which no time is left are named
at the end, for another call. On one GPU two ranks (or --ranks 4) share it: there the benchmark is a
rehearsal, whose times mean nothing. Leaves in OUT: summary.txt, kernels.jsonl, results.tar.gz.

Exit status: 0 all that ran passed, 1 something failed, 2 usage, 77 no GPU here.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BENCH = HERE.parent / "bench" / "kernels" / "kernels.py"
EXIT_NO_GPU = 77
STEP_S = 40  # a contender of the benchmark that stands still so long is given up
ARCHIVE_BYTES = 15 << 20
TERM_S = 10
UNPACK_S = 30  # before FlashInfer's cases, and their last report
SHOWN = re.compile(r"^(PASS|FAIL|HANG|left out|not finished|\d+ cells|\{'gpu'|.*: given up)")
# The server's cases that several GPUs may end otherwise than one.
SERVER_CASES = ("good", "good-processes", "legacy-processes", "diverge")
MACHINE = ("nvidia-smi --query-gpu=index,name,driver_version,memory.total --format=csv; "
           "nvidia-smi topo -m; python3 -c 'import torch; print(torch.__version__)'")


@dataclasses.dataclass
class Step:
    name: str
    seconds: int  # it may take
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    then: object = None  # called behind it: what is wrong, or ""


class Plan:
    """The steps, in the order of what is most wanted. Files go to `results`, to be packed."""

    def __init__(self, arguments: argparse.Namespace, ranks: int, work: pathlib.Path):
        self._arguments, self._ranks, self._work = arguments, ranks, work
        self.results = work / "results"
        self.results.mkdir()
        self._shared = arguments.gpus == 1
        self._carry = arguments.carry or arguments.build / "flashinfer" / "carry"
        self._site = self._unpack()
        self.shim = {"LD_PRELOAD": str(arguments.build / "lib" / "liblamplight.so")}

    @property
    def has_flashinfer(self) -> bool:
        return bool(self._site)

    def _unpack(self) -> dict:
        """The environment in which the newest release that was prepared is found."""
        if not (self._carry / "versions").exists():
            return {}
        newest = (self._carry / "versions").read_text().split()[-1]
        site = self._work / "site"
        site.mkdir()
        for name in (f"flashinfer-{newest}", "deps"):
            subprocess.run(["tar", "-xzf", str(self._carry / f"{name}.tar.gz"), "-C", str(site)],
                           check=True)
        path = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {"PYTHONPATH": ":".join(path),
                "FLASHINFER_WORKSPACE_BASE": str(self._work / "flashinfer-home")}

    def steps(self) -> list:
        ranks = self._ranks
        # A rehearsal has a hang too, which must be given up.
        hang = ["--stay-away", "--step-seconds", "15"] if self._shared else []
        both = [self.bench("bench", 300, ranks, *hang)]
        if ranks == 4 and not self._shared:
            both.append(self.bench("bench-2", 200, 2))
        return [
            Step("machine", 30, ["bash", "-c", MACHINE]),
            self.kernels("sequences", 90, "^sequences$"),
            *both,
            self.kernels("suites", 200, "^(patterns|sizes|skew)$"),
            self.interoperation(ranks),
            self.kernels("soak", self._arguments.soak_seconds + 70, "^soak$",
                         SOAK_SECONDS=str(self._arguments.soak_seconds)),
            self.journal(ranks),
            self.server("server", 130, SERVER_CASES),
            self.kernels("sanitizers", 190, "check$"),
            self.overhead(),
            self.flashinfer("flashinfer", 420, ["swap-", "pair-"]),
            self.server("server-all", 380, ()),
        ]

    def kernels(self, name: str, seconds: int, pattern: str, **environment: str) -> Step:
        """Steps of kernels/run_on_gpu.sh."""
        out = self.results / name
        return Step(name, seconds, [str(HERE / "kernels" / "run_on_gpu.sh"),
                                    str(self._arguments.build), str(out), str(self._ranks)],
                    {"STEPS": pattern, "CARRY": str(self._work / "none"), **environment})

    def bench(self, name: str, seconds: int, ranks: int, *more: str, **environment: str) -> Step:
        where = ["--rehearse", "--ranks", str(ranks)] if self._shared else ["--gpus", str(ranks)]
        file = self.results / f"{name}-w{ranks}"
        command = [sys.executable, str(BENCH), str(self._arguments.build), *where,
                   "--json", f"{file}.json", "--plot", f"{file}.svg",
                   "--seconds", str(seconds - 15), "--step-seconds", str(STEP_S), *more]
        return Step(name, seconds, command, {**self._site, **environment})

    def interoperation(self, ranks: int) -> Step:
        """FlashInfer's own kernels at all ranks but one, which has ours. The benchmark checks the
        results; the report must be clean and name what was swapped."""
        trace = self._work / "swapped"
        step = self.bench("interoperation", 120, ranks, "--only", "FlashInfer", "--hidden", "4096",
                          "--tokens", "1,16", LAMPLIGHT_DIR=str(trace), LAMPLIGHT_SWAP="ranks:0",
                          **self.shim)
        step.then = lambda: self._judge("interoperation", trace, {0})
        return step

    def _report(self, name: str, trace: pathlib.Path) -> dict:
        """The report on a trace; both forms are kept."""
        contents = {}
        for kind in ("text", "json"):
            done = subprocess.run(
                [str(self._arguments.build / "bin" / "lamplight"), "report", str(trace), "--format",
                 kind], capture_output=True, text=True, timeout=60, check=False)
            contents[kind] = done.stdout
            (self.results / f"{name}-report.{kind}").write_text(done.stdout + done.stderr)
        return json.loads(contents["json"])

    def _judge(self, name: str, trace: pathlib.Path, swapped: set) -> str:
        """The report must be clean, and our kernels have run in FlashInfer's place at these ranks."""
        try:
            report = self._report(name, trace)
            return problems_of(report, swapped)
        except (ValueError, KeyError, TypeError, OSError, subprocess.SubprocessError) as error:
            return f"the report is not as documented: {error!r}"

    def journal(self, ranks: int) -> Step:
        """Ours under the shim, where they journal: to be compared with the benchmark's."""
        trace = self._work / "journal"
        step = self.bench("journal", 120, ranks, "--only", "ours", LAMPLIGHT_DIR=str(trace),
                          **self.shim)
        step.then = lambda: self._judge("journal", trace, set())
        return step

    def server(self, name: str, seconds: int, cases: tuple) -> Step:
        return Step(name, seconds, [str(HERE / "run_gpu_tests.sh"), str(self._arguments.build),
                                    str(self.results / name), *cases])

    def overhead(self) -> Step:
        return Step("overhead", 120, [sys.executable, str(HERE.parent / "bench" /
                                                         "replay_overhead.py"),
                                     str(self._arguments.build), "3"])

    def flashinfer(self, name: str, seconds: int, cases: list) -> Step:
        return Step(name, seconds, [str(HERE / "flashinfer" / "run_on_gpu.sh"),
                                    str(self._arguments.build), str(self.results / name), *cases],
                    {"CARRY": str(self._carry), "CASE_SECONDS": str(seconds - UNPACK_S)})


def problems_of(report: dict, swapped: set) -> str:
    """`report`: as docs/report_schema.md has it; `swapped`: ranks. "" where it is as it must be."""
    if report["findings"]:
        return f"the report finds {report['findings'][0]['title']}"
    if not any(process["replays"] for process in report["processes"]):
        return "the report has no replays"
    rank_of = {pid: rank for group in report["communicators"]
               for rank, pid in enumerate(group["pid_by_rank"])}
    found = {rank_of.get(swap["pid"]) for swap in report["swaps"]}
    return "" if found == swapped else f"swapped at ranks {found}, expected {swapped}"


class Calls:
    """Runs steps one after the other. Invariant: behind `run` nothing that it started is left."""

    def __init__(self, plan: Plan, summary: pathlib.Path, budget: float):
        self._plan, self._summary = plan, summary
        self._until = time.monotonic() + budget
        self.failures, self.left = 0, []

    def say(self, text: str) -> None:
        print(text, flush=True)
        with open(self._summary, "a", encoding="utf-8") as file:
            file.write(text + "\n")

    def run(self, step: Step) -> None:
        if time.monotonic() + step.seconds > self._until:
            self.left.append(step.name)
            return
        begin, output = time.monotonic(), self._plan.results / f"{step.name}.txt"
        status = self._execute(step, output)
        why = f"status {status}" if status else ""
        if not why and step.then:
            why = step.then()
        self.failures += bool(why)
        verdict = f"FAIL {step.name}: {why}" if why else f"PASS {step.name}"
        self.say(f"{verdict} ({time.monotonic() - begin:.0f} s)")
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        shown = [line for line in lines if SHOWN.match(line)]
        for line in shown + (["…", *lines[-12:]] if why else []):
            self.say(f"  {line[:300]}")

    @staticmethod
    def _execute(step: Step, output: pathlib.Path) -> int:
        with open(output, "wb") as file:
            process = subprocess.Popen(step.command, stdout=file, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL, start_new_session=True,
                                       env={**os.environ, **step.environment})
        try:
            return process.wait(step.seconds)
        except subprocess.TimeoutExpired:
            end_gently(process)
            return -signal.SIGKILL
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def end_gently(process: subprocess.Popen) -> None:
    """The benchmark ends its ranks, which have sessions of their own."""
    process.terminate()
    try:
        process.wait(TERM_S)
    except subprocess.TimeoutExpired:
        pass


def collect(results: pathlib.Path, out: pathlib.Path) -> None:
    with open(out / "kernels.jsonl", "w", encoding="utf-8") as whole:
        for part in sorted(results.glob("*/kernels.jsonl")):
            whole.write(part.read_text(encoding="utf-8"))
    archive = out / "results.tar.gz"
    pack(results, archive, lambda _: True)
    if archive.stat().st_size > ARCHIVE_BYTES:
        pack(results, archive, lambda path: not path.name.endswith(".tar.gz"))


def pack(results: pathlib.Path, archive: pathlib.Path, wanted) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(results.rglob("*")):
            if path.is_file() and wanted(path):
                tar.add(path, path.relative_to(results.parent))


def count_gpus() -> int:
    if not shutil.which("nvidia-smi"):
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU") for line in listed.stdout.splitlines())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a build, or what pack.sh packed")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--gpus", type=int, choices=(1, 2, 4, 8), help="default: all there are")
    parser.add_argument("--ranks", type=int, choices=(2, 4), default=2, help="that share one GPU")
    parser.add_argument("--seconds", type=float, default=560, help="in all (default 560)")
    parser.add_argument("--soak-seconds", type=int, default=60)
    parser.add_argument("--steps", default=".", help="only those whose name matches this pattern")
    parser.add_argument("--carry", type=pathlib.Path,
                        help="what flashinfer/prepare.sh packed (default: BUILD/flashinfer/carry)")
    parsed = parser.parse_args()
    parsed.build, parsed.out = parsed.build.resolve(), parsed.out.resolve()
    if not (parsed.build / "bin" / "kernels_gpu").exists():
        parser.error(f"{parsed.build}/bin/kernels_gpu: missing; build it first, or unpack pack.sh's")
    return parsed


def main() -> int:
    arguments = parse_arguments()
    there = count_gpus()
    if there == 0:
        print("SKIPPED: there is no NVIDIA GPU on this machine")
        return EXIT_NO_GPU
    arguments.gpus = arguments.gpus or 1 << (min(there, 8).bit_length() - 1)
    if arguments.gpus > there:
        print(f"--gpus {arguments.gpus}: there are {there}", file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.environ.update(PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
    os.environ.setdefault("LD_LIBRARY_PATH", "/usr/local/cuda/lib64")
    with tempfile.TemporaryDirectory() as work:
        ranks = arguments.ranks if arguments.gpus == 1 else arguments.gpus
        plan = Plan(arguments, ranks, pathlib.Path(work))
        (arguments.out / "summary.txt").unlink(missing_ok=True)
        calls = Calls(plan, arguments.out / "summary.txt", arguments.seconds)
        if not plan.has_flashinfer:
            calls.say("left out: FlashInfer is not prepared (flashinfer/prepare.sh)")
        for step in plan.steps():
            if re.search(arguments.steps, step.name):
                calls.run(step)
        calls.say(f"{calls.failures} steps failed")
        if calls.left:
            calls.say(f"no time was left for: --steps '^({'|'.join(calls.left)})$'")
        collect(plan.results, arguments.out)
    return int(calls.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
