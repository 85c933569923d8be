/** Vast.ai (docs.vast.ai): pages of 25 by token, `new_contract`, null for the status of what no host has heard of. */
import { offerOf } from "../../offers.ts";
import { type Cloud, type Machine, usd } from "../cloud.ts";
import { type Dialect, part, word } from "../dialect.ts";

const words: Dialect["words"] = { creating: "loading", running: "running", stopped: "exited", failed: "offline" };
const rowOf = (machine: Machine) => ({
  id: Number(machine.id),
  label: machine.label,
  actual_status: machine.says ?? (machine.phase === "ending" ? "running" : (words[machine.phase] ?? null)),
  intended_status: machine.phase === "stopped" ? "stopped" : "running",
  cur_state: machine.phase === "stopped" ? "stopped" : "running",
  next_state: "running",
  is_bid: part(machine.ordered, "price") !== undefined,
  dph_total: usd(machine.perHour),
  ssh_host: "ssh4.vast.ai",
  ssh_port: 10_022,
  start_date: machine.createdAt / 1_000,
});
const PAGE = 25;
const absent = {
  status: 404,
  body: { success: false, error: "no_such_instance", msg: "error 404/1: no_such_instance Instance not found." },
};
/** `-e A='1' -e B='2'` → by name. */
const environmentIn = (flags: string): Record<string, string> =>
  Object.fromEntries(
    [...flags.matchAll(/-e ([A-Z0-9_]+)='((?:[^']|'\\'')*)'/g)].map(([, name = "", value = ""]) => [
      name,
      value.replaceAll("'\\''", "'"),
    ]),
  );

export const vast: Dialect = {
  name: "vast",
  idOf: (index) => String(9_000_001 + index),
  offer: offerOf({
    id: "vast:7001:spot",
    providerId: "7001",
    usd: 0.3123,
    price: { charge: "spot", perHour: 312_300n, firm: true },
  }),
  creates: /^PUT \/api\/v0\/asks\//,
  lists: /^GET \/api\/v1\/instances\/$/,
  gets: /^GET \/api\/v0\/instances\//,
  words,
  partial: { body: { success: true, instances: [], total_instances: 3, next_token: null } },
  named: (id) => ({
    status: 400,
    body: { success: false, error: "invalid_args", msg: "the host gave up", new_contract: Number(id) },
  }),
  startedBy: (ordered) => ({
    image: word(ordered, "image"),
    script: word(ordered, "onstart"),
    environment: environmentIn(word(ordered, "env")),
  }),
  routes: (cloud: Cloud) => ({
    "PUT /api/v0/asks/:id/": ({ id, body, key }) => {
      const asked = (cloud.shelf ?? new Map([[vast.offer.providerId, 0n]])).get(id);
      if (cloud.isFull || asked === undefined)
        return {
          status: 410,
          body: {
            success: false,
            error: "no_such_ask",
            msg: `error 410/3907: no_such_ask Instance type ${id} is no longer available.`,
            ask_id: Number(id),
          },
        };
      const price = part(body, "price");
      const perHour = typeof price === "number" ? BigInt(Math.round(price * 1e6)) : asked;
      const machine = cloud.create({ label: word(body, "label"), owner: key, perHour, ordered: body });
      return { body: { success: true, new_contract: Number(machine.id) } };
    },
    "GET /api/v1/instances/": ({ query, key }) => {
      const after = Number(query.get("after_token") ?? 0);
      const seen = cloud.seenBy(key);
      const rows = seen.filter(({ id }) => Number(id) > after).slice(0, Math.min(PAGE, Number(query.get("limit"))));
      const last = rows.at(-1);
      const more = last !== undefined && seen.at(-1) !== last;
      return {
        body: {
          success: true,
          instances_found: rows.length,
          total_instances: seen.length,
          instances: rows.map(rowOf),
          next_token: more ? last.id : null,
        },
      };
    },
    "GET /api/v0/instances/:id/": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return { body: { instances: machine === undefined ? null : rowOf(machine) } };
    },
    "DELETE /api/v0/instances/:id/": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? absent : { body: { success: cloud.end(machine), msg: "" } };
    },
    "GET /api/v0/charges/": ({ query, key }) => {
      const { day } = JSON.parse(query.get("select_filters") ?? "{}") as { day: { gte: number; lte: number } };
      const rows = cloud.machines
        .filter(({ owner, createdAt }) => owner === key && createdAt / 1_000 >= day.gte && createdAt / 1_000 <= day.lte)
        .map((machine) => ({
          type: "instance",
          source: `instance-${machine.id}`,
          // Rounded to three decimals, as it is described.
          amount: Math.round(usd(cloud.meter(machine)) * 1_000) / 1_000,
        }));
      const at = Number(query.get("after_token") ?? 0);
      return {
        body: {
          success: true,
          results: rows.slice(at, at + 2),
          next_token: at + 2 < rows.length ? String(at + 2) : null,
        },
      };
    },
    "GET /api/v0/users/current/": ({ key }) => ({ body: { id: key.length, balance: 10 } }),
  }),
};
