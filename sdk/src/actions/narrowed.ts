/** Indexed arguments of queries for events. */
import type { Address } from "viem";

/** An account, or several of which any is meant. */
export type AnyOf = Address | readonly Address[];

/** Indexed arguments that were given. */
export const narrowed = <T extends object>(args: T): Partial<T> =>
  Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined)) as Partial<T>;
