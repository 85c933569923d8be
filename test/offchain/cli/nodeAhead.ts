/** A node with somebody else before it, who is first with a transaction. */
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import { onTestFinished } from "vitest";

import { listening } from "../../loopback.ts";

/** The node at `url`, before which something else happens once as soon as a method is asked for. @returns its URL; it ends with the test */
export async function nodeAhead(url: string, method: string, work: () => Promise<unknown>): Promise<string> {
  let left = 1;
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      if (body.includes(`"${method}"`) && left-- > 0) await work();
      const headers = { "content-type": "application/json" };
      const answer = await fetch(url, { method: "POST", body, headers });
      response.writeHead(answer.status, headers).end(await answer.text());
    })();
  });
  onTestFinished(() => void server.close());
  return listening(server);
}
