/** Whether a build's programs are what it and its run's definition say: whoever deals, pays, votes or checks asks before. */
import { asDigest, type Build, type Definition, MAX_DEFINITION_BYTES, type RunId } from "@cotrain/sdk/protocol";

import { EngineError, LARGEST_MACHINE, problemOfProgram, programLimits, readSignature } from "../engine/index.ts";
import { parseDefinition } from "../storage/index.ts";
import type { BlobSource } from "./ports.ts";

const KINDS = ["step", "eval", "logits"] as const;

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
  kind: (typeof KINDS)[number],
  blobs: BlobSource,
  runId: RunId,
  build: Build,
  definition: Definition,
): Promise<string> {
  const bytes = await blobs.blob(runId, asDigest(build.graphs[kind]), programLimits.bytes);
  try {
    return problemOfProgram(kind, build, definition, readSignature(bytes, LARGEST_MACHINE));
  } catch (error) {
    if (error instanceof EngineError) return `its program for ${kind} is refused (${error.message})`;
    throw error;
  }
}

/** The same of a build alone, by the definition that it names. @throws what `blobs` throws; ProtocolError for a definition that is none */
export async function problemOfBuild(
  { blobs, runId }: { readonly blobs: BlobSource; readonly runId: RunId },
  build: Build,
): Promise<string> {
  const definition = await blobs.blob(runId, asDigest(build.definition), MAX_DEFINITION_BYTES);
  return problemOfPrograms(blobs, runId, build, parseDefinition(definition));
}
