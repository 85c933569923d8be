/** What a coordinator is asked about one run, each answer held against what was asked for. */
import { CoordinatorError } from "../baseErrors.ts";
import type { Address, RunId } from "./ids.ts";
import * as messages from "./messages.ts";
import type { Requests } from "./requests.ts";
import { routes } from "./routes.ts";

/** A list of more checkpoints is refused. */
const MAX_CHECKPOINTS = 100_000;
/** Leaves of an account that are read at most: a root of each day for centuries. */
const MAX_CLAIMABLE = 100_000;
/** Pages of them that are asked for at most, whatever each has. */
const MAX_REWARD_PAGES = Math.ceil(MAX_CLAIMABLE / messages.REWARD_PAGE);

export function createRunRequests({ base, json }: Pick<Requests, "base" | "json">) {
  /** Refuses an answer that is sound, but about something else: whoever asks for X must not go on with Y. */
  function mustBeAbout(code: string, path: string, asked: string, told: string): void {
    if (told.toLowerCase() === asked.toLowerCase()) return;
    const message = `${base}${path} answers about ${told}, which is not what was asked for: refused.`;
    throw new CoordinatorError(200, code, message);
  }

  async function run(runId: RunId): Promise<messages.RunView> {
    const view = await json(routes.run(runId), messages.RunView);
    mustBeAbout("RUN_FOREIGN", routes.run(runId), runId, view.runId);
    return view;
  }

  async function verdicts(runId: RunId): Promise<messages.VerdictList> {
    const list = await json(routes.verdicts(runId), messages.VerdictList);
    for (const { verdict } of list.verdicts) mustBeAbout("RUN_FOREIGN", routes.verdicts(runId), runId, verdict.runId);
    return list;
  }

  /** What active roots grant an account, page by page. @param after a root from which on is asked: nothing up to it is */
  async function reward(runId: RunId, account: Address, after = 0): Promise<Omit<messages.RewardView, "next">> {
    const leaves: messages.RewardView["leaves"] = [];
    const missing: messages.RewardView["missing"] = [];
    for (let [from, page] = [after + 1, 1]; ; page++) {
      const path = `${routes.reward(runId, account.toLowerCase() as Address)}?from=${from}`;
      const { next, ...view } = await json(path, messages.RewardView);
      mustBeAbout("ACCOUNT_FOREIGN", path, account, view.account);
      leaves.push(...view.leaves);
      missing.push(...view.missing);
      if (next === null) return { ...view, leaves, missing };
      if (next <= from || leaves.length > MAX_CLAIMABLE || page >= MAX_REWARD_PAGES)
        throw new CoordinatorError(200, "ANSWER_TOO_LARGE", `${base}${path} does not come to an end.`);
      from = next;
    }
  }

  /** All checkpoints of a run by rising round, page by page. */
  async function checkpoints(runId: RunId): Promise<Pick<messages.CheckpointList, "checkpoints">> {
    const all: messages.CheckpointList["checkpoints"] = [];
    for (let from = 0; ;) {
      const path = `${routes.checkpoints(runId)}?from=${from}`;
      const { checkpoints: page, next } = await json(path, messages.CheckpointList);
      all.push(...page);
      if (next === null) return { checkpoints: all };
      if (next <= from || all.length > MAX_CHECKPOINTS)
        throw new CoordinatorError(200, "ANSWER_TOO_LARGE", `${base}${path} does not come to an end.`);
      from = next;
    }
  }

  // An attestation names the run of its last head, which may be an earlier one of the model: validators compute it anew.
  const epochs = (runId: RunId) => json(routes.epochs(runId), messages.EpochList);

  return { run, checkpoints, verdicts, epochs, reward };
}
