/** What the contracts know of a run's builds: which holders admit, and the documents that their proposals have. */
import { governorOf, isAdmitted, runOf } from "@cotrain/sdk/actions";
import { asAddress, type Digest, type RunId } from "@cotrain/sdk/protocol";

import type { ChainReader } from "../ports.ts";
import type { ContractEvents, ReadFrom } from "./events.ts";
import { type IsWhole, leftOut } from "./histories.ts";

export function readBuilds({ connection: { call }, addresses }: ReadFrom, events: ContractEvents) {
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
      const all = await events.proposedDocuments(governor, (known) => known.some(({ digest }) => digest === build));
      return all.find(({ digest }) => digest === build)?.text;
    },
  } satisfies Partial<ChainReader>;
}
