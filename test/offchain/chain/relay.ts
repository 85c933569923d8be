/** A relay between a client and a node that can be told what to do with a transaction on its way. */
import { createServer } from "node:http";
import { listening } from "../../loopback.ts";

export interface Relay {
  readonly url: string;
  /** Called with every raw transaction; says whether the node gets it and whether the client hears of that. */
  onSend: (raw: string) => "pass" | "swallow" | "pass-silently";
  /** Raw transactions seen. */
  readonly seen: string[];
  /** Calls of every kind so far, by their method. */
  readonly calls: Map<string, number>;
  close(): Promise<void>;
}

export async function createRelay(target: string): Promise<Relay> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      void (async () => {
        const body = Buffer.concat(chunks).toString();
        const { method, params } = JSON.parse(body) as { method: string; params: string[] };
        relay.calls.set(method, (relay.calls.get(method) ?? 0) + 1);
        let fate: ReturnType<Relay["onSend"]> = "pass";
        if (method === "eth_sendRawTransaction") {
          relay.seen.push(params[0] ?? "");
          fate = relay.onSend(params[0] ?? "");
        }
        if (fate === "swallow") {
          response.destroy();
          return;
        }
        try {
          const answer = await fetch(target, { method: "POST", headers: { "content-type": "application/json" }, body });
          const text = await answer.text();
          if (fate === "pass-silently") response.destroy();
          else response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
        } catch {
          response.destroy();
        }
      })();
    });
  });
  const url = await listening(server);
  const relay: Relay = {
    url,
    onSend: () => "pass",
    seen: [],
    calls: new Map(),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return relay;
}
