#!/usr/bin/env python3
"""What run_all.py does with steps that pass, fail, hang or come too late, and with reports. No GPU."""

import argparse
import contextlib
import io
import pathlib
import tarfile
import tempfile
import time
import unittest

import run_all

PIDS = [10, 11]


def report_of(swapped=(), findings=(), replays=5) -> dict:
    return {"findings": list(findings), "processes": [{"pid": pid, "replays": replays} for pid in PIDS],
            "communicators": [{"pid_by_rank": PIDS}], "swaps": [{"pid": pid} for pid in swapped]}


def is_alive(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z"
    except OSError:
        return False


class Reports(unittest.TestCase):
    def test_clean_and_swapped_where_it_must_be(self):
        self.assertEqual(run_all.problems_of(report_of([10]), {0}), "")
        self.assertEqual(run_all.problems_of(report_of(), set()), "")

    def test_a_rank_that_was_not_to_be_swapped(self):
        self.assertIn("expected {0}", run_all.problems_of(report_of([10, 11]), {0}))

    def test_nothing_swapped(self):
        self.assertIn("expected {0}", run_all.problems_of(report_of(), {0}))

    def test_a_finding(self):
        self.assertIn("C1 here", run_all.problems_of(report_of(findings=[{"title": "C1 here"}]), set()))

    def test_no_replays_are_no_proof(self):
        self.assertIn("no replays", run_all.problems_of(report_of(replays=0), set()))


class Steps(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        arguments = argparse.Namespace(build=self.folder, carry=None, gpus=1, soak_seconds=1)
        self.plan = run_all.Plan(arguments, 2, self.folder)

    def run_steps(self, *steps, budget: float = 60):
        calls = run_all.Calls(self.plan, self.folder / "summary.txt", budget)
        with contextlib.redirect_stdout(io.StringIO()):
            for step in steps:
                calls.run(step)
        return calls

    def summary(self) -> str:
        return (self.folder / "summary.txt").read_text(encoding="utf-8")

    def test_a_step_that_passes_and_one_that_fails(self):
        calls = self.run_steps(run_all.Step("one", 9, ["echo", "PASS inner"]),
                               run_all.Step("two", 9, ["sh", "-c", "echo out of luck; exit 5"]))
        self.assertEqual(calls.failures, 1)
        self.assertRegex(self.summary(), r"PASS one \(\d+ s\)\n  PASS inner\nFAIL two: status 5")
        self.assertIn("out of luck", self.summary())

    def test_a_step_that_hangs_is_ended_with_its_children(self):
        calls = self.run_steps(run_all.Step("stuck", 1, ["sh", "-c", "sleep 1000 & echo $!; wait"]))
        self.assertEqual(calls.failures, 1)
        self.assertIn("FAIL stuck: status -9", self.summary())
        child = (self.plan.results / "stuck.txt").read_text().split()[0]
        for _ in range(100):
            if not is_alive(int(child)):
                return
            time.sleep(0.05)
        self.fail(f"process {child} is left")

    def test_what_follows_a_step_may_fail_it(self):
        calls = self.run_steps(run_all.Step("one", 9, ["true"], then=lambda: "not clean"))
        self.assertEqual(calls.failures, 1)
        self.assertIn("FAIL one: not clean", self.summary())

    def test_a_step_for_which_no_time_is_left_is_not_begun(self):
        calls = self.run_steps(run_all.Step("long", 99, ["false"]), budget=50)
        self.assertEqual((calls.failures, calls.left), (0, ["long"]))

    def test_each_step_fits_a_call_and_has_a_name_of_its_own(self):
        for gpus, ranks in ((2, 2), (4, 4)):
            arguments = argparse.Namespace(build=self.folder, carry=None, gpus=gpus, soak_seconds=60)
            (self.folder / f"{gpus}").mkdir()
            plan = run_all.Plan(arguments, ranks, self.folder / f"{gpus}")
            names = [step.name for step in plan.steps()]
            self.assertEqual(len(names), len(set(names)))
            self.assertTrue(all(step.seconds <= 560 for step in plan.steps()))
            self.assertEqual("bench-2" in names, gpus == 4)

    def test_results_are_one_archive_and_one_table(self):
        for part in ("a", "b"):
            (self.plan.results / part).mkdir()
            (self.plan.results / part / "kernels.jsonl").write_text(f'{{"{part}": 1}}\n')
        run_all.collect(self.plan.results, self.folder)
        self.assertEqual((self.folder / "kernels.jsonl").read_text(), '{"a": 1}\n{"b": 1}\n')
        with tarfile.open(self.folder / "results.tar.gz") as tar:
            self.assertIn("results/a/kernels.jsonl", tar.getnames())


if __name__ == "__main__":
    unittest.main()
