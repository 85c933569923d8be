/** The grant for code of a session on a development chain: what is offered to the holders, and what the author is paid of it. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { balanceOf, codeGrantsOf, delegate, setBudget, timelockOf, votesOf } from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import {
  followGrant,
  grantTo,
  NO_CLONE,
  type OfferedGrant,
  offerGrant,
  repositoryNamed,
  UNNAMED_REPOSITORY,
} from "../../../offchain/src/localnet/code.ts";
import { commitOfClone, isSameRepository, originOf } from "../../../offchain/src/run/index.ts";
import { systemClock } from "../../../offchain/src/base/index.ts";
import { bob, share } from "../../sdk/world.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { openContributing, type Contributing } from "./contributing.ts";

const REPOSITORY = "https://github.com/people/cotrain.git";

const gitIn = (directory: string, ...args: readonly string[]): string =>
  execFileSync("git", ["-C", directory, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...args], {
    encoding: "utf8",
    env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
  }).trim();

/** A clone with one commit. */
function cloneOf(origin: string): { readonly clone: string; readonly commit: string } {
  const clone = join(temporaryDirectory(), "clone");
  execFileSync("git", ["init", "--quiet", clone]);
  gitIn(clone, "commit", "--quiet", "--allow-empty", "--message", "A faster loader");
  gitIn(clone, "config", "remote.origin.url", origin);
  return { clone, commit: gitIn(clone, "rev-parse", "HEAD") };
}

describe("a repository is named to everybody, for ever", () => {
  test.each([
    "https://github.com/people/cotrain.git",
    "https://git.sr.ht/~people/cotrain",
    "https://gitlab.com/a/b/c_d.e",
  ])("by its origin %s", (origin) => expect(repositoryNamed(origin)).toBe(origin));

  test.each([
    undefined,
    "",
    "/home/somebody/cotrain",
    "../cotrain",
    "file:///home/somebody/cotrain",
    "git@github.com:people/cotrain.git",
    "ssh://git@github.com/cotrain.git",
    "https://token@github.com/cotrain.git",
    "https://somebody:secret@github.com/cotrain.git",
    "https://@github.com/cotrain.git",
    "https://github.com/people/cotrain.git?private_token=1",
    "https://github.com/people/cotrain.git?",
    "https://github.com/people/cotrain.git#secret",
    "https://github.com/two words",
    "https://github.com/é",
    `https://github.com/${"x".repeat(256)}`,
    "http://github.com/people/cotrain.git",
    "https://github.com",
    "https://GITHUB.com/people/cotrain.git",
    "https://github.com:8443/people/cotrain.git",
    "https://github.com.acme.com/cotrain.git",
    "https://git.acme.com/cotrain.git",
    "https://gitserver/cotrain.git",
    "https://10.1.2.3:8443/cotrain.git",
    "https://[::1]/cotrain.git",
  ])("not by its origin %s", (origin) => expect(repositoryNamed(origin)).toBe(UNNAMED_REPOSITORY));
});

test.each([
  ["https://github.com/people/cotrain", true],
  ["https://github.com/people/cotrain.git/", true],
  ["https://user:token@GitHub.com/people/cotrain.git", true],
  ["git@github.com:people/cotrain.git", true],
  ["ssh://git@github.com/people/cotrain", true],
  ["https://github.com/others/cotrain.git", false],
  ["https://github.com/people/cotrain-2.git", false],
  ["https://gitlab.com/people/cotrain.git", false],
  ["https://github.com:8443/people/cotrain.git", false],
  ["../cotrain.git", false],
])("a clone of %s is one of the repository: %s", (origin, same) =>
  expect(isSameRepository(origin, "https://github.com/people/cotrain.git")).toBe(same),
);

test("the commit of a clone is its own, not that of a repository in which it lies", async () => {
  const { clone, commit } = cloneOf(REPOSITORY);
  expect([await commitOfClone(clone), await originOf(clone)]).toEqual([commit, REPOSITORY]);
  const within = join(clone, "vendor", "cotrain");
  mkdirSync(within, { recursive: true });
  expect(await commitOfClone(within)).toBeUndefined();
  expect(await commitOfClone(temporaryDirectory())).toBeUndefined();
});

describe("on a chain", () => {
  const author = asAddress(bob.address);
  let stage: Contributing;
  let said: string[];
  let grants: Hex;
  let timelock: Hex;
  beforeEach(async () => {
    stage = await openContributing();
    said = [];
    const { addresses, modelId } = stage;
    grants = await codeGrantsOf(stage.client, { addresses });
    timelock = await timelockOf(stage.client, { addresses, modelId });
  });
  afterEach(() => stage.close());

  const offer = (clone: string) => offerGrant(stage.place, { author, clone, clock: systemClock });
  async function offered(origin = REPOSITORY): Promise<OfferedGrant & { commit: string }> {
    const { clone, commit } = cloneOf(origin);
    const found = await offer(clone);
    if ("why" in found) throw new Error(found.why);
    return { ...found, commit };
  }
  /** As the holders' timelock does. */
  const approve = ({ call }: OfferedGrant) => stage.as(timelock, call.to, call.data);
  const follow = () => followGrant(stage.place, stage.ownerOf("author", bob), (line) => said.push(line));
  const paid = () => balanceOf(stage.client, { shares: stage.shares, account: author });
  const found = async () => (await grantTo(stage.place, author)).grant;

  test("the commit of the clone is offered, under terms that the holders can carry out", async () => {
    const offer = await offered();
    expect(offer.words).toBe(`50.00 shares for commit ${offer.commit.slice(0, 12)}`);
    await approve(offer);
    expect(await found()).toMatchObject({
      id: offer.id,
      repository: REPOSITORY,
      state: { amount: 50n * share, claimed: 0n, setVersion: 0, cliff: 0, duration: 60 },
      terms: { commit: `0x${offer.commit.padEnd(64, "0")}` },
    });
  });

  test("nothing is offered in bootstrap, where holders may not grant it", async () => {
    const young = await openContributing(true);
    const { clone } = cloneOf(REPOSITORY);
    const found = await offerGrant(young.place, { author, clone, clock: systemClock });
    expect(found).toEqual({ why: expect.stringContaining("The model is in bootstrap") });
    await young.close();
  });

  test("nothing that is private goes on the chain", async () => {
    await approve(await offered("https://somebody:secret@github.com/cotrain.git"));
    expect((await found())?.repository).toBe(UNNAMED_REPOSITORY);
  });

  test("nothing is offered without a clone, and nothing twice", async () => {
    expect(await offer(temporaryDirectory())).toEqual({ why: NO_CLONE });
    await approve(await offered());
    const { clone } = cloneOf(REPOSITORY);
    expect(await offer(clone)).toEqual({ why: expect.stringContaining("granted something for code before") });
  });

  test("nothing is offered where the budget is too small", async () => {
    const { clone } = cloneOf(REPOSITORY);
    const { addresses, modelId } = stage;
    const none = setBudget.call({
      addresses,
      modelId,
      replaces: 1,
      perEpoch: 1_000n * share,
      bps: [8_000, 0, 1_500, 500],
    });
    await stage.as(timelock, none.to, none.data);
    // What the epochs before had is good for thirty days. The clock is as late as the chain: else a grant would be too early.
    await stage.advanceTo((await stage.now()) + 31 * 86_400);
    const late = { ...systemClock, now: () => systemClock.now() + 40 * 86_400_000 };
    const found = await offerGrant(stage.place, { author, clone, clock: late });
    expect(found).toEqual({ why: expect.stringContaining("that the epochs still allow") });
  });

  test("the author is paid when all is due, with its votes, and once", async () => {
    const session = follow();
    await session.look();
    const offer = await offered();
    await approve(offer);
    session.seek();
    await session.look();
    expect(await paid()).toBe(0n);
    await stage.advanceTo((await stage.now()) + 61);
    await session.look();
    expect(await paid()).toBe(50n * share);
    expect(await votesOf(stage.client, { shares: stage.shares, account: author })).toBe(50n * share);
    expect(said).toEqual([`author was paid 50.00 shares for commit ${offer.commit.slice(0, 12)}`]);
    await follow().look(true);
    expect([await paid(), said.length]).toEqual([50n * share, 1]);
  });

  test("an author who has chosen who votes keeps that choice", async () => {
    const chosen = asAddress(`0x${"0b".repeat(20)}`);
    const choice = delegate.call({ shares: stage.shares, delegatee: chosen });
    await stage.as(author, choice.to, choice.data);
    await approve(await offered());
    await stage.advanceTo((await stage.now()) + 61);
    await follow().look(true);
    expect(await paid()).toBe(50n * share);
    expect(await votesOf(stage.client, { shares: stage.shares, account: chosen })).toBe(50n * share);
  });

  test("at the end of a session the author is paid what is due by then, and the rest in the next", async () => {
    await approve(await offered());
    await stage.advanceTo((await stage.now()) + 30);
    await follow().look(true);
    const half = await paid();
    expect(half).toBeGreaterThan(20n * share);
    expect(half).toBeLessThan(50n * share);
    expect(await balanceOf(stage.client, { shares: stage.shares, account: grants })).toBe(50n * share - half);
    await stage.advanceTo((await stage.now()) + 60);
    await follow().look();
    expect(await paid()).toBe(50n * share);
  });
});
