#!/usr/bin/env python3
"""All-reduce + residual + RMSNorm: ours beside FlashInfer, NCCL and PyTorch's symmetric memory.

One process for each GPU, bf16, CUDA graphs of 64 operations timed by CUDA events; each figure is the
median over all replays of the slowest rank. All contenders of a size run in turn, several rounds of
them. What is not installed is named and left out; a contender in which the ranks stand still is given
up, and the others go on. Results are saved after every size; --resume goes on from there.

On one GPU, two or four ranks have a share of it each, and ours is compared with FlashInfer's kernels
without a link between the ranks. --rehearse runs there what several GPUs would run, in processes
that take turns on the GPU: all of it works or does not, but the times mean nothing.

Exit status: 0 measured, 1 some contender failed, hung or gave wrong results, 2 usage, 4 cells are
left (--resume), 77 no GPU here.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys

import figures
import results
import supervisor

HIDDEN = (2880, 4096, 8192)
TOKENS = (1, 4, 16, 64, 128, 256, 1024)
ROUNDS = 3
STEP_S = 400  # a first call may compile FlashInfer's module
EXIT_NO_GPU = 77
EXIT_UNFINISHED = 4
OPERATIONS = 64  # in a graph
# NVLink multicast is not used by anybody here; all ranks are on this host.
ENVIRONMENT = {"NCCL_NVLS_ENABLE": "0", "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
               "NVSHMEM_DISABLE_NVLS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONUNBUFFERED": "1"}
SHARED_ENVIRONMENT = {"TORCH_SYMM_MEM_ALLOW_OVERLAPPING_DEVICES": "1"}
# Of a rehearsal, in which every wait for a peer takes a turn of the GPU.
REHEARSED = {"hidden": (2880, 8192), "tokens": (1, 16), "replays": 2, "rounds": 1, "operations": 4}
NO_RESULT = "REHEARSAL: all ranks take turns on one GPU. THE TIMES MEAN NOTHING."


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
    parser.add_argument("--rehearse", action="store_true", help="several GPUs' way on one GPU")
    parser.add_argument("--stay-away", action="store_true",
                        help="rehearse a hang too: one contender's last rank does not come")
    parser.add_argument("--hidden", type=numbers, default=None)
    parser.add_argument("--tokens", type=numbers, default=None)
    parser.add_argument("--replays", type=int, help="of each graph, in all (default 30)")
    parser.add_argument("--only", default="", help="contenders whose name contains this")
    parser.add_argument("--json", type=pathlib.Path, help="default: BUILD/kernels_bench_w<GPUs>.json")
    parser.add_argument("--resume", action="store_true", help="go on with what --json holds")
    parser.add_argument("--seconds", type=float, default=3600, help="stop then, all cells or not")
    parser.add_argument("--step-seconds", type=float, default=STEP_S,
                        help=f"a contender that stands still so long is given up (default {STEP_S})")
    parser.add_argument("--plot", type=pathlib.Path, help="an SVG or PNG file")
    parsed = parser.parse_args(arguments)
    fill_in(parsed)
    problem = first_problem(parsed)
    if problem:
        parser.error(problem)  # exits with 2
    return parsed


def fill_in(parsed: argparse.Namespace) -> None:
    """What was not asked for."""
    defaults = REHEARSED if parsed.rehearse else {
        "hidden": HIDDEN, "tokens": TOKENS, "replays": 30, "rounds": ROUNDS,
        "operations": OPERATIONS}
    for name, value in defaults.items():
        if getattr(parsed, name, None) is None:
            setattr(parsed, name, value)
    parsed.library = parsed.build / "lib" / "liblamplight_kernels.so"


def first_problem(parsed: argparse.Namespace) -> str:
    if parsed.replays < 20 and not parsed.rehearse:
        return f"--replays {parsed.replays}: at least 20, or the median says little"
    if parsed.replays < 1:
        return f"--replays {parsed.replays}: at least 1"
    if any(hidden % 8 for hidden in parsed.hidden):
        return f"--hidden {parsed.hidden}: multiples of 8, rows are multiples of 16 bytes"
    if not parsed.library.exists():
        return f"{parsed.library}: missing; build the target lamplight_kernels first"
    if parsed.rehearse and parsed.gpus not in (None, 1):
        return f"--gpus {parsed.gpus}: a rehearsal is on one GPU; name --ranks"
    if parsed.stay_away and not parsed.rehearse:
        return "--stay-away: only in a rehearsal"
    return ""


def largest_power_of_two(count: int) -> int:
    return 1 << (min(count, 8).bit_length() - 1)


def method_of(arguments: argparse.Namespace) -> dict:
    method = {"operations_in_a_graph": arguments.operations, "replays": arguments.replays,
              "rounds": arguments.rounds, "statistic": "median over replays, slowest rank",
              "dtype": "bf16", "bounded_polling": True, "pdl": True,
              "followers_wait": True, "multicast": False}
    if arguments.rehearse:
        method["rehearsal"] = NO_RESULT
    return method


def job_of(arguments: argparse.Namespace, world: int, names: list) -> dict:
    """What rank_process.py is to do; the rank and its pipe are the supervisor's."""
    shared = SHARED_ENVIRONMENT if arguments.rehearse else {}
    names = [name for name in names if arguments.only in name]
    if arguments.stay_away:
        names.insert(len(names) // 2, supervisor.STAYS_AWAY)
    return {"world": world, "shared": arguments.rehearse, "library": str(arguments.library),
            "names": names,
            "cells": [(hidden, tokens) for hidden in arguments.hidden
                      for tokens in arguments.tokens],
            "most": (max(arguments.tokens), max(arguments.hidden)), "rounds": arguments.rounds,
            "replays": arguments.replays, "operations": arguments.operations,
            "environment": {**ENVIRONMENT, **shared}}


def measured_floor(build: pathlib.Path) -> dict:
    """What link_floor says of this machine; {} where it is not built, or fails."""
    try:
        done = subprocess.run([str(build / "bin" / "link_floor")], capture_output=True, text=True,
                              timeout=60, check=True)
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"link_floor: {error}: the floor is that of other machines", file=sys.stderr)
        return {}


def say(message: dict) -> None:
    if "given_up" in message:
        print(f"{message['given_up']}: {message['why']}", file=sys.stderr, flush=True)
    else:
        print(f"hidden {message['hidden']} tokens {message['tokens']}: {message['seconds']:.1f} s",
              file=sys.stderr, flush=True)


def report(found: results.Results, arguments: argparse.Namespace) -> None:
    print(f"{found.machine}\n\nµs per operation; raw data: {found.path}\n")
    title = NO_RESULT if arguments.rehearse else f"{found.world} GPUs"
    real = not arguments.rehearse
    print(figures.table(found.cells, found.world, floor=real, ratios=real))
    print("\n" + (NO_RESULT if arguments.rehearse else figures.summary(found.cells)))
    print("\n".join(figures.reasons(found.cells, found.given_up)))
    if arguments.plot and found.cells:
        why = figures.write_plot(found.cells, str(arguments.plot), title,
                                 None if arguments.rehearse else found.world)
        print(why or f"plot: {arguments.plot}")


def run_group(arguments: argparse.Namespace, world: int, names: list, program: list) -> int:
    """One process for each rank. `program`: what runs a rank."""
    path = arguments.json or arguments.build / f"kernels_bench_w{world}.json"
    found = results.Results(path, world, method_of(arguments))
    if arguments.resume:
        found.resume()
    else:
        found.log.unlink(missing_ok=True)
    unfinished = supervisor.run(program, job_of(arguments, world, names), found, say,
                                arguments.step_seconds, arguments.seconds)
    report(found, arguments)
    if unfinished:
        print(f"not finished: {unfinished}; the ranks' own output: {found.log}; go on with --resume")
    whys = [why for cell in found.cells for why in cell["missing"].values()]
    expected = {supervisor.STAYS_AWAY} if arguments.stay_away else set()
    if set(found.given_up) != expected:
        return 1
    if any(why.startswith(("wrong results", "failed")) for why in whys):
        return 1
    return EXIT_UNFINISHED if unfinished else 0


def main() -> int:
    arguments = parse_arguments()
    try:
        import torch
    except ImportError:
        print("SKIPPED: PyTorch is not installed")
        return EXIT_NO_GPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        print("SKIPPED: PyTorch sees no GPU on this machine")
        return EXIT_NO_GPU
    world = arguments.gpus or largest_power_of_two(count)
    if world > count:
        print(f"--gpus {world}: there are {count}", file=sys.stderr)
        return 2
    if world == 1 and not arguments.rehearse:
        os.environ.update(ENVIRONMENT)
        import one_gpu

        return one_gpu.run(arguments)
    import contenders

    if not arguments.rehearse:
        figures.take(measured_floor(arguments.build))
    # The ranks are to be ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    program = [sys.executable, str(pathlib.Path(__file__).with_name("rank_process.py"))]
    try:
        return run_group(arguments, arguments.ranks if arguments.rehearse else world,
                         contenders.NAMES, program)
    except results.Mismatch as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
