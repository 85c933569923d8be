/** What a new model is sold for, by the words of `--capital`, and by what the chain says of the token. */
import { createServer } from "node:http";

import { asAddress } from "@cotrain/sdk/protocol";
import { getAddress, maxUint96, toHex } from "viem";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { saleLine, saleOf } from "../../../offchain/src/localnet/sale.ts";
import { listening } from "../../loopback.ts";
import { accountOf } from "../chain/world.ts";

const CHAIN_ID = 4_242;
const token = accountOf("token").address;

/** An RPC on whose chain every contract answers a call with this word, or with nothing. */
async function rpcWith(word: bigint | undefined, chainId = CHAIN_ID): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      const { id, method } = JSON.parse(body) as { id: number; method: string };
      const said = word === undefined ? "0x" : toHex(word, { size: 32 });
      const result = method === "eth_chainId" ? toHex(chainId) : said;
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result }));
    });
  });
  onTestFinished(() => void server.close());
  return listening(server);
}
const saleAt = async (words: string, word: bigint | undefined = 6n, chainId = CHAIN_ID) =>
  saleOf(words, { rpcUrl: await rpcWith(word, chainId), chainId });

describe("a sale", () => {
  test("is none unless one is asked for", async () => {
    expect(await saleOf(undefined, { rpcUrl: undefined, chainId: undefined })).toBeUndefined();
  });

  test("begins at its floor, in the smallest units of the token, and must bring in a share's price", async () => {
    const sale = await saleAt(`${token}=0.01`);
    expect(sale!.settings).toEqual({
      token: asAddress(token),
      priceFloor: 10_000n,
      price: 10_000n,
      minimum: 10_000n,
    });
    expect(saleLine(sale!)).toContain(`${getAddress(token)}) alone, each for 0.01 `);
    expect((await saleAt(`${token}=0.01`, 18n))!.settings.priceFloor).toBe(10n ** 16n);
  });

  test("is for test dollars on the embedded chain and on those of development", async () => {
    const refused = { code: "CAPITAL_INVALID", message: expect.stringContaining("paid in test dollars") as string };
    await expect(saleOf(`${token}=1`, { rpcUrl: undefined, chainId: undefined })).rejects.toMatchObject(refused);
    for (const chainId of [1_337, 31_337])
      await expect(saleAt(`${token}=1`, 6n, chainId)).rejects.toMatchObject(refused);
  });

  let otherCase: string;
  beforeAll(() => {
    otherCase = getAddress(token).replaceAll(/[a-fA-F]/g, (letter) =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    );
    otherCase = `0x${otherCase.slice(2)}`;
  });
  test.each([
    ["no price", () => token, "CAPITAL_INVALID"],
    ["an empty price", () => `${token}=`, "CAPITAL_INVALID"],
    ["two prices", () => `${token}=1=2`, "CAPITAL_INVALID"],
    ["an address with another casing", () => `${otherCase}=1`, "CAPITAL_INVALID"],
    ["nobody", () => `0x${"0".repeat(40)}=1`, "CAPITAL_INVALID"],
    ["a price of nothing", () => `${token}=0`, "CAPITAL_AMOUNT"],
    ["more decimals than the token has", () => `${token}=0.0000001`, "CAPITAL_AMOUNT"],
    ["a price below nothing", () => `${token}=-1`, "CAPITAL_AMOUNT"],
    ["a price that no contract keeps", () => `${token}=${maxUint96 / 10n ** 6n + 1n}`, "CAPITAL_INVALID"],
  ])("is refused with %s", async (_, words, code) => {
    await expect(saleAt(words())).rejects.toMatchObject({ name: "UserError", code });
  });

  test.each([
    ["tells nothing", undefined],
    ["tells more decimals than any amount has", 37n],
  ])("is refused for a contract that %s", async (_, word) => {
    // Not the parameter's default: a contract may say nothing.
    const rpcUrl = await rpcWith(word);
    await expect(saleOf(`${token}=1`, { rpcUrl, chainId: CHAIN_ID })).rejects.toMatchObject({ code: "CAPITAL_TOKEN" });
  });
});
