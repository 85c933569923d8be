/**
 * Renting from RunPod, by REST v2: one kind of GPU in one data centre, which is then there or not. A refusal with 400 tells no
 * more than that, so that it counts as no capacity and its words stand in the error; names need not be unique.
 */
import {
  createdBy,
  endedBy,
  instanceBy,
  instanceOr,
  instancesOf,
  momentOf,
  shellAt,
  USUAL_TERMS,
} from "../../base/instances.ts";
import { eventLines } from "../../base/events.ts";
import { argumentLineOf, told } from "../../base/orders.ts";
import type { Instance, InstanceState, Order, Renting } from "../../base/renting.ts";
import { fieldOf, listOf, type Row, rowOf } from "../../base/rows.ts";

const TITLE = "RunPod";

const STATES: Readonly<Record<string, InstanceState>> = {
  PROVISIONING: "creating",
  STARTING: "creating",
  RUNNING: "running",
  EXITED: "stopped",
  ERROR: "failed",
  TERMINATED: "gone",
};

const instanceOf = (row: Row): Instance =>
  instanceBy(row, STATES, {
    label: row.text("name"),
    perHour: row.money("cost", "usd"),
    ssh: shellAt(row.text("ssh.direct.host"), row.whole("ssh.direct.port"), row.text("ssh.direct.username")),
    createdAt: momentOf(row, "createdAt"),
  });

const bodyOf = (order: Order) => {
  const { offer } = order;
  return {
    name: order.label,
    image: order.image,
    gpu: { id: told(offer, "upstreamId", TITLE), count: offer.count },
    cloud: offer.tier === "secure" ? "SECURE" : "COMMUNITY",
    ...(offer.dataCenter === undefined ? {} : { dataCenterIds: [offer.dataCenter] }),
    disk: order.diskGb,
    env: order.environment,
    args: argumentLineOf(order),
    ports: ["22/tcp"],
    startSsh: true,
  };
};

const pathOf = (id: string): string => `/pods/${encodeURIComponent(id)}`;

export const runpodRenting: Renting = {
  ...USUAL_TERMS,
  create: (api, order) =>
    createdBy(TITLE, async () =>
      instanceOf(
        rowOf(await api({ method: "POST", path: "/pods", json: bodyOf(order), endpoint: "create", repeatable: false })),
      ),
    ),
  get: (api, id) =>
    instanceOr(TITLE, async () =>
      instanceOf(rowOf(await api({ method: "GET", path: pathOf(id), endpoint: "account", repeatable: true }))),
    ),
  list: (api) =>
    instancesOf(
      TITLE,
      async function* pods() {
        const query = { includeClusterPods: "true" };
        const answer = await api({ method: "GET", path: "/pods", query, endpoint: "account", repeatable: true });
        yield listOf(fieldOf(answer, "pods"), "pods");
      },
      instanceOf,
    ),
  terminate: (api, id) => endedBy(api, "DELETE", pathOf(id)),
  bill: async (api, { id, createdAt }, now) => {
    if (createdAt === undefined) return undefined;
    const answer = await api({
      method: "GET",
      path: "/billing/pods",
      query: {
        podId: id,
        bucketSize: "hour",
        startTime: new Date(createdAt).toISOString(),
        endTime: new Date(now).toISOString(),
      },
      endpoint: "account",
      repeatable: true,
    });
    const row = rowOf(answer);
    return row.whole("metadata.recordCount") === 0
      ? undefined
      : (row.money("metadata.totals.totalAmount", "usd") ?? 0n);
  },
  logs: async (api, id, lines) => {
    const query = { source: "container", tail: lines };
    const path = `${pathOf(id)}/logs`;
    const said = await api({ method: "GET", path, query, endpoint: "account", repeatable: true, stream: true });
    return eventLines(String(said), "line");
  },
};
