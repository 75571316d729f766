"""The implementations that are compared: each made for one size, ready to be captured.

Needs PyTorch and GPUs; one object of each class in each process, used by one thread. All do bf16
all-reduce + residual + RMSNorm. No one uses NVLink multicast.
"""

import dataclasses
import pathlib
import sys
import typing

import torch
import torch.distributed as dist
import torch.nn.functional as F

import binding
import supervisor

EPSILON = 1e-5
OURS = {"ours auto": ("epoch", "auto"), "ours one-shot": ("epoch", "one-shot"),
        "ours two-shot": ("epoch", "two-shot"), "ours mnnvl auto": ("mnnvl", "auto"),
        "ours mnnvl one-shot": ("mnnvl", "one-shot"), "ours mnnvl two-shot": ("mnnvl", "two-shot")}
FLASHINFER = {"FlashInfer one-shot": True, "FlashInfer's choice": None}
MNNVL = "FlashInfer MNNVL one-shot"
SYMMETRIC = ("symm one-shot + norm", "symm two-shot + norm")
NCCL = "NCCL + add + norm"
NAMES = (*OURS, *FLASHINFER, MNNVL, NCCL, *SYMMETRIC)
FLASHINFER_TESTS = pathlib.Path(__file__).parents[2] / "gpu" / "flashinfer"


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


class Step(typing.NamedTuple):
    """`step()` is one operation. The checks come behind some of them, one after the other, the
    ranks together before each: they return what is wrong, or ""."""

    step: typing.Callable
    checks: tuple


def mismatch(tensors: Tensors, ranks) -> str:
    """Compares with fp32 arithmetic on these ranks' inputs; "" where the outputs are right."""
    tokens, hidden = tensors.input.shape
    total = sum(tensors_for(rank, tokens, hidden).input.float() for rank in ranks)
    prenorm = total.bfloat16().float() + tensors.residual.float()
    expected = F.rms_norm(prenorm, (hidden,), tensors.gamma.float(), EPSILON)
    error = (tensors.output.float() - expected).abs() - 0.02 * expected.abs()
    worst = error.max().item()
    return "" if worst <= 0.05 else f"wrong results: the norm is off by {worst:.3f}"


def our_call(tensors: Tensors, algorithm: str, pdl: bool = True,
             followers_wait: bool = True) -> binding.Call:
    """Behind a call here there is another of ours, or nothing: the promise holds."""
    tokens, hidden = tensors.input.shape
    return binding.fused_call(
        tokens, hidden, algorithm, pdl, followers_wait, input=tensors.input.data_ptr(),
        output=tensors.output.data_ptr(), residual_in=tensors.residual.data_ptr(),
        residual_out=tensors.residual_out.data_ptr(), gamma=tensors.gamma.data_ptr())


class Contenders:
    """Invariant: workspaces are created once, by all ranks in the same order, for the largest size.
    `shared`: all ranks are on one GPU, where NCCL has only groups of one rank."""

    def __init__(self, library: binding.Library, rank: int, world: int, most: tuple, shared: bool):
        self.rank, self.world, self.most, self._shared = rank, world, most, shared
        self._device = torch.cuda.current_device()
        self._group_name = dist.group.WORLD.group_name
        self._library = library
        self._made = {}

    def gather(self, mine: bytes) -> list:
        send = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        received = [torch.empty_like(send) for _ in range(self.world)]
        dist.all_gather(received, send)
        return [tensor.numpy().tobytes() for tensor in received]

    def gather_objects(self, mine) -> list:
        everybody = [None] * self.world
        dist.all_gather_object(everybody, mine)
        return everybody

    def agree(self, mine: str) -> str:
        """A reason that any rank has; "" where none has one."""
        return next((reason for reason in self.gather_objects(mine) if reason), "")

    def make(self, name: str, tokens: int, hidden: int) -> Step:
        """Raises Missing."""
        tensors = tensors_for(self.rank, tokens, hidden)
        if name == NCCL:
            return self._nccl_step(tensors)
        if name in SYMMETRIC:
            return self._symmetric_step(name, tensors)
        if name == supervisor.STAYS_AWAY:
            step = self._our_step("epoch", "one-shot", tensors)
            step = step if self.rank < self.world - 1 else lambda: None
        elif name in OURS:
            step = self._our_step(*OURS[name], tensors)
        elif name == MNNVL:
            step = self._mnnvl_step(tensors)
        else:
            step = self._flashinfer_step(FLASHINFER[name], tensors)
        return Step(step, (lambda: mismatch(tensors, range(self.world)),))

    def _once(self, key: str, create):
        """What `create` returns, the first time."""
        if key not in self._made:
            self._made[key] = create()
        return self._made[key]

    def _our_step(self, protocol: str, algorithm: str, tensors: Tensors):
        room = binding.generation_bytes(self.world, *self.most)
        options = binding.options_for(self.world, self.rank, self._device, protocol, room)
        workspace = self._once(protocol, lambda: binding.Workspace(self._library, options,
                                                                   self.gather))
        call = our_call(tensors, algorithm)
        return lambda: workspace.all_reduce(call, torch.cuda.current_stream().cuda_stream)

    def _flashinfer_step(self, one_shot, tensors: Tensors):
        try:
            from flashinfer import comm
        except ImportError as error:
            raise Missing(f"flashinfer is not installed ({error})") from None
        workspace = self._once("trtllm", lambda: comm.create_allreduce_fusion_workspace(
            backend="trtllm", world_size=self.world, rank=self.rank, max_token_num=self.most[0],
            hidden_dim=self.most[1], dtype=torch.bfloat16))
        return lambda: comm.allreduce_fusion(
            input=tensors.input, workspace=workspace,
            pattern=comm.AllReduceFusionPattern.kARResidualRMSNorm, launch_with_pdl=True,
            residual_in=tensors.residual, residual_out=tensors.residual_out,
            norm_out=tensors.output, rms_gamma=tensors.gamma, rms_eps=EPSILON,
            use_oneshot=one_shot)

    def _mnnvl_step(self, tensors: Tensors):
        """Two ranks: each is given its only peer's address as the multicast one."""
        if self.world != 2:
            raise Missing("with more than two ranks it needs NVLink multicast")
        try:
            from flashinfer.comm import trtllm_mnnvl_ar as mnnvl
        except ImportError as error:
            raise Missing(f"flashinfer is not installed ({error})") from None
        workspace = self._once("mnnvl workspace", self._mnnvl_workspace)
        return lambda: mnnvl.trtllm_mnnvl_fused_allreduce_add_rmsnorm(
            input=tensors.input, residual_in=tensors.residual, gamma=tensors.gamma,
            workspace=workspace, epsilon=EPSILON, output=tensors.output,
            residual_out=tensors.residual_out, launch_with_pdl=True,
            strategy=mnnvl.MNNVLAllreduceFusionStrategy.ONESHOT)

    def _mnnvl_workspace(self):
        sys.path.append(str(FLASHINFER_TESTS))
        import local_workspace as local

        generation = local.generation_bytes(self.world, *self.most)
        words, pointers = self._symmetric_memory(local.GENERATIONS * generation // 4, torch.int32)
        words.fill_(local.SENTINEL)
        torch.cuda.synchronize()
        return local.PointerWorkspace(self.rank, words, pointers, generation,
                                      multicast=pointers[1 - self.rank])

    def _symmetric_memory(self, elements: int, dtype: torch.dtype) -> tuple:
        """(the rank's tensor, the addresses of all ranks' ones)"""
        from torch.distributed import _symmetric_memory as symmetric

        tensor = symmetric.empty(elements, device=torch.device("cuda", self._device), dtype=dtype)
        shared = symmetric.rendezvous(tensor, self._group_name)
        return tensor, [shared.get_buffer(rank, (elements,), dtype).data_ptr()
                        for rank in range(self.world)]

    @staticmethod
    def _norm(total, tensors: Tensors):
        return F.rms_norm(total + tensors.residual, (total.shape[1],), tensors.gamma, EPSILON)

    def _nccl_group(self):
        if not self._shared:
            return dist.new_group(backend="nccl")
        return [dist.new_group([rank], backend="nccl") for rank in range(self.world)][self.rank]

    def _nccl_step(self, tensors: Tensors) -> Step:
        group = self._once("nccl", self._nccl_group)
        total = torch.zeros_like(tensors.input)  # reduced in place, again and again: stays zero

        def step():
            dist.all_reduce(total, group=group)
            return self._norm(total, tensors)

        def check() -> str:
            total.copy_(tensors.input)
            tensors.output.copy_(step())
            total.zero_()
            return mismatch(tensors, [self.rank] if self._shared else range(self.world))

        return Step(step, (check,))

    def _symmetric_step(self, name: str, tensors: Tensors) -> Step:
        whole, _ = self._once("symmetric", lambda: self._symmetric_memory(
            self.most[0] * self.most[1], torch.bfloat16))
        shared = whole[: tensors.input.numel()].view(tensors.input.shape)
        shared.zero_()
        torch.cuda.synchronize()
        ops = torch.ops.symm_mem
        reduce = ops.one_shot_all_reduce if name == SYMMETRIC[0] else ops.two_shot_all_reduce_
        step = lambda: self._norm(reduce(shared, "sum", self._group_name), tensors)

        # What peers have written is read before and behind the barrier of the operation itself.
        def load() -> str:
            shared.copy_(tensors.input)
            torch.cuda.synchronize()
            return ""

        def reduce_once() -> str:
            tensors.output.copy_(step())
            torch.cuda.synchronize()
            return ""

        def judge() -> str:
            shared.zero_()  # the two-shot reduces in place: stays zero
            torch.cuda.synchronize()
            return mismatch(tensors, range(self.world))

        return Step(step, (load, reduce_once, judge))
