/**
 * Whether this validator signs an epoch: only what it computed itself, from the chain and published data, to the last bit, and
 * only when it recomputed a fragment of every checkpoint that is paid there.
 */
import {
  type Address,
  asDigest,
  type Attestation,
  type EpochHead,
  EpochManifest,
  type EpochView,
  fromWire,
  MAX_MANIFEST_BYTES,
  type ModelId,
  parseDocument,
  type RunId,
  structHash,
  VerdictsFile,
  verdictKind,
  type WireStruct,
} from "@cotrain/sdk/protocol";

import {
  type BlobSource,
  type ChainReader,
  computeEpoch,
  type EpochComputation,
  type EvidenceCache,
  readJson,
  verdictKey,
} from "../chain/index.ts";
import type { Statement } from "./statements.ts";

export interface AttestModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly evidence: EvidenceCache;
  readonly validator: Address;
  /** This validator's own verdicts about a head, sent or not. */
  readonly verdictsAbout: (head: EpochHead["head"]) => Promise<readonly Statement<WireStruct<"Verdict">>[]>;
  /** The fragment of a head that this validator drew and has a verdict about. */
  readonly drawn: (head: EpochHead["head"]) => number | undefined;
  /** Ms since 1970: what the coordinator had accepted before then, it had before it computed the epoch. */
  readonly acceptedBefore: number;
}

export type Decision =
  | { readonly kind: "sign"; readonly attestation: Attestation }
  | { readonly kind: "refuse"; readonly reason: string }
  /** All is equal, but these heads, at least one, have no verdict of this validator yet. */
  | { readonly kind: "wait"; readonly unjudged: readonly EpochHead[] };

const refuse = (reason: string): Decision => ({ kind: "refuse", reason });

/**
 * Recomputes an epoch and compares.
 * @param runId the run whose coordinator published it
 * @throws RetryableError while the chain or a document is not to be had; what `computeEpoch` throws
 */
export async function decide(
  modules: AttestModules,
  modelId: ModelId,
  runId: RunId,
  view: EpochView,
): Promise<Decision> {
  const { blobs } = modules;
  const attestation = fromWire("Attestation", view.attestation);
  if (attestation.modelId !== modelId) return refuse("It is of another model.");
  if (attestation.epochDigest !== view.manifest) return refuse("It names another manifest than the one published.");
  if (Number(attestation.epoch) !== view.epoch) return refuse("It is of another epoch.");
  const manifest = parseDocument(
    "epoch manifest",
    EpochManifest,
    await readJson(blobs, runId, asDigest(view.manifest), "the epoch manifest", MAX_MANIFEST_BYTES),
  );
  const published = parseDocument(
    "verdicts",
    VerdictsFile,
    await readJson(blobs, runId, manifest.verdicts, "the verdicts"),
  );
  const result = await computeEpoch(modules, {
    modelId,
    epoch: view.epoch,
    verdicts: published.verdicts,
    deadline: Number(attestation.deadline),
  });
  if (result.kind === "nothing") return refuse(`There is nothing to attest: ${result.reason}`);
  const { computation } = result;
  const { missing, unjudged } = await compareVerdicts(modules, computation);
  if (missing) return refuse(missing);
  if (structHash("Attestation", computation.attestation) !== structHash("Attestation", attestation))
    return refuse(`It differs from what was recomputed: ${differences(attestation, computation).join(", ")}.`);
  return unjudged.length > 0 ? { kind: "wait", unjudged } : { kind: "sign", attestation: computation.attestation };
}

/** Names the fields that differ, down to the documents under the manifest's digest. */
function differences(published: Attestation, { attestation: own, manifest }: EpochComputation): string[] {
  const names = Object.keys(own) as (keyof Attestation)[];
  return names
    .filter((name) => own[name] !== published[name])
    .map(
      (name) =>
        `${name} ${published[name]} instead of ${own[name]}${name === "epochDigest" ? ` (inputs ${manifest.inputs}, verdicts ${manifest.verdicts}, rewards ${manifest.rewards})` : ""}`,
    );
}

/** A statement that a checkpoint does not follow from its payloads. */
const isAgainst = ({ kind, value }: WireStruct<"Verdict">): boolean =>
  kind === verdictKind.aggregate && BigInt(value) === 0n;

/**
 * This validator's verdicts against those that were counted, over the heads that the chain holds for the epochs covered.
 * - One that was accepted in time and is left out would change what others are paid.
 * - One that says "does not hold" must be counted in any case: else a coordinator that takes no such verdict would still have
 *   this validator's signature under what it pays.
 * - A head without a verdict of its own was not looked at. Checkpoint 0 has nothing behind it to recompute.
 */
async function compareVerdicts(
  { verdictsAbout, drawn, acceptedBefore, validator }: AttestModules,
  computation: EpochComputation,
): Promise<{ readonly missing: string | undefined; readonly unjudged: readonly EpochHead[] }> {
  const counted = new Map(computation.verdicts.verdicts.map(({ verdict }) => [verdictKey(verdict), verdict.value]));
  const unjudged: EpochHead[] = [];
  for (const entry of computation.inputs.epochs.flatMap(({ heads }) => heads)) {
    const { head, round, sequence } = entry;
    const fragment = drawn(head);
    // What was said of a fragment that a reorganisation drew no more counts for nobody.
    const own = (await verdictsAbout(head)).filter(
      ({ struct: { validator: by, kind, index } }) =>
        by === validator && (kind !== verdictKind.aggregate || index === fragment),
    );
    for (const { struct, acceptedAt } of own) {
      if (counted.get(verdictKey(struct)) === struct.value) continue;
      if (isAgainst(struct)) {
        const missing = `It leaves out the verdict of this validator that checkpoint ${round} does not hold, head ${head}.`;
        return { missing, unjudged };
      }
      if (acceptedAt !== null && acceptedAt < acceptedBefore) {
        const missing = `It leaves out the verdict of kind ${struct.kind} about head ${head} that this validator had sent in time.`;
        return { missing, unjudged };
      }
    }
    if (sequence > 0 && !own.some(({ struct }) => struct.kind === verdictKind.aggregate)) unjudged.push(entry);
  }
  return { missing: undefined, unjudged };
}
