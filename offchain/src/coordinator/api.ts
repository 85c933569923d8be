/** The HTTP API as one Fastify plugin over the runs of this process; routes and bodies are the protocol's own. */
import { createHash, timingSafeEqual } from "node:crypto";

import {
  Accepted,
  type Address,
  asAddress,
  asDigest,
  AttestationRequest,
  canonicalJson,
  CheckpointList,
  contentDigestHeader,
  ControlRequest,
  type Digest,
  digestOfCid,
  EpochList,
  ErrorBody,
  FragmentReply,
  Hash32,
  Heartbeat,
  HeartbeatReply,
  JoinReply,
  JoinRequest,
  MAX_PAYLOAD_HEADER_BYTES,
  ReceiptReply,
  ReceiptRequest,
  RewardView,
  routes,
  RunList,
  type RunId,
  RunView,
  ShownAddress,
  SignedVerdict,
  VerdictList,
  WorkReply,
  WorkRequest,
} from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import type { FastifyRequest } from "fastify";
import { type TSchema, Type } from "typebox";

import { parseJsonBounded } from "../base/index.ts";
import { BlobError } from "../storage/index.ts";
import { type HttpApp, readUpload } from "../service/index.ts";
import { createBlobServer } from "./blobs.ts";
import { RefusedError } from "./errors.ts";
import { acceptJoin } from "./joins.ts";
import { createMemberRequests, headerOf } from "./memberRequests.ts";
import { workRefusal } from "./machine/rules.ts";
import { fragmentCount } from "./machine/state.ts";
import type { CoordinatorMetrics } from "./metrics.ts";
import { isSealed } from "./payloads.ts";
import { acceptReceipt, fragmentBytes } from "./receipts.ts";
import { rewardView } from "./rewards.ts";
import type { Run } from "./run.ts";
import { acceptAttestation, acceptVerdict } from "./statements.ts";
import { checkpointList, epochList, heartbeatReply, runView, verdictList } from "./views.ts";
import { awaitWork } from "./work.ts";

const SMALL_BODY = 8 << 10;
const RECEIPT_BODY = MAX_PAYLOAD_HEADER_BYTES + (16 << 10);
/** From one address: 64 workers behind one NAT may each try four times. */
const JOINS_PER_MINUTE = 256;

export interface ApiModules {
  readonly runs: ReadonlyMap<RunId, Run>;
  /** Bearer token of pause and resume. */
  readonly operatorToken: string;
  readonly metrics: CoordinatorMetrics;
  /** Aborted when the coordinator ends: long polls are answered. */
  readonly signal: AbortSignal;
}

const Integer = Type.String({ pattern: "^[0-9]{1,15}$" });
const RunParam = Type.Object({ runId: Hash32 });

/** A parameter of the path; the route's schema has checked its form. */
const paramOf = (request: { readonly params: unknown }, name: string): string =>
  (request.params as Readonly<Record<string, string>>)[name] ?? "";

const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Schemas of a route, for validation and OpenAPI. */
const schemaOf = (summary: string, reply: TSchema | undefined, parts: Record<string, TSchema> = {}) => ({
  summary,
  params: RunParam,
  ...parts,
  ...(reply && { response: { 200: reply, "4xx": ErrorBody, "5xx": ErrorBody } }),
});

export function createApi(modules: ApiModules): (app: HttpApp) => Promise<void> {
  const { runs, metrics } = modules;

  const findRun = (request: FastifyRequest): Run | undefined => runs.get(paramOf(request, "runId") as RunId);
  const runOf = (request: FastifyRequest): Run => {
    const run = findRun(request);
    if (run) return run;
    throw new RefusedError(
      "RUN_UNKNOWN",
      `This coordinator does not have run ${paramOf(request, "runId").slice(0, 80)}.`,
    );
  };

  function requireOperator(request: FastifyRequest): void {
    const [given, due] = [hashOf(headerOf(request, "authorization")), hashOf(`Bearer ${modules.operatorToken}`)];
    if (timingSafeEqual(given, due)) return;
    throw new RefusedError(
      "OPERATOR_TOKEN",
      "Only the operator controls a run: send its token as Authorization: Bearer.",
    );
  }

  async function plugin(app: HttpApp): Promise<void> {
    // Replies are made from typed views; the schemas of replies are for OpenAPI.
    app.setSerializerCompiler(() => (data) => JSON.stringify(data));
    app.removeContentTypeParser("application/json");
    const members = createMemberRequests(app, findRun, runOf);
    app.addContentTypeParser(
      "application/json",
      { parseAs: "buffer" },
      async (request: FastifyRequest, body: Buffer) => {
        members.hold(request, body);
        return parseJsonBounded(body, body.length, "The body");
      },
    );
    app.addHook("onError", async (_request, _reply, error) => {
      if (error instanceof CotrainError) metrics.refused(error.code);
    });
    const blobServers = new Map(
      [...runs.values()].map(
        (run) => [run.runId, createBlobServer(run.modules.blobs, (bytes) => metrics.sent(bytes))] as const,
      ),
    );
    app.addHook("onClose", async () => {
      for (const server of blobServers.values()) await server.close();
    });

    app.get(
      routes.runs(),
      { schema: { summary: "Runs of this coordinator", response: { 200: RunList } } },
      async () => ({
        runs: [...runs.values()].map((run) => ({
          runId: run.runId,
          modelId: run.facts.modelId,
          phase: run.driver.state.phase,
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
      { schema: schemaOf("Verdicts about heads that are not settled", VerdictList) },
      async (request) => verdictList(runOf(request)),
    );
    app.get(
      routes.epochs(":runId"),
      { schema: schemaOf("Epochs and their attestations", EpochList) },
      async (request) => epochList(runOf(request)),
    );
    app.get(
      routes.reward(":runId", ":account"),
      {
        schema: schemaOf("What an account can claim", RewardView, {
          params: Type.Object({ runId: Hash32, account: ShownAddress }),
        }),
      },
      async (request) => rewardView(runOf(request), asAddress(paramOf(request, "account"))),
    );
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
        return blobServers.get(run.runId)?.send(request, reply, digest, asker);
      },
    });

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
        const gone = new AbortController();
        reply.raw.once("close", () => gone.abort());
        const release = run.presence.hold(worker);
        try {
          const { waitSeconds } = request.body as WorkRequest;
          return await awaitWork(run, worker, waitSeconds * 1_000, AbortSignal.any([gone.signal, modules.signal]));
        } finally {
          release();
        }
      },
    );
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
        return run.offences.watch(worker, () => acceptFragment(run, request, worker, digest));
      },
    );
    app.post(
      routes.receipts(":runId"),
      {
        bodyLimit: RECEIPT_BODY,
        ...members.hooks,
        schema: schemaOf("Submit a receipt", ReceiptReply, { body: ReceiptRequest }),
      },
      async (request) => {
        const run = runOf(request);
        const worker = members.of(request);
        const body = request.body as ReceiptRequest;
        if (Buffer.byteLength(canonicalJson(body.header)) > MAX_PAYLOAD_HEADER_BYTES) {
          throw new RefusedError("BODY_TOO_LARGE", `A payload's header has ${MAX_PAYLOAD_HEADER_BYTES} bytes at most.`);
        }
        return run.offences.watch(worker, () => acceptReceipt(run, worker, body));
      },
    );
    app.post(
      routes.verdicts(":runId"),
      { bodyLimit: SMALL_BODY, schema: schemaOf("Submit a verdict", Accepted, { body: SignedVerdict }) },
      async (request) => acceptVerdict(runOf(request), request.body as SignedVerdict, request.ip),
    );
    app.post(
      routes.attestations(":runId", ":epoch"),
      {
        bodyLimit: SMALL_BODY,
        schema: schemaOf("Attest an epoch", Accepted, {
          params: Type.Object({ runId: Hash32, epoch: Integer }),
          body: AttestationRequest,
        }),
      },
      async (request) =>
        acceptAttestation(
          runOf(request),
          Number(paramOf(request, "epoch")),
          request.body as AttestationRequest,
          request.ip,
        ),
    );
    app.post(
      routes.control(":runId"),
      { bodyLimit: SMALL_BODY, schema: schemaOf("Pause or resume", Accepted, { body: ControlRequest }) },
      async (request) => {
        const run = runOf(request);
        requireOperator(request);
        const { action } = request.body as ControlRequest;
        const type = action === "pause" ? "PauseRequested" : "ResumeRequested";
        try {
          await run.driver.submit({ type, by: "operator" });
        } catch (error) {
          // It is so already.
          if (!(error instanceof RefusedError) || error.code !== "OBSOLETE") throw error;
        }
        return { accepted: true };
      },
    );
  }

  /** Streams a fragment into the blob store, hashing on the way; nothing is kept of one that is not what it should be. */
  async function acceptFragment(
    run: Run,
    request: FastifyRequest,
    worker: Address,
    digest: Digest,
  ): Promise<FragmentReply> {
    const place = {
      worker,
      assignmentId: Number(paramOf(request, "assignmentId")),
      attempt: Number(paramOf(request, "attempt")),
      index: Number(paramOf(request, "index")),
    };
    const {
      driver,
      modules: { blobs },
    } = run;
    const refusal = workRefusal(driver.state, { ...place, round: null });
    if (refusal) throw new RefusedError(refusal.code, refusal.message);
    if (place.index >= fragmentCount(driver.state)) {
      throw new RefusedError(
        "WRONG_SHAPE",
        `There is no fragment ${place.index}; the run has ${fragmentCount(driver.state)}.`,
      );
    }
    const bytes = fragmentBytes(driver.state, place.index);
    const known = await blobs.has(digest);
    const stays = known && !(await run.projections.hasPayload(digest));
    // What a closed round's record calls missing stays missing: else whoever sends it later makes a forgery of the record.
    if (!known && (await run.projections.hasEarlierPayload(digest, driver.state.round)))
      throw new RefusedError("STALE_ROUND", `Fragment ${place.index} is of a payload whose round is over.`);
    driver.blobDisk.check();
    try {
      const stored = await blobs.put(readUpload(request, bytes), { digest, bytes });
      metrics.received(stored.bytes);
    } catch (error) {
      driver.blobDisk.report(error);
      throw uploadError(error, place.index, bytes);
    }
    try {
      await driver.submit({ type: "FragmentAccepted", ...place, digest, bytes, ...(stays && { stays }) });
    } catch (error) {
      const needed = known || (!run.lost.has(digest) && (await run.projections.hasPayload(digest)));
      if (!needed) await blobs.delete(digest);
      throw error;
    }
    run.lost.delete(digest);
    return { digest, bytes };
  }

  // Encapsulated: its parsers and serializer are its own.
  return async (app) => {
    await app.register((scope) => plugin(scope as unknown as HttpApp));
  };
}

/** The blob store's words in the API's. */
function uploadError(error: unknown, index: number, bytes: number): unknown {
  if (error instanceof CotrainError && error.code === "BODY_MISSING") return error;
  if (error instanceof BlobError && error.code === "BLOB_MISMATCH") {
    const short = error.message.includes("end at");
    return new RefusedError(
      short ? "WRONG_SHAPE" : "WRONG_DIGEST",
      short
        ? `Fragment ${index} has ${bytes} bytes; fewer arrived.`
        : `The bytes of fragment ${index} do not hash to the digest announced.`,
      { cause: error },
    );
  }
  const tooLarge =
    error instanceof CotrainError && (error.code === "BODY_TOO_LARGE" || error.code === "BLOB_TOO_LARGE");
  if (tooLarge)
    return new RefusedError("BODY_TOO_LARGE", `Fragment ${index} has ${bytes} bytes; more arrived.`, { cause: error });
  return error;
}
