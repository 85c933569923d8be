/** How a model's votes go: what each setting is called, what it is now, and what a proposal that sets it would do, in words. */
import { governorSetting, type GovernorSettings } from "@cotrain/sdk/actions";
import { formatEther, formatUnits, parseEther } from "viem";

import type { WordsPlace } from "./proposalWords.ts";

/** What a vote may set, each by a call of its own. */
export const voteTerms = {
  votingDelay: { of: "from a proposal to its vote", unit: "time", holds: "for proposals that are made after that" },
  votingPeriod: { of: "that a vote lasts", unit: "time", holds: "for proposals that are made after that" },
  lateQuorumVoteExtension: {
    of: "that a vote lasts on from its quorum at the least",
    unit: "time",
    holds: "for votes that are open then, too",
  },
  timelockDelay: {
    of: "from queueing to executing",
    unit: "time",
    holds: "for proposals that are queued after that",
  },
  proposalThreshold: { of: "that it takes to propose", unit: "votes", holds: "for proposals that are made after that" },
  quorumBps: { of: "of all shares for a quorum", unit: "part", holds: "for votes that begin after that" },
} as const;
export type VoteTerm = keyof typeof voteTerms;

/** The names, in the order in which they are shown. */
export const voteTermNames = Object.keys(voteTerms) as VoteTerm[];

const spans = [
  [86_400n, "day"],
  [3_600n, "hour"],
  [60n, "minute"],
] as const;

/** Seconds by the largest unit that they are whole ones of, so that no part of them is hidden: "5 days", "36 hours", "90 s". */
function spanText(seconds: bigint): string {
  const [length, unit] = spans.find(([each]) => seconds > 0n && seconds % each === 0n) ?? [];
  if (length === undefined) return `${seconds} s`;
  const count = seconds / length;
  return `${count} ${unit}${count === 1n ? "" : "s"}`;
}

const units: Readonly<Record<"time" | "votes" | "part", (value: bigint) => string>> = {
  time: spanText,
  votes: (wei) => `${formatEther(wei)} ${wei === parseEther("1") ? "vote" : "votes"}`,
  part: (bps) => `${formatUnits(bps, 2)}%`,
};

/** A value of a setting as it is shown, whole. */
export const voteTermText = (term: VoteTerm, value: bigint): string => units[voteTerms[term].unit](value);

/** What is in force, each by its name. */
export type VoteTerms = Pick<GovernorSettings, VoteTerm>;

/** What setting one of them would do. @param args of the call, which has the value alone */
export async function voteTermSet(
  { connection, contracts: { governor, timelock } }: WordsPlace,
  term: VoteTerm,
  [value]: readonly unknown[],
): Promise<string> {
  const { of, holds } = voteTerms[term];
  const before = await connection.call((client) => governorSetting(client, { governor, setting: term }));
  const after = BigInt(value as number | bigint);
  const [was, is] = [voteTermText(term, before), voteTermText(term, after)];
  // Which contracts these are the node says, so that they are named.
  const who = term === "timelockDelay" ? `ModelTimelock ${timelock}` : `ModelGovernor ${governor}`;
  return `${who} sets ${before === after ? `${is} ${of}, as it is now` : `${was} → ${is} ${of}`}, ${holds}.`;
}
