/**
 * localnet: all of a run on one machine, which is what `npm start` runs: its chain, its wallets and what they own, coordinator,
 * validators and workers as processes, and one session of training. May import all rooms but cli; it shows nothing itself and
 * tells what goes on to a `SessionDisplay`. Start at prepare.ts for what stands before the first round, at session.ts for training.
 */
export { purchaseOf } from "./capital.ts";
export { grantTo } from "./code.ts";
export { diskError } from "./disk.ts";
export type { LocalnetContext } from "./context.ts";
export { type LocalModel } from "./owners.ts";
export { type OpenedState, openState, prepare, type Prepared } from "./prepare.ts";
export type { SessionDisplay, Stage } from "./display.ts";
export { claimAtRest, keepLosses } from "./resting.ts";
export { paymentOf } from "./revenue.ts";
export type { RentedReport } from "./rented.ts";
export { stakedBy } from "./stake.ts";
export { runSession, type TrainingSession, unmeasured } from "./session.ts";
