/** Prime Intellect (docs.primeintellect.ai): pods by offset, a state of the pod and one of its installation, a history of what was billed. */
import { offerOf } from "../../offers.ts";
import { type Cloud, type Machine, usd } from "../cloud.ts";
import { type Dialect, part, word, wordOf } from "../dialect.ts";

const words: Dialect["words"] = {
  creating: "PROVISIONING",
  running: "ACTIVE",
  stopped: "STOPPED",
  failed: "ERROR",
  ending: "DELETING",
  gone: "TERMINATED",
};
const rowOf = (machine: Machine) => ({
  id: machine.id,
  userId: "u1",
  name: machine.label,
  providerType: "hyperstack",
  status: wordOf(words, machine),
  installationStatus: machine.phase === "creating" ? "PENDING" : "FINISHED",
  installationFailure: null,
  priceHr: usd(machine.perHour),
  sshConnection: machine.phase === "running" ? ["root@203.0.113.30 -p 1234"] : [null],
  // Without a zone, as it comes.
  createdAt: new Date(machine.createdAt).toISOString().slice(0, -1),
});
const absent = { status: 404, body: { detail: "Pod not found" } };
const paged = (rows: readonly unknown[], query: URLSearchParams) => {
  const [offset, limit] = [Number(query.get("offset") ?? 0), Math.min(30, Number(query.get("limit") ?? 100))];
  return { body: { data: rows.slice(offset, offset + limit), total_count: rows.length, offset, limit } };
};

export const prime: Dialect = {
  name: "prime",
  idOf: (index) => `3f1c0b52-0000-4000-8000-${String(index).padStart(12, "0")}`,
  offer: offerOf({
    id: "prime:hyperstack/n3-H100x8/8/CANADA-1/PCIe",
    provider: "prime",
    providerId: "hyperstack/n3-H100x8/8/CANADA-1/PCIe",
    upstream: "hyperstack",
    upstreamId: "n3-H100x8",
    dataCenter: "CANADA-1",
    country: "CA",
    kind: "vm",
    count: 8,
    usd: 15.2,
    rentBy: { gpuType: "H100_80GB", socket: "PCIe" },
  }),
  creates: /^POST \/api\/v1\/pods\/$/,
  lists: /^GET \/api\/v1\/pods\/$/,
  gets: /^GET \/api\/v1\/pods\/[^/]+$/,
  words,
  partial: { body: { data: [], total_count: 3, offset: 0, limit: 100 } },
  // It starts no script: whoever rents does, over SSH.
  startedBy: () => ({ image: "", script: "", environment: {} }),
  routes: (cloud: Cloud) => {
    const keys: { id: string; name: string; publicKey: string }[] = [];
    return {
      "GET /api/v1/ssh_keys/": ({ query }) => paged(keys, query),
      "POST /api/v1/ssh_keys/": ({ body }) => {
        const made = { id: `key${keys.length}`, name: word(body, "name"), publicKey: word(body, "publicKey") };
        keys.push(made);
        return { body: { ...made, userId: "u1", isPrimary: false, isUserKey: true } };
      },
      "DELETE /api/v1/ssh_keys/:id": ({ id }) => {
        keys.splice(0, keys.length, ...keys.filter((key) => key.id !== id));
        return { body: {} };
      },
      "POST /api/v1/pods/": ({ body, key }) => {
        const { gpuType, socket, cloudId, sshKeyId, maxPrice } = part(body, "pod") as Record<string, unknown>;
        if (
          gpuType !== "H100_80GB" ||
          socket !== "PCIe" ||
          cloudId !== "n3-H100x8" ||
          word(body, "provider.type") !== "hyperstack"
        )
          return { status: 422, body: { errors: [{ param: "pod", details: "unknown configuration" }] } };
        if (!keys.some(({ id }) => id === sshKeyId)) return { status: 404, body: { detail: "SSH key does not exist" } };
        if (cloud.isFull || Number(maxPrice) < 15.2)
          return { status: 400, body: { detail: "This configuration is no longer available." } };
        const machine = cloud.create({
          label: word(body, "pod.name"),
          owner: key,
          perHour: 15_200_000n,
          ordered: body,
        });
        return { body: rowOf(machine) };
      },
      "GET /api/v1/pods/": ({ query, key }) => paged(cloud.seenBy(key).map(rowOf), query),
      "GET /api/v1/pods/history": ({ query, key }) =>
        paged(
          cloud.machines
            .filter(({ owner, endsAt }) => owner === key && endsAt !== undefined && endsAt <= cloud.clock.now())
            .map((machine) => ({ ...rowOf(machine), totalBilledPrice: usd(cloud.meter(machine)) })),
          query,
        ),
      "GET /api/v1/pods/:id": ({ id, key }) => {
        const machine = cloud.find(key, id);
        return machine === undefined ? absent : { body: rowOf(machine) };
      },
      "DELETE /api/v1/pods/:id": ({ id, key }) => {
        const machine = cloud.find(key, id);
        if (machine === undefined) return absent;
        cloud.end(machine);
        return { body: { status: "success" } };
      },
      "GET /api/v1/user/whoami": ({ key }) => ({ body: { data: { id: `user-${key}`, name: "x", email: "x@y" } } }),
    };
  },
};
