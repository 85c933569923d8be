/** An RPC before a real node that can be told to answer for another chain, or with what is no answer. */
import { createServer } from "node:http";
import { listening } from "../loopback.ts";

export interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: string };
}

export interface HostileRpc {
  readonly url: string;
  /** What it answers in the node's place; undefined: what the node does. */
  instead: (method: string, params: readonly unknown[]) => Answer | undefined;
  /** Methods asked for so far, in their order. */
  readonly asked: string[];
  close(): Promise<void>;
}

export async function createHostileRpc(target: string): Promise<HostileRpc> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const { id, method, params } = JSON.parse(body) as { id: number; method: string; params?: unknown[] };
      rpc.asked.push(method);
      const answer = rpc.instead(method, params ?? []);
      const text =
        answer === undefined
          ? fetch(target, { method: "POST", headers: { "content-type": "application/json" }, body }).then((reply) =>
              reply.text(),
            )
          : Promise.resolve(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
      text.then(
        (content) => response.writeHead(200, { "content-type": "application/json" }).end(content),
        () => response.destroy(),
      );
    });
  });
  const url = await listening(server);
  const rpc: HostileRpc = {
    url,
    instead: () => undefined,
    asked: [],
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return rpc;
}
