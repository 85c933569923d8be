/** The coordinator's HTTP API: one schema per body, the single source for validation, OpenAPI and the client's types. */
import { type Static, Type } from "typebox";
import { Assignment, PayloadHeader } from "./documents.ts";
import { SignedVerdict } from "./epochDocuments.ts";
import { Address20, Count, Decimal, Hash32, ShownAddress, Signature65, Uint16, Uint32 } from "./fields.ts";
import { SignedPass } from "./leaseMessages.ts";
import { RunParamsWire } from "./params.ts";
import { wireSchema, type WireStruct } from "./typedData.ts";

export * from "./leaseMessages.ts";
export * from "./machineMessages.ts";

const closed = { additionalProperties: false } as const;
const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const Real = Type.Number();

/** Characters of a word that one side of the protocol tells the other: a phase, a reason's name. */
const MAX_WORD = 64;
/** Builds that a coordinator names, and a worker looks at, at most. */
export const MAX_BUILDS = 64;
/** Inner steps that a worker's training loss is the mean of, at most: fewer jump from batch to batch, more lag behind. */
export const LOSS_STEPS = 20;

export const ErrorBody = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    details: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
    ),
  }),
});
export type ErrorBody = Static<typeof ErrorBody>;

export const MemberView = Type.Object({
  worker: ShownAddress,
  beneficiary: ShownAddress,
  /** Machines of one class compute the same bits; `other:` + its conformance value for one that is alone with what it computes. */
  machineClass: Type.String({ maxLength: 200 }),
  /** training: has an open assignment; waiting: for the next round; silent: heartbeats stopped. */
  state: Type.Union([
    Type.Literal("training"),
    Type.Literal("uploading"),
    Type.Literal("waiting"),
    Type.Literal("silent"),
  ]),
  /** As all rounds of the protocol from 0: the checkpoint that it starts from. */
  round: Nullable(Count),
  step: Count,
  steps: Count,
  /** Training loss that the worker says, nats per token, and tokens that it is the mean of; absent where it said none. */
  loss: Nullable(Real),
  lossTokens: Type.Optional(Count),
  tokensPerSecond: Nullable(Real),
  /** Tokens of its receipts that stand in a checkpoint; over all workers ever they add up to the run's. */
  tokens: Decimal,
});
export type MemberView = Static<typeof MemberView>;

/** Held-out loss of checkpoint `round`; `sequences` is the size of the sample that it was measured on, null where not known. */
const HeldOutView = Type.Object({ round: Count, microBitsPerByte: Count, sequences: Nullable(Count) });

/** Every contract that a run lives in: the model's own, then the deployment's, the last two as far as it has them. */
export const RunContracts = Type.Object({
  shares: ShownAddress,
  governor: ShownAddress,
  timelock: ShownAddress,
  checkpointRegistry: ShownAddress,
  runRegistry: ShownAddress,
  modelRegistry: ShownAddress,
  validatorSet: ShownAddress,
  emission: ShownAddress,
  computeRewards: ShownAddress,
  codeGrants: Type.Optional(ShownAddress),
  capitalSale: Type.Optional(ShownAddress),
});
export type RunContracts = Static<typeof RunContracts>;

export const RunView = Type.Object({
  runId: Hash32,
  modelId: Hash32,
  chainId: Count,
  contracts: RunContracts,
  /** Where a joiner can ask the chain; null where the organiser tells of none. The coordinator's word, like the contracts. */
  rpcUrl: Nullable(Type.String({ maxLength: 500 })),
  /** Of the contracts: their profile, and the block from which on each is there. */
  deployment: Type.Object({ profile: Type.String({ maxLength: MAX_WORD }), blocks: Type.Record(Type.String(), Count) }),
  definition: Hash32,
  /** Admitted ones, oldest first; there may be more. */
  builds: Type.Array(Hash32, { maxItems: MAX_BUILDS }),
  poster: ShownAddress,
  phase: Type.Union([
    Type.Literal("Waiting"),
    Type.Literal("Training"),
    Type.Literal("Paused"),
    Type.Literal("Finished"),
  ]),
  /** The round that is open or opens next; equals completed rounds. */
  round: Count,
  step: Count,
  tokens: Decimal,
  paramsVersion: Uint32,
  params: RunParamsWire,
  /** Parameters that are in force on-chain and wait for the next round that opens; absent where none do. */
  nextParamsVersion: Type.Optional(Uint32),
  /** Newest durable checkpoint. */
  checkpoint: Type.Object({ round: Count, digest: Hash32 }),
  /** Newest head seen on-chain. */
  anchored: Nullable(Type.Object({ round: Count, sequence: Count, head: Hash32, transaction: Nullable(Hash32) })),
  /**
   * While the chain asks for more than a transaction may cost, or than the poster has (`coins`: `asked` is what it must have at the
   * least, `allowed` what it has), wei, and the next anchor waits: since when, ms since 1970. Of a root after one that did not stand,
   * which waits alone: a bond that the poster may not put up (`bond`), or has too little for (`bondCoins`).
   */
  feeWait: Type.Optional(
    Type.Object({
      what: Type.Union([
        Type.Literal("fees"),
        Type.Literal("tip"),
        Type.Literal("coins"),
        Type.Literal("bond"),
        Type.Literal("bondCoins"),
      ]),
      asked: Decimal,
      allowed: Decimal,
      since: Count,
    }),
  ),
  /** Open round, null between rounds. Times in ms since 1970. */
  current: Nullable(
    Type.Object({
      round: Count,
      innerSteps: Uint32,
      openedAt: Count,
      deadline: Count,
      assigned: Count,
      received: Count,
    }),
  ),
  /** As many as `maxWorkers` can say, at most. */
  members: Type.Array(MemberView, { maxItems: 0xffff }),
  /** All whose work stands in a checkpoint, members or not, and the sum of their `tokens`: of what a member's are a part. */
  accepted: Type.Object({ workers: Count, tokens: Decimal }),
  loss: Type.Object({
    /**
     * Nats per token, over the members' latest, each weighted by the tokens of its accepted work; and tokens that those are the
     * means of, absent where there are none. Who has nothing accepted counts only while nobody who says a loss has.
     */
    train: Nullable(Real),
    trainTokens: Type.Optional(Count),
    /** Validators' median of the newest checkpoint that has one, and the first one. */
    heldOut: Nullable(HeldOutView),
    heldOutFirst: Nullable(HeldOutView),
  }),
  /** Accepted tokens over the time of the last rounds; before the first one is over, the sum of what members report. */
  tokensPerSecond: Real,
  /**
   * Bytes moved between workers and coordinator, and what synchronous data parallelism would have moved for the same tokens:
   * every gradient in fp32 both ways, or in bf16 by a ring of the workers of each round.
   */
  traffic: Type.Object({ up: Count, down: Count, synchronous: Count, ring: Count }),
  /** How long is served what an outsider needs to recompute the run; see docs/protocol.md, "Lifetimes". */
  kept: Type.Object({
    /** Seconds for which payloads stay after the root that pays for them became active. */
    payloadSeconds: Count,
    /** Newest checkpoints whose shards stay in any case, and bytes of the shards of older ones. */
    checkpoints: Count,
    checkpointBytes: Count,
  }),
});
export type RunView = Static<typeof RunView>;

/** Runs that a coordinator lists at most: a list of more is refused. */
export const MAX_RUNS = 1_024;

export const RunList = Type.Object({
  runs: Type.Array(Type.Object({ runId: Hash32, modelId: Hash32, phase: Type.String({ maxLength: MAX_WORD }) }), {
    maxItems: MAX_RUNS,
  }),
});

export interface JoinRequest {
  readonly join: WireStruct<"Join">;
  readonly signature: `0x${string}`;
  /** By which the join's lease is known; none for a machine of one's own. */
  readonly pass?: SignedPass;
  /** µs that an inner step took when the machine computed its conformance value; a guess until work was measured. */
  readonly stepMicros?: number;
  /** Asks the coordinator to claim for the join's beneficiary what work here earns, or no more to; absent: as it was asked before. */
  readonly claim?: boolean;
}
export const JoinRequest = Type.Unsafe<JoinRequest>(
  Type.Object(
    {
      join: wireSchema("Join"),
      signature: Signature65,
      pass: Type.Optional(SignedPass),
      stepMicros: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000_000 })),
      claim: Type.Optional(Type.Boolean()),
    },
    closed,
  ),
);
export const JoinReply = Type.Object({
  /** 32 random bytes under which this session's requests carry a MAC. */
  sessionKey: Hash32,
  protocol: Uint16,
  heartbeatSeconds: Uint16,
  /** Share wei that an account must be owed before the coordinator claims for it; absent: it claims for nobody. */
  claimFrom: Type.Optional(Decimal),
});
export type JoinReply = Static<typeof JoinReply>;

export const Heartbeat = Type.Object(
  {
    round: Nullable(Count),
    step: Count,
    /** Of the newest inner steps, at most {@link LOSS_STEPS}, nats per token. */
    loss: Nullable(Real),
    /** Tokens that the loss is the mean of: where they are not said, or cannot be, the loss counts as not said. */
    lossTokens: Type.Optional(Count),
    tokensPerSecond: Nullable(Real),
    uploading: Type.Boolean(),
  },
  closed,
);
export type Heartbeat = Static<typeof Heartbeat>;
/**
 * `round` is the open round, `work` what the member has in it, submitted or not: whoever works on something else stops. A
 * session that is not known any more is answered 401: join again.
 */
export const HeartbeatReply = Type.Object({
  round: Count,
  phase: Type.String({ maxLength: MAX_WORD }),
  /**
   * `left`: ms for which the round waits for it; what is not done by then is handed back undone. `partIn`: ms until a part of it
   * counts. Both null once it is submitted.
   */
  work: Nullable(
    Type.Object({
      assignmentId: Count,
      attempt: Count,
      left: Type.Optional(Nullable(Count)),
      partIn: Type.Optional(Nullable(Count)),
    }),
  ),
});
export type HeartbeatReply = Static<typeof HeartbeatReply>;

/** Long poll for work: answers at once when there is an assignment for this worker above `after`, else within `waitSeconds`. */
export const WorkRequest = Type.Object({ waitSeconds: Type.Integer({ minimum: 0, maximum: 30 }) }, closed);
export type WorkRequest = Static<typeof WorkRequest>;
export const WorkReply = Type.Union([
  Type.Object({
    kind: Type.Literal("train"),
    assignment: Assignment,
    /** Ms since 1970. */
    deadline: Count,
    /** Outcome of this worker's last accepted receipt, which decides whether its residual advances. */
    lastOutcome: Nullable(Type.Object({ round: Count, receiptHash: Hash32, outcome: Uint16 })),
  }),
  Type.Object({ kind: Type.Literal("wait"), reason: Type.String({ maxLength: 1_000 }) }),
  Type.Object({ kind: Type.Literal("leave"), reason: Type.String({ maxLength: 1_000 }) }),
]);
export type WorkReply = Static<typeof WorkReply>;

/** Carries the digest of the body of a request under a session; of a fragment's upload that is the payload's, which its header lists. */
export const contentDigestHeader = "cotrain-digest";
export const FragmentReply = Type.Object({ digest: Hash32, bytes: Count });
export type FragmentReply = Static<typeof FragmentReply>;

export interface ReceiptRequest {
  readonly receipt: WireStruct<"Receipt">;
  readonly signature: `0x${string}`;
  readonly header: PayloadHeader;
}
export const ReceiptRequest = Type.Unsafe<ReceiptRequest>(
  Type.Object({ receipt: wireSchema("Receipt"), signature: Signature65, header: PayloadHeader }, closed),
);
export interface ReceiptReply {
  readonly ack: WireStruct<"Ack">;
  readonly signature: `0x${string}`;
}
export const ReceiptReply = Type.Unsafe<ReceiptReply>(Type.Object({ ack: wireSchema("Ack"), signature: Signature65 }));

/** Checkpoints of one answer, which stays below 64 KiB. */
export const CHECKPOINTS_PER_PAGE = 128;

export const CheckpointList = Type.Object({
  checkpoints: Type.Array(
    Type.Object({
      round: Count,
      digest: Hash32,
      paramsVersion: Uint32,
      head: Nullable(Hash32),
      sequence: Nullable(Count),
      transaction: Nullable(Hash32),
      block: Nullable(Count),
    }),
    { maxItems: CHECKPOINTS_PER_PAGE },
  ),
  /** The round from which the next page begins; null on the last. */
  next: Nullable(Count),
});
export type CheckpointList = Static<typeof CheckpointList>;

export const VerdictList = Type.Object({ verdicts: Type.Array(SignedVerdict) });
export type VerdictList = Static<typeof VerdictList>;

/** An epoch that was computed: its manifest's digest and the attestation that validators are asked to sign. */
export interface EpochView {
  readonly epoch: number;
  readonly manifest: `0x${string}`;
  readonly attestation: WireStruct<"Attestation">;
  readonly signatures: readonly { readonly validator: `0x${string}`; readonly signature: `0x${string}` }[];
  readonly state: "collecting" | "posted" | "active" | "superseded";
  readonly transaction: `0x${string}` | null;
}
export const EpochView = Type.Unsafe<EpochView>(
  Type.Object({
    epoch: Count,
    manifest: Hash32,
    attestation: wireSchema("Attestation"),
    signatures: Type.Array(Type.Object({ validator: Address20, signature: Signature65 })),
    state: Type.Union([
      Type.Literal("collecting"),
      Type.Literal("posted"),
      Type.Literal("active"),
      Type.Literal("superseded"),
    ]),
    transaction: Nullable(Hash32),
  }),
);
export const EpochList = Type.Object({ epochs: Type.Array(EpochView) });
export type EpochList = Static<typeof EpochList>;

export const AttestationRequest = Type.Object(
  { epochDigest: Hash32, validator: Address20, signature: Signature65 },
  closed,
);
export type AttestationRequest = Static<typeof AttestationRequest>;

/** Roots that one answer looks through, and leaves in it at most. */
export const REWARD_PAGE = 256;

/** What active roots grant an account, and what of its work earned nothing. */
export const RewardView = Type.Object({
  account: ShownAddress,
  /** The last epoch that the newest active root covers. */
  epoch: Count,
  /** By rising number of the root; none for who worked and earned nothing. The chain knows which of them are paid. */
  leaves: Type.Array(
    Type.Object({
      /** The root's number. */
      index: Count,
      /** What the account earned in its epochs, in share wei. */
      amount: Decimal,
      proof: Type.Array(Hash32, { maxItems: 64 }),
    }),
    { maxItems: REWARD_PAGE },
  ),
  /** Roots whose documents the coordinator has not: what they grant is not among the leaves. */
  missing: Type.Array(Count, { maxItems: REWARD_PAGE }),
  /** From which root on there is more; null at the end. */
  next: Nullable(Count),
  /** Newest first, bounded. */
  unpaid: Type.Array(
    Type.Object({
      epoch: Count,
      /** Checkpoint that the round led to; null for what is about the whole epoch. */
      round: Nullable(Count),
      worker: Nullable(ShownAddress),
      tokens: Decimal,
      /** A `ZeroReason`. */
      reason: Type.String({ maxLength: MAX_WORD }),
    }),
    { maxItems: 256 },
  ),
});
export type RewardView = Static<typeof RewardView>;

export const ControlRequest = Type.Object(
  { action: Type.Union([Type.Literal("pause"), Type.Literal("resume")]) },
  closed,
);
export type ControlRequest = Static<typeof ControlRequest>;

export const Accepted = Type.Object({ accepted: Type.Literal(true) });
export type Accepted = Static<typeof Accepted>;

/** Of a process that is alive: it works, or waits for what `reason` says and goes on by itself. */
export const Health = Type.Object({
  status: Type.Union([Type.Literal("ok"), Type.Literal("paused")]),
  reason: Type.Optional(Type.String()),
});
/** Whether requests are answered now, and why not. */
export const Readiness = Type.Object({ ready: Type.Boolean(), reason: Type.Optional(Type.String()) });
