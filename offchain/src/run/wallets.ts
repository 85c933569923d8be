/** The wallets of a local run: one encrypted keystore for each role under `.cotrain/keys`. */
import { join } from "node:path";

import type { PrivateKeyAccount } from "viem/accounts";

import { UserError, withRemedy } from "../base/index.ts";
import {
  ensureKeystore,
  openKeystore,
  openStateDirectory,
  SCRYPT_N_LOCAL,
  SCRYPT_N_STANDARD,
} from "../service/index.ts";

/** `organiser`, `poster`, `validator-1` …, `worker-1` …, and who contributes capital and code: `buyer`, `author`. */
export type Role = "organiser" | "poster" | ValidatorRole | WorkerRole | "buyer" | "author";
type WorkerRole = `worker-${number}`;
type ValidatorRole = `validator-${number}`;

export const isWorkerRole = (role: string): role is WorkerRole => /^worker-\d+$/.test(role);
/** Who contributes work, capital or code, and owns shares for it. */
export const isOwnerRole = (role: string): role is WorkerRole | "buyer" | "author" =>
  isWorkerRole(role) || role === "buyer" || role === "author";
export const isValidatorRole = (role: string): role is ValidatorRole => /^validator-\d+$/.test(role);

/** Keystore of a role's wallet. */
export const walletFile = (state: string, role: string): string => join(state, "keys", `${role}.json`);
/** Keystore of the wallet that a daemon keeps in its own state directory. */
export const ownWalletFile = (state: string): string => join(state, "wallet.json");

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

/** The wallet that a daemon keeps in its own state directory, which is stamped as ours before anything is written to it. */
export async function ensureOwnWallet(state: string): Promise<PrivateKeyAccount> {
  (await openStateDirectory(state, { create: true, lockWait: 5_000 })).close();
  return ensureKeystore({
    keystore: ownWalletFile(state),
    passphrase: join(state, "passphrase"),
    scryptN: SCRYPT_N_STANDARD,
  });
}
