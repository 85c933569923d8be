"""Sequences of a split, and the order in which a run reads them (protocol.md, "Data")."""

import hashlib

import numpy

from .base import equal, require, unhex
from .blobs import Blobs


MAX_SHARD_TOKENS = 1 << 24


def check_split(split: dict, what: str) -> None:
    shards = split["shards"]
    require(len(shards) > 0, f"the {what} split has no shards")
    size = shards[0]["tokens"]
    require(size <= MAX_SHARD_TOKENS, f"the shards of {what} are longer than allowed")
    for index, shard in enumerate(shards):
        last = index == len(shards) - 1
        require(0 < shard["tokens"] <= size if last else shard["tokens"] == size, f"shard {index} of {what} is irregular")
    for key in ("tokens", "bytes"):
        equal(f"the {key} of {what}", sum(shard[key] for shard in shards), split[key])


def read_split(blobs: Blobs, run_id: str, manifest: dict, name: str) -> numpy.ndarray:
    """All token ids of a split."""
    parts = []
    for index, shard in enumerate(manifest[name]["shards"]):
        data = blobs.get(run_id, shard["digest"], f"shard {index} of {name}", 2 * shard["tokens"])
        ids = numpy.frombuffer(data, dtype="<u2")
        require(int(ids.max()) < manifest["vocabulary"], f"shard {index} of {name} has ids outside the vocabulary")
        parts.append(ids)
    return numpy.concatenate(parts)


def sequence_count(tokens: int, length: int) -> int:
    return max(0, (tokens - 1) // length)


def sequences(ids: numpy.ndarray, length: int, indices: list[int]) -> numpy.ndarray:
    """Sequence i is the S + 1 tokens from token i·S: [len(indices), S + 1]."""
    return numpy.stack([ids[index * length : index * length + length + 1] for index in indices]).astype(numpy.int64)


def held_out_sample(available: int, count: int) -> list[int]:
    return [i * available // count if available >= count else i % available for i in range(count)]


def _fmix32(x: int) -> int:
    x ^= x >> 16
    x = x * 0x85EBCA6B & 0xFFFFFFFF
    x ^= x >> 13
    x = x * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ (x >> 16)


def order(seed: str, passed: int, count: int):
    """The permutation of one pass over `count` sequences."""
    digest = hashlib.sha256(b"cotrain data order" + unhex(seed) + passed.to_bytes(8, "little")).digest()
    keys = [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(8)]
    half = 2
    while half * half < count:
        half *= 2

    def at(index: int) -> int:
        value = index
        while True:
            left, right = divmod(value, half)
            for key in keys:
                left, right = right, left ^ (_fmix32(right ^ key) % half)
            value = left * half + right
            if value < count:
                return value

    return at


# Sequences that two workers share by chance are so few, but for a chance below 2 to minus this.
CHANCE_BITS = 128
# Positions of a round from which on nobody compares sequences.
MOST_COMPARED = 2**24


def is_countable(positions: dict) -> bool:
    """Whether all positions of a range are numbers that JSON can hold."""
    return positions["start"] + positions["count"] <= 2**53 - 1


def can_be_weighed(tokens: int) -> bool:
    """Whether the tokens of a round are a number that doubles hold exactly."""
    return tokens <= 2**53 - 1


def used(ranges: list[dict], count: int) -> list[range]:
    """The first `count` positions of ranges laid end to end."""
    parts = []
    for each in ranges:
        taken = min(each["count"], count)
        parts.append(range(each["start"], each["start"] + taken))
        count -= taken
    return parts


def sharer(works: list[tuple[str, list[range]]], seed: str, count: int) -> str | None:
    """A worker whose data are another's, in positions of another pass: more of its sequences than chance explains."""
    passes = {p // count for _, parts in works for part in parts if part for p in (part.start, part.stop - 1)}
    if len(passes) < 2 or sum(len(part) for _, parts in works for part in parts) > MOST_COMPARED:
        return None
    orders = {}
    drawn = []
    for worker, parts in works:
        found = []
        for position in (p for part in parts for p in part):
            passed, index = divmod(position, count)
            if passed not in orders:
                orders[passed] = order(seed, passed, count)
            found.append(orders[passed](index))
        drawn.append((worker, found, set(found)))
    for i, (worker, mine, own) in enumerate(drawn):
        for other, theirs, those in drawn[i + 1 :]:
            (who, few), many, size = ((worker, mine), those, len(theirs)) if len(mine) <= len(theirs) else ((other, theirs), own, len(mine))
            rarity = max(0, (count // size).bit_length() - 1)
            if rarity * sum(each in many for each in few) >= len(few) + CHANCE_BITS:
                return who
    return None
