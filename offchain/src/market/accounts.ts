/**
 * As whom providers are asked: keys by name out of the environment, under the names that the providers' own tools use, else out of
 * the encrypted file of keys. A key goes into one header of calls to its provider and nowhere else.
 */
import { type Clock, UserError } from "../base/index.ts";
import type { Account, Adapter } from "./base/adapter.ts";
import { type Api, createApi } from "./base/api.ts";
import { createLimiter } from "./base/limiter.ts";
import { accountOver, type RentedAccount } from "./base/renting.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What a key may be: one word of what headers take. */
const KEY = /^[\x21-\x7e]{1,4096}$/;

/** A key as it is sent. @param where it comes from @throws UserError `PROVIDER_KEY` for what is no key */
export function providerKey(value: string, title: string, where: string): string {
  if (!KEY.test(value))
    throw new UserError("PROVIDER_KEY", `${where} must be ${title}'s key: one word of ASCII, up to 4,096 characters.`);
  return value;
}

/** The key of a provider that is set: in the environment, which is for this once, else in the file. */
function keyOf({ name, key, title }: Adapter, { environment, keys }: Reach): string | undefined {
  const value = key && environment[key.variable]?.trim();
  if (!key) return undefined;
  return value === undefined || value === "" ? keys?.get(name) : providerKey(value, title, key.variable);
}

const accountOf = ({ key }: Adapter, secret: string | undefined): Account =>
  key === undefined || secret === undefined
    ? { headers: {} }
    : { headers: key.header === "bearer" ? { authorization: `Bearer ${secret}` } : { [key.header]: secret }, secret };

export interface Reach {
  readonly environment: Environment;
  /** Keys by the provider's name, where none is in the environment. */
  readonly keys?: ReadonlyMap<string, string>;
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
  const secret = keyOf(adapter, reach);
  if (key !== undefined && key.optional !== true && secret === undefined)
    return { missing: `a key in ${key.variable} or by "npx cotrain market keys add ${name}" (${key.from})` };
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
 * @internal leases rent by it
 * @throws UserError `PROVIDER_KEY`, also where there is none
 */
export function rentedAccountOf(adapter: Adapter, reach: Reach): RentedAccount {
  const door = doorOf(adapter, reach);
  const { title, key } = adapter;
  if ("missing" in door) throw new UserError("PROVIDER_KEY", `${title} wants ${door.missing} to rent from it.`);
  if (key !== undefined && door.secret === undefined)
    throw new UserError(
      "PROVIDER_KEY",
      `${title} wants a key in ${key.variable} or by "npx cotrain market keys add ${adapter.name}" to rent from it (${key.from}).`,
    );
  return accountOver(adapter, { ...door, clock: reach.clock });
}
