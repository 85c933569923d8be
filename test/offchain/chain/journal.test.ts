/** How long the journal waits, before a chain that does nothing but what a test has it do. */
import { join } from "node:path";

import { CheckpointRegistryStaleParentError, ComputeRewardsWindowOpenError } from "@cotrain/sdk/errors";
import { parseTransaction, type PublicClient, RpcRequestError, TransactionReceiptNotFoundError } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { expect, onTestFinished, test } from "vitest";

import { createRandom, formatAddress } from "../../../offchain/src/base/index.ts";
import { createManualClock } from "../manualClock.ts";
import { type ChainConnection, chainError, isRefused } from "../../../offchain/src/chain/index.ts";
import { type JournalOptions, openJournal, type PostingKind } from "../../../offchain/src/chain/journal.ts";
import {
  createLogger,
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
} from "../../../offchain/src/service/index.ts";
import { temporaryDirectory } from "../service/support.ts";

const HOUR = 3_600_000;
const POLL = 250;

interface Node {
  /** Nonces of the account that blocks hold, and those of them and the pool. */
  latest: number;
  pending: number;
  /** Wei a gas. */
  price: bigint;
  tip?: bigint;
  /** Wei that the account has; default a coin. */
  balance?: bigint;
  /** Block that holds the transaction. */
  mined?: bigint;
  /** Why it refuses to have it sent, what of it alone if that is said. */
  refusal?: Error;
  refuses?: `0x${string}`;
  /** Gas by the data that is sent; 100,000 for all other. */
  gas?: Readonly<Record<string, bigint>>;
  /** Whether its RPC leaves the effect's event out of all answers. */
  isMute?: boolean;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

/** A journal with one posting, whose effect never comes, unless all is read anew. */
async function openPosting(node: Node, confirmations = 0, over: Partial<PostingKind<string, string>> = {}) {
  const clock = createManualClock(1_790_000_000_000);
  const database = await openDatabase<JobSchema>(join(await temporaryDirectory(), "jobs.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { clock, random: createRandom("jobs") });
  const sent = new Set<string>();
  const client = {
    getTransactionReceipt: async ({ hash }: { hash: `0x${string}` }) => {
      if (node.mined === undefined) throw new TransactionReceiptNotFoundError({ hash });
      return { status: "success", transactionHash: hash, blockNumber: node.mined };
    },
    getBlockNumber: async () => node.tip,
    getTransaction: async () => ({}),
    getTransactionCount: async ({ blockTag }: { blockTag: "latest" | "pending" }) => node[blockTag],
    estimateGas: async ({ data }: { data: `0x${string}` }) => {
      if (node.refusal && (node.refuses ?? data) === data) throw node.refusal;
      return node.gas?.[data] ?? 100_000n;
    },
    getBalance: async () => node.balance ?? 10n ** 18n,
    estimateFeesPerGas: async () => ({ maxFeePerGas: node.price, maxPriorityFeePerGas: 1n }),
    sendRawTransaction: async ({ serializedTransaction }: { serializedTransaction: string }) => {
      sent.add(serializedTransaction);
      // Who sends again and again without a pause must not keep the test from going on.
      await new Promise(setImmediate);
    },
  } as unknown as PublicClient;
  const connection: ChainConnection = {
    url: "http://node.test",
    chainId: 31_337,
    client,
    maxFee: 10n ** 17n,
    call: (work) => work(client),
    sameChain: async () => undefined,
  };
  const seen = { looks: 0, anew: 0, from: [] as number[] };
  const kind: PostingKind<string, string> = {
    kind: "effect",
    done: async (_payload, anew) => {
      seen.looks += 1;
      if (anew === undefined) return undefined;
      seen.anew += 1;
      seen.from.push(anew);
      return node.isMute ? undefined : "there";
    },
    prepare: async () => "send",
    call: () => ({ to: `0x${"ee".repeat(20)}`, data: "0x" }),
    ...over,
  };
  const told: string[] = [];
  const options: JournalOptions = {
    connection,
    account: privateKeyToAccount(`0x${"41".repeat(32)}`),
    jobs,
    kinds: [kind],
    clock,
    logger: createLogger({
      component: "chain",
      pretty: false,
      clock,
      destination: { write: (line) => void told.push((JSON.parse(line) as { msg: string }).msg) },
    }),
    confirmations,
    pollInterval: POLL,
    stuckAfter: 30_000,
    gapPatience: 10_000,
  };
  const journal = openJournal(options);
  const journals = [journal];
  onTestFinished(async () => {
    for (const each of journals) await each.stop();
    await database.close();
  });
  const posting = journal.submit(kind, "key", "payload");
  posting.catch(() => undefined);
  await until(() => seen.looks > 0);
  return {
    clock,
    journal,
    posting,
    seen,
    sent,
    told,
    /** The journal of the process after this one. */
    restart: async (): Promise<void> => {
      await journal.stop();
      journals.push(openJournal(options));
    },
    /** Time in which a posting that goes on looks many times, and one that has ended does not. */
    turns: async (): Promise<void> => {
      for (let turn = 0; turn < 100; turn++) {
        await clock.advance(POLL);
        await new Promise(setImmediate);
      }
    },
    /** Lets time pass; the journal has looked at the chain in all of it. */
    pass: async (seconds: number): Promise<void> => {
      for (const end = clock.monotonic() + seconds * 1_000; clock.monotonic() < end;) {
        const before = seen.looks;
        while (seen.looks === before) {
          await clock.advance(POLL);
          await new Promise(setImmediate);
        }
      }
    },
  };
}

const steps = [0, HOUR, -HOUR];

test.each(steps)(
  "a posting that is stuck is sent again every 30 s, also where the clock is set by %i ms",
  async (step) => {
    const { clock, sent, pass } = await openPosting({ latest: 0, pending: 0, price: 10n });
    await pass(5);
    clock.step(step);
    await pass(20);
    expect(sent.size).toBe(1);
    await pass(15);
    expect(sent.size).toBe(2);
    clock.step(-step);
    await pass(20);
    expect(sent.size).toBe(2);
    await pass(15);
    expect(sent.size).toBe(3);
  },
);

test.each(steps)(
  "a nonce that was lost before a posting's is waited for 10 s, each time, also where the clock is set by %i ms",
  async (step) => {
    const { clock, told, pass } = await openPosting({ latest: 0, pending: 1, price: 10n });
    const lost = () => told.filter((line) => line === "a nonce before this posting's was lost").length;
    await pass(3);
    clock.step(step);
    await pass(4);
    expect(lost()).toBe(0);
    await pass(8);
    expect(lost()).toBe(1);
    // And so is the next.
    await pass(8);
    expect(lost()).toBe(2);
  },
);

test.each(steps)(
  "that the chain is too dear is told once a minute, also where the clock is set by %i ms",
  async (step) => {
    const { clock, journal, sent, told, pass } = await openPosting({ latest: 0, pending: 0, price: 10n ** 15n });
    const began = clock.now();
    await pass(5);
    const dear = () => told.filter((line) => line.startsWith("the chain is too dear")).length;
    expect([dear(), journal.feeWait()?.since]).toEqual([1, began]);
    clock.step(step);
    await pass(45);
    expect(dear()).toBe(1);
    await pass(20);
    expect([dear(), journal.feeWait()?.since, sent.size]).toEqual([2, began, 0]);
  },
);

test("nothing is sent without the coins for it, which is told once a minute with the account and what it has", async () => {
  // 125,000 gas at 10 wei, and a wei less than that.
  const node: Node = { latest: 0, pending: 0, price: 10n, balance: 1_249_999n, isMute: true };
  const { clock, journal, sent, told, pass } = await openPosting(node);
  const began = clock.now();
  await pass(5);
  const poor = () => told.filter((line) => line.startsWith(`${formatAddress(journal.account)} lacks coins`));
  const wait = { what: "coins", asked: 1_250_000n, allowed: 1_249_999n, since: began };
  expect([poor().length, journal.feeWait()]).toEqual([1, wait]);
  expect(poor()[0]).toContain("It has 0.000000000001249999 coins, and");
  await pass(45);
  expect(poor()).toHaveLength(1);
  await pass(20);
  expect([poor().length, journal.feeWait(), sent.size]).toEqual([2, wait, 0]);
  node.balance = 1_250_000n;
  await pass(2);
  expect([journal.feeWait(), sent.size]).toEqual([undefined, 1]);
});

test("what waits in the pool is not replaced by what the account cannot pay", async () => {
  const { journal, sent, pass } = await openPosting({ latest: 0, pending: 0, price: 10n, balance: 1_250_000n });
  await pass(40);
  // Nine eighths of 10 wei a gas, and one more.
  expect(journal.feeWait()).toMatchObject({ what: "coins", asked: 125_000n * 12n, allowed: 1_250_000n });
  expect(sent.size).toBe(1);
});

test.each([
  [3, "what was mined is read anew when it has its confirmations, and not before"],
  [0, "what was mined is not read anew before the node that tells the events is where the one of the receipt was"],
])("with %i confirmations %s, from its block on", async (confirmations) => {
  const mined = 10n;
  const tip = mined + BigInt(confirmations);
  const node: Node = { latest: 1, pending: 1, price: 10n, mined, tip: tip - 1n };
  const { posting, seen, turns } = await openPosting(node, confirmations);
  await turns();
  expect(seen.anew).toBe(0);
  node.tip = tip;
  await turns();
  expect(await posting).toBe("there");
  expect(seen.from).toEqual([Number(mined)]);
});

test("what was mined and is left out again and again is given up for others, after three readings", async () => {
  const { posting, seen, turns } = await openPosting({
    latest: 1,
    pending: 1,
    price: 10n,
    mined: 10n,
    tip: 10n,
    isMute: true,
  });
  await turns();
  expect(seen.anew).toBe(3);
  await expect(posting).rejects.toMatchObject({ code: "POSTING_UNSEEN", retryable: true });
});

test("what a contract refuses because it is there already is done, also where its event was left out", async () => {
  const refusal = new CheckpointRegistryStaleParentError(["0x", "0x", "0x"]);
  const { posting, seen, sent } = await openPosting({ latest: 0, pending: 0, price: 10n, refusal });
  expect(await posting).toBe("there");
  expect([seen.anew, sent.size]).toEqual([1, 0]);
});

/** What a node answers, as a connection throws it. */
const answered = (code: number, message: string, data?: string): Error => {
  const error = { code, message, ...(data !== undefined && { data }) };
  return chainError("http://node.test", new RpcRequestError({ body: {}, error, url: "http://node.test" }));
};

test.each([
  ["with data of no error that is known here", answered(3, "execution reverted", "0xd93c0665")],
  ["without data", answered(-32_000, "execution reverted")],
  ["for want of gas, as geth says it", answered(-32_000, "gas required exceeds allowance (30000000)")],
  ["for a reason that the node keeps to itself", answered(-32_015, "VM execution error")],
])("what reverts %s is refused, and holds up no other posting", async (_how, refusal) => {
  const node: Node = { latest: 0, pending: 0, price: 10n, isMute: true, refusal };
  const { posting, sent, told } = await openPosting(node);
  await expect(posting).rejects.toMatchObject({ code: "POSTING_REVERTED", retryable: true });
  await expect(posting).rejects.toSatisfy(isRefused);
  expect([sent.size, told]).toEqual([0, []]);
});

test.each<[string, Partial<Node>, string]>([
  ["is too dear", { price: 10n ** 13n }, "POSTING_DEAR"],
  ["is more than the account has", { balance: 1n }, "POSTING_DEAR"],
  ["takes more gas than a transaction may", { gas: { "0x": 2n ** 24n + 1n } }, "POSTING_REVERTED"],
])("of what nobody waits for, what %s ends unsent, and holds up no other posting", async (_why, change, code) => {
  const node: Node = { latest: 0, pending: 0, price: 10n, isMute: true, ...change };
  const { posting, sent } = await openPosting(node, 0, { yields: true });
  await expect(posting).rejects.toMatchObject({ code, retryable: true });
  expect(sent.size).toBe(0);
});

test("what nobody waits for and was sent is waited for all the same, since its nonce is", async () => {
  const node: Node = { latest: 0, pending: 0, price: 10n, isMute: true };
  const { sent, pass } = await openPosting(node, 0, { yields: true });
  await pass(2);
  expect(sent.size).toBe(1);
  node.price = 10n ** 13n;
  await pass(200);
  expect(sent.size).toBe(1);
  node.price = 10n;
  await pass(200);
  expect(sent.size).toBeGreaterThan(1);
});

test("what a contract refuses for now is refused too: whoever wants it asks again", async () => {
  const refusal = new ComputeRewardsWindowOpenError([1]);
  const { posting } = await openPosting({ latest: 0, pending: 0, price: 10n, isMute: true, refusal });
  await expect(posting).rejects.toMatchObject({ retryable: true, details: { revert: "ComputeRewardsWindowOpen" } });
});

test.each([answered(-32_000, "header not found"), answered(-32_005, "limit exceeded")])(
  "a node that says nothing of a revert is asked again: %s",
  async (refusal) => {
    const node: Node = { latest: 0, pending: 0, price: 10n, isMute: true, refusal };
    const { sent, told, pass } = await openPosting(node);
    await pass(5);
    expect([sent.size, new Set(told)]).toEqual([0, new Set(["the chain is away, posting waits"])]);
    delete node.refusal;
    await pass(5);
    expect(sent.size).toBe(1);
  },
);

const [ALL, LESS] = ["0xaa", "0x01"] as const;
/** A posting that would bring about more than its own effect. */
const several: Partial<PostingKind<string, string>> = {
  call: (payload) => ({ to: `0x${"ee".repeat(20)}`, data: payload === "less" ? LESS : ALL }),
  less: (payload) => (payload === "less" ? undefined : "less"),
};
const dataOf = (sent: ReadonlySet<string>) => [...sent].map((raw) => parseTransaction(raw as `0x${string}`).data);

test("of several of which one is refused the first is posted alone, by the next process too", async () => {
  const refusal = new CheckpointRegistryStaleParentError(["0x", "0x", "0x"]);
  const node: Node = { latest: 0, pending: 0, price: 10n, isMute: true, refusal, refuses: ALL };
  const { sent, told, pass, restart } = await openPosting(node, 0, several);
  await pass(5);
  expect(dataOf(sent)).toEqual([LESS]);
  expect(told.filter((line) => line.startsWith("a posting of several was refused"))).toHaveLength(1);
  // What was sent is replaced by the same, whatever would be taken by now.
  delete node.refusal;
  await restart();
  await pass(40);
  expect(dataOf(sent)).toEqual([LESS, LESS]);
});

test("what is refused alone too ends with its own refusal", async () => {
  const refusal = new CheckpointRegistryStaleParentError(["0x", "0x", "0x"]);
  const node: Node = { latest: 0, pending: 0, price: 10n, isMute: true, refusal };
  const { posting, sent, told } = await openPosting(node, 0, several);
  await expect(posting).rejects.toMatchObject({ details: { revert: "CheckpointRegistryStaleParent" } });
  expect([sent.size, told.filter((line) => line.startsWith("a posting of several")).length]).toEqual([0, 1]);
});

test("of several that are too dear together the first is posted alone", async () => {
  const node: Node = { latest: 0, pending: 0, price: 10n ** 11n, isMute: true, gas: { [ALL]: 10_000_000n } };
  const { journal, sent, pass } = await openPosting(node, 0, several);
  await pass(5);
  expect(dataOf(sent)).toEqual([LESS]);
  expect(journal.feeWait()).toBeUndefined();
});

test("of several that the account cannot pay together the first is posted alone", async () => {
  const node: Node = { latest: 0, pending: 0, price: 10n, balance: 1_250_000n, isMute: true, gas: { [ALL]: 200_000n } };
  const { sent, pass } = await openPosting(node, 0, several);
  await pass(5);
  expect(dataOf(sent)).toEqual([LESS]);
});

test("several that are neither refused nor too dear go together", async () => {
  const { sent, pass } = await openPosting({ latest: 0, pending: 0, price: 10n, isMute: true }, 0, several);
  await pass(5);
  expect(dataOf(sent)).toEqual([ALL]);
});
