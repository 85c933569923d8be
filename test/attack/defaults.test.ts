/** The numbers that bound strangers where nobody says otherwise: written here once more, so that none changes unnoticed. */
import { type Hex, keccak256, serializeTransaction, toHex } from "viem";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";

import { type RetryableError, systemClock } from "../../offchain/src/base/index.ts";
import { createManualClock } from "../offchain/manualClock.ts";
import { createDoorPool } from "../../offchain/src/chain/doorPool.ts";
import { BLOCK_GAS_LIMIT, DOOR_LIMITS, type NodeLink, openChainDoor } from "../../offchain/src/chain/index.ts";
import { createLine } from "../../offchain/src/coordinator/line.ts";
import { createReaderLimit } from "../../offchain/src/service/http/readers.ts";
import { eventually } from "../offchain/service/support.ts";
import { send } from "./node.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("the embedded chain's door", () => {
  expect(BLOCK_GAS_LIMIT).toBe(30_000_000n);
  expect(DOOR_LIMITS).toMatchObject({
    sockets: 1_024,
    socketsPerAddress: 512,
    atWork: 128,
    bodyPatience: 1_000,
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 30_000,
  });
});

/** A node that takes everything, mines it at once and knows nobody who has coins. */
const openNode = () => {
  const asked: [method: string, first: unknown][] = [];
  let block = 0;
  const link: NodeLink = {
    request: async (method, params) => {
      asked.push([method, (params as unknown[] | undefined)?.[0]]);
      block += 1;
      if (method === "eth_getTransactionReceipt") return {};
      return method === "eth_getTransactionByHash" ? null : toHex(method === "eth_blockNumber" ? block : 0);
    },
    close: () => undefined,
  };
  const of = (wanted: string): unknown[] => asked.filter(([method]) => method === wanted).map(([, first]) => first);
  return { asked, link, of };
};

test.each([
  [4_096, "transactions", 4_100, 1],
  [34, "transactions of 120 KiB", 40, 120 << 10],
])("the embedded chain's door sends again the last %i %s", async (kept, _what, sent, bytes) => {
  const { asked, link, of } = openNode();
  const pool = createDoorPool(link);
  const data = `0x${"00".repeat(bytes)}` as const;
  const signature = { r: toHex(1, { size: 32 }), s: toHex(1, { size: 32 }), yParity: 0 };
  for (let nonce = 0; nonce < sent; nonce++)
    await pool.send([serializeTransaction({ type: "eip1559", chainId: 1, nonce, gas: 100_000n, data }, signature)]);
  const given = of("eth_sendRawTransaction").map((raw) => keccak256(raw as Hex));
  asked.length = 0;
  await pool.resend();
  expect(of("eth_getTransactionReceipt")).toEqual(given.slice(-kept));
});

test("the embedded chain's door gives play money again to the last 1,024", async () => {
  const { asked, link, of } = openNode();
  let now = 0;
  vi.spyOn(systemClock, "monotonic").mockImplementation(() => (now += 1_000));
  const door = await openChainDoor({ link, port: { port: 0, explicit: true } });
  onTestFinished(() => door.close());
  const accounts = Array.from({ length: 1_030 }, (_, n) => toHex(n + 1, { size: 20 }));
  const headers = { "content-type": "application/json" };
  for (let i = 0; i < accounts.length; i += 100) {
    const batch = accounts.slice(i, i + 100).map((account) => ({ id: 1, method: "cotrain_fund", params: [account] }));
    expect((await send(door.url, { headers, body: JSON.stringify(batch) })).text).not.toContain("error");
  }
  asked.length = 0;
  door.restarted();
  await eventually(() => of("anvil_setBalance").at(-1) === accounts.at(-1), "the last of them");
  expect(of("anvil_setBalance")).toEqual(accounts.slice(-1_024));
});

test("of one address sixty-four wait in line", () => {
  const line = createLine();
  const ask = (i: number, places: number): boolean =>
    line.turn(`0x${i.toString(16).padStart(40, "0")}`, "192.0.2.1", places, 0);
  for (let i = 0; i < 70; i++) expect(ask(i, 0)).toBe(false);
  // Who comes next has those alone before it that wait.
  expect(ask(100, 64)).toBe(false);
  expect(ask(101, 65)).toBe(true);
});

test("with 1,024 in line the last of the network with most of them makes room for one from elsewhere", () => {
  const line = createLine();
  const ask = (i: number, from: string, places: number): boolean => line.turn(toHex(i, { size: 20 }), from, places, 0);
  for (let i = 0; i < 1_024; i++) expect(ask(i, `10.0.0.${i >> 6}`, 0)).toBe(false);
  expect(ask(1_024, "192.0.2.1", 0)).toBe(false);
  // Who comes next has those alone before it that wait.
  expect(ask(1_025, "10.0.0.15", 1_025)).toBe(true);
});

test.each([
  ["a mebibyte a second keeps its place", 32, "READERS_BUSY", []],
  ["less makes room", 31, "begun", ["reader"]],
])("who reads %s", async (_what, chunks, next, expected) => {
  const clock = createManualClock();
  const limit = createReaderLimit({ perAddress: 1, clock });
  const cut: string[] = [];
  const begin = (name: string) => limit.begin({ address: "192.0.2.1" }, () => void cut.push(name));
  const tried = (): string => {
    try {
      begin("next").end();
      return "begun";
    } catch (error) {
      return (error as RetryableError).code;
    }
  };
  const reader = begin("reader");
  await clock.advance(1_000);
  // Of 64 KiB each.
  for (let chunk = 0; chunk < chunks; chunk++) reader.progress();
  await clock.advance(1_000);
  expect([tried(), cut]).toEqual([next, expected]);
});

test("who has read nothing for two seconds makes room, and for thirty is cut where there is some", async () => {
  const clock = createManualClock();
  const crowded = createReaderLimit({ perAddress: 1, clock });
  const cut: string[] = [];
  const begin = (limit: typeof crowded, name: string) =>
    limit.begin({ address: "192.0.2.1" }, () => void cut.push(name));
  begin(crowded, "first");
  await clock.advance(1_999);
  expect(() => begin(crowded, "second")).toThrow("Too many downloads at once");
  await clock.advance(1);
  begin(crowded, "third").end();
  expect(cut).toEqual(["first"]);
  vi.useFakeTimers();
  begin(createReaderLimit(), "alone");
  vi.advanceTimersByTime(29_999);
  expect(cut).toEqual(["first"]);
  vi.advanceTimersByTime(1);
  expect(cut).toEqual(["first", "alone"]);
});
