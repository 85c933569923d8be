/**
 * A coordinator at the HTTP boundary for tests of the worker: the protocol's routes and schemas over plain variables, with
 * switches for everything that can go wrong. It reduces by plain averaging, so that rounds go on.
 */
import { randomBytes } from "node:crypto";

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

import {
  type Ack,
  type Address,
  type Assignment,
  type Build,
  type Digest,
  digestOfCid,
  digestOfJson,
  domainFor,
  fromWire,
  hashReceipt,
  Heartbeat,
  type Hex,
  JoinRequest,
  parseDocument,
  type ReceiptReply,
  ReceiptRequest,
  recoverSigner,
  routes,
  type RunView,
  sessionHeaders,
  toWire,
  typedDataOf,
  verifySessionMac,
  type WorkReply,
  WorkRequest,
  outcomeCode,
} from "@cotrain/sdk/protocol";

import { sha256Bytes, systemClock } from "../../../offchain/src/base/index.ts";
import { reduceFragment, sourceOf } from "../../../offchain/src/diloco/index.ts";
import type { BlobStore, FragmentState } from "../../../offchain/src/storage/index.ts";
import { writeCheckpoint } from "../storage/checkpoints.ts";
import type { RunFixture } from "./fixture.ts";

export const poster: PrivateKeyAccount = privateKeyToAccount(`0x${"11".repeat(32)}`);
const lower = (address: string): Address => address.toLowerCase() as Address;

/** A receipt that was accepted. */
interface AcceptedReceipt extends ReceiptRequest {
  readonly assignment: Assignment;
  readonly payloads: readonly Uint8Array[];
  readonly reply: ReceiptReply;
}

/** What goes wrong; a test sets and clears these. */
interface Faults {
  /** Refuses receipts with this status and code. */
  refuseReceipt?: { status: number; code: string } | undefined;
  /** Refuses fragments likewise. */
  refuseUpload?: { status: number; code: string } | undefined;
  /** Refuses joins likewise. */
  refuseJoin?: { status: number; code: string } | undefined;
  /** Lets uploads wait for ever. */
  hangUploads?: boolean;
  /** An upload's answer waits for it: a slow link. */
  beforeUploaded?: (() => Promise<void>) | undefined;
  /** Called when a receipt is accepted and its round is over; the reply waits for it, or never comes when it rejects. */
  beforeReply?: (() => Promise<void>) | undefined;
  /** Changes the acknowledgement before it is signed. */
  bendAck?: (ack: Ack) => Ack;
  /** The run's poster from now on. */
  poster?: PrivateKeyAccount;
  /** Loses the fragments that it has when a receipt that names them comes, once. */
  losePayloads?: boolean;
  /** Signs with another key. */
  forgeAck?: boolean;
  /** Flips a bit of this blob. */
  corrupt?: Digest | undefined;
  /** Changes what is assigned. */
  bendAssignment?: ((assignment: Assignment) => Assignment) | undefined;
  /** Outcome told for the next receipts. */
  outcome?: number;
  /** Ms for which the round still waits, as heartbeats are told. */
  left?: number;
  /** Ms until a part of the work counts; default 0. */
  partIn?: number;
  /** Steps after which nothing more is offered, told as `leave`. */
  dismissAfter?: number;
}

export interface CoordinatorDouble {
  readonly url: string;
  readonly faults: Faults;
  readonly receipts: AcceptedReceipt[];
  readonly joins: {
    readonly worker: Address;
    readonly at: number;
    readonly stepMicros: number | undefined;
    readonly claim: boolean | undefined;
  }[];
  readonly beats: Heartbeat[];
  readonly left: Address[];
  /** Fragments whose upload hangs. */
  readonly hanging: number[];
  /** PUTs of fragments that were answered. */
  readonly uploads: { readonly assignmentId: number; readonly attempt: number; readonly index: number }[];
  readonly assignments: Assignment[];
  /** θ after the last closed round, by fragment. */
  readonly states: readonly FragmentState[];
  /** Rounds that are offered: the worker waits after this many. */
  rounds: number;
  /** Takes the open assignment away: its attempt rises. */
  reissue(): void;
  /** Closes the open round without the worker. */
  closeRound(): Promise<void>;
  /** Takes the run back to the first checkpoint. */
  back(): Promise<void>;
  /** From now on the run admits this build alone, by whose batch work is dealt. */
  admit(build: Build, digest: Digest): void;
  /** Forgets all sessions. */
  forget(): void;
  /** Stops listening, as a process that died, with its sessions. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  close(): Promise<void>;
}

export interface DoubleOptions {
  readonly fixture: RunFixture;
  readonly store: BlobStore;
  readonly steps?: number;
  readonly codec?: number;
  readonly rounds?: number;
  readonly heartbeatSeconds?: number;
  /** Default: the fixture's. */
  readonly builds?: readonly Digest[];
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(`Refused: ${code}.`);
    this.status = status;
    this.code = code;
  }
}

const jsonOf = (request: FastifyRequest): unknown => JSON.parse((request.body as Buffer).toString()) as unknown;

export async function startDouble(options: DoubleOptions): Promise<CoordinatorDouble> {
  const { fixture, store } = options;
  const { runId, definition } = fixture;
  const codec = options.codec ?? 1;
  const steps = options.steps ?? 8;
  const domain = domainFor(fixture.chainId, fixture.contracts.runRegistry);
  const receipts: AcceptedReceipt[] = [];
  const joins: CoordinatorDouble["joins"] = [];
  const beats: Heartbeat[] = [];
  const left: Address[] = [];
  const hanging: number[] = [];
  const uploads: { assignmentId: number; attempt: number; index: number }[] = [];
  const assignments: Assignment[] = [];
  const payloads = new Map<string, Uint8Array>();
  const sessions = new Map<Address, { key: Hex; counter: number }>();
  const faults: Faults = {};
  const ended = new AbortController();
  let states: FragmentState[] = fixture.initial;
  let rounds = options.rounds ?? 1;
  let admitted = { build: fixture.build, builds: options.builds ?? [fixture.buildDigest] };
  let round = 0;
  let current: Assignment | undefined;
  let nextId = 1;
  let globalStep = 0;
  let position = 0;
  let lastOutcome: Extract<WorkReply, { kind: "train" }>["lastOutcome"] = null;
  let waiters: (() => void)[] = [];
  let app: FastifyInstance | undefined;
  let port = 0;
  /** Done when no receipt is being accepted and no round closed: one after the other is. */
  let accepted: Promise<unknown> = Promise.resolve();
  const wake = (): void => {
    for (const waiter of waiters.splice(0)) waiter();
  };

  async function checkpoint(): Promise<Digest> {
    const { digest } = await writeCheckpoint(store, definition.table, states, {
      runId,
      round,
      step: globalStep,
      tokens: "0",
      paramsVersion: 1,
      parent: null,
      receipts: null,
      screening: null,
    });
    return digest;
  }
  let base = await checkpoint();

  function assign(worker: Address): Assignment {
    if (current) return current;
    current = {
      version: 1,
      runId,
      round,
      worker,
      assignmentId: nextId++,
      attempt: 1,
      steps,
      batch: admitted.build.microBatch,
      sequence: definition.sequence,
      ranges: [{ start: position, count: steps * admitted.build.microBatch }],
      seed: `0x${"5e".repeat(32)}`,
      base,
      paramsVersion: 1,
      globalStep,
      innerLrPpb: fixture.params.innerLrPpb,
      codec,
    };
    current = faults.bendAssignment?.(current) ?? current;
    assignments.push(current);
    return current;
  }

  async function closeRound(accepted: AcceptedReceipt | undefined): Promise<void> {
    const outcome = faults.outcome ?? outcomeCode.aggregated;
    if (accepted) {
      lastOutcome = { round, receiptHash: hashReceipt(fromWire("Receipt", accepted.receipt)), outcome };
      position += accepted.receipt.steps * accepted.assignment.batch;
      globalStep += steps;
      if (outcome === 0) {
        states = await Promise.all(
          states.map((state, f) =>
            reduceFragment({
              state,
              payloads: [
                { worker: accepted.receipt.worker, tokens: 1, steps: 1, source: sourceOf(accepted.payloads[f]!) },
              ],
              rules: { ...fixture.params, codec, outerLrPpm: 1_000_000, outerMomentumPpm: 0 },
              round,
            }),
          ),
        );
      }
    }
    round += 1;
    base = await checkpoint();
    current = undefined;
    wake();
  }

  const view = (): RunView => ({
    runId,
    modelId: fixture.modelId,
    chainId: fixture.chainId,
    contracts: { ...fixture.contracts, ...fixture.modelContracts },
    rpcUrl: null,
    deployment: { profile: "local", blocks: {} },
    definition: fixture.definitionDigest,
    builds: [...admitted.builds],
    poster: (faults.poster ?? poster).address,
    phase: "Training",
    round,
    step: globalStep,
    tokens: "0",
    paramsVersion: 1,
    params: { ...fixture.params, innerSteps: steps, codec },
    checkpoint: { round, digest: base },
    anchored: null,
    current: null,
    members: [],
    accepted: { workers: 0, tokens: "0" },
    loss: { train: null, heldOut: null, heldOutFirst: null },
    tokensPerSecond: 0,
    traffic: { up: 0, down: 0, synchronous: 0, ring: 0 },
    kept: { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 },
  });

  async function member(request: FastifyRequest): Promise<Address> {
    const worker = lower(String(request.headers[sessionHeaders.worker]));
    const session = sessions.get(worker);
    if (!session) throw new Refusal(401, "SESSION_UNKNOWN");
    const counter = Number(request.headers[sessionHeaders.counter]);
    const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
    const input = { method: request.method, path: request.url, body: sha256Bytes(body), counter };
    if (!(await verifySessionMac(session.key, input, String(request.headers[sessionHeaders.mac])))) {
      throw new Refusal(401, "MAC_INVALID");
    }
    session.counter = counter;
    return worker;
  }

  /** Accepts a receipt, which closes its round: whoever sees it among `receipts` sees the round closed. */
  async function accept(worker: Address, body: ReceiptRequest): Promise<{ reply: ReceiptReply; known: boolean }> {
    const receipt = fromWire("Receipt", body.receipt);
    const known = receipts.find((other) => other.signature === body.signature);
    if (known) return { reply: known.reply, known: true };
    const assignment = current;
    if (!assignment || receipt.attempt !== assignment.attempt || receipt.assignment !== digestOfJson(assignment)) {
      throw new Refusal(409, "ATTEMPT_STALE");
    }
    if ((await recoverSigner(domain, "Receipt", receipt, body.signature)) !== worker) {
      throw new Refusal(403, "RECEIPT_SIGNATURE");
    }
    const { assignmentId, attempt } = assignment;
    if (faults.losePayloads) payloads.clear();
    faults.losePayloads = false;
    const parts = body.header.fragments.map(({ index, digest }) => {
      const bytes = payloads.get(`${assignmentId}/${attempt}/${index}`);
      if (!bytes || sha256Bytes(bytes) !== digest) throw new Refusal(409, "FRAGMENT_MISSING");
      return bytes;
    });
    const honest: Ack = {
      runId,
      round: BigInt(assignment.round),
      worker,
      receiptHash: hashReceipt(receipt),
      tokens: BigInt(receipt.steps * assignment.batch * assignment.sequence),
      acceptedAt: BigInt(Date.now()),
    };
    const ack = faults.bendAck?.(honest) ?? honest;
    const signer = faults.forgeAck ? privateKeyToAccount(`0x${"99".repeat(32)}`) : (faults.poster ?? poster);
    const signature = await signer.signTypedData(typedDataOf(domain, "Ack", ack));
    const reply = { ack: toWire("Ack", ack), signature };
    const entry = { ...body, assignment, payloads: parts, reply };
    await closeRound(entry);
    receipts.push(entry);
    return { reply, known: false };
  }

  async function listen(): Promise<void> {
    app = Fastify({ forceCloseConnections: true, bodyLimit: 64 << 20 });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => done(null, body));
    app.setErrorHandler((error, _request, reply) => {
      const refusal = error instanceof Refusal ? error : undefined;
      if (!refusal) throw error;
      return reply.status(refusal.status).send({ error: { code: refusal.code, message: refusal.message } });
    });
    app.get(routes.runs(), () => ({ runs: [{ runId, modelId: fixture.modelId, phase: "Training" }] }));
    app.get(routes.run(":runId"), view);
    app.post(routes.join(":runId"), async (request) => {
      if (faults.refuseJoin) throw new Refusal(faults.refuseJoin.status, faults.refuseJoin.code);
      const { join, signature, stepMicros, claim } = parseDocument("join", JoinRequest, jsonOf(request));
      const signer = await recoverSigner(domain, "Join", fromWire("Join", join), signature);
      if (signer !== join.worker) throw new Refusal(403, "JOIN_SIGNATURE");
      if (joins.some((known) => known.worker === signer && known.at >= Number(join.issuedAt))) {
        throw new Refusal(403, "JOIN_STALE");
      }
      joins.push({ worker: signer, at: Number(join.issuedAt), stepMicros, claim });
      const key: Hex = `0x${randomBytes(32).toString("hex")}`;
      sessions.set(signer, { key, counter: 0 });
      return { sessionKey: key, protocol: 1, heartbeatSeconds: options.heartbeatSeconds ?? 1 };
    });
    app.post(routes.leave(":runId"), async (request) => {
      left.push(await member(request));
      return { accepted: true };
    });
    app.post(routes.heartbeat(":runId"), async (request) => {
      await member(request);
      beats.push(parseDocument("heartbeat", Heartbeat, jsonOf(request)));
      const { left = null, partIn = left === null ? null : 0 } = faults;
      const work = current ? { assignmentId: current.assignmentId, attempt: current.attempt, left, partIn } : null;
      return { round, phase: "Training", work };
    });
    app.post(routes.work(":runId"), async (request): Promise<WorkReply> => {
      const worker = await member(request);
      const { waitSeconds } = parseDocument("work", WorkRequest, jsonOf(request));
      await accepted;
      if (faults.dismissAfter !== undefined && receipts.length >= faults.dismissAfter) {
        return { kind: "leave", reason: "The run is finished." };
      }
      if (round >= rounds) {
        await Promise.race([
          new Promise<void>((resolve) => waiters.push(resolve)),
          systemClock.sleep(Math.min(waitSeconds * 1_000, 500)),
        ]);
      }
      if (round >= rounds) return { kind: "wait", reason: "The next round has not begun." };
      return { kind: "train", assignment: assign(worker), deadline: Date.now() + 60_000, lastOutcome };
    });
    app.put(routes.fragment(":runId", ":assignmentId", ":attempt", ":index"), async (request) => {
      await member(request);
      const { assignmentId, attempt, index } = request.params as Record<string, string>;
      if (Number(attempt) !== current?.attempt || Number(assignmentId) !== current.assignmentId) {
        throw new Refusal(409, "ATTEMPT_STALE");
      }
      if (faults.refuseUpload) throw new Refusal(faults.refuseUpload.status, faults.refuseUpload.code);
      if (faults.hangUploads) {
        hanging.push(Number(index));
        await systemClock.sleep(3_600_000, ended.signal).catch(() => undefined);
      }
      await faults.beforeUploaded?.();
      const bytes = request.body as Buffer;
      payloads.set(`${assignmentId}/${attempt}/${index}`, new Uint8Array(bytes));
      uploads.push({ assignmentId: Number(assignmentId), attempt: Number(attempt), index: Number(index) });
      return { digest: sha256Bytes(bytes), bytes: bytes.length };
    });
    app.post(routes.receipts(":runId"), async (request): Promise<ReceiptReply> => {
      const worker = await member(request);
      if (faults.refuseReceipt) throw new Refusal(faults.refuseReceipt.status, faults.refuseReceipt.code);
      const body = parseDocument("receipt", ReceiptRequest, jsonOf(request));
      const accepting = accepted.then(() => accept(worker, body));
      accepted = accepting.catch(() => undefined);
      const { reply, known } = await accepting;
      if (!known) await faults.beforeReply?.();
      return reply;
    });
    app.get(routes.blob(":runId", ":cid"), async (request, reply: FastifyReply) => {
      const digest = digestOfCid((request.params as { cid: string }).cid);
      if (!(await store.has(digest))) throw new Refusal(404, "BLOB_NOT_FOUND");
      const bytes = await store.get(digest);
      if (faults.corrupt === digest) bytes[bytes.length >> 1]! ^= 1;
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
      if (!range) return reply.type("application/octet-stream").send(Buffer.from(bytes));
      const [from, to] = [Number(range[1]), Number(range[2])];
      return reply
        .status(206)
        .header("content-range", `bytes ${from}-${to}/${bytes.length}`)
        .type("application/octet-stream")
        .send(Buffer.from(bytes.subarray(from, to + 1)));
    });
    await app.listen({ host: "127.0.0.1", port });
    const address = app.server.address();
    if (address !== null && typeof address === "object") port = address.port;
  }
  await listen();

  const double: CoordinatorDouble = {
    url: `http://127.0.0.1:${port}`,
    faults,
    receipts,
    joins,
    beats,
    left,
    hanging,
    uploads,
    assignments,
    get states() {
      return states;
    },
    get rounds() {
      return rounds;
    },
    set rounds(value) {
      rounds = value;
      wake();
    },
    reissue: () => {
      if (current) current = { ...current, attempt: current.attempt + 1 };
      if (current) assignments.push(current);
    },
    closeRound: async () => {
      const closing = accepted.then(() => closeRound(undefined));
      accepted = closing.catch(() => undefined);
      await closing;
    },
    back: async () => {
      [round, globalStep, states, lastOutcome] = [0, 0, fixture.initial, null];
      base = await checkpoint();
      current = undefined;
      wake();
    },
    admit: (build, digest) => {
      admitted = { build, builds: [digest] };
    },
    forget: () => sessions.clear(),
    down: async () => {
      sessions.clear();
      wake();
      await app?.close();
    },
    up: listen,
    close: async () => {
      ended.abort();
      wake();
      await app?.close();
    },
  };
  return double;
}
