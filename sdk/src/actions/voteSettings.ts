/** How a model's votes go: each setting of ModelGovernor and ModelTimelock that a vote may change. `governorSettings` reads all. */
import {
  type Address,
  type Client,
  concat,
  encodeAbiParameters,
  encodeFunctionData,
  type Hex,
  isAddressEqual,
  keccak256,
  pad,
  toHex,
  zeroAddress,
  zeroHash,
} from "viem";
import { call as ethCall, getBlock } from "viem/actions";
import { modelGovernorAbi, modelTimelockAbi } from "../abis/index.ts";
import { withContractErrors } from "../decodeError.ts";
import { callOf, defineWrite, eventOf, nothing } from "./action.ts";
import { type GovernorArgs, type ProposalCall, proposalOf } from "./governance.ts";

/** A time of votes: whole seconds, within `settingLimits`. */
export interface VotingTimeArgs extends GovernorArgs {
  readonly seconds: number;
}

/**
 * Sets how long after a proposal its vote begins, from the next proposal on; the timelock's to send, as all that follow are.
 * @throws ModelGovernorSettingOutOfBoundsError, ModelGovernorVoteTooLongError, GovernorOnlyExecutorError
 */
export const setVotingDelay = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, seconds }: VotingTimeArgs) => callOf(governor, modelGovernorAbi, "setVotingDelay", [seconds]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "VotingDelaySet"),
});

/**
 * Sets how long a vote lasts, from the next proposal on.
 * @throws ModelGovernorSettingOutOfBoundsError, ModelGovernorVoteTooLongError, GovernorOnlyExecutorError
 */
export const setVotingPeriod = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, seconds }: VotingTimeArgs) => callOf(governor, modelGovernorAbi, "setVotingPeriod", [seconds]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "VotingPeriodSet"),
});

/**
 * Sets how long a vote lasts at the least once its quorum is reached, of open votes as well.
 * @throws ModelGovernorSettingOutOfBoundsError, ModelGovernorVoteTooLongError, GovernorOnlyExecutorError
 */
export const setLateQuorumVoteExtension = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, seconds }: VotingTimeArgs) =>
    callOf(governor, modelGovernorAbi, "setLateQuorumVoteExtension", [seconds]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "LateQuorumVoteExtensionSet"),
});

/**
 * Sets how many votes it takes to propose, in share wei; at most `maxProposalThreshold` of the settings.
 * @throws ModelGovernorSettingOutOfBoundsError, GovernorOnlyExecutorError
 */
export const setProposalThreshold = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, votes }: GovernorArgs & { readonly votes: bigint }) =>
    callOf(governor, modelGovernorAbi, "setProposalThreshold", [votes]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "ProposalThresholdSet"),
});

/**
 * Sets which part of all shares makes a quorum, of votes that begin later; its floor stays.
 * @throws ModelGovernorSettingOutOfBoundsError, GovernorOnlyExecutorError
 */
export const setQuorum = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, bps }: GovernorArgs & { readonly bps: bigint }) =>
    callOf(governor, modelGovernorAbi, "updateQuorumNumerator", [bps]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "QuorumNumeratorUpdated"),
});

/**
 * Sets how long what is queued waits before it is executed; what waits already keeps its time.
 * @throws ModelTimelockDelayOutOfBoundsError, TimelockUnauthorizedCallerError
 */
export const setTimelockDelay = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ timelock, seconds }: { readonly timelock: Address; readonly seconds: bigint }) =>
    callOf(timelock, modelTimelockAbi, "updateDelay", [seconds]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelTimelockAbi, "MinDelayChange"),
});

/** Where OpenZeppelin's contracts keep their own (ERC-7201). */
const GOVERNOR_STORAGE = 0x7c712897014dbe49c045ef1299aa2d5f9e67e48eea4403efa21f1e0f3ac0cb00n;
const TIMELOCK_STORAGE = 0x9a37c2aa9d186a0969ff8a8267bf4e07e864c2f2768f5040949e28a624fb3600n;

const word = (value: bigint): Hex => pad(toHex(value), { size: 32 });
/** Slot of an entry of the mapping that a slot is of. */
const entrySlot = (key: Hex, slot: bigint): Hex => keccak256(concat([key, word(slot)]));

/** What the timelock executes at once, and keeps by its digest; nothing goes before it. */
function operationOf(calls: readonly ProposalCall[]) {
  const { targets, values, calldatas } = proposalOf(calls, "", zeroAddress);
  const args = [targets, values, calldatas, zeroHash, zeroHash] as const;
  const types = [
    { type: "address[]" },
    { type: "uint256[]" },
    { type: "bytes[]" },
    { type: "bytes32" },
    { type: "bytes32" },
  ] as const;
  return { args, id: keccak256(encodeAbiParameters(types, args)) };
}

/**
 * Simulates that the timelock executes these calls, one after the other, as of a proposal that was accepted: by `eth_call` with a storage
 * in which it is queued and due. The governor takes calls that change itself at no other time, not even from the timelock.
 * @throws ContractError where one of them would be refused
 */
export async function simulateExecution(
  client: Client,
  { governor, timelock, calls }: GovernorArgs & { readonly timelock: Address; readonly calls: readonly ProposalCall[] },
): Promise<void> {
  const { args, id } = operationOf(calls);
  const { timestamp } = await getBlock(client);
  // The first two numbers of 128 bits are the ends of the queue of calls that the governor expects, and its entries follow.
  const own = calls.filter(({ to }) => isAddressEqual(to, governor));
  const expected = [
    { slot: word(GOVERNOR_STORAGE + 2n), value: word(BigInt(own.length) << 128n) },
    ...own.map(({ data }, i) => ({ slot: entrySlot(word(BigInt(i)), GOVERNOR_STORAGE + 3n), value: keccak256(data) })),
  ];
  const due = [{ slot: entrySlot(id, TIMELOCK_STORAGE), value: word(timestamp) }];
  const data = encodeFunctionData({ abi: modelTimelockAbi, functionName: "executeBatch", args });
  const stateOverride = [
    { address: governor, stateDiff: expected },
    { address: timelock, stateDiff: due },
  ];
  await withContractErrors(ethCall(client, { account: governor, to: timelock, data, stateOverride }));
}
