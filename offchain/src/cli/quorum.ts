/**
 * What a quorum of a set signs one after another, as a file that goes from hand to hand: who of the wallets here signs, who has
 * signed, and sending it where that completes the quorum. A suspension, a grant and a root of revenue go this way.
 */
import { type Address, type Hex, type StructName, typedDataOf } from "@cotrain/sdk/protocol";

import { countOf, UserError } from "../base/index.ts";
import type { WalletClient } from "../chain/index.ts";
import { type SignedStatement, withSigner } from "../run/index.ts";
import { type Place, signingAs } from "./place.ts";

/** A wallet of a place. */
type Signer = Place["entries"][number];

/** Who signs a statement, and what becomes of it. */
export interface Quorum<N extends StructName, S extends SignedStatement<N>> {
  /** What is signed. */
  readonly name: N;
  /** What one of the set is called, and where he has his wallet. */
  readonly signer: "validator" | "maintainer";
  readonly wallets: string;
  /** The set in force, and how many of it a quorum are. */
  readonly members: readonly Address[];
  readonly threshold: number;
  /** Looks at the statement once more, before anybody signs. */
  readonly check?: (statement: S) => Promise<void>;
  /** What stands between a member's wallet and its signature, such as its journal; nothing if not given. */
  readonly guard?: (signer: Signer, statement: S, sign: () => Promise<Hex>) => Promise<Hex>;
  readonly write: (file: string, statement: S) => Promise<void>;
  /** @returns the transaction; null where somebody else's was first */
  readonly send: (client: WalletClient, statement: S, signatures: readonly Hex[]) => Promise<Hex | null>;
}

/** What became of a statement. */
export type Passed<S> = { readonly statement: S } & (
  | {
      readonly kind: "shown";
      /** Wallets that would sign it. */
      readonly signers: number;
    }
  | { readonly kind: "signed" }
  | {
      readonly kind: "sent";
      /** Null where somebody else's was first. */
      readonly transaction: Hex | null;
    }
);

/** Whoever serves a run would choose what is signed. @throws UserError `QUORUM_UNPINNED` */
export function requirePinned({ pinned }: Pick<Place, "pinned">): void {
  if (pinned) return;
  throw new UserError(
    "QUORUM_UNPINNED",
    "A coordinator does not say what is signed: name the run with --run and its contracts with --deployment.",
  );
}

type Signers = Pick<Quorum<StructName, never>, "signer" | "wallets" | "members" | "threshold">;
type Signatures = Pick<SignedStatement<StructName>, "signatures">;

/** Wallets of the place that are a member's and have not signed. */
const signersOf = ({ entries }: Place, { signatures }: Signatures, { members }: Signers) =>
  entries.filter(({ account }) => members.includes(account) && !signatures.has(account));

/** Who neither signs nor sends has the wrong wallets, or has done his part. @throws UserError `QUORUM_STRANGER`, `QUORUM_SIGNED` */
function requireUse(place: Place, before: Signatures, signers: Signers): void {
  const { signer, wallets, members, threshold } = signers;
  const missing = threshold - before.signatures.size;
  if (signersOf(place, before, signers).length > 0 || (missing <= 0 && place.entries.length > 0)) return;
  const signed = place.entries.map(({ account }) => account).filter((account) => members.includes(account));
  if (signed.length > 0)
    throw new UserError(
      "QUORUM_SIGNED",
      `${signed.join(", ")} signed it before, and it takes ${missing} more of the set: hand the file to another ${signer}.`,
    );
  throw new UserError(
    "QUORUM_STRANGER",
    `No wallet here is in the set of ${signer}s in force: name ${wallets} with --wallet and --passphrase-file.`,
  );
}

/**
 * Has the place's members sign a statement, and sends it where that completes the quorum.
 * @param file where it goes on from; not written before somebody signs
 * @param options.yes else nobody signs
 * @throws UserError `QUORUM_UNPINNED`, `QUORUM_STRANGER`, `QUORUM_SIGNED`; what opening a wallet and sending throw
 */
export async function passOn<N extends StructName, S extends SignedStatement<N>>(
  place: Place,
  file: string,
  before: S,
  quorum: Quorum<N, S>,
  options: { readonly yes: boolean; readonly maxFee: number },
): Promise<Passed<S>> {
  const signers = signersOf(place, before, quorum);
  if (!options.yes) return { kind: "shown", statement: before, signers: signers.length };
  requirePinned(place);
  requireUse(place, before, quorum);
  if (signers.length > 0) await quorum.check?.(before);
  let statement = before;
  for (const signer of signers) {
    const data = typedDataOf(before.domain, quorum.name, before.struct);
    const sign = async (): Promise<Hex> => (await (await signer.open()).signTypedData(data)).toLowerCase() as Hex;
    const signature = quorum.guard ? await quorum.guard(signer, before, sign) : await sign();
    statement = withSigner(statement, signer.account, signature);
  }
  await quorum.write(file, statement);
  const [sender] = place.entries;
  if (statement.signatures.size < quorum.threshold || !sender) return { kind: "signed", statement };
  const client = await signingAs(place, sender, options);
  const transaction = await quorum.send(client, statement, [...statement.signatures.values()]);
  return { kind: "sent", statement, transaction };
}

/** A row of a table of facts: by how many of a set a statement is signed, who may be more than a quorum of it are. */
export const signedRow = ({ signatures }: Signatures, threshold: number, signer = "validator"): [string, string] => [
  "signed",
  `by ${countOf(signatures.size, signer)}; it takes ${threshold}`,
];

/**
 * What became of a statement that was not sent, in words.
 * @param sent what follows from sending it, behind "is sent at once"
 * @param refused why sending it would be refused now, in a sentence
 */
export function passedText(
  file: string,
  passed: Exclude<Passed<Signatures>, { readonly kind: "sent" }>,
  { signer, threshold }: Pick<Signers, "signer" | "threshold">,
  sent = "",
  refused?: string,
): string {
  const missing = threshold - passed.statement.signatures.size;
  if (passed.kind === "signed")
    return `Signed in ${file}. It takes ${missing} more of the set's ${signer}s: hand the file to another one, who signs with the same command.`;
  const goes = refused === undefined ? `is sent at once${sent}.` : `sending it would be refused: ${refused}`;
  if (missing <= 0)
    return `Nothing was sent. A quorum has signed it: ${refused === undefined ? "with --yes it " : ""}${goes}`;
  const would = `Nothing was signed or sent. With --yes ${countOf(passed.signers, "wallet")} here would sign it`;
  const suffice = passed.signers > missing ? `, of which ${missing} would do` : "";
  if (passed.signers >= missing)
    return refused === undefined
      ? `${would}${suffice}, which completes the quorum and ${goes}`
      : `${would}${suffice}, which completes the quorum; ${goes}`;
  return refused === undefined ? `${would}.` : `${would}. In this epoch ${goes}`;
}
