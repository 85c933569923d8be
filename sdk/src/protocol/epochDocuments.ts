/** The documents by which an epoch is paid: verdicts, what contributions were computed from, rewards, and what is attested. */
import { type Static, Type } from "typebox";
import { Address20, closed, Count, Decimal, Hash32, Signature65, Uint32, Uint8, Version1 } from "./fields.ts";

const WireVerdict = Type.Object(
  {
    runId: Hash32,
    round: Decimal,
    head: Hash32,
    validator: Address20,
    kind: Uint8,
    worker: Address20,
    index: Uint32,
    value: Decimal,
    evidence: Hash32,
    issuedAt: Decimal,
  },
  closed,
);
export const SignedVerdict = Type.Object({ verdict: WireVerdict, signature: Signature65 }, closed);
export type SignedVerdict = Static<typeof SignedVerdict>;

/** The verdicts that count for an epoch manifest. */
export const VerdictsFile = Type.Object(
  { version: Version1, modelId: Hash32, verdicts: Type.Array(SignedVerdict) },
  closed,
);
export type VerdictsFile = Static<typeof VerdictsFile>;

export const EpochHead = Type.Object(
  {
    runId: Hash32,
    head: Hash32,
    sequence: Count,
    round: Count,
    paramsVersion: Uint32,
    checkpointDigest: Hash32,
    receiptsRoot: Hash32,
    /** Chain time of the anchor, seconds. */
    anchoredAt: Count,
    /** Version that was in force in this head's run `versionSlack` before the anchor; work under an older one counts 0. */
    minParamsVersion: Uint32,
  },
  closed,
);
export type EpochHead = Static<typeof EpochHead>;

/** What an epoch's contributions were computed from, for every epoch covered that has heads. */
export const EpochInputs = Type.Object(
  {
    version: Version1,
    modelId: Hash32,
    epochs: Type.Array(
      Type.Object(
        {
          epoch: Count,
          /** Compute budget in share wei. */
          budget: Decimal,
          heads: Type.Array(EpochHead),
          /** Σ tokens × quality (basis points) by beneficiary, and the amount it earns. */
          contributions: Type.Array(
            Type.Object({ account: Address20, contribution: Decimal, amount: Decimal }, closed),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type EpochInputs = Static<typeof EpochInputs>;

/** What a root of revenue was computed from, for every epoch covered in which some arrived. */
export const RevenueInputs = Type.Object(
  {
    version: Version1,
    modelId: Hash32,
    /** What revenue is paid in. */
    token: Address20,
    /** Who gets what is no holder's: the model's timelock. */
    treasury: Address20,
    /** Who has no share in revenue, by ascending account. */
    excluded: Type.Array(Address20, { maxItems: 256 }),
    /** What the root sets aside, in the token's smallest units. */
    available: Decimal,
    epochs: Type.Array(
      Type.Object(
        {
          epoch: Count,
          /** Chain seconds. */
          start: Count,
          end: Count,
          /** In the token's smallest units. */
          arrived: Decimal,
          /** Σ share wei × seconds of those who count. */
          weight: Decimal,
          /** Those whose part is above 0, by ascending account. */
          holders: Type.Array(Type.Object({ account: Address20, weight: Decimal, amount: Decimal }, closed)),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type RevenueInputs = Static<typeof RevenueInputs>;

/** Leaves of a root's tree, by ascending account: what each earned in the root's epochs. */
export const RewardsFile = Type.Object(
  {
    version: Version1,
    modelId: Hash32,
    /** Kind and number of the root, which its leaves are bound to. */
    kind: Uint8,
    index: Count,
    leaves: Type.Array(Type.Object({ account: Address20, amount: Decimal }, closed), { minItems: 1 }),
  },
  closed,
);
export type RewardsFile = Static<typeof RewardsFile>;

/** What validators attest to; its digest is the attestation's epochDigest. */
export const EpochManifest = Type.Object(
  {
    version: Version1,
    modelId: Hash32,
    /** Kind and number of the root, and the epochs that it covers: those after the active root's. */
    kind: Uint8,
    index: Count,
    fromEpoch: Count,
    toEpoch: Count,
    runId: Hash32,
    /** Last head anchored in these epochs. */
    head: Hash32,
    /** Last heads of runs that finished since the active root. */
    finished: Type.Array(Type.Object({ runId: Hash32, head: Hash32 }, closed), { maxItems: 1_024 }),
    /** Epoch manifest of the active root, null before the first. */
    previous: Type.Union([Hash32, Type.Null()]),
    previousRoot: Hash32,
    root: Hash32,
    total: Decimal,
    inputs: Hash32,
    verdicts: Hash32,
    rewards: Hash32,
  },
  closed,
);
export type EpochManifest = Static<typeof EpochManifest>;
