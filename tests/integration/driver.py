#!/usr/bin/env python3
"""What the shim sees in front of the driver's functions: a server whose CUDA runtime is its own gets
the same verdicts, records and swapped kernels as one whose runtime the hooks stand in front of."""

import functools
import sys

import cupti
import scenario
import swap
import verdicts
from cupti import SERVER, counts, driver_server, preloaded, traces
from scenario import Bench, expect

BY_NAMES = {"PIECEWISE_LOOKUP": "names"}
CUPTI = {"LAMPLIGHT_CUPTI": "1"}


def seen(report: dict) -> list:
    return [process["seen_through_driver"] for process in report["processes"]]


def expect_all_at_driver(bench: Bench, report: dict) -> None:
    expect(report["processes"], "no process was recorded")
    for process in report["processes"]:
        at_driver = process["seen_through_driver"]
        expect(at_driver and at_driver["modules"] == [str(bench.server)], f"clients: {at_driver}")
        expect((at_driver["replays"], at_driver["eager_calls"]) ==
               (process["replays"], process["eager_calls"]), f"{at_driver} of {process}")


def check_verdict(name: str, bench: Bench, **more: str) -> None:
    report = verdicts.check_verdict(name, driver_server(bench), **more)
    expect_all_at_driver(bench, report)
    for finding in report["findings"]:
        site = finding["place"].get("capture_site")
        expect(not site or "RunRank" in str(site), f"the capture is placed in {site}")


def check_swap(name: str, bench: Bench) -> None:
    swap.check_case(name, driver_server(bench))
    expect_all_at_driver(bench, bench.report(bench.folder / "trace"))


def check_swap_journal(bench: Bench) -> None:
    swap.check_journal(driver_server(bench))


def check_swap_packed(bench: Bench) -> None:
    """A launch whose arguments are packed is read and replaced all the same."""
    done = driver_server(bench).serve_traced(
        swap.WORKLOAD + "--kernel legacy " + swap.POISON, bench.folder / "trace", 2,
        LAMPLIGHT_SWAP="1", PIECEWISE_ARGUMENTS="packed")
    expect(done.status == scenario.OK, done.last_words())
    swap.check_swapped(swap.CASES["incident"], bench.report(bench.folder / "trace"))


def check_counts(extra: dict, bench: Bench) -> None:
    """The records are those that the hooks make of the same server with a runtime in front."""
    done = bench.serve_traced(SERVER, bench.folder / "hooks", 30)
    expect(done.status == scenario.OK, done.last_words())
    expect(seen(bench.report(bench.folder / "hooks")) == [None, None],
           "the runtime itself was given the fronts")
    done = driver_server(bench).serve_traced(SERVER, bench.folder / "driver", 30, **extra)
    expect(done.status == scenario.OK, done.last_words())
    by_hooks, at_driver = (counts(bench, bench.folder / name) for name in ("hooks", "driver"))
    expect(by_hooks[0]["GraphLaunch"] > 0 and by_hooks[0]["Order"] > 0, f"nothing: {by_hooks}")
    expect(by_hooks == at_driver, f"by hooks {by_hooks}, at the driver {at_driver}")
    for trace in traces(bench.folder / "driver"):
        launches = [r for r in cupti.records(bench, trace) if r["type"] in ("GraphLaunch", "Exec")]
        expect(launches and all(r.get("through") == "driver" for r in launches),
               f"{trace.name}: records do not name their source")


def check_beside_cupti(bench: Bench) -> None:
    """What was seen at the driver is not told by CUPTI once more."""
    check_counts(CUPTI, bench)
    for through in cupti.seen(bench.report(bench.folder / "driver")):
        expect(through == through | {"in_force": True, "replays": 0, "eager_calls": 0},
               f"seen twice: {through}")


def check_by_names(bench: Bench) -> None:
    """Functions that are looked up one by one: with LAMPLIGHT_DRIVER=1, and only then."""
    check_counts(BY_NAMES | {"LAMPLIGHT_DRIVER": "1"}, bench)
    environment = preloaded(bench, **BY_NAMES)
    environment["LAMPLIGHT_DIR"] = str(bench.folder / "auto")
    done = bench.run([driver_server(bench).server, *SERVER.split()], 60, environment)
    expect(done.status == scenario.OK, done.last_words())
    expect(not traces(bench.folder / "auto"), "a trace was written")


def check_switched_off(bench: Bench) -> None:
    """LAMPLIGHT_DRIVER=0 and LAMPLIGHT_DISABLE=1: the server runs, and there is no trace."""
    driver_server(bench)
    for off in ({"LAMPLIGHT_DRIVER": "0"}, {"LAMPLIGHT_DISABLE": "1"}):
        environment = preloaded(bench, LAMPLIGHT_LOG="debug", **off)
        done = bench.run([bench.server, *SERVER.split()], 60, environment)
        expect(done.status == scenario.OK and "lamplight" not in done.errors, done.errors)
        expect(not traces(bench.folder / "trace"), f"{off}: a trace was written")


def check_bad_value(bench: Bench) -> None:
    done = driver_server(bench).serve_traced(SERVER, bench.folder / "trace", 30,
                                             LAMPLIGHT_DRIVER="yes")
    expect(done.status == scenario.OK, done.last_words())
    expect("LAMPLIGHT_DRIVER=yes not understood" in done.errors, f"stderr: {done.errors}")
    expect_all_at_driver(bench, bench.report(bench.folder / "trace"))


def check_nodes_refused(bench: Bench) -> None:
    """The driver refuses graphs with our nodes: they are made without."""
    done = driver_server(bench).serve_traced(SERVER, bench.folder / "trace", 30,
                                             LAMPLIGHT_SIM_MAX_NODES="5")
    expect(done.status == scenario.OK, done.last_words())
    expect(done.errors.count("retrying without") == 6, done.errors)
    for process in bench.report(bench.folder / "trace")["processes"]:
        expect(0 < process["replays"] == process["replays_completed"], f"{process}")


def check_next_library(bench: Bench) -> None:
    """What others find by dlsym is what they find without the shim: the next library too."""
    library = bench.build / "tests" / "integration" / "libnext_library.so"
    script = "import ctypes; own = ctypes.CDLL(None); print(own.getpid() > 0, own.NextIsLater())"
    for extra in ({}, {"LAMPLIGHT_DRIVER": "1"}):
        done = bench.run([sys.executable, "-c", script], 30,
                         bench.environment(LD_PRELOAD=f"{bench.shim}:{library}", **extra))
        expect((done.status, done.output) == (0, "True 1\n"), f"{done}")


VERDICTS = cupti.VERDICTS
SWAPS = ("incident", "incident-twoshot", "incident-world4", "newer-kernels", "strict",
         "one-rank-of-two", "one-rank-twoshot", "host-stall", "diverge")
CHECKS = {f"verdict-{name}": functools.partial(check_verdict, name) for name in VERDICTS}
CHECKS |= {f"swap-{name}": functools.partial(check_swap, name) for name in SWAPS}
CHECKS |= {
    "swap-journal": check_swap_journal, "swap-packed": check_swap_packed,
    "counts": functools.partial(check_counts, {}), "beside-cupti": check_beside_cupti,
    "by-names": check_by_names, "packed": functools.partial(cupti.check_packed, {}),
    "same-outputs": functools.partial(cupti.check_same_outputs, {}),
    "switched-off": check_switched_off, "bad-value": check_bad_value,
    "nodes-refused": check_nodes_refused, "next-library": check_next_library,
}

if __name__ == "__main__":
    sys.exit(scenario.main(__doc__, CHECKS))
