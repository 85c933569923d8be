import type crypto from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { chmod, readFile, rm, stat, writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import { dirname, join } from "node:path";
import { encryptKeystoreJson, Wallet } from "ethers";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { expect, onTestFinished, test, vi } from "vitest";

import {
  ensureKeystore,
  openKeystore,
  SCRYPT_N_STANDARD,
} from "../../../../offchain/src/service/persistence/keystore.ts";
import { temporaryDirectory } from "../support.ts";

/** What another process does after somebody saw no passphrase, and before there is one. */
const another = vi.hoisted(() => ({ does: undefined as (() => void) | undefined }));

vi.mock("node:crypto", async (original) => {
  const real = await original<typeof crypto>();
  const randomBytes = (size: number): Buffer => {
    if (size === 32) another.does?.();
    return real.randomBytes(size);
  };
  return { ...real, randomBytes };
});

async function paths(): Promise<{ keystore: string; passphrase: string }> {
  const directory = await temporaryDirectory();
  return { keystore: join(directory, "keys", "worker.json"), passphrase: join(directory, "keys", "passphrase") };
}

test("a key comes back, from files that only their owner can read", async () => {
  const files = await paths();
  const created = await ensureKeystore({ ...files, scryptN: 2 });
  const opened = await openKeystore(files);
  expect(opened.address).toBe(created.address);
  expect(await opened.signMessage({ message: "x" })).toBe(await created.signMessage({ message: "x" }));
  for (const file of Object.values(files)) expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("it is a V3 keystore that other wallets open, and theirs open here", async () => {
  const files = await paths();
  const privateKey = generatePrivateKey();
  await ensureKeystore({ ...files, scryptN: 4, privateKey });
  const json = await readFile(files.keystore, "utf8");
  const passphrase = (await readFile(files.passphrase, "utf8")).trim();
  expect((await Wallet.fromEncryptedJson(json, passphrase)).privateKey).toBe(privateKey);
  expect(JSON.parse(json)).toMatchObject({ version: 3, Crypto: { kdf: "scrypt", kdfparams: { n: 4 } } });
  expect(json.toLowerCase()).not.toContain(privateKey.slice(2));
});

test("the standard cost works too", async () => {
  const files = await paths();
  const { address } = await ensureKeystore({ ...files, scryptN: SCRYPT_N_STANDARD });
  expect((await openKeystore(files)).address).toBe(address);
});

test("an existing key is opened, never replaced", async () => {
  const files = await paths();
  const first = await ensureKeystore({ ...files, scryptN: 2 });
  expect((await ensureKeystore({ ...files, scryptN: 2 })).address).toBe(first.address);
});

test("of two that make a keystore at once both have the key that is on the disk", async () => {
  const files = await paths();
  const both = await Promise.all([1, 2].map(() => ensureKeystore({ ...files, scryptN: 2 })));
  const { address } = await openKeystore(files);
  expect(both.map((account) => account.address)).toEqual([address, address]);
});

test("a passphrase that another makes meanwhile stays, and opens what is made beside it", async () => {
  const files = await paths();
  onTestFinished(() => void (another.does = undefined));
  another.does = () => {
    mkdirSync(dirname(files.passphrase), { recursive: true });
    writeFileSync(files.passphrase, "theirs\n", { mode: 0o600 });
  };
  const { address } = await ensureKeystore({ ...files, scryptN: 2 });
  expect(await readFile(files.passphrase, "utf8")).toBe("theirs\n");
  expect((await openKeystore(files)).address).toBe(address);
});

test.each(["keystore", "passphrase"] as const)(
  "an empty %s is another's, who makes it now or ended then",
  async (which) => {
    const files = await paths();
    mkdirSync(dirname(files[which]), { recursive: true });
    writeFileSync(files[which], "", { mode: 0o600 });
    await expect(ensureKeystore({ ...files, scryptN: 2 })).rejects.toMatchObject({
      code: "KEYSTORE_UNFINISHED",
      retryable: true,
      message: expect.stringContaining(`${files[which]} is empty: another process makes it now`),
    });
    await rm(files[which]);
    await ensureKeystore({ ...files, scryptN: 2 });
  },
);

test.each(["keystore", "passphrase"] as const)(
  "a %s that others can read is refused with the command that mends it",
  async (which) => {
    const files = await paths();
    await ensureKeystore({ ...files, scryptN: 2 });
    await chmod(files[which], 0o644);
    await expect(openKeystore(files)).rejects.toMatchObject({
      code: "KEYSTORE_PERMISSIONS",
      message: `${files[which]} can be read by other users (mode 0644): run "chmod 600 ${files[which]}".`,
    });
  },
);

test("a wrong passphrase is one sentence, without the passphrase or the key in any part of the error", async () => {
  const files = await paths();
  await ensureKeystore({ ...files, scryptN: 2 });
  await writeFile(files.passphrase, "not-the-one\n");
  const error = await openKeystore(files).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: "UserError", code: "KEYSTORE_PASSPHRASE" });
  expect(inspect(error, { depth: 10 })).not.toContain("not-the-one");
  await writeFile(files.passphrase, "\n");
  await expect(openKeystore(files)).rejects.toMatchObject({ code: "KEYSTORE_PASSPHRASE" });
});

test.each([
  ["cut short", (json: string) => json.slice(0, 100)],
  ["no keystore", () => '{"hello":"world"}'],
  ["of version 1", (json: string) => json.replace('"version":3', '"version":1')],
  ["without its ciphertext", (json: string) => json.replace(/"ciphertext":"[0-9a-f]+"/, '"ciphertext":"zz"')],
  ["asking for a terabyte", (json: string) => json.replace('"n":2,', '"n":1073741824,')],
])("a keystore that is %s is refused", async (_what, damage) => {
  const files = await paths();
  await ensureKeystore({ ...files, scryptN: 2 });
  await writeFile(files.keystore, damage(await readFile(files.keystore, "utf8")));
  await expect(openKeystore(files)).rejects.toMatchObject({
    name: "UserError",
    code: "KEYSTORE_CORRUPTED",
    message: expect.stringContaining(files.keystore) as string,
  });
});

test("a missing one is named", async () => {
  const files = await paths();
  await expect(openKeystore(files)).rejects.toMatchObject({
    code: "FILE_UNREADABLE",
    message: `${files.keystore} does not exist.`,
  });
});

test("a given key is the one that is kept", async () => {
  const files = await paths();
  const privateKey = generatePrivateKey();
  expect((await ensureKeystore({ ...files, scryptN: 2, privateKey })).address).toBe(
    privateKeyToAccount(privateKey).address,
  );
});

// foundation 8
test.each([
  ["scrypt", "lanes", { n: 2, r: 8, p: 17 }],
  ["Scrypt", "lanes, in capitals", { n: 2, r: 8, p: 17, c: 1 }],
  ["scrypt", "memory", { n: 2 ** 20, r: 9, p: 1 }],
  ["pbkdf2", "rounds", { c: 10_000_001, prf: "hmac-sha256" }],
  ["argon2", "what is not known", { n: 2, r: 8, p: 1, c: 1 }],
])("a whole keystore of %s that asks for too much (%s) is refused before anything is derived", async (kdf, _, asks) => {
  const files = await paths();
  await ensureKeystore({ ...files, scryptN: 2 });
  const whole = JSON.parse(await readFile(files.keystore, "utf8")) as { Crypto: object };
  const crypto = { ...whole.Crypto, kdf, kdfparams: { ...asks, dklen: 32, salt: "00".repeat(32) } };
  await writeFile(files.keystore, JSON.stringify({ ...whole, Crypto: crypto }));
  // Derived, the key would be another one than the passphrase's.
  await expect(openKeystore(files)).rejects.toMatchObject({ code: "KEYSTORE_CORRUPTED" });
});

test("a keystore of pbkdf2 is read as far as its rounds are affordable", async () => {
  const files = await paths();
  await ensureKeystore({ ...files, scryptN: 2 });
  const whole = JSON.parse(await readFile(files.keystore, "utf8")) as { Crypto: object };
  const kdfparams = { c: 4, prf: "hmac-sha256", dklen: 32, salt: "00".repeat(32) };
  await writeFile(files.keystore, JSON.stringify({ ...whole, Crypto: { ...whole.Crypto, kdf: "pbkdf2", kdfparams } }));
  // It was derived: the key is another one than that of the keystore's scrypt.
  await expect(openKeystore(files)).rejects.toMatchObject({ code: "KEYSTORE_PASSPHRASE" });
});

// foundation 8
test("a keystore that another program made opens with up to sixteen lanes of scrypt", async () => {
  const files = await paths();
  await ensureKeystore({ ...files, scryptN: 2 });
  const passphrase = (await readFile(files.passphrase, "utf8")).trim();
  const privateKey = generatePrivateKey();
  const { address } = privateKeyToAccount(privateKey);
  const withLanes = async (p: number): Promise<string> => {
    const json = await encryptKeystoreJson({ address, privateKey }, passphrase, { scrypt: { N: 2, r: 8, p } });
    await writeFile(files.keystore, json);
    return openKeystore(files).then(
      (opened) => opened.address,
      (error: { code: string }) => error.code,
    );
  };
  expect(await withLanes(16)).toBe(address);
  expect(await withLanes(17)).toBe("KEYSTORE_CORRUPTED");
});
