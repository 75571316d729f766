"""Installs the kernels library, builds consumers of its package, and runs them on the simulated device.

usage: package_test.py BUILD CONSUMER CMAKE LIBRARY_PATH WORK TOOLKIT
"""

import os
import pathlib
import shutil
import subprocess
import sys


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} returned {done.returncode}:\n{done.stdout}")
    return done.stdout


def main():
    build, consumer, cmake, library_path, work, toolkit = sys.argv[1:]
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    prefix = work / "prefix"
    run(cmake, "--install", build, "--component", "kernels", "--prefix", prefix)
    run(cmake, "-S", consumer, "-B", work / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCUDAToolkit_ROOT={toolkit}")
    run(cmake, "--build", work / "build")
    environment = dict(os.environ, LD_LIBRARY_PATH=library_path)
    outputs = {run(work / "build" / name, env=environment) for name in ("with_shared", "with_static")}
    assert len(outputs) == 1 and outputs.pop().endswith("bytes\n"), outputs
    engine = run("timeout", "-s", "KILL", "100", work / "build" / "engine", env=environment)
    assert engine == "2 ranks agree\n", engine


main()
