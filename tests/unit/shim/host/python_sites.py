"""Captures of a Python process get its Python frames, whoever has the GIL, under every CPython; and
the process ends well with the shim's threads still asking for the GIL.

usage: python_sites.py LATE_CAPTURE_LIBRARY SHIM LAMPLIGHT RUNTIME_FOLDER
"""

import glob
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_host.py")
PREFIX = "    check(cuda.cudaStreamEndCapture"
# The shim waits 50 ms for a GIL that does not come; the machine may be loaded.
LONGEST_MS = 700
# So often the host ends: CPython 3.10 crashed in about every twelfth run where threads still asked.
ENDS = 12


def interpreters():
    names = ["/usr/bin/python3", sys.executable]
    names += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3")))
    found = {}
    for name in names:
        probe = "import sys; print(sys.executable, *sys.version_info[:2])"
        try:
            path, major, minor = subprocess.check_output(
                [name, "-c", probe], text=True, stderr=subprocess.DEVNULL, timeout=30).split()
        except (subprocess.SubprocessError, ValueError, OSError):
            continue
        if (int(major), int(minor)) >= (3, 10):
            found[os.path.realpath(path)] = "%s.%s" % (major, minor)
    return found


def capture_line():
    with open(HOST) as file:
        return next(i for i, line in enumerate(file, 1) if line.startswith(PREFIX))


def records(lamplight, trace, kind):
    command = [lamplight, "dump", trace, "--type", kind, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return [line["fields"] for line in lines if line["type"] == kind]


def site_of_capture(lamplight, trace):
    (graph,) = records(lamplight, trace, "Graph")
    for site in records(lamplight, trace, "PythonSite"):
        if site["site_id"] == graph["site_id"]:
            return [(os.path.basename(f["file"]), f["function"], f["line"]) for f in site["frames"]]
    return []


def check(python, mode, library, shim, lamplight, runtime):
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAMPLIGHT_")}
        environment.update(LD_LIBRARY_PATH=runtime, LD_PRELOAD=shim, LAMPLIGHT_DIR=folder)
        done = subprocess.run([python, HOST, mode, library], env=environment, capture_output=True,
                              text=True, timeout=60)
        if done.returncode != 0 or done.stdout != "done\n":
            return "ended with %d: %s %s" % (done.returncode, done.stdout, done.stderr)
        traces = [str(path) for path in pathlib.Path(folder).glob("*.lamptrace")]
        if mode == "ending":
            graphs = [len(records(lamplight, trace, "Graph")) for trace in traces]
            return None if graphs == [5] else "graphs in traces: %s" % graphs
        if len(traces) != 1:
            return "%d traces: %s" % (len(traces), done.stderr)
        frames = site_of_capture(lamplight, traces[0])
    if mode == "stuck":
        took = int(done.stderr.split("took ")[1].split()[0])
        if took > LONGEST_MS:
            return "the capture took %d ms" % took
        return "frames %s, though the GIL was never free" % frames if frames else None
    wanted = [("python_host.py", "capture_model", capture_line()),
              ("python_host.py", "warm_up"), ("python_host.py", "main")]
    if frames[:1] != wanted[:1] or [frame[:2] for frame in frames[1:3]] != wanted[1:]:
        return "frames %s" % frames
    return None


def main():
    failed = False
    for python, version in interpreters().items():
        for mode in ("released", "held", "contended", "stuck"):
            # The GIL may come too late where others want it too: then a capture has no frames.
            for _ in range(5 if mode == "contended" else 1):
                problem = check(python, mode, *sys.argv[1:5])
                if problem != "frames []":
                    break
            print(version, mode, problem or "ok", flush=True)
            failed |= problem is not None
        ends = [check(python, "ending", *sys.argv[1:5]) for _ in range(ENDS)]
        print(version, "ending", *(set(ends) - {None} or ["ok"]), flush=True)
        failed |= any(ends)
    sys.exit(failed)


if __name__ == "__main__":
    main()
