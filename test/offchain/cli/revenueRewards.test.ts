/** Revenue in `cotrain rewards list` and `claim`: money beside shares, never added to them, and never claimed for less unasked. */
import { join } from "node:path";

import {
  claimNonce,
  delegateOf,
  modelContractsOf,
  revenueBookOf,
  revenueDepositsOf,
  votesOf,
} from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, formatUnits, getAddress } from "viem";
import { beforeEach, expect, test } from "vitest";

import { accountOf } from "../chain/world.ts";
import { capitalStage } from "./capitalStage.ts";
import { revenueStage } from "./revenueStage.ts";
import { execute, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const buyer = asAddress(accountOf("buyer").address);
const stage = staged(["buyer", "stranger", "validator-1", "validator-2"]);
const { by } = stage;
const { dollarsOf } = capitalStage(stage);
const { buyShares, shareOut } = revenueStage(stage);
const at = () => ["--state", stage.state];

beforeEach(async () => {
  await buyShares();
  await told("revenue", "deposit", "1.5", ...at(), ...by("stranger"), "--yes");
});

interface Owed {
  readonly symbol: string;
}
interface Listed {
  readonly earned: string;
  readonly revenue: { readonly token: Owed; readonly earned: string; readonly claimed: string } | null;
}
const list = async () => (await told<Listed[]>("rewards", "list", ...at(), "--account", buyer))[0]!;
interface Claimed {
  readonly amount: string;
  readonly revenue: { readonly amount: string; readonly transaction: Hex | null } | null;
}
const claim = async (...flags: readonly string[]) =>
  (await told<Claimed[]>("rewards", "claim", ...at(), ...by("buyer"), ...flags))[0]!;

/** The token takes half of what the vault holds. */
async function takeHalf(): Promise<void> {
  const { contracts: addresses, modelId, testDollar: target } = stage.world;
  const revenue = await revenueDepositsOf(stage.client, { addresses });
  const { vault, held } = (await revenueBookOf(stage.client, { revenue, modelId }))!;
  await stage.client.setBalance({ address: vault, value: 10n ** 18n });
  await stage.client.impersonateAccount({ address: vault });
  const args = [accountOf("stranger").address, held / 2n] as const;
  await execute(stage.client, vault, {
    target,
    data: encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args }),
  });
}

test("what roots of revenue owe stands beside shares, in its own token", async () => {
  expect(await list()).toMatchObject({ earned: "0", revenue: null });
  expect(await claim()).toMatchObject({ amount: "0", revenue: null });
  await shareOut();
  const token = { symbol: "TESTUSD", decimals: 6 };
  expect(await list()).toMatchObject({ earned: "0", revenue: { token, earned: "1500000", claimable: "1500000" } });
  const shown = await cotrainHere(["rewards", "list", ...at(), "--account", buyer]);
  expect(shown.stdout).toMatch(/^revenue \(TESTUSD\) +earned +claimed +claimable\n\S+ +0x\S+ +1\.5 +0 +1\.5$/m);
  const dry = await cotrainHere(["rewards", "claim", "--dry-run", ...at(), ...by("buyer")]);
  expect(dry.code).toBe(0);
  expect(dry.stdout).toContain("would claim 1.5 TESTUSD of revenue");
  expect(dry.stdout).toContain("Nothing was sent.");
  expect(await claim("--dry-run")).toMatchObject({ amount: "0", revenue: { amount: "1500000", transaction: null } });
  expect(await dollarsOf(buyer)).toBe(0n);
  expect(await claim()).toMatchObject({ amount: "0", transaction: null, revenue: { token, amount: "1500000" } });
  expect(await dollarsOf(buyer)).toBe(1_500_000n);
  expect(await list()).toMatchObject({ revenue: { earned: "1500000", claimed: "1500000", claimable: "0" } });
  expect(await claim()).toMatchObject({ revenue: { amount: "0", transaction: null } });
});

test("a directory's buyer sees what it is owed of revenue without a claim", async () => {
  const state = join(temporaryDirectory(), "state");
  await stage.stateAt(state, { buyer });
  expect(await told("revenue", "list", "--state", state)).toMatchObject({ own: [] });
  await shareOut();
  const owed = { name: "buyer", account: getAddress(buyer), earned: "1500000", claimed: "0", claimable: "1500000" };
  expect(await told("revenue", "list", "--state", state)).toMatchObject({ own: [owed] });
  const { stdout } = await cotrainHere(["revenue", "list", "--state", state]);
  expect(stdout).toMatch(/^wallet +earned \(TESTUSD\) +claimed +claimable\nbuyer +0x\S+ +1\.5 +0 +1\.5$/m);
  expect(stdout).toContain('"npx cotrain revenue claim" fetches it.');
  const shown = await cotrainHere(["revenue", "claim", "--dry-run", ...at(), ...by("buyer")]);
  expect(shown.stdout).toMatch(/^wallet 0x\S+ would claim 1\.5 TESTUSD\nNothing was sent\.\n$/);
  expect(await dollarsOf(buyer)).toBe(0n);
});

test("what wallets here, the treasury and all others are owed adds up to what roots have set aside", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const { shares } = await modelContractsOf(stage.client, { addresses, modelId });
  const args = [accountOf("stranger").address, 33_333_333_333_333_333_333n] as const;
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args });
  await execute(stage.client, buyer, { target: shares, data });
  const state = join(temporaryDirectory(), "state");
  await stage.stateAt(state, { buyer });
  await shareOut();
  type Part = { readonly earned: string };
  const listed = await told<{ setAside: string; own: Part[]; treasury: Part }>("revenue", "list", "--state", state);
  const { setAside, own, treasury } = listed;
  expect({ setAside, own: own.length, treasury: treasury.earned }).toEqual({
    setAside: "1500000",
    own: 1,
    treasury: "1",
  });
  const others = 1_500_000n - BigInt(own[0]!.earned) - 1n;
  const { stdout } = await cotrainHere(["revenue", "list", "--state", state]);
  expect(stdout).toMatch(/^treasury +0x\S+ +0\.000001 +0 +0\.000001$/m);
  expect(stdout).toMatch(new RegExp(`^others +${formatUnits(others, 6).replace(".", "\\.")} *$`, "m"));
});

test("a wallet gives up what the token took only where that is said", async () => {
  await shareOut();
  await takeHalf();
  for (const command of ["rewards", "revenue"]) {
    const refused = await cotrainHere([command, "claim", ...at(), ...by("buyer")]);
    expect(refused.stdout.replaceAll(/\s+/g, " ")).toContain(
      "No revenue is claimed: the vault lacks 0.75 TESTUSD that the token took",
    );
    expect(await dollarsOf(buyer)).toBe(0n);
  }
  expect(await claim("--loss")).toMatchObject({ revenue: { amount: "750000" } });
  expect(await dollarsOf(buyer)).toBe(750_000n);
});

test("revenue claim takes less where that is said, and tells what was paid", async () => {
  await shareOut();
  await takeHalf();
  const paid = await told<{ claims: { amount: string }[] }>("revenue", "claim", ...at(), ...by("buyer"), "--loss");
  expect(paid.claims).toMatchObject([{ amount: "750000" }]);
});

test("another account is paid in a wallet's place, where that is said", async () => {
  await shareOut();
  const to = asAddress(accountOf("stranger").address);
  const before = await dollarsOf(to);
  expect(await claim("--to", to)).toMatchObject({ amount: "0", to: getAddress(to), revenue: { amount: "1500000" } });
  expect(await dollarsOf(buyer)).toBe(0n);
  expect((await dollarsOf(to)) - before).toBe(1_500_000n);
  expect(await claim("--to", to)).toMatchObject({ revenue: { amount: "0", transaction: null } });
  // Money that another was paid is no share in the page of what a holder had of shares.
  const page = await told<{ holdings: { events: { what: string }[] }[] }>("shares", ...at(), "--address", buyer);
  expect(page.holdings[0]!.events.map(({ what }) => what)).not.toContain("claimed for another");
});

test("what a wallet signed so that others are paid in its place is void once it says so", async () => {
  const { contracts: addresses } = stage.world;
  const nonceOf = () => claimNonce(stage.client, { addresses, account: buyer });
  const before = await nonceOf();
  const said = await cotrainHere(["rewards", "revoke", "--max-fee", "0.5", ...at(), ...by("buyer")]);
  expect(said.stdout).toMatch(/^wallet 0x.*: no order that it signed before pays anybody else, by 0x\w{64}\.\s*$/);
  expect(await nonceOf()).toBe(before + 1n);
  const coordinator = await tellingCoordinator(stage.world, stage.client);
  const remote = ["--coordinator", coordinator, "--rpc", stage.node.url, "--state", temporaryDirectory()];
  // Whoever served the run would choose which contracts forget it.
  const unpinned = await cotrainHere(["rewards", "revoke", "--max-fee", "0.5", ...remote, ...by("buyer")]);
  expect(verdictOf(unpinned)).toEqual(
    refusal(1, "Which contracts would forget what was signed is the coordinator's word alone"),
  );
  expect(await nonceOf()).toBe(before + 1n);
  expect(await told("rewards", "revoke", ...stage.pins(), ...by("buyer"))).toMatchObject([
    { account: getAddress(buyer) },
  ]);
  expect(await nonceOf()).toBe(before + 2n);
});

test("a claim gives the votes to whom it names, of a wallet that has chosen nobody, and changes no choice", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const { shares } = await modelContractsOf(stage.client, { addresses, modelId });
  const [voter, other] = [accountOf("stranger"), accountOf("validator-1")].map(({ address }) => asAddress(address));
  const refused = await cotrainHere([
    "rewards",
    "claim",
    ...at(),
    ...by("buyer"),
    "--no-delegate",
    "--delegate-to",
    voter!,
  ]);
  expect(verdictOf(refused)).toEqual(refusal(1, /^--delegate-to names who votes, and --no-delegate/));
  expect(await votesOf(stage.client, { shares, account: voter! })).toBe(0n);
  const given = { delegated: true, delegate: getAddress(voter!) };
  expect(await claim("--delegate-to", voter!)).toMatchObject(given);
  expect(await votesOf(stage.client, { shares, account: voter! })).toBeGreaterThan(0n);
  const again = ["rewards", "claim", ...at(), ...by("buyer"), "--delegate-to", other!];
  const { stdout } = await cotrainHere(again);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(
    `had given its votes to ${getAddress(voter!)}, which delegate changes`,
  );
  expect(await claim()).toMatchObject({ ...given, delegated: false });
  expect(asAddress(await delegateOf(stage.client, { shares, account: buyer }))).toBe(voter);
});
