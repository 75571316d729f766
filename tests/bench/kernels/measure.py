"""Captures operations into CUDA graphs and times the replays by CUDA events. Needs PyTorch."""

import statistics

import torch

OPERATIONS = 64  # in a graph
WARM_UP = 3
APART = 2


def capture(step, stream=None, operations: int = OPERATIONS) -> torch.cuda.CUDAGraph:
    """A graph of so many steps on `stream`, which has run none yet: see warm_up."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        for _ in range(operations):
            step()
    return graph


def warm_up(step) -> None:
    """Everything is loaded and compiled before it is captured."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.synchronize()


class Timing:
    """Replays of one graph on one stream, back to back: the ranks keep step by themselves, and the
    host's pace is not in the figures."""

    def __init__(self, graph: torch.cuda.CUDAGraph, replays: int, stream=None,
                 operations: int = OPERATIONS):
        self._graph, self._stream = graph, stream or torch.cuda.current_stream()
        self._operations = operations
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(replays + 1)]

    def launch(self) -> None:
        for turn in range(self.turns):
            self.launch_once(turn)

    def launch_once(self, turn: int) -> None:
        """The first replays are not timed: ranks that began apart meet there."""
        with torch.cuda.stream(self._stream):
            if turn == APART:
                self._events[0].record()
            self._graph.replay()
            if turn >= APART:
                self._events[turn - APART + 1].record()

    @property
    def turns(self) -> int:
        return len(self._events) + APART - 1

    def microseconds(self) -> list:
        """Of one operation, for each replay. Waits."""
        self._stream.synchronize()
        pairs = zip(self._events, self._events[1:])
        return [begin.elapsed_time(end) * 1000 / self._operations for begin, end in pairs]


def launch_together(timings: list) -> None:
    """In turns: no rank's launches fill the queue while another's have not begun."""
    for turn in range(timings[0].turns):
        for timing in timings:
            timing.launch_once(turn)


def median_of(rounds: list) -> float:
    return statistics.median(time for times in rounds for time in times)
