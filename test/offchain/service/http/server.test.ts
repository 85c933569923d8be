import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Agent, request as httpsRequest } from "node:https";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { createCoordinatorClient } from "@cotrain/sdk/protocol";
import { Type } from "typebox";
import { expect, onTestFinished, test } from "vitest";

import { InternalError, RetryableError, UserError } from "../../../../offchain/src/base/index.ts";
import { findPort } from "../../../../offchain/src/service/http/ports.ts";
import {
  checkExposure,
  createHttpServer,
  type HttpApp,
  type HttpServerOptions,
  listen,
  readUpload,
} from "../../../../offchain/src/service/http/server.ts";
import { loadTls } from "../../../../offchain/src/service/http/tls.ts";
import { silentLogger } from "../../../../offchain/src/service/processes/logging.ts";
import { createMetrics } from "../../../../offchain/src/service/http/metrics.ts";
import { canRun } from "../../../needs.ts";
import { eventually, temporaryDirectory } from "../support.ts";

async function server(options: Partial<HttpServerOptions> = {}, routes?: (app: HttpApp) => void): Promise<HttpApp> {
  const app = await createHttpServer({ logger: silentLogger(), title: "Test", version: "1.2.3", ...options });
  routes?.(app);
  onTestFinished(async () => {
    await app.close();
  });
  return app;
}

const heartbeat = (app: HttpApp): void => {
  app.post(
    "/v1/heartbeat",
    {
      schema: {
        body: Type.Object({ step: Type.Integer({ minimum: 0 }) }, { additionalProperties: false }),
        querystring: Type.Object({ wait: Type.Optional(Type.Integer({ minimum: 0, maximum: 30 })) }),
        response: { 200: Type.Object({ next: Type.Integer() }) },
      },
    },
    async (request) => ({ next: request.body.step + (request.query.wait ?? 0), secret: "not in the schema" }),
  );
};

test("bodies and queries are checked by their schemas and typed by them; answers hold what the schema names", async () => {
  const app = await server({}, heartbeat);
  const good = await app.inject({ method: "POST", url: "/v1/heartbeat?wait=5", body: { step: 2 } });
  expect([good.statusCode, good.json()]).toEqual([200, { next: 7 }]);
});

test.each([
  [{ step: -1 }, "", "The request's body is not valid: step must be >= 0."],
  [{ step: "2" }, "", "The request's body is not valid: step must be integer."],
  [{ step: 2, sneaky: 1 }, "", 'The request\'s body is not valid: unknown key "sneaky".'],
  [{ step: 2 }, "?wait=99", "The request's query is not valid: wait must be <= 30."],
])("%j%s is refused in one sentence", async (body, query, message) => {
  const app = await server({}, heartbeat);
  const reply = await app.inject({ method: "POST", url: `/v1/heartbeat${query}`, body });
  expect([reply.statusCode, reply.json()]).toEqual([400, { error: { code: "REQUEST_INVALID", message } }]);
});

test.each([
  [
    new UserError("ROUND_STALE", "Round 3 is closed.", { details: { round: 4 } }),
    409,
    { code: "ROUND_STALE", message: "Round 3 is closed.", details: { round: 4 } },
  ],
  [new UserError("FORM", "The form is wrong."), 400, { code: "FORM", message: "The form is wrong." }],
  [new RetryableError("BUSY", "Too many at once."), 503, { code: "BUSY", message: "Too many at once." }],
  // Codes that are not listed: their words are for the log.
  [
    new RetryableError("STORE_AWAY", "The secret place is away.", { details: { said: "secret" } }),
    503,
    { code: "UNAVAILABLE", message: "The server cannot do it now; try again soon." },
  ],
  [
    new RetryableError("DISK_FULL", "The secret place is full."),
    503,
    { code: "DISK_FULL", message: "The server has no room now; try again soon." },
  ],
])("a typed error %s becomes its status and body", async (error, status, body) => {
  const app = await server({ statusByCode: { ROUND_STALE: 409, FORM: 400, BUSY: 503 } }, (routes) => {
    routes.get("/x", async () => {
      throw error;
    });
  });
  const reply = await app.inject("/x");
  expect(reply.headers["retry-after"]).toBe(status === 503 ? "1" : undefined);
  expect([reply.statusCode, reply.json()]).toEqual([status, { error: body }]);
});

test.each([
  new InternalError("STATE", "secret insides"),
  new TypeError("secret insides"),
  new UserError("PATH_UNWRITABLE", "secret insides"),
])("of a defect (%s) the caller learns nothing", async (error) => {
  const app = await server({}, (routes) => {
    routes.get("/x", async () => {
      throw error;
    });
  });
  const reply = await app.inject("/x");
  expect(reply.statusCode).toBe(500);
  expect(reply.json()).toMatchObject({ error: { code: "INTERNAL" } });
  expect(reply.body).not.toContain("secret");
});

test("paths, media types, JSON and sizes that are wrong are typed errors too", async () => {
  const app = await server({ bodyLimit: 100 }, heartbeat);
  const post = (body: string, type = "application/json") =>
    app.inject({ method: "POST", url: "/v1/heartbeat", headers: { "content-type": type }, body });
  const codes = [
    await app.inject("/nothing?x=1"),
    await post("x", "text/css"),
    await post("{"),
    await post(JSON.stringify("x".repeat(200))),
  ].map((reply) => [reply.statusCode, reply.json<{ error: { code: string } }>().error.code]);
  expect(codes).toEqual([
    [404, "NOT_FOUND"],
    [415, "MEDIA_TYPE_UNSUPPORTED"],
    [400, "REQUEST_INVALID"],
    [413, "BODY_TOO_LARGE"],
  ]);
});

test("health, readiness, metrics and OpenAPI are there", async () => {
  let reason: string | undefined = "replaying the log";
  const metrics = await createMetrics({ process: false });
  metrics.counter({ name: "cotrain_test_rounds_total", help: "x" }).increment();
  const app = await server({ metrics, notReady: () => reason }, heartbeat);
  expect((await app.inject("/health")).json()).toEqual({ status: "ok" });
  const before = await app.inject("/ready");
  expect([before.statusCode, before.json()]).toEqual([503, { ready: false, reason }]);
  reason = undefined;
  expect((await app.inject("/ready")).statusCode).toBe(200);
  expect((await app.inject("/metrics")).body).toContain("cotrain_test_rounds_total 1");
  expect((await app.inject("/openapi.json")).json()).toMatchObject({
    openapi: "3.1.0",
    info: { title: "Test", version: "1.2.3" },
    paths: {
      "/v1/heartbeat": {
        post: {
          requestBody: { content: { "application/json": { schema: { properties: { step: { type: "integer" } } } } } },
        },
      },
    },
  });
});

test("the text of the metrics is made once a second, and asking for it counts against the address", async () => {
  let [now, made] = [1_000_000, 0];
  const metrics = await createMetrics({ process: false });
  metrics.gauge({ name: "cotrain_test_texts_count", help: "x", collect: () => ++made });
  const app = await server({ metrics, rateLimit: { loopback: 5, monotonic: () => now } });
  const ask = async () => (await app.inject("/metrics")).body;
  const together = await Promise.all([ask(), ask()]);
  now += 999;
  expect([...together, await ask()].every((body) => body.includes("cotrain_test_texts_count 1"))).toBe(true);
  now += 1;
  expect(await ask()).toContain("cotrain_test_texts_count 2");
  expect(await ask()).toContain("cotrain_test_texts_count 2");
  expect(await ask()).toContain("RATE_LIMITED");
  // Whoever watches over the process is answered all the same.
  for (const url of ["/health", "/ready"]) expect((await app.inject(url)).statusCode).toBe(200);
});

test("what is no route counts against the address, and its body is not read", async () => {
  const app = await server({ rateLimit: { loopback: 2 } }, heartbeat);
  const { url } = await listen(app, { port: 0, explicitPort: false });
  const nothing = await fetch(`${url}/nothing?x=1`);
  expect([nothing.status, nothing.headers.get("connection")]).toEqual([404, "keep-alive"]);
  expect(await nothing.json()).toEqual({ error: { code: "NOT_FOUND", message: "There is no GET /nothing." } });
  const post = { method: "POST", url: "/nothing", headers: { "content-type": "application/json" }, body: "{" } as const;
  expect((await app.inject(post)).json()).toMatchObject({ error: { code: "NOT_FOUND" } });
  for (const asked of [post, { url: "/nothing" }, { url: "/openapi.json" }])
    expect((await app.inject(asked)).statusCode).toBe(429);
});

const blobs = (app: HttpApp): void => void app.get("/blobs/:cid", async () => "bytes");

test.each(["/%zz", "/blobs/%E0%A4%A", `/blobs/${"x".repeat(257)}`])(
  "what is no path, or too long a one, is no route like any other: %s",
  async (url) => {
    const app = await server({ rateLimit: { loopback: 1 } }, blobs);
    const stranger = await app.inject({ url, headers: { host: "evil.example" } });
    expect([stranger.statusCode, stranger.json()]).toMatchObject([403, { error: { code: "HOST_FORBIDDEN" } }]);
    const reply = await app.inject({ url: `${url}?x=1` });
    const message = `There is no GET ${url}.`;
    expect([reply.statusCode, reply.json()]).toEqual([404, { error: { code: "NOT_FOUND", message } }]);
    for (const asked of [url, "/blobs/x"]) expect((await app.inject(asked)).statusCode).toBe(429);
  },
);

test("what is no path counts against the address that the proxy names", async () => {
  const app = await server({ behindProxy: "127.0.0.1", rateLimit: { remote: 1 } }, blobs);
  const ask = async (client: string): Promise<number> =>
    (await app.inject({ url: "/%zz", headers: { "x-forwarded-for": client } })).statusCode;
  expect([await ask("203.0.113.9"), await ask("203.0.113.9"), await ask("203.0.113.10")]).toEqual([404, 429, 404]);
});

const uploads = (app: HttpApp): void => {
  app.put("/blob", async (request) => {
    const hash = createHash("sha256");
    let chunks = 0;
    for await (const chunk of readUpload(request, 2_000_000)) {
      hash.update(chunk);
      chunks++;
    }
    return { sha256: hash.digest("hex"), chunks };
  });
};
const stream = { "content-type": "application/octet-stream" };

test("uploads arrive as a stream, beyond the limit for bodies in memory", async () => {
  const app = await server({ bodyLimit: 10 }, uploads);
  const { url } = await listen(app, { port: 0, explicitPort: true });
  const body = Buffer.alloc(1_500_000, 7);
  const reply = await fetch(`${url}/blob`, { method: "PUT", headers: stream, body });
  const answer = (await reply.json()) as { sha256: string; chunks: number };
  expect(answer.sha256).toBe(createHash("sha256").update(body).digest("hex"));
  expect(answer.chunks).toBeGreaterThan(1);
});

test("an upload that is too large is refused, announced or not, and one that is none too", async () => {
  const app = await server({}, uploads);
  const announced = await app.inject({ method: "PUT", url: "/blob", headers: stream, body: Buffer.alloc(2_000_001) });
  expect([announced.statusCode, announced.json()]).toMatchObject([413, { error: { code: "BODY_TOO_LARGE" } }]);
  const chunked = await app.inject({
    method: "PUT",
    url: "/blob",
    headers: stream,
    body: Readable.from(Array.from({ length: 30 }, () => Buffer.alloc(100_000))),
  });
  expect(chunked.statusCode).toBe(413);
  const json = await app.inject({ method: "PUT", url: "/blob", body: { a: 1 } });
  expect([json.statusCode, json.json()]).toMatchObject([400, { error: { code: "BODY_MISSING" } }]);
});

test("of an upload that is refused the rest is not waited for: the reply is its socket's last", async () => {
  const { port } = await listen(await server({}, uploads), { port: 0, explicitPort: true });
  const socket = connect({ port, host: "127.0.0.1" });
  onTestFinished(() => void socket.destroy());
  const head = ["PUT /blob HTTP/1.1", `host: 127.0.0.1:${port}`, "content-type: application/octet-stream"];
  socket.write([...head, "content-length: 2000001", "", "only the beginning"].join("\r\n"));
  let reply = "";
  socket.on("data", (chunk) => (reply += String(chunk)));
  await eventually(() => reply.includes("BODY_TOO_LARGE"), "the refusal");
  expect(reply).toMatch(/^HTTP\/1\.1 413 [^]*\r\nconnection: close\r\n/i);
});

test("too many requests from one address are refused for a while; probes are not counted", async () => {
  const app = await server({ rateLimit: { loopback: 3 } }, heartbeat);
  const statuses: number[] = [];
  for (let n = 0; n < 5; n++)
    statuses.push((await app.inject({ method: "POST", url: "/v1/heartbeat", body: { step: 1 } })).statusCode);
  expect(statuses).toEqual([200, 200, 200, 429, 429]);
  expect((await app.inject({ method: "POST", url: "/v1/heartbeat", body: { step: 1 } })).json()).toMatchObject({
    error: { code: "RATE_LIMITED", details: { retryAfterSeconds: 60 } },
  });
  expect((await app.inject("/health")).statusCode).toBe(200);
});

const whoami = (app: HttpApp): void => void app.get("/ip", async (request) => ({ ip: request.ip }));

test("a client's address comes from the proxy only when there is one", async () => {
  const forwarded = { "x-forwarded-for": "203.0.113.9" };
  expect((await (await server({}, whoami)).inject({ url: "/ip", headers: forwarded })).json()).toEqual({
    ip: "127.0.0.1",
  });
  expect(
    (await (await server({ behindProxy: "127.0.0.1" }, whoami)).inject({ url: "/ip", headers: forwarded })).json(),
  ).toEqual({
    ip: "203.0.113.9",
  });
});

test("a default port that is taken gives way, an explicit one does not", async () => {
  const blocker = createServer();
  const taken = await new Promise<number>((resolve) => {
    blocker.listen(0, "127.0.0.1", () => resolve((blocker.address() as { port: number }).port));
  });
  onTestFinished(() => void blocker.close());
  await expect(
    listen(await server(), { port: taken, explicitPort: true, purpose: "the coordinator" }),
  ).rejects.toMatchObject({
    name: "UserError",
    code: "PORT_TAKEN",
    message: expect.stringContaining("the coordinator") as string,
  });
  const { port, url } = await listen(await server(), { port: taken, explicitPort: false });
  expect(port).not.toBe(taken);
  expect((await fetch(`${url}/health`)).status).toBe(200);
});

test("beyond loopback there is TLS, or a proxy that has it, or nothing", async () => {
  await expect(listen(await server(), { host: "0.0.0.0", port: 0, explicitPort: true })).rejects.toMatchObject({
    name: "UserError",
    code: "TLS_REQUIRED",
    message: expect.stringMatching(/--tls-cert and --tls-key, or --behind-proxy/) as string,
  });
  const warnings: unknown[] = [];
  checkExposure(
    { host: "0.0.0.0", behindProxy: "10.0.0.0/24" },
    { warn: (...args: unknown[]) => void warnings.push(args) },
  );
  expect(warnings.length).toBe(1);
  expect(() => checkExposure({ host: "127.0.0.1" })).not.toThrow();
});

/** What is said when the server would listen so. */
const warned = (host: string, behindProxy: string): string[] => {
  const warnings: string[] = [];
  checkExposure({ host, behindProxy }, { warn: (message: unknown) => void warnings.push(String(message)) });
  return warnings;
};

test("a proxy on this machine is told of, one that cannot reach the server or is everybody is refused", () => {
  for (const proxy of ["127.0.0.1", "::1", "127.0.0.0/8"])
    expect(warned("127.0.0.1", proxy)).toEqual([expect.stringMatching(/^the proxy at .* every program here/)]);
  expect(warned("0.0.0.0", "127.0.0.1")).toHaveLength(2);
  expect(() => warned("127.0.0.1", "10.0.0.1")).toThrow(/^No proxy at 10\.0\.0\.1 reaches 127\.0\.0\.1: give --host/);
  for (const range of ["0.0.0.0/0", "192.0.0.0/7", "::/0", "2000::/3"])
    expect(() => warned("0.0.0.0", range)).toThrow(
      /would believe strangers: name the proxy's address, or a range no wider than \/[78]\.$/,
    );
});

const possible = canRun("HTTPS with a certificate", "openssl");
test.runIf(possible)("with a certificate it speaks HTTPS; files that do not fit are refused", async () => {
  const directory = await temporaryDirectory();
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const make = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "1",
    "-subj",
    "/CN=localhost",
  ];
  execFileSync("openssl", [...make, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const tls = await loadTls(cert, key);
  const app = await server({ tls });
  const loopbackPort = await findPort({ port: 0, explicit: true });
  const { url: local, port } = await listen(app, { host: "127.0.0.1", port: 0, explicitPort: true, loopbackPort });
  const url = `https://127.0.0.1:${port}`;
  expect(local).toBe(`http://127.0.0.1:${loopbackPort}`);
  expect((await fetch(`${local}/health`)).status).toBe(200);
  const status = await new Promise((resolve, reject) => {
    const agent = new Agent({ ca: tls?.cert ?? "", checkServerIdentity: () => undefined });
    httpsRequest(`${url}/health`, { agent }, (response) => {
      response.resume();
      agent.destroy();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  expect(status).toBe(200);
  const plain = createCoordinatorClient(`http://127.0.0.1:${port}`);
  await expect(plain.runs()).rejects.toMatchObject({ code: "SPEAKS_TLS", retryable: false });
  await app.close();
  await expect(fetch(`${local}/health`)).rejects.toThrow("fetch failed");
  expect(await loadTls(undefined, undefined)).toBeUndefined();
  await expect(loadTls(cert, undefined)).rejects.toMatchObject({ code: "TLS_INVALID" });
  await expect(loadTls(cert, cert)).rejects.toMatchObject({ code: "TLS_INVALID" });
  expect(await readFile(key, "utf8")).toBe(tls?.key);
});
