#!/usr/bin/env python3
"""The two-rank cases' arguments and checkers, without a GPU: near misses must not pass."""

import copy
import pathlib
import unittest

import multicast
import pair_cases
import pair_verdict
import payload
import two_ranks
from case_runner import Outcome

PTX = ["--multicast", __file__]  # any file
PIDS = [100, 101]
KERNELS = {"oneshot": [("_ZN…28oneshotAllreduceFusionKernelILh2E…",
                        "lamplight_oneshot_mnnvl_bf16_w2")],
           "twoshot": [("_ZN…22twoshotAllreduceKernelILh2E…", "lamplight_sends_mnnvl_bf16_w2"),
                       ("_ZN…14rmsNormLamportI…", "lamplight_norm_mnnvl_bf16_w0")],
           "trtllm-oneshot": [("_ZN…39allreduce_fusion_kernel_oneshot_lamportI…",
                               "lamplight_oneshot_unicast_bf16_w2")]}


def manifest_of(*arguments: str):
    return two_ranks.parse_arguments([*PTX, *arguments])


def swaps_of(manifest, ranks: tuple) -> list:
    return [{"pid": PIDS[rank], "kernel": theirs, "by": ours, "reason": None}
            for rank in ranks for algorithm in manifest.algorithm
            for theirs, ours in KERNELS[algorithm]]


def clean_report(manifest, swapped: tuple) -> dict:
    replays = manifest.replays * len(manifest.algorithm)
    return {"findings": [], "swaps": swaps_of(manifest, swapped),
            "communicators": [{"pid_by_rank": PIDS}, {"pid_by_rank": PIDS}],
            "processes": [{"pid": pid, "replays_completed": replays} for pid in PIDS]}


def stuck_report(manifest, swapped: tuple, stuck: tuple) -> dict:
    """Made of the payload word by word, not through payload.awaited."""
    slots = []
    calls = (manifest.eager + manifest.poison_replay) * manifest.layers + manifest.poison_layer
    for rank in stuck:
        for peer in range(2):
            rows = two_ranks.rows_of(manifest, manifest.poison_replay, manifest.poison_layer, peer)
            for token, row in enumerate(rows):
                if manifest.algorithm == ["twoshot"] and token % 2 != rank:
                    continue
                hits = [i for i, high in enumerate(row[1::2]) if 0x8001 <= high <= 0x807F]
                slots.append({"rank": rank, "stage": 0, "peer": peer, "token": token,
                              "generation": calls % 3, "words": manifest.dim // 2, "sentinel": 0,
                              "alias": len(hits), "positions": hits[:4]})
    finding = {"hazard": "C1", "confidence": "proven", "ranks": list(stuck), "slots": slots,
               "place": {"replay": manifest.poison_replay + 1}}
    return {**clean_report(manifest, swapped), "findings": [finding]}


def diverged_report(manifest, swapped: tuple, tokens: tuple) -> dict:
    slots = [{"rank": 0, "peer": 1, "token": token} for token in tokens]
    finding = {"hazard": "C10", "confidence": "proven", "ranks": [0, 1], "slots": slots,
               "place": {"replay": manifest.poison_replay + 1}}
    return {**clean_report(manifest, swapped), "findings": [finding]}


def outcome(*lines: str) -> Outcome:
    return Outcome(0, "\n".join(lines) + "\n", "", 0.0, 0.0)


class Arguments(unittest.TestCase):
    def test_names_the_value_that_is_wrong(self):
        for wrong in (["--dim", "12"], ["--eager", "0"], ["--tokens", "0"],
                      ["--payload", "subnormal", "--poison-replay", "8"],
                      ["--payload", "subnormal", "--tokens", "1", "--poison-tokens", "odd"],
                      ["--payload", "fewer", "--tokens", "1"],
                      ["--payload", "fewer", "--poison-rank", "both"]):
            parsed = manifest_of()
            for name, value in zip(wrong[::2], wrong[1::2]):
                setattr(parsed, name[2:].replace("-", "_"),
                        int(value) if value.isdigit() else value)
            self.assertIn(wrong[-2], two_ranks.first_problem(parsed))
        self.assertEqual(two_ranks.first_problem(manifest_of()), "")

    def test_only_the_mnnvl_algorithms_need_the_multicast_file(self):
        parsed = two_ranks.parse_arguments(["--algorithm", "trtllm-oneshot"])
        self.assertIsNone(parsed.multicast)
        parsed.algorithm = ["oneshot"]
        self.assertIn("--multicast", two_ranks.first_problem(parsed))

    def test_only_the_named_rank_sends_subnormals(self):
        manifest = manifest_of("--payload", "subnormal", "--poison-rank", "1",
                               "--poison-tokens", "odd")
        poisoned = [[any(map(payload.is_alias, payload.words_of(row)))
                     for row in two_ranks.rows_of(manifest, 3, 0, rank)] for rank in range(2)]
        self.assertEqual(poisoned, [[False] * 8, [False, True] * 4])

    def test_every_case_parses(self):
        pairs = pair_cases.cases("0.6.4", "0.7.2", pathlib.Path(__file__))
        self.assertEqual(len({pair.case.name for pair in pairs}), len(pairs))
        for pair in pairs:
            manifest = two_ranks.parse_arguments(list(pair.case.arguments))
            if pair.stuck:
                self.assertEqual(len(manifest.algorithm), 1, "the generation must be known")
                report = stuck_report(manifest, pair.swapped, pair.stuck)
            elif pair.diverges:
                report = diverged_report(manifest, pair.swapped, (6, 7))
            else:
                report = clean_report(manifest, pair.swapped)
            self.assertEqual(pair_cases.report_problems(pair, report, manifest), [], pair.case.name)


class Divergence(unittest.TestCase):
    def problems(self, rank: str, tokens: tuple, **changes) -> str:
        manifest = manifest_of("--payload", "fewer", "--poison-rank", rank, "--tokens", "5")
        report = diverged_report(manifest, (), tokens)
        report["findings"][0].update(changes)
        return "".join(pair_verdict.check_diverged(report, manifest))

    def test_the_last_rows_never_come(self):
        self.assertEqual(self.problems("1", (3, 4)), "")

    def test_refuses_other_tokens(self):
        for tokens in ((4,), (2, 3, 4), ()):
            self.assertIn("expected [(0, 1, 3), (0, 1, 4)]", self.problems("1", tokens))

    def test_refuses_another_finding(self):
        self.assertIn("C16", self.problems("1", (3, 4), hazard="C16"))
        self.assertIn("confidence", self.problems("1", (3, 4), confidence="likely"))
        self.assertIn("replay", self.problems("1", (3, 4), place={"replay": 1}))


class Layout(unittest.TestCase):
    def rows(self, algorithm: str, rank: int, tokens: int, dim: int) -> set:
        first, stride, rows, packets = multicast.row_layout(algorithm, rank, tokens, dim, 1 << 20)
        return {first + row * stride + at for row in range(rows) for at in range(packets)}

    def test_oneshot_rows_of_both_ranks_fill_the_stage(self):
        both = self.rows("oneshot", 0, 5, 64) | self.rows("oneshot", 1, 5, 64)
        self.assertEqual(both, set(range(5 * 2 * 8)))

    def test_twoshot_rows_are_the_owned_tokens_of_stage_1(self):
        stage = (1 << 20) // 2 // 16
        self.assertEqual(self.rows("twoshot", 1, 5, 64),
                         {stage + token * 8 + at for token in (1, 3) for at in range(8)})
        self.assertEqual(self.rows("twoshot", 1, 1, 64), set())


class Swaps(unittest.TestCase):
    def setUp(self):
        self.manifest = manifest_of()

    def problems(self, report: dict, swapped: tuple) -> list:
        return pair_verdict.check_swaps(report, self.manifest, swapped)

    def test_refuses_a_swap_at_the_other_rank(self):
        report = clean_report(self.manifest, (1,))
        self.assertEqual(self.problems(report, (1,)), [])
        self.assertIn("rank 1 was not to be swapped", "".join(self.problems(report, (0,))))

    def test_refuses_one_rank_where_both_were_to_be_swapped(self):
        problems = self.problems(clean_report(self.manifest, (0,)), (0, 1))
        self.assertTrue(problems and all(text.startswith("rank 1") for text in problems), problems)

    def test_refuses_a_kernel_that_was_left_alone(self):
        report = clean_report(self.manifest, (0,))
        report["swaps"][-1].update(by=None, reason="a pointer is null")
        self.assertTrue(self.problems(report, (0,)))

    def test_refuses_a_report_that_does_not_know_the_ranks(self):
        report = clean_report(self.manifest, ())
        report["communicators"].append({"pid_by_rank": [100, None]})
        self.assertRaises(ValueError, self.problems, report, ())


class Findings(unittest.TestCase):
    def setUp(self):
        self.manifest = manifest_of("--algorithm", "twoshot", "--payload", "subnormal",
                                    "--poison-tokens", "odd")
        self.report = stuck_report(self.manifest, (0,), (1,))

    def problems(self, change) -> list:
        report = copy.deepcopy(self.report)
        change(report["findings"][0])
        return pair_verdict.check_stuck(report, self.manifest, (1,))

    def test_accepts_the_right_report(self):
        self.assertEqual(self.problems(lambda finding: None), [])

    def test_refuses_the_other_rank(self):
        self.assertTrue(self.problems(lambda finding: finding.update(ranks=[0])))
        self.assertTrue(self.problems(lambda finding: finding.update(ranks=[0, 1])))

    def test_refuses_a_doubt_another_replay_and_another_slot(self):
        self.assertTrue(self.problems(lambda finding: finding.update(confidence="likely")))
        self.assertTrue(self.problems(lambda finding: finding["place"].update(replay=1)))
        for field in ("peer", "token", "rank", "generation", "alias"):
            change = lambda finding: finding["slots"][0].update({field: 7})
            self.assertTrue(self.problems(change), field)

    def test_refuses_a_second_hazard(self):
        self.report["findings"].append({"hazard": "H0", "confidence": "proven"})
        self.assertTrue(pair_verdict.check_stuck(self.report, self.manifest, (1,)))

    def test_clean_needs_every_replay_of_every_rank(self):
        report = clean_report(self.manifest, ())
        self.assertEqual(pair_verdict.check_clean(report, self.manifest), [])
        report["processes"][1]["replays_completed"] -= 1
        self.assertTrue(pair_verdict.check_clean(report, self.manifest))


class Agreement(unittest.TestCase):
    def problems(self, swap: str, *counts: int) -> list:
        pair = next(pair for pair in pair_cases.cases("0.6.4", "0.7.2", pathlib.Path(__file__))
                    if pair.case.swap == swap and not pair.stuck)
        lines = [f"rank {rank}: " + two_ranks.AGREED.format(8, count, 1)
                 for rank, count in enumerate(counts)]
        return pair_cases.agreement_problems(pair, outcome(*lines))

    def test_both_ranks_must_say_it(self):
        self.assertEqual(self.problems("1", 0, 0), [])
        self.assertTrue(self.problems("1", 0))

    def test_the_same_kernels_give_the_same_bits(self):
        self.assertTrue(self.problems("1", 3, 3))
        self.assertTrue(self.problems("", 3, 3))
        self.assertEqual(self.problems("ranks:0", 3, 3), [])


if __name__ == "__main__":
    unittest.main()
