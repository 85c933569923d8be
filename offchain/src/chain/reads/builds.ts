/** What the contracts know of a run's builds: which holders admit, and the documents that their proposals have. */
import { governorOf, isAdmitted, runOf } from "@cotrain/sdk/actions";
import { asAddress, type Digest, type RunId } from "@cotrain/sdk/protocol";

import type { ChainReader } from "../ports.ts";
import type { ContractEvents, ReadFrom } from "./events.ts";
import { type IsWhole, leftOut } from "./histories.ts";

/** A document that no proposal has is looked for in the whole history again after this long, ms; each time after twice as long. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [600_000, 86_400_000];
/** Digests that are remembered so: each is of a build that holders admitted. */
const REMEMBERED = 1_024;

/** When a whole history is read again for what it did not have: without a pause, who asks for such a thing has it read for ever. */
function createPauses({ clock }: Pick<ReadFrom, "clock">) {
  const missed = new Map<Digest, { readonly at: number; readonly pause: number }>();
  return {
    isOver: (digest: Digest): boolean => {
      const last = missed.get(digest);
      return last === undefined || clock.monotonic() - last.at >= last.pause;
    },
    begin: (digest: Digest): void => {
      const last = missed.get(digest);
      missed.delete(digest);
      missed.set(digest, {
        at: clock.monotonic(),
        pause: Math.min(last ? 2 * last.pause : FIRST_PAUSE, LONGEST_PAUSE),
      });
      for (const [oldest] of missed) {
        if (missed.size <= REMEMBERED) break;
        missed.delete(oldest);
      }
    },
  };
}

export function readBuilds({ connection: { call }, addresses, clock }: ReadFrom, events: ContractEvents) {
  const pauses = createPauses({ clock });
  const admits = (runId: RunId, build: Digest): Promise<boolean> =>
    call((chain) => isAdmitted(chain, { addresses, runId, build }));
  return {
    isAdmitted: admits,
    buildsOf: async (runId, wanted) => {
      const has: IsWhole<Digest> = (all) => wanted === undefined || all.includes(wanted);
      const all = await events.admissions(runId, has);
      if (wanted !== undefined && !has(all) && (await admits(runId, wanted))) throw leftOut();
      return [...new Set(all)];
    },
    proposedBuild: async (runId, build) => {
      const { modelId } = await call((chain) => runOf(chain, { addresses, runId }));
      const governor = asAddress(await call((chain) => governorOf(chain, { addresses, modelId })));
      // A node that lags leaves out what it has not seen, and would not be asked for it again.
      const again = pauses.isOver(build);
      const all = await events.proposedDocuments(
        governor,
        (known) => !again || known.some(({ digest }) => digest === build),
      );
      const found = all.find(({ digest }) => digest === build);
      if (!found && again) pauses.begin(build);
      return found?.text;
    },
  } satisfies Partial<ChainReader>;
}
