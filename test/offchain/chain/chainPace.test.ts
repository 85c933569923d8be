/** The embedded chain's clock at rest. */
import { createPublicClient, createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { expect, onTestFinished, test } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { createChainPace, developmentChain } from "../../../offchain/src/chain/index.ts";
import { createNode } from "./node.ts";
import { slowDoor } from "./slowDoor.ts";

test.each([0, 3_600_000, -3_600_000])(
  "blocks are few when nobody sends anything, and a transaction brings one a second back, also where the clock is set by %i ms",
  async (step) => {
    const clock = createManualClock();
    const told: number[] = [];
    const pace = createChainPace({ mineByInterval: async (seconds) => void told.push(seconds) }, clock);
    await clock.advance(3_600_000);
    expect(told).toEqual([]);
    pace.rest();
    await clock.advance(300_000);
    clock.step(step);
    await clock.advance(295_000);
    expect(told).toEqual([]);
    await clock.advance(10_000);
    expect(told).toEqual([30]);
    pace.stirred();
    expect(told).toEqual([30, 1]);
    await clock.advance(605_000);
    expect([told, pace.seconds]).toEqual([[30, 1, 30], 30]);
    pace.restarted();
    expect(told).toEqual([30, 1, 30, 30]);
    pace.stop();
  },
);

test("an outside client's transaction at rest starts the clock, which then goes on by itself", async () => {
  const node = await createNode(0);
  onTestFinished(() => node.close());
  await node.start();
  const chain = developmentChain(node.link);
  const { pace, door } = await slowDoor(node);

  const account = privateKeyToAccount(`0x${"42".repeat(32)}`);
  await chain.fund([account.address]);
  const client = createPublicClient({ transport: http(door.url), pollingInterval: 50, cacheTime: 0 });
  const wallet = createWalletClient({ account, transport: http(door.url) });
  const hash = await wallet.sendTransaction({ chain: null, to: account.address, value: 1n });
  const { blockNumber } = await client.waitForTransactionReceipt({ hash });
  expect(pace.seconds).toBe(1);
  const first = await client.getBlock({ blockNumber });
  // Nobody sends anything more: a voting period and a timelock of seconds pass all the same.
  const seen = await new Promise<bigint>((resolve) => {
    const unwatch = client.watchBlocks({
      onBlock: (block) => {
        if (block.timestamp < first.timestamp + 3n) return;
        unwatch();
        resolve(block.timestamp);
      },
    });
  });
  expect(seen).toBeGreaterThanOrEqual(first.timestamp + 3n);
  pace.stop();
});
