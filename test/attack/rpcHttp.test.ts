/** What an RPC says in HTTP, and not in JSON-RPC: for how long nothing is to be asked, and who is to be asked instead. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { privateKeyToAccount } from "viem/accounts";
import { getBlockNumber } from "viem/actions";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { type ChainReader, openReader, requestFunds, walletOn } from "../../offchain/src/chain/index.ts";
import { checkChain } from "../../offchain/src/localnet/request.ts";
import { listening } from "../loopback.ts";
import { contracts } from "../offchain/contracts.ts";

const hash = (digit: string) => `0x${digit.repeat(64)}` as const;
const run = hash("1") as Parameters<ChainReader["headsSince"]>[0];
const account = privateKeyToAccount(hash("2"));

let server: Server;
let url: string;
let asked: string[];
/** What it does with a request in place of an answer; false: it answers. */
let instead: (method: string, response: ServerResponse) => boolean;

const results: Readonly<Record<string, unknown>> = { eth_chainId: "0x1", eth_blockNumber: "0x10", eth_getLogs: [] };
const block = { hash: hash("a"), parentHash: hash("b"), number: "0x10", timestamp: "0x65" };

const serve = (request: IncomingMessage, response: ServerResponse): void => {
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString()));
  request.on("end", () => {
    const { id, method } = JSON.parse(body) as { id: number; method: string };
    asked.push(method);
    if (instead(method, response)) return;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id, result: results[method] ?? block }));
  });
};
/** Refuses the next request for `method`, and names how long to wait. */
const refuseOnce = (method: string, status: number, retryAfter: string) => {
  let refused = false;
  instead = (wanted, response) => {
    if (refused || wanted !== method) return false;
    refused = true;
    response.writeHead(status, { "retry-after": retryAfter }).end("later");
    return true;
  };
};

beforeEach(async () => {
  asked = [];
  instead = () => false;
  server = createServer(serve);
  url = await listening(server);
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** As every process opens it, its tries included. */
const open = () => openReader({ rpcUrl: url, chainId: 1, contracts, fromBlock: 0 });

describe("an RPC that says to come back tomorrow", () => {
  const DAY = "86400";
  /** Ms until what waits for a day is given up. */
  const LIMIT = 30_000;

  it.each([429, 503])(
    "once, with status %s, keeps no reading waiting, nor those that share it",
    async (status) => {
      const reader = await open();
      expect(await reader.headsSince(run, 0)).toEqual([]);
      refuseOnce("eth_getBlockByNumber", status, DAY);
      const first = reader.headsSince(run, 0);
      expect(await Promise.all([first, ...Array.from({ length: 5 }, () => reader.headsSince(run, 0))])).toEqual(
        Array.from({ length: 6 }, () => []),
      );
    },
    LIMIT,
  );

  it(
    "keeps no wallet waiting, nor a start, nor whoever asks for play money",
    async () => {
      refuseOnce("eth_blockNumber", 429, DAY);
      expect(await getBlockNumber(walletOn({ url, chainId: 1 }, account))).toBe(16n);
      refuseOnce("eth_chainId", 429, DAY);
      expect(await checkChain(url, undefined)).toBe(1);
      refuseOnce("cotrain_fund", 429, DAY);
      await requestFunds(url, account.address);
      expect(asked.filter((method) => method === "cotrain_fund")).toHaveLength(2);
    },
    LIMIT,
  );

  it(
    "for as long as it is asked is away",
    async () => {
      const reader = await open();
      instead = (_method, response) => Boolean(response.writeHead(429, { "retry-after": DAY }).end());
      const before = asked.length;
      await expect(reader.chainTime()).rejects.toMatchObject({ code: "CHAIN_UNREACHABLE", retryable: true });
      expect(asked.length - before).toBe(3);
    },
    LIMIT,
  );
});

describe("an RPC that sends whoever asks elsewhere", () => {
  let inner: Server;
  let reached: number;
  beforeEach(async () => {
    reached = 0;
    inner = createServer((request, response) => {
      reached += 1;
      serve(request, response);
    });
    const location = await listening(inner);
    instead = (_method, response) => {
      if (response.req.socket.localPort === Number(new URL(location).port)) return false;
      response.writeHead(307, { location }).end();
      return true;
    };
  });
  afterEach(() => {
    inner.closeAllConnections();
    inner.close();
  });

  it("is not followed, and whoever begins there is told so", async () => {
    const sentence = /redirects requests elsewhere, where nothing is sent: name the RPC's own address with --rpc\.$/;
    await expect(open()).rejects.toMatchObject({ code: "CHAIN_NOT_RPC", message: expect.stringMatching(sentence) });
    await expect(checkChain(url, undefined)).rejects.toMatchObject({ message: expect.stringMatching(sentence) });
    await expect(getBlockNumber(walletOn({ url, chainId: 1 }, account))).rejects.toThrow("HTTP request failed");
    await expect(requestFunds(url, account.address)).rejects.toThrow("HTTP request failed");
    expect(reached).toBe(0);
  });

  it("from one answer to the next is waited for", async () => {
    const redirecting = instead;
    instead = () => false;
    const reader = await open();
    instead = redirecting;
    await expect(reader.chainTime()).rejects.toMatchObject({
      code: "CHAIN_UNREACHABLE",
      retryable: true,
      message: expect.stringContaining("redirects requests elsewhere"),
    });
    expect(reached).toBe(0);
    instead = () => false;
    expect(await reader.chainTime()).toBe(101);
  });
});
