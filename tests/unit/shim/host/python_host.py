"""A Python server in small: captures one graph and replays it.

usage: python_host.py MODE LATE_CAPTURE_LIBRARY

MODE: released (the CUDA calls release the GIL, as PyTorch's do), held (they keep it), contended
(released, and other threads run Python code), stuck (released, and another thread keeps the GIL
while the capture ends), ending (stuck, several captures, and the process ends as soon as it gets
the GIL).
"""

import ctypes
import sys
import threading
import time

RUNTIME = ctypes.CDLL("libcudart.so.13", mode=ctypes.RTLD_GLOBAL)
# Through the global scope, where a preloaded library stands in front.
RELEASING = ctypes.CDLL(None)
KEEPING = ctypes.PyDLL(None)


def check(status):
    if status != 0:
        sys.exit("CUDA error %d" % status)


def begin_capture(cuda, stream, memory):
    check(cuda.cudaStreamBeginCapture(stream, 1))
    check(RUNTIME.cudaMemsetAsync(memory, 1, ctypes.c_size_t(64), stream))


def capture_model(cuda, stream, memory):
    graph = ctypes.c_void_p()
    begin_capture(cuda, stream, memory)
    check(cuda.cudaStreamEndCapture(stream, ctypes.byref(graph)))  # the capture ends here
    return graph


def keep_gil(after, seconds):
    time.sleep(after)
    KEEPING.usleep(int(seconds * 1e6))


def capture_while_gil_is_kept(library, stream, memory):
    graph, took_ms = ctypes.c_void_p(), ctypes.c_int()
    begin_capture(RELEASING, stream, memory)
    start(keep_gil, 0.1, 1.5)
    late = ctypes.CDLL(library).lamplight_end_capture_late
    check(late(stream, ctypes.byref(graph), 400, ctypes.byref(took_ms)))
    print("took %d" % took_ms.value, file=sys.stderr, flush=True)
    return graph


def end_while_others_want_the_gil(library, stream, memory):
    start(keep_gil, 0.02, 0.35)
    check(ctypes.CDLL(library).lamplight_capture_late(stream, memory, 60, 5))


# CPython before 3.12 may crash where threads still run while the process ends.
OTHERS = []
END = threading.Event()


def start(body, *arguments):
    OTHERS.append(threading.Thread(target=body, args=arguments))
    OTHERS[-1].start()


def spin():
    while not END.is_set():
        sum(range(100))


class Runner:
    def warm_up(self, mode, stream, memory):
        if mode == "contended":
            for _ in range(3):
                start(spin)
        if mode == "stuck":
            return capture_while_gil_is_kept(sys.argv[2], stream, memory)
        return capture_model(KEEPING if mode == "held" else RELEASING, stream, memory)


def replay(graph, stream):
    executable = ctypes.c_void_p()
    check(RELEASING.cudaGraphInstantiate(ctypes.byref(executable), graph, ctypes.c_ulonglong(0)))
    check(RELEASING.cudaGraphLaunch(executable, stream))
    check(RUNTIME.cudaDeviceSynchronize())


def main():
    mode = sys.argv[1]
    stream, memory = ctypes.c_void_p(), ctypes.c_void_p()
    check(RUNTIME.cudaMalloc(ctypes.byref(memory), ctypes.c_size_t(4096)))
    check(RUNTIME.cudaStreamCreateWithFlags(ctypes.byref(stream), 1))
    if mode == "ending":
        end_while_others_want_the_gil(sys.argv[2], stream, memory)
    else:
        replay(Runner().warm_up(mode, stream, memory), stream)
    END.set()
    for other in OTHERS:
        other.join()
    print("done", flush=True)


if __name__ == "__main__":
    main()
