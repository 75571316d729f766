"""What each rank sends in each replay, and what a Lamport kernel must find in its slots.

Pure functions of (seed, replay, rank): the program under test and the checker of the report compute
the same words independently of each other and of the GPU. bf16 values travel as uint16 bit patterns.
"""

import dataclasses

import numpy as np

SENTINEL = 0x80000000
MINUS_ZERO = 0x8000
WORLD = 2
PEER = 1  # the rank whose data are injected; rank 0 is the process itself
ALIAS_SHARE = 1 / 48  # of the odd elements of a poisoned token
FIRST_POSITIONS = 4


def to_bf16(values: np.ndarray) -> np.ndarray:
    """float32 → bf16 bit patterns, round to nearest even. NaN does not occur here."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def to_float(patterns: np.ndarray) -> np.ndarray:
    return (patterns.astype(np.uint32) << 16).view(np.float32)


def sanitise(patterns: np.ndarray) -> np.ndarray:
    """What a sender stores: −0 becomes +0, everything else stays."""
    return np.where(patterns == MINUS_ZERO, np.uint16(0), patterns)


def healthy(seed: int, replay: int, rank: int, tokens: int, dim: int) -> np.ndarray:
    generator = np.random.default_rng([seed, replay, rank])
    return sanitise(to_bf16(generator.standard_normal((tokens, dim), dtype=np.float32)))


def subnormal(seed: int, replay: int, rank: int, tokens: int, dim: int, only) -> np.ndarray:
    """Healthy words, but some odd elements of the tokens `only` are negative bf16 subnormals.

    An odd element is the high half of a 32-bit word, so each makes that word a negative fp32
    subnormal: data that a flush-to-zero compare cannot tell from the sentinel.
    """
    patterns = healthy(seed, replay, rank, tokens, dim)
    generator = np.random.default_rng([seed, replay, rank, 1])
    for token in only:
        odd = 1 + 2 * np.flatnonzero(generator.random(dim // 2) < ALIAS_SHARE)
        patterns[token, odd] = generator.integers(0x8001, 0x8080, odd.size, dtype=np.uint16)
    return patterns


def is_alias(words: np.ndarray) -> np.ndarray:
    """Negative fp32 subnormals."""
    return (words > SENTINEL) & (words < SENTINEL + 0x00800000)


@dataclasses.dataclass(frozen=True)
class Slot:
    """The expected state of one (stage, peer, token) that rank 0 awaits from the peer."""

    stage: int
    peer: int
    token: int
    words: int
    alias: int
    first_alias: tuple  # word positions in the slot, at most FIRST_POSITIONS


def awaited_from_peer(algorithm: str, patterns: np.ndarray) -> list:
    """One-shot: every token of the peer. Two-shot: SCATTER of the tokens that rank 0 owns."""
    words = np.ascontiguousarray(patterns).view(np.uint32)
    slots = []
    for token in range(len(words)):
        if algorithm == "twoshot" and token % WORLD != 0:
            continue
        positions = np.flatnonzero(is_alias(words[token]))
        first = tuple(int(p) for p in positions[:FIRST_POSITIONS])
        slots.append(Slot(0, PEER, token, words.shape[1], positions.size, first))
    return slots
