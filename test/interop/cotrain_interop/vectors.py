"""test/vectors/*.json against this implementation: every struct, document and layout that the page describes."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import numpy

from . import data, diloco, trees
from .base import Mismatch, cid_of, digest_of_json, canonical, encode, equal, keccak, parse_canonical, parse_json, sha256, tohex, unhex
from .blobs import Blobs
from .facts import HEAD_TYPE, Head, Schedule, clone_of, drawn_fragment
from .pay import quality, share_out
from .report import Report
from .revenue import amounts as revenue_amounts
from .rounds import lost_entries
from .schedule import learning_rate
from .screening import MOST_PASSES, WHOLE, Gate, Payload, Screening, bits_of, drops_momentum, norm_of, sketch_of
from .signing import domain_separator, signer_of, struct_digest, struct_hash
from .spec import Spec


def check_vectors(spec: Spec, directory: Path, report: Report) -> None:
    protocol = json.loads((directory / "protocol.json").read_text(encoding="utf-8"))
    checks = {
        "structs": _structs,
        "head": _heads,
        "ids": _ids,
        "leases": _leases,
        "epochs": _epochs,
        "leaves": _leaves,
        "sortitions": _sortitions,
        "runParams": _params,
        "blobs": _blobs,
        "canonicalJson": _canonical,
        "sessions": _sessions,
        "tables": _tables,
        "contributions": _contributions,
        "schedules": _schedules,
        "revenue": _revenue,
        "round": _round,
    }
    with report.about("protocol.json"):
        # Vectors that nobody reads would look like vectors that hold.
        equal("the kinds of vectors", sorted(protocol), sorted(checks))
    for name, check in checks.items():
        with report.about(name):
            report.count(f"{name} vectors", check(spec, protocol[name]))
    diloco_vectors = json.loads((directory / "diloco.json").read_text(encoding="utf-8"))
    with report.about("diloco.json"):
        equal("the kinds of vectors", sorted(set(diloco_vectors) - {"about"}), ["int8b256", "reduce", "sketches", "weights"])
        report.count("int8 vectors", _int8(diloco_vectors["int8b256"]))
        report.count("reduce vectors", _reduce(diloco_vectors["reduce"]))
        report.count("weight vectors", _weights(diloco_vectors["weights"]))
        report.count("sketch vectors", _sketches(diloco_vectors["sketches"]))


def _structs(spec: Spec, vectors: dict) -> int:
    equal("the structs", sorted(vectors), sorted(spec.structs))
    for name, vector in vectors.items():
        equal(f"the type of {name}", spec.struct_type(name), vector["type"])
        equal(f"the type's hash of {name}", tohex(keccak(vector["type"].encode())), vector["typeHash"])
        for case in vector["cases"]:
            kinds = [kind for _, kind in spec.structs[name]]
            encoded = encode(kinds, [case["message"][field] for field, _ in spec.structs[name]])
            equal(f"abi.encode of {name}", tohex(encoded), case["encoded"])
            equal(f"hashStruct of {name}", tohex(struct_hash(spec, name, case["message"])), case["structHash"])
            separator = domain_separator(int(case["chainId"]), case["verifyingContract"])
            equal("the domain separator", tohex(separator), case["domainSeparator"])
            digest = struct_digest(spec, name, case["message"], separator)
            equal(f"the digest of {name}", tohex(digest), case["digest"])
            equal(f"the signer of {name}", signer_of(digest, case["signature"]), case["signer"])
    return len(vectors)


def _heads(_: Spec, vector: dict) -> int:
    equal("the type of a head", HEAD_TYPE, vector["type"])
    fields = [field.split(" ") for field in HEAD_TYPE[5:-1].split(",")]
    for case in vector["cases"]:
        encoded = encode([kind for kind, _ in fields], [case["message"][name] for _, name in fields])
        equal("abi.encode of a head", tohex(encoded), case["encoded"])
        equal("a head", tohex(keccak(keccak(HEAD_TYPE.encode()) + encoded)), case["head"])
    return len(vector["cases"])


def _ids(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        kinds = ["uint256", "address", "address", "bytes32", "bytes32"]
        values = [case[name] for name in ("chainId", "modelRegistry", "sender", "salt", "terms")]
        equal("a model's id", tohex(keccak(encode(kinds, values))), case["modelId"])
        values = [case["chainId"], case["runRegistry"], case["modelId"], case["salt"]]
        equal("a run's id", tohex(keccak(encode(["uint256", "address", "bytes32", "bytes32"], values))), case["runId"])
        for implementation, clone in zip(case["implementations"], case["clones"].values(), strict=True):
            equal("a clone", clone_of(case["modelRegistry"], implementation, case["modelId"]), clone)
    return len(vectors)


TERMS = {
    "renter": "address",
    "provider": "address",
    "machine": "address",
    "signer": "address",
    "token": "address",
    "notice": "uint32",
    "salt": "bytes32",
}


def _leases(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        terms = [case["terms"][name] for name in TERMS]
        equal("abi.encode of a lease's terms", tohex(encode([*TERMS.values()], terms)), case["encoded"])
        kinds, values = ["uint256", "address", *TERMS.values()], [case["chainId"], case["escrow"], *terms]
        lease = tohex(keccak(encode(kinds, values)))
        equal("a lease's id", lease, case["leaseId"])
        # RLP of [address, 1]: what all vaults run is the first contract that the escrow made (EIP-161).
        implementation = tohex(keccak(b"\xd6\x94" + unhex(case["escrow"]) + b"\x01")[12:])
        equal("a lease's vault", clone_of(case["escrow"], implementation, lease), case["vault"])
    return len(vectors)


def _epochs(_: Spec, vectors: list[dict]) -> int:
    for vector in vectors:
        schedule = Schedule(int(vector["start"]), int(vector["epochLength"]), 1, 1)
        for case in vector["cases"]:
            equal("an epoch", schedule.epoch_of(int(case["time"])), int(case["epoch"]))
            equal("the end of an epoch", schedule.end_of(int(case["epoch"])), int(case["end"]))
    return sum(len(vector["cases"]) for vector in vectors)


def _leaves(_: Spec, vectors: dict) -> int:
    kinds = {"receipt": trees.RECEIPT, "reward": trees.REWARD, "commitment": trees.COMMITMENT}
    equal("the trees", sorted(vectors), sorted(kinds))
    for name, vector in vectors.items():
        equal(f"the types of a {name} leaf", vector["types"], kinds[name])
        for tree in vector["trees"]:
            rows = [_words(leaf["encoded"]) for leaf in tree["leaves"]]
            for leaf, row in zip(tree["leaves"], rows):
                # The words are abi.encode already: as bytes32 they are written as they stand.
                equal(f"a {name} leaf", tohex(trees.leaf_hash(["bytes32"] * len(row), row)), leaf["leaf"])
                equal(f"the root by the proof of a {name} leaf", _climb(leaf), tree["root"])
            equal(f"a {name} root", trees.tree_root(["bytes32"] * len(kinds[name]), rows), tree["root"])
    return sum(len(vector["trees"]) for vector in vectors.values())


def _words(text: str) -> list[str]:
    data = unhex(text)
    return [tohex(data[at : at + 32]) for at in range(0, len(data), 32)]


def _climb(leaf: dict) -> str:
    node = unhex(leaf["leaf"])
    for sibling in map(unhex, leaf["proof"]):
        node = keccak(min(node, sibling) + max(node, sibling))
    return tohex(node)


def _sortitions(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        drawn = drawn_fragment(case["blockHash"], case["head"], case["validator"], int(case["fragments"]))
        equal("the sortition", drawn, int(case["fragment"]))
    return len(vectors)


def _params(spec: Spec, vector: dict) -> int:
    kinds = [kind for _, kind in spec.params]
    type_ = f"RunParams({','.join(f'{kind} {name}' for name, kind in spec.params)})"
    equal("the type of the parameters", type_, vector["type"])
    for case in vector["cases"]:
        encoded = encode(kinds, [case["message"][name] for name, _ in spec.params])
        equal("abi.encode of parameters", tohex(encoded), case["encoded"])
    for case in vector["rules"]:
        values = {name: int(value) for name, value in case["message"].items()}
        equal(f"whether {case['message']} is allowed", params_fit(values, int(case["fragments"])), case["valid"])
    return len(vector["cases"]) + len(vector["rules"])


def params_fit(values: dict, fragments: int) -> bool:
    return (
        values["innerSteps"] > 0
        and values["innerSteps"] % fragments == 0
        and values["rampInnerSteps"] % fragments == 0
        and (values["rampInnerSteps"] > 0 or values["rampRounds"] == 0)
        and values["delaySteps"] * fragments < values["innerSteps"]
        and 1 <= values["minWorkers"] <= values["maxWorkers"]
        and values["outerMomentumPpm"] < 1_000_000
        and all(values[name] <= 10_000 for name in ("aggregatorBps", "mixingBps", "replayBps"))
    )


def _blobs(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        equal("a digest", sha256(unhex(case["bytes"])), case["digest"])
        equal("a CID", cid_of(case["digest"]), case["cid"])
    return len(vectors)


def _canonical(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        value = parse_json(case["json"].encode(), "a vector")
        equal("canonical JSON", canonical(value), case["canonical"])
        equal("its digest", digest_of_json(value), case["digest"])
    return len(vectors)


def _sessions(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        text = "\n".join([case["method"].upper(), case["path"], case["body"], case["counter"]])
        equal("a MAC", tohex(hmac.digest(unhex(case["key"]), text.encode(), hashlib.sha256)), case["mac"])
    return len(vectors)


def _tables(_: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        tensors = [(each["name"], each["shape"], each.get("layer")) for each in case["specs"]]
        equal("a fragment table", diloco.fragment_table(tensors, case["fragments"]), case["table"])
        equal("its digest", digest_of_json(case["table"]), case["digest"])
    return len(vectors)


def _contributions(spec: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        sums: dict[str, int] = {}
        for head in case["heads"]:
            for each in head["receipts"]:
                leaf = [each["receiptHash"], each["worker"], each["beneficiary"], int(each["tokens"]), each["outcome"]]
                least = case["minParamsVersion"]
                value = leaf[3] * quality(spec.codes["verdictKind"], head, leaf, case["verdicts"], least)
                if value > 0:
                    sums[leaf[2].lower()] = sums.get(leaf[2].lower(), 0) + value
        amounts = share_out(sums, int(case["budget"]))
        found = {each["account"]: (int(each["contribution"]), int(each["amount"])) for each in case["result"]}
        equal(case["name"], {account: (value, amounts[account]) for account, value in sums.items()}, found)
    return len(vectors)


def _revenue(spec: Spec, vectors: list[dict]) -> int:
    for case in vectors:
        found = revenue_amounts(case["transfers"], case["epochs"], case["excluded"], case["treasury"], int(case["available"]))
        equal(case["name"], found, {each["account"]: int(each["amount"]) for each in case["amounts"]})
    return len(vectors)


def _round(spec: Spec, vector: dict) -> int:
    names = [each["name"] for each in vector["documents"]]
    wanted = set(spec.documents) - {"SignedVerdict"}
    equal("the documents", sorted(set(names)), sorted(wanted))
    documents: dict[str, list[dict]] = {}
    for each in vector["documents"]:
        value = spec.check(each["name"], each["document"])
        equal(f"canonical JSON of {each['name']}", canonical(value), each["canonical"])
        equal(f"the digest of {each['name']}", digest_of_json(value), each["digest"])
        equal(f"the CID of {each['name']}", cid_of(each["digest"]), each["cid"])
        documents.setdefault(each["name"], []).append(value)
    table = documents["Definition"][0]["table"]
    for checkpoint, shards in zip(documents["CheckpointManifest"], vector["shards"]):
        for entry, shard in zip(checkpoint["fragments"], shards):
            params, buffer = (numpy.frombuffer(unhex(shard[key]), "<f4") for key in ("parameters", "outer"))
            made, data = diloco.shard_entry(table, entry["index"], params, buffer)
            equal("a shard", tohex(data), shard["bytes"])
            equal("a shard's entry", made, shard["fragment"])
            equal("a shard's entry in its manifest", made, entry)
            equal("a shard's header", diloco.shard_header(table, entry["index"])[8:].decode(), shard["header"])
    separator = domain_separator(int(vector["chainId"]), vector["runRegistry"])
    for entry in documents["ReceiptsFile"][0]["receipts"]:
        signer = signer_of(struct_digest(spec, "Receipt", entry["receipt"], separator), entry["signature"])
        equal("the signer of a receipt", signer, entry["receipt"]["worker"])
        signer = signer_of(struct_digest(spec, "Ack", entry["ack"], separator), entry["ackSignature"])
        equal("the signer of an acknowledgement", signer, vector["poster"])
    for each in documents["VerdictsFile"][0]["verdicts"]:
        signer = signer_of(struct_digest(spec, "Verdict", each["verdict"], separator), each["signature"])
        equal("the signer of a verdict", signer, each["verdict"]["validator"])
    equal("the root", trees.rewards_root(documents["RewardsFile"][0]), documents["EpochManifest"][0]["root"])
    _lost(spec, documents["CheckpointManifest"][0])
    _commitment(vector["commitment"])
    _car(vector["car"])
    return len(vector["documents"]) + len(vector["shards"])


class _Only:
    """A source that has one document, and is asked for no other."""

    def __init__(self, document: dict):
        self.blobs = {digest_of_json(document): canonical(document).encode()}

    def read(self, _run_id: str, digest: str) -> bytes:
        return self.blobs[digest]


def _lost(spec: Spec, manifest: dict) -> None:
    """A lost head whose manifest names no screening has no entries of one, and ends nothing."""
    bare = {**manifest, "screening": None}
    values = {"round": bare["round"], "checkpointDigest": digest_of_json(bare)}
    head = Head(bare["runId"], values, 0, 0, 0)
    found = lost_entries(Blobs(_Only(bare), spec), [head], [(bare["round"] - 1, "0x" + "00" * 20)])
    equal("the entries of a lost head without a screening", found, [])


def _schedules(spec: Spec, vectors: list[dict]) -> int:
    kinds = spec.documents["Definition"].fields["schedule"].variants
    equal("the kinds of schedules", sorted({each["schedule"]["kind"] for each in vectors}), sorted(kinds))
    for vector in vectors:
        for case in vector["cases"]:
            clock = (int(case["globalStep"]), int(case["optimizerStep"]))
            rate = learning_rate(vector["schedule"], int(vector["innerLrPpb"]), *clock)
            equal(f"the learning rate at {clock}", numpy.float32(rate), numpy.float32(float(case["learningRate"])))
    return sum(len(vector["cases"]) for vector in vectors)


def segment_ends(steps: int, segment_steps: int) -> list[int]:
    return [*range(segment_steps, steps, segment_steps), steps] if segment_steps else [steps]


def _commitment(vector: dict) -> None:
    steps = int(vector["steps"])
    ends = segment_ends(steps, int(vector["segmentSteps"]))
    equal("the ends of the segments", [str(end) for end in ends], vector["segmentEnds"])
    states = []
    for state in vector["states"]:
        parts = [unhex(part) for key in ("parameters", "optimizer", "residual") for part in state[key]]
        states.append(diloco.blake3_of([*parts, int(state["optimizerStep"]).to_bytes(8, "little")]))
    nothing, zero = sha256(b""), "0x" + "00" * 32
    rows = [[0, int(vector["states"][0]["optimizerStep"]), states[0], nothing, nothing, zero]]
    for index, segment in enumerate(vector["segments"]):
        scalars = b""
        for i, rate in enumerate(segment["learningRates"]):
            step = int(segment["optimizerStep"]) + i + 1
            scalars += numpy.array(float(rate), "<f4").tobytes() + step.to_bytes(8, "little")
        equal("the scalars of a segment", tohex(scalars), segment["scalars"])
        equal("their digest", sha256(scalars), segment["scalarsDigest"])
        equal("the digest of a segment's tokens", sha256(unhex(segment["tokens"])), segment["dataDigest"])
        step = int(vector["states"][index + 1]["optimizerStep"])
        rows.append([index + 1, step, states[index + 1], segment["dataDigest"], sha256(scalars), zero])
    residual = diloco.blake3_of([unhex(part) for part in vector["newResidual"]["tensors"]])
    equal("the digest of the residual", residual, vector["newResidual"]["digest"])
    step = int(vector["states"][-1]["optimizerStep"])
    last = [len(vector["leaves"]) - 1, step, states[-1], vector["baseDigest"], residual, vector["payloadDigest"]]
    rows = [*rows[: len(vector["leaves"]) - 1], last]
    for row, leaf in zip(rows, vector["leaves"], strict=True):
        equal("abi.encode of a leaf", tohex(encode(trees.COMMITMENT, row)), leaf["encoded"])
    equal("the commitment", trees.tree_root(trees.COMMITMENT, rows), vector["root"])


def _car(vector: dict) -> None:
    """The header that names one root, then the blocks, each under its CID."""
    data = unhex(vector["bytes"])
    equal("the digest of the CAR", sha256(data), vector["digest"])
    blocks, at = [], 0
    while at < len(data):
        length, at = _varint(data, at)
        blocks.append(data[at : at + length])
        at += length
    header, *blocks = blocks
    for block in blocks:
        equal("the prefix of a CID", block[:4], bytes([1, 0x55, 0x12, 0x20]))
        equal("the digest of a block", sha256(block[36:]), tohex(block[4:36]))
    equal("the blocks of the CAR", [cid_of(tohex(block[4:36])) for block in blocks], vector["blocks"])
    # DAG-CBOR of {roots: [CID], version: 1}.
    due = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00" + blocks[0][:36] + b"\x67version\x01"
    equal("the header of the CAR", header, due)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 integer and where it ends."""
    value, shift = 0, 0
    while data[at] >= 128:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
    return value | data[at] << shift, at + 1


def _int8(vectors: list[dict]) -> int:
    for case in vectors:
        delta = numpy.frombuffer(bytes.fromhex(case["delta"]), "<f4")
        residual = numpy.frombuffer(bytes.fromhex(case["residual"]), "<f4") if case["residual"] else None
        payload, after = diloco.encode_int8(delta, residual)
        equal(f"{case['name']}: payload", payload.hex(), case["payload"])
        equal(f"{case['name']}: residual", after.astype("<f4").tobytes().hex(), case["nextResidual"])
        decoded = diloco.decode(1, payload, len(delta))
        equal(f"{case['name']}: decoded", decoded.astype("<f4").tobytes().hex(), case["decoded"])
    return len(vectors)


def _reduce(vectors: list[dict]) -> int:
    for case in vectors:
        params, buffer = (numpy.frombuffer(bytes.fromhex(case[key]), "<f4") for key in ("params", "buffer"))
        ordered = sorted(case["contributions"], key=lambda each: each["worker"])
        total = numpy.zeros(len(params), numpy.float32)
        for weight, each in zip(diloco.weights("tokens", [each["tokens"] for each in ordered], [1] * len(ordered)), ordered):
            total = total + weight * diloco.decode(1, bytes.fromhex(each["payload"]), len(params))
        after = diloco.outer_step(params, buffer, total, case["lrPpm"], case["momentumPpm"])
        for key, values in zip(("nextParams", "nextBuffer"), after):
            equal(f"{case['name']}: {key}", values.astype("<f4").tobytes().hex(), case[key])
    return len(vectors)


def _weights(vectors: list[dict]) -> int:
    for case in vectors:
        tokens, steps = ([each[key] for each in case["shares"]] for key in ("tokens", "steps"))
        found = numpy.array(diloco.weights(case["weighting"], tokens, steps), dtype="<f4")
        equal(f"{case['name']}: weights", found.tobytes().hex(), case["weights"])
        pulls = [str(diloco.pull(case["weighting"], *share)) for share in zip(tokens, steps)]
        equal(f"{case['name']}: pulls", pulls, case["pulls"])
    return len(vectors)


def _sketches(vectors: list[dict]) -> int:
    for case in vectors:
        values = numpy.frombuffer(bytes.fromhex(case["values"]), "<f4")
        equal(f"{case['name']}: norm", bits_of(norm_of(values)), case["norm"])
        sketch = base64.b64encode(sketch_of(values, case["fragment"])).decode()
        equal(f"{case['name']}: sketch", sketch, case["sketch"])
    return len(vectors)


def check_documents(spec: Spec, file: Path, report: Report) -> None:
    """Documents of which the SDK says whether they are of the page's form (test/interop/variants.ts)."""
    found = set()
    for number, case in enumerate(json.loads(file.read_text(encoding="utf-8"))):
        with report.about(f"case {number}"):
            try:
                spec.check(case["document"], case["value"])
                holds = True
            except Mismatch:
                holds = False
            equal("whether it is of the page's form", holds, case["holds"])
            found.add(holds)
            report.count("documents")
    with report.about("the cases"):
        equal("what is said of them", found, {True, False})


def check_screenings(spec: Spec, file: Path, report: Report) -> None:
    """Rounds that the product judged (test/interop/screenings.ts), judged again."""
    seen: set[int] = set()
    gates: set[str] = set()
    for number, case in enumerate(json.loads(file.read_text(encoding="utf-8"))):
        with report.about(f"case {number}"):
            payloads = []
            for each in sorted(case["sent"], key=lambda each: each["measured"]["worker"]):
                told = each["measured"]
                values = [numpy.frombuffer(base64.b64decode(text), "<f4") for text in each["values"]]
                digests = [fragment["digest"] for fragment in told["fragments"]]
                payloads.append(
                    Payload(told["worker"], "", told["steps"], told["acceptedAt"], told["outcome"], digests, values, told.get("unreadable"))
                )
            codes, params = spec.codes["outcomeCode"], {key: case[key] for key in ("aggregatorBps", "innerLrPpb")}
            theta = [numpy.frombuffer(base64.b64decode(text), "<f4") for text in case["parameters"]]
            screening = Screening(codes, case["rules"], params, case["round"], theta, case["past"])
            equal("the parameters' norms", screening.theta, case["theta"])
            screening.judge(payloads)
            equal("the entries", list(screening.entries.values()), case["entries"])
            equal("the medians", screening.medians(len(case["medians"])), case["medians"])
            gate = case["gate"]
            if screening.left():
                losses = iter([loss for each in gate["passes"] for loss in (each["after"], *(t["loss"] for t in each["tried"]))])
                pulls = {worker: int(pull) for worker, pull in case["pulls"].items()}
                Gate(screening, pulls, gate, lambda *_: next(losses), lambda *_: None).run(gate["before"])
            outcomes = [entry["outcome"] for entry in screening.entries.values()]
            equal("the outcomes after the gate", outcomes, case["outcomes"])
            gates |= _kinds(gate, case["rules"])
            seen |= set(outcomes)
            report.count("screenings")
            clipped = any(each["clipPpm"] < WHOLE for entry in case["entries"] for each in entry["fragments"])
            seen |= {entry["outcome"] for entry in case["entries"]} | ({-1} if clipped else set())
    with report.about("the cases"):
        codes = spec.codes["outcomeCode"]
        wanted = {codes[name] for name in ("aggregated", "nonFinite", "normTooLarge", "lossHarm", "empty", "copy", "roundDiscarded")} | {-1}
        equal("what occurs in them", sorted(seen), sorted(wanted))
        equal("what occurs in their gates", sorted(gates), sorted(GATES))


# What is rare in a gate, and must be among the cases.
GATES = {"no loss before", "no loss of the momentum", "no momentum", "all passes that may search"}


def _kinds(gate: dict, rules: dict) -> set[str]:
    passes = gate["passes"]
    kinds = {
        "no loss before": bool(passes) and gate["before"] is None,
        "no loss of the momentum": any(each["tried"] and each["tried"][0]["loss"] is None for each in passes[:1]),
        "no momentum": drops_momentum(gate, rules),
        "all passes that may search": sum(bool(each["leftOut"]) for each in passes) == MOST_PASSES,
    }
    return {kind for kind, holds in kinds.items() if holds}


def check_reading(file: Path, report: Report) -> None:
    """Texts that are canonical JSON or not, ranges and tokens that can be counted or not, and rounds of which somebody has another's sequences or not."""
    cases = json.loads(file.read_text(encoding="utf-8"))
    for number, case in enumerate(cases["texts"]):
        with report.about(f"text {number}"):
            equal("whether it is canonical", _reads(base64.b64decode(case["bytes"])), case["canonical"])
            report.count("texts")
    for number, case in enumerate(cases["ranges"]):
        with report.about(f"range {number}"):
            equal("whether it can be counted", data.is_countable(case), case["countable"])
            report.count("ranges")
    for number, case in enumerate(cases["tokens"]):
        with report.about(f"tokens {number}"):
            equal("whether they can be weighed", data.can_be_weighed(int(case["count"])), case["weighable"])
            report.count("tokens")
    for number, case in enumerate(cases["rounds"]):
        with report.about(f"round {number}"):
            count = {each["worker"]: sum(part["count"] for part in each["ranges"]) for each in case["works"]}
            works = [(each["worker"], data.used(each["ranges"], count[each["worker"]])) for each in case["works"]]
            equal("who has another's sequences", data.sharer(works, cases["seed"], case["n"]), case["sharer"])
            report.count("rounds")
    with report.about("the cases"):
        equal("canonical or not", {case["canonical"] for case in cases["texts"]}, {True, False})
        equal("countable or not", {case["countable"] for case in cases["ranges"]}, {True, False})
        equal("weighable or not", {case["weighable"] for case in cases["tokens"]}, {True, False})
        equal("shared or not", {case["sharer"] is None for case in cases["rounds"]}, {True, False})


def _reads(text: bytes) -> bool:
    try:
        parse_canonical(text, "a text")
        return True
    except Mismatch:
        return False
