/** Posting against a real node that is killed, and by a real process that is killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { HeadHash, Hex } from "@cotrain/sdk/protocol";
import Sqlite from "better-sqlite3";
import { createTestClient, http } from "viem";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import {
  type Chain,
  type ChainOptions,
  connect,
  type HeadFields,
  type NextHead,
  openChain,
  openReader,
  type Reverted,
  startStateKeeper,
} from "../../../offchain/src/chain/index.ts";
import { HEADS_AT_ONCE } from "../../../offchain/src/chain/postings.ts";
import {
  jobMigrations,
  type JobSchema,
  type JobTable,
  openDatabase,
  openJobTable,
} from "../../../offchain/src/service/index.ts";
import { jobsBut } from "./jobsBut.ts";
import { createNode, type TestNode } from "./node.ts";
import { createRelay, type Relay } from "./relay.ts";
import { createWorld, keyOf, poster, type World } from "./world.ts";

let node: TestNode;
let relay: Relay;
let world: World;
/** Rounds made so far, oldest first; each is posted by some test. */
let parent: HeadHash;
const closing: (() => Promise<void>)[] = [];

interface Journaled {
  readonly chain: Chain;
  readonly jobs: JobTable;
  readonly close: () => Promise<void>;
}

/** @param instead what the journal sees in place of the job table */
async function open(
  url: string,
  extra: Partial<Parameters<typeof openChain>[0]> = {},
  instead: (jobs: JobTable) => JobTable = (jobs) => jobs,
): Promise<Journaled> {
  const database = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs"), backoffBase: 50 });
  const options = { chainId: world.chainId, contracts: world.contracts, fromBlock: world.fromBlock, rpcUrl: url };
  const chain = await openChain(
    { ...options, pollInterval: 30, watchInterval: 100, gapPatience: 1_000, ...extra },
    { account: poster, jobs: instead(jobs) },
  );
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await chain.close();
    await database.close();
  };
  closing.push(close);
  return { chain, jobs, close };
}

/** A disk that writes a moment later, after all that is due now: whoever does not wait for it is seen. */
const slowly = (jobs: JobTable): JobTable =>
  jobsBut(jobs, {
    note: async (id, progress) => {
      for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
      await jobs.note(id, progress);
    },
  });

/** A fresh round on the newest head. */
async function nextFields(): Promise<HeadFields> {
  const { fields } = await world.publisher.round();
  return { ...fields, parentHead: parent };
}

const nonce = () => world.client.getTransactionCount({ address: poster.address });
const development = () => createTestClient({ mode: "anvil", transport: http(node.url) });

async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 2_000; tries++) {
    const found = await look();
    if (found) return found;
    await sleep(50);
  }
  throw new Error(`${what} did not come.`);
}

/** Until the node has written its state, to the block that it is at, since it does so once a second. */
async function dumped(): Promise<void> {
  const tip = await world.client.getBlockNumber({ cacheTime: 0 });
  await eventually("a whole dump", async () => {
    try {
      const { block } = JSON.parse(await readFile(node.stateFile, "utf8")) as { block: { number: string } };
      return BigInt(block.number) >= tip || undefined;
    } catch {
      return undefined;
    }
  });
}

beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  relay = await createRelay(node.url);
  const reader = await openReader({ ...world, rpcUrl: node.url });
  parent = (await reader.head(world.runId)).head;
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  relay.onSend = () => "pass";
});
afterAll(async () => {
  await relay?.close();
  await node?.close();
});

describe("connecting", () => {
  it("names the URL of an RPC that does not answer, and says that trying again may help", async () => {
    await expect(connect({ rpcUrl: "http://127.0.0.1:9", chainId: 31_337, retries: 0 })).rejects.toMatchObject({
      code: "CHAIN_UNREACHABLE",
      retryable: true,
      message: expect.stringContaining("http://127.0.0.1:9") as string,
    });
  });
  it("refuses another chain and what is no URL", async () => {
    await expect(connect({ rpcUrl: node.url, chainId: 1 })).rejects.toMatchObject({
      code: "WRONG_CHAIN",
      retryable: false,
    });
    await expect(connect({ rpcUrl: "ftp://x", chainId: 1 })).rejects.toMatchObject({ code: "RPC_URL_INVALID" });
  });
  it("shows no path or query of an RPC's URL, where providers put their keys", async () => {
    await expect(connect({ rpcUrl: "http://127.0.0.1:9/v2/secret?k=1", chainId: 1, retries: 0 })).rejects.toMatchObject(
      {
        message: expect.not.stringContaining("secret") as string,
      },
    );
  });
});

describe("postings", () => {
  it("are made in order and once, however often they are asked for", async () => {
    const { chain, close } = await open(node.url);
    const before = await nonce();
    const fields = await nextFields();
    const first = await chain.postHead(fields, "order-1");
    expect(await chain.postHead(fields, "order-1")).toEqual(first);
    parent = first.head;
    await close();
    const again = await open(node.url);
    expect(await again.chain.postHead(fields, "order-1")).toEqual(first);
    expect(await nonce()).toBe(before + 1);
  });

  it("of what somebody else has posted already are successes", async () => {
    const { chain, jobs } = await open(node.url);
    const fields = await nextFields();
    const first = await chain.postHead(fields, "twice-1");
    const before = await nonce();
    expect(await chain.postHead(fields, "twice-2")).toEqual(first);
    expect(await nonce()).toBe(before);
    expect((await jobs.get("chain.head", "twice-2"))?.progress).toBeNull();
    parent = first.head;
  });

  it("that a contract refuses become its typed error and hold up no other", async () => {
    const { chain } = await open(node.url);
    const fields = await nextFields();
    const stale = { ...fields, parentHead: `0x${"11".repeat(32)}` as HeadHash };
    await expect(chain.postHead(stale, "refused-1")).rejects.toMatchObject({
      code: "CHECKPOINT_REGISTRY_STALE_PARENT",
      details: { revert: "CheckpointRegistryStaleParent" },
    });
    parent = (await chain.postHead(fields, "refused-2")).head;
  });

  it("that are stuck get higher fees under the same nonce", async () => {
    const { chain, jobs } = await open(node.url, { stuckAfter: 200 });
    await development().setAutomine(false);
    const before = await nonce();
    const fields = await nextFields();
    const posting = chain.postHead(fields, "stuck-1");
    const sent = await eventually("a replacement", async () => {
      const progress = (await jobs.get("chain.head", "stuck-1"))?.progress as
        | {
            sent: { maxFeePerGas: string }[];
          }
        | null
        | undefined;
      return progress && progress.sent.length >= 2 ? progress.sent : undefined;
    });
    expect(BigInt(sent[1]!.maxFeePerGas) * 100n).toBeGreaterThanOrEqual(BigInt(sent[0]!.maxFeePerGas) * 110n);
    await development().mine({ blocks: 1 });
    await development().setAutomine(true);
    const posted = await posting;
    expect((await chain.headsSince(world.runId, 0)).filter(({ head }) => head === posted.head)).toHaveLength(1);
    expect(await nonce()).toBe(before + 1);
    parent = posted.head;
  });

  it("are written down before they are sent, replacements too", async () => {
    const { chain } = await open(relay.url, { stuckAfter: 200 }, slowly);
    const database = new Sqlite(join(node.directory, "journal.sqlite"), { readonly: true });
    const written = database.prepare<[string], string | null>("select progress from jobs where key = ?").pluck();
    const sent: { raw: string; noted: boolean }[] = [];
    relay.onSend = (raw) => {
      sent.push({ raw, noted: written.get("noted-1")?.includes(raw) ?? false });
      return "pass";
    };
    try {
      await development().setAutomine(false);
      const posting = chain.postHead(await nextFields(), "noted-1");
      await eventually("a replacement", async () => new Set(sent.map(({ raw }) => raw)).size >= 2 || undefined);
      await development().mine({ blocks: 1 });
      parent = (await posting).head;
    } finally {
      await development().setAutomine(true);
      database.close();
    }
    expect(sent.filter(({ noted }) => !noted)).toEqual([]);
  });

  // foundation 17
  it("that the chain has lost since are made again when they are asked for again", async () => {
    // Nobody looks meanwhile whether the chain still holds what was posted.
    const { chain } = await open(node.url, { watchInterval: 3_600_000 });
    const fields = await nextFields();
    const id = await development().snapshot();
    const posted = await chain.postHead(fields, "forgotten-1");
    await development().revert({ id });
    expect((await chain.head(world.runId)).head).toBe(parent);
    expect(await chain.postHead(fields, "forgotten-1")).toMatchObject({
      head: posted.head,
      transaction: posted.transaction,
    });
    expect((await chain.head(world.runId)).head).toBe(posted.head);
    parent = posted.head;
  });
});

describe("a poster whose coins are gone", () => {
  it("sends nothing until it has what its chain says that it lacks, which is enough", async () => {
    const { chain } = await open(relay.url);
    const [fields, sent] = [await nextFields(), relay.seen.length];
    const { address } = poster;
    const value = await world.client.getBalance({ address });
    try {
      await development().setBalance({ address, value: 1n });
      const posting = chain.postHead(fields, "poor-1");
      posting.catch(() => undefined);
      const wait = await eventually("the wait", async () => chain.feeWait());
      expect(wait).toMatchObject({ what: "coins", allowed: 1n });
      expect(relay.seen.slice(sent)).toEqual([]);
      await development().setBalance({ address, value: wait.asked });
      parent = (await posting).head;
      expect(chain.feeWait()).toBeUndefined();
    } finally {
      await development().setBalance({ address, value });
    }
  });
});

/** A process whose transaction meets this fate, and which is killed at that moment. */
async function killedWhilePosting(
  fields: HeadFields,
  key: string,
  fate: "swallow" | "pass-silently",
  following: readonly NextHead[] = [],
): Promise<void> {
  const options: ChainOptions = {
    chainId: world.chainId,
    contracts: world.contracts,
    fromBlock: world.fromBlock,
    rpcUrl: relay.url,
  };
  const input = {
    options,
    database: join(node.directory, "journal.sqlite"),
    fields,
    key,
    following,
    account: keyOf("poster"),
  };
  const script = join(import.meta.dirname, "postingProcess.ts");
  const child = spawn(process.execPath, ["--conditions=cotrain-source", script, JSON.stringify(input)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  relay.onSend = () => {
    child.kill("SIGKILL");
    return fate;
  };
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  relay.onSend = () => "pass";
}

describe("kill -9 of the poster", () => {
  it.each([
    ["before the node has its transaction", "swallow"],
    ["between send and confirmation", "pass-silently"],
  ] as const)("%s loses nothing and posts nothing twice", async (name, fate) => {
    const fields = await nextFields();
    const before = await nonce();
    const key = `killed-${fate}`;
    const seen = relay.seen.length;
    await killedWhilePosting(fields, key, fate);
    // What was let through arrives a moment after the sender's death.
    if (fate !== "swallow") await eventually("the transaction", async () => (await nonce()) > before || undefined);
    expect(await nonce()).toBe(fate === "swallow" ? before : before + 1);

    // The next start finds it in the journal and ends it, even before anybody asks.
    const { chain, jobs } = await open(relay.url);
    await eventually(name, async () => (await jobs.get("chain.head", key))?.state === "done" || undefined);
    const posted = await chain.postHead(fields, key);
    expect(await nonce()).toBe(before + 1);
    expect((await chain.headsSince(world.runId, 0)).filter(({ round }) => round === fields.round)).toHaveLength(1);
    // The same signed bytes as before the kill, not a second transaction.
    expect(new Set(relay.seen.slice(seen)).size).toBe(1);
    parent = posted.head;
  });
});

/** So many rounds, of which only the first knows its parent. */
async function rounds(count: number): Promise<readonly [HeadFields, ...HeadFields[]]> {
  const first = await nextFields();
  const rest: HeadFields[] = [];
  while (rest.length < count - 1) rest.push(await nextFields());
  return [first, ...rest];
}
/** Each is posted in its turn. @param behind heads that wait behind them all */
async function postAll(
  chain: Chain,
  key: string,
  all: readonly HeadFields[],
  behind: readonly NextHead[] = [],
): Promise<(Hex | null)[]> {
  const transactions: (Hex | null)[] = [];
  for (const [index, fields] of all.entries()) {
    const posted = await chain.postHead({ ...fields, parentHead: parent }, `${key}-${index}`, [
      ...all.slice(index + 1),
      ...behind,
    ]);
    expect(posted.round).toBe(fields.round);
    parent = posted.head;
    transactions.push(posted.transaction);
  }
  return transactions;
}

describe("heads that wait behind another", () => {
  it("go into its transaction, and are found there in their turn", async () => {
    const { chain, jobs } = await open(node.url);
    const before = await nonce();
    const transactions = await postAll(chain, "many", await rounds(4));
    expect(new Set(transactions).size).toBe(1);
    expect(await nonce()).toBe(before + 1);
    expect((await jobs.get("chain.head", "many-1"))?.payload).not.toHaveProperty("following");
    expect((await chain.head(world.runId)).head).toBe(parent);
  });

  it("wait for the next one where they are too many", async () => {
    const { chain } = await open(node.url);
    const before = await nonce();
    await postAll(chain, "too-many", await rounds(HEADS_AT_ONCE + 2));
    expect(await nonce()).toBe(before + 2);
  });

  it("are posted one by one where the contract refuses one of them, and that one alone is refused", async () => {
    const { chain } = await open(node.url);
    const [one, two, three] = await rounds(3);
    // Parameters that are not in force.
    const bad = { ...three!, paramsVersion: 9 };
    const before = await nonce();
    const transactions = await postAll(chain, "split", [one, two!], [bad]);
    expect(new Set(transactions).size).toBe(2);
    expect(await nonce()).toBe(before + 2);
    await expect(chain.postHead({ ...bad, parentHead: parent }, "split-2")).rejects.toMatchObject({
      retryable: false,
      details: { revert: expect.stringContaining("CheckpointRegistry") as unknown },
    });
    parent = (await chain.postHead({ ...three!, parentHead: parent }, "split-3")).head;
  });

  it("are there once after kill -9 between send and confirmation", async () => {
    const all = await rounds(3);
    const before = await nonce();
    await killedWhilePosting({ ...all[0], parentHead: parent }, "killed-many-0", "pass-silently", all.slice(1));
    const { chain } = await open(relay.url);
    await postAll(chain, "killed-many", all);
    expect(await nonce()).toBe(before + 1);
    const posted = (await chain.headsSince(world.runId, 0)).map(({ round }) => round);
    expect(posted).toEqual(Array.from({ length: posted.length }, (_, round) => round));
  });
});

describe("kill -9 of the poster, its transaction in the node's pool", () => {
  // foundation 16: a journal that forgets what it sent
  it("the next start knows what it sent, and sends no other", async () => {
    const fields = await nextFields();
    const before = await nonce();
    const seen = relay.seen.length;
    await development().setAutomine(false);
    try {
      await killedWhilePosting(fields, "pooled-1", "pass-silently");
      const pooled = () => world.client.getTransactionCount({ address: poster.address, blockTag: "pending" });
      await eventually("the transaction", async () => (await pooled()) > before || undefined);
      const { chain } = await open(relay.url);
      const posting = chain.postHead(fields, "pooled-1");
      // It looks for the receipt of what it sent, or sends something.
      const looks = () => relay.calls.get("eth_getTransactionReceipt") ?? 0;
      const [asked, sent] = [looks(), relay.seen.length];
      await eventually("a look", async () => looks() > asked + 1 || relay.seen.length > sent || undefined);
      await development().mine({ blocks: 1 });
      await development().setAutomine(true);
      parent = (await posting).head;
    } finally {
      await development().setAutomine(true);
    }
    expect(await nonce()).toBe(before + 1);
    expect(new Set(relay.seen.slice(seen)).size).toBe(1);
  });
});

describe("a chain that went back", () => {
  it("behind several heads while the next is on its way: each is posted again as soon as the one before is there", async () => {
    // Nobody watches, and nobody's patience ends: the posting that lost its parent sees to it by itself.
    const { chain, jobs } = await open(node.url, { watchInterval: 3_600_000, gapPatience: 3_600_000 });
    const before = await nonce();
    const id = await development().snapshot();
    const heads: HeadHash[] = [];
    for (const key of ["gap-1", "gap-2", "gap-3"]) {
      parent = (await chain.postHead(await nextFields(), key)).head;
      heads.push(parent);
    }
    await development().setAutomine(false);
    const posting = chain.postHead(await nextFields(), "gap-4");
    await eventually("its transaction", async () => (await jobs.get("chain.head", "gap-4"))?.progress ?? undefined);
    await development().revert({ id });
    await development().setAutomine(true);
    await eventually("the heads", async () => {
      await development().mine({ blocks: 1 });
      return (await nonce()) === before + 4 || undefined;
    });
    parent = (await posting).head;
    const now = (await chain.headsSince(world.runId, 0)).map(({ head }) => head);
    expect(now.slice(-4)).toEqual([...heads, parent]);
  });
});

describe("kill -9 of the node", () => {
  it("with its last second lost: what is missing is posted again, in order, with the same transactions", async () => {
    const { chain } = await open(node.url);
    const reverted: Reverted[] = [];
    chain.onReverted((item) => reverted.push(item));
    await dumped();
    const saved = join(node.directory, "saved.json");
    await eventually("a whole dump", async () => {
      await copyFile(node.stateFile, saved);
      return (await readFile(saved, "utf8")).endsWith("}") || undefined;
    });
    const one = await chain.postHead(await nextFields(), "lost-1");
    parent = one.head;
    const two = await chain.postHead(await nextFields(), "lost-2");
    parent = two.head;
    const count = await nonce();

    await node.end("SIGKILL");
    await copyFile(saved, node.stateFile);
    await node.start();
    await eventually("the heads", async () => (await chain.head(world.runId)).head === two.head || undefined);
    const events = await chain.headsSince(world.runId, 0);
    expect(events.slice(-2).map(({ transaction }) => transaction)).toEqual([one.transaction, two.transaction]);
    expect(reverted.map((item) => item.kind === "head" && item.round)).toEqual([one.round, two.round]);
    expect(await nonce()).toBe(count);
  });

  it("just after an acknowledged transaction: the next start has it, once", async () => {
    const { chain } = await open(node.url);
    const posted = await chain.postHead(await nextFields(), "sudden-1");
    await node.end("SIGKILL");
    await node.start();
    await eventually("the head", async () => (await chain.head(world.runId)).head === posted.head || undefined);
    parent = posted.head;
    const next = await chain.postHead(await nextFields(), "sudden-2");
    const rounds = (await chain.headsSince(world.runId, 0)).map(({ round }) => round);
    expect(rounds).toEqual(Array.from({ length: next.round + 1 }, (_, round) => round));
    parent = next.head;
  });

  it("while a head is being posted: posting waits until the node is back", async () => {
    const { chain, jobs } = await open(node.url, { retries: 0 });
    const fields = await nextFields();
    await dumped();
    await node.end("SIGKILL");
    const posting = chain.postHead(fields, "away-1");
    await eventually("a try", async () => {
      const job = await jobs.get("chain.head", "away-1");
      // Tried, and put off: nothing was sent.
      return (job?.state === "ready" && job.nextAt > job.createdAt && job.progress === null) || undefined;
    });
    await node.start();
    const posted = await posting;
    expect(posted.round).toBe(fields.round);
    parent = posted.head;
  });

  it("in the middle of a dump: the copy takes its place", async () => {
    await dumped();
    const previous = `${node.stateFile}.previous`;
    await rm(previous, { force: true });
    const stop = startStateKeeper(node.stateFile, 100);
    await eventually("a copy", async () => existsSync(previous) || undefined);
    stop();
    await node.end("SIGKILL");
    const whole = await readFile(node.stateFile, "utf8");
    await writeFile(node.stateFile, whole.slice(0, whole.length / 2));
    await node.start();
    expect(node.words()).toContain("torn");
    const { chain } = await open(node.url);
    expect((await chain.head(world.runId)).head).toBe(parent);
  });

  it("with file and copy torn: one sentence and exit 1", async () => {
    await node.end("SIGTERM");
    const whole = await readFile(node.stateFile, "utf8");
    for (const file of [node.stateFile, `${node.stateFile}.previous`]) await writeFile(file, whole.slice(0, 500));
    await expect(node.start()).rejects.toThrow(/damaged.*--fresh/s);
    expect(await node.end()).toBe(1);
    await writeFile(node.stateFile, whole);
    await node.start();
  });
});
