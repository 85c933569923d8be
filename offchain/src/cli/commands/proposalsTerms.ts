import {
  type GovernorSettings,
  governorSettings,
  type ProposalCall,
  setLateQuorumVoteExtension,
  setProposalThreshold,
  setQuorum,
  setTimelockDelay,
  settingLimits,
  setVotingDelay,
  setVotingPeriod,
  simulateExecution,
} from "@cotrain/sdk/actions";

import { UserError } from "../../base/index.ts";
import { type VoteTerm, voteTermNames, voteTerms, type VoteTerms, voteTermText } from "../../run/index.ts";
import { duration, real, text } from "../../service/index.ts";
import { sharesOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { changed, decide, decisionOptions, type Intention, titled } from "../decision.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace } from "../place.ts";
import { decidingAt, type DecidingPlace } from "../proposing.ts";

/** What somebody wants: seconds, share wei and basis points. */
export type WantedTerms = Partial<VoteTerms>;

interface Bounds {
  readonly least: bigint;
  readonly most: bigint;
}

/** What is in force, and what each may be, by the contracts of this chain. */
async function termsAt({ connection, addresses, governor }: DecidingPlace) {
  const [settings, [minimum, maximum]] = await Promise.all([
    connection.call((client) => governorSettings(client, { governor })),
    connection.call((client) => settingLimits(client, { addresses })),
  ]);
  const within = (field: keyof typeof minimum): Bounds => ({
    least: BigInt(minimum[field]),
    most: BigInt(maximum[field]),
  });
  const bounds: Readonly<Record<VoteTerm, Bounds>> = {
    votingDelay: within("votingDelay"),
    votingPeriod: within("votingPeriod"),
    lateQuorumVoteExtension: within("lateQuorumExtension"),
    timelockDelay: within("timelockDelay"),
    proposalThreshold: { least: 0n, most: settings.maxProposalThreshold },
    quorumBps: within("quorumBps"),
  };
  return { settings, bounds };
}

/** Those that a vote's length is made of. */
const voteTimes: ReadonlySet<VoteTerm> = new Set(["votingDelay", "votingPeriod", "lateQuorumVoteExtension"]);

const voteLength = ({ votingDelay, votingPeriod, lateQuorumVoteExtension }: VoteTerms): bigint =>
  votingDelay + votingPeriod + lateQuorumVoteExtension;

/** The contracts' rules of what changes. @throws UserError `TERM_BOUNDS`, `VOTE_LENGTH` */
function requireTerms(
  after: GovernorSettings,
  terms: readonly VoteTerm[],
  bounds: Readonly<Record<VoteTerm, Bounds>>,
): void {
  for (const term of terms) {
    const { least, most } = bounds[term];
    if (after[term] >= least && after[term] <= most) continue;
    throw new UserError(
      "TERM_BOUNDS",
      `Holders may choose ${voteTermText(term, least)} to ${voteTermText(term, most)} ${voteTerms[term].of} here, not ${voteTermText(term, after[term])}.`,
    );
  }
  if (after.lateQuorumVoteExtension > after.votingPeriod && terms.includes("lateQuorumVoteExtension"))
    throw new UserError(
      "VOTE_LENGTH",
      `The extension of a vote, ${voteTermText("votingPeriod", after.lateQuorumVoteExtension)}, may be no longer than the vote, ${voteTermText("votingPeriod", after.votingPeriod)}.`,
    );
  const length = voteLength(after);
  if (length > after.maxVoteLength && terms.some((term) => voteTimes.has(term)))
    throw new UserError(
      "VOTE_LENGTH",
      `Delay, period and extension of a vote may take ${after.maxVoteLength} s together here, so that a budget outlasts the longest vote, and these take ${length} s.`,
    );
}

/** The call that sets each of them. */
const calls: Readonly<Record<VoteTerm, (place: DecidingPlace, value: bigint) => ProposalCall>> = {
  votingDelay: ({ governor }, value) => setVotingDelay.call({ governor, seconds: Number(value) }),
  votingPeriod: ({ governor }, value) => setVotingPeriod.call({ governor, seconds: Number(value) }),
  lateQuorumVoteExtension: ({ governor }, value) =>
    setLateQuorumVoteExtension.call({ governor, seconds: Number(value) }),
  timelockDelay: ({ contracts: { timelock } }, seconds) => setTimelockDelay.call({ timelock, seconds }),
  proposalThreshold: ({ governor }, votes) => setProposalThreshold.call({ governor, votes }),
  quorumBps: ({ governor }, bps) => setQuorum.call({ governor, bps }),
};

const termsOf = (settings: GovernorSettings): VoteTerms => {
  const { votingDelay, votingPeriod, lateQuorumVoteExtension, timelockDelay, proposalThreshold, quorumBps } = settings;
  return { votingDelay, votingPeriod, lateQuorumVoteExtension, timelockDelay, proposalThreshold, quorumBps };
};

/** That votes go otherwise, each setting by a call of its own. @throws UserError `TERM_BOUNDS`, `VOTE_LENGTH` */
export async function termsIntention(place: DecidingPlace, wanted: WantedTerms): Promise<Intention> {
  const { connection, governor, contracts } = place;
  const { settings: before, bounds } = await termsAt(place);
  const after: GovernorSettings = { ...before, ...wanted };
  const changing = voteTermNames.filter((term) => before[term] !== after[term]);
  requireTerms(after, changing, bounds);
  // What shortens a vote comes first, so that on the way none is longer than it may be.
  const ordered = changing.toSorted((a, b) => Number(after[a] > before[a]) - Number(after[b] > before[b]));
  const last = ordered.pop() ?? "votingPeriod";
  const [call, first] = [calls[last](place, after[last]), ordered.map((term) => calls[term](place, after[term]))];
  const { timelock } = contracts;
  const execution = { governor, timelock, calls: [...first, call] };
  return {
    title: titled(
      "votes",
      changing.flatMap((term) =>
        changed(voteTermText(term, before[term]), voteTermText(term, after[term]), voteTerms[term].of),
      ),
    ),
    document: { contract: governor, timelock, terms: termsOf(after) },
    call,
    before: first,
    rehearse: () => connection.call((client) => simulateExecution(client, execution)),
  };
}

/** Basis points of a percentage. @throws UserError `PERCENT_FORM` */
function bpsOf(percent: number): bigint {
  const bps = Math.round(percent * 100);
  if (Math.abs(bps - percent * 100) < 1e-6) return BigInt(bps);
  throw new UserError("PERCENT_FORM", `A quorum is a percentage with at most two decimals, not ${percent}.`);
}

/** @throws UserError `TERM_SECONDS` for a part of a second */
function secondsOf(milliseconds: number): bigint {
  if (milliseconds % 1_000 === 0) return BigInt(milliseconds / 1_000);
  throw new UserError("TERM_SECONDS", `The chain counts whole seconds, and ${milliseconds} ms are none.`);
}

/** What a setting is, and what it may be. */
function termLine(term: VoteTerm, { least, most }: Bounds): string {
  return `${voteTerms[term].of} (${voteTermText(term, least)} to ${voteTermText(term, most)})`;
}

const timeOption = (of: string) => duration({ description: `propose that it is so long ${of}` });

/** `cotrain proposals terms`. */
export const proposalsTermsCommand = defineCommand({
  name: "proposals terms",
  summary:
    "how votes go: how long they last, their quorum, who may propose; with other values proposes these to the holders",
  options: {
    ...decisionOptions,
    delay: timeOption(voteTerms.votingDelay.of),
    period: timeOption(voteTerms.votingPeriod.of),
    extension: timeOption(voteTerms.lateQuorumVoteExtension.of),
    timelock: timeOption(voteTerms.timelockDelay.of),
    threshold: text({ value: "shares", description: "propose that it takes so many votes to propose" }),
    quorum: real(0, 100, { value: "percent", description: "propose that so much of all shares makes a quorum" }),
  },
  examples: [
    ["npx cotrain proposals terms", "those in force for this directory's model, and what each may be"],
    [
      "npx cotrain proposals terms --period 8s --vote",
      "proposed by the wallet of this directory that has the most votes",
    ],
    ["npx cotrain proposals terms --period 10d --quorum 4 --dry-run", "what would be proposed"],
  ],
  notes: [
    'Each holds from its execution on: delay, period and threshold for what is proposed then, the quorum for votes that begin then, the delay of the timelock for what is queued then, and the extension at once. Votes on disputes go by the same. In plain words: npx cotrain propose "let votes last 5 days". The floor of the quorum, and what a vote may take in all, change never.',
  ],
  async run({ options: { delay, period, extension, timelock, threshold, quorum, ...options }, output }) {
    const wanted: WantedTerms = {
      ...(delay !== undefined && { votingDelay: secondsOf(delay) }),
      ...(period !== undefined && { votingPeriod: secondsOf(period) }),
      ...(extension !== undefined && { lateQuorumVoteExtension: secondsOf(extension) }),
      ...(timelock !== undefined && { timelockDelay: secondsOf(timelock) }),
      ...(threshold !== undefined && { proposalThreshold: sharesOf(threshold) }),
      ...(quorum !== undefined && { quorumBps: bpsOf(quorum) }),
    };
    if (Object.keys(wanted).length > 0) {
      await decide({ options, output }, (place) => termsIntention(place, wanted));
      return;
    }
    const at = await atPlace(options, undefined, async (place) => {
      const deciding = await decidingAt(place);
      return { ...(await termsAt(deciding)), contract: deciding.governor, timelock: deciding.contracts.timelock };
    });
    const { settings, bounds, contract, timelock: executor } = at;
    output.result(
      {
        contract,
        timelock: executor,
        terms: termsOf(settings),
        bounds,
        quorumFloor: settings.quorumFloor,
        maxVoteLength: settings.maxVoteLength,
      },
      factTable(
        [
          ...voteTermNames.map((term) => [voteTermText(term, settings[term]), termLine(term, bounds[term])] as const),
          [voteTermText("proposalThreshold", settings.quorumFloor), "for a quorum at the least, for ever"],
        ],
        columnsOf(process.stdout),
      ),
    );
  },
});
