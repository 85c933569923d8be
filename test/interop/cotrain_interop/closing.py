"""How a round closes: which payloads are aggregated, and what they make of the checkpoint before (protocol.md, "Closing a round")."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy

from . import data, diloco
from . import model as network
from .base import Missing, Mismatch, equal, require, tohex
from .blobs import Blobs
from .facts import Head, RunFacts
from .report import Report
from .screening import UNREADABLE, WHOLE, Gate, Payload, Screening, drops_momentum, norm_of, sample_of
from .signing import struct_hash
from .spec import Spec

# Millionths of a bit per byte.
LOSS_TOLERANCE = 100
# Entries, with their rounds, of those rounds and workers in the files of rounds that the run went back behind.
Lost = Callable[[list[tuple[int, str]]], list[tuple[int, dict]]]


@dataclass
class RunDocuments:
    """What the checks of a run's rounds rest on."""

    run: RunFacts
    definition: dict
    builds: dict[str, dict]
    table_digest: str
    separator: bytes
    # Token ids of the held-out split, and what the data manifest says of it.
    held_out: numpy.ndarray
    split: dict
    # How many sequences the training split holds.
    sequences: int


def inner_steps(params: dict, round_: int) -> int:
    return params["rampInnerSteps"] if round_ < params["rampRounds"] else params["innerSteps"]


def outer_size(params: dict, round_: int) -> tuple[int, int]:
    """Learning rate and momentum in ppm; the ramp averages plainly."""
    return (1_000_000, 0) if round_ < params["rampRounds"] else (params["outerLrPpm"], params["outerMomentumPpm"])


def read_payload(
    docs: RunDocuments, blobs: Blobs, head: Head, before: dict, entry: dict, only: int | None = None
) -> tuple[list[str], list[numpy.ndarray]]:
    """Digests and decoded values of the fragments of one receipt's payload, or of one of them."""
    receipt = entry["receipt"]
    who = f"the payload of {receipt['worker']}"
    header = blobs.document(head.run_id, receipt["payloadDigest"], "PayloadHeader", f"the payload header of {receipt['worker']}")
    for key, value in {
        "runId": head.run_id,
        "round": head["round"] - 1,
        "worker": receipt["worker"],
        "codec": entry["assignment"]["codec"],
        "table": docs.table_digest,
    }.items():
        equal(f"{who}: {key}", header[key], value)
    equal(f"{who}: fragments", [each["index"] for each in header["fragments"]], list(range(docs.run.fragments)))
    digests, values = [], []
    for part in header["fragments"] if only is None else [header["fragments"][only]]:
        elements = sum(count for _, _, count in diloco.layout(docs.definition["table"], part["index"]))
        equal(f"{who}: elements", part["elements"], elements)
        equal(f"{who}: base", part["base"], before["fragments"][part["index"]]["digest"])
        equal(f"{who}: length", part["bytes"], diloco.payload_length(header["codec"], elements))
        payload = blobs.get(head.run_id, part["digest"], who)
        digests.append(part["digest"])
        values.append(diloco.decode(header["codec"], payload, elements))
        if not numpy.isfinite(norm_of(values[-1])):
            raise diloco.Unreadable("nonFinite", f"the norm of {who} is beyond fp32")
    return digests, values


class Closing:
    """One round's payloads on the checkpoint before."""

    def __init__(self, spec: Spec, docs: RunDocuments, blobs: Blobs, head: Head, before: dict, file: dict | None):
        self.spec = spec
        self.docs = docs
        self.blobs = blobs
        self.head = head
        self.before = before
        self.receipts = file["receipts"] if file else []
        self.params = docs.run.params(head["paramsVersion"])
        self.round = head["round"] - 1
        self.states: list[tuple[numpy.ndarray, numpy.ndarray]] = []
        self.payloads: dict[str, Payload] = {}

    def read(self, recorded: dict) -> None:
        """Everything that the round is a function of. @raises Missing"""
        table = self.docs.definition["table"]
        for entry in self.before["fragments"]:
            what = f"the shard of fragment {entry['index']}"
            shard = self.blobs.get(self.head.run_id, entry["digest"], what, entry["bytes"])
            self.states.append(diloco.read_shard(table, entry, shard))
        said = {each["worker"]: each for each in recorded["workers"]}
        for entry in self.receipts:
            judged = said.get(entry["receipt"]["worker"], {})
            digests, values, outcome, unreadable = [], [], 0, None
            if judged.get("outcome") in [self.spec.codes["outcomeCode"][name] for name in UNREADABLE]:
                unreadable = judged.get("unreadable")
                outcome = self._unreadable(entry, unreadable)
            else:
                digests, values = read_payload(self.docs, self.blobs, self.head, self.before, entry)
            receipt = entry["receipt"]
            receipt_hash = tohex(struct_hash(self.spec, "Receipt", receipt))
            accepted_at = int(entry["ack"]["acceptedAt"])
            self.payloads[receipt["worker"]] = Payload(
                receipt["worker"], receipt_hash, receipt["steps"], accepted_at, outcome, digests, values, unreadable
            )

    def _unreadable(self, entry: dict, fragment: int | None) -> int:
        """The outcome of a payload for the fragment that the record says could not be read. @raises Missing"""
        codes = self.spec.codes["outcomeCode"]
        who = f"the payload of {entry['receipt']['worker']}"
        require(fragment is not None and fragment < self.docs.run.fragments, f"{who} is said to be unreadable, but in no fragment")
        try:
            read_payload(self.docs, self.blobs, self.head, self.before, entry, fragment)
        except diloco.Unreadable as error:
            return codes[error.outcome]
        except Missing:
            # What is missing now may have been there then, unless the round itself says so.
            if entry["outcome"] != codes["payloadMissing"]:
                raise
            return codes["payloadMissing"]
        raise Mismatch(f"{who} is said to be unreadable, and can be read")

    def pull(self, entry: dict) -> int:
        """What a payload's weight is in proportion to, exactly."""
        names = {code: name for name, code in self.spec.codes["weightingCode"].items()}
        return diloco.pull(names[self.params["weighting"]], int(entry["tokens"]), int(entry["receipt"]["steps"]))

    def aggregate(self, clips: dict[str, list[int]], anew: bool) -> list[tuple[numpy.ndarray, numpy.ndarray]]:
        """Parameters and buffer of each fragment, from the payloads of these workers; with a buffer of zeros if it begins anew."""
        used = [entry for entry in self.receipts if entry["receipt"]["worker"] in clips]
        names = {code: name for name, code in self.spec.codes["weightingCode"].items()}
        tokens, steps = ([int(each) for each in of] for of in zip(*((e["tokens"], e["receipt"]["steps"]) for e in used)))
        weights = diloco.weights(names[self.params["weighting"]], tokens, steps)
        lr, momentum = outer_size(self.params, self.round)
        out = []
        for fragment, (theta, buffer) in enumerate(self.states):
            total = numpy.zeros(len(theta), numpy.float32)
            for weight, entry in zip(weights, used):
                worker = entry["receipt"]["worker"]
                clip = clips[worker][fragment]
                if clip < WHOLE:
                    weight = weight * numpy.float32(clip / WHOLE)
                total = total + weight * self.payloads[worker].values[fragment]
            begun = numpy.zeros_like(buffer) if anew else buffer
            out.append(diloco.outer_step(theta, begun, total, lr, momentum))
        return out

    def entries(self, clips: dict[str, list[int]], gate: dict) -> dict[int, dict]:
        """The manifest's entries of the fragments."""
        table, anew = self.docs.definition["table"], drops_momentum(gate, self.docs.definition["screening"])
        states = self.aggregate(clips, anew) if clips else [(theta, numpy.zeros_like(buffer)) for theta, buffer in self.states]
        return {fragment: diloco.shard_entry(table, fragment, *state)[0] for fragment, state in enumerate(states)}

    def loss(self, states: list, sample: list[int]) -> int | None:
        """Millionths of a bit per byte; None where something is not finite."""
        if not all(numpy.isfinite(part).all() for state in states for part in state):
            return None
        table, length = self.docs.definition["table"], self.docs.definition["sequence"]
        parameters = network.parameters_of(table, {fragment: state[0] for fragment, state in enumerate(states)})
        sequences = data.sequences(self.docs.held_out, length, sample)
        nats = network.loss(self.docs.definition["model"], parameters, sequences)
        try:
            found = network.micro_bits_per_byte(nats, self.docs.split)
        except Mismatch:
            return None
        return found if found < 2**53 else None

    def screen(self, recorded: dict, past: list[dict], lost: Lost, report: Report) -> Screening:
        """Computes the round's screening again and holds it against its record. `lost`: entries of lost files, by whom they name."""
        docs, rules = self.docs, self.docs.definition["screening"]
        version, gate = self.head["paramsVersion"], recorded["gate"]
        require(gate["build"] in docs.builds, "the gate's build was never admitted")
        theta = [params for params, _ in self.states]
        payloads = [self.payloads[entry["receipt"]["worker"]] for entry in self.receipts]

        def judged(repeated: list[tuple[int, dict]]) -> Screening:
            made = Screening(self.spec.codes["outcomeCode"], rules, self.params, self.round, theta, past, repeated)
            made.judge(payloads)
            return made

        screening = judged([])
        named = [
            (each["copyOf"]["round"], each["copyOf"]["worker"])
            for each in recorded["workers"]
            if each["copyOf"] and each["copyOf"] != screening.entries.get(each["worker"], {}).get("copyOf")
        ]
        if named:
            screening = judged(lost(named))
        batch = docs.builds[gate["build"]]["microBatch"]
        available = data.sequence_count(len(docs.held_out), docs.definition["sequence"])
        hashes = [self.payloads[entry["receipt"]["worker"]].receipt_hash for entry in self.receipts]
        seed, sample = sample_of(self.head.run_id, self.round, hashes, available, rules["gateSequences"], batch)

        def close(what: str, found: int | None, due: int | None) -> None:
            if found is None or due is None:
                equal(what, found, due)
                return
            require(abs(found - due) <= LOSS_TOLERANCE, f"{what} is recorded as {found}, which is {due}")
            report.count("losses of the gate")

        before = self.loss(self.states, sample) if screening.left() else None
        pulls = {entry["receipt"]["worker"]: self.pull(entry) for entry in self.receipts}
        Gate(screening, pulls, gate, lambda clips, anew: self.loss(self.aggregate(clips, anew), sample), close).run(before)
        due = {
            "version": 1,
            "runId": self.head.run_id,
            "round": self.round,
            "paramsVersion": version,
            "innerLrPpb": self.params["innerLrPpb"],
            "theta": screening.theta,
            "workers": list(screening.entries.values()),
            "medians": screening.medians(docs.run.fragments),
            "gate": {**gate, "seed": seed, "sequences": sample},
        }
        equal("the screening", recorded, due)
        outcomes = [entry["outcome"] for entry in self.receipts]
        equal("the outcomes", outcomes, [each["outcome"] for each in screening.entries.values()])
        report.count("screenings")
        return screening
