/** Shadeform (its published description): cents, a delete that answers 200 and nothing, a time at which it ends machines itself. */
import { offerOf } from "../../offers.ts";
import type { Cloud, Machine } from "../cloud.ts";
import { type Dialect, part, text, variables, word, wordOf } from "../dialect.ts";

const words: Dialect["words"] = {
  creating: "pending_provider",
  running: "active",
  failed: "error",
  ending: "deleting",
  gone: "deleted",
};
const rowOf = (machine: Machine) => ({
  id: machine.id,
  cloud: "hyperstack",
  region: "kansascity-usa-2",
  name: machine.label,
  status: wordOf(words, machine),
  ip: machine.phase === "running" ? "203.0.113.40" : "",
  ssh_user: "shadeform",
  ssh_port: 22,
  hourly_price: Number(machine.perHour / 10_000n),
  cost_estimate: "0",
  created_at: new Date(machine.createdAt).toISOString(),
});
const absent = { status: 404, body: { code: "not_found", message: "The requested resource was not found." } };

export const shadeform: Dialect = {
  name: "shadeform",
  idOf: (index) => `d290f1ee-6c54-4b01-90e6-${String(index).padStart(12, "0")}`,
  offer: offerOf({
    id: "shadeform:hyperstack/n3-H100-SXM5x8/kansascity-usa-2",
    provider: "shadeform",
    providerId: "hyperstack/n3-H100-SXM5x8/kansascity-usa-2",
    upstream: "hyperstack",
    upstreamId: "n3-H100-SXM5x8",
    dataCenter: "kansascity-usa-2",
    kind: "vm",
    count: 8,
    usd: 19.2,
    rentBy: { type: "H100_sxm5x8" },
  }),
  creates: /^POST \/v1\/instances\/create$/,
  lists: /^GET \/v1\/instances$/,
  gets: /^GET \/v1\/instances\/[^/]+\/info$/,
  words,
  startedBy: (ordered) => {
    const script = text(word(ordered, "launch_configuration.script_configuration.base64_script"));
    const file = (name: string) =>
      text(new RegExp(`^echo (\\S+) \\| base64 -d >\\S*/${name}$`, "m").exec(script)?.[1] ?? "");
    return {
      image: / --entrypoint sh (\S+) /.exec(script)?.[1] ?? "",
      script: file("start\\.sh"),
      environment: variables(file("environment")),
    };
  },
  routes: (cloud: Cloud) => ({
    "POST /v1/instances/create": ({ body, key }) => {
      if (part(body, "shade_instance_type") !== "H100_sxm5x8" || part(body, "shade_cloud") !== true)
        return { status: 400, body: { code: "invalid_request", message: "Unknown shade_instance_type." } };
      if (cloud.isFull)
        return { status: 400, body: { code: "unavailable", message: "The instance type is out of stock." } };
      const machine = cloud.create({ label: word(body, "name"), owner: key, perHour: 19_200_000n, ordered: body });
      const at = part(body, "auto_delete.delete_at");
      if (typeof at === "string") machine.dueAt = Date.parse(at);
      return { body: { id: machine.id } };
    },
    "GET /v1/instances": ({ key }) => ({ body: { instances: cloud.seenBy(key).map(rowOf) } }),
    "GET /v1/instances/:id/info": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? absent : { body: rowOf(machine) };
    },
    "POST /v1/instances/:id/delete": ({ id, key }) => {
      const machine = cloud.find(key, id);
      if (machine === undefined) return absent;
      cloud.end(machine);
      return { body: "" };
    },
  }),
};
