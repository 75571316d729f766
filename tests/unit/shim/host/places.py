"""Where collective_host hangs is found exactly, and what has completed is known to have.

usage: places.py CHECK HOST SHIM LAMPLIGHT RUNTIME_FOLDER
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time


class Run:
    def __init__(self, mode, seconds, timeout_s, programs, stopped_s=0, **extra):
        host, shim, lamplight, runtime = programs
        with tempfile.TemporaryDirectory() as folder:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
            environment.update(LD_LIBRARY_PATH=runtime, LD_PRELOAD=shim, LAMPLIGHT_DIR=folder,
                               LAMPLIGHT_TIMEOUT=str(timeout_s), **extra)
            process = subprocess.Popen([host, mode, str(seconds)], env=environment, text=True,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if stopped_s:
                time.sleep(0.5)
                process.send_signal(signal.SIGSTOP)
                time.sleep(stopped_s)
                process.send_signal(signal.SIGCONT)
            self.errors = process.communicate(timeout=60)[1]
            if process.returncode != 0:
                sys.exit("%s: ended with %d: %s" % (mode, process.returncode, self.errors))
            report = subprocess.run([lamplight, "report", folder, "--format", "json"],
                                    capture_output=True, text=True, timeout=60)
            self.report = json.loads(report.stdout)

    def finding(self, hazard):
        """The one finding, which must be of `hazard`."""
        findings = self.report["findings"]
        expect([finding["hazard"] for finding in findings] == [hazard], findings, self.errors)
        return findings[0]


def expect(condition, *problem):
    if not condition:
        sys.exit(" ".join(map(str, problem)))


def check_nodes(programs):
    run = Run("nodes", 6, 1, programs)
    finding = run.finding("C10")
    nodes = [node["position"] for node in finding["place"]["nodes"]]
    expect(nodes == [7], "nodes: candidates", nodes, "expected [7]:", finding)
    expect(any("their inputs" in line for line in finding["evidence"]), "nodes:", finding)


def check_sizes(programs):
    run = Run("sizes", 6, 1, programs)
    finding = run.finding("C10")
    nodes = [(node["position"], node["tokens"]) for node in finding["place"]["nodes"]]
    expect(nodes == [(4, 2)], "sizes: candidates", nodes, "expected [(4, 2)]:", finding)


def check_eager_stall(programs):
    run = Run("eager-stall", 8, 1, programs)
    finding = run.finding("C16")
    expect(finding["ranks"] == [1], "eager-stall:", finding)
    expect(len(run.report["hangs"]) == 2, "eager-stall:", run.report["hangs"], run.errors)
    expect([c["rank"] for c in finding["consequences"]] == [0], "eager-stall:", finding)
    expect("has not begun" in run.errors, "eager-stall: the watchdog said", run.errors)


def check_eager_late(programs):
    run = Run("eager-late", 8, 1, programs)
    expect(run.report["verdict"] == "clean", "eager-late:", run.report["findings"], run.errors)
    hangs = run.report["hangs"]
    expect(hangs and all(hang["completed_after_all"] for hang in hangs), "eager-late:", hangs)


def check_no_sync(programs):
    run = Run("no-sync", 0.2, 30, programs)
    expect(not run.report["findings"], "no-sync:", run.report["findings"])
    (process,) = run.report["processes"]
    counts = process["replays"], process["replays_completed"]
    expect(counts == (40, 40), "no-sync: replays and complete", counts, "expected 40 of 40")


def check_apart(programs):
    """Where a graph's kernels see other memory than ours do, nothing of ours touches theirs."""
    for swap in "0", "1":
        run = Run("apart", 0.2, 30, programs, LAMPLIGHT_SWAP=swap)
        expect(not run.report["findings"], "apart:", run.report["findings"])
        (process,) = run.report["processes"]
        counts = process["replays"], process["replays_completed"]
        expect(counts == (10, 10), "apart: replays and complete", counts, run.errors)
    # Without nodes of ours in it, nor an event that its stream takes.
    run = Run("apart", 0.2, 30, programs, LAMPLIGHT_SIM_MAX_NODES="3")
    expect(not run.report["findings"], "apart, unwatched:", run.report["findings"])
    expect(run.errors.count("are not watched") == 2, "apart, unwatched:", run.errors)


def check_stopped(programs):
    """The time in which the process was stopped is nobody's hang, though longer than the limit."""
    run = Run("stopped", 1, 3, programs, stopped_s=6)  # a first replay has 4.5 s
    expect(not run.report["hangs"], "stopped:", run.report["hangs"], run.errors)
    (process,) = run.report["processes"]
    expect(process["replays_completed"] == 40, "stopped:", process, run.errors)


def check_eager_stopped(programs):
    """What is left of the work takes longer than a third of the limit, and not as long as all."""
    run = Run("eager-stopped", 7, 2, programs, stopped_s=3)
    expect(not run.report["hangs"], "eager-stopped:", run.report["hangs"], run.errors)


def check_destroyed(programs):
    """What ran in a context that was destroyed is no hang."""
    run = Run("destroyed", 3, 1, programs)
    expect(not run.report["hangs"], "destroyed:", run.report["hangs"], run.errors)


def check_late_context(programs):
    """A hang is told while a thread stands still in the shim's set-up of another context."""
    run = Run("late-context", 10, 2, programs, LAMPLIGHT_SIM_LAZY_LOADING="1")
    expect(len(run.report["hangs"]) == 1, "late-context:", run.report["hangs"], run.errors)


def check_quiet(programs):
    """An eager call that has completed is no hang, however long the host idles after it."""
    run = Run("eager-quiet", 4, 1, programs)
    expect(not run.report["findings"] and not run.report["hangs"], "eager-quiet:",
           run.report["findings"], run.errors)


CHECKS = {
    "nodes": check_nodes,
    "sizes": check_sizes,
    "eager-stall": check_eager_stall,
    "eager-late": check_eager_late,
    "eager-quiet": check_quiet,
    "no-sync": check_no_sync,
    "apart": check_apart,
    "destroyed": check_destroyed,
    "stopped": check_stopped,
    "eager-stopped": check_eager_stopped,
    "late-context": check_late_context,
}

if __name__ == "__main__":
    CHECKS[sys.argv[1]](sys.argv[2:6])
