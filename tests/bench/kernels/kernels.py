#!/usr/bin/env python3
"""All-reduce + residual + RMSNorm: ours beside FlashInfer, NCCL and PyTorch's symmetric memory.

One process for each GPU, bf16, CUDA graphs of 64 operations timed by CUDA events; each figure is the
median over all replays of the slowest rank. All contenders of a size run in turn, several rounds of
them. On one GPU, two or four ranks have a share of it each, and ours is compared with FlashInfer's
kernels without a link between the ranks. What is not installed is named and left out.

Exit status: 0 measured, 1 some contender gave wrong results or hung, 2 usage, 77 no GPU here.
"""

import argparse
import faulthandler
import json
import os
import pathlib
import socket
import sys

import figures

HIDDEN = (2880, 4096, 8192)
TOKENS = (1, 4, 16, 64, 128, 256, 1024)
ROUNDS = 3
HANG_S = 400  # a first call may compile FlashInfer's module
EXIT_NO_GPU = 77
# NVLink multicast is not used by anybody here.
NO_MULTICAST = {"NCCL_NVLS_ENABLE": "0", "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
                "NVSHMEM_DISABLE_NVLS": "1"}


def numbers(text: str) -> list:
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError(f"{text}: numbers of at least 1, like 1,16,128")
    return values


def parse_arguments(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="has lib/liblamplight_kernels.so")
    parser.add_argument("--gpus", type=int, choices=(1, 2, 4, 8), help="default: all there are")
    parser.add_argument("--ranks", type=int, choices=(2, 4), default=2, help="that share one GPU")
    parser.add_argument("--hidden", type=numbers, default=list(HIDDEN))
    parser.add_argument("--tokens", type=numbers, default=None)
    parser.add_argument("--replays", type=int, default=30, help="of each graph, in all (default 30)")
    parser.add_argument("--only", default="", help="contenders whose name contains this")
    parser.add_argument("--json", type=pathlib.Path, help="default: BUILD/kernels_bench_w<GPUs>.json")
    parser.add_argument("--plot", type=pathlib.Path, help="an SVG or PNG file")
    parsed = parser.parse_args(arguments)
    if parsed.replays < 20:
        parser.error(f"--replays {parsed.replays}: at least 20, or the median says little")
    if any(hidden % 8 for hidden in parsed.hidden):
        parser.error(f"--hidden {parsed.hidden}: multiples of 8, rows are multiples of 16 bytes")
    parsed.library = parsed.build / "lib" / "liblamplight_kernels.so"
    if not parsed.library.exists():
        parser.error(f"{parsed.library}: missing; build the target lamplight_kernels first")
    return parsed


def largest_power_of_two(count: int) -> int:
    return 1 << (min(count, 8).bit_length() - 1)


def machine() -> dict:
    import torch

    found = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
             "cuda": torch.version.cuda,
             "nccl": ".".join(str(part) for part in torch.cuda.nccl.version())}
    try:
        import flashinfer

        found["flashinfer"] = flashinfer.__version__
    except ImportError:
        found["flashinfer"] = None
    return found


class Race:
    """All contenders of one size, in one process. Every rank makes the same calls."""

    def __init__(self, contenders, names: list, replays: int):
        self._contenders, self._names = contenders, names
        self._replays = -(-replays // ROUNDS)

    def _agree(self, mine: str) -> str:
        """A reason that any rank has; "" where none has one."""
        import torch.distributed as dist

        everybody = [""] * self._contenders.world
        dist.all_gather_object(everybody, mine, group=self._contenders.cpu)
        return next((reason for reason in everybody if reason), "")

    def _prepare(self, name: str, tokens: int, hidden: int):
        """(graph, reason)"""
        import contenders
        import measure

        graph, reason = None, ""
        try:
            step, tensors = self._contenders.make(name, tokens, hidden)
            measure.warm_up(step)
            reason = contenders.mismatch(tensors, self._contenders.world) if tensors else ""
            graph = measure.capture(step)
        except contenders.Missing as error:
            reason = str(error)
        except Exception as error:  # pylint: disable=broad-except
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return graph, self._agree(reason)

    def run(self, tokens: int, hidden: int) -> dict:
        import measure
        import torch.distributed as dist

        cell = {"hidden": hidden, "tokens": tokens, "us": {}, "missing": {}}
        graphs = {}
        for name in self._names:
            graph, reason = self._prepare(name, tokens, hidden)
            if reason:
                cell["missing"][name] = reason
            else:
                graphs[name] = graph
        rounds = {name: [] for name in graphs}
        for _ in range(ROUNDS):
            for name, graph in graphs.items():
                timing = measure.Timing(graph, self._replays)
                dist.barrier(group=self._contenders.cpu)
                timing.launch()
                rounds[name].append(timing.microseconds())
        for name, times in rounds.items():
            everybody = [0.0] * self._contenders.world
            dist.all_gather_object(everybody, measure.median_of(times), group=self._contenders.cpu)
            cell["us"][name] = everybody
        return cell


def run_rank(rank: int, world: int, arguments: argparse.Namespace) -> None:
    import torch
    import torch.distributed as dist

    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank))
    torch.cuda.set_device(rank)
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    dist.init_process_group("nccl", device_id=torch.device("cuda", rank))
    import binding
    import contenders

    library = binding.Library(str(arguments.library))
    everyone = contenders.Contenders(library, rank, world,
                                     (max(arguments.tokens), max(arguments.hidden)))
    names = [name for name in contenders.NAMES if arguments.only in name]
    race = Race(everyone, names, arguments.replays)
    cells = []
    for hidden in arguments.hidden:
        for tokens in arguments.tokens:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            cells.append(race.run(tokens, hidden))
            if rank == 0:
                print(f"hidden {hidden} tokens {tokens}: done", file=sys.stderr, flush=True)
    status = report(cells, world, arguments, library.version()) if rank == 0 else 0
    dist.barrier(group=everyone.cpu)
    # Graphs and communicators outlive the interpreter's own order of destruction.
    os._exit(status)


def report(cells: list, world: int, arguments: argparse.Namespace, version: str) -> int:
    method = {"operations_in_a_graph": 64, "replays": arguments.replays, "rounds": ROUNDS,
              "statistic": "median over replays, slowest rank", "dtype": "bf16",
              "bounded_polling": True, "pdl": True, "multicast": False}
    path = arguments.json or arguments.build / f"kernels_bench_w{world}.json"
    content = figures.document(cells, world, method, {**machine(), "lamplight": version})
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{content['machine']}\n\nµs per operation; floor and ratio: see {path}\n")
    print(figures.table(cells, world))
    print("\n" + figures.summary(cells))
    print("\n".join(figures.reasons(cells)))
    if arguments.plot:
        print(figures.write_plot(cells, world, str(arguments.plot)) or f"plot: {arguments.plot}")
    sys.stdout.flush()
    return int(any("wrong results" in why for cell in cells for why in cell["missing"].values()))


def main() -> int:
    arguments = parse_arguments()
    try:
        import torch
    except ImportError:
        print("SKIPPED: PyTorch is not installed")
        return EXIT_NO_GPU
    os.environ.update(NO_MULTICAST)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        print("SKIPPED: PyTorch sees no GPU on this machine")
        return EXIT_NO_GPU
    world = arguments.gpus or largest_power_of_two(count)
    if world > count:
        print(f"--gpus {world}: there are {count}", file=sys.stderr)
        return 2
    if world == 1:
        import one_gpu

        return one_gpu.run(arguments)
    arguments.tokens = arguments.tokens or list(TOKENS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
    processes = torch.multiprocessing.spawn(run_rank, args=(world, arguments), nprocs=world, join=False)
    for process in processes.processes:
        process.join()
    return max(abs(process.exitcode or 0) for process in processes.processes)


if __name__ == "__main__":
    sys.exit(main())
