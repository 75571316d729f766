"""Compares a report (docs/report_schema.md) with what the program under test sent.

Pure functions; the expectation comes from payload.py and the manifest alone. Each returns a list of
problems, empty when the report is right.
"""

import argparse

import incident
import payload

GENERATIONS = 3
# What must run for what, by the start of ours and a part of theirs.
SWAPS = {"oneshot": {"oneshotAllreduceFusionKernel": "lamplight_oneshot_mnnvl_bf16"},
         "twoshot": {"twoshotAllreduceKernel": "lamplight_sends_mnnvl_bf16",
                     "rmsNormLamport": "lamplight_norm_mnnvl_bf16"},
         "trtllm-oneshot": {
             "allreduce_fusion_kernel_oneshot_lamport": "lamplight_oneshot_unicast_bf16"}}


def calls_before_poison(manifest: argparse.Namespace) -> int:
    passes = manifest.eager + manifest.poison_replay
    return passes * manifest.layers + manifest.poison_layer


def expected_slots(manifest: argparse.Namespace) -> list:
    rows = incident.peer_rows(manifest, manifest.poison_replay, manifest.poison_layer)
    slots = payload.awaited(manifest.algorithm, rows, receiver=0, peer=payload.PEER)
    return [slot for slot in slots if slot.alias > 0]


def check_c1(report: dict, manifest: argparse.Namespace) -> list:
    findings = report["findings"]
    if [finding["hazard"] for finding in findings] != ["C1"]:
        return [f"findings are {[f['hazard'] for f in findings]}, expected exactly C1"]
    finding = findings[0]
    problems = []
    if finding["confidence"] != "proven":
        problems.append(f"confidence is {finding['confidence']}, expected proven")
    replay = finding["place"]["replay"]
    if replay != manifest.poison_replay + 1:
        problems.append(f"replay is {replay}, expected {manifest.poison_replay + 1}")
    generation = calls_before_poison(manifest) % GENERATIONS
    return problems + check_slots(finding["slots"], expected_slots(manifest), generation)


def check_slots(reported: list, expected: list, generation: int) -> list:
    problems = []
    by_place = {(s["stage"], s["peer"], s["token"]): s for s in reported if s["alias"] > 0}
    for slot in expected:
        place = (slot.stage, slot.peer, slot.token)
        if place not in by_place:
            problems.append(f"no slot with stage, peer, token {place}: {slot.alias} aliases there")
            continue
        problems += check_slot(by_place.pop(place), slot, generation)
    for place, slot in by_place.items():
        problems.append(f"slot {place} reports {slot['alias']} aliases, expected none")
    return problems


def check_slot(reported: dict, expected: payload.Slot, generation: int) -> list:
    wanted = {
        "generation": generation,
        "words": expected.words,
        "sentinel": 0,
        "alias": expected.alias,
        "positions": list(expected.first_alias),
    }
    place = f"stage {expected.stage}, peer {expected.peer}, token {expected.token}"
    return [
        f"{place}: {name} is {reported[name]}, expected {value}"
        for name, value in wanted.items()
        if reported[name] != value
    ]


def check_clean(report: dict, manifest: argparse.Namespace) -> list:
    problems = [f"reports {finding['hazard']}: {finding['title']}"
                for finding in report["findings"]]
    replays = sum(process["replays"] for process in report["processes"])
    if replays != manifest.replays:
        problems.append(f"{replays} replays were recorded, the program made {manifest.replays}")
    return problems


def check_swapped(swaps: list, algorithm: str) -> list:
    """Of one process: each kernel of the algorithm was replaced by the right one of ours."""
    problems = [f"{swap['kernel']} was not swapped: {swap['reason']}"
                for swap in swaps if not swap["by"]]
    for theirs, ours in SWAPS[algorithm].items():
        by = [swap["by"] or "" for swap in swaps if theirs in swap["kernel"]]
        if not by or not all(name.startswith(ours) for name in by):
            problems.append(f"{by or 'nothing'} ran in the place of {theirs}, expected {ours}…")
    return problems


def check_swaps(report: dict, manifest: argparse.Namespace) -> list:
    return check_swapped(report["swaps"], manifest.algorithm)
