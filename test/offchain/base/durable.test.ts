/** Durable writes where the system refuses a step, and files that are made once. */
import type files from "node:fs/promises";
import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { writeFileDurable, writeFileOnce } from "../../../offchain/src/base/node/index.ts";

/** What the system says to a hard link, and to who opens a directory. */
const refused = vi.hoisted(() => ({
  link: undefined as string | undefined,
  directory: undefined as string | undefined,
  /** Comes before a lock is taken, and once somebody who has it has looked at a file. */
  atLock: undefined as (() => Promise<void>) | undefined,
  locked: undefined as (() => Promise<void>) | undefined,
  unless: async <T>(code: string | undefined, work: () => Promise<T>): Promise<T> => {
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    return work();
  },
}));

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof files>();
  return {
    ...real,
    lstat: async (path: string) => {
      const found = await real.lstat(path);
      const { locked } = refused;
      if (locked && (await real.readdir(dirname(path))).includes(`${basename(path)}.making`)) {
        refused.locked = undefined;
        await locked();
      }
      return found;
    },
    link: (from: string, to: string) => refused.unless(refused.link, () => real.link(from, to)),
    open: async (path: string, flags: string, mode?: number) => {
      if (path.endsWith(".making")) await refused.atLock?.();
      return refused.unless(flags === "r" ? refused.directory : undefined, () => real.open(path, flags, mode));
    },
  };
});

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-durable-"));
  file = join(directory, "file");
  Object.assign(refused, { link: undefined, directory: undefined, atLock: undefined, locked: undefined });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test("a file that cannot be flushed into its directory leaves what was there", async () => {
  await writeFile(file, "old");
  refused.directory = "EACCES";
  await expect(writeFileDurable(file, "new")).rejects.toMatchObject({ code: "PATH_UNWRITABLE" });
  expect(await readFile(file, "utf8")).toBe("old");
  expect(await readdir(directory)).toEqual(["file"]);
});

test.each([
  ["with hard links", undefined],
  ["without", "EPERM"],
])("of several that make a file at once one does, on a file system %s", async (_, code) => {
  refused.link = code;
  const texts = ["one", "two", "three"];
  const made = await Promise.all(texts.map((text) => writeFileOnce(file, text, { mode: 0o600 })));
  expect(made.filter(Boolean)).toHaveLength(1);
  expect(await readFile(file, "utf8")).toBe(texts[made.indexOf(true)]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await writeFileOnce(file, "later")).toBe(false);
  expect(await readdir(directory)).toEqual(["file"]);
});

test("what a process left empty, where there are no hard links, is made anew; what another makes now is not", async () => {
  refused.link = "EPERM";
  await writeFile(file, "");
  expect(await writeFileOnce(file, "new")).toBe(false);
  const before = (await stat(file)).mtimeMs / 1_000 - 60;
  await utimes(file, before, before);
  expect(await writeFileOnce(file, "new")).toBe(true);
  expect(await readFile(file, "utf8")).toBe("new");
  await utimes(file, before, before);
  expect(await writeFileOnce(file, "later")).toBe(false);
  // Of two that find it at once one has made it, and what it made stays.
  await writeFile(file, "");
  await utimes(file, before, before);
  let second: boolean | undefined;
  refused.locked = async () => void (second = await writeFileOnce(file, "second"));
  expect([await writeFileOnce(file, "first"), second]).toEqual([true, false]);
  expect(await readFile(file, "utf8")).toBe("first");
  // Also for one that found it before another had filled it.
  await writeFile(file, "");
  await utimes(file, before, before);
  refused.atLock = () => writeFile(file, "another's");
  expect(await writeFileOnce(file, "late")).toBe(false);
  expect(await readFile(file, "utf8")).toBe("another's");
  expect(await readdir(directory)).toEqual(["file"]);
  // Where there are hard links nobody leaves one, and it is somebody's own.
  refused.link = undefined;
  await writeFile(file, "");
  await utimes(file, before, before);
  expect(await writeFileOnce(file, "later")).toBe(false);
});
