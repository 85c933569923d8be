/** Times of blocks that were told wrongly are found out, however long the lie was and whichever answer came last. */
import { expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { createBlockTimes } from "../../../offchain/src/chain/agreed.ts";

const MINUTE = 60_000;
const hashOf = (block: number) => `0x${block.toString(16).padStart(64, "0")}` as const;
const blockOf = (hash: string): number => Number(BigInt(hash));

it("asks again until there is an answer, though events are read anew meanwhile", async () => {
  const clock = createManualClock();
  const answers = [1, 1, undefined, 2, 2, 2, 2];
  const times = createBlockTimes(async () => {
    const answer = answers.shift();
    if (answer === undefined) throw new Error("away");
    return answer;
  }, clock);
  expect(await times.timeOf("run", 5, hashOf(5))).toBe(1);
  await clock.advance(MINUTE);
  expect(await times.changed("run")).toBe(undefined);
  times.forget();
  await clock.advance(2 * MINUTE);
  expect(await times.changed("run")).toBe(5);
  expect(await times.timeOf("run", 5, hashOf(5))).toBe(2);
});

it("asks about the others, however many blocks are gone", async () => {
  const clock = createManualClock();
  let gone = false;
  let lie = true;
  const times = createBlockTimes(async (hash) => {
    if (gone && blockOf(hash) >= 10) throw new Error("no such block");
    return lie ? 1 : blockOf(hash);
  }, clock);
  for (let block = 5; block < 200; block++) await times.timeOf("run", block, hashOf(block));
  gone = true;
  lie = false;
  await clock.advance(MINUTE);
  const changed: (number | undefined)[] = [];
  for (let look = 0; look < 20; look++) changed.push(await times.changed("run"));
  expect(changed).toContain(5);
});

it("asks no second time while it waits for answers", async () => {
  const clock = createManualClock();
  let asked = 0;
  let silent = false;
  const times = createBlockTimes(async () => {
    asked += 1;
    return silent ? new Promise<number>(() => {}) : 1;
  }, clock);
  await times.timeOf("run", 5, hashOf(5));
  silent = true;
  await clock.advance(MINUTE);
  void times.changed("run");
  const before = asked;
  expect(await times.changed("run")).toBe(undefined);
  expect(asked).toBe(before);
});

it("finds out a lie that was still told when it asked again", async () => {
  const clock = createManualClock();
  let told = 1;
  const times = createBlockTimes(async () => told, clock);
  await times.timeOf("run", 5, hashOf(5));
  await clock.advance(MINUTE);
  expect(await times.changed("run")).toBe(undefined);
  await times.timeOf("run", 5, hashOf(5));
  told = 2;
  await clock.advance(2 * MINUTE - 1);
  expect(await times.changed("run")).toBe(undefined);
  await clock.advance(1);
  expect(await times.changed("run")).toBe(5);
});

it("asks again about every head, also where one is posted each second", async () => {
  const clock = createManualClock();
  let lie = false;
  const times = createBlockTimes(async (hash) => (lie ? 1 : blockOf(hash) + 10), clock);
  const changed: (number | undefined)[] = [];
  for (let block = 0; block < 200; block++) {
    changed.push(await times.changed("run"));
    lie = block === 100;
    await times.timeOf("run", block, hashOf(block));
    lie = false;
    await clock.advance(1_000);
  }
  expect(changed.filter((block) => block !== undefined)).toContain(100);
  expect(await times.timeOf("run", 100, hashOf(100))).toBe(110);
});

it("asks again about the newest blocks, not about those that were answered last", async () => {
  const clock = createManualClock();
  const settled: (() => void)[] = [];
  let lie = true;
  const times = createBlockTimes(async (hash) => {
    if (lie && blockOf(hash) !== 9_999) await new Promise<void>((done) => settled.push(done));
    return lie && blockOf(hash) === 9_999 ? 1 : blockOf(hash) + 10;
  }, clock);
  const reading = Promise.all(Array.from({ length: 10_000 }, (_, block) => times.timeOf("run", block, hashOf(block))));
  await expect.poll(() => settled.length).toBe(9_999);
  lie = false;
  for (const done of settled) done();
  await reading;
  await clock.advance(MINUTE);
  const changed: (number | undefined)[] = [];
  for (let look = 0; look < 3; look++) changed.push(await times.changed("run"));
  expect(changed).toContain(9_999);
});
