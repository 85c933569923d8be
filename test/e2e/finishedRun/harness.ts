/** The run that `cotrain up` makes once, on a user's own text and with a worker of another wallet, and what its tests share. */
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";

import {
  asDigest,
  asRunId,
  CheckpointManifest,
  createCoordinatorClient,
  type Digest,
  parseDocument,
  type RunView,
} from "@cotrain/sdk/protocol";
import { expect } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import type { Summary } from "../../../offchain/src/cli/up/summary.ts";
import { ensureKeystore, readRunFile, SCRYPT_N_LOCAL } from "../../../offchain/src/service/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { cotrain, cotrainHere, type Ended, temporaryDirectory } from "../../offchain/cli/support.ts";
import { processesMarked } from "../processes.ts";
import { secondsBeside } from "./seconds.ts";

const cleanups: (() => unknown)[] = [];
export const directory = temporaryDirectory((work) => cleanups.push(work));
export const state = join(directory, "state");
export const book = join(directory, "book.txt");
export const wallet = join(directory, "me.json");
export const passphrase = join(directory, "passphrase");
/** In the environment of every process of this file, so that none is overlooked. */
const mark = randomUUID();
export const environment = { FINISHED_RUN_TEST: mark };

export let first: Ended;
export let summary: Summary;
export let me: string;
export let joined: Ended;
/** The run as its coordinator shows it while it trains. */
export let announced: RunView;
/** What worker-1 earned and the session did not come to claim, share wei. */
export const left = (): bigint => BigInt(summary.wallets[0]?.earned ?? 0) - BigInt(summary.wallets[0]?.claimed ?? 0);
/** The state as `up` left it, before anything here claims. */
export const unclaimed = join(directory, "unclaimed");

/** 150 KB of sentences that a small model can learn something from. */
function writeBook(): void {
  const random = createRandom("book");
  const pick = (words: readonly string[]): string => words[random.below(words.length)] ?? "";
  const sentence = (): string =>
    `The ${pick(["old", "young", "quiet", "tired"])} ${pick(["miller", "sailor", "teacher", "farmer"])} ${pick(["saw", "met", "followed", "forgot"])} a ${pick(["red", "small", "strange"])} ${pick(["boat", "house", "bird", "letter"])} ${pick(["by the river", "in the town", "before dawn", "after the war"])}.`;
  let text = "";
  while (text.length < 150_000) text += `${sentence()} ${sentence()} ${sentence()}\n\n`;
  writeFileSync(book, text);
}

/** The guard of a supervisor ends a moment after it. */
export const nothingLeft = (): Promise<void> =>
  expect.poll(() => processesMarked(mark), { timeout: 30_000 }).toEqual([]);

/** Keeps the default ports from `up`, unless somebody else does so already. */
async function take(port: number): Promise<void> {
  const server: Server = createServer();
  await new Promise<void>((done) => {
    server.once("error", () => done());
    server.listen(port, "127.0.0.1", () => done());
  });
  cleanups.push(() => server.close());
}

/** A worker with a wallet of its own joins the run as soon as it trains; told to end when `up` has ended. */
async function joinRun(worker: { child: ChildProcess | undefined }): Promise<Ended> {
  const file = await readRunFile(state);
  const url = file?.urls["coordinator"] ?? "";
  announced = await createCoordinatorClient(url).run(asRunId(file?.runId ?? ""));
  return cotrain(
    [
      "worker",
      "--coordinator",
      url,
      "--state",
      join(directory, "worker"),
      "--wallet",
      wallet,
      "--passphrase-file",
      passphrase,
      "--threads",
      "1",
    ],
    { environment, onStart: (child) => (worker.child = child) },
  );
}

/** Makes the run. */
export async function makeRun(): Promise<void> {
  writeBook();
  me = (await ensureKeystore({ keystore: wallet, passphrase, scryptN: SCRYPT_N_LOCAL })).address;
  await Promise.all([take(8_545), take(7_700)]);
  const worker: { child: ChildProcess | undefined } = { child: undefined };
  let joining: Promise<Ended> | undefined;
  first = await cotrain(
    [
      "up",
      "--state",
      state,
      "--preset",
      "0.1m",
      "--data",
      book,
      "--workers",
      "1",
      "--keep-payloads",
      "2h",
      "--keep-checkpoints",
      "5",
      "--keep-bytes",
      "3GiB",
      "--for",
      `${secondsBeside(loadavg()[0] ?? 0, availableParallelism())}s`,
      "--vote",
      "--exit",
      "--json",
    ],
    {
      environment,
      onStderr: (stderr) => {
        if (/Training · round/.test(stderr)) joining ??= joinRun(worker);
      },
    },
  );
  worker.child?.kill("SIGINT");
  joined = (await joining) ?? { code: null, stdout: "", stderr: "" };
  if (first.code !== 0) throw new Error(`up ended with ${first.code}: ${first.stderr.slice(-2_000)}`);
  summary = JSON.parse(first.stdout) as Summary;
  cpSync(state, unclaimed, { recursive: true });
}

export async function removeRun(): Promise<void> {
  for (const work of cleanups.reverse()) await work();
}

/** `cotrain <args>` on the state, in this process. */
export const run = (...args: readonly string[]): Promise<Ended> => cotrainHere([...args, "--state", state]);

/** The one document that a command prints under --json. */
export async function jsonOf(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await run(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** A copy of the state for one test. */
export function copyOf(): string {
  const copy = join(temporaryDirectory(), "state");
  cpSync(state, copy, { recursive: true });
  return copy;
}

export const newest = (): Digest => asDigest(summary.checkpoints.at(-1)?.digest ?? "");

export async function shardOf(where: string, checkpoint: Digest): Promise<string> {
  const store = await openBlobStore(join(where, "blobs"));
  const manifest = parseDocument(
    "manifest",
    CheckpointManifest,
    JSON.parse(new TextDecoder().decode(await store.get(checkpoint))),
  );
  const digest = manifest.fragments[0]?.digest.slice(2) ?? "";
  return join(where, "blobs", digest.slice(0, 2), digest);
}

export function flipByte(file: string, position: number): void {
  const bytes = readFileSync(file);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** The deployment of a state, but for one contract. */
export function writeLiar(of: string): string {
  const liar = join(directory, "liar.json");
  const deployment = JSON.parse(readFileSync(join(of, "deployment.json"), "utf8")) as { addresses: object };
  const addresses = { ...deployment.addresses, runRegistry: `0x${"9".repeat(40)}` };
  writeFileSync(liar, JSON.stringify({ ...deployment, addresses }));
  return liar;
}
