/** Held-out loss of the first and the newest checkpoint, by whoever's turn it is. */
import { CotrainError } from "@cotrain/sdk/errors";
import { asDigest, digestOfJson, HELD_OUT_SEQUENCES, verdictForms, verdictKind } from "@cotrain/sdk/protocol";

import { RetryableError, unlessAborted } from "../../base/index.ts";
import type { PostedHead } from "../../chain/index.ts";
import type { Context } from "../context.ts";
import { occupy } from "../engineSlot.ts";
import { shareOf } from "../loss.ts";
import type { Content } from "../verdicts.ts";
import type { Check } from "./check.ts";
import { createTurns, isResting, type Measurement } from "./turn.ts";

/** Tries of one measurement that fails for another reason than something being away. */
const MAX_FAILURES = 5;

interface OwedLoss extends Measurement<PostedHead> {
  readonly build: string;
}

export function heldOutLossCheck(context: Context): Check<OwedLoss> {
  const { clock, coordinator, emit, engine, loss, run, signal, statements, validator } = context;
  const turns = createTurns(validator, clock);
  /** What was measured or given up, by head and size of the sample. */
  const measured = new Set<string>();
  const failures = new Map<string, number>();
  return {
    kind: verdictKind.loss,
    wellFormed: verdictForms[verdictKind.loss],
    due: async function* ({ heads, members }) {
      // The run's state says what to measure; who measures nothing, or audits, need not ask.
      if (!loss || (engine.task ? engine.task.share === undefined : engine.auditWaits)) return;
      const view = await coordinator.run(run.runId);
      if (!engine.task && !engine.auditWaits) {
        const build = await firstAdmitted(context, view.builds);
        let next = build && turns.next(heads, view, members, measured);
        // It would say what it measured of what was there before its journal to nobody.
        while (next && statements.isBefore(next.head.block)) {
          measured.add(next.key);
          next = turns.next(heads, view, members, measured);
        }
        if (build && next) yield { ...next, build };
      }
      // What keeps to a share is begun anew without one: others may leave it next to nothing, and the session waits for it.
      else if (isResting(view) && engine.task?.share !== undefined)
        engine.task.controller.abort(new RetryableError("AT_REST", "The run rests now."));
    },
    run: async (owed, say) =>
      occupy(engine, { canWait: true, share: owed.share }, async ({ controller }) => {
        const { head, key } = owed;
        try {
          const until = AbortSignal.any([signal, controller.signal]);
          await unlessAborted(measure(context, owed, until, say), until);
          measured.add(key);
        } catch (error) {
          if (signal.aborted || controller.signal.aborted) return;
          failures.set(key, (failures.get(key) ?? 0) + 1);
          // What cannot be measured is left after some tries; the next head may be measurable.
          if ((failures.get(key) ?? 0) >= MAX_FAILURES && !(error instanceof CotrainError && error.retryable))
            measured.add(key);
          const reason = error instanceof Error ? error.message : String(error);
          emit({ type: "retrying", what: `loss of checkpoint ${head.round}`, reason });
        }
      }),
  };
}

/** The run's first build that is admitted still: the coordinator may not know yet of one that was withdrawn. */
async function firstAdmitted(
  { reader, run: { runId } }: Pick<Context, "reader" | "run">,
  builds: readonly string[],
): Promise<string | undefined> {
  for (const build of builds) if (await reader.isAdmitted(runId, asDigest(build))) return build;
  return undefined;
}

/** The sample's size is the verdict's index: another size is another statement. */
async function measure(
  { emit, loss, reader, run, statements }: Context,
  { head, build: name, sequences: wanted, share }: OwedLoss,
  until: AbortSignal,
  say: (content: Content) => Promise<void>,
): Promise<void> {
  const known = (await statements.about(head.head)).filter(({ struct }) => struct.kind === verdictKind.loss);
  const { running } = HELD_OUT_SEQUENCES;
  // A split may hold fewer sequences than asked for: then the one measurement stands for both.
  if (known.some(({ struct }) => struct.index > running || wanted === running)) return;
  const build = asDigest(name);
  const { runId, definition } = run;
  if (!loss || !(await reader.isAdmitted(runId, build))) return;
  const request = { runId, definition, build, checkpoint: head.checkpointDigest, sequences: wanted, share };
  const { cpu, elapsed, microBitsPerByte, sequences } = await loss.measure(request, until);
  await say({
    index: sequences,
    value: BigInt(microBitsPerByte),
    evidence: digestOfJson({ version: 1, head: head.head, build, sequences }),
  });
  emit({
    type: "measured",
    head: head.head,
    round: head.round,
    microBitsPerByte,
    sequences,
    share: shareOf({ cpu, elapsed }),
    atRest: share === undefined,
  });
}
