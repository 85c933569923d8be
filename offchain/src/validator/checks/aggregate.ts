/**
 * Whether the fragment of a head that its validator drew is what its payloads make, and where sortition says so, or somebody
 * lost its pay by them, whether the losses of its gate are true. Who steps in for another validator examines the same.
 */
import type { CotrainError } from "@cotrain/sdk/errors";
import {
  asDigest,
  type Digest,
  digestOfJson,
  type Hex,
  type RunView,
  verdictForms,
  verdictKind,
} from "@cotrain/sdk/protocol";

import { RetryableError, unlessAborted } from "../../base/index.ts";
import type { PostedHead } from "../../chain/index.ts";
import {
  blamesByLoss,
  drawnBy,
  type HeadDocuments,
  type HeadWithParent,
  isMalformed,
  isWrong,
  requireTurns,
} from "../../run/index.ts";
import type { Draw } from "../claims.ts";
import { attempt, type Context } from "../context.ts";
import type { Description } from "../descriptions.ts";
import { type EngineTask, occupy } from "../engineSlot.ts";
import { type LossMeter, shareOf } from "../loss.ts";
import type { Check } from "./check.ts";
import { auditGate } from "./gateAudit.ts";
import { type AggregateCheckInput, checkAggregate, checkedAgainst } from "./recompute.ts";
import { isResting, LOSS_SHARE } from "./turn.ts";

/** Ms after which what did not come to a finding is tried again: an audit, or what is done in another's place. */
export const AUDIT_AGAIN = 10_000;

export interface Finding {
  readonly holds: boolean;
  readonly reason: string;
  readonly evidence: Digest;
}

/**
 * Heads of one look that may come to nothing, as for documents that nobody has; the others wait for a later look. An honest run has few
 * such heads, while a poster posts thousands in one transaction, and each costs several requests at whoever serves the run.
 */
export const MOST_WITHOUT = 16;

interface OwedAggregate extends HeadWithParent {
  readonly draw: Draw;
}

export function aggregateCheck(context: Context): Check<OwedAggregate> {
  const { descriptions, heads, reader, validator } = context;
  /** Heads that came to nothing, the latest tried last. */
  const without = new Set<Hex>();
  return {
    kind: verdictKind.aggregate,
    wellFormed: verdictForms[verdictKind.aggregate],
    due: async function* ({ open }) {
      const links = new Map<Hex, HeadWithParent>(open.map((link) => [link.head.head, link]));
      for (const head of without) if (!links.has(head)) without.delete(head);
      // First what was never tried, so that thousands which nobody serves hold up no honest one behind them more than once.
      const again = [...without].flatMap((head) => links.get(head) ?? []);
      let places = MOST_WITHOUT;
      for (const link of [...open.filter(({ head }) => !without.has(head.head)), ...again]) {
        if (places === 0) return;
        const { head, round } = link.head;
        if (heads.judged.has(head)) continue;
        const draw = await attempt(context, `checkpoint ${round}`, () => drawOf(context, link.head));
        if (!draw) continue;
        yield { ...link, draw };
        if (without.has(head)) places -= 1;
      }
    },
    run: async ({ head, parent, draw }, say) => {
      without.delete(head.head);
      const failed = (): void => void without.add(head.head);
      const report = async (finding: Finding): Promise<void> => {
        const { fragment } = draw;
        const { fragments } = await descriptions.of(head.runId);
        // The chain may have gone back meanwhile.
        if ((await drawnBy(reader, head, validator, fragments)) !== fragment) return;
        await say({ index: fragment, value: finding.holds ? 10_000n : 0n, evidence: finding.evidence });
        without.delete(head.head);
        conclude(context, head, draw, finding);
      };
      try {
        await examine(context, { head, parent }, draw, report, failed);
      } catch (error) {
        failed();
        throw error;
      }
    },
  };
}

/** What is to be looked at of a head that has no verdict, unless the block that decides the sortition is still to come. */
async function drawOf(
  { claims, descriptions, heads, loss, statements, validator }: Context,
  head: PostedHead,
): Promise<Draw | undefined> {
  const sortition = await descriptions.sortitionOf(head);
  if (!sortition) return undefined;
  const fragment = sortition.fragmentOf(validator);
  const said = (await statements.about(head.head)).find(
    ({ struct }) => struct.kind === verdictKind.aggregate && struct.index === fragment,
  );
  if (!said) return { fragment, gate: loss !== undefined && sortition.auditsGate(validator) };
  heads.judged.set(head.head, fragment);
  if (said.struct.value !== "0") claims.found(head.head, { fragment, gate: false });
  return undefined;
}

function conclude(
  { audits, claims, emit, heads }: Context,
  { head, round }: PostedHead,
  draw: Draw,
  { holds, reason }: Finding,
): void {
  const { fragment } = draw;
  heads.judged.set(head, fragment);
  audits.again.delete(`${head}/${fragment}`);
  if (holds) claims.found(head, draw);
  emit({ type: "judged", head, round, fragment, holds, reason });
}

/**
 * The engine measures one thing at a time: what is not examined now is examined at a later look.
 * @param onUnread told where a head's documents could not be read, whatever that comes to
 */
export async function examine(
  context: Context,
  { head, parent }: HeadWithParent,
  { fragment, gate }: Draw,
  report: (finding: Finding) => Promise<void>,
  onUnread: () => void = () => undefined,
): Promise<void> {
  const { audits, blobs, clock, descriptions, documents, emit, engine, loss, signal } = context;
  const description = await descriptions.of(head.runId);
  // Read once, also where that fails: the largest documents take seconds. What is gone or wrong `inspect` says.
  const found = documents.read(blobs, head, parent);
  const leaves = (await found.catch(onUnread))?.leaves;
  const input = { head, parent, description, fragment, found };
  const due = gate || (leaves !== undefined && blamesByLoss(leaves));
  if (!loss || !due || audits.sound.has(head.head)) return report(await inspect(context, input));
  const key = `${head.head}/${fragment}`;
  if (clock.monotonic() < (audits.again.get(key) ?? 0)) return;
  if (engine.task) {
    engine.auditWaits = true;
    if (engine.task.canWait)
      engine.task.controller.abort(new RetryableError("AUDIT_FIRST", "The loss gate's audit comes first."));
    return;
  }
  occupy(engine, { canWait: false, share: undefined }, async (task) => {
    try {
      const audit = inspect(context, input, (all) => auditOf(context, loss, task, description, all));
      // Who is to stop waits for none of the blobs that it takes.
      await report(await unlessAborted(audit, AbortSignal.any([signal, task.controller.signal])));
    } catch (error) {
      if (signal.aborted || task.controller.signal.aborted) return;
      audits.again.set(key, clock.monotonic() + AUDIT_AGAIN);
      const reason = error instanceof Error ? error.message : String(error);
      emit({ type: "retrying", what: `the loss gate of checkpoint ${head.round}, not judged yet`, reason });
    }
  });
}

interface Examined extends HeadWithParent {
  readonly description: Description;
  readonly fragment: number;
  readonly found: Promise<HeadDocuments>;
}

/** @throws what says that there is no finding yet */
async function inspect(
  context: Context,
  { head, parent, description: { definition }, fragment, found: reading }: Examined,
  audit?: (input: AggregateCheckInput) => Promise<Finding>,
): Promise<Finding> {
  const { absences, audits, blobs, loss, reader, run } = context;
  const part = `fragment ${fragment}`;
  try {
    const found = await reading;
    await requireTurns(context, run.modelId, head);
    // Where losses of the gate took somebody's pay, whoever can measure them does, drawn or not.
    if (loss && !audit && blamesByLoss(found.leaves) && !audits.sound.has(head.head))
      throw new RetryableError("AUDIT_DUE", `The losses of checkpoint ${head.round}'s gate are to be measured first.`);
    const input = { ...(await checkedAgainst(reader, { head, parent }, found, definition)), fragment };
    const finding = await checkAggregate(blobs, input);
    const audited = finding.holds ? await audit?.(input) : undefined;
    absences.found(head, part);
    return audited && !audited.holds ? audited : finding;
  } catch (error) {
    // What is there and wrong is the poster's doing; what is not there may come yet, but nobody's pay waits for it for ever.
    if (!isWrong(error) && !absences.isGoneForGood(head, part, error)) throw error;
    return findingOf(head, error);
  }
}

/** Of a head whose documents do not hold, or are gone. */
export const findingOf = ({ head }: PostedHead, { message, code }: CotrainError): Finding => ({
  holds: false,
  reason: message,
  evidence: digestOfJson({ version: 1, head, reason: code }),
});

/** @throws RetryableError `COORDINATOR_UNREAD` for an answer that is none, which says nothing about a head */
async function phaseOf({ coordinator, run }: Context): Promise<RunView["phase"]> {
  try {
    return (await coordinator.run(run.runId)).phase;
  } catch (error) {
    if (!isMalformed(error)) throw error;
    throw new RetryableError("COORDINATOR_UNREAD", `The coordinator's answer about its run is none: ${error.message}`);
  }
}

/** Measures a head's gate again, within the share that measuring may take while the run trains. */
async function auditOf(
  context: Context,
  loss: LossMeter,
  task: EngineTask,
  { digest }: Description,
  input: AggregateCheckInput,
): Promise<Finding> {
  const { audits, blobs, emit, signal } = context;
  const { head } = input;
  const phase = await phaseOf(context);
  const share = isResting({ phase }) ? undefined : LOSS_SHARE;
  task.share = share;
  const until = AbortSignal.any([signal, task.controller.signal]);
  const origin = { runId: head.runId, definition: digest };
  const took = { cpu: 0, elapsed: 0 };
  const { problem, losses, evidence } = await auditGate(
    {
      blobs,
      measure: async (checkpoint, { build, sequences }) => {
        const request = { ...origin, build: asDigest(build), checkpoint, sequences, share };
        const { cpu, elapsed, microBitsPerByte } = await loss.measure(request, until);
        took.cpu += cpu;
        took.elapsed += elapsed;
        return microBitsPerByte;
      },
      conformance: (build) => loss.conformance({ ...origin, build }, until),
    },
    input,
  );
  const holds = problem === "";
  if (holds) audits.sound.add(head.head);
  const atRest = share === undefined;
  emit({ type: "audited", head: head.head, round: head.round, losses, holds, share: shareOf(took), atRest });
  return { holds, reason: problem, evidence };
}
