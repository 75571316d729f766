#!/usr/bin/env python3
"""FlashInfer's MNNVL all-reduce + residual + RMSNorm in a replayed CUDA graph, on one GPU.

Rank 0 is this process; rank 1's data are written into rank 0's workspace by ordinary PyTorch
operations in front of each call (local_workspace.py). Healthy replays are checked against an fp32
reference. With --payload subnormal the replay --poison-replay carries negative bf16 subnormals from
rank 1: releases that compare with flush-to-zero never finish it, so run this under `timeout`. One
thread; knows nothing of Lamplight.

Exit status: 0 all replays right, 1 wrong results, 2 bad arguments, 77 no GPU here.
"""

import argparse
import json
import sys
import zlib

import payload

EXIT_WRONG = 1
EXIT_USAGE = 2
EXIT_NO_GPU = 77


def parse_arguments(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--algorithm", choices=["oneshot", "twoshot"], default="oneshot")
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--dim", type=int, default=2880, help="hidden size, a multiple of 8")
    parser.add_argument("--world", type=int, default=payload.WORLD, help="ranks; only 2 works")
    parser.add_argument("--layers", type=int, default=2, help="all-reduce calls in the graph")
    parser.add_argument("--eager", type=int, default=2, help="eager calls before the capture")
    parser.add_argument("--replays", type=int, default=20)
    parser.add_argument("--payload", choices=["random", "subnormal"], default="random")
    parser.add_argument("--poison-replay", type=int, default=5, help="first is 0")
    parser.add_argument("--poison-layer", type=int, default=1, help="first is 0")
    parser.add_argument("--poison-tokens", default="all", help="all, or like 0,3,5")
    parser.add_argument("--no-pdl", action="store_true", help="plain edges between the kernels")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--manifest", help="write what will be sent to this JSON file, first thing")
    parsed = parser.parse_args(arguments)
    problem = first_problem(parsed)
    if problem:
        parser.error(problem)  # exits with 2
    return parsed


def first_problem(arguments: argparse.Namespace) -> str:
    if arguments.world != payload.WORLD:
        return f"--world {arguments.world}: one peer is injected, so it must be {payload.WORLD}"
    if arguments.dim < 8 or arguments.dim % 8 != 0 or arguments.dim > 65536:
        return f"--dim {arguments.dim}: must be a multiple of 8 from 8 to 65536"
    for name in ("tokens", "layers", "replays"):
        if getattr(arguments, name) < 1:
            return f"--{name} {getattr(arguments, name)}: must be at least 1"
    if arguments.eager < 0:
        return f"--eager {arguments.eager}: must not be negative"
    if arguments.payload == "random":
        return ""
    if not 0 <= arguments.poison_replay < arguments.replays:
        return (f"--poison-replay {arguments.poison_replay}: replays are 0 to "
                f"{arguments.replays - 1}")
    if not 0 <= arguments.poison_layer < arguments.layers:
        return f"--poison-layer {arguments.poison_layer}: layers are 0 to {arguments.layers - 1}"
    return poison_problem(arguments)


def poison_problem(arguments: argparse.Namespace) -> str:
    try:
        tokens = poison_tokens(arguments)
    except ValueError:
        return f"--poison-tokens {arguments.poison_tokens}: write all, or numbers like 0,3,5"
    if any(not 0 <= token < arguments.tokens for token in tokens):
        return f"--poison-tokens {arguments.poison_tokens}: tokens are 0 to {arguments.tokens - 1}"
    if arguments.algorithm == "twoshot" and all(token % payload.WORLD for token in tokens):
        return (
            f"--poison-tokens {arguments.poison_tokens}: in a two-shot rank 0 awaits rank 1's "
            "words only for even tokens; name one"
        )
    return ""


def poison_tokens(arguments: argparse.Namespace) -> list:
    if arguments.poison_tokens == "all":
        return list(range(arguments.tokens))
    return sorted({int(token) for token in arguments.poison_tokens.split(",")})


def peer_rows(arguments: argparse.Namespace, replay: int, layer: int):
    """What rank 1 sends in this call. Replay −1 stands for the eager calls."""
    call = (replay + 1) * arguments.layers + layer
    shape = (arguments.tokens, arguments.dim)
    poisoned = (
        arguments.payload == "subnormal"
        and replay == arguments.poison_replay
        and layer == arguments.poison_layer
    )
    if poisoned:
        only = poison_tokens(arguments)
        return payload.subnormal(arguments.seed, call, payload.PEER, *shape, only)
    return payload.healthy(arguments.seed, call, payload.PEER, *shape)


def own_rows(arguments: argparse.Namespace, replay: int, layer: int):
    call = (replay + 1) * arguments.layers + layer
    return payload.healthy(arguments.seed, call, 0, arguments.tokens, arguments.dim)


class Model:
    """Layers of one all-reduce each. Invariant: all tensors are allocated before the capture, so
    the captured graph reads and writes the same addresses in every replay."""

    def __init__(self, arguments: argparse.Namespace):
        import torch
        from local_workspace import LocalWorkspace, PeerRank

        self.torch = torch
        self.arguments = arguments
        shape = (arguments.layers, arguments.tokens, arguments.dim)
        empty = lambda: torch.zeros(shape, dtype=torch.bfloat16, device="cuda")
        self.own, self.peer, self.output, self.residual_out = empty(), empty(), empty(), empty()
        self.residual_in = torch.ones(shape[1:], dtype=torch.bfloat16, device="cuda")
        self.gamma = torch.linspace(0.5, 1.5, arguments.dim, device="cuda").bfloat16()
        self.epsilon = 1e-5
        self.workspace = LocalWorkspace(arguments.world, arguments.tokens, arguments.dim)
        self.peer_rank = PeerRank(
            self.workspace, arguments.algorithm, arguments.tokens, arguments.dim
        )

    def load(self, replay: int) -> None:
        for layer in range(self.arguments.layers):
            self._copy(self.own[layer], own_rows(self.arguments, replay, layer))
            self._copy(self.peer[layer], peer_rows(self.arguments, replay, layer))

    def _copy(self, tensor, rows: list) -> None:
        host = self.torch.frombuffer(payload.bytes_of(rows), dtype=self.torch.bfloat16)
        tensor.copy_(host.view(tensor.shape))

    def forward(self) -> None:
        residual = self.residual_in
        for layer in range(self.arguments.layers):
            self.peer_rank.send(self.peer[layer], self.own[layer])
            self._all_reduce(layer, residual)
            residual = self.residual_out[layer]

    def _all_reduce(self, layer: int, residual) -> None:
        from flashinfer.comm import trtllm_mnnvl_ar as mnnvl

        strategy = mnnvl.MNNVLAllreduceFusionStrategy[self.arguments.algorithm.upper()]
        mnnvl.trtllm_mnnvl_fused_allreduce_add_rmsnorm(
            input=self.own[layer],
            residual_in=residual,
            gamma=self.gamma,
            workspace=self.workspace,
            epsilon=self.epsilon,
            output=self.output[layer],
            residual_out=self.residual_out[layer],
            launch_with_pdl=not self.arguments.no_pdl,
            strategy=strategy,
        )

    def first_mismatch(self) -> str:
        """Compares with a reference: the residual bit for bit, the norm within bf16 rounding."""
        residual = self.residual_in
        for layer in range(self.arguments.layers):
            total = (self.own[layer].float() + self.peer[layer].float()).bfloat16()
            residual = total + residual
            if not self.torch.equal(residual, self.residual_out[layer]):
                wrong = (residual != self.residual_out[layer]).nonzero()
                where = wrong[0].tolist()
                return f"layer {layer}: residual differs at {where}, {len(wrong)} in all"
            scale = (residual.float().square().mean(1, keepdim=True) + self.epsilon).rsqrt()
            expected = residual.float() * scale * self.gamma.float()
            error = (self.output[layer].float() - expected).abs() - 0.02 * expected.abs()
            if error.max().item() > 0.02:
                return f"layer {layer}: norm is off by {error.max().item():.4f}"
        return ""

    def checksum(self) -> str:
        total = 0
        for tensor in (self.output, self.residual_out):
            total = zlib.crc32(tensor.view(self.torch.int16).cpu().numpy().tobytes(), total)
        return f"{total:08x}"


def write_manifest(arguments: argparse.Namespace, version: str) -> None:
    content = {name: value for name, value in vars(arguments).items() if name != "manifest"}
    content["flashinfer"] = version
    with open(arguments.manifest, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)


def say(text: str) -> None:
    print(text, flush=True)


def warm_up(model: Model) -> str:
    """Eager calls: every kernel is loaded before the capture, and the index does not start at 0."""
    model.load(-1)
    for _ in range(model.arguments.eager):
        model.forward()
    model.torch.cuda.synchronize()
    return model.first_mismatch() if model.arguments.eager else ""


def replay_all(model: Model, graph) -> int:
    arguments = model.arguments
    for replay in range(arguments.replays):
        model.load(replay)
        model.torch.cuda.synchronize()
        if arguments.payload == "subnormal" and replay == arguments.poison_replay:
            say(f"replay {replay}: rank 1 sends negative subnormals in layer "
                f"{arguments.poison_layer}")
        graph.replay()
        model.torch.cuda.synchronize()
        mismatch = model.first_mismatch()
        if mismatch:
            say(f"replay {replay}: WRONG: {mismatch}")
            return EXIT_WRONG
        flags = model.workspace.flags.tolist()
        say(f"replay {replay}: right, checksum {model.checksum()}, flags {flags}")
    say(f"all {arguments.replays} replays right")
    return 0


def main() -> int:
    arguments = parse_arguments()
    import torch

    if not torch.cuda.is_available():
        say("no GPU here: this program needs one")
        return EXIT_NO_GPU
    import flashinfer

    if arguments.manifest:
        write_manifest(arguments, flashinfer.__version__)
    say(f"FlashInfer {flashinfer.__version__}, PyTorch {torch.__version__}, {arguments.algorithm}, "
        f"{arguments.tokens} tokens × {arguments.dim}, {torch.cuda.get_device_name()}")
    model = Model(arguments)
    mismatch = warm_up(model)
    if mismatch:
        say(f"eager calls: WRONG: {mismatch}")
        return EXIT_WRONG
    graph = torch.cuda.CUDAGraph()
    model.load(0)
    with torch.cuda.graph(graph):
        model.forward()
    say(f"captured {arguments.layers} layers after {arguments.eager} eager passes")
    status = replay_all(model, graph)
    model.workspace.destroy()
    return status


if __name__ == "__main__":
    sys.exit(main())
