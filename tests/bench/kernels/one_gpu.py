"""Two or four ranks on one GPU, each on its own share of the multiprocessors: ours beside
FlashInfer's kernels. No link lies between the ranks: the figures compare what the kernels themselves
cost, not what separate GPUs would take. Needs PyTorch."""

import argparse
import dataclasses
import faulthandler
import json
import sys

import binding
import contenders
import figures
import measure
import partition
import torch

ROUNDS = 3
HANG_S = 180


@dataclasses.dataclass(frozen=True)
class Shares:
    """Of one GPU."""

    world: int
    multiprocessors: int  # of each


class Ours:
    """Both algorithms of one protocol, all ranks driven by one thread."""

    def __init__(self, library: binding.Library, shares: Shares, most: tuple, protocol: str,
                 algorithm: str, pdl: bool = True, followers_wait: bool = True):
        world = shares.world
        self._algorithm, self._how = algorithm, (pdl, followers_wait)
        meeting = binding.Meeting(world)
        room = binding.generation_bytes(world, *most)
        self._workspaces = binding.on_threads(world, lambda rank: binding.Workspace(
            library, binding.options_for(world, rank, 0, protocol, room, shares.multiprocessors),
            meeting.gather_for(rank)))

    def step(self, rank: int, tensors):
        call = contenders.our_call(tensors, self._algorithm, *self._how)
        return lambda: self._workspaces[rank].all_reduce(
            call, torch.cuda.current_stream().cuda_stream)

    def destroy(self) -> None:
        for workspace in self._workspaces:
            workspace.destroy()


class FlashInfer:
    """FlashInfer's own kernels, on workspaces that hold all ranks (tests/gpu/flashinfer)."""

    def __init__(self, kind: str, world: int, most: tuple):
        import ranks_on_one_gpu

        self._ranks = ranks_on_one_gpu.CLASSES[kind](world, *most)

    def step(self, rank: int, tensors):
        return lambda: self._ranks.call(rank, tensors, "oneshot", True)

    def destroy(self) -> None:
        self._ranks = None


def makers(library: binding.Library, shares: Shares, most: tuple) -> dict:
    """name: makes the contender."""
    world = shares.world

    def ours(*arguments):
        return lambda: Ours(library, shares, most, *arguments)

    every = {figures.OURS: ours("epoch", "auto"), "ours one-shot": ours("epoch", "one-shot"),
             "ours two-shot": ours("epoch", "two-shot"),
             "ours one-shot no-pdl": ours("epoch", "one-shot", False),
             "ours one-shot, nothing promised": ours("epoch", "one-shot", True, False),
             "ours mnnvl one-shot": ours("mnnvl", "one-shot"),
             "FlashInfer trtllm one-shot": lambda: FlashInfer("trtllm", world, most)}
    if world == 2:
        every["FlashInfer MNNVL one-shot"] = lambda: FlashInfer("mnnvl", world, most)
    return every


class Race:
    """Contenders of all sizes, one at a time. Invariant: rank r works on streams[r] only."""

    def __init__(self, streams: list, replays: int):
        self.streams = streams
        self._replays = -(-replays // ROUNDS)

    def _on(self, rank: int, action) -> None:
        with torch.cuda.stream(self.streams[rank]):
            action()

    def graphs(self, contender, tokens: int, hidden: int) -> tuple:
        """([(graph, tensors) for each rank], reason why not)"""
        world = len(self.streams)
        tensors = [contenders.tensors_for(rank, tokens, hidden) for rank in range(world)]
        steps = [contender.step(rank, tensors[rank]) for rank in range(world)]
        torch.cuda.synchronize()
        for _ in range(measure.WARM_UP):
            for rank, step in enumerate(steps):
                self._on(rank, step)
        torch.cuda.synchronize()
        wrong = [contenders.mismatch(one, range(world)) for one in tensors]
        graphs = [measure.capture(step, self.streams[rank]) for rank, step in enumerate(steps)]
        # The graphs hold the tensors' addresses.
        return list(zip(graphs, tensors)), next((why for why in wrong if why), "")

    def round(self, graphs: list) -> list:
        """For each rank, of one operation in each replay."""
        timings = [measure.Timing(graph, self._replays, stream)
                   for (graph, _), stream in zip(graphs, self.streams)]
        measure.launch_together(timings)
        return [timing.microseconds() for timing in timings]


def measure_cell(race: Race, ready: dict, missing: dict, tokens: int, hidden: int) -> dict:
    cell = {"hidden": hidden, "tokens": tokens, "us": {}, "missing": dict(missing)}
    graphs, rounds = {}, {}
    for name, contender in ready.items():
        prepared, wrong = race.graphs(contender, tokens, hidden)
        if wrong:
            cell["missing"][name] = wrong
        else:
            graphs[name], rounds[name] = prepared, []
    for _ in range(ROUNDS):
        for name, prepared in graphs.items():
            rounds[name].append(race.round(prepared))
    for name, times in rounds.items():
        cell["us"][name] = [measure.median_of([ranks[rank] for ranks in times])
                            for rank in range(len(race.streams))]
    return cell


def prepare(library: binding.Library, shares: Shares, most: tuple, only: str) -> tuple:
    """({name: contender}, {name: why not})"""
    sys.path.append(str(contenders.FLASHINFER_TESTS))
    ready, missing = {}, {}
    for name, make in makers(library, shares, most).items():
        if only not in name:
            continue
        try:
            ready[name] = make()
        except ImportError as error:
            missing[name] = f"not installed: {error}"
    return ready, missing


def run(arguments: argparse.Namespace) -> int:
    tokens, world = arguments.tokens, arguments.ranks
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    try:
        streams, processors = partition.streams(world)
    except partition.Unpartitioned as error:
        print(f"SKIPPED: {world} ranks need shares of the GPU: {error}")
        return 77
    library = binding.Library(str(arguments.library))
    most = (max(tokens), max(arguments.hidden))
    ready, missing = prepare(library, Shares(world, processors), most, arguments.only)
    race, cells = Race(streams, arguments.replays), []
    for hidden in arguments.hidden:
        for count in tokens:
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            cells.append(measure_cell(race, ready, missing, count, hidden))
            print(f"hidden {hidden} tokens {count}: done", file=sys.stderr, flush=True)
    print(f"{torch.cuda.get_device_name()}: {world} ranks on one GPU, {processors} multiprocessors "
          "each, NO LINK between them; µs per operation\n")
    print(figures.table(cells, world, floor=False))
    print("\n" + figures.summary(cells))
    print("\n".join(figures.reasons(cells)))
    if arguments.plot:
        why = figures.write_plot(cells, str(arguments.plot), f"{world} ranks on one GPU")
        print(why or f"plot: {arguments.plot}")
    if arguments.json:
        content = {"ranks_on_one_gpu": world, "multiprocessors_of_a_rank": processors,
                   "link": False, "gpu": torch.cuda.get_device_name(), "cells": cells}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(any("wrong results" in why for cell in cells for why in cell["missing"].values()))
