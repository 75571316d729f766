"""Two ranks on one GPU: variants of ours beside each other. Not comparable with separate GPUs: no
link, and the ranks share processors and caches. Needs PyTorch."""

import argparse
import faulthandler
import json

import binding
import contenders
import figures
import measure
import torch

WORLD = 2
# With more the ranks' blocks might not all be resident, and a rank would wait for one that cannot run.
MOST_TOKENS = 8
TOKENS = (1, 4, 8)
ROUNDS = 3
HANG_S = 180

# name: (protocol, algorithm, PDL)
VARIANTS = {f"ours {protocol} {algorithm}{'' if pdl else ' no-pdl'}": (protocol, algorithm, pdl)
            for protocol in binding.PROTOCOLS for algorithm in ("one-shot", "two-shot")
            for pdl in (True, False)}


class Pair:
    """Both ranks of one protocol, driven by one thread: every launch is asynchronous."""

    def __init__(self, library: binding.Library, protocol: str, most_hidden: int):
        meeting = binding.Meeting(WORLD)
        room = binding.generation_bytes(WORLD, MOST_TOKENS, most_hidden)
        self.workspaces = binding.on_threads(WORLD, lambda rank: binding.Workspace(
            library, binding.options_for(WORLD, rank, 0, protocol, room), meeting.gather_for(rank)))
        self.streams = [torch.cuda.Stream() for _ in range(WORLD)]

    def graphs(self, algorithm: str, pdl: bool, tokens: int, hidden: int) -> tuple:
        """([a graph for each rank], reason why not)"""
        tensors = [contenders.tensors_for(rank, tokens, hidden) for rank in range(WORLD)]
        calls = [contenders.our_call(one, algorithm, pdl) for one in tensors]
        torch.cuda.synchronize()

        def step(rank: int):
            return lambda: self.workspaces[rank].all_reduce(calls[rank],
                                                            self.streams[rank].cuda_stream)

        for rank in range(WORLD):
            step(rank)()
        torch.cuda.synchronize()
        wrong = [contenders.mismatch(one, WORLD) for one in tensors]
        graphs = [measure.capture(step(rank), self.streams[rank]) for rank in range(WORLD)]
        # The graphs hold the tensors' addresses.
        return list(zip(graphs, tensors)), next((why for why in wrong if why), "")

    def times(self, graphs: list, replays: int) -> list:
        """For each rank, of one operation in each replay."""
        timings = [measure.Timing(graph, replays, stream)
                   for (graph, _), stream in zip(graphs, self.streams)]
        for timing in timings:
            timing.launch()
        return [timing.microseconds() for timing in timings]


def measure_cell(pairs: dict, tokens: int, hidden: int, replays: int) -> dict:
    cell = {"hidden": hidden, "tokens": tokens, "us": {}, "missing": {}}
    graphs, rounds = {}, {}
    for name, (protocol, algorithm, pdl) in VARIANTS.items():
        prepared, wrong = pairs[protocol].graphs(algorithm, pdl, tokens, hidden)
        if wrong:
            cell["missing"][name] = wrong
        else:
            graphs[name], rounds[name] = prepared, []
    for _ in range(ROUNDS):
        for name, prepared in graphs.items():
            pair = pairs[VARIANTS[name][0]]
            rounds[name].append(pair.times(prepared, -(-replays // ROUNDS)))
    for name, times in rounds.items():
        cell["us"][name] = [measure.median_of([ranks[rank] for ranks in times])
                            for rank in range(WORLD)]
    return cell


def run(arguments: argparse.Namespace) -> int:
    tokens = arguments.tokens or list(TOKENS)
    if max(tokens) > MOST_TOKENS:
        print(f"--tokens {max(tokens)}: at most {MOST_TOKENS} where two ranks share a GPU")
        return 2
    library = binding.Library(str(arguments.library))
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    pairs = {name: Pair(library, name, max(arguments.hidden)) for name in binding.PROTOCOLS}
    cells = []
    for hidden in arguments.hidden:
        for count in tokens:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            cells.append(measure_cell(pairs, count, hidden, arguments.replays))
    print(f"{torch.cuda.get_device_name()}: {WORLD} ranks on one GPU, NOT comparable with separate "
          "GPUs; µs per operation\n")
    print(figures.table(cells, WORLD))
    print("\n".join(figures.reasons(cells)))
    if arguments.json:
        content = {"ranks_on_one_gpu": WORLD, "comparable": False, "cells": cells}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(any(cell["missing"] for cell in cells))
