"""Flips one byte, or one field, of what the verification reads; each must be noticed.

- Every kind of blob: a byte of it, as somebody would who tampers with a store.
- Every field of the documents of rounds and epochs (RESEALED), and bytes of shards and payloads, *resealed*: as if all digests had
  been made to fit, so that what it says must be found out from the rest. A loss moves by ten tolerances.
- Every field of what the chain answers. Which block is the newest is believed: a shorter chain is a chain too.
- Fields of each rollback that the contract takes as they come, resealed: as if the holders had decided so.
"""

import copy
import random
from collections.abc import Callable, Iterator

from .base import Mismatch, canonical, parse_json, require, tohex, unhex
from .blobs import Blobs, Coordinator, Directory
from .chain import EVENTS, Chain
from .closing import LOSS_TOLERANCE
from .ethereum import HEADER
from .facts import Head, ModelFacts, head_hash, read_model
from .report import Report
from .run import Memory, Verifier
from .spec import Spec

# Documents whose every field follows from the rest, and blobs whose every byte does.
RESEALED = ("manifest of checkpoint", "receipts", "screening", "payload header", "epoch's", "rewards")
# Losses are held against others within a tolerance.
_LOSSES = ("gate/before", "/after", "/loss")
# What a machine says it computes as follows from nothing that is published.
_SAID = ("gate/conformance",)
_RECEIPT = ("type", "status", "cumulativeGasUsed", "logsBloom")


class Store:
    """Blobs of the run, each read once."""

    def __init__(self, source: Directory | Coordinator):
        self.source = source
        self.known: dict[str, bytes] = {}

    def read(self, run_id: str, digest: str) -> bytes:
        if digest not in self.known:
            self.known[digest] = self.source.read(run_id, digest)
        return self.known[digest]


class AlteredBlobs(Blobs):
    """One blob is another one; `resealed`: under the same digest all the same."""

    def __init__(self, store: Store, spec: Spec, digest: str, data: bytes, resealed: bool):
        super().__init__(store, spec)
        self.altered = {digest}
        self.data = data
        self.resealed = resealed

    def read(self, run_id: str, digest: str) -> bytes:
        return self.data if digest in self.altered else super().read(run_id, digest)

    def seal(self, digest: str, data: bytes) -> str:
        return digest if self.resealed and digest in self.altered else super().seal(digest, data)


class RecordedChain(Chain):
    """Answers are asked for once; one of them may be altered."""

    known: dict[str, tuple[str, list, object]] = {}
    altered: tuple[str, object] | None = None

    def answer(self, method: str, params: list) -> object:
        key = canonical([method, params])
        if self.altered and self.altered[0] == key:
            return self.altered[1]
        if key not in self.known:
            self.known[key] = (method, params, super().answer(method, params))
        return self.known[key][2]


class OtherRollback(Verifier):
    """One link says something else, and those after it go on from that."""

    sequence = 0
    change: tuple[str, object] = ("", None)

    def read(self) -> ModelFacts:
        facts = super().read()
        heads = facts.runs[self.run_id].heads
        heads[self.sequence].values[self.change[0]] = self.change[1]
        for head in heads[self.sequence :]:
            head.values["parentHead"] = head.parent["head"]
            head.values["head"] = head_hash(facts.chain_id, self.chain.contracts["checkpointRegistry"], head.values)
        return facts


class Flips:
    def __init__(self, spec: Spec, chain: Chain, source: Directory | Coordinator, run_id: str, seed: str, report: Report):
        self.spec = spec
        self.chain = RecordedChain(chain.url, spec, chain.contracts, chain.from_block)
        self.chain.known = {}
        self.store = Store(source)
        self.run_id = run_id
        self.random = random.Random(seed)
        self.report = report
        self.memory = Memory()

    def verify(self, blobs: Blobs, altered: tuple[str, object] | None = None) -> str | None:
        """The first mismatch, if there is one."""
        chain = RecordedChain(self.chain.url, self.spec, self.chain.contracts, self.chain.from_block)
        chain.known, chain.altered = self.chain.known, altered
        try:
            Verifier(self.spec, chain, blobs, self.run_id, Report(first_only=True), True, self.memory).verify()
        except Mismatch as mismatch:
            return str(mismatch)
        return None

    def expect(self, what: str, noticed: str | None) -> None:
        self.report.count("flips")
        if noticed is None:
            self.report.lines.append(f"nobody noticed the flip of {what}")

    def byte(self, data: bytes, low: int = 0, high: int | None = None) -> bytes:
        at = self.random.randrange(low, len(data) if high is None else high)
        return data[:at] + bytes([data[at] ^ (1 << self.random.randrange(8))]) + data[at + 1 :]

    def all(self) -> None:
        blobs = Blobs(self.store, self.spec)
        found = self.verify(blobs)
        require(found is None, f"the run does not hold before anything is flipped: {found}")
        for kind, digests in sorted(blobs.kinds.items()):
            digest = self.random.choice(sorted(digests))
            data = self.store.known[digest]
            self.expect(f"a byte of {kind}", self.verify(AlteredBlobs(self.store, self.spec, digest, self.byte(data), False)))
            if any(word in kind for word in RESEALED):
                self.document(kind, sorted(digests))
            elif kind.startswith(("a shard", "a payload")):
                for part, low, high in ((f"{kind}'s start", 0, 200), (f"{kind}'s end", len(data) - 200, len(data))):
                    altered = self.byte(data, low, min(high, len(data)))
                    self.expect(part, self.verify(AlteredBlobs(self.store, self.spec, digest, altered, True)))
        for what, key, answer in self.answers():
            self.expect(f"{what} of the chain", self.verify(blobs, (key, answer)))
        self.rollbacks(blobs)

    def rollbacks(self, blobs: Blobs) -> None:
        """What a rollback says is found out at its own link, whatever follows from it later."""
        chain = RecordedChain(self.chain.url, self.spec, self.chain.contracts, self.chain.from_block)
        chain.known = self.chain.known
        heads: list[Head] = read_model(chain, self.run_id).runs[self.run_id].heads
        for head in filter(lambda each: each.is_rollback, heads):
            changes = [("checkpointDigest", self.scalar(head["checkpointDigest"])), ("receiptsRoot", "0x" + "11" * 32)]
            if head["round"] > 0:
                changes.append(("round", head["round"] - 1))
            for change in changes:
                other = OtherRollback(self.spec, chain, blobs, self.run_id, Report(first_only=True), True, self.memory)
                other.sequence, other.change = head["sequence"], change
                try:
                    other.verify()
                    noticed = None
                except Mismatch as mismatch:
                    noticed = str(mismatch)
                at = f"link {head['sequence']}:"
                self.expect(f"{change[0]} of a rollback", noticed if noticed and at in noticed else None)

    def document(self, kind: str, digests: list[str]) -> None:
        """Every field of a kind of document, in one that has it."""
        places: dict[str, list[tuple[str, tuple]]] = {}
        for digest in digests:
            for pattern, path in leaves(parse_json(self.store.known[digest], kind)):
                places.setdefault(pattern, []).append((digest, path))
        for pattern, found in sorted(places.items()):
            if pattern.endswith(_SAID):
                continue
            digest, path = self.random.choice(found)
            value = parse_json(self.store.known[digest], kind)
            loss = pattern.endswith(_LOSSES)
            change(value, path, lambda old, loss=loss: (old or 0) + 10 * LOSS_TOLERANCE if loss else self.scalar(old))
            altered = AlteredBlobs(self.store, self.spec, digest, canonical(value).encode(), True)
            self.expect(f"{pattern} of {kind}, resealed", self.verify(altered))

    def scalar(self, value: object) -> object:
        """Another value of the same form."""
        if value is None:
            return "0x" + "11" * 32
        if isinstance(value, str) and value.startswith("0x"):
            return tohex(self.byte(unhex(value)))
        if isinstance(value, str):
            at = self.random.randrange(len(value))
            other = str((int(value[at]) + 1) % 9 + 1) if value[at].isdigit() else chr(ord(value[at]) ^ 1)
            return value[:at] + other + value[at + 1 :]
        return value + 1

    def answers(self) -> Iterator[tuple[str, str, object]]:
        """Each field of each kind of answer, altered in one of them."""
        kinds: dict[str, list[str]] = {}
        for key, (method, params, answer) in self.chain.known.items():
            name = method
            if method == "eth_getLogs":
                if not answer:
                    continue
                name = next(event for event in EVENTS if params[0]["topics"][0] == self.chain.topic(event))
            if method == "eth_getBlockReceipts" and not any(receipt["logs"] for receipt in answer):
                continue
            kinds.setdefault(name, []).append(key)
        kinds.pop("eth_blockNumber")
        for name, keys in sorted(kinds.items()):
            key = self.random.choice(keys)
            method, _, answer = self.chain.known[key]
            for path in self.places(method, answer):
                altered = [copy.deepcopy(answer)]
                change(altered, (0, *path[:-1]), lambda value, at=path[-1]: self.hexdigits(value, at))
                yield f"{'/'.join(map(str, path))} of {name}", key, altered[0]

    def places(self, method: str, answer: object) -> list[tuple]:
        """Paths to what is read of an answer; the last part is the word, or -1 for a number."""
        if method == "eth_chainId":
            return [(-1,)]
        if method == "eth_getTransactionByHash":
            return [("input", index) for index in range(len(unhex(answer["input"])) // 32 + 1)]
        if method == "eth_getBlockByNumber":
            return [(name, -1) for name in ("hash", "number", *HEADER) if answer.get(name) not in (None, "0x")]
        if method == "eth_getBlockReceipts":
            receipt = self.random.choice([i for i, each in enumerate(answer) if each["logs"]])
            log = self.random.randrange(len(answer[receipt]["logs"]))
            inner = [(receipt, "logs", log, *rest) for rest in self.log(answer[receipt]["logs"][log])]
            return [(receipt, name, -1) for name in _RECEIPT] + inner
        at = self.random.randrange(len(answer))
        outer = ("blockHash", "blockNumber", "logIndex", "transactionHash")
        return [(at, name, -1) for name in outer] + [(at, *rest) for rest in self.log(answer[at])]

    @staticmethod
    def log(log: dict) -> list[tuple]:
        topics = [("topics", index, 0) for index in range(len(log["topics"]))]
        return [("address", 0), *topics, *(("data", index) for index in range(len(unhex(log["data"])) // 32))]

    def hexdigits(self, value: str, word: int) -> str:
        """One bit of a number, or of a word of bytes."""
        if word < 0:
            at = self.random.randrange(2, len(value))
            return value[:at] + f"{int(value[at], 16) ^ (1 << self.random.randrange(4)):x}" + value[at + 1 :]
        data = unhex(value)
        return tohex(self.byte(data, 32 * word, min(32 * word + 32, len(data))))


def leaves(value: object, path: tuple = ()) -> Iterator[tuple[str, tuple]]:
    """Every scalar of a document: its place without indices, and with them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield "/".join("[]" if isinstance(part, int) else part for part in path), path


def change(value: object, path: tuple, alter: Callable[[object], object]) -> None:
    for part in path[:-1]:
        value = value[part]
    value[path[-1]] = alter(value[path[-1]])


def flip_all(spec: Spec, chain: Chain, source: Directory | Coordinator, run_id: str, seed: str, report: Report) -> None:
    Flips(spec, chain, source, run_id, seed, report).all()
