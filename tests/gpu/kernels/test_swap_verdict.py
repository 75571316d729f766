#!/usr/bin/env python3
"""The checker of the swap cases, without a GPU: it must accept the right report and refuse others."""

import argparse
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "flashinfer"))
try:
    import verdict
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

PAIR = [{"kernel": "_ZN…22twoshotAllreduceKernelILh2E…", "by": "lamplight_sends_mnnvl_bf16_w2"},
        {"kernel": "_ZN…14rmsNormLamportI…", "by": "lamplight_norm_mnnvl_bf16_w0"}]
ONE = [{"kernel": "_ZN…28oneshotAllreduceFusionKernelILh2E…", "by": "lamplight_oneshot_mnnvl_bf16_w2"}]


def problems(swaps: list, algorithm: str) -> list:
    return verdict.check_swaps({"swaps": swaps}, argparse.Namespace(algorithm=algorithm))


class Swaps(unittest.TestCase):
    def test_accepts_what_ran(self):
        self.assertEqual(problems(ONE, "oneshot"), [])
        self.assertEqual(problems(PAIR, "twoshot"), [])

    def test_refuses_a_report_without_swaps(self):
        self.assertEqual(len(problems([], "twoshot")), 2)

    def test_refuses_half_a_pair(self):
        self.assertEqual(len(problems(PAIR[:1], "twoshot")), 1)

    def test_refuses_a_refusal(self):
        refused = [{**ONE[0], "by": None, "reason": "its rows are too long"}]
        self.assertIn("its rows are too long", problems(refused, "oneshot")[0])

    def test_refuses_another_kernel_of_ours(self):
        self.assertEqual(len(problems([{**ONE[0], "by": PAIR[0]["by"]}], "oneshot")), 1)


if __name__ == "__main__":
    unittest.main()
