/** io.net's containers (io.net/docs/reference/caas): paid by the hour before, a second delete answered with 410 and `detail`. */
import { offerOf } from "../../offers.ts";
import { type Cloud, type Machine, usd } from "../cloud.ts";
import { type Dialect, part, scriptIn, word, wordOf } from "../dialect.ts";

const words: Dialect["words"] = {
  creating: "deployment requested",
  running: "running",
  failed: "failed",
  ending: "termination requested",
  gone: "completed",
};
const BASE = "/enterprise/v1/io-cloud/caas";
const hoursOf = ({ ordered }: Machine): number => Number(part(ordered, "duration_hours"));
const rowOf = (machine: Machine) => ({
  id: machine.id,
  name: machine.label,
  status: wordOf(words, machine),
  completed_percent: 0,
  amount_paid: usd(machine.perHour) * hoursOf(machine),
  created_at: new Date(machine.createdAt).toISOString(),
});
const absent = { status: 404, body: { detail: "Deployment not found" } };

export const ionet: Dialect = {
  name: "ionet",
  idOf: (index) => `b5b6c3a2-0000-4000-8000-${String(index).padStart(12, "0")}`,
  offer: offerOf({
    id: "ionet:203/8/7",
    provider: "ionet",
    providerId: "203/8/7",
    upstream: "ionet",
    count: 8,
    usd: 15.92,
  }),
  creates: /\/caas\/deploy$/,
  lists: /\/caas\/deployments$/,
  gets: /^GET .*\/caas\/deployment\/[^/]+$/,
  words,
  remembers: true,
  partial: { body: { data: { deployments: [], total: 3, statuses: [] } } },
  startedBy: (ordered) => {
    const [flag, command] = part(ordered, "container_config.args") as readonly string[];
    if (word(ordered, "container_config.entrypoint") !== "sh" || flag !== "-c") throw new TypeError("no command");
    return {
      image: word(ordered, "registry_config.image_url"),
      script: scriptIn(command ?? ""),
      environment: part(ordered, "container_config.secret_env_variables") as Record<string, string>,
    };
  },
  routes: (cloud: Cloud) => ({
    [`POST ${BASE}/deploy`]: ({ body, key }) => {
      if (cloud.isFull) return { status: 400, body: { detail: "Not enough available replicas." } };
      const asked = [part(body, "hardware_id"), part(body, "gpus_per_container"), part(body, "location_ids.0")].join(
        "/",
      );
      const perHour = (cloud.shelf ?? new Map([[ionet.offer.providerId, 15_920_000n]])).get(asked);
      if (perHour === undefined) return { status: 422, body: { detail: "hardware_id is invalid" } };
      const machine = cloud.create({
        label: word(body, "resource_private_name"),
        owner: key,
        perHour,
        ordered: body,
      });
      return { body: { status: "deployment requested", deployment_id: machine.id } };
    },
    [`GET ${BASE}/deployments`]: ({ query, key }) => {
      const seen = cloud.seenBy(key);
      const [page, size] = [Number(query.get("page")), Math.min(20, Number(query.get("page_size")))];
      return {
        body: { data: { deployments: seen.slice((page - 1) * size, page * size).map(rowOf), total: seen.length } },
      };
    },
    [`GET ${BASE}/deployment/:id`]: ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? absent : { body: { data: rowOf(machine) } };
    },
    [`DELETE ${BASE}/deployment/:id`]: ({ id, key }) => {
      const machine = cloud.find(key, id);
      if (machine === undefined) return absent;
      if (machine.phase === "ending") return { status: 410, body: { detail: "Deployment is terminating" } };
      cloud.end(machine);
      return { body: { status: "terminating", deployment_id: machine.id } };
    },
    [`POST ${BASE}/deployment/:id/extend`]: ({ id, key, body }) => {
      const machine = cloud.find(key, id);
      if (machine === undefined) return absent;
      (machine.ordered as { duration_hours: number }).duration_hours += Number(part(body, "duration_hours"));
      return { body: { data: rowOf(machine) } };
    },
  }),
};
