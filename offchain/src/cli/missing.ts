/** Options without which a command cannot be understood, though each has none by default. */
import { flagOf, listed, UserError } from "../base/index.ts";

/**
 * The options, all of them given.
 * @param what needs them, as a sentence begins
 * @throws UserError of this code, which names those that are missing
 */
export function requireGiven<T extends Readonly<Record<string, unknown>>>(
  what: string,
  code: string,
  options: T,
): { readonly [K in keyof T]: Exclude<T[K], undefined> } {
  const missing = Object.keys(options).filter((key) => options[key] === undefined);
  if (missing.length > 0) throw new UserError(code, `${what} needs ${listed(missing.map(flagOf))}.`);
  return options as { readonly [K in keyof T]: Exclude<T[K], undefined> };
}
