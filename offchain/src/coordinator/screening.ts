/**
 * Effects between a round's close and its checkpoint: payloads are measured and judged, their aggregate is held against the
 * loss gate, and the record of both is published. What is decided is in diloco's screening.ts and gate.ts; here is what they
 * are told, and where it is kept.
 */
import type { ScreeningFile } from "@cotrain/sdk/protocol";
import {
  type Address,
  asDigest,
  type CheckpointFragment,
  type Digest,
  outcomeCode,
  MAX_DOCUMENT_BYTES,
} from "@cotrain/sdk/protocol";

import { roundNumber } from "../base/index.ts";
import {
  dropsMomentum,
  finiteParameters,
  type FragmentStates,
  type GatePass,
  gateSample,
  gateSeed,
  type MeasuredPayload,
  measureFragment,
  mediansOf,
  parametersNorm,
  passHolds,
  passOutcomes,
  PayloadError,
  pullOf,
  reduceFragment,
  screen,
  type ScreeningEntry,
  searchHarm,
  triedOf,
  type SliceMemory,
} from "../diloco/index.ts";
import { type BlobStore, type FragmentState, parseScreening, putDocument, readFragment } from "../storage/index.ts";
import type { EffectContext } from "./effectRunner.ts";
import type { EffectOf, RoundGated, RoundScreened } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import type { AcceptedReceipt, OpenRound } from "./machine/state.ts";
import { acceptedOf, closing, fragmentPayloads, entriesOf, openPayload } from "./payloads.ts";
import { sourceOfBlob } from "./payloadSource.ts";
import { documentsOf } from "./publishing.ts";
import type { Run } from "./run.ts";

/** A record of an earlier round. */
async function readScreening(blobs: BlobStore, digest: Digest): Promise<ScreeningFile> {
  return parseScreening(await blobs.get(digest, MAX_DOCUMENT_BYTES));
}

async function measure(run: Run, worker: Address, accepted: AcceptedReceipt): Promise<MeasuredPayload> {
  const { header, receipt, acceptedAt } = accepted;
  const payload = { worker, steps: receipt.steps, acceptedAt };
  const memory: SliceMemory = [];
  const fragments: MeasuredPayload["fragments"][number][] = [];
  for (const { index, digest, elements } of header.fragments) {
    await using blob = await openPayload(run, asDigest(digest));
    if (!blob) return { ...payload, outcome: outcomeCode.payloadMissing, unreadable: index, fragments: [] };
    try {
      fragments.push({ digest, ...(await measureFragment(header.codec, sourceOfBlob(blob, memory), elements, index)) });
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      return { ...payload, outcome: error.outcome, unreadable: index, fragments: [] };
    }
  }
  return { ...payload, outcome: 0, fragments };
}

/** The records of the rounds before that count, the newest first. */
async function pastOf({ modules: { blobs } }: Run, { state: { screenings } }: EffectContext): Promise<ScreeningFile[]> {
  const past: ScreeningFile[] = [];
  for (const digest of screenings) past.push(await readScreening(blobs, digest));
  return past;
}

/**
 * The records of rounds near this one that the run went back behind: who had a part in them has their payloads still. Nobody has to
 * have these records, so that one that is gone is left out.
 */
async function lostOf(
  { modules: { blobs }, definition }: Run,
  { state: { lost = [] } }: EffectContext,
  number: number,
): Promise<ScreeningFile[]> {
  const found: ScreeningFile[] = [];
  for (const { round, screening } of lost)
    if (Math.abs(round - number) <= definition.screening.history && (await blobs.has(screening)))
      found.push(await readScreening(blobs, screening));
  return found;
}

/** Measures the payloads of a closing round and judges them by each other and by the rounds before. */
export async function screenRound(
  run: Run,
  { key, round: number }: EffectOf<"screenRound">,
  context: EffectContext,
): Promise<Unstamped<RoundScreened>> {
  const round = closing(context, number);
  const payloads: MeasuredPayload[] = [];
  for (const { worker, accepted } of acceptedOf(round)) {
    context.signal.throwIfAborted();
    payloads.push(await measure(run, worker, accepted));
  }
  const past = await pastOf(run, context);
  const lost = await lostOf(run, context, number);
  const { aggregatorBps, innerLrPpb } = round.params;
  const { elements } = run.facts;
  const theta = await normsOf(run, context.state.checkpoint.fragments);
  const rules = run.definition.screening;
  const entries = screen({ rules, round: number, aggregatorBps, innerLrPpb, theta, elements, payloads, past, lost });
  const left = entries.filter(({ outcome }) => outcome !== 0).map(({ worker, outcome }) => [worker, outcome] as const);
  const record = await putDocument(documentsOf(run), entries);
  return { type: "RoundScreened", key, round: number, record, outcomes: Object.fromEntries(left) };
}

/** A checkpoint's fragments, one after the other: both its halves at once would be twice the model, twice. */
async function* statesOf(run: Run, fragments: readonly CheckpointFragment[]): AsyncGenerator<FragmentState> {
  for (const fragment of fragments) yield await readFragment(run.modules.blobs, run.table, fragment);
}

async function normsOf(run: Run, fragments: readonly CheckpointFragment[]): Promise<number[]> {
  const norms: number[] = [];
  for await (const { params } of statesOf(run, fragments)) norms.push(parametersNorm(params));
  return norms;
}

/** Held-out loss of a state of all fragments; null when it, or the loss, is not finite. */
export async function lossOf(run: Run, states: FragmentStates, sequences: readonly number[]): Promise<number | null> {
  const parameters = await finiteParameters(states);
  return parameters && run.gate.loss(parameters, sequences);
}

/** Held-out loss of θ′ out of these payloads, which is not stored; or whose payloads are lost. */
async function lossOfAggregate(
  run: Run,
  { round, base, sequences }: Pick<Failed, "round" | "base" | "sequences">,
  entries: readonly ScreeningEntry[],
): Promise<{ loss: number | null; lost: Record<Address, number> }> {
  let lost: Record<Address, number> = {};
  const anew = dropsMomentum(round.gate, run.definition.screening);
  async function* reduced(): AsyncGenerator<FragmentState> {
    for (const place of base) {
      await using opened = new AsyncDisposableStack();
      const { payloads, outcomes } = await fragmentPayloads(run, round, place.index, entries, opened);
      if (Object.keys(outcomes).length > 0) {
        lost = outcomes;
        return;
      }
      const state = await readFragment(run.modules.blobs, run.table, place);
      yield await reduceFragment({ state, payloads, rules: round.params, round: round.round, anew });
    }
  }
  const parameters = await finiteParameters(reduced());
  const whole = Object.keys(lost).length === 0;
  return { loss: whole ? parameters && (await run.gate.loss(parameters, sequences)) : null, lost };
}

interface Failed {
  readonly round: OpenRound;
  /** The checkpoint before. */
  readonly base: readonly CheckpointFragment[];
  readonly left: readonly ScreeningEntry[];
  readonly before: number | null;
  /** The loss with all of them. */
  readonly after: number | null;
  readonly sequences: readonly number[];
}

/** Measures what the search for the harmful payloads asks for, until it is found that some are lost. */
async function findHarm(
  run: Run,
  context: EffectContext,
  { round, base, left, before, after, sequences }: Failed,
): Promise<Pick<GatePass, "tried" | "leftOut"> & { readonly lost: Record<Address, number> }> {
  const past = await pastOf(run, context);
  const accepted = new Map(acceptedOf(round).map(({ worker, accepted: { tokens } }) => [worker, tokens]));
  const suspects = left.map(({ worker, steps }) => {
    const tokens = accepted.get(worker)!;
    return { worker, pull: pullOf({ worker, tokens, steps }, round.params.weighting) };
  });
  const suspicion = { left: suspects, before, after, earlier: round.gate.passes, past };
  const search = searchHarm(suspicion, run.definition.screening);
  const tried: GatePass["tried"] = [];
  let step = search.next();
  while (!step.done) {
    context.signal.throwIfAborted();
    const trial = step.value;
    const { loss, lost } = await lossOfAggregate(run, { round, base, sequences }, triedOf(left, trial));
    if (Object.keys(lost).length > 0) return { tried, leftOut: [], lost };
    tried.push({ ...trial, loss });
    step = search.next(loss);
  }
  return { tried, leftOut: step.value, lost: {} };
}

/** Holds the aggregate against the loss of the checkpoint before, and looks for whom to blame if it does not stand. */
export async function gateRound(
  run: Run,
  { key, round: number }: EffectOf<"gateRound">,
  context: EffectContext,
): Promise<Unstamped<RoundGated>> {
  const round = closing(context, number);
  const { blobs } = run.modules;
  const rules = run.definition.screening;
  const entries = await entriesOf(blobs, round);
  const left = entries.filter(({ outcome }) => outcome === 0);
  const { build, conformance, batch, available } = await run.gate.describe();
  const seed = gateSeed(
    run.runId,
    number,
    acceptedOf(round).map(({ accepted }) => accepted.receiptHash),
  );
  const sequences = gateSample(seed, available, rules.gateSequences, batch);
  const { passes } = round.gate;
  const event = { type: "RoundGated", key, round: number } as const;
  const base = context.state.checkpoint.fragments;
  const theta = await normsOf(run, base);
  const stands = async (before: number | null, pass: GatePass | null): Promise<Unstamped<RoundGated>> => {
    const file: ScreeningFile = {
      version: 1,
      runId: run.runId,
      round: number,
      paramsVersion: round.paramsVersion,
      innerLrPpb: round.params.innerLrPpb,
      theta,
      workers: entries,
      medians: mediansOf(entries, run.facts.elements.length),
      gate: { seed, build, conformance, sequences, before, passes: pass ? [...passes, pass] : [...passes] },
    };
    return { ...event, before, pass, outcomes: {}, screening: await putDocument(documentsOf(run), file) };
  };
  if (left.length === 0) return stands(round.gate.before, null);

  const next = round.syncs.flatMap(({ shard }) => (shard ? [shard] : []));
  context.signal.throwIfAborted();
  // Measured once: passes were decided against it, also where it is null.
  const before = passes.length === 0 ? await lossOf(run, statesOf(run, base), sequences) : round.gate.before;
  const after = await lossOf(run, statesOf(run, next), sequences);
  if (passHolds(before, after, rules)) return stands(before, { after, tried: [], leftOut: [] });

  const { tried, leftOut, lost } = await findHarm(run, context, { round, base, left, before, after, sequences });
  if (Object.keys(lost).length > 0) return { ...event, before, pass: null, outcomes: lost, screening: null };
  const pass = { after, tried, leftOut };
  const outcomes = passOutcomes(left, { before, passes: [...passes, pass] }, rules);
  const what =
    leftOut.length > 0
      ? "payloads that would raise the held-out loss are left out of a round"
      : outcomes.size > 0
        ? "a round that would raise the held-out loss is discarded, with nobody to blame"
        : "a round goes on without its momentum, which alone would raise the held-out loss";
  run.modules.logger.warn({ round: roundNumber(number), before, after, tried, leftOut }, what);
  return { ...event, before, pass, outcomes: Object.fromEntries(outcomes), screening: null };
}
