/** A provider's server on loopback: its paths, its check of the key, and faults that the next answers have. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import { onTestFinished } from "vitest";

import { listening } from "../../loopback.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON unless it is text. */
  readonly body: unknown;
}

/** What goes wrong with an answer. */
type Fault = Answer | "reset" | "hang";

export interface FakeServer {
  readonly url: string;
  /** Everything that was asked, in order. */
  readonly asked: readonly Asked[];
  /** The next answers have these faults, one each. */
  fail(...faults: readonly Fault[]): void;
}

export interface FakeServerOptions {
  /** Header and value that the key must come in; none where the listing is public. */
  readonly key?: readonly [header: string, value: string];
  /** What is answered without it. */
  readonly unauthorised?: Answer;
  /** By `METHOD /path`. */
  readonly routes: Readonly<Record<string, (asked: Asked) => Answer>>;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? undefined : JSON.parse(text);
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: Answer): void {
  const isText = typeof body === "string";
  response.writeHead(status, { "content-type": isText ? "text/plain" : "application/json", ...headers });
  response.end(isText ? body : JSON.stringify(body));
}

/** Starts one; it is gone after the test. */
export async function fakeServer({ key, unauthorised, routes }: FakeServerOptions): Promise<FakeServer> {
  const asked: Asked[] = [];
  const faults: Fault[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? "/", "http://127.0.0.1");
      const call = {
        method: request.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        body: await bodyOf(request),
      };
      asked.push(call);
      const fault = faults.shift();
      if (fault === "reset") request.socket.destroy();
      else if (fault === "hang") return;
      else if (fault !== undefined) send(response, fault);
      else if (key !== undefined && request.headers[key[0]] !== key[1])
        send(response, unauthorised ?? { status: 401, body: { message: "no key" } });
      else {
        const route = routes[`${call.method} ${call.path}`];
        send(response, route?.(call) ?? { status: 404, body: { message: `no ${call.method} ${call.path}` } });
      }
    })();
  });
  const url = await listening(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url, asked, fail: (...more) => void faults.push(...more) };
}
