/** Delegations that a holder signs and somebody else sends: for a holder whose wallet has no coins for gas, or whose key stays offline. */
import { balanceOf, delegateBySig } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress, formatShares, timeText, UserError } from "../base/index.ts";
import {
  type DelegationDraft,
  draftDelegation,
  isNobody,
  readDelegation,
  requireDelegationFile,
  writeDelegation,
} from "../run/index.ts";
import { type Place, requireEntries, signingAs } from "./place.ts";
import { requirePinned } from "./quorum.ts";

const DAY = 86_400_000;
/** Whoever has the file may send it: a choice of years would be forgotten, and then surprise. */
const MOST_WITHIN = 365 * DAY;

interface DelegationFlags {
  readonly sign?: string | undefined;
  readonly submit?: string | undefined;
  readonly within: number;
}

function refuse(sentence: string): never {
  throw new UserError("DELEGATE_FLAGS", sentence);
}

/** @throws UserError `DELEGATE_FLAGS`, `DELEGATION_LONG` for what means nothing */
export function requireFlags(word: string | undefined, { sign, submit, within }: DelegationFlags): void {
  if (submit !== undefined && sign !== undefined) refuse("--sign and --submit exclude each other: give one of them.");
  if (submit !== undefined && word !== undefined)
    refuse("What --submit sends names the delegate itself: leave the address out.");
  if (submit === undefined && word === undefined)
    refuse("Whom to delegate to is missing: name an address, or self for each wallet itself.");
  if (within < 1_000 || within > MOST_WITHIN)
    throw new UserError("DELEGATION_LONG", "--within must be from one second to 365 days (8760h).");
}

/** A delegation in a file, and what became of it. */
export interface DelegationOutcome extends DelegationDraft {
  readonly file: string;
  /** The contract that it is for. */
  readonly shares: Address;
  readonly balance: bigint;
  readonly state: "shown" | "signed" | "sent";
  /** Null where nothing was sent. */
  readonly transaction: Hex | null;
}

const toWhom = (delegator: Address, account: Address): string =>
  account === delegator ? "itself" : isNobody(account) ? "nobody" : formatAddress(account);

export function delegationText(outcome: DelegationOutcome): string {
  const { file, shares, delegator, delegatee, nonce, expiry, balance, before, state, transaction } = outcome;
  const who = `${formatAddress(delegator)}, with ${formatShares(balance)} shares,`;
  const [from, to] = [toWhom(delegator, before), toWhom(delegator, delegatee)];
  if (state === "sent") return `${who} delegated to ${from}, and now does to ${to}, by ${transaction}.`;
  const would = `${who} delegates to ${from}, and would to ${to}: contract ${formatAddress(shares)}, nonce ${nonce}, to be sent until ${timeText(Number(expiry))}.`;
  return state === "signed"
    ? `${would} Signed in ${file}: anybody who has the file may send it, with npx cotrain delegate --submit ${file}`
    : `${would} Nothing was signed or sent.`;
}

/** What is said before anything is sent where no deployment is pinned: the node says which contract the shares are, as it might of another token. */
export const sharesNotice = (shares: Address): string =>
  `By what the node says, the model's shares are contract ${formatAddress(shares)}.`;

interface SignRequest {
  readonly file: string;
  /** Undefined for the wallet itself. */
  readonly named: Address | undefined;
  /** Ms during which it may be sent. */
  readonly within: number;
  /** Whether to sign, or to show alone. */
  readonly signs: boolean;
  readonly state?: string | undefined;
  readonly coordinator?: string | undefined;
}

/**
 * Signs a delegation into a file; sends nothing.
 * @throws UserError `QUORUM_UNPINNED`, `WALLET_SEVERAL`, `FILE_EXISTS` for a file that is no signed delegation
 */
export async function signToFile(place: Place, shares: Address, request: SignRequest): Promise<DelegationOutcome> {
  const { file, named, within, signs } = request;
  // Else it chooses the contract: of any token that is delegated alike.
  requirePinned(place);
  const replaces = await requireDelegationFile(file);
  const [entry, ...others] = requireEntries(place, request);
  if (!entry || others.length > 0)
    throw new UserError("WALLET_SEVERAL", "One wallet signs one file: name it with --wallet and --passphrase-file.");
  const at = { connection: place.connection, shares };
  const { call } = place.connection;
  const { timestamp } = await call((client) => client.getBlock());
  const expiry = timestamp + BigInt(Math.floor(within / 1_000));
  const { draft, sign } = await draftDelegation(at, entry.account, { delegatee: named ?? entry.account, expiry });
  const balance = await call((client) => balanceOf(client, { shares, account: entry.account }));
  const shown = { ...draft, file, shares, balance, transaction: null };
  if (!signs) return { ...shown, state: "shown" };
  await writeDelegation(file, at, await sign(await entry.open()), replaces);
  return { ...shown, state: "signed" };
}

/** Sends what a holder has signed; a wallet of the place pays the gas. */
export async function submitFile(
  place: Place,
  shares: Address,
  request: {
    readonly file: string;
    readonly sends: boolean;
    readonly maxFee: number;
    readonly state?: string | undefined;
    readonly coordinator?: string | undefined;
  },
): Promise<DelegationOutcome> {
  const { file, sends } = request;
  const { signature, ...signed } = await readDelegation(file, { connection: place.connection, shares });
  const account = signed.delegator;
  const balance = await place.connection.call((client) => balanceOf(client, { shares, account }));
  const shown = { ...signed, file, shares, balance, transaction: null };
  if (!sends) return { ...shown, state: "shown" };
  const [sender] = requireEntries(place, request);
  const client = await signingAs(place, sender!, request);
  const { receipt } = await delegateBySig.sync(client, { shares, delegation: signed, signature });
  return { ...shown, state: "sent", transaction: receipt.transactionHash };
}
