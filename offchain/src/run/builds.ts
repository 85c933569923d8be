/**
 * Builds: how a class of machines computes a run's programs. Making one, proving one for another device, and the decision of the
 * holders that admits it.
 */
import { admitBuild, buildAdmitted, getAllLogs } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import {
  asDigest,
  type Build,
  buildProposalText,
  buildTitle,
  type ContractAddresses,
  type Digest,
  digestOfJson,
  EXACT_SEGMENT_STEPS,
  type Hex,
  MAX_BUILD_BYTES,
  MAX_DEFINITION_BYTES,
  type RunId,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { ChainConnection, ChainReader } from "../chain/index.ts";
import { classOf, type Device, endedBy, PREPARATION_MS, type TransformerConfig } from "../engine/core.ts";
import { parseBuild, parseDefinition } from "../storage/index.ts";
import { OTHER_CLASS } from "./machineClass.ts";
import type { BlobSource } from "./ports.ts";

/** What a build computes, whatever computes it. */
export type Computed = Omit<Build, "runtime" | "deviceClass" | "segmentSteps" | "conformance">;

/** The same with a step whose products are in fp16. */
export const inHalf = (computed: Computed, step: Digest): Computed => ({
  ...computed,
  graphs: { ...computed.graphs, step },
  precision: "fp16",
});

/** The class that a build of a device has. */
export const classInBuild = (device: Pick<Device, "exactness">): string => classOf(device) ?? OTHER_CLASS;

/** The build of programs for a device that computes this value of them. */
export const buildOf = (computed: Computed, device: Device, value: Hex): Build => ({
  ...computed,
  runtime: device.runtime(),
  deviceClass: classInBuild(device),
  segmentSteps: device.exact ? EXACT_SEGMENT_STEPS : 0,
  conformance: value,
});

/**
 * What devices compute of a step program, those that can, by name. The program is whatever holders admitted: a device that has not done
 * with it in time has no value.
 * @param patience ms for each device; default what a worker's may take
 */
export async function valuesOn(
  tried: readonly Pick<Device, "name" | "open">[],
  step: Uint8Array,
  patience = PREPARATION_MS,
): Promise<ReadonlyMap<string, Hex>> {
  const { conformance } = await import("../engine/index.ts");
  const values = new Map<string, Hex>();
  for (const device of tried) {
    try {
      values.set(device.name, await conformance(endedBy(AbortSignal.timeout(patience), device).open, step));
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
    }
  }
  return values;
}

/** Nats per token that a device's losses may be off the reference's: other orders of sums stay far below. */
const LOSS_BOUND = 1e-4;

/**
 * The same where products are in fp16 and the reference's in fp32: five times what was measured over 200 steps of 0.1m
 * (docs/engine.md).
 */
export const HALF_LOSS_BOUND = 1e-2;

/**
 * That a value can stand in a build: in an exact class it is the same on all threads.
 * @throws UserError `BUILD_UNSTEADY`; what opening the device throws
 */
export async function requireSteady(device: Device, step: Uint8Array, value: Hex): Promise<void> {
  if (!device.exact) return;
  const { conformance, readSignature } = await import("../engine/index.ts");
  const most = readSignature(step, device.availableMemory()).signature.maxThreads ?? 1;
  const again = await conformance(device.open, step, Math.min(device.threads(), most));
  if (again !== value)
    throw new UserError(
      "BUILD_UNSTEADY",
      `${device.name} computed two values, ${value} and ${again}: no build can say what it computes.`,
    );
}

/** Losses of first steps, and the device that has them. */
export interface DeviceLosses {
  readonly name: string;
  readonly losses: readonly number[];
}

/**
 * That losses are near those of a reference.
 * @returns the largest distance, nats per token
 * @throws UserError `BUILD_LOSSES`
 */
export function requireNear({ name, losses }: DeviceLosses, reference: DeviceLosses, bound = LOSS_BOUND): number {
  const worst = reference.losses.reduce((most, loss, i) => Math.max(most, distance(loss, losses[i])), 0);
  if (worst > bound)
    throw new UserError(
      "BUILD_LOSSES",
      `Over ${reference.losses.length} steps a loss on ${name} is ${worst} nats per token off the one on ${reference.name}; ${bound} is allowed.`,
    );
  return worst;
}

/** What is no number is as far off as can be. */
const distance = (a: number, b = NaN): number => (Number.isFinite(a - b) ? Math.abs(a - b) : Infinity);

/** A build that was ever admitted, and how it stands. */
export interface RunBuild {
  readonly digest: Digest;
  readonly admitted: boolean;
  /** Chain time of its admission, or of its withdrawal. */
  readonly since: number;
  /** Undefined where it cannot be had. */
  readonly document: Build | undefined;
}

interface BuildsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly reader: Pick<ChainReader, "proposedBuild">;
  readonly addresses: ContractAddresses;
  /** Block from which on the contracts exist. */
  readonly fromBlock: number;
  readonly blobs: BlobSource;
  readonly runId: RunId;
}

/** All builds that were ever admitted, oldest first. @throws what the chain throws */
export async function readBuilds(place: BuildsPlace): Promise<RunBuild[]> {
  const { connection, addresses, fromBlock, runId } = place;
  const { logs } = await connection.call((client) =>
    getAllLogs(client, buildAdmitted({ addresses, runId }), { from: BigInt(fromBlock) }),
  );
  const last = new Map(logs.map((log) => [asDigest(log.args.build), log]));
  return Promise.all(
    [...last].map(async ([digest, { args, blockHash }]) => {
      const { timestamp } = await connection.call((client) => client.getBlock({ blockHash }));
      return { digest, admitted: args.admitted, since: Number(timestamp), document: await documentOf(place, digest) };
    }),
  );
}

/** Out of the blobs, else out of the proposal; undefined for one that neither has, or that is malformed. */
async function documentOf({ blobs, reader, runId }: BuildsPlace, digest: Digest): Promise<Build | undefined> {
  try {
    return parseBuild(await blobs.blob(runId, digest, MAX_BUILD_BYTES));
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    const text = await reader.proposedBuild(runId, digest);
    return text === undefined ? undefined : parsedOrNone(text);
  }
}

/** Holders may have admitted what is no build for this version: it keeps nobody from the others. */
function parsedOrNone(text: string): Build | undefined {
  try {
    return parseBuild(new TextEncoder().encode(text));
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return undefined;
  }
}

/** A build that this machine proved. */
export interface ProvenBuild {
  readonly digest: Digest;
  readonly build: Build;
  /** The device whose losses it was held against. */
  readonly reference: string;
  /** The admitted build whose conformance value that device has; undefined where it has none's. */
  readonly referenceBuild: Digest | undefined;
  /** The largest distance of the losses, nats per token, and what was allowed. */
  readonly worst: number;
  readonly bound: number;
  readonly steps: number;
}

interface ProofOptions {
  /** Those of the run; the new one has the programs of the first that is admitted. */
  readonly builds: readonly RunBuild[];
  readonly device: Device;
  /** How many inner steps are compared. */
  readonly steps: number;
  /** Of the step's products; default fp32. */
  readonly precision?: Build["precision"];
  /** Default: the CPU, and for the CPU itself WebAssembly. */
  readonly reference?: Device;
}

const isKnown = (each: RunBuild): each is RunBuild & { readonly document: Build } =>
  each.admitted && each.document !== undefined;

type ProofPlace = Pick<BuildsPlace, "blobs" | "runId">;

/** A step program, and the builds of it. */
interface Candidate {
  readonly computed: Computed;
  readonly step: Uint8Array;
}

/**
 * What an admitted build computes, with products in fp16. Its step follows from the definition; the coordinator serves it to workers
 * where the run was made by a start that put it there.
 * @throws UserError `BUILD_HALF`; what the source throws
 */
async function halfOf({ blobs, runId }: ProofPlace, base: Computed): Promise<Candidate> {
  const { halfStep, programLimits } = await import("../engine/index.ts");
  const { model, innerOptimizer } = parseDefinition(
    await blobs.blob(runId, asDigest(base.definition), MAX_DEFINITION_BYTES),
  );
  const { microBatch, accumulation = 1 } = base;
  const options = { microBatch, accumulation, optimizer: innerOptimizer };
  const { digest, bytes } = halfStep(model as unknown as TransformerConfig, options);
  try {
    await blobs.blob(runId, digest, programLimits.bytes);
  } catch (cause) {
    if (!(cause instanceof CotrainError) || cause.retryable) throw cause;
    throw new UserError(
      "BUILD_HALF",
      `The coordinator of run ${runId} has no step with products in fp16, program ${digest}: only runs that this version made have one.`,
      { cause },
    );
  }
  return { computed: inHalf(base, digest), step: bytes };
}

/**
 * Makes a build for a device of this machine and proves it: where its class is exact its conformance value is the same on all
 * threads, and its losses are those of a device whose build is admitted, in fp32.
 * @throws UserError `BUILD_BASE`, `BUILD_HALF`, `BUILD_NEEDLESS`, `BUILD_UNSTEADY`, `BUILD_LOSSES`; EngineError `DEVICE_HALF`; what the
 * source and opening the devices throw
 */
export async function proveBuild(
  place: ProofPlace,
  { builds, device, steps, precision = "fp32", reference: wanted }: ProofOptions,
): Promise<ProvenBuild> {
  const { conformance, firstLosses, programLimits, requireHalf } = await import("../engine/index.ts");
  const { devices } = await import("../engine/runtime/node/index.ts");
  const reference = wanted ?? (device.name === "cpu" ? devices.wasm : devices.cpu);
  const { blobs, runId } = place;
  if (precision === "fp16") await requireHalf(device);
  const base = builds.filter(isKnown).find(({ document }) => document.precision === "fp32");
  if (!base)
    throw new UserError(
      "BUILD_BASE",
      `No admitted build of run ${runId} can be had, whose programs a new one could have.`,
    );
  const full: Candidate = {
    computed: computedOf(base.document),
    step: await blobs.blob(runId, asDigest(base.document.graphs.step), programLimits.bytes),
  };
  const { computed, step } = precision === "fp16" ? await halfOf(place, full.computed) : full;
  const admittedWith = (program: string, value: string): Digest | undefined =>
    builds.filter(isKnown).find(({ document }) => document.graphs.step === program && document.conformance === value)
      ?.digest;

  const build = buildOf(computed, device, await conformance(device.open, step));
  const same = admittedWith(computed.graphs.step, build.conformance);
  if (same !== undefined)
    throw new UserError(
      "BUILD_NEEDLESS",
      `Run ${runId} has a build of the value that ${device.name} computes here, ${same}: workers on it take that one.`,
    );
  await requireSteady(device, step, build.conformance);
  const bound = precision === "fp16" ? HALF_LOSS_BOUND : LOSS_BOUND;
  const due = { name: reference.name, losses: await firstLosses(reference.open, full.step, steps) };
  const worst = requireNear({ name: device.name, losses: await firstLosses(device.open, step, steps) }, due, bound);
  const referenceBuild = admittedWith(full.computed.graphs.step, await conformance(reference.open, full.step));
  return { digest: digestOfJson(build), build, reference: reference.name, referenceBuild, worst, bound, steps };
}

function computedOf({ version, definition, graphs, microBatch, accumulation, precision }: Build): Computed {
  return { version, definition, graphs, microBatch, ...(accumulation !== undefined && { accumulation }), precision };
}

/** The decision that admits a build, as `propose` takes it. */
export function admission(addresses: ContractAddresses, runId: RunId, build: Build) {
  const digest = digestOfJson(build);
  return {
    calls: [admitBuild.call({ addresses, runId, build: digest, admitted: true })] as const,
    description: buildProposalText(build),
    /** What it would do, in words. */
    words: `RunRegistry ${addresses.runRegistry} admits build ${digest} (${buildTitle(build)}) to run ${runId}.`,
  };
}
