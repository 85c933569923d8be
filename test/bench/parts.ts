/**
 * Parts of a round one by one, each beside the plain thing that bounds it: codec beside a copy, reducing, the event log
 * beside raw SQLite, an upload over loopback, state hashes beside the steps that they commit to.
 *
 * Alone: node --conditions=cotrain-source test/bench/parts.ts
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import blake from "@napi-rs/blake-hash";
import Sqlite from "better-sqlite3";

import {
  aggregatorCode,
  codecCode,
  EXACT_SEGMENT_STEPS,
  outerOptimizerCode,
  weightingCode,
} from "@cotrain/sdk/protocol";
import { bytesOf, createRandom, sha256Bytes } from "../../offchain/src/base/index.ts";
import { reduceFragment, sourceOf } from "../../offchain/src/diloco/index.ts";
import { decodePayload, encodePayload } from "../offchain/diloco/payloads.ts";
import { parameterCount, presetOf } from "../../offchain/src/engine/index.ts";
import {
  createEventLog,
  createHttpServer,
  createMetrics,
  eventLogMigrations,
  type EventLogSchema,
  listen,
  openDatabase,
  readUpload,
  silentLogger,
} from "../../offchain/src/service/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import { benchmarkStep } from "./engine.ts";
import { type BenchOptions, percent, type Row, whole } from "./report.ts";

const ELEMENTS = 5_000_000;
const CODEC = codecCode["int8-b256"];
const RULES = {
  codec: CODEC,
  weighting: weightingCode.tokens,
  aggregator: aggregatorCode.mean,
  outerOptimizer: outerOptimizerCode.nesterov,
  outerLrPpm: 700_000,
  outerMomentumPpm: 700_000,
  rampRounds: 0,
};

/** Calls per second, after two of warming up. */
async function rate(seconds: number, call: () => unknown): Promise<number> {
  await call();
  await call();
  const start = performance.now();
  let calls = 0;
  for (; performance.now() - start < seconds * 1_000; calls++) await call();
  return (calls * 1_000) / (performance.now() - start);
}

const perSecond = (callsPerSecond: number, bytes: number): string => `${whole((callsPerSecond * bytes) / 1e6)} MB/s`;

function delta(): Float32Array {
  const random = createRandom("parts");
  return Float32Array.from({ length: ELEMENTS }, () => (random.float() - 0.5) * 1e-3);
}

async function codecRows(seconds: number): Promise<Row[]> {
  const values = delta();
  const bytes = values.byteLength;
  const { bytes: payload } = encodePayload(CODEC, values);
  const copy = new Float32Array(ELEMENTS);
  const copied = await rate(seconds, () => copy.set(values));
  const encoded = await rate(seconds, () => encodePayload(CODEC, values, copy));
  const decoded = await rate(seconds, () => decodePayload(CODEC, payload, ELEMENTS));
  const payloads = ["11", "22", "33"].map((byte) => ({
    worker: `0x${byte.repeat(20)}` as const,
    tokens: 1_000,
    steps: 10,
    source: sourceOf(payload),
  }));
  const reduced = await rate(seconds, () =>
    reduceFragment({
      state: { params: values, outer: copy },
      payloads,
      rules: RULES,
      round: 0,
    }),
  );
  return [
    {
      what: "int8 codec, fp32 side: encode with error feedback, decode (a copy of the same bytes)",
      result: `${perSecond(encoded, bytes)}, ${perSecond(decoded, bytes)} (${perSecond(copied, bytes)})`,
    },
    {
      what: "reduce 3 payloads and take the outer step, bytes of payload",
      result: perSecond(reduced, payload.length * payloads.length),
    },
  ];
}

/** Events of a size that receipts have, one durable append each. */
async function logRows(seconds: number, directory: string): Promise<Row[]> {
  const event = { type: "Measured", at: 1, text: "x".repeat(800) };
  const database = await openDatabase<EventLogSchema>(join(directory, "log.sqlite"), eventLogMigrations);
  const log = createEventLog<typeof event>(database, { runId: "bench", schemaVersion: 1, logicVersion: 1 });
  let seq = 0;
  const logged = await rate(seconds, async () => {
    await log.append(seq, [event]);
    seq += 1;
  });
  await database.close();

  const raw = new Sqlite(join(directory, "raw.sqlite"));
  raw.pragma("journal_mode = WAL");
  raw.pragma("synchronous = FULL");
  raw.exec("create table events (seq integer primary key, json text not null)");
  const insert = raw.prepare("insert into events (json) values (?)");
  const json = JSON.stringify(event);
  const plain = await rate(seconds, () => insert.run(json));
  raw.close();
  return [
    {
      what: "event log: durable appends of one event (raw better-sqlite3, WAL, full sync)",
      result: `${whole(logged)}/s (${whole(plain)}/s)`,
    },
  ];
}

/** A server of the service room that streams bodies into a blob store, as the coordinator does. */
async function uploadRow(seconds: number, directory: string): Promise<Row> {
  const store = await openBlobStore(join(directory, "blobs"));
  const size = 16 << 20;
  const app = await createHttpServer({
    logger: silentLogger(),
    title: "bench",
    version: "1",
    metrics: await createMetrics({ process: false }),
  });
  app.put("/blob", async (request) => {
    const { digest } = await store.put(readUpload(request, size));
    await store.delete(digest);
    return { digest };
  });
  const { port } = await listen(app, { port: 0, explicitPort: false });
  const body = createRandom("upload").bytes(size);
  const sent = await rate(seconds, async () => {
    const headers = { "content-type": "application/octet-stream" };
    const response = await fetch(`http://127.0.0.1:${port}/blob`, { method: "PUT", body, headers });
    await response.arrayBuffer();
  });
  await app.close();
  return {
    what: "upload over loopback into the blob store: streamed, SHA-256, synced; sender in the same process",
    result: perSecond(sent, size),
  };
}

async function hashRows(seconds: number): Promise<Row[]> {
  const values = bytesOf(delta());
  const blake3 = (await rate(seconds, () => new blake.Blake3Hasher().update(values).digestBuffer())) * values.length;
  const sha256 = (await rate(seconds, () => sha256Bytes(values))) * values.length;
  const rows: Row[] = [
    { what: "BLAKE3, SHA-256 of 20 MB", result: `${whole(blake3 / 1e6)} MB/s, ${whole(sha256 / 1e6)} MB/s` },
  ];
  for (const preset of ["1m", "20m"] as const) {
    const { millisecondsPerStep } = await benchmarkStep(preset, 1, seconds);
    // θ, m, v and the residual, once per segment.
    const hashed = (16 * parameterCount(presetOf(preset).model) * 1_000) / blake3;
    const share = hashed / (EXACT_SEGMENT_STEPS * millisecondsPerStep);
    rows.push({
      what: `commitment: hashing the state of ${preset} each ${EXACT_SEGMENT_STEPS} steps, share of the steps' time on 1 thread`,
      goal: "≤ 1%",
      result: `${percent(share, 2)} (${hashed.toFixed(1)} ms)`,
      met: share <= 0.01,
    });
  }
  return rows;
}

/** The table that test/deploy/gas.test.ts keeps. */
function gasRows(): Row[] {
  const file = fileURLToPath(new URL("../contracts/gas.json", import.meta.url));
  if (!existsSync(file)) return [];
  const { rows } = JSON.parse(readFileSync(file, "utf8")) as { rows: Record<string, number> };
  return Object.entries(rows).map(([what, gas]) => ({ what: `gas: ${what}`, result: whole(gas) }));
}

export async function benchmarkParts({ quick, note }: BenchOptions): Promise<Row[]> {
  note("codec, reduce, event log, upload, hashes");
  const seconds = quick ? 1 : 3;
  const directory = await mkdtemp(join(tmpdir(), "cotrain-bench-"));
  try {
    return [
      ...(await codecRows(seconds)),
      ...(await logRows(seconds, directory)),
      await uploadRow(seconds, directory),
      ...(await hashRows(seconds)),
      ...gasRows(),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const rows = await benchmarkParts({ quick: true, note: (line) => void process.stderr.write(`${line}\n`) });
  for (const { what, result } of rows) process.stdout.write(`${what}: ${result}\n`);
}
