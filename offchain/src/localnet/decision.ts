/** The one decision of a session on a development chain: what it changes, and that it is tried again where it failed. */
import { TransactionRevertedError } from "@cotrain/sdk/errors";
import { parametersChange, runParamsFromWire, type RunView } from "@cotrain/sdk/protocol";

import { roundNumber } from "../base/index.ts";
import { saysReverted } from "../chain/index.ts";
import { demoParamsOf } from "../run/index.ts";
import type { Logger } from "../service/index.ts";
import type { OfferedGrant } from "./code.ts";
import type { followContributors } from "./contributors.ts";
import { decide, executedMeanwhile, type LocalModel, type ProposalProgress } from "./owners.ts";
import type { Prepared } from "./prepare.ts";

/** Whether the chain ran a call and refused it. */
const isRefused = (error: unknown): error is Error =>
  error instanceof Error && (saysReverted(error) || error instanceof TransactionRevertedError);

/** What a decision makes of the inner steps: a third more than usual, and as many as usual after that. */
function otherSteps({ preset, recipe }: Prepared, now: number): number {
  const usual = demoParamsOf(preset, recipe).innerSteps;
  return now === usual ? (usual * 4) / 3 : usual;
}

/** The one decision of a session: where it failed, it is tried again. */
export function followDecision(
  prepared: Prepared,
  localModel: LocalModel,
  logger: Logger,
  contributors: ReturnType<typeof followContributors>,
) {
  let decision: ProposalProgress | undefined;
  let deciding = false;
  return {
    made: (): ProposalProgress | undefined => decision,
    async govern(view: RunView): Promise<void> {
      if (deciding) return;
      deciding = true;
      const now = runParamsFromWire(view.params);
      const params = { ...now, innerSteps: otherSteps(prepared, now.innerSteps) };
      let grant: OfferedGrant | undefined;
      try {
        // A chain that went away may have carried it out first; another one would undo it.
        const made = decision && (await executedMeanwhile(localModel, decision));
        if (made) return void (decision = made);
        grant = await contributors?.offer();
        const change = [parametersChange(now, params), ...(grant ? [`and ${grant.words}`] : [])].join(", ");
        // Of two proposals with one text and one effect the second would be the first, executed long ago.
        const title = `${change}, proposed in round ${roundNumber(view.round)}`;
        const more = grant ? [grant.call] : [];
        const decided = { params, replaces: view.paramsVersion, more, title };
        await decide(localModel, decided, (progress) => (decision = progress));
      } catch (error) {
        logger.warn({ err: error }, "the decision failed and is tried again");
        if (grant && decision?.state === "queued" && isRefused(error)) contributors?.failed(error.message);
        deciding = false;
      } finally {
        if (grant) contributors?.decided();
      }
    },
  };
}
