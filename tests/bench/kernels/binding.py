"""liblamplight_kernels by ctypes: what the benchmark needs of lamplight/collective.h.

Library is thread-safe; a Workspace is used by one thread at a time.
"""

import ctypes
import threading
from ctypes import POINTER, Structure, byref, c_float, c_int, c_int32, c_size_t, c_uint32, c_uint64
from ctypes import c_void_p, sizeof

BF16 = 2
FP32 = 3
PROTOCOLS = {"epoch": 0, "mnnvl": 1}
ALGORITHMS = {"auto": 0, "one-shot": 1, "two-shot": 2}
ALL_REDUCE = 0
RESIDUAL_RMSNORM = 1

ALL_GATHER = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_void_p)


class Options(Structure):
    """lamplight_workspace_options"""

    _fields_ = [(name, c_uint32) for name in ("struct_size", "world", "rank")]
    _fields_ += [("device", c_int32), ("all_gather", ALL_GATHER), ("all_gather_context", c_void_p)]
    _fields_ += [(name, c_uint32) for name in ("max_tokens", "max_hidden", "dtype", "algorithm")]
    _fields_ += [("generation_bytes", c_uint64)]
    _fields_ += [(name, c_uint32) for name in (
        "protocol", "memory", "multicast", "exchange_timeout_ms", "timeout_ms", "on_timeout",
        "on_divergence", "multiprocessors")]


class Call(Structure):
    """lamplight_call"""

    _fields_ = [("struct_size", c_uint32), ("pattern", c_uint32), ("input", c_void_p),
                ("output", c_void_p)]
    _fields_ += [(name, c_uint32) for name in ("tokens", "hidden", "dtype", "algorithm")]
    _fields_ += [(name, c_void_p) for name in ("residual_in", "residual_out", "gamma")]
    _fields_ += [("epsilon", c_float), ("weight_bias", c_float), ("quantisation", c_uint32),
                 ("scale_layout", c_uint32)]
    _fields_ += [(name, c_void_p) for name in ("quant_output", "scale_output", "output_scale")]
    _fields_ += [(name, c_uint32) for name in ("pdl", "timeout_ms", "followers_wait", "reserved")]


class LamplightError(Exception):
    """The library's own text."""


class Library:
    """Invariant: every function that is called has its types declared."""

    def __init__(self, path: str):
        self._c = ctypes.CDLL(path)
        self._declare("lamplight_workspace_create", [POINTER(Options), POINTER(c_void_p)])
        self._declare("lamplight_workspace_destroy", [c_void_p])
        self._declare("lamplight_workspace_bytes", [POINTER(Options), POINTER(c_uint64)])
        self._declare("lamplight_all_reduce", [c_void_p, POINTER(Call), c_void_p])
        self._declare("lamplight_last_error", [ctypes.c_char_p, c_size_t], c_size_t)
        self._declare("lamplight_version", [], c_uint32)

    def _declare(self, name: str, arguments: list, result=c_int) -> None:
        function = getattr(self._c, name)
        function.argtypes, function.restype = arguments, result

    def call(self, name: str, *arguments) -> None:
        if getattr(self._c, name)(*arguments) == 0:
            return
        text = ctypes.create_string_buffer(1024)
        self._c.lamplight_last_error(text, len(text))
        raise LamplightError(f"{name}: {text.value.decode(errors='replace')}")

    def version(self) -> str:
        number = self._c.lamplight_version()
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def workspace_bytes(self, options: Options) -> int:
        count = c_uint64()
        self.call("lamplight_workspace_bytes", byref(options), byref(count))
        return count.value


def options_for(world: int, rank: int, device: int, protocol: str, room: int,
                multiprocessors: int = 0) -> Options:
    """`room`: bytes of a generation. `multiprocessors`: that calls run on, 0: all."""
    return Options(struct_size=sizeof(Options), world=world, rank=rank, device=device,
                   protocol=PROTOCOLS[protocol], generation_bytes=room,
                   multiprocessors=multiprocessors)


def generation_bytes(world: int, tokens: int, hidden: int, element_bytes: int = 2) -> int:
    """Room for either algorithm in either protocol; a row is pairs of lines, 256 bytes that carry
    240."""
    pairs = -(-hidden * element_bytes // 240)
    one_shot, two_shot = world * tokens, 2 * -(-tokens // world) * world
    return max(one_shot, two_shot) * pairs * 256


class Workspace:
    """`gather(bytes) -> [bytes of each rank]` must be collective. Invariant: `_callback` lives as
    long as the library may call it."""

    def __init__(self, library: Library, options: Options, gather):
        def all_gather(_, send, count, receive):
            try:
                ctypes.memmove(receive, b"".join(gather(ctypes.string_at(send, count))),
                               count * options.world)
                return 0
            except Exception as error:  # pylint: disable=broad-except
                # The library's text says only that it failed.
                print(f"all-gather: {error!r}", flush=True)
                return 1

        self._library = library
        self._callback = ALL_GATHER(all_gather)
        options.all_gather = self._callback
        self._handle = c_void_p()
        library.call("lamplight_workspace_create", byref(options), byref(self._handle))

    def all_reduce(self, call: Call, stream: int) -> None:
        self._library.call("lamplight_all_reduce", self._handle, byref(call), stream)

    def destroy(self) -> None:
        self._library.call("lamplight_workspace_destroy", self._handle)


class Meeting:
    """An all-gather between threads of this process, one for each rank."""

    def __init__(self, world: int, timeout_s: float = 60):
        self._barrier = threading.Barrier(world, timeout=timeout_s)
        self._board = [b""] * world

    def gather_for(self, rank: int):
        def gather(mine: bytes) -> list:
            self._board[rank] = mine
            self._barrier.wait()
            everything = list(self._board)
            self._barrier.wait()
            return everything

        return gather


def on_threads(world: int, body) -> list:
    """[body(rank)], each on a thread of its own; raises what one of them raised."""
    results, errors = [None] * world, []

    def run(rank: int) -> None:
        try:
            results[rank] = body(rank)
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(world)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def fused_call(tokens: int, hidden: int, algorithm: str, pdl: bool, followers_wait: bool,
               **tensors) -> Call:
    """All-reduce + residual + RMSNorm in bf16; `tensors` are addresses by the call's names."""
    return Call(struct_size=sizeof(Call), pattern=RESIDUAL_RMSNORM, tokens=tokens, hidden=hidden,
                dtype=BF16, algorithm=ALGORITHMS[algorithm], epsilon=1e-5, pdl=int(pdl),
                followers_wait=int(followers_wait), **tensors)
