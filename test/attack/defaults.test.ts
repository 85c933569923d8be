/** The numbers that bound strangers where nobody says otherwise: written here once more, so that none changes unnoticed. */
import { afterEach, expect, test, vi } from "vitest";

import { createManualClock } from "../../offchain/src/base/index.ts";
import { BLOCK_GAS_LIMIT, DOOR_LIMITS } from "../../offchain/src/chain/index.ts";
import { createLine } from "../../offchain/src/coordinator/line.ts";
import { createReaderLimit } from "../../offchain/src/service/readers.ts";

afterEach(() => void vi.useRealTimers());

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

test("of one address sixty-four wait in line", () => {
  const line = createLine();
  const ask = (i: number, places: number): boolean =>
    line.turn(`0x${i.toString(16).padStart(40, "0")}`, "192.0.2.1", places, 0);
  for (let i = 0; i < 70; i++) expect(ask(i, 0)).toBe(false);
  // Who comes next has those alone before it that wait.
  expect(ask(100, 64)).toBe(false);
  expect(ask(101, 65)).toBe(true);
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
