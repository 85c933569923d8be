/** The first that a worker asks of its coordinator: which run there is to work on. */
import type { CotrainError } from "@cotrain/sdk/errors";
import { type CoordinatorClient, findRun, type RunId, type RunView } from "@cotrain/sdk/protocol";

import { RetryableError, retrying, type RetryOptions, saysRetryable, unlessAborted } from "../base/index.ts";
import { retryEvent, type WorkerEvent } from "./events.ts";
import type { WorkerOptions } from "./options.ts";

const DEFAULT_PATIENCE_MS = 60_000;

/**
 * Finds the run, with patience: where nobody answers the address may be wrong, which trying on does not mend.
 * @throws RetryableError `COORDINATOR_AWAY` once it was patient
 */
export async function locateRun(
  { runId: wanted, patience = DEFAULT_PATIENCE_MS }: Pick<WorkerOptions, "runId" | "patience">,
  client: CoordinatorClient,
  retry: Omit<RetryOptions, "onRetry" | "retryable"> & { readonly onEvent: (event: WorkerEvent) => void },
): Promise<{ readonly runId: RunId; readonly view: RunView }> {
  const { clock, signal, onEvent } = retry;
  const giveUpAt = clock.monotonic() + patience;
  const found: RetryOptions = {
    ...retry,
    onRetry: (...tried) => onEvent({ ...retryEvent("run", ...tried), patienceMs: patience }),
    retryable: (error) => saysRetryable(error) && clock.monotonic() < giveUpAt,
  };
  try {
    const runId = await retrying(() => unlessAborted(findRun(client, wanted), signal), found);
    return { runId, view: await retrying(() => unlessAborted(client.run(runId), signal), found) };
  } catch (error) {
    if (signal.aborted || !saysRetryable(error)) throw error;
    const reason = (error as CotrainError).message.replace(/\.$/, "");
    throw new RetryableError(
      "COORDINATOR_AWAY",
      `${reason}, and it was tried for ${Math.round(patience / 1_000)} s: see whether ${client.url}/health answers from this machine, ask who runs it, and start the worker again when it does.`,
      { cause: error },
    );
  }
}
