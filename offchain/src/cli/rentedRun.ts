/**
 * Where leases of machines and a run's coordinator meet: rented machines get passes and a start script, the coordinator's word of their
 * workers comes to whoever keeps the leases, and the ends of leases to the coordinator. Neither room knows of the other.
 */
import { CoordinatorError, CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  type CoordinatorClient,
  createCoordinatorClient,
  domainFor,
  findRun,
  type LeaseView,
  type MachineReport,
  passHeader,
  passText,
  routes,
  type RunId,
  type SignedPass,
  signPass,
} from "@cotrain/sdk/protocol";
import pLimit from "p-limit";

import { printable, UserError } from "../base/index.ts";
import { mayBePublic, publicFetch } from "../chain/index.ts";
import {
  joinScriptOf,
  type Keeper,
  type KeepingOptions,
  type Lease,
  leasesOf,
  mayJoin,
  MOST_PASSES,
  type Offer,
  PASS_VARIABLE,
  type Prepared,
} from "../market/index.ts";
import { coordinatorOption, namedWallet, openWallet, runOption, stateOption, walletOption } from "../run/index.ts";
import { account, type ConfigOf, duration, text } from "../service/index.ts";

/** Options of machines that join a run. */
export const joiningOptions = {
  coordinator: { ...coordinatorOption, description: "URL of the coordinator that the machines train for" },
  run: runOption,
  beneficiary: account({ description: "address that the machines earn for (default: the renter's wallet)" }),
  state: stateOption,
  wallet: { ...walletOption, description: "encrypted V3 keystore of the renter (default: the organiser's of --state)" },
  walletPassphrase: text({ value: "file", description: "file that holds the passphrase of --wallet (mode 0600)" }),
  drain: duration({
    description: "time that workers have to finish their round before their machines are ended",
    default: 600_000,
  }),
} as const;
type Options = ConfigOf<typeof joiningOptions>;

/** How long a pass serves beyond the time for which machines are rented, ms. */
const PASS_MARGIN = 3_600_000;
/** A member that was heard of within this, ms, is alive. */
const ALIVE = 10_000;
const MAX_WORDS = 200;
/** Machines that the coordinator is asked about at once. */
const AT_ONCE = 8;

/** What is rented for, beside the run. */
interface Renting {
  readonly image: string;
  readonly sshKey: string | undefined;
  /** Whether only one's own machines are rented, which may reach what others do not. */
  readonly own: boolean;
  /** Ms since 1970. */
  readonly endsAt: number;
  /** Something that could not be asked; it is at the next look. */
  readonly onFault: (sentence: string) => void;
}

export interface RentedRun {
  readonly prepare: KeepingOptions["prepare"];
  /** Brings together what the keeper and the coordinator know of a cluster's machines. */
  readonly meet: (keeper: Keeper, cluster: string) => Promise<void>;
}

const refused = (why: string): UserError => new UserError("UNREACHABLE_FROM_OUTSIDE", `Nothing is rented: ${why}`);

/**
 * The coordinator, once it has answered as rented machines would be answered: over TLS, at an address of the public Internet. That it
 * is heard from this machine under that address is what can be seen from here.
 * @throws UserError `UNREACHABLE_FROM_OUTSIDE`, `USAGE`
 */
async function reached({ coordinator: url }: Options, own: boolean): Promise<CoordinatorClient> {
  if (url === undefined)
    throw new UserError("USAGE", "Name the coordinator as the machines are to reach it: --coordinator URL.");
  const isPublic = url.startsWith("https:") && mayBePublic(url);
  if (!own && !isPublic)
    throw refused(
      `machines elsewhere reach the coordinator over TLS at a public address alone, and ${url} is none. Own machines (--provider own) may use another.`,
    );
  // Own machines may be in a network of one's own.
  const client = createCoordinatorClient(url, own ? {} : { fetch: publicFetch() });
  try {
    await client.runs();
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    throw refused(`the coordinator could not be reached as the machines would. ${error.message}`);
  }
  return createCoordinatorClient(url);
}

/** Who signs the passes. @throws as the keystore */
const renterOf = async ({ wallet, walletPassphrase, state }: Options) =>
  (await namedWallet({ wallet, passphraseFile: walletPassphrase })) ?? (await openWallet(state, "organiser"));

const cannotTrain = ({ devices }: MachineReport): boolean =>
  devices.every(({ tokensPerSecond }) => tokensPerSecond === null);

/** The machine's own words, and whoever has it is a stranger. */
function whyNot({ devices }: MachineReport): string {
  const words = printable(devices[0]?.missing ?? "").slice(0, MAX_WORDS);
  return words === "" ? "No device of it trains." : `No device of it trains: ${words}`;
}

/**
 * Opens a run for rented machines, and proves before anything is spent that they can come to it: the coordinator answers, takes this
 * renter's passes, and serves its software.
 * @throws UserError `UNREACHABLE_FROM_OUTSIDE`, `RUN_OVER`, `SOFTWARE_NONE`, `USAGE`; CoordinatorError `RENTER_UNKNOWN`; as `findRun`
 */
export async function openRentedRun(options: Options, renting: Renting): Promise<RentedRun> {
  const { image, sshKey, own, endsAt, onFault } = renting;
  const client = await reached(options, own);
  const runId = await findRun(client, options.run);
  const { phase, chainId, contracts } = await client.run(runId);
  if (phase === "Finished") throw new UserError("RUN_OVER", `Run ${runId} is finished: there is nothing to train.`);
  const renter = await renterOf(options);
  const domain = domainFor(chainId, contracts.runRegistry);
  const beneficiary: Address = asAddress(options.beneficiary ?? renter.address);
  const passOf = (label: string, index: number): Promise<SignedPass> =>
    signPass(renter, domain, { runId, label, index, beneficiary, notAfter: endsAt + PASS_MARGIN });
  const { software } = await client.lease(runId, { pass: await passOf("none", 0) });
  if (software === null)
    throw new UserError("SOFTWARE_NONE", "The coordinator serves no software that rented machines could run.");
  const script = joinScriptOf({
    coordinator: new URL(client.url),
    runId,
    path: routes.software(runId),
    header: passHeader,
    software,
  });
  /** By label. */
  const passes = new Map<string, readonly SignedPass[]>();

  async function prepare({ label }: Lease, { count }: Offer): Promise<Prepared> {
    const workers = Math.min(MOST_PASSES, Math.max(1, count));
    const signed = await Promise.all(Array.from({ length: workers }, (_, index) => passOf(label, index)));
    passes.set(label, signed);
    const environment = Object.fromEntries(signed.map((pass, index) => [`${PASS_VARIABLE}${index}`, passText(pass)]));
    return { image, script, environment, ...(sshKey === undefined ? {} : { sshKey }) };
  }

  return { prepare, meet: createMeeting(client, runId, passes, onFault) };
}

const isAlive = ({ member, heardMs }: LeaseView): boolean => member && heardMs !== null && heardMs <= ALIVE;

/** One lease after the other, some at once. */
function createMeeting(
  client: Pick<CoordinatorClient, "lease">,
  runId: RunId,
  passes: Map<string, readonly SignedPass[]>,
  onFault: (sentence: string) => void,
): RentedRun["meet"] {
  async function meetOne(keeper: Keeper, lease: Lease): Promise<void> {
    const { label } = lease;
    const end = !mayJoin(keeper.book(), label);
    const views: LeaseView[] = [];
    for (const pass of passes.get(label) ?? []) {
      views.push(await client.lease(runId, { pass, ...(end ? { end: true as const } : {}) }));
      // Of a machine that is to go on, one worker that is alive tells enough.
      if (!end && views.some(isAlive)) break;
    }
    if (lease.state === "gone") {
      // Its provider, its listings and its end at the coordinator agree.
      passes.delete(label);
      return;
    }
    if (views.some(isAlive)) await keeper.tell({ type: "beat", label });
    const report = views.find((view) => view.report !== null)?.report;
    if (!end && report && cannotTrain(report)) await keeper.tell({ type: "unfit", label, words: whyNot(report) });
    if (lease.state === "draining" && views.every(({ member }) => !member))
      await keeper.tell({ type: "drained", label });
  }

  return async (keeper, cluster) => {
    const limit = pLimit(AT_ONCE);
    const due = leasesOf(keeper.book()).filter((lease) => lease.cluster === cluster && passes.has(lease.label));
    await Promise.all(
      due.map((lease) =>
        limit(async () => {
          try {
            await meetOne(keeper, lease);
          } catch (error) {
            // The ledger's failure is the keeper's; what the coordinator did not answer is asked at the next look.
            if (!(error instanceof CoordinatorError)) throw error;
            onFault(`The coordinator, about ${lease.label}: ${error.message}`);
          }
        }),
      ),
    );
  };
}
