/** How long rounds are beside slow members, in simulated time: what the tests bound and `npm run bench -- pace` prints. */
import { type Actor, play } from "./liveness.ts";
import { START } from "./simulated.ts";

/** Presets as `npm start` trains them (engine/presets.ts), with about the time that a step takes each of three workers on two cores. */
export const shapes = [
  { name: "0.1m", innerSteps: 192, pace: 25, overhead: 500, roundDeadline: 60 },
  { name: "1m", innerSteps: 72, pace: 110, overhead: 1_000, roundDeadline: 60 },
  { name: "3.5m", innerSteps: 36, pace: 450, overhead: 1_500, roundDeadline: 60 },
  { name: "20m", innerSteps: 48, pace: 1_450, overhead: 4_000, roundDeadline: 120 },
];
export type Shape = (typeof shapes)[number];

/** How long rounds of three are, the third of them as it is said: the usual one, and the mean. */
export function roundsOf(shape: Shape, third: Partial<Actor>, rounds = 24, minWorkers = 1) {
  const { innerSteps, pace, overhead, roundDeadline } = shape;
  const member: Actor = { kind: "honest", pace, overhead };
  const closed: number[] = [];
  const { paid, lost } = play({
    actors: [member, member, { ...member, ...third }],
    params: { minWorkers, innerSteps, roundDeadline },
    elements: [300, 256, 256, 256],
    time: rounds * (innerSteps * pace + overhead),
    each: ({ round }, now) => void (closed.length < round && closed.push(now)),
  });
  const lengths = closed.map((at, i) => at - (closed[i - 1] ?? START)).toSorted((a, b) => a - b);
  const usual = lengths[Math.floor(lengths.length / 2)]!;
  const missing = closed.length - paid[2]!.rounds;
  return { usual, mean: (closed.at(-1)! - START) / closed.length, missing, rounds: paid[2]!.rounds, lost: lost[2]! };
}

/** Mean length of rounds, ms, and the rounds that each member is paid for. */
export interface Beside {
  readonly mean: number;
  readonly paid: readonly number[];
}

/** So many of whom one step takes longer than a round of {@link roundsBeside}. */
export const slowMembers = (count: number): Partial<Actor>[] =>
  Array.from({ length: count }, (_, i) => ({ pace: 15_500 + 300 * i }));

/** Rounds of ten alike, of 12.5 s, beside these. */
export function roundsBeside(slow: readonly Partial<Actor>[], time = 700_000): Beside {
  const fast: Actor = { kind: "honest", pace: 1_000, overhead: 500 };
  const closed: number[] = [];
  const { paid } = play({
    actors: [...Array.from({ length: 10 }, () => fast), ...slow.map((each) => ({ ...fast, ...each }))],
    params: { minWorkers: 1, maxWorkers: 64, innerSteps: 12, roundDeadline: 60 },
    elements: [300, 256, 256, 256],
    time,
    each: ({ round }, now) => void (closed.length < round && closed.push(now)),
  });
  return { mean: (closed.at(-1)! - START) / closed.length, paid: paid.map(({ rounds }) => rounds) };
}
