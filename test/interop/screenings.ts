/**
 * Rounds that no honest run has, for the verifier in Python to judge again: payloads that are huge, empty, repeated, nearly
 * repeated or unreadable, over a history of rounds under changing parameters. What it compares is what the product decided.
 */
import { defaultScreening, outcomeCode, type ScreeningFile } from "@cotrain/sdk/protocol";

import { createRandom, InternalError, type Random } from "../../offchain/src/base/index.ts";
import {
  dropsMomentum,
  gateOutcomes,
  type GatePass,
  type MeasuredPayload,
  measureFragment,
  mediansOf,
  parametersNorm,
  passHolds,
  passOutcomes,
  screen,
  searchHarm,
  type Suspect,
  sourceOf,
} from "../../offchain/src/diloco/index.ts";
import { encodePayload } from "../offchain/diloco/payloads.ts";

const SIZES = [700, 300];
const RUNS = 12;
const ROUNDS = 8;
const zero = `0x${"0".repeat(64)}` as const;
const rules = { ...defaultScreening, history: 4, gateTrials: 4 };
const address = (i: number): `0x${string}` => `0x${i.toString(16).padStart(40, "0")}`;

interface Sent {
  readonly measured: MeasuredPayload;
  /** fp32, by fragment, base64. */
  readonly values: readonly string[];
}

/** Δ of one fragment: of ordinary size, far too large, next to nothing, zero, or another's with some noise. */
function delta(random: Random, size: number, before: readonly Float32Array[], fragment: number): Float32Array {
  const pick = random.below(10);
  const other = before.length > 0 ? before[random.below(before.length)] : undefined;
  if (pick === 0) return new Float32Array(size);
  if (pick <= 2 && other?.length === size)
    return other.map((value) => value * (pick === 1 ? 1 : 1 + random.normal() * 0.05));
  const scale = pick === 3 ? 1e4 : pick === 4 ? 1e-8 : 1e-2 * (1 + random.below(4) * (fragment + 1));
  return Float32Array.from({ length: size }, () => random.normal() * scale);
}

/** Payloads as they are measured. */
async function sentOf(
  fragments: readonly Float32Array[],
  by: Pick<MeasuredPayload, "worker" | "steps" | "acceptedAt">,
): Promise<Sent> {
  const encoded = fragments.map((values) => encodePayload(0, Float32Array.from(values)).bytes);
  const measured = await Promise.all(
    encoded.map(async (bytes, fragment) => ({
      digest: `0x${Buffer.from(bytes.subarray(0, 32)).toString("hex")}`,
      ...(await measureFragment(0, sourceOf(bytes), SIZES[fragment] ?? 0, fragment)),
    })),
  );
  return {
    measured: { ...by, outcome: 0, fragments: measured },
    values: encoded.map((bytes) => Buffer.from(bytes).toString("base64")),
  };
}

async function send(random: Random, worker: number, before: Float32Array[][], acceptedAt: number): Promise<Sent> {
  const steps = [4, 12, 48][random.below(3)] ?? 48;
  const fragments = SIZES.map((size, fragment) =>
    delta(
      random,
      size,
      before.flatMap((each) => each[fragment] ?? []),
      fragment,
    ),
  );
  if (random.below(12) === 0) {
    const measured = {
      worker: address(worker),
      steps,
      acceptedAt,
      outcome: outcomeCode.nonFinite,
      unreadable: 1,
      fragments: [],
    };
    return { measured, values: [] };
  }
  before.push(fragments);
  return sentOf(fragments, { worker: address(worker), steps, acceptedAt });
}

const base64 = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

const LOSS = 2_000_000;

/** A round's losses: of θ; and of what these of it make, beside what its momentum does, which may have been dropped. */
interface Losses {
  readonly before: number | null;
  readonly of: (group: readonly Suspect[], dropped: boolean) => number | null;
}

/** The losses of a round in which some do harm. */
function lossesOf(random: Random, left: readonly Suspect[]): Losses {
  const before = random.below(8) === 0 ? null : LOSS;
  const momentum = [0, 0, 20_000, 60_000, null][random.below(5)] ?? null;
  const share = [0, 0.2, 0.9][random.below(3)] ?? 0;
  const harm = new Map(left.map(({ worker }) => [worker, random.float() < share ? 10 ** (5 + random.below(5)) : -1e4]));
  const pushing = (group: readonly Suspect[]): number =>
    group.reduce((all, { worker, pull }) => all + ((harm.get(worker) ?? 0) > 0 ? Number(pull) : 0), 0);
  const most = pushing(left);
  // Where the loss is a parabola of what all push, none of several does harm alone.
  const steep = random.below(2) === 0;
  const lossOf = (group: readonly Suspect[]): number | null => {
    const sum = group.reduce((all, { worker }) => all + (harm.get(worker) ?? 0), 0);
    if (steep) return LOSS + Math.round(95_000 * (pushing(group) / Math.max(1, most)) ** 2) - group.length;
    return sum > 1e9 ? null : LOSS + Math.round(sum / Math.max(1, group.length));
  };
  return {
    before,
    of: (group, dropped) => {
      const loss = lossOf(group);
      return loss === null || dropped ? loss : momentum === null ? null : loss + momentum;
    },
  };
}

/** What a gate measured, and what follows from it. */
function gateOf(suspects: readonly Suspect[], losses: Losses, past: readonly ScreeningFile[]) {
  let left = suspects;
  const gate: ScreeningFile["gate"] = {
    seed: zero,
    build: zero,
    conformance: zero,
    sequences: [],
    before: null,
    passes: [],
  };
  if (left.length === 0) return { gate, outcomes: new Map<string, number>() };
  const { before } = losses;
  gate.before = before;
  for (;;) {
    const dropped = dropsMomentum(gate, rules);
    const after = losses.of(left, dropped);
    if (passHolds(before, after, rules)) {
      gate.passes.push({ after, tried: [], leftOut: [] });
      break;
    }
    const search = searchHarm({ left, before, after, earlier: gate.passes, past }, rules);
    const tried: GatePass["tried"] = [];
    let step = search.next();
    while (!step.done) {
      const { first, count, without } = step.value;
      const among = left.filter((_, i) => (i >= first && i < first + count) !== without);
      const loss = losses.of(among, dropped);
      tried.push({ ...step.value, loss });
      step = search.next(loss);
    }
    const leftOut = step.value;
    gate.passes.push({ after, tried, leftOut });
    const given = passOutcomes(left, gate, rules);
    left = left.filter(({ worker }) => !given.has(worker));
    if (left.length === 0) break;
  }
  const { outcomes, problem } = gateOutcomes(suspects, gate, past, rules);
  if (problem !== "") throw new InternalError("CASE_INVALID", problem);
  return { gate, outcomes: outcomes as ReadonlyMap<string, number> };
}

interface Round {
  readonly round: number;
  readonly aggregatorBps: number;
  readonly innerLrPpb: number;
  readonly parameters: readonly Float32Array[];
  readonly sent: readonly Sent[];
  /** Oldest first. */
  readonly past: readonly ScreeningFile[];
}

/** A round as the product judges it, and its record. */
function caseOf(
  { parameters, sent, past, ...told }: Round,
  pull: () => bigint,
  losses: (suspects: readonly Suspect[]) => Losses,
): { readonly made: unknown; readonly file: ScreeningFile } {
  const { round, innerLrPpb } = told;
  const newest = past.toReversed();
  const theta = parameters.map(parametersNorm);
  const payloads = sent.map(({ measured }) => measured);
  const entries = screen({ rules, ...told, theta, elements: SIZES, payloads, past: newest });
  const suspects = entries
    .filter(({ outcome }) => outcome === 0)
    .map(({ worker }): Suspect => ({ worker, pull: pull() }));
  const { gate, outcomes } = gateOf(suspects, losses(suspects), newest);
  const workers = entries.map((entry) => ({ ...entry, outcome: outcomes.get(entry.worker) ?? entry.outcome }));
  const made = {
    rules,
    ...told,
    theta,
    parameters: parameters.map(base64),
    past: [...past],
    sent,
    entries,
    medians: mediansOf(entries, SIZES.length),
    gate,
    pulls: Object.fromEntries(suspects.map((each) => [each.worker, String(each.pull)])),
    outcomes: workers.map(({ outcome }) => outcome),
  };
  const medians = mediansOf(workers, SIZES.length);
  const file = { version: 1, runId: zero, round, paramsVersion: 1, innerLrPpb, theta, workers, medians, gate } as const;
  return { made, file };
}

/** One round after the other, each judged over those before. */
async function runOf(seed: string): Promise<unknown[]> {
  const random = createRandom(seed);
  const past: ScreeningFile[] = [];
  const before: Float32Array[][] = [];
  const cases: unknown[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const count = 1 + random.below(9);
    const order = random.shuffle(Array.from({ length: count }, (_, i) => i));
    const sent: Sent[] = [];
    for (let i = 0; i < count; i++) sent.push(await send(random, i + 1, before, 1_000 * round + (order[i] ?? 0)));
    const innerLrPpb = round < 5 ? 3_000_000 : 5_000_000;
    // Fragments of the size of what is sent, far smaller ones, and one of zeros.
    const parameters = SIZES.map((size) => {
      const scale = [1e-2, 1e-1, 1e-6, 0][random.below(4)] ?? 0;
      return Float32Array.from({ length: size }, () => random.normal() * scale);
    });
    const aggregatorBps = [0, 5_000, 9_000][random.below(3)] ?? 0;
    const { made, file } = caseOf(
      { round, aggregatorBps, innerLrPpb, parameters, sent, past },
      () => BigInt([1, 48, 60, 2_000][random.below(4)] ?? 1),
      (suspects) => lossesOf(random, suspects),
    );
    cases.push(made);
    past.push(file);
    before.splice(0, Math.max(0, before.length - 12));
  }
  return cases;
}

/** A run's first round, of as many payloads, all of them noise. */
async function noise(seed: string, payloads: number): Promise<Round> {
  const random = createRandom(seed);
  const normals = (size: number): Float32Array => Float32Array.from({ length: size }, () => random.normal());
  const sent: Sent[] = [];
  for (let i = 1; i <= payloads; i++)
    sent.push(await sentOf(SIZES.map(normals), { worker: address(i), steps: 48, acceptedAt: i }));
  return { round: 0, aggregatorBps: 0, innerLrPpb: 3_000_000, parameters: SIZES.map(normals), sent, past: [] };
}

/** Forty push where the loss rises in proportion, beside one of far more weight: more than a round leaves out one by one. */
async function forty(): Promise<unknown> {
  const round = await noise("forty", 41);
  let dealt = 0;
  const losses: Losses = {
    before: LOSS,
    of: (group) => LOSS + 24_000 * group.filter(({ pull }) => pull === 1n).length,
  };
  return caseOf(
    round,
    () => (dealt++ === 0 ? 2_000n : 1n),
    () => losses,
  ).made;
}

/** A checkpoint without a loss, beside a momentum that has none: four honest ones bring one about, and one takes it away. */
async function lossless(): Promise<unknown> {
  const round = await noise("lossless", 9);
  const losses: Losses = {
    before: null,
    of: (group, dropped) =>
      !dropped || group.length < 4 || group.some(({ worker }) => worker === address(7)) ? null : LOSS - group.length,
  };
  const { made, file } = caseOf(
    round,
    () => 1n,
    () => losses,
  );
  const blamed = file.workers.filter(({ outcome }) => outcome !== 0).map(({ worker }) => worker);
  if (blamed.join() !== address(7)) throw new InternalError("CASE_INVALID", `${blamed.length} are to blame.`);
  return made;
}

/** The cases as JSON. */
export async function screeningCases(): Promise<string> {
  const cases: unknown[] = [await forty(), await lossless()];
  for (let run = 0; run < RUNS; run++) cases.push(...(await runOf(`screening ${run}`)));
  return JSON.stringify(cases);
}
