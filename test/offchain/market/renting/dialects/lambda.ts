/** Lambda (its published description): everything in `{ data }`, exactly one SSH key, cents, what may be ended now told by the machine. */
import { offerOf } from "../../offers.ts";
import type { Cloud, Machine } from "../cloud.ts";
import { type Dialect, part, text, variables, word, wordOf } from "../dialect.ts";

const words: Dialect["words"] = {
  creating: "booting",
  running: "active",
  failed: "unhealthy",
  ending: "terminating",
  gone: "terminated",
};
const rowOf = (cloud: Cloud, machine: Machine) => ({
  id: machine.id,
  name: machine.label,
  ip: "203.0.113.21",
  status: wordOf(words, machine),
  ssh_key_names: ["x"],
  region: { name: "us-south-2", description: "North Texas, USA" },
  instance_type: { name: "gpu_8x_h100_sxm5", price_cents_per_hour: Number(machine.perHour / 10_000n) },
  actions: {
    terminate: { available: !(cloud.refusesWhileCreating && machine.phase === "creating") },
  },
});
const refused = (status: number, code: string, message: string) => ({
  status,
  body: { error: { code, message, suggestion: "Try another." } },
});
const absent = refused(404, "global/object-does-not-exist", "Specified instance does not exist.");

interface CloudInit {
  readonly write_files: readonly { readonly path: string; readonly content: string }[];
  readonly runcmd: readonly string[];
}

export const lambda: Dialect = {
  name: "lambda",
  idOf: (index) => `0920582c7ff041399e34823a0be6${String(index).padStart(4, "0")}`,
  offer: offerOf({
    id: "lambda:gpu_8x_h100_sxm5/us-south-2",
    provider: "lambda",
    providerId: "gpu_8x_h100_sxm5/us-south-2",
    upstream: "lambda",
    upstreamId: "gpu_8x_h100_sxm5",
    dataCenter: "us-south-2",
    kind: "vm",
    count: 8,
    usd: 23.92,
  }),
  creates: /^POST \/api\/v1\/instance-operations\/launch$/,
  lists: /^GET \/api\/v1\/instances$/,
  gets: /^GET \/api\/v1\/instances\/[^/]+$/,
  words,
  startedBy: (ordered) => {
    const [header, ...lines] = word(ordered, "user_data").split("\n");
    if (header !== "#cloud-config") throw new TypeError("no cloud-init");
    const { write_files: files, runcmd } = JSON.parse(lines.join("\n")) as CloudInit;
    const file = (name: string) => text(files.find(({ path }) => path.endsWith(name))?.content ?? "");
    return {
      image: / --entrypoint sh (\S+) /.exec(runcmd[0] ?? "")?.[1] ?? "",
      script: file("/start.sh"),
      environment: variables(file("/environment")),
    };
  },
  routes: (cloud: Cloud) => {
    const keys: { id: string; name: string; public_key: string }[] = [];
    return {
      "GET /api/v1/ssh-keys": () => ({ body: { data: keys } }),
      "POST /api/v1/ssh-keys": ({ body }) => {
        const made = {
          id: `key${keys.length}`,
          name: word(body, "name"),
          public_key: `${word(body, "public_key")} renamed`,
        };
        keys.push(made);
        return { body: { data: made } };
      },
      "DELETE /api/v1/ssh-keys/:id": ({ id }) => {
        const at = keys.findIndex((key) => key.id === id);
        if (at < 0) return absent;
        keys.splice(at, 1);
        return { body: { data: {} } };
      },
      "POST /api/v1/instance-operations/launch": ({ body, key }) => {
        const names = part(body, "ssh_key_names") as readonly string[];
        if (names.length !== 1)
          return refused(400, "global/invalid-parameters", "Exactly one SSH key must be specified.");
        if (!keys.some(({ name }) => name === names[0]))
          return refused(404, "global/object-does-not-exist", "SSH key does not exist.");
        if (word(body, "name").length > 64) return refused(400, "global/invalid-parameters", "Name too long.");
        if (cloud.isFull)
          return refused(
            400,
            "instance-operations/launch/insufficient-capacity",
            "Not enough capacity to fulfill launch request.",
          );
        const machine = cloud.create({ label: word(body, "name"), owner: key, perHour: 23_920_000n, ordered: body });
        return { body: { data: { instance_ids: [machine.id] } } };
      },
      "GET /api/v1/instances": ({ key }) => ({ body: { data: cloud.seenBy(key).map((each) => rowOf(cloud, each)) } }),
      "GET /api/v1/instances/:id": ({ id, key }) => {
        const machine = cloud.find(key, id);
        return machine === undefined ? absent : { body: { data: rowOf(cloud, machine) } };
      },
      "POST /api/v1/instance-operations/terminate": ({ body, key }) => {
        const [id = ""] = part(body, "instance_ids") as readonly string[];
        const machine = cloud.find(key, id);
        if (machine === undefined) return absent;
        cloud.end(machine);
        return { body: { data: { terminated_instances: [rowOf(cloud, machine)] } } };
      },
    };
  },
};
