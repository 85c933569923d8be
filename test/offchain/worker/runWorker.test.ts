import { describe, expect, test } from "vitest";

import { digestOfJson, domainFor, fromWire, hashReceipt, outcomeCode, recoverSigner } from "@cotrain/sdk/protocol";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { beforeAndAfterEach, journal, of, run, start, until, w, worker } from "./workerHarness.ts";

beforeAndAfterEach();

describe("rounds", () => {
  test("works on assignment after assignment until it is dismissed", async () => {
    await start({ rounds: 10 });
    w.double.faults.dismissAfter = 3;
    const end = await run();
    expect(end).toEqual({ kind: "dismissed", reason: "The run is finished.", rounds: 3, tokens: 3 * 8 * 2 * 16 });
    expect(of("assigned").map(({ round, residual }) => [round, residual])).toEqual([
      [0, "none"],
      [1, "advanced"],
      [2, "advanced"],
    ]);
    expect(w.double.joins).toHaveLength(1);
    expect(w.double.left).toEqual([worker]);
  });

  test.each([3_600_000, -3_600_000])("times are those that passed when the clock is set by %i ms", async (step) => {
    w.trainer.pace = 20;
    await start({ rounds: 3 });
    w.double.faults.dismissAfter = 2;
    let set = 0;
    const working = run({}, { clock: { ...systemClock, now: () => Date.now() + set } });
    await until("it trains", () => w.trainer.step >= 2);
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
    w.double.faults.dismissAfter = 1;
    const beneficiary = `0x${"be".repeat(20)}` as const;
    await run({ beneficiary });
    const [accepted] = w.double.receipts;
    const receipt = fromWire("Receipt", accepted!.receipt);
    const domain = domainFor(w.fixture.chainId, w.fixture.contracts.runRegistry);
    expect(await recoverSigner(domain, "Receipt", receipt, accepted!.signature)).toBe(worker);
    expect(receipt).toMatchObject({
      runId: w.fixture.runId,
      worker,
      beneficiary,
      assignment: digestOfJson(accepted!.assignment),
      baseDigest: accepted!.assignment.base,
      build: w.fixture.buildDigest,
      payloadDigest: digestOfJson(accepted!.header),
      leaves: 2,
      steps: 8,
    });
  });

  test("the coordinator is asked to claim where that was said, and whether it does is told", async () => {
    await start();
    w.double.faults.dismissAfter = 1;
    await run({ claim: true });
    expect(w.double.joins.map(({ claim }) => claim)).toEqual([true]);
    expect(of("claims")).toEqual([{ type: "claims", from: null }]);
  });

  test("acknowledgements are kept as evidence, with the outcome when it is told", async () => {
    await start({ rounds: 3 });
    w.double.faults.dismissAfter = 2;
    await run();
    await using receipts = await journal();
    const rows = await receipts.list(w.fixture.runId);
    expect(rows.map(({ ack, outcome, receiptHash }) => [ack, outcome, receiptHash])).toEqual(
      w.double.receipts.map(({ reply, receipt }, i) => [
        reply,
        i === 0 ? 0 : null,
        hashReceipt(fromWire("Receipt", receipt)),
      ]),
    );
  });

  test("the residual advances when the outcome is 0 and goes back otherwise", async () => {
    await start({ rounds: 9 });
    w.double.faults.dismissAfter = 4;
    w.double.faults.outcome = outcomeCode.aggregated;
    const working = run();
    await until("round 1 is assigned", () => of("assigned").length >= 2);
    w.double.faults.outcome = outcomeCode.nonFinite;
    await working;
    // Two states are hashed per round: its start and its end, both with the residual of its start.
    const starts = w.trainer.residuals.filter((_, i) => i % 2 === 0);
    const zero = (i: number): boolean => starts[i]!.every((values) => values.every((value) => value === 0));
    expect(zero(0)).toBe(true);
    expect(zero(1)).toBe(false);
    const reverted = of("assigned").findIndex(({ residual }) => residual === "reverted");
    expect(reverted).toBeGreaterThan(1);
    expect(starts[reverted]).toBe(starts[reverted - 1]);
    expect(of("outcome").some(({ outcome }) => outcome === outcomeCode.nonFinite)).toBe(true);
  });

  test("the residual and the optimizer's state begin anew where the run was taken back", async () => {
    await start({ rounds: 9 });
    w.double.faults.dismissAfter = 4;
    let isBack = false;
    // The second receipt's round is lost with the first.
    w.double.faults.beforeReply = async () => {
      if (isBack || w.double.receipts.length < 2) return;
      isBack = true;
      await w.double.back();
    };
    await run();
    expect(of("assigned").map(({ round, residual }) => [round, residual])).toEqual([
      [0, "none"],
      [1, "advanced"],
      [0, "reset"],
      [1, "advanced"],
    ]);
    expect(w.trainer.resets).toBe(1);
    const starts = w.trainer.residuals.filter((_, i) => i % 2 === 0);
    expect(starts.map((residual) => residual.every((part) => part.every((value) => value === 0)))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test("heartbeats go on while it trains and tell how far it is", async () => {
    w.trainer.pace = 300;
    await start();
    w.double.faults.dismissAfter = 1;
    await run();
    const steps = w.double.beats.filter(({ round }) => round === 0).map(({ step }) => step);
    expect(steps.length).toBeGreaterThanOrEqual(1);
    const said = w.double.beats.filter(({ step, loss }) => step > 0 && loss !== null);
    expect(said.length).toBeGreaterThan(0);
    for (const { lossTokens } of said) expect(lossTokens).toBeGreaterThan(0);
  });

  test("what it cannot do while the round waits it hands back, and is paid for what it did", async () => {
    w.trainer.pace = 20;
    // 4 s of work, of which there are 10 ms and what sending is thought to take, a quarter of all.
    await start({ rounds: 2, steps: 200 });
    w.double.faults.left = 200;
    w.double.faults.dismissAfter = 1;
    const end = await run();
    const [{ receipt } = expect.fail("no receipt")] = w.double.receipts;
    expect(receipt.steps).toBeGreaterThanOrEqual(8);
    expect(receipt.steps).toBeLessThan(200);
    expect(receipt.leaves).toBe(1 + Math.ceil(receipt.steps / 32));
    expect(w.trainer.step).toBe(receipt.steps);
    expect(end).toMatchObject({ rounds: 1, tokens: receipt.steps * 2 * 16 });
    expect(of("acknowledged")).toMatchObject([{ tokens: receipt.steps * 2 * 16 }]);
  });

  test("a part that would not count yet it does not hand in", async () => {
    w.trainer.pace = 20;
    await start({ rounds: 2, steps: 100 });
    Object.assign(w.double.faults, { left: 200, partIn: 60_000, dismissAfter: 1 });
    await run();
    expect(w.double.receipts.map(({ receipt }) => receipt.steps)).toEqual([100]);
  });

  test("a sending that took long once takes no time from the rounds after it", async () => {
    w.trainer.pace = 20;
    await start({ rounds: 3, steps: 60 });
    Object.assign(w.double.faults, { left: 3_000, partIn: 60_000, dismissAfter: 2 });
    w.double.faults.beforeUploaded = async () => {
      await systemClock.sleep(2_100);
      Object.assign(w.double.faults, { beforeUploaded: undefined, partIn: 0 });
    };
    await run();
    expect(w.double.receipts.map(({ receipt }) => receipt.steps)).toEqual([60, 60]);
  });

  test("what it can do while the round waits it does", async () => {
    w.trainer.pace = 20;
    await start({ rounds: 2, steps: 100 });
    w.double.faults.left = 60_000;
    w.double.faults.dismissAfter = 1;
    await run();
    expect(w.double.receipts.map(({ receipt }) => receipt.steps)).toEqual([100]);
  });

  test("divergence drops the round and starts the optimizer afresh", async () => {
    await start({ rounds: 2 });
    w.trainer.diverge = true;
    const working = run();
    await until("the round is dropped", () => of("dropped").length > 0);
    expect(of("dropped")[0]!.code).toBe("TRAINING_DIVERGED");
    expect(w.trainer.resets).toBe(1);
    w.trainer.diverge = false;
    await w.double.closeRound();
    await until("the next one is acknowledged", () => of("acknowledged").length === 1);
    w.stop.abort();
    await working;
  });
});

describe("a refused join", () => {
  test("of a finished run ends the worker as if it had been told to leave", async () => {
    await start();
    w.double.faults.refuseJoin = { status: 410, code: "RUN_FINISHED" };
    expect(await run()).toMatchObject({ kind: "dismissed", rounds: 0 });
  });

  test("for a reason that the user must correct is thrown", async () => {
    await start();
    w.double.faults.refuseJoin = { status: 400, code: "PROTOCOL_VERSION" };
    await expect(run()).rejects.toMatchObject({ code: "PROTOCOL_VERSION", retryable: false });
  });

  test("of a full run is tried again", async () => {
    await start();
    w.double.faults.dismissAfter = 1;
    w.double.faults.refuseJoin = { status: 503, code: "RUN_FULL" };
    const working = run();
    await until("it is tried again", () => of("retrying").some(({ code }) => code === "RUN_FULL"));
    w.double.faults.refuseJoin = undefined;
    expect((await working).rounds).toBe(1);
  });
});

describe("stopping", () => {
  test("does not wait for an upload that hangs", async () => {
    await start();
    w.double.faults.hangUploads = true;
    const working = run({ grace: 50 });
    await until("an upload hangs", () => w.double.hanging.length > 0);
    w.stop.abort();
    expect(await working).toMatchObject({ kind: "stopped", rounds: 0 });
    expect(w.double.left).toEqual([worker]);
  });

  test("in mid-training the assignment is abandoned and the coordinator told", async () => {
    w.trainer.pace = 50;
    await start();
    const working = run();
    await until("it trains", () => w.trainer.step >= 2);
    w.stop.abort();
    expect(await working).toMatchObject({ kind: "stopped", rounds: 0 });
    expect(w.double.left).toEqual([worker]);
    expect(w.double.receipts).toHaveLength(0);
    expect(w.trainer.step).toBeLessThan(8);
  });

  test("a round that only has to be submitted is submitted first", async () => {
    await start();
    w.double.faults.refuseReceipt = { status: 503, code: "BUSY" };
    const working = run();
    await until("the receipt is tried again", () => of("retrying").length >= 1);
    w.stop.abort();
    w.double.faults.refuseReceipt = undefined;
    expect(await working).toMatchObject({ kind: "stopped", rounds: 1 });
    expect(w.double.left).toEqual([worker]);
  });

  test("while it waits for work", async () => {
    await start({ rounds: 0 });
    const working = run();
    await until("it waits", () => of("joined").length === 1);
    w.stop.abort();
    expect(await working).toMatchObject({ kind: "stopped", rounds: 0 });
  });

  test("while the coordinator is away", async () => {
    await start({ rounds: 0 });
    const working = run();
    await until("it waits", () => of("joined").length === 1);
    await w.double.down();
    await until("it is tried again", () => of("retrying").length >= 1);
    w.stop.abort();
    expect(await working).toMatchObject({ kind: "stopped" });
  });
});
