/**
 * The attacks of the economic simulation, each with what no seed may break. What is bad and known has little to hold: its numbers
 * stand in docs/economy.md as they are.
 */
import {
  boughtVote,
  caught,
  DUST,
  founderRefuses,
  founderTakesAll,
  griefing,
  honestMonth,
  manyBuyers,
  manyKeys,
  outbidding,
  rentedFor,
  reportsItself,
  takeover,
  tired,
  voiding,
  type Finding,
} from "./attacks.ts";
import { COMPUTE, type Economy, PRICE, STAKE, THRESHOLD } from "./economy.ts";

/** Where a scenario begins: with the model, on its 40th day, in bootstrap, or on its 94th, after it. */
export type Beginning = "birth" | "young" | "grown";

export interface Scenario {
  /** Who, and what they do. */
  readonly name: string;
  readonly begins: Beginning;
  readonly play: (economy: Economy) => Promise<Finding>;
  /** What must hold of any seed, in words. */
  readonly mustHold: Readonly<Record<string, (finding: Finding) => boolean>>;
}

const nothing = { "takes no share": ({ gain }: Finding) => gain.shares <= 0n } as const;
const allPaid = { "every worker is paid in the end": ({ lost }: Finding) => lost <= DUST } as const;
const costs = { "costs coins": ({ gain }: Finding) => gain.coins < 0n } as const;
const dust = {
  "gains nothing beyond what divisions leave": ({ gain }: Finding) => gain.shares <= DUST && gain.shares >= -DUST,
} as const;

export const scenarios: readonly Scenario[] = [
  {
    name: "founder, validators and workers are honest for 30 days",
    begins: "grown",
    play: honestMonth,
    mustHold: { ...nothing, ...allPaid, "costs no coins": ({ gain }) => gain.coins === 0n },
  },
  {
    name: "5 of 7 validators sign a root that pays them; holders of 20% vote",
    begins: "grown",
    play: caught(2_000),
    mustHold: {
      ...nothing,
      ...allPaid,
      "costs each signer a tenth of its stake": ({ gain }) => gain.coins === -(STAKE / 10n) * BigInt(THRESHOLD),
      "costs no defender": ({ defenders: coins }) => coins >= 0n,
    },
  },
  {
    name: "the same; holders of 5% vote, below the quorum of 10%",
    begins: "grown",
    play: caught(500),
    mustHold: { ...nothing, ...allPaid },
  },
  ...["1", "10", "100"].map((coins): Scenario => ({
    name: `the same, again and again; nobody votes, and who disputes has ${coins} coins`,
    begins: "grown",
    play: tired(coins),
    mustHold: { ...costs },
  })),
  {
    name: "the same; they rent votes of 11%, and holders of 8% vote against",
    begins: "grown",
    play: rentedFor(1_100, 800),
    mustHold: {},
  },
  {
    name: "the same; they rent votes of 11%, and holders of 14% vote against",
    begins: "grown",
    play: rentedFor(1_100, 1_400),
    mustHold: { ...nothing, ...allPaid, ...costs },
  },
  {
    name: "a stranger disputes every true root for 60 days; holders of 20% vote",
    begins: "grown",
    play: griefing(2_000),
    mustHold: { ...nothing, ...allPaid, ...costs, "costs no defender": ({ defenders: coins }) => coins >= 0n },
  },
  {
    name: "the same; nobody votes",
    begins: "grown",
    play: griefing(0),
    mustHold: { ...nothing, ...allPaid, ...costs },
  },
  {
    name: "rented votes of 11% void 5 true roots; nobody else votes",
    begins: "grown",
    play: voiding,
    mustHold: { ...nothing, ...allPaid },
  },
  {
    name: "a founder with 5 of 7 validators pays itself throughout bootstrap",
    begins: "birth",
    play: founderTakesAll,
    mustHold: { "costs no coins": ({ gain }) => gain.coins >= 0n },
  },
  {
    name: "a founder without them refuses every root for 40 days",
    begins: "young",
    play: founderRefuses,
    mustHold: { ...nothing, ...allPaid, ...costs },
  },
  {
    name: "on day 40, in bootstrap, rented votes of 20% would grant themselves the code budgets and the treasury, and may not propose it",
    begins: "young",
    play: boughtVote(2_000, 0),
    mustHold: {
      ...nothing,
      ...allPaid,
      "takes no dollar": ({ gain }) => gain.dollars === 0n,
      "is refused when it is proposed": ({ more }) => more["refused"] === 1,
    },
  },
  {
    name: "on day 94, after bootstrap, rented votes of 11% do so; nobody else votes",
    begins: "grown",
    play: boughtVote(1_100, 0),
    mustHold: {
      "takes no more than code's and the treasury's part of 31 days": ({ gain }) =>
        gain.shares <= (COMPUTE * 31n * 3n) / 14n,
      ...allPaid,
    },
  },
  {
    name: "the same; holders of 14% vote against",
    begins: "grown",
    play: boughtVote(1_100, 1_400),
    mustHold: { ...nothing, ...allPaid, "takes no dollar": ({ gain }) => gain.dollars === 0n },
  },
  {
    name: "votes of 11%, rented once, take all emission for 60 days; nobody else votes",
    begins: "grown",
    play: takeover,
    mustHold: {
      "takes no more than is emitted": ({ gain, more }) =>
        gain.shares <= BigInt((more["days"] ?? 0) + 1) * ((COMPUTE * 10n) / 7n) + (COMPUTE * 31n) / 7n,
    },
  },
  {
    name: "a whale bids ten times what all other buyers do, ten times",
    begins: "grown",
    play: outbidding,
    mustHold: {
      ...allPaid,
      "pays what all others pay": ({ more }) => Math.abs((more["price"] ?? 0) - (more["othersPrice"] ?? 1)) <= 1,
      "pays the least price or more": ({ more }) => (more["price"] ?? 0) >= Number(PRICE),
    },
  },
  { name: "a worker splits its work among 50 keys", begins: "grown", play: manyKeys, mustHold: dust },
  { name: "a buyer splits its deposit among 50 accounts", begins: "grown", play: manyBuyers, mustHold: dust },
  {
    name: "a validator signs two roots and reports itself first",
    begins: "grown",
    play: reportsItself,
    mustHold: {
      ...nothing,
      "gets back a twentieth of half its stake": ({ gain }) => gain.coins === -(STAKE / 2n) + STAKE / 40n,
    },
  },
];

/** Plays a scenario on an economy that it may spoil. */
export function played(scenario: Scenario, economy: Economy): Promise<Finding> {
  return scenario.play({ ...economy, work: new Map(economy.work), active: { ...economy.active } });
}

/** What of `mustHold` does not. */
export const brokenBy = ({ mustHold }: Scenario, finding: Finding): string[] =>
  Object.entries(mustHold)
    .filter(([, holds]) => !holds(finding))
    .map(([words]) => words);
