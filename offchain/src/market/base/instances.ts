/**
 * Instances as mappings make them: states by table, absence by the provider's word alone, and creates whose answer cannot be read,
 * of which something may exist.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import { RetryableError } from "../../base/index.ts";
import type { Api } from "./api.ts";
import { providerError } from "./errors.ts";
import type {
  Instance,
  InstanceState,
  Order,
  Renting,
  RentingTerms,
  ShellAddress,
  SideResource,
  Termination,
} from "./renting.ts";
import { present, type Row, rowOf } from "./rows.ts";

/** More machines than any account has. */
const MAX_INSTANCES = 10_000;

/** By a provider's words. What no row has is `unknown`, never `gone`. */
export const stateOf = (table: Readonly<Record<string, InstanceState>>, word: string): InstanceState =>
  (Object.hasOwn(table, word) ? table[word] : undefined) ?? "unknown";

/** What holds where nobody has said otherwise: a minute until a machine is listed, and another until it costs nothing. */
export const USUAL_TERMS = {
  nameMax: 60,
  keepsLabel: true,
  visibleWithin: 60_000,
  killWithin: 60_000,
  deletableWhileCreating: true,
  minimumSeconds: 0,
  startsBy: "provider",
} as const satisfies Partial<RentingTerms>;

/** A row's machine by the word of its state, and what else is told. @param field of the word */
export function instanceBy(
  row: Row,
  states: Readonly<Record<string, InstanceState>>,
  told: { readonly [K in "label" | "perHour" | "ssh" | "createdAt"]?: Instance[K] | undefined },
  field = "status",
): Instance {
  const words = row.requireText(field);
  return {
    id: row.requireText("id"),
    state: stateOf(states, words),
    words,
    ...present<Pick<Instance, "label" | "perHour" | "ssh" | "createdAt">>(told),
  };
}

/** A moment of ISO 8601 as milliseconds; undefined where it is absent. Without a zone it is UTC. */
export function momentOf(row: Row, path: string): number | undefined {
  const text = row.text(path);
  if (text === undefined) return undefined;
  const moment = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  return Number.isNaN(moment) ? undefined : moment;
}

const isOf = (error: unknown, code: string): boolean => error instanceof CotrainError && error.code === code;

/** What a listing's row or an answer is, or PROVIDER_UNREADABLE: a row that is left out would pass for a machine that is gone. */
async function readable<T>(title: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isOf(error, "ROW_FIELD") && error instanceof Error) throw providerError("unreadable", title, error.message);
    throw error;
  }
}

/** All machines of pages, or it throws. */
export const instancesOf = (
  title: string,
  pages: () => AsyncIterable<readonly unknown[]>,
  read: (row: Row) => Instance,
): Promise<readonly Instance[]> =>
  readable(title, async () => {
    const found = new Map<string, Instance>();
    for await (const page of pages())
      for (const value of page) {
        const instance = read(rowOf(value));
        found.set(instance.id, instance);
        if (found.size > MAX_INSTANCES)
          throw providerError("unreadable", title, `it lists more than ${MAX_INSTANCES} machines`);
      }
    return [...found.values()];
  });

/** A machine, or undefined where the provider says that there is none. */
export const instanceOr = (title: string, read: () => Promise<Instance | undefined>): Promise<Instance | undefined> =>
  readable(title, async () => {
    try {
      return await read();
    } catch (error) {
      if (isOf(error, "PROVIDER_ABSENT")) return undefined;
      throw error;
    }
  });

/**
 * What a create was answered with. An answer without a machine in it leaves open whether there is one.
 * @throws UserError `PROVIDER_AMBIGUOUS`
 */
export async function createdBy<T>(title: string, create: () => Promise<T>): Promise<T> {
  try {
    return await create();
  } catch (error) {
    if (isOf(error, "ROW_FIELD") && error instanceof Error) throw providerError("ambiguous", title, error.message);
    throw error;
  }
}

/** A machine of which no more is known than that it was ordered. */
export const ordered = ({ label }: Order, id: string): Instance => ({ id, label, state: "creating", words: "created" });

/** What a terminate came to: of a machine that is not there, that it was accepted. */
export async function terminatedBy(work: () => Promise<Termination>): Promise<Termination> {
  try {
    return await work();
  } catch (error) {
    if (isOf(error, "PROVIDER_ABSENT")) return "accepted";
    throw error;
  }
}

/** An end that any answer of success accepts. */
export const endedBy = (
  api: Api,
  method: "DELETE" | "POST",
  path: string,
  endpoint = "terminate",
): Promise<Termination> =>
  terminatedBy(async () => {
    await api({ method, path, endpoint, repeatable: true });
    return "accepted";
  });

/** SSH keys of an account, each with an `id` and a `name`. */
export const keySides = (
  keysOf: (api: Api) => Promise<readonly Row[]>,
  path: string,
  endpoint: string,
): NonNullable<Renting["sides"]> => ({
  list: async (api) =>
    (await keysOf(api)).map((row): SideResource => ({
      kind: "ssh-key",
      id: row.requireText("id"),
      name: row.requireText("name"),
    })),
  remove: async (api, id) => void (await endedBy(api, "DELETE", `${path}${encodeURIComponent(id)}`, endpoint)),
});

/**
 * Something that is made before a machine is: what fails here left no machine, so that asking again can help.
 * @throws RetryableError `PROVIDER_AWAY` in place of PROVIDER_AMBIGUOUS
 */
export async function sideBy<T>(title: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isOf(error, "ROW_FIELD") && error instanceof Error) throw providerError("unreadable", title, error.message);
    if (isOf(error, "PROVIDER_AMBIGUOUS") && error instanceof Error)
      throw new RetryableError("PROVIDER_AWAY", error.message);
    throw error;
  }
}

const HOST = /^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/;
const USER = /^[A-Za-z_][A-Za-z0-9._-]{0,63}$/;

/** An address for `ssh`; undefined for what is none, and could be read as one of its options. */
export const shellAt = (
  host: string | undefined,
  port: number | undefined,
  user: string | undefined,
): ShellAddress | undefined =>
  host !== undefined &&
  HOST.test(host) &&
  user !== undefined &&
  USER.test(user) &&
  port !== undefined &&
  port > 0 &&
  port < 65_536
    ? { host, port, user }
    : undefined;
