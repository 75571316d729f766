"""The workspace of FlashInfer's non-MNNVL ("trtllm") fusion kernels, of ordinary device memory.

As trtllm_create_ipc_workspace_for_all_reduce_fusion fills it (flashinfer/comm/trtllm_ar.py, 0.6.4
and 0.7.2.post1): a device array of 3W + 1 addresses, the peers' buffers, barrier flags and Lamport
buffers, and five words of the rank's own. For one thread.
"""

import torch
from flashinfer.comm import trtllm_ar

GENERATIONS = 3
BYTES = 2  # of a bf16 element
NEGATIVE_ZERO = -(2**15)  # 0x8000 as int16: an element that has not arrived
FLAG_INTS = 256  # for each rank: kBarrierFlagCount


def generation_bytes(world: int, tokens: int, dim: int) -> int:
    size = -(-world * tokens * dim * BYTES // 16) * 16
    if size * GENERATIONS > trtllm_ar.MAX_COMM_SIZE:
        raise ValueError(f"{tokens} tokens of {dim}: FlashInfer counts these bytes in an int32")
    return size


def shared_memory(world: int, generation: int) -> list:
    """What a rank shares with its peers: buffer, barrier flags, Lamport buffer."""
    return [torch.zeros(generation, dtype=torch.uint8, device="cuda"),
            torch.zeros(world * FLAG_INTS, dtype=torch.int32, device="cuda"),
            torch.full((GENERATIONS * generation // BYTES,), NEGATIVE_ZERO, dtype=torch.int16,
                       device="cuda")]


class TrtllmWorkspace:
    """Of one rank. `memory` is [[rank 0's buffer, rank 1's, …], [barrier flags …], [Lamport buffers
    …]]. Invariant: it holds everything that its calls touch, for graphs that were captured."""

    def __init__(self, rank: int, memory: list, generation: int):
        self.rank, self.world, self._memory = rank, len(memory[0]), memory
        # Arrivals, flag of the two-shot, index, bytes of a generation, elements to clear.
        self.flags = torch.tensor([0, 0, 0, generation, 0], dtype=torch.int32, device="cuda")
        addresses = [tensor.data_ptr() for kind in memory for tensor in kind]
        self._table = torch.tensor([*addresses, self.flags.data_ptr()], dtype=torch.int64,
                                   device="cuda")

    def all_reduce(self, tensors, one_shot: bool, pdl: bool, epsilon: float) -> None:
        """On the current stream. `tensors` has input, residual, gamma, residual_out and output."""
        tokens, dim = tensors.input.shape
        # What is not named by an argument is as flashinfer.comm.allreduce_fusion has it by default.
        trtllm_ar.trtllm_allreduce_fusion(
            allreduce_in=tensors.input, world_size=self.world, world_rank=self.rank,
            token_num=tokens, hidden_dim=dim, workspace_ptrs=self._table, launch_with_pdl=pdl,
            trigger_completion_at_end=True, fp32_acc=False,
            pattern_code=trtllm_ar.AllReduceFusionPattern.kARResidualRMSNorm,
            use_oneshot=one_shot, allreduce_out=None, residual_in=tensors.residual,
            residual_out=tensors.residual_out, norm_out=tensors.output, quant_out=None,
            scale_out=None, rms_gamma=tensors.gamma, rms_eps=epsilon, scale_factor=None,
            layout_code=None)
