/**
 * A page that the user opens in a browser sends requests to his machine, under its own origin, and under a name of the
 * attacker's when he lets that name point here. The embedded chain does whatever it is told; no page may tell it anything.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { createHttpServer, type HttpApp, listen, silentLogger } from "../../offchain/src/service/index.ts";
import { connects, type Embedded, listeningAddresses, openEmbedded, type Reply, send } from "./node.ts";

const RICH = "0x000000000000000000000000000000000000dEaD";
const json = { "content-type": "application/json" };

let chain: Embedded;

beforeAll(async () => {
  chain = await openEmbedded();
});
afterAll(() => chain?.close());

const call = (method: string, params: unknown = [], headers: Record<string, string> = {}): Promise<Reply> =>
  send(chain.door.url, {
    headers: { ...json, ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
const parsed = (reply: Reply) => JSON.parse(reply.text) as { result?: unknown; error?: { code: number } };
const balance = async (): Promise<bigint> =>
  BigInt(String(await chain.link.request("eth_getBalance", [RICH, "latest"])));

// foundation 7
describe("the embedded chain", () => {
  test.each([
    ["anvil_setBalance", [RICH, "0xffffffff"]],
    ["hardhat_setBalance", [RICH, "0xffffffff"]],
    ["anvil_impersonateAccount", [RICH]],
    ["anvil_loadState", ["0x"]],
    ["anvil_dropAllTransactions", []],
    ["evm_mine", []],
    ["evm_setNextBlockTimestamp", [4_000_000_000]],
    ["evm_revert", ["0x0"]],
    ["debug_traceTransaction", ["0x00"]],
    ["eth_accounts", []],
    ["eth_sendTransaction", [{ from: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", to: RICH, value: "0xff" }]],
    ["eth_sendUnsignedTransaction", [{ from: RICH, to: RICH }]],
    ["eth_sign", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x00"]],
    ["ETH_CHAINID", []],
    ["__proto__", []],
    ["constructor", []],
  ])("does not do %s for anybody outside, alone or in a batch", async (method, params) => {
    expect(parsed(await call(method, params))).toMatchObject({ error: { code: -32_601 } });
    const batch = [
      { jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] },
      { jsonrpc: "2.0", id: 2, method, params },
    ];
    const replies = JSON.parse((await send(chain.door.url, { headers: json, body: JSON.stringify(batch) })).text);
    expect(replies).toMatchObject([{ result: "0x7a69" }, { error: { code: -32_601 } }]);
    expect(await balance()).toBe(0n);
  });

  test.each(["https://evil.example", "http://localhost:3000", "null", "file://", "chrome-extension://", ""])(
    'answers no page of origin "%s", and lets none read',
    async (origin) => {
      for (const method of ["POST", "OPTIONS", "GET"]) {
        const reply = await send(chain.door.url, {
          method,
          headers: { ...json, origin, "access-control-request-method": "POST" },
          ...(method === "POST" && { body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}' }),
        });
        expect(reply.status).toBe(403);
        expect(reply.text).not.toContain("0x7a69");
        expect(Object.keys(reply.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      }
    },
  );

  test.each(["evil.example", "127.0.0.1.evil.example", "evil.example:8545", "192.0.2.1", "localhost.", "a@localhost"])(
    "answers under no other name than this machine's: %s",
    async (host) => {
      expect((await call("eth_chainId", [], { host })).status).toBe(403);
    },
  );

  test.each(["localhost", "localhost:1", "127.0.0.1", "[::1]:8545"])("answers as %s", async (host) => {
    expect(parsed(await call("eth_chainId", [], { host })).result).toBe("0x7a69");
  });

  test("takes nothing that a form or an image can send", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
      expect((await call("eth_chainId", [], { "content-type": type })).status).toBe(415);
    expect((await send(chain.door.url, { method: "GET" })).status).toBe(405);
  });

  test("opens no WebSocket, which needs no preflight", async () => {
    const reply = await send(chain.door.url, {
      method: "GET",
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec-websocket-version": "13",
      },
    });
    expect(reply.status).toBe(405);
  });

  test("answers wallets, which are extensions, and the coordinator's own pages", async () => {
    const own = "http://127.0.0.1:7700";
    expect((await call("eth_chainId", [], { origin: own })).status).toBe(403);
    chain.door.admit(own);
    for (const origin of [
      own,
      "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
      "moz-extension://6b0e8bb6-aaaa",
    ]) {
      const reply = await call("eth_chainId", [], { origin });
      expect([reply.status, reply.headers["access-control-allow-origin"]]).toEqual([200, origin]);
      const preflight = await send(chain.door.url, { method: "OPTIONS", headers: { origin } });
      expect([preflight.status, preflight.headers["access-control-allow-origin"]]).toEqual([204, origin]);
    }
  });

  test("bounds bodies and batches", async () => {
    const long = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_call", params: ["x".repeat(3 << 20)] });
    expect((await send(chain.door.url, { headers: json, body: long })).status).toBe(413);
    const many = JSON.stringify(
      Array.from({ length: 101 }, (_, id) => ({ jsonrpc: "2.0", id, method: "eth_chainId" })),
    );
    expect(parsed(await send(chain.door.url, { headers: json, body: many }))).toMatchObject({
      error: { code: -32_600 },
    });
    for (const body of ["{", "[]", "7", "null", '{"method":7}', '{"id":{"a":1},"method":"eth_chainId","params":"}{"}'])
      expect(parsed(await send(chain.door.url, { headers: json, body }))).toHaveProperty("error");
    expect(parsed(await call("eth_chainId")).result).toBe("0x7a69");
  });

  test("gives play money to who has none, and never sets a balance", async () => {
    const poor = "0x00000000000000000000000000000000000000aa";
    expect(parsed(await call("cotrain_fund", [poor])).result).toBe(true);
    expect(parsed(await call("cotrain_fund", [poor])).result).toBe(false);
    expect(parsed(await call("cotrain_fund", [poor, "0xffffffffffffffffffffffffff"])).result).toBe(false);
    expect(parsed(await call("cotrain_fund", ["0x12"]))).toMatchObject({ error: { code: -32_602 } });
    expect((await call("cotrain_fund", [RICH], { origin: "https://evil.example" })).status).toBe(403);
    expect(await balance()).toBe(0n);
  });

  // foundation 16: the embedded chain on all interfaces
  test.runIf(process.platform === "linux")(
    "is on no address of this machine: the door alone is, on loopback",
    async () => {
      const pid = chain.child.pid ?? 0;
      const addresses = await listeningAddresses(pid);
      expect(addresses.length).toBeGreaterThan(0);
      for (const { host, port } of addresses) {
        expect(host).toBe("224.0.0.1");
        for (const each of [host, "127.0.0.1", "::1", "0.0.0.0"])
          expect([each, await connects(each, port)]).toEqual([each, false]);
      }
      const door = (await listeningAddresses(process.pid)).filter(({ port }) => port === chain.door.port);
      expect(door).toEqual([{ host: "127.0.0.1", port: chain.door.port }]);
      expect(await connects("127.0.0.2", chain.door.port)).toBe(false);
    },
  );
});

// foundation 7
describe("the coordinator", () => {
  let app: HttpApp;
  let url: string;
  beforeAll(async () => {
    app = await createHttpServer({ logger: silentLogger(), title: "Test", version: "1" });
    ({ url } = await listen(app, { port: 0, explicitPort: true }));
  });
  afterAll(() => app?.close());
  const ask = (headers: Record<string, string>): Promise<Reply> => send(`${url}/health`, { method: "GET", headers });

  test("answers under addresses and loopback names, and no name that can be pointed here", async () => {
    for (const host of ["localhost", "localhost:7700", "127.0.0.1:1", "[::1]", "192.0.2.7:7700"])
      expect([host, (await ask({ host })).status]).toEqual([host, 200]);
    for (const host of ["evil.example", "evil.example:7700", "127.0.0.1.evil.example", "localhost.evil.example"])
      expect([host, (await ask({ host })).status]).toEqual([host, 403]);
  });

  test("answers no other site's page", async () => {
    const host = "127.0.0.1:7700";
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:7701", "http://evil.example:7700"]) {
      const reply = await ask({ host, origin });
      expect([origin, reply.status, reply.headers["access-control-allow-origin"]]).toEqual([origin, 403, undefined]);
    }
    for (const origin of [`http://${host}`, `https://${host}`, "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn"])
      expect([origin, (await ask({ host, origin })).status]).toEqual([origin, 200]);
  });

  test("behind a proxy answers under the proxy's name, when the proxy asks", async () => {
    const proxied = await createHttpServer({
      logger: silentLogger(),
      title: "Test",
      version: "1",
      behindProxy: "127.0.0.1",
    });
    const { url: at } = await listen(proxied, { port: 0, explicitPort: true, behindProxy: "127.0.0.1" });
    const headers = { host: "train.example.org", origin: "https://train.example.org" };
    expect((await send(`${at}/health`, { method: "GET", headers })).status).toBe(200);
    await proxied.close();
  });
});
