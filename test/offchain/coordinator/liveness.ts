/**
 * Rounds in simulated time: honest workers of different speed beside members that do everything but deliver. What is looked
 * at is not whether the state is sound (simulation.ts does that too) but whether those who work get work and are paid.
 */
import {
  type Address,
  asDigest,
  type Digest,
  digestOfJson,
  headHash,
  type RunParams,
  runParamsToWire,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { expect } from "vitest";

import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import {
  GRACE_MS,
  isCollecting,
  outstandingOf,
  receiptsOf,
} from "../../../offchain/src/coordinator/machine/dealing.ts";
import type { WorkReport } from "../../../offchain/src/coordinator/machine/effects.ts";
import type { RunEvent, Unstamped } from "../../../offchain/src/coordinator/machine/events.ts";
import { violationsOf } from "../../../offchain/src/coordinator/machine/invariants.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { MAX_STRETCH } from "../../../offchain/src/coordinator/machine/pace.ts";
import { refusalOf } from "../../../offchain/src/coordinator/machine/rules.ts";
import type { RunState, Work } from "../../../offchain/src/coordinator/machine/state.ts";
import { type GatePass, passHolds, passOutcomes, searchHarm } from "../../../offchain/src/diloco/index.ts";
import { params as harnessParams } from "./harness.ts";
import { build, elements, facts, fragmentOf, receiptFor, runId, START } from "./simulated.ts";

/** Ms of one tick. */
const TICK = 250;

/**
 * honest: works and delivers. poisoner: too, what raises the loss of whatever it is part of. idle: only heartbeats. boaster: says that it is nearly done, for ever. late: delivers after the
 * deadline. garbler: sends receipts of nothing. restarter: starts anew every few seconds. flapper: leaves and comes back.
 * leaver: leaves just before each deadline and comes back at once. rejoiner: joins anew after each, without leaving.
 * dawdler: delivers once in time, and then each time as late as it is waited for. stranger: a boaster that throws its key away when it is given up, and comes back with another.
 */
export type Kind =
  | "honest"
  | "poisoner"
  | "idle"
  | "boaster"
  | "late"
  | "garbler"
  | "restarter"
  | "flapper"
  | "leaver"
  | "rejoiner"
  | "dawdler"
  | "stranger";
export const HOSTILE: readonly Kind[] = [
  "idle",
  "boaster",
  "late",
  "garbler",
  "restarter",
  "flapper",
  "leaver",
  "rejoiner",
  "stranger",
];

export interface Actor {
  readonly kind: Kind;
  /** Ms per inner step. */
  readonly pace: number;
  /** Ms for base and upload. */
  readonly overhead?: number;
  /** What it says of its pace when it joins, µs; default the truth, null nothing. */
  readonly claim?: number | null;
  /** Ms after the start at which it comes; default at once. */
  readonly from?: number;
  /** Chance per tick that an honest one loses its progress and starts anew. */
  readonly crash?: number;
  /** Whether it sends no heartbeat in a round in which it has no work. */
  readonly away?: (round: number) => boolean;
}

export interface Scene {
  readonly actors: readonly Actor[];
  readonly params?: Partial<RunParams>;
  /** Simulated ms. */
  readonly time: number;
  readonly seed?: string | number;
  /** Elements of each fragment. */
  readonly elements?: readonly number[];
  /** Called after every tick. */
  readonly each?: (state: RunState, now: number) => void;
}

export interface Outcome {
  readonly state: RunState;
  /** By round: whose payload was left out, and why. */
  readonly excluded: ReadonlyMap<number, Readonly<Record<Address, number>>>;
  /** Per actor: rounds paid, and inner steps of them. */
  readonly paid: readonly { readonly rounds: number; readonly steps: number }[];
  /** Rounds in which an actor had work and was not paid. */
  readonly lost: readonly number[];
  /** Longest wait of an honest actor for work, in deadlines that passed meanwhile. */
  readonly longestWait: number;
  /** Longest time without a closed round, ms. */
  readonly longestRound: number;
}

export const addressOf = (index: number): Address => `0x${(index + 16).toString(16).padStart(4, "0").repeat(10)}`;

/** A member's join, of its own wallet, and its leave. */
export const joined = (
  worker: Address,
  at: number,
  over: { issuedAt?: number; pace?: number | null; restarted?: boolean } = {},
): RunEvent => ({
  type: "MemberJoined",
  at,
  join: {
    runId,
    worker,
    beneficiary: worker,
    lease: zeroHash,
    build,
    conformance: zeroHash,
    protocolMin: 1,
    protocolMax: 1,
    issuedAt: String(over.issuedAt ?? at),
  },
  signature: "0x",
  machineClass: "x",
  batch: 2,
  segmentSteps: 32,
  pace: over.pace ?? null,
  restarted: over.restarted ?? false,
});
export const left = (worker: Address, at: number): RunEvent => ({ type: "MemberLeft", at, worker, reason: "left" });

export function play(scene: Scene): Outcome {
  const random: Random = createRandom(`liveness/${scene.seed ?? 0}`);
  const params: RunParams = { ...harnessParams, rampRounds: 0, innerSteps: 64, ...scene.params };
  const limit = MAX_STRETCH * params.roundDeadline * 1_000 + GRACE_MS;
  let now = START;
  const counts = [...(scene.elements ?? elements)];
  let state = begin(params, counts);
  const actors = scene.actors.map((actor, index) => ({
    ...actor,
    worker: addressOf(index),
    held: null as { digest: Digest; since: number } | null,
    waited: 0,
    joins: 0,
    missed: 0,
  }));
  let keys = 0;
  const outcome = { lost: actors.map(() => 0), longestWait: 0, longestRound: 0 };
  const paid = actors.map(() => ({ rounds: 0, steps: 0 }));
  const excluded = new Map<number, Readonly<Record<Address, number>>>();
  let closedAt = now;

  function offer(event: Unstamped): boolean {
    if (refusalOf(state, event)) return false;
    const before = state;
    const stamped = JSON.parse(JSON.stringify({ ...event, at: Math.max(now, state.at) })) as RunEvent;
    state = step(state, stamped).state;
    const violations = violationsOf(state, before);
    if (violations.length > 0) expect.fail(`seed ${scene.seed}, ${event.type}: ${violations.join("; ")}`);
    note(before);
    return true;
  }

  /** Counts deadlines that passed: a round that closed, or work that was taken back and dealt again. */
  function note(before: RunState): void {
    const [old, current] = [before.current, state.current];
    const closed = old && isCollecting(old) && !(current && isCollecting(current) && current.round === old.round);
    const again = old && current && old.latest !== current.latest && isCollecting(current);
    for (const [i, { worker }] of actors.entries()) {
      const had = old?.work[worker];
      const has = current?.work[worker];
      if (closed && had && !had.receipt && !has?.receipt) outcome.lost[i]! += 1;
      else if (had && !had.receipt && !has && state.members[worker]) outcome.lost[i]! += 1;
    }
    if (state.round > before.round) closedAt = now;
    for (const actor of actors) {
      if (actor.kind !== "honest" || !state.members[actor.worker] || state.current?.work[actor.worker])
        actor.waited = 0;
      else if (closed || again) actor.waited += 1;
      outcome.longestWait = Math.max(outcome.longestWait, actor.waited);
    }
  }

  function join(actor: (typeof actors)[number], restarted: boolean): void {
    actor.joins += 1;
    const claim = actor.claim === undefined ? actor.pace * 1_000 : actor.claim;
    offer(joined(actor.worker, now, { issuedAt: now + actor.joins, pace: claim, restarted }));
  }

  const openWork = (worker: Address): Work | undefined => {
    const { current } = state;
    const work = current?.work[worker];
    return current && isCollecting(current) && work && !work.receipt ? work : undefined;
  };
  const progressOf = (actor: (typeof actors)[number], work: Work): number => {
    const since = actor.held?.digest === work.digest ? actor.held.since : now;
    return Math.max(0, Math.floor((now - since - (actor.overhead ?? 0) / 2) / actor.pace));
  };

  function reports(): Record<Address, WorkReport> {
    const said: Record<Address, WorkReport> = {};
    for (const actor of actors) {
      const work = openWork(actor.worker);
      if (!work) continue;
      const { steps } = work.assignment;
      const done = Math.min(steps, progressOf(actor, work));
      if (actor.kind === "honest" || actor.kind === "late" || actor.kind === "poisoner")
        said[actor.worker] = { step: done, uploading: done === steps };
      else if (["boaster", "stranger", "dawdler"].includes(actor.kind))
        said[actor.worker] = { step: steps - 1, uploading: actor.kind === "dawdler" || random.float() < 0.5 };
      else said[actor.worker] = { step: 0, uploading: false };
    }
    return said;
  }

  function perform(): void {
    for (const [key, { effect }] of Object.entries(state.pending)) {
      if (!state.pending[key]) continue;
      if (effect.kind === "setTimer" && now >= effect.due) offer({ type: "TimerFired", key, reports: reports() });
      else if (effect.kind === "reduceSync") {
        const { round, fragment } = effect;
        const shard = fragmentOf(`${round}/${fragment}`, fragment);
        offer({
          type: "SyncReduced",
          key,
          round,
          fragment,
          paramsDigest: null,
          outerDigest: null,
          shard,
          outcomes: {},
        });
      } else if (effect.kind === "screenRound") {
        offer({ type: "RoundScreened", key, round: effect.round, record: digestOfJson(key), outcomes: {} });
      } else if (effect.kind === "gateRound") {
        offer(gated(key, effect.round));
      } else if (effect.kind === "storeCheckpoint") {
        excluded.set(effect.round, state.current?.excluded ?? {});
        const digest = digestOfJson({ checkpoint: effect.round });
        const stored = { digest, receipts: digest, receiptsRoot: digest, secret: digest };
        offer({ type: "CheckpointStored", key, round: effect.round, ...stored });
      } else if (effect.kind === "anchorHead") {
        const { head, sequence } = state.heads.find((entry) => entry.sequence === effect.sequence)!;
        const anchor = { transaction: null, block: 1, anchoredAt: Math.floor(now / 1_000), epoch: 1 };
        offer({ type: "HeadAnchored", head, sequence, anchor, epochEnd: 2_000_000_000 });
      }
    }
  }

  /** The loss gate, where the mean of a group is as bad as the poison in it. */
  function gated(key: string, round: number): Unstamped {
    const current = state.current!;
    const poison = new Set(actors.flatMap(({ kind, worker }) => (kind === "poisoner" ? [worker] : [])));
    const left = receiptsOf(current)
      .map(({ assignment }) => ({ worker: assignment.worker, pull: BigInt(assignment.steps) }))
      .filter(({ worker }) => current.excluded[worker] === undefined)
      .toSorted((a, b) => (a.worker < b.worker ? -1 : 1));
    const before = 2_000_000;
    const lossOf = (group: typeof left): number =>
      before + Math.round((1e8 * group.filter(({ worker }) => poison.has(worker)).length) / Math.max(1, group.length));
    const event = { type: "RoundGated", key, round, before } as const;
    const screening = digestOfJson(key);
    if (left.length === 0) return { ...event, before: current.gate.before, pass: null, outcomes: {}, screening };
    const after = lossOf(left);
    if (passHolds(before, after, facts.screening))
      return { ...event, pass: { after, tried: [], leftOut: [] }, outcomes: {}, screening };
    const search = searchHarm({ left, before, after, earlier: current.gate.passes, past: [] }, facts.screening);
    const tried: GatePass["tried"] = [];
    let trial = search.next();
    while (!trial.done) {
      const { first, count, without } = trial.value;
      const loss = lossOf(left.filter((_, i) => (i >= first && i < first + count) !== without));
      tried.push({ ...trial.value, loss });
      trial = search.next(loss);
    }
    const pass = { after, tried, leftOut: trial.value };
    const outcomes = passOutcomes(left, { before, passes: [...current.gate.passes, pass] }, facts.screening);
    return { ...event, pass, outcomes: Object.fromEntries(outcomes), screening: null };
  }

  function deliver(actor: (typeof actors)[number], work: Work, complete: boolean): void {
    const { worker, assignmentId, attempt, steps } = work.assignment;
    const event = receiptFor(work, worker, counts);
    if (complete) {
      for (const { index, digest, bytes } of event.header.fragments)
        offer({ type: "FragmentAccepted", worker, assignmentId, attempt, index, digest: asDigest(digest), bytes });
    }
    if (!offer(event)) return;
    const sum = paid[actors.indexOf(actor)]!;
    sum.rounds += 1;
    sum.steps += steps;
  }

  /** Whether the open round's deadline comes now and is moved no more. */
  const isLast = (): boolean => {
    const { deadline, latest } = state.current!;
    return deadline - now <= TICK && latest - now <= GRACE_MS + TICK;
  };

  function act(actor: (typeof actors)[number]): void {
    const { worker, kind } = actor;
    if (!state.members[worker]) return join(actor, false);
    if (kind === "stranger" && state.members[worker].misses > 0) {
      offer({ type: "MemberLeft", worker, reason: "left" });
      actor.worker = addressOf(10_000 + keys++);
      return join(actor, false);
    }
    if (kind === "rejoiner" && state.members[worker].misses > actor.missed) join(actor, true);
    actor.missed = state.members[worker].misses;
    const work = openWork(worker);
    const silent = !work && actor.away?.(state.round) === true;
    if (silent !== state.members[worker].silent) offer({ type: silent ? "MemberSilent" : "MemberReturned", worker });
    if (!work) return;
    if (actor.held?.digest !== work.digest) {
      // Late ones go on with what they have, whatever is due meanwhile.
      actor.held = { digest: work.digest, since: now };
    }
    const done = progressOf(actor, work) >= work.assignment.steps;
    const finished = done && now - actor.held.since >= (actor.overhead ?? 0) + actor.pace * work.assignment.steps;
    if (kind === "honest" && actor.crash && random.float() < actor.crash) {
      actor.held = null;
      join(actor, true);
    } else if ((kind === "honest" || kind === "poisoner") && finished) deliver(actor, work, true);
    else if (kind === "dawdler" && finished && (!state.members[worker].measured || isLast()))
      deliver(actor, work, true);
    else if (kind === "late" && now > (state.current?.latest ?? now) + 2 * GRACE_MS) deliver(actor, work, true);
    else if (kind === "garbler") deliver(actor, work, false);
    else if (kind === "restarter" && random.float() < 0.1) join(actor, true);
    else if (kind === "flapper" && random.float() < 0.1) offer({ type: "MemberLeft", worker, reason: "left" });
    else if (kind === "leaver" && (state.current?.deadline ?? Infinity) - now <= 500)
      offer({ type: "MemberLeft", worker, reason: "left" });
  }

  for (let elapsed = 0; elapsed < scene.time; elapsed += TICK, now += TICK) {
    perform();
    for (const actor of actors) if (elapsed >= (actor.from ?? 0)) act(actor);
    const ready = actors.filter(({ kind, worker }) => kind === "honest" && state.members[worker]).length;
    if (ready < params.minWorkers) closedAt = now;
    outcome.longestRound = Math.max(outcome.longestRound, now - closedAt);
    scene.each?.(state, now);
    const out = state.current ? outstandingOf(state.current) : [];
    const overdue = out.filter(({ dealtAt }) => now > dealtAt + 2 * limit);
    expect(
      overdue.map(({ assignment }) => assignment.worker),
      `seed ${scene.seed}: work is out for ever`,
    ).toEqual([]);
  }
  return { state, paid, excluded, ...outcome };
}

function begin(params: RunParams, counts: readonly number[]): RunState {
  const checkpoint = digestOfJson("checkpoint 0");
  const head = headHash({
    chainId: 31_337n,
    registry: facts.checkpointRegistry,
    parentHead: zeroHash,
    runId,
    sequence: 0n,
    round: 0n,
    paramsVersion: 1,
    checkpointDigest: checkpoint,
    receiptsRoot: zeroHash,
  });
  return step(null, {
    type: "RunCreated",
    at: START,
    facts: { ...facts, elements: counts },
    params: runParamsToWire(params),
    paramsVersion: 1,
    checkpoint: {
      round: 0,
      digest: checkpoint,
      step: 0,
      tokens: 0,
      paramsVersion: 1,
      fragments: counts.map((_, index) => fragmentOf(`0/${index}`, index)),
    },
    head,
    anchor: { transaction: null, block: 1, anchoredAt: START / 1_000, epoch: 1 },
    epochEnd: 2_000_000_000,
    secret: checkpoint,
  }).state;
}
