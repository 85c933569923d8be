/**
 * worker: who trains on a machine. It finds a run, joins by signature, turns assignments into inner steps, sends
 * pseudo-gradients with receipts and keeps the acknowledgements as proof. Runs in a browser too: the daemon, with its
 * directory and its device, is entered by node/index.ts. May import base, engine, diloco, data, storage and @cotrain/sdk, under
 * Node also service; never the coordinator or the validator, which it knows by the protocol alone. Start at runWorker.ts:
 * prepare.ts, then the duties assignments.ts, round.ts and heartbeats.ts, which share a WorkState (workState.ts).
 */
export { createArtefacts } from "./artefacts.ts";
export { openAssignmentSteps } from "./assignmentSteps.ts";
export { type RunBlobs, fetchBase } from "./base.ts";
export { blake3Of, createResidualLedger, type Residual } from "./residual.ts";
export { createCommitment, fedDigests, segmentEnds } from "./commitment.ts";
export { trainerOn } from "./deviceTrainer.ts";
export { encodeFragment } from "./encode.ts";
export { deviceFailedText, type RoundTimes, type WorkerEvent } from "./events.ts";
export type { ReceiptJournal } from "./receiptJournal.ts";
export { verifyAck } from "./receipt.ts";
export { checkResources, fits, needsOf, type Surroundings } from "./resources.ts";
export type { StepsOf, TrainerInput, WorkerEnd, WorkerHome, WorkerModules, WorkerOptions } from "./options.ts";
export { runOnDevices } from "./runOnDevices.ts";
export { runWorker } from "./runWorker.ts";
export type { Trainer } from "./trainer.ts";
export { workerDevice } from "./workerDevice.ts";
export { createRequestQueue } from "./requestQueue.ts";
