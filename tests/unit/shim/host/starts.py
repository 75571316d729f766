"""The shim's start at the worst moments does no harm to the host.

usage: starts.py HOST FEW_THREADS_LIBRARY SHIM RUNTIME_FOLDER
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

THREADS = 3  # of the shim's: drain, probe, watchdog


def environment(runtime, folder, **extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
    return dict(kept, LD_LIBRARY_PATH=runtime, LAMPLIGHT_DIR=folder, PYTHONDONTWRITEBYTECODE="1",
                **extra)


def check_no_threads(host, library, shim, runtime, folder):
    """Whichever of the shim's threads cannot be started: the host goes on without the shim."""
    plain = subprocess.run([host], env=environment(runtime, folder), capture_output=True, text=True,
                           timeout=60)
    for allowed in range(THREADS + 1):
        done = subprocess.run(
            [host], capture_output=True, text=True, timeout=60,
            env=environment(runtime, folder, LD_PRELOAD=f"{library} {shim}",
                            LAMPLIGHT_TEST_THREADS=str(allowed)))
        if (done.returncode, done.stdout) != (plain.returncode, plain.stdout):
            sys.exit(f"{allowed} threads: the host ended with {done.returncode}: {done.stderr}")
        off = done.stderr.count("off: ")
        if off != (allowed < THREADS):
            sys.exit(f"{allowed} threads: {off} lines say that the shim is off: {done.stderr}")


def check_fork(host, library, shim, runtime, folder):
    """A child that is forked while another thread starts the shim does not wait for that thread."""
    fifo = os.path.join(folder, "abi.json")
    os.mkfifo(fifo)
    done = subprocess.run([sys.executable, __file__, "forks", fifo], capture_output=True, text=True,
                          timeout=60, env=environment(runtime, folder, LD_PRELOAD=shim,
                                                      LAMPLIGHT_ABI=fifo))
    if done.returncode != 0 or "the child has answered" not in done.stdout:
        sys.exit(f"fork: {done.returncode}: {done.stdout}{done.stderr}")


def forks(fifo):
    """The host of check_fork: its first call stands still in the shim's start, at the fifo."""
    ctypes.CDLL("libcudart.so.13", mode=ctypes.RTLD_GLOBAL)
    cuda = ctypes.CDLL(None)

    def first_call():
        return cuda.cudaStreamBeginCapture(None, 1)  # refused: the legacy stream

    starter = threading.Thread(target=first_call)
    starter.start()
    time.sleep(0.5)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        first_call()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not starter.is_alive():
        sys.exit("the start did not stand still")
    with open(fifo, "w") as file:
        file.write("{}")
    starter.join()
    if status == 0:
        print("the child has answered", flush=True)


def main():
    if sys.argv[1] == "forks":
        return forks(sys.argv[2])
    for check in (check_no_threads, check_fork):
        with tempfile.TemporaryDirectory() as folder:
            check(*sys.argv[1:5], folder)
        print(check.__name__, "ok")


if __name__ == "__main__":
    main()
