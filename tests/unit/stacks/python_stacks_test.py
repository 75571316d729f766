"""Runs python_child.py under every CPython 3.9+ that is found, in every state.

usage: python_stacks_test.py PROBE_LIBRARY
"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

LIBRARY = os.path.abspath(sys.argv.pop())
CHILD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_child.py")
LIMIT_MS = 1000
# Why stacks may be missing where the dump is neither exported nor in a symbol table.
NO_DUMP = "does not export"


def interpreters():
    found = {}
    names = ["/usr/bin/python3", sys.executable]
    names += [shutil.which("python3.%d" % minor) for minor in range(9, 15)]
    names += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3")))
    for name in names:
        if not name or not os.path.exists(name):
            continue
        probe = "import sys; print(sys.executable, *sys.version_info[:2])"
        try:
            path, major, minor = subprocess.check_output(
                [name, "-c", probe], text=True, stderr=subprocess.DEVNULL, timeout=30).split()
        except (subprocess.SubprocessError, ValueError, OSError):
            continue
        if (int(major), int(minor)) >= (3, 9):
            found[os.path.realpath(path)] = "%s.%s" % (major, minor)
    return found


class Answer:
    def __init__(self, text):
        found, slowest, self.why_not, self.text = (text.split("\n", 3) + [""] * 3)[:4]
        self.found = int(found)
        self.slowest_ms = int(slowest)


class PythonStacks(unittest.TestCase):
    def ask(self, python, mode, times=1):
        with tempfile.TemporaryDirectory() as folder:
            result = os.path.join(folder, "result")
            child = subprocess.Popen(
                [python, CHILD, mode, LIBRARY, result, str(LIMIT_MS), str(times)],
                stderr=subprocess.PIPE, text=True)
            try:
                end = time.monotonic() + 60
                while not os.path.exists(result) and time.monotonic() < end:
                    self.assertIsNone(child.poll(), "the host died in " + mode)
                    time.sleep(0.02)
                self.assertTrue(os.path.exists(result), "no answer in " + mode)
                time.sleep(0.1)
                self.assertIsNone(child.poll(), "the host died after " + mode)
                with open(result) as file:
                    return Answer(file.read())
            finally:
                child.kill()
                child.communicate()

    def check(self, mode, times=1, gil_comes=True):
        for python, version in interpreters().items():
            with self.subTest(mode=mode, python=python):
                answer = self.ask(python, mode, times)
                print("%s %s: %d of %d in at most %d ms %s" % (
                    version, mode, answer.found, times, answer.slowest_ms, answer.why_not))
                self.assertLess(answer.slowest_ms, LIMIT_MS + 1500)
                if not gil_comes and NO_DUMP in answer.why_not:
                    self.assertEqual(answer.found, 0)
                    self.assertIn("the GIL did not come in time", answer.why_not)
                    continue
                self.assertEqual(answer.found, times)
                self.assertIn("wait_" + mode, answer.text)
                self.assertIn("python_child.py", answer.text)

    def test_in_sleep(self):
        self.check("in_sleep")

    def test_in_a_call_that_holds_the_gil(self):
        self.check("with_gil", gil_comes=False)

    def test_in_a_call_that_released_the_gil(self):
        self.check("without_gil")

    def test_in_a_python_loop(self):
        self.check("in_loop")

    def test_among_threads_that_come_and_go(self):
        self.check("among_threads", times=20)


if __name__ == "__main__":
    unittest.main()
