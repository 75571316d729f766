"""A stand-in for NVLink multicast: a kernel that copies a rank's outbox to all ranks' buffers.

The all-reduce is given the outbox as its multicast address and cannot tell the difference: what it
stores there arrives in every buffer, its own included. The kernel is multicast.cu, compiled to PTX
by prepare.sh; the driver is called through ctypes. For one thread.
"""

import ctypes
import pathlib

BLOCKS, THREADS = 8, 256
PACKET = 16
WORLD = 2


class DriverError(RuntimeError):
    """A call of the CUDA driver failed."""


def row_layout(algorithm: str, rank: int, tokens: int, dim: int, generation_bytes: int) -> tuple:
    """(first, stride, rows, packets of a row) of what `rank` stores to the multicast address:
    one-shot its shard of every token, two-shot the sums of the tokens that it owns, in stage 1."""
    packets = dim * 2 // PACKET
    if algorithm == "oneshot":
        return rank * packets, WORLD * packets, tokens, packets
    stage = generation_bytes // 2 // PACKET
    owned = len(range(rank, tokens, WORLD))
    return stage + rank * packets, WORLD * packets, owned, packets


class Driver:
    """Loads one PTX file into the current context. Invariant: the module is never unloaded, for
    captured graphs refer to its kernel."""

    def __init__(self, ptx: pathlib.Path):
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._module, self._kernel = ctypes.c_void_p(), ctypes.c_void_p()
        image = ptx.read_bytes() + b"\0"
        self._check("cuModuleLoadData", self._cuda.cuModuleLoadData(
            ctypes.byref(self._module), image))
        self._check("cuModuleGetFunction", self._cuda.cuModuleGetFunction(
            ctypes.byref(self._kernel), self._module, b"forward"))

    @staticmethod
    def _check(what: str, status: int) -> None:
        if status:
            raise DriverError(f"{what}: error {status}")

    def launch(self, stream: int, arguments: list) -> None:
        """`arguments` are ctypes values in the kernel's order."""
        pointers = (ctypes.c_void_p * len(arguments))(
            *(ctypes.cast(ctypes.pointer(value), ctypes.c_void_p) for value in arguments))
        self._check("cuLaunchKernel", self._cuda.cuLaunchKernel(
            self._kernel, BLOCKS, 1, 1, THREADS, 1, 1, 0, ctypes.c_void_p(stream), pointers, None))


class Multicast:
    """Of one rank's workspace. Invariant: `open` and `close` come in pairs around every all-reduce
    of the workspace, so that its calls are counted as its flags count them."""

    def __init__(self, driver: Driver, rank: int, generation_bytes: int, pointers):
        import torch
        from local_workspace import empty_words

        self._torch, self._driver = torch, driver
        self._rank, self._generation_bytes, self._pointers = rank, generation_bytes, pointers
        self.outbox = empty_words(generation_bytes)
        self._calls = torch.zeros(2, dtype=torch.int32, device="cuda")
        self._mark = torch.zeros(1, dtype=torch.int32, device="cuda")
        self._stream = torch.cuda.Stream()
        # Without rows: only loads the kernel, which it could not once an all-reduce spins.
        uncounted = torch.zeros_like(self._calls)
        self._launch(uncounted, 0, 0, 0, 1)
        torch.cuda.synchronize()
        del uncounted

    def _launch(self, calls, *layout) -> None:
        numbers = (self._generation_bytes // PACKET, *layout)
        self._driver.launch(self._stream.cuda_stream, [
            ctypes.c_void_p(self.outbox.data_ptr()), ctypes.c_void_p(self._pointers.data_ptr()),
            ctypes.c_uint(WORLD), ctypes.c_void_p(calls.data_ptr()),
            *(ctypes.c_uint(number) for number in numbers)])

    def open(self) -> None:
        """Ahead of the all-reduce on the current stream; capturable."""
        # A node between the last join and the fork: the all-reduce behind it has one predecessor.
        self._mark.add_(1)
        self._stream.wait_stream(self._torch.cuda.current_stream())

    def close(self, algorithm: str, tokens: int, dim: int) -> None:
        """Behind it. The kernel runs beside the all-reduce; it is launched second, because a kernel
        of FlashInfer's that is launched for the first time could not be loaded beside it."""
        self._launch(self._calls, *row_layout(algorithm, self._rank, tokens, dim,
                                              self._generation_bytes))
        self._torch.cuda.current_stream().wait_stream(self._stream)
