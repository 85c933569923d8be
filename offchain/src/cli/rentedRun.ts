/**
 * Machines that are rented for a run: it is proved that they can come to its coordinator, and they get passes and a start script. What
 * keeper and coordinator tell each other from then on is in meeting.ts.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  type CoordinatorClient,
  createCoordinatorClient,
  domainFor,
  findRun,
  passHeader,
  passText,
  routes,
  type RunId,
  type SignedPass,
  signPass,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { mayBePublic, publicFetch } from "../chain/index.ts";
import {
  joinScriptOf,
  type KeepingOptions,
  type Lease,
  MOST_PASSES,
  notePasses,
  type Offer,
  PASS_VARIABLE,
  type Prepared,
} from "../market/index.ts";
import { coordinatorOption, namedWallet, openWallet, runOption, stateOption, walletOption } from "../run/index.ts";
import { account, type ConfigOf, duration, text, toggle } from "../service/index.ts";

/** Options of machines that join a run. */
export const joiningOptions = {
  coordinator: { ...coordinatorOption, description: "URL of the coordinator that the machines train for" },
  run: runOption,
  beneficiary: account({ description: "address that the machines earn for (default: the renter's wallet)" }),
  state: stateOption,
  wallet: { ...walletOption, description: "encrypted V3 keystore of the renter (default: the organiser's of --state)" },
  walletPassphrase: text({ value: "file", description: "file that holds the passphrase of --wallet (mode 0600)" }),
  ownNetwork: toggle({
    description: "machines reach the coordinator in a network of your own, where any address will do",
    default: false,
  }),
  drain: duration({
    description: "time that workers have to finish their round before their machines are ended",
    default: 600_000,
  }),
} as const;
type Options = ConfigOf<typeof joiningOptions>;

/** How long a pass serves beyond the time for which machines are rented, ms. */
const PASS_MARGIN = 3_600_000;

/** What is rented for, beside the run. */
interface Renting {
  readonly image: string;
  readonly sshKey: string | undefined;
  /** Whether machines are in a network of one's own, and may reach what others do not. */
  readonly own: boolean;
  /** Ms since 1970. */
  readonly endsAt: number;
  /** Of the ledger, beside which passes are noted. */
  readonly leases: string;
}

export interface RentedRun {
  readonly runId: RunId;
  readonly prepare: KeepingOptions["prepare"];
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
      `machines elsewhere reach the coordinator over TLS at a public address alone, and ${url} is none. Own machines (--provider own) may use another, and so may those of a network of your own (--own-network).`,
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

/**
 * Opens a run for rented machines, and proves before anything is spent that they can come to it: the coordinator answers, takes this
 * renter's passes, and serves its software.
 * @throws UserError `UNREACHABLE_FROM_OUTSIDE`, `RUN_OVER`, `SOFTWARE_NONE`, `USAGE`; CoordinatorError `RENTER_UNKNOWN`; as `findRun`
 */
export async function openRentedRun(options: Options, renting: Renting): Promise<RentedRun> {
  const { image, sshKey, own, endsAt, leases } = renting;
  const client = await reached(options, own);
  const runId = await findRun(client, options.run);
  const { phase, chainId, contracts } = await client.run(runId);
  if (phase === "Finished") throw new UserError("RUN_OVER", `Run ${runId} is finished: there is nothing to train.`);
  const renter = await renterOf(options);
  const domain = domainFor(chainId, contracts.runRegistry);
  const beneficiary: Address = asAddress(options.beneficiary ?? renter.address);
  const passOf = (label: string, index: number): Promise<SignedPass> =>
    signPass(renter, domain, { runId, label, index, beneficiary, notAfter: endsAt + PASS_MARGIN });
  async function served() {
    const { software } = await client.lease(runId, { pass: await passOf("none", 0) });
    if (software !== null) return software;
    throw new UserError("SOFTWARE_NONE", "The coordinator serves no software that rented machines could run.");
  }
  let software = await served();
  /** Of the version that the coordinator has now; while it is away, of the last that was seen. */
  async function startScript(): Promise<string> {
    try {
      software = await served();
    } catch (error) {
      if (!(error instanceof CotrainError) || !error.retryable) throw error;
    }
    const path = routes.software(runId);
    return joinScriptOf({ coordinator: new URL(client.url), runId, path, header: passHeader, software });
  }
  async function prepare({ label }: Lease, { count }: Offer): Promise<Prepared> {
    const script = await startScript();
    const workers = Math.min(MOST_PASSES, Math.max(1, count));
    const signed = await Promise.all(Array.from({ length: workers }, (_, index) => passOf(label, index)));
    const passes = signed.map(passText);
    // Whoever ends the lease has to find them, should this process die.
    await notePasses(leases, label, { coordinator: client.url, runId, passes });
    const environment = Object.fromEntries(passes.map((pass, index) => [`${PASS_VARIABLE}${index}`, pass]));
    return { image, script, environment, ...(sshKey === undefined ? {} : { sshKey }) };
  }

  return { runId, prepare };
}
