#!/usr/bin/env python3
"""Where it has nothing to do, the shim creates nothing, prints nothing and changes nothing."""

import ctypes.util
import sys

import scenario
from scenario import Bench, expect

SERVER = "--dim 64 --buckets 1,4 --requests 20 --hang-limit 60"
# Calls CUDA's entry points by name, in a process that has no CUDA library.
ABSENT = """
import ctypes
for name in ("libcudart.so.13", "libcuda.so.1"):
    try:
        ctypes.CDLL(name)
        print("present")
    except OSError:
        print("absent")
launch = ctypes.CDLL(None).cudaGraphLaunch
print("refused" if launch(None, None) != 0 else "succeeded")
"""


def preloaded(bench: Bench, simulated: bool = True, **extra: str) -> dict:
    return bench.environment(simulated, LD_PRELOAD=bench.shim,
                             LAMPLIGHT_DIR=bench.folder / "trace", **extra)


def expect_no_files(bench: Bench) -> None:
    left = [str(path.relative_to(bench.folder)) for path in bench.folder.rglob("*")]
    expect(not left, f"files were created: {left}")


def check_disabled(bench: Bench) -> None:
    plain = bench.serve(SERVER)
    environment = preloaded(bench, LAMPLIGHT_DISABLE="1", LAMPLIGHT_TIMEOUT="nonsense")
    disabled = bench.run([bench.server, *SERVER.split()], 60, environment)
    expect(plain.status == scenario.OK, plain.last_words())
    expect((disabled.status, disabled.output) == (plain.status, plain.output),
           f"{disabled.status} {disabled.output!r}, without the shim {plain.output!r}")
    expect("lamplight" not in disabled.errors, f"stderr: {disabled.errors}")
    expect_no_files(bench)


def check_no_cuda_calls(bench: Bench) -> None:
    script = "import subprocess; print(subprocess.check_output(['sh', '-c', 'echo hi | cat']))"
    for command in (["/bin/true"], ["sh", "-c", "(echo a; echo b) | sort"],
                    [sys.executable, "-c", script]):
        plain = bench.run(command, 30)
        loaded = bench.run(command, 30, preloaded(bench, LAMPLIGHT_MODE="nonsense"))
        expect(loaded == plain, f"{command}: {loaded}, without the shim {plain}")
    expect_no_files(bench)


def check_absent(bench: Bench) -> None:
    if ctypes.util.find_library("cuda"):
        print("this machine has a CUDA driver: not checked")
        sys.exit(77)
    environment = preloaded(bench, simulated=False)
    done = bench.run([sys.executable, "-c", ABSENT], 30, environment)
    expect(done.status == 0, f"ended with {done.status}: {done.last_words()}")
    expect(done.output.split() == ["absent", "absent", "refused"], f"output {done.output!r}")
    expect(not done.errors, f"stderr: {done.errors}")
    expect_no_files(bench)


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        "disabled": check_disabled, "no-cuda-calls": check_no_cuda_calls, "absent": check_absent}))
