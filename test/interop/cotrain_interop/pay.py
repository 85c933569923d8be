"""Verdicts that count, contributions, the reward tree and its signatures (protocol.md, "Verdicts" and "Pay")."""

from .base import ZERO, Mismatch, digest_of_json, encode, equal, keccak, require, tohex, unword
from .blobs import Blobs
from .chain import Chain, Event
from .facts import Head, ModelFacts
from .report import Report
from .rounds import Round
from .signing import domain_separator, signer_of, struct_digest
from .spec import Spec
from .trees import rewards_root

FULL = 10_000
NOBODY = "0x" + 40 * "0"
MAX_AGE = 30 * 86_400


def verdict_key(verdict: dict) -> str:
    return ":".join(str(verdict[key]) for key in ("head", "kind", "worker", "index", "validator"))


def rejected(kinds: dict, about: list[dict]) -> bool:
    """Whether more than half of those who looked at a head's aggregate say that it does not hold; one validator is one voice."""
    voices: dict[str, bool] = {}
    for verdict in about:
        if verdict["kind"] in (kinds["aggregate"], kinds["confirmation"]):
            against = int(verdict["value"]) == 0
            voices[verdict["validator"]] = voices.get(verdict["validator"], False) or against
    return sum(voices.values()) * 2 > len(voices)


def quality(kinds: dict, head: Head, leaf: list, verdicts: list[dict], least: int) -> int:
    """In bps, of one receipt's leaf."""
    if leaf[4] != 0 or head["paramsVersion"] < least:
        return 0
    about = [verdict for verdict in verdicts if verdict["head"] == head["head"]]
    return 0 if rejected(kinds, about) else FULL


def share_out(contributions: dict[str, int], budget: int) -> dict[str, int]:
    total = sum(contributions.values())
    return {account: budget * value // total for account, value in contributions.items()} if total else {}


def least_version(spec: Spec, model: ModelFacts, head: Head) -> int:
    """The version that was in force long enough before the anchor."""
    run, schedule = model.runs[head.run_id], model.schedule
    deadline = run.params(head["paramsVersion"])["roundDeadline"]
    time = head.time - max(schedule.epoch_length, spec.version_slack * deadline)
    return run.version_at(time) if time > 0 else 0


def budget_of(model: ModelFacts, epoch: int, active: int, deadline: int) -> int:
    horizon = model.schedule.start + MAX_AGE
    young = 1 if deadline <= horizon else -(-(deadline - horizon) // model.schedule.epoch_length)
    if epoch <= active or epoch < young:
        return 0
    in_force = {event["fromEpoch"]: event for event in model.budgets if event["fromEpoch"] <= epoch}
    require(bool(in_force), f"epoch {epoch} has no budget")
    event = in_force[max(in_force)]
    return event["perEpoch"] * event["bps"][0] // 10_000


class Books:
    """The accounts of a model, root after root."""

    def __init__(self, spec: Spec, chain: Chain, blobs: Blobs, model: ModelFacts, rounds: dict[str, Round], report: Report):
        self.spec = spec
        self.chain = chain
        self.blobs = blobs
        self.model = model
        self.rounds = rounds
        self.report = report
        self.verdict_separator = domain_separator(model.chain_id, chain.contracts["runRegistry"])
        self.separator = domain_separator(model.chain_id, chain.contracts["computeRewards"])
        # Verdicts under the manifests, by key.
        self.verdicts: dict[str, dict] = {}
        self.active = {"index": 0, "epoch": 0, "root": ZERO, "digest": None}
        # By number of the root, what it grants each account.
        self.grants: dict[int, dict[str, int]] = {}
        # By run and round, receipts that an active root paid.
        self.paid: dict[tuple[str, int], set[str]] = {}

    def check_all(self) -> None:
        activated = {(event["index"], event["root"]): event for event in self.model.activated}
        for event in self.model.posted:
            posted = event["attestation"]
            with self.report.about(f"the root of epoch {posted['toEpoch']}"):
                leaves, paid = self._root(event, posted)
                self.report.count("reward roots")
                activation = activated.pop((posted["index"], posted["root"]), None)
                if activation is None:
                    continue
                self._activation(event, posted, activation)
                self.grants[posted["index"]] = leaves
                for place, receipts in paid.items():
                    self.paid.setdefault(place, set()).update(receipts)
                self.active = {
                    "index": posted["index"],
                    "epoch": posted["toEpoch"],
                    "root": posted["root"],
                    "digest": posted["epochDigest"],
                }
        for index, root in activated:
            with self.report.about(f"root {index}"):
                raise Mismatch(f"{root} became active and was never posted")
        claimed: set[tuple[int, str]] = set()
        for event in self.model.claimed:
            with self.report.about(f"the claim of {event['account']}"):
                self._claim(event, claimed)
                self.report.count("claims")

    def _claim(self, event: Event, claimed: set[tuple[int, str]]) -> None:
        """Each root that is named pays its leaf of the account, once; 0 stands for what was passed over."""
        account, due = event["account"], 0
        for index in event["roots"]:
            if index == 0:
                continue
            require((index, account) not in claimed, f"root {index} was claimed twice")
            require(account in self.grants.get(index, {}), f"root {index} grants nothing")
            claimed.add((index, account))
            due += self.grants[index][account]
        equal("the kind that was claimed", event["kind"], self.spec.codes["rewardKind"]["compute"])
        equal("what was claimed", event["amount"], due)

    def _activation(self, event: Event, posted: dict, activated: Event) -> None:
        for key in ("kind", "fromEpoch", "toEpoch", "total"):
            equal(f"the {key} that became active", activated[key], posted[key])
        require(self.chain.block(activated.block)["time"] >= event["activatableAt"], "the root became active in its window")

    def _root(self, event: Event, posted: dict) -> tuple[dict[str, int], dict]:
        """One RootPosted event against everything; answers what it grants, by account, and the receipts that it pays, by place."""
        for key in ("modelId", "kind", "index"):
            equal(f"the event's {key}", event[key], posted[key])
        run_id, model = posted["runId"], self.model
        manifest = self.blobs.document(run_id, posted["epochDigest"], "EpochManifest", "the epoch's manifest")
        inputs = self.blobs.document(run_id, manifest["inputs"], "EpochInputs", "the epoch's inputs")
        counted = self.blobs.document(run_id, manifest["verdicts"], "VerdictsFile", "the epoch's verdicts")
        rewards = self.blobs.document(run_id, manifest["rewards"], "RewardsFile", "the rewards")
        epoch = posted["toEpoch"]
        covered = [
            head for head in model.heads() if self.active["epoch"] < model.schedule.epoch_of(head.time) <= epoch
        ]
        require(bool(covered), "it covers no head")
        last = covered[-1]
        equal("the epoch of the last head", model.schedule.epoch_of(last.time), epoch)
        self._verdicts(counted, covered, posted["setVersion"])
        verdicts = [each["verdict"] for each in counted["verdicts"]]
        by = model.standing_by(posted["blockNumber"])
        paying = [head for head in covered if head["head"] in by]
        paid = self._paid(paying, verdicts)
        equal("the inputs", inputs, self._inputs(paying, verdicts, posted["deadline"]))
        leaves = self._leaves(inputs)
        numbered = {
            "modelId": model.model_id,
            "kind": self.spec.codes["rewardKind"]["compute"],
            "index": self.active["index"] + 1,
        }
        due_rewards = {"version": 1, **numbered, "leaves": leaves}
        equal("the rewards", rewards, due_rewards)
        finished = {head.run_id: head["head"] for head in covered if head.run_id != last.run_id}
        root = rewards_root(due_rewards)
        total = sum(int(leaf["amount"]) for leaf in leaves)
        equal(
            "the epoch's manifest",
            manifest,
            {
                "version": 1,
                **numbered,
                "fromEpoch": self.active["epoch"] + 1,
                "toEpoch": epoch,
                "runId": last.run_id,
                "head": last["head"],
                "finished": [{"runId": run, "head": head} for run, head in sorted(finished.items())],
                "previous": self.active["digest"],
                "previousRoot": self.active["root"],
                "root": root,
                "total": str(total),
                "inputs": digest_of_json(inputs),
                "verdicts": digest_of_json(counted),
                "rewards": digest_of_json(rewards),
            },
        )
        due = {
            **numbered,
            "fromEpoch": self.active["epoch"] + 1,
            "toEpoch": epoch,
            "runId": last.run_id,
            "head": last["head"],
            "epochDigest": posted["epochDigest"],
            "previousRoot": self.active["root"],
            "root": root,
            "total": total,
            "setVersion": posted["setVersion"],
            "blockNumber": posted["blockNumber"],
            "blockHash": self.chain.block(posted["blockNumber"])["hash"],
            "deadline": posted["deadline"],
        }
        equal("the posted attestation", posted, due)
        require(last.block <= posted["blockNumber"] < event.block, "the block that was read is none of its time")
        self._attested(event, posted)
        return {leaf["account"]: int(leaf["amount"]) for leaf in leaves}, paid

    def _rejected(self, head: Head, verdicts: list[dict]) -> bool:
        return rejected(self.spec.codes["verdictKind"], [each for each in verdicts if each["head"] == head["head"]])

    def _paid(self, paying: list[Head], verdicts: list[dict]) -> dict[tuple[str, int], set[str]]:
        """Receipts of each round that a root pays, without those that another paid before the run went back."""
        found: dict[tuple[str, int], set[str]] = {}
        for head in paying:
            if self._rejected(head, verdicts):
                continue
            require(head["head"] in self.rounds, f"checkpoint {head['round']} does not hold")
            place = (head.run_id, head["round"])
            receipts = {leaf[0] for leaf in self.rounds[head["head"]].leaves}
            found.setdefault(place, set()).update(receipts - self.paid.get(place, set()))
        return found

    def _inputs(self, paying: list[Head], verdicts: list[dict], deadline: int) -> dict:
        schedule = self.model.schedule
        epochs = []
        for epoch in sorted({schedule.epoch_of(head.time) for head in paying}):
            heads = [head for head in paying if schedule.epoch_of(head.time) == epoch]
            sums: dict[str, int] = {}
            entries = []
            for head in heads:
                least = least_version(self.spec, self.model, head)
                entries.append(self._head_entry(head, least))
                kinds = self.spec.codes["verdictKind"]
                if self._rejected(head, verdicts):
                    continue
                before = self.paid.get((head.run_id, head["round"]), set())
                for leaf in self.rounds[head["head"]].leaves:
                    if leaf[0] in before:
                        continue
                    value = leaf[3] * quality(kinds, head, leaf, verdicts, least)
                    if value > 0:
                        sums[leaf[2]] = sums.get(leaf[2], 0) + value
            budget = budget_of(self.model, epoch, self.active["epoch"], deadline)
            amounts = share_out(sums, budget)
            contributions = [
                {"account": account, "contribution": str(value), "amount": str(amounts[account])}
                for account, value in sorted(sums.items())
            ]
            self.report.count("contributions", len(contributions))
            epochs.append({"epoch": epoch, "budget": str(budget), "heads": entries, "contributions": contributions})
        return {"version": 1, "modelId": self.model.model_id, "epochs": epochs}

    @staticmethod
    def _head_entry(head: Head, least: int) -> dict:
        names = ("head", "sequence", "round", "paramsVersion", "checkpointDigest", "receiptsRoot")
        entry = {name: head[name] for name in names}
        return {"runId": head.run_id, **entry, "anchoredAt": head.time, "minParamsVersion": least}

    def _leaves(self, inputs: dict) -> list[dict]:
        sums: dict[str, int] = {}
        for epoch in inputs["epochs"]:
            for each in epoch["contributions"]:
                sums[each["account"]] = sums.get(each["account"], 0) + int(each["amount"])
        return [{"account": account, "amount": str(value)} for account, value in sorted(sums.items()) if value > 0]

    def _verdicts(self, counted: dict, covered: list[Head], set_version: int) -> None:
        equal("the verdicts' model", counted["modelId"], self.model.model_id)
        keys = [verdict_key(each["verdict"]) for each in counted["verdicts"]]
        equal("the order of the verdicts", keys, sorted(set(keys)))
        heads = {head["head"]: head for head in covered if not head.is_rollback}
        members = self.model.sets[set_version]["validators"]
        for key, each in zip(keys, counted["verdicts"]):
            check_verdict(self.spec, each, heads, self.model, members, self.verdict_separator)
            self.verdicts[key] = each["verdict"]
            self.report.count("verdicts")

    def _attested(self, event: Event, posted: dict) -> None:
        """The calldata of postRoot: the attestation that was signed, and by whom."""
        data = self.chain.calldata(event.transaction)
        fields = self.spec.structs["Attestation"]
        kinds = [kind for _, kind in fields]
        signature = f"postRoot(({','.join(kinds)}),bytes)"
        equal("the function that was called", tohex(data[:4]), tohex(keccak(signature.encode())[:4]))
        words = data[4:]
        attestation = {
            name: unword(kind, words[32 * i : 32 * i + 32]) for i, (name, kind) in enumerate(fields)
        }
        equal("the attestation", attestation, posted)
        schedule = self.model.schedule
        late = posted["deadline"] - schedule.end_of(posted["toEpoch"])
        at = self.chain.block(event.block)["time"]
        require(late > 0 and late % schedule.posting_delay == 0, "the deadline is not the epoch's end plus posting delays")
        require(schedule.end_of(posted["toEpoch"]) <= at <= posted["deadline"], "the root was posted out of its time")
        equal("when it may become active", event["activatableAt"], at + schedule.window)
        equal("the calldata", words, encode(kinds, list(attestation.values())) + _packed(words, len(kinds)))
        digest = struct_digest(self.spec, "Attestation", attestation, self.separator)
        signers = [signer_of(digest, tohex(each)) for each in _signatures(words, len(kinds))]
        set_ = self.model.sets[posted["setVersion"]]
        require(set_["effectiveAt"] <= at, "the validator set is not in force yet")
        equal("the order of the signers", signers, sorted(set(signers)))
        require(all(signer in set_["validators"] for signer in signers), "a signer is no member of the set")
        require(len(signers) >= set_["threshold"], f"{len(signers)} signed where {set_['threshold']} must")
        self.report.count("signatures of roots", len(signers))


def _signatures(words: bytes, fields: int) -> list[bytes]:
    """65 bytes each, one behind the other."""
    start = unword("uint256", words[32 * fields : 32 * fields + 32])
    length = unword("uint256", words[start : start + 32])
    require(length % 65 == 0 and length <= 64 * 65, "a root has 64 signatures of 65 bytes at most")
    return [words[at : at + 65] for at in range(start + 32, start + 32 + length, 65)]


def _packed(words: bytes, fields: int) -> bytes:
    """What abi.encode makes of the signatures, with their offset before it."""
    packed = b"".join(_signatures(words, fields))
    length = len(packed).to_bytes(32, "big")
    return (32 * (fields + 1)).to_bytes(32, "big") + length + packed + bytes(-len(packed) % 32)


def check_verdict(spec: Spec, signed: dict, heads: dict, model: ModelFacts, members: list[str], separator: bytes) -> None:
    """Form, subject and signature of one verdict."""
    verdict = signed["verdict"]
    require(verdict["head"] in heads, "a verdict is about a head that is not covered")
    head = heads[verdict["head"]]
    kinds = spec.codes["verdictKind"]
    value = int(verdict["value"])
    equal("a verdict's run", verdict["runId"], head.run_id)
    equal("a verdict's round", verdict["round"], str(max(0, head["round"] - 1)))
    issued = [kinds[name] for name in ("aggregate", "loss", "confirmation")]
    require(verdict["kind"] in issued, f"{verdict['kind']} is no kind of verdict that validators issue")
    if verdict["kind"] == kinds["aggregate"]:
        require(value in (0, FULL), f"a verdict says {value}")
        equal("the worker of a verdict about an aggregate", verdict["worker"], NOBODY)
    if verdict["kind"] == kinds["confirmation"]:
        require(value == 0, f"a confirmation says {value}")
        require(verdict["worker"] in members, "a confirmation is of what one drew who is not in the set")
        require(verdict["worker"] != verdict["validator"], "a confirmation is of what its own validator drew")
    if verdict["kind"] in (kinds["aggregate"], kinds["confirmation"]):
        require(verdict["index"] < model.runs[head.run_id].fragments, "a verdict is about a fragment that is not there")
    require(verdict["validator"] in members, "a verdict is of one who is not in the set")
    signer = signer_of(struct_digest(spec, "Verdict", verdict, separator), signed["signature"])
    equal("a verdict's signer", signer, verdict["validator"])
