/** The chain's time and blocks. */
import type { ChainReader } from "../ports.ts";
import type { ReadFrom } from "./events.ts";

export function readBlocks({ connection: { call }, confirmations }: ReadFrom) {
  const latest = () => call((chain) => chain.getBlock({ blockTag: "latest" }));
  return {
    chainTime: async () => Number((await latest()).timestamp),
    settledTime: async () => {
      const newest = await latest();
      const settled = newest.number - BigInt(confirmations);
      if (confirmations === 0) return Number(newest.timestamp);
      return settled < 0n ? 0 : Number((await call((chain) => chain.getBlock({ blockNumber: settled }))).timestamp);
    },
    tip: async () => {
      const { number, hash, parentHash } = await latest();
      return { block: Number(number), hash, parentHash };
    },
    blockHash: (block) =>
      call(async (chain) => {
        try {
          return (await chain.getBlock({ blockNumber: BigInt(block) })).hash;
        } catch (error) {
          if (error instanceof Error && error.name === "BlockNotFoundError") return undefined;
          throw error;
        }
      }),
  } satisfies Partial<ChainReader>;
}
