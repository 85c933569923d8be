/** Asking a fake provider: its server, its adapter's calls, on a clock that stands. */
import { onTestFinished } from "vitest";

import { adapters } from "../../../offchain/src/market/adapters/index.ts";
import { doorOf, type Reach } from "../../../offchain/src/market/accounts.ts";
import type { Adapter } from "../../../offchain/src/market/base/adapter.ts";
import type { Api } from "../../../offchain/src/market/base/api.ts";
import { listOffers } from "../../../offchain/src/market/base/listing.ts";
import { createManualClock, type ManualClock, passTime } from "../manualClock.ts";
import { type FakeServer, fakeServer } from "./fakeServer.ts";
import { NOW } from "./offers.ts";
import { fakeProviders, SECRET } from "./providers.ts";

export interface Asking {
  readonly adapter: Adapter;
  readonly server: FakeServer;
  readonly clock: ManualClock;
  readonly api: Api;
  /** Lists while time passes. */
  readonly list: () => ReturnType<typeof listOffers>;
  /** Work while time passes. */
  readonly passing: <T>(work: Promise<T>) => Promise<T>;
}

export function adapterOf(name: string): Adapter {
  const adapter = adapters.find((each) => each.name === name);
  if (adapter === undefined) throw new TypeError(`there is an adapter ${name}`);
  return adapter;
}

export const fakeOf = (name: string) => {
  const fake = fakeProviders[name];
  if (fake === undefined) throw new TypeError(`there is a fake ${name}`);
  return fake;
};

/** How all fake providers are reached. */
export function reachFor(servers: ReadonlyMap<string, string>, clock: ManualClock): Reach {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  return {
    environment: Object.fromEntries(adapters.flatMap(({ key }) => (key === undefined ? [] : [[key.variable, SECRET]]))),
    endpoints: servers,
    clock,
    random: () => 0.5,
    signal: ending.signal,
  };
}

/** A provider that can be asked. @param change of how it is reached */
export async function askingOf(name: string, change: Partial<Reach> = {}): Promise<Asking> {
  const adapter = adapterOf(name);
  const fake = fakeOf(name);
  const server = await fakeServer(fake.server);
  const clock = createManualClock(NOW);
  const reach = reachFor(new Map([[name, `${server.url}${fake.base}`]]), clock);
  const door = doorOf(adapter, { ...reach, ...change });
  if ("missing" in door) throw new TypeError(`it wants ${door.missing}`);
  const { api } = door;
  const passing = <T>(work: Promise<T>): Promise<T> => passTime(clock, work);
  return {
    adapter,
    server,
    clock,
    api,
    passing,
    list: () => passing(listOffers(adapter, { api, wanted: { diskGb: 100 }, clock })),
  };
}
