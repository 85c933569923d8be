/** ModelGovernor: proposals and votes of a model's holders, OpenZeppelin's Governor with a timelock. */
import {
  type Address,
  type Client,
  decodeFunctionResult,
  encodeAbiParameters,
  type Hex,
  keccak256,
  stringToHex,
} from "viem";
import { modelGovernorAbi, modelTimelockAbi } from "../abis/index.ts";
import { AccountMissingError } from "../baseErrors.ts";
import { callOf, defineRead, defineWrite, eventOf, type ReadOptions, viewOf } from "./action.ts";

/** What a proposal consists of. Queueing and executing name all of it again, since the governor keeps only its hash. */
export interface Proposal {
  readonly targets: readonly Address[];
  readonly values: readonly bigint[];
  readonly calldatas: readonly Hex[];
  /** With its suffix, see `proposalOf`. */
  readonly description: string;
}

/** What a proposal executes; every write's `call` gives one. */
export interface ProposalCall {
  readonly to: Address;
  readonly data: Hex;
  readonly value?: bigint;
}

/**
 * A proposal as `propose` makes it. The description ends in `#proposer=0x…`, so that nobody else can make the same proposal
 * first. What is proposed without it, by others' tools, cannot be cancelled.
 */
export function proposalOf(calls: readonly ProposalCall[], description: string, proposer: Address): Proposal {
  const suffix = `#proposer=${proposer.toLowerCase()}`;
  return {
    targets: calls.map((call) => call.to),
    values: calls.map((call) => call.value ?? 0n),
    calldatas: calls.map((call) => call.data),
    description: description.toLowerCase().endsWith(suffix) ? description : `${description} ${suffix}`.trimStart(),
  };
}

/** Id of a proposal, known before it is made. */
export function proposalIdOf(proposal: Proposal): bigint {
  const { targets, values, calldatas, description } = proposal;
  const encoded = encodeAbiParameters(
    [{ type: "address[]" }, { type: "uint256[]" }, { type: "bytes[]" }, { type: "bytes32" }],
    [targets, values, calldatas, keccak256(stringToHex(description))],
  );
  return BigInt(keccak256(encoded));
}

export interface GovernorArgs {
  /** The model's governor: `governorOf`. */
  readonly governor: Address;
}

export interface ProposeArgs extends GovernorArgs {
  readonly calls: readonly ProposalCall[];
  readonly description: string;
  /** Who sends; follows from the account where there is a client, and is needed for `propose.call`. */
  readonly proposer?: Address;
}

const contentOf = ({ targets, values, calldatas, description }: Proposal) =>
  [targets, values, calldatas, keccak256(stringToHex(description))] as const;

/**
 * Proposes calls to the holders. The event holds all that `queue` and `execute` ask for.
 * @example
 * const { event } = await propose.sync(client, { governor, calls: [setParams.call({ addresses, runId, replaces, params })], description: "H = 128" })
 * @throws GovernorInsufficientProposerVotesError, GovernorUnexpectedProposalStateError where the same was proposed before
 */
export const propose = /* @__PURE__ */ defineWrite({
  addressed: false,
  fromSender: (args: Partial<ProposeArgs>, sender) => ({ proposer: args.proposer ?? sender }),
  call: ({ governor, calls, description, proposer }: ProposeArgs) => {
    if (!proposer) throw new AccountMissingError();
    const proposal = proposalOf(calls, description, proposer);
    const { targets, values, calldatas } = proposal;
    return callOf(governor, modelGovernorAbi, "propose", [targets, values, calldatas, proposal.description]);
  },
  decode: (data) => decodeFunctionResult({ abi: modelGovernorAbi, functionName: "propose", data }),
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "ProposalCreated"),
});

/** Votes as the governor numbers them. */
export const voteSupport = { against: 0, for: 1, abstain: 2 } as const;
export type VoteSupport = keyof typeof voteSupport;

export interface CastVoteArgs extends GovernorArgs {
  readonly proposalId: bigint;
  readonly support: VoteSupport;
  readonly reason?: string;
}

/** Votes with the sender's votes at the proposal's snapshot. @throws GovernorAlreadyCastVoteError */
export const castVote = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, proposalId, support, reason }: CastVoteArgs) =>
    reason === undefined
      ? callOf(governor, modelGovernorAbi, "castVote", [proposalId, voteSupport[support]])
      : callOf(governor, modelGovernorAbi, "castVoteWithReason", [proposalId, voteSupport[support], reason]),
  /** The weight of the vote. */
  decode: (data) => decodeFunctionResult({ abi: modelGovernorAbi, functionName: "castVote", data }),
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "VoteCast"),
});

export interface ProposalArgs extends GovernorArgs {
  readonly proposal: Proposal;
}

/** Puts an accepted proposal into the timelock; anyone may, until `proposalExpiry`. */
export const queue = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, proposal }: ProposalArgs) => callOf(governor, modelGovernorAbi, "queue", contentOf(proposal)),
  decode: (data) => decodeFunctionResult({ abi: modelGovernorAbi, functionName: "queue", data }),
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "ProposalQueued"),
});

/** Executes a queued proposal after the timelock's delay; anyone may. Throws what the proposed calls throw. */
export const execute = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, proposal }: ProposalArgs) => callOf(governor, modelGovernorAbi, "execute", contentOf(proposal)),
  decode: (data) => decodeFunctionResult({ abi: modelGovernorAbi, functionName: "execute", data }),
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "ProposalExecuted"),
});

/**
 * Withdraws a proposal before voting begins; its proposer's to send, where the description names it as `proposalOf` does.
 * @throws GovernorUnableToCancelError
 */
export const cancel = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, proposal }: ProposalArgs) => callOf(governor, modelGovernorAbi, "cancel", contentOf(proposal)),
  decode: (data) => decodeFunctionResult({ abi: modelGovernorAbi, functionName: "cancel", data }),
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "ProposalCanceled"),
});

type ProposalIdArgs = GovernorArgs & { readonly proposalId: bigint };

const states = ["pending", "active", "canceled", "defeated", "succeeded", "queued", "expired", "executed"] as const;
export type ProposalState = (typeof states)[number];

/**
 * Where a proposal stands; `expired` where it was accepted and not queued, or queued and not executed, until `proposalExpiry`.
 * @throws GovernorNonexistentProposalError
 */
export const proposalState = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) => viewOf(governor, modelGovernorAbi, "state", [proposalId]),
  present: (state): ProposalState => states[state] ?? "pending",
});

/** Chain time at which votes are counted; 0 for a proposal that does not exist. */
export const proposalSnapshot = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) =>
    viewOf(governor, modelGovernorAbi, "proposalSnapshot", [proposalId]),
});

/** Chain time at which voting ends; a late quorum moves it. */
export const proposalDeadline = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) =>
    viewOf(governor, modelGovernorAbi, "proposalDeadline", [proposalId]),
});

/** Chain time from which a queued proposal can be executed; 0 before it is queued. */
export const proposalEta = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) => viewOf(governor, modelGovernorAbi, "proposalEta", [proposalId]),
});

/**
 * Chain time until which a proposal can be queued, if it is accepted, or executed, once it is queued; after it, it has expired. 0 for
 * one that does not exist.
 */
export const proposalExpiry = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) =>
    viewOf(governor, modelGovernorAbi, "proposalExpiry", [proposalId]),
});

/** Who made a proposal; the zero address for one that does not exist. */
export const proposalProposer = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) =>
    viewOf(governor, modelGovernorAbi, "proposalProposer", [proposalId]),
});

/** Votes cast so far, in share wei. */
export const proposalVotes = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId }: ProposalIdArgs) => viewOf(governor, modelGovernorAbi, "proposalVotes", [proposalId]),
  present: ([against, inFavour, abstain]) => ({ against, for: inFavour, abstain }),
});

/** Whether an account has voted. */
export const hasVoted = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, proposalId, account }: ProposalIdArgs & { readonly account: Address }) =>
    viewOf(governor, modelGovernorAbi, "hasVoted", [proposalId, account]),
});

/** Votes that make a quorum at a time in the past (chain seconds), in share wei. */
export const quorumAt = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, timepoint }: GovernorArgs & { readonly timepoint: bigint }) =>
    viewOf(governor, modelGovernorAbi, "quorum", [timepoint]),
});

/** How the governor decides: seconds and share wei. */
export interface GovernorSettings {
  readonly votingDelay: bigint;
  readonly votingPeriod: bigint;
  /** A vote lasts so long at the least after its quorum was reached. */
  readonly lateQuorumVoteExtension: bigint;
  /** Between queueing and executing. */
  readonly timelockDelay: bigint;
  readonly proposalThreshold: bigint;
  /** The highest threshold that a vote may set now. */
  readonly maxProposalThreshold: bigint;
  /** Basis points of all shares that make a quorum, where these are more than its floor. */
  readonly quorumBps: bigint;
  readonly quorumFloor: bigint;
  /** What voting delay, voting period and late-quorum extension may take together. */
  readonly maxVoteLength: bigint;
}

const settingOf = (functionName: Exclude<keyof GovernorSettings, "timelockDelay" | "quorumBps">) =>
  defineRead({
    addressed: false,
    view: ({ governor }: GovernorArgs) => viewOf(governor, modelGovernorAbi, functionName, []),
    present: (value) => BigInt(value),
  });

const timelockDelayOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ timelock }: { readonly timelock: Address }) => viewOf(timelock, modelTimelockAbi, "getMinDelay", []),
});

const quorumBpsOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor }: GovernorArgs) => viewOf(governor, modelGovernorAbi, "quorumNumerator", []),
});

const timelockOfGovernor = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor }: GovernorArgs) => viewOf(governor, modelGovernorAbi, "timelock", []),
});

/** One of the settings. */
export async function governorSetting(
  client: Client,
  { setting, ...args }: GovernorArgs & ReadOptions & { readonly setting: keyof GovernorSettings },
): Promise<bigint> {
  if (setting === "timelockDelay")
    return timelockDelayOf(client, { ...args, timelock: await timelockOfGovernor(client, args) });
  return setting === "quorumBps" ? quorumBpsOf(client, args) : settingOf(setting)(client, args);
}

/** All of the settings. */
export async function governorSettings(client: Client, args: GovernorArgs & ReadOptions): Promise<GovernorSettings> {
  const read = (setting: keyof GovernorSettings) => governorSetting(client, { ...args, setting });
  const [
    votingDelay,
    votingPeriod,
    lateQuorumVoteExtension,
    timelockDelay,
    proposalThreshold,
    maxProposalThreshold,
    quorumBps,
    quorumFloor,
    maxVoteLength,
  ] = await Promise.all([
    read("votingDelay"),
    read("votingPeriod"),
    read("lateQuorumVoteExtension"),
    read("timelockDelay"),
    read("proposalThreshold"),
    read("maxProposalThreshold"),
    read("quorumBps"),
    read("quorumFloor"),
    read("maxVoteLength"),
  ]);
  return {
    votingDelay,
    votingPeriod,
    lateQuorumVoteExtension,
    timelockDelay,
    proposalThreshold,
    maxProposalThreshold,
    quorumBps,
    quorumFloor,
    maxVoteLength,
  };
}
