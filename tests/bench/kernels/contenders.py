"""The implementations that are compared: each made for one size, ready to be captured.

Needs PyTorch and GPUs; one object of each class in each process, used by one thread. All do bf16
all-reduce + residual + RMSNorm. No one uses NVLink multicast.
"""

import dataclasses

import torch
import torch.distributed as dist
import torch.nn.functional as F

import binding

EPSILON = 1e-5
OURS = {"ours auto": ("epoch", "auto"), "ours one-shot": ("epoch", "one-shot"),
        "ours two-shot": ("epoch", "two-shot"), "ours mnnvl auto": ("mnnvl", "auto"),
        "ours mnnvl one-shot": ("mnnvl", "one-shot"), "ours mnnvl two-shot": ("mnnvl", "two-shot")}
FLASHINFER = {"FlashInfer one-shot": True, "FlashInfer's choice": None}
SYMMETRIC = ("symm one-shot + norm", "symm two-shot + norm")
NCCL = "NCCL + add + norm"
NAMES = (*OURS, *FLASHINFER, NCCL, *SYMMETRIC)


class Missing(Exception):
    """Why a contender cannot be measured."""


@dataclasses.dataclass
class Tensors:
    """Of one rank and size; the same residual and gamma on every rank."""

    input: torch.Tensor
    residual: torch.Tensor
    gamma: torch.Tensor
    residual_out: torch.Tensor
    output: torch.Tensor


def tensors_for(rank: int, tokens: int, hidden: int) -> Tensors:
    def random(seed: int, *shape) -> torch.Tensor:
        generator = torch.Generator(device="cuda").manual_seed(seed)
        return torch.randn(shape, generator=generator, device="cuda").bfloat16()

    empty = lambda: torch.full((tokens, hidden), float("nan"), device="cuda", dtype=torch.bfloat16)
    return Tensors(random(1000 + rank, tokens, hidden), random(1, tokens, hidden),
                   random(2, hidden), empty(), empty())


def mismatch(tensors: Tensors, world: int) -> str:
    """Compares with fp32 arithmetic on all ranks' inputs; "" where the outputs are right."""
    tokens, hidden = tensors.input.shape
    total = sum(tensors_for(rank, tokens, hidden).input.float() for rank in range(world))
    prenorm = total.bfloat16().float() + tensors.residual.float()
    expected = F.rms_norm(prenorm, (hidden,), tensors.gamma.float(), EPSILON)
    error = (tensors.output.float() - expected).abs() - 0.02 * expected.abs()
    worst = error.max().item()
    return "" if worst <= 0.05 else f"wrong results: the norm is off by {worst:.3f}"


def our_call(tensors: Tensors, algorithm: str, pdl: bool = True) -> binding.Call:
    tokens, hidden = tensors.input.shape
    return binding.fused_call(
        tokens, hidden, algorithm, pdl, input=tensors.input.data_ptr(),
        output=tensors.output.data_ptr(), residual_in=tensors.residual.data_ptr(),
        residual_out=tensors.residual_out.data_ptr(), gamma=tensors.gamma.data_ptr())


class Contenders:
    """Invariant: workspaces are created once, by all ranks in the same order, for the largest size."""

    def __init__(self, library: binding.Library, rank: int, world: int, most: tuple):
        self.rank, self.world, self.most = rank, world, most
        self.cpu = dist.new_group(backend="gloo")
        self.group_name = dist.group.WORLD.group_name
        self._library = library
        self._ours, self._flashinfer, self._symmetric = {}, None, None

    def gather(self, mine: bytes) -> list:
        send = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        received = [torch.empty_like(send) for _ in range(self.world)]
        dist.all_gather(received, send, group=self.cpu)
        return [tensor.numpy().tobytes() for tensor in received]

    def make(self, name: str, tokens: int, hidden: int):
        """(step, tensors): one call of step is one operation; tensors are None where the outputs are
        not to be checked. Raises Missing."""
        tensors = tensors_for(self.rank, tokens, hidden)
        if name in OURS:
            return self._our_step(*OURS[name], tensors), tensors
        if name in FLASHINFER:
            return self._flashinfer_step(FLASHINFER[name], tensors), tensors
        if name == NCCL:
            return self._nccl_step(tensors), None
        return self._symmetric_step(name, tensors), None

    def _our_step(self, protocol: str, algorithm: str, tensors: Tensors):
        if protocol not in self._ours:
            room = binding.generation_bytes(self.world, *self.most)
            options = binding.options_for(self.world, self.rank, self.rank, protocol, room)
            self._ours[protocol] = binding.Workspace(self._library, options, self.gather)
        workspace, call = self._ours[protocol], our_call(tensors, algorithm)
        return lambda: workspace.all_reduce(call, torch.cuda.current_stream().cuda_stream)

    def _flashinfer_step(self, one_shot, tensors: Tensors):
        try:
            from flashinfer import comm
        except ImportError as error:
            raise Missing(f"flashinfer is not installed ({error})") from None
        if self._flashinfer is None:
            self._flashinfer = comm.create_allreduce_fusion_workspace(
                backend="trtllm", world_size=self.world, rank=self.rank,
                max_token_num=self.most[0], hidden_dim=self.most[1], dtype=torch.bfloat16)
        workspace = self._flashinfer
        return lambda: comm.allreduce_fusion(
            input=tensors.input, workspace=workspace,
            pattern=comm.AllReduceFusionPattern.kARResidualRMSNorm, launch_with_pdl=True,
            residual_in=tensors.residual, residual_out=tensors.residual_out,
            norm_out=tensors.output, rms_gamma=tensors.gamma, rms_eps=EPSILON,
            use_oneshot=one_shot)

    @staticmethod
    def _norm(total, tensors: Tensors):
        return F.rms_norm(total + tensors.residual, (total.shape[1],), tensors.gamma, EPSILON)

    def _nccl_step(self, tensors: Tensors):
        total = torch.zeros_like(tensors.input)  # reduced in place, again and again: stays zero

        def step():
            dist.all_reduce(total)
            self._norm(total, tensors)

        return step

    def _symmetric_step(self, name: str, tensors: Tensors):
        if self._symmetric is None:
            from torch.distributed import _symmetric_memory as symmetric

            symmetric.enable_symm_mem_for_group(self.group_name)
            self._symmetric = symmetric.empty(self.most[0] * self.most[1], device="cuda",
                                              dtype=torch.bfloat16)
            symmetric.rendezvous(self._symmetric, self.group_name)
        shared = self._symmetric[: tensors.input.numel()].view(tensors.input.shape)
        shared.zero_()
        ops, group = torch.ops.symm_mem, self.group_name
        if name == SYMMETRIC[0]:
            return lambda: self._norm(ops.one_shot_all_reduce(shared, "sum", group), tensors)
        return lambda: self._norm(ops.two_shot_all_reduce_(shared, "sum", group), tensors)

    def destroy(self) -> None:
        for workspace in self._ours.values():
            workspace.destroy()
