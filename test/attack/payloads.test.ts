/** Payloads that would ruin the model or earn for nothing, against a coordinator whose honest members go on learning. */
import {
  asDigest,
  digestOfJson,
  outcomeCode,
  type PayloadHeader,
  type ReceiptsFile,
  routes,
  type ScreeningFile,
  weightingCode,
} from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";

import { createRandom, sha256Bytes } from "../../offchain/src/base/index.ts";
import { problemOfScreening } from "../../offchain/src/run/index.ts";
import { createApi } from "../../offchain/src/coordinator/api.ts";
import { statusByCode } from "../../offchain/src/coordinator/errors.ts";
import { createCoordinatorMetrics } from "../../offchain/src/coordinator/metrics.ts";
import { encodePayload } from "../offchain/diloco/payloads.ts";
import { createHttpServer, createMetrics, silentLogger } from "../../offchain/src/service/index.ts";
import { readCheckpoint, readManifest } from "../../offchain/src/storage/index.ts";
import {
  ELEMENTS,
  type Harness,
  openHarness,
  params,
  type Prepared,
  type TestWorker,
  until,
} from "../offchain/coordinator/harness.ts";

/** The harness begins at i ÷ 100; what is to be learnt lies 1 below that everywhere. */
const target = (i: number): number => i / 100 - 1;
const loss = (fragments: readonly Float32Array[]): number =>
  fragments.reduce((sum, values) => sum + values.reduce((s, value, i) => s + (value - target(i)) ** 2, 0), 0) / 1_266;

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

async function open(
  params: Record<string, number> = {},
  members = 4,
  of = loss,
): Promise<{ harness: Harness; workers: TestWorker[] }> {
  const due = { innerSteps: 64, minWorkers: members, maxWorkers: members, aggregatorBps: 5_000, ...params };
  harness = await openHarness({ loss: of, params: due });
  const workers = Array.from({ length: members }, (_, i) => harness!.worker(String(31 + i)));
  for (const worker of workers) await worker.join();
  return { harness, workers };
}

async function parameters(of: Harness): Promise<Float32Array[]> {
  const { states } = await readCheckpoint(of.blobs, of.run.driver.state.checkpoint.digest, of.run.table);
  return states.map(({ params }) => params);
}

/** A third of the way to what is to be learnt, with noise of half that size, as batches that differ give it. */
async function lesson(of: Harness, seed: string): Promise<Float32Array<ArrayBuffer>[]> {
  const random = createRandom(seed);
  return (await parameters(of)).map((values) =>
    Float32Array.from(values, (value, i) => 0.3 * (value - target(i)) + 0.15 * random.normal()),
  );
}

const encoded = (deltas: readonly Float32Array[]): Uint8Array<ArrayBuffer>[] =>
  deltas.map((delta) => encodePayload(1, delta).bytes);

/** The same receipt and header, about other payloads. */
function about({ assignment, header, receipt }: Prepared, payloads: Uint8Array<ArrayBuffer>[]): Prepared {
  const next: PayloadHeader = {
    ...header,
    fragments: header.fragments.map((each, i) => ({ ...each, digest: sha256Bytes(payloads[i]!) })),
  };
  return { assignment, payloads, header: next, receipt: { ...receipt, payloadDigest: digestOfJson(next) } };
}

async function send(worker: TestWorker, payloads: Uint8Array<ArrayBuffer>[]): Promise<void> {
  const prepared = about(worker.prepare(await worker.assigned()), payloads);
  await worker.upload(prepared);
  await worker.submit(prepared);
}

/** One round: the first ones honestly, then the last with what it is given. @returns outcome of each in order */
async function round(
  of: Harness,
  workers: readonly TestWorker[],
  attack?: (honest: readonly Uint8Array<ArrayBuffer>[][]) => Uint8Array<ArrayBuffer>[],
  without?: (delta: Float32Array[]) => void,
): Promise<number[]> {
  const before = of.run.driver.state.round;
  const honest: Uint8Array<ArrayBuffer>[][] = [];
  for (const [i, worker] of workers.entries()) {
    const last = i === workers.length - 1;
    const taught = await lesson(of, `${worker.address}/${before}`);
    without?.(taught);
    const payloads = last && attack ? attack(honest) : encoded(taught);
    honest.push(payloads);
    await send(worker, payloads);
  }
  await until(() => of.run.driver.state.round === before + 1, "the round's end");
  const { receipts } = await documents(of);
  return workers.map(({ address }) => receipts.receipts.find((each) => each.receipt.worker === address)!.outcome);
}

async function documents(of: Harness): Promise<{ receipts: ReceiptsFile; screening: ScreeningFile }> {
  const manifest = await readManifest(of.blobs, of.run.driver.state.checkpoint.digest);
  const read = async (digest: string | null): Promise<unknown> =>
    JSON.parse(new TextDecoder().decode(await of.blobs.get(asDigest(digest ?? ""), 1 << 24)));
  return {
    receipts: (await read(manifest.receipts)) as ReceiptsFile,
    screening: (await read(manifest.screening)) as ScreeningFile,
  };
}

/** What a record of the first round is held against, under these parameters. */
const recordCheck = (of: Harness, over: Partial<typeof params>, receipts: ReceiptsFile) => ({
  definition: of.run.definition,
  params: { ...params, ...over },
  paramsVersion: 1,
  receipts,
  past: [],
});

function noise(size: number, seed: string): Float32Array<ArrayBuffer>[] {
  const random = createRandom(seed);
  return ELEMENTS.map((n) => Float32Array.from({ length: n }, () => random.normal() * size));
}
const normals = (size: number): Uint8Array<ArrayBuffer>[] => encoded(noise(size, `noise of ${size}`));

/** Does not look at the last element of the last fragment. */
const blind = (of: readonly Float32Array[]): number => loss([...of.slice(0, 3), of[3]!.slice(0, 699)]);

/** Beyond 7 from where it began, in a direction that nobody honest moves in, the loss is another. */
const cliff = (of: readonly Float32Array[]): number => loss(of) + (of[3]![699]! - 6.99 > 7 ? 1_000 : 0);

/** Where it begins it has no loss that can be recorded. */
const gone = (of: readonly Float32Array[]): number => (of[3]![699] === Math.fround(6.99) ? Infinity : loss(of));

/** Steep in one direction, in which nobody honest moves. */
const steep = (of: readonly Float32Array[]): number => loss(of) + 100 * (of[3]![699]! - Math.fround(6.99)) ** 2;

/** Nothing in the last element of the last fragment. */
const flat = (delta: Float32Array[]): void => void delta[3]!.fill(0, 699);

/** The largest scale that the codec takes, in every block. */
function largestScales(honest: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer>[] {
  return ELEMENTS.map((n, f) => {
    const bytes = new Uint8Array(honest[f]!);
    const scales = new DataView(bytes.buffer, 0, 4 * Math.ceil(n / 256));
    for (let at = 0; at < scales.byteLength; at += 4) scales.setFloat32(at, 2.6793883890187504e36, true);
    return bytes.fill(127, scales.byteLength);
  });
}

const zero = (): Uint8Array<ArrayBuffer>[] => encoded(ELEMENTS.map((n) => new Float32Array(n)));

/** The scales stay, every tenth value moves by one. */
const nearly = (payloads: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer>[] =>
  payloads.map((bytes, f) => {
    const copy = new Int8Array(bytes);
    for (let i = 4 * Math.ceil(ELEMENTS[f]! / 256); i < copy.length; i += 10) {
      const value = copy[i] ?? 0;
      copy[i] = value > 0 ? value - 1 : value + 1;
    }
    return new Uint8Array(copy.buffer);
  });

/** As if all of them counted. */
const forgiven = <T extends { outcome: number }>(all: T[]): T[] => all.map((each) => ({ ...each, outcome: 0 }));

/** The record of a search holds by the tokens of its receipts, and where one had most of them only if all weigh alike. */
function weighedAnew(of: Harness, receipts: ReceiptsFile, file: ScreeningFile): void {
  const [found] = file.gate.passes[0]!.leftOut;
  const heavy = receipts.receipts.map((each) =>
    each.receipt.worker === found ? { ...each, tokens: String(100 * Number(each.tokens)) } : each,
  );
  const problem = (weighting: number, under: ReceiptsFile): string =>
    problemOfScreening({ ...recordCheck(of, { aggregatorBps: 5_000, weighting }, under), file });
  expect(problem(weightingCode.tokens, receipts)).toBe("");
  expect(problem(weightingCode.tokens, { ...receipts, receipts: heavy })).toContain("The loss gate: pass 0");
  expect(problem(weightingCode.uniform, { ...receipts, receipts: heavy })).toBe("");
}

describe("one accepted payload", () => {
  let earlier: Uint8Array<ArrayBuffer>[] = [];
  it.each([
    [
      "of the largest scale that the codec has",
      outcomeCode.nonFinite,
      (all: Uint8Array<ArrayBuffer>[][]) => largestScales(all[0]!),
    ],
    ["of σ = 1e4", outcomeCode.normTooLarge, () => normals(1e4)],
    ["of σ = 1e36, which would end in NaN", outcomeCode.normTooLarge, () => normals(1e36)],
    ["of zeros", outcomeCode.empty, zero],
    ["of next to nothing", outcomeCode.empty, () => normals(1e-9)],
    ["that is another's", outcomeCode.copy, (all: Uint8Array<ArrayBuffer>[][]) => all[1]!],
    ["that is nearly another's", outcomeCode.copy, (all: Uint8Array<ArrayBuffer>[][]) => nearly(all[2]!)],
    ["that was paid for before", outcomeCode.copy, () => earlier],
  ] as const)("%s harms nobody and earns nothing", async (_, outcome, attack) => {
    const { harness: of, workers } = await open();
    const start = loss(await parameters(of));
    await round(of, workers, (all) => (earlier = nearly(all[0]!)));
    const middle = loss(await parameters(of));
    expect(middle).toBeLessThan(start);
    expect(await round(of, workers, attack as never)).toEqual([0, 0, 0, outcome]);
    const { screening } = await documents(of);
    expect(screening.workers.find(({ worker }) => worker === workers[3]!.address)!.outcome).toBe(outcome);
    expect(loss(await parameters(of))).toBeLessThan(middle);
  });

  it("that is another's is recorded as that one's and no other's, of no other round", async () => {
    const { harness: of, workers } = await open();
    await round(of, workers, (all) => all[1]!);
    const { screening: file, receipts } = await documents(of);
    const due = { ...params, aggregatorBps: 5_000 };
    const check = { definition: of.run.definition, params: due, paramsVersion: 1, receipts, past: [] };
    expect(problemOfScreening({ ...check, file })).toBe("");
    const elsewhere = workers[0]!.address === file.workers[0]!.worker ? workers[1]!.address : workers[0]!.address;
    for (const change of [{ round: 1 }, { worker: elsewhere }]) {
      const changed = file.workers.map((each) =>
        each.copyOf ? { ...each, copyOf: { ...each.copyOf, ...change } } : each,
      );
      expect(problemOfScreening({ ...check, file: { ...file, workers: changed } })).toContain("is said to repeat");
    }
  });

  it("that two rounds before had is recorded as the later one's, as validators judge it", async () => {
    const { harness: of, workers } = await open();
    let spent: Uint8Array<ArrayBuffer>[] = [];
    await round(of, workers, (all) => (spent = nearly(all[0]!)));
    for (const original of [0, 1]) {
      expect(await round(of, workers, () => spent)).toEqual([0, 0, 0, outcomeCode.copy]);
      const { screening } = await documents(of);
      expect(screening.workers.find(({ copyOf }) => copyOf)?.copyOf).toMatchObject({ round: original });
    }
  });

  it("that is large but not absurd is clipped, paid, and does not stop the others' learning", async () => {
    const { harness: of, workers } = await open();
    await round(of, workers);
    const middle = loss(await parameters(of));
    expect(await round(of, workers, () => normals(3))).toEqual([0, 0, 0, 0]);
    const { screening } = await documents(of);
    const clips = screening.workers.find(({ worker }) => worker === workers[3]!.address)!.fragments;
    for (const { clipPpm } of clips) expect(clipPpm).toBeLessThan(1_000_000);
    await round(of, workers);
    expect(loss(await parameters(of))).toBeLessThan(middle);
  });

  it("that raises the loss within the norm's bound is found by what it does alone, and the others are paid", async () => {
    const { harness: of, workers } = await open({ aggregatorBps: 0 });
    const middle = loss(await parameters(of));
    const poison = (await parameters(of)).map((values) =>
      Float32Array.from(values, (value, i) => -4 * (value - target(i))),
    );
    expect(await round(of, workers, () => encoded(poison))).toEqual([0, 0, 0, outcomeCode.lossHarm]);
    const { screening, receipts } = await documents(of);
    const [failed, stood] = screening.gate.passes;
    expect(failed).toMatchObject({ leftOut: [workers[3]!.address] });
    expect(failed!.tried.length).toBeGreaterThan(0);
    expect(stood).toMatchObject({ tried: [], leftOut: [] });
    expect(loss(await parameters(of))).toBeLessThan(middle);
    // A record that forgives it, with its receipt, is none.
    const check = recordCheck(of, { aggregatorBps: 0 }, receipts);
    expect(problemOfScreening({ ...check, file: screening })).toBe("");
    const file = { ...screening, workers: forgiven(screening.workers) };
    const problem = problemOfScreening({
      ...check,
      file,
      receipts: { ...receipts, receipts: forgiven(receipts.receipts) },
    });
    expect(problem).toContain("The loss gate gives");
  });

  // foundation 2
  it("of the smallest norm among eight, which raises the loss, is found, and the others are paid", async () => {
    const { harness: of, workers } = await open({}, 8, steep);
    const before = loss(await parameters(of));
    const poison = ELEMENTS.map((n) => new Float32Array(n));
    poison[3]![699] = 3;
    expect(await round(of, workers, () => encoded(poison), flat)).toEqual([0, 0, 0, 0, 0, 0, 0, outcomeCode.lossHarm]);
    const { screening } = await documents(of);
    const norms = screening.workers.map(({ fragments }) => fragments.reduce((sum, { norm }) => sum + norm, 0));
    const own = screening.workers.findIndex(({ worker }) => worker === workers[7]!.address);
    expect(norms[own]).toBe(Math.min(...norms));
    const [failed, stood] = screening.gate.passes;
    expect(failed!.leftOut).toEqual([workers[7]!.address]);
    expect(failed!.tried.length).toBeLessThanOrEqual(7);
    expect(stood).toMatchObject({ tried: [], leftOut: [] });
    expect(loss(await parameters(of))).toBeLessThan(before);
  });

  // foundation 2
  it("of two among eight that raise the loss together, each far below what it may alone, are found, and nobody else", async () => {
    const { harness: of, workers } = await open({}, 8, steep);
    const two = [workers[2]!, workers[6]!];
    const searches: number[] = [];
    for (let n = 0; n < 3; n++) {
      for (const worker of workers) {
        const delta = noise(0.05, `${worker.address}/${n}`);
        flat(delta);
        // The loss rises by the square of what they push together: each of two alone by a quarter of it.
        if (two.includes(worker)) delta[3]![699] = 0.1;
        await send(worker, encoded(delta));
      }
      await until(() => of.run.driver.state.round === n + 1, "the round's end");
      const { receipts, screening } = await documents(of);
      const { before, passes } = screening.gate;
      expect(passes[0]!.after).toBeGreaterThan(before! + of.run.definition.screening.gateBound);
      // What one of them moved in a round before does more harm together with it: later rounds may find both alone.
      searches.push(passes[0]!.tried.filter(({ without }) => without).length);
      if (n === 0) weighedAnew(of, receipts, screening);
      const left = receipts.receipts.filter(({ outcome }) => outcome !== 0);
      expect(left.length).toBeGreaterThan(0);
      expect(new Set(left.map(({ outcome }) => outcome))).toEqual(new Set([outcomeCode.lossHarm]));
      const senders = new Set(two.map(({ address }) => address));
      expect(left.filter(({ receipt }) => !senders.has(receipt.worker))).toEqual([]);
    }
    expect(searches[0]).toBe(6);
  });

  // foundation 2
  it("of a state that was mined where the loss does not look is bounded by the checkpoint's norms in the first round of two", async () => {
    const theta = Math.hypot(...Array.from({ length: 700 }, (_, i) => i / 100));
    for (const [size, outcome] of [
      [1e6, outcomeCode.normTooLarge],
      [20 * theta, 0],
    ] as const) {
      const { harness: of, workers } = await open({}, 2, blind);
      const mine = ELEMENTS.map((n) => new Float32Array(n));
      mine[3]![699] = size;
      expect(await round(of, workers, () => encoded(mine))).toEqual([0, outcome]);
      const moved = Math.abs((await parameters(of))[3]![699]! - 6.99);
      // Half of three times the norm, by a learning rate of 0.7 with a momentum of 0.9.
      expect(moved).toBeLessThan(1.5 * theta * 0.7 * 1.9 + 1);
      await of.close();
    }
  });

  // foundation 2
  it.each([
    ["that raises the loss a round later by the momentum that it leaves", 2],
    ["alone on a momentum that raises the loss", 1],
  ])("%s takes nobody's pay", async (_, members) => {
    const { harness: of, workers } = await open({ aggregatorBps: 0, rampRounds: 0 }, members, cliff);
    const mine = ELEMENTS.map((n) => new Float32Array(n));
    mine[3]![699] = -5 * members;
    const paid = workers.map(() => 0);
    expect(await round(of, workers, () => encoded(mine), flat)).toEqual(paid);
    const moved = await parameters(of);
    expect(moved[3]![699]! - 6.99).toBeLessThan(7);
    for (let n = 0; n < 2; n++) {
      const before = loss(await parameters(of));
      expect(await round(of, workers, undefined, flat)).toEqual(paid);
      expect(loss(await parameters(of))).toBeLessThan(before);
      const { passes } = (await documents(of)).screening.gate;
      // The first goes on without the momentum, and so nothing of it is left in the second.
      expect(passes.map(({ tried, leftOut }) => [tried.length, leftOut])).toEqual(
        n === 0
          ? [
              [1, []],
              [0, []],
            ]
          : [[0, []]],
      );
      expect((await parameters(of))[3]![699]).toBe(moved[3]![699]);
    }
  });

  it("in a round that goes on without the momentum is found, and the others are paid", async () => {
    const { harness: of, workers } = await open({ aggregatorBps: 0, rampRounds: 0 }, 4, cliff);
    const mine = ELEMENTS.map((n) => new Float32Array(n));
    mine[3]![699] = -20;
    expect(await round(of, workers, () => encoded(mine), flat)).toEqual([0, 0, 0, 0]);
    const poison = (await parameters(of)).map((values) =>
      Float32Array.from(values, (value, i) => -4 * (value - target(i))),
    );
    expect(await round(of, workers, () => encoded(poison), flat)).toEqual([0, 0, 0, outcomeCode.lossHarm]);
    const [dropped, failed, stood] = (await documents(of)).screening.gate.passes;
    expect(dropped).toMatchObject({ tried: [{ count: 0 }], leftOut: [] });
    expect(failed).toMatchObject({ leftOut: [workers[3]!.address] });
    expect(stood).toMatchObject({ tried: [], leftOut: [] });
  });

  it("alone on such a momentum that is lost before the round goes on without it leaves a record that holds", async () => {
    const { harness: of, workers } = await open({ aggregatorBps: 0, rampRounds: 0 }, 1, cliff);
    const mine = ELEMENTS.map((n) => new Float32Array(n));
    mine[3]![699] = -5;
    expect(await round(of, workers, () => encoded(mine), flat)).toEqual([0]);
    const { screening: before } = await documents(of);
    const opened = of.blobs.open.bind(of.blobs);
    of.blobs.open = async (digest, options) => {
      const { current } = of.run.driver.state;
      const sent = Object.values(current?.work ?? {}).flatMap(({ receipt }) => receipt?.header.fragments ?? []);
      if (current?.gate.passes.length === 1 && sent.some((each) => each.digest === digest))
        await of.blobs.delete(digest);
      return opened(digest, options);
    };
    expect(await round(of, workers, undefined, flat)).toEqual([outcomeCode.payloadMissing]);
    const { screening: file, receipts } = await documents(of);
    expect(file.gate).toMatchObject({ before: null, passes: [] });
    const due = { ...params, aggregatorBps: 0 };
    const check = { definition: of.run.definition, params: due, paramsVersion: 1, receipts, past: [before] };
    expect(problemOfScreening({ ...check, file })).toBe("");
  });

  it("alone on a checkpoint of which no loss can be recorded stands where it has one", async () => {
    const { harness: of, workers } = await open({}, 1, gone);
    expect(await round(of, workers)).toEqual([0]);
    const { gate } = (await documents(of)).screening;
    expect(gate).toMatchObject({ before: null, passes: [{ after: expect.any(Number), tried: [], leftOut: [] }] });
  });

  it("is not served to others before its round has closed", async () => {
    const { harness: of, workers } = await open();
    const payloads = encoded(await lesson(of, "early"));
    await send(workers[0]!, payloads);
    const digest = sha256Bytes(payloads[0]!);
    await expect(of.client.blob(of.run.runId, digest, 1 << 20)).rejects.toMatchObject({ code: "PAYLOAD_SEALED" });
    for (const worker of workers.slice(1)) await send(worker, encoded(await lesson(of, worker.address)));
    await until(() => of.run.driver.state.round === 1, "the round's end");
    expect(await of.client.blob(of.run.runId, digest, 1 << 20)).toEqual(payloads[0]);
  });

  it("is not served through another run of the same store either", async () => {
    const { harness: of, workers } = await open();
    const other = await openHarness();
    onTestFinished(() => other.close());
    const payloads = encoded(await lesson(of, "early"));
    await send(workers[0]!, payloads);
    const digest = sha256Bytes(payloads[0]!);
    // Two runs of one coordinator share its store.
    const otherId = `0x${"ab".repeat(32)}` as typeof of.run.runId;
    const beside = { ...other.run, runId: otherId, modules: { ...other.run.modules, blobs: of.blobs } };
    const app = await createHttpServer({ logger: silentLogger(), title: "Test", version: "1", statusByCode });
    onTestFinished(() => app.close());
    await createApi({
      runs: new Map([
        [of.run.runId, of.run],
        [otherId, beside],
      ]),
      operatorToken: "of the test",
      metrics: createCoordinatorMetrics(await createMetrics({ process: false })),
      software: undefined,
      signal: new AbortController().signal,
    })(app);
    const sealed = await app.inject(routes.blob(otherId, digest));
    expect(sealed.json()).toMatchObject({ error: { code: "PAYLOAD_SEALED" } });
  });

  it("after the other costs its sender the place, and one more does when it joins anew", async () => {
    const { harness: of, workers } = await open();
    const attacker = workers[3]!.address;
    for (let i = 0; i < 3; i++) expect((await round(of, workers, zero)).at(-1)).toBe(outcomeCode.empty);
    expect(of.run.driver.state.members[attacker]).toBeUndefined();
    await workers[3]!.join();
    expect(await round(of, workers, zero)).toEqual([0, 0, 0, outcomeCode.empty]);
    expect(of.run.driver.state.members[attacker]).toBeUndefined();
  });
});
