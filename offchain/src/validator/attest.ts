/**
 * Whether this validator signs an epoch: only what it computed itself, from the chain and published data, to the last bit, and
 * only when it recomputed a fragment of every checkpoint that is paid there; what others deny or are silent about is a claim.
 */
import {
  type Address,
  aggregateRejected,
  asRunId,
  type Attestation,
  type EpochHead,
  type EpochView,
  fromWire,
  isVoice,
  type ModelId,
  type RunId,
  structHash,
  verdictKey,
  verdictKind,
  type WireStruct,
} from "@cotrain/sdk/protocol";

import type { ChainReader } from "../chain/index.ts";
import {
  type BlobSource,
  type EpochComputation,
  computeEpoch,
  epochManifestOf,
  epochVerdictsOf,
  type HeadDocumentsCache,
  type Sortition,
} from "../run/index.ts";
import { boundClaims, type Claim, claimsOf } from "./claims.ts";
import type { Statement } from "./statements.ts";

export interface AttestModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly documents: HeadDocumentsCache;
  readonly validator: Address;
  /** This validator's own verdicts about a head, sent or not. */
  readonly verdictsAbout: (head: EpochHead["head"]) => Promise<readonly Statement<WireStruct<"Verdict">>[]>;
  /** The fragment of a head that this validator drew and has a verdict about. */
  readonly drawn: (head: EpochHead["head"]) => number | undefined;
  /** What everybody drew of a head; undefined while the block that decides it is still to come. */
  readonly sortitionOf: (head: EpochHead) => Promise<Sortition | undefined>;
  /** Whether nobody can judge the heads of a run: they earn nothing. */
  readonly isUnfit: (runId: RunId) => Promise<boolean>;
}

export type Decision =
  /** To be signed when these claims are settled. */
  | { readonly kind: "sign"; readonly attestation: Attestation; readonly claims: readonly Claim[] }
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
  if (Number(attestation.toEpoch) !== view.epoch) return refuse("It is of another epoch.");
  const manifest = await epochManifestOf(blobs, runId, view.manifest);
  const published = await epochVerdictsOf(blobs, runId, manifest);
  const result = await computeEpoch(modules, {
    modelId,
    epoch: view.epoch,
    verdicts: published.verdicts,
    deadline: Number(attestation.deadline),
    block: { number: Number(attestation.blockNumber), hash: attestation.blockHash },
  });
  if (result.kind === "nothing") return refuse(`There is nothing to attest: ${result.reason}`);
  const { computation } = result;
  const { validators } = await modules.reader.validators(modelId, computation.attestation.setVersion);
  const { missing, unjudged } = await compareVerdicts(modules, computation, validators);
  if (missing) return refuse(missing);
  if (structHash("Attestation", computation.attestation) !== structHash("Attestation", attestation))
    return refuse(`It differs from what was recomputed: ${differences(attestation, computation).join(", ")}.`);
  if (unjudged.length > 0) return { kind: "wait", unjudged };
  const paid = paidAgainst(computation, modules.validator);
  if (paid)
    return refuse(`It pays for checkpoint ${paid.round}, which this validator found not to hold, head ${paid.head}.`);
  const claims = await boundedBySeed(modules, claimsOf(computation, validators, modules.validator));
  return { kind: "sign", attestation: computation.attestation, claims };
}

/** Names the fields that differ, down to the documents under the manifest's digest. */
export function differences(
  published: Attestation,
  { attestation: own, manifest }: Pick<EpochComputation, "attestation" | "manifest">,
): string[] {
  const names = Object.keys(own) as (keyof Attestation)[];
  return names
    .filter((name) => own[name] !== published[name])
    .map(
      (name) =>
        `${name} ${published[name]} instead of ${own[name]}${name === "epochDigest" ? ` (inputs ${manifest.inputs}, verdicts ${manifest.verdicts}, rewards ${manifest.rewards})` : ""}`,
    );
}

/** A statement that a checkpoint does not follow from its payloads. */
export const isAgainst = ({ kind, value }: WireStruct<"Verdict">): boolean => isVoice(kind) && BigInt(value) === 0n;

/** Counted validators that speak against a head. */
const voicesAgainst = (head: string, { verdicts }: EpochComputation): number =>
  new Set(
    verdicts.verdicts
      .filter(({ verdict }) => verdict.head === head && isAgainst(verdict))
      .map((v) => v.verdict.validator),
  ).size;

/** A head that this validator spoke against and that is paid for all the same, since too few agree. */
function paidAgainst({ inputs, verdicts }: EpochComputation, validator: Address): EpochHead | undefined {
  const parsed = verdicts.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const against = new Set(
    verdicts.verdicts
      .filter(({ verdict }) => verdict.validator === validator && isAgainst(verdict))
      .map(({ verdict }) => verdict.head),
  );
  return inputs.epochs
    .flatMap(({ heads }) => heads)
    .find(({ head }) => against.has(head) && !aggregateRejected(head, parsed));
}

async function boundedBySeed(
  { sortitionOf, validator }: AttestModules,
  claims: readonly Claim[],
): Promise<readonly Claim[]> {
  const ranks = new Map<string, bigint>();
  for (const { head } of claims)
    if (!ranks.has(head.head)) ranks.set(head.head, (await sortitionOf(head))?.seedOf(validator) ?? 0n);
  return boundClaims(claims, ({ head }) => ranks.get(head) ?? 0n);
}

/**
 * This validator's verdicts against those that were counted, over the heads that the chain holds for the epochs covered.
 * - One that says "does not hold" must be counted in any case: else a coordinator that takes no such verdict would still have
 *   this validator's signature under what it pays.
 * - Where one says "holds" the head is rejected by the voices of more than half of the set, not of those that are counted: else
 *   a minority would reject what more find to hold, together with a coordinator that hears whom it likes. Elsewhere it changes
 *   nobody's pay, as losses never do.
 * - A head without a verdict of its own was not looked at. Checkpoint 0 has nothing behind it to recompute, and of a run whose heads
 *   nobody can judge one is listed only where others reject it.
 */
async function compareVerdicts(
  { verdictsAbout, drawn, sortitionOf, isUnfit, validator }: AttestModules,
  computation: EpochComputation,
  members: readonly Address[],
): Promise<{ readonly missing: string | undefined; readonly unjudged: readonly EpochHead[] }> {
  const counted = new Map(computation.verdicts.verdicts.map(({ verdict }) => [verdictKey(verdict), verdict.value]));
  const parsed = computation.verdicts.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const unjudged: EpochHead[] = [];
  for (const entry of computation.inputs.epochs.flatMap(({ heads }) => heads)) {
    const { head, round, sequence } = entry;
    const fragment = drawn(head);
    const said = (await verdictsAbout(head)).filter(({ struct }) => struct.validator === validator);
    const sortition = said.some(({ struct }) => struct.kind === verdictKind.confirmation)
      ? await sortitionOf(entry)
      : undefined;
    // What was said of a fragment that a reorganisation drew no more, or that nobody of the set drew, counts for nobody.
    const own = said.filter(({ struct: { kind, index, worker } }) => {
      if (kind === verdictKind.confirmation) return members.includes(worker) && sortition?.fragmentOf(worker) === index;
      return kind !== verdictKind.aggregate || index === fragment;
    });
    for (const { struct } of own) {
      if (counted.get(verdictKey(struct)) === struct.value) continue;
      if (isAgainst(struct)) {
        const missing = `It leaves out the verdict of this validator that checkpoint ${round} does not hold, head ${head}.`;
        return { missing, unjudged };
      }
    }
    const found = own.some(({ struct }) => struct.kind === verdictKind.aggregate && !isAgainst(struct));
    if (found && !own.some(({ struct }) => isAgainst(struct)) && aggregateRejected(head, parsed)) {
      const against = voicesAgainst(head, computation);
      if (against * 2 <= members.length) {
        const missing = `It takes checkpoint ${round} for not holding by the voices of ${against} of ${members.length} validators, and this one found that it does, head ${head}.`;
        return { missing, unjudged };
      }
    }
    const isJudged = sequence === 0 || own.some(({ struct }) => struct.kind === verdictKind.aggregate);
    if (!isJudged && !(await isUnfit(asRunId(entry.runId)))) unjudged.push(entry);
  }
  return { missing: undefined, unjudged };
}
