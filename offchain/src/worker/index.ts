/**
 * worker: the daemon on a machine that trains. It finds a run, joins by signature, turns assignments into inner steps,
 * sends pseudo-gradients with receipts and keeps the acknowledgements as evidence. May import base, engine, diloco, data,
 * storage, service and chain, and @cotrain/sdk; never the coordinator or the validator, which it knows by the protocol
 * alone. Start at runWorker.ts: prepare.ts, then the duties assignments.ts, round.ts and heartbeats.ts, which share a
 * WorkState (workState.ts).
 */
export { type Artefacts, createArtefacts, findRun, type RunDescription, type RunRecordReader } from "./artefacts.ts";
export { openAssignmentSteps } from "./assignmentSteps.ts";
export { type BackoffOptions, defaultBackoff, fullJitter, retrying } from "./backoff.ts";
export { ArtefactError, type BaseCheckpoint, type BlobSource, fetchBase } from "./base.ts";
export { blake3Of, createResidualLedger, type Residual, type ResidualLedger } from "./residual.ts";
export { type Commitment, createCommitment, type Fed, fedDigests, segmentEnds } from "./commitment.ts";
export { workerDaemon, type WorkerDaemonOptions } from "./daemon.ts";
export { openEngineTrainer } from "./engineTrainer.ts";
export { type EncodedFragment, encodeFragment, sha256Chunked } from "./encode.ts";
export type { RoundTimes, WorkerEvent } from "./events.ts";
export { type ReceiptJournal, type ReceiptRow, openReceiptJournal } from "./receiptJournal.ts";
export { AcknowledgementError, type SigningAccount, verifyAck } from "./receipt.ts";
export { checkResources, machine, type ModelSize, needsOf, type Needs, type Surroundings } from "./resources.ts";
export { DivergedError } from "./training.ts";
export type { StepsOf, TrainerInput, WorkerEnd, WorkerModules, WorkerOptions } from "./options.ts";
export { runWorker } from "./runWorker.ts";
export type { InnerSteps, StepReport, Trainer } from "./trainer.ts";
export { createRequestQueue, type RequestQueue } from "./requestQueue.ts";
