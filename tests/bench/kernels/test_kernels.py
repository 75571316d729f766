#!/usr/bin/env python3
"""What of the benchmark needs no PyTorch and no GPU: figures, arguments, and the binding, which runs
against the library on the simulated device.

Usage: test_kernels.py BUILD_DIR, with the simulated device on LD_LIBRARY_PATH.
"""

import contextlib
import ctypes
import io
import json
import pathlib
import struct
import sys
import tempfile
import unittest

import binding
import figures
import kernels

BUILD = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path("build/dev")
LIBRARY = BUILD / "lib" / "liblamplight_kernels.so"
TO_DEVICE, FROM_DEVICE = 1, 2


def cell(ours=None, peers=None, tokens=1, hidden=4096) -> dict:
    us = {} if ours is None else {figures.OURS: ours}
    return {"hidden": hidden, "tokens": tokens, "us": {**us, **(peers or {})}, "missing": {}}


class Figures(unittest.TestCase):
    def test_floor_of_nothing_is_a_node_and_a_flag(self):
        self.assertAlmostEqual(figures.floor_us(2, 0, 4096), 0.85 + 0.88)

    def test_two_ranks_send_the_payload_once(self):
        self.assertEqual(figures.bytes_over_link(2, 1024, 8192), 1024 * 8192 * 2)
        self.assertAlmostEqual(figures.floor_us(2, 1024, 8192), 1.73 + 16777216 / 450e3, places=6)

    def test_what_was_measured_here_takes_the_place_of_a_constant(self):
        before = dict(figures.CONSTANTS)
        try:
            figures.take({"flag_us": 0.64, "programmatic_node_us": 0.5})
            self.assertAlmostEqual(figures.floor_us(2, 0, 4096), 0.85 + 0.64)
            self.assertIn("link_floor", figures.CONSTANTS["flag_us"][1])
            self.assertNotIn("programmatic_node_us", figures.CONSTANTS)
        finally:
            figures.CONSTANTS.update(before)

    def test_four_ranks_send_it_one_and_a_half_times(self):
        self.assertEqual(figures.bytes_over_link(4, 2, 8), 1.5 * 2 * 8 * 2)

    def test_the_slowest_rank_counts(self):
        self.assertEqual(figures.time_of(cell([3.0, 4.0]), figures.OURS), 4.0)

    def test_ratio_is_to_the_fastest_peer_and_never_to_ours(self):
        one = cell([4.0], {"a": [5.0, 8.0], "b": [9.0], "ours two-shot": [1.0]})
        self.assertEqual(figures.fastest_peer(one), ("a", 8.0))
        self.assertEqual(figures.ratio(one), 0.5)

    def test_no_ratio_without_a_peer_or_without_ours(self):
        self.assertIsNone(figures.ratio(cell([4.0])))
        self.assertIsNone(figures.ratio(cell(None, {"a": [5.0]})))
        self.assertIn("no ratio", figures.summary([cell([4.0])]))

    def test_marks(self):
        marks = [figures.mark(value) for value in (0.9, 0.91, 1.0, 1.01, None)]
        self.assertEqual(marks, ["0.90", "0.91 !", "1.00 !", "1.01 !!", "-"])

    def test_table_has_a_row_for_each_cell_and_a_dash_for_what_is_missing(self):
        cells = [cell([4.0], {"a": [5.0]}), cell([4.0], tokens=16)]
        lines = figures.table(cells, 2).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(len({len(line) for line in lines}), 1)
        self.assertIn("| 0.80", lines[2])
        self.assertEqual(lines[3].split("|")[5].strip(), "-")

    def test_summary_counts_what_misses(self):
        cells = [cell([x], {"a": [10.0]}) for x in (5.0, 9.5, 11.0)]
        self.assertIn("2 above 0.9 (!), 1 above 1.0 (!!)", figures.summary(cells))

    def test_each_reason_is_said_once(self):
        cells = [cell(), cell()]
        for one in cells:
            one["missing"]["FlashInfer"] = "not installed"
        self.assertEqual(figures.reasons(cells), ["left out: FlashInfer: not installed"])

    def test_document_is_json_with_the_constants_and_their_sources(self):
        content = json.loads(json.dumps(figures.document([cell([4.0], {"a": [5.0]})], 2, {}, {})))
        self.assertEqual(content["cells"][0]["ratio"], 0.8)
        self.assertEqual(content["constants"]["link_gb_per_s"]["value"], 450.0)
        self.assertTrue(all(one["source"] for one in content["constants"].values()))

    def test_a_rehearsal_has_no_ratio(self):
        method = {"rehearsal": kernels.NO_RESULT}
        content = figures.document([cell([4.0], {"a": [5.0]})], 2, method, {})
        self.assertIsNone(content["cells"][0]["ratio"])
        table = figures.table([cell([4.0], {"a": [5.0]})], 2, floor=False, ratios=False)
        self.assertNotIn("0.80", table)
        self.assertNotIn("ratio", table)

    def test_plot_is_written_or_says_why_not(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "plot.svg"
            why = figures.write_plot([cell([4.0], {"a": [5.0]})], str(path), "2 GPUs", 2)
            self.assertTrue(path.exists() or "matplotlib" in why)


class Arguments(unittest.TestCase):
    def parse(self, *arguments):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                return kernels.parse_arguments([str(BUILD), *arguments])
            except SystemExit as stopped:
                self.assertEqual(stopped.code, 2)
                return errors.getvalue()

    def test_defaults(self):
        parsed = self.parse()
        self.assertEqual((parsed.hidden, parsed.tokens), (kernels.HIDDEN, kernels.TOKENS))
        self.assertEqual((parsed.operations, parsed.rehearse), (64, False))
        self.assertGreaterEqual(parsed.replays, 20)

    def test_a_rehearsal_is_short_and_on_one_gpu(self):
        self.assertLess(self.parse("--rehearse").operations, 64)
        self.assertEqual(self.parse("--rehearse", "--tokens", "64").tokens, [64])
        self.assertIn("--gpus 2: a rehearsal", self.parse("--rehearse", "--gpus", "2"))
        self.assertIn("--stay-away: only", self.parse("--stay-away"))

    def test_lists(self):
        self.assertEqual(self.parse("--tokens", "1,16").tokens, [1, 16])

    def test_bad_values_are_named(self):
        self.assertIn("--replays 5", self.parse("--replays", "5"))
        self.assertIn("[12]", self.parse("--hidden", "12"))
        self.assertIn("1,x", self.parse("--tokens", "1,x"))
        self.assertIn("0,4", self.parse("--tokens", "0,4"))
        self.assertIn("3", self.parse("--gpus", "3"))

    def test_gpus_are_rounded_down(self):
        rounded = [kernels.largest_power_of_two(count) for count in (1, 2, 3, 4, 7, 8, 16)]
        self.assertEqual(rounded, [1, 2, 2, 4, 4, 8, 8])


def to_bf16(values) -> bytes:
    return b"".join(struct.pack("<f", value)[2:] for value in values)


class Binding(unittest.TestCase):
    """Small integers: exact in bf16, and so are their sums."""

    TOKENS, HIDDEN = 3, 64

    def setUp(self):
        self.library = binding.Library(str(LIBRARY))
        self.cuda = ctypes.CDLL("libcudart.so.13")
        count = ctypes.c_int()
        if self.cuda.cudaGetDeviceCount(ctypes.byref(count)) != 0 or count.value == 0:
            self.skipTest("no GPU, and the simulated device is not on LD_LIBRARY_PATH")

    def on_device(self, content: bytes) -> int:
        address = ctypes.c_void_p()
        self.assertEqual(self.cuda.cudaMalloc(ctypes.byref(address), ctypes.c_size_t(len(content))), 0)
        self.assertEqual(self.cuda.cudaMemcpy(address, content, ctypes.c_size_t(len(content)),
                                              TO_DEVICE), 0)
        return address.value

    def fetch(self, address: int, count: int) -> bytes:
        content = ctypes.create_string_buffer(count)
        self.assertEqual(self.cuda.cudaMemcpy(content, ctypes.c_void_p(address),
                                              ctypes.c_size_t(count), FROM_DEVICE), 0)
        return content.raw

    def reduce(self, protocol: str, algorithm: str) -> list:
        """residual_out of both ranks, whose inputs are (i mod 7) × (rank + 1), the residual 1."""
        elements = self.TOKENS * self.HIDDEN
        meeting = binding.Meeting(2)
        room = binding.generation_bytes(2, self.TOKENS, self.HIDDEN)

        def run(rank: int) -> bytes:
            workspace = binding.Workspace(
                self.library, binding.options_for(2, rank, 0, protocol, room), meeting.gather_for(rank))
            stream = ctypes.c_void_p()
            # A stream that waited for the other rank's copies would wait for itself.
            self.assertEqual(self.cuda.cudaStreamCreateWithFlags(ctypes.byref(stream), 1), 0)
            addend = to_bf16(float(i % 7 * (rank + 1)) for i in range(elements))
            ones, empty = to_bf16([1.0] * elements), bytes(2 * elements)
            outputs = self.on_device(empty), self.on_device(empty)
            call = binding.fused_call(
                self.TOKENS, self.HIDDEN, algorithm, True, True, input=self.on_device(addend),
                output=outputs[0], residual_in=self.on_device(ones), residual_out=outputs[1],
                gamma=self.on_device(ones[: 2 * self.HIDDEN]))
            workspace.all_reduce(call, stream.value)
            self.assertEqual(self.cuda.cudaStreamSynchronize(stream), 0)
            return self.fetch(outputs[1], 2 * elements)

        return binding.on_threads(2, run)

    def test_sums_of_two_ranks(self):
        expected = to_bf16(float(i % 7 * 3 + 1) for i in range(self.TOKENS * self.HIDDEN))
        for protocol in binding.PROTOCOLS:
            for algorithm in binding.ALGORITHMS:
                self.assertEqual(self.reduce(protocol, algorithm), [expected, expected])

    def test_the_librarys_own_text_is_the_error(self):
        options = binding.options_for(3, 0, 0, "epoch", 4096)
        with self.assertRaisesRegex(binding.LamplightError, "world is 3"):
            self.library.workspace_bytes(options)

    def test_a_gather_that_fails_fails_the_creation(self):
        def broken(_):
            raise OSError("no network")

        with contextlib.redirect_stdout(io.StringIO()) as said:
            with self.assertRaises(binding.LamplightError):
                binding.Workspace(self.library, binding.options_for(2, 0, 0, "epoch", 4096), broken)
        self.assertIn("no network", said.getvalue())

    def test_room_is_enough_for_both_algorithms(self):
        options = binding.options_for(2, 0, 0, "epoch", binding.generation_bytes(2, 1024, 8192))
        self.assertGreater(self.library.workspace_bytes(options), 2 * 2 * 1024 * 8192 * 2)


if __name__ == "__main__":
    unittest.main()
