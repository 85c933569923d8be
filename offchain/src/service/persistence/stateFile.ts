/** Small JSON files of the state directory: written whole or not at all, believed only when they fit their schema. */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { type Static, type TSchema, Type } from "typebox";

import { CotrainError } from "@cotrain/sdk/errors";
import { UserError } from "../../base/index.ts";
import { freshCommand, readJsonBounded, writeFileDurable, writeFileOnce } from "../../base/node/index.ts";
import { findMiss } from "../settings/schema.ts";

const MAX_STATE_FILE_BYTES = 1 << 20;

/**
 * Reads a JSON file of at most 1 MiB that must fit `schema`.
 * @param remedy imperative clause for the error, where the caller knows something gentler than to start anew, e.g. `delete it and run "cotrain init" again`
 * @returns undefined when there is no such file
 * @throws UserError `STATE_CORRUPTED` naming file, fault and remedy
 */
export async function readStateFile<S extends TSchema>(
  path: string,
  schema: S,
  remedy = `put the state aside and start anew with "${freshCommand(path)}"`,
): Promise<Static<S> | undefined> {
  if (!existsSync(path)) return undefined;
  let value: unknown;
  try {
    value = await readJsonBounded(path, MAX_STATE_FILE_BYTES);
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    throw new UserError("STATE_CORRUPTED", `${error.message.replace(/\.$/, "")}: ${remedy}.`, { cause: error });
  }
  const miss = findMiss(schema, value);
  if (miss !== undefined) throw new UserError("STATE_CORRUPTED", `${path} is damaged (${miss}): ${remedy}.`);
  return value as Static<S>;
}

/**
 * Writes a JSON file durably; a crash leaves the old content or the new.
 * @throws UserError `STATE_FILE_INVALID` when the value does not fit; UserError `PATH_UNWRITABLE`; RetryableError `DISK_FULL`
 */
export async function writeStateFile<S extends TSchema>(path: string, schema: S, value: Static<S>): Promise<void> {
  await writeFileDurable(path, textOf(path, schema, value), { mode: 0o600 });
}

function textOf<S extends TSchema>(path: string, schema: S, value: Static<S>): string {
  const miss = findMiss(schema, value);
  if (miss !== undefined) throw new UserError("STATE_FILE_INVALID", `${path} was not written: ${miss}.`);
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/**
 * A file may be written where there is none, or an earlier one of the same kind.
 * @param kind what such a file is, e.g. `signed vote`
 * @returns whether there is an earlier one, to be replaced
 * @throws UserError `FILE_EXISTS`
 */
export async function requireReplaceable(path: string, schema: TSchema, kind: string): Promise<boolean> {
  const found = await readStateFile(path, schema).catch(() => "another" as const);
  if (found === "another")
    throw new UserError("FILE_EXISTS", `${path} exists and is no earlier ${kind}: name another file.`);
  return found !== undefined;
}

/**
 * Writes a file after {@link requireReplaceable}: where nothing was there, what came since stays.
 * @throws UserError `FILE_EXISTS`; else as {@link writeStateFile}
 */
export async function writeReplaceable<S extends TSchema>(
  path: string,
  schema: S,
  value: Static<S>,
  replaces: boolean,
): Promise<void> {
  if (replaces) return writeStateFile(path, schema, value);
  if (!(await writeFileOnce(path, textOf(path, schema, value), { mode: 0o600 })))
    throw new UserError("FILE_EXISTS", `${path} was written by somebody else meanwhile: name another file.`);
}

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Hash = Type.String({ pattern: "^0x[0-9a-f]{64}$" });
const Scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]);

/** `run.json`: where the parts of a running tree are, so that every other command finds them. */
export const RunFile = Type.Object(
  {
    version: Type.Literal(1),
    /** ISO 8601. */
    startedAt: Type.String(),
    chain: Type.Object(
      { chainId: Type.Integer({ minimum: 1 }), rpcUrl: Type.String(), embedded: Type.Boolean() },
      { additionalProperties: false },
    ),
    /** Ports by what listens there: `coordinator`, `chain`, `metrics`, … */
    ports: Type.Record(Type.String(), Port),
    /** URLs by what answers there. */
    urls: Type.Record(Type.String(), Type.String()),
    modelId: Type.Optional(Hash),
    runId: Type.Optional(Hash),
    /** Runs of the model that this directory trained before, oldest first: they are over, and served and verified on. */
    earlier: Type.Optional(Type.Array(Hash, { maxItems: 1_024 })),
    /** Wallet addresses by role: `organiser`, `poster`, `worker-1`, … */
    wallets: Type.Optional(Type.Record(Type.String(), Type.String({ pattern: "^0x[0-9a-fA-F]{40}$" }))),
    /** What the run was started with, so that the next start goes on with it. */
    settings: Type.Optional(Type.Record(Type.String(), Scalar)),
  },
  { additionalProperties: false },
);
export type RunFile = Static<typeof RunFile>;

/** The run file of a state directory, undefined when there is none. @throws UserError `STATE_CORRUPTED` */
export async function readRunFile(stateDirectory: string): Promise<RunFile | undefined> {
  return readStateFile(join(stateDirectory, "run.json"), RunFile);
}

/** Writes the run file of a state directory. @throws as {@link writeStateFile} */
export async function writeRunFile(stateDirectory: string, run: RunFile): Promise<void> {
  await writeStateFile(join(stateDirectory, "run.json"), RunFile, run);
}
