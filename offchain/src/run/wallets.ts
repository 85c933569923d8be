/** The wallets of a local run: one encrypted keystore for each role under `.cotrain/keys`. */
import { existsSync } from "node:fs";
import { join } from "node:path";

import type { PrivateKeyAccount } from "viem/accounts";

import { type Clock, systemClock, UserError, withRemedy } from "../base/index.ts";
import {
  ensureKeystore,
  openKeystore,
  openRoleDirectory,
  openStateDirectory,
  SCRYPT_N_LOCAL,
  SCRYPT_N_STANDARD,
  type StateDirectory,
} from "../service/index.ts";

/**
 * `organiser`, `poster`, `validator-1` …, `worker-1` …, who contributes capital and code: `buyer`, `author`,
 * who pays revenue: `customer`, and in a session that shows a dispute who is paid by a false root, and who disputes it.
 */
export type Role =
  | "organiser"
  | "poster"
  | ValidatorRole
  | WorkerRole
  | "buyer"
  | "author"
  | "customer"
  | "thief"
  | "watcher";
type WorkerRole = `worker-${number}`;
type ValidatorRole = `validator-${number}`;

export const isWorkerRole = (role: string): role is WorkerRole => /^worker-\d+$/.test(role);
/** Who contributes work, capital or code, and owns shares for it. */
export const isOwnerRole = (role: string): role is WorkerRole | "buyer" | "author" =>
  isWorkerRole(role) || role === "buyer" || role === "author";
export const isValidatorRole = (role: string): role is ValidatorRole => /^validator-\d+$/.test(role);

/** Keystore of a role's wallet. */
export const walletFile = (state: string, role: string): string => join(state, "keys", `${role}.json`);

const keystorePaths = (state: string, role: string) => ({
  keystore: walletFile(state, role),
  passphrase: join(state, "keys", "passphrase"),
});

/** Opens or makes a role's wallet. Local keys guard play money, so that opening them may be quick. */
export const ensureWallet = (state: string, role: Role, local: boolean): Promise<PrivateKeyAccount> =>
  ensureKeystore({ ...keystorePaths(state, role), scryptN: local ? SCRYPT_N_LOCAL : SCRYPT_N_STANDARD });

export const openWallet = (state: string, role: Role): Promise<PrivateKeyAccount> =>
  openKeystore(keystorePaths(state, role));

/**
 * The wallet that the flags name, undefined when they name none.
 * @throws UserError `WALLET_INCOMPLETE` for one flag without the other, and as the keystore
 */
export async function namedWallet(flags: {
  readonly wallet?: string | undefined;
  readonly passphraseFile?: string | undefined;
}): Promise<PrivateKeyAccount | undefined> {
  const { wallet, passphraseFile } = flags;
  if ((wallet === undefined) !== (passphraseFile === undefined))
    throw new UserError("WALLET_INCOMPLETE", "--wallet and --passphrase-file belong together: name both or none.");
  if (!wallet || !passphraseFile) return undefined;
  const remedy = "name an encrypted keystore with --wallet, and the file of its passphrase with --passphrase-file";
  return openKeystore({ keystore: wallet, passphrase: passphraseFile }).catch(withRemedy(remedy, "FILE_UNREADABLE"));
}

/** A daemon's state directory, locked until it is closed, and the account that it works with. */
export interface Workplace {
  readonly directory: StateDirectory;
  readonly account: PrivateKeyAccount;
  /** Keystore of the account; undefined for one that was named. */
  readonly wallet: string | undefined;
  /** It was made just now, so that it has signed nothing. */
  readonly isNew: boolean;
}

/**
 * Opens the state directory of a daemon. Without a role or a named account it keeps a wallet of its own there, which is made
 * under the lock: of two that begin at once, one works.
 * @param state with a role the tree's root, whose sub-directory of that name is the daemon's
 * @throws as the state directory and the keystore
 */
export async function openWorkplace(
  state: string,
  {
    role,
    named,
    clock = systemClock,
  }: { role?: string | undefined; named?: PrivateKeyAccount | undefined; clock?: Clock },
): Promise<Workplace> {
  if (role !== undefined) {
    const account = await openWallet(state, role as Role);
    const directory = await openRoleDirectory(state, role, { create: true, clock });
    return { account, directory, wallet: walletFile(state, role), isNew: false };
  }
  const directory = await openStateDirectory(state, { create: true, lockWait: 5_000, clock });
  try {
    if (named) return { directory, account: named, wallet: undefined, isNew: false };
    const [wallet, passphrase] = [directory.resolve("wallet.json"), directory.resolve("passphrase")];
    const isNew = !existsSync(wallet);
    const account = await ensureKeystore({ keystore: wallet, passphrase, scryptN: SCRYPT_N_STANDARD });
    return { directory, account, wallet, isNew };
  } catch (error) {
    directory.close();
    throw error;
  }
}
