/**
 * An RPC is a stranger's machine: it may become another chain from one answer to the next, or answer with nothing. Readers say
 * so and go on when it is over; nothing is sent to another chain, nothing is sent twice, and no posting ends by it.
 */
import { join } from "node:path";

import {
  delegate,
  headPosted,
  posterSet,
  buildAdmitted,
  rootPosted,
  runRegistered,
  setPoster,
  timelockOf,
} from "@cotrain/sdk/actions";
import { asAddress, digestOfJson, type HeadHash } from "@cotrain/sdk/protocol";
import { createTestClient, createWalletClient, encodeEventTopics, http } from "viem";
import { sendTransaction } from "viem/actions";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { createRandom } from "../../offchain/src/base/index.ts";
import { createManualClock } from "../offchain/manualClock.ts";
import {
  type Chain,
  type ChainReader,
  developmentChain,
  type HeadFields,
  openChain,
  openReader,
  type Reverted,
  walletOn,
} from "../../offchain/src/chain/index.ts";
import { readHeadDocuments } from "../../offchain/src/run/index.ts";
import {
  createLogger,
  jobMigrations,
  type JobSchema,
  type JobTable,
  openDatabase,
  openJobTable,
} from "../../offchain/src/service/index.ts";
import { jobsBut } from "../offchain/chain/jobsBut.ts";
import { createNode, type TestNode } from "../offchain/chain/node.ts";
import { accountOf, createWorld, poster, type World } from "../offchain/chain/world.ts";
import { until } from "../offchain/coordinator/harness.ts";
import { type Answer, createHostileRpc, type HostileRpc } from "./hostileRpc.ts";

let node: TestNode;
let rpc: HostileRpc;
let world: World;
let reader: ChainReader;
let parent: HeadHash;
const closing: (() => Promise<void>)[] = [];
const options = () => ({ ...world, rpcUrl: rpc.url, retries: 0 });

async function open(
  instead: (jobs: JobTable) => JobTable = (jobs) => jobs,
  rpcUrl = rpc.url,
): Promise<{ chain: Chain; jobs: JobTable; reverted: Reverted[]; log: readonly string[] }> {
  const database = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs"), backoffBase: 50 });
  const { chainId, contracts, fromBlock } = world;
  const log: string[] = [];
  const logger = createLogger({ component: "poster", destination: { write: (line) => log.push(line) } });
  const chain = await openChain(
    { chainId, contracts, fromBlock, rpcUrl, retries: 0, pollInterval: 30, watchInterval: 30, logger },
    { account: poster, jobs: instead(jobs) },
  );
  closing.push(async () => {
    await chain.close();
    await database.close();
  });
  const reverted: Reverted[] = [];
  chain.onReverted((item) => reverted.push(item));
  return { chain, jobs, reverted, log };
}

/** A fresh round on the newest head. */
const nextFields = async (): Promise<HeadFields> => ({ ...(await world.publisher.round()).fields, parentHead: parent });
const nonce = () => world.client.getTransactionCount({ address: poster.address });
const sends = () => rpc.asked.filter((method) => method === "eth_sendRawTransaction").length;
const headsOfRound = async (round: number) =>
  (await reader.headsSince(world.runId, 0)).filter((head) => head.round === round).length;

const another: Answer = { result: "0xa4b1" };
const nobody = `0x${"77".repeat(32)}`;
/** Another chain, on which nothing of ours is, and which refuses every call. */
const otherChain = (method: string): Answer | undefined => {
  if (method === "eth_chainId") return another;
  if (method === "eth_getLogs") return { result: [] };
  if (method === "eth_call" || method === "eth_estimateGas")
    return { error: { code: 3, message: "execution reverted", data: "0x08c379a0" } };
  if (method === "eth_getTransactionCount") return { result: "0x0" };
  if (method.startsWith("eth_getBlock")) return { result: { hash: nobody, number: "0x1", timestamp: "0x1" } };
  return method === "eth_getTransactionReceipt" ? { result: null } : undefined;
};
const putOff = (jobs: JobTable, key: string) => async () => {
  const job = await jobs.get("chain.head", key);
  return job?.state === "ready" && job.nextAt > job.createdAt;
};

beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  rpc = await createHostileRpc(node.url);
  reader = await openReader(options());
  parent = (await reader.head(world.runId)).head;
});
afterEach(async () => {
  rpc.instead = () => undefined;
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => {
  await rpc?.close();
  await node?.close();
});

// foundation 8
describe("an RPC that becomes another chain", () => {
  it("gets nothing signed by an owner's wallet, which posts without the journal", async () => {
    const account = accountOf("owner");
    await developmentChain(node.link).fund([account.address]);
    const owner = walletOn({ url: rpc.url, chainId: world.chainId }, account);
    const before = sends();
    const pay = { chain: null, to: account.address, value: 1n } as const;
    // Where a node fills transactions in, the chain is taken from what it filled in; this one does not.
    const unknown: Answer = { error: { code: -32_601, message: "Method not found" } };
    const lies: Readonly<Record<string, Answer>> = { eth_chainId: another, eth_fillTransaction: unknown };
    rpc.instead = (method) => lies[method];
    await expect(sendTransaction(owner, pay)).rejects.toThrow(/says that it is chain 42161, not 31337/);
    await expect(delegate(owner, { shares: account.address, delegatee: account.address })).rejects.toThrow(
      /nothing is signed for another chain/,
    );
    expect(sends()).toBe(before);
    rpc.instead = () => undefined;
    await sendTransaction(owner, pay);
    expect(sends()).toBe(before + 1);
  });

  const reads: [string, () => Promise<unknown>][] = [
    ["the newest head", () => reader.head(world.runId)],
    ["the heads", () => reader.headsSince(world.runId, 0)],
    ["the run", () => reader.run(world.runId)],
    ["the time", () => reader.chainTime()],
    ["a block", () => reader.blockHash(1)],
    ["the root in force", () => reader.activeRoot(world.modelId)],
  ];
  it.each(reads)("is believed in nothing: %s", async (_what, read) => {
    const before = await read();
    rpc.instead = otherChain;
    await expect(read()).rejects.toMatchObject({ code: "CHAIN_CHANGED", retryable: true });
    rpc.instead = (method) => (method === "eth_chainId" ? another : undefined);
    await expect(read()).rejects.toMatchObject({ message: expect.stringMatching(/now is chain 42161, not 31337/) });
    rpc.instead = () => undefined;
    expect(await read()).toEqual(before);
  });

  it("is refused by who begins there", async () => {
    rpc.instead = otherChain;
    await expect(openReader(options())).rejects.toMatchObject({ code: "WRONG_CHAIN", retryable: false });
  });

  it("gets no posting, and what it refuses or does not hold is neither refused nor lost", async () => {
    const { chain, jobs, reverted } = await open();
    parent = (await chain.postHead(await nextFields(), "before")).head;
    const [count, sent] = [await nonce(), sends()];
    rpc.instead = otherChain;
    const fields = await nextFields();
    const posting = chain.postHead(fields, "changed");
    await until(putOff(jobs, "changed"), "a try");
    // The watch has looked meanwhile, a few times.
    const looked = rpc.asked.length;
    await until(() => rpc.asked.slice(looked).filter((method) => method === "eth_chainId").length >= 4, "the watch");
    expect(sends()).toBe(sent);
    expect((await jobs.get("chain.head", "before"))?.state).toBe("done");
    rpc.instead = () => undefined;
    parent = (await posting).head;
    expect(await nonce()).toBe(count + 1);
    expect(await headsOfRound(fields.round)).toBe(1);
    expect(reverted).toEqual([]);
  });

  it("between the signature and the send gets nothing either", async () => {
    const noted = (jobs: JobTable): JobTable =>
      jobsBut(jobs, {
        note: async (id, progress) => {
          await jobs.note(id, progress);
          if (!switched) rpc.instead = otherChain;
          switched = true;
        },
      });
    let switched = false;
    const { chain, jobs } = await open(noted);
    const [count, sent] = [await nonce(), sends()];
    const fields = await nextFields();
    const posting = chain.postHead(fields, "signed");
    await until(putOff(jobs, "signed"), "a try");
    expect(switched).toBe(true);
    expect((await jobs.get("chain.head", "signed"))?.progress).not.toBeNull();
    expect(sends()).toBe(sent);
    rpc.instead = () => undefined;
    parent = (await posting).head;
    expect(await nonce()).toBe(count + 1);
    expect(sends()).toBe(sent + 1);
  });
});

/** What is no answer to any of these. */
/** A block that follows none. */
const ORPHAN = { hash: nobody, number: "0x1", timestamp: "0x1" };
const NONSENSE: readonly unknown[] = [null, {}, [null], "0xzz", 7, "7", [{ topics: null }], { hash: null }, ORPHAN];

// foundation 8
describe("an RPC that answers with nothing", () => {
  it.each<[string, () => Promise<unknown>]>([
    ["eth_getBlockByNumber", () => reader.chainTime()],
    ["eth_getLogs", () => reader.postersOf(world.runId)],
    ["eth_getBlockByNumber", () => reader.headsSince(world.runId, 0)],
    ["eth_call", () => reader.head(world.runId)],
    ["eth_chainId", () => reader.head(world.runId)],
  ])("to %s is told from one that answers, and asked again", async (method, read) => {
    // Histories that were read before are read on from where they were.
    reader = await openReader(options());
    for (const result of NONSENSE) {
      rpc.instead = (asked) => (asked === method ? { result } : undefined);
      await expect(read()).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
    }
    rpc.instead = () => undefined;
    await expect(read()).resolves.toBeDefined();
  });

  it("once to every question of a posting: it is made once", async () => {
    const { chain, reverted } = await open();
    const count = await nonce();
    const told = new Set<string>();
    rpc.instead = (method) => {
      if (told.has(method) || told.size >= 12) return undefined;
      told.add(method);
      return { result: null };
    };
    const fields = await nextFields();
    parent = (await chain.postHead(fields, "nothing")).head;
    expect([...told]).toEqual(
      expect.arrayContaining([
        "eth_chainId",
        "eth_estimateGas",
        "eth_getBlockByNumber",
        "eth_getLogs",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_sendRawTransaction",
      ]),
    );
    expect(await nonce()).toBe(count + 1);
    expect(await headsOfRound(fields.round)).toBe(1);
    expect(reverted).toEqual([]);
  });
});

const at = () => ({ addresses: world.contracts, runId: world.runId, modelId: world.modelId });
async function postHead(): Promise<void> {
  const { chain } = await open();
  const fields = await nextFields();
  parent = (await chain.postHead(fields, `left-out-${fields.round}`)).head;
  for (const close of closing.splice(0)) await close();
}
/** That every head has its documents, read through the reader. */
async function requireSound(lied: ChainReader): Promise<void> {
  const heads = await lied.headsSince(world.runId, 0);
  expect(heads).toEqual(await reader.headsSince(world.runId, 0));
  for (const [i, head] of heads.entries()) await readHeadDocuments(lied, world.blobs, head, heads[i - 1]);
}

// A node behind a balancer lags, and knows no event of a block that another has told.
describe("an RPC that leaves events out of an answer", () => {
  let liar: HostileRpc;
  beforeEach(async () => {
    liar = await createHostileRpc(node.url);
  });
  afterEach(() => liar.close());

  /** Leaves out the events of a query so many times, from when something was asked for. */
  function leaveOut(
    query: { readonly abi: unknown; readonly eventName: string },
    times: number,
    since?: string,
  ): () => number {
    const [topic = ""] = encodeEventTopics(query as never) as string[];
    let left = since === undefined ? times : 0;
    let begun = since === undefined;
    liar.instead = (method, params) => {
      if (method === since && !begun) [begun, left] = [true, times];
      if (method !== "eth_getLogs" || left === 0 || !JSON.stringify(params).includes(topic)) return undefined;
      left -= 1;
      return { result: [] };
    };
    return () => (begun ? times - left : 0);
  }
  const begin = (confirmations = 0): Promise<ChainReader> =>
    openReader({ ...world, rpcUrl: liar.url, retries: 0, confirmations });

  it("loses no head between others", async () => {
    const lied = await begin();
    await lied.headsSince(world.runId, 0);
    await postHead();
    const lies = leaveOut(headPosted(at()), 1);
    await lied.headsSince(world.runId, 0);
    expect(lies()).toBe(1);
    await postHead();
    await requireSound(lied);
  });

  it("is asked again, and believed in nothing, while a head is left out between others", async () => {
    const lied = await begin();
    await lied.headsSince(world.runId, 0);
    await postHead();
    leaveOut(headPosted(at()), 1);
    await lied.headsSince(world.runId, 0);
    await postHead();
    const all = (await reader.headsSince(world.runId, 0)).length;
    const withHole = async (): Promise<unknown> => {
      const logs = await world.client.request({
        method: "eth_getLogs",
        params: [{ address: world.contracts.checkpointRegistry, fromBlock: "0x0", toBlock: "latest" }],
      });
      return logs.toSpliced(1, 1);
    };
    const result = await withHole();
    const [topic = ""] = encodeEventTopics(headPosted(at()) as never) as string[];
    liar.instead = (method, params) =>
      method === "eth_getLogs" && JSON.stringify(params).includes(topic) ? { result } : undefined;
    await expect(lied.headsSince(world.runId, 0)).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
    liar.instead = () => undefined;
    expect(await lied.headsSince(world.runId, 0)).toHaveLength(all);
  });

  it("keeps no epoch without its last head", async () => {
    const lied = await begin();
    await lied.headsSince(world.runId, 0);
    await postHead();
    leaveOut(headPosted(at()), 1);
    const before = await lied.headsSince(world.runId, 0);
    const { head } = await lied.head(world.runId);
    expect(before.some((each) => each.head === head)).toBe(false);
    expect((await lied.headsSince(world.runId, 0, head)).at(-1)?.head).toBe(head);
    const unknown = digestOfJson("no head") as unknown as HeadHash;
    await expect(lied.headsSince(world.runId, 0, unknown)).rejects.toMatchObject({ code: "CHAIN_RPC" });
    // What waits for confirmations is not left out.
    expect(await (await begin(1_000)).headsSince(world.runId, 0, head)).toEqual([]);
    expect(await (await begin(1_000)).runsOf(world.modelId)).toEqual([]);
  });

  it.each([
    ["the builds", () => buildAdmitted(at())],
    ["the runs, of which the first poster is known", () => runRegistered(at())],
  ])("makes no honest head unsound: of %s", async (_what, query) => {
    const lied = await begin();
    const lies = leaveOut(query(), 1);
    await requireSound(lied);
    expect(lies()).toBe(1);
  });

  it("is not believed against the contract", async () => {
    const [build] = await reader.buildsOf(world.runId);
    const lied = await begin();
    leaveOut(buildAdmitted(at()), 2);
    await expect(lied.buildsOf(world.runId, build)).rejects.toMatchObject({ code: "CHAIN_RPC" });
    expect(await lied.buildsOf(world.runId, build)).toContain(build);
    const other = digestOfJson("never admitted");
    expect(await lied.buildsOf(world.runId, other)).not.toContain(other);
    leaveOut(runRegistered(at()), 2);
    await expect((await begin()).runsOf(world.modelId)).rejects.toMatchObject({ code: "CHAIN_RPC" });
  });

  it("hides no poster that was", async () => {
    const { client, contracts: addresses, modelId, runId } = world;
    const timelock = await timelockOf(client, { addresses, modelId });
    const development = createTestClient({ mode: "anvil", transport: http(node.url) });
    await development.impersonateAccount({ address: timelock });
    await development.setBalance({ address: timelock, value: 10n ** 18n });
    const sender = createWalletClient({ account: timelock, transport: http(node.url), pollingInterval: 20 });
    const sync = { addresses, account: timelock, pollingInterval: 20, runId } as const;
    const was = asAddress(accountOf("a former poster").address);
    for (const of of [was, poster.address]) await setPoster.sync(sender, { ...sync, poster: of });
    const lied = await begin();
    const lies = leaveOut(posterSet(at()), 1);
    expect(await lied.postersOf(runId)).not.toContain(was);
    expect(await lied.postersOf(runId, was)).toContain(was);
    expect(lies()).toBe(1);
  });

  it("holds up no posting that was mined", async () => {
    const { chain, reverted } = await open(undefined, liar.url);
    const count = await nonce();
    const tip = await world.client.getBlockNumber();
    const lies = leaveOut(headPosted(at()), 1, "eth_sendRawTransaction");
    const { instead } = liar;
    const froms: number[] = [];
    liar.instead = (method, params) => {
      const [filter] = params as { readonly fromBlock: string }[];
      if (method === "eth_getLogs" && filter && sent()) froms.push(Number(filter.fromBlock));
      return instead(method, params);
    };
    const sent = (): boolean => liar.asked.includes("eth_sendRawTransaction");
    const fields = await nextFields();
    parent = (await chain.postHead(fields, "mined")).head;
    expect(lies()).toBe(1);
    // Not from the beginning.
    expect(froms.every((from) => from >= Number(tip))).toBe(true);
    expect(froms.length).toBeGreaterThan(1);
    expect(await nonce()).toBe(count + 1);
    expect(await headsOfRound(fields.round)).toBe(1);
    expect(reverted).toEqual([]);
  });

  it("again and again holds up no other posting of the account, and whoever asks again has it, once", async () => {
    const count = await nonce();
    const fields = await nextFields();
    const { chain } = await open(undefined, liar.url);
    leaveOut(headPosted(at()), Infinity, "eth_sendRawTransaction");
    const posting = chain.postHead(fields, "unseen");
    const stale = { ...fields, parentHead: digestOfJson("no head") as unknown as HeadHash };
    const other = chain.postHead(stale, "behind");
    await expect(posting).rejects.toMatchObject({ code: "POSTING_UNSEEN", retryable: true });
    await expect(other).rejects.toMatchObject({ code: "CHECKPOINT_REGISTRY_STALE_PARENT" });
    liar.instead = () => undefined;
    parent = (await chain.postHead(fields, "unseen")).head;
    expect(await nonce()).toBe(count + 1);
    expect(await headsOfRound(fields.round)).toBe(1);
  });

  it("loses nothing that was posted before a start", async () => {
    await postHead();
    const lies = leaveOut(headPosted(at()), 1);
    const { reverted, jobs } = await open(undefined, liar.url);
    await until(() => lies() === 1, "the lie");
    // Another round of the watch.
    const looked = liar.asked.length;
    const looks = () => liar.asked.slice(looked).filter((method) => method === "eth_getBlockByNumber").length;
    await until(() => looks() >= 5, "the watch");
    expect(reverted).toEqual([]);
    expect(await jobs.list({ kind: "chain.head", state: "ready" })).toEqual([]);
  });

  it("and names the time of a block once, or twice until all is read anew, moves no head to another epoch", async () => {
    const lied = await begin();
    const heads = await reader.headsSince(world.runId, 0);
    const { blockHash, anchoredAt } = heads.at(-1)!;
    const block = await world.client.request({ method: "eth_getBlockByHash", params: [blockHash, false] });
    let left = 1;
    const result = { ...block, timestamp: `0x${(anchoredAt + 3_600).toString(16)}` };
    liar.instead = (method, [hash]) =>
      method === "eth_getBlockByHash" && hash === blockHash && left-- > 0 ? { result } : undefined;
    await expect(lied.headsSince(world.runId, 0)).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
    expect(await lied.headsSince(world.runId, 0)).toEqual(heads);
    left = 2;
    const other = await begin();
    expect((await other.headsSince(world.runId, 0)).at(-1)).toMatchObject({ anchoredAt: anchoredAt + 3_600 });
    other.forget(world.runId);
    expect(await other.headsSince(world.runId, 0)).toEqual(heads);
  });

  it("and names another time twice in a row is believed until it is asked once more, a minute later", async () => {
    const clock = createManualClock();
    const lied = await openReader({ ...world, rpcUrl: liar.url, retries: 0, clock });
    const heads = await reader.headsSince(world.runId, 0);
    const { blockHash, anchoredAt } = heads.at(-1)!;
    const block = await world.client.request({ method: "eth_getBlockByHash", params: [blockHash, false] });
    let left = 2;
    const result = { ...block, timestamp: `0x${(anchoredAt - 1).toString(16)}` };
    liar.instead = (method, [hash]) =>
      method === "eth_getBlockByHash" && hash === blockHash && left-- > 0 ? { result } : undefined;
    const told = async () => (await lied.headsSince(world.runId, 0)).at(-1)!.anchoredAt;
    expect(await told()).toBe(anchoredAt - 1);
    await clock.advance(59_000);
    expect(await told()).toBe(anchoredAt - 1);
    await clock.advance(1_000);
    expect(await told()).toBe(anchoredAt);
    await clock.advance(60_000);
    expect(await lied.headsSince(world.runId, 0)).toEqual(heads);
  });

  it("lags one block behind for a moment has nothing read anew", async () => {
    const lied = await begin();
    const heads = await lied.headsSince(world.runId, 0);
    const tip = await world.client.request({ method: "eth_getBlockByNumber", params: ["latest", false] });
    const params: [`0x${string}`, boolean] = [`0x${(Number(tip!.number) - 1).toString(16)}`, false];
    const result = await world.client.request({ method: "eth_getBlockByNumber", params });
    let left = 2;
    liar.instead = (method, [which]) => {
      if (method !== "eth_getBlockByNumber" || left === 0) return undefined;
      if (which === tip!.number) return { result: null };
      if (which !== "latest") return undefined;
      left -= 1;
      return { result };
    };
    const asked = liar.asked.length;
    expect(await lied.headsSince(world.runId, 0)).toEqual(heads);
    expect(left).toBe(0);
    expect(liar.asked.slice(asked)).not.toContain("eth_getLogs");
  });

  it("hides no root that is in force", async () => {
    const lied = await begin();
    const lies = leaveOut(rootPosted(at()), 1);
    const wanted = digestOfJson("a root");
    // None is posted here: that it was read anew is all there is to see.
    expect(await lied.rootsOf(world.modelId, wanted)).toEqual([]);
    const asked = liar.asked.filter((method) => method === "eth_getLogs").length;
    expect([lies(), asked]).toEqual([1, 2]);
  });
});

const quantity = (value: bigint): Answer => ({ result: `0x${value.toString(16)}` });

describe("an RPC that names its fees", () => {
  const unknown: Answer = { error: { code: -32_601, message: "Method not found" } };
  /** 0.003 coins a gas. */
  const tip = quantity(3n * 10n ** 15n);

  it("gets no posting, which waits until it asks for less", async () => {
    const { chain, jobs, log } = await open();
    const [fields, before] = [await nextFields(), { nonce: await nonce(), sends: sends() }];
    rpc.instead = (method) => (method === "eth_maxPriorityFeePerGas" ? tip : undefined);
    const posting = chain.postHead(fields, "dear");
    posting.catch(() => undefined);
    await until(putOff(jobs, "dear"), "the posting that waits");
    expect(chain.feeWait()).toMatchObject({ what: "fees", allowed: 10n ** 17n, since: expect.any(Number) as number });
    expect(chain.feeWait()!.asked).toBeGreaterThan(10n ** 17n);
    rpc.instead = (method) => (method === "eth_estimateGas" ? quantity(2n ** 40n) : undefined);
    const asked = rpc.asked.length;
    await until(
      () => rpc.asked.slice(asked).filter((method) => method === "eth_estimateGas").length > 1,
      "another try",
    );
    expect({ nonce: await nonce(), sends: sends() }).toEqual(before);
    rpc.instead = () => undefined;
    const { head } = await posting;
    parent = head;
    expect(await nonce()).toBe(before.nonce + 1);
    expect(chain.feeWait()).toBeUndefined();
    // However often it was tried.
    expect(
      log.filter((line) => /too dear, posting waits. The chain's RPC asks for .* are allowed/.test(line)),
    ).toHaveLength(1);
  });

  it("gets nothing signed by an owner's wallet, which says what is asked for and what is allowed", async () => {
    const account = accountOf("dear owner");
    await developmentChain(node.link).fund([account.address]);
    const owner = (maxFee?: bigint) =>
      walletOn({ url: rpc.url, chainId: world.chainId, ...(maxFee !== undefined && { maxFee }) }, account);
    const pay = { chain: null, to: account.address, value: 1n } as const;
    const before = sends();
    const lies: Record<string, Answer> = { eth_fillTransaction: unknown, eth_maxPriorityFeePerGas: tip };
    rpc.instead = (method) => lies[method];
    // 21,000 gas, and the tip's part of a tenth of a coin.
    await expect(sendTransaction(owner(), pay)).rejects.toThrow(
      /asks for fees of 63\.\d* coins for one transaction \(21000 gas at 3000\d*\.?\d* gwei\); 0\.1 are allowed/,
    );
    // 0.042 coins of 0.1: too much for the tip alone.
    lies["eth_maxPriorityFeePerGas"] = quantity(2n * 10n ** 12n);
    await expect(sendTransaction(owner(), pay)).rejects.toThrow(/asks for a tip of 0\.042 coins .*0\.025 are allowed/);
    const filled = {
      type: "0x2",
      chainId: `0x${world.chainId.toString(16)}`,
      nonce: "0x0",
      gas: "0x5208",
      maxFeePerGas: "0xffffffffffff",
      maxPriorityFeePerGas: "0x1",
      to: account.address,
      value: "0x1",
      input: "0x",
    };
    lies["eth_fillTransaction"] = { result: { raw: "0x", tx: filled } };
    await expect(sendTransaction(owner(), pay)).rejects.toThrow(/asks for fees of/);
    expect(sends()).toBe(before);
    lies["eth_fillTransaction"] = unknown;
    await sendTransaction(owner(10n ** 18n), pay);
    expect(sends()).toBe(before + 1);
  });
});
