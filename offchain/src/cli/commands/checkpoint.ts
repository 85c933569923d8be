import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { asDigest } from "@cotrain/sdk/protocol";

import { errnoOf, UserError } from "../../base/index.ts";
import { commandFor, describeErrno, writeError, writeFileDurable } from "../../base/node/index.ts";
import { openReader } from "../../chain/index.ts";
import { parseTokenizer } from "../../data/index.ts";
import { LARGEST_MACHINE, readSignature } from "../../engine/index.ts";
import { hash, toggle } from "../../service/index.ts";
import {
  BlobError,
  type BlobStore,
  bundleModel,
  exportModel,
  FormatError,
  importModel,
  type Model,
  type ProgramRole,
} from "../../storage/index.ts";
import { defineCommand } from "../command.ts";
import {
  type LocalRun,
  openLocalRun,
  withChain,
  blobsOption,
  stateOption,
  ownBuild,
  readerOptions,
  standingHeads,
} from "../../run/index.ts";
import { holdsRun, keepModel, notKept, openImportedModel, requireCheckpoint } from "../model.ts";
import type { Output } from "../output.ts";
import { rejectedOf } from "../rejected.ts";

/** What a CAR begins with, after the length of its header: a CBOR map whose first key is "roots". */
const CAR_MAGIC = Buffer.from([0xa2, 0x65, ...Buffer.from("roots")]);

async function isCar(path: string): Promise<boolean> {
  await using file = await open(path, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1 + CAR_MAGIC.length), 0, 1 + CAR_MAGIC.length, 0);
  return bytesRead === buffer.length && buffer.subarray(1).equals(CAR_MAGIC);
}

/**
 * Refuses, before anything is read, a place that a checkpoint must not be written to. An earlier export may be replaced: the
 * same command after the next session is what the summary recommends. Nothing else is, without --force.
 * @returns whether something is there that will be replaced
 * @throws UserError `PATH_UNWRITABLE`, `FILE_EXISTS`
 */
async function requirePlace(file: string, force: boolean): Promise<"free" | "taken"> {
  const statOf = (path: string) =>
    stat(path).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw writeError(file, error);
    });
  const directory = await statOf(dirname(file));
  if (!directory?.isDirectory())
    throw new UserError(
      "PATH_UNWRITABLE",
      `${file} cannot be written: there is no directory ${dirname(file)}; make it, or name another file.`,
    );
  const there = await statOf(file);
  if (!there) return "free";
  if (!there.isFile())
    throw new UserError("PATH_UNWRITABLE", `${file} cannot be written: it is there and no regular file.`);
  const replaceable = force || (await isCar(file).catch((error: unknown) => Promise.reject(writeError(file, error))));
  if (!replaceable)
    throw new UserError(
      "FILE_EXISTS",
      `${file} exists and is no exported checkpoint: name another file, or overwrite it with --force.`,
    );
  return "taken";
}

function unreadable(file: string, error: unknown): UserError {
  const sentence = `${file} ${describeErrno(error)}: name a CAR file that "npx cotrain checkpoint export" wrote.`;
  return new UserError("FILE_UNREADABLE", sentence, { cause: error });
}

/** Refuses a file that cannot be opened before a directory is made for it. @throws UserError `FILE_UNREADABLE` */
async function requireReadable(file: string): Promise<void> {
  try {
    await using opened = await open(file, "r");
    await opened.read(Buffer.alloc(1), 0, 1, 0);
  } catch (error) {
    throw unreadable(file, error);
  }
}

/**
 * The run's checkpoint that is named, or the newest that is anchored.
 * @param notice is told of those that validators rejected, that one or before it
 */
export async function chosenCheckpoint(run: LocalRun, named: string | undefined, notice: Output["notice"]) {
  return withChain(run, async ({ url, chainId }) => {
    const reader = await openReader(readerOptions(url, chainId, run.deployment));
    const chosen =
      named === undefined
        ? standingHeads(await reader.headsSince(run.runId, 0)).at(-1)?.checkpointDigest
        : asDigest(named);
    for (const line of (await rejectedOf(reader, run.blobs, run.runId, chosen)).lines) notice(line);
    return chosen;
  });
}

async function modelOfRun(run: LocalRun, named: string | undefined, output: Output): Promise<Model> {
  const checkpoint = await chosenCheckpoint(run, named, output.notice);
  if (checkpoint === undefined) throw new UserError("NO_CHECKPOINT", "No checkpoint of this run is anchored yet.");
  const made = bundleModel(run.blobs, {
    chainId: run.deployment.chainId,
    contracts: run.deployment.addresses,
    modelId: run.modelId,
    runId: run.runId,
    checkpoint,
    build: ownBuild(run),
  });
  return made.catch((error: unknown) => Promise.reject(named ? notKept(run.state, named, error) : error));
}

/** `cotrain checkpoint export`. */
export const checkpointExportCommand = defineCommand({
  name: "checkpoint export",
  summary: "write a model as one CAR file: a checkpoint with all that is needed to use it elsewhere",
  args: [{ name: "file", description: "the CAR file to write" }],
  options: {
    state: stateOption,
    blobs: blobsOption,
    checkpoint: hash({
      value: "digest",
      description: "digest of the checkpoint (default: the newest that is anchored)",
    }),
    force: toggle({ description: "overwrite a file that is no exported checkpoint", default: false }),
  },
  examples: [["npx cotrain checkpoint export model.car", "the newest checkpoint, definition, tokenizer and programs"]],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const imported = await openImportedModel(options.state, options.blobs);
    const run = imported ? undefined : await openLocalRun(options.state, options.blobs);
    const before = await requirePlace(file, options.force);
    if (imported) requireCheckpoint(imported, options.checkpoint);
    const model = imported?.model ?? (await modelOfRun(run!, options.checkpoint, output));
    await writeFileDurable(file, exportModel((imported ?? run!).blobs, model));
    const { digest } = model.bundle.checkpoint;
    output.result({ checkpoint: digest, model: model.digest, file }, [
      `checkpoint ${digest} with definition, tokenizer and programs written to ${file}${before === "taken" ? ", in the place of what was there" : ""}`,
    ]);
  },
});

/** Reads a CAR into blobs; a model of another run than `runId`, or of another checkpoint, is refused before it is stored. */
async function readCar(
  file: string,
  blobs: BlobStore,
  expected: { readonly checkpoint?: string | undefined; readonly run?: LocalRun },
): Promise<Model> {
  const { checkpoint, run } = expected;
  const wanted = checkpoint === undefined ? undefined : asDigest(checkpoint);
  const check = ({ bundle }: Model): void => {
    if (wanted !== undefined && bundle.checkpoint.digest !== wanted)
      throw new UserError(
        "CHECKPOINT_UNKNOWN",
        `${file} holds checkpoint ${bundle.checkpoint.digest}, expected was ${wanted}.`,
      );
    if (run && bundle.runId !== run.runId)
      throw new UserError(
        "RUN_UNKNOWN",
        `${file} holds a model of run ${bundle.runId}, but ${run.state} holds run ${run.runId}: import it into a directory of its own with --state.`,
      );
  };
  const checkProgram = (bytes: Uint8Array, role: ProgramRole): void => {
    const { kind } = readSignature(bytes, LARGEST_MACHINE).signature;
    if (kind !== role)
      throw new UserError("PROGRAM_OTHER", `${file} holds a program for ${kind} where the one for ${role} is due.`);
  };
  return importModel(blobs, createReadStream(file), { check, checkProgram, checkTokenizer: parseTokenizer }).catch(
    (error: unknown) => {
      if (error instanceof Error && "syscall" in error) throw unreadable(file, error);
      const damaged =
        (error instanceof BlobError && error.code === "BLOB_MISMATCH") ||
        (error instanceof FormatError && error.code === "CAR_INVALID");
      if (!damaged) throw error;
      throw new UserError(
        error.code,
        `${file} cannot be imported: name a model's CAR file, or if it is one, copy or export it again. ${error.message}`,
        {
          cause: error,
        },
      );
    },
  );
}

/** `cotrain checkpoint import`. */
export const checkpointImportCommand = defineCommand({
  name: "checkpoint import",
  summary: "read a model from a CAR file, every block verified",
  args: [{ name: "file", description: "the CAR file to read" }],
  options: {
    state: stateOption,
    blobs: blobsOption,
    checkpoint: hash({ value: "digest", description: "digest that its checkpoint must have" }),
  },
  examples: [
    [
      "npx cotrain checkpoint import model.car",
      "into this directory's run, or as the model of a directory without one",
    ],
    ["npx cotrain checkpoint import model.car --state elsewhere", "then: npx cotrain generate --state elsewhere"],
  ],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const { checkpoint, state, blobs: wanted } = options;
    await requireReadable(file);
    let model: Model;
    if (await holdsRun(state)) {
      const run = await openLocalRun(state, wanted);
      model = await readCar(file, run.blobs, { checkpoint, run });
    } else model = await keepModel(state, wanted, (blobs) => readCar(file, blobs, { checkpoint }));
    const { bundle, manifest } = model;
    output.result(
      { checkpoint: bundle.checkpoint.digest, round: manifest.round, runId: bundle.runId, chainId: bundle.chainId },
      [
        `checkpoint ${manifest.round}, ${bundle.checkpoint.digest}, imported`,
        `It says of itself: run ${bundle.runId} on chain ${bundle.chainId}; compare it with the chain by "${commandFor(state, "verify", "--rpc", "URL")}".`,
      ],
    );
  },
});
