"""One rank of two: layers of FlashInfer's fused all-reduce, captured and replayed, and their check.

The peer is another process (rank_group.py). MNNVL workspaces get a stand-in for multicast
(multicast.py), "trtllm" ones need none. Needs PyTorch and FlashInfer; for one thread.
"""

import dataclasses
import zlib

import torch

import local_workspace
import multicast
import payload
import trtllm_memory

EPSILON = 1e-5
NORM_ERROR = 0.02  # absolute and relative, of a norm in bf16


@dataclasses.dataclass
class Tensors:
    """Of one layer."""

    input: torch.Tensor
    residual: torch.Tensor
    gamma: torch.Tensor
    residual_out: torch.Tensor
    output: torch.Tensor


class MnnvlCalls:
    """Both MNNVL algorithms, on one workspace."""

    def __init__(self, arguments, group):
        from flashinfer.comm import trtllm_mnnvl_ar

        self._ar = trtllm_mnnvl_ar
        size = local_workspace.generation_bytes(payload.WORLD, arguments.tokens, arguments.dim)
        (words,) = group.tensors([local_workspace.empty_words(size)])
        pointers = [tensor.data_ptr() for tensor in words]
        self.workspace = local_workspace.PointerWorkspace(
            group.rank, words[group.rank], pointers, size, multicast=0)
        self._multicast = multicast.Multicast(
            multicast.Driver(arguments.multicast), group.rank, size, self.workspace.pointers)
        self.workspace.mc_ptr = self._multicast.outbox.data_ptr()

    def all_reduce(self, algorithm: str, tensors: Tensors, pdl: bool) -> None:
        self._multicast.open()
        self._ar.trtllm_mnnvl_fused_allreduce_add_rmsnorm(
            input=tensors.input, residual_in=tensors.residual, gamma=tensors.gamma,
            workspace=self.workspace, epsilon=EPSILON, output=tensors.output,
            residual_out=tensors.residual_out, launch_with_pdl=pdl,
            strategy=self._ar.MNNVLAllreduceFusionStrategy[algorithm.upper()])
        self._multicast.close(algorithm, *tensors.input.shape)


class TrtllmCalls:
    """The non-MNNVL one-shot."""

    def __init__(self, arguments, group):
        size = trtllm_memory.generation_bytes(payload.WORLD, arguments.tokens, arguments.dim)
        memory = group.tensors(trtllm_memory.shared_memory(payload.WORLD, size))
        self._workspace = trtllm_memory.TrtllmWorkspace(group.rank, memory, size)

    def all_reduce(self, algorithm: str, tensors: Tensors, pdl: bool) -> None:
        del algorithm
        self._workspace.all_reduce(tensors, one_shot=True, pdl=pdl, epsilon=EPSILON)


class RankModel:
    """Layers of one all-reduce each. Invariant: all tensors are allocated before the first
    capture, so captured graphs read and write the same addresses in every replay."""

    def __init__(self, arguments, group):
        self._arguments, self._rank = arguments, group.rank
        shape = (payload.WORLD, arguments.layers, arguments.tokens, arguments.dim)
        zeros = lambda size: torch.zeros(size, dtype=torch.bfloat16, device="cuda")
        self._inputs = zeros(shape)  # of both ranks: the reference needs them
        self.residual_out, self.output = zeros(shape[1:]), zeros(shape[1:])
        self._residual = torch.ones(shape[2:], dtype=torch.bfloat16, device="cuda")
        self._gamma = torch.linspace(0.5, 1.5, arguments.dim, device="cuda").bfloat16()
        mnnvl = any(not name.startswith("trtllm") for name in arguments.algorithm)
        trtllm = any(name.startswith("trtllm") for name in arguments.algorithm)
        self._mnnvl = MnnvlCalls(arguments, group) if mnnvl else None
        self._trtllm = TrtllmCalls(arguments, group) if trtllm else None

    def load(self, rows_by_layer: list) -> None:
        """`rows_by_layer[layer][rank]` are the rows that the rank sends. Outputs are spoilt."""
        for layer, ranks in enumerate(rows_by_layer):
            for rank, rows in enumerate(ranks):
                host = torch.frombuffer(payload.bytes_of(rows), dtype=torch.bfloat16)
                tensor = self._inputs[rank, layer]
                tensor.copy_(host.view(tensor.shape))
        self.spoil()

    def spoil(self) -> None:
        self.residual_out.fill_(float("nan"))
        self.output.fill_(float("nan"))
        torch.cuda.synchronize()

    def forward(self, algorithm: str, tokens: int | None = None) -> None:
        """On the current stream; capturable. `tokens`: of the first ones only."""
        calls = self._trtllm if algorithm.startswith("trtllm") else self._mnnvl
        residual = self._residual
        for layer in range(self._arguments.layers):
            tensors = Tensors(self._inputs[self._rank, layer, :tokens], residual[:tokens],
                              self._gamma, self.residual_out[layer, :tokens],
                              self.output[layer, :tokens])
            calls.all_reduce(algorithm, tensors, not self._arguments.no_pdl)
            residual = self.residual_out[layer]

    def first_mismatch(self) -> str:
        """Compares with a reference: the residual bit for bit, the norm within bf16 rounding."""
        residual = self._residual
        for layer in range(self._arguments.layers):
            total = (self._inputs[0, layer].float() + self._inputs[1, layer].float()).bfloat16()
            residual = total + residual
            wrong = (residual != self.residual_out[layer]).nonzero()
            if len(wrong):
                where = wrong[0].tolist()
                return f"layer {layer}: residual differs at {where}, {len(wrong)} in all"
            scale = (residual.float().square().mean(1, keepdim=True) + EPSILON).rsqrt()
            expected = residual.float() * scale * self._gamma.float()
            error = (self.output[layer].float() - expected).abs() - NORM_ERROR * expected.abs()
            if not error.max().item() <= NORM_ERROR:
                return f"layer {layer}: norm is off by {error.max().item():.4f}"
        return ""

    def results(self) -> tuple:
        """(residuals, norms) as bytes."""
        return host_bytes(self.residual_out), host_bytes(self.output)


def host_bytes(tensor) -> bytes:
    host = bytearray(tensor.numel() * tensor.element_size())
    torch.frombuffer(host, dtype=torch.int16).copy_(tensor.view(torch.int16).flatten())
    return bytes(host)


def checksum(results: tuple) -> str:
    total = 0
    for content in results:
        total = zlib.crc32(content, total)
    return f"{total:08x}"


def units_apart(one: bytes, other: bytes) -> tuple:
    """(how many bf16 values differ, by how many units in the last place at most)"""
    def ordered(content: bytes) -> torch.Tensor:
        bits = torch.frombuffer(bytearray(content), dtype=torch.int16).int() & 0xFFFF
        return torch.where(bits < 0x8000, bits, 0x8000 - bits)

    apart = (ordered(one) - ordered(other)).abs()
    return int((apart > 0).sum()), int(apart.max())
