"""FlashInfer's MNNVL workspaces made of ordinary device memory, and a second rank that answers one.

PointerWorkspace stands where MNNVLAllReduceFusionWorkspace stands: plain memory instead of a
multicast mapping, any address passed as the multicast address. LocalWorkspace is one that talks to
itself. PeerRank writes, by ordinary PyTorch operations in front of the all-reduce on the same
stream, what rank 1 would have sent to it. All are for one thread.
"""

import torch
from flashinfer.comm.trtllm_mnnvl_ar import MNNVLAllReduceFusionWorkspace

GENERATIONS = 3
SENTINEL = -(2**31)  # 0x80000000 as int32
CURRENT_INDEX = 0  # word of the flags


def generation_bytes(world: int, tokens: int, dim: int) -> int:
    """Room for either algorithm with 16-bit elements."""
    rows = (tokens + world - 1) // world * world
    one_shot = tokens * world * dim * 2
    two_shot = 2 * rows * dim * 2
    return (max(one_shot, two_shot) + 31) // 32 * 32


def empty_words(generation: int) -> torch.Tensor:
    """A rank's buffer as it is before the first call."""
    words = GENERATIONS * generation // 4
    return torch.full((words,), SENTINEL, dtype=torch.int32, device="cuda")


class PointerWorkspace(MNNVLAllReduceFusionWorkspace):
    """Of one rank. Invariant: `words`, the rank's own buffer, and `flags` outlive every graph that
    uses them; so must the peers' memory."""

    def __init__(self, rank: int, words: torch.Tensor, pointers: list, generation: int,
                 multicast: int):
        # The base class's constructor is left out on purpose: it rendezvous with the other ranks
        # and maps NVLink multicast memory. Everything that the all-reduce functions read is set
        # here.
        super(MNNVLAllReduceFusionWorkspace, self).__init__(len(pointers), rank)
        self.rank = rank
        self.tp_size = len(pointers)
        self.buffer_size_bytes = generation
        self.workspace_size_bytes = generation * GENERATIONS
        self.words = words
        flags = [0, 2, generation, 0, 0, 0, 0, 0, 0]
        self.flags = torch.tensor(flags, dtype=torch.int32, device="cuda")
        self.buffer_flags = self.flags.view(torch.uint32)
        self.pointers = torch.tensor(pointers, dtype=torch.int64, device="cuda")
        self.uc_ptrs_dev = self.pointers.data_ptr()
        self.uc_ptr_local = words.data_ptr()
        self.mc_ptr = multicast

    def _require_handles_attached(self) -> None:
        """Releases from 0.7 ask; there are no handles here that could be detached."""

    def destroy(self) -> None:
        """Nothing to give back: the tensors are PyTorch's."""
        self._destroyed = True


class LocalWorkspace(PointerWorkspace):
    """Rank 0, whose multicast address is its own buffer; nobody reads what it sends to peers."""

    def __init__(self, world: int, tokens: int, dim: int):
        generation = generation_bytes(world, tokens, dim)
        words = empty_words(generation)
        self.peer_words = empty_words(generation)
        pointers = [words.data_ptr()] + [self.peer_words.data_ptr()] * (world - 1)
        super().__init__(0, words, pointers, generation, multicast=words.data_ptr())


class PeerRank:
    """Rank 1. Invariant: it writes only into slots of the generation that the flags name current,
    which is what a peer at the same call writes."""

    def __init__(self, workspace: LocalWorkspace, algorithm: str, tokens: int, dim: int):
        self.workspace = workspace
        self.algorithm = algorithm
        self.dim = dim
        words = dim // 2
        stages = 1 if algorithm == "oneshot" else 2
        stage_words = workspace.buffer_size_bytes // stages // 4
        world = workspace.tp_size
        token = torch.arange(tokens, device="cuda")
        if algorithm == "oneshot":
            self.tokens = token
            offsets = (token * world + 1) * words
        else:
            self.tokens = token[token % world == 0]  # owned by rank 0: rank 1 scatters to it
            offsets = (self.tokens // world * world + 1) * words
        column = torch.arange(words, device="cuda")
        self.scatter_at = offsets[:, None] + column
        self.broadcast_tokens = token[token % world == 1]  # owned, reduced and sent by rank 1
        self.broadcast_at = stage_words + self.broadcast_tokens[:, None] * words + column
        self.generation_words = workspace.buffer_size_bytes // 4

    def send(self, peer_shard: torch.Tensor, own_shard: torch.Tensor) -> None:
        """Capturable. The shards are bf16 [tokens, dim] and free of −0."""
        base = self.workspace.flags[CURRENT_INDEX : CURRENT_INDEX + 1].long()
        base = base * self.generation_words
        words = peer_shard.view(torch.int32)[self.tokens]
        self.workspace.words.index_put_((self.scatter_at + base,), words)
        if self.algorithm == "twoshot" and len(self.broadcast_tokens) > 0:
            total = (own_shard.float() + peer_shard.float()).bfloat16()[self.broadcast_tokens]
            total = torch.where(total == 0, torch.zeros_like(total), total)
            self.workspace.words.index_put_((self.broadcast_at + base,), total.view(torch.int32))
