/**
 * One model of the public profile and who lives of it: twenty workers whose work varies from day to day, three buyers who pay test
 * dollars, seven validators with stake. Everything goes through the real contracts; what a worker earned is shared out by the rule
 * that coordinators and validators compute pay with. An epoch is a day.
 */
import {
  activateRoot,
  allowCapital,
  approveGrantByVote,
  bondCreditOf,
  bondOf,
  type Call,
  castVote,
  claimCapital,
  claimMany,
  createModel,
  delegate,
  depositCapital,
  depositStake,
  disputeRoot,
  endBootstrap,
  execute,
  modelContractsOf,
  balanceOf,
  postRoot,
  proposalDeadline,
  proposalEta,
  type Proposal,
  proposalIdOf,
  proposalSnapshot,
  propose,
  queue,
  reporterFeesOf,
  scheduleOf,
  settleDispute,
  settleSale,
  stakeOf,
  totalSupply,
  type VoteSupport,
} from "@cotrain/sdk/actions";
import {
  asModelId,
  type Attestation,
  domainFor,
  type Grant,
  type Hex,
  type ModelId,
  rewardKind,
  type RewardLeaf,
  rewardTree,
  shareOut,
  structHash,
  typedDataOf,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { type Address, encodeFunctionData, erc20Abi, keccak256, parseAbi, parseEther, sha256, stringToHex } from "viem";

import { profileFor } from "../../deploy/deployment.ts";
import { createRandom, type Random } from "../../offchain/src/base/index.ts";
import { accountNamed, type SimulatedChain } from "./chain.ts";

export type Actor = ReturnType<typeof accountNamed>;
export const share = 10n ** 18n;
/** What every validator has at stake. */
export const STAKE = parseEther("10");
/** Validators whose signatures make a root. */
export const THRESHOLD = 5;

const { model: settings } = profileFor("public", 31_337);
/** Shares for compute in an epoch. */
export const COMPUTE = (settings.epochBudget * BigInt(settings.bps[0])) / 10_000n;
export const DAY = settings.epochLength;
/** Seconds from a proposal until it may be carried out. */
export const VOTE = settings.governor.votingDelay + settings.governor.votingPeriod + settings.governor.timelockDelay;
const mintAbi = parseAbi(["function mint(address to, uint256 amount)"]);
/** A dollar, in the token's smallest units. */
export const dollar = 1_000_000n;
/** What a share costs at the least. */
export const PRICE = 20_000n;
const repository = "https://example.org/model.git";

const ascending = (a: Actor, b: Actor): number => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1);
const named = (label: string, count: number): Actor[] =>
  Array.from({ length: count }, (_, i) => accountNamed(`${label} ${i}`));

export const organiser = accountNamed("organiser");
/** Whoever sends what anybody may. */
export const anybody = accountNamed("anybody");
export const workers: readonly Actor[] = named("worker", 20);
export const buyers: readonly Actor[] = named("buyer", 3);
export const validators: readonly Actor[] = named("validator", 7).toSorted(ascending);

export interface Economy {
  readonly chain: SimulatedChain;
  readonly modelId: ModelId;
  readonly shares: Address;
  readonly governor: Address;
  readonly timelock: Address;
  readonly start: number;
  readonly random: Random;
  /** What each account has earned in an epoch, by tokens. */
  readonly work: Map<number, ReadonlyMap<Address, bigint>>;
  /** Of the newest active root. */
  active: { index: number; toEpoch: number; root: Hex };
}

/** A root that waits. */
export interface Posted {
  readonly attestation: Attestation;
  readonly leaves: readonly RewardLeaf[];
  readonly signatures: readonly Hex[];
}

/** Makes a model on its first day. */
export async function openEconomy(chain: SimulatedChain, seed: number): Promise<Economy> {
  const { addresses, client, send, token } = chain;
  const random = createRandom(`economy/${seed}`);
  const config = {
    name: "A model",
    symbol: "MODEL",
    uri: "ipfs://terms",
    organiser: organiser.address,
    ...settings,
    validators: validators.map(({ address }) => address),
    threshold: THRESHOLD,
    capital: { token, priceFloor: PRICE / 2n, price: PRICE, minimum: dollar },
  };
  const salt = keccak256(stringToHex(`model ${seed}`));
  const created = createModel.extractEvent(await send(organiser, createModel.call({ addresses, config, salt })));
  const modelId = asModelId(created.modelId);
  const { start } = await scheduleOf(client, { addresses, modelId });
  for (const { address: staker } of validators) {
    const stake = { stakes: chain.stakes, modelId, role: "validator", staker, amount: STAKE } as const;
    await send({ address: staker }, depositStake.call(stake));
  }
  const contracts = await modelContractsOf(client, { addresses, modelId });
  const active = { index: 0, toEpoch: 0, root: zeroHash as Hex };
  return { chain, modelId, ...contracts, start, random, work: new Map(), active };
}

/** The epoch that it is. */
export const epochOf = ({ chain, start }: Economy, at = chain.now()): number => 1 + Math.floor((at - start) / DAY);

/** Goes on to the beginning of an epoch. */
export const advanceToEpoch = ({ chain, start }: Economy, epoch: number): Promise<void> =>
  chain.advanceTo(start + (epoch - 1) * DAY + 1);

/** What the workers did in an epoch: each something between nothing and twice its mean, and their means differ by ten. */
function workOf({ work, random }: Economy, epoch: number): ReadonlyMap<Address, bigint> {
  const known = work.get(epoch);
  if (known) return known;
  const of = random.split(`work of ${epoch}`);
  const done = new Map(
    workers.map(({ address }, i) => [address.toLowerCase() as Address, BigInt((1 + (i % 10)) * of.below(200_000))]),
  );
  work.set(epoch, done);
  return done;
}

/** What workers earned from one epoch to another. @param workOfEpoch what they did, if it is not the ordinary */
export function earned(
  economy: Economy,
  from: number,
  to: number,
  workOfEpoch: (epoch: number) => ReadonlyMap<Address, bigint> = (epoch) => workOf(economy, epoch),
): RewardLeaf[] {
  const sums = new Map<Address, bigint>();
  for (let epoch = from; epoch <= to; epoch++) {
    for (const [account, amount] of shareOut(workOfEpoch(epoch), COMPUTE))
      sums.set(account, (sums.get(account) ?? 0n) + amount);
  }
  return [...sums].filter(([, amount]) => amount > 0n).map(([account, amount]) => ({ account, amount }));
}

/** Epochs that are over and not paid. */
export const due = (economy: Economy): { from: number; to: number } => ({
  from: economy.active.toEpoch + 1,
  to: epochOf(economy) - 1,
});

/** The true leaves of all epochs that are over and not paid. */
export const trueLeaves = (economy: Economy): RewardLeaf[] => earned(economy, due(economy).from, due(economy).to);

/** All of them paid to one account. */
export function falseLeaves(economy: Economy, account: Address): RewardLeaf[] {
  const { from, to } = due(economy);
  return [{ account: account.toLowerCase() as Address, amount: BigInt(to - from + 1) * COMPUTE }];
}

/** Posts a root of all epochs that are over. @param backer who puts up the bond where one is due */
export async function post(economy: Economy, leaves: readonly RewardLeaf[], backer: Actor = anybody): Promise<Posted> {
  const { chain, modelId, active, start } = economy;
  const { addresses, client, now, send } = chain;
  const { from, to } = due(economy);
  const index = active.index + 1;
  const tree = rewardTree({ modelId, index }, leaves);
  const [end, delay] = [start + to * DAY, settings.postingDelay];
  const attestation: Attestation = {
    kind: rewardKind.compute,
    modelId,
    index: BigInt(index),
    fromEpoch: BigInt(from),
    toEpoch: BigInt(to),
    runId: zeroHash,
    head: zeroHash,
    epochDigest: keccak256(stringToHex(`epochs ${from} to ${to}`)),
    previousRoot: active.root,
    root: tree.root,
    total: tree.total,
    setVersion: 1,
    blockNumber: 1n,
    blockHash: keccak256(stringToHex(String(now()))),
    deadline: BigInt(end + delay * Math.max(1, Math.ceil((now() + 60 - end) / delay))),
  };
  const data = typedDataOf(domainFor(31_337, addresses.computeRewards), "Attestation", attestation);
  const signatures = await Promise.all(validators.slice(0, THRESHOLD).map((account) => account.signTypedData(data)));
  const { bond, isDue } = await bondOf(client, { addresses, modelId });
  const posting = { addresses, attestation, signatures, ...(isDue && { bond }) };
  await send(backer, postRoot.call(posting));
  return { attestation, leaves, signatures };
}

/** Waits for the window, activates a root and claims for all, who vote with what they have from then on. */
export async function activate(economy: Economy, { attestation, leaves }: Posted): Promise<void> {
  const { chain, modelId } = economy;
  const { addresses, now, send, advanceTo } = chain;
  await advanceTo(now() + settings.window);
  await send(anybody, activateRoot.call({ addresses, attestation }));
  const index = Number(attestation.index);
  economy.active = { index, toEpoch: Number(attestation.toEpoch), root: attestation.root };
  const tree = rewardTree({ modelId, index }, leaves);
  const claims = leaves.map(({ account }) => ({
    modelId,
    beneficiary: account,
    leaves: [{ index, ...tree.proofOf(account)! }],
  }));
  await send(anybody, claimMany.call({ addresses, claims }));
}

/** An ordinary payday: a root of all that was earned, which nobody disputes. */
export async function payday(economy: Economy): Promise<void> {
  await advanceToEpoch(economy, epochOf(economy) + 1);
  await activate(economy, await post(economy, trueLeaves(economy)));
}

/** Deposits dollars in the present epoch. */
export async function buy({ chain, modelId, ...economy }: Economy, buyer: Actor, amount: bigint): Promise<number> {
  const { sale, send, token } = chain;
  const epoch = epochOf({ chain, modelId, ...economy });
  const beneficiary = buyer.address;
  const args = [beneficiary, amount] as const;
  await send(buyer, { to: token, data: encodeFunctionData({ abi: mintAbi, functionName: "mint", args }) });
  await send(buyer, allowCapital.call({ token, sale, amount }));
  await send(buyer, depositCapital.call({ sale, modelId, epoch: BigInt(epoch), beneficiary, amount }));
  return epoch;
}

/** Settles a sale whose epoch is over and has its shares claimed. */
export async function settle({ chain, modelId }: Economy, epoch: number, of: readonly Actor[]): Promise<void> {
  const { sale, send } = chain;
  await send(anybody, settleSale.call({ sale, modelId }));
  for (const { address: beneficiary } of of)
    await send(anybody, claimCapital.call({ sale, modelId, epoch: BigInt(epoch), beneficiary }));
}

/** Has accounts vote with their own shares from now on, or somebody else with them. */
export async function delegates({ chain, shares }: Economy, from: readonly Actor[], to?: Actor): Promise<void> {
  for (const holder of from) await chain.send(holder, delegate.call({ shares, delegatee: (to ?? holder).address }));
}

/** Lives until an epoch with a payday each third day, and buyers who spend on every first of them. */
export async function live(economy: Economy, until: number): Promise<void> {
  while (epochOf(economy) < until) {
    const spent = economy.random.split(`dollars of ${epochOf(economy)}`);
    let epoch = 0;
    for (const buyer of buyers) epoch = await buy(economy, buyer, dollar * BigInt(5 + spent.below(40)));
    await payday(economy);
    await settle(economy, epoch, buyers);
  }
}

/** Ends the bootstrap. @throws BootstrapNotOverError */
export const endBootstrapOf = ({ chain, modelId }: Economy) =>
  chain.send(anybody, endBootstrap.call({ bootstrap: chain.bootstrap, modelId }));

/**
 * An account that votes with so many basis points of the supply, to which all holders gave of what they have; or somebody else votes
 * with them.
 */
export async function bloc(
  economy: Economy,
  name: string,
  bps: number,
  to?: Actor,
): Promise<{ readonly voter: Actor; readonly votes: bigint }> {
  const { shares, chain } = economy;
  const account = accountNamed(name);
  const wanted = ((await totalSupply(chain.client, { shares })) * BigInt(bps)) / 10_000n;
  const all = await holdings(economy, [...workers, ...buyers]);
  let votes = 0n;
  for (const holder of [...workers, ...buyers]) {
    const held = await balanceOf(chain.client, { shares, account: holder.address });
    const part = (held * wanted) / all.shares + 1n;
    if (part > held) continue;
    await chain.send(holder, transferCall(shares, account.address, part));
    votes += part;
  }
  await delegates(economy, [account], to);
  return { voter: to ?? account, votes };
}

export interface Ballot {
  readonly voters: readonly Actor[];
  readonly support: VoteSupport;
}

/** Holds a vote that is open to its end. */
async function poll({ chain, governor }: Economy, proposalId: bigint, ballots: readonly Ballot[]): Promise<void> {
  const { advanceTo, client, send } = chain;
  await advanceTo(1n + (await proposalSnapshot(client, { governor, proposalId })));
  for (const { voters, support } of ballots) {
    for (const voter of voters) await send(voter, castVote.call({ governor, proposalId, support }));
  }
  await advanceTo(1n + (await proposalDeadline(client, { governor, proposalId })));
}

/** What a dispute costs now. */
export const bondNow = async ({ chain, modelId }: Economy): Promise<bigint> =>
  (await bondOf(chain.client, { addresses: chain.addresses, modelId })).bond;

/** Opens a dispute and answers its vote. */
export async function openDispute(economy: Economy, disputer: Actor, { attestation }: Posted): Promise<bigint> {
  const { chain, modelId } = economy;
  const { addresses, send } = chain;
  const digest = structHash("Attestation", attestation);
  const bond = await bondNow(economy);
  const call = disputeRoot.call({ addresses, modelId, digest, evidence: keccak256(digest), bond });
  return disputeRoot.extractEvent(await send(disputer, call)).proposalId;
}

/** Disputes a root, has it voted on and settles it; answers how, as `disputeOutcome` numbers it. */
export async function dispute(
  economy: Economy,
  disputer: Actor,
  posted: Posted,
  ballots: readonly Ballot[],
): Promise<number> {
  const { chain, modelId } = economy;
  const { addresses, send } = chain;
  await poll(economy, await openDispute(economy, disputer, posted), ballots);
  const digest = structHash("Attestation", posted.attestation);
  const settled = settleDispute.extractEvent(await send(anybody, settleDispute.call({ addresses, modelId, digest })));
  if (!settled) throw new TypeError("the dispute was open");
  return settled.outcome;
}

/** Proposes calls, has them voted on and carried out. @throws GovernorUnexpectedProposalStateError where the vote does not pass */
export async function decide(
  economy: Economy,
  proposer: Actor,
  calls: readonly Pick<Call, "to" | "data">[],
  ballots: readonly Ballot[],
): Promise<void> {
  const { chain, governor } = economy;
  const { advanceTo, client, now, send } = chain;
  const proposing = propose.call({ governor, calls, description: `of ${now()}`, proposer: proposer.address });
  const proposal: Proposal = propose.extractEvent(await send(proposer, proposing));
  const proposalId = proposalIdOf(proposal);
  await poll(economy, proposalId, ballots);
  await send(anybody, queue.call({ governor, proposal }));
  await advanceTo(1n + (await proposalEta(client, { governor, proposalId })));
  await send(anybody, execute.call({ governor, proposal }));
}

/** A grant to an account, all of it due at once. */
export const grantOf = ({ chain, modelId }: Economy, author: Address, amount: bigint): Grant => ({
  modelId,
  author,
  repository: sha256(stringToHex(repository)),
  commit: keccak256(stringToHex(String(chain.now()))),
  description: zeroHash,
  amount,
  start: 1n,
  cliff: 0,
  duration: 0,
  setVersion: 0,
  deadline: BigInt(chain.now() + 60 * DAY),
});

/** The call that approves a grant by a vote. */
export const grantCall = ({ chain }: Economy, grant: Grant): Call =>
  approveGrantByVote.call({ grants: chain.grants, grant, repository });

/** The call that sends some of a token. */
export const transferCall = (token: Address, to: Address, amount: bigint) => ({
  to: token,
  data: encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [to, amount] }),
});

/** What some accounts have. */
export interface Holdings {
  /** In wei. */
  readonly shares: bigint;
  /** With what bonds and fees brought and nobody has fetched, and with stake, in wei. */
  readonly coins: bigint;
  /** In the token's smallest units. */
  readonly dollars: bigint;
}

/** What some accounts have together. */
export async function holdings({ chain, modelId, shares }: Economy, of: readonly Actor[]): Promise<Holdings> {
  const { addresses, client, stakes } = chain;
  let sum: Holdings = { shares: 0n, coins: 0n, dollars: 0n };
  for (const { address: account } of of) {
    const [held, credit, fees, stake, purse, dollars] = await Promise.all([
      balanceOf(client, { shares, account }),
      bondCreditOf(client, { addresses, account }),
      reporterFeesOf(client, { stakes, reporter: account }),
      stakeOf(client, { stakes, modelId, role: "validator", staker: account }),
      chain.coinsOf(account),
      balanceOf(client, { shares: chain.token, account }),
    ]);
    const coins = purse + credit + fees + stake.active + stake.leaving;
    sum = { shares: sum.shares + held, coins: sum.coins + coins, dollars: sum.dollars + dollars };
  }
  return sum;
}
