/**
 * Fake providers: what each answers, in its own paths, names, units and words, by its published description. The figures are ours.
 * `offers` is what the adapter must make of them.
 */
import type { Answer, Asked, FakeServerOptions } from "./fakeServer.ts";

/** The key of every fake account. */
export const SECRET = "key-of-tests-0123456789";
const bearer = ["authorization", `Bearer ${SECRET}`] as const;

export interface FakeProvider {
  /** Path of the API below the server's address. */
  readonly base: string;
  readonly server: FakeServerOptions;
  /** The adapter's offers: id, machine, µUSD/h, stock, and what else the provider's units could get wrong. */
  readonly offers: readonly Readonly<Record<string, unknown>>[];
  /** Rows that cannot be read. */
  readonly refused: number;
  /** The first answer of a listing, with one row replaced. */
  readonly withRow: (row: unknown) => Answer;
}

const vastOffer = {
  id: 7_001,
  machine_id: 42,
  host_id: 9,
  gpu_name: "RTX 4090",
  gpu_ram: 24_564,
  num_gpus: 2,
  gpu_frac: 0.5,
  dph_total: 0.7123456,
  min_bid: 0.31,
  cpu_cores: 64,
  cpu_cores_effective: 32,
  cpu_ram: 257_000,
  cpu_arch: "amd64",
  disk_space: 812.4,
  inet_up: 612.5,
  inet_down: 913.7,
  inet_up_cost: 0.003,
  inet_down_cost: 0.002,
  storage_cost: 0.15,
  reliability2: 0.9921,
  verification: "verified",
  hosting_type: 0,
  geolocation: "Gothenburg, SE",
  end_date: 1_893_456_000.0,
  compute_cap: 890,
  cuda_max_good: 12.4,
  bw_nvlink: 0,
  rentable: true,
  rented: false,
};

const runpodGpus = [
  {
    id: "NVIDIA A100-SXM4-80GB",
    name: "A100 SXM",
    pool: "AMPERE_80",
    manufacturer: "NVIDIA",
    memory: 80,
    secure: true,
    community: true,
    price: { secure: 1.49, community: 0.5 },
    maxCount: { secure: 2, community: 1 },
    availability: "HIGH",
    dataCenters: [
      { id: "US-KS-2", name: "US Kansas 2", availability: "LOW" },
      { id: "EU-RO-1", name: "EU Romania 1", availability: "NONE" },
    ],
  },
  {
    id: "NVIDIA GeForce RTX 3070",
    name: "RTX 3070",
    pool: null,
    manufacturer: "NVIDIA",
    memory: 8,
    secure: false,
    community: true,
    price: { secure: 0, community: 0.13 },
    maxCount: { secure: 0, community: 1 },
  },
];

const lambdaTypes = {
  gpu_8x_h100_sxm5: {
    instance_type: {
      name: "gpu_8x_h100_sxm5",
      description: "8x H100 (80 GB SXM5)",
      gpu_description: "H100 (80 GB SXM5)",
      price_cents_per_hour: 2_392,
      specs: { vcpus: 208, memory_gib: 1_800, storage_gib: 22_000, gpus: 8 },
    },
    regions_with_capacity_available: [{ name: "us-south-2", description: "North Texas, USA" }],
  },
  gpu_1x_a10: {
    instance_type: {
      name: "gpu_1x_a10",
      description: "1x A10 (24 GB PCIe)",
      gpu_description: "A10 (24 GB PCIe)",
      price_cents_per_hour: 75,
      specs: { vcpus: 30, memory_gib: 200, storage_gib: 1_400, gpus: 1 },
    },
    regions_with_capacity_available: [],
  },
  cpu_4x_general: {
    instance_type: {
      name: "cpu_4x_general",
      description: "4x CPU",
      gpu_description: "N/A",
      price_cents_per_hour: 20,
      specs: { vcpus: 4, memory_gib: 16, storage_gib: 100, gpus: 0 },
    },
    regions_with_capacity_available: [{ name: "us-south-2", description: "North Texas, USA" }],
  },
};

export const primeItem = (change: object = {}) => ({
  cloudId: "NVIDIA A100-SXM4-80GB",
  gpuType: "A100_80GB",
  socket: "SXM4",
  provider: "runpod",
  region: "united_states",
  dataCenter: "US-KS-2",
  country: "US",
  gpuCount: 1,
  gpuMemory: 80,
  disk: {
    minCount: 60,
    defaultCount: 60,
    maxCount: 3_000,
    pricePerUnit: 0.00014,
    step: 1,
    defaultIncludedInPrice: false,
  },
  vcpu: { defaultCount: 16 },
  memory: { defaultCount: 251 },
  internetSpeed: null,
  interconnectType: null,
  stockStatus: "Low",
  security: "secure_cloud",
  prices: { onDemand: 1.5568, communityPrice: null, isVariable: null, currency: "USD" },
  isSpot: null,
  prepaidTime: null,
  ...change,
});
const primeItems = [
  primeItem(),
  primeItem({
    cloudId: "n3-H100x8",
    gpuType: "H100_80GB",
    socket: "PCIe",
    provider: "hyperstack",
    dataCenter: "CANADA-1",
    country: "CA",
    gpuCount: 8,
    stockStatus: "Unavailable",
    prices: { onDemand: 15.2, currency: "USD" },
  }),
  primeItem({
    cloudId: "spot-a100",
    provider: "datacrunch",
    dataCenter: "FIN-01",
    country: "FI",
    isSpot: true,
    security: "community_cloud",
    stockStatus: "High",
    disk: { defaultCount: 100 },
    prices: { onDemand: null, communityPrice: 0.61, currency: "USD" },
  }),
];

export const shadeformTypes = [
  {
    cloud: "hyperstack",
    shade_instance_type: "H100_sxm5x8",
    cloud_instance_type: "n3-H100-SXM5x8",
    configuration: {
      memory_in_gb: 1_920,
      storage_in_gb: 100,
      vcpus: 192,
      num_gpus: 8,
      gpu_type: "H100",
      vram_per_gpu_in_gb: 80,
      interconnect: "sxm5",
      os_options: ["ubuntu22.04"],
    },
    hourly_price: 1_920,
    deployment_type: "vm",
    availability: [
      { region: "kansascity-usa-2", available: true, display_name: "Kansas City" },
      { region: "oslo-norway-1", available: false, display_name: "Oslo" },
    ],
    boot_time: { min_boot_in_sec: 180, max_boot_in_sec: 600 },
  },
];

const ionetHardware = [
  { hardware_id: 203, hardware_name: "H100 PCIe", brand_name: "NVIDIA", max_gpus_per_container: 8, available: 24 },
  {
    hardware_id: 204,
    hardware_name: "GeForce RTX 4090",
    brand_name: "NVIDIA",
    max_gpus_per_container: 1,
    available: 0,
  },
];

const akashModels = [
  {
    vendor: "nvidia",
    model: "h100",
    ram: "80Gi",
    interface: "SXM5",
    availability: { total: 64, available: 3 },
    providerAvailability: { total: 4, available: 1 },
    price: { currency: "USD", min: 1.1, max: 2.9, avg: 1.9, weightedAverage: 1.8, med: 1.75 },
  },
  {
    vendor: "nvidia",
    model: "rtx4090",
    ram: "24Gi",
    interface: "PCIe",
    availability: { total: 20, available: 0 },
    providerAvailability: { total: 2, available: 0 },
    price: null,
  },
];

/** Of a listing by pages: `page_size` rows each, one short page among them. */
const primePage = ({ query }: Asked): Answer => {
  const page = Number(query.get("page"));
  const sizes = [1, 2];
  const from = sizes.slice(0, page - 1).reduce((sum, size) => sum + size, 0);
  return { body: { items: primeItems.slice(from, from + (sizes[page - 1] ?? 0)), totalCount: primeItems.length } };
};

export const fakeProviders: Readonly<Record<string, FakeProvider>> = {
  fake: {
    base: "",
    server: {
      routes: {
        "GET /offers": () => ({
          body: { offers: [{ id: "f1", gpu: "RTX 4090", gpus: 4, usd_per_hour: "1.20", country: "DE" }], total: 1 },
        }),
        "GET /account": () => ({ body: {} }),
      },
    },
    offers: [
      {
        id: "fake:f1",
        price: { charge: "on-demand", perHour: 1_200_000n, firm: true },
        count: 4,
        stock: "in stock",
        country: "DE",
      },
    ],
    refused: 0,
    withRow: (row) => ({ body: { offers: [row], total: 1 } }),
  },
  vast: {
    base: "/api",
    server: {
      key: bearer,
      unauthorised: { status: 404, body: { success: false, error: "invalid_args", msg: "Invalid user key" } },
      routes: {
        "POST /api/v0/bundles/": ({ body }) => {
          const { type } = body as { readonly type: string };
          return {
            body: {
              offers:
                type === "bid"
                  ? [{ ...vastOffer, dph_total: 0.33, min_bid: 0.31 }]
                  : [vastOffer, { ...vastOffer, id: 7_002, num_gpus: "two" }],
            },
          };
        },
        "GET /api/v0/users/current/": () => ({ body: { id: 1, balance: -1.25, email: "x" } }),
        "GET /api/v1/instances/": ({ query }) =>
          query.get("after_token") === null
            ? { body: { success: true, instances: [{ id: 1 }, { id: 2 }], next_token: "eyJp" } }
            : { body: { success: true, instances: [{ id: 3 }], next_token: null } },
      },
    },
    offers: [
      {
        id: "vast:7001",
        // 0.7123456 USD, rounded up.
        price: { charge: "on-demand", perHour: 712_346n, firm: true },
        count: 2,
        gpu: { model: "RTX 4090", known: true, class: "RTX 40", vramGb: 24 },
        ramGb: 129,
        upMbps: 613,
        egressPerGb: 3_000n,
        ingressPerGb: 2_000n,
        storagePerGbMonth: 150_000n,
        tier: "community",
        country: "SE",
        cudaTenths: 124,
        capabilityTenths: 89,
        reliabilityPpm: 992_100,
        endsAt: 1_893_456_000_000,
        diskIncludedGb: 100,
      },
      { id: "vast:7001:spot", price: { charge: "spot", perHour: 330_000n, firm: true } },
    ],
    refused: 1,
    withRow: (row) => ({ body: { offers: [row] } }),
  },
  runpod: {
    base: "/v2",
    server: {
      key: bearer,
      unauthorised: { status: 401, body: { title: "Unauthorized", status: 401, detail: "missing bearer token" } },
      routes: {
        "GET /v2/catalog/gpus": ({ query }) =>
          query.get("include") === "AVAILABILITY" && query.get("product") === "POD"
            ? { body: { gpus: runpodGpus } }
            : {
                status: 400,
                body: { title: "Bad Request", status: 400, detail: "product is required with include=AVAILABILITY" },
              },
        "GET /v2/pods": () => ({ body: { pods: [] } }),
      },
    },
    offers: [
      {
        id: "runpod:NVIDIA A100-SXM4-80GB/secure/1/US-KS-2",
        price: { charge: "on-demand", perHour: 1_490_000n, firm: true },
        stock: "low",
        tier: "secure",
        country: "US",
      },
      {
        id: "runpod:NVIDIA A100-SXM4-80GB/secure/2/US-KS-2",
        price: { charge: "on-demand", perHour: 2_980_000n, firm: true },
        count: 2,
      },
      // 0.50 stands for nothing.
      {
        id: "runpod:NVIDIA A100-SXM4-80GB/community/1/US-KS-2",
        price: { charge: "on-demand", perHour: undefined, firm: true },
      },
      {
        id: "runpod:NVIDIA GeForce RTX 3070/community/1/anywhere",
        price: { charge: "on-demand", perHour: 130_000n, firm: true },
        stock: "unknown",
      },
    ],
    refused: 0,
    withRow: (row) => ({ body: { gpus: [row] } }),
  },
  lambda: {
    base: "/api/v1",
    server: {
      key: bearer,
      unauthorised: {
        status: 401,
        body: {
          error: {
            code: "global/invalid-api-key",
            message: "API key was invalid, expired, or deleted.",
            suggestion: "Check it.",
          },
        },
      },
      routes: {
        "GET /api/v1/instance-types": () => ({ body: { data: lambdaTypes } }),
        "GET /api/v1/instances": () => ({ body: { data: [] } }),
      },
    },
    offers: [
      {
        id: "lambda:gpu_8x_h100_sxm5/us-south-2",
        price: { charge: "on-demand", perHour: 23_920_000n, firm: true },
        gpu: { model: "H100", known: true, class: "data centre", form: "SXM", vramGb: 80 },
        count: 8,
        ramGb: 1_933,
        country: "US",
        interconnect: "nvlink",
        backstop: "none",
      },
    ],
    refused: 0,
    withRow: (row) => ({ body: { data: { one: row } } }),
  },
  prime: {
    base: "/api/v1",
    server: {
      key: bearer,
      unauthorised: { status: 401, body: { detail: "Invalid API key" } },
      routes: {
        "GET /api/v1/availability/gpus": primePage,
        "GET /api/v1/pods": () => ({ body: { data: [], total_count: 0 } }),
      },
    },
    offers: [
      {
        id: "prime:runpod/NVIDIA A100-SXM4-80GB/1/US-KS-2/SXM4",
        // 60 GB are in the price; 40 more at 0.00014 USD an hour.
        price: { charge: "on-demand", perHour: 1_556_800n + 5_600n, firm: true },
        upstream: "runpod",
        stock: "low",
        tier: "secure",
        storagePerGbMonth: 102_200n,
      },
      { id: "prime:hyperstack/n3-H100x8/8/CANADA-1/PCIe", stock: "none", count: 8 },
      {
        id: "prime:datacrunch/spot-a100/1/FIN-01/SXM4:spot",
        price: { charge: "spot", perHour: 610_000n, firm: true },
        tier: "community",
      },
    ],
    refused: 0,
    withRow: (row) => ({ body: { items: [row], totalCount: 1 } }),
  },
  shadeform: {
    base: "/v1",
    server: {
      key: ["x-api-key", SECRET],
      unauthorised: { status: 401, body: { code: "unauthorized", message: "Missing or invalid X-API-KEY." } },
      routes: {
        "GET /v1/instances/types": () => ({ body: { instance_types: shadeformTypes } }),
        "GET /v1/instances": () => ({ body: { instances: [] } }),
      },
    },
    offers: [
      {
        id: "shadeform:hyperstack/n3-H100-SXM5x8/kansascity-usa-2",
        price: { charge: "on-demand", perHour: 19_200_000n, firm: true },
        gpu: { model: "H100", known: true, class: "data centre", form: "SXM", vramGb: 80 },
        upstream: "hyperstack",
        country: "US",
        bootSeconds: 600,
        interconnect: "nvlink",
      },
    ],
    refused: 0,
    withRow: (row) => ({ body: { instance_types: [row] } }),
  },
  ionet: {
    base: "/enterprise/v1/io-cloud/caas",
    server: {
      key: ["x-api-key", SECRET],
      unauthorised: { status: 401, body: { detail: "Invalid API key provided!" } },
      routes: {
        "GET /enterprise/v1/io-cloud/caas/hardware/max-gpus-per-container": () => ({
          body: { data: { hardware: ionetHardware, total: 24 } },
        }),
        "GET /enterprise/v1/io-cloud/caas/available-replicas": ({ query }) => ({
          body: {
            data:
              query.get("hardware_qty") === "1"
                ? [
                    { id: 7, iso2: "US", name: "United States", available_replicas: 24 },
                    { id: 8, iso2: "FR", name: "France", available_replicas: 0 },
                  ]
                : [{ id: 7, iso2: "US", name: "United States", available_replicas: 3 }],
          },
        }),
        "GET /enterprise/v1/io-cloud/caas/price": ({ query }) => ({
          body: {
            data: {
              replica_count: 1,
              gpus_per_container: Number(query.get("gpus_per_container")),
              total_cost_usdc: 1.99 * Number(query.get("gpus_per_container")),
            },
          },
        }),
        "GET /enterprise/v1/io-cloud/caas/deployments": () => ({ body: { data: { deployments: [], total: 0 } } }),
      },
    },
    offers: [
      {
        id: "ionet:203/1/7",
        price: { charge: "on-demand", perHour: 1_990_000n, firm: true },
        minTermSeconds: 3_600,
        country: "US",
        backstop: "prepaid",
      },
      { id: "ionet:203/8/7", price: { charge: "on-demand", perHour: 15_920_000n, firm: true }, count: 8 },
    ],
    refused: 0,
    withRow: (row) => ({ body: { data: { hardware: [row], total: 1 } } }),
  },
  akash: {
    base: "",
    server: {
      routes: {
        "GET /v1/gpu-prices": () => ({ body: { availability: { total: 84, available: 3 }, models: akashModels } }),
        "GET /v1/balances": () => ({ body: { data: { balance: 12.5, deployments: 0, total: 12.5 } } }),
      },
    },
    offers: [
      // What others paid is no price that one can have.
      {
        id: "akash:nvidia/h100/80Gi/SXM5",
        price: { charge: "on-demand", perHour: 1_750_000n, firm: false, auction: true },
        stock: "in stock",
      },
      {
        id: "akash:nvidia/rtx4090/24Gi/PCIe",
        price: { charge: "on-demand", perHour: undefined, firm: false, auction: true },
        stock: "none",
      },
    ],
    refused: 0,
    withRow: (row) => ({ body: { models: [row] } }),
  },
};
