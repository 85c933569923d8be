/**
 * Three providers that behave as Vast.ai, RunPod and io.net do, on this machine's clock, whose machines do run: what is ordered is a process,
 * which their meters count.
 */
import { openFakeMachines } from "../../offchain/src/market/fake/machines.ts";
import { silentLogger } from "../../offchain/src/service/index.ts";
import { adapterOf, fakeOf } from "../offchain/market/asking.ts";
import { type FakeServer, fakeServer, type FakeServerOptions } from "../offchain/market/fakeServer.ts";
import { SECRET } from "../offchain/market/providers.ts";
import { type Cloud, createCloud, type Machine, usd } from "../offchain/market/renting/cloud.ts";
import { type Dialect, part } from "../offchain/market/renting/dialect.ts";
import { ionet } from "../offchain/market/renting/dialects/ionet.ts";
import { runpod } from "../offchain/market/renting/dialects/runpod.ts";
import { vast } from "../offchain/market/renting/dialects/vast.ts";

interface Shop {
  readonly name: string;
  /** For `--endpoint`. */
  readonly endpoint: string;
  readonly cloud: Cloud;
  readonly server: FakeServer;
  readonly dialect: Dialect;
  /** What it charges for a machine by its meter, in µUSD under its own rounding. */
  readonly charged: (machine: Machine) => bigint;
}

export interface Shops {
  readonly vast: Shop;
  readonly runpod: Shop;
  readonly ionet: Shop;
  readonly all: readonly Shop[];
  /** Variables of their keys. */
  readonly keys: readonly string[];
  /** RunPod has machines in another data centre, too. */
  readonly openEurope: () => void;
  /** io.net takes a machine away, and has none any more. */
  readonly takeAway: (machine: Machine) => Promise<void>;
  readonly close: () => Promise<void>;
}

const BOOT_MS = 1_000;
const GPU = "NVIDIA GeForce RTX 4090";
const [VAST, RUNPOD, EUROPE, IONET] = ["8001", `${GPU}/secure/1/US-KS-2`, `${GPU}/secure/1/EU-RO-1`, "305/1/7"];
const PRICES = { vast: 310_000n, runpod: 300_000n, ionet: 300_000n };

/** A bid for one machine of one host. */
const vastListing: FakeServerOptions["routes"] = {
  "POST /api/v0/bundles/": ({ body }) => ({
    body: {
      offers:
        part(body, "type") === "bid"
          ? [
              {
                id: Number(VAST),
                machine_id: 81,
                gpu_name: "RTX 4090",
                gpu_ram: 24_564,
                num_gpus: 1,
                dph_total: usd(PRICES.vast),
                min_bid: 0.3,
                cpu_ram: 64_000,
                disk_space: 400,
                cpu_arch: "amd64",
                inet_up: 800,
                inet_down: 800,
                rentable: true,
                rented: false,
                verification: "verified",
                reliability2: 0.99,
                geolocation: "Gothenburg, SE",
              },
            ]
          : [],
    },
  }),
};

const runpodListing = (places: () => readonly string[]): FakeServerOptions["routes"] => ({
  "GET /v2/catalog/gpus": ({ query }) => ({
    body: {
      gpus:
        query.get("cloud") === "SECURE" && query.get("count") === "1"
          ? [
              {
                id: GPU,
                name: "RTX 4090",
                manufacturer: "NVIDIA",
                memory: 24,
                secure: true,
                community: false,
                price: { secure: usd(PRICES.runpod), community: 0 },
                maxCount: { secure: 1, community: 0 },
                availability: "HIGH",
                dataCenters: places().map((id) => ({ id, name: id, availability: "HIGH" })),
              },
            ]
          : [],
    },
  }),
});

const BASE = "/enterprise/v1/io-cloud/caas";
const ionetListing: FakeServerOptions["routes"] = {
  [`GET ${BASE}/hardware/max-gpus-per-container`]: () => ({
    body: {
      data: {
        hardware: [{ hardware_id: 305, hardware_name: "GeForce RTX 4090", max_gpus_per_container: 1, available: 1 }],
        total: 1,
      },
    },
  }),
  [`GET ${BASE}/available-replicas`]: () => ({
    body: { data: [{ id: 7, iso2: "US", name: "United States", available_replicas: 1 }] },
  }),
  [`GET ${BASE}/price`]: () => ({
    body: { data: { replica_count: 1, gpus_per_container: 1, total_cost_usdc: usd(PRICES.ionet) } },
  }),
};

/** Opens all three. Their servers are gone after the test, their machines once they are closed. */
export async function openShops(directory: string): Promise<Shops> {
  const machines = openFakeMachines(directory, silentLogger());
  const clock = { now: () => Date.now() };

  async function open(
    dialect: Dialect,
    listing: FakeServerOptions["routes"],
    shelf: Cloud["shelf"],
    charged: (cloud: Cloud, machine: Machine) => bigint,
  ): Promise<Shop> {
    const { name } = dialect;
    const { key } = adapterOf(name);
    const cloud = createCloud(clock, dialect.idOf);
    const create = cloud.create.bind(cloud);
    const end = cloud.end.bind(cloud);
    Object.assign(cloud, { bootFor: BOOT_MS, remembers: dialect.remembers === true, shelf } satisfies Partial<Cloud>);
    cloud.create = (order) => {
      const machine = create(order);
      machines.start({ label: machine.label, ...dialect.startedBy(order.ordered) }, () => undefined);
      return machine;
    };
    cloud.end = (machine) => {
      if (machine.endsAt === undefined) void machines.stop(machine.label);
      return end(machine);
    };
    const server = await fakeServer({
      key: key?.header === "bearer" ? ["authorization", `Bearer ${SECRET}`] : ["x-api-key", SECRET],
      routes: { ...dialect.routes(cloud), ...listing },
    });
    const endpoint = `${name}=${server.url}${fakeOf(name).base}`;
    return { name, endpoint, cloud, server, dialect, charged: (machine) => charged(cloud, machine) };
  }

  let places = ["US-KS-2"];
  const offered = new Map([[RUNPOD, PRICES.runpod]]);
  const shops = {
    // To a tenth of a cent.
    vast: await open(
      vast,
      vastListing,
      new Map([[VAST, PRICES.vast]]),
      (cloud, machine) => BigInt(Math.round(usd(cloud.meter(machine)) * 1_000)) * 1_000n,
    ),
    runpod: await open(
      runpod,
      runpodListing(() => places),
      offered,
      (cloud, machine) => cloud.meter(machine),
    ),
    // By whole hours, before they begin.
    ionet: await open(
      ionet,
      ionetListing,
      new Map([[IONET, PRICES.ionet]]),
      (_, machine) => machine.perHour * BigInt(Number(part(machine.ordered, "duration_hours"))),
    ),
  };
  const all = Object.values(shops);
  return {
    ...shops,
    all,
    keys: all.map(({ name }) => `${adapterOf(name).key?.variable}=${SECRET}`),
    openEurope: () => {
      places = [...places, "EU-RO-1"];
      offered.set(EUROPE, PRICES.runpod);
    },
    takeAway: async (machine) => {
      shops.ionet.cloud.isFull = true;
      machine.phase = "stopped";
      await machines.stop(machine.label);
    },
    close: () => machines.stopAll(),
  };
}
