#!/usr/bin/env python3
"""What the supervisor does with ranks that measure, hang, die or do not start. The ranks are small
programs without PyTorch and GPUs that do what the names of their contenders say."""

import argparse
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

import kernels
import results
import supervisor

RANK = r'''
import json, os, pathlib, signal, sys, time

job = json.loads(sys.argv[1])
out = os.fdopen(job["report"], "w", buffering=1)
step, rank = 0, job["rank"]
pathlib.Path(job["library"], f"{os.getpid()}.pid").touch()

def say(**message):
    out.write(json.dumps(message) + "\n")

if "does not start" in job["names"]:
    print("no such module: quantum")
    sys.exit(3)
if rank == 0:
    say(machine={"gpu": "none"})
for cell in job["cells"]:
    found = {"hidden": cell[0], "tokens": cell[1], "us": {}, "missing": {}, "seconds": 0.1}
    for name in job["names"]:
        step += 1
        say(step=step, what="capture", contender=name, cell=cell)
        if name == "slow at 64" and cell[1] == 64:
            time.sleep(1000)
        if name == "stuck at 16" and cell[1] == 16 or name == "a rank that stays away":
            if rank == 0:
                step += 1
                say(step=step, what="timed replays", contender=name, cell=cell)
            time.sleep(1000)
        if name == "crashes" and rank == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "raises" and rank == 0:
            say(error="OSError: no room")
            sys.exit(1)
        if name in ("crashes", "raises"):
            time.sleep(1000)
        if name == "wrong":
            found["missing"][name] = "wrong results: off by 3"
        else:
            found["us"][name] = [1.0, 2.0]
    if rank == 0:
        say(measured=found)
say(end=True)
'''


class Supervised(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "rank.py").write_text(RANK, encoding="utf-8")
        self.file = self.folder / "results.json"

    def arguments(self, **other) -> argparse.Namespace:
        chosen = {"json": self.file, "build": self.folder, "library": self.folder, "only": "",
                  "hidden": [64], "tokens": [1, 16], "replays": 30, "rounds": 3, "operations": 64,
                  "rehearse": False, "stay_away": False, "resume": False, "seconds": 60, "step_seconds": 2.0,
                  "plot": None}
        return argparse.Namespace(**{**chosen, **other})

    def run_group(self, *names: str, **other):
        """(exit status, what was printed)"""
        self.said = io.StringIO()
        with contextlib.redirect_stdout(self.said), contextlib.redirect_stderr(self.said):
            return kernels.run_group(self.arguments(**other), 2, list(names),
                                     [sys.executable, str(self.folder / "rank.py")])

    def content(self) -> dict:
        return json.loads(self.file.read_text(encoding="utf-8"))

    def assert_nobody_is_left(self):
        pids = [int(path.stem) for path in self.folder.glob("*.pid")]
        self.assertGreaterEqual(len(pids), 2)
        for pid in pids:
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists(), f"process {pid} is left")

    def test_all_cells_are_measured(self):
        self.assertEqual(self.run_group("a", "b"), 0)
        self.assertEqual([cell["us"] for cell in self.content()["cells"]],
                         [{"a": [1.0, 2.0], "b": [1.0, 2.0]}] * 2)
        self.assertEqual(self.content()["machine"], {"gpu": "none"})
        self.assert_nobody_is_left()

    def test_what_stands_still_is_given_up_and_the_others_go_on(self):
        self.assertEqual(self.run_group("a", "stuck at 16", "b"), 1)
        one, sixteen = self.content()["cells"]
        self.assertIn("stuck at 16", one["us"])
        self.assertEqual(list(sixteen["us"]), ["a", "b"])
        why = sixteen["missing"]["stuck at 16"]
        self.assertIn("no progress for 2 s in capture at hidden 64, 16 tokens", why)
        self.assertIn("rank 1 furthest behind", why)
        self.assertIn(why, self.said.getvalue())
        self.assert_nobody_is_left()

    def test_a_rank_that_dies_costs_only_its_contender(self):
        self.assertEqual(self.run_group("crashes", "b"), 1)
        cells = self.content()["cells"]
        self.assertEqual([list(cell["us"]) for cell in cells], [["b"], ["b"]])
        self.assertIn("rank 1 ended by signal 11 in capture", cells[0]["missing"]["crashes"])
        self.assert_nobody_is_left()

    def test_a_rank_that_raises_says_why(self):
        self.assertEqual(self.run_group("raises", "b"), 1)
        self.assertIn("rank 0 ended with status 1 in capture at hidden 64, 1 tokens: OSError: no "
                      "room", self.content()["given_up"]["raises"])

    def test_every_contender_may_fail(self):
        self.assertEqual(self.run_group("raises", "crashes"), 1)
        self.assertIn("no contender is left", self.said.getvalue())

    def test_ranks_that_do_not_start_are_not_tried_for_ever(self):
        self.assertEqual(self.run_group("does not start"), kernels.EXIT_UNFINISHED)
        self.assertIn("ended with status 3 in start: no such module: quantum",
                      self.said.getvalue())
        # A rank may be killed before it says so.
        starts = self.file.with_suffix(".log").read_text(encoding="utf-8").count("no such module")
        self.assertGreaterEqual(starts, supervisor.STARTS)
        self.assertLessEqual(starts, 2 * supervisor.STARTS)

    def test_wrong_results_are_a_failure(self):
        self.assertEqual(self.run_group("a", "wrong"), 1)
        self.assertIn("left out: wrong: wrong results", self.said.getvalue())

    def test_what_time_leaves_is_done_on_resumption(self):
        status = self.run_group("slow at 64", seconds=4, step_seconds=60, tokens=[1, 16, 64, 256])
        self.assertEqual(status, kernels.EXIT_UNFINISHED)
        self.assertIn("out of time", self.said.getvalue())
        self.assertEqual([cell["tokens"] for cell in self.content()["cells"]], [1, 16])
        self.assert_nobody_is_left()
        self.assertEqual(self.run_group("slow at 64", resume=True, tokens=[1, 16, 256]), 0)
        self.assertNotIn("16: 0.1 s", self.said.getvalue())
        self.assertEqual([cell["tokens"] for cell in self.content()["cells"]], [1, 16, 256])

    def test_what_was_given_up_is_not_tried_again(self):
        self.run_group("raises", "b", tokens=[1])
        (self.folder / "rank.py").write_text("raise SystemExit('started')", encoding="utf-8")
        self.assertEqual(self.run_group("raises", tokens=[16], resume=True), 1)
        self.assertIn("no contender is left", self.said.getvalue())

    def test_results_of_another_measurement_are_not_gone_on_with(self):
        self.run_group("a")
        with self.assertRaisesRegex(results.Mismatch, "another measurement"):
            self.run_group("a", resume=True, operations=4)

    def test_a_file_that_is_no_result_is_named(self):
        self.file.write_text("{}", encoding="utf-8")
        with self.assertRaisesRegex(results.Mismatch, "results.json: not such results"):
            self.run_group("a", resume=True)

    def test_the_hang_of_a_rehearsal_must_be_given_up_and_nothing_else(self):
        rehearsed = {"rehearse": True, "stay_away": True}
        self.assertEqual(self.run_group("a", "b", tokens=[1], **rehearsed), 0)
        self.assertEqual(list(self.content()["given_up"]), [supervisor.STAYS_AWAY])
        self.assertEqual(list(self.content()["cells"][0]["us"]), ["a", "b"])
        self.assertEqual(self.run_group("a", "raises", tokens=[1], **rehearsed), 1)

    def test_a_rehearsal_says_that_it_is_one(self):
        self.assertEqual(self.run_group("a", rehearse=True), 0)
        self.assertIn(kernels.NO_RESULT, self.said.getvalue())
        self.assertNotIn("| ratio", self.said.getvalue())
        self.assertEqual(self.content()["method"]["rehearsal"], kernels.NO_RESULT)


if __name__ == "__main__":
    unittest.main()
