/** What people see when a session ends: the summary, a pure function. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { countOf, formatAddress, formatShares } from "../../../offchain/src/base/index.ts";
import { unclaimedBy } from "../../../offchain/src/cli/up/summarise.ts";
import { drawSummary, type Summary, EVERY_CHECKPOINT } from "../../../offchain/src/cli/up/summary.ts";
import { plain, hash, address, summary, text } from "./pictures.ts";

/** The cells of the owners' table, without its head. */
const owners = (change: Partial<Summary>): string[][] => {
  const lines = text(change).split("\n");
  const from = lines.findIndex((line) => line.startsWith("  wallet")) + 1;
  return lines.slice(from, lines.indexOf("", from)).map((line) => line.trim().split(/ {2,}/));
};
const cents = (cell = ""): number =>
  cell === "–" || cell === "<0.01" ? 0 : Math.round(Number(cell.replaceAll(/[,%…]/g, "")) * 100);

/** The checkpoints that are listed where the session began with this round. */
const listed = (firstRound: number): string[] =>
  text({ training: { ...summary.training, firstRound } }).match(/^ {2} *(\d|…) {2}(?=\d earlier|0x|not)/gm) ?? [];

/** Nothing waits in a contract. */
const nothing = { unclaimed: "0", inGrants: "0", inSale: "0" } as const;

const wei = (shares: bigint): string => String(shares * 10n ** 18n);

const listBy = (command: string) => ({ commands: [{ command, what: EVERY_CHECKPOINT }] });

describe("the summary", () => {
  test("has quality, text, checkpoints, owners, decision, what is pending and what to do next", () => {
    const shown = text();
    for (const part of [
      "3 rounds (2 now), 294,912 tokens; step 96 of the schedule",
      "196,608 tokens in 0:45: 4,369 tokens/s",
      "held-out bits/byte 3.000 on 4,096 tokens → 2.500 on 8,192 tokens",
      "3.800 on 2,048 tokens before any training",
      "moved 3.00 MB: 1.00 MB up (int8), 2.00 MB down (fp32, uncompressed)",
      "      300 MB (100×) if every step went in fp32 both ways",
      "      100 MB (33×) by a ring all-reduce in bf16",
      "What earned nothing, and why",
      "steps and traffic above count this work all the same",
      "before any training, from “The people”:",
      "after 3 rounds, from the same prompt and seed:",
      "1.05 M parameters that have seen 295 K tokens know frequent words",
      "chain id                    31337",
      "RPC                         http://127.0.0.1:8545",
      `shares (ERC-20 with votes)  ${formatAddress(address("a"))}`,
      hash("8"),
      "not anchored yet",
      "Cotrain Model (COTRAIN), 1,650.00 shares",
      "67.8…%",
      "executed, in force from round 2",
      "700.00 (33.3…%) for, 0.00 (0.0%) against of 2,100.00 shares when voting began",
      hash("6"),
      "reward root of epoch 9, due 2026-11-25T00:00:00.000Z",
      "npx cotrain status",
    ])
      expect(shown).toContain(part);
    expect(shown).not.toMatch(/NaN|undefined|null|\[object/);
  });

  test("fits 80 columns after a long run of many", () => {
    const long = {
      ...summary,
      training: { ...summary.training, firstRound: 998, rounds: 1_001, steps: 48_048, tokens: "147603456" },
      checkpoints: [999, 1_000].map((round) => ({
        round,
        sequence: round,
        digest: hash("7"),
        transaction: hash("8"),
        block: 5_000,
      })),
      wallets: summary.wallets.map((wallet, index) => ({
        ...wallet,
        name: `worker-${index + 10}`,
        tokens: "49201152",
        earned: "123456780000000000000000",
        claimed: "123456780000000000000000",
        balance: "123456780000000000000000",
        votes: "123456780000000000000000",
      })),
      shares: { ...summary.shares, minted: "500000000000000000000000", inGrants: "6172880000000000000000" },
    };
    expect(drawSummary(long, plain).filter((line) => line.length > 80)).toEqual([]);
  });

  test("at 80 columns no word is broken: what is long goes on in the next line, commands as a shell takes them", () => {
    const proposal = {
      ...summary.proposal!,
      title: "48 → 64 inner steps per round and a good many other words, proposed in round 12,345",
      votesFor: "1400000000000000000000000",
      supply: "1400000000000000000000000",
    };
    const state = "/home/somebody/a/rather/long/path/to/the/state";
    const commands = [
      {
        command: `npx cotrain generate --prompt "The people  of the town" --state ${state}`,
        what: "let the model write",
      },
      { command: `npx cotrain status --state ${state}`, what: "where the run stands" },
    ];
    const pending = [{ what: `claim of 350.00 shares that ${"worker-1, ".repeat(9)}worker-2 earned`, due: null }];
    const lines = drawSummary({ ...summary, proposal, commands, pending }, plain);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    const words = lines.join(" ").replaceAll(/\s+/g, " ");
    expect(words).toContain(proposal.title);
    expect(words).toContain("against of 1,400,000.00 shares when voting began");
    expect(words).toContain(pending[0]!.what);
    const shell = lines.join("\n").replaceAll(/ \\\n +/g, " ");
    for (const { command, what } of commands) expect(shell).toContain(`  ${what}\n    ${command}`);
  });

  test("tells revenue in its token, who gets what of it, and what is at stake", () => {
    const shown = text();
    expect(shown).toContain(`  customer paid 3 TESTUSD in epoch 3, in the transaction\n  ${hash("b")}\n`);
    expect(shown).toMatch(/^ {2}worker-1 +0xaaaA…aAAA +2\.812499 +93\.7…% +claimed$/im);
    expect(shown).toMatch(/^ {2}treasury +0x\S+ +0\.000001 +<?0\.\S*%$/im);
    expect(shown).toMatch(/^ {2}worker-1 0x\S+ has 0\.001 coins at stake as a worker$/im);
    const revenue = { ...summary.revenue!, arrived: "4500000", payment: null };
    const [part] = revenue.parts;
    const more = text({ revenue: { ...revenue, parts: [{ ...part!, amount: "3000000", claimed: "1" }] } });
    expect(more).toContain("  others paid 4.5 TESTUSD\n");
    expect(more).toMatch(/ 3 +100\.0% +to be claimed\n {2}1\.5 TESTUSD are still to be shared\n/);
    const stake = { ...summary.stake!, leaving: "2000000000000000" };
    expect(text({ stake })).toContain("at stake as a worker, and 0.002 are leaving\n");
    const none = text({ stake: null, noStake: "too few coins", revenue: null, noRevenue: "no token" });
    expect(none).toContain("What it earned, and who gets it\n  nothing: no token\n");
    expect(none).toContain("What is at stake\n  nothing: too few coins\n");
  });

  test("lists the checkpoints that the session made, the first one also the one that it began with", () => {
    expect(listed(1).map((row) => row.trim())).toEqual(["…", "2", "3"]);
    expect(listed(0).map((row) => row.trim())).toEqual(["0", "1", "2", "3"]);
    expect(text()).toContain("2 earlier");
    expect(text(listBy("npx cotrain checkpoint list"))).toContain("  …  2 earlier, all: npx cotrain checkpoint list\n");
    // A command that has no room there is told below alone.
    expect(text(listBy(`npx cotrain checkpoint list --state ${"x".repeat(60)}`))).toContain("  …  2 earlier\n");
  });

  test("wraps the sampled text, before and after", () => {
    const lines = text().split("\n");
    const from = lines.indexOf("What it writes") + 1;
    const sample = lines.slice(from, lines.indexOf("", from));
    expect(sample.filter((line) => line.startsWith("    The people"))).toHaveLength(2);
    expect(sample.length).toBeGreaterThan(6);
    expect(sample.every((line) => line.length <= 78)).toBe(true);
  });

  test("counts one as one", () => {
    const shown = text({ training: { ...summary.training, rounds: 1, firstRound: 0 } });
    expect(shown).toContain("1 round (1 now), ");
    expect(shown).toContain("after 1 round, from the same prompt");
    expect([0, 1, 1n, 2, 1_234].map((count) => countOf(count, "receipt"))).toEqual([
      "0 receipts",
      "1 receipt",
      "1 receipt",
      "2 receipts",
      "1,234 receipts",
    ]);
  });

  test("names the checkpoint of an earlier measurement than the session's begin", () => {
    const { heldOut } = summary;
    expect(text()).not.toContain("session began from");
    expect(text({ heldOut: { ...heldOut, checkpoints: { before: 0, after: 3 } } })).toContain(
      "      the first of checkpoint 0; the session began from checkpoint 1\n",
    );
  });

  test("names the checkpoint of a measurement that is not the last one's, and since when something is due", () => {
    const { heldOut, training, finishedAt } = summary;
    const after = training.firstRound + 1;
    const checkpoints = { before: training.firstRound, after };
    const shown = text({
      heldOut: { ...heldOut, checkpoints },
      pending: [
        { what: "one", due: finishedAt },
        { what: "another", due: "9999-01-01T00:00:00.000Z" },
      ],
    });
    expect(shown).toContain(
      `      the last of checkpoint ${after}; checkpoint ${training.rounds} is not measured yet\n`,
    );
    expect(shown).toContain(`one, due since ${finishedAt}\n`);
    expect(shown).toContain("another, due 9999-01-01T00:00:00.000Z\n");
    expect(text({ heldOut: { ...heldOut, checkpoints: { before: null, after: training.rounds } } })).not.toContain(
      "is not measured yet",
    );
  });

  test("what the session trained has no loss where only an earlier checkpoint was measured", () => {
    const { heldOut, training } = summary;
    const measured = { before: heldOut.after, sequences: { ...heldOut.sequences, before: heldOut.sequences.after } };
    const only = (round: number, rounds = training.rounds): string =>
      text({
        heldOut: { ...heldOut, ...measured, checkpoints: { before: round, after: round } },
        training: { ...training, rounds },
      });
    for (const round of [0, training.firstRound]) {
      expect(only(round)).toContain("held-out bits/byte 2.500 on 8,192 tokens → not measured yet\n");
      expect(only(round)).not.toContain("the last of checkpoint");
    }
    // Where no round was completed there is nothing else to measure.
    expect(only(training.firstRound, training.firstRound)).toContain("2.500 on 8,192 tokens → 2.500 on 8,192 tokens\n");
  });

  test("says what did not happen", () => {
    const none = {
      initial: null,
      before: null,
      after: null,
      checkpoints: { before: null, after: null },
      sequences: { initial: null, before: null, after: null },
      sequence: 128,
    };
    const shown = text({ proposal: null, pending: [], heldOut: none });
    expect(shown).toContain("nothing in this session");
    expect(text({ proposal: null, noVote: "no vote, as --no-vote asks" })).toContain("  no vote, as --no-vote asks");
    const unowned = text({ proposal: null, shares: { ...summary.shares, minted: "0" } });
    expect(unowned).toContain("nothing yet: there are no shares to vote with");
    expect(shown).toContain("not measured → not measured yet");
    expect(shown).not.toContain("Pending");
  });

  test("what holders decided in earlier sessions is told with its transaction", () => {
    const decided = [{ title: "48 → 64 inner steps per round", transaction: hash("a") }];
    const noVote = "the holders decided before; --vote lets them decide again";
    expect(text({ proposal: null, noVote, decided })).toContain(
      `  ${noVote}\n  earlier: 48 → 64 inner steps per round, executed in the transaction\n  ${hash("a")}\n`,
    );
    expect(text({ proposal: null, noVote, decided })).not.toContain("earlier, all");
    expect(text({ proposal: null, noVote, decided, decidedBefore: 4 })).toContain(
      "… 4 earlier, all: npx cotrain proposals list",
    );
  });

  test("shows a dozen lines of what earned nothing, and says how many more there are", () => {
    const unpaid = Array.from({ length: 14 }, (_, epoch) => `worker-2 0x1234…cdef: nothing for epoch ${epoch}: why`);
    const shown = text({ unpaid });
    expect(shown).toContain("nothing for epoch 11: why\n  and 2 more, all of them under --json\n  steps");
    expect(shown).not.toContain("nothing for epoch 12");
    expect(text({ unpaid: unpaid.slice(0, 12) })).toContain("nothing for epoch 11: why\n  steps and traffic");
  });

  test("a proposal that nobody carried out in time has expired", () => {
    const proposal = { ...summary.proposal!, state: "expired", executed: null, appliedInRound: null };
    const shown = text({ proposal });
    expect(shown).toContain("expired");
    expect(shown).not.toContain("executed in the transaction");
  });

  test("a proposal that was executed after the last round is in force from the next", () => {
    const proposal = { ...summary.proposal!, appliedInRound: null };
    expect(text({ proposal: { ...proposal, appliesFromRound: 10 } })).toContain(
      "executed, in force from round 10, the next one\n",
    );
    expect(text({ proposal })).toContain("  executed\n");
  });

  test("a proposal that voting has not begun on has no share of the supply, and is in force nowhere", () => {
    const proposal = { ...summary.proposal!, state: "pending", supply: null, executed: null, appliedInRound: null };
    const shown = text({ proposal });
    expect(shown).toContain("  pending\n  700.00 for, 0.00 against\n\n");
  });

  const third = (700n * 10n ** 18n) / 3n;

  test("work and ownership stand side by side, and who has as much is shown as much", () => {
    const wallets = ["a", "b", "c"].map((digit) => ({
      name: `worker-${digit}`,
      account: address(digit),
      tokens: "98304",
      earned: String(third),
      claimed: String(third),
      balance: String(third),
      votes: "0",
      transaction: null,
    }));
    const rows = owners({ wallets, shares: { ...summary.shares, ...nothing, minted: String(third * 3n) } });
    expect(rows.map((row) => row.slice(3))).toEqual(
      ["a", "b", "c"].map(() => ["33.3…%", "233.33…", "233.33…", "33.3…%"]),
    );
  });

  test("what is minted and not claimed yet is nobody's holding", () => {
    const [own] = summary.wallets;
    const elsewhere = { ...own!, name: "elsewhere", account: address("c"), balance: "0", claimed: "0", tokens: "0" };
    const wallets = [
      { ...own!, tokens: "294912" },
      { ...elsewhere, earned: String(500n * 10n ** 18n) },
    ];
    const minted = String(2_000n * 10n ** 18n);
    const waits = { unclaimed: String(300n * 10n ** 18n), inGrants: String(150n * 10n ** 18n) };
    const held = { inSale: String(40n * 10n ** 18n), inTreasury: String(10n * 10n ** 18n) };
    const shares = { ...summary.shares, minted, ...waits, ...held };
    expect(owners({ wallets, shares }).map(([name, ...cells]) => [name, ...cells.slice(-4)])).toEqual([
      ["worker-1", "100.0%", "1,500.00", "1,500.00", "75.0%"],
      ["elsewhere", "0.0%", "500.00", "0.00", "0.0%"],
      ["unclaimed", "–", "–", "300.00", "15.0%"],
      ["in grants", "–", "–", "150.00", "7.5%"],
      ["in sale", "–", "–", "40.00", "2.0%"],
      // As `shares` calls it.
      ["in treasury", "–", "–", "10.00", "0.5%"],
    ]);
  });

  test("how shares came about adds up to all of them, and each kind stands with its transaction", () => {
    const shown = text();
    expect(shown).toContain(
      [
        "How its shares came about",
        "  from        shares  of all",
        "  training  1,500.00  90.9…%  for rounds that count",
        "  capital     100.00   6.0…%  2 TESTUSD paid in epoch 2",
        "  code         50.00   3.0…%  for commit 89a309f0c2d1",
        "  bought in the transaction",
        `  ${hash("d")}`,
        "  granted in the transaction",
        `  ${hash("f")}`,
        "",
      ].join("\n"),
    );
    const { minted, origins } = summary.shares;
    expect(Object.values(origins).reduce((sum, wei) => sum + BigInt(wei), 0n)).toBe(BigInt(minted));
    expect(owners({}).map(([name, ...cells]) => [name, cells.at(-2)])).toEqual([
      ["worker-1", "1,500.00"],
      ["worker-2", "0.00"],
      ["buyer", "100.00"],
      ["author", "37.50"],
      ["in grants", "12.50"],
    ]);
  });

  test("shares stand beside the payment or grant that they are of, and what else came of the kind has a row of its own", () => {
    const origins = { compute: wei(1_500n), capital: wei(250n), code: wei(80n) };
    const shares = { ...summary.shares, minted: wei(1_830n), origins };
    const rows = (change: Partial<Summary>): string[] => {
      const lines = text({ shares, ...change }).split("\n");
      return lines.slice(lines.indexOf("How its shares came about") + 3).slice(0, 4);
    };
    expect(rows({})).toEqual([
      "  capital          100.00   5.4…%  2 TESTUSD paid in epoch 2",
      '  other capital    150.00   8.1…%  other deposits: "capital list"',
      "  code              50.00   2.7…%  for commit 89a309f0c2d1",
      '  other code        30.00   1.6…%  other grants: "code list"',
    ]);
    const early = { ...summary.capital!, shares: "0", transaction: null };
    expect(rows({ capital: early }).slice(0, 2)).toEqual([
      "  capital            0.00    0.0%  2 TESTUSD paid in epoch 2, not fetched yet",
      '  other capital    250.00  13.6…%  other deposits: "capital list"',
    ]);
    expect(rows({ capital: null, noCapital: "shares are not sold" })[0]).toMatch(/^ {2}capital +250\.00 +13\.6…%$/);
  });

  test("a kind that did not come to be says why, and what was paid for is not said to be there before it is", () => {
    const none = { capital: null, noCapital: "shares are not sold", code: null, noCode: "no vote, as --no-vote asks" };
    const shown = text(none);
    expect(shown).toContain("  no capital: shares are not sold\n  no code: no vote, as --no-vote asks\n");
    const { noCode: noVote } = none;
    const once = drawSummary({ ...summary, ...none, noVote, proposal: null }, plain).join("\n");
    expect(once).toContain("  no code: that takes a vote, which this session did not hold\n");
    expect(once.split(noVote)).toHaveLength(2);
    expect(shown).not.toMatch(/bought in the|granted in the/);
    const early = { ...summary.capital!, shares: "0", transaction: null };
    expect(text({ capital: early })).not.toContain("bought in the transaction");
    // Where there are no shares at all nothing is divided.
    const origins = { compute: "0", capital: "0", code: "0" };
    const unowned = text({ ...none, shares: { ...summary.shares, ...nothing, minted: "0", origins } });
    expect(unowned).toContain("How its shares came about\n  no capital: shares are not sold\n");
  });

  test("what this machine's wallets earned and did not claim is named as pending", () => {
    const [own] = summary.wallets;
    const late = { ...own!, claimed: String(1_325n * 10n ** 18n) };
    const wallets = [own!, late, { ...late, name: "worker-3" }, { ...late, name: "elsewhere" }];
    const by = `"npx cotrain rewards claim --state /elsewhere"`;
    expect(unclaimedBy(wallets, "/elsewhere")).toEqual([
      { what: `claim of 350.00 shares that worker-1, worker-3 earned, possible now: ${by}`, due: null },
    ]);
    expect(unclaimedBy([own!], "/elsewhere")).toEqual([]);
  });

  test("what others trained and hold has a row of its own", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ tokens: fc.bigInt(0n, 10n ** 9n), wei: fc.bigInt(0n, 10n ** 24n) }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.bigInt(0n, 10n ** 9n),
        fc.bigInt(0n, 10n ** 24n),
        fc.tuple(fc.bigInt(0n, 10n ** 24n), fc.bigInt(0n, 10n ** 24n), fc.bigInt(0n, 10n ** 24n)),
        (each, gone, others, [unclaimed, inGrants, inSale]) => {
          const wallets = each.map(({ tokens, wei }, index) => ({
            name: `worker-${index + 1}`,
            account: address(String(index + 1)),
            tokens: String(tokens),
            earned: String(wei),
            claimed: String(wei),
            balance: String(wei),
            votes: "0",
            transaction: null,
          }));
          const sum = each.reduce((total, { tokens }) => total + tokens, gone);
          const waits = { unclaimed: String(unclaimed), inGrants: String(inGrants), inSale: String(inSale) };
          const minted = each.reduce((total, { wei }) => total + wei, others + unclaimed + inGrants + inSale);
          const shown = owners({
            wallets,
            training: { ...summary.training, tokens: String(sum) },
            shares: { ...summary.shares, ...waits, minted: String(minted) },
          });
          // The place where rows of no wallet have no address.
          const rows = shown.map((row) => (row.length === 6 ? [row[0]!, "", ...row.slice(1)] : row));
          const total = (column: number): number => rows.reduce((all, row) => all + cents(row[column]), 0);
          // Each cell is rounded down: together they may miss a last digit each.
          const near = (shown: number, whole: number, digit: number): void => {
            expect(shown).toBeLessThanOrEqual(whole);
            expect(shown).toBeGreaterThanOrEqual(whole - digit * rows.length);
          };
          near(total(3), sum > 0n ? 10_000 : 0, 10);
          near(total(6), minted > 0n ? 10_000 : 0, 10);
          near(total(5), cents(formatShares(minted)), 1);
        },
      ),
    );
  });
});
