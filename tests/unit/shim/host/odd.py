"""Hosts that do odd things end as they do without the shim, with the same output.

usage: odd.py HOST FRONT_TOOL RUNTIMES_HOST USER_12 USER_13 SHIM LAMPLIGHT RUNTIME_FOLDER
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile


def run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return (done.returncode, done.stdout), done.stderr


def same(command, plain, loaded):
    """Returns what the shim has said meanwhile."""
    without, errors = run(command, plain)
    if without[0] != 0:
        sys.exit(f"{command} alone ends with {without}: {errors}")
    with_shim, errors = run(command, loaded)
    if without != with_shim:
        sys.exit(f"{command} differs under the shim:\n{without}\n---\n{with_shim}\n{errors}")
    return errors


def capture_ends(lamplight, folder):
    (trace,) = pathlib.Path(folder).glob("*.lamptrace")
    command = [lamplight, "dump", trace, "--type", "CaptureEnd", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [line["fields"]["status"] for line in lines if line["type"] == "CaptureEnd"]


def main():
    host, tool, runtimes, user_12, user_13, shim, lamplight, runtime = sys.argv[1:9]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
    plain["LD_LIBRARY_PATH"] = runtime
    for mode in ("cancel", "nested", "wrong-thread", "plain"):
        with tempfile.TemporaryDirectory() as folder:
            loaded = dict(plain, LD_PRELOAD=shim, LAMPLIGHT_DIR=folder, LAMPLIGHT_TIMEOUT="1")
            errors = same([host, mode], plain, loaded)
            if mode == "wrong-thread" and capture_ends(lamplight, folder) != [0]:
                sys.exit(f"ends of captures: {capture_ends(lamplight, folder)}")
            if errors:
                sys.exit(f"{mode}: the shim says: {errors}")
        print(mode, "ok")
    with tempfile.TemporaryDirectory() as folder:
        loaded = dict(plain, LD_PRELOAD=f"{tool} {shim}", LAMPLIGHT_DIR=folder)
        same([host, "plain"], dict(plain, LD_PRELOAD=tool), loaded)
        print("a tool in front ok")
        loaded["LD_PRELOAD"] = shim
        for users in ([user_12], [user_12, user_13], [user_13, user_12]):
            errors = same([runtimes, *users], plain, loaded)
            if errors.count("are in one process") != len(users) - 1:
                sys.exit(f"{users}: the shim says: {errors}")
        print("runtimes ok")


if __name__ == "__main__":
    main()
