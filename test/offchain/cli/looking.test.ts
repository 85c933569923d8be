/** Looks at several things in loops of their own: none waits for another, and all end when they are told to. */
import { expect, test } from "vitest";

import { systemClock, turn } from "../../../offchain/src/base/index.ts";
import { lookInLoops } from "../../../offchain/src/cli/looking.ts";
import { untilEnded } from "../../../offchain/src/validator/index.ts";
import { createManualClock } from "../manualClock.ts";

/** A look that ends when it is told to, as one does whose source never answers. */
const never = (signal: AbortSignal): Promise<void> =>
  untilEnded({ blob: () => new Promise(() => undefined) }, signal)
    .blob(...([] as unknown as [never, never, never]))
    .then(() => undefined);

const forever = new AbortController().signal;

test("a look that never ends holds up no other, and ends when it is told to", async () => {
  const clock = createManualClock();
  const ending = new AbortController();
  let looked = 0;
  const looking = lookInLoops([never, async () => void (looked += 1)], {
    every: 1_000,
    once: false,
    clock,
    signal: ending.signal,
  });
  for (let more = 1; more <= 5; more++) {
    await clock.advance(more === 1 ? 0 : 1_000);
    expect(looked).toBe(more);
  }
  ending.abort();
  await looking;
  await clock.advance(10_000);
  expect(looked).toBe(5);
});

test("a look that does not end though it is told to is waited for no longer than three seconds", async () => {
  const clock = createManualClock();
  const ending = new AbortController();
  let isOver = false;
  const options = { every: 1_000, once: false, clock, signal: ending.signal };
  const looking = lookInLoops([() => new Promise(() => undefined)], options).then(() => (isOver = true));
  ending.abort();
  await turn();
  await clock.advance(2_999);
  expect(isOver).toBe(false);
  await clock.advance(1);
  await looking;
});

test("what is told to end before it begins looks at nothing", async () => {
  let looked = 0;
  const options = { every: 0, once: false, clock: systemClock, signal: AbortSignal.abort() };
  await lookInLoops([async () => void (looked += 1)], options);
  expect(looked).toBe(0);
});

test("once, each is looked at once", async () => {
  const looked = [0, 0];
  const look = (of: number) => async () => void (looked[of]! += 1);
  await lookInLoops([look(0), look(1)], { every: 0, once: true, clock: systemClock, signal: forever });
  expect(looked).toEqual([1, 1]);
});

test("one that fails ends all, and what it failed by is thrown; what the others end by is not", async () => {
  const failed = new Error("The disk is full.");
  const looks = [never, () => Promise.reject(failed)];
  const options = { every: 0, once: false, clock: systemClock, signal: forever };
  await expect(lookInLoops(looks, options)).rejects.toBe(failed);
});
