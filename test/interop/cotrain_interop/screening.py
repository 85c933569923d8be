"""What a round's payloads must stand before they are aggregated (protocol.md, "Closing a round", "Screening").

Everything of a screening file is computed again; of its losses, each is measured again and may differ by the tolerance of a second
implementation, while the decisions follow from the losses as they are recorded.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy

from .base import Mismatch, equal, require, unhex

UNREADABLE = ("payloadMissing", "payloadMalformed", "nonFinite")
WHOLE = 1_000_000
# Passes of a round that may leave payloads out.
MOST_PASSES = 16
# Which worker's payload clipped by how much counts, and whether the buffer counts as zeros: the aggregate of these, and its loss or None.
Measure = Callable[[dict[str, list[int]], bool], int | None]


@dataclass
class Payload:
    """One receipt's payload, decoded; no values where it could not be read."""

    worker: str
    receipt_hash: str
    steps: int
    accepted_at: int
    outcome: int
    digests: list[str]
    values: list[numpy.ndarray]
    # The fragment that could not be read.
    unreadable: int | None = None


def _fmix32(x: numpy.ndarray) -> numpy.ndarray:
    mask = numpy.uint64(0xFFFFFFFF)
    x = x ^ (x >> numpy.uint64(16))
    x = (x * numpy.uint64(0x85EBCA6B)) & mask
    x = x ^ (x >> numpy.uint64(13))
    x = (x * numpy.uint64(0xC2B2AE35)) & mask
    return x ^ (x >> numpy.uint64(16))


def sketch_of(values: numpy.ndarray, fragment: int) -> bytes:
    i = numpy.arange(len(values), dtype=numpy.uint64)
    block, j = i // numpy.uint64(256), i % numpy.uint64(256)
    mixed = numpy.uint64(0x9E3779B1) * block + numpy.uint64((0x85EBCA77 * fragment + 0x165667B1) % 2**32)
    p = _fmix32(mixed & numpy.uint64(0xFFFFFFFF))
    signs = numpy.uint64(0x27D4EB2F) * (numpy.uint64(1) + j // numpy.uint64(32))
    g = _fmix32(p ^ (signs & numpy.uint64(0xFFFFFFFF)))
    place = ((j ^ p) % numpy.uint64(128)).astype(numpy.int64)
    falls = (g >> (j % numpy.uint64(32))) & numpy.uint64(1) == 1
    signed = numpy.where(falls, -values.astype(numpy.float64), values.astype(numpy.float64))
    sums = numpy.zeros(128)
    # One after the other in the order of the elements, as nothing else in numpy promises.
    numpy.add.at(sums, place, signed)
    largest = numpy.abs(sums).max()
    if largest == 0:
        return bytes(128)
    return numpy.rint(sums / (largest / 127)).astype(numpy.int8).tobytes()


def norm_of(values: numpy.ndarray) -> numpy.float32:
    """The sum of squares is taken in the order of the elements."""
    squares = values.astype(numpy.float64) ** 2
    with numpy.errstate(over="ignore"):
        return numpy.float32(math.sqrt(numpy.add.accumulate(squares)[-1])) if len(squares) else numpy.float32(0)


def bits_of(value: numpy.float32) -> int:
    return int(numpy.float32(value).view(numpy.uint32))


def value_of(bits: int) -> float:
    return float(numpy.uint32(bits).view(numpy.float32))


def measured(payload: Payload) -> list[dict]:
    """The entries of a payload's fragments, not clipped yet."""
    out = []
    for fragment, (digest, values) in enumerate(zip(payload.digests, payload.values)):
        sketch = base64.b64encode(sketch_of(values, fragment)).decode()
        out.append({"digest": digest, "norm": bits_of(norm_of(values)), "clipPpm": WHOLE, "sketch": sketch})
    return out


def _norms(entry: dict) -> list[float]:
    return [value_of(each["norm"]) for each in entry["fragments"]]


def repeats(rules: dict, one: dict, other: dict) -> bool:
    """Whether an entry is equal, or nearly, to another."""
    pairs = list(zip(one["fragments"], other["fragments"]))
    if any(a["digest"] == b["digest"] and a["norm"] > 0 for a, b in pairs):
        return True
    x, y = _norms(one), _norms(other)
    if not pairs or min(one["steps"], other["steps"]) < rules["copySteps"] or not any(x) or not any(y):
        return False
    dot, left, right = 0.0, 0.0, 0.0
    for (a, b), p, q in zip(pairs, x, y):
        dot += _cosine(a["sketch"], b["sketch"]) * (p * q)
        left += p * p
        right += q * q
    return dot >= (rules["copyBps"] / 10_000) * (math.sqrt(left) * math.sqrt(right))


def _cosine(a: str, b: str) -> float:
    x, y = (numpy.frombuffer(base64.b64decode(each), numpy.int8).astype(numpy.int64) for each in (a, b))
    both = int(x @ x) * int(y @ y)
    return int(x @ y) / math.sqrt(both) if both else 0.0


def _upper_median(values: list) -> object:
    return sorted(values)[len(values) // 2]


class Screening:
    """One round's, from its payloads, the files of the rounds before, and what it repeats of rounds that the run went back behind."""

    def __init__(
        self,
        spec_codes: dict,
        rules: dict,
        params: dict,
        round_: int,
        theta: list[numpy.ndarray],
        past: list[dict],
        lost: list[tuple[int, dict]] | None = None,
    ):
        self.codes = spec_codes
        self.rules = rules
        self.params = params
        self.round = round_
        self.theta = [min(bits_of(norm_of(values)), 0x7F7FFFFF) for values in theta]
        self.limits = self._limits([len(values) for values in theta])
        # Newest first.
        self.past = past[::-1][: rules["history"]]
        self.lost = lost or []
        self.entries: dict[str, dict] = {}

    def judge(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            self.entries[payload.worker] = {
                "worker": payload.worker,
                "steps": payload.steps,
                "outcome": payload.outcome,
                "copyOf": None,
                "fragments": measured(payload),
            }
            if payload.unreadable is not None:
                self.entries[payload.worker]["unreadable"] = payload.unreadable
        self._copies(sorted(payloads, key=lambda payload: payload.accepted_at))
        self._bounds()

    def left(self) -> list[dict]:
        return [entry for entry in self.entries.values() if entry["outcome"] == 0]

    def _copies(self, payloads: list[Payload]) -> None:
        before: list[tuple[int, dict]] = []
        older = [(file["round"], entry) for file in self.past for entry in file["workers"]] + self.lost
        for payload in payloads:
            entry = self.entries[payload.worker]
            if entry["outcome"] != 0:
                continue
            if not any(each["norm"] for each in entry["fragments"]):
                entry["outcome"] = self.codes["empty"]
                continue
            for round_, other in before + older:
                if repeats(self.rules, entry, other):
                    entry["outcome"] = self.codes["copy"]
                    entry["copyOf"] = {"round": round_, "worker": other["worker"]}
                    break
            before.append((self.round, entry))

    def _bounds(self) -> None:
        """Outcomes 5 and 7, and clipping, by each fragment's norm against the reference."""
        most = self.rules["maxRatio"]
        lr = self.params["innerLrPpb"]
        medians = [[value_of(bits) * (lr / file["innerLrPpb"]) for bits in file["medians"]] for file in self.past]
        for entry, ratios in self._ratios(medians):
            beyond = any(norm > most * limit for norm, limit in zip(_norms(entry), self.limits))
            if beyond or any(ratio is not None and ratio > most for ratio in ratios):
                entry["outcome"] = self.codes["normTooLarge"]
        for entry, ratios in self._ratios(medians):
            if all(ratio is not None and ratio * self.rules["emptyRatio"] < 1 for ratio in ratios):
                entry["outcome"] = self.codes["empty"]
            else:
                for each, ratio, limit in zip(entry["fragments"], ratios, self.limits):
                    norm = value_of(each["norm"])
                    within = norm <= limit
                    each["clipPpm"] = min(self._clip(ratio), WHOLE if within else math.floor((limit / norm) * WHOLE))

    def _limits(self, elements: list[int]) -> list[float]:
        """By fragment: the norm that is clipped, whoever else there is."""
        norms = [value_of(bits) for bits in self.theta]
        squares = 0.0
        for norm in norms:
            squares += norm * norm
        if squares == 0:
            return [math.inf for _ in norms]
        share = self.rules["thetaBps"] / 10_000
        return [share * max(norm, math.sqrt(squares * (n / sum(elements)))) for norm, n in zip(norms, elements)]

    def _ratios(self, medians: list[list[float]]) -> list[tuple[dict, list[float | None]]]:
        """Of those that are left, all computed before any is judged."""
        among = self.left()
        return [
            (entry, [self._ratio(entry, fragment, among, medians) for fragment in range(len(entry["fragments"]))])
            for entry in among
        ]

    @staticmethod
    def _per_step(entry: dict, fragment: int, limit: float = math.inf) -> float:
        return min(value_of(entry["fragments"][fragment]["norm"]), limit) / math.sqrt(entry["steps"])

    def _ratio(self, entry: dict, fragment: int, among: list[dict], medians: list[list[float]]) -> float | None:
        limit = self.limits[fragment]
        pool = [self._per_step(each, fragment, limit) for each in among]
        older = [each[fragment] for each in medians if each[fragment] > 0]
        if len(among) == 1:
            pool = older
        elif len(among) % 2 == 0 and older:
            pool.append(_upper_median(older))
        if len(pool) < 3:
            return None
        reference = _upper_median(pool)
        return self._per_step(entry, fragment) / reference if reference > 0 else None

    def _clip(self, ratio: float | None) -> int:
        bps = self.params["aggregatorBps"]
        if ratio is None or ratio == 0 or bps == 0:
            return WHOLE
        return min(WHOLE, math.floor((1e10 / bps) / ratio))

    def clips(self, among: list[str] | None = None) -> dict[str, list[int]]:
        """Who is aggregated, and by how much each fragment is multiplied: by 0 who is not among these."""
        return {
            entry["worker"]: [each["clipPpm"] if among is None or entry["worker"] in among else 0 for each in entry["fragments"]]
            for entry in self.left()
        }

    def medians(self, fragments: int) -> list[int]:
        found = self.left()
        out = []
        for fragment in range(fragments):
            values = []
            for entry in found:
                each = entry["fragments"][fragment]
                clipped = value_of(each["norm"]) * (each["clipPpm"] / WHOLE) / math.sqrt(entry["steps"])
                values.append(bits_of(numpy.float32(clipped)))
            out.append(_upper_median(values) if values else 0)
        return out


def holds(before: int | None, loss: int | None, bound: float) -> bool:
    return loss is not None and (before is None or loss <= before + bound)


def drops_momentum(gate: dict, rules: dict) -> bool:
    """Whether the outer buffer counts as zeros once a first pass did not hold: alone it does half of the harm that a round may."""
    tried = gate["passes"][0]["tried"] if gate["passes"] else []
    return bool(tried) and not holds(gate["before"], tried[0]["loss"], rules["gateBound"] / 2)


class Gate:
    """The loss gate of one round: its sample, and its decisions from the losses that are recorded."""

    def __init__(
        self,
        screening: Screening,
        pulls: dict[str, int],
        recorded: dict,
        measure: Measure,
        close: Callable[[str, object, object], None],
    ):
        self.screening = screening
        self.pulls = pulls
        self.rules = screening.rules
        self.recorded = recorded
        self.measure = measure
        self.close = close
        discarded = screening.codes["roundDiscarded"]
        self.discarded_before = any(each["outcome"] == discarded for file in screening.past for each in file["workers"])
        self.trials = 0
        self.nobody: int | None = None
        self.together = False
        self.anew = False
        self.searches = 0

    def run(self, before: int | None) -> None:
        """Goes through the passes; changes the outcomes. @param before measured anew"""
        screening, recorded = self.screening, self.recorded
        if not screening.left():
            equal("the gate", (recorded["before"], recorded["passes"]), (None, []))
            return
        self.close("the loss before", recorded["before"], before)
        for index, each in enumerate(recorded["passes"]):
            last = index == len(recorded["passes"]) - 1
            self.close("the loss after", each["after"], self.measure(screening.clips(), self.anew))
            if holds(recorded["before"], each["after"], self.rules["gateBound"]):
                equal("a pass that holds", (each["tried"], each["leftOut"], last), ([], [], True))
                return
            trials = iter(each["tried"])
            harmful = self._search(trials, each["after"], first=index == 0)
            require(next(trials, None) is None, "more groups were tried than are due")
            equal("who is left out", each["leftOut"], harmful)
            if index == 0 and drops_momentum(recorded, self.rules):
                self.anew, self.nobody = True, recorded["before"]
                continue
            self.searches += 1
            for worker in harmful:
                screening.entries[worker]["outcome"] = screening.codes["lossHarm"]
            if not harmful:
                require(last, "the round was discarded, and a pass follows")
                for entry in screening.left():
                    entry["outcome"] = screening.codes["roundDiscarded"]
                return
        raise Mismatch("the gate has too few passes")

    def _search(self, trials: Iterator[dict], after: int | None, first: bool) -> list[str]:
        """Who does harm alone, by halving what does; where nobody does, whom the others do the least harm without."""
        left = [entry["worker"] for entry in self.screening.left()]
        harmful: list[int] = []

        def loss_of(start: int, end: int, without: bool = False) -> int | None:
            trial = next(trials, None)
            require(trial is not None, "a trial is missing")
            equal("a group on trial", (trial["first"], trial["count"], trial["without"]), (start, end - start, without))
            among = left[:start] + left[end:] if without else left[start:end]
            self.close("a loss on trial", trial["loss"], self.measure(self.screening.clips(among), self.anew))
            return trial["loss"]

        def descend(start: int, end: int) -> None:
            if end - start == 1:
                harmful.append(start)
                return
            if not self.discarded_before and self.trials + 2 > self.rules["gateTrials"]:
                return
            self.trials += 2
            middle = start + (end - start + 1) // 2
            halves = [(loss_of(start, middle), start, middle), (loss_of(middle, end), middle, end)]
            # The worse half first, of equal ones the first; sorting keeps their order.
            for loss, first, stop in sorted(halves, key=lambda half: -math.inf if half[0] is None else -half[0]):
                if loss is None or loss > most:
                    descend(first, stop)

        def of_the_sum(nobody: int | None) -> list[int]:
            start, end, loss = 0, len(left), None
            while end - start > 1:
                self.together = True
                middle = start + (end - start + 1) // 2
                halves = [(loss_of(start, middle, True), start, middle), (loss_of(middle, end, True), middle, end)]
                loss, start, end = min(halves, key=lambda half: math.inf if half[0] is None else half[0])
            if loss is None:
                return []
            tolerance = self.rules["gateTolerance"]
            if after is not None and nobody is not None:
                own, all_ = self.pulls[left[start]], sum(self.pulls[worker] for worker in left)
                if 2 * own >= all_ or (after - loss - tolerance) * all_**2 <= 4 * own * (all_ - own) * (after - nobody):
                    return []
            alone = loss_of(start, end)
            return [start] if alone is None or (nobody is not None and alone > nobody + tolerance) else []

        if self.searches == MOST_PASSES:
            return []
        if first:
            self.trials += 1
            self.nobody = loss_of(0, 0)
        if not self.anew and not holds(self.recorded["before"], self.nobody, self.rules["gateBound"] / 2):
            return []
        if self.nobody is not None and not self.together and self.searches < self.rules["gatePasses"]:
            most = self.nobody + self.rules["gateBound"] / 2
            descend(0, len(left))
        if not harmful:
            harmful = of_the_sum(self.nobody)
        return [left[index] for index in sorted(harmful)] if 2 * len(harmful) <= len(left) else []


def sample_of(run_id: str, round_: int, hashes: list[str], available: int, wanted: int, batch: int) -> tuple[str, list[int]]:
    """The gate's seed, and the held-out sequences that it measures."""
    seed = hashlib.sha256(unhex(run_id) + round_.to_bytes(8, "big") + b"".join(map(unhex, hashes))).digest()
    count = -(-wanted // batch) * batch
    first = int.from_bytes(seed[:6], "big") % available
    return "0x" + seed.hex(), [(first + k * available // count) % available for k in range(count)]
