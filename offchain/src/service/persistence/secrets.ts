/**
 * Secrets by name at rest: one file, encrypted as a whole with AES-256-GCM under a key that scrypt derives from the passphrase file
 * of the keystores (keystore.ts), both readable by their owner alone. Whoever has the file alone learns how long it is.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { existsSync } from "node:fs";

import { type Static, Type } from "typebox";

import { RetryableError, UserError } from "../../base/index.ts";
import { makeDirectories, writeFileDurable } from "../../base/node/index.ts";
import { dirname } from "node:path";
import { findMiss } from "../settings/index.ts";
import { ensurePassphrase, readPassphrase, readPrivate, SCRYPT_N_STANDARD } from "./keystore.ts";
import { tryLock } from "./lock.ts";

export interface SecretsPaths {
  readonly file: string;
  /** File that holds the passphrase. */
  readonly passphrase: string;
  /** Cost of guessing for what is written: scrypt's N, default {@link SCRYPT_N_STANDARD}. */
  readonly scryptN?: number;
}

/** Hexadecimal digits, so that the file is within the bound of keystores. */
const MAX_TEXT = 60_000;

/** scrypt's N: with 8 blocks a gigabyte. */
const MAX_COST = 1 << 20;

const hex = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${bytes * 2}}$` });
const SecretsFile = Type.Object(
  {
    version: Type.Literal(1),
    /** scrypt's N, so that it can grow. */
    cost: Type.Integer({ minimum: 2, maximum: MAX_COST }),
    salt: hex(32),
    nonce: hex(12),
    tag: hex(16),
    text: Type.String({ pattern: "^([0-9a-f]{2})*$", maxLength: MAX_TEXT }),
  },
  { additionalProperties: false },
);
/** What a name and a secret may be. */
const isFit = (secrets: Readonly<Record<string, unknown>>): secrets is Record<string, string> =>
  Object.entries(secrets).every(
    ([name, secret]) =>
      /^[\w./-]{1,60}$/.test(name) && typeof secret === "string" && secret !== "" && secret.length <= 4_096,
  );

const CIPHER = "aes-256-gcm";

const deriveKey = (passphrase: string, salt: Buffer, N: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * MAX_COST }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });

const corrupted = (file: string): UserError =>
  new UserError("KEYSTORE_CORRUPTED", `${file} is no readable file of keys: restore it from a copy.`);

function parsed(file: string, json: string): Static<typeof SecretsFile> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw corrupted(file);
  }
  if (findMiss(SecretsFile, value) !== undefined) throw corrupted(file);
  return value as Static<typeof SecretsFile>;
}

/**
 * The secrets of a file; none where there is no file.
 * @throws UserError `KEYSTORE_PERMISSIONS` (readable by others), `KEYSTORE_PASSPHRASE`, `KEYSTORE_CORRUPTED`, `FILE_UNREADABLE`
 */
export async function readSecrets({ file, passphrase }: SecretsPaths): Promise<ReadonlyMap<string, string>> {
  if (!existsSync(file)) return new Map();
  const { cost, salt, nonce, tag, text } = parsed(file, await readPrivate(file));
  const words = await readPassphrase(passphrase);
  const key = await deriveKey(words, Buffer.from(salt, "hex"), cost).catch(() => {
    throw corrupted(file);
  });
  const decipher = createDecipheriv(CIPHER, key, Buffer.from(nonce, "hex")).setAuthTag(Buffer.from(tag, "hex"));
  let plain: unknown;
  try {
    plain = JSON.parse(Buffer.concat([decipher.update(text, "hex"), decipher.final()]).toString());
  } catch {
    // A wrong passphrase and a changed file look the same. No cause: it may quote what was read.
    throw new UserError(
      "KEYSTORE_PASSPHRASE",
      `${file} does not open with the passphrase in ${passphrase}, or was changed.`,
    );
  }
  if (typeof plain !== "object" || plain === null || !isFit({ ...plain })) throw corrupted(file);
  return new Map(Object.entries(plain));
}

async function writeSecrets(
  { file, passphrase, scryptN = SCRYPT_N_STANDARD }: SecretsPaths,
  secrets: ReadonlyMap<string, string>,
): Promise<void> {
  const [salt, nonce] = [randomBytes(32), randomBytes(12)];
  const key = await deriveKey(await readPassphrase(passphrase), salt, scryptN);
  const cipher = createCipheriv(CIPHER, key, nonce);
  const text = cipher.update(JSON.stringify(Object.fromEntries(secrets)), "utf8", "hex") + cipher.final("hex");
  if (text.length > MAX_TEXT) throw new UserError("SECRETS_FORM", `${file} holds no more keys: remove some.`);
  const box = {
    version: 1,
    cost: scryptN,
    salt: salt.toString("hex"),
    nonce: nonce.toString("hex"),
    tag: cipher.getAuthTag().toString("hex"),
    text,
  };
  await writeFileDurable(file, `${JSON.stringify(box)}\n`, { mode: 0o600 });
}

/**
 * Changes the secrets of a file, made before with its passphrase file if there was none. Of two that change it at once one does.
 * @throws as {@link readSecrets}; RetryableError `SECRETS_LOCKED`; UserError `SECRETS_FORM`, `PATH_UNWRITABLE`
 */
export async function changeSecrets(
  paths: SecretsPaths,
  change: (secrets: Map<string, string>) => void,
): Promise<void> {
  makeDirectories(dirname(paths.file), 0o700);
  const lock = tryLock(`${paths.file}.lock`);
  if (lock === undefined)
    throw new RetryableError("SECRETS_LOCKED", `${paths.file} is being changed by another process. Try again.`);
  try {
    if (!existsSync(paths.file)) await ensurePassphrase(paths.passphrase);
    const secrets = new Map(await readSecrets(paths));
    change(secrets);
    if (!isFit(Object.fromEntries(secrets)))
      throw new UserError("SECRETS_FORM", "A key has 1 to 4,096 characters, its name 1 to 60 letters and digits.");
    await writeSecrets(paths, secrets);
  } finally {
    lock.release();
  }
}
