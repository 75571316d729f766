#!/usr/bin/env python3
"""Each variant and fault of the piecewise server gets exactly its verdict."""

import dataclasses
import functools
import re
import sys

import scenario
from scenario import Bench, expect

# A hung server is ended by its own --hang-limit, long after the watchdog spoke.
WORKLOAD = "--dim 64 --requests 60 --hang-limit 8 "
TIMEOUT_S = 2
POISON = "--payload subnormal "
ZERO_SUM = "--payload negative-zero-sum "
ZERO_SUM_TOKEN3 = ("--eager-percent 0 --poison-request 28 --poison-token 3 --kernel legacy "
                   "--algorithm twoshot " + ZERO_SUM)


@dataclasses.dataclass(frozen=True)
class Variant:
    arguments: str
    status: int
    hazard: str = ""  # the one hazard that the report must name; empty: clean
    peer: int = -1  # the rank whose words the finding must name
    mode: str = "default"
    replay: int = 0  # the replay that the finding must name; 0: not known beforehand
    buckets: str = "1,4,8"
    abi: bool = False  # needs the descriptor of the server's own kernel


VARIANTS = {
    "legacy": Variant("--kernel legacy " + POISON, scenario.HANG, "C1", peer=1),
    "legacy-one-graph": Variant("--eager-percent 0 --poison-request 30 --kernel legacy " + POISON,
                                scenario.HANG, "C1", peer=1, replay=31, buckets="8"),
    "legacy-twoshot": Variant("--kernel legacy --algorithm twoshot " + POISON, scenario.HANG,
                              "C1", peer=1),
    "legacy-world4": Variant("--world 4 --kernel legacy --poison-rank 2 " + POISON,
                             scenario.HANG, "C1", peer=2),
    "legacy-threads": Variant("--ranks threads --kernel legacy " + POISON, scenario.HANG, "C1",
                              peer=1),
    "legacy-strict": Variant("--kernel legacy " + POISON, scenario.HANG, "C1", peer=1,
                             mode="strict"),
    "legacy-journal": Variant("--kernel legacy " + POISON, scenario.HANG, "C1", peer=1,
                              mode="journal"),
    "owns-memory": Variant("--shards stream-ordered --kernel legacy " + POISON, scenario.HANG,
                           "C1", peer=1),
    "owns-memory-stall": Variant("--shards stream-ordered --fault host-stall", scenario.HANG,
                                 "C16"),
    "owns-memory-good": Variant("--shards stream-ordered --verify " + POISON, scenario.OK),
    "zero-sum": Variant("--kernel legacy --algorithm twoshot " + ZERO_SUM, scenario.HANG, "C1"),
    "zero-sum-world4": Variant("--world 4 --kernel legacy --algorithm twoshot " + ZERO_SUM,
                               scenario.HANG, "C1"),
    # The first token of the call is through: its flags have moved on.
    "zero-sum-token3": Variant(ZERO_SUM_TOKEN3, scenario.HANG, "C1", replay=29, buckets="8"),
    "zero-sum-token3-layer0": Variant(ZERO_SUM_TOKEN3 + "--poison-layer 0 ", scenario.HANG, "C1",
                                      replay=29, buckets="8"),
    "zero-sum-oneshot": Variant("--kernel legacy --verify " + ZERO_SUM, scenario.OK),
    "zero-sum-good": Variant("--kernel good --algorithm twoshot --verify " + ZERO_SUM,
                             scenario.OK),
    "legacy-healthy-payload": Variant("--kernel legacy", scenario.OK),
    "good-poison": Variant("--kernel good --verify " + POISON, scenario.OK),
    "good-twoshot": Variant("--kernel good --algorithm twoshot --verify", scenario.OK),
    "good-auto": Variant("--kernel good --algorithm auto", scenario.OK),
    "good-strict": Variant("--kernel good", scenario.OK, mode="strict"),
    "good-journal": Variant("--kernel good", scenario.OK, mode="journal"),
    "good-threads": Variant("--ranks threads --kernel good", scenario.OK),
    "baked-index": Variant("--kernel baked-index", scenario.OK, "C3", abi=True),
    "lost-update": Variant("--kernel lost-update", scenario.OK, "C3b"),
    "host-stall": Variant("--fault host-stall", scenario.HANG, "C16"),
    "diverge": Variant("--fault diverge", scenario.HANG, "C10"),
    "skip": Variant("--fault skip", scenario.HANG, "C10"),
    "overlap": Variant("--fault overlap", scenario.HANG, "C9"),
}


def check_slots(variant: Variant, finding: dict, errors: str) -> None:
    """The words that the finding names are those that the server says it sent."""
    slots = [slot for slot in finding["slots"] if slot["alias"] > 0]
    expect({slot["peer"] for slot in slots} == {variant.peer},
           f"slots name {[slot['peer'] for slot in slots]}, expected only {variant.peer}")
    sent = re.search(r"sends (\d+) negative subnormals .* token (\d+), word (\d+)", errors)
    expect(sent, f"the server did not say what it sent: {errors}")
    count, token, word = map(int, sent.groups())
    if "--algorithm twoshot" in variant.arguments:
        return  # each owner gets its share of the tokens
    for rank in {slot["rank"] for slot in slots}:
        mine = [slot for slot in slots if slot["rank"] == rank]
        found = sum(slot["alias"] for slot in mine)
        expect(found == count, f"rank {rank}: {found} aliased words, {count} were sent")
        first = min(mine, key=lambda slot: slot["token"])
        expect((first["token"], first["positions"][0]) == (token, word),
               f"rank {rank}: the first is {first}, sent was token {token}, word {word}")


def check_sums(finding: dict, errors: str) -> None:
    """The sums that the finding names are those that the server says its ranks' parts make."""
    sent = re.search(r"sends (\d+) parts of tiny negative sums .* token (\d+), word (\d+)", errors)
    expect(sent, f"the server did not say what it sent: {errors}")
    count, token, word = map(int, sent.groups())
    world = len({slot["rank"] for slot in finding["slots"]})
    for rank in range(world):
        mine = [slot for slot in finding["slots"] if slot["rank"] == rank]
        expect([slot["stored"] for slot in mine] == [1] * count, f"rank {rank}: {mine}")
        expect(all(slot["stage"] == 1 and slot["peer"] == slot["token"] % world for slot in mine),
               f"rank {rank}: not its owners' sums: {mine}")
        first = min(mine, key=lambda slot: slot["token"])
        expect((first["token"], first["positions"]) == (token, [word]),
               f"rank {rank}: the first is {first}, expected token {token}, word {word}")
    moved_on = any("moved the flags on" in line for line in finding["evidence"])
    expect(moved_on == (token > 0), f"evidence {finding['evidence']}")
    owners = sorted({slot["peer"] for slot in finding["slots"]})
    expect(finding["ranks"] == owners, f"ranks {finding['ranks']}, expected {owners}")
    expect(len(finding["hangs"]) == world, f"hangs {finding['hangs']}")
    expect(not finding["consequences"], f"consequences {finding['consequences']}")


def check_finding(variant: Variant, finding: dict, errors: str) -> None:
    if variant.hazard in ("C1", "C3", "C3b"):
        expect(finding["confidence"] == "proven", f"confidence is {finding['confidence']}")
        expect(finding["place"]["nodes"], "the finding names no node")
        expect(finding["place"]["capture_site"], "the finding names no capture site")
    if variant.replay:
        replay = finding["place"]["replay"]
        expect(replay == variant.replay, f"replay {replay}, expected {variant.replay}")
    if variant.peer >= 0:
        check_slots(variant, finding, errors)
    if ZERO_SUM in variant.arguments:
        check_sums(finding, errors)


def check_watchdog(errors: str) -> None:
    spoke = re.search(r"lamplight\[\d+\]: .* for ([0-9.]+) s.*lamplight report", errors)
    expect(spoke, f"the watchdog did not speak: {errors}")
    expect(float(spoke.group(1)) <= 2 * TIMEOUT_S, f"it spoke after {spoke.group(1)} s")


def check_verdict(name: str, bench: Bench, **more: str) -> dict:
    """`more` goes to the environment. Returns the report."""
    variant = VARIANTS[name]
    trace = bench.folder / "trace"
    extra = dict(more)
    if variant.abi:
        servers = scenario.pathlib.Path(__file__).resolve().parents[1] / "servers"
        extra["LAMPLIGHT_ABI"] = servers / "baked_index.abi.json"
    arguments = f"{WORKLOAD} --buckets {variant.buckets} {variant.arguments}"
    done = bench.serve_traced(arguments, trace, TIMEOUT_S, variant.mode, **extra)
    expect(done.status == variant.status,
           f"the server ended with {done.status}, expected {variant.status}: {done.last_words()}")
    if done.status == scenario.HANG:
        check_watchdog(done.errors)
    report = bench.report(trace)
    found = sorted(finding["hazard"] for finding in report["findings"])
    wanted = {variant.hazard} if variant.hazard else set()
    expect(set(found) == wanted, f"findings {found}, expected {sorted(wanted)}")
    expect(report["exit_status"] == (1 if wanted else 0), f"exit {report['exit_status']}")
    expect(any(process["replays"] for process in report["processes"]), "no replay was recorded")
    for finding in report["findings"]:
        check_finding(variant, finding, done.errors)
    return report


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        name: functools.partial(check_verdict, name) for name in VARIANTS} | {
        "good-two-devices": functools.partial(check_verdict, "good-threads",
                                              LAMPLIGHT_SIM_DEVICES="2")}))
