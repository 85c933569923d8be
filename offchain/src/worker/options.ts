/** What a worker is given: its options, the modules that it works with, and how it says why it ended. */
import type { SigningAccount, Address, Assignment, RunId, SignedPass } from "@cotrain/sdk/protocol";

import type { Backoff, Clock } from "../base/index.ts";
import type { Place } from "../engine/index.ts";
import type { BlobStore } from "../storage/index.ts";
import type { AdmittedBuild, Artefacts, RunDescription, RunRecordReader } from "./artefacts.ts";
import type { WorkerEvent } from "./events.ts";
import type { ReceiptJournal } from "./receiptJournal.ts";
import type { Surroundings } from "./resources.ts";
import type { InnerSteps, Trainer } from "./trainer.ts";

export interface WorkerOptions {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** Default: the coordinator's only run. */
  readonly runId?: RunId;
  /** Who is paid; default the worker's own wallet. */
  readonly beneficiary?: Address;
  /** By which a rented machine joins, for the beneficiary that it names; default none, a machine of one's own. */
  readonly pass?: SignedPass;
  /** Whether the coordinator is asked to claim for who is paid; default as it was asked before. */
  readonly claim?: boolean;
  /** Threads of the engine; default its own choice. */
  readonly threads?: number;
  /** Bytes of artefacts kept on the disk; default 4 GiB. */
  readonly cacheBytes?: number;
  /** How long a coordinator that does not answer is waited for at the start, ms; default 60,000. Later there is no limit. */
  readonly patience?: number;
  /** After the request to stop: how long a round that is past its training may take to be submitted, ms; default 5,000. */
  readonly grace?: number;
  readonly backoff?: Backoff;
  /** Stops the worker: it submits or abandons its assignment, leaves and returns. */
  readonly signal: AbortSignal;
}

/** Opens the trainer of a build; deviceTrainer.ts has the default. */
export interface TrainerInput {
  readonly description: RunDescription;
  readonly build: AdmittedBuild;
  /** The step program, verified. */
  readonly program: Uint8Array<ArrayBuffer>;
  readonly threads: number | undefined;
  /** The worker's own: what is being opened or proven then is of no use. */
  readonly signal: AbortSignal;
  /** Ms that opening and proving may take together; default as long as a device may take. */
  readonly patience?: number | undefined;
}

/** Turns an assignment into its inner steps. */
export type StepsOf = (assignment: Assignment, firstStep: number) => Promise<InnerSteps>;

/** Where a worker keeps what outlives it, its own alone: a state directory, or what a browser gives a page. */
export interface WorkerHome {
  /** What errors call it. */
  readonly place: string;
  readonly surroundings: Surroundings;
  /** The cache of artefacts. */
  openBlobs(): Promise<BlobStore>;
  openReceipts(clock: Clock): Promise<ReceiptJournal>;
}

export interface WorkerModules {
  /** The machine's key; it signs joins and receipts. */
  readonly account: SigningAccount;
  readonly home: WorkerHome;
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Where the chain can be asked, the run's documents are checked against it. */
  readonly chain?: RunRecordReader;
  /** The class that this machine's device claims to be of, if any: builds of it are tried first. */
  readonly deviceClass: string | undefined;
  /** Whether builds with products in fp16 are for its device; asked where a run has some, default not. */
  readonly takesHalf?: (() => Promise<boolean>) | undefined;
  /** What trainers compute with, which says what they take of the machine's memory; default its processor. */
  readonly place?: Place | undefined;
  /** Bytes that are free of the device's own memory; undefined where it has none, or the system does not tell. */
  readonly ownMemory?: (() => Promise<number | undefined>) | undefined;
  readonly openTrainer: (input: TrainerInput) => Promise<Trainer>;
  readonly openData: (description: RunDescription, artefacts: Artefacts) => Promise<StepsOf>;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random?: () => number;
}

/** Why a worker ended. */
export interface WorkerEnd {
  /** stopped: by its signal; dismissed: the coordinator said so. */
  readonly kind: "stopped" | "dismissed";
  readonly reason: string;
  /** Acknowledged rounds and their tokens. */
  readonly rounds: number;
  readonly tokens: number;
}

/** Waits between tries where the options do not say. */
export const DEFAULT_BACKOFF: Backoff = { base: 500, maximum: 30_000 };

/** Bytes of artefacts that are kept where the options do not say. */
export const DEFAULT_CACHE_BYTES = 4 * 2 ** 30;
