import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { expect, onTestFinished, test } from "vitest";

import { openNodeLink } from "../../../offchain/src/chain/index.ts";
import { temporaryDirectory } from "../service/support.ts";

test("an answer that is too long fails the call that it is for, and nobody else's", async () => {
  const path = join(await temporaryDirectory(), "node.sock");
  let connected = 0;
  const server = createServer((socket) => {
    connected += 1;
    socket.on("error", () => undefined);
    createInterface(socket).on("line", (line) => {
      const { id, method } = JSON.parse(line) as { id: number; method: string };
      const result = method === "long" ? "0".repeat(65 << 20) : "0x1";
      socket.write(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`);
    });
  }).listen(path);
  onTestFinished(() => void server.close());
  const link = openNodeLink(path);
  onTestFinished(() => link.close());
  const answers = await Promise.allSettled(["short", "long", "short"].map((method) => link.request(method)));
  // Not compared as a whole: a failure would print it.
  expect(answers[1]!.status).toBe("rejected");
  expect(answers).toMatchObject([
    { value: "0x1" },
    { reason: { code: "NODE_REFUSED", answer: { code: -32_005 } } },
    { value: "0x1" },
  ]);
  expect(await link.request("short")).toBe("0x1");
  expect(connected).toBe(1);
});

test.each([
  [4, { value: "0x1" }, 5],
  [9, { reason: { code: "NODE_REFUSED" } }, 5],
])("a call that new blocks overtake %i times is made five times at most", async (overtaken, outcome, calls) => {
  const path = join(await temporaryDirectory(), "node.sock");
  let asked = 0;
  const server = createServer((socket) => {
    createInterface(socket).on("line", (line) => {
      const { id } = JSON.parse(line) as { id: number };
      asked += 1;
      const error = {
        code: -32_602,
        message: `BlockOutOfRangeError: block height is ${asked + 1} but requested was ${asked}`,
      };
      socket.write(
        `${JSON.stringify({ jsonrpc: "2.0", id, ...(asked <= overtaken ? { error } : { result: "0x1" }) })}\n`,
      );
    });
  }).listen(path);
  onTestFinished(() => void server.close());
  const link = openNodeLink(path);
  onTestFinished(() => link.close());
  expect(await Promise.allSettled([link.request("eth_call")])).toMatchObject([outcome]);
  expect(asked).toBe(calls);
});
