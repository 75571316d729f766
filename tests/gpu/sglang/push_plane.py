#!/usr/bin/env python3
"""Two ranks of SGLang's own all-reduce on one GPU, a process each, in replayed CUDA graphs.

Each rank captures one graph of several calls of SGLang's one-shot push kernel and replays it; each
result must have the bits of the fp32 sum, rounded. With --fault fewer one rank replays a graph whose
calls have a token less, with --fault absent it replays nothing any more: the other hangs. So run this
under `timeout`. Knows nothing of Lamplight.

Exit status: 0 all right, 1 wrong results, 2 bad arguments, 77 no GPU here.
"""

import argparse
import os
import sys
import time

EXIT_WRONG = 1
EXIT_NO_GPU = 77
WORLD = 2
ALGORITHM = "1shot_push"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--module", required=True, help="sglang_push.so, of prepare.sh")
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--dim", type=int, default=4096, help="hidden size, a multiple of 8")
    parser.add_argument("--layers", type=int, default=4, help="calls in a graph")
    parser.add_argument("--replays", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=32, help="of every grid, half of what fits")
    parser.add_argument("--fault", choices=["none", "fewer", "absent"], default="none")
    parser.add_argument("--fault-rank", type=int, choices=[0, 1], default=1)
    parser.add_argument("--fault-replay", type=int, default=7, help="first is 0")
    arguments = parser.parse_args()
    if arguments.tokens < 2 or arguments.dim < 8 or arguments.dim % 8 != 0:
        parser.error("--tokens must be at least 2 and --dim a positive multiple of 8")
    if not 0 <= arguments.fault_replay < arguments.replays:
        parser.error(f"--fault-replay {arguments.fault_replay}: must be below --replays")
    return arguments


def communicator(module, rank: int, workspaces: list, counter):
    """SGLang's objects, as sglang/kernels/ops/communication/all_reduce.py declares them."""
    import tvm_ffi

    module.register_communicator()

    @tvm_ffi.register_object("sgl.distributed.PushPlane")
    class PushPlane(tvm_ffi.Object):
        def __init__(self, *arguments):
            self.__ffi_init__(*arguments)

    @tvm_ffi.register_object("sgl.distributed.Communicator")
    class Communicator(tvm_ffi.Object):
        def __init__(self, *arguments):
            self.__ffi_init__(*arguments)

    return Communicator(PushPlane(rank, WORLD, workspaces, counter, 0), None)


class Rank:
    """Invariant: inputs[i] is what graph node i sums."""

    def __init__(self, rank: int, arguments: argparse.Namespace, to_peer, from_peer):
        import torch
        import tvm_ffi

        self.torch, self.rank, self.arguments = torch, rank, arguments
        slot_bytes = arguments.tokens * arguments.dim * 2
        own = torch.zeros((2 * WORLD, slot_bytes), dtype=torch.uint8, device="cuda")
        self.counter = torch.zeros((arguments.blocks, 4), dtype=torch.uint8, device="cuda")
        torch.cuda.synchronize()
        to_peer.put(own)
        self.workspaces = [own, from_peer.get()] if rank == 0 else [from_peer.get(), own]
        self.module = tvm_ffi.load_module(arguments.module)
        self.communicator = communicator(self.module, rank, self.workspaces, self.counter)
        self.inputs = [torch.zeros((arguments.tokens, arguments.dim), dtype=torch.bfloat16,
                                   device="cuda") for _ in range(arguments.layers)]

    def all_reduce(self, tensor):
        found = self.module.all_reduce(self.communicator, tensor, ALGORITHM, None, False)
        return found if isinstance(found, self.torch.Tensor) else self.torch.from_dlpack(found)

    def data(self, step: int, layer: int, rank: int):
        generator = self.torch.Generator(device="cuda")
        generator.manual_seed(step * 1000 + layer * 2 + rank)
        data = self.torch.randn(self.inputs[0].shape, generator=generator, device="cuda")
        return (data * (data > -0.5)).to(self.torch.bfloat16)  # with many zeros, of both signs

    def fill(self, step: int) -> None:
        for layer, tensor in enumerate(self.inputs):
            tensor.copy_(self.data(step, layer, self.rank))

    def wrong(self, step: int, outputs: list) -> int:
        self.torch.cuda.synchronize()
        count = 0
        for layer, output in enumerate(outputs):
            total = sum(self.data(step, layer, rank).float() for rank in range(WORLD))
            count += int((output != total.to(self.torch.bfloat16)).sum())
        return count

    def capture(self, tokens: int):
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            outputs = [self.all_reduce(tensor[:tokens]) for tensor in self.inputs]
        return graph, outputs

    def run(self) -> int:
        arguments = self.arguments
        self.fill(0)
        wrong = self.wrong(0, [self.all_reduce(tensor) for tensor in self.inputs])
        graph, outputs = self.capture(arguments.tokens)
        shorter, _ = self.capture(arguments.tokens - 1)
        for replay in range(arguments.replays):
            self.fill(replay + 1)
            faulty = replay == arguments.fault_replay and self.rank == arguments.fault_rank
            if faulty and arguments.fault == "absent":
                time.sleep(3600)
            if faulty and arguments.fault == "fewer":
                shorter.replay()
                self.torch.cuda.synchronize()
                continue
            graph.replay()
            wrong += self.wrong(replay + 1, outputs)
        print(f"rank {self.rank}: {arguments.replays} replays, {wrong} wrong elements", flush=True)
        return wrong


def rank_main(rank: int, arguments, to_peer, from_peer, results) -> None:
    results.put(Rank(rank, arguments, to_peer, from_peer).run())
    time.sleep(1)  # the peer may still read this rank's memory


def main() -> int:
    arguments = parse_arguments()
    import torch
    import torch.multiprocessing as multiprocessing

    if not torch.cuda.is_available():
        print("no GPU here: skipped")
        return EXIT_NO_GPU
    context = multiprocessing.get_context("spawn")
    queues = [context.Queue() for _ in range(WORLD)]
    results = context.Queue()
    ranks = []
    for rank in range(WORLD):
        os.environ["RANK"], os.environ["WORLD_SIZE"] = str(rank), str(WORLD)
        ranks.append(context.Process(target=rank_main, args=(
            rank, arguments, queues[1 - rank], queues[rank], results)))
        ranks[-1].start()
    wrong = sum(results.get() for _ in ranks)
    for rank in ranks:
        rank.join()
    return EXIT_WRONG if wrong or any(rank.exitcode for rank in ranks) else 0


if __name__ == "__main__":
    sys.exit(main())
