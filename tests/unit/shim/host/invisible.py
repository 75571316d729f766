"""The shim's nodes must be invisible: graph_host prints the same lines with and without it.

Usage: invisible.py HOST SHIM LAMPLIGHT RUNTIME_FOLDER
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def run(host, environment):
    done = subprocess.run([host], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def records(lamplight, trace, kind):
    command = [lamplight, "dump", trace, "--type", kind, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [line["fields"] for line in lines if line["type"] == kind]


def check(host, plain, loaded, lamplight, mode):
    out = loaded["LAMPLIGHT_DIR"]
    without, with_shim = run(host, plain), run(host, loaded)
    if without[0] != 0:
        sys.exit(f"the host alone ends with {without[0]}: {without[2]}")
    if without[:2] != with_shim[:2]:
        sys.exit(f"{out}: differs under the shim:\n{without[1]}---\n{with_shim[1]}{with_shim[2]}")
    traces = [str(path) for path in pathlib.Path(out).glob("*.lamptrace")]
    if len(traces) != 1:
        sys.exit(f"{out}: {len(traces)} traces, expected one: {with_shim[2]}")
    execs = records(lamplight, traces[0], "Exec")
    wanted = {"default": 1, "strict": 2, "journal": 4}[mode]
    if [record["snapshots"] for record in execs] != [wanted, wanted]:
        sys.exit(f"{out}: execs are {execs}, expected {wanted} snapshots in each of two")
    if len(records(lamplight, traces[0], "ExecUpdate")) != 2:
        sys.exit(f"{out}: both updates should be recorded")
    if len(records(lamplight, traces[0], "NodeParams")) != 1:
        sys.exit(f"{out}: the node's new parameters should be recorded")


def main():
    host, shim, lamplight, runtime = sys.argv[1:5]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
    plain["LD_LIBRARY_PATH"] = runtime
    # In front of the runtime, or called by the driver beneath it and by nothing else.
    sources = {"preload": {"LD_PRELOAD": shim},
               "cupti": {"CUDA_INJECTION64_PATH": shim, "LAMPLIGHT_CUPTI": "1"}}
    with tempfile.TemporaryDirectory() as folder:
        for source, variables in sources.items():
            for mode in ("default", "strict", "journal"):
                out = os.path.join(folder, f"{source}-{mode}")
                check(host, plain, dict(plain, **variables, LAMPLIGHT_DIR=out, LAMPLIGHT_MODE=mode),
                      lamplight, mode)
    print("the same output in all modes, and the shim's nodes were there")


if __name__ == "__main__":
    main()
