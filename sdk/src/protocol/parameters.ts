/**
 * The table of what a run's holders govern. Types, schema, encoding, checks, texts, the tables of docs/protocol.md and the
 * Solidity of RunParams follow from it: after a change run `npm run build:solidity`. A row's place is its field's number
 * on-chain, so a new one stands last, and a name never changes its meaning.
 */
import type { AbiParameterToPrimitiveType } from "abitype";
import { formatUnits } from "viem";
import {
  admissionCode,
  aggregatorCode,
  codecCode,
  innerStateCode,
  outerOptimizerCode,
  weightingCode,
} from "./codes.ts";

const grouped = new Intl.NumberFormat("en-US");

/** How people read a number of each unit; numbers that stand for words are read by the row's `codes`. */
export const runParameterUnits = {
  steps: (value) => grouped.format(value),
  rounds: (value) => grouped.format(value),
  workers: (value) => grouped.format(value),
  seconds: (value) => `${grouped.format(value)} s`,
  /** Ten-thousandths. */
  bps: (value) => `${Number(value) / 100}%`,
  /** Millionths. */
  ppm: (value) => String(Number(value) / 1e6),
  /** Billionths. */
  ppb: (value) => String(Number(value) / 1e9),
  "coin wei": (value) => `${formatUnits(BigInt(value), 18)} coins`,
  code: (value) => `code ${value}`,
} as const satisfies Readonly<Record<string, (value: number | bigint) => string>>;

/** Bounds and start of the runs that are made here: what `cotrain` registers, for ever; equal where nothing else is built. */
interface Range<Value extends number | bigint> {
  readonly min: Value;
  readonly default: Value;
  readonly max: Value;
}

/** A row of the table. */
export type Parameter = {
  readonly name: string;
  readonly unit: keyof typeof runParameterUnits;
  /** What people call it, behind a value: "72 inner steps per round". */
  readonly label: string;
  /** The same behind 1, where that may be its value. */
  readonly labelOfOne?: string;
  /** For docs/protocol.md and the Solidity struct, where the label says too little. */
  readonly meaning?: string;
  /** The words that its numbers stand for. */
  readonly codes?: Readonly<Record<string, number>>;
  /** What no run may exceed, whatever its bounds. */
  readonly limit?: number;
} & (
  | ({ readonly type: "uint8" | "uint16" | "uint32" } & Range<number>)
  | ({ readonly type: "uint128" } & Range<bigint>)
);

/** A kind of rules each of which is built: holders may choose any. */
const anyOf = (codes: Readonly<Record<string, number>>) => ({
  codes,
  min: Math.min(...Object.values(codes)),
  max: Math.max(...Object.values(codes)),
});

/**
 * The defaults are for minutes of training on one machine. They were tried, not tuned: the outer learning rate is that of the
 * DiLoCo paper (0.7, arXiv 2311.08105), the outer momentum is lower than its 0.9 because a short run has few outer steps.
 */
export const runParameters = [
  {
    name: "innerSteps",
    type: "uint32",
    unit: "steps",
    min: 4,
    default: 72,
    max: 4_096,
    label: "inner steps per round",
    meaning: "H, inner steps per round",
  },
  {
    name: "rampInnerSteps",
    type: "uint32",
    unit: "steps",
    min: 4,
    default: 8,
    max: 4_096,
    label: "inner steps per round of the ramp",
    meaning: "H of the first rounds",
  },
  {
    name: "rampRounds",
    type: "uint32",
    unit: "rounds",
    min: 0,
    default: 0,
    max: 10_000,
    label: "rounds of the ramp",
    labelOfOne: "round of the ramp",
    meaning: "how many first rounds average plainly",
  },
  {
    name: "innerLrPpb",
    type: "uint32",
    unit: "ppb",
    min: 1_000,
    default: 3_000_000,
    max: 100_000_000,
    label: "inner learning rate",
  },
  {
    name: "outerLrPpm",
    type: "uint32",
    unit: "ppm",
    min: 1_000,
    default: 700_000,
    max: 2_000_000,
    label: "outer learning rate",
  },
  {
    name: "outerMomentumPpm",
    type: "uint32",
    unit: "ppm",
    min: 0,
    default: 700_000,
    max: 990_000,
    limit: 999_999,
    label: "outer momentum",
    meaning: "μ, outer momentum",
  },
  {
    name: "minWorkers",
    type: "uint16",
    unit: "workers",
    min: 1,
    default: 1,
    max: 64,
    label: "receipts that a round needs",
    labelOfOne: "receipt that a round needs",
  },
  {
    name: "maxWorkers",
    type: "uint16",
    unit: "workers",
    min: 1,
    default: 64,
    // Of whom all payloads of a round, and of the rounds before, are compared in a second, in the process that answers everybody.
    max: 256,
    label: "members at most",
    labelOfOne: "member at most",
  },
  {
    name: "roundDeadline",
    type: "uint32",
    unit: "seconds",
    min: 5,
    default: 60,
    max: 86_400,
    label: "deadline of a round",
    meaning: "what a round may take before anything was measured; afterwards it follows what was, up to 4 times this",
  },
  {
    name: "codec",
    type: "uint8",
    unit: "code",
    ...anyOf(codecCode),
    default: codecCode["int8-b256"],
    label: "encoding of pseudo-gradients",
  },
  {
    name: "downCodec",
    type: "uint8",
    unit: "code",
    codes: codecCode,
    min: codecCode.fp32,
    default: codecCode.fp32,
    max: codecCode.fp32,
    label: "encoding of checkpoints",
    meaning: "encoding of checkpoints on their way down",
  },
  {
    name: "outerOptimizer",
    type: "uint8",
    unit: "code",
    ...anyOf(outerOptimizerCode),
    default: outerOptimizerCode.nesterov,
    label: "outer optimizer",
  },
  {
    name: "aggregator",
    type: "uint8",
    unit: "code",
    ...anyOf(aggregatorCode),
    default: aggregatorCode.mean,
    label: "way in which a round's payloads become one",
    meaning: "how the payloads of a round become one",
  },
  {
    name: "aggregatorBps",
    type: "uint16",
    unit: "bps",
    // Clipped from twice the reference on; at ten times at the latest, and never below the others' own.
    min: 1_000,
    default: 5_000,
    max: 10_000,
    limit: 10_000,
    label: "reference ÷ norm from which on a payload is clipped",
    meaning: "reference ÷ norm from which on a payload is clipped; 0 clips nothing",
  },
  {
    name: "delaySteps",
    type: "uint16",
    unit: "steps",
    min: 0,
    default: 0,
    max: 0,
    label: "steps between an exchange and its effect",
    labelOfOne: "step between an exchange and its effect",
    meaning: "τ of Streaming DiLoCo; 0 closes all fragments together",
  },
  {
    name: "mixingBps",
    type: "uint16",
    unit: "bps",
    min: 0,
    default: 0,
    max: 0,
    limit: 10_000,
    label: "part of a worker's own parameters that an exchange leaves",
    meaning: "α of Streaming DiLoCo",
  },
  {
    name: "weighting",
    type: "uint8",
    unit: "code",
    ...anyOf(weightingCode),
    default: weightingCode.tokens,
    label: "weight of each payload",
    meaning: "what payloads weigh by",
  },
  {
    name: "innerState",
    type: "uint8",
    unit: "code",
    codes: innerStateCode,
    min: innerStateCode.persist,
    default: innerStateCode.persist,
    max: innerStateCode.persist,
    label: "inner optimizer between rounds",
    meaning: "what becomes of a worker's inner optimizer between rounds",
  },
  {
    name: "admission",
    type: "uint8",
    unit: "code",
    codes: admissionCode,
    min: admissionCode.open,
    default: admissionCode.open,
    max: admissionCode.stake,
    label: "rule for who may join",
    meaning: "who may join",
  },
  {
    name: "minStake",
    type: "uint128",
    unit: "coin wei",
    min: 0n,
    default: 0n,
    // A million coins: no chain's coin is worth so little that more is meant.
    max: 10n ** 24n,
    label: "stake that members need",
  },
  {
    name: "replayBps",
    type: "uint16",
    unit: "bps",
    min: 0,
    default: 0,
    max: 0,
    limit: 10_000,
    label: "share of receipts that are replayed",
  },
] as const satisfies readonly Parameter[];

/** Values of all parameters, as viem encodes the Solidity struct. */
export type RunParams = {
  readonly [P in (typeof runParameters)[number] as P["name"]]: AbiParameterToPrimitiveType<P>;
};

/** How the parameters of any run fit together. `holds` and `solidity` say the same: the vectors hold each against them. */
interface ParameterRule {
  /** The parameter that is refused. */
  readonly of: keyof RunParams;
  /** "It must be …" */
  readonly words: string;
  readonly holds: (params: RunParams, fragments: number) => boolean;
  readonly solidity: string;
}

export const runParameterRules: readonly ParameterRule[] = [
  {
    of: "innerSteps",
    words: "a positive multiple of the fragments",
    holds: ({ innerSteps }, fragments) => innerSteps !== 0 && innerSteps % fragments === 0,
    solidity: "params.innerSteps != 0 && params.innerSteps % fragments == 0",
  },
  {
    of: "rampInnerSteps",
    words: "a positive multiple of the fragments, or 0 where rampRounds is 0",
    holds: ({ rampInnerSteps, rampRounds }, fragments) =>
      rampInnerSteps % fragments === 0 && (rampInnerSteps !== 0 || rampRounds === 0),
    solidity: "params.rampInnerSteps % fragments == 0 && (params.rampInnerSteps != 0 || params.rampRounds == 0)",
  },
  {
    of: "delaySteps",
    words: "below innerSteps ÷ fragments",
    holds: ({ delaySteps, innerSteps }, fragments) => delaySteps < innerSteps / fragments,
    solidity: "params.delaySteps < params.innerSteps / fragments",
  },
  {
    of: "minWorkers",
    words: "from 1 to maxWorkers",
    holds: ({ minWorkers, maxWorkers }) => minWorkers !== 0 && minWorkers <= maxWorkers,
    solidity: "params.minWorkers != 0 && params.minWorkers <= params.maxWorkers",
  },
];
