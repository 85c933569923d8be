/** What a dispute's vote is told from, and how it would end it. */
import { settleDispute, withdrawBonds } from "@cotrain/sdk/actions";
import { asAddress, zeroHash } from "@cotrain/sdk/protocol";
import { describe, expect, it, test } from "vitest";

import { isDisputeVote, leaning, type MadeProposal } from "../../../offchain/src/run/index.ts";
import { contracts as addresses } from "../contracts.ts";

describe("the vote on a dispute", () => {
  const rewards = asAddress(addresses.computeRewards);
  const stranger = asAddress(`0x${"5a".repeat(20)}`);
  const { data } = settleDispute.call({ addresses, modelId: zeroHash, digest: zeroHash });
  const vote: MadeProposal = {
    proposalId: 1n,
    proposer: rewards,
    targets: [rewards],
    values: [0n],
    calldatas: [data],
    description: "Does root 1 of kind 1 stand?",
    sound: true,
  };

  it("is what the rewards opened, and settles a dispute", () => {
    expect(isDisputeVote({ addresses }, vote)).toBe(true);
  });

  it.each([
    ["somebody else proposed", { proposer: stranger }],
    ["calls somebody else", { targets: [stranger] }],
    ["does something else", { calldatas: [withdrawBonds.call({ addresses, beneficiary: stranger }).data] }],
    ["does more", { targets: [rewards, rewards], values: [0n, 0n], calldatas: [data, data] }],
  ])("is none that %s", (_, other) => {
    expect(isDisputeVote({ addresses }, { ...vote, ...other })).toBe(false);
  });
});

test.each([
  ["stands", { for: 10n, against: 9n }],
  ["void", { for: 9n, against: 10n }],
  ["void", { for: 10n, against: 10n }],
  ["undecided", { for: 9n, against: 9n }],
  ["undecided", { for: 0n, against: 9n, abstain: 100n }],
  ["undecided", { for: 10n, against: 0n, quorum: undefined }],
  // Nobody decides by a quorum of nothing.
  ["undecided", { for: 0n, against: 0n, quorum: 0n }],
] as const)("a dispute ends by its votes: %s", (ending, votes) => {
  const times = { snapshot: 1, deadline: 2, expiry: 3, eta: undefined };
  expect(leaning({ state: "active", abstain: 0n, quorum: 10n, supply: 100n, ...times, ...votes })).toBe(ending);
});
