/** Whether this validator signs an epoch: only what it computed itself, from the chain and published data, to the last bit. */
import {
  type Address,
  asDigest,
  type Attestation,
  EpochManifest,
  type EpochView,
  fromWire,
  MAX_MANIFEST_BYTES,
  type ModelId,
  parseDocument,
  type RunId,
  structHash,
  VerdictsFile,
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

export interface AttestModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly evidence: EvidenceCache;
  readonly validator: Address;
  /** This validator's verdicts that the coordinator had accepted before it computed the epoch. */
  readonly mustCount: (head: string) => Promise<readonly WireStruct<"Verdict">[]>;
}

export type Decision =
  | { readonly kind: "sign"; readonly attestation: Attestation }
  | { readonly kind: "refuse"; readonly reason: string };

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
  const missing = await missingVerdict(modules, computation);
  if (missing) return refuse(missing);
  if (structHash("Attestation", computation.attestation) !== structHash("Attestation", attestation))
    return refuse(`It differs from what was recomputed: ${differences(attestation, computation).join(", ")}.`);
  return { kind: "sign", attestation: computation.attestation };
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

/** A verdict of one's own that was accepted in time and is left out would change what others are paid. */
async function missingVerdict(
  { mustCount, validator }: AttestModules,
  computation: EpochComputation,
): Promise<string | undefined> {
  const counted = new Map(computation.verdicts.verdicts.map(({ verdict }) => [verdictKey(verdict), verdict.value]));
  for (const { heads } of computation.inputs.epochs) {
    for (const { head } of heads) {
      for (const own of await mustCount(head)) {
        const key = verdictKey(own);
        if (own.validator === validator && counted.get(key) !== own.value)
          return `It leaves out the verdict of kind ${own.kind} about head ${head} that this validator had sent in time.`;
      }
    }
  }
  return undefined;
}
