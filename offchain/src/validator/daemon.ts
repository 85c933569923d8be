/** A validator as a process: its state directory, its statements, its log and its readiness. What `cotrain validator` calls. */
import { type ContractAddresses, createCoordinatorClient, findRun, type RunId } from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

import { retrying, steady, systemClock } from "../base/index.ts";
import { openReader } from "../chain/index.ts";
import { blobsLocation, type DaemonContext, openDatabase, type StateDirectory } from "../service/index.ts";
import { logEvent, type ValidatorEvent } from "./events.ts";
import { createLossMeter } from "./loss.ts";
import { writeMeasuring } from "./measuring.ts";
import { runValidator } from "./runValidator.ts";
import { openStatements, statementMigrations, type StatementSchema } from "./statements.ts";

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

/**
 * The main function for the service room's `runDaemon`: works until it is told to stop. Ready is told when the run was found
 * on-chain and at the coordinator; whatever is away is waited for.
 * @throws UserError `WRONG_CHAIN`, `RUN_UNKNOWN`, `RUN_FOREIGN`, `STATE_*`
 */
export async function validatorDaemon(options: ValidatorDaemonOptions, context: DaemonContext): Promise<void> {
  const { signal, logger } = context;
  const { directory } = options;
  const database = await openDatabase<StatementSchema>(directory.resolve("statements.sqlite"), statementMigrations);
  context.onShutdown("statements", () => database.close());
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
    retrying(work, {
      clock: systemClock,
      ...steady(1_000),
      signal,
      onRetry: (error) => logger.warn(error.message),
    });
  const { rpcUrl, chainId, contracts, fromBlock, confirmations } = options;
  const reader = await waited(() =>
    openReader({ rpcUrl, chainId, contracts, fromBlock, ...(confirmations === undefined ? {} : { confirmations }) }),
  );
  const runId = await waited(() => findRun(coordinator, options.runId));

  await runValidator(
    { runId, signal, ...(options.pollInterval === undefined ? {} : { pollInterval: options.pollInterval }) },
    {
      reader,
      coordinator,
      account: options.account,
      statements: openStatements(database),
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
