#!/usr/bin/env python3
"""Runs replay_overhead with and without the shim in turn and prints the ratios.

Usage: replay_overhead.py BUILD_DIR [ROUNDS]
Every round runs all, so a drifting clock hits them alike; the figures are medians over rounds. The
program with a CUDA runtime of its own is compared with itself: seen in front of the driver's
functions, and through CUPTI.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

# name: (program, what it is compared with, environment)
VARIANTS = {
    "plain": ("replay_overhead", None, {}),
    "default": ("replay_overhead", "plain", {"LAMPLIGHT_MODE": "default"}),
    "strict": ("replay_overhead", "plain", {"LAMPLIGHT_MODE": "strict"}),
    "journal": ("replay_overhead", "plain", {"LAMPLIGHT_MODE": "journal"}),
    "own": ("replay_overhead_static", None, {}),
    "driver": ("replay_overhead_static", "own", {"LAMPLIGHT_DRIVER": "auto"}),
    "cupti": ("replay_overhead_static", "own", {"LAMPLIGHT_DRIVER": "0", "LAMPLIGHT_CUPTI": "1"}),
}


def run(program, environment):
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit(f"{program}: exit {done.returncode}: {done.stderr.strip()}")
    return {(r["nodes"], r["pdl"]): r for r in map(json.loads, done.stdout.splitlines())}


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    build = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    shim = os.path.join(build, "lib", "liblamplight.so")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
    plain.pop("LD_PRELOAD", None)
    found = {name: os.path.join(build, "bin", variant[0]) for name, variant in VARIANTS.items()}
    programs = {name: path for name, path in found.items() if os.path.exists(path)}
    results = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            for name, program in programs.items():
                _, base, extra = VARIANTS[name]
                traced = {"LD_PRELOAD": shim, "LAMPLIGHT_DIR": os.path.join(folder, f"{name}-{i}")}
                results[name].append(run(program, plain | (traced if base else {}) | extra))
            print(f"round {i + 1} of {rounds}", file=sys.stderr)
    median = lambda name, key, field: statistics.median(r[key][field] for r in results[name])
    print("nodes pdl mode     host ns (ratio to plain or own, difference)   replay us (ratio, difference)")
    for key in sorted(results["plain"][0]):
        for name in programs:
            base = VARIANTS[name][1]
            h, r = median(name, key, "host_ns"), median(name, key, "replay_us")
            line = f"{key[0]:5d} {key[1]:3d} {name:8s} {h:8.0f}"
            if base is None:
                print(f"{line}                              {r:10.3f}")
                continue
            host, replay = median(base, key, "host_ns"), median(base, key, "replay_us")
            print(f"{line} ({h / host:5.3f}, {h - host:+6.0f})"
                  f"             {r:10.3f} ({r / replay:6.4f}, {r - replay:+6.3f})")


if __name__ == "__main__":
    main()
