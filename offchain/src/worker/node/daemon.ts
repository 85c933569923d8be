/** A worker as a process: its state directory, its log, its readiness and its exit code. What `cotrain worker` calls. */
import type { SigningAccount, Address, RunId, SignedPass } from "@cotrain/sdk/protocol";

import { countedFromOne, roundNumber } from "../../base/index.ts";
import { AUTO, type Device } from "../../engine/index.ts";
import { chooseDevices, deviceOf, probeDevices, requireDevice } from "../../engine/runtime/node/index.ts";
import { blobsLocation, type DaemonContext, type Logger, type StateDirectory } from "../../service/index.ts";
import type { RunRecordReader } from "../artefacts.ts";
import { openAssignmentSteps } from "../assignmentSteps.ts";
import { deviceFailedText, type WorkerEvent } from "../events.ts";
import { runOnDevices } from "../runOnDevices.ts";
import { workerDevice } from "../workerDevice.ts";
import { directoryHome } from "./home.ts";

export interface WorkerDaemonOptions {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** Default: the coordinator's only run. */
  readonly runId?: RunId | undefined;
  /** Its own, locked; whoever opened it closes it. */
  readonly directory: StateDirectory;
  /** Of one that another process keeps among others. */
  readonly role?: string | undefined;
  /** Where artefacts are kept: a path or a URL; default in the state directory. */
  readonly blobs?: string | undefined;
  /** The machine's key, opened from its keystore. */
  readonly account: SigningAccount;
  /** Who is paid; default the machine's own wallet. */
  readonly beneficiary?: Address | undefined;
  /** Default none: a machine of one's own. */
  readonly pass?: SignedPass | undefined;
  /** See `WorkerOptions`. */
  readonly claim?: boolean | undefined;
  /** What it trains on, the next where one fails; default the CPU. */
  readonly device?: readonly string[] | undefined;
  /** Threads of the engine; default all cores, as far as the program stays exact. */
  readonly threads?: number | undefined;
  /** Bytes of artefacts kept on the disk; default 4 GiB. */
  readonly cacheBytes?: number | undefined;
  /** Where the chain can be asked, the run is checked against it before anything is computed. */
  readonly chain?: RunRecordReader | undefined;
  /** Beside the log: for a display, or to send on to a parent process. */
  readonly onEvent?: ((event: WorkerEvent) => void) | undefined;
}

/**
 * The main function for the service room's `runDaemon`: works until the daemon is told to stop or the coordinator
 * dismisses it. Ready is told when it has joined.
 * @throws what `runOnDevices` throws; UserError `STATE_*` for the directory; EngineError `DEVICE_*`
 */
export async function workerDaemon(options: WorkerDaemonOptions, context: DaemonContext): Promise<void> {
  const { directory } = options;
  const given = definedOnly({
    runId: options.runId,
    beneficiary: options.beneficiary,
    pass: options.pass,
    claim: options.claim,
    threads: options.threads,
    cacheBytes: options.cacheBytes,
  });
  const onEvent = (event: WorkerEvent): void => {
    logEvent(context.logger, event);
    if (event.type === "joined" && !event.again) context.ready({ worker: options.account.address });
    options.onEvent?.(event);
  };
  const devices = await devicesOf(options, context.signal, onEvent);
  const end = await runOnDevices(
    { ...given, coordinator: options.coordinator, signal: context.signal },
    {
      account: options.account,
      home: directoryHome(directory.path, undefined, await blobsLocation(directory.path, options.blobs)),
      onEvent,
      openData: openAssignmentSteps,
      ...definedOnly({ chain: options.chain }),
    },
    devices.map(workerDevice),
  );
  context.logger.info({ rounds: end.rounds, tokens: end.tokens }, `${end.kind}: ${end.reason}`);
}

/** How long steps of each device are counted before one is chosen, ms. */
const MEASURE_MS = 1_500;

/** The devices to train on, in the order in which they are tried; where nobody named one, all that pass, by their speed. */
async function devicesOf(
  { device: names = ["cpu"], role, threads }: WorkerDaemonOptions,
  signal: AbortSignal,
  onEvent: (event: WorkerEvent) => void,
): Promise<Device[]> {
  const named = names.filter((name) => name !== AUTO).map(deviceOf);
  if (named.length === names.length) {
    // Whoever keeps this worker among others has looked.
    if (role === undefined) await requireDevice(named, { signal });
    return named;
  }
  onEvent({ type: "preparing", what: "measuring this machine's devices" });
  const chosen = chooseDevices(await probeDevices({ milliseconds: MEASURE_MS, threads, signal }));
  onEvent({ type: "device", device: chosen.names[0] ?? AUTO, why: chosen.sentence });
  const all = names.flatMap((name) => (name === AUTO ? chosen.names : [name]));
  return [...new Set(all)].map(deviceOf);
}

/** Options that were given: exact optional properties take no undefined. */
function definedOnly<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** One line per event that matters, one status line per round. */
export function logEvent(logger: Logger, event: WorkerEvent): void {
  const { type, ...fields } = countedFromOne(event);
  switch (event.type) {
    case "progress":
    case "sending":
    case "uploaded":
    case "waiting":
      logger.debug(fields, type);
      return;
    case "acknowledged":
      logger.info(
        fields,
        `round ${roundNumber(event.round)} acknowledged: loss ${event.loss.toFixed(3)} on ${event.lossTokens} tokens`,
      );
      return;
    case "acknowledgedLate":
      logger.info(fields, `round ${roundNumber(event.round)} acknowledged, now that it was asked again`);
      return;
    case "retrying":
      logger.warn(fields, `${event.what}: ${event.reason}`);
      return;
    case "dropped":
      logger.warn(fields, `round ${roundNumber(event.round)} dropped: ${event.reason}`);
      return;
    case "preparing":
      logger.info(event.what);
      return;
    case "device":
      logger.info(fields, event.why);
      return;
    case "deviceFailed":
      logger.warn(fields, deviceFailedText(event));
      return;
    default:
      logger.info(fields, type);
  }
}
