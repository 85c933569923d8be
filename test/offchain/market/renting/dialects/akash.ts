/**
 * Akash's console (its published description): deployment, bids, lease; no names; prices by the block, amounts as decimal strings. A
 * deployment is closed when its hours are over, which count from the lease and are only raised, by 48 at a time.
 */
import { offerOf } from "../../offers.ts";
import type { Cloud, Machine, Phase } from "../cloud.ts";
import { type Dialect, part, scriptIn, variables, word } from "../dialect.ts";

/** Blocks of six seconds in an hour. */
const BLOCKS = 600n;
/** Of a lease whose deployment is so; active in any other. */
const LEASE_STATES: ReadonlyMap<Phase, string> = new Map([
  ["failed", "insufficient_funds"],
  ["gone", "closed"],
]);
const rowOf = (cloud: Cloud, machine: Machine) => {
  const isLeased = part(machine.ordered, "leased") === true;
  return {
    deployment: {
      id: { owner: "akash1x", dseq: machine.id },
      state: machine.says ?? (machine.phase === "gone" ? "closed" : "active"),
      hash: "aGFzaA==",
      created_at: new Date(machine.createdAt).toISOString(),
    },
    leases: isLeased
      ? [
          {
            id: { owner: "akash1x", dseq: machine.id, gseq: 1, oseq: 1, provider: "akash1cheap", bseq: 0 },
            state: LEASE_STATES.get(machine.phase) ?? "active",
            price: { denom: "uact", amount: `${machine.perHour / BLOCKS}.000000000000000000` },
          },
        ]
      : [],
    escrow_account: {
      state: { transferred: [{ denom: "uact", amount: `${cloud.meter(machine)}.000000000000000000` }] },
    },
  };
};
const HOUR = 3_600_000;
const MOST_MORE = 48;
const refused = (message: string) => ({ status: 400, body: { error: "BadRequestError", message } });
const absent = { status: 404, body: { error: "NotFoundError", message: "Deployment not found" } };

const bid = (dseq: string | null, provider: string, denom: string, amount: string, state = "open") => ({
  bid: { id: { owner: "akash1x", dseq, gseq: 1, oseq: 1, provider, bseq: 0 }, state, price: { denom, amount } },
});

export const akash: Dialect = {
  name: "akash",
  idOf: (index) => String(21_000_000 + index),
  offer: offerOf({
    id: "akash:nvidia/h100/80Gi/SXM5",
    provider: "akash",
    providerId: "nvidia/h100/80Gi/SXM5",
    upstream: "akash",
    usd: 1.5,
    price: { charge: "on-demand", perHour: 1_500_000n, firm: true, auction: true },
  }),
  creates: /^POST \/v1\/deployments$/,
  lists: /^GET \/v1\/deployments$/,
  gets: /^GET \/v1\/deployments\/[^/]+$/,
  words: { running: "active", gone: "closed" },
  remembers: true,
  partial: { body: { data: { deployments: [], pagination: { total: 3, skip: 0, limit: 100, hasMore: true } } } },
  startedBy: (ordered) => {
    const worker = part(JSON.parse(word(ordered, "sdl")), "services.worker");
    const [flag, command] = part(worker, "args") as readonly string[];
    if (word(worker, "command") !== "sh" || flag !== "-c") throw new TypeError("no command");
    return {
      image: word(worker, "image"),
      script: scriptIn(command ?? ""),
      environment: variables((part(worker, "env") as readonly string[]).join("\n")),
    };
  },
  routes: (cloud: Cloud) => ({
    "POST /v1/deployments": ({ body, key }) => {
      const sdl = word(body, "data.sdl");
      const hours = Number(part(body, "data.runtimeLimitHours"));
      if (!Number.isInteger(hours) || hours < 1 || hours > MOST_MORE) return refused("runtimeLimitHours");
      const deposit = part(body, "data.deposit");
      // It bears no name: the test's own is in the environment.
      const label = /COTRAIN_LABEL=([a-z0-9-]+)/.exec(sdl)?.[1] ?? "";
      const machine = cloud.create({
        label,
        owner: key,
        perHour: 1_500_000n,
        ordered: { sdl, leased: false, hours, deposit },
      });
      return { status: 201, body: { data: { dseq: machine.id, manifest: '[{"name":"any"}]', signTx: { code: 0 } } } };
    },
    "GET /v1/bids": ({ query }) => {
      const dseq = query.get("dseq");
      const machine = cloud.machines.find(({ id }) => id === dseq);
      const isLate = machine !== undefined && cloud.clock.now() < machine.createdAt + 12_000;
      return {
        body: {
          data:
            cloud.isFull || isLate
              ? []
              : [
                  bid(dseq, "akash1dear", "uact", "2600.5"),
                  bid(dseq, "akash1other", "uakt", "1"),
                  bid(dseq, "akash1closed", "uact", "1", "closed"),
                  bid(dseq, "akash1cheap", "uact", "2500.000000000000000000"),
                ],
        },
      };
    },
    "POST /v1/leases": ({ body, key }) => {
      const [lease] = part(body, "leases") as readonly { dseq: string; provider: string }[];
      const machine = cloud.find(key, lease?.dseq ?? "") ?? cloud.machines.find(({ id }) => id === lease?.dseq);
      if (machine === undefined || lease?.provider !== "akash1cheap" || word(body, "manifest") === "")
        return refused("no such bid");
      const ordered = machine.ordered as { leased: boolean; hours: number };
      ordered.leased = true;
      machine.dueAt = cloud.clock.now() + ordered.hours * HOUR;
      return { body: { data: rowOf(cloud, machine) } };
    },
    "GET /v1/deployments": ({ query, key }) => {
      const [skip, limit] = [Number(query.get("skip")), Math.min(25, Number(query.get("limit")))];
      const seen = cloud.seenBy(key);
      const deployments = seen.slice(skip, skip + limit).map((each) => rowOf(cloud, each));
      return {
        body: {
          data: { deployments, pagination: { total: seen.length, skip, limit, hasMore: skip + limit < seen.length } },
        },
      };
    },
    "GET /v1/deployments/:id": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? absent : { body: { data: rowOf(cloud, machine) } };
    },
    "DELETE /v1/deployments/:id": ({ id, key }) => {
      const machine = cloud.find(key, id) ?? cloud.machines.find((each) => each.id === id && each.owner === key);
      if (machine === undefined) return absent;
      return { body: { data: { success: cloud.end(machine) } } };
    },
    // One that was never set is made by reading it, without a time.
    "GET /v2/deployment-settings/:id": ({ id }) => {
      const hours = (cloud.machines.find((each) => each.id === id)?.ordered as { hours?: number } | undefined)?.hours;
      return { body: { data: { dseq: id, autoTopUpEnabled: true, runtimeLimitHours: hours ?? null } } };
    },
    "PATCH /v2/deployment-settings/:id": ({ id, key, body }) => {
      const machine = cloud.find(key, id);
      if (machine === undefined) return absent;
      const ordered = machine.ordered as { hours: number };
      const more = Number(part(body, "data.runtimeLimitHours")) - ordered.hours;
      if (machine.phase === "gone") return refused("Deployment is closed");
      if (!Number.isInteger(more) || more <= 0) return refused("Runtime limit can only be increased");
      if (more > MOST_MORE) return refused("Runtime limit cannot be extended by more than 48 hours at a time");
      ordered.hours += more;
      machine.dueAt = (machine.dueAt ?? cloud.clock.now()) + more * HOUR;
      return { body: { data: { dseq: id, autoTopUpEnabled: true, runtimeLimitHours: ordered.hours } } };
    },
    "GET /v1/user/me": ({ key }) => ({ body: { data: { id: "x", userId: `user-${key}` } } }),
  }),
};
