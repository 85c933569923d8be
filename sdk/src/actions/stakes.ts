/**
 * StakeManager: what workers and validators put up in the chain's coin, and lose where they are proved to have lied. ModelRegistry
 * says where the contract is: `stakeManagerOf`. Amounts are in wei of the coin, times chain seconds.
 */
import { type Address, concatHex, decodeFunctionResult, type Hex } from "viem";
import { modelRegistryAbi, stakeManagerAbi } from "../abis/index.ts";
import { nameOfCode, rulingStatus, type StakeRole, stakeRoleCode } from "../protocol/codes.ts";
import type { Attestation, Receipt, Ruling, Verdict } from "../protocol/typedData.ts";
import {
  type Addressed,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  findEvent,
  nothing,
  timeOrNever,
  viewOf,
} from "./action.ts";

/** Where stake lies. */
export interface OfStakes {
  /** Address of StakeManager. */
  readonly stakes: Address;
}

export interface StakeArgs extends OfStakes {
  readonly modelId: Hex;
  readonly role: StakeRole;
}

/** Whose stake, whoever sends. */
export interface StakerArgs extends StakeArgs {
  /** Key of a worker or validator. */
  readonly staker: Address;
}

/** Whose fees, whoever sends. */
export interface ReporterArgs extends OfStakes {
  readonly reporter: Address;
}

/** A ruling by what it is on. */
export interface RulingArgs extends OfStakes {
  readonly modelId: Hex;
  /** Who is accused. */
  readonly worker: Address;
  /** `hashReceipt` of its work. */
  readonly receiptHash: Hex;
}

/** Where a deployment's stake lies. */
export const stakeManagerOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.modelRegistry, modelRegistryAbi, "stakeManager", []),
});

/**
 * Adds the sender's coins to an account's stake, which alone can have them back.
 * @throws StakeManagerUnknownModelError
 * @example
 * const stakes = await stakeManagerOf(client, { addresses })
 * await depositStake.sync(client, { stakes, modelId, role: "worker", staker: worker, amount: 10n ** 18n })
 */
export const depositStake = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, role, staker, amount }: StakerArgs & { readonly amount: bigint }) =>
    callOf(stakes, stakeManagerAbi, "deposit", [modelId, stakeRoleCode[role], staker], amount),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeDeposited"),
});

/**
 * Says who alone is paid the sender's stake, once and for ever: before the deposit, by a key that lies on somebody's machine.
 * @throws StakeManagerPayeeSetError
 */
export const setStakePayee = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, role, payee }: StakeArgs & { readonly payee: Address }) =>
    callOf(stakes, stakeManagerAbi, "setPayee", [modelId, stakeRoleCode[role], payee]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "PayeeSet"),
});

/** Asks for some of the sender's stake: it admits nobody from now on, and all that is leaving waits anew. @throws StakeManagerTooLittleError */
export const requestStakeWithdrawal = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, role, amount }: StakeArgs & { readonly amount: bigint }) =>
    callOf(stakes, stakeManagerAbi, "requestWithdrawal", [modelId, stakeRoleCode[role], amount]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "WithdrawalRequested"),
});

/** Pays all that is leaving of the sender's stake to whom it names, or named once. @throws StakeManagerTooEarlyError, StakeManagerDisputedError, StakeManagerNotPayeeError */
export const withdrawStake = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, role, to }: StakeArgs & { readonly to: Address }) =>
    callOf(stakes, stakeManagerAbi, "withdraw", [modelId, stakeRoleCode[role], to]),
  /** What is paid. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "withdraw", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeWithdrawn"),
});

/** A statement and its signature, 65 bytes. */
export interface SignedStatement<T> {
  readonly struct: T;
  readonly signature: Hex;
}

/** Two statements of one key that contradict each other. */
export interface ConflictArgs<T> extends OfStakes {
  readonly a: SignedStatement<T>;
  readonly b: SignedStatement<T>;
}

/** Punishes a validator for two values of one thing, in verdicts of kind 3 or 5; the sender gets a fee. @throws StakeManagerNoConflictError, StakeManagerPunishedError */
export const slashVerdicts = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, a, b }: ConflictArgs<Verdict>) =>
    callOf(stakes, stakeManagerAbi, "slashVerdicts", [a.struct, a.signature, b.struct, b.signature]),
  /** What the validator loses. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "slashVerdicts", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeSlashed"),
});

/** Punishes a validator for two roots of the same epochs, equal in all else; the sender gets a fee. @throws StakeManagerNoConflictError, StakeManagerPunishedError */
export const slashAttestations = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, a, b }: ConflictArgs<Attestation>) =>
    callOf(stakes, stakeManagerAbi, "slashAttestations", [a.struct, a.signature, b.struct, b.signature]),
  /** What the validator loses. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "slashAttestations", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeSlashed"),
});

/** Punishes a validator for its signature under a root that holders voided, once for each root; who disputed it gets a fee. @throws StakeManagerNotVoidedError, StakeManagerPunishedError */
export const slashVoided = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({
    stakes,
    attestation,
    signature,
  }: OfStakes & { readonly attestation: Attestation; readonly signature: Hex }) =>
    callOf(stakes, stakeManagerAbi, "slashVoided", [attestation, signature]),
  /** What the validator loses. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "slashVoided", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeSlashed"),
});

/** Punishes a validator for its signature under a ruling that holders vetoed; the sender gets a fee. @throws StakeManagerNotVetoedError, StakeManagerPunishedError */
export const slashVetoed = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, ruling, signature }: OfStakes & { readonly ruling: Ruling; readonly signature: Hex }) =>
    callOf(stakes, stakeManagerAbi, "slashVetoed", [ruling, signature]),
  /** What the validator loses. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "slashVetoed", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeSlashed"),
});

export interface ProposeRulingArgs extends OfStakes {
  /** With `rulingOnWork`, its subject `hashReceipt` of the receipt; under ValidatorSet's domain. */
  readonly ruling: Ruling;
  readonly receipt: Receipt;
  /** The worker's. */
  readonly receiptSignature: Hex;
  /** The validators', by ascending signer. */
  readonly signatures: readonly Hex[];
}

/** Puts the validators' ruling on a worker's receipt before the holders, once bootstrap is over. @throws StakeManagerBadRulingError, StakeManagerInBootstrapError, ValidatorSetNoQuorumError */
export const proposeRuling = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, ruling, receipt, receiptSignature, signatures }: ProposeRulingArgs) =>
    callOf(stakes, stakeManagerAbi, "proposeRuling", [ruling, receipt, receiptSignature, concatHex(signatures)]),
  /** From when on it can be executed, chain seconds. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "proposeRuling", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "RulingProposed"),
});

/** Refuses a ruling for ever; the timelock's to send, until it is executed. */
export const vetoRuling = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, worker, receiptHash }: RulingArgs) =>
    callOf(stakes, stakeManagerAbi, "vetoRuling", [modelId, worker, receiptHash]),
  decode: nothing,
  /** Undefined where it was vetoed or executed before, or is not there. */
  extractEvent: (receipt) => findEvent(receipt, stakeManagerAbi, "RulingVetoed"),
});

/** Carries a ruling out that holders let pass; anyone may send. @throws StakeManagerVetoOpenError, StakeManagerRulingNotOpenError */
export const executeRuling = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, worker, receiptHash }: RulingArgs) =>
    callOf(stakes, stakeManagerAbi, "executeRuling", [modelId, worker, receiptHash]),
  /** What the worker loses. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "executeRuling", data }),
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "StakeSlashed"),
});

/** Pays an account the fees for what it reported; anyone may send. */
export const collectFees = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, reporter }: ReporterArgs) => callOf(stakes, stakeManagerAbi, "collectFees", [reporter]),
  /** What is paid. */
  decode: (data) => decodeFunctionResult({ abi: stakeManagerAbi, functionName: "collectFees", data }),
  /** Undefined where there was nothing. */
  extractEvent: (receipt) => findEvent(receipt, stakeManagerAbi, "FeesCollected"),
});

/** What each offence costs, in basis points of the offender's stake. */
export interface SlashTerms {
  /** Two signatures that contradict each other: 1,000 to 10,000. */
  readonly conflictBps: number;
  /** A signature under a voided root or a vetoed ruling: 100 to 1,000. */
  readonly voidedBps: number;
  /** Work that validators ruled on: 0 to 5,000. */
  readonly rulingBps: number;
}

export interface SetSlashTermsArgs extends OfStakes {
  readonly modelId: Hex;
  /** Newest terms (`slashTermsOf`), on which the decision is made: of two such decisions the first holds; 0 for the first. */
  readonly replaces: number;
  readonly terms: SlashTerms;
}

/** Sets what offences cost; the timelock's to send. @throws StakeManagerTermsReplacedError, StakeManagerTermOutOfBoundsError */
export const setSlashTerms = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ stakes, modelId, replaces, terms: { conflictBps, voidedBps, rulingBps } }: SetSlashTermsArgs) =>
    callOf(stakes, stakeManagerAbi, "setTerms", [modelId, replaces, conflictBps, voidedBps, rulingBps]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, stakeManagerAbi, "SlashTermsSet"),
});

/** An account's stake; all zero where it has none. Its `payee` is the zero address where it has named none. */
export const stakeOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, modelId, role, staker }: StakerArgs) =>
    viewOf(stakes, stakeManagerAbi, "stakeOf", [modelId, stakeRoleCode[role], staker]),
});

/** What of an account's stake admits it: `isAdmittedBy` holds it against a run's parameters. */
export const activeStakeOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, modelId, role, staker }: StakerArgs) =>
    viewOf(stakes, stakeManagerAbi, "activeOf", [modelId, stakeRoleCode[role], staker]),
});

/**
 * From when on what is leaving may be withdrawn by the settings in force, if no root is disputed and no ruling is open then.
 * Undefined where nothing is leaving, Infinity where the newest set of validators has the account.
 */
export const stakeLeavesAt = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, modelId, role, staker }: StakerArgs) =>
    viewOf(stakes, stakeManagerAbi, "leavesAt", [modelId, stakeRoleCode[role], staker]),
  present: (time): number | undefined => (time === 0 ? undefined : timeOrNever(time)),
});

/** How long what is leaving waits by the settings in force, in seconds. @throws StakeManagerUnknownModelError */
export const stakeWithdrawalDelay = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, modelId, role }: StakeArgs) =>
    viewOf(stakes, stakeManagerAbi, "withdrawalDelay", [modelId, stakeRoleCode[role]]),
  present: Number,
});

/** What offences cost in a model, and the number of these terms. */
export const slashTermsOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, modelId }: Omit<StakeArgs, "role">) => viewOf(stakes, stakeManagerAbi, "termsOf", [modelId]),
  present: (terms): SlashTerms & { readonly version: number } => terms,
});

/** The ruling on a receipt; undefined where there is none. */
export const rulingOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, modelId, worker, receiptHash }: RulingArgs) =>
    viewOf(stakes, stakeManagerAbi, "rulingOf", [modelId, worker, receiptHash]),
  present: ({ state, ...ruling }) => {
    const name = nameOfCode(rulingStatus, state);
    return name === undefined || name === "none" ? undefined : { ...ruling, state: name };
  },
});

/** Fees that a reporter has not collected. */
export const reporterFeesOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ stakes, reporter }: ReporterArgs) => viewOf(stakes, stakeManagerAbi, "feesOf", [reporter]),
});
