#!/usr/bin/env python3
"""Checks one configuration of a protocol model with spin and prints states, time and verdict.

Succeeds when the verdict is the expected one: `clean` after an exhaustive search, or the property
that a mutation breaks, whose shortest or first trace is then printed. One process, no state kept.
"""

import argparse
import dataclasses
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
MEMORY_MIB = 2000
TRACE_LINES = 60
PROPERTIES = {
    "deadlock": "no deadlock: every call of every rank ends",
    "stale_read": "no stale read: a call takes exactly what was sent for it",
    "lost_update": "no lost update: index and epoch follow the calls",
    "residue": "no residue: no arrivals are left when a call is over",
    "unreported": "every residue of arrivals is reported",
    "overtaken": "a place is free of stores on their way when the next one is sent",
}


@dataclasses.dataclass
class Search:
    """What the verifier said."""
    verdict: str
    states: int
    transitions: int
    depth: int
    memory_mib: float
    seconds: float = 0.0


class ModelError(Exception):
    """The search could not be done, or says nothing."""


def run(command: list, folder: pathlib.Path, seconds: int) -> str:
    try:
        done = subprocess.run(command, cwd=folder, timeout=seconds, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        raise ModelError(f"`{command[0]}` took more than {seconds} s: choose a smaller "
                         "configuration, or raise --seconds") from None
    if done.returncode != 0 and not command[0].endswith("pan"):
        raise ModelError(f"`{' '.join(command)}` failed:\n{done.stdout}")
    return done.stdout


def call_defines(calls: str) -> list:
    """'o1,t2' (one-shot of one token, two-shot of two) as the model's bits; nothing for 'any'."""
    if calls == "any":
        return []
    bits = 0
    parts = calls.split(",")
    for number, call in enumerate(parts):
        if not re.fullmatch("[ot][12]", call):
            raise ModelError(f"call '{call}' of '{calls}' is none of o1, o2, t1, t2")
        bits |= ((call[0] == "t") * 2 + (call[1] == "2")) << (2 * number)
    return [f"-DCALLS={bits}", f"-DCALLS_LENGTH={len(parts)}"]


def number_after(pattern: str, output: str) -> float:
    """The group of `pattern`; spin writes large counts as 1.2e+08."""
    found = re.search(pattern, output)
    if not found:
        raise ModelError(f"no '{pattern}' in what the verifier says:\n{output}")
    return float(found[1])


def verdict_of(output: str) -> str:
    for complaint in ("max search depth too small", "reached -DMEMLIM bound", "out of memory",
                      "VECTORSZ"):
        if complaint in output:
            raise ModelError(f"the search is not exhaustive ({complaint}):\n{output}")
    violated = re.search(r"assertion violated .*?\(?\s*(\w+)\s*\)? \(at depth", output)
    if violated:
        return violated[1]
    if re.search(r"pan:\d+: invalid end state", output):
        return "deadlock"
    if number_after(r"errors: (\d+)", output) != 0 or "not completed" in output:
        raise ModelError(f"an error without a name:\n{output}")
    return "clean"


def read_search(output: str) -> Search:
    return Search(verdict_of(output), int(number_after(r"([\d.e+]+) states, stored", output)),
                  int(number_after(r"([\d.e+]+) transitions", output)),
                  int(number_after(r"depth reached (\d+)", output)),
                  number_after(r"([\d.]+)\s+total actual memory", output))


def end_states(output: str) -> list:
    """Where each block stands at the end of a trail, by its rank and block."""
    names = dict(re.findall(r"process (\d+) is (rank .*)", output))
    ends = []
    for process, file, line in re.findall(r"proc\s+(\d+) \(Block:\d+\) (\w+\.pml):(\d+)", output):
        source = (FOLDER / file).read_text().splitlines()[int(line) - 1].strip()
        ends.append(f"{names.get(process, process)}: {file}:{line}: {source}")
    return ends


def print_trace(options, defines: list, folder: pathlib.Path) -> None:
    output = run(["spin", "-t", "-T", *defines, f"{options.model}.pml"], folder, 60)
    steps = [line.strip() for line in output.splitlines() if line.strip().startswith("rank ")]
    print(f"the trace, {len(steps)} steps:")
    if len(steps) > TRACE_LINES:
        print(f"  ({len(steps) - TRACE_LINES} steps before these)")
    for step in steps[-TRACE_LINES:]:
        print(f"  {step}")
    print("where the blocks stand at its end:")
    for end in sorted(end_states(output)):
        print(f"  {end}")


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def search(options, defines: list, folder: pathlib.Path) -> Search:
    for source in FOLDER.glob("*.pml"):
        shutil.copy(source, folder)
    run(["spin", "-a", *defines, f"{options.model}.pml"], folder, 60)
    # A small search is over so soon that optimising costs more than it saves.
    flags = ["-O2"] if options.hash_bits > 20 else ["-O0"]
    breadth_first = options.expect != "clean" and not options.depth_first
    flags += ["-DBFS"] if breadth_first else []
    run(["gcc", *flags, "-w", "-DSAFETY", "-DNOFAIR", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", "-o",
         "pan", "pan.c"], folder, 120)
    before = cpu_seconds()
    found = read_search(run(["./pan", f"-m{options.depth}", f"-w{options.hash_bits}"], folder,
                            options.seconds))
    found.seconds = cpu_seconds() - before
    return found


def check(options) -> bool:
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if missing:
        raise ModelError(f"{' and '.join(missing)} not found: install it (Debian and Ubuntu: "
                         f"apt-get install {' '.join(missing)}); ./dev test does so by itself")
    defines = call_defines(options.calls) + [f"-D{define}" for define in options.defines]
    print(f"{options.model}.pml, calls {options.calls}, {' '.join(options.defines)}")
    with tempfile.TemporaryDirectory(prefix="lamplight-model-") as name:
        folder = pathlib.Path(name)
        found = search(options, defines, folder)
        extent = "all interleavings" if found.verdict == "clean" else "up to the first error"
        print(f"{found.states} states, {found.transitions} transitions, depth {found.depth} "
              f"({extent}); {found.memory_mib:.0f} MiB, {found.seconds:.1f} s of CPU")
        broken = PROPERTIES.get(found.verdict, "no property is broken")
        print(f"verdict: {found.verdict} ({broken}); expected: {options.expect}")
        if found.verdict != "clean":
            print_trace(options, defines, folder)
    return found.verdict == options.expect


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["compatible", "epoch"])
    parser.add_argument("defines", nargs="*", metavar="NAME[=VALUE]", help="switches of the model")
    parser.add_argument("--expect", default="clean", choices=["clean", *PROPERTIES])
    parser.add_argument("--calls", default="any", help="o1,t2,…: the sequence, repeated; or any")
    parser.add_argument("--depth-first", action="store_true",
                        help="look for a mutation's error depth first: sooner found, longer trace")
    parser.add_argument("--depth", type=int, default=100_000, help="longest path of the search")
    parser.add_argument("--hash-bits", type=int, default=20, help="log2 of the hash table's size")
    parser.add_argument("--seconds", type=int, default=580, help="limit of the search")
    try:
        return 0 if check(parser.parse_intermixed_args()) else 1
    except ModelError as error:
        print(f"check_model.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
