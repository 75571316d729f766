#!/usr/bin/env python3
"""The checker itself, without a GPU: it must accept the right report and refuse near misses."""

import copy
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("SKIPPED: numpy is not installed")
    sys.exit(77)

import incident
import payload
import verdict

POISON = ["--payload", "subnormal"]


def right_report(manifest) -> dict:
    """A report made of the payload word by word, not through awaited_from_peer."""
    patterns = incident.peer_patterns(manifest, manifest.poison_replay, manifest.poison_layer)
    calls = (manifest.eager + manifest.poison_replay) * manifest.layers + manifest.poison_layer
    slots = []
    for token, row in enumerate(patterns):
        if manifest.algorithm == "twoshot" and token % 2:
            continue
        hits = [i for i, high in enumerate(row[1::2]) if 0x8001 <= high <= 0x807F]
        slots.append({
            "stage": 0, "peer": 1, "token": token, "generation": calls % 3,
            "words": manifest.dim // 2, "sentinel": 0, "alias": len(hits), "positions": hits[:4],
        })
    finding = {"hazard": "C1", "confidence": "proven", "slots": slots,
               "place": {"replay": manifest.poison_replay + 1}}
    return {"findings": [finding]}


class Payload(unittest.TestCase):
    def test_healthy_words_are_never_absent(self):
        words = payload.healthy(1, 2, 1, 8, 2880).view(np.uint32)
        self.assertFalse(payload.is_alias(words).any() or (words == payload.SENTINEL).any())

    def test_rounds_to_nearest_even(self):
        halves = np.array([0x3F808000, 0x3F818000, 0x3F808001], dtype=np.uint32)
        self.assertEqual(
            payload.to_bf16(halves.view(np.float32)).tolist(), [0x3F80, 0x3F82, 0x3F81]
        )

    def test_poisons_only_the_named_tokens(self):
        words = payload.subnormal(1, 2, 1, 4, 2880, [2]).view(np.uint32)
        self.assertEqual(payload.is_alias(words).any(axis=1).tolist(), [False, False, True, False])


class Verdict(unittest.TestCase):
    def setUp(self):
        self.manifest = incident.parse_arguments(POISON)
        self.report = right_report(self.manifest)

    def problems(self, change) -> list:
        report = copy.deepcopy(self.report)
        change(report["findings"][0])
        return verdict.check_c1(report, self.manifest)

    def test_accepts_the_right_report(self):
        for algorithm in ("oneshot", "twoshot"):
            manifest = incident.parse_arguments(POISON + ["--algorithm", algorithm])
            self.assertEqual(verdict.check_c1(right_report(manifest), manifest), [])

    def test_refuses_a_clean_report(self):
        self.assertTrue(verdict.check_c1({"findings": []}, self.manifest))

    def test_refuses_another_replay(self):
        self.assertTrue(self.problems(lambda finding: finding["place"].update(replay=5)))

    def test_refuses_a_missing_token(self):
        self.assertTrue(self.problems(lambda finding: finding["slots"].pop()))

    def test_refuses_each_wrong_field(self):
        for field in ("generation", "words", "sentinel", "alias"):
            change = lambda finding: finding["slots"][3].update({field: 7})
            self.assertTrue(self.problems(change), field)

    def test_refuses_a_position_off_by_one(self):
        change = lambda finding: finding["slots"][0]["positions"].insert(0, 1)
        self.assertTrue(self.problems(change))

    def test_clean_needs_every_replay(self):
        manifest = incident.parse_arguments([])
        report = {"findings": [], "processes": [{"replays": manifest.replays}]}
        self.assertEqual(verdict.check_clean(report, manifest), [])
        report["processes"][0]["replays"] -= 1
        self.assertTrue(verdict.check_clean(report, manifest))


if __name__ == "__main__":
    unittest.main()
