"""Checkpoints and the rounds between them: manifests, shards, receipts, payloads, the aggregate."""

from dataclasses import dataclass

import numpy

from . import data, diloco, trees
from .base import ZERO, Mismatch, Missing, digest_of_json, equal, require, tohex
from .blobs import Blobs
from .closing import Closing, RunDocuments, inner_steps
from .facts import Head
from .report import Report
from .signing import signer_of, struct_digest, struct_hash
from .spec import Spec

MAX_MANIFEST = 1 << 20


@dataclass
class Round:
    """A head's manifest, the receipts under it, and whether its fragments follow from their payloads (None: not to be had)."""

    head: Head
    manifest: dict
    file: dict | None
    leaves: list[list]
    holds: dict[int, bool | None]
    screening: dict | None = None


def check_manifest(docs: RunDocuments, head: Head, manifest: dict) -> None:
    parent = head.parent
    equal("the manifest's run", manifest["runId"], head.run_id)
    equal("the manifest's round", manifest["round"], head["round"])
    equal("the manifest's version of the parameters", manifest["paramsVersion"], head["paramsVersion"])
    equal("the manifest's parent", manifest["parent"], parent["checkpointDigest"] if parent else None)
    equal("the manifest's table", manifest["table"], docs.table_digest)
    equal("the manifest's fragments", [each["index"] for each in manifest["fragments"]], list(range(docs.run.fragments)))
    if not parent:
        found = tuple(manifest[name] for name in ("step", "tokens", "receipts", "screening"))
        equal("the first manifest's progress", found, (0, "0", None, None))
        digests = [each["digest"] for each in manifest["fragments"]]
        equal("the initial parameters", digest_of_json(digests), docs.definition["initialParameters"])


def check_entry(spec: Spec, docs: RunDocuments, head: Head, before: dict, entry: dict) -> list:
    """One receipt with all that belongs to it; answers its leaf."""
    receipt, ack, assignment = entry["receipt"], entry["ack"], entry["assignment"]
    params = docs.run.params(head["paramsVersion"])
    round_ = head["round"] - 1
    equal("the receipt's run", receipt["runId"], head.run_id)
    equal("the receipt's round", receipt["round"], str(round_))
    equal("the receipt's base", receipt["baseDigest"], head.parent["checkpointDigest"])
    equal("the receipt's version", receipt["paramsVersion"], head["paramsVersion"])
    equal("the digest of the assignment", digest_of_json(assignment), receipt["assignment"])
    due = {
        "runId": head.run_id,
        "round": round_,
        "worker": receipt["worker"],
        "assignmentId": int(receipt["assignmentId"]),
        "attempt": receipt["attempt"],
        "paramsVersion": receipt["paramsVersion"],
        "base": receipt["baseDigest"],
        "seed": head.run_id,
        "sequence": docs.definition["sequence"],
        "globalStep": before["step"],
        "innerLrPpb": params["innerLrPpb"],
        "codec": params["codec"],
    }
    for key, value in due.items():
        equal(f"the assignment's {key}", assignment[key], value)
    require(all(map(data.is_countable, assignment["ranges"])), "the assignment has data past the last position")
    positions = sum(each["count"] for each in assignment["ranges"])
    equal("the positions of the assignment", positions, assignment["steps"] * assignment["batch"])
    require(0 < receipt["steps"] <= assignment["steps"], "the receipt claims more steps than were assigned")
    require(assignment["steps"] <= inner_steps(params, round_), "more steps were assigned than the round has")
    require(receipt["build"] in docs.builds, "the receipt's build was never admitted")
    build = docs.builds[receipt["build"]]
    equal("the assignment's batch", assignment["batch"], build["microBatch"] * build.get("accumulation", 1))
    segment_steps = build["segmentSteps"]
    segments = -(-receipt["steps"] // segment_steps) if segment_steps else 1
    equal("the commitment's leaves", receipt["leaves"], 1 + max(1, segments))
    require(receipt["commitment"] != ZERO, "the receipt has no commitment")
    tokens = receipt["steps"] * assignment["batch"] * assignment["sequence"]
    equal("the tokens", entry["tokens"], str(tokens))
    receipt_hash = tohex(struct_hash(spec, "Receipt", receipt))
    for key, value in {
        "runId": head.run_id,
        "round": receipt["round"],
        "worker": receipt["worker"],
        "receiptHash": receipt_hash,
        "tokens": str(tokens),
    }.items():
        equal(f"the acknowledgement's {key}", ack[key], value)
    signer = signer_of(struct_digest(spec, "Receipt", receipt, docs.separator), entry["signature"])
    equal("the receipt's signer", signer, receipt["worker"])
    poster = signer_of(struct_digest(spec, "Ack", ack, docs.separator), entry["ackSignature"])
    require(poster in docs.run.posters, f"the acknowledgement is signed by {poster}, who never was the run's poster")
    require(entry["outcome"] in spec.codes["outcomeCode"].values(), f"{entry['outcome']} is no outcome")
    return [receipt_hash, receipt["worker"], receipt["beneficiary"], tokens, entry["outcome"]]


def check_receipts(spec: Spec, docs: RunDocuments, head: Head, before: dict, file: dict, report: Report) -> list[list]:
    equal("the receipts' run", file["runId"], head.run_id)
    equal("the receipts' round", file["round"], head["round"] - 1)
    workers = [entry["receipt"]["worker"] for entry in file["receipts"]]
    equal("the order of the receipts", workers, sorted(set(workers)))
    most = docs.run.params(head["paramsVersion"])["maxWorkers"]
    require(len(workers) <= most, f"there are {len(workers)} receipts, where {most} members at most may be")
    counted = sum(int(entry["tokens"]) for entry in file["receipts"])
    require(data.can_be_weighed(counted), f"the receipts count {counted} tokens, which nobody can weigh")
    leaves = []
    for entry in file["receipts"]:
        leaves.append(check_entry(spec, docs, head, before, entry))
        report.count("receipts")
        report.count("acknowledgements")
    counts = [entry["receipt"]["steps"] * entry["assignment"]["batch"] for entry in file["receipts"]]
    works = [
        (worker, data.used(entry["assignment"]["ranges"], count))
        for worker, entry, count in zip(workers, file["receipts"], counts)
    ]
    sharing = data.sharer(works, head.run_id, docs.sequences)
    require(sharing is None, f"{sharing} was given sequences that another had")
    equal("the receipts' root", trees.receipts_root(leaves), head["receiptsRoot"])
    return leaves


def check_progress(
    spec: Spec, docs: RunDocuments, blobs: Blobs, head: Head, before: dict | None, what: str, report: Report
) -> Round:
    """Manifest and receipts. `before`: manifest of the checkpoint before; `what`: how its own is named."""
    manifest = blobs.document(head.run_id, head["checkpointDigest"], "CheckpointManifest", what)
    require(len(blobs.get(head.run_id, head["checkpointDigest"], what)) <= MAX_MANIFEST, f"{what} is too large")
    check_manifest(docs, head, manifest)
    report.count("manifests")
    found = Round(head, manifest, None, [], {})
    if head.parent is None:
        return found
    require(before is not None, "the checkpoint before it does not hold")
    require(manifest["receipts"] is not None, "the manifest names no receipts")
    found.file = blobs.document(head.run_id, manifest["receipts"], "ReceiptsFile", "the receipts")
    found.leaves = check_receipts(spec, docs, head, before, found.file, report)
    params = docs.run.params(head["paramsVersion"])
    equal("the step", manifest["step"], before["step"] + inner_steps(params, head["round"] - 1))
    trained = sum(leaf[3] for leaf in found.leaves if leaf[4] == 0)
    equal("the tokens", manifest["tokens"], str(int(before["tokens"]) + trained))
    require(manifest["screening"] is not None, "the manifest names no screening")
    return found


def check_lost(spec: Spec, docs: RunDocuments, blobs: Blobs, head: Head, before: dict | None, report: Report) -> Round:
    """What a root paid for in a round that was rolled back later; the shards that the round began with may be gone."""
    return check_progress(spec, docs, blobs, head, before, f"the lost manifest of round {head['round']}", report)


def lost_entries(blobs: Blobs, lost: list[Head], named: list[tuple[int, str]]) -> list[tuple[int, dict]]:
    """Entries of these rounds and workers; what stands behind a head that the run went back behind need not be there, nor hold."""
    found: list[tuple[int, dict]] = []
    for head in lost:
        round_ = head["round"] - 1
        if round_ not in {each for each, _ in named}:
            continue
        try:
            manifest = blobs.document(head.run_id, head["checkpointDigest"], "CheckpointManifest", "a lost manifest")
            if manifest["screening"] is None:
                continue
            file = blobs.document(head.run_id, manifest["screening"], "ScreeningFile", "a lost screening")
        except Mismatch:
            continue
        if (file["runId"], file["round"]) == (head.run_id, round_):
            found += [(round_, entry) for entry in file["workers"] if (round_, entry["worker"]) in named]
    return found


def check_round(
    spec: Spec,
    docs: RunDocuments,
    blobs: Blobs,
    head: Head,
    before: dict | None,
    past: list[dict],
    lost: list[Head],
    report: Report,
) -> Round:
    """All of one checkpoint and the round that led to it.

    `past`: the screening files of the rounds before; `lost`: heads before it that do not stand, the newest first.
    """
    found = check_progress(spec, docs, blobs, head, before, f"the manifest of checkpoint {head['round']}", report)
    manifest = found.manifest
    if before is None:
        return found
    found.screening = blobs.document(head.run_id, manifest["screening"], "ScreeningFile", "the screening")
    closing = Closing(spec, docs, blobs, head, before, found.file)
    try:
        closing.read(found.screening)
    except Missing:
        found.holds = dict.fromkeys(range(docs.run.fragments))
        return found

    def lost_of(named: list[tuple[int, str]]) -> list[tuple[int, dict]]:
        return lost_entries(blobs, lost, named)

    made = closing.entries(closing.screen(found.screening, past, lost_of, report).clips(), found.screening["gate"])
    found.holds = {fragment: made[fragment] == manifest["fragments"][fragment] for fragment in made}
    report.count("fragments recomputed", len(made))
    return found


def check_shards(docs: RunDocuments, blobs: Blobs, found: Round, report: Report) -> dict[int, numpy.ndarray]:
    """Every shard of a checkpoint; answers the parameters by fragment."""
    out = {}
    for entry in found.manifest["fragments"]:
        what = f"the shard of fragment {entry['index']}"
        shard = blobs.get(found.head.run_id, entry["digest"], what, entry["bytes"])
        out[entry["index"]] = diloco.read_shard(docs.definition["table"], entry, shard)[0]
        report.count("shards")
    return out
