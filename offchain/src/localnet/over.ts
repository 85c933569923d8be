/** Sessions of a run that has ended: they train nothing, and settle what is left. */
import type { RunView } from "@cotrain/sdk/protocol";

import type { Prepared } from "./prepare.ts";

/** What is told where there is nothing to train. */
export const RUN_OVER =
  'The run has ended: nothing is trained, and what it earned is settled. "npx cotrain run next" registers the one that goes on from it.';

/** Why nothing is put to the vote then. */
export const NO_VOTE_OVER = "the run has ended";

/** What a session begins with: of a run that has ended with that its coordinator knows it. */
export const beginsBy =
  ({ over }: Pick<Prepared, "over">) =>
  ({ phase, current }: RunView): boolean =>
    over ? phase === "Finished" : current !== null;

/** No round opens in it. */
export const isResting = ({ phase }: RunView): boolean => phase === "Paused" || phase === "Finished";
