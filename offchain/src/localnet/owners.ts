/** What the owners of the contributing wallets do on-chain: claim what they earned, take up their votes, decide together. */
import {
  balanceOf,
  castVote,
  execute,
  getAllLogs,
  hasVoted,
  pastSupplyOf,
  type Proposal,
  type ProposalCall,
  proposalDeadline,
  proposalExecuted,
  proposalIdOf,
  proposalEta,
  proposalOf,
  proposalSnapshot,
  type ProposalState,
  proposalState,
  proposalVotes,
  propose,
  queue,
  setParams,
  totalSupply,
  votesOf,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex, type RunId, type RunParams } from "@cotrain/sdk/protocol";
import type { Account, Client, LocalAccount, Transport } from "viem";

import { getBlock } from "viem/actions";

import { type Clock, RetryableError, formatCount, formatShares } from "../base/index.ts";
import { type WalletChain, walletOn } from "../chain/index.ts";
import {
  type ActiveRewards,
  claimLeaves,
  contractAt,
  type ContractsPlace,
  earningsOf,
  takeUpVotes,
} from "../run/index.ts";

/** A wallet that owns shares or will. */
export interface Owner {
  readonly name: string;
  readonly client: Client<Transport, undefined, Account>;
}

export const ownerOf = (name: string, chain: WalletChain, account: LocalAccount): Owner => ({
  name,
  client: walletOn(chain, account),
});

export interface LocalModel extends ContractsPlace {
  readonly runId: RunId;
  /** What the roots that are active on-chain now pay; undefined before the first. */
  readonly rewards: () => Promise<Pick<ActiveRewards, "leavesOf"> | undefined>;
  readonly owners: readonly Owner[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of everything that happened on-chain, in one line; of a named kind only the newest matters. */
  readonly announce: (notice: string, kind?: string) => void;
}

export interface PaidClaim {
  readonly amount: bigint;
  readonly transaction: Hex;
}

interface Collected {
  /** Undefined when there is nothing. */
  readonly claim: PaidClaim | undefined;
  /** Whether it delegated to itself. */
  readonly votes: boolean;
}

/** Claims what the active roots hold for this owner, who delegates to itself where it holds shares that nobody votes with. */
async function claimFor(model: LocalModel, rewards: Pick<ActiveRewards, "leavesOf">, owner: Owner): Promise<Collected> {
  const { client } = owner;
  const account = asAddress(client.account.address);
  const { addresses, modelId } = model;
  const where = { addresses, modelId, account };
  const { leaves } = await earningsOf(client, where, rewards);
  const { amount, transaction } = await claimLeaves(client, where, leaves);
  // Whoever claimed for it: a stranger may, and a process may have ended between the two.
  const votes = await takeUpVotes(client, { shares: await contractAt(model, "shares"), account });
  return { claim: transaction === null || amount === 0n ? undefined : { amount, transaction }, votes };
}

/** What all holders have together, whoever they are: without what waits in the contracts to be claimed, for whatever kind of work. */
async function heldByAll(model: LocalModel, { client }: Owner): Promise<bigint> {
  const { addresses } = model;
  const shares = await contractAt(model, "shares");
  const others = await Promise.all([contractAt(model, "codeGrants"), contractAt(model, "capitalSale")]);
  // Where there is no such contract nobody has anything: the zero address holds no shares.
  const waiting = await Promise.all(
    [addresses.computeRewards, ...others].map((account) => balanceOf(client, { shares, account })),
  );
  return waiting.reduce((held, amount) => held - amount, await totalSupply(client, { shares }));
}

/** Every owner claims, each by its own wallet. @returns claims by owner's name */
export async function claimAll(localModel: LocalModel): Promise<Map<string, PaidClaim>> {
  const rewards = await localModel.rewards();
  if (!rewards) return new Map();
  const all = await Promise.all(
    localModel.owners.map(async (owner) => ({ name: owner.name, ...(await claimFor(localModel, rewards, owner)) })),
  );
  const made = new Map(all.flatMap(({ name, claim }) => (claim ? [[name, claim] as const] : [])));
  const voters = all.filter(({ claim, votes }) => votes && !claim).map(({ name }) => name);
  if (voters.length > 0) localModel.announce(`${voters.join(", ")} took up the votes of shares that nobody voted with`);
  if (made.size > 0) {
    const sum = [...made.values()].reduce((total, { amount }) => total + amount, 0n);
    const [asker] = localModel.owners;
    const held = asker ? await heldByAll(localModel, asker) : sum;
    const who = made.size === 1 ? "1 wallet" : `${made.size} wallets`;
    localModel.announce(
      `newest claim: ${formatShares(sum)} shares by ${who}; all holders have ${formatShares(held)}`,
      "claims",
    );
  }
  return made;
}

/** How a proposal fares, each step with its subject: other notices come between. Only the newest step stays on a picture. */
export const proposalNews = {
  proposed: (who: string, title: string): string => `${who} made a proposal: ${title}`,
  voted: (holders: number): string =>
    holders === 1 ? "its holder voted for the proposal" : `${formatCount(holders)} holders voted for the proposal`,
  accepted: (): string => "the proposal was accepted and waits in the timelock",
  executed: (title: string): string => `the proposal was executed: ${title}`,
} as const;

/** A decision that went through, or as far as it went. */
export interface ProposalProgress {
  readonly proposalId: bigint;
  readonly title: string;
  readonly innerSteps: number;
  /** Version of the parameters that its execution makes. */
  readonly paramsVersion: number;
  readonly state: ProposalState;
  readonly votesFor: bigint;
  readonly votesAgainst: bigint;
  /** Supply at the snapshot, undefined before voting began. */
  readonly supply: bigint | undefined;
  /** The transaction, undefined before that. */
  readonly executed: Hex | undefined;
}

/** How far a proposal that goes through is, in this order. Anybody queues and executes, so that steps may be over unseen. */
const steps: readonly ProposalState[] = ["pending", "active", "succeeded", "queued", "executed"];

const isAt = (state: ProposalState, wanted: ProposalState): boolean => steps.indexOf(state) >= steps.indexOf(wanted);

/** Milliseconds by which a step may be late: a chain that stands still, or a node that lies, holds nothing up for ever. */
const PATIENCE = 600_000;

/** A proposal that is followed. */
interface Followed {
  readonly localModel: LocalModel;
  readonly client: Owner["client"];
  readonly governor: Address;
  readonly proposalId: bigint;
}

/** Looks until something is there. @param due when that is so, chain seconds @throws RetryableError PROPOSAL_LATE */
async function until<T>({ localModel, client }: Followed, due: bigint, look: () => Promise<T | undefined>): Promise<T> {
  const { clock, signal } = localModel;
  const { timestamp } = await getBlock(client);
  const last = clock.monotonic() + Math.max(0, Number(due - timestamp)) * 1_000 + PATIENCE;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (clock.monotonic() > last)
      throw new RetryableError("PROPOSAL_LATE", "The proposal's next step did not come in its time.");
    await clock.sleep(300, signal);
  }
}

/** Waits until a proposal is at a step or beyond. @returns where it is @throws RetryableError PROPOSAL_LOST, PROPOSAL_LATE */
const untilAt = (followed: Followed, due: bigint, wanted: ProposalState): Promise<ProposalState> =>
  until(followed, due, async () => {
    const state = await proposalState(followed.client, followed);
    if (!steps.includes(state)) throw new RetryableError("PROPOSAL_LOST", `The proposal ended as ${state}.`);
    return isAt(state, wanted) ? state : undefined;
  });

/** Sends what is not done yet. @returns undefined where somebody else was first, also while it was sent */
async function unlessDone<T>(isDone: () => Promise<boolean>, send: () => Promise<T>): Promise<T | undefined> {
  if (await isDone()) return undefined;
  try {
    return await send();
  } catch (error) {
    if (await isDone()) return undefined;
    throw error;
  }
}

/** Takes a step, unless somebody else was first. @param to where the proposal is after it */
const stepTo = <T>(followed: Followed, to: ProposalState, send: () => Promise<T>): Promise<T | undefined> =>
  unlessDone(async () => isAt(await proposalState(followed.client, followed), to), send);

/** Votes, unless the owner has: anybody may send a vote that it signed, and its wallet may vote elsewhere. */
export async function voteOf(
  { governor, proposalId }: Pick<Followed, "governor" | "proposalId">,
  { client }: Owner,
  support: "for" | "against" = "for",
): Promise<void> {
  const vote = { governor, proposalId };
  await unlessDone(
    () => hasVoted(client, { ...vote, account: client.account.address }),
    () => castVote.sync(client, { ...vote, support }),
  );
}

/** Executes what is queued once the timelock lets it. @returns the transaction, undefined where somebody else was first */
async function carryOut(followed: Followed, proposal: Proposal): Promise<Hex | undefined> {
  const { client, governor, proposalId } = followed;
  const eta = await proposalEta(client, { governor, proposalId });
  const state = await until(followed, eta, async () => {
    const now = await proposalState(client, { governor, proposalId });
    return now === "executed" || (await getBlock(client)).timestamp >= eta ? now : undefined;
  });
  if (state === "executed") return undefined;
  const own = await stepTo(followed, "executed", () => execute.sync(client, { governor, proposal }));
  return own?.receipt.transactionHash;
}

/** The transaction in which it was executed, by whomever. @param from the block that it was proposed in */
async function executionOf(
  { client, governor, proposalId }: Omit<Followed, "localModel">,
  from: bigint,
): Promise<Hex | undefined> {
  const { logs } = await getAllLogs(client, proposalExecuted({ governor }), { from });
  return logs.find(({ args }) => args.proposalId === proposalId)?.transactionHash;
}

/** What the holders are to decide. */
export interface ParamsDecision {
  readonly params: RunParams;
  /** Version of the parameters that these take the place of; of two decisions on one version the first holds. */
  readonly replaces: number;
  /** What is decided with it, or not at all: each is executed or none. */
  readonly more: readonly ProposalCall[];
  readonly title: string;
}

/**
 * The holders change a run parameter: the one with the most votes proposes, all vote, anyone queues and executes. What others
 * have done already is not done again.
 * @param progress told how far it is, from the proposal on
 * @throws RetryableError PROPOSAL_LOST, PROPOSAL_LATE, NO_VOTES
 */
export async function decide(
  localModel: LocalModel,
  { params, replaces, more, title }: ParamsDecision,
  progress: (decision: ProposalProgress) => void,
): Promise<void> {
  const { addresses, runId, owners } = localModel;
  const news = (notice: string): void => localModel.announce(notice, "proposal");
  const [first] = owners;
  if (!first) throw new RetryableError("NO_VOTES", "There is nobody who could propose.");
  const [governor, shares] = await Promise.all([contractAt(localModel, "governor"), contractAt(localModel, "shares")]);
  const weights = await Promise.all(
    owners.map(async (owner) => ({
      owner,
      votes: await votesOf(owner.client, { shares, account: owner.client.account.address }),
    })),
  );
  const voters = weights.filter(({ votes }) => votes > 0n).sort((a, b) => (a.votes > b.votes ? -1 : 1));
  const proposer = voters[0]?.owner;
  if (!proposer) throw new RetryableError("NO_VOTES", "No holder has votes yet.");

  const calls = [setParams.call({ addresses, runId, replaces, params }), ...more];
  const proposal: Proposal = proposalOf(calls, title, proposer.client.account.address);
  const proposalId = proposalIdOf(proposal);
  const { client } = proposer;
  const proposed = await propose.sync(client, { governor, calls, description: title });
  const followed: Followed = { localModel, client, governor, proposalId };
  const report = async (executed?: Hex): Promise<void> => {
    const [state, votes, timepoint] = await Promise.all([
      proposalState(client, { governor, proposalId }),
      proposalVotes(client, { governor, proposalId }),
      proposalSnapshot(client, { governor, proposalId }),
    ]);
    const supply = state === "pending" ? undefined : await pastSupplyOf(client, { shares, timepoint });
    progress({
      proposalId,
      title,
      innerSteps: params.innerSteps,
      paramsVersion: replaces + 1,
      state,
      votesFor: votes.for,
      votesAgainst: votes.against,
      supply,
      executed,
    });
  };
  await report();
  news(proposalNews.proposed(proposer.name, title));

  if ((await untilAt(followed, proposed.event.voteStart, "active")) === "active")
    await Promise.all(voters.map(({ owner }) => voteOf(followed, owner)));
  await report();
  news(proposalNews.voted(voters.length));

  const deadline = await proposalDeadline(client, { governor, proposalId });
  if ((await untilAt(followed, deadline, "succeeded")) === "succeeded")
    await stepTo(followed, "queued", () => queue.sync(client, { governor, proposal }));
  await report();
  news(proposalNews.accepted());

  const own = await carryOut(followed, proposal);
  await report(own ?? (await executionOf(followed, proposed.receipt.blockNumber)));
  news(proposalNews.executed(title));
}

/** A decision that was lost sight of, where it was executed all the same; undefined where it was not, or not yet. */
export async function executedMeanwhile(
  localModel: LocalModel,
  decision: ProposalProgress,
): Promise<ProposalProgress | undefined> {
  const { owners, announce } = localModel;
  const [first] = owners;
  if (!first) return undefined;
  const { client } = first;
  const { proposalId, title } = decision;
  const asked = { governor: await contractAt(localModel, "governor"), proposalId };
  if ((await proposalState(client, asked)) !== "executed") return undefined;
  const [votes, executed] = await Promise.all([proposalVotes(client, asked), executionOf({ client, ...asked }, 0n)]);
  announce(proposalNews.executed(title), "proposal");
  return { ...decision, state: "executed", votesFor: votes.for, votesAgainst: votes.against, executed };
}
