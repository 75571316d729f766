#!/usr/bin/env python3
"""Two ranks of FlashInfer's fused all-reduce on one GPU, a process each, in replayed CUDA graphs.

Each rank captures one graph of several layers for every algorithm and replays them in turn. All
results are checked against an fp32 reference, and at the end against the peer's: residuals bit for
bit, norms within one unit in the last place. With --payload subnormal one rank, or both, sends
negative bf16 subnormals in one replay: a release that compares with flush-to-zero hangs where it
reads them. With --payload fewer one rank's calls of that replay have a token less, which hangs every
release. So run this under `timeout`. Knows nothing of Lamplight.

Exit status: 0 all right, 1 wrong results, 2 bad arguments, 77 no GPU here.
"""

import argparse
import json
import pathlib
import sys

import payload
import rank_group

EXIT_WRONG = 1
EXIT_NO_GPU = 77
ALGORITHMS = ("oneshot", "twoshot", "trtllm-oneshot")
AGREED = ("all {} replays right; residuals equal the peer's, norms differ in {} values by at most "
          "{} units")
NORM_UNITS = 1  # by which kernels that round at other places may differ


def parse_arguments(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--algorithm", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--dim", type=int, default=2880, help="hidden size, a multiple of 8")
    parser.add_argument("--layers", type=int, default=2, help="all-reduce calls in a graph")
    parser.add_argument("--eager", type=int, default=2, help="eager passes before the captures")
    parser.add_argument("--replays", type=int, default=8)
    parser.add_argument("--payload", choices=["random", "subnormal", "fewer"], default="random")
    parser.add_argument("--poison-rank", choices=["0", "1", "both"], default="0",
                        help="who sends the subnormals, or a token less")
    parser.add_argument("--poison-replay", type=int, default=3, help="first is 0")
    parser.add_argument("--poison-layer", type=int, default=0, help="first is 0")
    parser.add_argument("--poison-tokens", choices=["all", "even", "odd"], default="all",
                        help="in a two-shot rank 0 owns the even ones, rank 1 the odd ones")
    parser.add_argument("--no-pdl", action="store_true", help="plain edges between the kernels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--multicast", type=pathlib.Path, help="multicast.ptx, of prepare.sh")
    parser.add_argument("--manifest", help="write what will be sent to this JSON file, first thing")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    problem = first_problem(parsed)
    if problem:
        parser.error(problem)  # exits with 2
    return parsed


def first_problem(arguments: argparse.Namespace) -> str:
    if arguments.dim < 8 or arguments.dim % 8 != 0 or arguments.dim > 65536:
        return f"--dim {arguments.dim}: must be a multiple of 8 from 8 to 65536"
    for name in ("tokens", "layers", "replays", "eager"):
        if getattr(arguments, name) < 1:
            # An eager pass loads every kernel: a capture could not, beside a peer that spins.
            return f"--{name} {getattr(arguments, name)}: must be at least 1"
    if set(arguments.algorithm) - {"trtllm-oneshot"}:
        if arguments.multicast is None:
            return "--multicast: the MNNVL algorithms need the file that prepare.sh made"
        if not arguments.multicast.is_file():
            return f"--multicast {arguments.multicast}: no such file; prepare.sh makes it"
    if arguments.payload == "random":
        return ""
    if not 0 <= arguments.poison_replay < arguments.replays:
        return (f"--poison-replay {arguments.poison_replay}: replays are 0 to "
                f"{arguments.replays - 1}")
    if not 0 <= arguments.poison_layer < arguments.layers:
        return f"--poison-layer {arguments.poison_layer}: layers are 0 to {arguments.layers - 1}"
    if arguments.payload == "fewer":
        return fewer_problem(arguments)
    if not poison_tokens(arguments):
        return f"--poison-tokens {arguments.poison_tokens}: there are none of {arguments.tokens}"
    return ""


def fewer_problem(arguments: argparse.Namespace) -> str:
    if arguments.poison_rank == "both":
        return "--poison-rank both: ranks that both send less agree; name one"
    if arguments.tokens < 2:
        return f"--tokens {arguments.tokens}: a token less of them is none"
    return ""


def poison_tokens(arguments: argparse.Namespace) -> list:
    first, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[arguments.poison_tokens]
    return list(range(first, arguments.tokens, step))


def rows_of(arguments: argparse.Namespace, replay: int, layer: int, rank: int) -> list:
    """What `rank` sends in this call. Replay −1 stands for the eager passes."""
    call = (replay + 1) * arguments.layers + layer
    size = (arguments.tokens, arguments.dim)
    poisoned = (arguments.payload == "subnormal" and replay == arguments.poison_replay
                and layer == arguments.poison_layer
                and arguments.poison_rank in ("both", str(rank)))
    if not poisoned:
        return payload.healthy(arguments.seed, call, rank, *size)
    return payload.subnormal(arguments.seed, call, rank, *size, poison_tokens(arguments))


class Session:
    """A rank's process. Invariant: both ranks do the same in the same order."""

    def __init__(self, arguments: argparse.Namespace):
        import rank_model
        import torch

        self._torch, self._arguments = torch, arguments
        self._checksum, self._units_apart = rank_model.checksum, rank_model.units_apart
        self._group = rank_group.Group(arguments.rank, arguments.socket)
        self._model = rank_model.RankModel(arguments, self._group)
        self._stream = torch.cuda.Stream()
        self._results = {}

    def say(self, text: str) -> None:
        # In one piece: the ranks share the stream.
        print(f"rank {self._arguments.rank}: {text}\n", end="", flush=True)

    def run(self) -> int:
        """The steps return False where results are wrong."""
        right = self._eager() and self._replay_all() and self._agree()
        return 0 if right else EXIT_WRONG

    def _load(self, replay: int) -> None:
        arguments = self._arguments
        self._model.load([[rows_of(arguments, replay, layer, rank)
                           for rank in range(payload.WORLD)] for layer in range(arguments.layers)])

    def _right(self, what: str) -> bool:
        mismatch = self._model.first_mismatch()
        if mismatch:
            self.say(f"{what}: WRONG: {mismatch}")
        return not mismatch

    def _eager(self) -> bool:
        self._load(-1)
        for algorithm in self._arguments.algorithm:
            for _ in range(self._arguments.eager):
                self._model.spoil()
                with self._torch.cuda.stream(self._stream):
                    self._model.forward(algorithm)
                self._torch.cuda.synchronize()
                if not self._right(f"eager {algorithm}"):
                    return False
        self.say("eager calls right")
        return True

    def _capture(self, tokens: int) -> dict:
        graphs = {}
        for algorithm in self._arguments.algorithm:
            graphs[algorithm] = self._torch.cuda.CUDAGraph()
            with self._torch.cuda.graph(graphs[algorithm], stream=self._stream):
                self._model.forward(algorithm, tokens)
        return graphs

    def _poisons(self, replay: int) -> bool:
        arguments = self._arguments
        return (arguments.payload != "random" and replay == arguments.poison_replay
                and arguments.poison_rank in ("both", str(arguments.rank)))

    def _replay_all(self) -> bool:
        tokens = self._arguments.tokens
        graphs = self._capture(tokens)
        fewer = self._capture(tokens - 1) if self._arguments.payload == "fewer" else graphs
        for replay in range(self._arguments.replays):
            self._load(replay)
            self._announce(replay)
            for algorithm, graph in (fewer if self._poisons(replay) else graphs).items():
                self._model.spoil()
                with self._torch.cuda.stream(self._stream):
                    graph.replay()
                self._torch.cuda.synchronize()
                if not self._right(f"replay {replay}: {algorithm}"):
                    return False
                results = self._model.results()
                self._results[replay, algorithm] = results
                self.say(f"replay {replay}: {algorithm} right, checksum {self._checksum(results)}")
        return True

    def _announce(self, replay: int) -> None:
        if not self._poisons(replay):
            return
        if self._arguments.payload == "fewer":
            self.say(f"replay {replay}: sends a token less in every layer")
        else:
            self.say(f"replay {replay}: sends negative subnormals in layer "
                     f"{self._arguments.poison_layer}")

    def _agree(self) -> bool:
        differing, worst = 0, 0
        theirs = self._group.exchange(self._results)
        for step, (residuals, norms) in self._results.items():
            if residuals != theirs[step][0]:
                self.say(f"replay {step[0]}: {step[1]}: WRONG: residuals differ from the peer's")
                return False
            count, units = self._units_apart(norms, theirs[step][1])
            differing, worst = differing + count, max(worst, units)
        self.say(AGREED.format(self._arguments.replays, differing, worst))
        return worst <= NORM_UNITS


def write_manifest(arguments: argparse.Namespace) -> None:
    content = {name: value for name, value in vars(arguments).items()
               if name not in ("manifest", "multicast", "rank", "socket")}
    pathlib.Path(arguments.manifest).write_text(json.dumps(content, indent=1), encoding="utf-8")


def rank_main(arguments: argparse.Namespace) -> int:
    import torch

    if not torch.cuda.is_available():
        print("no GPU here: this program needs one")
        return EXIT_NO_GPU
    import flashinfer

    session = Session(arguments)
    session.say(f"FlashInfer {flashinfer.__version__}, PyTorch {torch.__version__}, "
                f"{arguments.tokens} tokens × {arguments.dim}, {torch.cuda.get_device_name()}")
    return session.run()


def main() -> int:
    arguments = parse_arguments()
    if arguments.rank is not None:
        return rank_main(arguments)
    if arguments.manifest:
        write_manifest(arguments)
    return rank_group.run_both([sys.executable, *sys.argv])


if __name__ == "__main__":
    sys.exit(main())
