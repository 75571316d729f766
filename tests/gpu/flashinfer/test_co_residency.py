#!/usr/bin/env python3
"""Launch shapes and occupancy against values worked out by hand from FlashInfer's sources."""

import functools
import unittest

import co_residency
from co_residency import Shape


def trtllm(tokens: int, dim: int, algorithm: str = "oneshot", world: int = 2) -> Shape:
    return co_residency.trtllm_shape(tokens, dim, world, algorithm, registers=40)


class TrtllmShape(unittest.TestCase):
    def test_widens_blocks_below_128_threads(self):
        # 360 threads of a row: 8 × 45, 4 × 90, 2 × 180.
        self.assertEqual(trtllm(8, 2880), Shape(16, 180, 2))
        self.assertEqual(trtllm(8, 4096), Shape(32, 128, 4))
        self.assertEqual(trtllm(8, 8192), Shape(64, 128, 8))

    def test_shrinks_clusters_where_the_processors_run_out(self):
        self.assertEqual(trtllm(33, 4096), Shape(132, 128, 4))
        self.assertEqual(trtllm(34, 4096), Shape(68, 256, 2))
        self.assertEqual(trtllm(128, 8192), Shape(128, 1024, 1))

    def test_never_has_more_blocks_than_processors(self):
        for dim in (2880, 4096, 8192):
            self.assertLessEqual(trtllm(4096, dim).blocks, co_residency.PROCESSORS)

    def test_twoshot_has_a_cluster_for_each_owned_row(self):
        self.assertEqual(trtllm(9, 4096, "twoshot", world=4), Shape(12, 128, 4))


class MnnvlShape(unittest.TestCase):
    def test_spreads_few_tokens_over_thin_blocks(self):
        self.assertEqual(co_residency.mnnvl_oneshot_shape(8, 2880), Shape(32, 90, 4))
        self.assertEqual(co_residency.mnnvl_oneshot_shape(16, 4096), Shape(128, 64, 8))
        self.assertEqual(co_residency.mnnvl_oneshot_shape(17, 4096), Shape(68, 128, 4))

    def test_grows_with_the_tokens(self):
        self.assertEqual(co_residency.mnnvl_oneshot_shape(256, 2880), Shape(256, 360, 1))


class Occupancy(unittest.TestCase):
    def test_is_bounded_by_threads_registers_and_blocks(self):
        self.assertEqual(co_residency.resident_blocks(1024, 32), 2)
        self.assertEqual(co_residency.resident_blocks(1024, 33), 1)
        self.assertEqual(co_residency.resident_blocks(64, 32), 32)
        self.assertEqual(co_residency.resident_blocks(90, 32), 21)

    def test_most_tokens_is_the_last_that_fits(self):
        shape_of = functools.partial(co_residency.mnnvl_oneshot_shape, dim=8192)
        most = co_residency.most_tokens(shape_of, 32, world=2, pdl=True)
        self.assertTrue(co_residency.fits(shape_of(most), 32, grids=4))
        self.assertFalse(co_residency.fits(shape_of(most + 1), 32, grids=4))

    def test_programmatic_launches_halve_the_room(self):
        shape_of = functools.partial(co_residency.mnnvl_oneshot_shape, dim=8192)
        plain = co_residency.most_tokens(shape_of, 32, world=2, pdl=False)
        self.assertLess(co_residency.most_tokens(shape_of, 32, world=2, pdl=True), plain)


if __name__ == "__main__":
    unittest.main()
