/** An account at a fake provider, on a clock that stands. */
import { rentedAccountOf } from "../../../../offchain/src/market/accounts.ts";
import type { Order, RentedAccount } from "../../../../offchain/src/market/base/renting.ts";
import { createManualClock, type ManualClock, passTime } from "../../manualClock.ts";
import { adapterOf, fakeOf, reachFor } from "../asking.ts";
import { type FakeServer, fakeServer } from "../fakeServer.ts";
import { NOW } from "../offers.ts";
import { SECRET } from "../providers.ts";
import { type Cloud, createCloud } from "./cloud.ts";
import type { Dialect } from "./dialect.ts";

/** The key of somebody else's account. */
export const OTHER = "another-owner-s-key-0123456789";

export const LABEL = "ct-0123abcd-89abcdef-1";
const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;
/** What shells, parsers and providers could get wrong. */
const SCRIPT = 'set -e\necho "it\'s $HOME" `date` \\ | cat <<X >/tmp/a\n%s é\nX\n';

export const orderOf = ({ offer }: Dialect, change: Partial<Order> = {}): Order => ({
  label: LABEL,
  offer,
  diskGb: 100,
  image: IMAGE,
  script: SCRIPT,
  environment: { COTRAIN_TOKEN: 'one\'time "token" $x -e A=1', COTRAIN_LABEL: change.label ?? LABEL },
  sshKey: `ssh-ed25519 ${"A".repeat(68)} me@box`,
  maximumPerHour: 30_000_000n,
  endsAt: NOW + 86_400_000,
  ...change,
});

export interface Letting {
  readonly account: RentedAccount;
  readonly cloud: Cloud;
  readonly server: FakeServer;
  readonly clock: ManualClock;
  readonly passing: <T>(work: Promise<T>) => Promise<T>;
  /** The same provider under another key. */
  readonly accountOf: (secret: string) => RentedAccount;
  /** So many machines, each of its own label. */
  readonly rent: (count: number) => Promise<void>;
}

const valueOf = (header: string, secret: string): string => (header === "bearer" ? `Bearer ${secret}` : secret);

/** A provider that lets machines. @param timeout of a call, ms */
export async function lettingOf(dialect: Dialect, timeout?: number): Promise<Letting> {
  const { name } = dialect;
  const { key } = adapterOf(name);
  const fake = fakeOf(name);
  const clock = createManualClock(NOW);
  const cloud = createCloud(clock, dialect.idOf);
  cloud.remembers = dialect.remembers === true;
  const server = await fakeServer({
    ...fake.server,
    ...(key === undefined
      ? {}
      : {
          key: [
            key.header === "bearer" ? "authorization" : key.header.toLowerCase(),
            valueOf(key.header, SECRET),
            valueOf(key.header, OTHER),
          ],
        }),
    routes: { ...fake.server.routes, ...dialect.routes(cloud) },
  });
  const reach = reachFor(new Map([[name, `${server.url}${fake.base}`]]), clock);
  const accountOf = (secret: string): RentedAccount =>
    rentedAccountOf(adapterOf(name), {
      ...reach,
      environment: { [key?.variable ?? ""]: secret },
      ...(timeout === undefined ? {} : { timeout }),
    });
  return {
    account: accountOf(SECRET),
    accountOf,
    cloud,
    server,
    clock,
    passing: (work) => passTime(clock, work),
    rent: async (count) => {
      const owner = key === undefined ? "" : valueOf(key.header, SECRET);
      for (let n = 1; n <= count; n++)
        cloud.create({
          label: `ct-0123abcd-89abcdef-${n}`,
          owner,
          perHour: 1_000_000n,
          ordered: { leased: true, duration_hours: 1 },
        });
    },
  };
}
