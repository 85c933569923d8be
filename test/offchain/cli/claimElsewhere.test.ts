/** Claims for accounts whose keys lie elsewhere, such as a Safe or the treasury, by anybody's gas; and a root that anybody has pay. */
import { balanceOf, timelockOf } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { formatSharesExactly, shortAddress } from "../../../offchain/src/base/index.ts";
import { pass, settleLater } from "../chain/settle.ts";
import { accountOf, workers } from "../chain/world.ts";
import { type Holders, openHolders } from "./holders.ts";
import { told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const safe = asAddress(accountOf("a Safe").address);
let holders: Holders;
let treasury: Address;
beforeAll(async () => {
  holders = await openHolders();
  const { contracts: addresses, modelId } = holders.world;
  treasury = asAddress(await timelockOf(holders.client, { addresses, modelId }));
}, 120_000);
afterAll(() => holders.close());

const at = () => ["--state", holders.state];
const held = (account: Address) => balanceOf(holders.client, { shares: holders.shares, account });
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

/** What a second root pays to a Safe and to the treasury, for work of two workers; it is in its window. */
async function posted(): Promise<void> {
  const { world } = holders;
  const first = asAddress(workers[0]!.address);
  const beneficiary = (worker: Address) => (worker === first ? treasury : safe);
  await settleLater({ url: world.url, directory: temporaryDirectory() }, world, "second", { beneficiary });
}

interface Waiting {
  readonly unclaimed: { readonly shares: string | null; readonly revenue: null };
}
interface Claim {
  readonly name: string;
  readonly amount: string;
  readonly delegated: boolean;
}

test("whoever likes activates a root, and claims for accounts whose keys lie elsewhere", async () => {
  const activate = ["rewards", "activate", ...at()];
  expect(await told(...activate)).toMatchObject({ index: 1, transaction: null });
  await posted();
  expect(verdictOf(await cotrainHere(activate))).toEqual(refusal(75, "Root 2 of compute can pay from"));
  await pass({ url: holders.world.url }, 4);
  const { index, total } = await told<{ index: number; total: string }>(...activate);
  expect(index).toBe(2);

  const { unclaimed } = await told<Waiting>("treasury", "show", ...at());
  expect(BigInt(unclaimed.shares!)).toBeGreaterThan(0n);
  expect(unclaimed.revenue).toBeNull();
  const shown = await cotrainHere(["treasury", "show", ...at()]);
  expect(flat(shown.stdout)).toContain(
    `Nobody has claimed ${formatSharesExactly(BigInt(unclaimed.shares!))} shares for it yet: "npx cotrain rewards claim --account ${getAddress(treasury)}" does, by any wallet.`,
  );
  // Where nobody serves documents, as where only contracts are named, that is said, and the rest is told all the same.
  const bare = await cotrainHere(["treasury", "show", ...holders.pins, "--state", temporaryDirectory()]);
  expect(bare.code).toBe(0);
  expect(flat(bare.stdout)).toContain("What waits for it of shares is not known here:");

  const dry = await told<Claim[]>("rewards", "claim", "--account", treasury, "--dry-run", ...at());
  expect(dry).toMatchObject([{ name: "treasury", amount: unclaimed.shares, transaction: null }]);
  expect(await held(treasury)).toBe(0n);
  const claimed = await told<Claim[]>("rewards", "claim", "--account", treasury, ...at());
  expect(claimed).toMatchObject([{ account: getAddress(treasury), amount: unclaimed.shares, delegated: false }]);
  expect(await held(treasury)).toBe(BigInt(unclaimed.shares!));
  expect((await told<Waiting>("treasury", "show", ...at())).unclaimed).toMatchObject({ shares: "0" });

  // Who it is is said wherever it is listed, and that nobody here votes with what it holds is no hint.
  const list = await cotrainHere(["rewards", "list", ...at()]);
  expect(list.stdout).toMatch(new RegExp(`^treasury +${shortAddress(treasury)} `, "m"));
  expect(list.stdout).not.toMatch(/treasury holds shares|elsewhere holds shares/);

  // Only its own wallet could give its votes away, or have another paid.
  for (const flag of ["--to", "--delegate-to"])
    expect(verdictOf(await cotrainHere(["rewards", "claim", "--account", safe, flag, treasury, ...at()]))).toEqual(
      refusal(1, "--to and --delegate-to need the account's own wallet"),
    );
  expect(await held(safe)).toBe(0n);
  const { code, stdout } = await cotrainHere(["rewards", "claim", "--account", safe, ...at()]);
  expect(code).toBe(0);
  expect(flat(stdout)).toMatch(/^elsewhere 0x.* claimed /);
  expect(flat(stdout)).toContain("and their votes are nobody's unless it delegates them itself");
  expect((await held(safe)) + (await held(treasury))).toBe(BigInt(total));

  // Of the wallets here the one that is named, and no other.
  const own = holders.wallets["worker-1"]!;
  expect(await told<Claim[]>("rewards", "claim", "--account", own, ...at())).toMatchObject([
    { name: "worker-1", account: getAddress(own), amount: "0" },
  ]);
});
