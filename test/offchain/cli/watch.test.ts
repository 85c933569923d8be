/** `cotrain watch` on a real node: what it says of an honest run, and that it disputes a false root, once, within its bounds. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { disputeOf, setPoster, timelockOf } from "@cotrain/sdk/actions";
import { type CheckpointManifest, type Hex, structHash } from "@cotrain/sdk/protocol";
import { getAddress, sha256 } from "viem";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

import { openReader } from "../../../offchain/src/chain/index.ts";
import { listening } from "../../loopback.ts";
import { payingFirst, withLeaves } from "../chain/attested.ts";
import { nextRun } from "../chain/nextRun.ts";
import { settleLater } from "../chain/settle.ts";
import { fragments, workers } from "../chain/world.ts";
import { type Holders, openHolders } from "./holders.ts";
import { mirrorOf } from "./mirror.ts";
import { cotrain, cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

let holders: Holders;
beforeAll(async () => (holders = await openHolders()), 120_000);
afterAll(() => holders.close());

const here = () => ["--state", holders.state];
const pins = () => [
  `--run=${holders.world.runId}`,
  `--deployment=${join(holders.state, "deployment.json")}`,
  `--rpc=${holders.world.url}`,
];
const keys = () => [
  `--wallet=${join(holders.state, "keys", "worker-1.json")}`,
  `--passphrase-file=${join(holders.state, "keys", "passphrase")}`,
];

/** Somebody else's RPC of the same chain. */
async function relayTo(node: string): Promise<{ readonly url: string; readonly asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const headers = { "content-type": "application/json" };
      const answer = await fetch(node, { method: "POST", headers, body: Buffer.concat(chunks) });
      response.writeHead(answer.status, headers).end(await answer.text());
    })();
  });
  onTestFinished(() => void server.close());
  return { url: await listening(server), asked: () => asked };
}

interface Seen {
  readonly sound: boolean;
  readonly spends: boolean;
  readonly root: { readonly state: string; readonly digest?: Hex; readonly why?: string };
  readonly false: readonly { readonly state: string; readonly evidence?: string }[];
  readonly heads: { readonly looked: number; readonly findings: readonly unknown[] };
  readonly away: string | null;
}
async function once(code: number, ...flags: readonly string[]): Promise<Seen> {
  const ended = await cotrainHere(["watch", "--once", "--json", ...flags]);
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code, stderr: "" });
  return JSON.parse(ended.stdout) as Seen;
}

test("an honest run is sound, nothing is spent on it, and what a dispute would cost is said", async () => {
  const seen = await once(0, ...here());
  expect(seen).toMatchObject({ sound: true, spends: false, root: { state: "idle" }, away: null });
  expect(seen.heads).toEqual({ looked: 2, findings: [] });
  const { code, stdout, stderr } = await cotrainHere(["watch", "--once", ...here()]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "No root is in its window.\n" });
  expect(stderr).toContain("A dispute costs a bond of 0.01 coins now.");
  expect(stderr).toContain("Nothing is spent: no wallet is named (--wallet and --passphrase-file).");
});

test("ends when it is told to, in the middle of a look too", async () => {
  const looks = ["--every", "50ms", "--absent", "0.9", "--depth", "2"];
  let told = false;
  const ended = await cotrain(["watch", ...here(), ...looks], {
    onStderr: (stderr, child) => {
      if (told || !stderr.includes("A dispute costs")) return;
      told = true;
      child.kill("SIGTERM");
    },
  });
  expect(ended.code).toBe(0);
});

test("a false root is disputed meanwhile, where a source never answers for what a head takes", async () => {
  const { world, client } = holders;
  const before = await client.snapshot();
  const directory = temporaryDirectory();
  await settleLater({ url: world.url, directory }, world, "meanwhile", {}, (computation) =>
    withLeaves(computation, payingFirst(1n)),
  );
  // Time stands between blocks, however long the command takes.
  await client.setBlockTimestampInterval({ interval: 1 });
  const { checkpointDigest } = (
    await (await openReader({ ...world, rpcUrl: world.url })).headsSince(world.runId, 0)
  )[0]!;
  const shards = (JSON.parse(new TextDecoder().decode(await world.store.get(checkpointDigest))) as CheckpointManifest)
    .fragments;
  const mirror = await mirrorOf(world, undefined, new Set(shards.map(({ digest }) => digest)));
  const far = [...pins(), `--mirrors=${mirror}`, "--state", temporaryDirectory(), ...keys(), "--yes", "--max-fee=1"];
  let said = "";
  const ended = await cotrain(["watch", "--every=50ms", ...far], {
    onStart: (child) =>
      child.stdout?.on("data", (chunk: Buffer) => {
        const isNew = (text: string) => !said.includes(text) && (said + chunk.toString()).includes(text);
        const [isSuspect, isDisputed] = [isNew("was found false, and is looked at again"), isNew(") is disputed: ")];
        said += chunk.toString();
        if (isSuspect) void client.mine({ blocks: 1 });
        if (isDisputed) child.kill("SIGTERM");
      }),
  });
  expect(said).toContain(") is disputed: It differs from what was recomputed");
  expect(said).not.toContain("Not all could be looked at");
  expect(ended.code).toBe(1);
  await client.removeBlockTimestampInterval();
  await client.revert({ id: before });
  world.publisher.back(1);
});

test("what is not to be had of a next run counts once it is named, where another posts it", async () => {
  const { world, client } = holders;
  const before = await client.snapshot();
  const { runId } = await nextRun(world, fragments, workers[1]);
  const [first] = await (await openReader({ ...world, rpcUrl: world.url })).headsSince(runId, 0);
  const get: typeof world.store.get = (digest, ...rest) =>
    digest === first!.checkpointDigest ? Promise.reject(new Error("gone")) : world.store.get(digest, ...rest);
  const far = [...pins(), `--mirrors=${await mirrorOf({ store: { get } })}`, "--state", temporaryDirectory()];
  const away = expect.stringContaining(`name it with --mirrors and the run with --next ${runId}.`);
  expect(await once(75, ...far)).toMatchObject({ sound: true, heads: { findings: [] }, away });
  const missing = { condition: "missing", head: { runId, round: 0 } };
  expect(await once(1, ...far, `--next=${runId}`)).toMatchObject({ heads: { findings: [missing] }, away: null });
  await client.revert({ id: before });
});

/** Who has nothing of what was published. */
const nothing = { store: { get: () => Promise.reject(new Error("gone")) } };

test("what is not to be had of the run counts no more once another posts it, until its coordinator is named", async () => {
  const { world, client } = holders;
  const before = await client.snapshot();
  const { contracts: addresses, modelId, runId } = world;
  const [old, other] = [await mirrorOf(nothing), await mirrorOf(nothing)];
  const far = [...pins(), "--state", temporaryDirectory()];
  const { findings } = (await once(1, ...far, `--mirrors=${old}`)).heads;
  expect(findings).toContainEqual(expect.objectContaining({ condition: "missing" }));
  const account = await timelockOf(client, { addresses, modelId });
  await client.impersonateAccount({ address: account });
  await client.setBalance({ address: account, value: 10n ** 18n });
  const poster = workers[1]!.address;
  await setPoster.sync(client, { addresses, runId, poster, account, pollingInterval: 20 });
  const away = expect.stringMatching(new RegExp(`posted by ${poster} since it took the place of`, "i"));
  expect(await once(75, ...far, `--mirrors=${old}`)).toMatchObject({ sound: true, heads: { findings: [] }, away });
  expect((await once(1, ...far, `--mirrors=${old},${other}`)).heads.findings).toEqual(findings);
  await client.revert({ id: before });
});

test("spends nothing on a coordinator's word, and needs somebody who serves what was published", async () => {
  const { world, client } = holders;
  const telling = [`--coordinator=${await tellingCoordinator(world, client)}`, `--rpc=${world.url}`];
  const own = ["--once", "--yes", ...keys(), "--state", temporaryDirectory()];
  const unpinned = await cotrainHere(["watch", ...telling, ...own]);
  expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("is the coordinator's word alone") });
  expect(verdictOf(await cotrainHere(["watch", ...pins(), ...own]))).toEqual(
    refusal(1, "Nothing can be recomputed without what the run published"),
  );
});

test("a false root is disputed when it was found twice, by who may spend, and once", async () => {
  const { world, client, wallets } = holders;
  const directory = temporaryDirectory();
  const signed = await settleLater({ url: world.url, directory }, world, "second", {}, (computation) =>
    withLeaves(computation, payingFirst(1n)),
  );
  const digest = structHash("Attestation", signed);
  const remembered = temporaryDirectory();
  const second = await relayTo(world.url);
  const far = [
    ...pins(),
    `--mirrors=${await mirrorOf(holders.world)}`,
    `--second-rpc=${second.url}`,
    "--state",
    remembered,
  ];

  const first = await once(75, ...far);
  expect(first).toMatchObject({ sound: true, root: { state: "suspect", digest }, heads: { looked: 3, findings: [] } });
  expect(second.asked()).toBe(0);
  await client.mine({ blocks: 1 });
  for (const [flags, why] of [
    [[], "no wallet is named"],
    [keys(), "--yes is not given"],
    [[...keys(), "--yes", "--max-bond", "0.001"], "and 0.001 are allowed: nothing is sent."],
  ] as const) {
    const seen = await once(1, ...far, ...flags);
    expect(seen).toMatchObject({ sound: false, root: { state: "reported", why: expect.stringContaining(why) } });
  }
  expect(await disputeOf(client, { addresses: world.contracts, digest })).toBeUndefined();
  expect(second.asked()).toBeGreaterThan(0);

  const seen = await once(1, ...far, ...keys(), "--yes", "--max-fee", "1");
  expect(seen).toMatchObject({ sound: false, spends: true, root: { state: "disputed", digest } });
  const dispute = await disputeOf(client, { addresses: world.contracts, digest });
  expect(dispute!.disputer).toBe(getAddress(wallets["worker-1"]!));
  expect(sha256(readFileSync(join(remembered, `evidence-${digest}.json`)))).toBe(seen.false[0]!.evidence);

  // It goes on where it ended. Whoever looks from elsewhere finds for itself whether to vote for the root.
  const open = { state: "open", digest, proposalId: String(dispute!.proposalId) };
  const still = { ...open, found: "false", evidence: seen.false[0]!.evidence };
  expect(await once(1, ...far, ...keys(), "--yes")).toMatchObject({ sound: false, root: still });
  expect(await once(75, ...here())).toMatchObject({ sound: true, root: { ...open, found: "unsure" } });
  await client.mine({ blocks: 1 });
  const { code, stdout } = await cotrainHere(["watch", "--once", ...here()]);
  expect(code).toBe(1);
  expect(stdout).toContain(`(attestation ${digest}) is disputed, and is false or unpublished: It differs from`);
  expect(stdout).toContain(`vote against the root ("npx cotrain vote ${dispute!.proposalId} against"`);
});
