#!/usr/bin/env python3
"""The shim in front of dlsym harms nobody: threads that load libraries, fork, or come with another
tool that stands there too; and it knows itself under another name.

Usage: loader.py HOST LATE_LIBRARY OTHER_LIBRARY SHIM SIMULATED_DEVICE_LIBRARIES
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROUNDS = "150"


def run(host: str, arguments: list, preload: str, libraries: str, folder: str, **extra: str):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
    environment |= {"LD_PRELOAD": preload, "LD_LIBRARY_PATH": libraries, "LAMPLIGHT_DIR": folder}
    return subprocess.run([host, *arguments], env=environment | extra, capture_output=True,
                          text=True, timeout=240)


def main() -> int:
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    host, late, other, shim, libraries = sys.argv[1:]
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        renamed = pathlib.Path(folder) / "libtool.so"
        renamed.symlink_to(shim)
        off = {"LAMPLIGHT_DISABLE": "1"}
        for what, arguments, preload, extra, says in (
                ("while a library is loaded", ["load", ROUNDS, late], shim, {}, ""),
                ("while a thread forks", ["fork", ROUNDS], shim, {}, ""),
                ("under another name", ["once"], str(renamed), {}, ""),
                ("ahead of another tool", ["once"], f"{shim}:{other}", {}, "other: cuGetProc"),
                ("behind another tool", ["once"], f"{other}:{shim}", {}, "other: cuGetProc"),
                ("switched off, ahead of another", ["once"], f"{shim}:{other}", off,
                 "other: cuGetProc")):
            done = run(host, arguments, preload, libraries, folder, **extra)
            if done.returncode != 0 or says not in done.stderr:
                problems.append(f"{what}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
    for problem in problems:
        print(f"FAIL {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
