/** One worker with the real engine, data and storage against the double: what it sends is what it trained. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { privateKeyToAccount } from "viem/accounts";

import { asDigest, commitmentRoot, type CommitmentLeaf, type Digest, fromWire, zeroHash } from "@cotrain/sdk/protocol";

import { bytesOf, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { fragmentLayouts, gatherFragment, tensorViews } from "../../../offchain/src/diloco/index.ts";
import { decodePayload } from "../diloco/payloads.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { openRoleDirectory, silentLogger } from "../../../offchain/src/service/index.ts";
import { type BlobStore } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { blake3Of, type WorkerEvent, openAssignmentSteps } from "../../../offchain/src/worker/index.ts";
import { workerDaemon } from "../../../offchain/src/worker/node/index.ts";
import { type CoordinatorDouble, startDouble } from "./coordinatorDouble.ts";
import { publishEngineRun, type RunFixture } from "./fixture.ts";

const account = privateKeyToAccount(`0x${"22".repeat(32)}`);
let directory: string;
let store: BlobStore;
let fixture: RunFixture;
let double: CoordinatorDouble;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-worker-"));
  store = await openBlobStore(join(directory, "remote"));
  fixture = await publishEngineRun(store, "0.1m");
});

afterEach(async () => {
  await double.close();
  await rm(directory, { recursive: true, force: true });
});

/** Works until it is dismissed. */
async function trained(): Promise<WorkerEvent[]> {
  const events: WorkerEvent[] = [];
  const stop = new AbortController();
  const state = await openRoleDirectory(join(directory, "state"), "worker-1", { create: true });
  await workerDaemon(
    {
      coordinator: double.url,
      directory: state,
      role: "worker-1",
      account,
      threads: 1,
      onEvent: (event) => events.push(event),
    },
    { signal: stop.signal, logger: silentLogger(), ready: () => undefined, onShutdown: () => undefined },
  ).finally(() => state.close());
  return events;
}

test("on a slow link two fragments are on their way at a time, and the bytes that are there are told", async () => {
  double = await startDouble({ fixture, store, rounds: 1, steps: 4 });
  double.faults.dismissAfter = 1;
  let [begun, now, most] = [0, 0, 0];
  const both = Promise.withResolvers<void>();
  double.faults.beforeUploaded = async () => {
    const upload = ++begun;
    most = Math.max(most, ++now);
    if (upload === 2) {
      // All that would be sent meanwhile is encoded before the worker has spoken twice more.
      const beats = double.beats.length;
      await vi.waitUntil(() => double.beats.length >= beats + 2, { timeout: 60_000 });
      both.resolve();
    }
    if (upload <= 2) await both.promise;
    now -= 1;
  };
  const events = await trained();
  expect(new Set(double.uploads.map(({ index }) => index))).toEqual(new Set([0, 1, 2, 3]));
  expect(most).toBe(2);
  const told = events.flatMap((event) => (event.type === "sending" || event.type === "uploaded" ? [event.bytes] : []));
  const [total, ...parts] = told;
  expect(parts).toHaveLength(4);
  expect(parts.reduce((sum, bytes) => sum + bytes)).toBe(total);
});

test("payload, residual and commitment of two rounds are those of the training they stand for", async () => {
  double = await startDouble({ fixture, store, rounds: 2, steps: 8 });
  double.faults.dismissAfter = 2;
  const events = await trained();
  expect(double.receipts).toHaveLength(2);
  expect(events.find((event) => event.type === "ready")).toMatchObject({ conforms: true });

  // foundation 19: its speed is known before its first round.
  expect(double.joins[0]!.stepMicros).toBeGreaterThan(0);

  // The same training again, step by step, from what is public.
  const { definition, build } = fixture;
  const layouts = fragmentLayouts(definition.table);
  const program = await store.get(build.graphs.step as Digest);
  const engine = await openCpuEngine({ programs: { step: program }, threads: 1 });
  const data = JSON.parse(new TextDecoder().decode(await store.get(definition.data as Digest))) as never;
  const stepsOf = await openAssignmentSteps({ definition, data } as never, { reader: store } as never);
  let base = fixture.initial.map(({ params }) => params);
  let residual = layouts.map(({ elements }) => new Float32Array(elements));
  let step = 0;
  for (const { assignment, receipt, header, payloads } of double.receipts) {
    const views = tensorViews(base, layouts, definition.table);
    await engine.setParameters(views);
    const hash = async () => engine.stateDigest(tensorViews(residual, layouts, definition.table));
    const nothing = sha256Bytes(new Uint8Array(0));
    const leaves: CommitmentLeaf[] = [
      { j: 0, step: BigInt(step), state: await hash(), data: nothing, scalars: nothing, update: zeroHash },
    ];
    const { tokens, learningRates } = await stepsOf(assignment, step);
    await engine.train({ tokens, learningRate: learningRates });
    step += assignment.steps;
    const local = new Map((await engine.parameters()).map(({ name, data: values }) => [name, values]));
    const next = layouts.map((layout, f) => {
      const here = gatherFragment(local, layout);
      const sent = decodePayload(assignment.codec, payloads[f]!, layout.elements);
      return here.map((value, i) => {
        const wanted = Math.fround(Math.fround(base[f]![i]! - value) + residual[f]![i]!);
        return Math.fround(wanted - sent[i]!);
      });
    });
    leaves.push({
      j: 1,
      step: BigInt(step),
      state: await hash(),
      data: asDigest(assignment.base),
      scalars: await blake3Of(tensorViews(next, layouts, definition.table)),
      update: asDigest(receipt.payloadDigest),
    });
    expect(fromWire("Receipt", receipt).commitment).toBe(commitmentRoot(leaves));
    // What was sent is close to what was learned: no element is off by more than half a quantum of its block.
    for (const [f, values] of next.entries()) {
      const scales = new Float32Array(payloads[f]!.slice(0, Math.ceil(values.length / 256) * 4).buffer);
      expect(values.every((value, i) => Math.abs(value) <= scales[i >> 8]! * 0.5001)).toBe(true);
      expect(values.some((value) => value !== 0)).toBe(true);
    }
    expect(header.fragments.map(({ digest }) => digest)).toEqual(payloads.map((bytes) => sha256Bytes(bytes)));
    residual = next;
    // Plain averaging with one worker, lr 1: the global parameters become what was sent.
    base = base.map((values, f) => {
      const sent = decodePayload(assignment.codec, payloads[f]!, values.length);
      return values.map((value, i) => Math.fround(value - sent[i]!));
    });
  }
  await engine.close();
  expect(base.map((values) => sha256Bytes(bytesOf(values)))).toEqual(
    double.states.map(({ params }) => sha256Bytes(bytesOf(params))),
  );
  const losses = events.flatMap((event) => (event.type === "progress" ? [event.loss] : []));
  expect(losses.at(-1)!).toBeLessThan(losses[0]!);
});
