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
import { retrying, type RetryOptions, unlessAborted } from "../base/index.ts";

/** How long it is believed that nothing of this coordinator's can be anchored, ms: its work comes at once, over and over. */
const BARRED_FOR_MS = 15_000;

export interface Governed {
  /** Whose key acknowledges; asked again when an acknowledgement does not fit, since the holders may have changed it. */
  readonly poster: (refresh: boolean) => Promise<Address>;
  /**
   * Why nothing that the coordinator acknowledges can be anchored now, by the chain; undefined where it can, where there is no chain
   * to ask, or once the worker is to stop.
   */
  readonly whyBarred: () => Promise<string | undefined>;
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
  let barred: { readonly why: string; readonly since: number } | undefined;
  const patiently = <T>(work: () => Promise<T>): Promise<T> =>
    retrying(() => unlessAborted(work(), retry.signal), retry);
  const ask = async (by: RunRecordReader): Promise<string | undefined> => {
    const [record, suspended] = await patiently(() => Promise.all([by.run(runId), by.isSuspended(runId)]));
    const inForce = asAddress(record.poster);
    // A coordinator that goes on under another key says so only when it is asked.
    if (inForce !== poster) poster = asAddress((await patiently(() => client.run(runId))).poster);
    if (inForce !== poster)
      return `The run's poster is ${inForce} by the chain, and this coordinator's is ${poster}: no work for it can be anchored or paid, so it is not done.`;
    return suspended
      ? `The validators have suspended this run's poster, ${poster}: no work for it can be anchored or paid, so it is not done until the holders name another.`
      : undefined;
  };
  return {
    whyBarred: async () => {
      if (!chain) return undefined;
      if (barred && retry.clock.monotonic() - barred.since < BARRED_FOR_MS) return barred.why;
      try {
        const why = await ask(chain);
        barred = why === undefined ? undefined : { why, since: retry.clock.monotonic() };
        return why;
      } catch (error) {
        if (retry.signal.aborted) return undefined;
        throw error;
      }
    },
    poster: async (refresh) => {
      if (!refresh) return poster;
      const now = asAddress((await client.run(runId)).poster);
      // What was acknowledged earlier a former poster may have signed; whether one is in force is asked before each work.
      // A new poster is believed from the chain; where it cannot be asked, from the coordinator, as at the start.
      if (!chain || (await chain.postersOf(runId)).includes(now)) poster = now;
      return poster;
    },
    // As with the poster: from the chain, or else the coordinator's word.
    paramsOf: async (version) => {
      try {
        if (chain) return await patiently(() => chain.paramsOf(runId, version));
        if (told.paramsVersion !== version) told = await patiently(() => client.run(runId));
        return told.paramsVersion === version ? runParamsFromWire(told.params) : undefined;
      } catch (error) {
        if (retry.signal.aborted) return undefined;
        throw error;
      }
    },
  };
}
