"""Two ranks in two processes (two_ranks.py) under Lamplight: neither, one or both with our kernels.

What each case must end with follows from who reads subnormals with a flush-to-zero compare: in a
one-shot every original rank of the old release that takes part, since it reads its own data back
too; in a two-shot the original rank that owns the token; in the trtllm one-shot nobody.
"""

import argparse
import dataclasses
import json
import pathlib
import re

import pair_verdict
from case_runner import TIMEOUT_S, Case, Outcome, Runner, ending_problems, watchdog_problems

SWAPPED = {"": (), "ranks:0": (0,), "ranks:1": (1,), "1": (0, 1)}
NAMES = {"": "off", "ranks:0": "0", "ranks:1": "1", "1": "both"}
AGREED = re.compile(r"^rank \d: all \d+ replays right; residuals equal the peer's, "
                    r"norms differ in (\d+) values", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Pair:
    case: Case
    stuck: tuple = ()  # ranks at which the cause is
    diverges: bool = False  # the ranks' calls differ

    @property
    def swapped(self) -> tuple:
        return SWAPPED[self.case.swap]


def cases(old: str, new: str, multicast: pathlib.Path) -> list:
    def pair(name: str, swap: str, *arguments: str, release: str = old, stuck: tuple = (),
             diverges: bool = False) -> Pair:
        # A rank that is not stuck itself hangs in its next call, for the other's data.
        case = Case(f"pair-{name}-swap-{NAMES[swap]}", release,
                    ("--multicast", str(multicast), *arguments), program="two_ranks.py",
                    hangs=2 if stuck or diverges else 0, swap=swap)
        return Pair(case, stuck, diverges)

    one = ("--algorithm", "oneshot", "--payload", "subnormal", "--poison-rank")
    two = ("--algorithm", "twoshot", "--payload", "subnormal", "--poison-rank")
    trtllm = ("--algorithm", "trtllm-oneshot", "--payload", "subnormal", "--poison-rank", "both")
    every = ("--payload", "subnormal", "--poison-rank", "both")
    fewer = ("--algorithm", "trtllm-oneshot", "--payload", "fewer", "--poison-rank", "1")
    return [
        *(pair("new-trtllm-fewer", swap, *fewer, release=new, diverges=True) for swap in SWAPPED),
        *(pair("old-healthy", swap) for swap in SWAPPED),
        *(pair("new-subnormal", swap, *every, release=new) for swap in SWAPPED),
        pair("old-subnormal", "1", *every),
        *(pair("old-trtllm-subnormal", swap, *trtllm) for swap in ("ranks:0", "ranks:1")),
        # The original rank sends, the swapped one owns the tokens: nobody compares with flushing.
        pair("old-twoshot-to-0", "ranks:0", *two, "1", "--poison-tokens", "even"),
        pair("old-twoshot-to-1", "ranks:1", *two, "0", "--poison-tokens", "odd"),
        # The other way round: the original rank is stuck.
        pair("old-oneshot-from-0", "ranks:0", *one, "0", stuck=(1,)),
        pair("old-oneshot-from-1", "ranks:1", *one, "1", stuck=(0,)),
        pair("old-twoshot-from-0", "ranks:0", *two, "0", "--poison-tokens", "odd", stuck=(1,)),
        # Its own data, read back.
        pair("old-oneshot-own", "ranks:0", *one, "1", stuck=(1,)),
        pair("old-oneshot-from-0", "", *one, "0", stuck=(0, 1)),
    ]


def agreement_problems(pair: Pair, outcome: Outcome) -> list:
    """Ranks with the same kernels must hold the same bits; the program itself judged the others."""
    counts = [int(count) for count in AGREED.findall(outcome.stdout)]
    if len(counts) != 2:
        return [f"{len(counts)} ranks said that they agree: {outcome.tail()}"]
    if len(pair.swapped) != 1 and any(counts):
        return [f"norms differ in {counts} values between ranks with the same kernels"]
    return []


def report_problems(pair: Pair, report: dict, manifest: argparse.Namespace) -> list:
    problems = pair_verdict.check_swaps(report, manifest, pair.swapped)
    if pair.diverges:
        return problems + pair_verdict.check_diverged(report, manifest)
    if pair.stuck:
        return problems + pair_verdict.check_stuck(report, manifest, pair.stuck)
    return problems + pair_verdict.check_clean(report, manifest)


def check_report(runner: Runner, pair: Pair, folder: pathlib.Path) -> None:
    report = runner.report(folder)
    try:
        manifest = argparse.Namespace(**json.loads((folder / "manifest.json").read_text()))
        problems = report_problems(pair, report, manifest)
    except (KeyError, TypeError, ValueError, OSError) as error:
        problems = [f"report or manifest is not as documented: {error!r}"]
    status = 1 if pair.case.hangs else 0
    if report.get("exit_status") != status:
        problems.append(f"lamplight report ended with {report.get('exit_status')}, not {status}")
    says = "C1 at " + " and ".join(f"rank {r}" for r in pair.stuck) if pair.stuck else "clean"
    if pair.diverges:
        says = "C10, and which tokens never come"
    runner.check(pair.case, f"report says {says}, and whose kernels were swapped", problems)


def run_pair(runner: Runner, pair: Pair) -> None:
    folder = runner.out / pair.case.name / "shim"
    outcome = runner.run(pair.case, folder, shim=True)
    what = "hangs where it must" if pair.case.hangs else "all replays of both ranks are right"
    runner.check(pair.case, what, ending_problems(pair.case, outcome))
    if pair.case.hangs:
        runner.check(pair.case, f"watchdog within {2 * TIMEOUT_S} s", watchdog_problems(outcome))
    else:
        runner.check(pair.case, "ranks agree bit for bit", agreement_problems(pair, outcome))
    check_report(runner, pair, folder)
