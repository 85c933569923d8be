import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

import { createManualClock } from "../../manualClock.ts";
import {
  archiveStateDirectory,
  openRoleDirectory,
  openStateDirectory,
  stateExists,
  STATE_VERSION,
} from "../../../../offchain/src/service/persistence/state.ts";
import { readRunFile, type RunFile, writeRunFile } from "../../../../offchain/src/service/persistence/stateFile.ts";
import { runProgram, temporaryDirectory } from "../support.ts";

/** A UserError of this code whose sentence has these parts in this order. */
const refusal = (code: string, ...parts: string[]): object =>
  expect.objectContaining({ name: "UserError", code, message: new Mentions(parts) });

class Mentions {
  readonly parts: readonly string[];
  constructor(parts: readonly string[]) {
    this.parts = parts;
  }
  asymmetricMatch(text: unknown): boolean {
    let at = 0;
    return (
      typeof text === "string" &&
      this.parts.every((part) => {
        const found = text.indexOf(part, at);
        at = found + part.length;
        return found >= 0;
      })
    );
  }
  toString(): string {
    return `text that mentions ${this.parts.join(", then ")}`;
  }
}

test("a new state directory is private and stamped, and opens again after it was closed", async () => {
  const path = join(await temporaryDirectory(), "deep", ".cotrain");
  const first = await openStateDirectory(path, { create: true });
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  expect(await readFile(first.resolve("VERSION"), "utf8")).toBe(`${STATE_VERSION}\n`);
  first.close();
  const second = await openStateDirectory(path);
  expect(second.version).toBe(STATE_VERSION);
  second.close();
});

test("no state, wherever it lies, is committed with the wallets in it", async () => {
  const path = join(await temporaryDirectory(), ".cotrain-worker2");
  (await openRoleDirectory(path, "worker-1", { create: true })).close();
  expect(await readFile(join(path, ".gitignore"), "utf8")).toBe("*\n");
  expect(await readdir(join(path, "worker-1"))).not.toContain(".gitignore");
  // Made before this was so, or killed before it was written; what somebody wrote there stays.
  await rm(join(path, ".gitignore"));
  (await openStateDirectory(path)).close();
  expect(await readdir(path)).not.toContain(".gitignore");
  (await openStateDirectory(path, { create: true })).close();
  expect(await readFile(join(path, ".gitignore"), "utf8")).toBe("*\n");
  await writeFile(join(path, ".gitignore"), "lock*\n");
  (await openStateDirectory(path, { create: true })).close();
  expect(await readFile(join(path, ".gitignore"), "utf8")).toBe("lock*\n");
});

test("a missing one is made only when asked", async () => {
  const path = join(await temporaryDirectory(), "none");
  await expect(openStateDirectory(path)).rejects.toEqual(refusal("STATE_MISSING", path, "npm start"));
  expect(stateExists(path)).toBe(false);
});

test("a second opener is refused, in this process and from another", async () => {
  const path = join(await temporaryDirectory(), "state");
  const holder = runProgram("holdState", [path]);
  await holder.says(/holds/);
  await expect(openStateDirectory(path)).rejects.toEqual(refusal("STATE_LOCKED", path, "in use"));
  holder.child.kill("SIGKILL");
  await holder.exited;
  const state = await openStateDirectory(path);
  await expect(openStateDirectory(path)).rejects.toEqual(refusal("STATE_LOCKED", path));
  state.close();
});

test("roles of one tree have locks of their own, beside the tree's", async () => {
  const path = join(await temporaryDirectory(), "state");
  const tree = await openStateDirectory(path, { create: true });
  const coordinator = await openRoleDirectory(path, "coordinator", { create: true });
  const worker = await openRoleDirectory(path, "worker-1", { create: true });
  await expect(openRoleDirectory(path, "worker-1", { lockWait: 0 })).rejects.toEqual(
    refusal("STATE_LOCKED", "worker-1"),
  );
  for (const each of [worker, coordinator, tree]) each.close();
});

test("a role that starts before there is a tree stamps the tree", async () => {
  const path = join(await temporaryDirectory(), "state");
  (await openRoleDirectory(path, "coordinator", { create: true })).close();
  expect(stateExists(path)).toBe(true);
  (await openStateDirectory(path)).close();
});

test("a state in use names the process that has it, which forgets that when it ends", async () => {
  const path = join(await temporaryDirectory(), "state");
  const first = await openStateDirectory(path, { create: true });
  await expect(openStateDirectory(path)).rejects.toEqual(
    refusal("STATE_LOCKED", `is in use by another Cotrain process (pid ${process.pid}): stop that one first`),
  );
  first.close();
  expect((await readdir(path)).filter((name) => name.endsWith(".pid"))).toEqual([]);
});

test("a lock that is being given up can be waited for", async () => {
  const clock = createManualClock();
  const path = join(await temporaryDirectory(), "state");
  const first = await openStateDirectory(path, { create: true });
  const second = openStateDirectory(path, { lockWait: 1_000, clock });
  const refused: unknown[] = [];
  second.catch((error: unknown) => refused.push(error));
  while (clock.sleepers === 0) await new Promise(setImmediate);
  // Whoever sets the clock ends no wait.
  clock.step(3_600_000);
  await clock.advance(50);
  while (clock.sleepers === 0 && refused.length === 0) await new Promise(setImmediate);
  first.close();
  await clock.advance(50);
  const state = await second;
  expect(state.path).toBe(path);
  state.close();
});

test.each([
  ["1\n", "version 1"],
  ["garbage", "an unreadable version"],
])("state of another version (%j) is refused with the command that puts it aside", async (content, found) => {
  const path = await temporaryDirectory();
  await writeFile(join(path, "VERSION"), content);
  await writeFile(join(path, "run.json"), "{}");
  await expect(openStateDirectory(path)).rejects.toEqual(
    refusal("STATE_VERSION", path, found, "supports version 9", `npm start -- --fresh --state ${path}`),
  );
  expect(await readdir(path)).toEqual(["VERSION", "run.json"]);
});

test("a directory of somebody else's things is not taken over", async () => {
  const path = await temporaryDirectory();
  await writeFile(join(path, "thesis.txt"), "");
  await expect(openStateDirectory(path, { create: true })).rejects.toEqual(refusal("STATE_FOREIGN", path));
  await expect(archiveStateDirectory(path)).rejects.toEqual(refusal("STATE_FOREIGN", path));
  expect(await readdir(path)).toEqual(["thesis.txt"]);
});

test("a file in the way and a directory without permission are one sentence each", async () => {
  const parent = await temporaryDirectory();
  await writeFile(join(parent, "file"), "");
  await expect(openStateDirectory(join(parent, "file"), { create: true })).rejects.toEqual(
    refusal("PATH_UNWRITABLE", "file"),
  );
  await expect(openStateDirectory(join(parent, "file", "below"), { create: true })).rejects.toEqual(
    refusal("PATH_UNWRITABLE", "below"),
  );
  // The superuser is above permissions; /proc is not writable even for it.
  const unwritable = process.getuid?.() === 0 ? "/proc/cotrain" : join(parent, "locked", "state");
  await mkdir(join(parent, "locked"));
  await chmod(join(parent, "locked"), 0o500);
  await expect(openStateDirectory(unwritable, { create: true })).rejects.toMatchObject({ name: "UserError" });
});

test("killed between making the directory and stamping it, the next start goes on", async () => {
  const path = join(await temporaryDirectory(), "state");
  await mkdir(path);
  await writeFile(join(path, ".VERSION.0a0a0a0a0a0a.tmp"), "");
  const state = await openStateDirectory(path, { create: true });
  expect(await readFile(state.resolve("VERSION"), "utf8")).toBe(`${STATE_VERSION}\n`);
  state.close();
});

test("--fresh puts state aside under the time, also of another version, never over an older archive", async () => {
  const parent = await temporaryDirectory();
  const path = join(parent, ".cotrain");
  const clock = createManualClock(Date.UTC(2026, 10, 24, 15, 41));
  expect(await archiveStateDirectory(path, clock)).toBeUndefined();
  for (const expected of [".cotrain.20261124T154100Z", ".cotrain.20261124T154100Z-2"]) {
    await mkdir(path);
    await writeFile(join(path, "VERSION"), "6\n");
    expect(await archiveStateDirectory(path, clock)).toBe(join(parent, expected));
  }
  expect((await readdir(parent)).sort()).toEqual([".cotrain.20261124T154100Z", ".cotrain.20261124T154100Z-2"]);
});

test("state in use, by the tree's owner or by a role, is not put aside", async () => {
  const path = join(await temporaryDirectory(), "state");
  const clock = createManualClock();
  const tree = await openStateDirectory(path, { create: true });
  const role = await openRoleDirectory(path, "coordinator", { create: true });
  for (const [owner, name] of [
    [tree, path],
    [role, join(path, "coordinator")],
  ] as const) {
    const archived = archiveStateDirectory(path, clock).catch((error: unknown) => error);
    // The tree's own lock is not waited for, a role's is.
    if (owner === role) {
      while (clock.sleepers === 0) await new Promise(setImmediate);
      await clock.advance(6_000);
    }
    expect(await archived).toEqual(refusal("STATE_LOCKED", name));
    owner.close();
  }
  expect(await archiveStateDirectory(path, clock)).toBeDefined();
});

const run: RunFile = {
  version: 1,
  startedAt: "2026-11-24T15:41:00.000Z",
  chain: { chainId: 31_337, rpcUrl: "http://127.0.0.1:8545", embedded: true },
  ports: { coordinator: 8_080 },
  urls: { coordinator: "http://127.0.0.1:8080" },
  runId: `0x${"ab".repeat(32)}`,
};

test("the run file comes back as it was written", async () => {
  const path = await temporaryDirectory();
  expect(await readRunFile(path)).toBeUndefined();
  await writeRunFile(path, run);
  expect(await readRunFile(path)).toEqual(run);
  await expect(writeRunFile(path, { ...run, ports: { coordinator: 70_000 } })).rejects.toEqual(
    refusal("STATE_FILE_INVALID", "ports/coordinator"),
  );
  expect(await readRunFile(path)).toEqual(run);
});

test.each([
  ["cut short", JSON.stringify(run).slice(0, 40), "not valid JSON"],
  ["of another form", JSON.stringify({ ...run, chain: 5 }), "chain must be object"],
  ["with an unknown key", JSON.stringify({ ...run, prots: {} }), 'unknown key "prots"'],
])("a run file %s is refused with file, fault and remedy", async (_what, content, fault) => {
  const path = await temporaryDirectory();
  await writeFile(join(path, "run.json"), content);
  await expect(readRunFile(path)).rejects.toEqual(
    refusal("STATE_CORRUPTED", "run.json", fault, "npm start -- --fresh"),
  );
});
