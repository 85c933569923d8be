/**
 * Votes that a holder signs and somebody else sends (OpenZeppelin's `castVoteBySig`): for a holder without coins for gas, one whose key
 * stays offline, or a smart-contract wallet, whose signature its own `isValidSignature` judges (ERC-1271).
 */
import { type Account, type Address, type Client, decodeFunctionResult, type Hex } from "viem";
import { signTypedData } from "viem/actions";
import { modelGovernorAbi } from "../abis/index.ts";
import { callOf, defineRead, defineWrite, eventOf, type ReadOptions, signerOf, viewOf } from "./action.ts";
import { type GovernorArgs, type VoteSupport, voteSupport } from "./governance.ts";
import { signingDomain, type TypedData } from "./signatures.ts";

/** With what an account signs its next ballot to a governor. */
export const ballotNonce = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ governor, account }: GovernorArgs & { readonly account: Address }) =>
    viewOf(governor, modelGovernorAbi, "nonces", [account]),
});

/** A vote as it is signed: once, for one governor on one chain. */
export interface Ballot {
  readonly proposalId: bigint;
  readonly support: VoteSupport;
  /** Whose votes are cast. */
  readonly voter: Address;
  /**
   * The voter's `ballotNonce`: of two ballots with one nonce only one is ever cast, on whichever proposals they are. It has no date:
   * it serves until the vote ends, or until the voter votes otherwise.
   */
  readonly nonce: bigint;
  /** Signed with the vote; a ballot with an empty one is another than a ballot with none. */
  readonly reason?: string;
}

const ballotFields = [
  { name: "proposalId", type: "uint256" },
  { name: "support", type: "uint8" },
  { name: "voter", type: "address" },
  { name: "nonce", type: "uint256" },
];

/**
 * A ballot as `signTypedData` takes it.
 * @param args.chainId the chain that is meant; the client's if left out
 * @example
 * const ballot = { proposalId, support: "for", voter, nonce: await ballotNonce(client, { governor, account: voter }) } as const
 * const signature = await wallet.signTypedData(await ballotToSign(client, { governor, ...ballot }))
 * @throws ProtocolError SIGNING_DOMAIN, see `signingDomain`
 */
export async function ballotToSign(
  client: Client,
  {
    governor,
    chainId,
    proposalId,
    support,
    voter,
    nonce,
    reason,
    ...options
  }: GovernorArgs & Ballot & { readonly chainId?: number } & ReadOptions,
): Promise<TypedData> {
  const at = { contract: governor, ...(chainId !== undefined && { chainId }), ...options };
  const domain = await signingDomain(client, at);
  const message = { proposalId, support: voteSupport[support], voter, nonce };
  if (reason === undefined) return { domain, types: { Ballot: ballotFields }, primaryType: "Ballot", message };
  const more = [
    { name: "reason", type: "string" },
    { name: "params", type: "bytes" },
  ];
  const types = { ExtendedBallot: [...ballotFields, ...more] };
  return { domain, types, primaryType: "ExtendedBallot", message: { ...message, reason, params: "0x" } };
}

/** A ballot that was signed, for `castVoteBySig`. */
export interface SignedBallot {
  readonly ballot: Ballot;
  readonly signature: Hex;
}

/**
 * Signs a vote of the account with its next nonce, and sends nothing. Show the voter before what the proposal's calls do (`decodeCall`):
 * a wallet shows an id.
 * @param args.account who votes and signs; the client's if left out
 * @example
 * const signed = await signBallot(wallet, { governor, proposalId, support: "for" })
 * await castVoteBySig.sync(relay, { governor, ...signed })
 * @throws AccountMissingError; ProtocolError SIGNING_DOMAIN
 */
export async function signBallot(
  client: Client,
  {
    governor,
    account: given,
    ...vote
  }: GovernorArgs & Pick<Ballot, "proposalId" | "support" | "reason"> & { readonly account?: Account | Address },
): Promise<SignedBallot> {
  const account = signerOf(client, given);
  const voter = account.address;
  const ballot = { ...vote, voter, nonce: await ballotNonce(client, { governor, account: voter }) };
  const data = await ballotToSign(client, { governor, ...ballot });
  return { ballot, signature: await signTypedData(client, { account, ...data }) };
}

export interface SignedBallotArgs extends GovernorArgs {
  readonly ballot: Omit<Ballot, "nonce">;
  /** The voter's, of `ballotToSign`; a contract's as ERC-1271 has it. */
  readonly signature: Hex;
}

/**
 * Casts a vote that somebody has signed; anyone may send it, once, while the vote is open. Nothing that it says can be changed.
 * @throws GovernorInvalidSignatureError (also for a nonce that was used), GovernorAlreadyCastVoteError, GovernorUnexpectedProposalStateError
 */
export const castVoteBySig = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ governor, ballot: { proposalId, support, voter, reason }, signature }: SignedBallotArgs) =>
    reason === undefined
      ? callOf(governor, modelGovernorAbi, "castVoteBySig", [proposalId, voteSupport[support], voter, signature])
      : callOf(governor, modelGovernorAbi, "castVoteWithReasonAndParamsBySig", [
          proposalId,
          voteSupport[support],
          voter,
          reason,
          "0x",
          signature,
        ]),
  /** The weight of the vote. */
  decode: (data) => decodeFunctionResult({ abi: modelGovernorAbi, functionName: "castVoteBySig", data }),
  extractEvent: (receipt) => eventOf(receipt, modelGovernorAbi, "VoteCast"),
});
