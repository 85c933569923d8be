/** What a program of this machine, or a joiner through a tunnel, can take of the embedded chain's door: sockets, time, memory. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";

import { type Hex, keccak256 } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, onTestFinished, test } from "vitest";

import { RetryableError } from "../../offchain/src/base/index.ts";
import { createDoorPool } from "../../offchain/src/chain/doorPool.ts";
import { NodeError } from "../../offchain/src/chain/nodeLink.ts";
import {
  BLOCK_GAS_LIMIT,
  type ChainDoor,
  DOOR_LIMITS,
  type DoorLimits,
  type NodeLink,
  openChainDoor,
} from "../../offchain/src/chain/index.ts";
import { eventually } from "../offchain/service/support.ts";
import { type Reply, send } from "./node.ts";

const MAX_BODY_BYTES = 2 << 20;
/** Ms after which every test would have given up. */
const NEVER = 600_000;
/** So that nothing but the number of sockets closes one. */
const PATIENT = { headersTimeout: NEVER, requestTimeout: NEVER, keepAliveTimeout: NEVER };
/** For tests that hang without their defence. */
const HANGS = { timeout: 30_000 };
const headers = { "content-type": "application/json" };
const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}';
const HEAD = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

type Signer = ReturnType<typeof privateKeyToAccount>;

/** An answer that no buffer of the kernel takes. */
const LONG = "x".repeat(16 << 20);

interface Opened {
  readonly door: ChainDoor;
  readonly ask: () => Promise<Reply>;
  /** Calls that wait at the node, and how many there ever were. */
  readonly waiting: (() => void)[];
  readonly calls: () => number;
  /** What the node was asked last. */
  readonly last: () => readonly [method: string, params: unknown] | undefined;
}

/** A real door before a node that answers at once, or when it is told to. */
async function open(
  limits: Partial<DoorLimits> = {},
  node: "prompt" | "slow" | "away" | "long" = "prompt",
  answer = node === "long" ? LONG : "0x7a69",
): Promise<Opened> {
  const waiting: (() => void)[] = [];
  const calls: [string, unknown][] = [];
  const link: NodeLink = {
    request: async (method, params) => {
      calls.push([method, params]);
      if (node === "away") throw new RetryableError("CHAIN_UNREACHABLE", "The embedded chain ended.");
      if (node === "slow") await new Promise<void>((resolve) => void waiting.push(resolve));
      return answer;
    },
    close: () => waiting.splice(0).forEach((answer) => answer()),
  };
  const door = await openChainDoor({ link, port: { port: 0, explicit: true }, limits });
  onTestFinished(() => door.close());
  const ask = (): Promise<Reply> => send(door.url, { headers, body: CALL });
  return { door, ask, waiting, calls: () => calls.length, last: () => calls.at(-1) };
}

async function call({ url }: ChainDoor, method: string, params: readonly unknown[]): Promise<unknown> {
  return JSON.parse((await send(url, { headers, body: JSON.stringify({ id: 1, method, params }) })).text) as unknown;
}

/** A socket that sends some text; `said` is what came back. */
async function speak({ port }: ChainDoor, text = ""): Promise<{ socket: Socket; said: () => string }> {
  const socket = connect({ port, host: "127.0.0.1" });
  let said = "";
  socket.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  socket.write(text);
  return { socket, said: () => said };
}

test("long answers that are not read are so many at a time and no more; one that is read is whole", async () => {
  const { door, ask, calls } = await open({ longAnswers: 1 }, "long");
  const length = `content-length: ${CALL.length}`;
  const { socket } = await speak(door, `${HEAD}${length}\r\n\r\n${CALL}`);
  socket.pause();
  await eventually(() => calls() === 1, "the first call");
  expect((await ask()).status).toBe(503);
  socket.destroy();
  let reply = await ask();
  await eventually(async () => {
    reply = await ask();
    return reply.status === 200;
  }, "a free place");
  expect(JSON.parse(reply.text)).toMatchObject({ result: LONG });
});

test("a body that says that it is too long is refused before it comes, the longest that is allowed is read", async () => {
  const { door, calls } = await open();
  const { socket, said } = await speak(door, `${HEAD}content-length: ${MAX_BODY_BYTES + 1}\r\n\r\n`);
  await eventually(() => socket.closed, "the end of the socket");
  expect(said()).toMatch(/^HTTP\/1\.1 413 [^]*connection: close[^]*has 2097152 bytes at most/i);
  expect(calls()).toBe(0);
  expect((await send(door.url, { headers, body: CALL.padEnd(MAX_BODY_BYTES) })).status).toBe(200);
});

test("a body that does not say how long it is is read as far as is allowed", async () => {
  const { door, ask, calls } = await open();
  const body = CALL.padEnd(MAX_BODY_BYTES + 1);
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const { socket, said } = await speak(door, `${HEAD}transfer-encoding: chunked\r\nconnection: close\r\n\r\n${chunk}`);
  await eventually(() => socket.closed, "the end of the socket");
  expect(said()).toMatch(/^HTTP\/1\.1 413 /);
  expect(calls()).toBe(0);
  expect((await ask()).status).toBe(200);
});

const batch = ({ url }: ChainDoor, length: number): Promise<Reply> =>
  send(url, { headers, body: JSON.stringify(Array.from({ length }, () => JSON.parse(CALL) as unknown)) });

test("a batch has a hundred requests at most, one at the node at a time", async () => {
  const refusing = await open();
  expect(JSON.parse((await batch(refusing.door, 101)).text)).toMatchObject({ error: { code: -32_600 } });
  expect(refusing.calls()).toBe(0);
  const { door, waiting, calls } = await open({}, "slow");
  const answered = batch(door, 100);
  for (let each = 1; each <= 100; each++) {
    await eventually(() => waiting.length > 0, `request ${each} of the batch`);
    expect([waiting.length, calls()]).toEqual([1, each]);
    waiting.pop()?.();
  }
  expect(JSON.parse((await answered).text)).toHaveLength(100);
});

test(
  "so many requests are at work at once; more are told to come again, and find room when some are done",
  HANGS,
  async () => {
    const { ask, waiting, calls } = await open({}, "slow");
    const atWork = Array.from({ length: DOOR_LIMITS.atWork }, ask);
    await eventually(() => waiting.length === DOOR_LIMITS.atWork, "all of them at the node");
    const refused = await ask();
    expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "1"]);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: -32_005 } });
    expect(calls()).toBe(DOOR_LIMITS.atWork);
    waiting.shift()?.();
    await Promise.race(atWork);
    const next = ask();
    await eventually(() => waiting.length === DOOR_LIMITS.atWork, "the next one at the node");
    waiting.splice(0).forEach((answer) => answer());
    for (const reply of await Promise.all([...atWork, next])) expect(reply.status).toBe(200);
  },
);

test("bodies that do not come keep nobody out", HANGS, async () => {
  const { door, ask } = await open({ atWork: 2, bodyPatience: 0, requestTimeout: NEVER });
  const slow = await Promise.all([1, 2, 3, 4].map(() => speak(door, `${HEAD}content-length: 40\r\n\r\n{`)));
  await eventually(() => slow.filter(({ socket }) => socket.closed).length === 2, "room for two of them");
  expect((await ask()).status).toBe(200);
});

test("who goes away, and what fails, holds no place", HANGS, async () => {
  const { door, ask } = await open({ atWork: 2 }, "away");
  const left = await Promise.all([1, 2].map(() => speak(door, `${HEAD}content-length: 40\r\n\r\n{`)));
  await eventually(async () => (await ask()).headers["retry-after"] === "1", "no place being left");
  for (const { socket } of left) socket.destroy();
  await eventually(async () => (await ask()).headers["retry-after"] === undefined, "places being free again");
  for (let each = 0; each < 4; each++) {
    const reply = await ask();
    expect([reply.status, reply.headers["retry-after"]]).toEqual([503, undefined]);
    expect(JSON.parse(reply.text)).toMatchObject({ error: { code: -32_000 } });
  }
});

test("idle sockets of one address keep nobody out, however many come", HANGS, async () => {
  const { door, ask } = await open(PATIENT);
  const idle: Socket[] = [];
  const held = (): Socket[] => idle.filter((socket) => !socket.destroyed);
  for (let each = 0; each < DOOR_LIMITS.socketsPerAddress + 8; each++) idle.push((await speak(door)).socket);
  await eventually(() => held().length <= DOOR_LIMITS.socketsPerAddress, "the end of those that are too many");
  expect((await ask()).status).toBe(200);
  expect(idle.slice(0, 8).every((socket) => socket.destroyed)).toBe(true);
});

test("sockets are bounded in all, whatever one address may have", HANGS, async () => {
  const { door, ask } = await open({ ...PATIENT, sockets: 4 });
  const idle: Socket[] = [];
  for (let each = 0; each < 12; each++) idle.push((await speak(door)).socket);
  await eventually(() => idle.filter((socket) => !socket.destroyed).length <= 4, "the end of those that are too many");
  expect((await ask()).status).toBe(200);
});

test.each([
  ["that says nothing", ""],
  ["whose headers never end", "POST / HTTP/1.1\r\nhost: localhost\r\nx: "],
])("a socket %s is closed", HANGS, async (_what, text) => {
  const { door } = await open({ headersTimeout: 100, requestTimeout: NEVER, keepAliveTimeout: NEVER });
  const { socket, said } = await speak(door, text);
  await eventually(() => socket.closed, "the end of the socket");
  expect(said()).toMatch(/^(HTTP\/1\.1 408 |$)/);
});

test("a request whose body never ends is given up", HANGS, async () => {
  const { door } = await open({ headersTimeout: 100, requestTimeout: 100, keepAliveTimeout: NEVER });
  const { socket, said } = await speak(door, `${HEAD}content-length: 40\r\n\r\n{`);
  await eventually(() => socket.closed, "the end of the socket");
  expect(said()).toMatch(/^(HTTP\/1\.1 408 |$)/);
});

test("a socket that asks nothing more is closed", HANGS, async () => {
  const { door } = await open({ headersTimeout: NEVER, requestTimeout: NEVER, keepAliveTimeout: 100 });
  const { socket, said } = await speak(door, `${HEAD}content-length: ${CALL.length}\r\n\r\n${CALL}`);
  await eventually(() => socket.closed, "the end of the socket");
  expect(said()).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([
  ["eth_newFilter", [{ address: [] }]],
  ["eth_newBlockFilter", []],
  ["eth_newPendingTransactionFilter", []],
  ["eth_getFilterChanges", ["0x1"]],
  ["eth_getFilterLogs", ["0x1"]],
  ["eth_uninstallFilter", ["0x1"]],
])("the node is told to keep nothing for anybody: %s", async (method, params) => {
  const { door, calls } = await open();
  expect(await call(door, method, params)).toMatchObject({ error: { code: -32_601 } });
  expect(calls()).toBe(0);
});

describe("transactions of strangers", () => {
  const TO = "0x00000000000000000000000000000000000000aa";
  const [stranger, own] = [1, 2].map((n) => privateKeyToAccount(`0x${`${n}`.repeat(64)}`)) as [Signer, Signer];
  const signed = (account: Signer, nonce: number, gas: bigint): Promise<Hex> =>
    account.signTransaction({ chainId: 31_337, nonce, gas, to: TO, maxFeePerGas: 1n, maxPriorityFeePerGas: 1n });

  /** A node that mines what it is told to. */
  async function openPool() {
    const node = {
      block: 1,
      pool: new Set<string>(),
      mined: new Set<string>(),
      refused: new Set<string>(),
      dropped: [] as string[],
      /** What answers about receipts wait for. */
      busy: undefined as Promise<void> | undefined,
    };
    /** What it was given, in order. */
    const given: string[] = [];
    const link: NodeLink = {
      request: async (method, params) => {
        const [first = ""] = (params ?? []) as string[];
        if (method === "eth_blockNumber") return `0x${node.block.toString(16)}`;
        if (method === "eth_getTransactionByHash") return node.pool.has(first) ? { blockNumber: null } : null;
        if (method === "eth_getTransactionReceipt") {
          await node.busy;
          return node.mined.has(first) ? {} : null;
        }
        if (method === "anvil_dropTransaction") return void node.dropped.push(first);
        if (method !== "eth_sendRawTransaction") throw new Error(`Nobody asks for ${method}.`);
        if (node.refused.has(first) || node.mined.has(keccak256(first as Hex)))
          throw new NodeError({ code: -32_003, message: "nonce too low" });
        given.push(first);
        node.pool.add(keccak256(first as Hex));
        return keccak256(first as Hex);
      },
      close: () => undefined,
    };
    const door = await openChainDoor({ link, port: { port: 0, explicit: true } });
    onTestFinished(() => door.close());
    door.trust([own.address]);
    const sent = async (raw: Hex): Promise<boolean> =>
      "result" in ((await call(door, "eth_sendRawTransaction", [raw])) as object);
    return { node, sent, given, door };
  }

  /** That what cannot be mined keeps others out for twenty blocks, and is dropped in the next. */
  async function expectDropped({ node, sent }: Awaited<ReturnType<typeof openPool>>, stuck: Hex): Promise<void> {
    node.block += 20;
    expect(await sent(await signed(stranger, 0, 21_000n))).toBe(false);
    expect(node.dropped).toEqual([]);
    node.block += 1;
    expect(await sent(await signed(stranger, 0, 21_000n))).toBe(true);
    expect(node.dropped).toEqual([keccak256(stuck)]);
  }

  test("have a third of a block at most, however many wait and whoever sends them; the run's own are let through", async () => {
    const { node, sent } = await openPool();
    expect(await sent(await signed(stranger, 0, BLOCK_GAS_LIMIT / 3n + 1n))).toBe(false);
    const answers: boolean[] = [];
    for (let nonce = 0; nonce < 6; nonce++) answers.push(await sent(await signed(stranger, nonce, 2_500_000n)));
    expect(answers).toEqual([true, true, true, true, false, false]);
    expect(await sent(await signed(own, 0, 5_000_000n))).toBe(true);
    // Nor do crowds of theirs come before one of the run's own for good.
    const crowd = await Promise.all(Array.from({ length: 60 }, (_, n) => signed(stranger, 10 + n, 2_500_000n)));
    const refused = Promise.all(crowd.map(sent));
    expect(await sent(await signed(own, 1, 5_000_000n))).toBe(true);
    expect(await refused).not.toContain(true);
    // Blocks that have none of them make no room; those that have all do.
    node.block += 1;
    expect(await sent(await signed(stranger, 4, 2_500_000n))).toBe(false);
    node.block += 1;
    node.pool.clear();
    expect(await sent(await signed(stranger, 4, 2_500_000n))).toBe(true);
  });

  test("that cannot be mined are dropped, so that they do not keep out others for ever", async () => {
    const pool = await openPool();
    const stuck = await signed(stranger, 7, 10_000_000n);
    expect(await pool.sent(stuck)).toBe(true);
    await expectDropped(pool, stuck);
  });

  test("and the run's own are sent again where a node that was started again lost them, within the same third", async () => {
    const { node, sent, given, door } = await openPool();
    const theirs = await Promise.all([0, 1, 2].map((nonce) => signed(stranger, nonce, 4_000_000n)));
    const ours = await signed(own, 0, 5_000_000n);
    const known = await signed(own, 1, 21_000n);
    for (const raw of [theirs[0]!, theirs[1]!, ours, known]) expect(await sent(raw)).toBe(true);
    node.pool.clear();
    node.block += 1;
    expect(await sent(theirs[2]!)).toBe(true);

    // Killed: it goes on from where it had one of them.
    node.pool.clear();
    node.mined.add(keccak256(known));
    given.length = 0;
    door.restarted();
    await eventually(() => given.length >= 2, "what has room");
    expect(given).toEqual([ours, theirs[0]]);
    node.block += 1;
    node.pool.clear();
    await eventually(() => given.length >= 4, "the others");
    expect(given.slice(2)).toEqual([theirs[1], theirs[2]]);
  });

  test("that are sent again wait as long as others", HANGS, async () => {
    const pool = await openPool();
    const { node, sent, given, door } = pool;
    node.block = 100;
    const stuck = await signed(stranger, 7, 10_000_000n);
    expect(await sent(stuck)).toBe(true);
    node.pool.clear();
    door.restarted();
    await eventually(() => given.length === 2, "what was lost");
    await expectDropped(pool, stuck);
  });

  test("that a node does not take any more keep no others from being sent again", HANGS, async () => {
    const { node, sent, given, door } = await openPool();
    const [first, second] = await Promise.all([0, 1].map((nonce) => signed(stranger, nonce, 21_000n)));
    for (const raw of [first!, second!]) expect(await sent(raw)).toBe(true);
    node.refused.add(first!);
    given.length = 0;
    door.restarted();
    await eventually(() => given.length > 0, "the other");
    expect(given).toEqual([second]);
  });

  test("and the run's own are sent again once by a node's last start", async () => {
    const { node, sent, given, door } = await openPool();
    const [lost, next] = await Promise.all([0, 1].map((nonce) => signed(own, nonce, BLOCK_GAS_LIMIT)));
    expect(await sent(lost!)).toBe(true);
    given.length = 0;
    const first = Promise.withResolvers<void>();
    node.busy = first.promise;
    door.restarted();
    node.busy = undefined;
    door.restarted();
    await eventually(() => given.length > 0, "what was lost");
    first.resolve();
    // Whose it is is found out after whose the other is.
    expect(await sent(next!)).toBe(true);
    expect(given).toEqual([lost, next]);
  });

  test("are no transactions: refused before the node sees them", async () => {
    const { sent } = await openPool();
    for (const raw of ["0x", "0x02", "7"]) expect(await sent(raw as Hex)).toBe(false);
  });

  /** One that is longer than its data by the same number of bytes always. */
  const long = (data: number): Promise<Hex> =>
    stranger.signTransaction({ chainId: 31_337, gas: 1n, to: TO, gasPrice: 1n, data: `0x${"00".repeat(data)}` });

  test("have 128 KiB at most, and those that are longer are not looked at", async () => {
    const { door, given } = await openPool();
    const rest = (await long(100_000)).length / 2 - 1 - 100_000;
    const [most, more] = [await long(131_072 - rest), await long(131_073 - rest)];
    expect([most.length, more.length]).toEqual([2 + 2 * 131_072, 2 + 2 * 131_073]);
    expect(await call(door, "eth_sendRawTransaction", [most])).toMatchObject({ result: keccak256(most) });
    for (const raw of [more, `0x${"f".repeat(1 << 20)}`])
      expect(await call(door, "eth_sendRawTransaction", [raw])).toMatchObject({
        error: { code: -32_602, message: "eth_sendRawTransaction takes a transaction of 131072 bytes at most" },
      });
    expect(given).toEqual([most]);
  });

  const idleNode: NodeLink = {
    request: async (method) => (method === "eth_blockNumber" ? "0x1" : null),
    close: () => undefined,
  };

  test("that are long and too many do not come before those of the run that are short", async () => {
    const pool = createDoorPool(idleNode);
    pool.trust([own.address]);
    const gas = BLOCK_GAS_LIMIT / 3n + 1n;
    const data = `0x${"00".repeat(17 << 10)}` as const;
    const crowd = await Promise.all(
      Array.from({ length: 20 }, (_, nonce) =>
        stranger.signTransaction({ chainId: 31_337, nonce, gas, to: TO, gasPrice: 1n, data }),
      ),
    );
    const ours = await signed(own, 0, gas);
    const refused: unknown[] = [];
    const all = crowd.map((raw) => pool.send([raw]).catch((error: unknown) => refused.push(error)));
    await pool.send([ours]);
    expect(refused.length).toBeLessThanOrEqual(2);
    await Promise.all(all);
    expect(refused).toHaveLength(20);
  });

  test("that are too many leave the process time for others between any two looks, and one of the run comes in its turn", async () => {
    const pool = createDoorPool(idleNode);
    pool.trust([own.address]);
    const crowd = await Promise.all(
      Array.from({ length: 20 }, (_, nonce) => signed(stranger, nonce, BLOCK_GAS_LIMIT / 3n + 1n)),
    );
    const ours = await signed(own, 0, BLOCK_GAS_LIMIT / 3n + 1n);
    const refused: unknown[] = [];
    const all = crowd.map((raw) => pool.send([raw]).catch((error: unknown) => refused.push(error)));
    const sent = pool.send([ours]);
    for (let turns = 1; turns <= 5; turns++) {
      await nextTurn();
      expect(refused.length).toBeLessThanOrEqual(turns);
    }
    await expect(sent).resolves.toBeNull();
    await Promise.all(all);
    expect(refused).toHaveLength(20);
  });
});

test("accounts that were given play money have it again where a node that was started again lost it", async () => {
  const rich = new Set<unknown>();
  const given: unknown[] = [];
  const link: NodeLink = {
    request: async (method, params) => {
      const [account] = params as unknown[];
      if (method === "eth_getBalance") return rich.has(account) ? "0xffffffffffffffffff" : "0x0";
      if (method === "anvil_setBalance") given.push(account);
      if (method === "anvil_setBalance") rich.add(account);
      return null;
    },
    close: () => undefined,
  };
  const door = await openChainDoor({ link, port: { port: 0, explicit: true } });
  onTestFinished(() => door.close());
  const accounts = [1, 2, 3].map((n) => `0x${`${n}`.padStart(40, "0")}`);
  for (const account of accounts) await call(door, "cotrain_fund", [account]);
  given.length = 0;
  for (const account of accounts.slice(1)) rich.delete(account);
  door.restarted();
  await eventually(() => rich.size === 3, "the coins");
  // Whoever still has some keeps what it has.
  expect(given).toEqual(accounts.slice(1));
});

test("so many accounts a minute are given play money", async () => {
  const { door } = await open();
  const given: boolean[] = [];
  for (let n = 0; n < 70; n++) {
    const address = `0x${(n + 1).toString(16).padStart(40, "0")}`;
    given.push("result" in ((await call(door, "cotrain_fund", [address])) as object));
  }
  expect(given.filter(Boolean)).toHaveLength(64);
});

const trials = ["eth_call", "eth_estimateGas", "eth_createAccessList"];
const limit = `0x${BLOCK_GAS_LIMIT.toString(16)}`;

test.each(trials)("%s has no more gas than a block has, by either of its names", async (method) => {
  const { door, last } = await open();
  const to = "0x00000000000000000000000000000000000000aa";
  for (const [given, left] of [
    [
      { to, gas: "0x7fffffffffffffff" },
      { to, gas: limit },
    ],
    [
      { to, gasLimit: "0x7fffffffffffffff" },
      { to, gas: limit },
    ],
    [
      { to, gas: null, gasLimit: `0x${"f".repeat(64)}` },
      { to, gas: limit },
    ],
    [
      { to, gas: "0x5208" },
      { to, gas: "0x5208" },
    ],
    [{ to }, { to }],
  ]) {
    expect(await call(door, method, [given, "latest"])).toMatchObject({ result: "0x7a69" });
    expect(last()).toEqual([method, [left, "latest"]]);
  }
});

test.each(trials)("%s takes no code that nobody deployed, and no gas that is no number", async (method) => {
  const { door, calls } = await open();
  const overrides = { "0x00000000000000000000000000000000000000aa": { code: "0x00" } };
  for (const params of [
    [{}, "latest", overrides],
    [{}, "latest", null],
    [{}, "latest", null, { gasLimit: "0xffffffffff" }],
    [{ gas: 2 ** 62 }, "latest"],
    [{ gas: "9223372036854775807" }, "latest"],
    [null],
    [],
  ])
    expect(await call(door, method, params)).toMatchObject({ error: { code: -32_602 } });
  expect(calls()).toBe(0);
});

test("a fee history has a hundred blocks at most, and ten percentiles", async () => {
  const { door, calls, last } = await open();
  const tens = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  for (const [given, left] of [
    [
      ["0x400", "latest", tens],
      ["0x64", "latest", tens],
    ],
    [
      [9_999_999, "latest"],
      ["0x64", "latest", []],
    ],
    [
      ["0x5", "pending", [25, 75]],
      ["0x5", "pending", [25, 75]],
    ],
  ]) {
    expect(await call(door, "eth_feeHistory", given!)).toMatchObject({ result: "0x7a69" });
    expect(last()).toEqual(["eth_feeHistory", left]);
  }
  const before = calls();
  for (const params of [
    ["0x1", "latest", [...tens, 11]],
    ["0x1", "latest", "1".repeat(99)],
    [["0x1"], "latest"],
    [{}],
    [],
  ])
    expect(await call(door, "eth_feeHistory", params)).toMatchObject({ error: { code: -32_602 } });
  expect(calls()).toBe(before);
});

test("a proof is of sixty-four keys at most", async () => {
  const { door, calls } = await open();
  const account = "0x00000000000000000000000000000000000000aa";
  const keys = (length: number): readonly unknown[] => [account, Array.from({ length }, () => "0x0"), "latest"];
  expect(await call(door, "eth_getProof", keys(64))).toMatchObject({ result: "0x7a69" });
  for (const params of [keys(65), [account], [account, "0x0", "latest"], []])
    expect(await call(door, "eth_getProof", params)).toMatchObject({ error: { code: -32_602 } });
  expect(calls()).toBe(1);
});

test("of a batch as much is answered as one answer may be long", async () => {
  const answer = "0".repeat(6 << 20);
  const { door, calls } = await open({}, "prompt", answer);
  const answers = JSON.parse((await batch(door, 5)).text) as {
    id: number;
    result?: string;
    error?: { code: number };
  }[];
  expect(answers.map(({ id, result, error }) => [id, result === answer, error?.code])).toEqual([
    ...[1, 2, 3].map(() => [1, true, undefined]),
    ...[4, 5].map(() => [1, false, -32_005]),
  ]);
  expect(calls()).toBe(3);
});
