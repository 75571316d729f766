"""Compares a report (docs/report_schema.md) with what two ranks did: who was swapped, who is stuck.

Pure functions; what the ranks sent comes from payload.py and the manifest alone. Each check
returns a list of problems, empty when the report is right.
"""

import argparse

import payload
import two_ranks
import verdict


def pid_by_rank(report: dict) -> list:
    """[pid of rank 0, of rank 1]; raises ValueError where the communicators do not say it."""
    found = {tuple(group["pid_by_rank"]) for group in report["communicators"]}
    if len(found) != 1:
        raise ValueError(f"the communicators' processes are {sorted(map(str, found))}")
    pids = list(found.pop())
    if len(pids) != payload.WORLD or None in pids or len(set(pids)) != payload.WORLD:
        raise ValueError(f"the ranks' processes are {pids}, expected two")
    return pids


def check_swaps(report: dict, manifest: argparse.Namespace, swapped: tuple) -> list:
    """Each kernel of the swapped ranks must have been replaced by ours, none of the others'."""
    problems = []
    for rank, pid in enumerate(pid_by_rank(report)):
        swaps = [swap for swap in report["swaps"] if swap["pid"] == pid]
        if rank not in swapped:
            problems += [f"rank {rank} was not to be swapped: {swap}" for swap in swaps]
            continue
        for algorithm in manifest.algorithm:
            problems += [f"rank {rank}: {text}" for text in verdict.check_swapped(swaps, algorithm)]
    return problems


def check_clean(report: dict, manifest: argparse.Namespace) -> list:
    problems = [f"reports {finding['hazard']}: {finding['title']}"
                for finding in report["findings"]]
    expected = manifest.replays * len(manifest.algorithm)
    for rank, pid in enumerate(pid_by_rank(report)):
        replays = sum(p["replays_completed"] for p in report["processes"] if p["pid"] == pid)
        if replays != expected:
            problems.append(f"rank {rank}: {replays} replays ended, the program made {expected}")
    return problems


def check_stuck(report: dict, manifest: argparse.Namespace, stuck: tuple) -> list:
    """Exactly C1, at these ranks, with the slots that hold negative subnormals."""
    findings = report["findings"]
    hazards = {finding["hazard"] for finding in findings}
    if hazards != {"C1"}:
        return [f"findings are {sorted(hazards)}, expected exactly C1"]
    problems = [f"confidence is {finding['confidence']}, expected proven" for finding in findings
                if finding["confidence"] != "proven"]
    expected = manifest.poison_replay + 1
    problems += [f"replay is {finding['place']['replay']}, expected {expected}"
                 for finding in findings if finding["place"]["replay"] != expected]
    ranks = sorted({rank for finding in findings for rank in finding["ranks"]})
    if ranks != sorted(stuck):
        return problems + [f"the cause is at ranks {ranks}, expected {sorted(stuck)}"]
    slots = [slot for finding in findings for slot in finding["slots"]]
    for rank in stuck:
        own = [slot for slot in slots if slot["rank"] == rank]
        problems += [f"rank {rank}: {text}" for text in
                     verdict.check_slots(own, expected_slots(manifest, rank), generation(manifest))]
    return problems


def check_diverged(report: dict, manifest: argparse.Namespace) -> list:
    """Exactly C10 at the replay, with the tokens that the other rank awaits in vain: it looks for
    rank r's rows behind those of r ranks before, and they were sent r rows earlier, one less."""
    findings = report["findings"]
    if [finding["hazard"] for finding in findings] != ["C10"]:
        return [f"findings are {[f['hazard'] for f in findings]}, expected exactly C10"]
    (finding,) = findings
    problems = []
    if finding["confidence"] != "proven":
        problems.append(f"confidence is {finding['confidence']}, expected proven")
    if finding["place"]["replay"] != manifest.poison_replay + 1:
        problems.append(f"replay is {finding['place']['replay']}, expected "
                        f"{manifest.poison_replay + 1}")
    sender = int(manifest.poison_rank)
    missing = [(1 - sender, sender, token)
               for token in range(manifest.tokens - 1 - sender, manifest.tokens)]
    slots = sorted((slot["rank"], slot["peer"], slot["token"]) for slot in finding["slots"])
    if slots != missing:
        problems.append(f"(rank, peer, token) of the slots are {slots}, expected {missing}")
    return problems


def generation(manifest: argparse.Namespace) -> int:
    """Only where one algorithm runs: it alone moves the workspace's index."""
    passes = manifest.eager + manifest.poison_replay
    return (passes * manifest.layers + manifest.poison_layer) % verdict.GENERATIONS


def expected_slots(manifest: argparse.Namespace, rank: int) -> list:
    slots = []
    for sender in range(payload.WORLD):
        rows = two_ranks.rows_of(manifest, manifest.poison_replay, manifest.poison_layer, sender)
        slots += payload.awaited(manifest.algorithm[0], rows, receiver=rank, peer=sender)
    return [slot for slot in slots if slot.alias > 0]
