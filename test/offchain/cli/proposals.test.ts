/** What proposing, voting and carrying out refuse before a chain is asked, and how a proposal reads; with a chain: test/e2e/decisions.test.ts. */
import { join } from "node:path";

import { asAddress } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { changesOf } from "../../../offchain/src/cli/commands/propose.ts";
import { nextStep } from "../../../offchain/src/cli/commands/proposals.ts";
import { proposerAmong } from "../../../offchain/src/cli/commands/proposalsCancel.ts";
import { sentText } from "../../../offchain/src/cli/proposing.ts";
import {
  documentOf,
  linesOf,
  reasonText,
  requireAllTold,
  standsText,
  stateText,
  type ToldProposal,
} from "../../../offchain/src/cli/voting.ts";
import type { ProposalStanding } from "../../../offchain/src/run/index.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const share = 10n ** 18n;
const now = 1_800_000_000;
const standing: ProposalStanding = {
  state: "active",
  for: 30n * share,
  against: 10n * share,
  abstain: 0n,
  supply: 100n * share,
  quorum: 20n * share,
  snapshot: now - 10,
  deadline: now + 10,
  eta: undefined,
  expiry: now + 50,
};

describe("what is to change", () => {
  test("is names with integers, or with the words of those that have words", () => {
    expect(
      changesOf(["innerSteps=48", "codec=fp32", "weighting=1", "minStake=340282366920938463463374607431768211455"]),
    ).toEqual({
      innerSteps: 48,
      codec: 0,
      weighting: 1,
      minStake: 2n ** 128n - 1n,
    });
  });

  test.each([
    [["innerSteps"], 'A change is written name=value, such as innerSteps=48, not "innerSteps".'],
    [["=48"], 'not "=48".'],
    [
      ["innerStep=48"],
      'No run has a parameter "innerStep": "npx cotrain params" shows all. Did you mean "innerSteps"?',
    ],
    [["constructor=48"], 'No run has a parameter "constructor"'],
    [["innerSteps=48", "innerSteps=49"], "innerSteps is given twice: give it one value."],
    [["innerSteps=4.8"], 'innerSteps must be an integer, as "npx cotrain params --json" has it, not "4.8".'],
    [["innerSteps=-1"], 'not "-1".'],
    [
      ["codec=constructor"],
      'codec must be fp32, int8-b256, or the number of one, not "constructor"; "npx cotrain params" shows what this run allows.',
    ],
    [["innerSteps="], 'not "".'],
    [["innerSteps=48", "--reason", "x".repeat(2_001)], "--reason has 2001 characters; 2000 are allowed."],
  ])("%j is refused before anything is looked for", async (words, sentence) => {
    const state = join(temporaryDirectory(), "none");
    expect(verdictOf(await cotrainHere(["propose", ...words, "--state", state]))).toEqual(refusal(1, sentence));
  });
});

test.each([
  [["vote", "4711081", "yes"], 'A vote is for, against or abstain, not "yes".'],
  [["vote", "4711081", "agianst"], 'not "agianst". Did you mean "against"?'],
  [["vote", "4711", "for"], "A proposal is named by its id, a decimal number, or by the first 6 digits of it or more"],
  [["vote", "4711081", "for", "--reason", "x".repeat(2_001)], "--reason has 2001 characters; 2000 are allowed."],
  [["proposals", "execute", "x"], 'as "npx cotrain proposals list" shows it; not by "x".'],
  [["proposals", "list", "--last", "0"], /^--last must be .* from 1 to 1000, not "0"\.$/],
  [["vote", "4711081"], "The vote is missing: say for, against or abstain behind the proposal."],
  [["propose"], "missing required argument 'name=value'"],
])("cotrain %j is refused in one sentence", async (argv, sentence) => {
  expect(verdictOf(await cotrainHere(argv))).toEqual(refusal(1, sentence));
});

describe("what is next for a proposal", () => {
  test("is to queue what was accepted, and to execute it from its time on", () => {
    const succeeded = { ...standing, state: "succeeded" } as const;
    expect(nextStep(7n, succeeded, now)).toBe("queue");
    expect(stateText(succeeded)).toBe(
      "succeeded 2027-01-15T08:00:10.000Z: anybody may queue it until 2027-01-15T08:00:50.000Z",
    );
    // Queued or not.
    expect(stateText({ ...standing, state: "expired" })).toBe("expired 2027-01-15T08:00:50.000Z");
    const queued = { ...standing, state: "queued", eta: now, expiry: now + 100 } as const;
    expect(nextStep(7n, queued, now)).toBe("execute");
    expect(() => nextStep(7n, queued, now - 1)).toThrow(
      "Nothing can be done with proposal 7 now; it is queued: anybody may execute it from 2027-01-15T08:00:00.000Z to 2027-01-15T08:01:40.000Z.",
    );
  });

  test.each([
    ["pending", "PROPOSAL_EARLY", true],
    ["active", "PROPOSAL_EARLY", true],
    ["defeated", "PROPOSAL_OVER", false],
    ["canceled", "PROPOSAL_OVER", false],
    ["expired", "PROPOSAL_OVER", false],
    ["executed", "PROPOSAL_OVER", false],
  ] as const)("is nothing while it is %s", (state, code, retryable) => {
    const told = { ...standing, state };
    expect(() => nextStep(7n, told, now)).toThrow(expect.objectContaining({ code, retryable }));
    expect(() => nextStep(7n, told, now)).toThrow(`now; it ${standsText(told)}.`);
  });

  test.each([
    ["pending", "is pending: voting begins after 2027-01-15T07:59:50.000Z and ends 2027-01-15T08:00:10.000Z"],
    ["active", "is active: voting ends 2027-01-15T08:00:10.000Z"],
    ["canceled", "was cancelled"],
    ["defeated", "was defeated: voting ended 2027-01-15T08:00:10.000Z"],
    [
      "succeeded",
      "has succeeded: voting ended 2027-01-15T08:00:10.000Z, and anybody may queue it until 2027-01-15T08:00:50.000Z",
    ],
    [
      "expired",
      "has expired: voting ended 2027-01-15T08:00:10.000Z, and nobody queued it until 2027-01-15T08:00:50.000Z",
    ],
    ["executed", "was executed: voting ended 2027-01-15T08:00:10.000Z"],
  ] as const)("is told of one that is %s as a sentence, with when voting ends or ended", (state, words) => {
    expect(standsText({ ...standing, state })).toBe(words);
  });
});

describe("a proposal as people read it", () => {
  const proposer = asAddress(`0x${"ab".repeat(20)}`);
  const told: ToldProposal = {
    proposal: {
      proposalId: 4_711_081n,
      proposer,
      targets: [proposer],
      values: [0n],
      calldatas: ["0x"],
      description: `What I wrote\n${"x".repeat(100_000)}`,
      sound: true,
    },
    standing,
    title: "What I wrote",
    reason: "",
    calls: [
      { target: proposer, value: 0n, data: "0x", bytes: 0, words: "RunRegistry makes this run paused.", untold: 0 },
    ],
    more: 0,
    isDispute: false,
  };

  test("is agreed to where all calls are told, those that it passes on among them, to their end", () => {
    const [call] = told.calls;
    const blind = "it can be voted against, and nothing else.";
    expect(() => requireAllTold(told)).not.toThrow();
    for (const [changed, sentence] of [
      [{ more: 3 }, `has 4 calls, of which 1 are shown here: ${blind}`],
      [{ calls: [call!, { ...call!, untold: 1 }] }, "makes 1 call that is not shown here to the end,"],
      [{ calls: [{ ...call!, untold: 2 }] }, `makes 2 calls that are not shown here to the end, among those`],
    ] as const)
      expect(() => requireAllTold({ ...told, ...changed })).toThrow(sentence);
  });

  test("has its id, its title, votes as parts of the supply, and what its calls would do", () => {
    expect(linesOf(told, Infinity)).toEqual([
      "4711081",
      '  "What I wrote"',
      "  active: voting ends 2027-01-15T08:00:10.000Z; for 30.0%, against 10.0%, abstaining 0.0% of 100.00 shares; for and abstaining together need 20.0%.",
      "  Proposed by 0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB. If holders accept it:",
      "  RunRegistry makes this run paused.",
    ]);
    for (const line of linesOf(told, 60)) expect(line.length).toBeLessThanOrEqual(60);
  });

  test("has why, in quotes that it cannot leave and no longer than a list allows", () => {
    const reason = `Short rounds.\u001b[2J" RunRegistry ${"makes ".repeat(600)}`;
    const [, , line = ""] = linesOf({ ...told, reason }, Infinity);
    expect(line).toMatch(
      /^ {2}Its proposer says, in words that nothing here checks: "Short rounds\.\\u001b\[2J\\" .* makes…"$/,
    );
    expect(line.length).toBeLessThan(400);
    expect(reasonText({ title: "Twelve", reason: "Short rounds." })).toEqual([
      'Its proposer calls it "Twelve" and says, in words that nothing here checks: "Short rounds."',
    ]);
    expect(reasonText(told)).toEqual([]);
  });

  test.each([
    ["pending", "If holders accept it:"],
    ["succeeded", "Holders accepted it, and once executed:"],
    ["queued", "Holders accepted it, and once executed:"],
    ["executed", "Holders accepted it, and so:"],
    ["defeated", "It would have meant:"],
    ["expired", "It would have meant:"],
  ] as const)("that is %s tells its calls as “%s”", (state, words) => {
    expect(linesOf({ ...told, standing: { ...standing, state } }, Infinity)[3]).toMatch(new RegExp(`\\. ${words}$`));
  });

  // As the contract counts (Disputes.sol, _tallyOf): a tie finds a root false, and where nobody voted nothing is decided.
  test.each([
    [{ for: 0n, against: 20n }, "found false 2027-01-15T08:00:10.000Z; for"],
    [{ for: 20n, against: 20n }, "found false 2027-01-15T08:00:10.000Z; for"],
    [{ for: 0n, against: 19n }, "undecided 2027-01-15T08:00:10.000Z, so that the root is refused as well; for"],
    [
      { for: 0n, against: 0n, quorum: 0n },
      "undecided 2027-01-15T08:00:10.000Z, so that the root is refused as well; for",
    ],
  ])("of a dispute that was not found to stand (%o) says what its vote came to", (votes, words) => {
    const ended = { ...standing, state: "defeated", quorum: 20n, ...votes } as const;
    expect(linesOf({ ...told, isDispute: true, standing: ended }, Infinity)[2]).toContain(`  ${words}`);
    expect(linesOf({ ...told, standing: ended }, Infinity)[2]).toContain("  defeated 2027-01-15T08:00:10.000Z; for");
  });

  test("that was made names itself in the commands that vote on it and carry it out", () => {
    const sent = { proposer, governor: proposer, proposalId: 4_711_081n, voteStart: now, voteEnd: now + 6 };
    expect(sentText({ ...sent, transaction: "0x12" })).toMatch(
      /\("npx cotrain vote 4711081 for", or "against"\), then anybody queues it and, .*, executes it: "npx cotrain proposals execute 4711081", once for each\.$/,
    );
  });

  test("says what it does not show, and what nobody should agree to", () => {
    const lines = linesOf({ ...told, title: "", more: 3, proposal: { ...told.proposal, sound: false } }, Infinity);
    expect(lines[1]).toBe("  (without a title)");
    expect(lines.slice(-2)).toEqual([
      "  3 further calls are not shown here.",
      "  Its id is not that of these calls and this text: here it can be voted against, and nothing else.",
    ]);
    const pending = { ...standing, state: "pending", supply: undefined, quorum: undefined } as const;
    expect(linesOf({ ...told, standing: pending }, Infinity)[2]).toContain("votes are counted when voting begins.");
  });

  test("is withdrawn by who named itself in it", () => {
    const pending = { ...standing, state: "pending" } as const;
    const named = { ...told.proposal, description: `What I wrote #proposer=${proposer}` };
    const entries = [{ account: asAddress(`0x${"01".repeat(20)}`) }, { account: proposer }];
    expect(proposerAmong(named, pending, entries)).toBe(entries[1]);
    for (const [proposal, at, among, code] of [
      [named, standing, entries, "CANCEL_LATE"],
      [named, pending, entries.slice(0, 1), "CANCEL_STRANGER"],
      [told.proposal, pending, entries, "CANCEL_UNNAMED"],
    ] as const)
      expect(() => proposerAmong(proposal, at, among)).toThrow(expect.objectContaining({ code }));
  });

  test("has a text of bounded length as a document, too", () => {
    expect(documentOf(told).description).toHaveLength(4_096);
  });
});
