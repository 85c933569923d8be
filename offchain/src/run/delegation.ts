/**
 * A delegation that a holder has signed, on its way to whoever sends it (`delegateBySig`): a file. It comes from others, so that
 * nothing in it is believed which the chain or the signature does not say.
 */
import { delegateOf, delegationNonce, delegationToSign, type TypedData } from "@cotrain/sdk/actions";
import { type Address, Address20, asAddress, Decimal, type Hex, Signature65 } from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";
import { recoverTypedDataAddress } from "viem";

import { formatAddress, RetryableError, UserError } from "../base/index.ts";
import type { ChainConnection } from "../chain/index.ts";
import { readStateFile, requireReplaceable, writeReplaceable } from "../service/index.ts";

const DelegationFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    /** The model's shares, whose contract takes it. */
    shares: Address20,
    delegator: Address20,
    delegatee: Address20,
    nonce: Decimal,
    /** Chain seconds. */
    expiry: Decimal,
    signature: Signature65,
  },
  { additionalProperties: false },
);

/** Whose shares it is about, and where. */
export interface DelegationPlace {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
  /** The model's. */
  readonly shares: Address;
}

export interface SignedDelegation {
  readonly delegator: Address;
  readonly delegatee: Address;
  readonly nonce: bigint;
  /** Chain seconds until which it may be sent. */
  readonly expiry: bigint;
  readonly signature: Hex;
}

/** What a holder signs: for these shares on this chain, whatever a node tells. @throws ProtocolError `SIGNING_DOMAIN` */
const dataOf = (
  { connection: { call, chainId }, shares }: DelegationPlace,
  { delegatee, nonce, expiry }: Pick<SignedDelegation, "delegatee" | "nonce" | "expiry">,
): Promise<TypedData> => call((client) => delegationToSign(client, { shares, chainId, delegatee, nonce, expiry }));

/** A delegation before it is signed, and whose votes the shares are now. */
export interface DelegationDraft extends Omit<SignedDelegation, "signature"> {
  readonly before: Address;
}

interface Signer {
  signTypedData(data: TypedData): Promise<Hex>;
}

/**
 * What a holder signs to delegate: with its next nonce, so that it serves once, until the expiry.
 * @returns it, to be shown, and what signs it
 * @throws ProtocolError `SIGNING_DOMAIN`
 */
export async function draftDelegation(
  place: DelegationPlace,
  delegator: Address,
  { delegatee, expiry }: Pick<SignedDelegation, "delegatee" | "expiry">,
): Promise<{ readonly draft: DelegationDraft; readonly sign: (account: Signer) => Promise<SignedDelegation> }> {
  const { shares } = place;
  const { call } = place.connection;
  const nonce = await call((client) => delegationNonce(client, { shares, account: delegator }));
  const data = await dataOf(place, { delegatee, nonce, expiry });
  const before = asAddress(await call((client) => delegateOf(client, { shares, account: delegator })));
  return {
    draft: { delegator, delegatee, nonce, expiry, before },
    sign: async (account) => {
      const signature = (await account.signTypedData(data)).toLowerCase() as Hex;
      return { delegator, delegatee, nonce, expiry, signature };
    },
  };
}

/** Whether a signed delegation may be written there; asked before anything is signed. @throws UserError `FILE_EXISTS` */
export const requireDelegationFile = (path: string): Promise<boolean> =>
  requireReplaceable(path, DelegationFile, "signed delegation");

export const writeDelegation = (
  path: string,
  { connection, shares }: DelegationPlace,
  { nonce, expiry, ...signed }: SignedDelegation,
  replaces: boolean,
): Promise<void> =>
  writeReplaceable(
    path,
    DelegationFile,
    {
      version: 1,
      chainId: connection.chainId,
      shares,
      ...signed,
      nonce: String(nonce),
      expiry: String(expiry),
    },
    replaces,
  );

/**
 * Reads a delegation and holds it against the chain.
 * @returns it, and whose votes the shares are now
 * @throws UserError `DELEGATION_MISSING`, `DELEGATION_OTHER` for another chain or contract, `DELEGATION_EXPIRED`,
 *   `DELEGATION_USED`, `DELEGATION_FORGED`; RetryableError `DELEGATION_EARLY` for a nonce that comes later
 */
export async function readDelegation(
  path: string,
  place: DelegationPlace,
): Promise<SignedDelegation & DelegationDraft> {
  const { connection, shares } = place;
  const file = await readStateFile(path, DelegationFile, "have the holder sign another");
  if (!file) throw new UserError("DELEGATION_MISSING", `There is no file ${path}: a holder makes it with --sign.`);
  if (file.chainId !== connection.chainId || file.shares !== shares)
    throw new UserError(
      "DELEGATION_OTHER",
      `${path} delegates shares ${file.shares} on chain ${file.chainId}, and this model's are ${shares} on chain ${connection.chainId}: name the run that it is for.`,
    );
  const signed = signedOf(file);
  const account = signed.delegator;
  const { timestamp } = await connection.call((client) => client.getBlock());
  if (signed.expiry < timestamp)
    throw new UserError(
      "DELEGATION_EXPIRED",
      `${path} could be sent until second ${signed.expiry} of the chain, and it is ${timestamp}: have ${formatAddress(account)} sign another.`,
    );
  const nonce = await connection.call((client) => delegationNonce(client, { shares, account }));
  if (signed.nonce < nonce)
    throw new UserError(
      "DELEGATION_USED",
      `${path} has nonce ${signed.nonce}, and ${formatAddress(account)} signs with ${nonce} now: it was sent, or revoked by another signature.`,
    );
  if (signed.nonce > nonce)
    throw new RetryableError(
      "DELEGATION_EARLY",
      `${path} has nonce ${signed.nonce}, and ${formatAddress(account)} is at ${nonce}: what was signed before it has to be sent first.`,
    );
  const signer = await signerOf(place, signed);
  if (signer !== account)
    throw new UserError(
      "DELEGATION_FORGED",
      `${path} is not signed by ${formatAddress(account)}, or not this delegation: have the holder sign another.`,
    );
  const before = await connection.call((client) => delegateOf(client, { shares, account }));
  return { ...signed, before: asAddress(before) };
}

const signedOf = ({ delegator, delegatee, nonce, expiry, signature }: Static<typeof DelegationFile>) => ({
  delegator: asAddress(delegator),
  delegatee: asAddress(delegatee),
  nonce: BigInt(nonce),
  expiry: BigInt(expiry),
  signature,
});

/** Who signed; undefined where the bytes are no signature of anything. */
async function signerOf(place: DelegationPlace, signed: SignedDelegation): Promise<Address | undefined> {
  const data = await dataOf(place, signed);
  try {
    return asAddress(await recoverTypedDataAddress({ ...data, signature: signed.signature }));
  } catch {
    // No point of the curve: nobody's.
    return undefined;
  }
}
