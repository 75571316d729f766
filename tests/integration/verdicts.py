#!/usr/bin/env python3
"""Each variant and fault of the piecewise server gets exactly its verdict."""

import dataclasses
import functools
import sys

import scenario
from scenario import Bench, expect

WORKLOAD = "--dim 64 --buckets 1,4,8 --requests 60 --hang-limit 12 "
POISON = "--payload subnormal "


@dataclasses.dataclass(frozen=True)
class Variant:
    arguments: str
    status: int
    hazard: str = ""  # the one hazard that the report must name; empty: clean
    peer: int = -1  # the rank whose words the finding must name
    mode: str = "default"
    abi: bool = False  # needs the descriptor of the server's own kernel


VARIANTS = {
    "legacy": Variant("--kernel legacy " + POISON, scenario.HANG, "C1", peer=1),
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


def check_finding(variant: Variant, finding: dict) -> None:
    if variant.hazard in ("C1", "C3", "C3b"):
        expect(finding["confidence"] == "proven", f"confidence is {finding['confidence']}")
        expect(finding["place"].get("node") is not None or finding["place"].get("nodes"),
               "the finding names no node")
    if variant.peer < 0:
        return
    aliased = [slot for slot in finding["slots"] if slot["alias"] > 0]
    expect(aliased, "no slot with aliased words")
    peers = {slot["peer"] for slot in aliased}
    expect(peers == {variant.peer}, f"slots name the peers {peers}, expected {variant.peer}")
    for slot in aliased:
        expect(slot["positions"], f"no word positions in {slot}")
        expect(variant.peer not in finding["ranks"] or len(finding["ranks"]) > 1,
               f"the sender is the only hung rank: {finding['ranks']}")


def check_verdict(name: str, bench: Bench) -> None:
    variant = VARIANTS[name]
    trace = bench.folder / "trace"
    extra = {}
    if variant.abi:
        servers = scenario.pathlib.Path(__file__).resolve().parents[1] / "servers"
        extra["LAMPLIGHT_ABI"] = servers / "baked_index.abi.json"
    # A hung server is ended by its own --hang-limit, long after the watchdog spoke.
    done = bench.serve_traced(WORKLOAD + variant.arguments, trace, mode=variant.mode, **extra)
    expect(done.status == variant.status,
           f"the server ended with {done.status}, expected {variant.status}: {done.last_words()}")
    spoke = "lamplight report" in done.errors
    expect(spoke, f"no report command on stderr: {done.last_words()}")
    report = bench.report(trace)
    found = sorted(finding["hazard"] for finding in report["findings"])
    wanted = {variant.hazard} if variant.hazard else set()
    expect(set(found) == wanted, f"findings {found}, expected {sorted(wanted)}")
    expect(report["exit_status"] == (1 if wanted else 0), f"exit {report['exit_status']}")
    expect(any(process["replays"] for process in report["processes"]), "no replay was recorded")
    for finding in report["findings"]:
        check_finding(variant, finding)


if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, {
        name: functools.partial(check_verdict, name) for name in VARIANTS}))
