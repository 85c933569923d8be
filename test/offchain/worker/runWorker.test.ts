import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { privateKeyToAccount } from "viem/accounts";

import {
  type Address,
  type Assignment,
  type Digest,
  digestOfJson,
  domainFor,
  fromWire,
  hashReceipt,
  outcomeCode,
  recoverSigner,
  runParamsFromWire,
} from "@cotrain/sdk/protocol";

import { createManualClock, systemClock } from "../../../offchain/src/base/index.ts";
import { type BlobStore, openBlobStore } from "../../../offchain/src/storage/index.ts";
import {
  openReceiptJournal,
  runWorker,
  type WorkerEnd,
  type WorkerEvent,
  type WorkerModules,
  type WorkerOptions,
} from "../../../offchain/src/worker/index.ts";
import { type CoordinatorDouble, type DoubleOptions, poster, startDouble } from "./coordinatorDouble.ts";
import { createPlainTrainer, plainSteps, type PlainTrainer, publishPlainRun, type RunFixture } from "./fixture.ts";

const account = privateKeyToAccount(`0x${"22".repeat(32)}`);
const worker = account.address.toLowerCase();

let directory: string;
let store: BlobStore;
let fixture: RunFixture;
let double: CoordinatorDouble;
let trainer: PlainTrainer;
let events: WorkerEvent[];
let stop: AbortController;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-worker-"));
  store = await openBlobStore(join(directory, "remote"));
  fixture = await publishPlainRun(store);
  trainer = createPlainTrainer();
  events = [];
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await double.close();
  await rm(directory, { recursive: true, force: true });
});

const start = async (options: Partial<DoubleOptions> = {}): Promise<void> => {
  double = await startDouble({ fixture, store, ...options });
};

function run(options: Partial<WorkerOptions> = {}, modules: Partial<WorkerModules> = {}): Promise<WorkerEnd> {
  return runWorker(
    {
      coordinator: double.url,
      directory: join(directory, "worker"),
      signal: stop.signal,
      backoff: { base: 20, maximum: 100 },
      patience: 2_000,
      grace: 2_000,
      ...options,
    },
    {
      account,
      onEvent: (event) => events.push(event),
      openTrainer: () => Promise.resolve(trainer),
      openData: () => Promise.resolve(plainSteps),
      ...modules,
    },
  );
}

/** Waits until something is so. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000; i++) {
    if (condition()) return;
    await systemClock.sleep(10);
  }
  expect.fail(`Never so: ${what}. Events: ${events.map((event) => JSON.stringify(event)).join("\n")}`);
}

async function journal() {
  const opened = await openReceiptJournal(join(directory, "worker", "receipts.sqlite"), systemClock);
  return Object.assign(opened, { [Symbol.asyncDispose]: () => opened.close() });
}

async function baseDigest(): Promise<Digest> {
  const response = await fetch(`${double.url}/v1/runs/${fixture.runId}`);
  return ((await response.json()) as { checkpoint: { digest: Digest } }).checkpoint.digest;
}

const of = <T extends WorkerEvent["type"]>(type: T): Extract<WorkerEvent, { type: T }>[] =>
  events.filter((event): event is Extract<WorkerEvent, { type: T }> => event.type === type);

describe("rounds", () => {
  test("works on assignment after assignment until it is dismissed", async () => {
    await start({ rounds: 10 });
    double.faults.dismissAfter = 3;
    const end = await run();
    expect(end).toEqual({ kind: "dismissed", reason: "The run is finished.", rounds: 3, tokens: 3 * 8 * 2 * 16 });
    expect(of("assigned").map(({ round, residual }) => [round, residual])).toEqual([
      [0, "none"],
      [1, "advanced"],
      [2, "advanced"],
    ]);
    expect(double.joins).toHaveLength(1);
    expect(double.left).toEqual([worker]);
  });

  test.each([3_600_000, -3_600_000])("times are those that passed when the clock is set by %i ms", async (step) => {
    trainer.pace = 20;
    await start({ rounds: 3 });
    double.faults.dismissAfter = 2;
    let set = 0;
    const working = run({}, { clock: { ...systemClock, now: () => Date.now() + set } });
    await until("it trains", () => trainer.step >= 2);
    set = step;
    await working;
    expect(of("acknowledged")).toHaveLength(2);
    for (const { times, tokensPerSecond } of of("acknowledged")) {
      for (const time of Object.values(times)) expect(time).toSatisfy((ms: number) => ms >= 0 && ms < 1_800_000);
      // 8 steps of 32 tokens in 20 ms each, or more.
      expect(tokensPerSecond).toBeGreaterThan(0.5);
      expect(tokensPerSecond).toBeLessThan(3_200);
    }
  });

  test("a receipt names the assignment, its base and the payload, and its signature is the worker's", async () => {
    await start();
    double.faults.dismissAfter = 1;
    const beneficiary = `0x${"be".repeat(20)}` as const;
    await run({ beneficiary });
    const [accepted] = double.receipts;
    const receipt = fromWire("Receipt", accepted!.receipt);
    const domain = domainFor(fixture.chainId, fixture.contracts.runRegistry);
    expect(await recoverSigner(domain, "Receipt", receipt, accepted!.signature)).toBe(worker);
    expect(receipt).toMatchObject({
      runId: fixture.runId,
      worker,
      beneficiary,
      assignment: digestOfJson(accepted!.assignment),
      baseDigest: accepted!.assignment.base,
      build: fixture.buildDigest,
      payloadDigest: digestOfJson(accepted!.header),
      leaves: 2,
      steps: 8,
    });
  });

  test("acknowledgements are kept as evidence, with the outcome when it is told", async () => {
    await start({ rounds: 3 });
    double.faults.dismissAfter = 2;
    await run();
    await using receipts = await journal();
    const rows = await receipts.list(fixture.runId);
    expect(rows.map(({ ack, outcome, receiptHash }) => [ack, outcome, receiptHash])).toEqual(
      double.receipts.map(({ reply, receipt }, i) => [
        reply,
        i === 0 ? 0 : null,
        hashReceipt(fromWire("Receipt", receipt)),
      ]),
    );
  });

  test("the residual advances when the outcome is 0 and goes back otherwise", async () => {
    await start({ rounds: 9 });
    double.faults.dismissAfter = 4;
    double.faults.outcome = outcomeCode.aggregated;
    const working = run();
    await until("round 1 is assigned", () => of("assigned").length >= 2);
    double.faults.outcome = outcomeCode.nonFinite;
    await working;
    // Two states are hashed per round: its start and its end, both with the residual of its start.
    const starts = trainer.residuals.filter((_, i) => i % 2 === 0);
    const zero = (i: number): boolean => starts[i]!.every((values) => values.every((value) => value === 0));
    expect(zero(0)).toBe(true);
    expect(zero(1)).toBe(false);
    const reverted = of("assigned").findIndex(({ residual }) => residual === "reverted");
    expect(reverted).toBeGreaterThan(1);
    expect(starts[reverted]).toBe(starts[reverted - 1]);
    expect(of("outcome").some(({ outcome }) => outcome === outcomeCode.nonFinite)).toBe(true);
  });

  test("heartbeats go on while it trains and tell how far it is", async () => {
    trainer.pace = 300;
    await start();
    double.faults.dismissAfter = 1;
    await run();
    const steps = double.beats.filter(({ round }) => round === 0).map(({ step }) => step);
    expect(steps.length).toBeGreaterThanOrEqual(1);
    expect(double.beats.some(({ step, loss }) => step > 0 && loss !== null)).toBe(true);
  });

  test("divergence drops the round and starts the optimizer afresh", async () => {
    await start({ rounds: 2 });
    trainer.diverge = true;
    const working = run();
    await until("the round is dropped", () => of("dropped").length > 0);
    expect(of("dropped")[0]!.code).toBe("TRAINING_DIVERGED");
    expect(trainer.resets).toBe(1);
    trainer.diverge = false;
    await double.closeRound();
    await until("the next one is acknowledged", () => of("acknowledged").length === 1);
    stop.abort();
    await working;
  });
});

describe("sessions", () => {
  test("a coordinator that forgot the session is joined again, and the same assignment goes on", async () => {
    trainer.pace = 30;
    await start();
    double.faults.dismissAfter = 1;
    const working = run();
    await until("it trains", () => trainer.step >= 3);
    double.forget();
    await working;
    expect(double.joins).toHaveLength(2);
    expect(of("joined").map(({ again }) => again)).toEqual([false, true]);
    expect(of("assigned")).toHaveLength(1);
    expect(double.receipts[0]!.assignment.attempt).toBe(1);
  });

  test("a coordinator that is down for a while gets the finished work when it is back", async () => {
    trainer.pace = 20;
    await start();
    double.faults.dismissAfter = 1;
    const working = run();
    await until("it trains", () => trainer.step >= 2);
    await double.down();
    await until("it is tried again", () => of("retrying").some(({ code }) => code === "UNREACHABLE"));
    expect(trainer.step).toBe(8);
    await double.up();
    expect((await working).rounds).toBe(1);
    expect(of("assigned")).toHaveLength(1);
    expect(double.joins).toHaveLength(2);
  });

  test("fragments that were acknowledged are not sent again", async () => {
    await start();
    double.faults.refuseReceipt = { status: 503, code: "BUSY" };
    double.faults.dismissAfter = 1;
    const working = run();
    await until("the receipt is tried again", () => of("retrying").length >= 2);
    double.faults.refuseReceipt = undefined;
    await working;
    expect(double.uploads.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 1]);
  });

  test("a coordinator that stays away at the start is told as something to try again", async () => {
    await start();
    await double.down();
    const { url } = double;
    await expect(run({ patience: 100 })).rejects.toMatchObject({
      code: "COORDINATOR_AWAY",
      retryable: true,
      message: `The coordinator at ${url} does not answer, and it was tried for 0 s: see whether ${url}/health answers from this machine, ask who runs it, and start the worker again when it does.`,
    });
    for (const tried of of("retrying")) expect(tried.patienceMs).toBe(100);
  });

  test.each([3_600_000, -3_600_000])(
    "a coordinator that stays away at the start is tried for as long when the clock is set by %i ms",
    async (step) => {
      await start();
      await double.down();
      const clock = createManualClock();
      const state = { ended: false };
      const working = run({ patience: 2_000 }, { clock }).finally(() => (state.ended = true));
      working.catch(() => undefined);
      await until("it is tried again", () => of("retrying").length > 0);
      clock.step(step);
      while (!state.ended && clock.monotonic() < 4_000) {
        await until("it waits or gave up", () => state.ended || clock.sleepers > 0);
        await clock.advance(10);
      }
      expect(state.ended).toBe(true);
      expect(clock.monotonic()).toBeGreaterThanOrEqual(2_000);
      await expect(working).rejects.toMatchObject({ code: "COORDINATOR_AWAY" });
    },
  );

  test("a stale attempt is dropped, and the worker goes on with the new one", async () => {
    trainer.pace = 20;
    await start();
    double.faults.dismissAfter = 1;
    const working = run();
    await until("it trains", () => trainer.step >= 2);
    double.reissue();
    await working;
    expect(of("dropped").map(({ code }) => code)).toEqual(["ATTEMPT_STALE"]);
    expect(of("assigned").map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(double.receipts[0]!.assignment.attempt).toBe(2);
  });

  // point 19
  test("superseded work is stopped in mid-training, as soon as the coordinator says so", async () => {
    trainer.pace = 400;
    await start();
    double.faults.dismissAfter = 1;
    const working = run();
    await until("it trains", () => trainer.step >= 1);
    double.reissue();
    await until("it is stopped", () => of("dropped").length === 1);
    expect(of("dropped")[0]).toMatchObject({ code: "SUPERSEDED" });
    expect(trainer.step).toBeLessThan(8);
    expect(double.uploads).toEqual([]);
    trainer.pace = 1;
    await working;
    expect(double.receipts.map(({ assignment }) => assignment.attempt)).toEqual([2]);
  });

  // point 19
  test("what is being sent goes on being sent, whatever heartbeats are answered, until its receiver decides", async () => {
    await start();
    double.faults.refuseReceipt = { status: 503, code: "BUSY" };
    double.faults.dismissAfter = 1;
    const working = run();
    const sendingBeats = (): number => double.beats.filter(({ uploading }) => uploading).length;
    await until("it says that it is sending", () => sendingBeats() >= 1);
    double.reissue();
    const before = sendingBeats();
    await until("it is told of another attempt, twice", () => sendingBeats() >= before + 2 || of("dropped").length > 0);
    expect(of("dropped")).toEqual([]);
    double.faults.refuseReceipt = undefined;
    await working;
    expect(of("dropped").map(({ code }) => code)).toEqual(["ATTEMPT_STALE"]);
  });

  test("a round that closes without the worker is abandoned in mid-training", async () => {
    trainer.pace = 500;
    await start({ rounds: 2 });
    double.faults.dismissAfter = 1;
    const working = run();
    await until("it trains", () => of("assigned").length === 1);
    await double.closeRound();
    await until("it is dropped", () => of("dropped").length === 1);
    expect(of("dropped")[0]!.code).toBe("ROUND_CLOSED");
    expect(trainer.step).toBeLessThan(8);
    trainer.pace = 1;
    await working;
    expect(of("assigned").map(({ round }) => round)).toEqual([0, 1]);
  });
});

/** The residual that each round began with. */
const starts = (): (readonly Float32Array[])[] => trainer.residuals.filter((_, i) => i % 2 === 0);
const isZero = (residual: readonly Float32Array[]): boolean => residual.every((part) => part.every((v) => v === 0));

// point 9
describe("a receipt that was accepted", () => {
  test("is settled by its hash when the reply comes later than a heartbeat that names the next round", async () => {
    await start({ rounds: 3 });
    const { promise: never, resolve: release } = Promise.withResolvers<void>();
    double.faults.beforeReply = () => never;
    const working = run();
    await until("the worker goes on without the reply", () => of("dropped").length === 1);
    expect(of("dropped")[0]).toMatchObject({ code: "UNANSWERED", round: 0 });
    double.faults.beforeReply = undefined;
    double.faults.dismissAfter = 2;
    const end = await working;
    release();
    expect(end).toMatchObject({ rounds: 2, tokens: 2 * 8 * 2 * 16 });
    expect(of("assigned").map(({ round, residual }) => [round, residual])).toEqual([
      [0, "none"],
      [1, "advanced"],
    ]);
    expect(starts().map(isZero)).toEqual([true, false]);
    expect(of("acknowledgedLate").map(({ round }) => round)).toEqual([0]);
    await using receipts = await journal();
    const [first] = await receipts.list(fixture.runId);
    expect(first).toMatchObject({ outcome: 0, ack: double.receipts[0]!.reply });
  });

  test("but not aggregated leaves the residual where it was, also when its reply was lost", async () => {
    await start({ rounds: 3 });
    const { promise: never, resolve: release } = Promise.withResolvers<void>();
    double.faults.beforeReply = () => never;
    double.faults.outcome = outcomeCode.nonFinite;
    double.faults.dismissAfter = 2;
    const working = run();
    await until("the worker goes on without the reply", () => of("dropped").length === 1);
    double.faults.beforeReply = undefined;
    await working;
    release();
    expect(of("assigned").map(({ residual }) => residual)).toEqual(["none", "reverted"]);
    expect(starts().map(isZero)).toEqual([true, true]);
    await using receipts = await journal();
    expect((await receipts.list(fixture.runId))[0]).toMatchObject({ outcome: outcomeCode.nonFinite });
  });

  test("by a coordinator that dies right after is acknowledged by the one that comes back", async () => {
    await start({ rounds: 3 });
    let killed: Promise<void> | undefined;
    double.faults.beforeReply = () => {
      killed ??= double.down();
      return new Promise(() => undefined);
    };
    double.faults.dismissAfter = 2;
    const working = run();
    await until("the coordinator is gone", () => killed !== undefined);
    await killed;
    double.faults.beforeReply = undefined;
    await double.up();
    expect(await working).toMatchObject({ rounds: 2 });
    expect(of("assigned").map(({ residual }) => residual)).toEqual(["none", "advanced"]);
    await using receipts = await journal();
    expect((await receipts.list(fixture.runId))[0]?.ack).toEqual(double.receipts[0]!.reply);
  });

  test("and never answered is known as accepted by the next worker process too", async () => {
    await start({ rounds: 3 });
    double.faults.beforeReply = () => new Promise(() => undefined);
    const first = run({ grace: 1 });
    await until("the receipt is accepted", () => double.receipts.length === 1);
    stop.abort();
    await first;
    double.faults.beforeReply = undefined;
    double.faults.dismissAfter = 2;
    stop = new AbortController();
    await run();
    await using receipts = await journal();
    expect((await receipts.list(fixture.runId))[0]).toMatchObject({ outcome: 0, ack: double.receipts[0]!.reply });
  });
});

describe("what it refuses", () => {
  test("wrong bytes of the base, after asking again", async () => {
    await start();
    const { fragments } = JSON.parse(new TextDecoder().decode(await store.get(await baseDigest()))) as {
      fragments: { digest: Digest }[];
    };
    // The part that is served is corrupted in its middle.
    double.faults.corrupt = fragments[0]!.digest;
    await expect(run()).rejects.toMatchObject({ code: "BLOB_MISMATCH", retryable: false });
    expect(double.receipts).toHaveLength(0);
  });

  test("wrong bytes of a program", async () => {
    await start();
    double.faults.corrupt = fixture.build.graphs.step as Digest;
    await expect(run()).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    expect(double.joins).toHaveLength(0);
  });

  test("data of which the manifest counts more than its shards hold", async () => {
    fixture = await publishPlainRun(store, 1_000);
    await start();
    // Who does not refuse them joins, and would go on for ever.
    const refused = run({}, { onEvent: ({ type }) => type === "joined" && stop.abort() });
    await expect(refused).rejects.toMatchObject({ code: "DATA_INVALID" });
    expect(double.joins).toHaveLength(0);
  });

  test("an acknowledgement of fewer tokens", async () => {
    await start();
    double.faults.bendAck = (ack) => ({ ...ack, tokens: ack.tokens - 1n });
    await expect(run()).rejects.toMatchObject({ code: "ACK_WRONG", retryable: false });
  });

  test("an acknowledgement that the poster did not sign", async () => {
    await start();
    double.faults.forgeAck = true;
    await expect(run()).rejects.toMatchObject({ code: "ACK_SIGNER" });
  });

  test("a run that does not fit into memory, before anything large is fetched", async () => {
    await start();
    const surroundings = { availableMemory: () => 1_000, freeDisk: () => Promise.resolve(1e12) };
    const refused = run({}, { surroundings });
    await expect(refused).rejects.toMatchObject({ code: "MEMORY_SHORT" });
    await expect(refused).rejects.toThrow(/needs about .* of memory/);
  });

  test.each<[string, Partial<Assignment>, string, RegExp]>([
    [
      "of more steps than its round has",
      { steps: 2 ** 30, ranges: [{ start: 0, count: 2 ** 31 }] },
      "ASSIGNMENT_UNFIT",
      /has 1073741824 steps; its round has 8/,
    ],
    ["at another learning rate", { innerLrPpb: 4_290_000_000 }, "ASSIGNMENT_UNFIT", /learning rate of 4290000000 ppb/],
    ["of another codec", { codec: 0 }, "ASSIGNMENT_UNFIT", /has codec 0; the run's is 1/],
    ["at another place of the schedule", { globalStep: 8 }, "CHECKPOINT_FOREIGN", /is of inner step 0, not 8/],
  ])("an assignment %s", async (_name, change, code, words) => {
    await start();
    double.faults.bendAssignment = (assignment) => ({ ...assignment, ...change });
    await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  });

  test("an assignment that nobody can hold, under parameters that the coordinator makes up", async () => {
    await start({ steps: 2 ** 30 });
    await expect(run()).rejects.toMatchObject({
      code: "ASSIGNMENT_UNFIT",
      message: expect.stringMatching(/token ids; 268435456 at most can be held/),
    });
  });

  test("an assignment under parameters that nobody tells, without ending over it", async () => {
    await start();
    double.faults.bendAssignment = (assignment) => ({ ...assignment, paramsVersion: 2 });
    const working = run();
    await until("it waits", () => of("waiting").some(({ reason }) => /does not tell the parameters 2/.test(reason)));
    double.faults.bendAssignment = undefined;
    await double.closeRound();
    double.rounds = 2;
    double.faults.dismissAfter = 1;
    expect((await working).rounds).toBe(1);
  });

  test("an assignment under parameters that are not the chain's", async () => {
    await start({ steps: 64 });
    const chain: NonNullable<WorkerModules["chain"]> = {
      run: () => Promise.resolve({ definition: fixture.definitionDigest }),
      isAdmitted: () => Promise.resolve(true),
      postersOf: () => Promise.resolve([poster.address.toLowerCase() as Address]),
      paramsOf: () => Promise.resolve(runParamsFromWire(fixture.params)),
    };
    await expect(run({}, { chain })).rejects.toMatchObject({
      code: "ASSIGNMENT_UNFIT",
      message: expect.stringMatching(/has 64 steps; its round has 8/),
    });
  });

  test("a definition that the chain does not record", async () => {
    await start();
    const chain: NonNullable<WorkerModules["chain"]> = {
      run: () => Promise.resolve({ definition: fixture.buildDigest }),
      isAdmitted: () => Promise.resolve(true),
      postersOf: () => Promise.resolve([]),
      paramsOf: () => Promise.resolve(runParamsFromWire(fixture.params)),
    };
    await expect(run({}, { chain })).rejects.toMatchObject({ code: "RUN_FOREIGN" });
  });

  test("a receipt that the coordinator refuses for good does not end the worker", async () => {
    await start({ rounds: 2 });
    double.faults.refuseReceipt = { status: 422, code: "PAYLOAD_MALFORMED" };
    const working = run();
    await until("it is dropped", () => of("dropped").length === 1);
    expect(of("dropped")[0]!.code).toBe("PAYLOAD_MALFORMED");
    double.faults.refuseReceipt = undefined;
    double.faults.dismissAfter = 1;
    await double.closeRound();
    expect((await working).rounds).toBe(1);
  });
});

describe("a refused join", () => {
  test("of a finished run ends the worker as if it had been told to leave", async () => {
    await start();
    double.faults.refuseJoin = { status: 410, code: "RUN_FINISHED" };
    expect(await run()).toMatchObject({ kind: "dismissed", rounds: 0 });
  });

  test("for a reason that the user must correct is thrown", async () => {
    await start();
    double.faults.refuseJoin = { status: 400, code: "PROTOCOL_VERSION" };
    await expect(run()).rejects.toMatchObject({ code: "PROTOCOL_VERSION", retryable: false });
  });

  test("of a full run is tried again", async () => {
    await start();
    double.faults.dismissAfter = 1;
    double.faults.refuseJoin = { status: 503, code: "RUN_FULL" };
    const working = run();
    await until("it is tried again", () => of("retrying").some(({ code }) => code === "RUN_FULL"));
    double.faults.refuseJoin = undefined;
    expect((await working).rounds).toBe(1);
  });
});

describe("stopping", () => {
  test("does not wait for an upload that hangs", async () => {
    await start();
    double.faults.hangUploads = true;
    const working = run({ grace: 50 });
    await until("an upload hangs", () => double.hanging.length > 0);
    stop.abort();
    expect(await working).toMatchObject({ kind: "stopped", rounds: 0 });
    expect(double.left).toEqual([worker]);
  });

  test("in mid-training the assignment is abandoned and the coordinator told", async () => {
    trainer.pace = 50;
    await start();
    const working = run();
    await until("it trains", () => trainer.step >= 2);
    stop.abort();
    expect(await working).toMatchObject({ kind: "stopped", rounds: 0 });
    expect(double.left).toEqual([worker]);
    expect(double.receipts).toHaveLength(0);
    expect(trainer.step).toBeLessThan(8);
  });

  test("a round that only has to be submitted is submitted first", async () => {
    await start();
    double.faults.refuseReceipt = { status: 503, code: "BUSY" };
    const working = run();
    await until("the receipt is tried again", () => of("retrying").length >= 1);
    stop.abort();
    double.faults.refuseReceipt = undefined;
    expect(await working).toMatchObject({ kind: "stopped", rounds: 1 });
    expect(double.left).toEqual([worker]);
  });

  test("while it waits for work", async () => {
    await start({ rounds: 0 });
    const working = run();
    await until("it waits", () => of("joined").length === 1);
    stop.abort();
    expect(await working).toMatchObject({ kind: "stopped", rounds: 0 });
  });

  test("while the coordinator is away", async () => {
    await start({ rounds: 0 });
    const working = run();
    await until("it waits", () => of("joined").length === 1);
    await double.down();
    await until("it is tried again", () => of("retrying").length >= 1);
    stop.abort();
    expect(await working).toMatchObject({ kind: "stopped" });
  });
});
