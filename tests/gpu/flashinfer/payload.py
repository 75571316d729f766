"""What each rank sends in each call, and what a Lamport kernel must find in its slots.

Pure functions of (seed, call, rank): the program under test and the checker of the report compute
the same words independently of each other and of the GPU. Needs no package. bf16 values travel as
16-bit patterns; a payload is a list of rows, one array of patterns for each token.
"""

import array
import dataclasses
import random
import sys

SENTINEL = 0x80000000
MINUS_ZERO = 0x8000
WORLD = 2
PEER = 1  # the rank whose data are injected; rank 0 is the process itself
ALIAS_SHARE = 1 / 48  # of the odd elements of a poisoned token
FIRST_POSITIONS = 4

if sys.byteorder != "little" or array.array("I").itemsize != 4:
    raise ImportError("the words of a row are read as little-endian 32-bit integers")


def to_bf16(values) -> array.array:
    """float32 → bf16 bit patterns, round to nearest even. NaN does not occur here."""
    words = array.array("I", array.array("f", values).tobytes())
    return array.array("H", ((word + 0x7FFF + (word >> 16 & 1)) >> 16 for word in words))


def to_float(row: array.array) -> array.array:
    return array.array("f", array.array("I", (pattern << 16 for pattern in row)).tobytes())


def words_of(row: array.array) -> array.array:
    return array.array("I", row.tobytes())


def bytes_of(rows: list) -> bytearray:
    return bytearray(b"".join(row.tobytes() for row in rows))


def sanitise(row: array.array) -> array.array:
    """What a sender stores: −0 becomes +0, everything else stays."""
    return array.array("H", (0 if pattern == MINUS_ZERO else pattern for pattern in row))


def sums(one: array.array, other: array.array) -> array.array:
    """What the owner of a token sends to all: the sum in fp32, rounded once."""
    return sanitise(to_bf16(a + b for a, b in zip(to_float(one), to_float(other))))


def healthy(seed: int, call: int, rank: int, tokens: int, dim: int) -> list:
    generator = random.Random(f"{seed} {call} {rank}")
    return [sanitise(to_bf16(generator.gauss(0, 1) for _ in range(dim))) for _ in range(tokens)]


def subnormal(seed: int, call: int, rank: int, tokens: int, dim: int, only) -> list:
    """Healthy words, but some odd elements of the tokens `only` are negative bf16 subnormals.

    An odd element is the high half of a 32-bit word, so each makes that word a negative fp32
    subnormal: data that a flush-to-zero compare cannot tell from the sentinel.
    """
    rows = healthy(seed, call, rank, tokens, dim)
    generator = random.Random(f"{seed} {call} {rank} subnormal")
    for token in only:
        for position in range(1, dim, 2):
            if generator.random() < ALIAS_SHARE:
                rows[token][position] = generator.randrange(0x8001, 0x8080)
    return rows


def is_alias(word: int) -> bool:
    """A negative fp32 subnormal."""
    return SENTINEL < word < SENTINEL + 0x00800000


@dataclasses.dataclass(frozen=True)
class Slot:
    """The expected state of one (stage, peer, token) that a rank awaits."""

    stage: int
    peer: int
    token: int
    words: int
    alias: int
    first_alias: tuple  # word positions in the slot, at most FIRST_POSITIONS


def awaited(algorithm: str, rows: list, receiver: int, peer: int) -> list:
    """What `receiver` awaits of `peer`'s rows. One-shot: every token. Two-shot: SCATTER of the
    tokens that the receiver owns."""
    slots = []
    for token, row in enumerate(rows):
        if algorithm == "twoshot" and token % WORLD != receiver:
            continue
        positions = [at for at, word in enumerate(words_of(row)) if is_alias(word)]
        first = tuple(positions[:FIRST_POSITIONS])
        slots.append(Slot(0, peer, token, len(row) // 2, len(positions), first))
    return slots
