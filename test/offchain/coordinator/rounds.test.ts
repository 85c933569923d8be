import { rmSync } from "node:fs";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import {
  asDigest,
  canonicalJson,
  digestOfJson,
  fromWire,
  parseDocument,
  PayloadHeader,
  type Build,
  ReceiptsFile,
  receiptsRoot,
  recoverSigner,
  asAddress,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { MAX_WAITING_HEADS } from "../../../offchain/src/coordinator/machine/anchoring.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { computeEpoch, postRoot } from "../../../offchain/src/coordinator/settlement.ts";
import { reduceFragment, sourceOf } from "../../../offchain/src/diloco/index.ts";
import { createLogger } from "../../../offchain/src/service/index.ts";
import { readCheckpoint, readManifest } from "../../../offchain/src/storage/index.ts";
import {
  domain,
  elapse,
  type Harness,
  hashOf,
  lower,
  openHarness,
  openPair,
  OPERATOR,
  runId,
  type TestWorker,
  trainFirstEpoch,
  until,
  validators,
} from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

async function two(options?: Parameters<typeof openPair>[0]): Promise<[TestWorker, TestWorker]> {
  const pair = await openPair(options);
  ({ harness } = pair);
  return pair.workers;
}
it("is logged by the number that screens and checkpoints have", async () => {
  const lines: { readonly msg: string; readonly round?: number }[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]);
  const logger = createLogger({ component: "coordinator", pretty: false, destination: { write } });
  const [a, b] = await two({ logger });
  await Promise.all([a.train(), b.train()]);
  await roundIs(1);
  expect(lines.filter(({ msg }) => msg === "round complete")).toMatchObject([{ round: 1 }]);
});

const roundIs = (round: number) => until(() => harness.run.driver.state.round === round, `round ${round}`);
const state = () => harness.run.driver.state;
/** What an effect is begun with. */
const context = () => ({ state: state(), signal: new AbortController().signal });

describe("a round", () => {
  it("opens when enough workers are there, closes when all have submitted, and is followed at once", async () => {
    harness = await openHarness();
    const [a, b] = [harness.worker("31"), harness.worker("32")];
    await a.join();
    expect((await harness.client.run(runId)).phase).toBe("Waiting");
    await b.join();
    const view = await harness.client.run(runId);
    expect(view).toMatchObject({ phase: "Training", round: 0, current: { innerSteps: 4, assigned: 2, received: 0 } });

    const { prepared, reply } = await a.train();
    const ack = fromWire("Ack", reply.ack);
    expect(ack.receiptHash).toBe(hashOf(prepared.receipt));
    expect(ack.tokens).toBe(4n * 2n * 16n);
    expect(await recoverSigner(domain, "Ack", ack, reply.signature)).toBe(asAddress(view.poster));

    // What is not in a checkpoint yet counts for nobody: the members' tokens add up to the run's at every moment.
    const open = await harness.client.run(runId);
    expect(open.current).toMatchObject({ received: 1 });
    expect([open.tokens, ...open.members.map(({ tokens }) => tokens)]).toEqual(["0", "0", "0"]);
    await b.train();
    await roundIs(1);
    const next = await harness.client.run(runId);
    expect(next.members.map(({ tokens }) => tokens)).toEqual(["128", "128"]);
    expect(next).toMatchObject({ step: 4, tokens: "256", current: { round: 1, innerSteps: 8 } });
    const work = await a.work();
    expect(work).toMatchObject({
      kind: "train",
      lastOutcome: { round: 0, outcome: 0, receiptHash: hashOf(prepared.receipt) },
    });
  });

  it("does not open while as many heads as allowed wait for the chain, and opens when one is anchored", async () => {
    harness = await openHarness();
    await harness.worker("31").join();
    const before = state();
    await harness.worker("32").join();
    const [zero] = before.heads;
    if (!zero?.anchor) throw new TypeError("checkpoint 0 is anchored");
    const waiting = Array.from({ length: MAX_WAITING_HEADS }, (_, index) => ({
      ...zero,
      round: index + 1,
      sequence: index + 1,
      anchor: null,
    }));
    const backlogged = { ...before, members: state().members, heads: [zero, ...waiting] };
    const nothing = { type: "TimerFired", key: "setTimer/epoch/0", at: before.at } as const;
    expect(step(backlogged, nothing).state).toMatchObject({ current: null, phase: "Waiting" });
    expect(step({ ...backlogged, heads: backlogged.heads.slice(0, -1) }, nothing).state.current).not.toBeNull();
    const anchored = {
      type: "HeadAnchored",
      at: before.at,
      head: zero.head,
      sequence: 1,
      anchor: zero.anchor,
      epochEnd: Math.ceil(before.at / 1_000) + 16,
    } as const;
    expect(step(backlogged, anchored).state.current).not.toBeNull();
  });

  it("answers the same receipt with the same acknowledgement, at once, later and after a restart", async () => {
    const [a, b] = await two();
    const { prepared, reply } = await a.train();
    expect(await a.submit(prepared)).toEqual(reply);
    await b.train();
    await roundIs(1);
    expect(await a.submit(prepared)).toEqual(reply);
    await harness.restart();
    await harness.clock.advance(1);
    await a.join();
    expect(await a.submit(prepared)).toEqual(reply);
    expect(state().checkpoint.tokens).toBe(256);
  });

  it("answers it so when the run is over, too: the last reply may have been lost", async () => {
    const [a, b] = await two();
    const { prepared, reply } = await a.train();
    await harness.run.driver.submit({ type: "RunFinished" });
    await b.train();
    await until(() => state().phase === "Finished", "the end");
    expect(await a.work()).toMatchObject({ kind: "leave" });
    expect(await a.submit(prepared)).toEqual(reply);
  });

  it("gives one receipt sent twice at the same time one acknowledgement", async () => {
    const [a] = await two();
    const prepared = a.prepare(await a.assigned());
    await a.upload(prepared);
    const seq = harness.run.driver.seq;
    const replies = await Promise.all([a.submit(prepared), a.submit(prepared), a.submit(prepared)]);
    expect(replies[1]).toEqual(replies[0]);
    expect(replies[2]).toEqual(replies[0]);
    expect(harness.run.driver.seq).toBe(seq + 1);
  });

  it("reduces to what anybody computes from the published payloads, and publishes all receipts", async () => {
    const [a, b] = await two();
    const done = [await a.train(), await b.train()];
    await roundIs(1);
    const checkpoint = state().checkpoint.digest;
    const { manifest, states } = await readCheckpoint(harness.blobs, checkpoint, harness.run.table);
    const before = await readCheckpoint(harness.blobs, asDigest(manifest.parent!), harness.run.table);
    for (const [fragment, { params, outer }] of states.entries()) {
      const expected = await reduceFragment({
        state: before.states[fragment]!,
        payloads: done.map(({ prepared }) => ({
          worker: prepared.receipt.worker,
          tokens: 128,
          steps: 4,
          source: sourceOf(prepared.payloads[fragment]!),
        })),
        // The ramp averages plainly.
        rules: { ...state().params, codec: 1, outerOptimizer: 0, aggregator: 0, weighting: 0, rampRounds: 1 },
        round: 0,
      });
      expect(params).toEqual(expected.params);
      expect(outer).toEqual(expected.outer);
      expect(params).not.toEqual(before.states[fragment]!.params);
    }
    const file = parseDocument(
      "receipts",
      ReceiptsFile,
      JSON.parse(new TextDecoder().decode(await harness.client.blob(runId, asDigest(manifest.receipts!), 1 << 20))),
    );
    expect(file.receipts.map(({ receipt }) => receipt.worker)).toEqual([a.address, b.address].toSorted());
    const leaves = file.receipts.map(({ receipt: { worker, beneficiary }, ack, tokens, outcome }) => {
      const { receiptHash } = ack;
      return { receiptHash, worker, beneficiary, tokens: BigInt(tokens), outcome };
    });
    await until(() => harness.chain.heads.length === 2, "the anchor");
    expect(harness.chain.heads[1]).toMatchObject({
      receiptsRoot: receiptsRoot(leaves),
      checkpointDigest: checkpoint,
      round: 1,
    });
    // Validators find the payloads by what the receipts name.
    const header = await harness.client.document(
      runId,
      asDigest(file.receipts[0]!.receipt.payloadDigest),
      "header",
      PayloadHeader,
    );
    for (const { digest, bytes } of header.fragments) {
      expect((await harness.client.blob(runId, asDigest(digest), 1 << 20)).length).toBe(bytes);
    }
  });

  it("closes at its deadline with who is there; the data of the others returns to the ledger", async () => {
    const [a, b] = await two({ params: { minWorkers: 1 } });
    // One worker was enough to open the first round; both train from the second on.
    await a.train();
    await roundIs(1);
    await a.train();
    expect(await a.work()).toEqual({ kind: "wait", reason: "Round 2 waits for the others." });
    const late = b.prepare(await b.assigned());
    await b.upload(late);
    const ranges = late.assignment.ranges;
    await harness.clock.advance(59_000);
    expect(state().round).toBe(1);
    await a.session
      .heartbeat({ round: null, step: 0, loss: null, tokensPerSecond: null, uploading: false })
      .catch(() => undefined);
    await harness.clock.advance(1_500);
    await roundIs(2);
    await b.join().catch(() => undefined);
    await expect(b.submit(late)).rejects.toMatchObject({
      code: "STALE_ROUND",
      message: "Round 2 takes no work; round 3 is open.",
    });
    const again = Object.values(state().current?.work ?? {}).flatMap(({ assignment }) => assignment.ranges);
    const returned = [...state().ledger.free, ...again];
    const [{ start: lost } = { start: -1 }] = ranges;
    expect(returned.some(({ start, count }) => start <= lost && lost < start + count)).toBe(true);
  });

  it("closes without a worker that left, and takes in one that waits when too few are left", async () => {
    const [a, b] = await two();
    await a.train();
    const lost = await b.assigned();
    const c = harness.worker("33");
    await c.join();
    expect(await c.work()).toMatchObject({ kind: "wait" });
    await b.session.leave();
    // minWorkers is 2: the one that waits gets the work, under an assignment of its own.
    const taken = await c.assigned();
    expect(taken).toMatchObject({ round: 0, base: lost.base });
    // Drawn anew: who leaves knows what it was given, but not what the next one is.
    expect(taken.ranges).not.toEqual(lost.ranges);
    expect(taken.assignmentId).not.toBe(lost.assignmentId);
    await c.train();
    await roundIs(1);
  });

  it("leaves out a payload that is damaged between acceptance and reduction, and says so", async () => {
    const [a, b] = await two();
    const { prepared } = await a.train();
    await harness.blobs.delete(asDigest(prepared.header.fragments[2]!.digest));
    await b.train();
    await roundIs(1);
    const manifest = await readManifest(harness.blobs, state().checkpoint.digest);
    const file = JSON.parse(
      new TextDecoder().decode(await harness.blobs.get(asDigest(manifest.receipts!))),
    ) as ReceiptsFile;
    const outcomes = Object.fromEntries(file.receipts.map(({ receipt, outcome }) => [receipt.worker, outcome]));
    expect(outcomes).toEqual({ [a.address]: 1, [b.address]: 0 });
    expect(manifest.tokens).toBe("128");
    // What was left out is nobody's share of the work.
    const { members, tokens } = await harness.client.run(runId);
    expect(Object.fromEntries(members.map((each) => [asAddress(each.worker), each.tokens]))).toEqual({
      [a.address]: "0",
      [b.address]: tokens,
    });
    expect(await a.work()).toMatchObject({ lastOutcome: { outcome: 1 } });
  });
});

describe("a round that would do harm", () => {
  it("is screened again where a payload is lost while it is searched for whose it is", async () => {
    const lost: string[] = [];
    let asked = 0;
    const [a, b] = await two({
      loss: () => {
        asked += 1;
        // The base, then the aggregate, then what the search asks for.
        if (asked !== 2) return 1;
        for (const path of lost) rmSync(path);
        return 9;
      },
    });
    const { prepared } = await a.train();
    const { digest } = prepared.header.fragments[2]!;
    lost.push(join(harness.directory, "blobs", digest.slice(2, 4), digest.slice(2)));
    await b.train();
    await roundIs(1);
    expect([a, b].map(({ address }) => state().outcomes[address]?.outcome)).toEqual([1, 0]);
  });
});

describe("an epoch", () => {
  it("is to be signed by the set that its attestation names, whoever is in force by then", async () => {
    const workers = await two();
    await trainFirstEpoch(harness, workers);
    const honest = harness.chain.validators.bind(harness.chain);
    harness.chain.validators = async (modelId, version) => {
      const set = await honest(modelId);
      return version === 1 ? set : { version: 2, validators: [], threshold: 9 };
    };
    const { result } = await computeEpoch(
      harness.run,
      { kind: "computeEpoch", key: "computeEpoch/1/1", epoch: 1 },
      context(),
    );
    expect(result).toMatchObject({ threshold: 2, validators: { length: 3 } });
  });

  it("is not computed while the chain has lost the root before it", async () => {
    await two();
    const driver = { state: { ...state(), settledEpoch: 1 } };
    const run = Object.assign(Object.create(harness.run) as typeof harness.run, { driver });
    const computed = computeEpoch(run, { kind: "computeEpoch", key: "computeEpoch/2/1", epoch: 2 }, context());
    await expect(computed).rejects.toMatchObject({ code: "CHAIN_MOVED" });
  });

  it("is posted as it was attested last, not as what was set aside", async () => {
    await two();
    const attestation = {
      kind: 1,
      modelId: zeroHash,
      index: "1",
      fromEpoch: "1",
      toEpoch: "1",
      runId,
      head: zeroHash,
      epochDigest: zeroHash,
      previousRoot: zeroHash,
      root: digestOfJson("root"),
      total: "1",
      setVersion: 1,
      blockNumber: "1",
      blockHash: zeroHash,
      deadline: String(2 ** 40),
    };
    const signatures = validators.map(({ address }) => ({ validator: lower(address), signature: zeroHash }));
    const computed = {
      manifest: zeroHash,
      rewards: zeroHash,
      attestation,
      validators: [],
      threshold: 2,
      postingDelay: 12,
    };
    const record = { epoch: 1, pass: 1, computed, root: attestation.root, signatures, transaction: null };
    const epochs = [
      { ...record, state: "collecting" as const },
      { ...record, pass: 2, state: "superseded" as const, computed: null },
    ];
    const given = { ...context(), state: { ...state(), epochs } };
    const posted = await postRoot(harness.run, { kind: "postRoot", key: "postRoot/1/1/0", epoch: 1 }, given);
    expect(posted).toMatchObject({ epoch: 1, root: attestation.root });
  });
});

describe("members", () => {
  it("that are silent are marked, then evicted, and their data returns", async () => {
    const [a, b] = await two();
    await b.assigned();
    const beat = () =>
      a.session.heartbeat({ round: 0, step: 2, loss: 3.5, lossTokens: 64, tokensPerSecond: 100, uploading: false });
    for (let i = 0; i < 6; i++) {
      await harness.clock.advance(1_000);
      await beat();
    }
    const view = await harness.client.run(runId);
    expect(view.members.find(({ worker }) => asAddress(worker) === b.address)?.state).toBe("silent");
    expect(view.members.find(({ worker }) => asAddress(worker) === a.address)).toMatchObject({
      state: "training",
      step: 2,
      loss: 3.5,
    });
    for (let i = 0; i < 11; i++) {
      await harness.clock.advance(1_000);
      await beat();
    }
    await until(() => state().members[b.address] === undefined, "the eviction");
    expect(state().ledger.open.map(({ worker }) => worker)).toEqual([a.address]);
    await expect(b.work()).rejects.toMatchObject({ code: "SESSION_UNKNOWN", status: 401 });
    await b.join();
    // The round was short of workers, so it takes it in again.
    expect(await b.assigned()).toMatchObject({ round: 0 });
  });

  it("that come back before are members as before", async () => {
    const [, b] = await two();
    await harness.clock.advance(6_000);
    await until(() => state().members[b.address]?.silent === true, "the silence");
    await b.work();
    await until(() => state().members[b.address]?.silent === false, "the return");
    expect(await b.work()).toMatchObject({ kind: "train" });
  });

  // foundation 3, foundation 15
  it("whose process is new get their work again, under a higher attempt and the same deadline", async () => {
    const [a, b] = await two();
    await a.train();
    const before = await b.assigned();
    const lost = b.prepare(before);
    const { deadline } = state().current!;
    await harness.clock.advance(1_000);
    await b.join();
    const again = await b.assigned();
    expect(again).toEqual({ ...before, attempt: before.attempt + 1 });
    expect(state().current).toMatchObject({ deadline });
    await expect(b.upload(lost)).rejects.toMatchObject({ code: "STALE_ATTEMPT" });
    await b.train();
    await roundIs(1);
    expect(state().outcomes[b.address]).toMatchObject({ round: 0, outcome: 0 });
  });

  it("that join twice and ask for nothing in between are no new process: their work stays as it was", async () => {
    const [a] = await two();
    const attempt = () => state().current?.work[a.address]?.assignment.attempt;
    await harness.clock.advance(1_000);
    await a.join();
    expect(attempt()).toBe(1);
    await a.assigned();
    await harness.clock.advance(1_000);
    await a.join();
    expect(attempt()).toBe(2);
  });

  it("are answered the moment there is work for them", async () => {
    harness = await openHarness();
    const [a, b] = [harness.worker("31"), harness.worker("32")];
    await a.join();
    const waiting = a.work(30);
    await b.join();
    expect(await waiting).toMatchObject({ kind: "train" });
    const { prepared } = await b.train();
    expect(prepared.assignment.round).toBe(0);
    let idle: Awaited<ReturnType<typeof b.work>> | undefined;
    const poll = b.work(20).then((reply) => (idle = reply));
    await elapse(harness, () => idle !== undefined, "the end of the wait");
    expect(await poll).toMatchObject({ kind: "wait" });
    // Whose poll is open is there, however long it takes.
    expect(state().members[b.address]).toBeDefined();
  });
});

describe("a change", () => {
  // foundation 16: parameters applied inside an open round
  it("of parameters is in force from the next round on, never inside one", async () => {
    const [a, b] = await two();
    harness.chain.changeParams({ innerSteps: 12, rampRounds: 0 });
    expect(await harness.client.run(runId)).not.toHaveProperty("nextParamsVersion");
    await elapse(harness, () => state().nextParams !== null, "the change");
    expect(await a.assigned()).toMatchObject({ round: 0, steps: 4, paramsVersion: 1 });
    expect(await harness.client.run(runId)).toMatchObject({ paramsVersion: 1, nextParamsVersion: 2 });
    await a.train();
    await b.train();
    await roundIs(1);
    expect(await a.assigned()).toMatchObject({ round: 1, steps: 12, paramsVersion: 2 });
    expect(await harness.client.run(runId)).not.toHaveProperty("nextParamsVersion");
    await until(() => harness.chain.heads.length === 2, "the anchor");
    expect(harness.chain.heads[1]!.paramsVersion).toBe(1);
  });

  // foundation 16
  it("of parameters does not reach work that is given out, or given again, later in the same round", async () => {
    const [a, b] = await two();
    const before = state().current!;
    await a.train();
    harness.chain.changeParams({ innerSteps: 12, rampRounds: 0, roundDeadline: 5, minWorkers: 1, innerLrPpb: 9 });
    await elapse(harness, () => state().nextParams !== null, "the change");
    // minWorkers is 1 by now: this round still waits for two.
    await b.assigned();
    await b.join();
    expect(await b.assigned()).toMatchObject({
      round: 0,
      attempt: 2,
      steps: 4,
      paramsVersion: 1,
      innerLrPpb: 2_000_000,
    });
    const c = harness.worker("33");
    await c.join();
    await b.session.leave();
    expect(await c.assigned()).toMatchObject({ round: 0, steps: 4, paramsVersion: 1, innerLrPpb: 2_000_000 });
    expect(state().current).toMatchObject({ round: 0, params: before.params, paramsVersion: 1 });
    // The one that was never here before has its 3 s; of a deadline of 5 s it would have a quarter.
    expect(state().current!.deadline - state().at).toBeGreaterThan(2_000);
    await c.train();
    await roundIs(1);
    await until(() => harness.chain.heads.length === 2, "the anchor");
    expect(harness.chain.heads[1]!.paramsVersion).toBe(1);
    expect(await a.assigned()).toMatchObject({ round: 1, steps: 12, paramsVersion: 2, innerLrPpb: 9 });
  });

  it("by the operator ends training at the round's end, and begins it again", async () => {
    const [a, b] = await two();
    await harness.client.control(runId, OPERATOR, { action: "pause" });
    await harness.client.control(runId, OPERATOR, { action: "pause" });
    await a.train();
    expect((await harness.client.run(runId)).phase).toBe("Training");
    await b.train();
    await until(() => state().phase === "Paused", "the pause");
    expect(await a.work()).toMatchObject({
      kind: "wait",
      reason: expect.stringMatching(/^The run is paused, .*: npm start does/),
    });
    await harness.restart();
    expect(state().phase).toBe("Paused");
    await harness.client.control(runId, OPERATOR, { action: "resume" });
    expect(state()).toMatchObject({ phase: "Training", round: 1 });
  });

  it("of what is admitted opens the run to one kind of machine and closes it to another", async () => {
    const [a] = await two();
    const document = JSON.parse(new TextDecoder().decode(await harness.blobs.get(harness.build))) as Build;
    const bytes = new TextEncoder().encode(canonicalJson({ ...document, microBatch: 4, accumulation: 3 }));
    const { digest } = await harness.blobs.put(bytes);
    const c = harness.worker("33");
    await expect(c.join({ build: digest })).rejects.toMatchObject({ code: "BUILD_UNKNOWN" });
    harness.admitted.splice(0, 1, digest);
    await harness.clock.advance(11_000);
    await c.join({ build: digest });
    await expect(a.join()).rejects.toMatchObject({ code: "BUILD_UNKNOWN" });
    expect((await harness.client.run(runId)).builds).toEqual([digest]);
    expect(state().members[c.address]?.batch).toBe(12);
  });

  it("of what is admitted shows with the next look, and while nothing is, the coordinator serves what there is", async () => {
    const [a, b] = await two();
    const builds = async () => (await harness.client.run(runId)).builds;
    const looked = async (count: number, what: string) => {
      await harness.clock.advance(61_000);
      await until(async () => (await builds()).length === count, what);
    };
    const document = JSON.parse(new TextDecoder().decode(await harness.blobs.get(harness.build))) as Build;
    const { digest } = await harness.blobs.put(new TextEncoder().encode(canonicalJson({ ...document, microBatch: 4 })));
    harness.admitted.push(digest);
    await looked(2, "another build");
    harness.admitted.splice(0, 1);
    await looked(1, "that one was withdrawn");
    expect(await builds()).toEqual([digest]);

    const named = [harness.build, digest];
    harness.chain.buildsOf = async () => named;
    harness.admitted.splice(0, 1);
    await harness.restart();
    expect(await builds()).toEqual([]);
    // Who was a member goes on; the round is gated once there is a build to measure with.
    for (const worker of [a, b]) await expect(worker.join()).rejects.toMatchObject({ code: "BUILD_UNKNOWN" });
    harness.admitted.push(digest);
    await looked(1, "a build that is admitted");
    await a.join({ build: digest });
  });

  it("of status on-chain pauses, resumes and finishes", async () => {
    const [a] = await two();
    harness.chain.status = 1;
    await elapse(harness, () => state().pausedBy.chain, "the pause");
    harness.chain.status = 0;
    await elapse(harness, () => !state().pausedBy.chain, "the resumption");
    harness.chain.status = 2;
    await elapse(harness, () => state().finished, "the end");
    await harness.clock.advance(61_000);
    await until(() => state().phase === "Finished", "the last round");
    // It was silent for so long that it is no member any more, and a finished run makes nobody one.
    await a.join();
    expect(await a.work()).toEqual({ kind: "leave", reason: "The run is finished." });
    expect(state().members[a.address]).toBeUndefined();
  });
});
