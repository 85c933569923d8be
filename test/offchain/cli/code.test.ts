/** `cotrain code` on a real node: a grant goes from maintainer to maintainer, is shown beside a clone, and pays its author. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  approveGrant,
  balanceOf,
  codeGrantsOf,
  grantSetVoidedAt,
  setGrantCaps,
  setMaintainers,
  sharesOf,
} from "@cotrain/sdk/actions";
import { domainFor, fromWire, type Hex, typedDataOf } from "@cotrain/sdk/protocol";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";

import { timeText } from "../../../offchain/src/base/index.ts";
import { findGrant } from "../../../offchain/src/cli/commands/code.ts";
import { accountOf, poster } from "../chain/world.ts";
import { nodeAhead } from "./nodeAhead.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const names = ["maintainer-1", "maintainer-2", "maintainer-3"] as const;
const author = accountOf("author").address;
// So long a vote that no slow machine sees the veto's end.
const stage = staged([...names, "stranger", "author"], { votingPeriod: 6_000 });
const { by, asHolders } = stage;

let clone: string;
let commit: string;

const gitIn = (directory: string, ...args: readonly string[]): string =>
  execFileSync("git", ["-C", directory, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", ...args], {
    encoding: "utf8",
    env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
  }).trim();

async function choose(perAuthor = 10n ** 18n, perEpoch = 2n * perAuthor): Promise<void> {
  const { contracts: addresses, modelId } = stage.world;
  const grants = await codeGrantsOf(stage.client, { addresses });
  const maintainers = names
    .map((name) => accountOf(name).address)
    .sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  await asHolders(async (account) => {
    const sync = { account, modelId, pollingInterval: 20 };
    const { event } = await setMaintainers.sync(stage.client, {
      ...sync,
      addresses,
      replaces: 0,
      maintainers,
      threshold: 2,
    });
    await setGrantCaps.sync(stage.client, { ...sync, grants, replaces: 0, perAuthor, perEpoch });
    await stage.client.setNextBlockTimestamp({ timestamp: BigInt(event.effectiveAt) });
    await stage.client.mine({ blocks: 1 });
  });
}

beforeAll(() => {
  clone = join(stage.keys, "clone");
  execFileSync("git", ["init", "--quiet", clone]);
  gitIn(clone, "commit", "--quiet", "--allow-empty", "--message", "A faster loader\n\nMore.");
  commit = gitIn(clone, "rev-parse", "HEAD");
});

let file: string;
beforeEach(() => {
  file = join(temporaryDirectory(), "grant.json");
});

const at = () => ["--state", stage.state];
const repository = "https://example.org/tools.git";
const terms = (...more: readonly string[]) => [
  "code",
  "propose",
  file,
  ...at(),
  "--author",
  author,
  "--repository",
  repository,
  "--clone",
  clone,
  "--description",
  "It loads faster.",
  "--amount",
  "0.5",
  "--duration",
  "3h",
  "--cliff",
  "1h",
  ...more,
];
const approve = (name: string, ...flags: readonly string[]) =>
  cotrainHere(["code", "approve", file, ...at(), ...by(name), ...flags]);

interface Told {
  readonly id: Hex;
  readonly commit: string;
  readonly due: string;
  readonly vetoEnds: number;
  readonly signers: readonly string[];
  readonly transaction: Hex | null;
  readonly clone: unknown;
}
const listed = () => told<Told[]>("code", "list", ...at());

/** What the holders are asked to end, as if they had accepted it. @returns the proposal's title */
async function decided(...words: readonly string[]): Promise<string> {
  interface Shown {
    readonly title: string;
    readonly call: ShownCall;
  }
  const { title, call } = await told<Shown>("code", ...words, ...at(), "--dry-run");
  await asHolders((timelock) => execute(stage.client, timelock, call));
  return title;
}

const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

/** Proposed, and approved by two of three. */
async function granted(): Promise<Told> {
  await told(...terms());
  for (const name of names.slice(0, 2)) expect(await approve(name, "--yes")).toMatchObject({ code: 0, stderr: "" });
  const [grant] = await listed();
  return grant!;
}

describe("a grant", () => {
  test("goes from maintainer to maintainer, and who completes the quorum has it minted", async () => {
    await choose();
    const proposed = await told<Told>(...terms());
    expect(proposed).toMatchObject({ commit, signers: [], transaction: null });
    expect(await listed()).toEqual([]);

    const shown = await approve("maintainer-1");
    expect(shown.stdout).toMatch(new RegExp(`^commit +${commit}$`, "m"));
    expect(shown.stdout).toMatch(/^Nothing was signed or sent\. With --yes 1 wallet here would sign it\.$/m);
    expect((JSON.parse(readFileSync(file, "utf8")) as { signatures: unknown[] }).signatures).toEqual([]);

    const first = await told<Told>("code", "approve", file, ...at(), ...by("maintainer-3"), "--yes");
    expect(first).toMatchObject({ id: proposed.id, signers: [accountOf("maintainer-3").address], transaction: null });
    const whole = await told<Told>("code", "approve", file, ...at(), ...by("maintainer-1"), "--yes");
    expect(whole.transaction).toMatch(/^0x\w{64}$/);
    const { contracts: addresses } = stage.world;
    const grants = await codeGrantsOf(stage.client, { addresses });
    const shares = await sharesOf(stage.client, { addresses, modelId: stage.world.modelId });
    expect(await balanceOf(stage.client, { shares, account: grants })).toBe(5n * 10n ** 17n);
    expect(await listed()).toMatchObject([
      { id: proposed.id, author, commit, repository, claimed: "0", byVote: false },
    ]);
  });

  test("is shown beside a clone, which has the commit", async () => {
    await choose();
    const { id, vetoEnds } = await granted();
    const { stdout } = await cotrainHere(["code", "show", id.slice(0, 10), ...at(), "--clone", clone]);
    expect(stdout).toMatch(/^in the clone +"A faster loader" by Ada <ada@example\.org>$/m);
    expect(stdout).toMatch(/^stands +may be vetoed until/m);
    // The veto takes longer than the cliff.
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(`paid from ${timeText(vetoEnds)} to 2`);
    expect((await told<Told>("code", "show", id, ...at())).clone).toBeNull();
    const empty = join(temporaryDirectory(), "empty");
    execFileSync("git", ["init", "--quiet", empty]);
    const missing = await cotrainHere(["code", "show", id, ...at(), "--clone", empty]);
    expect(verdictOf(missing)).toEqual(refusal(1, `has no commit ${commit}`));
    const none = await cotrainHere(["code", "show", id, ...at(), "--clone", stage.keys]);
    expect(verdictOf(none)).toEqual(refusal(1, "Git finds no repository"));
  });

  test("is shown beside a clone with what that says it is a clone of, where that is another repository", async () => {
    await choose();
    const { id } = await granted();
    const show = ["code", "show", id, ...at(), "--clone", clone];
    onTestFinished(() => void gitIn(clone, "config", "--unset", "remote.origin.url"));
    expect((await cotrainHere(show)).stdout).toMatch(/^its origin +none$/m);
    for (const origin of [repository, "git@EXAMPLE.org:tools.git"]) {
      gitIn(clone, "config", "remote.origin.url", origin);
      expect((await cotrainHere(show)).stdout).not.toContain("origin");
      expect((await told<Told>(...show)).clone).toMatchObject({ origin, isOther: false });
    }
    gitIn(clone, "config", "remote.origin.url", "https://ada:secret@example.org/fork.git");
    const { code, stdout } = await cotrainHere(show);
    expect(code).toBe(0);
    expect(flat(stdout)).toContain(
      "its origin https://example.org/fork.git, which is not the repository that the grant names",
    );
    expect((await told<Told>(...show)).clone).toMatchObject({ isOther: true });
  });

  test("is not shown with what a clone has in its place, and a clone runs nothing", async () => {
    await choose();
    const { id } = await granted();
    const hostile = join(temporaryDirectory(), "hostile");
    const ran = join(temporaryDirectory(), "ran");
    execFileSync("git", ["init", "--quiet", hostile]);
    gitIn(hostile, "commit", "--quiet", "--allow-empty", "--message", "Honest work");
    // Another commit stands for the one that it lacks, and what it lacks it fetches by a program of its own.
    const honest = gitIn(hostile, "rev-parse", "HEAD");
    mkdirSync(join(hostile, ".git", "refs", "replace"), { recursive: true });
    writeFileSync(join(hostile, ".git", "refs", "replace", commit), `${honest}\n`);
    for (const [name, value] of [
      ["core.repositoryFormatVersion", "1"],
      ["extensions.partialClone", "origin"],
      ["remote.origin.url", hostile],
      ["remote.origin.promisor", "true"],
      ["remote.origin.uploadpack", `touch ${ran}; git-upload-pack`],
    ] as const)
      gitIn(hostile, "config", name, value);
    vi.stubEnv("GIT_DIR", join(clone, ".git"));
    onTestFinished(() => void vi.unstubAllEnvs());
    const shown = await cotrainHere(["code", "show", id, ...at(), "--clone", hostile]);
    expect(verdictOf(shown)).toEqual(refusal(1, `has no commit ${commit}`));
    expect(existsSync(ran)).toBe(false);
  });

  test("is not shown with what a clone keeps under the commit's id", async () => {
    await choose();
    const { id } = await granted();
    const forged = join(temporaryDirectory(), "forged");
    execFileSync("git", ["init", "--quiet", forged]);
    gitIn(forged, "commit", "--quiet", "--allow-empty", "--message", "Somebody else's work");
    const objects = join(forged, ".git", "objects");
    const pathOf = (name: string): string => join(objects, name.slice(0, 2), name.slice(2));
    mkdirSync(join(objects, commit.slice(0, 2)), { recursive: true });
    copyFileSync(pathOf(gitIn(forged, "rev-parse", "HEAD")), pathOf(commit));
    const shown = await cotrainHere(["code", "show", id, ...at(), "--clone", forged]);
    expect(verdictOf(shown)).toEqual(refusal(1, `has as commit ${commit} is not that commit`));
  });

  test("is written to a file of its own", async () => {
    await choose();
    writeFileSync(file, "mine");
    expect(verdictOf(await cotrainHere(terms()))).toEqual(refusal(1, `${file} exists: name another file.`));
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("of a commit that has one already is signed by who says so", async () => {
    await choose();
    const { id } = await granted();
    file = join(temporaryDirectory(), "again.json");
    const second = terms().filter((word) => word !== "0.5");
    second[second.indexOf("--amount")] = "--amount=0.25";
    second[second.indexOf("3h")] = "1h";
    const proposed = await told<Told>(...second);
    expect(proposed).toMatchObject({ others: [{ id, author, amount: String(5n * 10n ** 17n) }], approved: false });
    const asked = (await approve("maintainer-1")).stdout.replaceAll(/\s+/g, " ");
    expect(asked).toContain(`beside it the same commit has grant ${id} of 0.5 shares for ${author}`);
    expect(asked).toContain("The same commit was granted before: it takes --again beside --yes.");
    const refused = verdictOf(await approve("maintainer-1", "--yes"));
    expect(refused).toEqual(
      refusal(1, `Commit ${commit} has 1 grant already, such as ${id} of 0.5 shares: with --again`),
    );
    expect((JSON.parse(readFileSync(file, "utf8")) as { signatures: unknown[] }).signatures).toEqual([]);
    for (const name of names.slice(0, 2))
      expect(await approve(name, "--yes", "--again")).toMatchObject({ code: 0, stderr: "" });
    const both = await listed();
    expect(both.map((grant) => grant.id)).toEqual([id, proposed.id]);
    const shown = await cotrainHere(["code", "show", proposed.id, ...at()]);
    expect(shown.stdout.replaceAll(/\s+/g, " ")).toContain(`paid all at once at ${timeText(both[1]!.vetoEnds)}`);
  });

  test("that was approved before is no failure, and not signed again", async () => {
    await choose();
    const { id, transaction } = await granted();
    const before = readFileSync(file, "utf8");
    const late = await approve("maintainer-3", "--yes");
    expect(late).toMatchObject({ code: 0, stderr: "" });
    expect(late.stdout.replaceAll(/\s+/g, " ")).toContain(`Grant ${id} was approved before, in ${transaction}`);
    expect(readFileSync(file, "utf8")).toBe(before);
    expect(await told<Told>("code", "approve", file, ...at(), ...by("maintainer-3"))).toMatchObject({
      approved: true,
      transaction: null,
    });
    // Nor do the holders grant it a second time.
    const vote = ["code", "approve-by-vote", file, "--again", "--dry-run", ...at()];
    expect(verdictOf(await cotrainHere(vote))).toEqual(
      refusal(1, `Grant ${id} was approved before, in ${transaction}`),
    );
  });

  test("whose approval somebody else sends a moment before is no failure", async () => {
    await choose();
    await told(...terms());
    await approve("maintainer-1", "--yes");
    const { signatures, grant } = JSON.parse(readFileSync(file, "utf8")) as { signatures: Hex[]; grant: unknown };
    const { contracts: addresses, chainId } = stage.world;
    const grants = await codeGrantsOf(stage.client, { addresses });
    const struct = fromWire("Grant", grant);
    const other = accountOf("maintainer-3");
    const own = await other.signTypedData(typedDataOf(domainFor(chainId, grants), "Grant", struct));
    const both =
      accountOf("maintainer-1").address.toLowerCase() < other.address.toLowerCase()
        ? [...signatures, own]
        : [own, ...signatures];
    const call = { grants, grant: struct, repository, signatures: both, account: poster, pollingInterval: 20 };
    const rpc = await nodeAhead(stage.node.url, "eth_sendRawTransaction", () => approveGrant.sync(stage.client, call));
    const sent = await told<Told>("code", "approve", file, ...at(), "--rpc", rpc, ...by("maintainer-2"), "--yes");
    expect(sent).toMatchObject({ approved: true, transaction: null });
    expect((await listed()).map(({ id }) => id)).toEqual([sent.id]);
  });

  // Before a test that sets the clock ahead, from which the node does not come back.
  test("that the holders veto is burned and listed as such", async () => {
    await choose();
    const { id } = await granted();
    const title = await decided("revoke", id.slice(0, 10));
    expect(title).toBe(`grant of a commit revoked: ${id} to ${author}, 0.5 shares not due yet`);
    expect(verdictOf(await cotrainHere(["code", "revoke", id, ...at()]))).toEqual(
      refusal(1, `Grant ${id} was ended before.`),
    );
    const list = (await cotrainHere(["code", "list", ...at()])).stdout;
    expect(list).toMatch(/ 0\.50 +0\.00 +0\.00 +revoked, all of it burned$/m);
    // As many digits as name it.
    expect(list).toContain(`\n${id.slice(0, 8)}…`);
    const shown = await cotrainHere(["code", "show", id.slice(0, 8), ...at()]);
    expect(shown.stdout).toMatch(/^paid +no more than was due when it was ended$/m);
    // Nothing of it is left to anybody: its commit is granted as if for the first time.
    file = join(temporaryDirectory(), "anew.json");
    expect(await told(...terms("--description", "Anew."))).toMatchObject({ others: [] });
  });

  test("that the holders end with all of its set is listed as such, before and after it is burned", async () => {
    await choose();
    const { id } = await granted();
    const burn = () => told<{ burned: object[]; transactions: string[] }>("code", "burn", ...at(), ...by("stranger"));
    expect(await burn()).toEqual({ burned: [], transactions: [] });
    expect(await decided("revoke-set", "1")).toBe("all that maintainer set 1 approved ended");
    const refused = async (set: string) =>
      verdictOf(await cotrainHere(["code", "revoke-set", set, ...at(), "--dry-run"]));
    expect(await refused("1")).toEqual(refusal(1, "All that is asked for is in force"));
    expect(await refused("2")).toEqual(refusal(1, "set 2"));
    const { contracts: addresses, modelId } = stage.world;
    const grants = await codeGrantsOf(stage.client, { addresses });
    const voidedAt = await grantSetVoidedAt(stage.client, { grants, modelId, setVersion: 1 });
    const [ended] = await listed();
    expect(ended).toMatchObject({
      amount: "0",
      revoked: true,
      setVersion: 1,
      voidedAt,
      unburned: String(5n * 10n ** 17n),
    });
    expect((await cotrainHere(["code", "list", ...at()])).stdout).toMatch(
      /ended with its set, 0\.50 shares to be burned$/m,
    );
    expect(await burn()).toMatchObject({
      burned: [{ id, shares: String(5n * 10n ** 17n) }],
      transactions: [expect.stringMatching(/^0x/)],
    });
    expect((await cotrainHere(["code", "burn", ...at(), ...by("stranger")])).stdout).toBe(
      "There is nothing to burn.\n",
    );
    expect((await cotrainHere(["code", "list", ...at()])).stdout).toMatch(/revoked, all of it burned$/m);
    const shown = await cotrainHere(["code", "show", id, ...at()]);
    expect(shown.stdout).toMatch(
      new RegExp(`^its set +all that it approved was ended at ${timeText(voidedAt!)}$`, "m"),
    );
    // Nor does it approve anything more.
    file = join(temporaryDirectory(), "next.json");
    await told(...terms("--description", "Else."));
    await approve("maintainer-1", "--again", "--yes");
    expect(verdictOf(await approve("maintainer-2", "--again", "--yes"))).toEqual(
      refusal(1, "Set 1 of the maintainers approves nothing more"),
    );
  });

  test("pays its author once the holders' veto is over, whoever sends", async () => {
    await choose();
    const { id, vetoEnds } = await granted();
    const claim = () =>
      told<{ amount: string; transaction: Hex | null }>("code", "claim", id, ...at(), ...by("stranger"));
    expect(await claim()).toMatchObject({ amount: "0", transaction: null });
    const own = () => told<{ amount: string }[]>("code", "claim", ...at(), ...by("author"));
    expect(await own()).toMatchObject([{ id, amount: "0", transaction: null }]);
    await stage.client.setNextBlockTimestamp({ timestamp: BigInt(vetoEnds) + 60n });
    await stage.client.mine({ blocks: 1 });
    // Without an id it is what the wallets here were granted, and nobody else.
    expect(await told("code", "claim", ...at(), ...by("stranger"))).toEqual([]);
    const [part] = await own();
    expect(part).toMatchObject({ id, author, transaction: expect.stringMatching(/^0x/) });
    await stage.client.setNextBlockTimestamp({ timestamp: BigInt(vetoEnds) + 10_800n });
    await stage.client.mine({ blocks: 1 });
    expect(await claim()).toMatchObject({ amount: String(5n * 10n ** 17n - BigInt(part!.amount)) });
    const shares = await sharesOf(stage.client, { addresses: stage.world.contracts, modelId: stage.world.modelId });
    expect(await balanceOf(stage.client, { shares, account: author })).toBe(5n * 10n ** 17n);
    expect((await cotrainHere(["code", "list", ...at()])).stdout).toMatch(/ 0\.50 +0\.50 +0\.50 +paid$/m);
    // Nobody votes on what would burn nothing.
    expect(verdictOf(await cotrainHere(["code", "revoke", id, ...at(), "--dry-run"]))).toEqual(
      refusal(1, `All of grant ${id} is due: there is nothing of it to burn.`),
    );
  });
});

test.each([["0"], ["1.5"], ["4294967296"], ["first"]])("no set of maintainers is named by %s", async (named) => {
  expect(verdictOf(await cotrainHere(["code", "revoke-set", named, ...at()]))).toEqual(
    refusal(
      1,
      `A set of maintainers is named by its number, from 1 on, as "npx cotrain code show" has it, not by "${named}".`,
    ),
  );
});

interface GrantFile {
  chainId: number;
  repository: string;
  description: string;
  readonly grant: Record<string, unknown>;
}

/** What becomes of a file that was changed after a maintainer had signed it. */
async function changed(change: (document: GrantFile) => void) {
  await choose();
  await told(...terms());
  expect((await approve("maintainer-1", "--yes")).code).toBe(0);
  const document = JSON.parse(readFileSync(file, "utf8")) as GrantFile;
  change(document);
  writeFileSync(file, JSON.stringify(document));
  return verdictOf(await approve("maintainer-2", "--yes"));
}

test("a grant of somebody else's run goes the same way", async () => {
  await choose();
  const { runId } = stage.world;
  const coordinator = await tellingCoordinator(stage.world, stage.client);
  // A session of this clone's own is none of it.
  const there = ["--coordinator", coordinator, "--rpc", stage.node.url, "--state", temporaryDirectory()];
  const named = ["--rpc", stage.node.url, "--run", runId, "--deployment", join(stage.state, "deployment.json")];
  const pinned = [...named, "--state", temporaryDirectory()];
  await told(...terms().filter((word) => word !== "--state" && word !== stage.state), ...pinned, "--commit", commit);
  // Which model is meant is not the coordinator's to say.
  const unpinned = [...there, "--deployment", join(stage.state, "deployment.json"), ...by("maintainer-1")];
  expect((await cotrainHere(["code", "approve", file, ...unpinned])).stdout).toContain(
    `model       ${stage.world.modelId}`,
  );
  expect(verdictOf(await cotrainHere(["code", "approve", file, ...unpinned, "--yes"]))).toEqual(
    refusal(1, "A coordinator does not say what is signed"),
  );
  for (const name of names.slice(0, 2))
    expect((await cotrainHere(["code", "approve", file, ...pinned, ...by(name), "--yes", "--max-fee", "1"])).code).toBe(
      0,
    );
  const [grant] = await told<Told[]>("code", "list", ...there);
  expect(grant).toMatchObject({ commit });
  expect(await told<Told[]>("code", "list", ...pinned)).toEqual([grant]);
  const { id, vetoEnds } = grant!;
  expect(await told<Told>("code", "show", id, ...pinned)).toMatchObject({ id });
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(vetoEnds) + 10_800n });
  await stage.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
  await stage.client.mine({ blocks: 1 });
  const claim = (fee: string) => cotrainHere(["code", "claim", id, ...pinned, ...by("stranger"), "--max-fee", fee]);
  expect((await claim("0.000001")).code).toBe(75);
  expect((await claim("10")).stdout).toMatch(/was paid 0\.50 shares in 0x/);
});

describe("nobody signs", () => {
  test.each([
    [
      "terms that were changed after somebody had signed",
      (file) => void (file.grant["amount"] = "7"),
      "who is not in the set of maintainers",
    ],
    ["a text that the terms do not name", (file) => void (file.description = "Else."), "describes something else"],
    [
      "a repository that the terms do not name",
      (file) => void (file.repository = "https://example.org/x"),
      "names another repository",
    ],
    ["for another chain", (file) => void (file.chainId = 1), "not of model"],
    [
      "for a set that is not in force",
      (file) => void (file.grant["setVersion"] = 2),
      "grant.json is for set 2 of the maintainers, but set 1 is in force, which cannot sign it: put it to the holders with",
    ],
    [
      "what may be approved for years",
      (file) => void (file.grant["deadline"] = String(2n ** 63n)),
      "more than 90 days",
    ],
    ["what could be approved until the past", (file) => void (file.grant["deadline"] = "1"), "could be approved until"],
    ["what is no grant", (file) => void delete file.grant["amount"], "grant.json"],
  ] satisfies [string, (file: GrantFile) => void, string][])("%s", async (_, change, sentence) => {
    expect(await changed(change)).toEqual(refusal(1, sentence));
  });

  test("where there are no maintainers", async () => {
    expect((await cotrainHere(terms())).stdout).toContain("the model has no maintainers, so put it to the holders");
    expect(verdictOf(await approve("stranger", "--yes"))).toEqual(refusal(1, "has no maintainers"));
  });

  test("who is no maintainer, or has signed", async () => {
    await choose();
    await told(...terms());
    expect(verdictOf(await approve("stranger", "--yes"))).toEqual(
      refusal(1, "No wallet here is in the set of maintainers"),
    );
    await approve("maintainer-1", "--yes");
    expect(verdictOf(await approve("maintainer-1", "--yes"))).toEqual(refusal(1, "signed it before"));
  });

  test("more than the holders' caps allow", async () => {
    await choose(10n ** 17n);
    const sentence = `Maintainers may still approve 0.1 shares for ${author} in this epoch, not 0.5 shares; the holders set these caps, and may approve a grant themselves.`;
    // Both looks say so, and what the holders approve is not held to it.
    const proposed = flat((await cotrainHere(terms())).stdout);
    expect(proposed).toContain(
      `Written to ${file}, which maintainers could not have approved now: ${sentence} "npx cotrain code approve-by-vote ${file}" puts it to the holders.`,
    );
    expect(flat((await approve("maintainer-1")).stdout)).toContain(
      `With --yes 1 wallet here would sign it. In this epoch sending it would be refused: ${sentence}`,
    );
    await approve("maintainer-1", "--yes");
    expect(flat((await approve("maintainer-2")).stdout)).toContain(
      `With --yes 1 wallet here would sign it, which completes the quorum; sending it would be refused: ${sentence}`,
    );
    expect(await told("code", "approve", file, ...at(), ...by("maintainer-2"))).toMatchObject({ refused: sentence });
    expect(verdictOf(await approve("maintainer-2", "--yes"))).toEqual(
      refusal(1, "Maintainers may still approve 0.1 shares"),
    );
  });
});

test("a grant of more than maintainers may approve in all is told before somebody signs it", async () => {
  await choose(10n ** 18n, 10n ** 17n);
  const refused = expect.stringContaining("Maintainers may still approve 0.1 shares in this epoch, not 0.5 shares");
  expect(await told(...terms())).toMatchObject({ refused });
});

test("digits that two grants begin with name neither", () => {
  const [a, b] = ["0xabcdef01", "0xabcdef02"].map((start) => ({ id: start.padEnd(66, "0") as Hex }));
  expect(findGrant([a!, b!], "0xABCDEF02")).toBe(b);
  expect(() => findGrant([a!, b!], "abcdef")).toThrow("2 grants begin with abcdef");
  expect(() => findGrant([a!, b!], "abcde")).toThrow("first 6 hex digits");
  expect(() => findGrant([a!, b!], "123456")).toThrow("No grant begins with 123456");
});

test.each([
  ["--amount", "1e3", "An amount of shares"],
  ["--commit", "abc", "named by its whole id"],
  ["--within", "100d", "90 days"],
  ["--cliff", "4h", "--cliff is at most --duration"],
])("a grant with %s %s is refused", async (flag, value, sentence) => {
  await choose();
  const words = terms().filter((word, i, all) => word !== flag && all[i - 1] !== flag);
  expect(verdictOf(await cotrainHere([...words, flag, value])).code).not.toBe(0);
  expect((await cotrainHere([...words, flag, value])).stderr.replaceAll("\n", " ")).toContain(sentence);
});

// Last, since the node does not come back from the time that it is set to.
test("a node that says that it is next year has nobody sign for longer than a grant may be approved", async () => {
  await choose();
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(Math.floor(Date.now() / 1_000) + 365 * 86_400) });
  await stage.client.mine({ blocks: 1 });
  await told(...terms("--within", "90d"));
  const { deadline } = (JSON.parse(readFileSync(file, "utf8")) as GrantFile).grant;
  expect(Number(deadline)).toBeLessThanOrEqual(Date.now() / 1_000 + 90 * 86_400);
});
