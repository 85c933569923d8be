/** At rest a local chain tells the time of its last block: what is judged by time, to be sent, waits for a block of now. */
import { expect, test, vi } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  requireNamedDeployment: async () => undefined,
  openLocalRun: async () => ({ state: "/nowhere", file: { chain: { embedded: true }, wallets: {} }, deployment: {} }),
  runNamed: (run: object) => run,
  withChain: (_run: unknown, _work: unknown, _rpc: unknown, ticking = false) => {
    throw new UserError("SEEN", ticking ? "The clock goes." : "The clock stands.");
  },
}));

const receipt = `0x${"e1".repeat(32)}`;

test.each([
  [["rewards", "activate"], "goes"],
  [["revenue", "activate"], "goes"],
  [["stake", "withdraw"], "goes"],
  [["stake", "execute", receipt], "goes"],
  [["budget", "spend", "0x5a1f09", "--amount=1", "--memo=gpu"], "goes"],
  [["code", "claim"], "goes"],
  // What shows and sends nothing is as quick as it can be.
  [["stake", "show"], "stands"],
  [["code", "list"], "stands"],
])("%j: it %s", async (words, does) => {
  const { stderr } = await cotrainHere([...words, "--state", temporaryDirectory()]);
  expect(stderr.trim()).toBe(`cotrain: The clock ${does}.`);
});
