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
const remedyOf = (begin: string): string =>
  `move it and what lies beside it under its name away, and ${begin} (a new journal signs nothing about what was anchored before it); put no older copy in its place, which would sign again, and perhaps otherwise`;
const DAEMON_REMEDY = remedyOf("start again without --first");
const HAND_REMEDY = remedyOf("sign with --lost once, without --first");

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

const open = (file: string, remedy: string): Promise<Journal> =>
  openDatabase<StatementSchema>(file, statementMigrations, { remedy });

const inDirectory = (directory: string): string => join(directory, "statements.sqlite");
const besideWallet = ({ wallet, account }: JournalKey): string => `${signerFile(wallet, account)}.statements.sqlite`;

/** Since when a key has a journal: by the chain, since a machine's clock may have been wrong, and within a block by that. */
interface Begun {
  readonly block: number;
  readonly notedAt: number;
}

const isLater = (one: Begun, other: Begun): boolean =>
  one.block === other.block ? one.notedAt > other.notedAt : one.block > other.block;

/** Undefined where it is another key's. */
async function begunAt({ kysely }: Journal, account: string): Promise<Begun | undefined> {
  const db: Kysely<StatementSchema> = kysely;
  const row = await db
    .selectFrom("births")
    .select(["block", "noted_at"])
    .where("account", "=", account.toLowerCase())
    .executeTakeFirst();
  // One that knows of all signatures bars no block.
  return row && { block: row.block ?? -1, notedAt: row.noted_at };
}

/**
 * The journal that a key goes on with: of those of its directory and beside its wallet the one that was begun last. Where one was said
 * to be lost and is there again, it does not know what was signed since.
 */
async function openNewest(key: JournalKey, remedy: string): Promise<Journal | undefined> {
  let newest: { readonly journal: Journal; readonly begun: Begun } | undefined;
  for (const file of [...(key.directory === undefined ? [] : [inDirectory(key.directory)]), besideWallet(key)]) {
    if (!existsSync(file)) continue;
    const journal = await open(file, remedy).catch(async (error: unknown) => {
      await newest?.journal.close();
      throw error;
    });
    const begun = await begunAt(journal, key.account);
    if (begun === undefined || (newest && !isLater(begun, newest.begun))) await journal.close();
    else {
      await newest?.journal.close();
      newest = { journal, begun };
    }
  }
  return newest?.journal;
}

/** The journal of a validator's process: the one that its key goes on with, or a new one of its directory. */
export async function openDaemonJournal(key: JournalKey & { readonly directory: string }): Promise<Journal> {
  return (await openNewest(key, DAEMON_REMEDY)) ?? open(inDirectory(key.directory), DAEMON_REMEDY);
}

/** Where the journal of a key that has signed before was looked for in vain, and what there is to do. */
const elsewhere = ({ account, wallet, directory }: JournalKey): string => {
  const there = directory === undefined ? "a directory that is named" : directory;
  const missing = directory === undefined || existsSync(directory) ? "" : ", which is not there";
  return `The key ${account} has signed on this machine, and its journal of signatures is neither beside ${wallet} nor in ${there}${missing}: name the directory of its validator with --state, or where that journal is nowhere any more sign with --lost, which begins a new one that signs nothing about a block before now.`;
};

/** @throws UserError `JOURNAL_ELSEWHERE` where the key has signed on this machine, its journal is not found, and nobody says that it is lost */
async function openHandJournal(key: SignedByHand, lock: SignerLock | undefined): Promise<Journal> {
  const known = await openNewest(key, HAND_REMEDY);
  if (known) return known;
  if (lock?.usedBefore && !key.lost && !existsSync(besideWallet(key)))
    throw new UserError("JOURNAL_ELSEWHERE", elsewhere(key));
  return open(besideWallet(key), HAND_REMEDY);
}

export interface SignedByHand extends JournalKey {
  /** Its operator says that the key has never signed for this model; counts where the journal is new. */
  readonly first: boolean;
  /** Its operator says that the journal of a key which has signed before is lost: a new one begins now. Default false. */
  readonly lost?: boolean | undefined;
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
