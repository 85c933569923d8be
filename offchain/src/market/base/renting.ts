/**
 * Renting: what of a provider the leases see, and nothing else of it. An adapter's `Renting` is mappings from these words to its
 * provider's over {@link Api}; bound to an account it is a {@link RentedAccount}. What these promise is what keeps a lease from
 * being paid twice or for ever: a create is sent once, a listing is complete or an error, nothing but the provider's own word makes
 * a machine absent.
 */
import { createHash } from "node:crypto";

import type { Clock } from "../../base/index.ts";
import type { MicroUsd } from "../money.ts";
import type { Offer } from "../offer.ts";
import type { Adapter } from "./adapter.ts";
import type { Api } from "./api.ts";
import { checkOrder } from "./orders.ts";

/**
 * What a machine of an account does. A word of the provider's that is not in its table is `unknown`, never `gone`. `stopped` still
 * bills its disk and may resume by itself; `gone` is paid for no longer.
 */
export type InstanceState = "creating" | "running" | "stopped" | "ending" | "gone" | "failed" | "unknown";

/** How a shell on a machine is reached. */
export interface ShellAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

export interface Instance {
  /** The provider's. */
  readonly id: string;
  /** As it was created with; absent where the provider keeps none. */
  readonly label?: string;
  readonly state: InstanceState;
  /** The provider's own word for its state, of at most 200 characters. */
  readonly words: string;
  /** What the whole machine costs now; absent where it is not told. */
  readonly perHour?: MicroUsd;
  readonly ssh?: ShellAddress;
  /** Milliseconds since the epoch, by the provider's clock. */
  readonly createdAt?: number;
}

/** What is created. */
export interface Order {
  /** Of {@link labelOf} in labels.ts: at most 60 characters of [a-z0-9-]. */
  readonly label: string;
  readonly offer: Offer;
  readonly diskGb: number;
  /** By digest. */
  readonly image: string;
  /** Start script in plain `sh`; the adapter brings it into the form that its provider takes. */
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** A key for `ssh`, one line of OpenSSH's; some providers create nothing without one. */
  readonly sshKey?: string;
  /** µUSD of the whole machine for an hour, sent along where the provider takes a limit. */
  readonly maximumPerHour: MicroUsd;
  /** Milliseconds since the epoch after which the provider is told to end the machine by itself, where it can. */
  readonly endsAt?: number;
  /** Seconds that are paid before, where that is how the provider rents; default its least. */
  readonly prepaidSeconds?: number;
}

/** What a provider's machines and listings do in time. */
export interface RentingTerms {
  /** Characters of a label that the provider keeps. */
  readonly nameMax: number;
  /** Whether listings tell an instance's label. */
  readonly keepsLabel: boolean;
  /** Milliseconds from a create to the last listing that may still lack its machine. */
  readonly visibleWithin: number;
  /** Milliseconds from a terminate that was accepted to the end of the bill. */
  readonly killWithin: number;
  readonly deletableWhileCreating: boolean;
  /** Seconds that are paid at the least. */
  readonly minimumSeconds: number;
  /** Seconds by which time is billed, rounded up. */
  readonly granularitySeconds: number;
  /** Whether the time of booting is billed. */
  readonly bootBilled: boolean;
  /** Whether {@link RentedAccount.bill} tells what was charged. */
  readonly tellsBill: boolean;
  /** Seconds that an order pays for, after which its machine ends unless it is extended; absent where nothing is paid before. */
  readonly prepaidSeconds?: number;
  /** µUSD that are put down for them at the least, where what is not used comes back; absent where it is spent. */
  readonly deposit?: MicroUsd;
  /** Who starts an order's script: the provider, or whoever keeps the leases, over SSH, once the machine runs. */
  readonly startsBy: "provider" | "ssh";
}

/** A terminate was taken, or is refused for now, as while creating: it is to be asked again. */
export type Termination = "accepted" | "not yet";

/** What a provider keeps beside machines, made for them: it costs nothing, and is removed with the last of them. */
export interface SideResource {
  readonly kind: "ssh-key";
  readonly id: string;
  readonly name: string;
}

/** Mappings of one provider. Errors are those of {@link Api}. What its offers tell already, its capabilities tell. */
export interface Renting extends Omit<RentingTerms, "granularitySeconds" | "bootBilled" | "tellsBill"> {
  /**
   * Never repeated. After a failure of which something may exist it is UserError `PROVIDER_AMBIGUOUS`, with the machine's id in
   * `details.instance` where the answer names one.
   */
  readonly create: (api: Api, order: Order) => Promise<Instance>;
  /** Undefined: the provider says that there is none. */
  readonly get: (api: Api, id: string) => Promise<Instance | undefined>;
  /** All machines of the account, all pages, or it throws. */
  readonly list: (api: Api) => Promise<readonly Instance[]>;
  /** Not found counts as accepted. */
  readonly terminate: (api: Api, id: string) => Promise<Termination>;
  /** What the provider says it charged; undefined where it does not tell yet. @param now milliseconds since the epoch */
  readonly bill?: (api: Api, instance: Instance, now: number) => Promise<MicroUsd | undefined>;
  /** The last lines that a machine's work printed, about so many, as they are; where the provider tells them. */
  readonly logs?: (api: Api, id: string, lines: number) => Promise<string>;
  /** Whose the key is, by the provider's word; where it has none, the key itself stands for its owner. */
  readonly owner?: (api: Api) => Promise<string>;
  /** Pays a machine for further hours, where it is paid before. @param total with those that were paid already */
  readonly extend?: (api: Api, id: string, hours: number, total: number) => Promise<void>;
  /** What was made beside machines, of any installation. */
  readonly sides?: {
    readonly list: (api: Api) => Promise<readonly SideResource[]>;
    /** Not found counts as removed. */
    readonly remove: (api: Api, id: string) => Promise<void>;
  };
}

/** A part of an account that does not answer while others do: of what is on it nothing is known. */
export interface SilentPart {
  /** The offer of which it is, and what the ids of its machines begin with. */
  readonly offer: string;
  readonly ids: string;
  /** What came of asking it, which names it. */
  readonly error: unknown;
}

/** A listing with the parts that it lacks. */
export interface Seen {
  readonly instances: readonly Instance[];
  readonly silent: readonly SilentPart[];
}

/** A provider's account, as the leases see it. */
export interface RentedAccount {
  /** The adapter's name. */
  readonly name: string;
  readonly title: string;
  readonly terms: RentingTerms;
  /** Text that changes with the account's owner: another owner's empty listing is no absence. */
  identity(): Promise<string>;
  create(order: Order): Promise<Instance>;
  get(id: string): Promise<Instance | undefined>;
  list(): Promise<readonly Instance[]>;
  /** All but what is on parts that do not answer; where an account has such. Where none of them answers it throws. */
  listAnswering?(): Promise<Seen>;
  terminate(id: string): Promise<Termination>;
  bill(instance: Instance): Promise<MicroUsd | undefined>;
  /** As {@link Renting.logs}. */
  logs?(id: string, lines: number): Promise<string>;
  extend?(id: string, hours: number, total: number): Promise<void>;
  sides?(): Promise<readonly SideResource[]>;
  removeSide?(id: string): Promise<void>;
}

/** What an account has, with the parts of it that do not answer. @throws where none does */
export const listSeen = async (account: RentedAccount): Promise<Seen> =>
  (await account.listAnswering?.()) ?? { instances: await account.list(), silent: [] };

/** What a key is known by where its provider names no owner; of a random key nobody finds it out. */
const fingerprint = (secret: string | undefined): string =>
  `key-${createHash("sha256")
    .update(secret ?? "")
    .digest("hex")
    .slice(0, 16)}`;

/** What an account's calls are made with. */
export interface RentedAccountOptions {
  readonly api: Api;
  readonly secret: string | undefined;
  readonly clock: Clock;
}

/** A provider's mappings, bound to an account. */
export function accountOver(
  { name, title, capabilities, renting }: Adapter,
  { api, secret, clock }: RentedAccountOptions,
): RentedAccount {
  const { extend, logs, sides } = renting;
  return {
    name,
    title,
    terms: {
      nameMax: renting.nameMax,
      keepsLabel: renting.keepsLabel,
      visibleWithin: renting.visibleWithin,
      killWithin: renting.killWithin,
      deletableWhileCreating: renting.deletableWhileCreating,
      minimumSeconds: renting.minimumSeconds,
      startsBy: renting.startsBy,
      ...(renting.prepaidSeconds === undefined ? {} : { prepaidSeconds: renting.prepaidSeconds }),
      ...(renting.deposit === undefined ? {} : { deposit: renting.deposit }),
      granularitySeconds: capabilities.granularitySeconds,
      bootBilled: capabilities.bootBilled,
      tellsBill: renting.bill !== undefined,
    },
    identity: async () => `${name}:${(await renting.owner?.(api)) ?? fingerprint(secret)}`,
    create: async (order) => renting.create(api, checkOrder(order, title)),
    get: async (id) => renting.get(api, id),
    list: async () => renting.list(api),
    terminate: async (id) => renting.terminate(api, id),
    bill: async (instance) => renting.bill?.(api, instance, clock.now()),
    ...(logs === undefined ? {} : { logs: async (id, lines) => logs(api, id, lines) }),
    ...(extend === undefined ? {} : { extend: async (id, hours, total) => extend(api, id, hours, total) }),
    ...(sides === undefined
      ? {}
      : { sides: async () => sides.list(api), removeSide: async (id) => sides.remove(api, id) }),
  };
}
