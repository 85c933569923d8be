/** What a call that registers a run would do, in words: what it begins with, which no contract looks at, and what it changes. */
import { boundsOf, runOf } from "@cotrain/sdk/actions";
import type { RunConfig } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import {
  asDigest,
  asModelId,
  type ContractAddresses,
  digestOfJson,
  type Hex,
  MAX_DEFINITION_BYTES,
  type ModelId,
  parameterLabel,
  parametersChange,
  parameterText,
  type RunId,
  runIdOf,
  runParameters,
} from "@cotrain/sdk/protocol";

import type { ChainConnection, ChainReader } from "../chain/index.ts";
import { fragmentCount } from "../diloco/index.ts";
import { parseDefinition } from "../storage/index.ts";
import { buildsAgain, MAX_BUILDS } from "./nextRun.ts";
import type { BlobSource } from "./ports.ts";
import { runBefore, runOriginOf, runOriginText } from "./runEnd.ts";
import { modelText } from "./saleWords.ts";

/** Whose runs it is about. */
interface RunWordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly runId: RunId;
  readonly fromBlock?: number | undefined;
  /** Without these nobody looks at what a run begins with. */
  readonly reader?: ChainReader | undefined;
  readonly blobs?: BlobSource | undefined;
}

async function beginningText(
  { reader, blobs }: RunWordsPlace,
  runId: RunId,
  modelId: ModelId,
  { definition, initialCheckpoint: zero }: RunConfig,
): Promise<string> {
  if (!reader || !blobs) return "WHAT IT BEGINS WITH WAS NOT LOOKED AT";
  try {
    const origin = await runOriginOf({ reader, blobs }, { runId, modelId, definition: asDigest(definition), zero });
    return origin ? `it begins with ${runOriginText(origin)}` : "it is the model's first, and begins untrained";
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return `WHAT IT BEGINS WITH CANNOT BE SEEN (${error.message}): whoever proposes this says what it is`;
  }
}

/** No contract sees the table that the number of fragments is of, by which validators draw. */
async function fragmentsText(
  { reader, blobs }: RunWordsPlace,
  runId: RunId,
  modelId: ModelId,
  { definition: digest, fragments }: RunConfig,
): Promise<string> {
  const unseen = `WHETHER ITS DEFINITION HAS ${fragments} FRAGMENTS WAS NOT SEEN`;
  if (!reader || !blobs) return unseen;
  try {
    const servedBy = (await runBefore({ reader }, modelId, runId)) ?? runId;
    const { table } = parseDefinition(await blobs.blob(servedBy, asDigest(digest), MAX_DEFINITION_BYTES));
    const due = fragmentCount(table);
    if (due === undefined)
      return "ITS DEFINITION LEAVES OUT A FRAGMENT BELOW ITS LARGEST: NO WORKER AND NO VALIDATOR TAKES SUCH A RUN";
    return due === fragments
      ? `it has ${fragments} fragments, as its definition`
      : `IT HAS ${fragments} FRAGMENTS, AND ITS DEFINITION ${due}: NO WORKER AND NO VALIDATOR TAKES SUCH A RUN, whose poster would be paid for what nobody recomputes`;
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return `${unseen} (${error.message})`;
  }
}

/** Bounds and poster beside those of the run before: a vote can change a poster later, and bounds never. */
async function besideText(
  { connection, addresses, reader }: RunWordsPlace,
  runId: RunId,
  modelId: ModelId,
  { poster, min, max }: RunConfig,
): Promise<string[]> {
  const last = reader && (await runBefore({ reader }, modelId, runId));
  if (!reader || last === undefined) return [`${poster} alone posts its heads`];
  const [before, bounds, suspended] = await Promise.all([
    connection.call((client) => runOf(client, { addresses, runId: last })),
    connection.call((client) => boundsOf(client, { addresses, runId: last })),
    reader.isSuspended(last),
  ]);
  const same = before.poster.toLowerCase() === poster.toLowerCase();
  const whoDid = suspended ? "WHOM VALIDATORS SUSPENDED in the run before" : "who did so before";
  const changes = [
    ["lower", parametersChange(bounds.min, min)],
    ["upper", parametersChange(bounds.max, max)],
  ] as const;
  return [
    `${poster} alone posts its heads, ${same ? whoDid : `WHERE ${before.poster} DID before`}`,
    ...(changes.every(([, change]) => change === "")
      ? ["its bounds are those of the run before"]
      : changes.flatMap(([which, change]) =>
          change === "" ? [] : [`its ${which} bounds are OTHERS, for ever: ${change}`],
        )),
  ];
}

/** Whether workers would run the programs that they ran before. */
async function programsText(
  { connection, addresses, reader, blobs, fromBlock = 0 }: RunWordsPlace,
  runId: RunId,
  modelId: ModelId,
  { definition, builds }: RunConfig,
): Promise<string> {
  const unseen = "WHOSE PROGRAMS ITS BUILDS HAVE WAS NOT SEEN";
  if (!reader || !blobs) return unseen;
  try {
    const last = await runBefore({ reader }, modelId, runId);
    if (!reader || last === undefined) return "its builds are the model's first";
    const place = { connection, reader, addresses, fromBlock, blobs, runId: last };
    const known = new Set((await buildsAgain(place, asDigest(definition))).map((build): string => digestOfJson(build)));
    const others = builds.slice(0, MAX_BUILDS).filter((build) => !known.has(build));
    return others.length === 0
      ? "its builds have the programs of the run before"
      : `its builds ${others.join(", ")} are NOT KNOWN FROM THE RUN BEFORE, and may have OTHER PROGRAMS`;
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return `${unseen} (${error.message})`;
  }
}

/** @param args of RunRegistry.registerRun */
export async function registerText(place: RunWordsPlace, [id, salt, given]: readonly unknown[]): Promise<string> {
  const { connection, addresses } = place;
  const [modelId, config] = [asModelId(String(id)), given as RunConfig];
  const chainId = await connection.call((client) => client.getChainId());
  const runId = runIdOf(BigInt(chainId), addresses.runRegistry, modelId, salt as Hex);
  const facts = [
    await beginningText(place, runId, modelId, config),
    ...(await besideText(place, runId, modelId, config)),
    await programsText(place, runId, modelId, config),
    await fragmentsText(place, runId, modelId, config),
    `it has definition ${config.definition}, checkpoint 0 ${config.initialCheckpoint} and the builds ${config.builds.slice(0, MAX_BUILDS).join(", ")}${config.builds.length > MAX_BUILDS ? " and more, for which no run is registered" : ""}`,
  ];
  const values = runParameters.map(
    ({ name }) => `${parameterText(name, config.params[name])} ${parameterLabel(name, config.params[name])}`,
  );
  return `RunRegistry registers run ${runId} of ${await modelText(place, modelId)}, which takes one where none is open: ${facts.join("; ")}. Its parameters are: ${values.join(", ")}.`;
}
