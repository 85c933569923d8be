/** States that --fresh put aside: found with their size, told by status, removed by clean and by nothing else. */
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PassThrough } from "node:stream";

import { describe, expect, onTestFinished, test } from "vitest";

import { archiveStateDirectory, openBlobs, openStateDirectory } from "../../../offchain/src/service/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { startFakeKubo } from "../storage/fakeKubo.ts";
import { askYes } from "../../../offchain/src/cli/ask.ts";
import { findPutAside } from "../../../offchain/src/cli/putAside.ts";
import { contentOf, cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

/** A state beside two that were put aside, and things of others with names like theirs. */
async function withOldStates(): Promise<{ state: string; old: string[] }> {
  const directory = temporaryDirectory();
  const state = join(directory, ".cotrain");
  const old: string[] = [];
  for (const size of [1_000, 500]) {
    (await openStateDirectory(state, { create: true })).close();
    mkdirSync(join(state, "keys"));
    writeFileSync(join(state, "keys", "worker-1.json"), "x".repeat(size));
    old.push((await archiveStateDirectory(state)) ?? "");
  }
  (await openStateDirectory(state, { create: true })).close();
  mkdirSync(join(directory, ".cotrain.20261124T154100Z"));
  mkdirSync(join(directory, ".cotrain.backup"));
  writeFileSync(join(directory, ".cotrain.backup", "VERSION"), "1\n");
  return { state, old };
}

describe("what --fresh put aside", () => {
  test("is found with when and how large; what only looks like it is not", async () => {
    const { state, old } = await withOldStates();
    const found = await findPutAside(state);
    expect(found.map(({ path }) => path).toSorted(byText)).toEqual(old.toSorted(byText));
    const sizes = found.map(({ bytes }) => bytes).toSorted((a, b) => b - a);
    expect((sizes[0] ?? 0) - (sizes[1] ?? 0)).toBe(500);
    expect(sizes[1]).toBeGreaterThanOrEqual(502);
    for (const { since } of found) expect(new Date(since).toISOString().slice(0, 19)).toBe(since.slice(0, 19));
  });

  test("clean removes it with --yes, and leaves the state and all else as it was", async () => {
    const { state, old } = await withOldStates();
    const before = contentOf(state);
    const { code, stdout } = await cotrainHere(["clean", "--state", state, "--yes", "--json"]);
    expect(code).toBe(0);
    const { removed } = JSON.parse(stdout) as { removed: { path: string }[] };
    expect(removed.map(({ path }) => path).toSorted(byText)).toEqual(old.toSorted(byText));
    expect(old.filter((path) => existsSync(path))).toEqual([]);
    expect(contentOf(state)).toEqual(before);
    for (const name of [".cotrain.backup", ".cotrain.20261124T154100Z"])
      expect(existsSync(join(state, "..", name))).toBe(true);
    const again = await cotrainHere(["clean", "--state", state, "--yes"]);
    expect(again).toMatchObject({ code: 0, stdout: "There is nothing that --fresh put aside.\n" });
  });

  test("a state that a start left half made goes too; one that the next start takes up is none", async () => {
    const state = join(temporaryDirectory(), ".cotrain");
    const heir = `${state}.next`;
    (await openStateDirectory(heir, { create: true })).close();
    mkdirSync(join(heir, "keys"));
    writeFileSync(join(heir, "keys", "organiser.json"), "x".repeat(700));
    expect(await findPutAside(state)).toEqual([]);
    (await openStateDirectory(state, { create: true })).close();
    const [half, ...others] = await findPutAside(state);
    expect(others).toEqual([]);
    expect(half).toMatchObject({ path: heir, since: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(half?.bytes).toBeGreaterThanOrEqual(702);
    const asked = await cotrainHere(["clean", "--state", state]);
    expect(asked.stderr).toContain(heir);
    expect(await cotrainHere(["clean", "--state", state, "--yes"])).toMatchObject({ code: 0 });
    expect([existsSync(heir), existsSync(state)]).toEqual([false, true]);
    // Without wallets there is nothing to take up.
    const none = join(temporaryDirectory(), ".cotrain");
    (await openStateDirectory(`${none}.next`, { create: true })).close();
    expect(await findPutAside(none)).toHaveLength(1);
  });

  test("what such a state keeps elsewhere goes too, or it stays while that is away", async () => {
    const directory = temporaryDirectory();
    const state = join(directory, ".cotrain");
    const node = await startFakeKubo();
    (await openStateDirectory(state, { create: true })).close();
    await (await openBlobs(state, node.location("old"))).put(new Uint8Array(5));
    await (await openBlobStore(node.location("another"))).put(new Uint8Array(6));
    const old = (await archiveStateDirectory(state)) ?? "";
    node.misbehave = (_, response) => Boolean(response.destroy());
    expect(await cotrainHere(["clean", "--state", state, "--yes"])).toMatchObject({ code: 75 });
    expect(existsSync(old)).toBe(true);
    node.misbehave = () => false;
    expect(await cotrainHere(["clean", "--state", state, "--yes"])).toMatchObject({ code: 0 });
    expect(existsSync(old)).toBe(false);
    expect(node.pins.size).toBe(1);
  });

  test("what the present state keeps in the same place stays", async () => {
    const state = join(temporaryDirectory(), ".cotrain");
    const node = await startFakeKubo();
    (await openStateDirectory(state, { create: true })).close();
    await (await openBlobs(state, node.location("mine"))).put(new Uint8Array(5));
    const old = (await archiveStateDirectory(state)) ?? "";
    (await openStateDirectory(state, { create: true })).close();
    cpSync(join(old, "blobs.json"), join(state, "blobs.json"));
    await (await openBlobs(state)).put(new Uint8Array(6));
    expect(await cotrainHere(["clean", "--state", state, "--yes"])).toMatchObject({ code: 0 });
    expect(existsSync(old)).toBe(false);
    // Two blobs, and the mark of whose they are.
    expect(node.pins.size).toBe(3);
  });

  test("without --yes, where nobody can be asked, nothing goes", async () => {
    const { state, old } = await withOldStates();
    const ended = await cotrainHere(["clean", "--state", state]);
    expect(ended.code).toBe(1);
    for (const path of old) {
      expect(ended.stderr).toContain(basename(path));
      expect(existsSync(path)).toBe(true);
    }
    expect(verdictOf(ended).sentence).toBe("Nothing was removed: confirm it with --yes where nobody can be asked.");
  });

  test.each([
    ["y\r", "yes"],
    ["Yes\r", "yes"],
    ["\r", "no"],
    ["nay\r", "no"],
    ["\u0004", "no"],
    ["y\u0003", "interrupted"],
  ] as const)("who is asked and types %j says %s", async (typed, answer) => {
    const [keyboard, screen] = [new PassThrough(), new PassThrough()];
    const asked = askYes("Remove it? ", keyboard, screen);
    keyboard.write(typed);
    expect(await asked).toBe(answer);
    expect(String(screen.read())).toContain("Remove it? ");
  });

  test("one that somebody works in stays, and so do the others", async () => {
    const { state, old } = await withOldStates();
    const used = await openStateDirectory(old[1] ?? "");
    onTestFinished(() => used.close());
    expect(verdictOf(await cotrainHere(["clean", "--state", state, "--yes"]))).toEqual(
      refusal(1, "is in use by another Cotrain process (pid "),
    );
    expect(old.filter((path) => existsSync(path))).toEqual(old);
  });

  test("one of another version goes too", async () => {
    const { state, old } = await withOldStates();
    writeFileSync(join(old[0] ?? "", "VERSION"), "0\n");
    cpSync(old[0] ?? "", `${state}.20200101T000000Z`, { recursive: true });
    expect((await cotrainHere(["clean", "--state", state, "--yes"])).code).toBe(0);
    expect(await findPutAside(state)).toEqual([]);
  });
});
