/** A provider's server on loopback: its paths, its check of the key, and faults that the next answers have. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import { onTestFinished } from "vitest";

import { listening } from "../../loopback.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** What stands where the route has `:id`. */
  readonly id: string;
  /** The key that it came with. */
  readonly key: string;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON unless it is text. */
  readonly body: unknown;
}

/** What goes wrong with an answer; `late`: the call is done, and then its answer is lost; `mute`: it is done, and no answer comes. */
type Fault = Answer | "reset" | "hang" | "late" | "mute";

export interface FakeServer {
  readonly url: string;
  /** Everything that was asked, in order. */
  readonly asked: readonly Asked[];
  /** The next answers have these faults, one each. */
  fail(...faults: readonly Fault[]): void;
  /** The same for calls alone that fit, as `METHOD /path`. */
  failAt(call: RegExp, ...faults: readonly Fault[]): void;
  /** What is still to go wrong does not. */
  forget(): void;
}

export interface FakeServerOptions {
  /** Header and values that the key must come in; none where the listing is public. */
  readonly key?: readonly [header: string, ...values: string[]];
  /** What is answered without it. */
  readonly unauthorised?: Answer;
  /** By `METHOD /path`, in which `:id` is any one part. */
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
  response.end(isText || status === 204 ? body : JSON.stringify(body));
}

type Route = FakeServerOptions["routes"][string];

/** The route of a call, and what stands at its `:id`. */
function routeOf(routes: FakeServerOptions["routes"], call: string): { route: Route | undefined; id: string } {
  const exact = routes[call];
  if (exact !== undefined) return { route: exact, id: "" };
  for (const [pattern, route] of Object.entries(routes)) {
    const [before, after] = pattern.split(":id");
    if (before === undefined || after === undefined || !call.startsWith(before) || !call.endsWith(after)) continue;
    const id = call.slice(before.length, call.length - after.length);
    if (id !== "" && !id.includes("/")) return { route, id: decodeURIComponent(id) };
  }
  return { route: undefined, id: "" };
}

/** Starts one; it is gone after the test. */
export async function fakeServer({ key, unauthorised, routes }: FakeServerOptions): Promise<FakeServer> {
  const asked: Asked[] = [];
  const faults: { readonly at: RegExp; readonly fault: Fault }[] = [];
  const answerTo = (call: Asked): Answer => {
    if (key !== undefined && !key.slice(1).includes(call.key))
      return unauthorised ?? { status: 401, body: { message: "no key" } };
    const { route } = routeOf(routes, `${call.method} ${call.path}`);
    return route?.(call) ?? { status: 404, body: { message: `no ${call.method} ${call.path}` } };
  };
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? "/", "http://127.0.0.1");
      const named = `${request.method ?? ""} ${url.pathname}`;
      const call: Asked = {
        method: request.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        body: await bodyOf(request),
        id: routeOf(routes, named).id,
        key: String(request.headers[key?.[0] ?? ""] ?? ""),
      };
      asked.push(call);
      const next = faults.findIndex(({ at }) => at.test(named));
      const fault = next < 0 ? undefined : faults.splice(next, 1)[0]?.fault;
      if (fault === "late" || fault === "mute") answerTo(call);
      if (fault === "reset" || fault === "late") request.socket.destroy();
      else if (fault === "hang" || fault === "mute") return;
      else send(response, fault ?? answerTo(call));
    })();
  });
  const url = await listening(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url,
    asked,
    fail: (...more) => void faults.push(...more.map((fault) => ({ at: /^/, fault }))),
    forget: () => void faults.splice(0),
    failAt: (at, ...more) => void faults.push(...more.map((fault) => ({ at, fault }))),
  };
}
