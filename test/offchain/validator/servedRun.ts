/** A run's blobs, and a coordinator that serves them and nothing else. */
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

import { asRunId, type Digest, digestOfCid, digestOfJson } from "@cotrain/sdk/protocol";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { checkpointZero, prepareRun, type RunMaterial } from "../../../offchain/src/run/creation.ts";
import { type BlobStore, writeManifest } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { listening } from "../../loopback.ts";

export interface ServedRun {
  readonly store: BlobStore;
  readonly material: RunMaterial;
  readonly checkpoint: Digest;
  readonly url: string;
  readonly directory: string;
  close(): Promise<void>;
}

export const runId = asRunId(digestOfJson("run"));

/**
 * A run of no round yet whose blobs are served.
 * @param seed of its parameters
 * @param devices of which it has builds beside the usual ones
 */
export async function serveRun(directory: string, seed: string, devices: readonly string[] = []): Promise<ServedRun> {
  const store = await openBlobStore(join(directory, "store"));
  const random = createRandom("text");
  const words = ["model", "head", "round", "worker", "share", "epoch", "trains", "signs", "the", "a", "of", "and"];
  const paragraph = (): string => `${Array.from({ length: 60 }, () => random.pick(words)).join(" ")}.`;
  const dataFile = join(directory, "text.txt");
  await writeFile(dataFile, Array.from({ length: 400 }, paragraph).join("\n\n"));
  const material = await prepareRun(store, { preset: "0.1m", dataFile, seed, devices });
  const { digest: checkpoint } = await writeManifest(store, material.table, material.shards, checkpointZero(runId));
  const server = createServer((incoming, response) => {
    void (async () => {
      try {
        response.end(await store.get(digestOfCid(incoming.url?.split("/").at(-1) ?? "")));
      } catch {
        const error = { code: "BLOB_NOT_FOUND", message: "It is not here." };
        response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify({ error }));
      }
    })();
  });
  const url = await listening(server);
  return {
    store,
    material,
    checkpoint,
    directory,
    url,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
