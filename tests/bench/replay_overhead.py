#!/usr/bin/env python3
"""Runs replay_overhead with and without the shim in turn and prints the ratios.

Usage: replay_overhead.py BUILD_DIR [ROUNDS]
Every round runs both, so a drifting clock hits both alike; the figures are medians over rounds.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile


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
    program = os.path.join(build, "bin", "replay_overhead")
    shim = os.path.join(build, "lib", "liblamplight.so")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
    plain.pop("LD_PRELOAD", None)
    modes = ["default", "strict", "journal"]
    results = {name: [] for name in ["plain"] + modes}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            results["plain"].append(run(program, plain))
            for mode in modes:
                loaded = dict(plain, LD_PRELOAD=shim, LAMPLIGHT_MODE=mode,
                              LAMPLIGHT_DIR=os.path.join(folder, f"{mode}-{i}"))
                results[mode].append(run(program, loaded))
            print(f"round {i + 1} of {rounds}", file=sys.stderr)
    median = lambda runs, key, field: statistics.median(r[key][field] for r in runs)
    print("nodes pdl mode     host ns (ratio to plain, difference)   replay us (ratio, difference)")
    for key in sorted(results["plain"][0]):
        host = median(results["plain"], key, "host_ns")
        replay = median(results["plain"], key, "replay_us")
        print(f"{key[0]:5d} {key[1]:3d} plain    {host:8.0f}                       {replay:10.3f}")
        for mode in modes:
            h = median(results[mode], key, "host_ns")
            r = median(results[mode], key, "replay_us")
            print(f"{key[0]:5d} {key[1]:3d} {mode:8s} {h:8.0f} ({h / host:5.3f}, {h - host:+6.0f})"
                  f"      {r:10.3f} ({r / replay:6.4f}, {r - replay:+6.3f})")


if __name__ == "__main__":
    main()
