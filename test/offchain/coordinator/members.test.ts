/** What a member did is kept for as long as it counts: what it was left out for, its place, and the time that it has. */
import { type Address, outcomeCode } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { outstandingOf } from "../../../offchain/src/coordinator/machine/dealing.ts";
import { keyOf } from "../../../offchain/src/coordinator/machine/effects.ts";
import type { RunEvent } from "../../../offchain/src/coordinator/machine/events.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { JOIN_WINDOW_MS, openPlaces } from "../../../offchain/src/coordinator/machine/members.ts";
import type { Member, RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { type Actor, addressOf, joined, left, play } from "./liveness.ts";
import { receiptFor } from "./simulated.ts";

const [a, b, c, newcomer] = [addressOf(0), addressOf(1), addressOf(2), addressOf(9)];
const equal = (count: number, pace: number): Actor[] =>
  Array.from({ length: count }, () => ({ kind: "honest", pace, overhead: 500 }));
const after = (state: RunState, event: RunEvent): RunState => step(state, event).state;

// foundation 2
it("left out for what it sent, a member begins at nothing again after a payload that counts", () => {
  const states: RunState[] = [];
  const params = { minWorkers: 2, roundDeadline: 20 };
  play({ actors: equal(2, 50), params, time: 20_000, each: (now) => void states.push(now) });
  const storing = states.find(({ pending }) => "storeCheckpoint/0" in pending)!;
  const { at, checkpoint } = storing;
  const { digest } = checkpoint;
  const stored = { digest, receipts: digest, receiptsRoot: digest, secret: digest };
  const strikesAfter = (outcome: number): RunState["strikes"] => {
    const current = { ...storing.current!, excluded: { [a]: outcome } };
    const struck = { ...storing, strikes: { [a]: 2 }, current };
    return after(struck, { type: "CheckpointStored", at, key: "storeCheckpoint/0", round: 0, ...stored }).strikes;
  };
  expect(strikesAfter(outcomeCode.empty)).toEqual({ [a]: 3 });
  expect(strikesAfter(outcomeCode.aggregated)).toEqual({});
});

/** Who is a member after one more has come. */
const stay = (from: RunState): string[] => Object.keys(after(from, joined(newcomer, from.at)).members).toSorted();

// foundation 5
describe("the place of a member", () => {
  const params = { minWorkers: 1, maxWorkers: 3, roundDeadline: 20 };
  const { state } = play({ actors: equal(3, 100), params, time: 60_000 });
  /** By worker: misses, and how many rounds ago the last receipt was accepted. */
  const full = (...told: readonly (readonly [number, number])[]): RunState => {
    const members = [a, b, c].map((worker, i) => {
      const [misses, rounds] = told[i]!;
      return [worker, { ...state.members[worker]!, misses, since: state.round - rounds }] as const;
    });
    return { ...state, members: Object.fromEntries(members) };
  };

  it("is not renewed by joining again", () => {
    const again = after(full([0, 0], [0, 2], [0, 3]), joined(c, state.at));
    expect(openPlaces(again)).toBe(2);
    expect(stay(again)).toEqual([a, b, newcomer]);
  });

  it("goes first that missed most, and of those that missed as much, that waited longest", () => {
    expect(stay(full([1, 9], [2, 2], [1, 2]))).toEqual([a, c, newcomer]);
    expect(stay(full([1, 2], [1, 2], [1, 9]))).toEqual([a, b, newcomer]);
  });
});

it("joins are forgotten once none of them can be handed in again, and no sooner", () => {
  const { state } = play({ actors: equal(2, 100), params: { minWorkers: 2, maxWorkers: 8 }, time: 1_000 });
  const { at } = state;
  const from = { ...state, joins: { [c]: [at - 9, at] } };
  const until = at + 2 * JOIN_WINDOW_MS;
  const joinsAfter = (now: number): RunState["joins"] => after(from, joined(newcomer, now)).joins;
  expect(joinsAfter(until)).toEqual({ [c]: [at - 9, at], [newcomer]: [until] });
  expect(joinsAfter(until + 1)).toEqual({ [newcomer]: [until + 1] });
});

const working = ({ current }: RunState): string[] => Object.keys(current!.work).toSorted();

/** Two members that have work which neither has delivered, and a third that comes now; `over` is about the second. */
function dealt(over: Partial<Member> = {}, absent: RunState["absent"] = {}): RunState {
  const params = { minWorkers: 2, maxWorkers: 8, roundDeadline: 20 };
  const { state } = play({ actors: equal(2, 100), params, time: 1_000 });
  const { members, current } = state;
  expect(outstandingOf(current!).map(({ assignment: { worker } }) => worker)).toEqual([a, b]);
  return after({ ...state, members: { ...members, [b]: { ...members[b]!, ...over } }, absent }, joined(c, state.at));
}

// foundation 3
it("the bench gives nobody to a round while members that are not relied on may still deliver, and does when they go", () => {
  const bench = { [c]: { misses: 3, benchedUntil: Infinity, keptUntil: Infinity } };
  for (const over of [{ misses: 2 }, { silent: true }]) {
    const state = dealt(over, bench);
    expect(working(state)).toEqual([a, b]);
    expect(working(after(state, left(b, state.at)))).toEqual([a, c]);
  }
});

/** The round's time is over, at which these send what they trained. */
const over = (state: RunState, at: number, ...sending: Address[]): RunState => {
  const { round, deadlines } = state.current!;
  const reports = Object.fromEntries(sending.map((worker) => [worker, { step: 64, uploading: true }]));
  return after(state, { type: "TimerFired", at, key: keyOf("setTimer", "deadline", round, deadlines), reports });
};

// foundation 19
describe("what is being sent at the latest time", () => {
  const { latest } = dealt().current!;
  const graced = over(dealt(), latest, b);

  it("has three seconds more, once", () => {
    expect(graced.current!.deadline).toBe(latest + 3_000);
    const receipt = { ...receiptFor(graced.current!.work[b]!, b), at: latest + 2_000 } as RunEvent;
    expect(after(graced, receipt).current!.work[b]!.receipt).not.toBeNull();
    expect(over(graced, latest + 3_000, b).members[b]!.misses).toBe(1);
  });

  it("has them again where work was given out since: who takes over from one that went silent is not cut short", () => {
    const taken = after(graced, { type: "MemberSilent", at: latest + 1, worker: b });
    expect(working(taken)).toEqual([a, b, c]);
    const last = taken.current!.latest;
    expect(last).toBeGreaterThan(latest + 3_000);
    expect(over(taken, last, c).current!.deadline).toBe(last + 3_000);
  });
});

/** How far the open round's times are from one. */
const away = ({ current }: RunState, from: number): number[] => {
  const { openedAt, deadline, latest, newcomers, work } = current!;
  const given = Object.values(work).flatMap(({ dealtAt, begunAt, partFrom }) => [dealtAt, begunAt, partFrom]);
  return [openedAt, deadline, latest, newcomers ?? from, ...given].map((time) => time - from);
};

// foundation 8
it.each([3_600_000, -3_600_000])("an open round's times are as far away when the clock is set by %i ms", (by) => {
  const state = dealt();
  const was = state.at;
  expect(away(state, was)).toHaveLength(4 + 2 * 3);
  expect(away(after(state, { type: "ClockStepped", at: was + by, was }), was + by)).toEqual(away(state, was));
});
