/** Which of a coordinator's runs somebody means. */
import { ProtocolError } from "../baseErrors.ts";
import type { CoordinatorClient } from "./client.ts";
import { asRunId, type RunId } from "./ids.ts";

/** Runs that an error names at most. */
const NAMED = 8;

/**
 * The run asked for, else the only one that is not finished, else the only one.
 * @param wanted its id; undefined to look for it
 * @throws ProtocolError RUN_UNKNOWN, RUN_AMBIGUOUS; RUN_NONE, which waiting may mend: a coordinator that was just started has none
 */
export async function findRun(
  client: Pick<CoordinatorClient, "url" | "runs">,
  wanted: string | undefined,
): Promise<RunId> {
  const { runs } = await client.runs();
  const ids = (list: typeof runs): RunId[] => list.map(({ runId }) => asRunId(runId));
  if (wanted !== undefined) {
    const found = ids(runs).find((id) => id === wanted.toLowerCase());
    if (found) return found;
    throw new ProtocolError(
      "RUN_UNKNOWN",
      `The coordinator at ${client.url} has no run ${wanted.slice(0, 80)}: take the id from the join command, or leave --run out.`,
    );
  }
  const open = ids(runs.filter(({ phase }) => phase !== "Finished"));
  const candidates = open.length === 0 ? ids(runs) : open;
  const [only] = candidates;
  if (!only) throw new ProtocolError("RUN_NONE", `The coordinator at ${client.url} has no run.`, { retryable: true });
  if (candidates.length === 1) return only;
  const named = candidates.slice(0, NAMED).join(", ");
  throw new ProtocolError(
    "RUN_AMBIGUOUS",
    `The coordinator at ${client.url} has ${candidates.length} runs (${named}${candidates.length > NAMED ? ", …" : ""}): name one with --run.`,
  );
}
