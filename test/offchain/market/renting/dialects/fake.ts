/** The fake provider's plain form. */
import { offerOf } from "../../offers.ts";
import type { Cloud, Machine } from "../cloud.ts";
import { type Dialect, part, word, wordOf } from "../dialect.ts";

const words: Dialect["words"] = {};
const rowOf = (machine: Machine) => ({
  id: machine.id,
  label: machine.label,
  state: wordOf(words, machine),
  usd_per_hour: `${machine.perHour / 1_000_000n}.${String(machine.perHour % 1_000_000n).padStart(6, "0")}`,
  host: "203.0.113.7",
  port: 22,
  created_at: new Date(machine.createdAt).toISOString(),
});
const absent = { status: 404, body: { message: "no such instance" } };
const PAGE = 20;

export const fake: Dialect = {
  name: "fake",
  idOf: (index) => `f-${index}`,
  offer: offerOf({ id: "fake:f1", provider: "fake", providerId: "f1", upstream: "fake", usd: 1.2 }),
  creates: /^POST \/instances$/,
  lists: /^GET \/instances$/,
  gets: /^GET \/instances\/[^/]+$/,
  words,
  partial: { body: { instances: [], total: 3 } },
  named: (id) => ({ status: 500, body: { message: "broken", instance: id } }),
  startedBy: (ordered) => ({
    image: word(ordered, "image"),
    script: word(ordered, "script"),
    environment: part(ordered, "environment") as Record<string, string>,
  }),
  routes: (cloud: Cloud) => ({
    "POST /instances": ({ body, key }) =>
      cloud.isFull
        ? { status: 409, body: { message: "no stock" } }
        : {
            status: 201,
            body: rowOf(
              cloud.create({
                label: word(body, "label"),
                owner: key,
                perHour: fake.offer.price.perHour ?? 0n,
                ordered: body,
              }),
            ),
          },
    "GET /instances": ({ query, key }) => {
      const page = Number(query.get("page"));
      const seen = cloud.seenBy(key);
      return { body: { instances: seen.slice((page - 1) * PAGE, page * PAGE).map(rowOf), total: seen.length } };
    },
    "GET /instances/:id": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? absent : { body: rowOf(machine) };
    },
    "DELETE /instances/:id": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? absent : { body: { accepted: cloud.end(machine) } };
    },
    "GET /instances/:id/bill": ({ id }) => {
      const machine = cloud.machines.find((each) => each.id === id);
      if (machine === undefined) return absent;
      const cost = cloud.meter(machine);
      return { body: { usd: `${cost / 1_000_000n}.${String(cost % 1_000_000n).padStart(6, "0")}` } };
    },
    "GET /instances/:id/log": ({ id, query, key }) =>
      cloud.find(key, id) === undefined ? absent : { body: `the last ${query.get("lines")} of ${id}\nby ${key}\n` },
    "GET /account": ({ key }) => ({ body: { owner: `owner-of-${key}` } }),
  }),
};
