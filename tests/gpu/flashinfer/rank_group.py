"""Two processes that share one GPU: their sockets, and each other's device memory.

Device memory goes from process to process as PyTorch's own CUDA IPC handles. One object in each
rank's process, used by one thread; every method is called by both ranks in the same order.
"""

import os
import socket
import subprocess
import sys
import time
from multiprocessing import connection

WORLD = 2
POLL_S = 0.02


class Group:
    """Invariant: what was exchanged is kept for as long as the process lives, on both sides."""

    def __init__(self, rank: int, descriptor: int):
        self.rank = rank
        self._peer = connection.Connection(descriptor)
        self._kept = []

    def exchange(self, mine):
        """The peer's object. Rank 0 speaks first, so that large ones fit the socket."""
        if self.rank == 0:
            self._peer.send(mine)
            return self._peer.recv()
        theirs = self._peer.recv()
        self._peer.send(mine)
        return theirs

    def tensors(self, mine: list) -> list:
        """Device tensors by rank, for each in `mine`: [[rank 0's, rank 1's], …]."""
        import torch.multiprocessing  # noqa: F401  how tensors are pickled

        torch.cuda.synchronize()  # filled before anyone else writes
        theirs = self.exchange(mine)
        self._kept += [mine, theirs]
        order = (mine, theirs) if self.rank == 0 else (theirs, mine)
        self.exchange("mapped")
        return [list(pair) for pair in zip(*order)]


def environment_of(rank: int) -> dict:
    """As torchrun would set it, with both ranks on the first GPU."""
    return {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(WORLD), "LOCAL_RANK": "0"}


def run_both(command: list) -> int:
    """Starts `command --rank R --socket FD` for both ranks; the exit status of the first that
    fails. The other is ended then, since it would wait for ever."""
    ends = socket.socketpair()
    processes = [subprocess.Popen([*command, "--rank", str(rank), "--socket", str(end.fileno())],
                                  pass_fds=[end.fileno()], env=environment_of(rank))
                 for rank, end in enumerate(ends)]
    for end in ends:
        end.close()
    failed = 0
    while any(process.poll() is None for process in processes):
        time.sleep(POLL_S)
        failed = failed or next((process.poll() for process in processes if process.poll()), 0)
        if failed:
            time.sleep(1)  # the other may be about to fail by itself, and say why
            for process in processes:
                process.kill()
                process.wait()
    failed = failed or next((process.poll() for process in processes if process.poll()), 0)
    if failed < 0:
        print(f"a rank was ended by signal {-failed}", file=sys.stderr)
    return abs(failed)
