"""How many tokens several ranks' grids can have and still all run at once on one GPU.

A rank that spins waits for its peers' blocks. Where ranks share a GPU, all of their blocks must be
resident together, and with programmatic launches each rank's next grid may be resident as well.
Pure functions; no GPU, no PyTorch. The launch shapes are those of FlashInfer 0.7.2.post1:
include/flashinfer/comm/trtllm_allreduce_fusion.cuh, allreduce_fusion_kernel_launcher, and
trtllm_mnnvl_allreduce.cuh, adjustGridConfig. Registers are those of its modules for sm_90a.
"""

import dataclasses

PROCESSORS = 132  # H100 SXM
# A cluster lies in one GPC. Seven full GPCs of 16 are counted, though a device may have more.
PROCESSORS_FOR_CLUSTERS = 112
THREADS, REGISTERS, BLOCKS, WARP = 2048, 65536, 32, 32  # of one processor
ELEMENTS = 8  # bf16 in 16 bytes: what one thread takes of a row
MOST = 4096  # where the answer stops


@dataclasses.dataclass(frozen=True)
class Shape:
    blocks: int  # of the whole grid
    threads: int  # of a block
    cluster: int


def trtllm_shape(tokens: int, dim: int, world: int, algorithm: str, registers: int) -> Shape:
    """Grids of this family never have more blocks than the device has processors."""
    rows = tokens if algorithm == "oneshot" else -(-tokens // world)
    row_threads = dim // ELEMENTS
    most_threads = min(REGISTERS // registers, 1024)
    cluster = 8
    while row_threads % cluster and cluster > 1:
        cluster //= 2
    threads = row_threads // cluster
    while threads < 128 and cluster >= 2:
        threads, cluster = threads * 2, cluster // 2
    while rows * cluster > PROCESSORS and cluster > 1 and threads <= most_threads // 2:
        threads, cluster = threads * 2, cluster // 2
    blocks = min(PROCESSORS, rows * cluster) // cluster * cluster
    return Shape(blocks, threads, cluster)


def mnnvl_oneshot_shape(tokens: int, dim: int) -> Shape:
    """A cluster for each token, however many there are."""
    row_threads = -(-dim // ELEMENTS)
    cluster = 8
    while row_threads % cluster and cluster > 1:
        cluster //= 2
    widest = cluster
    threads = -(-row_threads // cluster)
    while threads < 128 and cluster >= 2:
        threads, cluster = threads * 2, cluster // 2
    while tokens * cluster > PROCESSORS and cluster > 1 and threads <= 512:
        threads, cluster = threads * 2, cluster // 2
    while cluster < widest:
        thinner = -(-row_threads // (cluster * 2))
        if thinner < 64 or tokens * cluster * 2 > PROCESSORS:
            break
        threads, cluster = thinner, cluster * 2
    while threads > 1024 and cluster < 8:
        cluster *= 2
        threads = -(-row_threads // cluster)
    return Shape(tokens * cluster, threads, cluster)


def resident_blocks(threads: int, registers: int) -> int:
    """Of one processor. Registers are given out by 256 to each warp."""
    warps = -(-threads // WARP)
    by_registers = REGISTERS // (warps * -(-registers * WARP // 256) * 256)
    return min(BLOCKS, THREADS // (warps * WARP), by_registers)


def fits(shape: Shape, registers: int, grids: int) -> bool:
    processors = PROCESSORS if shape.cluster == 1 else PROCESSORS_FOR_CLUSTERS
    return grids * shape.blocks <= processors * resident_blocks(shape.threads, registers)


def most_tokens(shape_of, registers: int, world: int, pdl: bool) -> int:
    """The most tokens up to which every count fits; `shape_of` takes tokens. At most MOST."""
    grids = world * (2 if pdl else 1)
    tokens = 0
    while tokens < MOST and fits(shape_of(tokens + 1), registers, grids):
        tokens += 1
    return tokens
