/** What a provider calls what its cloud does: paths, fields, units, words and bodies of errors, as its published description has them. */
import type { Offer } from "../../../../offchain/src/market/offer.ts";
import type { Answer, FakeServerOptions } from "../fakeServer.ts";
import type { Cloud, Phase, Started } from "./cloud.ts";

export interface Dialect {
  readonly name: string;
  /** The provider's way to name its machines. */
  readonly idOf: (index: number) => string;
  /** What is rented in tests; its price in µUSD is what machines cost. */
  readonly offer: Offer;
  readonly routes: (cloud: Cloud) => FakeServerOptions["routes"];
  /** The one call that creates. */
  readonly creates: RegExp;
  /** A call of a listing. */
  readonly lists: RegExp;
  /** What reads one machine. */
  readonly gets: RegExp;
  /** Its word for each phase that it has one for. */
  readonly words: Partial<Readonly<Record<Phase, string>>>;
  /** What a create carried. */
  readonly startedBy: (ordered: unknown) => Started;
  /** An answer to a create that names a machine all the same. */
  readonly named?: (id: string) => Answer;
  /** A listing that ends before it is complete; absent where there are no pages. */
  readonly partial?: Answer;
  /** Whether machines that are gone are shown for ever, as that. */
  readonly remembers?: boolean;
}

/** Its own word, or that for its phase. */
export const wordOf = (words: Dialect["words"], { says, phase }: { says?: string; phase: Phase }): string =>
  says ?? words[phase] ?? phase;

/** `sh -c "echo … | base64 -d | sh"` → the script. */
export function scriptIn(command: string): string {
  const encoded = /^echo ([A-Za-z0-9+/=]+) \| base64 -d \| sh$/.exec(command)?.[1];
  if (encoded === undefined) throw new TypeError(`no script in ${command}`);
  return text(encoded);
}
export const scriptOfLine = (line: string): string => scriptIn(/^sh -c "(.*)"$/.exec(line)?.[1] ?? line);
export const text = (base64: string): string => Buffer.from(base64, "base64").toString();

/** A part of a body, which is of any form. */
export const part = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((found, key) => (found as Record<string, unknown> | undefined)?.[key], value);
export const word = (value: unknown, path: string): string => String(part(value, path));

/** Lines `A=1` → by name. */
export const variables = (lines: string): Record<string, string> =>
  Object.fromEntries(
    lines
      .split("\n")
      .filter((line) => line !== "")
      .map((line): [string, string] => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
