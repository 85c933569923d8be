/** How votes go, on a real node: what is shown and refused, what is proposed by options and in plain words, and that it comes to pass. */
import { join } from "node:path";

import { governorSettings, modelContractsOf, settingLimits } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { plainIntention } from "../../../offchain/src/cli/plainIntentions.ts";
import { pass } from "../chain/settle.ts";
import { type Holders, openHolders } from "./holders.ts";
import { type ShownCall, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

/** So long a vote that no slow machine sees its end. */
const VOTING_PERIOD = 6_000;
const DAY = 86_400n;

let holders: Holders;
let snapshot: Hex;
beforeAll(async () => {
  holders = await openHolders({ votingPeriod: VOTING_PERIOD });
  await pass(holders.world, 1);
  snapshot = await holders.client.snapshot();
});
beforeEach(async () => {
  await holders.client.revert({ id: snapshot });
  snapshot = await holders.client.snapshot();
});
afterAll(() => holders?.close());

const at = () => ["--state", holders.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const refused = async (...argv: readonly string[]) => verdictOf(await cotrainHere([...argv, "--dry-run", ...at()]));

interface Proposed {
  readonly title: string;
  readonly before?: readonly ShownCall[];
  readonly call: ShownCall & { readonly words: string };
  readonly proposal: { readonly proposalId: string } | null;
}
const rehearse = (...argv: readonly string[]) => told<Proposed>(...argv, ...at(), "--dry-run");

async function settings() {
  const { client, world } = holders;
  const { contracts: addresses, modelId } = world;
  const { governor } = await modelContractsOf(client, { addresses, modelId });
  return governorSettings(client, { governor });
}

/** Has the holders vote for what a command line proposes, and carries it out: by its calls alone the governor takes none of them. */
async function decide(...argv: readonly string[]): Promise<Proposed> {
  const { world } = holders;
  const { votingDelay, votingPeriod, timelockDelay } = await settings();
  const proposed = await told<Proposed>(...argv, ...at());
  const id = proposed.proposal?.proposalId ?? "none";
  await pass(world, Number(votingDelay) + 1);
  await told("vote", id, "for", ...at());
  await pass(world, Number(votingPeriod) + 1);
  expect(await told("proposals", "execute", id, ...at())).toMatchObject({ step: "queue" });
  await pass(world, Number(timelockDelay) + 1);
  expect(await told("proposals", "execute", id, ...at())).toMatchObject({ step: "execute", state: "executed" });
  return proposed;
}

test("what is in force is shown, and what each may be", async () => {
  const now = await settings();
  const shown = await told<{
    readonly terms: Record<string, string>;
    readonly bounds: Record<string, { readonly least: string; readonly most: string }>;
    readonly quorumFloor: string;
  }>("proposals", "terms", ...at());
  for (const [term, value] of Object.entries(shown.terms)) expect(now).toHaveProperty(term, BigInt(value));
  expect(Object.keys(shown.terms)).toEqual(Object.keys(shown.bounds));
  const [, most] = await settingLimits(holders.client, { addresses: holders.world.contracts });
  expect(shown.bounds["votingPeriod"]).toEqual({ least: "1", most: String(most.votingPeriod) });
  expect(shown.bounds["proposalThreshold"]?.most).toBe(String(now.maxProposalThreshold));
  const text = flat((await cotrainHere(["proposals", "terms", ...at()])).stdout);
  expect(text).toContain("100 minutes that a vote lasts (1 s to 30 days)");
  expect(text).toContain("3 s from queueing to executing (1 s to 30 days)");
  expect(text).toContain("10% of all shares for a quorum (0.01% to 20%)");
  expect(text).toContain(`${formatEther(now.quorumFloor)} vote for a quorum at the least, for ever`);
  // Of somebody else's run, which the same chain has.
  const elsewhere = ["--state", join(temporaryDirectory(), "none")];
  expect(await told("proposals", "terms", ...holders.pins, ...elsewhere)).toEqual(shown);
});

describe("other terms", () => {
  test.each([
    ["--delay", "1d", "votes: 1 s → 1 day from a proposal to its vote", { votingDelay: DAY }],
    ["--period", "5d", "votes: 100 minutes → 5 days that a vote lasts", { votingPeriod: 5n * DAY }],
    [
      "--extension",
      "90m",
      "votes: 2 s → 90 minutes that a vote lasts on from its quorum at the least",
      { lateQuorumVoteExtension: 5_400n },
    ],
    ["--timelock", "90s", "votes: 3 s → 90 s from queueing to executing", { timelockDelay: 90n }],
    [
      "--threshold",
      "1.5",
      "votes: 1 vote → 1.5 votes that it takes to propose",
      { proposalThreshold: 1_500_000_000_000_000_000n },
    ],
    ["--quorum", "4.25", "votes: 10% → 4.25% of all shares for a quorum", { quorumBps: 425n }],
  ])("by %s %s are what the holders' timelock sets", async (flag, value, title, changes) => {
    const before = await settings();
    const rehearsed = await rehearse("proposals", "terms", flag, value);
    expect(rehearsed).toMatchObject({ title, proposal: null });
    const { title: done, call } = await decide("proposals", "terms", flag, value);
    expect({ title: done, call }).toEqual({ title, call: rehearsed.call });
    expect(await settings()).toEqual({ ...before, ...changes });
    expect(await refused("proposals", "terms", flag, value)).toEqual(
      refusal(1, "All that is asked for is in force: name another value."),
    );
  });

  test("several at once are one proposal, told whole in words before anybody votes, and as done afterwards", async () => {
    const { client, world } = holders;
    const { contracts: addresses, modelId } = world;
    const { governor, timelock } = await modelContractsOf(client, { addresses, modelId });
    const line = ["proposals", "terms", "--quorum", "4", "--period", "5d", "--timelock", "2d"];
    const next = await rehearse(...line);
    expect(next.title).toBe(
      "votes: 100 minutes → 5 days that a vote lasts, 3 s → 2 days from queueing to executing, 10% → 4% of all shares for a quorum",
    );
    const words = [
      `ModelGovernor ${governor} sets 10% → 4% of all shares for a quorum, for votes that begin after that.`,
      `ModelGovernor ${governor} sets 100 minutes → 5 days that a vote lasts, for proposals that are made after that.`,
      `ModelTimelock ${timelock} sets 3 s → 2 days from queueing to executing, for proposals that are queued after that.`,
    ];
    for (const each of words) expect(next.call.words).toContain(each);
    const { proposal } = await told<Proposed>("propose", "let votes last 5 days", ...at());
    await pass(holders.world, 2);
    const vote = await cotrainHere(["vote", proposal!.proposalId, "for", "--dry-run", ...at()]);
    expect(flat(vote.stderr)).toContain(words[1]);
    await decide(...line);
    const list = flat((await cotrainHere(["proposals", "list", ...at()])).stdout);
    expect(list).toContain("sets 5 days that a vote lasts, as it is now, for proposals that are made after that.");
    expect(list).not.toContain("→ 5 days that a vote lasts, for proposals");
  });

  test("that shorten a vote here and lengthen it there never make it too long on the way", async () => {
    const { maxVoteLength, votingDelay, lateQuorumVoteExtension } = await settings();
    const most = maxVoteLength - votingDelay - lateQuorumVoteExtension;
    await decide("proposals", "terms", "--period", `${most}s`);
    expect(await refused("proposals", "terms", "--delay", "1d")).toEqual(
      refusal(1, `these take ${maxVoteLength + DAY - votingDelay} s.`),
    );
    await decide("proposals", "terms", "--delay", "25d", "--period", "2d", "--extension", "2d");
    expect(await settings()).toMatchObject({
      votingDelay: 25n * DAY,
      votingPeriod: 2n * DAY,
      lateQuorumVoteExtension: 2n * DAY,
    });
  });

  test("that the contracts would refuse on the way are not proposed", async () => {
    await decide("proposals", "terms", "--extension", "10s");
    await decide("proposals", "terms", "--period", "1s");
    // What shortens comes first, and is held against the vote that there is by then.
    const line = ["proposals", "terms", "--extension", "5s"];
    expect(await refused(...line, "--period", "100s")).toEqual(
      refusal(1, "The late-quorum extension of 5 seconds must be at most 1."),
    );
    expect((await rehearse("proposals", "terms", "--period", "100s")).title).toContain("1 s → 100 s");
  });

  test.each([
    [["--period", "31d"], "Holders may choose 1 s to 30 days that a vote lasts here, not 31 days."],
    [["--delay", "0s"], "Holders may choose 1 s to 30 days from a proposal to its vote here, not 0 s."],
    [["--timelock", "2592001s"], "1 s to 30 days from queueing to executing here, not 2592001 s."],
    [["--quorum", "20.01"], "Holders may choose 0.01% to 20% of all shares for a quorum here, not 20.01%."],
    [["--quorum", "4.255"], "A quorum is a percentage with at most two decimals, not 4.255."],
    [["--quorum", "101"], '--quorum must be a number from 0 to 100, not "101".'],
    [
      ["--threshold", "1000000"],
      /^Holders may choose 0 votes to .* votes that it takes to propose here, not 1000000 v/,
    ],
    [["--threshold", "many"], "An amount of shares is a number with at most 18 decimals"],
    [["--period", "1500ms"], "The chain counts whole seconds, and 1500 ms are none."],
    [["--extension", "2h"], "The extension of a vote, 2 hours, may be no longer than the vote, 100 minutes."],
    [["--delay", "15d", "--period", "15d"], "so that a budget outlasts the longest vote, and these take 2592002 s."],
  ])("of %j are refused", async (flags, sentence) => {
    expect(await refused("proposals", "terms", ...flags)).toEqual(refusal(1, sentence));
  });
});

describe("in plain words", () => {
  test.each([
    [["let votes last 5 days"], ["--period", "5d"]],
    [["Let a vote last 36 hours."], ["--period", "36h"]],
    [
      ["let", "voting", "begin", "after", "2", "minutes"],
      ["--delay", "2m"],
    ],
    [["set the quorum to 4%"], ["--quorum", "4"]],
    [
      ["set the voting period to 1 week, the proposal threshold to 2.5 shares and the timelock's delay to 1 day"],
      ["--period", "7d", "--threshold", "2.5", "--timelock", "1d"],
    ],
    [["set late-quorum extension to 90 s"], ["--extension", "90s"]],
  ])("%j is what the options propose", async (sentence, flags) => {
    const proposed = await rehearse("propose", ...sentence);
    expect(proposed.title).toContain("→");
    expect(await rehearse("proposals", "terms", ...flags)).toEqual(proposed);
  });

  test.each([
    ["let votes last for ever", 'What votes are to go by is such as 5 days, not "for ever".'],
    ["let votes last 5 months", 'such as 5 days, not "5 months".'],
    ["set the quorum to 4", 'such as 4%, not "4".'],
    ["set the quorum to 4.255%", 'such as 4%, not "4.255%".'],
    ["set the proposal threshold to 5%", 'such as 100 shares, not "5%".'],
    ["set the quorum to 4% and quorum to 5%", "The quorum is set twice: give it one value."],
    ["set the quorum to 4% and inner steps to 48", 'It is not understood what "inner steps to 48" would change'],
    ["make votes shorter", '"npx cotrain proposals terms" is for that'],
  ])("%j is not guessed at", (sentence, words) => {
    expect(() => plainIntention(sentence)).toThrow(words);
  });
});
