/**
 * Rounds that no honest run has, for the verifier in Python to judge again: payloads that are huge, empty, repeated, nearly
 * repeated or unreadable, over a history of rounds under changing parameters. What it compares is what the product decided.
 */
import { defaultScreening, outcomeCode, type ScreeningFile } from "@cotrain/sdk/protocol";

import { createRandom, InternalError, type Random } from "../../offchain/src/base/index.ts";
import {
  gateOutcomes,
  type GatePass,
  type MeasuredPayload,
  measureFragment,
  mediansOf,
  parametersNorm,
  passHolds,
  screen,
  type ScreeningEntry,
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

async function send(random: Random, worker: number, before: Float32Array[][], acceptedAt: number): Promise<Sent> {
  const steps = [4, 12, 48][random.below(3)] ?? 48;
  const fragments = SIZES.map((size, fragment) => {
    const values = delta(
      random,
      size,
      before.flatMap((each) => each[fragment] ?? []),
      fragment,
    );
    return values;
  });
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
  const encoded = fragments.map((values) => encodePayload(0, values).bytes);
  const measured = await Promise.all(
    encoded.map(async (bytes, fragment) => ({
      digest: `0x${Buffer.from(bytes.subarray(0, 32)).toString("hex")}`,
      ...(await measureFragment(0, sourceOf(bytes), SIZES[fragment] ?? 0, fragment)),
    })),
  );
  return {
    measured: { worker: address(worker), steps, acceptedAt, outcome: 0, fragments: measured },
    values: encoded.map((bytes) => Buffer.from(bytes).toString("base64")),
  };
}

const base64 = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");

/** What a gate measured in which some do harm, and what follows from it. */
function gateOf(random: Random, entries: readonly ScreeningEntry[], past: readonly ScreeningFile[]) {
  let left = entries
    .filter(({ outcome }) => outcome === 0)
    .map(({ worker }): Suspect => ({ worker, pull: BigInt([1, 48, 60, 2_000][random.below(4)] ?? 1) }));
  const suspects = left;
  const gate: ScreeningFile["gate"] = {
    seed: zero,
    build: zero,
    conformance: zero,
    sequences: [],
    before: null,
    passes: [],
  };
  if (left.length === 0) return { gate, suspects, outcomes: new Map<string, number>() };
  const before = 2_000_000;
  gate.before = before;
  const share = [0, 0.2, 0.9][random.below(3)] ?? 0;
  const harm = new Map(left.map(({ worker }) => [worker, random.float() < share ? 10 ** (5 + random.below(5)) : -1e4]));
  const pushing = (group: readonly Suspect[]): number =>
    group.reduce((all, { worker, pull }) => all + ((harm.get(worker) ?? 0) > 0 ? Number(pull) : 0), 0);
  const most = pushing(left);
  // Where the loss is a parabola of what all push, none of several does harm alone.
  const steep = random.below(2) === 0;
  const lossOf = (group: readonly Suspect[]): number | null => {
    const sum = group.reduce((all, { worker }) => all + (harm.get(worker) ?? 0), 0);
    if (steep) return before + Math.round(95_000 * (pushing(group) / Math.max(1, most)) ** 2) - group.length;
    return sum > 1e9 ? null : before + Math.round(sum / Math.max(1, group.length));
  };
  for (;;) {
    const after = lossOf(left);
    if (passHolds(before, after, rules)) {
      gate.passes.push({ after, tried: [], leftOut: [] });
      break;
    }
    const search = searchHarm({ left, after, earlier: gate.passes, past }, rules);
    const tried: GatePass["tried"] = [];
    let step = search.next();
    while (!step.done) {
      const { first, count, without } = step.value;
      const loss = lossOf(left.filter((_, i) => (i >= first && i < first + count) !== without));
      tried.push({ ...step.value, loss });
      step = search.next(loss);
    }
    const leftOut = step.value;
    gate.passes.push({ after, tried, leftOut });
    if (leftOut.length === 0) break;
    left = left.filter(({ worker }) => !leftOut.includes(worker));
  }
  const { outcomes, problem } = gateOutcomes(suspects, gate, past, rules);
  if (problem !== "") throw new InternalError("CASE_INVALID", problem);
  return { gate, suspects, outcomes: outcomes as ReadonlyMap<string, number> };
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
    const theta = parameters.map(parametersNorm);
    const aggregatorBps = [0, 5_000, 9_000][random.below(3)] ?? 0;
    const payloads = sent.map(({ measured }) => measured);
    const told = { rules, round, aggregatorBps, innerLrPpb, theta };
    const entries = screen({ ...told, elements: SIZES, payloads, past: past.toReversed() });
    const medians = mediansOf(entries, SIZES.length);
    const { gate, suspects, outcomes } = gateOf(random, entries, past.toReversed());
    const workers = entries.map((entry) => ({ ...entry, outcome: outcomes.get(entry.worker) ?? entry.outcome }));
    const pulls = Object.fromEntries(suspects.map(({ worker, pull }) => [worker, String(pull)]));
    const after = { gate, pulls, outcomes: workers.map(({ outcome }) => outcome) };
    cases.push({ ...told, parameters: parameters.map(base64), past: [...past], sent, entries, medians, ...after });
    past.push({
      version: 1,
      runId: zero,
      round,
      paramsVersion: 1,
      innerLrPpb,
      theta,
      workers,
      medians: mediansOf(workers, SIZES.length),
      gate,
    });
    before.splice(0, Math.max(0, before.length - 12));
  }
  return cases;
}

/** The cases as JSON. */
export async function screeningCases(): Promise<string> {
  const cases: unknown[] = [];
  for (let run = 0; run < RUNS; run++) cases.push(...(await runOf(`screening ${run}`)));
  return JSON.stringify(cases);
}
