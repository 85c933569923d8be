/** Numbers that stand for words in signed structs, run parameters and leaves. A number never changes its meaning. */

/** Versions of the protocol that this code speaks; joining exchanges them. */
export const protocolVersion = { min: 1, max: 1 } as const;

/** RunParams.codec and downCodec: encoding of pseudo-gradients upwards and of updates downwards. */
export const codecCode = { fp32: 0, "int8-b256": 1 } as const;
export type CodecName = keyof typeof codecCode;

/** RunParams.outerOptimizer. */
export const outerOptimizerCode = { nesterov: 0 } as const;
/** RunParams.aggregator. */
export const aggregatorCode = { mean: 0 } as const;
/** RunParams.weighting. */
export const weightingCode = { tokens: 0, uniform: 1, normalised: 2 } as const;
/** RunParams.innerState: what becomes of a worker's inner optimizer between rounds. */
export const innerStateCode = { persist: 0 } as const;
/** RunParams.admission: who may join. */
export const admissionCode = { open: 0, stake: 1 } as const;

/** Receipt leaf outcome: 0 means aggregated and paid, anything else is the reason it was not. */
export const outcomeCode = {
  aggregated: 0,
  payloadMissing: 1,
  payloadMalformed: 2,
  nonFinite: 3,
  late: 4,
  /** A fragment's norm is beyond the definition's bound over the others'. */
  normTooLarge: 5,
  /** With it the held-out loss rose beyond the definition's bound, without it not. */
  lossHarm: 6,
  /** All zero, or next to nothing beside the others. */
  empty: 7,
  /** Equal, or nearly, to a payload that was accepted before. */
  copy: 8,
  /** The loss rose, and no single payload was to blame: nothing of the round was aggregated. */
  roundDiscarded: 9,
} as const;
export type Outcome = (typeof outcomeCode)[keyof typeof outcomeCode];

/** Kinds of contribution that shares are minted for: Emission's. `npm run build:solidity` writes them to Kinds.sol, with the others. */
export const mintedKind = { compute: 1, code: 2, capital: 3, treasury: 4 } as const;

/** What is paid for: of reward leaves, roots and attestations. Revenue mints nothing. */
export const rewardKind = { ...mintedKind, revenue: 5 } as const;

/** RunRegistry's Status. */
export const runStatus = { open: 0, paused: 1, finished: 2 } as const;

/** CapitalSale's SaleState: of an epoch in which nobody has deposited, that lasts, can be settled, was, or is paid back. */
export const saleStatus = { none: 0, open: 1, due: 2, settled: 3, failed: 4 } as const;

/** MachineOffer.kind: whether its owner is credited with what the machine earns in shares, or is paid and the treasury is credited. */
export const leaseKind = { shares: 1, paid: 2 } as const;

/** StakeManager's Role: what somebody stakes for. */
export const stakeRoleCode = { worker: 0, validator: 1 } as const;
export type StakeRole = keyof typeof stakeRoleCode;

/** StakeManager's Offence: why somebody was slashed. */
export const offenceCode = { verdicts: 0, attestations: 1, voidedRoot: 2, work: 3, vetoedRuling: 4 } as const;

/** StakeManager's RulingState. */
export const rulingStatus = { none: 0, proposed: 1, vetoed: 2, executed: 3 } as const;

/** Ruling.kind and Ruling.outcome of what StakeManager takes: work, guilty. */
export const rulingOnWork = { kind: 3, outcome: 1, dispute: 0n } as const;

export function nameOfCode<T extends Record<string, number>>(codes: T, code: number): keyof T | undefined {
  return Object.keys(codes).find((name) => codes[name] === code);
}
