/** RunPod's REST v2 (its published description): problem details, 400 for whatever cannot be deployed, 204 for a delete. */
import { offerOf } from "../../offers.ts";
import { type Cloud, type Machine, usd } from "../cloud.ts";
import { type Dialect, part, scriptOfLine, word, wordOf } from "../dialect.ts";

const words: Dialect["words"] = {
  creating: "PROVISIONING",
  running: "RUNNING",
  stopped: "EXITED",
  failed: "ERROR",
  gone: "TERMINATED",
};
const rowOf = (machine: Machine) => ({
  id: machine.id,
  name: machine.label,
  status: machine.phase === "ending" ? (machine.says ?? "RUNNING") : wordOf(words, machine),
  actions: ["stop", "restart", "terminate"],
  // Nothing is told of what is stopped.
  cost: machine.phase === "stopped" ? 0 : usd(machine.perHour),
  ssh: {
    proxy: null,
    direct:
      machine.phase === "running" ? { host: "203.0.113.9", port: 10_341, username: "root", command: "ssh …" } : null,
  },
  cloud: "SECURE",
  dataCenterId: "US-KS-2",
  createdAt: new Date(machine.createdAt).toISOString(),
});
const problem = (status: number, title: string, detail: string) => ({
  status,
  headers: { "content-type": "application/problem+json" },
  body: { title, status, detail },
});

export const runpod: Dialect = {
  name: "runpod",
  idOf: (index) => `pod${index}xk2m4n`,
  offer: offerOf({
    id: "runpod:NVIDIA A100-SXM4-80GB/secure/2/US-KS-2",
    provider: "runpod",
    providerId: "NVIDIA A100-SXM4-80GB/secure/2/US-KS-2",
    upstream: "runpod",
    upstreamId: "NVIDIA A100-SXM4-80GB",
    dataCenter: "US-KS-2",
    count: 2,
    usd: 2.98,
  }),
  creates: /^POST \/v2\/pods$/,
  lists: /^GET \/v2\/pods$/,
  gets: /^GET \/v2\/pods\/[^/]+$/,
  words,
  startedBy: (ordered) => ({
    image: word(ordered, "image"),
    script: scriptOfLine(word(ordered, "args")),
    environment: part(ordered, "env") as Record<string, string>,
  }),
  routes: (cloud: Cloud) => ({
    "POST /v2/pods": ({ body, key }) => {
      const [place = ""] = part(body, "dataCenterIds") as readonly string[];
      const asked = [word(body, "gpu.id"), word(body, "cloud").toLowerCase(), word(body, "gpu.count"), place].join("/");
      const perHour = (cloud.shelf ?? new Map([[runpod.offer.providerId, 2_980_000n]])).get(asked);
      if (cloud.isFull || perHour === undefined)
        return problem(400, "Bad Request", "There are no instances currently available that match your request.");
      const machine = cloud.create({ label: word(body, "name"), owner: key, perHour, ordered: body });
      return { status: 201, body: rowOf(machine) };
    },
    "GET /v2/pods": ({ key }) => ({ body: { pods: cloud.seenBy(key).map(rowOf) } }),
    "GET /v2/pods/:id": ({ id, key }) => {
      const machine = cloud.find(key, id);
      return machine === undefined ? problem(404, "Not Found", "resource not found") : { body: rowOf(machine) };
    },
    "DELETE /v2/pods/:id": ({ id, key }) => {
      const machine = cloud.find(key, id);
      if (machine === undefined) return problem(404, "Not Found", "resource not found");
      cloud.end(machine);
      return { status: 204, body: "" };
    },
    "GET /v2/billing/pods": ({ query }) => {
      const machine = cloud.machines.find(({ id }) => id === query.get("podId"));
      const totalAmount = machine === undefined ? 0 : usd(cloud.meter(machine));
      return {
        body: { records: [], metadata: { recordCount: machine === undefined ? 0 : 1, totals: { totalAmount } } },
      };
    },
  }),
};
