import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

import Sqlite from "better-sqlite3";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, test } from "vitest";

import { outcomeCode } from "@cotrain/sdk/protocol";

import { putDocument } from "../../../offchain/src/storage/index.ts";
import { createManualClock } from "../manualClock.ts";
import { beforeAndAfterEach, journal, of, run, start, until, w } from "./workerHarness.ts";

beforeAndAfterEach();

/** Heartbeats that said that a payload is being sent. */
const sendingBeats = (): number => w.double.beats.filter(({ uploading }) => uploading).length;

/** A worker that ends after one round, in the midst of its training. @param pace ms a step */
async function training(pace: number, steps: number): Promise<{ readonly working: ReturnType<typeof run> }> {
  w.trainer.pace = pace;
  await start();
  w.double.faults.dismissAfter = 1;
  const working = run();
  await until("it trains", () => w.trainer.step >= steps);
  return { working };
}

describe("sessions", () => {
  test("a coordinator that forgot the session is joined again, and the same assignment goes on", async () => {
    const { working } = await training(30, 3);
    w.double.forget();
    await working;
    expect(w.double.joins).toHaveLength(2);
    expect(of("joined").map(({ again }) => again)).toEqual([false, true]);
    expect(of("assigned")).toHaveLength(1);
    expect(w.double.receipts[0]!.assignment.attempt).toBe(1);
  });

  test("a coordinator that is down for a while gets the finished work when it is back", async () => {
    const { working } = await training(20, 2);
    await w.double.down();
    await until("it is tried again", () => of("retrying").some(({ code }) => code === "UNREACHABLE"));
    expect(w.trainer.step).toBe(8);
    await w.double.up();
    expect((await working).rounds).toBe(1);
    expect(of("assigned")).toHaveLength(1);
    expect(w.double.joins).toHaveLength(2);
  });

  test("fragments that were acknowledged are not sent again", async () => {
    await start();
    w.double.faults.refuseReceipt = { status: 503, code: "BUSY" };
    w.double.faults.dismissAfter = 1;
    const working = run();
    await until("the receipt is tried again", () => of("retrying").length >= 2);
    w.double.faults.refuseReceipt = undefined;
    await working;
    expect(w.double.uploads.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 1]);
  });

  // foundation 19
  test("fragments that the coordinator lost before it had their receipt are sent once more", async () => {
    await start();
    Object.assign(w.double.faults, { losePayloads: true, dismissAfter: 1 });
    const working = run();
    await until("the receipt is accepted, or given up", () => of("dropped").length + w.double.receipts.length > 0);
    expect(of("dropped")).toEqual([]);
    expect(await working).toMatchObject({ rounds: 1 });
    expect(w.double.uploads.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 0, 1, 1]);
    expect(of("sending")).toHaveLength(2);
  });

  // foundation 9
  test("a poster that changes between two rounds is asked for when its acknowledgement comes", async () => {
    await start({ rounds: 2 });
    const next = privateKeyToAccount(`0x${"33".repeat(32)}`);
    w.double.faults.beforeReply = () => {
      w.double.faults.poster = next;
      return Promise.resolve();
    };
    w.double.faults.dismissAfter = 2;
    expect(await run()).toMatchObject({ kind: "dismissed", rounds: 2 });
    await using receipts = await journal();
    const kept = await receipts.list(w.fixture.runId);
    expect(kept.map(({ ack }) => ack)).toEqual(w.double.receipts.map(({ reply }) => reply));
  });

  test("a coordinator that stays away at the start is told as something to try again", async () => {
    await start();
    await w.double.down();
    const { url } = w.double;
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
      await w.double.down();
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
    const { working } = await training(20, 2);
    w.double.reissue();
    await working;
    expect(of("dropped").map(({ code }) => code)).toEqual(["ATTEMPT_STALE"]);
    expect(of("assigned").map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(w.double.receipts[0]!.assignment.attempt).toBe(2);
  });

  // foundation 19
  test("superseded work is stopped in mid-training, as soon as the coordinator says so", async () => {
    const { working } = await training(400, 1);
    w.double.reissue();
    await until("it is stopped", () => of("dropped").length === 1);
    expect(of("dropped")[0]).toMatchObject({ code: "SUPERSEDED" });
    expect(w.trainer.step).toBeLessThan(8);
    expect(w.double.uploads).toEqual([]);
    w.trainer.pace = 1;
    await working;
    expect(w.double.receipts.map(({ assignment }) => assignment.attempt)).toEqual([2]);
  });

  // foundation 19
  test("what is being sent goes on being sent, whatever heartbeats are answered, until its receiver decides", async () => {
    await start();
    w.double.faults.refuseReceipt = { status: 503, code: "BUSY" };
    w.double.faults.dismissAfter = 1;
    const working = run();
    await until("it says that it is sending", () => sendingBeats() >= 1);
    w.double.reissue();
    const before = sendingBeats();
    await until("it is told of another attempt, twice", () => sendingBeats() >= before + 2 || of("dropped").length > 0);
    expect(of("dropped")).toEqual([]);
    w.double.faults.refuseReceipt = undefined;
    await working;
    expect(of("dropped").map(({ code }) => code)).toEqual(["ATTEMPT_STALE"]);
  });

  test("a round that closes without the worker is abandoned in mid-training", async () => {
    w.trainer.pace = 500;
    await start({ rounds: 2 });
    w.double.faults.dismissAfter = 1;
    const working = run();
    await until("it trains", () => of("assigned").length === 1);
    await w.double.closeRound();
    await until("it is dropped", () => of("dropped").length === 1);
    expect(of("dropped")[0]!.code).toBe("ROUND_CLOSED");
    expect(w.trainer.step).toBeLessThan(8);
    w.trainer.pace = 1;
    await working;
    expect(of("assigned").map(({ round }) => round)).toEqual([0, 1]);
  });
});

/** The residual that each round began with. */
const starts = (): (readonly Float32Array[])[] => w.trainer.residuals.filter((_, i) => i % 2 === 0);
const isZero = (residual: readonly Float32Array[]): boolean => residual.every((part) => part.every((v) => v === 0));

/** A worker whose receipt is accepted and never answered, and that ends. */
async function unanswered(): Promise<void> {
  await start({ rounds: 3 });
  w.double.faults.beforeReply = () => new Promise(() => undefined);
  const first = run({ grace: 1 });
  await until("the receipt is accepted", () => w.double.receipts.length === 1);
  w.stop.abort();
  await first;
  w.double.faults.beforeReply = undefined;
  w.double.faults.dismissAfter = 2;
  w.stop = new AbortController();
}

/** As a worker left it that did not keep what its receipts stand for. */
function forgetTokens(): void {
  const database = new Sqlite(join(w.directory, "worker", "receipts.sqlite"));
  database.exec("alter table receipts drop column tokens; delete from schema_migrations where name = 'receipts-2'");
  database.close();
}

/** The worker is to stop when it sends a receipt again. */
const stopsAtLastAsking: typeof fetch = (input, init) => {
  if (new URL(input).pathname.endsWith("/receipts") && of("dropped").length === 1) w.stop.abort();
  return fetch(input, init);
};

/** The build that it names is to be had nowhere. */
async function loseBuild(): Promise<void> {
  await w.store.delete(w.fixture.buildDigest);
  await rm(join(w.directory, "worker", "blobs"), { recursive: true });
}

// foundation 9

describe("a receipt that was accepted", () => {
  test("is settled by its hash when the reply comes later than a heartbeat that names the next round", async () => {
    await start({ rounds: 3 });
    const { promise: never, resolve: release } = Promise.withResolvers<void>();
    w.double.faults.beforeReply = () => never;
    const working = run();
    await until("the worker goes on without the reply", () => of("dropped").length === 1);
    expect(of("dropped")[0]).toMatchObject({ code: "UNANSWERED", round: 0 });
    w.double.faults.beforeReply = undefined;
    w.double.faults.dismissAfter = 2;
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
    const [first] = await receipts.list(w.fixture.runId);
    expect(first).toMatchObject({ outcome: 0, ack: w.double.receipts[0]!.reply });
  });

  test("but not aggregated leaves the residual where it was, also when its reply was lost", async () => {
    await start({ rounds: 3 });
    const { promise: never, resolve: release } = Promise.withResolvers<void>();
    w.double.faults.beforeReply = () => never;
    w.double.faults.outcome = outcomeCode.nonFinite;
    w.double.faults.dismissAfter = 2;
    const working = run();
    await until("the worker goes on without the reply", () => of("dropped").length === 1);
    w.double.faults.beforeReply = undefined;
    await working;
    release();
    expect(of("assigned").map(({ residual }) => residual)).toEqual(["none", "reverted"]);
    expect(starts().map(isZero)).toEqual([true, true]);
    await using receipts = await journal();
    expect((await receipts.list(w.fixture.runId))[0]).toMatchObject({ outcome: outcomeCode.nonFinite });
  });

  test("by a coordinator that dies right after is acknowledged by the one that comes back", async () => {
    await start({ rounds: 3 });
    let killed: Promise<void> | undefined;
    w.double.faults.beforeReply = () => {
      killed ??= w.double.down();
      return new Promise(() => undefined);
    };
    w.double.faults.dismissAfter = 2;
    const working = run();
    await until("the coordinator is gone", () => killed !== undefined);
    await killed;
    w.double.faults.beforeReply = undefined;
    await w.double.up();
    expect(await working).toMatchObject({ rounds: 2 });
    expect(of("assigned").map(({ residual }) => residual)).toEqual(["none", "advanced"]);
    await using receipts = await journal();
    expect((await receipts.list(w.fixture.runId))[0]?.ack).toEqual(w.double.receipts[0]!.reply);
  });

  test.each<[string, { status: number; code: string } | undefined, string[]]>([
    ["has its acknowledgement from the one that comes back", undefined, []],
    [
      "is told as never acknowledged to who is no member then",
      { status: 410, code: "RUN_FINISHED" },
      ["acknowledgement of round 1, asked for a last time"],
    ],
  ])("in the last round by a coordinator that dies right after %s", async (_what, refuseJoin, told) => {
    await start({ rounds: 3 });
    let killed: Promise<void> | undefined;
    w.double.faults.beforeReply = () => {
      killed ??= w.double.down();
      return new Promise(() => undefined);
    };
    const working = run();
    await until("the coordinator is gone", () => killed !== undefined);
    await killed;
    Object.assign(w.double.faults, { beforeReply: undefined, dismissAfter: 1, refuseJoin });
    await w.double.up();
    expect(await working).toMatchObject({ kind: "dismissed", rounds: refuseJoin ? 0 : 1 });
    await using receipts = await journal();
    const acks = (await receipts.list(w.fixture.runId)).map(({ ack }) => ack);
    expect(acks).toEqual([refuseJoin ? null : w.double.receipts[0]!.reply]);
    const last = of("retrying").filter(({ what }) => what.startsWith("acknowledgement of"));
    expect(last.map(({ what }) => what)).toEqual(told);
  });

  test("in the last round is asked for before the worker leaves, though no work tells of it", async () => {
    await start({ rounds: 3 });
    w.double.faults.beforeReply = () => new Promise(() => undefined);
    w.double.faults.dismissAfter = 1;
    expect(await run()).toMatchObject({ kind: "dismissed", rounds: 1, tokens: 8 * 2 * 16 });
    expect(of("dropped").map(({ code }) => code)).toEqual(["UNANSWERED"]);
    expect(of("acknowledgedLate").map(({ round }) => round)).toEqual([0]);
    await using receipts = await journal();
    expect((await receipts.list(w.fixture.runId))[0]?.ack).toEqual(w.double.receipts[0]!.reply);
  });

  test("in the last round of its run is asked for a last time, whatever newer ones of another run were never answered", async () => {
    await start();
    await mkdir(join(w.directory, "worker"), { recursive: true });
    await using receipts = await journal();
    const sent = (runId: string, round: number) =>
      receipts.sent(
        { receipt: { runId, round: String(round) }, signature: "0x", receiptHash: `0x${round}` } as never,
        {} as never,
        1,
      );
    await sent(w.fixture.runId, 3);
    await sent(`0x${"ee".repeat(32)}`, 5);
    const asked = await receipts.unanswered(w.fixture.runId, true);
    expect(asked.map(({ receiptHash }) => receiptHash)).toEqual(["0x3"]);
  });

  test("in the last round is asked for no longer once the worker is to stop, which is no failure", async () => {
    await start({ rounds: 3 });
    w.double.faults.beforeReply = () => new Promise(() => undefined);
    w.double.faults.dismissAfter = 1;
    expect(await run({}, { fetch: stopsAtLastAsking })).toMatchObject({ kind: "dismissed", rounds: 0 });
    expect([w.stop.signal.aborted, of("retrying"), of("acknowledgedLate")]).toEqual([true, [], []]);
  });

  test("in the last round, and then refused, is told as asked for a last time", async () => {
    await start({ rounds: 3 });
    w.double.faults.beforeReply = () => {
      w.double.faults.refuseReceipt = { status: 409, code: "ROUND_CLOSED" };
      return new Promise(() => undefined);
    };
    w.double.faults.dismissAfter = 1;
    expect(await run()).toMatchObject({ kind: "dismissed", rounds: 0 });
    expect(of("retrying").map(({ what, code }) => [what, code])).toEqual([
      ["acknowledgement of round 1, asked for a last time", "ROUND_CLOSED"],
    ]);
  });

  test("and never answered is known as accepted by the next worker process too", async () => {
    await unanswered();
    await run();
    await using receipts = await journal();
    expect((await receipts.list(w.fixture.runId))[0]).toMatchObject({ outcome: 0, ack: w.double.receipts[0]!.reply });
  });

  test.each<[string, () => Promise<void> | void]>([
    ["by what it was sent for", loseBuild],
    ["in an older state by the build that it names", forgetTokens],
  ])(
    "and never answered is asked for %s, when the next process trains a build of another batch",
    async (_by, leave) => {
      await unanswered();
      await leave();
      const build = { ...w.fixture.build, microBatch: 2 * w.fixture.build.microBatch };
      w.double.admit(build, await putDocument(w.store, build));
      expect(await run()).toMatchObject({ rounds: 2, tokens: 8 * 2 * 16 + 8 * 4 * 16 });
      expect(of("acknowledgedLate").map(({ tokens }) => tokens)).toEqual([8 * 2 * 16]);
      await using receipts = await journal();
      const [first, second] = await receipts.list(w.fixture.runId);
      expect([first?.ack, second?.ack]).toEqual(w.double.receipts.map(({ reply }) => reply));
      expect(second?.receipt.build).not.toBe(first?.receipt.build);
    },
  );
});
