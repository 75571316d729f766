#!/usr/bin/env python3
"""An engine that links the kernels library: its kernels journal, and their evidence names places."""

import dataclasses
import functools
import itertools
import sys

import scenario
from scenario import Bench, expect

TIMEOUT_S = 1
CALLS = 4  # in one graph, as engine_host has it
WORDS = {"mnnvl": 9, "epoch": 4}
NODE, HEAD, TAIL = 2, 1, 0  # SnapshotPlace
MARKS = 32  # kCallMarks


class Run:
    """engine_host under the shim, its report, and the records of each process."""

    def __init__(self, bench: Bench, words: str, expected_status: int = scenario.OK,
                 mode: str = "default", **extra: str):
        folder = bench.folder / "trace"
        command = [bench.lamplight, "run", "--out", folder, "--timeout", TIMEOUT_S,
                   "--mode", mode, "--", bench.build / "bin" / "engine_host", *words.split()]
        done = bench.run(command, 90, bench.environment(**extra))
        expect(done.status == expected_status,
               f"engine_host ended with {done.status}: {done.last_words()}")
        self.errors = done.errors
        self.traces = sorted(folder.glob("*.lamptrace"))
        self.report = bench.report(folder)

    def clean(self) -> "Run":
        expect(self.report["verdict"] == "clean", f"findings: {self.report['findings']}")
        return self

    def finding(self, hazard: str) -> dict:
        found = [finding["hazard"] for finding in self.report["findings"]]
        expect(found == [hazard], f"findings {found}: {self.report['findings']}; {self.errors}")
        return self.report["findings"][0]


def told(bench: Bench, trace) -> list:
    """The snapshots that nodes have left. journal mode adds a node ahead of the first, and no more."""
    snapshots = bench.records(trace, "Snapshot")
    expect({s["place"] for s in snapshots} == {NODE, HEAD}, "snapshots of other places")
    return [s for s in snapshots if s["place"] == NODE]


def places(snapshots: list) -> list:
    return sorted((s["exec_id"], s["replay"], s["node"]) for s in snapshots)


def every(replays: dict, nodes: list) -> list:
    """All nodes in replays 1 to n of each exec."""
    return sorted((exec_id, replay + 1, node) for exec_id, count in replays.items()
                  for replay, node in itertools.product(range(count), nodes))


def check_index_moves(protocol: str, snapshots: list, eager: list) -> None:
    """Each call left the flags as it moved them: one step on from the call before."""
    steps = [s["word"][0] for s in sorted(snapshots + eager, key=lambda s: s["gpu_ns"])]
    # Epoch: whole calls, of 65536 shares each.
    wanted = [(n + 1) << 16 if protocol == "epoch" else (n + 1) % 3 for n in range(len(steps))]
    expect(steps == wanted, f"the words move {steps}, expected {wanted}")
    expect(all(s["words"] == WORDS[protocol] for s in snapshots + eager), "the count of words")


def check_journal(protocol: str, algorithm: str, bench: Bench) -> None:
    run = Run(bench, f"healthy {protocol} {algorithm} 2", mode="journal").clean()
    for trace in run.traces:
        execs = bench.records(trace, "Exec")
        expect([e["snapshots"] for e in execs] == [CALLS + 1] * 3, f"execs {execs}")
        snapshots = told(bench, trace)
        expect(places(snapshots) == every({1: 6, 2: 4, 3: 2}, list(range(CALLS))),
               f"snapshots {places(snapshots)}")
        eager = bench.records(trace, "EagerSnapshot")
        expect([s["op"] for s in eager] == [0, 1, 2], f"eager snapshots {eager}")
        check_index_moves(protocol, snapshots, eager)


def check_default(bench: Bench) -> None:
    """A replay is told at its end; what its nodes leave is read at a hang only."""
    run = Run(bench, "healthy epoch one-shot 2").clean()
    for trace in run.traces:
        execs = bench.records(trace, "Exec")
        expect([e["snapshots"] for e in execs] == [CALLS + 1] * 3, f"execs {execs}")
        snapshots = bench.records(trace, "Snapshot")
        expect({s["place"] for s in snapshots} == {TAIL}, "snapshots of other places")
        got = places(snapshots)
        expect(got == every({1: 6, 2: 4, 3: 2}, [CALLS - 1]), f"snapshots {got}")
        calls = [n["call"] for n in bench.records(trace, "Node") if n["call"]["kernel_id"] != 0]
        expect(all(call["flags"] & MARKS for call in calls), f"calls without a mark: {calls}")
        expect(not bench.records(trace, "Mark"), "marks were read without a hang")


def check_off(bench: Bench) -> None:
    run = Run(bench, "healthy mnnvl one-shot 2", LAMPLIGHT_JOURNAL="0").clean()
    for trace in run.traces:
        snapshots = bench.records(trace, "Snapshot")
        expect({s["place"] for s in snapshots} == {TAIL}, "LAMPLIGHT_JOURNAL=0: a node's snapshot")
        expect(len(snapshots) == 12, f"{len(snapshots)} tail snapshots, expected 12")
        expect(not bench.records(trace, "EagerSnapshot"), "LAMPLIGHT_JOURNAL=0: an eager snapshot")


def check_update(bench: Bench) -> None:
    run = Run(bench, "update mnnvl one-shot 2", mode="journal").clean()
    for trace in run.traces:
        got = places(told(bench, trace))
        expect(got == every({1: 8}, list(range(CALLS))), f"snapshots {got}")


def check_child(bench: Bench) -> None:
    """Node 1 is the child graph; its nodes come behind the outer graph's own."""
    run = Run(bench, "child mnnvl two-shot 2", mode="journal").clean()
    for trace in run.traces:
        got = places(told(bench, trace))
        expect(got == every({1: 3}, [0, 2, 3, 4]), f"snapshots {got}")


def check_disable(bench: Bench) -> None:
    """What a node counts that does not run in every replay is no replay: it is left out."""
    run = Run(bench, "disable mnnvl one-shot 2", mode="journal").clean()
    for trace in run.traces:
        got = places(told(bench, trace))
        expect(got == sorted(every({1: 6}, [0, 2, 3]) + every({1: 2}, [1])), f"snapshots {got}")


def check_disable_all(bench: Bench) -> None:
    """Nothing is read for replays without a call: the workspace may be gone."""
    run = Run(bench, "disable-all mnnvl one-shot 2").clean()
    for trace in run.traces:
        replays = [s["replay"] for s in bench.records(trace, "Snapshot")]
        expect(replays == [1, 2, 4, 5], f"snapshots of replays {replays}")


def check_move(mode: str, bench: Bench) -> None:
    """Snapshots follow the calls to another workspace."""
    run = Run(bench, "move mnnvl one-shot 2", mode=mode).clean()
    for trace in run.traces:
        first, second = [w["workspace_id"] for w in bench.records(trace, "Workspace")]
        of_nodes = [s for s in bench.records(trace, "Snapshot") if s["place"] in (TAIL, HEAD)]
        got = [(s["replay"], s["workspace_id"]) for s in of_nodes]
        wanted = list(zip(range(1, 6), [first, first, second, second, second]))
        expect(got == wanted, f"snapshots of {got}, expected {wanted}")


def check_exchange_child(bench: Bench) -> None:
    """Nothing is read for an exec whose child graph is another one."""
    run = Run(bench, "exchange-child mnnvl one-shot 2").clean()
    for trace in run.traces:
        replays = [s["replay"] for s in bench.records(trace, "Snapshot")]
        expect(replays == [1, 2], f"snapshots of replays {replays}")


def check_lose_trace(bench: Bench) -> None:
    """Without a trace the host's execs keep our nodes, and can be updated as before."""
    folder = bench.folder / "trace"
    done = bench.run([bench.build / "bin" / "engine_host", *"lose-trace mnnvl one-shot 2".split()], 90,
                     bench.environment(LD_PRELOAD=bench.shim, LAMPLIGHT_DIR=folder))
    expect(done.status == 0, f"engine_host ended with {done.status}: {done.last_words()}")
    expect(done.errors.count("off: somebody shortened the trace file") == 2, done.errors)


def check_two_devices(bench: Bench) -> None:
    """The second device is ready when its half is launched: behind the first half nothing loads."""
    folder = bench.folder / "trace"
    done = bench.run([bench.build / "bin" / "two_devices_host"], 60,
                     bench.environment(LD_PRELOAD=bench.shim, LAMPLIGHT_DIR=folder,
                                       LAMPLIGHT_SIM_DEVICES="2", LAMPLIGHT_SIM_LAZY_LOADING="1"))
    expect((done.status, done.output) == (0, "done\n"),
           f"two_devices_host ended with {done.status}: {done.last_words()}")
    (trace,) = folder.glob("*.lamptrace")
    devices = sorted(d["device_id"] for d in bench.records(trace, "Device"))
    expect(devices == [0, 1], f"devices {devices}")


def check_green(mode: str, bench: Bench) -> None:
    """A green context shares its device's memory: its nodes have marks, and the device is one."""
    run = Run(bench, f"{mode} epoch one-shot 2").clean()
    for trace in run.traces:
        expect(len(bench.records(trace, "Device")) == 1, "a green context passed for a device")
        calls = [n["call"] for n in bench.records(trace, "Node") if n["call"]["kernel_id"] != 0]
        expect(len(calls) == CALLS, f"calls {calls}")
        expect(all(call["flags"] & MARKS for call in calls), f"calls without a mark: {calls}")
        got = places(bench.records(trace, "Snapshot"))
        expect(got == every({1: 6}, [CALLS - 1]), f"snapshots {got}")
        eager = bench.records(trace, "EagerSnapshot")
        expect([s["op"] for s in eager] == [0, 1, 2], f"eager snapshots {eager}")


@dataclasses.dataclass(frozen=True)
class Stop:
    arguments: str
    operation: int  # that rank 0 hangs in
    node: object  # None: an eager call
    last: dict  # rank → (exec, replay, node) that it finished last
    side_channel: str = ""  # LAMPLIGHT_SIM_SIDE_CHANNEL
    slots: tuple = ()  # (peer, stage, token) of rank 0's slots where words are absent


INSIDE = {0: (1, 3, 1), 1: (2, 1, 1)}
STOPS = {
    "stop-inside": Stop("stop-inside mnnvl one-shot 2", 10, 2, INSIDE),
    "stop-inside-twoshot": Stop("stop-inside mnnvl two-shot 2", 10, 2, INSIDE),
    "stop-inside-world4": Stop("stop-inside mnnvl one-shot 4", 10, 2,
                               {0: (1, 3, 1), 1: (2, 1, 1), 2: (1, 3, 1), 3: (1, 3, 1)}),
    # More calls in graphs that are gone than there are marks for, and then the same.
    "recapture": Stop("recapture mnnvl one-shot 2", 64 * 352 * 3 + 10, 2,
                      {0: (1057, 3, 1), 1: (1058, 1, 1)}),
    "stop-eager": Stop("stop-eager mnnvl one-shot 2", 3, None,
                       {0: (None, None, None), 1: (None, None, None)}),
    "stop-inside-epoch": Stop("stop-inside epoch one-shot 2", 10, 2, INSIDE,
                              slots=tuple((1, 0, token) for token in range(5))),
    # The stuck call is the smallest of the graph: what ranks 2 and 3 have sent of it has come.
    "stop-sizes-epoch": Stop("stop-sizes epoch one-shot 4", 10, 2,
                             {0: (1, 3, 1), 1: (2, 1, 1), 2: (1, 3, 1), 3: (1, 3, 1)},
                             slots=((1, 0, 0), (1, 0, 1), (1, 0, 2))),
    # Rank 0 owns tokens 0 and 4; it awaits the sums of the others, and rank 1's share of its own.
    "stop-inside-epoch-twoshot": Stop("stop-inside epoch two-shot 4", 10, 2,
                                      {0: (1, 3, 1), 1: (2, 1, 1), 2: (1, 3, 1), 3: (1, 3, 1)},
                                      slots=((1, 0, 0), (1, 0, 4))),
    "stop-eager-epoch": Stop("stop-eager epoch two-shot 2", 3, None,
                             {0: (None, None, None), 1: (None, None, None)}),
    "unreadable-epoch": Stop("stop-inside epoch one-shot 2", 10, 2, INSIDE, side_channel="fail"),
    "unreadable": Stop("stop-inside mnnvl one-shot 2", 10, 2, INSIDE, side_channel="fail"),
    "unreadable-blocked": Stop("stop-inside mnnvl one-shot 2", 10, 2, INSIDE,
                               side_channel="block"),
}


def check_last_finished(stop: Stop, finding: dict) -> None:
    last = {call["rank"]: (call["exec"], call["replay"], call["node"]["position"])
            for call in finding["last_finished"]}
    expect(last == stop.last, f"last to finish {last}, expected {stop.last}")
    operations = {call["operation"] for call in finding["last_finished"]}
    expect(operations == {stop.operation - 1}, f"last operations {operations}")


def check_stop(name: str, bench: Bench) -> None:
    stop = STOPS[name]
    extra = {"LAMPLIGHT_SIM_SIDE_CHANNEL": stop.side_channel} if stop.side_channel else {}
    # Where nothing can be read, only what the nodes have sent to the host's memory tells.
    run = Run(bench, stop.arguments, scenario.HANG,
              "journal" if stop.side_channel else "default", **extra)
    expect("used up" not in run.errors, f"the shim ran out of something: {run.errors}")
    finding = run.finding("C10")
    nodes = [node["position"] for node in finding["place"]["nodes"]]
    expect(nodes == [stop.node], f"candidates {nodes}, expected [{stop.node}]: {finding}")
    expect(finding["place"]["operation"] == stop.operation, f"operation: {finding['place']}")
    check_last_finished(stop, finding)
    check_slots(stop, finding)


def check_slots(stop: Stop, finding: dict) -> None:
    if not stop.slots:
        return
    slots = {(slot["peer"], slot["stage"], slot["token"]): slot for slot in finding["slots"]
             if slot["rank"] == 0}
    expect(set(stop.slots) <= set(slots), f"slots {sorted(slots)}, expected {stop.slots}")
    stage = {key for key in slots if key[1] == 0}
    expect(stage == set(stop.slots), f"slots of stage 0 {sorted(stage)}, expected {stop.slots}")
    for key in stop.slots:
        slot = slots[key]
        expect((slot["words"], slot["sentinel"], slot["positions"]) == (72, 72, [0, 30, 60]),
               f"{key}: {slot}")
    expect(any("rank 1 has announced its call number 9 " in line for line in finding["evidence"]),
           f"what rank 1 has announced: {finding['evidence']}")


def check_diverge(bench: Bench) -> None:
    """Rank 1 makes another call than ranks 0 and 2; rank 3 makes none, so all hang."""
    run = Run(bench, "diverge epoch one-shot 4", scenario.HANG)
    found = {finding["title"]: finding for finding in run.report["findings"]}
    expect(len(found) == 2 and all("diverge" in title for title in found), f"findings {found}")
    expect(sorted(finding["ranks"] for finding in found.values()) == [[1], [3]], f"{found}")


def check_diverge_alone(bench: Bench) -> None:
    """From one rank's trace alone: its peers' own headers name both shapes."""
    run = Run(bench, "diverge epoch one-shot 4", scenario.HANG)
    for trace in run.traces:
        hangs = bench.records(trace, "Hang")
        headers = bench.records(trace, "PeerHeader")
        if not hangs or {h["own_tokens"] for h in headers} != {5}:
            continue
        (finding,) = bench.report(trace)["findings"]
        expect(finding["hazard"] == "C10" and finding["confidence"] == "proven", f"{finding}")
        expect(finding["ranks"] == [1], f"ranks {finding['ranks']}")
        text = " ".join(finding["evidence"])
        for rank, tokens in ((0, 5), (1, 6), (2, 5)):
            wanted = f"rank {rank} announced one-shot, {tokens} tokens x 72 fp32"
            expect(wanted in text, f"no \"{wanted}\" in {finding['evidence']}")
        return
    raise scenario.Failure(f"no rank with 5 tokens has hung: {run.errors}")


CHECKS = {
    f"journal-{protocol}-{algorithm}": functools.partial(check_journal, protocol, algorithm)
    for protocol in ("mnnvl", "epoch") for algorithm in ("one-shot", "two-shot")
} | {
    "journal-default": check_default, "journal-off": check_off, "update": check_update,
    "child": check_child,
    "disable": check_disable, "disable-all": check_disable_all,
    "move": functools.partial(check_move, "default"),
    "move-journal": functools.partial(check_move, "journal"),
    "exchange-child": check_exchange_child, "lose-trace": check_lose_trace,
    "two-devices": check_two_devices,
    "green": functools.partial(check_green, "green"),
    "green-current": functools.partial(check_green, "green-current"), "diverge": check_diverge, "diverge-alone": check_diverge_alone,
} | {name: functools.partial(check_stop, name) for name in STOPS}

if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, CHECKS))
