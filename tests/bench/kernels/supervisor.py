"""Starts a process for each rank, follows what they report, and goes on without what hangs.

A contender in which the ranks stand still, or in which one of them dies, is given up: all ranks are
killed and started anew without it. Every cell is kept as soon as it is measured. Standard library
only; one thread.
"""

import dataclasses
import json
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import time

START_S = 150  # imports, contexts, the process group
STACKS_S = 1  # for the ranks' own stacks before they are killed
REAP_S = 60
POLL_S = 0.2
STARTS = 2  # that may fail before the first contender
OUT_OF_TIME = "out of time"
STAYS_AWAY = "a rank that stays away"  # a contender of rehearsals, which must be given up


@dataclasses.dataclass
class Fault:
    """`contender` is "" where the ranks have not come to one."""

    contender: str
    why: str


@dataclasses.dataclass
class Rank:
    process: subprocess.Popen
    pipe: int
    rest: bytes = b""
    step: dict = dataclasses.field(default_factory=lambda: {"step": 0, "what": "start",
                                                            "contender": "", "cell": None})
    error: str = ""
    ended: bool = False
    open: bool = True


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def place(step: dict) -> str:
    where = f"{step['what']}"
    if step["cell"]:
        where += f" at hidden {step['cell'][0]}, {step['cell'][1]} tokens"
    return where


class Attempt:
    """One start of all ranks. Invariant: behind `end` none of their processes is left."""

    def __init__(self, command: list, job: dict, log: pathlib.Path):
        self._log = log
        self._ranks = []
        port = str(free_port())
        with open(log, "ab") as out:
            for rank in range(job["world"]):
                receive, send = os.pipe()
                environment = {**os.environ, **job["environment"], "RANK": str(rank),
                               "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job["world"]),
                               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
                process = subprocess.Popen(
                    [*command, json.dumps({**job, "rank": rank, "report": send})],
                    stdout=out, stderr=out, stdin=subprocess.DEVNULL, pass_fds=(send,),
                    env=environment, start_new_session=True)
                os.close(send)
                self._ranks.append(Rank(process, receive))

    def follow(self, on_message, step_seconds: float, until: float):
        """Until all ranks have ended (None), or something is wrong (a Fault)."""
        heard = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for rank in self._ranks:
                selector.register(rank.pipe, selectors.EVENT_READ, rank)
            while any(rank.open for rank in self._ranks):
                for key, _ in selector.select(POLL_S):
                    heard = time.monotonic()
                    self._read(key.data, on_message)
                    if not key.data.open:
                        selector.unregister(key.fd)
                        if not key.data.ended:
                            return self._died(key.data)
                now = time.monotonic()
                if now > until:
                    return Fault("", OUT_OF_TIME)
                started = any(rank.step["step"] for rank in self._ranks)
                limit = step_seconds if started else START_S
                if now - heard > limit:
                    return self._stood_still(limit)
        return None

    @staticmethod
    def _read(rank: Rank, on_message) -> None:
        content = os.read(rank.pipe, 1 << 16)
        rank.open = bool(content)
        *lines, rank.rest = (rank.rest + content).split(b"\n")
        for message in map(json.loads, lines):
            if "step" in message:
                rank.step = message
            rank.error = message.get("error", rank.error)
            rank.ended = rank.ended or "end" in message
            on_message(message)

    def _last(self) -> int:
        """The rank that is furthest behind."""
        return min(range(len(self._ranks)), key=lambda rank: self._ranks[rank].step["step"])

    def _stood_still(self, seconds: float) -> Fault:
        last = self._last()
        step = self._ranks[last].step
        said = next((f" (rank {number} said: {rank.error})"
                     for number, rank in enumerate(self._ranks) if rank.error), "")
        return Fault(step["contender"], f"given up: no progress for {seconds:.0f} s in "
                     f"{place(step)}, rank {last} furthest behind{said}")

    def _died(self, rank: Rank) -> Fault:
        try:
            status = rank.process.wait(STACKS_S)
        except subprocess.TimeoutExpired:
            status = "none yet"
        how = f"by signal {-status}" if isinstance(status, int) and status < 0 else \
            f"with status {status}"
        said = rank.error or self.last_line()
        return Fault(rank.step["contender"], f"given up: rank {self._ranks.index(rank)} ended {how} "
                     f"in {place(rank.step)}{': ' + said if said else ''}")

    def last_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""

    def end(self, stacks: bool) -> None:
        """`stacks`: the ranks write theirs to the log first."""
        alive = [rank.process for rank in self._ranks if rank.process.poll() is None]
        if stacks and alive:
            for process in alive:
                process.send_signal(signal.SIGUSR1)
            time.sleep(STACKS_S)
        for process in alive:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for rank in self._ranks:
            rank.process.wait(REAP_S)
            if rank.pipe >= 0:
                os.close(rank.pipe)
            rank.pipe = -1


def one_attempt(command: list, job: dict, log: pathlib.Path, on_message, step_seconds: float,
                until: float):
    attempt, fault = Attempt(command, job, log), Fault("", "interrupted")
    try:
        fault = attempt.follow(on_message, step_seconds, until)
    finally:
        attempt.end(stacks=fault is not None and fault.why != OUT_OF_TIME)
    return fault


def run(command: list, job: dict, results, say, step_seconds: float, seconds: float) -> str:
    """Measures the cells of the job that `results` does not have. "" or why not all were."""
    until, starts = time.monotonic() + seconds, 0

    def on_message(message: dict) -> None:
        if "machine" in message:
            results.machine = message["machine"]
        if "measured" in message:
            results.add(message["measured"])
            say(message["measured"])

    while True:
        cells = [cell for cell in job["cells"] if not results.has(*cell)]
        names = [name for name in job["names"] if name not in results.given_up]
        if not cells:
            return ""
        if not names:
            return "no contender is left"
        fault = one_attempt(command, {**job, "cells": cells, "names": names}, results.log,
                            on_message, step_seconds, until)
        if fault is None:
            left = [cell for cell in cells if not results.has(*cell)]
            return f"the ranks ended without {len(left)} cells" if left else ""
        if fault.contender:
            results.give_up(fault.contender, fault.why)
            say({"given_up": fault.contender, "why": fault.why})
            continue
        starts += 1
        if fault.why == OUT_OF_TIME or starts == STARTS:
            return fault.why
