/**
 * A vote that a holder has signed, on its way to whoever sends it (`castVoteBySig`): a file. It comes from others, so that nothing in
 * it is believed which the chain or the signature does not say.
 */
import {
  type Ballot,
  ballotNonce,
  ballotToSign,
  hasVoted,
  isSignedBy,
  type SignedBallot,
  type TypedData,
} from "@cotrain/sdk/actions";
import { type Address, Address20, asAddress, Decimal, type Hex } from "@cotrain/sdk/protocol";
import { Type } from "typebox";

import { formatAddress, RetryableError, UserError } from "../base/index.ts";
import type { ChainConnection } from "../chain/index.ts";
import { readStateFile, requireReplaceable, writeReplaceable } from "../service/index.ts";

/** Characters of a reason; each of them costs whoever sends it gas. */
export const MOST_REASON = 2_000;
/** Hex digits of a signature: a smart-contract wallet's may hold those of all its owners. */
const MOST_SIGNATURE = 32_768;

const BallotFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    /** The model's governor, which takes it. */
    governor: Address20,
    proposalId: Decimal,
    support: Type.Union([Type.Literal("against"), Type.Literal("for"), Type.Literal("abstain")]),
    voter: Address20,
    nonce: Decimal,
    /** Null for none, which is signed otherwise than an empty one. */
    reason: Type.Union([Type.Null(), Type.String({ maxLength: MOST_REASON })]),
    signature: Type.Unsafe<Hex>(Type.String({ pattern: "^0x([0-9a-f]{2})*$", maxLength: MOST_SIGNATURE })),
  },
  { additionalProperties: false },
);

/** Whose proposals it is about, and where. */
export interface BallotPlace {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
  /** The model's. */
  readonly governor: Address;
}

/** For this governor on this chain, whatever a node tells. @throws ProtocolError `SIGNING_DOMAIN` */
const dataOf = ({ connection: { call, chainId }, governor }: BallotPlace, ballot: Ballot): Promise<TypedData> =>
  call((client) => ballotToSign(client, { governor, chainId, ...ballot }));

interface Signer {
  signTypedData(data: TypedData): Promise<Hex>;
}

/**
 * What a holder signs to vote: with its next nonce, so that it serves once.
 * @returns it, to be shown, and what signs it
 * @throws ProtocolError `SIGNING_DOMAIN`
 */
export async function draftBallot(
  place: BallotPlace,
  vote: Omit<Ballot, "nonce">,
): Promise<{ readonly ballot: Ballot; readonly sign: (account: Signer) => Promise<SignedBallot> }> {
  const { governor } = place;
  const nonce = await place.connection.call((client) => ballotNonce(client, { governor, account: vote.voter }));
  const ballot: Ballot = { ...vote, nonce };
  const data = await dataOf(place, ballot);
  return {
    ballot,
    sign: async (account) => ({ ballot, signature: (await account.signTypedData(data)).toLowerCase() as Hex }),
  };
}

/** Whether a signed vote may be written there; asked before anything is signed. @throws UserError `FILE_EXISTS` */
export const requireBallotFile = (path: string): Promise<boolean> =>
  requireReplaceable(path, BallotFile, "signed vote");

export const writeBallot = (
  path: string,
  { connection, governor }: BallotPlace,
  { ballot: { proposalId, support, voter, nonce, reason }, signature }: SignedBallot,
  replaces: boolean,
): Promise<void> =>
  writeReplaceable(
    path,
    BallotFile,
    {
      version: 1,
      chainId: connection.chainId,
      governor,
      proposalId: String(proposalId),
      support,
      voter,
      nonce: String(nonce),
      reason: reason ?? null,
      signature,
    },
    replaces,
  );

/**
 * Reads a signed vote.
 * @throws UserError `BALLOT_MISSING`, `BALLOT_OTHER` for another chain or governor
 */
export async function readBallot(path: string, { connection, governor }: BallotPlace): Promise<SignedBallot> {
  const file = await readStateFile(path, BallotFile, "have the holder sign another");
  if (!file) throw new UserError("BALLOT_MISSING", `There is no file ${path}: a holder makes it with --sign.`);
  if (file.chainId !== connection.chainId || file.governor !== governor)
    throw new UserError(
      "BALLOT_OTHER",
      `${path} is a vote under governor ${file.governor} on chain ${file.chainId}, and this model's is ${governor} on chain ${connection.chainId}: name the run that it is for.`,
    );
  const { proposalId, support, voter, nonce, reason, signature } = file;
  const ballot = { proposalId: BigInt(proposalId), support, voter: asAddress(voter), nonce: BigInt(nonce) };
  return { ballot: reason === null ? ballot : { ...ballot, reason }, signature };
}

/**
 * Holds a signed vote against the chain, before anybody pays for sending it.
 * @param path the file that it came in
 * @throws UserError `VOTED`, `BALLOT_USED`, `BALLOT_FORGED`; RetryableError `BALLOT_EARLY` for a nonce that comes later
 */
export async function requireCastable(
  path: string,
  place: BallotPlace,
  { ballot, signature }: SignedBallot,
): Promise<void> {
  const { connection, governor } = place;
  const { proposalId, voter: account } = ballot;
  if (await connection.call((client) => hasVoted(client, { governor, proposalId, account })))
    throw new UserError(
      "VOTED",
      `${formatAddress(account)} voted on proposal ${proposalId} before; a vote cannot be changed.`,
    );
  const nonce = await connection.call((client) => ballotNonce(client, { governor, account }));
  if (ballot.nonce < nonce)
    throw new UserError(
      "BALLOT_USED",
      `${path} has nonce ${ballot.nonce}, and ${formatAddress(account)} signs with ${nonce} now: another vote that it signed was sent in its place.`,
    );
  if (ballot.nonce > nonce)
    throw new RetryableError(
      "BALLOT_EARLY",
      `${path} has nonce ${ballot.nonce}, and ${formatAddress(account)} is at ${nonce}: what was signed before it has to be sent first.`,
    );
  const data = await dataOf(place, ballot);
  if (!(await connection.call((client) => isSignedBy(client, { account, data, signature }))))
    throw new UserError(
      "BALLOT_FORGED",
      `${path} is not signed by ${formatAddress(account)}, or not this vote: have the holder sign another.`,
    );
}
