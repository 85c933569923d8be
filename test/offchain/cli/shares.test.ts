/** `cotrain shares` on a real node: of the directory's wallets, and of anybody. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { asAddress } from "@cotrain/sdk/protocol";
import { formatEther, getAddress } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { formatPart, formatSharesExactly } from "../../../offchain/src/base/index.ts";
import { csvRows, sharesLines } from "../../../offchain/src/cli/commands/shares.ts";
import type { Holdings } from "../../../offchain/src/run/index.ts";
import { temporaryDirectory, verdictOf, cotrainHere, refusal } from "./support.ts";
import { openHolders, type Holders } from "./holders.ts";

let holders: Holders;
beforeAll(async () => (holders = await openHolders()), 120_000);
afterAll(() => holders.close());

interface Document {
  readonly supply: string;
  readonly holdings: readonly {
    readonly account: string;
    readonly balance: string;
    readonly votes: string;
    readonly delegate: string;
    readonly events: readonly { readonly what: string; readonly balance: string }[];
    readonly problems: readonly string[];
  }[];
}

test("what wallets and the others have adds up to the supply, and the history to the balance", async () => {
  const { state, wallets, shares, supply } = holders;
  const { code, stdout, stderr } = await cotrainHere(["shares", "--state", state, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const document = JSON.parse(stdout) as Document;
  expect(document.holdings.map(({ account }) => account)).toEqual([
    getAddress(wallets["worker-1"]!),
    getAddress(wallets["worker-2"]!),
  ]);
  expect(BigInt(document.supply)).toBe(supply);
  expect(document).toMatchObject({ minted: { compute: String(supply), code: "0" }, founders: "0", burned: "0" });
  for (const { balance, votes, delegate, account, events, problems } of document.holdings) {
    expect(problems).toEqual([]);
    expect(delegate).toBe(account);
    expect(votes).toBe(balance);
    expect(events.map(({ what }) => what)).toEqual(["claimed", "delegated"]);
    expect(events.at(-1)!.balance).toBe(balance);
  }

  const page = await cotrainHere(["shares", "--state", state]);
  expect(page.code).toBe(0);
  for (const { balance } of document.holdings) expect(page.stdout).toContain(formatSharesExactly(BigInt(balance)));
  expect(page.stdout).toContain("It delegates to itself.");

  const file = join(temporaryDirectory(), "shares.csv");
  const written = verdictOf(await cotrainHere(["shares", "--state", state, "--csv", file]));
  expect(written).toMatchObject({ code: 0, stdout: expect.stringContaining(`4 events written to ${file}.`) });
  const [header, ...rows] = readFileSync(file, "utf8").trimEnd().split("\n");
  expect(header).toBe("account,block,log,time,what,in,out,balance,amount,other,transaction");
  expect(rows).toHaveLength(4);
  for (const row of rows) expect(row.split(",")).toHaveLength(11);
  expect(rows[0]!.split(",").slice(5, 8)).toEqual([
    formatEther(BigInt(document.holdings[0]!.balance)),
    "0",
    formatEther(BigInt(document.holdings[0]!.balance)),
  ]);
  const piped = await cotrainHere(["shares", "--state", state, "--csv", "-"]);
  expect(piped).toEqual({ code: 0, stdout: readFileSync(file, "utf8"), stderr: "" });

  // Somebody else's run, by the contracts alone: the coordinator is not asked.
  const { runId, url } = holders.world;
  const pins = [`--run=${runId}`, `--deployment=${join(state, "deployment.json")}`, `--rpc=${url}`];
  const [first] = document.holdings;
  const elsewhere = ["--coordinator=http://127.0.0.1:1", ...pins, `--address=${first!.account}`, "--last=1"];
  const seen = await cotrainHere(["shares", ...elsewhere, "--state", temporaryDirectory(), "--json"]);
  expect((JSON.parse(seen.stdout) as Document).holdings).toMatchObject([
    { account: first!.account, balance: first!.balance, events: [{ what: "claimed" }, { what: "delegated" }] },
  ]);

  // Who the address belongs to needs no wallet here.
  // Nobody here can delegate for an account that is not of this directory.
  const told = await cotrainHere(["shares", "--state", state, "--address", shares]);
  expect(told.stdout.replaceAll(/\s+/g, " ")).toContain("It delegates to nobody: its shares have no votes.");
  const other = await cotrainHere(["shares", "--state", state, "--address", shares, "--json"]);
  expect((JSON.parse(other.stdout) as Document).holdings).toMatchObject([{ balance: "0", events: [], problems: [] }]);
});

test("--csv - and --json do not share stdout, and no file of another kind is replaced", async () => {
  const at = ["--state", holders.state];
  expect(verdictOf(await cotrainHere(["shares", ...at, "--csv", "-", "--json"]))).toEqual(
    refusal(1, "--csv - and --json both take stdout"),
  );
  const file = join(holders.state, "run.json");
  const before = readFileSync(file, "utf8");
  expect(verdictOf(await cotrainHere(["shares", ...at, "--csv", file]))).toEqual(
    refusal(1, `${file} exists and is no earlier table of this command`),
  );
  expect(readFileSync(file, "utf8")).toBe(before);
  expect(existsSync(join(holders.state, "shares.csv"))).toBe(false);
});

const zero = asAddress(`0x${"0".repeat(40)}`);
const [one, two] = [asAddress(`0x${"11".repeat(20)}`), asAddress(`0x${"22".repeat(20)}`)];
const third = 10n ** 18n / 3n;
const found: Holdings = {
  block: 7n,
  time: 1_800_000_000,
  supply: 10n ** 18n,
  contracts: {
    rewards: asAddress(`0x${"33".repeat(20)}`),
    grants: zero,
    sale: asAddress(`0x${"55".repeat(20)}`),
    treasury: asAddress(`0x${"66".repeat(20)}`),
  },
  waiting: { unclaimed: 7n, inGrants: 0n, inSale: 5n, inTreasury: 0n },
  founders: 0n,
  minted: { compute: 7n * third, capital: 5n, code: 10n ** 18n, treasury: 0n },
  holdings: [
    {
      account: one,
      balance: third,
      votes: third + 3n,
      delegate: one,
      delegators: [{ account: two, balance: 2n }],
      delegatorsMore: 1,
      events: [
        {
          block: 5n,
          log: 0,
          transaction: "0xab",
          time: 1_799_999_000,
          what: "sent",
          other: two,
          amount: 1n,
          balance: third,
        },
      ],
      earlier: { own: 3, claims: 4, received: 2, delegations: 1 },
      summed: third,
      problems: [],
    },
    {
      account: two,
      balance: 0n,
      votes: 0n,
      delegate: zero,
      delegators: [],
      delegatorsMore: 0,
      events: [],
      earlier: { own: 0, claims: 0, received: 0, delegations: 0 },
      summed: 0n,
      problems: [],
    },
  ],
};

test("a page shows every wei and every remainder", () => {
  const page = sharesLines(found, () => "w", Infinity).join("\n");
  expect(page).toMatch(/^w +0x1111…1111 +0\.333333333333333333 +33\.3333…% +0\.333333333333333336$/m);
  expect(page).toMatch(/^others +0\.666666666666666655 +66\.6666…%$/m);
  // What is nobody's yet is no other holder's; and all of it adds up.
  expect(page).toMatch(/^unclaimed +0\.000000000000000007 +0\.0000…%$/m);
  expect(page).toMatch(/^in sale +0\.000000000000000005 +0\.0000…%$/m);
  expect(page).not.toContain("in grants");
  expect(page).toMatch(/^all +1 +100\.0000%$/m);
  expect(page).toContain(
    `To it delegate ${getAddress(two)} with 0.000000000000000002, 1 other with 0.000000000000000001.`,
  );
  expect(page).toContain(
    "3 earlier events, 4 earlier claims for it, 2 earlier transfers from others, 1 earlier delegation by others not shown",
  );
  expect(page).toContain("-0.000000000000000001");
  expect(page).toContain('its shares have no votes until "npx cotrain delegate self"');
});

test("what all shares were minted for adds up to the supply, what was burned taken off", () => {
  const lines = sharesLines(found, () => "w", Infinity);
  const from = lines.findIndex((line) => line.startsWith("minted for"));
  expect(lines.slice(from, from + 6)).toEqual([
    "minted for                 shares",
    "training     2.333333333333333331  for rounds that count",
    "capital      0.000000000000000005  sold",
    "code                            1  granted",
    "burned      -2.333333333333333336  of grants that ended",
    "all                             1",
  ]);
  // Less than a share that was burned has its sign too.
  const some = { ...found, founders: 2n, minted: { compute: 10n ** 18n, capital: 0n, code: 0n, treasury: 1n } };
  const page = sharesLines(some, () => "w", Infinity).join("\n");
  expect(page).toMatch(
    /^founders +0\.0{17}2 +when the model was created\ntreasury +0\.0{17}1 +drawn by the holders\nburned +-0\.0{17}3 /m,
  );
  expect(page).not.toMatch(/^(capital|code) /m);
});

test("whose votes are another's is not counted among those who delegate to it", () => {
  const [first] = found.holdings;
  const given = { ...first!, delegate: two, votes: 3n };
  const page = sharesLines({ ...found, holdings: [given] }, () => "w", Infinity).join("\n");
  expect(page).toContain(`It delegates to ${getAddress(two)}.`);
  expect(page).toContain(
    `To it delegate ${getAddress(two)} with 0.000000000000000002, 1 other with 0.000000000000000001.`,
  );
});

test("what waits in a contract is shown once, where the contract is asked about itself", () => {
  const [first] = found.holdings;
  const itself = { ...found, holdings: [{ ...first!, account: found.contracts.rewards, balance: 7n }] };
  expect(sharesLines(itself, () => "w", Infinity).join("\n")).not.toContain("unclaimed");
});

test("where a terminal has no room for the tables, no number is broken: each has a line of its own", () => {
  const lines = sharesLines(found, () => "worker-1", 70);
  expect(lines.filter((line) => line.length > 70)).toEqual([]);
  const page = lines.join("\n");
  expect(page).toContain(
    [
      "worker-1 0x1111…1111",
      "  shares  0.333333333333333333",
      "  of all  33.3333…%",
      "  votes   0.333333333333333336",
      "",
    ].join("\n"),
  );
  expect(page).toContain(
    "block 5\n  time         2027-01-15T07:43:20.000Z\n  what         sent\n  shares       -0.0000",
  );
  expect(page).toContain("others\n  shares  0.666666666666666655\n");
});

test("a row of the table has what came and what went without a sign", () => {
  expect(csvRows(found)).toEqual([
    [
      getAddress(one),
      "5",
      "0",
      "2027-01-15T07:43:20.000Z",
      "sent",
      "0",
      "0.000000000000000001",
      "0.333333333333333333",
      "0.000000000000000001",
      getAddress(two),
      "0xab",
    ],
  ]);
});

test.each([
  [1n, 4n, "25.0000%"],
  [1n, 3n, "33.3333…%"],
  [2n, 3n, "66.6666…%"],
  [0n, 3n, "0.0000%"],
  [1n, 10n ** 30n, "0.0000…%"],
  [0n, 0n, "–"],
])("%s of %s is %s", (part, whole, text) => expect(formatPart(part, whole)).toBe(text));
