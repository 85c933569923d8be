/** A validator as a process: its state directory, its statements, its log and its readiness. What `cotrain validator` calls. */
import { type ContractAddresses, createCoordinatorClient, findRun, type RunId } from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

import { retrying, steady, systemClock, unlessAborted } from "../base/index.ts";
import { type ChainReader, connect, createReader } from "../chain/index.ts";
import { revenueAccounts } from "../run/index.ts";
import {
  blobsLocation,
  type DaemonContext,
  type Database,
  lockSigner,
  type SignerLock,
  type StateDirectory,
} from "../service/index.ts";
import { logEvent, type ValidatorEvent } from "./events.ts";
import { openDaemonJournal } from "./journal.ts";
import { createLossMeter } from "./loss.ts";
import { writeMeasuring } from "./measuring.ts";
import { runValidator } from "./runValidator.ts";
import { birthOf, openStatements, type StatementSchema } from "./statements.ts";

export interface ValidatorDaemonOptions {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** Default: the coordinator's only run. */
  readonly runId?: RunId | undefined;
  /** Its own, locked; whoever opened it closes it. */
  readonly directory: StateDirectory;
  /** Where held-out data and programs are kept: a path or a URL; default in the state directory. */
  readonly blobs?: string | undefined;
  /** The protocol key, opened from its keystore. */
  readonly account: LocalAccount;
  /** That keystore's path: beside it lies a lock, so that no other process of this machine signs with the key. */
  readonly wallet: string;
  /** The operator says that the key has never signed for this model; counts where the journal is new. Default false. */
  readonly first?: boolean | undefined;
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  /** Block from which on the contracts exist. */
  readonly fromBlock: number;
  readonly confirmations?: number | undefined;
  /** Ms between looks; default 2,000. */
  readonly pollInterval?: number | undefined;
  /** Measure held-out loss; default true. */
  readonly loss?: boolean | undefined;
  readonly onEvent?: ((event: ValidatorEvent) => void) | undefined;
}

/** The key's journal, which no other process of this machine has one of meanwhile. */
async function openJournal(
  { account, wallet }: Pick<ValidatorDaemonOptions, "account" | "wallet">,
  { logger, onShutdown }: DaemonContext,
  directory: StateDirectory,
): Promise<{ readonly database: Database<StatementSchema>; readonly lock: SignerLock | undefined }> {
  const lock = await lockSigner(wallet, account.address);
  if (lock) onShutdown("key", () => lock.release());
  else
    logger.warn(
      `Nothing can be written beside ${wallet}: see to it that nobody else signs with its key, here or elsewhere.`,
    );
  const database = await openDaemonJournal({ account: account.address, wallet, directory: directory.path });
  onShutdown("statements", () => database.close());
  return { database, lock };
}

/** Where the key's journal begins. */
const beginning = (
  { account, first = false }: Pick<ValidatorDaemonOptions, "account" | "first">,
  database: Database<StatementSchema>,
  reader: Pick<ChainReader, "tip">,
  lock: SignerLock | undefined,
): Promise<number | undefined> =>
  birthOf(database, {
    account: account.address,
    // A key that was used on this machine has had a journal; if it is not this one, it is lost.
    first: first && lock?.usedBefore !== true,
    tip: () => reader.tip(),
  });

/**
 * The main function for the service room's `runDaemon`: works until it is told to stop. Ready is told when the run was found
 * on-chain and at the coordinator; whatever is away is waited for.
 * @throws UserError `WRONG_CHAIN`, `RUN_UNKNOWN`, `RUN_FOREIGN`, `STATE_*`, `KEY_IN_USE`
 */
export async function validatorDaemon(options: ValidatorDaemonOptions, context: DaemonContext): Promise<void> {
  const { signal, logger } = context;
  const { directory } = options;
  const { database, lock } = await openJournal(options, context, directory);
  const coordinator = createCoordinatorClient(options.coordinator);
  const loss =
    options.loss === false
      ? undefined
      : createLossMeter({
          coordinator: options.coordinator,
          cache: await blobsLocation(directory.path, options.blobs),
        });
  if (loss) context.onShutdown("held-out loss", () => loss.close());

  const waited = <T>(work: () => Promise<T>): Promise<T> =>
    retrying(() => unlessAborted(work(), signal), {
      clock: systemClock,
      ...steady(1_000),
      signal,
      onRetry: (error) => logger.warn(error.message),
    });
  const { rpcUrl, chainId, contracts, fromBlock, confirmations } = options;
  const connection = await waited(() => connect({ rpcUrl, chainId }));
  const from = { contracts, fromBlock, ...(confirmations === undefined ? {} : { confirmations }) };
  const reader = createReader(connection, from);
  const born = await waited(() => beginning(options, database, reader, lock));
  if (born !== undefined)
    logger.warn(
      `This key's journal of signatures began at block ${born}: nothing is signed about what was anchored before, which an earlier journal may have signed.`,
    );
  const runId = await waited(() => findRun(coordinator, options.runId));

  await runValidator(
    { runId, signal, ...(options.pollInterval === undefined ? {} : { pollInterval: options.pollInterval }) },
    {
      reader,
      coordinator,
      account: options.account,
      statements: openStatements(database, { born }),
      revenue: revenueAccounts({ reader, connection, fromBlock }),
      ...(loss ? { loss } : {}),
      onReady: () => context.ready({ validator: options.account.address }),
      onEvent: (event) => {
        logEvent(logger, event);
        if (event.type === "measured" || event.type === "audited") {
          const what = event.type === "measured" ? "heldOut" : "audit";
          writeMeasuring(directory.path, what, event).catch((error: Error) => logger.warn(error.message));
        }
        options.onEvent?.(event);
      },
    },
  );
}
