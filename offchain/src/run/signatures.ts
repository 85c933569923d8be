/**
 * Statements that go from signer to signer as files until a quorum has signed: what a suspension and a grant have in common. They come
 * from others, so that only what recovers to a member of the set counts.
 */
import {
  type Address,
  type Domain,
  fromWire,
  type Hex,
  recoverSigner,
  type Struct,
  type StructName,
} from "@cotrain/sdk/protocol";
import { ProtocolError } from "@cotrain/sdk/errors";

import { timeText, UserError } from "../base/index.ts";

/** A set has no more members. */
export const MAX_SIGNATURES = 64;

/** Where a statement stands, and how what is wrong with it is called. */
export interface StatementFile {
  readonly path: string;
  /** Code of the error. */
  readonly code: string;
  /** What to do about it, as a clause. */
  readonly remedy: string;
}

function refusing({ path, code }: StatementFile, error: unknown): unknown {
  return error instanceof ProtocolError ? new UserError(code, `${path}: ${error.message}`, { cause: error }) : error;
}

/** @throws UserError of the file's code */
export function structOfFile<N extends StructName>(file: StatementFile, name: N, wire: unknown): Struct<N> {
  try {
    return fromWire(name, wire);
  } catch (error) {
    throw refusing(file, error);
  }
}

/**
 * Who signed, ascending.
 * @param members the set: `of` says whose, such as "validators"
 * @throws UserError of the file's code where a signature is none, or nobody's of the set
 */
export async function signersOfFile<N extends StructName>(
  file: StatementFile,
  { domain, name, struct }: { readonly domain: Domain; readonly name: N; readonly struct: Struct<N> },
  signatures: readonly Hex[],
  members: { readonly of: string; readonly addresses: readonly Address[] },
): Promise<ReadonlyMap<Address, Hex>> {
  const signed: [Address, Hex][] = [];
  for (const signature of signatures) {
    const signer = await recoverSigner(domain, name, struct, signature).catch((error: unknown) => {
      throw refusing(file, error);
    });
    if (!members.addresses.includes(signer))
      throw new UserError(
        file.code,
        `${file.path} has a signature of ${signer}, who is not in the set of ${members.of}, or signed something else: ${file.remedy}.`,
      );
    signed.push([signer, signature]);
  }
  return ascending(signed);
}

/** What a statement was signed for, and what tells it from others of its kind there. */
interface SignedFor {
  readonly chainId: number;
  readonly contract: Address;
  /** The model or the run, such as "model 0x…". */
  readonly subject: string;
}

const placeText = ({ subject, contract, chainId }: SignedFor): string =>
  `${subject} of ${contract} on chain ${chainId}`;

/** @throws UserError of the file's code where a statement is for another chain, contract, model or run */
export function requireSignedFor({ path, code, remedy }: StatementFile, found: SignedFor, wanted: SignedFor): void {
  if (placeText(found) === placeText(wanted)) return;
  throw new UserError(code, `${path} is of ${placeText(found)}, not of ${placeText(wanted)}: ${remedy}.`);
}

/** Whoever has a quorum's signatures may use them until the deadline: that is no matter of months, s. */
export const MOST_SECONDS = 30 * 86_400;

/** The set in force, and the time. */
interface InForce {
  readonly setVersion: number;
  /** Time of the newest block, s. */
  readonly now: number;
  /** The same, or this machine's where a node says that it is later than that. */
  readonly earliest: number;
}

/**
 * A statement that can be used no more, or for too long.
 * @param stale code of the error
 * @throws UserError of that code
 */
export function requireUsable(
  path: string,
  stale: string,
  struct: { readonly setVersion: number; readonly deadline: bigint },
  { setVersion, now, earliest }: InForce,
): void {
  const refuse = (what: string): never => {
    throw new UserError(stale, `${path} ${what}: name another file to begin anew.`);
  };
  if (struct.setVersion !== setVersion)
    refuse(`is signed by set ${struct.setVersion} of the validators, but set ${setVersion} is in force`);
  if (struct.deadline < now) refuse(`could be used until ${timeText(Number(struct.deadline))}`);
  if (struct.deadline > earliest + MOST_SECONDS) refuse("could be used for more than 30 days");
}

/** As the contracts take signatures: by signers strictly ascending. */
const ascending = (signed: readonly (readonly [Address, Hex])[]): ReadonlyMap<Address, Hex> =>
  new Map(signed.toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** A statement with the signatures of members by who signed, ascending. */
export interface SignedStatement<N extends StructName> {
  readonly domain: Domain;
  readonly struct: Struct<N>;
  readonly signatures: ReadonlyMap<Address, Hex>;
}

/** The same with one more signature. */
export const withSigner = <S extends SignedStatement<StructName>>(
  statement: S,
  signer: Address,
  signature: Hex,
): S => ({
  ...statement,
  signatures: ascending([...statement.signatures, [signer, signature]]),
});
