/** A member that foretells another's data, trains on them and sends first would make the other the copyist: it cannot. */
import { asDigest, digestOfJson, outcomeCode, type PositionRange, type ReceiptsFile } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../offchain/src/base/index.ts";
import { positionsOf } from "../../offchain/src/data/index.ts";
import { encodePayload } from "../offchain/diloco/payloads.ts";
import { readManifest } from "../../offchain/src/storage/index.ts";
import {
  ELEMENTS,
  type Harness,
  openHarness,
  OPERATOR,
  type TestWorker,
  until,
} from "../offchain/coordinator/harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

const positions = (ranges: readonly PositionRange[]): number[] =>
  positionsOf(
    ranges,
    0,
    ranges.reduce((sum, { count }) => sum + count, 0),
  );

/** What training on data gives: nearly the same, whoever does it. */
function trainedOn(data: readonly number[], who: string): Uint8Array<ArrayBuffer>[] {
  return ELEMENTS.map((elements, fragment) => {
    const delta = new Float32Array(elements);
    const add = (seed: string, size: number): void => {
      const random = createRandom(seed);
      for (let i = 0; i < elements; i++) delta[i] = Math.fround((delta[i] ?? 0) + size * random.normal());
    };
    for (const position of data) add(`${fragment}/${position}`, 0.001);
    add(`${fragment}/${who}`, 0.0001);
    return encodePayload(1, delta).bytes;
  });
}

async function open(): Promise<{ of: Harness; attacker: TestWorker; victims: TestWorker[] }> {
  const of = (harness = await openHarness({
    params: { innerSteps: 32, rampRounds: 0, rampInnerSteps: 0, minWorkers: 3 },
  }));
  const workers = ["31", "32", "33"].map((byte) => of.worker(byte));
  for (const worker of workers) await worker.join();
  const [attacker, ...victims] = workers.toSorted((a, b) => (a.address < b.address ? -1 : 1));
  return { of, attacker: attacker!, victims };
}

/** Sends what training on `data` gives. */
async function send(worker: TestWorker, data: readonly number[]): Promise<void> {
  const honest = worker.prepare(await worker.assigned());
  const payloads = trainedOn(data, worker.address);
  const fragments = honest.header.fragments.map((each, i) => ({ ...each, digest: sha256Bytes(payloads[i]!) }));
  const header = { ...honest.header, fragments };
  const receipt = { ...honest.receipt, payloadDigest: digestOfJson(header) };
  const prepared = { ...honest, payloads, header, receipt };
  await worker.upload(prepared);
  await worker.submit(prepared);
}

async function receiptsOf(of: Harness): Promise<ReceiptsFile> {
  const manifest = await readManifest(of.blobs, of.run.driver.state.checkpoint.digest);
  return JSON.parse(new TextDecoder().decode(await of.blobs.get(asDigest(manifest.receipts ?? "")))) as ReceiptsFile;
}

/** What an attacker can conclude from its own assignment and all that was ever published. */
const guesses: readonly [string, (own: readonly number[], seen: ReadonlySet<number>) => number[]][] = [
  ["what follows its own", (own) => own.map((position) => Math.max(...own) + 1 + position - Math.min(...own))],
  [
    "the first that nobody had",
    (own, seen) => {
      const free: number[] = [];
      for (let position = 0; free.length < own.length; position++)
        if (!seen.has(position) && !own.includes(position)) free.push(position);
      return free;
    },
  ],
];

describe("a member that sends first what it believes another is training on", () => {
  it.each(guesses)("by taking %s makes nobody the copyist", async (_name, guess) => {
    const { of, attacker, victims } = await open();
    const seen = new Set<number>();
    for (let round = 1; round <= 4; round++) {
      const own = positions((await attacker.assigned()).ranges);
      await send(attacker, guess(own, seen));
      for (const victim of victims) await send(victim, positions((await victim.assigned()).ranges));
      await until(() => of.run.driver.state.round === round, "the round's end");
      const { receipts } = await receiptsOf(of);
      const others = receipts.filter(({ receipt }) => receipt.worker !== attacker.address);
      expect(others.map(({ outcome }) => outcome)).toEqual(victims.map(() => outcomeCode.aggregated));
      for (const { assignment } of receipts) for (const each of positions(assignment.ranges)) seen.add(each);
    }
  });

  it("would make it one, if it knew", async () => {
    const { of, attacker, victims } = await open();
    const [first, second] = victims as [TestWorker, TestWorker];
    const data = positions((await first.assigned()).ranges);
    await send(attacker, data);
    await send(first, data);
    await send(second, positions((await second.assigned()).ranges));
    await until(() => of.run.driver.state.round === 1, "the round's end");
    const { receipts } = await receiptsOf(of);
    const outcomes = Object.fromEntries(receipts.map(({ receipt, outcome }) => [receipt.worker, outcome]));
    expect(outcomes[first.address]).toBe(outcomeCode.copy);
  });
});

describe("the data that a member was given", () => {
  it("differ from coordinator to coordinator with all that is public being equal", async () => {
    const dealt: string[] = [];
    for (const secret of ["one", "another"]) {
      harness = await openHarness({ secret });
      const workers = ["31", "32"].map((byte) => harness!.worker(byte));
      for (const worker of workers) await worker.join();
      for (const worker of workers) dealt.push(digestOfJson((await worker.assigned()).ranges));
      await harness.close();
      harness = undefined;
    }
    expect(new Set(dealt).size).toBe(4);
  });

  it("are told to nobody else before the round has closed, and stand under the checkpoint as they were told then", async () => {
    const { of, attacker, victims } = await open();
    const given = new Map<string, unknown>();
    for (const worker of [attacker, ...victims]) given.set(worker.address, await worker.assigned());
    const { state } = of.run.driver;
    const hidden = [state.secret, ...Object.values(state.current!.work).map(({ digest }) => digest)];
    const document = (await of.app.inject({ url: "/openapi.json" })).json<{ paths: Record<string, object> }>();
    const asked: string[] = [];
    for (const [path, methods] of Object.entries(document.paths)) {
      if (!("get" in methods)) continue;
      const url = path
        .replace("{runId}", of.run.runId)
        .replace("{account}", attacker.address)
        .replace("{cid}", "bafkreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
      asked.push(url);
      for (const headers of [{}, { authorization: `Bearer ${OPERATOR}` }]) {
        const { body } = await of.app.inject({ url, headers });
        for (const secret of hidden) expect(body).not.toContain(secret.slice(2));
        expect(body).not.toMatch(/"ranges"\s*:/);
      }
    }
    expect(asked).toContain(`/v1/runs/${of.run.runId}`);
    const metrics = (await of.app.inject({ url: "/metrics" })).body;
    for (const secret of hidden) expect(metrics).not.toContain(secret.slice(2));
    for (const worker of [attacker, ...victims]) await worker.train();
    await until(() => of.run.driver.state.round === 1, "the round's end");
    expect(of.run.driver.state.secret).not.toBe(state.secret);
    const { receipts } = await receiptsOf(of);
    for (const { receipt, assignment } of receipts) expect(assignment).toEqual(given.get(receipt.worker));
  });
});
