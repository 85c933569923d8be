/** Which block's time counts as settled. */
import { expect, it } from "vitest";

import type { ReadFrom } from "../../../offchain/src/chain/reads/events.ts";
import { readBlocks } from "../../../offchain/src/chain/reads/blocks.ts";

/** Of a chain with a block every 12 s, whose newest is of this number. */
function settledTime(newest: bigint, confirmations: number): Promise<number> {
  const getBlock = async ({ blockNumber = newest }: { readonly blockNumber?: bigint }) => ({
    number: blockNumber,
    timestamp: 1_000n + 12n * blockNumber,
  });
  const call = (read: (chain: object) => unknown) => read({ getBlock });
  return readBlocks({ connection: { call }, confirmations } as unknown as ReadFrom).settledTime();
}

it("the time that is settled is that of the block with so many above it, and none before there are so many", async () => {
  expect(await settledTime(100n, 0)).toBe(1_000 + 12 * 100);
  expect(await settledTime(100n, 6)).toBe(1_000 + 12 * 94);
  expect(await settledTime(6n, 6)).toBe(1_000);
  expect(await settledTime(5n, 6)).toBe(0);
});
