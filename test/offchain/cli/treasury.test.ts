/** `cotrain treasury` on a real node: what the holders have together, and what they are asked before it pays somebody. */
import { timelockOf } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, getAddress, parseAbi, parseEther } from "viem";
import { expect, test } from "vitest";

import { accountOf } from "../chain/world.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const stage = staged([]);
const friend = getAddress(accountOf("friend").address);
const at = () => ["--state", stage.state];

interface Shown {
  readonly title: string;
  readonly call: ShownCall & { readonly words: string };
}

const asked = (...words: readonly string[]) => told<Shown>("treasury", "pay", ...words, "--dry-run", ...at());
const refused = async (...words: readonly string[]) =>
  verdictOf(await cotrainHere(["treasury", "pay", ...words, "--dry-run", ...at()]));
const timelockHere = () => timelockOf(stage.client, { addresses: stage.world.contracts, modelId: stage.world.modelId });

/** Has the treasury have so much of the test dollar. */
async function funded(amount: bigint): Promise<Hex> {
  const timelock = await timelockHere();
  const mint = parseAbi(["function mint(address to, uint256 amount)"]);
  const data = encodeFunctionData({ abi: mint, functionName: "mint", args: [timelock, amount] });
  await stage.asHolders((account) => execute(stage.client, account, { target: stage.world.testDollar, data }));
  return timelock;
}
const dollars = (account: Hex) =>
  stage.client.readContract({
    address: stage.world.testDollar,
    abi: erc20Abi,
    functionName: "balanceOf",
    args: [account],
  });

test("holders are asked in words whether a token is paid, and it is paid as they were told", async () => {
  const { testDollar: token } = stage.world;
  const timelock = await funded(20_000_000n);
  expect(await told("treasury", "show", "--token", token, ...at())).toMatchObject({ drawable: null, unclaimed: null });
  const { stdout } = await cotrainHere(["treasury", "show", "--token", token, ...at()]);
  expect(stdout).toContain(`${getAddress(timelock)}, the model's timelock`);
  expect(stdout).toMatch(/^has +20 TESTUSD$/m);
  const all = (await cotrainHere(["treasury", "show", ...at()])).stdout;
  expect(all).toMatch(/^and +0 shares$/m);
  expect(all).toMatch(new RegExp(`^and +20 TESTUSD, ${getAddress(token)}$`, "m"));

  const { title, call } = await asked("--to", friend, "--amount", "12.5", "--token", token);
  expect(title).toBe(`treasury: 12.5 TESTUSD paid to ${friend}`);
  expect(call.words).toBe(
    `The treasury pays ${friend} 12500000 (12.5 with its decimals) of the smallest units of token ${getAddress(token)}.`,
  );
  await stage.asHolders((account) => execute(stage.client, account, call));
  expect([await dollars(friend), await dollars(timelock)]).toEqual([12_500_000n, 7_500_000n]);

  expect(await refused("--to", friend, "--amount", "7.6", "--token", token)).toEqual(
    refusal(1, "The treasury has 7.5 TESTUSD, and 7.6 TESTUSD are asked for."),
  );
  expect(await refused("--to", friend)).toEqual(refusal(1, "A payment needs --amount."));
});

/** It answers 1 where it is asked for a balance, else 0. */
const FALSE_TOKEN = "0x6370a082315f3560e01c145f5260205ff3";

test("a token that answers false would not pay, and nobody is asked", async () => {
  const { testDollar: token } = stage.world;
  await funded(1_000_000n);
  await stage.client.setCode({ address: token, bytecode: FALSE_TOKEN });
  expect(await refused("--to", friend, "--amount", "1", "--token", token)).toEqual(
    refusal(1, "would not pay that: it answers so."),
  );
});

test("coins are paid likewise", async () => {
  const timelock = await timelockHere();
  await stage.client.setBalance({ address: timelock, value: parseEther("3") });
  expect((await cotrainHere(["treasury", "show", ...at()])).stdout).toMatch(/^has +3 coins$/m);
  expect(await refused("--to", friend, "--amount", "3.1")).toEqual(
    refusal(1, "The treasury has 3 coins, and 3.1 coins are asked for."),
  );
  const { title, call } = await asked("--to", friend, "--amount", "2.5");
  expect(title).toBe(`treasury: 2.5 coins paid to ${friend}`);
  expect(call).toMatchObject({ target: friend, data: "0x" });
  expect(call.words).toContain("without data. It sends 2.5 coins of the timelock along.");
});
