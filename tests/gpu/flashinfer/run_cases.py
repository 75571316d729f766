#!/usr/bin/env python3
"""Runs the programs under test with and without Lamplight on a GPU and checks the reports.

Each case: FlashInfer release, algorithm, payload, expected verdict. A case that must hang is killed
with SIGKILL once it has hung (without the shim) or once the watchdog has spoken (with it). The swap
cases run once, with our kernels in the place of FlashInfer's: what hangs alone must end there. One
rank in one process: incident.py; two: pair_cases.py. One thread; prints one PASS or FAIL line per
check, exit status 1 if any failed.
"""

import argparse
import functools
import json
import pathlib
import shutil
import sys

import pair_cases
import verdict
from case_runner import TIMEOUT_S, Case, Outcome, Runner, Sites, ending_problems, watchdog_problems


def cases(old: str, new: str) -> list:
    one, two = ("--algorithm", "oneshot"), ("--algorithm", "twoshot")
    poison = ("--payload", "subnormal")
    return [
        Case("old-oneshot-random", old, one),
        Case("old-twoshot-random", old, two),
        Case("old-oneshot-subnormal", old, one + poison, hangs=1),
        Case("old-twoshot-subnormal", old, two + poison, hangs=1),
        # Token 0 is healthy: its block finishes and moves the index on while token 5's block spins.
        Case("old-oneshot-token5", old, one + poison + ("--poison-tokens", "5"), hangs=1),
        Case("new-oneshot-subnormal", new, one + poison),
        Case("new-twoshot-subnormal", new, two + poison),
        Case("swap-old-oneshot", old, one + poison, swap="1"),
        Case("swap-old-twoshot", old, two + poison, swap="1"),
        Case("swap-new-oneshot", new, one + poison, swap="1"),
        Case("swap-new-twoshot", new, two + poison, swap="1"),
    ]


def replay_lines(outcome: Outcome) -> list:
    return [line for line in outcome.stdout.splitlines() if line.startswith(("replay", "all"))]


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


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="has bin/lamplight")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="empty or missing")
    parser.add_argument("--old", required=True, metavar="VERSION=SITE", help="a release that hangs")
    parser.add_argument("--new", required=True, metavar="VERSION=SITE", help="a fixed release")
    parser.add_argument("--multicast", type=pathlib.Path, required=True, help="multicast.ptx")
    parser.add_argument("--seconds", type=float, default=3600,
                        help="cases that it leaves no time for are named (default 3600)")
    parser.add_argument("case", nargs="*", help="only these, or all that begin so, like pair-")
    arguments = parser.parse_args()
    by_release = {}
    for text in (arguments.old, arguments.new):
        version, _, site = text.partition("=")
        by_release[version] = pathlib.Path(site).resolve()
    arguments.sites = Sites(by_release, arguments.multicast.resolve())
    arguments.steps = steps_of(arguments.sites)
    unknown = [start for start in arguments.case
               if not any(name.startswith(start) for name in arguments.steps)]
    if unknown:
        parser.error(f"no case {unknown}; cases: {[*arguments.steps]}")
    return arguments


def steps_of(sites: Sites) -> dict:
    """What runs a case, by its name."""
    steps = {case.name: functools.partial(run_case, case=case) for case in cases(*sites.by_release)}
    for pair in pair_cases.cases(*sites.by_release, sites.multicast):
        steps[pair.case.name] = functools.partial(pair_cases.run_pair, pair=pair)
    return steps


def main() -> int:
    arguments = parse_arguments()
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    runner = Runner(arguments.build.resolve(), arguments.sites, arguments.out.resolve(),
                    arguments.seconds)
    left, ran = [], 0
    for name, step in arguments.steps.items():
        if arguments.case and not name.startswith(tuple(arguments.case)):
            continue
        if runner.has_time():
            step(runner)
            ran += 1
        else:
            left.append(name)
    if left:
        print(f"left out, no time was left: {' '.join(left)}")
    what = f"all checks of {ran} cases passed" if left else "all checks passed"
    print(f"{runner.failures} checks failed" if runner.failures else what)
    return 1 if runner.failures or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
