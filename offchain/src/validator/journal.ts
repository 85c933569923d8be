/**
 * A key's journal of signatures: where it lies, and that no other process of this machine has one of the key meanwhile. A validator's
 * process has it in its directory; who signs by hand takes the same one, or one beside the wallet, which that process goes on with.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { type Attestation, type Hex, toWire } from "@cotrain/sdk/protocol";
import type { Kysely } from "kysely";

import { UserError } from "../base/index.ts";
import { type Database, lockSigner, openDatabase, signerFile, type SignerLock } from "../service/index.ts";
import { birthOf, openStatements, statementMigrations, type StatementSchema } from "./statements.ts";

/** A journal is all that keeps its key from contradicting itself: to begin with an empty one unasked would cost the stake. */
const JOURNAL_REMEDY =
  "move it and what lies beside it under its name away, and start again without --first (a new journal signs nothing about what was anchored before it); put no older copy in its place, which would sign again, and perhaps otherwise";

type Journal = Database<StatementSchema>;

/** Whose journal it is. */
export interface JournalKey {
  /** The key's address. */
  readonly account: string;
  /** Path of its keystore. */
  readonly wallet: string;
  /** Directory of the validator's process; undefined where none is known. */
  readonly directory: string | undefined;
}

const open = (file: string): Promise<Journal> =>
  openDatabase<StatementSchema>(file, statementMigrations, { remedy: JOURNAL_REMEDY });

const inDirectory = (directory: string): string => join(directory, "statements.sqlite");
const besideWallet = ({ wallet, account }: JournalKey): string => `${signerFile(wallet, account)}.statements.sqlite`;

/** The journal of a validator's process: that of its directory, unless the key has one beside its wallet and the directory has none. */
export function openDaemonJournal(key: JournalKey & { readonly directory: string }): Promise<Journal> {
  const own = inDirectory(key.directory);
  return open(!existsSync(own) && existsSync(besideWallet(key)) ? besideWallet(key) : own);
}

/** Whether a key has signed by a journal, or was about to: one journal holds what one key signed. */
async function isOf({ kysely }: Journal, account: string): Promise<boolean> {
  const db: Kysely<StatementSchema> = kysely;
  const row = await db
    .selectFrom("births")
    .select("account")
    .where("account", "=", account.toLowerCase())
    .executeTakeFirst();
  return row !== undefined;
}

/** @throws UserError `JOURNAL_ELSEWHERE` where the key has signed on this machine, and its journal is not found */
async function openHandJournal(key: JournalKey, lock: SignerLock | undefined): Promise<Journal> {
  const own = key.directory === undefined ? undefined : inDirectory(key.directory);
  if (own !== undefined && existsSync(own)) {
    const journal = await open(own);
    if (await isOf(journal, key.account)) return journal;
    await journal.close();
  }
  if (lock?.usedBefore && !existsSync(besideWallet(key)))
    throw new UserError(
      "JOURNAL_ELSEWHERE",
      `The key ${key.account} has signed on this machine, and its journal of signatures is neither beside ${key.wallet} nor in ${key.directory ?? "a directory that is named"}: name the directory of its validator with --state.`,
    );
  return open(besideWallet(key));
}

export interface SignedByHand extends JournalKey {
  /** Its operator says that the key has never signed for this model; counts where the journal is new. */
  readonly first: boolean;
  /** The chain's newest block. */
  readonly tip: number;
}

/** What refuses a signature, in words of who signs by hand. */
function inWordsOfHands(error: unknown, { account }: JournalKey): unknown {
  if (!(error instanceof UserError)) return error;
  const say = (message: string): UserError =>
    new UserError(error.code, message, { cause: error, ...(error.details && { details: error.details }) });
  if (error.code === "KEY_IN_USE")
    return say(
      `The validator ${account} runs on this machine, and signs by itself each root of revenue that its coordinator publishes: stop it first to sign this one by hand.`,
    );
  if (error.code === "EQUIVOCATION_REFUSED")
    return say(
      `The validator ${account} has signed another root of the same epochs, block and deadline before, and two that contradict each other cost half of its stake: nothing is signed.`,
    );
  if (error.code === "BEFORE_JOURNAL")
    return say(`${error.message} Name another file to begin a root of a later block, or leave this one to the others.`);
  return error;
}

/**
 * Has a key sign an attestation as its validator's process would: written down before anybody sees it, and none that contradicts
 * another, while nobody else of this machine signs with the key.
 * @throws UserError `KEY_IN_USE`, `EQUIVOCATION_REFUSED`, `BEFORE_JOURNAL`, `JOURNAL_ELSEWHERE`; as `openDatabase`
 */
export async function attestByHand(
  key: SignedByHand,
  attestation: Attestation,
  sign: () => Promise<Hex>,
): Promise<Hex> {
  let lock: SignerLock | undefined;
  let journal: Journal | undefined;
  try {
    lock = await lockSigner(key.wallet, key.account);
    journal = await openHandJournal(key, lock);
    const { account, tip } = key;
    const first = key.first && lock?.usedBefore !== true;
    const born = await birthOf(journal, { account, first, tip: async () => ({ block: tip }) });
    return (await openStatements(journal, { born }).attestation(toWire("Attestation", attestation), sign)).signature;
  } catch (error) {
    throw inWordsOfHands(error, key);
  } finally {
    await journal?.close();
    lock?.release();
  }
}
