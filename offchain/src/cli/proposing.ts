/** What commands that put a decision to the holders have in common: who proposes, what is shown and simulated, and sending it. */
import {
  bootstrapOf,
  governorSettings,
  pastVotesOf,
  type ProposalCall,
  proposalIdOf,
  proposalOf,
  propose,
  requireVotable,
  votesOf,
} from "@cotrain/sdk/actions";
import { BootstrapVoteRefusedError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatShares, timeText, UserError } from "../base/index.ts";
import {
  contractAt,
  findProposal,
  isNobody,
  type MadeProposal,
  namedWallet,
  ownContractsAt,
  type ProposalsPlace,
  requireProposalId,
  requireSound,
  wordsOfCall,
  type WordsPlace,
} from "../run/index.ts";
import type { Output } from "./output.ts";
import { atPlace, type Place, type PlaceFlags, requireEntries, signingAs, unpinnedNotice } from "./place.ts";

/** A place with its model's contracts, as proposals are read and told there. */
export interface DecidingPlace extends Place, ProposalsPlace, WordsPlace {
  readonly connection: Place["connection"];
  readonly reader: Place["reader"];
  readonly blobs: Place["blobs"];
  readonly fromBlock: number;
}

/** One proposal that a command is asked to do something with; `args` has its id, or the first digits of it. */
interface ProposalRequest {
  readonly args: readonly string[];
  readonly options: PlaceFlags & Parameters<typeof namedWallet>[0] & Parameters<typeof unpinnedNotice>[0];
  readonly output: Output;
}

export async function decidingAt(place: Place): Promise<DecidingPlace> {
  const contracts = await ownContractsAt(place);
  const codeGrants = await contractAt(place, "codeGrants");
  const sale = await contractAt(place, "capitalSale");
  const capitalSale = isNobody(sale) ? undefined : sale;
  const stakes = await contractAt(place, "stakeManager");
  const stakeManager = isNobody(stakes) ? undefined : stakes;
  const budgets = await contractAt(place, "computeBudget");
  const computeBudget = isNobody(budgets) ? undefined : budgets;
  return { ...place, contracts, codeGrants, capitalSale, stakeManager, computeBudget, governor: contracts.governor };
}

/** What a command does by wallets with one proposal, at the place that the flags name. */
export async function atProposal<T>(
  { args: [named = ""], options, output }: ProposalRequest,
  work: (place: DecidingPlace, proposal: MadeProposal, entries: Place["entries"]) => Promise<T>,
): Promise<T> {
  const id = requireProposalId(named);
  const own = await namedWallet(options);
  return atPlace(
    options,
    own,
    async (at) => {
      const place = await decidingAt(at);
      const entries = requireEntries(place, options);
      const proposal = await findProposal(place, id, !place.embedded);
      requireSound(proposal);
      return work(place, proposal, entries);
    },
    unpinnedNotice(options, output),
    { ticking: true },
  );
}

/** Wallets with their votes. @param timepoint when, chain seconds; if left out now */
export const withVotes = (
  { connection, contracts: { shares } }: DecidingPlace,
  entries: Place["entries"],
  timepoint?: bigint,
) =>
  Promise.all(
    entries.map(async (entry) => {
      const { account } = entry;
      const votes = await connection.call((client) =>
        timepoint === undefined
          ? votesOf(client, { shares, account })
          : pastVotesOf(client, { shares, account, timepoint }),
      );
      return { entry, votes };
    }),
  );

/**
 * The wallet of these with the most votes; undefined where there is none.
 * @throws UserError `VOTES_FEW` where those are too few to propose
 */
export async function proposerOf(place: DecidingPlace, entries: Place["entries"]) {
  const { connection, governor } = place;
  const { proposalThreshold } = await connection.call((client) => governorSettings(client, { governor }));
  const [first] = (await withVotes(place, entries)).toSorted((a, b) => (a.votes < b.votes ? 1 : -1));
  if (first && first.votes < proposalThreshold)
    throw new UserError(
      "VOTES_FEW",
      `${first.entry.account} has ${formatShares(first.votes)} votes and a proposal takes ${formatShares(proposalThreshold)}: claim what it earned, or have a holder of more propose or delegate.`,
    );
  return first?.entry;
}

/** What is put to the holders. */
interface Decision {
  readonly calls: readonly ProposalCall[];
  readonly description: string;
  /** What it would do, in words. */
  readonly words: string;
  /** That the contracts would do it for the timelock. @throws ContractError where they would not */
  readonly rehearse: () => Promise<unknown>;
}

/** A proposal that was made. */
export interface SentProposal {
  readonly proposer: Address;
  readonly governor: Address;
  readonly proposalId: bigint;
  readonly voteStart: number;
  readonly voteEnd: number;
  readonly transaction: Hex;
}

/** The same in words, since the contract has a function's selector for them. */
async function refusedInBootstrap(
  place: DecidingPlace,
  calls: Decision["calls"],
  error: InstanceType<typeof BootstrapVoteRefusedError>,
): Promise<Error> {
  const refused = calls[Number(error.args[0])];
  if (!refused) return error;
  const { to: target, data, value = 0n } = refused;
  const { words } = await wordsOfCall(place, { target, value, data });
  return new UserError(
    "BOOTSTRAP_VOTE",
    `The model is in bootstrap, where votes set a run's parameters, pause and resume it, and nothing else; "npx cotrain bootstrap" says when that is over. Until then this cannot be proposed: ${words}`,
    { cause: error },
  );
}

/** @throws UserError `BOOTSTRAP_VOTE` where holders of a young model may not decide this */
async function requireVotes(place: DecidingPlace, calls: Decision["calls"]): Promise<void> {
  const { connection, addresses, governor } = place;
  const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses }));
  try {
    await connection.call((client) => requireVotable.simulate(client, { bootstrap, calls, account: governor }));
  } catch (error) {
    // Contracts that do not know the question hold no proposal to it; whatever else was wrong the proposal itself meets, too.
    if (error instanceof BootstrapVoteRefusedError) throw await refusedInBootstrap(place, calls, error);
  }
}

/**
 * Simulates what the holders would decide and the proposal itself; sends it where there is who proposes.
 * @throws UserError `BOOTSTRAP_VOTE`; `PROPOSAL_UNSOUND` where the node tells of another proposal than was sent; what simulating and sending throw
 */
export async function putToHolders(
  place: DecidingPlace,
  { calls, description, words, rehearse }: Decision,
  proposer: Place["entries"][number] | undefined,
  { maxFee, output }: { readonly maxFee: number; readonly output: Output },
): Promise<SentProposal | undefined> {
  const { governor } = place;
  await rehearse();
  await requireVotes(place, calls);
  if (!output.json) output.notice(`If holders accept it: ${words}`);
  if (!proposer) return undefined;
  const client = await signingAs(place, proposer, { maxFee });
  await propose.simulate(client, { governor, calls, description });
  const { receipt, event } = await propose.sync(client, { governor, calls, description });
  // Its id follows from what was sent: whoever votes for what a node names instead votes for what nobody showed him.
  const proposalId = proposalIdOf(proposalOf(calls, description, proposer.account));
  if (event.proposalId !== proposalId)
    throw new UserError(
      "PROPOSAL_UNSOUND",
      `Proposal ${proposalId} was sent in ${receipt.transactionHash}, and the node says that this made proposal ${event.proposalId}: it lies, and nobody here voted.`,
    );
  return {
    proposer: proposer.account,
    governor,
    proposalId,
    voteStart: Number(event.voteStart),
    voteEnd: Number(event.voteEnd),
    transaction: receipt.transactionHash,
  };
}

/** What stands behind "… proposed …" of what was sent. */
export const sentText = ({ governor, proposalId, voteStart, voteEnd, transaction }: SentProposal): string =>
  `in ${transaction}: proposal ${proposalId} of governor ${governor}. Holders vote from ${timeText(voteStart)} to ${timeText(voteEnd)} ("npx cotrain vote ${proposalId} for", or "against"), then anybody queues it and, after the timelock's delay, executes it: "npx cotrain proposals execute ${proposalId}", once for each.`;
