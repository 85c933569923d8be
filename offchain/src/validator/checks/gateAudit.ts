/** Measures the losses of a round's gate again, from published shards and payloads, and holds the record against them. */
import {
  asDigest,
  type CheckpointManifest,
  type Digest,
  digestOfJson,
  MAX_MANIFEST_BYTES,
  outcomeCode,
  type ScreeningFile,
} from "@cotrain/sdk/protocol";

import { type BlobSource, DocumentError, readScreening } from "../../run/index.ts";
import {
  triedOf,
  codecOf,
  dropsMomentum,
  finiteParameters,
  type FragmentPayload,
  fragmentLayouts,
  type FragmentStates,
  type Trial,
  passHolds,
  reduceFragment,
  sourceOf,
} from "../../diloco/index.ts";
import { type FragmentState, parseFragment, parseManifest } from "../../storage/index.ts";
import type { AggregateCheckInput } from "./recompute.ts";

export interface AuditModules {
  readonly blobs: BlobSource;
  /** Held-out loss of parameters by fragment over a gate's sample, micro-bits per byte. */
  readonly measure: (parameters: readonly Float32Array[], gate: ScreeningFile["gate"]) => Promise<number>;
  /** What this machine computes for a build, as machines of its class do; asked where bits differ. */
  readonly conformance: (build: Digest) => Promise<string>;
}

export interface AuditFinding {
  /** One sentence, empty when the record holds. */
  readonly problem: string;
  /** Digest of the canonical JSON of what differs, if anything does. */
  readonly evidence: Digest;
  /** Losses that were measured. */
  readonly losses: number;
}

type Input = Pick<AggregateCheckInput, "head" | "parent" | "documents" | "definition" | "params">;

/** A loss of the record beside the one measured. */
interface Compared {
  /** Of which pass; null for the checkpoint before. */
  readonly pass: number | null;
  /** Which of those left were tried, alone or all but these; null for all of them. */
  readonly tried: Trial | null;
  readonly recorded: number | null;
  readonly measured: number | null;
}

/** Outcomes of those whose payloads came to the gate. */
const gated: ReadonlySet<number> = new Set([0, outcomeCode.lossHarm, outcomeCode.roundDiscarded]);

/**
 * Of a head whose record follows from its own numbers: whether those of the gate are true. What the round's aggregate was
 * before somebody was left out is made anew from the payloads.
 * @throws what `blobs` and `measure` throw: then there is no finding
 */
export async function auditGate(modules: AuditModules, input: Input): Promise<AuditFinding> {
  const { head, documents, definition } = input;
  const rules = definition.screening;
  const finding = (losses: number, wrong?: Compared, exactly = false): AuditFinding => ({
    problem: wrong ? sentenceOf(wrong, exactly ? 0 : rules.gateTolerance) : "",
    evidence: digestOfJson({ version: 1, head: head.head, gate: wrong ?? null }),
    losses,
  });
  // Checkpoint 0 came of no round.
  if (documents.manifest.screening === null) return finding(0);
  const file = await readScreening(modules.blobs, head.runId, documents.manifest.screening);
  let inexact: Compared | undefined;
  let losses = 0;
  for await (const compared of comparisons(modules, input, file)) {
    const { recorded, measured } = compared;
    losses += 1;
    if (recorded === measured) continue;
    if (recorded === null || measured === null || Math.abs(recorded - measured) > rules.gateTolerance)
      return finding(losses, compared);
    inexact ??= compared;
  }
  const { build, conformance } = file.gate;
  // Only those of one class have to agree to the last bit: that of whoever measured, which the record names.
  const exact = inexact !== undefined && (await modules.conformance(asDigest(build))) === conformance;
  return exact ? finding(losses, inexact, true) : finding(losses);
}

function sentenceOf({ pass, tried, recorded, measured }: Compared, tolerance: number): string {
  const payloads = tried && `${tried.count} payloads from number ${tried.first} on`;
  const alone = tried ? ` ${tried.without ? "without" : "of"} ${payloads}` : "";
  const what = pass === null ? "the checkpoint before" : `pass ${pass}${alone}`;
  const allowed = tolerance === 0 ? "of a machine of its class none" : `a tolerance of ${tolerance}`;
  return `The loss gate records ${recorded} for ${what}, where ${measured} is measured; ${allowed} is allowed.`;
}

async function* comparisons(
  { blobs, measure }: AuditModules,
  input: Input,
  { workers, gate }: ScreeningFile,
): AsyncGenerator<Compared> {
  if (gate.passes.length === 0) return;
  const { head, parent, documents, definition } = input;
  const bytes = await blobs.blob(head.runId, parent.checkpointDigest, MAX_MANIFEST_BYTES);
  const parentManifest = parseManifest(bytes, definition.table);
  const lossOf = async (states: FragmentStates): Promise<number | null> => {
    const parameters = await finiteParameters(states);
    if (!parameters) return null;
    const loss = await measure(parameters, gate);
    // What the record cannot hold is null there.
    return Number.isSafeInteger(loss) && loss >= 0 ? loss : null;
  };
  yield {
    pass: null,
    tried: null,
    recorded: gate.before,
    measured: await lossOf(statesOf(blobs, input, parentManifest)),
  };

  let left = workers.filter(({ outcome }) => gated.has(outcome));
  for (const [pass, { after, tried, leftOut }] of gate.passes.entries()) {
    const stands = passHolds(gate.before, after, definition.screening);
    const anew = pass > 0 && dropsMomentum(gate, definition.screening);
    const aggregated = (of: typeof left) => aggregateOf(blobs, input, parentManifest, of, anew);
    const states = stands ? statesOf(blobs, input, documents.manifest) : aggregated(left);
    yield { pass, tried: null, recorded: after, measured: await lossOf(states) };
    for (const { loss, ...trial } of tried) {
      const measured = await lossOf(aggregated(triedOf(left, trial)));
      yield { pass, tried: trial, recorded: loss, measured };
    }
    left = left.filter(({ worker }) => !leftOut.includes(worker));
  }
}

async function* statesOf(
  blobs: BlobSource,
  { head, definition: { table } }: Input,
  manifest: CheckpointManifest,
): AsyncGenerator<FragmentState> {
  if (manifest.fragments.length !== fragmentLayouts(table).length)
    throw new DocumentError("DOCUMENT_MANIFEST", `Checkpoint ${manifest.round} does not have the table's fragments.`);
  for (const fragment of manifest.fragments) {
    const shard = await blobs.blob(head.runId, asDigest(fragment.digest), fragment.bytes);
    yield parseFragment(shard, table, fragment);
  }
}

/** θ′ and its outer state out of the payloads of some. */
async function* aggregateOf(
  blobs: BlobSource,
  input: Input,
  base: CheckpointManifest,
  of: ScreeningFile["workers"],
  anew: boolean,
): AsyncGenerator<FragmentState> {
  const { head, documents, definition, params } = input;
  const shareOf = new Map(
    documents.file?.receipts.map(({ receipt: { worker, steps }, tokens }) => [
      worker,
      { tokens: Number(tokens), steps },
    ]),
  );
  const layouts = fragmentLayouts(definition.table);
  let index = 0;
  for await (const state of statesOf(blobs, input, base)) {
    const { elements } = layouts[index]!;
    const payloads: FragmentPayload[] = [];
    for (const { worker, fragments } of of) {
      const entry = fragments[index];
      if (!entry)
        throw new DocumentError(
          "DOCUMENT_SCREENING",
          `The payload of ${worker} was gated and fragment ${index} not measured.`,
        );
      const payload = await blobs.blob(
        head.runId,
        asDigest(entry.digest),
        codecOf(params.codec).encodedLength(elements),
      );
      payloads.push({
        worker,
        ...(shareOf.get(worker) ?? { tokens: 0, steps: 0 }),
        source: sourceOf(payload),
        clipPpm: entry.clipPpm,
      });
    }
    yield await reduceFragment({ state, payloads, rules: params, round: head.round - 1, anew });
    index += 1;
  }
}
