/** Where a watcher hears what validators signed, and where it writes down what contradicts itself. */
import { asRunId, createCoordinatorClient, type SignedVerdict } from "@cotrain/sdk/protocol";
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
  const { connection, reader, addresses: contracts, modelId, runId, state } = place;
  const own = state === undefined ? undefined : (await readRunFile(state))?.urls["coordinator"];
  const clients = [...(own === undefined ? [] : [own]), ...urls].map((url) => createCoordinatorClient(url));
  const published = createPublished(place, state === undefined ? clients : [place.blobs]);
  const { stakes } = await stakesAt(place, "validator");
  return createOffenceWatch(place, {
    stakes,
    members: async () => (await reader.validators(modelId)).validators,
    heard: async () => {
      const shown = await Promise.all(clients.map((client) => orNone(client.verdicts(runId))));
      return [...shown.flatMap((list) => (list ? [list.verdicts] : [])), await published()];
    },
    write: async (name, contradiction) => {
      const path = directory.resolve(`conflict-${name}.json`);
      await writeContradiction(path, { chainId: connection.chainId, contracts }, contradiction);
      return path;
    },
  });
}
