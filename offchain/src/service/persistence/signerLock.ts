/**
 * A key signs in one process of a machine, whatever directories there are: two journals of one key know nothing of each other, and
 * what is signed by both may contradict itself. The lock lies beside the wallet, by the key's address.
 */
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import Sqlite from "better-sqlite3";

import { type Clock, systemClock, UserError } from "../../base/index.ts";
import { type FileLock, holderOf, tryLock } from "./lock.ts";

const PREFIX = "signer-";

export interface SignerLock {
  /** The key has signed on this machine before: the lock's file was there. */
  readonly usedBefore: boolean;
  /** Lets go; harmless when called again. */
  release(): void;
}

export interface SignerLockOptions {
  readonly clock?: Clock;
  /** How long to wait for another process, ms: one that was told to end may still be ending. Default 5,000. */
  readonly wait?: number;
}

/** Whether a file beside wallets is such a lock, or belongs to one. */
export const isSignerLock = (file: string): boolean => basename(file).startsWith(PREFIX);

/** Where the lock of a key lies; what else is kept of the key there has a name that begins with it. */
export const signerFile = (wallet: string, address: string): string =>
  join(dirname(resolve(wallet)), `${PREFIX}${address.toLowerCase()}`);

/**
 * Takes the lock for as long as this process lives.
 * @param wallet path of the keystore
 * @param address the key's
 * @returns undefined where nothing can be written beside the wallet
 * @throws UserError `KEY_IN_USE`
 */
export async function lockSigner(
  wallet: string,
  address: string,
  { clock = systemClock, wait = 5_000 }: SignerLockOptions = {},
): Promise<SignerLock | undefined> {
  const file = signerFile(wallet, address);
  const usedBefore = existsSync(file);
  const deadline = clock.monotonic() + wait;
  for (;;) {
    let lock: FileLock | undefined;
    try {
      lock = tryLock(file);
    } catch (error) {
      if (error instanceof Sqlite.SqliteError || error instanceof TypeError) return undefined;
      throw error;
    }
    if (lock) {
      const held = lock;
      return { usedBefore, release: () => held.release() };
    }
    if (clock.monotonic() >= deadline) {
      const pid = holderOf(file);
      throw new UserError(
        "KEY_IN_USE",
        `The key ${address} signs in another process of this machine${pid === undefined ? "" : ` (pid ${pid})`}, with a journal of its own, and two journals may contradict each other: stop that one first, or use another key.`,
        { details: { file } },
      );
    }
    await clock.sleep(50);
  }
}
