/** What of a run the holders may change while a worker works: whose key acknowledges, and the parameters of a version. */
import {
  type Address,
  asAddress,
  type CoordinatorClient,
  type RunId,
  type RunParams,
  runParamsFromWire,
  type RunView,
} from "@cotrain/sdk/protocol";

import type { RunRecordReader } from "./artefacts.ts";
import { retrying, type RetryOptions } from "../base/index.ts";

export interface Governed {
  /** Whose key acknowledges; asked again when an acknowledgement does not fit, since the holders may have changed it. */
  readonly poster: (refresh: boolean) => Promise<Address>;
  /** The run's parameters of a version; undefined for one that the coordinator tells nothing of, or once the worker is to stop. */
  readonly paramsOf: (version: number) => Promise<RunParams | undefined>;
}

/** @param view what the coordinator says of the run at the start */
export function followRun(
  view: RunView,
  client: Pick<CoordinatorClient, "run">,
  chain: RunRecordReader | undefined,
  retry: RetryOptions,
): Governed {
  const runId = view.runId as RunId;
  let poster = asAddress(view.poster);
  let told = view;
  return {
    poster: async (refresh) => {
      if (!refresh) return poster;
      const now = asAddress((await client.run(runId)).poster);
      // A new poster is believed from the chain; where it cannot be asked, from the coordinator, as at the start.
      if (!chain || (await chain.postersOf(runId)).includes(now)) poster = now;
      return poster;
    },
    // As with the poster: from the chain, or else the coordinator's word.
    paramsOf: async (version) => {
      try {
        if (chain) return await retrying(() => chain.paramsOf(runId, version), retry);
        if (told.paramsVersion !== version) told = await retrying(() => client.run(runId), retry);
        return told.paramsVersion === version ? runParamsFromWire(told.params) : undefined;
      } catch (error) {
        if (retry.signal.aborted) return undefined;
        throw error;
      }
    },
  };
}
