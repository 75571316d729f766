#!/usr/bin/env python3
"""All ranks of FlashInfer's fused all-reduce + residual + RMSNorm, in one process on one GPU.

FlashInfer's own functions and modules, unmodified; only the workspaces are made here, of ordinary
PyTorch memory, as its constructors would fill them. One thread may drive all ranks: give each rank
a stream of its own and make every rank's call before anything waits, for the kernels of a call
wait for each other. Run as a program, it checks both classes on the GPU. One thread.

Exit status as a program: 0 all right, 1 wrong results, 2 bad arguments, 77 no GPU here.
"""

import argparse
import faulthandler
import functools
import sys

import co_residency

EPSILON = 1e-5
EXIT_WRONG = 1
EXIT_NO_GPU = 77
HANG_S = 60
# Of the kernels that are called here, FlashInfer 0.7.2.post1 for sm_90a: (world, algorithm).
TRTLLM_REGISTERS = {(2, "oneshot"): 56, (4, "oneshot"): 48, (2, "twoshot"): 56, (4, "twoshot"): 60}
MNNVL_REGISTERS = 32


def check_world(world: int, worlds: tuple) -> None:
    if world not in worlds:
        raise ValueError(f"world {world}: must be one of {worlds}")


def check_call(rank: int, world: int, shape: tuple, most: tuple) -> None:
    tokens, dim = shape
    if not 0 <= rank < world:
        raise ValueError(f"rank {rank}: ranks are 0 to {world - 1}")
    if tokens < 1 or tokens * dim > most[0] * most[1]:
        raise ValueError(f"{tokens} tokens of {dim}: the workspaces hold {most[0]} of {most[1]}")
    if dim % co_residency.ELEMENTS:
        raise ValueError(f"rows of {dim}: must be a multiple of {co_residency.ELEMENTS}")


class TrtllmRanks:
    """The non-MNNVL kernels (`trtllm_allreduce_fusion`). Invariant: the workspaces outlive every
    graph that was captured from a call."""

    ALGORITHMS = ("oneshot", "twoshot")

    def __init__(self, world: int, max_tokens: int, max_dim: int):
        import torch
        import trtllm_memory

        check_world(world, (2, 4))
        self.world, self.most = world, (max_tokens, max_dim)
        generation = trtllm_memory.generation_bytes(world, max_tokens, max_dim)
        every = [trtllm_memory.shared_memory(world, generation) for _ in range(world)]
        memory = [list(kind) for kind in zip(*every)]
        self.workspaces = [trtllm_memory.TrtllmWorkspace(rank, memory, generation)
                           for rank in range(world)]
        torch.cuda.synchronize()

    def call(self, rank: int, tensors, algorithm: str = "oneshot", pdl: bool = True) -> None:
        """On the current stream. `tensors` has input, residual, gamma, residual_out and output."""
        tokens, dim = tensors.input.shape
        check_call(rank, self.world, (tokens, dim), self.most)
        if algorithm not in self.ALGORITHMS:
            raise ValueError(f"algorithm {algorithm}: must be one of {self.ALGORITHMS}")
        if algorithm == "twoshot" and tokens <= self.world:
            raise ValueError(f"{tokens} tokens: FlashInfer's two-shot needs more than the "
                             f"{self.world} ranks")
        self.workspaces[rank].all_reduce(tensors, algorithm == "oneshot", pdl, EPSILON)

    @staticmethod
    def most_tokens(world: int, dim: int, algorithm: str = "oneshot", pdl: bool = True) -> int:
        """At which the grids of all ranks fit on an H100 together. At most co_residency.MOST."""
        registers = TRTLLM_REGISTERS[world, algorithm]
        shape_of = functools.partial(co_residency.trtllm_shape, dim=dim, world=world,
                                     algorithm=algorithm, registers=registers)
        return co_residency.most_tokens(shape_of, registers, world, pdl)


class MnnvlRanks:
    """The MNNVL one-shot, for two ranks of a release that keeps its own addend in registers
    (0.6.12 and later; 0.6.4 reads it back from the multicast copy).

    There is no multicast on one GPU: each rank is given its only peer's buffer as the multicast
    address, so that its one store goes where the other rank waits for it. Four ranks and the
    two-shot, whose sums every rank reads back from the multicast copy, cannot be had in this way.
    Invariant: as for TrtllmRanks.
    """

    ALGORITHMS = ("oneshot",)

    def __init__(self, world: int, max_tokens: int, max_dim: int):
        import torch
        from flashinfer.comm import trtllm_mnnvl_ar
        from local_workspace import PointerWorkspace, empty_words, generation_bytes

        check_world(world, (2,))
        self._ar = trtllm_mnnvl_ar
        self.world, self.most = world, (max_tokens, max_dim)
        generation = generation_bytes(world, max_tokens, max_dim)
        words = [empty_words(generation) for _ in range(world)]
        pointers = [each.data_ptr() for each in words]
        self.workspaces = [
            PointerWorkspace(rank, words[rank], pointers, generation, multicast=pointers[1 - rank])
            for rank in range(world)]
        torch.cuda.synchronize()

    def call(self, rank: int, tensors, algorithm: str = "oneshot", pdl: bool = True) -> None:
        """On the current stream. `tensors` has input, residual, gamma, residual_out and output."""
        check_call(rank, self.world, tuple(tensors.input.shape), self.most)
        if algorithm not in self.ALGORITHMS:
            raise ValueError(f"algorithm {algorithm}: without multicast only {self.ALGORITHMS}")
        self._ar.trtllm_mnnvl_fused_allreduce_add_rmsnorm(
            input=tensors.input, residual_in=tensors.residual, gamma=tensors.gamma,
            workspace=self.workspaces[rank], epsilon=EPSILON, output=tensors.output,
            residual_out=tensors.residual_out, launch_with_pdl=pdl,
            strategy=self._ar.MNNVLAllreduceFusionStrategy.ONESHOT)

    @staticmethod
    def most_tokens(world: int, dim: int, algorithm: str = "oneshot", pdl: bool = True) -> int:
        """At which the grids of all ranks fit on an H100 together. At most co_residency.MOST."""
        shape_of = functools.partial(co_residency.mnnvl_oneshot_shape, dim=dim)
        return co_residency.most_tokens(shape_of, MNNVL_REGISTERS, world, pdl)


CLASSES = {"trtllm": TrtllmRanks, "mnnvl": MnnvlRanks}


class Tensors:
    """Of one rank and size; the same residual and gamma on every rank."""

    def __init__(self, rank: int, tokens: int, dim: int):
        import torch

        def random(seed: int, *shape):
            generator = torch.Generator(device="cuda").manual_seed(seed)
            return torch.randn(shape, generator=generator, device="cuda").bfloat16()

        self.input, self.residual = random(1000 + rank, tokens, dim), random(1, tokens, dim)
        self.gamma = random(2, dim)
        self.residual_out = torch.full_like(self.input, float("nan"))
        self.output = torch.full_like(self.input, float("nan"))


def mismatch(every: list) -> str:
    """The ranks' residuals must have the same bits, and the norms be right within bf16."""
    import torch

    total = sum(tensors.input.float() for tensors in every).bfloat16().float()
    prenorm = total + every[0].residual.float()
    scale = (prenorm.square().mean(1, keepdim=True) + EPSILON).rsqrt()
    expected = prenorm * scale * every[0].gamma.float()
    for rank, tensors in enumerate(every):
        if not torch.equal(tensors.residual_out, every[0].residual_out):
            return f"rank {rank}: its residual differs from rank 0's"
        worst = ((tensors.output.float() - expected).abs() - 0.02 * expected.abs()).max().item()
        if not worst <= 0.05:
            return f"rank {rank}: its norm is off by {worst:.3f}"
    return ""


def clear(every: list) -> None:
    for tensors in every:
        tensors.output.fill_(float("nan"))
        tensors.residual_out.fill_(float("nan"))


def run_size(ranks, streams: list, algorithm: str, pdl: bool, tokens: int, dim: int) -> str:
    """Eager calls, then a graph for each rank, replayed. "" where all is right."""
    import torch

    every = [Tensors(rank, tokens, dim) for rank in range(ranks.world)]
    torch.cuda.synchronize()
    for rank, stream in enumerate(streams):
        with torch.cuda.stream(stream):
            ranks.call(rank, every[rank], algorithm, pdl)
    torch.cuda.synchronize()
    why = mismatch(every)
    if why:
        return f"eager: {why}"
    graphs = []
    for rank, stream in enumerate(streams):
        graphs.append(torch.cuda.CUDAGraph())
        with torch.cuda.graph(graphs[-1], stream=stream):
            for _ in range(8):
                ranks.call(rank, every[rank], algorithm, pdl)
    clear(every)
    torch.cuda.synchronize()
    for _ in range(5):
        for graph, stream in zip(graphs, streams):
            with torch.cuda.stream(stream):
                graph.replay()
    torch.cuda.synchronize()
    why = mismatch(every)
    return f"replayed: {why}" if why else ""


def check_kind(kind: str, world: int, dims: list, tokens: list) -> int:
    """Number of sizes that are not right."""
    import torch

    ranks = CLASSES[kind](world, max(tokens), max(dims))
    streams = [torch.cuda.Stream() for _ in range(world)]
    wrong = 0
    for dim in dims:
        for algorithm in ranks.ALGORITHMS:
            most = ranks.most_tokens(world, dim, algorithm)
            print(f"{kind} {algorithm}, {world} ranks, rows of {dim}: up to {most} tokens fit")
            for count in tokens:
                if count > most or (algorithm == "twoshot" and count <= world):
                    continue
                for pdl in (False, True):
                    faulthandler.dump_traceback_later(HANG_S, exit=True)
                    why = run_size(ranks, streams, algorithm, pdl, count, dim)
                    wrong += bool(why)
                    print(f"  {count} tokens{', PDL' if pdl else ''}: {why or 'right'}", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dim", type=int, nargs="+", default=[2880, 4096, 8192])
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 4, 8, 16, 64])
    parser.add_argument("kind", nargs="*", help=f"only these of {sorted(CLASSES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.kind) - set(CLASSES)
    if unknown:
        parser.error(f"{sorted(unknown)}: kinds are {sorted(CLASSES)}")
    import torch

    if not torch.cuda.is_available():
        print("no GPU here: this program needs one")
        return EXIT_NO_GPU
    wrong = 0
    for kind in arguments.kind or CLASSES:
        for world in (2, 4) if kind == "trtllm" else (2,):
            wrong += check_kind(kind, world, arguments.dim, arguments.tokens)
    print("all right" if not wrong else f"{wrong} sizes are wrong")
    return EXIT_WRONG if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
