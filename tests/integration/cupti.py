#!/usr/bin/env python3
"""CUPTI's callbacks as the source: the same verdicts without a runtime to stand in front of, no call
counted twice with one, and one clear line where CUPTI is not to be had."""

import collections
import functools
import re
import sys

import scenario
import verdicts
from scenario import Bench, expect

# What the shim sees at the driver itself would not come to CUPTI.
ALONE = {"LAMPLIGHT_DRIVER": "0"}
ON = {"LAMPLIGHT_CUPTI": "1"} | ALONE
SERVER = "--dim 64 --buckets 1,4,8 --requests 60 --hang-limit 20 --kernel good"
ABSENT = "/nowhere/libcupti.so.13"
# The tail of the server's life is not in step with the drain.
COUNTED = ("GraphLaunch", "EagerLaunch", "CaptureBegin", "CaptureEnd", "Graph", "Node", "Edge",
           "Exec", "Kernel", "Workspace", "Order")


def driver_server(bench: Bench) -> Bench:
    """The same bench; its server calls the driver API alone."""
    bench.server = bench.build / "bin" / "piecewise_server_driver"
    return bench


def preloaded(bench: Bench, **extra: str) -> dict:
    return bench.environment(LD_PRELOAD=bench.shim, LAMPLIGHT_DIR=bench.folder / "trace", **extra)


def traces(folder) -> list:
    return sorted(folder.glob("*.lamptrace"))


def seen(report: dict) -> list:
    return [process["seen_through_cupti"] for process in report["processes"]]


def expect_all_through_cupti(report: dict) -> None:
    for process in report["processes"]:
        through = process["seen_through_cupti"]
        expect(through and through["in_force"], f"not in force: {through}")
        expect((through["replays"], through["eager_calls"]) ==
               (process["replays"], process["eager_calls"]), f"{through} of {process}")


def check_verdict(name: str, bench: Bench, **more: str) -> None:
    report = verdicts.check_verdict(name, driver_server(bench), **ON, **more)
    expect(report["processes"], "no process was recorded")
    expect_all_through_cupti(report)
    for finding in report["findings"]:
        site = finding["place"].get("capture_site")
        expect(not site or "RunRank" in str(site), f"the capture is placed in {site}")


def records(bench: Bench, trace) -> list:
    lines = bench.run([bench.lamplight, "dump", trace, "--format", "json"], 60).output.splitlines()
    return [scenario.json.loads(line) for line in lines]


def counts(bench: Bench, folder) -> dict:
    """By rank: how many records there are of each type that must not depend on the source."""
    by_rank = {}
    for trace in traces(folder):
        all_records = records(bench, trace)
        rank = [r["fields"]["env_rank"] for r in all_records if r["type"] == "Process"][0]
        by_rank[rank] = collections.Counter(
            r["type"] for r in all_records if r["type"] in COUNTED)
    return by_rank


def check_counted_once(bench: Bench) -> None:
    for folder, extra in (("off", {}), ("on", ON)):
        done = bench.serve_traced(SERVER, bench.folder / folder, 30, **extra)
        expect(done.status == scenario.OK, done.last_words())
    off, on = counts(bench, bench.folder / "off"), counts(bench, bench.folder / "on")
    expect(off[0]["GraphLaunch"] > 0 and off[0]["Order"] > 0, f"nothing was counted: {off}")
    expect(off == on, f"without CUPTI {off}, with {on}")
    report = bench.report(bench.folder / "on")
    for through in seen(report):
        expect(through == through | {"in_force": True, "replays": 0, "eager_calls": 0},
               f"calls of the runtime were seen through CUPTI: {through}")


def check_driver_counts(bench: Bench) -> None:
    """The driver's server, through CUPTI, leaves the records of the runtime's, through the hooks."""
    done = bench.serve_traced(SERVER, bench.folder / "hooks", 30)
    expect(done.status == scenario.OK, done.last_words())
    done = driver_server(bench).serve_traced(SERVER, bench.folder / "cupti", 30, **ON)
    expect(done.status == scenario.OK, done.last_words())
    by_hooks, by_cupti = (counts(bench, bench.folder / name) for name in ("hooks", "cupti"))
    expect(by_hooks == by_cupti, f"by hooks {by_hooks}, through CUPTI {by_cupti}")
    for trace in traces(bench.folder / "cupti"):
        launches = [r for r in records(bench, trace) if r["type"] in ("GraphLaunch", "Exec")]
        expect(launches and all(r.get("through") == "CUPTI" for r in launches),
               f"{trace.name}: records do not name their source")


def check_packed(source: dict, bench: Bench) -> None:
    """Arguments in one buffer are read as they are one by one, eager and in graphs."""
    driver_server(bench)
    calls = {}
    for folder, extra in (("plain", {}), ("packed", {"PIECEWISE_ARGUMENTS": "packed"})):
        done = bench.serve_traced(SERVER, bench.folder / folder, 30, **source, **extra)
        expect(done.status == scenario.OK, done.last_words())
        calls[folder] = (counts(bench, bench.folder / folder), decoded_calls(bench, folder))
    expect(calls["plain"][1][0], f"no call was decoded: {calls}")
    expect(calls["plain"] == calls["packed"], f"packed differs: {calls}")


def decoded_calls(bench: Bench, folder: str) -> list:
    """By rank: tokens, dim and flags of each call, of graphs and eager."""
    by_rank = {}
    for trace in traces(bench.folder / folder):
        found = [r["fields"]["call"] for r in records(bench, trace)
                 if r["type"] in ("Node", "EagerLaunch") and r["fields"]["call"]["workspace_id"]]
        rank = found[0]["rank"] if found else -1
        by_rank[rank] = [(call["tokens"], call["dim"], call["flags"]) for call in found]
    return [by_rank.get(rank, []) for rank in range(2)]


def check_same_outputs(source: dict, bench: Bench) -> None:
    plain = driver_server(bench).serve(SERVER)
    for mode in ("default", "strict", "journal"):
        traced = bench.serve_traced(SERVER, bench.folder / mode, 30, mode, **source)
        expect((traced.status, traced.output) == (plain.status, plain.output),
               f"mode {mode}: {traced.status} {traced.output!r}, without the shim {plain.output!r}")


def lines_about(errors: str) -> list:
    return [line for line in errors.splitlines() if "LAMPLIGHT_CUPTI" in line]


def check_unavailable(value: str, words: str, extra: dict, bench: Bench) -> None:
    """One line, and the hooks go on alone."""
    arguments = SERVER + " --ranks threads"
    done = bench.serve_traced(arguments, bench.folder / "trace", 30, LAMPLIGHT_CUPTI=value, **extra)
    expect(done.status == scenario.OK, done.last_words())
    lines = lines_about(done.errors)
    expect(len(lines) == 1 and re.search(words, lines[0]), f"stderr: {done.errors}")
    report = bench.report(bench.folder / "trace")
    expect(report["exit_status"] == 0, f"findings: {report['findings']}")
    expect(report["processes"][0]["replays"] > 0, "the hooks recorded nothing")
    through = seen(report)[0]
    expect(not through["in_force"] and re.search(words, through["reason"]), f"{through}")


def check_unavailable_driver(bench: Bench) -> None:
    """With nothing to stand in front of, the server runs and there is no trace."""
    environment = preloaded(bench, LAMPLIGHT_CUPTI=ABSENT, **ALONE)
    command = [driver_server(bench).server, *SERVER.split(), "--ranks", "threads"]
    done = bench.run(command, 60, environment)
    expect(done.status == scenario.OK, done.last_words())
    expect(len(lines_about(done.errors)) == 1, f"stderr: {done.errors}")
    expect(not traces(bench.folder / "trace"), "a trace was written")


def check_inert(bench: Bench) -> None:
    script = "import subprocess; print(subprocess.check_output(['sh', '-c', 'echo hi | cat']))"
    for command in (["/bin/true"], ["sh", "-c", "(echo a; echo b) | sort"],
                    [sys.executable, "-c", script]):
        plain = bench.run(command, 30)
        loaded = bench.run(command, 30, preloaded(bench, LAMPLIGHT_LOG="debug", **ON))
        expect(loaded == plain, f"{command}: {loaded}, without the shim {plain}")
    maps = [sys.executable, "-c", "print(open('/proc/self/maps').read())"]
    loaded = bench.run(maps, 30, preloaded(bench, **ON))
    for library in ("libcuda.so", "libcupti.so"):
        expect(library not in loaded.output, f"{library} was loaded into a process without CUDA")
    left = [str(path.relative_to(bench.folder)) for path in bench.folder.rglob("*")]
    expect(not left, f"files were created: {left}")


def check_disabled(bench: Bench) -> None:
    environment = preloaded(bench, LAMPLIGHT_DISABLE="1", LAMPLIGHT_LOG="debug", **ON)
    done = bench.run([driver_server(bench).server, *SERVER.split()], 60, environment)
    expect(done.status == scenario.OK and "lamplight" not in done.errors, done.errors)
    expect(not traces(bench.folder / "trace"), "a trace was written")


def check_injected(bench: Bench) -> None:
    """No preload: the driver itself loads the shim."""
    environment = bench.environment(CUDA_INJECTION64_PATH=bench.shim,
                                    LAMPLIGHT_DIR=bench.folder / "trace", **ON)
    done = bench.run([driver_server(bench).server, *SERVER.split()], 60, environment)
    expect(done.status == scenario.OK, done.last_words())
    report = bench.report(bench.folder / "trace")
    expect(len(report["processes"]) == 2 and report["processes"][0]["replays"] > 0, f"{report}")
    expect_all_through_cupti(report)


def check_other_injection(bench: Bench) -> None:
    """Another tool is injected: the first call of a hook subscribes."""
    done = bench.serve_traced(SERVER, bench.folder / "trace", 30,
                              CUDA_INJECTION64_PATH="/nowhere/tool.so", **ON)
    expect(done.status == scenario.OK, done.last_words())
    through = seen(bench.report(bench.folder / "trace"))
    expect(len(through) == 2 and all(one["in_force"] for one in through), f"{through}")


def check_auto(bench: Bench) -> None:
    """On where there is no runtime to stand in front of, and nowhere else."""
    done = bench.serve_traced(SERVER, bench.folder / "runtime", 30, LAMPLIGHT_CUPTI="auto")
    expect(done.status == scenario.OK, done.last_words())
    expect(seen(bench.report(bench.folder / "runtime")) == [None, None], "it was asked for")
    done = driver_server(bench).serve_traced(SERVER, bench.folder / "driver", 30,
                                             LAMPLIGHT_CUPTI="auto", **ALONE)
    expect(done.status == scenario.OK, done.last_words())
    expect_all_through_cupti(bench.report(bench.folder / "driver"))


def check_static_runtime(bench: Bench) -> None:
    """A library with a runtime of its own beside the one that the hooks stand in front of."""
    library = bench.build / "tests" / "integration" / "stand_in" / "libtensorrt_llm.so"
    seen_through = {}
    for value in ("0", "auto"):
        folder = bench.folder / value
        environment = bench.environment(LD_PRELOAD=f"{bench.shim}:{library}", LAMPLIGHT_DIR=folder,
                                        LAMPLIGHT_CUPTI=value, **ALONE)
        done = bench.run([bench.server, *SERVER.split()], 60, environment)
        expect(done.status == scenario.OK, done.last_words())
        told = f"{library} has a CUDA runtime of its own" in done.errors
        expect(told == (value == "0"), f"LAMPLIGHT_CUPTI={value}: stderr: {done.errors}")
        seen_through[value] = seen(bench.report(folder))
    expect(seen_through["0"] == [None, None], "it was asked for")
    expect(all(one["in_force"] for one in seen_through["auto"]), f"{seen_through}")


def check_bad_value(bench: Bench) -> None:
    done = bench.serve_traced(SERVER, bench.folder / "trace", 30, LAMPLIGHT_CUPTI="yes")
    expect(done.status == scenario.OK, done.last_words())
    expect("LAMPLIGHT_CUPTI=yes not understood" in done.errors, f"stderr: {done.errors}")
    expect(seen(bench.report(bench.folder / "trace")) == [None, None], "it was asked for")


def check_nodes_refused(bench: Bench) -> None:
    """The driver refuses graphs with our nodes: they are made without, whoever sees the call."""
    for server, folder in ((bench.server, "hooks"), (driver_server(bench).server, "cupti")):
        bench.server = server
        done = bench.serve_traced(SERVER, bench.folder / folder, 30, LAMPLIGHT_SIM_MAX_NODES="5",
                                  **ON)
        expect(done.status == scenario.OK, f"{folder}: {done.last_words()}")
        expect(done.errors.count("retrying without") == 6, f"{folder}: {done.errors}")
        for trace in traces(bench.folder / folder):
            execs = bench.records(trace, "Exec")
            expect([e["snapshots"] for e in execs] == [0] * 3, f"{folder}: execs {execs}")
            expect(bench.records(trace, "GraphLaunch"), f"{folder}: no replay was recorded")
        for process in bench.report(bench.folder / folder)["processes"]:
            counts = process["replays"], process["replays_completed"]
            expect(counts[0] == counts[1], f"{folder}: replays and complete {counts}")


def check_not_swapped(bench: Bench) -> None:
    done = driver_server(bench).serve_traced(SERVER + " --ranks threads", bench.folder / "trace",
                                             30, LAMPLIGHT_SWAP="1", **ON)
    expect(done.status == scenario.OK, done.last_words())
    swaps = bench.report(bench.folder / "trace")["swaps"]
    expect(swaps and not any(swap["by"] for swap in swaps), f"swaps: {swaps}")
    expect(all("driver API" in swap["reason"] for swap in swaps), f"swaps: {swaps}")
    kernels = [swap["kernel"] for swap in swaps]
    expect(len(kernels) == len(set(kernels)), f"said more than once: {kernels}")


VERDICTS = ("legacy", "legacy-twoshot", "legacy-world4", "legacy-threads", "legacy-strict",
            "legacy-journal", "good-poison", "good-auto", "good-threads", "baked-index",
            "lost-update", "host-stall", "diverge", "skip", "overlap", "owns-memory")
CHECKS = {f"verdict-{name}": functools.partial(check_verdict, name) for name in VERDICTS}
CHECKS |= {
    "counted-once": check_counted_once, "driver-counts": check_driver_counts,
    "same-outputs": functools.partial(check_same_outputs, ON),
    "packed": functools.partial(check_packed, ON),
    "verdict-legacy-packed": functools.partial(check_verdict, "legacy",
                                               PIECEWISE_ARGUMENTS="packed"),
    "missing": functools.partial(check_unavailable, ABSENT, "nowhere", {}),
    "taken": functools.partial(check_unavailable, "1", "MULTIPLE_SUBSCRIBERS",
                               {"LAMPLIGHT_SIM_CUPTI_TAKEN": "1"}),
    "missing-driver": check_unavailable_driver, "inert": check_inert, "disabled": check_disabled,
    "injected": check_injected, "other-injection": check_other_injection, "auto": check_auto,
    "bad-value": check_bad_value, "nodes-refused": check_nodes_refused,
    "not-swapped": check_not_swapped, "static-runtime": check_static_runtime,
}

if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, CHECKS))
