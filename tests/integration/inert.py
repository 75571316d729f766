#!/usr/bin/env python3
"""Where it has nothing to do, the shim creates nothing, prints nothing and changes nothing."""

import sys

import scenario
from scenario import Bench, expect

SERVER = "--dim 64 --buckets 1,4 --requests 20 --hang-limit 60"
# Looks for CUDA's libraries, as programs do that can also run without.
LOOK = """
import ctypes
for name in ("libcudart.so.13", "libcudart.so.12", "libcuda.so.1"):
    try:
        ctypes.CDLL(name)
        print("present")
    except OSError:
        print("absent")
"""
# Calls one of its entry points all the same: only the shim has it.
CALL = """
import ctypes
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
    plain = bench.run([sys.executable, "-c", LOOK], 30, bench.environment(simulated=False))
    if "present" in plain.output:
        raise scenario.Skip("this machine has CUDA's libraries on the loader's path")
    environment = preloaded(bench, simulated=False)
    for script, output in ((LOOK, plain.output), (CALL, "refused\n")):
        done = bench.run([sys.executable, "-c", script], 30, environment)
        expect(done == scenario.Outcome(0, output, ""), f"{done}, expected {output!r}")
    expect_no_files(bench)


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        "disabled": check_disabled, "no-cuda-calls": check_no_cuda_calls, "absent": check_absent}))
