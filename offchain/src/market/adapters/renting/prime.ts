/**
 * Renting from Prime Intellect. It starts environments of its own and no script, so that whoever keeps the leases brings the order's
 * over SSH. A pod works when it is ACTIVE and its installation FINISHED; what it cost stands in the history, once it has ended.
 */
import type { Api } from "../../base/api.ts";
import {
  createdBy,
  endedBy,
  instanceOr,
  instancesOf,
  keySides,
  momentOf,
  shellAt,
  sideBy,
  stateOf,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { keyNameOf, rentBy, sameKey, sshKeyOf, told } from "../../base/orders.ts";
import { byOffset, countedPage } from "../../base/pages.ts";
import type { Instance, InstanceState, Order, Renting, ShellAddress } from "../../base/renting.ts";
import { present, type Row, rowOf } from "../../base/rows.ts";
import { dollarsOf } from "../../money.ts";

const TITLE = "Prime Intellect";
const PAGE = 100;

const STATES: Readonly<Record<string, InstanceState>> = {
  PROVISIONING: "creating",
  PENDING: "creating",
  ACTIVE: "running",
  STOPPED: "stopped",
  ERROR: "failed",
  DELETING: "ending",
  TERMINATED: "gone",
};

/** `root@1.2.3.4 -p 22`, or a list of one such. */
function shellOf(row: Row): ShellAddress | undefined {
  const told = row.at("sshConnection");
  const text: unknown = Array.isArray(told) ? told[0] : told;
  const [, user, host, port] = (typeof text === "string" && /^(\S+)@(\S+?)(?: -p (\d{1,5}))?$/.exec(text)) || [];
  return shellAt(host, Number(port ?? 22), user);
}

function stateNow(row: Row): Pick<Instance, "state" | "words"> {
  const [status, installed] = [row.requireText("status"), row.text("installationStatus")];
  const words = installed === undefined ? status : `${status}, ${installed}`;
  const state = stateOf(STATES, status);
  if (state !== "running") return { state, words };
  if ((row.at("installationFailure") ?? "") !== "" || installed === "ERROR") return { state: "failed", words };
  return { state: installed === "FINISHED" ? "running" : "creating", words };
}

const instanceOf = (row: Row): Instance => ({
  id: row.requireText("id"),
  ...stateNow(row),
  ...present<Partial<Instance>>({
    label: row.text("name"),
    perHour: row.money("priceHr", "usd"),
    ssh: shellOf(row),
    createdAt: momentOf(row, "createdAt"),
  }),
});

/** All rows of a listing by offset. */
const pages = (api: Api, path: string, query: Readonly<Record<string, string>> = {}) =>
  byOffset(TITLE, async (offset) =>
    countedPage(
      await api({
        method: "GET",
        path,
        query: { ...query, offset, limit: PAGE },
        endpoint: "account",
        repeatable: true,
      }),
      "data",
      "total_count",
    ),
  );

async function keysOf(api: Api): Promise<Row[]> {
  const keys: Row[] = [];
  for await (const page of pages(api, "/ssh_keys/")) keys.push(...page.map(rowOf));
  return keys;
}

/** The account's id of an order's key, where it is put unless it is there. */
const keyId = (api: Api, order: Order): Promise<string> =>
  sideBy(TITLE, async () => {
    const publicKey = sshKeyOf(order, TITLE);
    const found = (await keysOf(api)).find((row) => sameKey(row.longText("publicKey") ?? "", publicKey));
    if (found !== undefined) return found.requireText("id");
    const json = { name: keyNameOf(order), publicKey };
    const made = await api({ method: "POST", path: "/ssh_keys/", json, endpoint: "account", repeatable: false });
    return rowOf(made).requireText("id");
  });

const bodyOf = (order: Order, sshKeyId: string) => {
  const { offer } = order;
  return {
    pod: {
      name: order.label,
      cloudId: told(offer, "upstreamId", TITLE),
      gpuType: rentBy(offer, "gpuType", TITLE),
      socket: rentBy(offer, "socket", TITLE),
      gpuCount: offer.count,
      diskSize: order.diskGb,
      maxPrice: dollarsOf(order.maximumPerHour),
      image: "ubuntu_22_cuda_12",
      ...(offer.dataCenter === undefined ? {} : { dataCenterId: offer.dataCenter }),
      ...(offer.country === undefined ? {} : { country: offer.country }),
      ...(offer.tier === "unknown" ? {} : { security: `${offer.tier}_cloud` }),
      sshKeyId,
      // A machine that comes back by itself would be paid for twice.
      autoRestart: false,
    },
    provider: { type: offer.upstream },
  };
};

const pathOf = (id: string): string => `/pods/${encodeURIComponent(id)}`;

export const primeRenting: Renting = {
  ...USUAL_TERMS,
  killWithin: 120_000,
  startsBy: "ssh",
  create: async (api, order) => {
    const key = await keyId(api, order);
    return createdBy(TITLE, async () => {
      const json = bodyOf(order, key);
      return instanceOf(
        rowOf(await api({ method: "POST", path: "/pods/", json, endpoint: "create", repeatable: false })),
      );
    });
  },
  get: (api, id) =>
    instanceOr(TITLE, async () =>
      instanceOf(rowOf(await api({ method: "GET", path: pathOf(id), endpoint: "account", repeatable: true }))),
    ),
  list: (api) => instancesOf(TITLE, () => pages(api, "/pods/"), instanceOf),
  terminate: (api, id) => endedBy(api, "DELETE", pathOf(id)),
  bill: async (api, { id }) => {
    for await (const page of pages(api, "/pods/history", { sort_by: "terminatedAt" }))
      for (const row of page.map(rowOf)) if (row.text("id") === id) return row.money("totalBilledPrice", "usd") ?? 0n;
    return undefined;
  },
  owner: async (api) =>
    rowOf(await api({ method: "GET", path: "/user/whoami", endpoint: "account", repeatable: true })).requireText(
      "data.id",
    ),
  sides: keySides(keysOf, "/ssh_keys/", "account"),
};
