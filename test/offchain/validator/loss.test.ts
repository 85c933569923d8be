/** Held-out loss in its own process, against the same engine asked directly. */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { asRunId, digestOfCid, digestOfJson } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { prepareRun, type RunMaterial } from "../../../offchain/src/cli/createRun.ts";
import { bitsPerByte, openSequences } from "../../../offchain/src/data/index.ts";
import { fragmentLayouts, scatterFragment } from "../../../offchain/src/diloco/index.ts";
import { openEngine } from "../../../offchain/src/engine/engine.ts";
import { type BlobStore, openFileStore, writeCheckpoint } from "../../../offchain/src/storage/index.ts";
import { createLossProcess, type LossMeter, sampleOf } from "../../../offchain/src/validator/index.ts";

const runId = asRunId(digestOfJson("run"));
let directory: string;
let store: BlobStore;
let server: Server;
let material: RunMaterial;
let checkpoint: Awaited<ReturnType<typeof writeCheckpoint>>["digest"];
let meter: LossMeter;
let url: string;

const request = () => ({
  runId,
  definition: material.definitionDigest,
  realisation: material.realisationDigest,
  checkpoint,
  sequences: 8,
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-loss-"));
  store = await openFileStore(join(directory, "store"));
  const random = createRandom("text");
  const words = ["model", "head", "round", "worker", "share", "epoch", "trains", "signs", "the", "a", "of", "and"];
  const paragraph = (): string => `${Array.from({ length: 60 }, () => random.pick(words)).join(" ")}.`;
  const text = join(directory, "text.txt");
  await writeFile(text, Array.from({ length: 400 }, paragraph).join("\n\n"));
  material = await prepareRun(store, { preset: "0.1m", dataFile: text, seed: "loss" });
  const facts = {
    runId,
    round: 0,
    step: 0,
    tokens: "0",
    paramsVersion: 1,
    parent: null,
    receipts: null,
    screening: null,
  };
  checkpoint = (await writeCheckpoint(store, material.table, [...material.initial], facts)).digest;
  server = createServer((incoming, response) => {
    void (async () => {
      try {
        response.end(await store.get(digestOfCid(incoming.url?.split("/").at(-1) ?? "")));
      } catch {
        const error = { code: "BLOB_NOT_FOUND", message: "It is not here." };
        response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify({ error }));
      }
    })();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  meter = createLossProcess({ coordinator: url, cache: join(directory, "cache") });
}, 60_000);
afterAll(async () => {
  meter?.close();
  server?.closeAllConnections();
  server?.close();
  await rm(directory, { recursive: true, force: true });
});

const children = (): { pid: number; niceness: number }[] =>
  execFileSync("ps", ["-o", "pid=,ni=,args=", "--ppid", String(process.pid)], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("lossProcess"))
    .map((line) => {
      const [pid, niceness] = line.trim().split(/\s+/);
      return { pid: Number(pid), niceness: Number(niceness) };
    });

describe("held-out loss", () => {
  it("is what the engine says of the same sequences, measured at the lowest priority", async () => {
    const { signal } = new AbortController();
    const result = await meter.measure(request(), signal);
    expect(result.sequences).toBe(8);
    expect(children().map(({ niceness }) => niceness)).toEqual([19]);

    const { definition, data, table, initial, realisation } = material;
    const program = await store.get(realisation.graphs.eval as typeof checkpoint);
    const engine = await openEngine({ programs: { eval: program }, threads: 1 });
    const parameters = new Map(
      table.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1))]),
    );
    for (const layout of fragmentLayouts(table)) scatterFragment(initial[layout.index]!.params, layout, parameters);
    const heldOut = openSequences(store, data, "heldOut", definition.sequence);
    const tokens = await heldOut.tokens(sampleOf(heldOut.count, 8, 4));
    const { loss } = await engine.evaluate({ tokens, parameters: [...parameters.values()] });
    await engine.close();
    expect(result.loss).toBe(loss);
    expect(result.microBitsPerByte).toBe(Math.round(bitsPerByte(loss, data.heldOut) * 1e6));
    expect(await meter.measure(request(), signal)).toEqual(result);
  });

  it("of a checkpoint that is not to be had is an error, and the process goes on", async () => {
    const { signal } = new AbortController();
    await expect(meter.measure({ ...request(), checkpoint: digestOfJson("nowhere") }, signal)).rejects.toMatchObject({
      code: "BLOB_NOT_FOUND",
    });
    await expect(meter.measure(request(), signal)).resolves.toMatchObject({ sequences: 8 });
  });

  it("is measured again after kill -9 of its process", async () => {
    const { signal } = new AbortController();
    const pid = children()[0]!.pid;
    const measuring = meter.measure(request(), signal);
    process.kill(pid, "SIGKILL");
    await expect(measuring).rejects.toMatchObject({ code: "LOSS_PROCESS_ENDED", retryable: true });
    await expect(meter.measure(request(), signal)).resolves.toMatchObject({ sequences: 8 });
  });
});

describe("the sample", () => {
  it("is evenly spaced, whole batches, and the same for everybody", () => {
    expect(sampleOf(100, 8, 4)).toEqual([0, 12, 25, 37, 50, 62, 75, 87]);
    expect(sampleOf(10, 64, 4)).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    expect(sampleOf(2, 64, 4)).toEqual([0, 1, 0, 1]);
    expect(new Set(sampleOf(1_000, 512, 8)).size).toBe(512);
  });
});
