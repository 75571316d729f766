"""A Python process in one of the states that PythonStacks must cope with.

usage: python_child.py MODE LIBRARY RESULT LIMIT_MS TIMES
"""

import ctypes
import sys
import threading
import time


def wait_in_sleep(_):
    time.sleep(60)


def wait_with_gil(_):
    # PyDLL keeps the GIL for the whole call.
    ctypes.PyDLL(None).sleep(60)


def wait_without_gil(_):
    ctypes.CDLL(None).sleep(60)


def wait_in_loop(_):
    while True:
        pass


def descend(depth):
    return depth if depth == 0 else descend(depth - 1)


def wait_among_threads(_):
    def churn():
        while True:
            thread = threading.Thread(target=descend, args=(50,))
            thread.start()
            thread.join()

    for _ in range(4):
        threading.Thread(target=churn, daemon=True).start()
    while True:
        descend(30)


def main():
    mode, library, result, limit_ms, times = sys.argv[1:6]
    state = globals()["wait_" + mode]
    probe = ctypes.CDLL(library)
    probe.lamplight_probe_start(result.encode(), 100, int(limit_ms), int(times))
    state(result)


if __name__ == "__main__":
    main()
