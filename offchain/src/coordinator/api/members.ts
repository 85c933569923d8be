/** Routes of members: joining, being there, waiting for work, and handing it in. */
import {
  Accepted,
  asDigest,
  contentDigestHeader,
  FragmentReply,
  Hash32,
  Heartbeat,
  HeartbeatReply,
  JoinReply,
  JoinRequest,
  MAX_PAYLOAD_HEADER_BYTES,
  ReceiptReply,
  ReceiptRequest,
  routes,
  WorkReply,
  WorkRequest,
} from "@cotrain/sdk/protocol";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";

import { acceptJoin } from "../joins.ts";
import { headerOf } from "../memberRequests.ts";
import { acceptReceipt } from "../receipts.ts";
import { heartbeatReply } from "../views.ts";
import { awaitWork } from "../work.ts";
import { goneOf, Integer, type Routing, schemaOf, SMALL_BODY } from "./routing.ts";
import { acceptFragment } from "./uploads.ts";

const RECEIPT_BODY = MAX_PAYLOAD_HEADER_BYTES + (16 << 10);
/** From one address: 64 workers behind one NAT may each try four times. */
const JOINS_PER_MINUTE = 256;

export function registerMembership({ app, modules, members, runOf }: Routing): void {
  app.post(
    routes.join(":runId"),
    {
      bodyLimit: SMALL_BODY,
      config: { rateLimit: { max: JOINS_PER_MINUTE } },
      schema: schemaOf("Join with a machine", JoinReply, { body: JoinRequest }),
    },
    async (request) => acceptJoin(runOf(request), request.body as JoinRequest, request.ip),
  );
  app.post(
    routes.leave(":runId"),
    { bodyLimit: SMALL_BODY, ...members.hooks, schema: schemaOf("Leave", Accepted) },
    async (request) => {
      const run = runOf(request);
      const worker = members.of(request);
      await run.driver.submit({ type: "MemberLeft", worker, reason: "left" });
      return { accepted: true };
    },
  );
  app.post(
    routes.heartbeat(":runId"),
    {
      bodyLimit: SMALL_BODY,
      ...members.hooks,
      schema: schemaOf("Say that the member is alive, and how far", HeartbeatReply, { body: Heartbeat }),
    },
    async (request) => {
      const run = runOf(request);
      const worker = members.of(request);
      run.presence.beat(worker, request.body as Heartbeat);
      return heartbeatReply(run, worker);
    },
  );
  app.post(
    routes.work(":runId"),
    { bodyLimit: SMALL_BODY, ...members.hooks, schema: schemaOf("Wait for work", WorkReply, { body: WorkRequest }) },
    async (request, reply) => {
      const run = runOf(request);
      const worker = members.of(request);
      const gone = goneOf(reply);
      const release = run.presence.hold(worker);
      try {
        const { waitSeconds } = request.body as WorkRequest;
        return await awaitWork(run, worker, waitSeconds * 1_000, AbortSignal.any([gone, modules.signal]));
      } finally {
        release();
      }
    },
  );
}

export function registerWork({ app, modules: { metrics }, members, runOf }: Routing): void {
  app.put(
    routes.fragment(":runId", ":assignmentId", ":attempt", ":index"),
    {
      ...members.hooks,
      schema: schemaOf("Upload one fragment of a payload", FragmentReply, {
        params: Type.Object({ runId: Hash32, assignmentId: Integer, attempt: Integer, index: Integer }),
        headers: Type.Object({ [contentDigestHeader]: Hash32 }),
      }),
    },
    async (request) => {
      const run = runOf(request);
      const digest = asDigest(headerOf(request, contentDigestHeader));
      const worker = members.of(request);
      return run.offences.watch(worker, () => acceptFragment(run, request, { worker, digest }, metrics));
    },
  );
  const counted = new WeakMap<FastifyRequest, () => void>();
  app.post(
    routes.receipts(":runId"),
    {
      bodyLimit: RECEIPT_BODY,
      ...members.hooks,
      onRequest: async (request: FastifyRequest) => {
        await members.hooks.onRequest(request);
        counted.set(request, runOf(request).idleReceipts.count(members.of(request), request.ip));
      },
      schema: schemaOf("Submit a receipt", ReceiptReply, { body: ReceiptRequest }),
    },
    async (request) => {
      const run = runOf(request);
      const worker = members.of(request);
      const { reply, fresh } = await run.offences.watch(worker, () =>
        acceptReceipt(run, worker, request.body as ReceiptRequest),
      );
      if (fresh) counted.get(request)?.();
      return reply;
    },
  );
}
