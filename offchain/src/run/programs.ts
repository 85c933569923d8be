/** Whether a build's programs are what it and its run's definition say: whoever deals, pays, votes or checks asks before. */
import {
  asDigest,
  type Build,
  type Definition,
  type Digest,
  MAX_DEFINITION_BYTES,
  type RunId,
} from "@cotrain/sdk/protocol";

import { checkConfig, EngineError, tensorSpecs, type TransformerConfig } from "../engine/core.ts";
import { parseDefinition } from "../storage/index.ts";
import type { BlobSource } from "./ports.ts";

interface Place {
  readonly blobs: BlobSource;
  readonly runId: RunId;
}

const KINDS = ["step", "eval", "logits"] as const;
type Kind = (typeof KINDS)[number];

/**
 * Reads a build's programs, and runs none.
 * @returns half a sentence about the first that does not fit, empty where all do
 * @throws what `blobs` throws
 */
export async function problemOfPrograms(
  blobs: BlobSource,
  runId: RunId,
  build: Build,
  definition: Definition,
): Promise<string> {
  for (const kind of KINDS) {
    const problem = await problemOfOne(kind, blobs, runId, build, definition);
    if (problem !== "") return problem;
  }
  return "";
}

/** The same of one of them. @throws what `blobs` throws */
export async function problemOfOne(
  kind: Kind,
  blobs: BlobSource,
  runId: RunId,
  build: Build,
  definition: Definition,
): Promise<string> {
  const { LARGEST_MACHINE, problemOfProgram, programLimits, readSignature } = await import("../engine/index.ts");
  const bytes = await blobs.blob(runId, asDigest(build.graphs[kind]), programLimits.bytes);
  try {
    return problemOfProgram(kind, build, definition, readSignature(bytes, LARGEST_MACHINE));
  } catch (error) {
    if (error instanceof EngineError) return `its program for ${kind} is refused (${error.message})`;
    throw error;
  }
}

/** The same of a build alone, by the definition that it names. @throws what `blobs` throws; ProtocolError for a definition that is none */
export async function problemOfBuild(place: Place, build: Build): Promise<string> {
  return problemOfPrograms(place.blobs, place.runId, build, await definitionOf(place, build));
}

/**
 * What of a build is no program that this version makes of the run's definition. Such a one may be an earlier version's or somebody's own;
 * by its form nobody sees what it computes, nor whether it goes on doing so: it is told the optimizer's step.
 * @throws as {@link problemOfBuild}
 */
export async function foreignIn(place: Place, build: Build): Promise<readonly Kind[]> {
  const own = await ownPrograms(build, await definitionOf(place, build));
  return KINDS.filter((kind) => build.graphs[kind] !== own?.[kind]);
}

/** Undefined for a model that is not the engine's own: whose programs, which were looked at, have other parameters than its layers. */
async function ownPrograms(
  { microBatch, accumulation = 1, precision }: Build,
  { model, innerOptimizer: optimizer, table, sequence }: Definition,
): Promise<Readonly<Record<Kind, Digest>> | undefined> {
  const { buildPrograms, halfStep } = await import("../engine/index.ts");
  const options = { microBatch, accumulation, optimizer };
  try {
    const config = checkConfig(model as unknown as TransformerConfig);
    const due = tensorSpecs(config).map(({ name, shape }) => [name, shape]);
    if (JSON.stringify(due) !== JSON.stringify(table.map(({ name, shape }) => [name, shape]))) return undefined;
    // No parameter says how long a sequence is, and the engine's programs hold tables of that length. It makes none that are too large.
    if (config.sequence !== sequence) return undefined;
    const { step, eval: heldOut, logits } = buildPrograms(config, options);
    const { digest } = precision === "fp16" ? halfStep(config, options) : step;
    return { step: digest, eval: heldOut.digest, logits: logits.digest };
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

async function definitionOf({ blobs, runId }: Place, build: Build): Promise<Definition> {
  return parseDefinition(await blobs.blob(runId, asDigest(build.definition), MAX_DEFINITION_BYTES));
}
