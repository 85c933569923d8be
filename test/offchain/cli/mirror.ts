/** Somebody who serves what a run published, until the test ends. */
import { createServer } from "node:http";

import { digestOfCid, type SignedVerdict } from "@cotrain/sdk/protocol";
import { onTestFinished } from "vitest";

import { listening } from "../../loopback.ts";
import type { World } from "../chain/world.ts";

/**
 * @param verdicts shows these as a coordinator does, by the run that is asked about; default none
 * @param never blobs of which it never answers
 * @returns its URL
 */
export async function mirrorOf(
  { store }: { readonly store: Pick<World["store"], "get"> },
  verdicts?: (runId: string) => readonly SignedVerdict[],
  never: ReadonlySet<string> = new Set(),
): Promise<string> {
  const server = createServer((incoming, response) => {
    if (verdicts && incoming.url?.endsWith("/verdicts")) {
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ verdicts: verdicts(incoming.url.split("/").at(-2) ?? "") }));
      return;
    }
    void (async () => {
      try {
        const digest = digestOfCid(incoming.url?.split("/").at(-1) ?? "");
        if (!never.has(digest)) response.end(await store.get(digest));
      } catch {
        const error = { code: "BLOB_NOT_FOUND", message: "It is not here." };
        response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify({ error }));
      }
    })();
  });
  const url = await listening(server);
  onTestFinished(() => void server.close());
  return url;
}
