#!/usr/bin/env python3
"""An unmodified vLLM server on two GPUs: alone, under the shim, with kernels swapped, with a rank stopped.

Each case starts `vllm serve` with tensor parallelism over two GPUs, where vLLM takes FlashInfer's fused
all-reduce by itself, and sends it the same requests. Under the shim nothing may be found; swapped, the
answers must be those of the server alone as far as two runs of that one agree; with one worker stopped
(SIGSTOP) while it answers, the hang must be reported. Needs vLLM and FlashInfer, and a model such as
make_model.py makes. Leaves in OUT what each case measured, its report and the server's log.

Exit status: 0 all right, 1 not, 2 bad arguments, 77 vLLM or two GPUs are missing.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.request

PORT = 8123
START_S = 240
REQUESTS, PROMPT, TOKENS = 32, 64, 128
ALONE_TOKENS = 200
FIRST_TOLERANCE = 0.02  # of a first token's log-probability, between two ways to round a norm
CASES = ("plain", "shim", "swap", "stopped")
# NVLink multicast is left alone: whoever stops in it may take the host's other GPUs along.
ENVIRONMENT = {"NCCL_NVLS_ENABLE": "0", "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
               "VLLM_ALLREDUCE_USE_SYMM_MEM": "0", "VLLM_FLASHINFER_ALLREDUCE_BACKEND": "trtllm",
               "VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_NO_USAGE_STATS": "1",
               "HF_HUB_OFFLINE": "1"}


def call(path: str, body: dict = None, timeout: float = 120) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}",
                                     data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=timeout).read()


def complete(number: int, tokens: int, timeout: float = 120) -> dict:
    prompt = [(number * 37 + k * 11) % 31000 + 3 for k in range(PROMPT + number)]
    body = {"model": "m", "prompt": prompt, "max_tokens": tokens, "temperature": 0,
            "ignore_eos": True, "logprobs": 1}
    return json.loads(call("/v1/completions", body, timeout))["choices"][0]["logprobs"]


def complete_all(count: int, tokens: int, timeout: float = 120) -> list:
    found = [None] * count

    def one(number: int) -> None:
        try:
            found[number] = complete(number, tokens, timeout)
        except Exception as error:  # a server that hangs answers nothing
            found[number] = {"error": repr(error)}

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Server:
    def __init__(self, prefix: list, model: str, log):
        command = [*prefix, sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model,
                   "--served-model-name", "m", "--tensor-parallel-size", "2", "--port", str(PORT),
                   "--max-model-len", "2048", "--max-num-seqs", "64",
                   "--gpu-memory-utilization", "0.3", "--no-enable-prefix-caching"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                        env={**os.environ, **ENVIRONMENT})

    def await_start(self) -> float:
        begin = time.time()
        while time.time() - begin < START_S:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}; see its log")
            try:
                call("/health", timeout=2)
                return time.time() - begin
            except OSError:
                time.sleep(0.5)
        raise RuntimeError(f"the server did not answer within {START_S} s")

    def worker(self, rank: int) -> int:
        for line in subprocess.run(["pgrep", "-af", "VLLM::Worker_TP"], capture_output=True,
                                   text=True).stdout.splitlines():
            pid, name = line.split(maxsplit=1)
            if f"TP{rank}" in name:
                return int(pid)
        raise RuntimeError(f"no worker of rank {rank}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        subprocess.run(["pkill", "-KILL", "-f", "VLLM::"])
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def work() -> dict:
    """What the requests took, and their answers."""
    complete_all(4, 8)
    complete(0, 8)
    alone, together = [], []
    for _ in range(5):
        begin = time.time()
        complete(0, ALONE_TOKENS)
        alone.append((time.time() - begin) / ALONE_TOKENS * 1e3)
    for _ in range(5):
        begin = time.time()
        answers = complete_all(REQUESTS, TOKENS)
        together.append(time.time() - begin)
    return {"ms_per_token_alone": alone, f"seconds_of_{REQUESTS}_requests": together,
            "answers": [complete(number, 4) for number in range(REQUESTS)],
            "errors": [answer["error"] for answer in answers if "error" in answer]}


def hang(server: Server, report) -> dict:
    complete_all(4, 8)
    victim = server.worker(1)
    asked = threading.Thread(target=complete_all, args=(8, 1500, 30))
    asked.start()
    time.sleep(1.5)
    os.kill(victim, signal.SIGSTOP)
    asked.join()
    found = report()
    os.kill(victim, signal.SIGCONT)
    return {"report": found}


def first_differences(answers: list, others: list) -> float:
    """Between the first tokens' log-probabilities: later ones follow other tokens."""
    return max(abs(a["token_logprobs"][0] - b["token_logprobs"][0])
               for a, b in zip(answers, others))


class Runner:
    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.lamplight = str(arguments.build / "bin" / "lamplight")
        self.plain = None

    def run(self, case: str) -> str:
        """"" or what is wrong."""
        out, trace = self.arguments.out, self.arguments.out / f"{case}-trace"
        prefix = [] if case == "plain" else [self.lamplight, "run", "--out", str(trace)]
        prefix += (["--swap"] if case == "swap" else []) + (["--"] if prefix else [])
        with open(out / f"{case}.log", "w", encoding="utf-8") as log:
            server = Server(prefix, self.arguments.model, log)
            try:
                found = {"ready_s": server.await_start()}
                found |= hang(server, lambda: self.report(case, trace)) if case == "stopped" else work()
            finally:
                server.stop()
        if case in ("shim", "swap"):
            found["report"] = self.report(case, trace)
        (out / f"{case}.json").write_text(json.dumps(found))
        print({key: value for key, value in found.items() if key not in ("answers", "report")},
              flush=True)
        return self.judge(case, found)

    def report(self, case: str, trace: pathlib.Path) -> dict:
        with open(self.arguments.out / f"{case}-report.txt", "w", encoding="utf-8") as file:
            subprocess.run([self.lamplight, "report", str(trace)], stdout=file)
        done = subprocess.run([self.lamplight, "report", str(trace), "--format", "json"],
                              capture_output=True, text=True)
        report = json.loads(done.stdout)
        return {"status": done.returncode, "swaps": report["swaps"],
                "findings": [{key: finding[key] for key in ("hazard", "severity", "confidence",
                                                            "ranks", "title")}
                             for finding in report["findings"]]}

    def judge(self, case: str, found: dict) -> str:
        if case == "plain":
            self.plain = found
            return f"errors {found['errors']}" if found["errors"] else ""
        report = found["report"]
        if case == "stopped":
            hangs = [f for f in report["findings"] if f["severity"] == "hang"]
            return "" if hangs else f"no hang among {report['findings']}"
        if found["errors"] or report["status"] != 0:
            return f"errors {found['errors']}, report {report}"
        if case == "swap" and not any(swap["by"] for swap in report["swaps"]):
            return f"nothing was swapped: {report['swaps']}"
        if self.plain is None:
            return ""
        difference = first_differences(found["answers"], self.plain["answers"])
        print(f"largest difference of a first token's log-probability: {difference:.5f}")
        return "" if difference <= FIRST_TOLERANCE else "the answers are others"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="a build or an installation of Lamplight")
    parser.add_argument("model", help="folder of a model, for example make_model.py's")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("cases", nargs="*", help=f"default: {' '.join(CASES)}")
    arguments = parser.parse_args()
    unknown = set(arguments.cases) - set(CASES)
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    gpus = subprocess.run([sys.executable, "-c", "import torch, vllm, flashinfer, sys; "
                           "sys.exit(torch.cuda.device_count() < 2)"], capture_output=True)
    if gpus.returncode != 0:
        print("SKIPPED: needs vLLM, FlashInfer and two GPUs")
        return 77
    arguments.out.mkdir(parents=True, exist_ok=True)
    runner, failed = Runner(arguments), False
    for case in arguments.cases or CASES:
        problem = runner.run(case)
        failed = failed or bool(problem)
        print(f"{'FAIL' if problem else 'PASS'}  vllm {case} {problem}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
