/** Screening: what a round's payloads must stand before they are aggregated, and the record of how they did. */
import { type Static, Type } from "typebox";
import { Address20, closed, Count, Hash32, Uint16, Uint32, Version1 } from "./fields.ts";
import { MAX_FRAGMENTS } from "./limits.ts";

/**
 * What a round's payloads must stand before they are aggregated: constants of the run, so that a screening is a function of
 * published data. Norm ratios are against the reference, the median of the round's norms (docs/protocol.md).
 */
export const ScreeningRules = Type.Object(
  {
    /** Rounds before this one whose medians and sketches count, and whether one was discarded. */
    history: Type.Integer({ minimum: 1, maximum: 64 }),
    /** Ratio from which on a payload is left out. Below it `RunParams.aggregatorBps` says from which on it is clipped. */
    maxRatio: Type.Integer({ minimum: 2, maximum: 1_000_000 }),
    /**
     * Norm ÷ that of the checkpoint's own fragment from which on a payload is clipped, with or without others to compare with;
     * `maxRatio` times that it is left out.
     */
    thetaBps: Type.Integer({ minimum: 1, maximum: 100_000_000 }),
    /** Reference ÷ norm from which on a fragment counts as empty. */
    emptyRatio: Type.Integer({ minimum: 2, maximum: 1_000_000_000 }),
    /** Cosine from which on a payload is a copy, if both come from so many inner steps. */
    copyBps: Type.Integer({ minimum: 1, maximum: 10_000 }),
    copySteps: Uint32,
    /** Held-out sequences that the gate measures, rounded up to whole batches of the program. */
    gateSequences: Type.Integer({ minimum: 1, maximum: 65_536 }),
    /** Micro-bits per byte by which a round may raise the loss; by which a measurement on another class may differ. */
    gateBound: Uint32,
    gateTolerance: Uint32,
    /**
     * Losses that a round's search for payloads harmful alone may take, unless one of the rounds before was discarded; and how many of
     * its passes may search so. Those that do harm together are left out one by one beside it.
     */
    gateTrials: Type.Integer({ minimum: 2, maximum: 4_096 }),
    gatePasses: Type.Integer({ minimum: 1, maximum: 16 }),
    /** A validator measures the gate's losses of one head in so many, drawn by sortition. */
    auditOneIn: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** Left out so many rounds in a row, a worker loses its place. */
    strikes: Type.Integer({ minimum: 1, maximum: 255 }),
  },
  closed,
);
export type ScreeningRules = Static<typeof ScreeningRules>;

/** What `cotrain run create` takes; measured on honest runs. */
export const defaultScreening: ScreeningRules = {
  history: 8,
  maxRatio: 20,
  // The most of honest first rounds was 1.8 (0.1m's embedding, 192 steps from its initial 0.02); later it is below 0.5.
  thetaBps: 30_000,
  emptyRatio: 1_000,
  copyBps: 9_950,
  copySteps: 8,
  gateSequences: 16,
  gateBound: 50_000,
  gateTolerance: 1_000,
  gateTrials: 32,
  gatePasses: 4,
  auditOneIn: 4,
  strikes: 3,
};

/** Bits of an fp32 number that is finite and not negative: they are ordered as the numbers are. */
const Fp32Bits = Type.Integer({ minimum: 0, maximum: 0x7f7f_ffff });
/** Numbers in a fragment's sketch. */
export const SKETCH_LENGTH = 128;
const Sketch = Type.String({ pattern: "^[A-Za-z0-9+/]{170}[AEIMQUYcgkosw048]=$" });
const MicroBits = Type.Union([Count, Type.Null()]);

/** How a round's payloads were judged before they were aggregated, by ascending worker: one entry for each receipt. */
export const ScreeningFile = Type.Object(
  {
    version: Version1,
    runId: Hash32,
    round: Count,
    paramsVersion: Uint32,
    /** The inner learning rate of these parameters: norms of rounds under others are scaled by it. */
    innerLrPpb: Uint32,
    /** By fragment: the parameters' norm in checkpoint `round`. */
    theta: Type.Array(Fp32Bits, { minItems: 1, maxItems: MAX_FRAGMENTS }),
    workers: Type.Array(
      Type.Object(
        {
          worker: Address20,
          steps: Uint32,
          outcome: Uint16,
          /** Whose payload it repeats, for outcome 8. */
          copyOf: Type.Union([Type.Object({ round: Count, worker: Address20 }, closed), Type.Null()]),
          /** The first fragment that could not be read, for outcomes 1 to 3 alone. */
          unreadable: Type.Optional(Uint16),
          /** By index; none where the payload could not be read (outcomes 1 to 3). */
          fragments: Type.Array(
            Type.Object(
              {
                digest: Hash32,
                /** The decoded pseudo-gradient's Euclidean norm. */
                norm: Fp32Bits,
                /** What it was multiplied by, in millionths. */
                clipPpm: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
                /** Its random projection, {@link SKETCH_LENGTH} signed bytes in base64. */
                sketch: Sketch,
              },
              closed,
            ),
            { maxItems: MAX_FRAGMENTS },
          ),
        },
        closed,
      ),
      { maxItems: 65_535 },
    ),
    /** By fragment: upper median of the norms after clipping, each ÷ √steps, of those of outcome 0; 0 without any. */
    medians: Type.Array(Fp32Bits, { minItems: 1, maxItems: MAX_FRAGMENTS }),
    gate: Type.Object(
      {
        /** Chooses the sample: sha256 of what the round's receipts are. */
        seed: Hash32,
        build: Hash32,
        /** State digest that the machine which measured gets for that build's step program: which class it is of. */
        conformance: Hash32,
        /** Held-out sequences measured, in this order. */
        sequences: Type.Array(Count, { maxItems: 131_072 }),
        /** Micro-bits per byte of θ; null when it has no such loss, or nothing was to be aggregated. */
        before: MicroBits,
        passes: Type.Array(
          Type.Object(
            {
              /** Of θ′ with all that are left; null when it, its outer state or the loss is not finite. */
              after: MicroBits,
              /**
               * Of θ′ with `count` of them alone, from number `first` on by ascending worker, or with all but these: the search for the
               * harmful.
               */
              tried: Type.Array(
                Type.Object({ first: Count, count: Count, without: Type.Boolean(), loss: MicroBits }, closed),
                { maxItems: 131_072 },
              ),
              /** By ascending worker; nobody where the pass holds, the momentum is dropped or the round is discarded. */
              leftOut: Type.Array(Address20, { maxItems: 65_535 }),
            },
            closed,
          ),
          { maxItems: 18 },
        ),
      },
      closed,
    ),
  },
  closed,
);
export type ScreeningFile = Static<typeof ScreeningFile>;
