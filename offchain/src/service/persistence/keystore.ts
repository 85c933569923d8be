/**
 * Keys at rest: an encrypted V3 keystore (Web3 Secret Storage, https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage/)
 * and a passphrase file, both readable by their owner alone. No key and no passphrase is ever an argument of a process, a line
 * of a log or part of an error.
 */
import { randomBytes, scrypt } from "node:crypto";
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";

import type { Hex } from "viem";
import { generatePrivateKey, privateKeyToAccount, type PrivateKeyAccount } from "viem/accounts";

import { RetryableError, UserError } from "../../base/index.ts";
import { readFileBounded, writeFileOnce } from "../../base/node/index.ts";

/** scrypt's N for keys of a local network, which are worth nothing: opening takes milliseconds. */
export const SCRYPT_N_LOCAL = 4_096;
/** scrypt's N for keys that are worth something. */
export const SCRYPT_N_STANDARD = 131_072;

const MAX_KEYSTORE_BYTES = 64 << 10;
/** A keystore names its own N, r and p; more than this would be an attack on memory (128 × N × r bytes). */
const MAX_SCRYPT_BYTES = 1 << 30;
const MAX_SCRYPT_LANES = 16;
const MAX_PBKDF2_ROUNDS = 10_000_000;

/** What reads and writes the format is large, and most commands open no key. */
async function loadFormat() {
  const { decryptKeystoreJson, encryptKeystoreJson, scrypt: ethersScrypt } = await import("ethers");
  // OpenSSL's scrypt off the main thread instead of ethers' JavaScript one: 131,072 takes 0.4 s and not several.
  ethersScrypt.register(
    (password, salt, N, r, p, length) =>
      new Promise((resolve, reject) => {
        scrypt(password, salt, length, { N, r, p, maxmem: 2 * MAX_SCRYPT_BYTES }, (error, key) => {
          if (error) reject(error);
          else resolve(`0x${key.toString("hex")}`);
        });
      }),
  );
  return { decryptKeystoreJson, encryptKeystoreJson };
}

export interface KeystorePaths {
  readonly keystore: string;
  readonly passphrase: string;
}

export interface KeystoreOptions extends KeystorePaths {
  /** Cost of guessing: {@link SCRYPT_N_LOCAL} or {@link SCRYPT_N_STANDARD}. */
  readonly scryptN: number;
  /** A key to keep; default a new one from the system's randomness. */
  readonly privateKey?: Hex;
}

/** An empty file is what a process leaves that ended while it made one, where there are no hard links. */
const isWritten = async (path: string): Promise<boolean> => existsSync(path) && (await stat(path)).size > 0;

/** Makes a file unless there is one, which whoever was first has made. @throws RetryableError `KEYSTORE_UNFINISHED` */
async function makeOnce(path: string, text: () => Promise<string>): Promise<void> {
  if (await isWritten(path)) return;
  if ((await writeFileOnce(path, `${await text()}\n`, { mode: 0o600 })) || (await isWritten(path))) return;
  throw new RetryableError(
    "KEYSTORE_UNFINISHED",
    `${path} is empty: another process makes it now, or one ended while it did. Try again; if no other runs, remove it first.`,
  );
}

/** Makes a passphrase file of 32 random bytes in hex, unless there is one. @throws as {@link ensureKeystore} */
export const ensurePassphrase = (path: string): Promise<void> =>
  makeOnce(path, async () => randomBytes(32).toString("hex"));

/** The passphrase comes first, and is that of whoever made it first. */
async function makeKeystore(options: KeystoreOptions): Promise<void> {
  const { keystore, passphrase, privateKey = generatePrivateKey(), scryptN: N } = options;
  await ensurePassphrase(passphrase);
  const { address } = privateKeyToAccount(privateKey);
  const { encryptKeystoreJson } = await loadFormat();
  await makeOnce(keystore, async () =>
    encryptKeystoreJson({ address, privateKey }, await readPassphrase(passphrase), { scrypt: { N } }),
  );
}

/**
 * Opens a keystore.
 * @throws UserError `FILE_UNREADABLE`, `KEYSTORE_PERMISSIONS` (readable by others), `KEYSTORE_PASSPHRASE`, `KEYSTORE_CORRUPTED`
 */
export async function openKeystore(paths: KeystorePaths): Promise<PrivateKeyAccount> {
  const json = await readPrivate(paths.keystore);
  checkForm(paths.keystore, json);
  const passphrase = await readPassphrase(paths.passphrase);
  const { decryptKeystoreJson } = await loadFormat();
  let opened: { address: string; privateKey: string };
  try {
    opened = await decryptKeystoreJson(json, passphrase);
  } catch (error) {
    // No cause: ethers' error quotes its arguments.
    if (error instanceof Error && error.message.includes("incorrect password")) {
      throw new UserError(
        "KEYSTORE_PASSPHRASE",
        `${paths.keystore} does not open with the passphrase in ${paths.passphrase}.`,
      );
    }
    throw corrupted(paths.keystore);
  }
  return privateKeyToAccount(opened.privateKey as Hex);
}

/**
 * Opens the keystore that is on the disk, made before if there was none, and so its passphrase file (32 random bytes in hex):
 * a key that nobody keeps is never used, and nothing is ever overwritten.
 * @throws as {@link openKeystore}; UserError `PATH_UNWRITABLE`; RetryableError `KEYSTORE_UNFINISHED`
 */
export async function ensureKeystore(options: KeystoreOptions): Promise<PrivateKeyAccount> {
  if (!(await isWritten(options.keystore))) await makeKeystore(options);
  return openKeystore(options);
}

function corrupted(file: string): UserError {
  return new UserError("KEYSTORE_CORRUPTED", `${file} is not a readable V3 keystore: restore it from a copy.`);
}

/** A field by its name in lower case: the format's keys are written in either case ("Crypto" by old geth). */
function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key.toLowerCase() === name)?.[1];
}

/** Refuses, before anything is derived, what is no V3 keystore, or one that would take more memory or time than any honest one. */
function checkForm(file: string, json: string): void {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw corrupted(file);
  }
  const crypto = field(parsed, "crypto");
  const kdfParams = field(crypto, "kdfparams");
  if (field(parsed, "version") !== 3 || typeof kdfParams !== "object" || kdfParams === null) throw corrupted(file);
  // The wallets' libraries read the name in either case, and so does this check.
  const isAffordable = derivations.get(String(field(crypto, "kdf")).toLowerCase());
  if (!isAffordable?.(kdfParams)) throw corrupted(file);
}

/** Whether the parameters of a derivation of keys ask for no more memory and time than any honest keystore's. */
const derivations: ReadonlyMap<string, (params: object) => boolean> = new Map([
  [
    "scrypt",
    (params) => {
      const [n, r] = [field(params, "n"), field(params, "r")];
      const fits = typeof n === "number" && typeof r === "number" && 128 * n * r <= MAX_SCRYPT_BYTES;
      return fits && isCount(field(params, "p"), MAX_SCRYPT_LANES);
    },
  ],
  ["pbkdf2", (params) => isCount(field(params, "c"), MAX_PBKDF2_ROUNDS)],
]);

const isCount = (value: unknown, most: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= most;

/** @throws UserError `FILE_UNREADABLE`, `KEYSTORE_PERMISSIONS`, `KEYSTORE_PASSPHRASE` */
export async function readPassphrase(path: string): Promise<string> {
  const passphrase = (await readPrivate(path)).replace(/\r?\n$/, "");
  if (passphrase === "")
    throw new UserError("KEYSTORE_PASSPHRASE", `${path} is empty: it must hold the keystore's passphrase.`);
  return passphrase;
}

/** Reads a small file that nobody but its owner may read. @throws UserError `FILE_UNREADABLE`, `KEYSTORE_PERMISSIONS` */
export async function readPrivate(path: string): Promise<string> {
  const bytes = await readFileBounded(path, MAX_KEYSTORE_BYTES);
  if (process.platform !== "win32") {
    const mode = (await stat(path)).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new UserError(
        "KEYSTORE_PERMISSIONS",
        `${path} can be read by other users (mode ${mode.toString(8).padStart(4, "0")}): run "chmod 600 ${path}".`,
      );
    }
  }
  return new TextDecoder().decode(bytes);
}
