"""A whole run, from the chain down to the last payload: where to start reading."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy

from . import data, diloco, model as network
from .base import Missing, digest_of_json, equal, require
from .blobs import Blobs
from .chain import Chain
from .facts import SORTITION_DELAY, Head, ModelFacts, RunFacts, check_link, drawn_fragment, read_model
from .pay import FULL, Books
from .report import Report
from .closing import LOSS_TOLERANCE, RunDocuments
from .rounds import Round, check_lost, check_round, check_shards
from .signing import domain_separator
from .spec import Spec


class Memory:
    """Results of work that depends on a key and on the blobs that it reads alone, so that it is done once."""

    def __init__(self):
        self.results: dict[str, tuple[set[str], object, Counter]] = {}

    def recall(self, key: str, blobs: Blobs, report: Report, work: Callable[[Report], object]) -> object:
        """What `work` answers; it is told a report of its own, whose counts are added to `report` every time."""
        known = self.results.get(key)
        if known is None or known[0] & blobs.altered:
            outer, blobs.reads = blobs.reads, set()
            own = Report(report.first_only)
            try:
                known = (blobs.reads, work(own), own.checked)
            finally:
                outer |= blobs.reads
                blobs.reads = outer
                report.lines += own.lines
            if not blobs.altered:
                self.results[key] = known
        report.checked.update(known[2])
        return known[1]


MOST_PIECES = 65_536


class Positions:
    """Positions of a run's data, and in how many pieces without gaps they lie."""

    def __init__(self):
        self.all: set[int] = set()
        self.pieces = 0

    def add(self, taken: range) -> bool:
        """Whether none of them was there."""
        if not taken:
            return True
        if not self.all.isdisjoint(taken):
            return False
        self.pieces += 1 - (taken.start - 1 in self.all) - (taken.stop in self.all)
        self.all.update(taken)
        return True


class Walk:
    """The rounds that stand at a head, and what they were trained on."""

    def __init__(self):
        self.rounds: list[Round] = []
        self.positions = Positions()
        self.seen: set[str] = set()

    def take(self, found: Round) -> None:
        """No receipt stands under two heads, no position of the data in two receipts, and they lie in few pieces."""
        for leaf in found.leaves:
            require(leaf[0] not in self.seen, f"the receipt of {leaf[1]} stands under two heads")
            self.seen.add(leaf[0])
        for entry in found.file["receipts"] if found.file else []:
            count = entry["receipt"]["steps"] * entry["assignment"]["batch"]
            for taken in data.used(entry["assignment"]["ranges"], count):
                require(self.positions.add(taken), f"{entry['receipt']['worker']} was given data that another had")
        pieces = self.positions.pieces
        require(pieces <= MOST_PIECES, f"the run's data lie in {pieces} pieces, {MOST_PIECES} at most may be")
        self.rounds.append(found)

    def back(self, round_: int) -> None:
        """Leaves out the rounds beyond; what they were trained on is free again."""
        stand = [found for found in self.rounds if found.head["round"] <= round_]
        self.__init__()
        for found in stand:
            self.take(found)


class Verifier:
    """One verification. `complete`: every payload and shard must be there; else what retention may drop is passed over."""

    def __init__(
        self, spec: Spec, chain: Chain, blobs: Blobs, run_id: str, report: Report, complete: bool, memory: Memory | None = None
    ):
        self.spec = spec
        self.chain = chain
        self.blobs = blobs
        self.run_id = run_id
        self.report = report
        self.complete = complete
        self.rounds: dict[str, Round] = {}
        # Heads that stand, and those that a root pays for.
        self.stands: set[str] = set()
        self.paid: set[str] = set()
        self.docs: dict[str, RunDocuments] = {}
        self.memory = memory or Memory()

    def read(self) -> ModelFacts:
        return read_model(self.chain, self.run_id)

    def verify(self) -> None:
        with self.report.about("the chain"):
            facts = self.read()
            self.stands = facts.standing_by(self.chain.newest())
            self.paid = self._paid(facts)
            for run in facts.runs.values():
                self._run(facts, run)
            books = Books(self.spec, self.chain, self.blobs, facts, self.rounds, self.report)
            books.check_all()
            for verdict in books.verdicts.values():
                if verdict["head"] not in self.stands | self.paid:
                    continue
                head = self.rounds[verdict["head"]].head if verdict["head"] in self.rounds else None
                with self.report.about(f"the verdict of {verdict['validator']} about {verdict['head']}"):
                    require(head is not None or int(verdict["value"]) == 0, "its head does not hold")
                    if head is not None:
                        self._verdict(verdict, head)
            if self.complete:
                self._enough(facts)

    @staticmethod
    def _paid(facts: ModelFacts) -> set[str]:
        found: set[str] = set()
        for event in facts.posted:
            posted = event["attestation"]
            by = facts.standing_by(posted["blockNumber"])
            for head in facts.heads():
                if posted["fromEpoch"] <= facts.schedule.epoch_of(head.time) <= posted["toEpoch"] and head["head"] in by:
                    found.add(head["head"])
        return found

    def _enough(self, facts: ModelFacts) -> None:
        """A run without anything to check is no run that passes."""
        for what in ("receipts", "fragments recomputed", "screenings", "verdicts", "losses", "reward roots", "signatures of roots"):
            require(self.report.checked[what] > 0, f"there are no {what} to check")
        require(len(facts.heads()) > 1, "there is no round")

    def _run(self, facts: ModelFacts, run: RunFacts) -> None:
        with self.report.about(f"run {run.run_id}"):
            key = f"documents {run.run_id} {run.definition} {run.builds} {facts.chain_id} {run.fragments}"
            docs = self.memory.recall(key, self.blobs, self.report, lambda report: self._documents(facts, run, report))
            docs.run = run
            self.docs[run.run_id] = docs
            walk = Walk()
            for head in run.heads:
                with self.report.about(f"checkpoint {head['round']}, link {head['sequence']}"):
                    check_link(facts.chain_id, self.chain.contracts["checkpointRegistry"], head)
                    self.report.count("heads")
                    if head.is_rollback:
                        self._rollback(walk, head)
                    # Rounds that were rolled back are read as far as a root pays for them.
                    elif head["head"] in self.stands | self.paid:
                        found = self._round(docs, head, walk)
                        self.rounds[head["head"]] = found
                        walk.take(found)
                        self._aggregate(found)

    def _rollback(self, walk: Walk, head: Head) -> None:
        """It names the checkpoint of the head of its round that stood before it."""
        walk.back(head["round"])
        self.report.count("rollbacks")
        require(bool(walk.rounds), "it goes back to a checkpoint that does not hold")
        target = walk.rounds[-1].head
        equal("the round that it goes back to", target["round"], head["round"])
        equal("the checkpoint that it goes back to", head["checkpointDigest"], target["checkpointDigest"])

    def _round(self, docs: RunDocuments, head: Head, walk: Walk) -> Round:
        lost = head["head"] not in self.stands
        before = walk.rounds[-1].manifest if walk.rounds else None
        past = [found.screening for found in walk.rounds if found.screening]
        stand = {found.head["head"] for found in walk.rounds}
        earlier = docs.run.heads[: docs.run.heads.index(head)]
        taken_back = [each for each in earlier if each["head"] not in stand and not each.is_rollback][::-1]

        def work(report: Report) -> Round:
            if lost:
                report.count("rounds that were paid and rolled back")
                return check_lost(self.spec, docs, self.blobs, head, before, report)
            found = check_round(self.spec, docs, self.blobs, head, before, past, taken_back, report)
            self._shards(docs, found, report)
            return found

        parent = head.parent.values if head.parent else None
        history = digest_of_json(past[-docs.definition["screening"]["history"] :])
        behind = digest_of_json([each["head"] for each in taken_back])
        key = f"round {lost} {history} {behind} {docs.run.definition} {head.values} {parent} {before and digest_of_json(before)} {docs.run.versions} {docs.run.posters}"
        found = self.memory.recall(key, self.blobs, self.report, work)
        return replace(found, head=head)

    def _aggregate(self, found: Round) -> None:
        wrong = [fragment for fragment, holds in found.holds.items() if holds is False]
        require(not wrong, f"fragments {wrong} are not what the payloads make")
        gone = [fragment for fragment, holds in found.holds.items() if holds is None]
        require(not (gone and self.complete), "its payloads are not there")

    def _shards(self, docs: RunDocuments, found: Round, report: Report) -> None:
        try:
            check_shards(docs, self.blobs, found, report)
        except Missing:
            require(not self.complete and found.head["round"] > 0, "its shards are not there")
            report.count("checkpoints without shards")

    def _documents(self, facts: ModelFacts, run: RunFacts, report: Report) -> RunDocuments:
        """Definition, builds and data."""
        blobs, run_id = self.blobs, run.run_id
        definition = blobs.document(run_id, run.definition, "Definition", "the definition")
        network.check_table(definition["model"], definition["table"], run.fragments, diloco.fragment_table)
        equal("the length of sequences", definition["sequence"], definition["model"]["sequence"])
        builds = {}
        for digest in run.builds:
            build = blobs.document(run_id, digest, "Build", "a build")
            equal("the build's definition", build["definition"], run.definition)
            for kind, graph in build["graphs"].items():
                blobs.get(run_id, graph, f"the {kind} program")
            builds[digest] = build
        blobs.get(run_id, definition["tokenizer"], "the tokenizer")
        manifest = blobs.document(run_id, definition["data"], "DataManifest", "the data manifest")
        equal("the data's tokenizer", manifest["tokenizer"], definition["tokenizer"])
        equal("the vocabulary", manifest["vocabulary"], definition["model"]["vocabulary"])
        for name in ("train", "heldOut"):
            data.check_split(manifest[name], name)
            ids = data.read_split(blobs, run_id, manifest, name)
            report.count("data shards", len(manifest[name]["shards"]))
        available = data.sequence_count(manifest["train"]["tokens"], definition["sequence"])
        separator = domain_separator(facts.chain_id, self.chain.contracts["runRegistry"])
        table = digest_of_json(definition["table"])
        return RunDocuments(run, definition, builds, table, separator, ids, manifest["heldOut"], available)

    def _verdict(self, verdict: dict, head: Head) -> None:
        """What a verdict says against what was recomputed."""
        kinds = self.spec.codes["verdictKind"]
        docs, found = self.docs[head.run_id], self.rounds[head["head"]]
        if verdict["kind"] in (kinds["aggregate"], kinds["confirmation"]):
            drawer = verdict["validator" if verdict["kind"] == kinds["aggregate"] else "worker"]
            decides = self.chain.block(head.block + SORTITION_DELAY)["hash"]
            due = drawn_fragment(decides, head["head"], drawer, docs.run.fragments)
            equal("the fragment that it drew", verdict["index"], due)
            holds = found.holds.get(due)
            if holds is None:
                return
            equal("its value", int(verdict["value"]), FULL if holds else 0)
            published = found.manifest["fragments"][due]
            evidence = {"version": 1, "head": head["head"], "fragment": due, "published": published, "recomputed": published}
            equal("its evidence", verdict["evidence"], digest_of_json(evidence))
            self.report.count("aggregate verdicts recomputed")
        elif verdict["kind"] == kinds["loss"]:
            self._loss(verdict, head, docs, found)

    def _loss(self, verdict: dict, head: Head, docs: RunDocuments, found: Round) -> None:
        evidences = [
            digest_of_json({"version": 1, "head": head["head"], "build": each, "sequences": verdict["index"]})
            for each in docs.builds
        ]
        require(verdict["evidence"] in evidences, "its evidence is not that of an admitted build")
        if head["head"] not in self.stands:
            return

        def work(_: Report) -> int | None:
            try:
                fragments = check_shards(docs, self.blobs, found, Report(True))
            except Missing:
                require(not self.complete, "its shards are not there")
                return None
            return self._measure(docs, fragments, verdict["index"])

        key = f"loss {docs.run.definition} {digest_of_json(found.manifest)} {verdict['index']}"
        loss = self.memory.recall(key, self.blobs, self.report, work)
        if loss is None:
            return
        far = abs(loss - int(verdict["value"]))
        require(far <= LOSS_TOLERANCE, f"it says {verdict['value']} millionths of a bit per byte, which are {loss}")
        self.report.count("losses")

    def _measure(self, docs: RunDocuments, fragments: dict[int, numpy.ndarray], count: int) -> int:
        ids, split = docs.held_out, docs.split
        length = docs.definition["sequence"]
        require(0 < count <= 1 << 20, f"{count} sequences cannot be measured")
        indices = data.held_out_sample(data.sequence_count(len(ids), length), count)
        parameters = network.parameters_of(docs.definition["table"], fragments)
        nats = network.loss(docs.definition["model"], parameters, data.sequences(ids, length, indices))
        return network.micro_bits_per_byte(nats, split)
