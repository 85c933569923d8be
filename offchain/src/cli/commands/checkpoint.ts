import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { asDigest } from "@cotrain/sdk/protocol";

import { errnoOf, UserError, writeError, writeFileDurable } from "../../base/index.ts";
import { openReader } from "../../chain/index.ts";
import { text, toggle } from "../../service/index.ts";
import { exportCheckpoint, importCheckpoint } from "../../storage/index.ts";
import { defineCommand } from "../command.ts";
import { openLocalRun, withChain } from "../local.ts";
import { stateOption } from "../options.ts";
import { readerOptions } from "../wiring.ts";

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
 * @throws UserError `PATH_UNWRITABLE`, `FILE_EXISTS`
 */
async function requirePlace(file: string, force: boolean): Promise<void> {
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
  if (!there) return;
  if (!there.isFile())
    throw new UserError("PATH_UNWRITABLE", `${file} cannot be written: it is there and no regular file.`);
  const replaceable = force || (await isCar(file).catch((error: unknown) => Promise.reject(writeError(file, error))));
  if (!replaceable)
    throw new UserError(
      "FILE_EXISTS",
      `${file} exists and is no exported checkpoint: name another file, or overwrite it with --force.`,
    );
}

/** `cotrain checkpoint export`. */
export const checkpointExportCommand = defineCommand({
  name: "checkpoint export",
  summary: "write a checkpoint as one CAR file",
  args: [{ name: "file", description: "the CAR file to write" }],
  options: {
    state: stateOption,
    checkpoint: text({ description: "digest of the checkpoint (default: the newest that is anchored)" }),
    force: toggle({ description: "overwrite a file that is no exported checkpoint", default: false }),
  },
  examples: [["npx cotrain checkpoint export model.car", "the newest checkpoint, shards and manifest"]],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const run = await openLocalRun(options.state);
    await requirePlace(file, options.force);
    const digest =
      options.checkpoint === undefined
        ? await withChain(run, async ({ url, chainId }) => {
            const reader = await openReader(readerOptions(url, chainId, run.deployment));
            return (await reader.headsSince(run.runId, 0)).at(-1)?.checkpointDigest;
          })
        : asDigest(options.checkpoint);
    if (digest === undefined) throw new UserError("NO_CHECKPOINT", "No checkpoint of this run is anchored yet.");
    await writeFileDurable(file, exportCheckpoint(run.blobs, digest));
    output.result({ checkpoint: digest, file }, [`checkpoint ${digest} written to ${file}`]);
  },
});

/** `cotrain checkpoint import`. */
export const checkpointImportCommand = defineCommand({
  name: "checkpoint import",
  summary: "read a checkpoint from a CAR file, every block verified",
  args: [{ name: "file", description: "the CAR file to read" }],
  options: { state: stateOption, checkpoint: text({ description: "digest that it must have" }) },
  examples: [["npx cotrain checkpoint import model.car", "into the blobs of this directory's run"]],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const run = await openLocalRun(options.state);
    const expected = options.checkpoint === undefined ? {} : { expected: asDigest(options.checkpoint) };
    const { digest, manifest } = await importCheckpoint(run.blobs, createReadStream(file), expected).catch(
      (error: unknown) => {
        if (error instanceof Error && "syscall" in error)
          throw new UserError("FILE_UNREADABLE", `${file} cannot be read: ${error.message}.`, { cause: error });
        throw error;
      },
    );
    output.result({ checkpoint: digest, round: manifest.round }, [
      `checkpoint ${digest} of round ${manifest.round} imported`,
    ]);
  },
});
