/** Limits on who may ask, for how long a socket may be silent, and how many replies may be long. */
import { EventEmitter, once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { connect, type Socket } from "node:net";

import type { FastifyRequest } from "fastify";
import { expect, onTestFinished, test } from "vitest";

import { createManualClock } from "../../manualClock.ts";
import { createConnectionLimit } from "../../../../offchain/src/service/http/connections.ts";
import { createHttpServer, type HttpServerOptions, listen } from "../../../../offchain/src/service/http/server.ts";
import { silentLogger } from "../../../../offchain/src/service/processes/logging.ts";
import { findPort } from "../../../../offchain/src/service/http/ports.ts";
import { createReaderLimit, type Reader } from "../../../../offchain/src/service/http/readers.ts";
import { refuseStrangers } from "../../../../offchain/src/service/http/webGuard.ts";
import { eventually } from "../support.ts";

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

// foundation 6
test("a request whose body does not come is given up, after five minutes where nothing is said", async () => {
  expect((await server({})).server.requestTimeout).toBe(300_000);
  const app = await server({ headersTimeout: 100, requestTimeout: 100 });
  app.post("/x", async () => ({}));
  const { port } = await listen(app, { port: 0, explicitPort: true });
  const slow = await open(port);
  slow.write("POST /x HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{");
  await eventually(() => slow.closed, "the end of a request that does not come");
  expect(slow.closed).toBe(true);
});

test("who asks through the proxy is whom the proxy named last, also from an address of the proxy's range", async () => {
  const app = await server({ behindProxy: "10.0.0.0/8" });
  app.get("/who", async ({ ip }) => ({ ip }));
  const headers = { "x-forwarded-for": "203.0.113.9, 10.0.0.5" };
  const reply = await app.inject({ url: "/who", remoteAddress: "10.0.0.1", headers });
  expect(reply.json()).toEqual({ ip: "10.0.0.5" });
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

test("a long reply that has ended takes no place again, whatever of it is still taken", async () => {
  const clock = createManualClock(0);
  const limit = createReaderLimit({ total: 1, stallTimeout: 2_000, clock });
  const begin = (address: string) => limit.begin({ address }, () => undefined);
  const ended = begin("192.0.2.1");
  ended.end();
  ended.progress();
  const stalled = begin("192.0.2.2");
  await clock.advance(2_000);
  const last = begin("192.0.2.3");
  onTestFinished(() => last.end());
  stalled.progress();
  expect(limit.size).toBe(1);
});

test("of strangers that never stall the slowest makes room, of members and of who is fast none does", async () => {
  const clock = createManualClock(0);
  const limit = createReaderLimit({ total: 3, perMember: 1, stallTimeout: 2_000, slowBytes: 1 << 20, clock });
  const cut: string[] = [];
  const begin = (asker: Parameters<typeof limit.begin>[0]) => {
    const reader = limit.begin(asker, () => void cut.push(Object.values(asker)[0]!));
    onTestFinished(() => reader.end());
    return reader;
  };
  const member = begin({ member: "slow" });
  const [slow, slower, fast] = ["slow", "slower", "fast"].map((address) => begin({ address }));
  // Each takes something every second: 2, 1 and 20 chunks of 64 KiB.
  const second = async (): Promise<void> => {
    await clock.advance(1_000);
    const all = [slow, slow, slower, member, ...Array.from({ length: 20 }, () => fast)];
    for (const reader of all) reader!.progress();
  };
  await second();
  expect(() => begin({ address: "early" })).toThrow(/Too many downloads/);
  await second();
  expect(() => begin({ member: "slow" })).toThrow(/Too many downloads/);
  begin({ address: "newcomer" });
  expect(cut).toEqual(["slower"]);
  begin({ address: "next" });
  expect(cut).toEqual(["slower", "slow"]);
  // Who has just begun is not judged, nor who takes a mebibyte a second.
  for (let n = 0; n < 12; n++) fast!.progress();
  expect(() => begin({ address: "last" })).toThrow(/Too many downloads/);
});

// Each asks again before it can be said to be slow, so that all places are its own, and nobody is there who stalls.
test.each([
  ["addresses of many networks", (n: number) => `203.0.${n % 4}.1`],
  ["a network's addresses", (n: number) => `2001:db8:1:${(n % 40).toString(16)}::1`],
])(
  "who begins again and again, from %s, cuts no slow reader of another and keeps out none",
  async (_name, addressOf) => {
    const clock = createManualClock(0);
    const limit = createReaderLimit({ total: 16, stallTimeout: 2_000, clock });
    const cut: string[] = [];
    const begin = (address: string) => {
      const reader = limit.begin({ address }, () => void cut.push(address));
      onTestFinished(() => reader.end());
      return reader;
    };
    const honest = [begin("198.51.100.7"), begin("198.51.100.7")];
    let asked = 0;
    const busy: { readonly reader: Reader; readonly since: number }[] = [];
    /** For four seconds; those that begin in one of them take all places. */
    const crowd = async (): Promise<void> => {
      for (let step = 0; step < 40; step++) {
        while (busy.length > 0 && clock.monotonic() - busy[0]!.since >= 1_900) busy.shift()!.reader.end();
        for (let each = 0; each < 2; each++)
          try {
            busy.push({ reader: begin(addressOf((asked += 1))), since: clock.monotonic() });
          } catch (error) {
            if ((error as { code?: string }).code !== "READERS_BUSY") throw error;
          }
        await clock.advance(100);
        if (step % 5 === 0) for (const reader of honest) reader.progress();
      }
    };
    await crowd();
    expect(limit.size).toBe(16);
    honest.push(begin("192.0.2.9"));
    await crowd();
    expect(cut).not.toContain("198.51.100.7");
    expect(cut).not.toContain("192.0.2.9");
    // What the crowd lost made room for who came from elsewhere.
    expect(cut).toHaveLength(1);
  },
);

test("a member's long replies are bounded for itself; what strangers hold, of its address and in all, keeps it from none", () => {
  const limit = createReaderLimit({ total: 2, perAddress: 1, perMember: 2, clock: createManualClock(0) });
  const begin = (asker: Parameters<typeof limit.begin>[0]) => {
    const reader = limit.begin(asker, () => undefined);
    onTestFinished(() => reader.end());
  };
  for (const n of [1, 2]) begin({ address: `192.0.2.${n}` });
  expect(() => begin({ address: "192.0.2.1" })).toThrow(/Too many downloads/);
  for (const member of ["a", "b"]) for (let n = 0; n < 2; n++) begin({ member });
  expect(() => begin({ member: "a" })).toThrow(/Too many downloads/);
  // Nor do members take the places of strangers.
  expect(() => begin({ address: "192.0.2.3" })).toThrow(/Too many downloads/);
  expect(limit.size).toBe(6);
});

// foundation 6
test("what is not said is 128 long replies to an address, 512 to all strangers and 4 to a member", () => {
  const limit = createReaderLimit({ clock: createManualClock(0) });
  const finds = (asker: Parameters<typeof limit.begin>[0]): boolean => {
    try {
      const reader = limit.begin(asker, () => undefined);
      onTestFinished(() => reader.end());
      return true;
    } catch (error) {
      return (error as { code?: string }).code !== "READERS_BUSY";
    }
  };
  /** How many of them find a place. */
  const begun = (count: number, asker: Parameters<typeof limit.begin>[0]): number =>
    Array.from({ length: count }, () => finds(asker)).filter(Boolean).length;
  const addresses = [1, 2, 3, 4, 5].map((n) => begun(200, { address: `192.0.2.${n}` }));
  // A fifth has as many as each of the others is left with.
  expect(addresses).toEqual([128, 128, 128, 128, 102]);
  expect(limit.size).toBe(512);
  expect(begun(10, { member: "a" })).toBe(4);
});

const openOf = (sockets: readonly Socket[]): number => sockets.filter(({ destroyed }) => !destroyed).length;

// foundation 6
test("what is not said is 768 sockets of an address and 4,096 in all", () => {
  const server = new EventEmitter();
  createConnectionLimit()(server as HttpServer);
  let port = 0;
  /** Idle sockets that come from an address. */
  const opened = (count: number, address: string): Socket[] =>
    Array.from({ length: count }, () => {
      port += 1;
      const socket = Object.assign(new EventEmitter(), {
        remoteAddress: address,
        remotePort: port,
        localPort: 1,
        destroyed: false,
        destroy: () => void (socket.destroyed = true),
      });
      server.emit("connection", socket);
      return socket as unknown as Socket;
    });
  const crowds = [1, 2, 3, 4, 5].map((n) => opened(800, `192.0.2.${n}`));
  expect(crowds.map(openOf)).toEqual([768, 768, 768, 768, 768]);
  // 256 are left to others, whoever they are; then the addresses with most lose one for each.
  crowds.push(opened(256, "198.51.100.1"));
  expect(crowds.map(openOf)).toEqual([768, 768, 768, 768, 768, 256]);
  crowds.push(opened(100, "203.0.113.1"));
  expect(crowds.map(openOf).reduce((sum, each) => sum + each, 0)).toBe(4_096);
  expect(openOf(crowds.at(-1)!)).toBe(100);
});

/** One of whose reply something waits. */
const socketOf = (remotePort: number) =>
  Object.assign(new EventEmitter(), {
    remoteAddress: "192.0.2.1",
    remotePort,
    localPort: 1,
    bytesRead: 100,
    bytesWritten: 100,
    writableLength: 100,
    writableEnded: false,
    destroyed: false,
    destroy() {
      this.destroyed = true;
    },
  });

// foundation 6
test("a request that was given up, which names its socket no more, is looked at like others", () => {
  const server = new EventEmitter();
  server.on("request", () => undefined);
  const clock = createManualClock(0);
  createConnectionLimit({ perAddress: 1, clock })(server as HttpServer);
  const [first, second] = [socketOf(1), socketOf(2)];
  server.emit("connection", first);
  const request = { socket: first as typeof first | null, complete: true, readableLength: 0 };
  server.emit("request", request, new EventEmitter());
  request.socket = null;
  server.emit("connection", second);
  expect([first.destroyed, second.destroyed]).toEqual([false, true]);
});

test("a request that waits on a socket for the reply before is not answered where that was the socket's last", () => {
  const server = new EventEmitter();
  let answered = 0;
  server.on("request", () => (answered += 1));
  createConnectionLimit({ clock: createManualClock(0) })(server as HttpServer);
  for (const [n, ends] of [true, false].entries()) {
    const socket = socketOf(n);
    server.emit("connection", socket);
    const replies = [new EventEmitter(), new EventEmitter()];
    for (const reply of replies) server.emit("request", { socket, complete: true, readableLength: 0 }, reply);
    socket.writableEnded = ends;
    replies[0]!.emit("close");
    expect(answered).toBe([1, 3][n]);
  }
});

test("the sockets of a /64 of IPv6 count as one address's", () => {
  const server = new EventEmitter();
  createConnectionLimit({ perAddress: 2, clock: createManualClock(0) })(server as HttpServer);
  const sockets = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"].map((remoteAddress, n) =>
    Object.assign(socketOf(n), { remoteAddress }),
  );
  for (const socket of sockets) server.emit("connection", socket);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false, false]);
});
