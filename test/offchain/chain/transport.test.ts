/** What every client here does with an answer that is none, and with a question that a new block overtook. */
import { createServer, type Server } from "node:http";
import { privateKeyToAccount } from "viem/accounts";
import { getCode } from "viem/actions";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { connect } from "../../../offchain/src/chain/connection.ts";
import { walletOn } from "../../../offchain/src/chain/wallet.ts";
import { listening } from "../../loopback.ts";

const ADDRESS = "0x00000000000000000000000000000000000000aa";
const chainId = 31_337;
// What anvil says with --prune-history when a block is mined between its two looks.
const overtaken = { code: -32_602, message: "BlockOutOfRangeError: block height is 4 but requested was 3" };
const refused = { code: -32_602, message: "invalid argument 0" };

let server: Server;
let url: string;
let asked: number;
/** Errors of the next questions for code, in their order; after them it is answered. */
let errors: (typeof overtaken)[];

beforeEach(async () => {
  asked = 0;
  errors = [];
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const { id, method } = JSON.parse(body) as { id: number; method: string };
      const code = method === "eth_getCode";
      if (code) asked += 1;
      const error = code ? errors.shift() : undefined;
      const result = code ? "0x60" : "0x7a69";
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id, ...(error ? { error } : { result }) }));
    });
  });
  url = await listening(server);
});
afterEach(() => void server.close());

describe("a question that a new block overtook", () => {
  it("is asked again, by readers and by wallets", async () => {
    errors = [overtaken, overtaken, overtaken, overtaken];
    const { client } = await connect({ rpcUrl: url, chainId });
    expect(await client.getCode({ address: ADDRESS })).toBe("0x60");
    expect(asked).toBe(5);
    errors = [overtaken];
    const wallet = walletOn({ url, chainId }, privateKeyToAccount(`0x${"11".repeat(32)}`));
    expect(await getCode(wallet, { address: ADDRESS })).toBe("0x60");
    expect(asked).toBe(7);
  });

  it("is given up when blocks always overtake it, and so is at once what the node refuses", async () => {
    const { call } = await connect({ rpcUrl: url, chainId });
    const look = () => call((client) => client.getCode({ address: ADDRESS }));
    errors = Array.from({ length: 9 }, () => overtaken);
    await expect(look()).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
    expect(asked).toBe(5);
    errors = [refused];
    await expect(look()).rejects.toMatchObject({ code: "CHAIN_RPC" });
    expect(asked).toBe(6);
  });

  it("is told in the node's own words where the code alone says little", async () => {
    const { call } = await connect({ rpcUrl: url, chainId, retries: 0 });
    errors = [{ code: -32_005, message: "Too many requests at once: try again.\u001b[2J" }];
    await expect(call((client) => client.getCode({ address: ADDRESS }))).rejects.toMatchObject({
      code: "CHAIN_RPC",
      message: expect.stringContaining('It said: "Too many requests at once: try again.\uFFFD[2J".'),
    });
  });
});
