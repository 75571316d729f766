#!/usr/bin/env python3
"""LAMPLIGHT_SWAP: the fixed kernels run in the place of the server's, and the incident does not happen."""

import dataclasses
import functools
import os
import re
import sys
import time

import scenario
from scenario import Bench, expect

WORKLOAD = "--dim 64 --requests 60 --buckets 1,4,8 --hang-limit 8 --verify "
POISON = "--payload subnormal "
TIMEOUT_S = 2
ADVANCES = 1  # kCallAdvances
NODE, HEAD = 2, 1  # SnapshotPlace


@dataclasses.dataclass(frozen=True)
class Swapped:
    arguments: str
    kernels: tuple = ()  # of ours that must have run, by the start of their names
    swap: str = "1"
    swapping: int = 2  # processes in which kernels were swapped
    status: int = scenario.OK
    hazard: str = ""
    mode: str = "default"


ONE_SHOT = ("lamplight_oneshot_mnnvl_bf16",)
PAIR = ("lamplight_sends_mnnvl_bf16", "lamplight_norm_mnnvl_bf16")
CASES = {
    "incident": Swapped("--kernel legacy " + POISON, ONE_SHOT),
    "incident-twoshot": Swapped("--kernel legacy --algorithm twoshot " + POISON, PAIR),
    "incident-world4": Swapped("--world 4 --kernel legacy --poison-rank 2 " + POISON, ONE_SHOT,
                               swapping=4),
    "zero-sum": Swapped("--kernel legacy --algorithm twoshot --payload negative-zero-sum", PAIR),
    "newer-kernels": Swapped("--kernel good --algorithm auto " + POISON, ONE_SHOT),
    "strict": Swapped("--kernel legacy " + POISON, ONE_SHOT, mode="strict"),
    "one-rank-of-two": Swapped("--kernel legacy", ONE_SHOT, swap="ranks:1", swapping=1),
    "one-rank-twoshot": Swapped("--kernel good --algorithm twoshot", PAIR, swap="ranks:0",
                                swapping=1),
    "host-stall": Swapped("--kernel legacy --fault host-stall", ONE_SHOT, status=scenario.HANG,
                          hazard="C16"),
    "diverge": Swapped("--kernel legacy --fault diverge", ONE_SHOT, status=scenario.HANG,
                       hazard="C10"),
    "skip": Swapped("--kernel legacy --fault skip", ONE_SHOT, status=scenario.HANG, hazard="C10"),
}


def check_swapped(case: Swapped, report: dict) -> None:
    pids = {swap["pid"] for swap in report["swaps"] if swap["by"]}
    expect(len(pids) == case.swapping, f"swapped in {len(pids)} processes: {report['swaps']}")
    refused = [swap for swap in report["swaps"] if not swap["by"]]
    expect(not refused, f"refused: {refused}")
    for start in case.kernels:
        expect(any(swap["by"].startswith(start) for swap in report["swaps"]),
               f"no {start} in {report['swaps']}")


def check_case(name: str, bench: Bench) -> None:
    case = CASES[name]
    trace = bench.folder / "trace"
    done = bench.serve_traced(WORKLOAD + case.arguments, trace, TIMEOUT_S, case.mode,
                              LAMPLIGHT_SWAP=case.swap)
    expect(done.status == case.status,
           f"the server ended with {done.status}, expected {case.status}: {done.last_words()}")
    report = bench.report(trace)
    check_swapped(case, report)
    found = {finding["hazard"] for finding in report["findings"]}
    expect(found == ({case.hazard} if case.hazard else set()), f"findings {sorted(found)}")
    if case.status == scenario.HANG:
        # The kernel itself says for whom it waits, while it waits.
        waits = re.search(r"rank \d+ waits for rank \d+ since ([0-9.]+) s: token \d+", done.errors)
        expect(waits, f"the swapped kernel did not report its wait: {done.errors[-800:]}")
        expect(float(waits.group(1)) <= 2 * TIMEOUT_S, f"after {waits.group(1)} s")


def check_journal(bench: Bench) -> None:
    """Every swapped node that moves the flags on leaves a snapshot itself, in every replay."""
    trace = bench.folder / "trace"
    done = bench.serve_traced(WORKLOAD + "--kernel legacy --algorithm twoshot", trace, TIMEOUT_S,
                              "journal", LAMPLIGHT_SWAP="1")
    expect(done.status == scenario.OK, f"the server ended with {done.status}: {done.last_words()}")
    for file in trace.glob("*.lamptrace"):
        lamport = {graph["graph_id"]: {node["node"] for node in bench.records(file, "Node")
                                       if node["graph_id"] == graph["graph_id"]
                                       and node["call"]["flags"] & ADVANCES}
                   for graph in bench.records(file, "Graph")}
        graph_of = {e["exec_id"]: e["graph_id"] for e in bench.records(file, "Exec")}
        launches = [launch for launch in bench.records(file, "GraphLaunch")
                    if launch["status"] == 0]
        wanted = sorted((launch["exec_id"], launch["replay"], node) for launch in launches
                        for node in lamport[graph_of[launch["exec_id"]]])
        snapshots = bench.records(file, "Snapshot")
        got = sorted((s["exec_id"], s["replay"], s["node"]) for s in snapshots
                     if s["place"] == NODE and s["node"] in lamport[graph_of[s["exec_id"]]])
        expect(wanted and got == wanted, f"snapshots {got[:20]}, expected {wanted[:20]}")
        expect({s["place"] for s in snapshots} == {NODE, HEAD}, "snapshots of other places")
        eager = bench.records(file, "EagerSnapshot")
        ended = [e["op"] for e in bench.records(file, "EagerLaunch")
                 if e["call"]["flags"] & ADVANCES]
        expect(ended and [s["op"] for s in eager] == ended, f"eager snapshots {eager}")


def check_trace_lost(bench: Bench) -> None:
    """When the recording ends, eager launches do not go back to the kernel that hangs."""
    trace = bench.folder / "trace"
    arguments = ("--dim 64 --requests 1500 --buckets 1,4,8 --hang-limit 8 --kernel legacy "
                 "--eager-percent 100 --payload subnormal --poison-request 1400")
    server = bench.start([bench.server, *arguments.split()],
                         bench.environment(LD_PRELOAD=bench.shim, LAMPLIGHT_DIR=trace,
                                           LAMPLIGHT_SWAP="1"))
    while server.poll() is None and len(list(trace.glob("*.lamptrace"))) < 2:
        time.sleep(0.01)
    time.sleep(0.3)
    for file in trace.glob("*.lamptrace"):
        os.truncate(file, 0)
    output, errors = server.communicate(timeout=90)
    expect(errors.count("on the kernels swapped in") == 2, f"lines of the end: {errors[-800:]}")
    expect(server.returncode == scenario.OK, f"the server ended with {server.returncode}: {errors}")


def check_refused(bench: Bench) -> None:
    """A kernel that is nobody's we know keeps running, with one line that says why."""
    trace = bench.folder / "trace"
    servers = scenario.pathlib.Path(__file__).resolve().parents[1] / "servers"
    arguments = WORKLOAD.replace("--verify", "") + "--kernel baked-index"
    done = bench.serve_traced(arguments, trace, TIMEOUT_S, LAMPLIGHT_SWAP="1",
                              LAMPLIGHT_ABI=servers / "baked_index.abi.json")
    expect(done.status == scenario.OK, f"the server ended with {done.status}: {done.last_words()}")
    expect(done.errors.count("not swapped: ") == 2, f"one line for each rank: {done.errors}")
    expect(all(not swap["by"] and swap["reason"] for swap in bench.report(trace)["swaps"]),
           "the report does not name the refusal")


def check_bad_value(bench: Bench) -> None:
    done = bench.serve_traced(WORKLOAD + "--kernel good", bench.folder / "trace", TIMEOUT_S,
                              LAMPLIGHT_SWAP="yes")
    expect("LAMPLIGHT_SWAP" in done.errors and "yes" in done.errors,
           f"the bad value was not named: {done.errors}")
    expect(not bench.report(bench.folder / "trace")["swaps"], "something was swapped")


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        name: functools.partial(check_case, name) for name in CASES
    } | {"journal": check_journal, "trace-lost": check_trace_lost, "refused": check_refused,
         "bad-value": check_bad_value}))
