#!/usr/bin/env python3
"""One rank of kernels.py: prepares every contender of a cell and times them in turn. Started by
supervisor.py with a job as JSON, reports to it line by line. Needs PyTorch; one thread."""

import datetime
import faulthandler
import json
import os
import signal
import sys
import time

PATIENCE = datetime.timedelta(seconds=600)  # with the other ranks; the supervisor has less


class Report:
    """Lines of JSON to the supervisor."""

    def __init__(self, descriptor: int):
        self._file = os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")
        self._steps = 0

    def say(self, **message) -> None:
        self._file.write(json.dumps(message) + "\n")

    def step(self, what: str, contender: str, cell: tuple) -> None:
        self._steps += 1
        self.say(step=self._steps, what=what, contender=contender, cell=cell)


def reason_of(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


class Race:
    """All contenders of one size. Every rank makes the same calls."""

    def __init__(self, job: dict, everyone, report: Report):
        self._job, self._everyone, self._report = job, everyone, report

    def _try(self, what: str, name: str, cell: tuple, action) -> tuple:
        """(what the action returned, a reason that any rank has or "")"""
        import contenders

        self._report.step(what, name, cell)
        result, reason = None, ""
        try:
            result = action()
        except contenders.Missing as error:
            reason = str(error)
        except Exception as error:  # pylint: disable=broad-except
            reason = f"failed: {reason_of(error)}"
            self._report.say(error=reason)
            if "CUDA error" in str(error):
                raise  # this context is lost
        return result, self._everyone.agree(reason)

    def _prepare(self, name: str, cell: tuple) -> tuple:
        """(graph, reason)"""
        import measure

        hidden, tokens = cell
        made, why = self._try("creation", name, cell,
                              lambda: self._everyone.make(name, tokens, hidden))
        if not why:
            _, why = self._try("first calls", name, cell, lambda: measure.warm_up(made.step))
        for check in made.checks if not why else ():
            wrong, why = self._try("check", name, cell, check)
            why = why or self._everyone.agree(wrong)
            if why:
                break
        if why:
            return None, why
        graph, why = self._try("capture", name, cell, lambda: measure.capture(
            made.step, operations=self._job["operations"]))
        return (graph, made), why

    def _time(self, name: str, cell: tuple, graph) -> list:
        import measure

        self._report.step("timed replays", name, cell)
        job = self._job
        timing = measure.Timing(graph, -(-job["replays"] // job["rounds"]),
                                operations=job["operations"])
        self._everyone.agree("")
        timing.launch()
        return timing.microseconds()

    def run(self, cell: tuple) -> dict:
        import measure

        begin = time.monotonic()
        found = {"hidden": cell[0], "tokens": cell[1], "us": {}, "missing": {}}
        ready = {}
        for name in self._job["names"]:
            prepared, why = self._prepare(name, cell)
            if why:
                found["missing"][name] = why
            else:
                ready[name] = prepared
        rounds = {name: [] for name in ready}
        for _ in range(self._job["rounds"]):
            for name, (graph, _) in ready.items():
                rounds[name].append(self._time(name, cell, graph))
        for name, times in rounds.items():
            found["us"][name] = self._everyone.gather_objects(measure.median_of(times))
        found["seconds"] = round(time.monotonic() - begin, 2)
        return found


def machine(library) -> dict:
    import torch

    found = {"gpu": torch.cuda.get_device_name(), "gpus": torch.cuda.device_count(),
             "torch": torch.__version__, "cuda": torch.version.cuda,
             "nccl": ".".join(str(part) for part in torch.cuda.nccl.version()),
             "lamplight": library.version()}
    try:
        import flashinfer

        found["flashinfer"] = flashinfer.__version__
    except ImportError:
        found["flashinfer"] = None
    return found


def main() -> None:
    job = json.loads(sys.argv[1])
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    report = Report(job["report"])
    rank, world = job["rank"], job["world"]
    import torch
    import torch.distributed as dist

    torch.cuda.set_device(0 if job["shared"] else rank)
    dist.init_process_group("gloo", timeout=PATIENCE)
    import binding
    import contenders

    library = binding.Library(job["library"])
    everyone = contenders.Contenders(library, rank, world, tuple(job["most"]), job["shared"])
    if rank == 0:
        report.say(machine=machine(library))
    race = Race(job, everyone, report)
    for cell in job["cells"]:
        found = race.run(tuple(cell))
        if rank == 0:
            report.say(measured=found)
    everyone.agree("")
    report.say(end=True)
    # Graphs and communicators outlive the interpreter's own order of destruction.
    os._exit(0)


if __name__ == "__main__":
    main()
