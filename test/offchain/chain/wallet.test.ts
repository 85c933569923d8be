import { parseGwei, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";

import { walletOn } from "../../../offchain/src/chain/wallet.ts";

const { account } = walletOn({ url: "http://127.0.0.1:1", chainId: 7 }, privateKeyToAccount(generatePrivateKey()));
const transfer = { chainId: 7, to: zeroAddress, gas: 100_000n } as const;

test.each([
  ["legacy", (price: bigint) => ({ type: "legacy", gasPrice: price }) as const],
  ["of EIP-2930", (price: bigint) => ({ type: "eip2930", gasPrice: price, accessList: [] }) as const],
  ["of EIP-1559", (price: bigint) => ({ type: "eip1559", maxFeePerGas: price, maxPriorityFeePerGas: 0n }) as const],
])("a transaction %s costs a tenth of a coin at most", async (_kind, priced) => {
  const sign = (gwei: string): unknown =>
    account.type === "local" && account.signTransaction({ ...transfer, ...priced(parseGwei(gwei)) });
  expect(await sign("1000")).toMatch(/^0x/);
  await expect(sign("1000.1")).rejects.toMatchObject({ code: "FEE_TOO_HIGH" });
});
