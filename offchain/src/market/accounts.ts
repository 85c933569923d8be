/**
 * As whom providers are asked: keys by name out of the environment, under the names that the providers' own tools use. A key goes
 * into one header of calls to its provider and nowhere else.
 */
import { type Clock, UserError } from "../base/index.ts";
import type { Account, Adapter } from "./base/adapter.ts";
import { type Api, createApi } from "./base/api.ts";
import { createLimiter } from "./base/limiter.ts";
import { accountOver, type RentedAccount } from "./base/renting.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What a key may be: one word of what headers take. */
const KEY = /^[\x21-\x7e]{1,4096}$/;

/** The key of a provider that is set. @throws UserError `PROVIDER_KEY` for what is no key */
function keyOf({ key, title }: Adapter, environment: Environment): string | undefined {
  const value = key && environment[key.variable]?.trim();
  if (!key || value === undefined || value === "") return undefined;
  if (!KEY.test(value))
    throw new UserError(
      "PROVIDER_KEY",
      `${key.variable} must be ${title}'s key: one word of ASCII, up to 4,096 characters.`,
    );
  return value;
}

const accountOf = ({ key }: Adapter, secret: string | undefined): Account =>
  key === undefined || secret === undefined
    ? { headers: {} }
    : { headers: key.header === "bearer" ? { authorization: `Bearer ${secret}` } : { [key.header]: secret }, secret };

export interface Reach {
  readonly environment: Environment;
  /** Other addresses of providers, by name. */
  readonly endpoints: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly timeout?: number;
}

/** How a provider can be asked, or what is missing for it. */
export type Door = { readonly api: Api; readonly secret: string | undefined } | { readonly missing: string };

/** @throws UserError `PROVIDER_KEY` */
export function doorOf(adapter: Adapter, reach: Reach): Door {
  const { name, title, key } = adapter;
  const base = reach.endpoints.get(name) ?? adapter.base;
  if (base === undefined) return { missing: `an address: --endpoint ${name}=URL` };
  const secret = keyOf(adapter, reach.environment);
  if (key !== undefined && key.optional !== true && secret === undefined)
    return { missing: `a key in ${key.variable} (${key.from})` };
  const { clock, random, signal, timeout } = reach;
  return {
    secret,
    api: createApi({
      title,
      base,
      account: accountOf(adapter, secret),
      refusals: adapter.refusals,
      limiter: createLimiter(clock, adapter.limits),
      clock,
      random,
      signal,
      ...(timeout === undefined ? {} : { timeout }),
    }),
  };
}

/**
 * An account that machines are rented from.
 * @throws UserError `PROVIDER_KEY`, also where there is none
 */
export function rentedAccountOf(adapter: Adapter, reach: Reach): RentedAccount {
  const door = doorOf(adapter, reach);
  const { title, key } = adapter;
  if ("missing" in door) throw new UserError("PROVIDER_KEY", `${title} wants ${door.missing} to rent from it.`);
  if (key !== undefined && door.secret === undefined)
    throw new UserError("PROVIDER_KEY", `${title} wants a key in ${key.variable} to rent from it (${key.from}).`);
  return accountOver(adapter, { ...door, clock: reach.clock });
}
