/** Where a watcher hears what validators signed, and where it writes down what contradicts itself. */
import { type Address, asRunId, createCoordinatorClient, type SignedVerdict } from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";

import {
  type BlobSource,
  createOffenceWatch,
  epochManifestOf,
  epochVerdictsOf,
  stakesAt,
  writeContradiction,
} from "../run/index.ts";
import { readRunFile, type StateDirectory } from "../service/index.ts";
import type { Place } from "./place.ts";

/** Sets before the one in force whose validators are heard, the newest: stake waits for as long as a few of them at the most. */
const MOST_SETS = 64;

/** Validators of the set in force, and of those before. */
async function membersOf({ reader, modelId }: Pick<Place, "reader" | "modelId">) {
  const { version, validators: inForce } = await reader.validators(modelId);
  const before = new Set<Address>();
  // A set never changes, and is read once.
  for (let each = version - 1; each > Math.max(0, version - 1 - MOST_SETS); each--)
    for (const member of (await reader.validators(modelId, each)).validators) before.add(member);
  return { inForce, before: [...before] };
}

/** Runs after the one that is watched whose verdicts are asked for, the newest. */
const MOST_RUNS = 16;

/** The run that is watched and those that the model has after it: each has a list of verdicts of its own. */
async function runsToHear({ reader, modelId, runId }: Pick<Place, "reader" | "modelId" | "runId">) {
  const runs = await reader.runsOf(modelId);
  // One node may lag, and not tell of a run that is there.
  return [runId, ...runs.slice(runs.indexOf(runId) + 1).slice(-MOST_RUNS)];
}

/** Whoever is away, or shows none, shows none. */
async function orNone<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return undefined;
  }
}

/** The verdicts that count for the root in its window: a coordinator may show others elsewhere. */
function createPublished({ reader, modelId }: Place, sources: readonly BlobSource[]) {
  let read = "";
  return async (): Promise<readonly SignedVerdict[]> => {
    const root = await reader.pendingRoot(modelId);
    if (!root || root.digest === read) return [];
    const { runId: named, epochDigest } = root.attestation;
    const runId = asRunId(named);
    for (const blobs of sources) {
      const manifest = epochManifestOf(blobs, runId, epochDigest);
      const file = await orNone(manifest.then((found) => epochVerdictsOf(blobs, runId, found)));
      if (!file) continue;
      read = root.digest;
      return file.verdicts;
    }
    return [];
  };
}

/**
 * @param urls coordinators, and others that show what they show
 * @throws UserError `STAKE_NONE`
 */
export async function openOffences(place: Place, urls: readonly string[], directory: StateDirectory) {
  const { connection, addresses: contracts, state } = place;
  const own = state === undefined ? undefined : (await readRunFile(state))?.urls["coordinator"];
  const clients = [...(own === undefined ? [] : [own]), ...urls].map((url) => createCoordinatorClient(url));
  const published = createPublished(place, state === undefined ? clients : [place.blobs]);
  const { stakes } = await stakesAt(place, "validator");
  return createOffenceWatch(place, {
    stakes,
    members: () => membersOf(place),
    heard: async () => {
      const runs = await runsToHear(place);
      const asked = runs.flatMap((each) => clients.map((client) => orNone(client.verdicts(each))));
      const shown = await Promise.all(asked);
      return [...shown.flatMap((list) => (list ? [list.verdicts] : [])), await published()];
    },
    write: async (name, contradiction) => {
      const path = directory.resolve(`conflict-${name}.json`);
      await writeContradiction(path, { chainId: connection.chainId, contracts }, contradiction);
      return path;
    },
  });
}
