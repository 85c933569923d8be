/**
 * The watchdog: a second process, best on another machine, that ends all machines of an installation when nobody keeps its leases any
 * more. It knows the accounts and the installation's labels, no budget and no plan; it can end machines and nothing else.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import type { Clock } from "../../base/index.ts";
import { parseLabel } from "../base/labels.ts";
import { listSeen, type RentedAccount } from "../base/renting.ts";

/** What who keeps the leases leaves for a watchdog, and a watchdog for who keeps them: other content every time. */
export interface LifeSign {
  readonly installation: string;
  readonly count: number;
}

/** Reads a sign; undefined where there is none, or none that can be read. */
export type SignReader = () => Promise<LifeSign | undefined>;

/**
 * Tells for how long a sign has been the same, by the reader's own clock: no two machines' clocks are compared.
 * @returns undefined until it has changed once, or where there is none
 */
export function sinceChange(clock: Clock, read: SignReader): () => Promise<number | undefined> {
  let last: LifeSign | undefined;
  let changedAt: number | undefined;
  return async () => {
    const sign = await read();
    if (sign === undefined) return undefined;
    if (last !== undefined && (sign.count !== last.count || sign.installation !== last.installation))
      changedAt = clock.monotonic();
    last = sign;
    return changedAt === undefined ? undefined : clock.monotonic() - changedAt;
  };
}

export interface WatchdogModules {
  readonly installation: string;
  readonly accounts: readonly RentedAccount[];
  readonly clock: Clock;
  readonly sign: SignReader;
  /** Ms for which the sign may stay the same. */
  readonly patience: number;
  readonly onFault?: (sentence: string) => void;
}

export interface Watched {
  /** Whether nobody keeps the leases. */
  readonly alone: boolean;
  /** Machines of this installation that were asked to end. */
  readonly ended: readonly { readonly account: string; readonly label: string; readonly id: string }[];
  /** Accounts of which nothing is known, or not all. */
  readonly unseen: readonly string[];
}

/** Ends all of an account's machines that have the installation's label. */
async function endAll({ installation, onFault }: WatchdogModules, account: RentedAccount) {
  const failed = (error: unknown): undefined => {
    onFault?.(`${account.title}: ${error instanceof CotrainError ? error.message : "it failed."}`);
    return undefined;
  };
  const seen = await listSeen(account).catch(failed);
  if (seen === undefined) return { ended: [], isWhole: false };
  for (const { error } of seen.silent) failed(error);
  const own = seen.instances.filter(
    ({ label, state }) => state !== "gone" && parseLabel(label)?.installation === installation,
  );
  const ended = [];
  for (const { id, label = "" } of own) {
    // Those whose end is under way are asked again: whether they do end shows in the next listing.
    await account.terminate(id).catch(failed);
    ended.push({ account: account.name, label, id });
  }
  return { ended, isWhole: seen.silent.length === 0 };
}

/** A watchdog, which looks whenever it is called. At the first look it takes who keeps the leases for alive. */
export function createWatchdog(modules: WatchdogModules): () => Promise<Watched> {
  const { clock, sign, patience, accounts } = modules;
  const began = clock.monotonic();
  const since = sinceChange(clock, sign);
  return async () => {
    const silentFor = (await since()) ?? clock.monotonic() - began;
    if (silentFor <= patience) return { alone: false, ended: [], unseen: [] };
    const results = await Promise.all(
      accounts.map(async (account) => ({ account, ...(await endAll(modules, account)) })),
    );
    return {
      alone: true,
      ended: results.flatMap(({ ended }) => ended),
      unseen: results.flatMap(({ account, isWhole }) => (isWhole ? [] : [account.name])),
    };
  };
}
