/** Routes that tell: runs, checkpoints, verdicts, epochs, rewards, and blobs. */
import {
  asAddress,
  CheckpointList,
  digestOfCid,
  EpochList,
  Hash32,
  RewardView,
  routes,
  RunList,
  RunView,
  ShownAddress,
  VerdictList,
} from "@cotrain/sdk/protocol";
import { Type } from "typebox";

import { createBlobServer } from "../blobs.ts";
import { RefusedError } from "../errors.ts";
import { isSealed } from "../payloads.ts";
import { rewardView } from "../rewards.ts";
import { timeFetch } from "../transfers.ts";
import { checkpointList, epochList, runView, verdictList } from "../views.ts";
import { goneOf, Integer, paramOf, type Routing, schemaOf } from "./routing.ts";

export function registerViews({ app, modules: { runs }, runOf }: Routing): void {
  app.get(
    routes.runs(),
    { schema: schemaOf("Runs of this coordinator", RunList, { params: Type.Object({}) }) },
    async () => ({
      runs: [...runs.values()].map((run) => ({
        runId: run.runId,
        modelId: run.facts.modelId,
        phase: run.earlier ? "Finished" : run.driver.state.phase,
      })),
    }),
  );
  app.get(routes.run(":runId"), { schema: schemaOf("A run as it is now", RunView) }, async (request) =>
    runView(runOf(request)),
  );
  app.get(
    routes.checkpoints(":runId"),
    {
      schema: schemaOf("Checkpoints by rising round, a page of them", CheckpointList, {
        querystring: Type.Object({ from: Type.Optional(Integer) }),
      }),
    },
    async (request) => checkpointList(runOf(request), Number((request.query as { from?: string }).from ?? 0)),
  );
  app.get(
    routes.verdicts(":runId"),
    {
      schema: schemaOf(
        "Verdicts about heads that are not settled, and before them pairs that contradict each other",
        VerdictList,
      ),
    },
    async (request) => verdictList(runOf(request)),
  );
  app.get(routes.epochs(":runId"), { schema: schemaOf("Epochs and their attestations", EpochList) }, async (request) =>
    epochList(runOf(request)),
  );
  app.get(
    routes.reward(":runId", ":account"),
    {
      schema: schemaOf("What an account can claim", RewardView, {
        params: Type.Object({ runId: Hash32, account: ShownAddress }),
        querystring: Type.Object({ from: Type.Optional(Integer) }),
      }),
    },
    async (request, reply) =>
      rewardView(
        runOf(request),
        asAddress(paramOf(request, "account")),
        { address: request.ip, gone: goneOf(reply) },
        Number((request.query as { from?: string }).from ?? 1),
      ),
  );
}

export function registerBlobs({ app, modules: { runs, metrics }, members, runOf }: Routing): void {
  const blobServers = new Map(
    [...runs.values()].map(
      (run) => [run.runId, createBlobServer(run.modules.blobs, (bytes) => metrics.sent(bytes))] as const,
    ),
  );
  app.addHook("onClose", async () => {
    for (const server of blobServers.values()) await server.close();
  });
  app.route({
    // Not Fastify's own HEAD, which says how long the body is that it does not send: none.
    method: ["GET", "HEAD"],
    url: routes.blob(":runId", ":cid"),
    ...members.openHooks,
    schema: schemaOf("A blob by CID", undefined, {
      params: Type.Object({ runId: Hash32, cid: Type.String({ maxLength: 100 }) }),
    }),
    handler: async (request, reply) => {
      const run = runOf(request);
      const digest = digestOfCid(paramOf(request, "cid"));
      // The runs share a store: what one of them keeps sealed, another does not serve.
      if ([...runs.values()].some(({ driver }) => isSealed(driver.state, digest))) {
        throw new RefusedError("PAYLOAD_SEALED", "Payloads of a round are served when it has closed.");
      }
      const member = members.vouched(request);
      const asker = member ? { member: `${run.runId}/${member}` } : { address: request.ip };
      if (member && request.method === "GET") timeFetch(run.transfers, member, reply.raw);
      return blobServers.get(run.runId)?.send(request, reply, digest, asker);
    },
  });
}
