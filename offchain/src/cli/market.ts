/** What commands on the market share: options, and how providers are reached from this machine. */
import { randomFillSync } from "node:crypto";

import { systemClock } from "../base/index.ts";
import { text, wordsOf } from "../service/index.ts";

/** One or several providers, by the names that `market offers` shows. */
export const providersOption = (description: string) =>
  wordsOf(/^[\w.-]{1,60}$/, "the name of a provider such as vast or lambda", { description });

export const endpointOption = wordsOf(
  /^[a-z]{1,20}=https?:\/\/\S+$/,
  "NAME=URL of a provider such as fake=http://127.0.0.1:9000",
  {
    description: "other addresses of providers: a proxy over TLS, or a fake one on this machine",
  },
);
export const cacheOption = text({
  value: "directory",
  description: "directory of what providers listed last, and of the history of prices",
  default: ".cotrain-market",
});

/** Uniform in [0, 1), for jitter. */
const random = (): number => (randomFillSync(new Uint32Array(1))[0] ?? 0) / 2 ** 32;

/** How providers are reached: keys out of the environment, this machine's clock, until the signal ends it. */
export const reachOf = (endpoints: readonly string[] | undefined, signal: AbortSignal) => ({
  environment: process.env,
  endpoints: new Map(
    (endpoints ?? []).map((each): [string, string] => [
      each.slice(0, each.indexOf("=")),
      each.slice(each.indexOf("=") + 1),
    ]),
  ),
  clock: systemClock,
  random,
  signal,
});
