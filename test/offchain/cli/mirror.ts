/** Somebody who serves what a run published, until the test ends. */
import { createServer } from "node:http";

import { digestOfCid, type SignedVerdict } from "@cotrain/sdk/protocol";
import { onTestFinished } from "vitest";

import { listening } from "../../loopback.ts";
import type { World } from "../chain/world.ts";

/**
 * @param verdicts shows these as a coordinator does; default none
 * @returns its URL
 */
export async function mirrorOf(
  { store }: Pick<World, "store">,
  verdicts?: () => readonly SignedVerdict[],
): Promise<string> {
  const server = createServer((incoming, response) => {
    if (verdicts && incoming.url?.endsWith("/verdicts")) {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ verdicts: verdicts() }));
      return;
    }
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
  onTestFinished(() => void server.close());
  return url;
}
