/** Who measures a checkpoint, and when the others do. */
import {
  type Address,
  asHead,
  HELD_OUT_SEQUENCES,
  HELD_OUT_TURN_MS,
  type HeadHash,
  measuringOrder,
  type RunView,
} from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { absenceOf } from "../../../offchain/src/validator/absence.ts";
import { createTurns } from "../../../offchain/src/validator/checks/turn.ts";

const set = ["1", "2", "3"].map((digit): Address => `0x${digit.repeat(40)}`);
const headOf = (round: number): { head: HeadHash; round: number } => ({
  head: asHead(`0x${String(round).padStart(64, "0")}`),
  round,
});
const heads = [headOf(0), headOf(7)];
type Loss = RunView["loss"];
const measuredBy = (round: number, sequences: number): Loss["heldOut"] => ({ round, sequences, microBitsPerByte: 1 });
const view = (phase: RunView["phase"], heldOut: Loss["heldOut"] = null, heldOutFirst: Loss["heldOut"] = null) => ({
  phase,
  loss: { train: null, heldOut, heldOutFirst } as Loss,
});
const none = new Set<string>();

// foundation 20
describe("a checkpoint's held-out loss", () => {
  it("is measured by the one that sortition draws, within its share, and by nobody else", () => {
    const clock = createManualClock();
    const order = measuringOrder(heads[0]!.head, set);
    const due = set.map((validator) =>
      createTurns(validator, clock).next(heads.slice(0, 1), view("Training"), set, none),
    );
    expect(due.map((each) => each !== undefined)).toEqual(set.map((validator) => validator === order[0]));
    expect(due.find((each) => each)).toMatchObject({
      head: heads[0],
      sequences: HELD_OUT_SEQUENCES.running,
      // What docs/operations.md says.
      share: 0.05,
    });
  });

  it.each([0, 3_600_000, -3_600_000])(
    "is measured by the next, then by the last, while nothing comes (clock set by %i ms)",
    async (step) => {
      const clock = createManualClock();
      const order = measuringOrder(heads[0]!.head, set);
      const [, second, third] = order.map((validator) => createTurns(validator, clock));
      const asks = (turns = second): boolean =>
        turns?.next(heads.slice(0, 1), view("Training"), set, none) !== undefined;
      expect([asks(second), asks(third)]).toEqual([false, false]);
      clock.step(step);
      expect([asks(second), asks(third)]).toEqual([false, false]);
      await clock.advance(HELD_OUT_TURN_MS.running);
      expect([asks(second), asks(third)]).toEqual([true, false]);
      await clock.advance(HELD_OUT_TURN_MS.running);
      expect(asks(third)).toBe(true);
      // Somebody's came meanwhile.
      expect(third?.next(heads.slice(0, 1), view("Training", measuredBy(0, 64)), set, none)).toBeUndefined();
    },
  );

  it("is measured again at rest, with more sequences and all the time there is, what is newest first", () => {
    const clock = createManualClock();
    const [drawn] = measuringOrder(heads[1]!.head, set);
    const turns = createTurns(drawn!, clock);
    const resting = view(
      "Paused",
      measuredBy(7, HELD_OUT_SEQUENCES.running),
      measuredBy(0, HELD_OUT_SEQUENCES.running),
    );
    const next = turns.next(heads, resting, set, none);
    expect(next).toMatchObject({ head: heads[1], sequences: HELD_OUT_SEQUENCES.resting, share: undefined });
    const settled = view(
      "Paused",
      measuredBy(7, HELD_OUT_SEQUENCES.resting),
      measuredBy(0, HELD_OUT_SEQUENCES.resting),
    );
    expect(turns.next(heads, settled, set, none)).toBeUndefined();
    expect(turns.next(heads.slice(1), resting, set, new Set([next!.key]))).toBeUndefined();
  });

  it("is measured in its order by one that is alone: the first before the newest in training, at rest the newest", () => {
    const turns = createTurns(set[0]!, createManualClock());
    const first = (phase: RunView["phase"]) => turns.next(heads, view(phase), set.slice(0, 1), none)?.head;
    expect(first("Training")).toBe(heads[0]);
    expect(first("Paused")).toBe(heads[1]);
    expect(first("Finished")).toBe(heads[1]);
  });

  it("is not measured by a validator outside the set, nor where there is no checkpoint", async () => {
    const clock = createManualClock();
    const outsider = createTurns(`0x${"9".repeat(40)}`, clock);
    await clock.advance(10 * HELD_OUT_TURN_MS.running);
    expect(outsider.next(heads, view("Training"), set, none)).toBeUndefined();
    expect(createTurns(set[0]!, clock).next([], view("Training"), set, none)).toBeUndefined();
  });
});

it("what is not there for some seconds is not gone, however short posting delays are", () => {
  expect(absenceOf({ postingDelay: 12 })).toBe(60_000);
  expect(absenceOf({ postingDelay: 3_600 })).toBe(3_600_000);
});
