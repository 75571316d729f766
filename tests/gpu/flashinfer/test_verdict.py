#!/usr/bin/env python3
"""The checker itself, without a GPU: it must accept the right report and refuse near misses."""

import array
import copy
import unittest

import incident
import payload
import verdict

POISON = ["--payload", "subnormal"]


def right_report(manifest) -> dict:
    """A report made of the payload word by word, not through payload.awaited."""
    rows = incident.peer_rows(manifest, manifest.poison_replay, manifest.poison_layer)
    calls = (manifest.eager + manifest.poison_replay) * manifest.layers + manifest.poison_layer
    slots = []
    for token, row in enumerate(rows):
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
        for row in payload.healthy(1, 2, 1, 8, 2880):
            words = payload.words_of(row)
            self.assertEqual(len(words), 1440)
            self.assertNotIn(payload.SENTINEL, words)
            self.assertFalse(any(payload.is_alias(word) for word in words))

    def test_each_call_and_rank_sends_other_words(self):
        sent = {bytes(payload.bytes_of(payload.healthy(1, call, rank, 2, 64)))
                for call in range(3) for rank in range(2)}
        self.assertEqual(len(sent), 6)

    def test_rounds_to_nearest_even(self):
        words = array.array("I", [0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF])
        values = array.array("f", words.tobytes())
        self.assertEqual(list(payload.to_bf16(values)), [0x3F80, 0x3F82, 0x3F81, 0x3F80])

    def test_sums_are_rounded_once_and_never_minus_zero(self):
        one, other = array.array("H", [0x3F80, 0x3F80, 0xBF80]), array.array(
            "H", [0x3B80, 0x3F80, 0x3F80])  # 1 + 1/256: a tie, to even
        self.assertEqual(list(payload.sums(one, other)), [0x3F80, 0x4000, 0])
        tiny = array.array("H", [payload.MINUS_ZERO])
        self.assertEqual(list(payload.sums(tiny, tiny)), [0])

    def test_poisons_only_the_named_tokens(self):
        rows = payload.subnormal(1, 2, 1, 4, 2880, [2])
        aliased = [any(map(payload.is_alias, payload.words_of(row))) for row in rows]
        self.assertEqual(aliased, [False, False, True, False])

    def test_poison_leaves_the_other_words_as_they_were(self):
        before = payload.healthy(1, 2, 1, 1, 2880)[0]
        after = payload.subnormal(1, 2, 1, 1, 2880, [0])[0]
        changed = [at for at, (a, b) in enumerate(zip(before, after)) if a != b]
        self.assertTrue(10 < len(changed) < 60 and all(at % 2 == 1 for at in changed), changed)


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
