import { createReadStream } from "node:fs";

import { asDigest } from "@cotrain/sdk/protocol";

import { UserError, writeFileDurable } from "../../base/index.ts";
import { openReader } from "../../chain/index.ts";
import { text } from "../../service/index.ts";
import { exportCheckpoint, importCheckpoint } from "../../storage/index.ts";
import { defineCommand } from "../command.ts";
import { openLocalRun, withChain } from "../local.ts";
import { stateOption } from "../options.ts";
import { readerOptions } from "../wiring.ts";

/** `cotrain checkpoint export`. */
export const checkpointExportCommand = defineCommand({
  name: "checkpoint export",
  summary: "write a checkpoint as one CAR file",
  args: [{ name: "file", description: "the CAR file to write" }],
  options: {
    state: stateOption,
    checkpoint: text({ description: "digest of the checkpoint (default: the newest that is anchored)" }),
  },
  examples: [["npx cotrain checkpoint export model.car", "the newest checkpoint, shards and manifest"]],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const run = await openLocalRun(options.state);
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
