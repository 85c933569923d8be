/** Limits on who may ask, for how long a socket may be silent, and how many replies may be long. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

import type { FastifyRequest } from "fastify";
import { expect, onTestFinished, test } from "vitest";

import { createManualClock } from "../../../offchain/src/base/index.ts";
import { createHttpServer, type HttpServerOptions, listen } from "../../../offchain/src/service/http.ts";
import { silentLogger } from "../../../offchain/src/service/logging.ts";
import { findPort } from "../../../offchain/src/service/ports.ts";
import { createReaderLimit } from "../../../offchain/src/service/readers.ts";
import { refuseStrangers } from "../../../offchain/src/service/webGuard.ts";
import { eventually } from "./support.ts";

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => undefined);
  socket.resume();
  onTestFinished(() => void socket.destroy());
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  return socket;
}

async function server(options: Partial<HttpServerOptions>) {
  const app = await createHttpServer({ logger: silentLogger(), title: "Test", version: "1", ...options });
  onTestFinished(() => app.close());
  return app;
}

/** Whether a request between two addresses passes where 10.0.0.1 is the proxy. */
function ask(remoteAddress: string, localAddress: string): Promise<void> {
  const request = { headers: { host: "192.0.2.1:7700" }, socket: { remoteAddress, localAddress } };
  return refuseStrangers(request as unknown as FastifyRequest, (address) => address === "10.0.0.1");
}

test("who goes round the proxy from another machine is refused; this machine and the proxy are not", async () => {
  await expect(ask("192.0.2.9", "192.0.2.1")).rejects.toMatchObject({ code: "PROXY_REQUIRED" });
  await expect(ask("10.0.0.1", "192.0.2.1")).resolves.toBeUndefined();
  await expect(ask("192.0.2.1", "192.0.2.1")).resolves.toBeUndefined();
});

test("a socket that says nothing is closed, also before the first byte", async () => {
  const { port } = await listen(await server({ idleTimeout: 50, headersTimeout: 300_000 }), {
    port: 0,
    explicitPort: true,
  });
  const silent = await open(port);
  await eventually(() => silent.closed, "the end of a silent socket");
  expect(silent.closed).toBe(true);
});

test("the door on loopback counts sockets together with the other", async () => {
  const app = await server({ connections: { perAddress: 4, total: 64 } });
  const loopbackPort = await findPort({ port: 0, explicit: true });
  const { port } = await listen(app, { port: 0, explicitPort: true, loopbackPort });
  const idle: Socket[] = [];
  for (const each of [port, port, port, ...Array.from({ length: 9 }, () => loopbackPort)]) idle.push(await open(each));
  const left = (): number => idle.filter((socket) => !socket.destroyed).length;
  await eventually(() => left() <= 4, "the end of those that are too many");
  expect(left()).toBe(4);
});

test("long replies have so many places in all, whatever the addresses, and who stalls makes room", async () => {
  const clock = createManualClock(0);
  const limit = createReaderLimit({ total: 3, perAddress: 2, stallTimeout: 2_000, clock });
  const cut: number[] = [];
  const begin = (n: number) => limit.begin({ address: `192.0.2.${n}` }, () => void cut.push(n));
  const readers = [begin(1), begin(2), begin(3)];
  onTestFinished(() => readers.forEach((reader) => reader.end()));
  expect(() => begin(4)).toThrow(/Too many downloads/);
  await clock.advance(2_000);
  readers[0]!.progress();
  readers.push(begin(4));
  expect([cut, limit.size]).toEqual([[2], 3]);
});

test("a member's long replies are bounded for itself; what strangers hold, of its address and in all, keeps it from none", () => {
  const limit = createReaderLimit({ total: 2, perAddress: 2, perMember: 2, clock: createManualClock(0) });
  const begin = (asker: Parameters<typeof limit.begin>[0]) => {
    const reader = limit.begin(asker, () => undefined);
    onTestFinished(() => reader.end());
  };
  for (let n = 0; n < 2; n++) begin({ address: "192.0.2.1" });
  expect(() => begin({ address: "192.0.2.1" })).toThrow(/Too many downloads/);
  for (const member of ["a", "b"]) for (let n = 0; n < 2; n++) begin({ member });
  expect(() => begin({ member: "a" })).toThrow(/Too many downloads/);
  // Nor do members take the places of strangers.
  expect(() => begin({ address: "192.0.2.2" })).toThrow(/Too many downloads/);
  expect(limit.size).toBe(6);
});
