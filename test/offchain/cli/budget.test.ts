/** `cotrain budget` and what holders decide about the treasury, on a real node: opened, spent in the open, ended at once. */
import { join } from "node:path";

import { codeGrantsOf, distributorFor, sharesOf, timelockOf, totalSupply } from "@cotrain/sdk/actions";
import { type Hex, rewardKind } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, formatEther, getAddress, parseAbi } from "viem";
import { describe, expect, test } from "vitest";

import { formatSharesExactly } from "../../../offchain/src/base/index.ts";
import { accountOf } from "../chain/world.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const stage = staged(["renter", "stranger"]);
const { by, asHolders } = stage;
const renter = accountOf("renter").address;
const at = () => ["--state", stage.state];

interface Shown {
  readonly title: string;
  readonly call: ShownCall & { readonly words: string };
  readonly before?: readonly ShownCall[];
}

/** What the holders are asked, as if they had accepted it. */
async function decided(...words: readonly string[]): Promise<Shown> {
  const shown = await told<Shown>(...words, ...at(), "--dry-run");
  await asHolders(async (timelock) => {
    for (const call of [...(shown.before ?? []), shown.call]) await execute(stage.client, timelock, call);
  });
  return shown;
}

/** The treasury has so much of the test dollar. */
async function funded(amount: bigint): Promise<Hex> {
  const { testDollar: address, contracts: addresses, modelId } = stage.world;
  const timelock = await timelockOf(stage.client, { addresses, modelId });
  await asHolders((account) =>
    stage.client.sendUnsignedTransaction({
      from: account,
      to: address,
      data: encodeFunctionData({
        abi: parseAbi(["function mint(address to, uint256 amount)"]),
        functionName: "mint",
        args: [timelock, amount],
      }),
      gas: 1_000_000n,
    }),
  );
  await stage.client.mine({ blocks: 1 });
  return timelock;
}

const opened = (...more: readonly string[]) =>
  decided(
    "budget",
    "propose",
    "--recipient",
    renter,
    "--token",
    stage.world.testDollar,
    "--per-epoch",
    "100",
    "--within",
    "30d",
    "--purpose",
    "GPUs of the spring",
    ...more,
  );
const spend = (name: string, amount: string, memo = "invoice 12") =>
  cotrainHere(["budget", "spend", "1", ...at(), ...by(name), "--amount", amount, "--memo", memo]);
const dollars = (account: Hex) =>
  stage.client.readContract({
    address: stage.world.testDollar,
    abi: erc20Abi,
    functionName: "balanceOf",
    args: [account],
  });

/** What a call of ERC-20 approve allows. */
const allowed = ({ data }: ShownCall): bigint => BigInt(`0x${data.slice(74)}`);

describe("a budget", () => {
  test("is opened by the holders, spent in the open, and bounded in each epoch", async () => {
    const timelock = await funded(1_000_000_000n);
    expect(await told("budget", "list", ...at())).toEqual([]);
    const { title, call } = await opened();
    expect(title).toContain(`budget opened: ${getAddress(renter)} may spend 100 TESTUSD an epoch until`);
    expect(call.words).toContain("The treasury lets ComputeBudget pay at most");
    expect(call.words).toContain("ComputeBudget lets");
    expect(call.words).toContain('for "GPUs of the spring".');

    expect(await spend("renter", "60")).toMatchObject({ code: 0, stderr: "" });
    expect(await dollars(renter)).toBe(60_000_000n);
    expect(await dollars(timelock)).toBe(940_000_000n);
    const [budget] = await told<object[]>("budget", "list", ...at());
    expect(budget).toMatchObject({ id: "1", recipient: renter, perEpoch: "100000000", spent: "60000000" });

    const { stdout } = await cotrainHere(["budget", "show", "1", ...at()]);
    expect(stdout).toMatch(/^for +GPUs of the spring$/m);
    expect(stdout).toContain("invoice 12");
    expect(stdout).toMatch(/^an epoch +at most 100 TESTUSD$/m);
    expect(stdout).toMatch(/^left +40 TESTUSD in this epoch$/m);
    expect(stdout.replaceAll(/\s+/g, " ")).toMatch(/treasury has 940 TESTUSD, and lets budgets pay [\d.]+ TESTUSD/);
    const { stdout: list } = await cotrainHere(["budget", "list", ...at()]);
    expect(list).toContain("100 TESTUSD");
  });

  test("pays nobody else, no more than it has, and nothing once it was ended", async () => {
    await funded(1_000_000_000n);
    await opened();
    expect(verdictOf(await spend("stranger", "1"))).toEqual(
      refusal(1, `Budget 1 is ${getAddress(renter)}'s to spend: name that wallet with --wallet.`),
    );
    expect((await spend("renter", "100.000001")).stderr).toContain(
      "Budget 1 leaves 100 TESTUSD in this epoch, not 100.000001 TESTUSD.",
    );
    const { title } = await decided("budget", "revoke", "1");
    expect(title).toBe(`budget 1 of ${getAddress(renter)} ended at once`);
    expect((await spend("renter", "1")).stderr).toContain("Budget 1 was ended by the holders");
    expect(await dollars(renter)).toBe(0n);
    // What it can pay no more is not told as if it could.
    const { stdout } = await cotrainHere(["budget", "show", "1", ...at()]);
    expect(stdout).toMatch(/^an epoch +at most 100 TESTUSD, as long as it lasted$/m);
    expect(stdout).toMatch(/^stands +ended at .*\ntreasury +has 1000 TESTUSD$/m);
    expect(stdout).not.toMatch(/^left /m);
    expect(verdictOf(await cotrainHere(["budget", "revoke", "1", ...at(), "--dry-run"]))).toEqual(
      refusal(1, "All that is asked for is in force: name another value."),
    );
  });

  test("of two of one token the second lets no less be paid than both may", async () => {
    await funded(1_000_000_000n);
    const { before: [first] = [] } = await opened();
    // Not at once: some tokens change an allowance to 0 alone.
    const { before: [none, second, ...more] = [] } = await opened();
    expect([allowed(none!), more]).toEqual([0n, []]);
    expect(allowed(second!)).toBeGreaterThanOrEqual(2n * allowed(first!) - 200_000_000n);
  });

  test.each([
    ["another number", ["budget", "show", "7"], "This model has no budget 7"],
    [
      "no number",
      ["budget", "show", "first"],
      'A budget is named by its number, as "npx cotrain budget list" shows it',
    ],
    ["no terms", ["budget", "propose"], "A budget needs --recipient, --token, --per-epoch and --purpose."],
    ["no terms of a payment", ["budget", "spend", "1"], "A payment needs --amount and --memo."],
    ["no memo", ["budget", "spend", "1", "--amount", "1"], "A payment needs --memo."],
    [
      "two missing",
      ["budget", "propose", "--token", renter, "--purpose", "x"],
      "A budget needs --recipient and --per-epoch.",
    ],
    ["no payee", ["treasury", "pay", "--amount", "1"], "A payment needs --to."],
    [
      "no author",
      ["code", "propose", "f", "--repository", "x", "--description", "x"],
      "A grant needs --author and --amount.",
    ],
    ["no contract", ["emission", "successor", "code", renter, "--dry-run"], "did not distribute this kind before.\n"],
    ["no amount", ["emission", "draw"], "Say how many shares with --amount."],
    [
      "no kind",
      ["emission", "successor", "treasury", renter],
      "A successor is named for one of compute, code, capital",
    ],
    ["no address", ["emission", "successor", "code", "0x12"], "A contract is named by its address"],
  ])("is refused of %s", async (_, words, sentence) => {
    expect((await cotrainHere([...words, ...at()])).stderr).toContain(sentence);
  });
});

test("the holders draw the treasury's part of the emission, and no more than there is", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const shares = await sharesOf(stage.client, { addresses, modelId });
  const before = await totalSupply(stage.client, { shares });
  const { title, call } = await decided("emission", "draw", "--amount", "12.5");
  expect(title).toBe("treasury: 12.5 shares drawn of its part of the emission");
  expect(call.words).toContain("Emission mints 12.5 shares of the treasury's part of the present budgets");
  expect(await totalSupply(stage.client, { shares })).toBe(before + 12_500_000_000_000_000_000n);
  const { waiting } = await told<{ waiting: { inTreasury: string } }>("shares", "--address", renter, ...at());
  expect(waiting.inTreasury).toBe("12500000000000000000");
  // What is left of it is shown, before a refusal says so.
  const { epoch } = await told<{ epoch: string }>("emission", "show", ...at());
  const { drawable } = await told<{ drawable: object }>("treasury", "show", ...at());
  const part = 50n * 10n ** 18n;
  const left = BigInt(epoch) * part - 12_500_000_000_000_000_000n;
  expect(drawable).toEqual({ shares: String(left), perEpoch: String(part) });
  const shown = (await cotrainHere(["treasury", "show", ...at()])).stdout.replaceAll(/\s+/g, " ");
  expect(shown).toContain(
    `may draw ${formatSharesExactly(left)} shares of its part of the emission, by a vote ("npx cotrain emission draw" proposes it); each epoch adds 50, and`,
  );
  await decided("emission", "draw", "--amount", formatEther(left));
  const { stderr } = await cotrainHere(["emission", "draw", "--amount", "99999999", ...at(), "--dry-run"]);
  expect(stderr).toContain("that the epochs still allow");
});

/** Time passes on the chain. */
async function later(seconds: number): Promise<void> {
  const { timestamp } = await stage.client.getBlock();
  await stage.client.setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) });
  await stage.client.mine({ blocks: 1 });
}

test("what is left to be granted for code is told, of which epochs, and what each adds", async () => {
  interface Standing {
    readonly epoch: string;
    readonly budget: {
      readonly shares: string;
      readonly epochs: { readonly from: string; readonly to: string } | null;
    };
  }
  const part = 100n * 10n ** 18n;
  const standing = () => told<Standing>("code", "caps", ...at());
  const words = async () => (await cotrainHere(["code", "caps", ...at()])).stdout.replaceAll(/\s+/g, " ");
  /** As the holders grant it. */
  async function grant(shares: string): Promise<void> {
    const file = join(temporaryDirectory(), "grant.json");
    const about = ["--author", renter, "--repository", "https://example.org/tools.git", "--commit", "5a".repeat(20)];
    await told("code", "propose", file, ...at(), ...about, "--description", `${shares} of it`, "--amount", shares);
    await decided("code", "approve-by-vote", file, "--again");
  }
  const { epochLength } = await told<{ epochLength: number }>("emission", "show", ...at());
  await later(2 * epochLength);
  const { epoch, budget } = await standing();
  expect(budget).toEqual({
    shares: String(BigInt(epoch) * part),
    epochs: { from: "1", to: epoch },
    perEpoch: String(part),
    succeeded: false,
  });
  // All of the first epoch, and a part of the second.
  await grant("100.5");
  const after = await standing();
  const left = BigInt(after.epoch) * part - 1_005n * 10n ** 17n;
  expect(after.budget).toMatchObject({ shares: String(left), epochs: { from: "2", to: after.epoch } });
  expect(await words()).toContain(
    `may be granted ${formatSharesExactly(left)} shares now, of the budgets of epochs 2 to ${after.epoch}; each epoch adds 100,`,
  );
  await grant(formatEther(left));
  expect((await standing()).budget).toMatchObject({ shares: "0", epochs: null });
  expect(await words()).toContain("may be granted nothing now; each epoch adds 100, and");
  // What ended over 30 days ago is gone.
  await later(60 * 86_400);
  const late = await standing();
  const { from, to } = late.budget.epochs!;
  expect(BigInt(from)).toBeGreaterThan(2n);
  expect(BigInt(late.budget.shares)).toBe((BigInt(to) - BigInt(from) + 1n) * part);
});

test("the holders name who mints a kind after fourteen days", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const kind = rewardKind.code;
  const grants = await codeGrantsOf(stage.client, { addresses });
  const successor = getAddress(await sharesOf(stage.client, { addresses, modelId }));
  const { title, call } = await decided("emission", "successor", "code", successor);
  expect(title).toBe(`contract that mints for code, 14 days later: ${getAddress(grants)} → ${successor}`);
  expect(call.words).toContain("alone mint what code is paid in this model, 14 days after this is carried out");
  const { stdout } = await cotrainHere(["emission", "show", ...at()]);
  expect(stdout).toMatch(/^epoch +\d+, of \w+; a root pays \w+ after it was posted at the earliest$/m);
  expect(stdout).toContain(`minted by ${successor} from`);
  expect(await distributorFor(stage.client, { addresses, modelId, kind })).toBe(grants);
  const { timestamp } = await stage.client.getBlock();
  await stage.client.setNextBlockTimestamp({ timestamp: timestamp + 14n * 86_400n });
  await stage.client.mine({ blocks: 1 });
  expect(await distributorFor(stage.client, { addresses, modelId, kind })).toBe(successor);
  expect(await told("code", "caps", ...at())).toMatchObject({ budget: { shares: "0", succeeded: true } });
  expect((await cotrainHere(["code", "caps", ...at()])).stdout).toMatch(/^may be granted +nothing: another contract/m);
});
