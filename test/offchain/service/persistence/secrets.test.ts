/** Secrets at rest: what opens them, and what of them a file shows. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import { join } from "node:path";

import { expect, test } from "vitest";

import { SCRYPT_N_STANDARD } from "../../../../offchain/src/service/persistence/keystore.ts";
import { tryLock } from "../../../../offchain/src/service/persistence/lock.ts";
import { changeSecrets, readSecrets, type SecretsPaths } from "../../../../offchain/src/service/persistence/secrets.ts";
import { temporaryDirectory } from "../support.ts";

const KEY = "a-key-that-nobody-may-see";

test("the cost of guessing is that of the keystores", async () => {
  const { scryptN: _, ...paths } = await kept();
  await changeSecrets(paths, (secrets) => void secrets.set("lambda", "x"));
  expect(JSON.parse(await readFile(paths.file, "utf8"))).toMatchObject({ cost: SCRYPT_N_STANDARD });
  expect((await readSecrets(paths)).size).toBe(2);
});

async function kept(): Promise<SecretsPaths & { readonly scryptN: number }> {
  const directory = await temporaryDirectory();
  const paths = {
    file: join(directory, "keys", "secrets.json"),
    passphrase: join(directory, "keys", "passphrase"),
    scryptN: 2,
  };
  await changeSecrets(paths, (secrets) => void secrets.set("vast", KEY));
  return paths;
}

const refusal = (paths: SecretsPaths): Promise<unknown> =>
  readSecrets(paths).then(
    () => undefined,
    (error: unknown) => error,
  );

test("they come back; without a file there are none; each write has a salt and a nonce of its own", async () => {
  const paths = await kept();
  const first = await readFile(paths.file, "utf8");
  expect(first).not.toContain("vast");
  await changeSecrets(paths, (secrets) => void secrets.set("lambda", "x"));
  expect(Object.fromEntries(await readSecrets(paths))).toEqual({ vast: KEY, lambda: "x" });
  const [before, after] = [first, await readFile(paths.file, "utf8")].map(
    (text) => JSON.parse(text) as Record<string, string>,
  );
  for (const field of ["salt", "nonce", "tag"]) expect(after?.[field]).not.toBe(before?.[field]);
  expect([...(await readSecrets({ ...paths, file: `${paths.file}.none` }))]).toEqual([]);
});

test("another passphrase or a changed file opens nothing, and the error shows nothing", async () => {
  const paths = await kept();
  const box = JSON.parse(await readFile(paths.file, "utf8")) as { text: string };
  // One bit of one letter of the key: it would still be a key.
  const bytes = Buffer.from(box.text, "hex");
  bytes[12] = (bytes[12] ?? 0) ^ 1;
  const flipped = bytes.toString("hex");
  await writeFile(paths.file, JSON.stringify({ ...box, text: flipped }));
  expect(await refusal(paths)).toMatchObject({ code: "KEYSTORE_PASSPHRASE" });
  await writeFile(paths.file, JSON.stringify(box));
  await writeFile(paths.passphrase, "another\n");
  const error = await refusal(paths);
  expect(error).toMatchObject({ code: "KEYSTORE_PASSPHRASE" });
  expect(inspect(error, { depth: 9 })).not.toContain(KEY);
  // What does not open is not overwritten.
  await expect(changeSecrets(paths, (secrets) => void secrets.set("vast", "y"))).rejects.toMatchObject({
    code: "KEYSTORE_PASSPHRASE",
  });
  expect(JSON.parse(await readFile(paths.file, "utf8"))).toEqual(box);
});

test.each([
  "",
  "{}",
  "[]",
  "null",
  '{"version":1,"cost":3,"salt":""}',
  '{"version":2,"salt":"","nonce":"","tag":"","text":""}',
  "x".repeat(70_000),
])("a file of %.20s is no file of keys", async (text) => {
  const paths = await kept();
  await writeFile(paths.file, text);
  expect(await refusal(paths)).toMatchObject({ code: expect.stringMatching(/^(KEYSTORE_CORRUPTED|FILE_TOO_LARGE)$/) });
});

test("a file that others can read is refused", async () => {
  const paths = await kept();
  await chmod(paths.file, 0o644);
  expect(await refusal(paths)).toMatchObject({ code: "KEYSTORE_PERMISSIONS" });
});

test("of two that change it at once one does; more than fits is refused and nothing is lost", async () => {
  const paths = await kept();
  const lock = tryLock(`${paths.file}.lock`);
  await expect(changeSecrets(paths, () => undefined)).rejects.toMatchObject({
    code: "SECRETS_LOCKED",
    retryable: true,
  });
  lock?.release();
  for (const many of [
    ["x", "y".repeat(5_000)],
    ["", "y"],
    ["z".repeat(61), "y"],
  ] as const)
    await expect(changeSecrets(paths, (secrets) => void secrets.set(many[0], many[1]))).rejects.toMatchObject({
      code: "SECRETS_FORM",
    });
  await expect(
    changeSecrets(paths, (secrets) => {
      for (let n = 0; n < 20; n++) secrets.set(`k${n}`, "y".repeat(4_000));
    }),
  ).rejects.toThrow("holds no more keys");
  expect(Object.fromEntries(await readSecrets(paths))).toEqual({ vast: KEY });
});
