/**
 * A run with the real coordinator as a process of its own on an embedded chain, for members that do everything a worker
 * does but train: they join, fetch θ_r, upload random int8 payloads and sign receipts.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import {
  type Address,
  asDigest,
  type Assignment,
  createCoordinatorClient,
  type CoordinatorClient,
  defaultRunParams,
  type Definition,
  type Domain,
  domainFor,
  type ReceiptRequest,
  type RunId,
  tableDigest,
  toWire,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { createPublicClient, createWalletClient, http } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";

import { deploy, ensureBuilt, profileFor } from "../../deploy/deployment.ts";
import { createRandom, InternalError, sha256Bytes } from "../../offchain/src/base/index.ts";
import {
  anvilCommand,
  developmentChain,
  DEVELOPMENT_CHAIN_ID,
  openChainDoor,
  openNodeLink,
} from "../../offchain/src/chain/index.ts";
import {
  type MaterialOptions,
  prepareRun,
  registerRunOnChain,
  type RunMaterial,
} from "../../offchain/src/run/creation.ts";
import { layout, writeDeployment } from "../../offchain/src/run/index.ts";
import { coordinatorProcess } from "../../offchain/src/localnet/processes.ts";
import { ensureWallet } from "../../offchain/src/run/wallets.ts";
import { type FragmentLayout, fragmentLayouts } from "../../offchain/src/diloco/index.ts";
import { encodePayload } from "../offchain/diloco/payloads.ts";
import {
  createSupervisor,
  openStateDirectory,
  silentLogger,
  type Supervisor,
  writeRunFile,
} from "../../offchain/src/service/index.ts";
import { type BlobStore } from "../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import { type RunBlobs, fetchBase } from "../../offchain/src/worker/index.ts";
import { payloadHeader, receiptOf, signReceipt, signStruct } from "../../offchain/src/worker/receipt.ts";

/** What a member must know of a run. */
export interface KnownRun {
  readonly coordinator: CoordinatorClient;
  readonly runId: RunId;
  readonly domain: Domain;
  readonly material: Pick<RunMaterial, "definition" | "build" | "buildDigest">;
  readonly layouts: readonly FragmentLayout[];
}

export interface LightRun extends KnownRun, AsyncDisposable {
  /** Of the coordinator's process. */
  readonly pid: number;
  readonly url: string;
  readonly state: string;
  /** Starts and ends the run's processes. */
  readonly supervisor: Supervisor;
  readonly material: RunMaterial;
  /** The coordinator's. */
  readonly blobs: BlobStore;
}

/** What a run has of its own beside what all have. */
type Own = Pick<MaterialOptions, "tokenizer" | "microBatch" | "here">;

/** Makes and registers a run whose rounds open when `workers` have joined, and starts its coordinator. */
export async function openLightRun(preset: string, workers: number, own: Own = {}): Promise<LightRun> {
  await using opened = new AsyncDisposableStack();
  const state = await mkdtemp(join(tmpdir(), "cotrain-bench-"));
  opened.defer(() => rm(state, { recursive: true, force: true }));
  const directory = await openStateDirectory(state, { create: true });
  opened.defer(() => directory.close());
  const supervisor = createSupervisor({ logger: silentLogger(), logDirectory: layout(state).logs });
  opened.defer(() => supervisor.stopAll());

  await ensureBuilt();
  const organiser = await ensureWallet(state, "organiser", true);
  const poster = await ensureWallet(state, "poster", true);
  const validator = await ensureWallet(state, "validator-1", true);
  await writeFile(layout(state).operatorToken, randomBytes(32).toString("hex"), { mode: 0o600 });
  const node = anvilCommand({ stateFile: join(state, "chain.json"), blockTime: 0 });
  await supervisor.start({ name: "chain", command: node.command, args: node.args, ready: node.ready });
  const link = openNodeLink(node.socket);
  await developmentChain(link).fund([organiser.address, poster.address]);
  const door = await openChainDoor({ link, port: { port: 8645, explicit: false } });
  opened.defer(() => door.close());

  const transport = http(door.url);
  const walletClient = createWalletClient({ account: organiser, transport, pollingInterval: 50 });
  const publicClient = createPublicClient({ transport, pollingInterval: 50 });
  const deployment = await deploy({ walletClient, publicClient, profile: "local" });
  const addresses = { ...deployment.addresses };
  await writeDeployment(state, { ...deployment, addresses, blocks: { ...deployment.blocks } });
  const blobs = await openBlobStore(layout(state).blobs);
  const material = await prepareRun(blobs, { preset, dataFile: undefined, seed: "bench", ...own });
  const { modelId, runId } = await registerRunOnChain(blobs, material, {
    client: walletClient,
    chainId: DEVELOPMENT_CHAIN_ID,
    addresses,
    salt: zeroHash,
    poster: poster.address,
    params: { ...defaultRunParams, innerSteps: 4, minWorkers: workers, roundDeadline: 600 },
    model: {
      ...profileFor("local", DEVELOPMENT_CHAIN_ID).model,
      name: "Bench",
      symbol: "BENCH",
      uri: "",
      validators: [validator.address],
      threshold: 1,
    },
  });
  await developmentChain(link).mineByInterval(1);
  await writeRunFile(state, {
    version: 1,
    startedAt: new Date().toISOString(),
    chain: { chainId: DEVELOPMENT_CHAIN_ID, rpcUrl: door.url, embedded: true },
    ports: { chain: door.port },
    urls: {},
    settings: { build: material.buildDigest },
    modelId,
    runId,
  });
  const coordinator = await supervisor.start(
    coordinatorProcess(fileURLToPath(new URL("../../offchain/src/cli/main.ts", import.meta.url)), { state }),
  );
  if (coordinator.pid === undefined) throw new InternalError("NO_PROCESS", "The coordinator has no process.");
  const stack = opened.move();
  const url = `http://127.0.0.1:${coordinator.details["port"]}`;
  return {
    pid: coordinator.pid,
    url,
    state,
    supervisor,
    coordinator: createCoordinatorClient(url, { timeout: 120_000 }),
    runId,
    domain: domainFor(DEVELOPMENT_CHAIN_ID, addresses.runRegistry),
    material,
    layouts: fragmentLayouts(material.table),
    blobs,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Payloads of all fragments: random pseudo-gradients, encoded once for all members. */
export function randomPayloads(layouts: readonly FragmentLayout[], codec: number): Uint8Array<ArrayBuffer>[] {
  const random = createRandom("payload");
  return layouts.map(({ elements }) => {
    const delta = Float32Array.from({ length: elements }, () => random.normal() * 1e-3);
    return encodePayload(codec, delta).bytes;
  });
}

export interface Member {
  readonly account: ReturnType<typeof privateKeyToAccount>;
  readonly session: ReturnType<CoordinatorClient["session"]>;
}

/** Joins with a key of its own. */
export async function joinMember({ coordinator, runId, domain, material }: KnownRun): Promise<Member> {
  const account = privateKeyToAccount(generatePrivateKey());
  const worker = account.address.toLowerCase() as Address;
  const join = {
    runId,
    worker,
    beneficiary: worker,
    lease: zeroHash,
    build: material.buildDigest,
    conformance: material.build.conformance as typeof zeroHash,
    protocolMin: 1,
    protocolMax: 1,
    issuedAt: BigInt(Date.now()),
  };
  const signature = await signStruct(account, domain, "Join", join);
  const { sessionKey } = await coordinator.join(runId, { join: toWire("Join", join), signature });
  return { account, session: coordinator.session(runId, worker, sessionKey) };
}

/** Of a member that waits. */
export const idleBeat = { round: null, step: 0, loss: null, tokensPerSecond: null, uploading: false };

/** Waits for an assignment. */
export async function nextAssignment({ session }: Member): Promise<Assignment> {
  for (;;) {
    const work = await session.work({ waitSeconds: 10 });
    if (work.kind === "train") return work.assignment;
  }
}

/** A member: joins, then takes part in rounds until it has done so many. */
export async function lightMember(
  run: KnownRun,
  payloads: readonly Uint8Array<ArrayBuffer>[],
  index: number,
  rounds: number,
): Promise<void> {
  const member = await joinMember(run);
  const heartbeats = setInterval(() => void member.session.heartbeat(idleBeat).catch(() => undefined), 1_000);
  try {
    for (let done = 0; done < rounds; done++) {
      const assignment = await nextAssignment(member);
      const own = payloads.map((shared) => {
        const bytes = shared.slice();
        // Every payload is one of its own, or the store would keep them once.
        bytes[bytes.length - 1] = index;
        bytes[bytes.length - 2] = assignment.round % 100;
        return bytes;
      });
      await member.session.submitReceipt(await uploadAll(run, member, assignment, own));
    }
  } finally {
    clearInterval(heartbeats);
  }
}

/** Fetches the base, uploads payloads. @returns the receipt for them, signed */
export async function uploadAll(
  { coordinator, runId, domain, material, layouts }: KnownRun,
  { account, session }: Member,
  assignment: Assignment,
  payloads: readonly Uint8Array<ArrayBuffer>[],
): Promise<ReceiptRequest> {
  const blobs: RunBlobs = {
    blob: (digest, limit) => coordinator.blob(runId, digest, limit),
    blobPart: (digest, offset, length) => coordinator.blobPart(runId, digest, offset, length),
  };
  const table = tableDigest((material.definition satisfies Definition).table);
  const { manifest } = await fetchBase(assignment, { runId, layouts, table, blobs });
  const fragments: Parameters<typeof payloadHeader>[0]["fragments"][number][] = [];
  for (const [fragment, bytes] of payloads.entries()) {
    const digest = sha256Bytes(bytes);
    await session.uploadFragment(assignment.assignmentId, assignment.attempt, fragment, bytes, digest);
    const base = asDigest(manifest.fragments[fragment]?.digest ?? "");
    const elements = layouts[fragment]?.elements ?? 0;
    fragments.push({ index: fragment, base, elements, bytes: bytes.length, digest });
  }
  const { header, payloadDigest } = payloadHeader({ assignment, table, fragments });
  const receipt = receiptOf({
    assignment,
    steps: assignment.steps,
    beneficiary: assignment.worker,
    build: material.buildDigest,
    commitment: `0x${"cc".repeat(32)}`,
    leaves: 2,
    payloadDigest,
  });
  const signed = await signReceipt(account, domain, receipt);
  return { receipt: signed.receipt, signature: signed.signature, header };
}
