import { CotrainError } from "@cotrain/sdk/errors";
import { asDigest, type Digest, MAX_DEFINITION_BYTES } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { openReader } from "../../chain/index.ts";
import { readDataManifest } from "../../data/index.ts";
import { hash, integer, real, text } from "../../service/index.ts";
import { type BlobReader, parseDefinition } from "../../storage/index.ts";
import { defineCommand } from "../command.ts";
import {
  openLocalRun,
  ownBuild,
  readerOptions,
  standingHeads,
  stateOption,
  threadsOption,
  withChain,
} from "../../run/index.ts";
import { notKept, openImportedModel, requireCheckpoint } from "../model.ts";
import { rejectedOf } from "../rejected.ts";
import { promptFor, textFrom, type TextOptions } from "../text.ts";
import { outlines } from "./outlines.ts";

interface Subject extends Pick<TextOptions, "blobs" | "definition" | "build" | "checkpoint"> {
  /** What to say before it is used. */
  readonly notices: readonly string[];
  /** The same for programs; of an imported model no chain is asked. */
  readonly found:
    | Awaited<ReturnType<typeof rejectedOf>>["found"]
    | { readonly rejected: null; readonly inherited: null };
}

/** What writes: the checkpoint of this directory's run, or its imported model. */
async function subject(state: string, named: string | undefined): Promise<Subject> {
  const imported = await openImportedModel(state);
  if (imported) {
    requireCheckpoint(imported, named);
    const { bundle } = imported.model;
    return {
      blobs: imported.blobs,
      definition: asDigest(bundle.definition.digest),
      build: asDigest(bundle.build.digest),
      checkpoint: asDigest(bundle.checkpoint.digest),
      notices: [],
      found: { rejected: null, inherited: null },
    };
  }
  const run = await openLocalRun(state);
  return withChain(run, async ({ url, chainId }) => {
    const reader = await openReader(readerOptions(url, chainId, run.deployment));
    const [record, heads] = await Promise.all([reader.run(run.runId), reader.headsSince(run.runId, 0)]);
    const checkpoint = named === undefined ? standingHeads(heads).at(-1)?.checkpointDigest : asDigest(named);
    if (checkpoint === undefined) throw new UserError("NO_CHECKPOINT", "No checkpoint of this run is anchored yet.");
    const { found, lines: notices } = await rejectedOf(reader, run.blobs, run.runId, checkpoint);
    const { definition } = record;
    return { blobs: run.blobs, definition, build: ownBuild(run), checkpoint, notices, found };
  });
}

const ANY_PROMPT = "The people of the town";

/** Words of the run's held-out text; an imported model comes without it. */
async function promptOf(blobs: BlobReader, digest: Digest): Promise<string> {
  const { data } = parseDefinition(await blobs.get(digest, MAX_DEFINITION_BYTES));
  try {
    return await promptFor(blobs, await readDataManifest(blobs, asDigest(data)));
  } catch (error) {
    if (error instanceof CotrainError && error.code === "BLOB_MISSING") return ANY_PROMPT;
    throw error;
  }
}

/** `cotrain generate`: text from a checkpoint. */
export const generateCommand = defineCommand({
  ...outlines.generate,
  options: {
    prompt: text({ description: "how the text begins (default: words of the run's held-out text)" }),
    tokens: integer(1, 4_096, { description: "tokens to add", default: 120 }),
    temperature: real(0, 5, { description: "0 always takes the likeliest token", default: 0.8 }),
    topK: integer(1, 65_536, { description: "draw among this many likeliest tokens", default: 40 }),
    seed: integer(0, 2 ** 31 - 1, { description: "seed of the draw", default: 0 }),
    checkpoint: hash({
      value: "digest",
      description: "digest of the checkpoint (default: the newest that is anchored)",
    }),
    state: stateOption,
    threads: threadsOption,
  },
  examples: [
    ['npx cotrain generate --prompt "The people of the town"', "120 tokens from the newest checkpoint"],
    ["npx cotrain generate --temperature 0 --tokens 40", "the likeliest continuation, the same every time"],
  ],
  async run({ options, output }) {
    const { notices, found, ...model } = await subject(options.state, options.checkpoint);
    const { blobs, definition, build, checkpoint } = model;
    for (const notice of notices) output.notice(notice);
    const { tokens, temperature, topK, seed } = options;
    const prompt = options.prompt ?? (await promptOf(blobs, definition));
    let written = "";
    // The prompt comes with the first piece, when nothing can be wrong any more.
    const { checkpoint: named } = options;
    const pieces = textFrom({
      blobs,
      definition,
      build,
      checkpoint,
      prompt,
      tokens,
      temperature,
      topK,
      seed,
      threads: options.threads ?? 2,
    });
    try {
      for await (const piece of pieces) {
        output.text(written === "" ? prompt + piece : piece);
        written += piece;
      }
    } catch (error) {
      throw named === undefined ? error : notKept(options.state, named, error);
    }
    if (output.json) output.result({ prompt, text: written, checkpoint, ...found }, []);
    else output.text("\n");
  },
});
