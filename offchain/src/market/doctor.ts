/** Whether an account at a provider works, by what can be read of it: nothing is rented, changed or paid. */
import { CotrainError } from "@cotrain/sdk/errors";

import { adapters } from "./adapters/index.ts";
import { doorOf, type Reach } from "./accounts.ts";
import type { AccountFact, Adapter, Wanted } from "./base/adapter.ts";
import { listOffers } from "./base/listing.ts";

/** Names of the providers that can be asked. */
export const providerNames: readonly string[] = adapters.map(({ name }) => name);

export interface Diagnosis {
  readonly provider: string;
  readonly title: string;
  readonly ok: boolean;
  readonly facts: readonly AccountFact[];
}

async function factsOf(adapter: Adapter, reach: Reach, wanted: Wanted): Promise<Pick<Diagnosis, "ok" | "facts">> {
  const door = doorOf(adapter, reach);
  if ("missing" in door) return { ok: false, facts: [["wants", door.missing]] };
  const { api } = door;
  const facts: AccountFact[] = [];
  let ok = true;
  const look = async (label: string, read: () => Promise<readonly AccountFact[]>): Promise<void> => {
    try {
      facts.push(...(await read()));
    } catch (error) {
      reach.signal.throwIfAborted();
      if (!(error instanceof CotrainError)) throw error;
      ok = false;
      facts.push([label, error.message]);
    }
  };
  await look("account", () => adapter.account(api));
  await look("offers", async () => {
    const { offers, refused } = await listOffers(adapter, { api, wanted, clock: reach.clock });
    return [
      ["offers", String(offers.length)],
      ...Object.entries(refused).map(([reason, rows]): AccountFact => ["not read", `${rows} rows: ${reason}`]),
    ];
  });
  return { ok, facts };
}

const limitsOf = ({ limits, capabilities }: Adapter): readonly AccountFact[] => [
  ...Object.entries(limits).map(([endpoint, { perMinute, interval = 0 }]): AccountFact => [
    `asked at most (${endpoint})`,
    `${perMinute} times a minute${interval === 0 ? "" : `, ${interval / 1_000} s apart`}`,
  ]),
  ["what stops the bill when nobody does", capabilities.backstop],
  ["billed by", `${capabilities.granularitySeconds} s${capabilities.bootBilled ? ", booting included" : ""}`],
];

/** @throws the signal's reason; UserError `PROVIDER_KEY` */
export async function diagnose(name: string, reach: Reach, wanted: Wanted): Promise<Diagnosis | undefined> {
  const adapter = adapters.find((each) => each.name === name);
  if (adapter === undefined) return undefined;
  const { ok, facts } = await factsOf(adapter, reach, wanted);
  return { provider: name, title: adapter.title, ok, facts: [...facts, ...limitsOf(adapter)] };
}
