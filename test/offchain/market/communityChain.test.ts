/** A renter's deposits on a real node: what the escrow may take of its tokens, and what of that stands. */
import { asAddress, type LeaseTerms } from "@cotrain/sdk/protocol";
import { erc20Abi, keccak256, parseAbi, parseAbiItem, stringToHex } from "viem";
import { writeContract } from "viem/actions";
import { beforeEach, expect, test } from "vitest";

import { connect, walletOn } from "../../../offchain/src/chain/index.ts";
import { renterChain } from "../../../offchain/src/market/community/chain.ts";
import { accountOf } from "../chain/world.ts";
import { staged } from "../cli/staged.ts";

const stage = staged(["renter"]);
const renter = accountOf("renter");
const address = asAddress(renter.address);

const place = () => ({ chainId: stage.world.chainId, escrow: asAddress(stage.world.deployment.computeEscrow) });
const opening = async () => {
  const { chainId } = stage.world;
  return renterChain(await connect({ rpcUrl: stage.node.url, chainId, retries: 0 }), place(), renter);
};
const termsOf = (salt: string): LeaseTerms => ({
  renter: address,
  provider: asAddress(accountOf("owner").address),
  machine: asAddress(accountOf("machine").address),
  signer: address,
  token: asAddress(stage.world.testDollar),
  notice: 900,
  salt: keccak256(stringToHex(salt)),
});

const allowed = () =>
  stage.client.readContract({
    address: stage.world.testDollar,
    abi: erc20Abi,
    functionName: "allowance",
    args: [address, place().escrow],
  });
const approvals = async (): Promise<unknown[]> => {
  const event = parseAbiItem("event Approval(address indexed owner, address indexed spender, uint256 value)");
  const logs = await stage.client.getLogs({
    address: stage.world.testDollar,
    event,
    args: { owner: address },
    fromBlock: 0n,
  });
  return logs.map(({ args }) => args.value);
};
const wallet = () => walletOn({ url: stage.node.url, chainId: stage.world.chainId }, renter);
const call = { chain: null, account: renter } as const;
const mint = (amount: bigint) =>
  writeContract(wallet(), {
    ...call,
    address: stage.world.testDollar,
    abi: parseAbi(["function mint(address to, uint256 amount)"]),
    functionName: "mint",
    args: [address, amount],
  });
beforeEach(() => stage.client.setBalance({ address, value: 10n ** 20n }));

test("a deposit is allowed alone, by way of nothing where something stands, and nothing stands after it", async () => {
  const chain = await opening();
  await mint(20n);
  await chain.open(termsOf("one"), 5n);
  expect(await approvals()).toEqual([5n]);
  expect(await allowed()).toBe(0n);
  // As a deposit leaves it that was killed before it was taken; some tokens change that to nothing alone.
  await writeContract(wallet(), {
    ...call,
    address: stage.world.testDollar,
    abi: erc20Abi,
    functionName: "approve",
    args: [place().escrow, 9n],
  });
  await chain.open(termsOf("two"), 7n);
  expect(await approvals()).toEqual([5n, 9n, 0n, 7n]);
  expect(await allowed()).toBe(0n);
});

test("a deposit that is refused leaves nothing that could be taken", async () => {
  const chain = await opening();
  await mint(20n);
  const terms = termsOf("one");
  await chain.open(terms, 5n);
  // A lease has one channel ever.
  await expect(chain.open(terms, 6n)).rejects.toMatchObject({ code: expect.any(String) });
  expect(await allowed()).toBe(0n);
});
