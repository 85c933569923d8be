/**
 * The life of a model as its holders live it, by whichever client: it is created, three kinds of contribution are paid, a false root
 * is disputed and voided, a true one pays, the holders change the run and grant code, share what the model was paid and have the run go
 * back, from where it goes on, and a machine is rented. What else holders do is one more stage.
 */
import {
  checkpointRegistryAbi,
  computeEscrowAbi,
  computeRewardsAbi,
  emissionAbi,
  modelGovernorAbi,
  modelRegistryAbi,
  runRegistryAbi,
} from "@cotrain/sdk/abis";
import {
  activateRoot,
  allowCapital,
  allowEscrow,
  allowRevenue,
  approveGrantByVote,
  type Call,
  castVote,
  claim,
  claimCapital,
  claimGrant,
  closeEscrow,
  createModel,
  modelTermsHash,
  delegate,
  depositCapital,
  depositRevenue,
  disputeRoot,
  execute,
  openEscrow,
  postHead,
  postRoot,
  type Proposal,
  proposalOf,
  propose,
  queue,
  redeemVoucher,
  registerRun,
  rollback,
  setParams,
  settleDispute,
  settleSale,
  type VoteSupport,
  withdrawBonds,
  withdrawEscrow,
} from "@cotrain/sdk/actions";
import {
  asModelId,
  asRunId,
  type Attestation,
  defaultRunParams,
  type Grant,
  grantIdOf,
  type Hex,
  type ModelId,
  rewardKind,
  type RewardLeaf,
  type RunId,
  type RunParams,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { type Address, keccak256, sha256, stringToHex } from "viem";

import { profileFor } from "../../../deploy/deployment.ts";
import type { Hands } from "./hands.ts";
import type { ClientsNode, Holder } from "./node.ts";

const share = 10n ** 18n;
const dollars = 5_000_000n;
const GRANT = 7n * share;
/** What a rented machine earns, in test dollars' smallest units. */
export const EARNED = 2_000_000n;
/** What of the five dollars that a customer pays each holder gets. */
export const SHARED = [3_000_000n, 2_000_000n] as const;
/** Room for clients that take a second for each transaction, on a busy machine. */
const timing = { epochLength: 20, window: 30, postingDelay: 20 } as const;
const { model: settings } = profileFor("local", 31_337);
const repository = "https://example.org/model.git";
const hashOf = (label: string): Hex => keccak256(stringToHex(label));

const params: RunParams = { ...defaultRunParams, innerSteps: 64 };
const lowest: RunParams = { ...params, innerSteps: 4 };
const highest: RunParams = { ...params, innerSteps: 1_024 };
/** What the holders decide. */
export const decided: RunParams = { ...params, innerSteps: 32 };

const people = ["organiser", "alice", "bob", "buyer", "thief", "watcher", "customer"] as const;
type Person = (typeof people)[number];

interface Active {
  readonly index: number;
  readonly toEpoch: number;
  readonly root: Hex;
}

export interface Life {
  readonly node: ClientsNode;
  readonly hands: Hands;
  readonly of: Readonly<Record<Person, Holder>>;
  /** Ascending, as the contracts want it. */
  readonly validators: readonly Holder[];
  readonly salt: Hex;
  modelId: ModelId;
  runId: RunId;
  shares: Address;
  governor: Address;
  /** The newest active root of compute, and of revenue. */
  active: Active;
  shared: Active;
  /** Of the false root. */
  voided: Hex;
}

/** @param name tells the lives on one node apart */
export async function openLife(node: ClientsNode, hands: Hands, name: string): Promise<Life> {
  const funded = async (who: string): Promise<Holder> => node.funded(`${name}'s ${who}`);
  const of = {} as Record<Person, Holder>;
  // One after the other: the node's owner has one row of transactions.
  for (const person of people) of[person] = await funded(person);
  const validators: Holder[] = [];
  for (const i of [1, 2, 3]) validators.push(await funded(`validator ${i}`));
  validators.sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1));
  const nothing = { modelId: asModelId(zeroHash), runId: asRunId(zeroHash), voided: zeroHash } as const;
  const nobody = `0x${"00".repeat(20)}` as const;
  const none = { index: 0, toEpoch: 0, root: zeroHash as Hex };
  const named = { shares: nobody, governor: nobody } as const;
  return { node, hands, of, validators, salt: hashOf(name), ...nothing, ...named, active: none, shared: none };
}

const addressesOf = ({ node }: Life) => node.deployment.addresses;

/** One of the words of an answer, the first if not said. */
async function word(answer: Promise<readonly string[]>, at = 0): Promise<string> {
  const found = (await answer)[at];
  if (found === undefined) throw new TypeError(`an answer has a word at ${at}`);
  return found;
}

/** What the registry says of a model or its sender. */
const registered = (life: Life, functionName: string, args: readonly unknown[]): Promise<string> =>
  word(life.hands.ask(addressesOf(life).modelRegistry, modelRegistryAbi, functionName, args));
const emission = (life: Life, functionName: string, ...args: readonly unknown[]): Promise<string> =>
  word(life.hands.ask(addressesOf(life).emission, emissionAbi, functionName, [life.modelId, ...args]));

const nowOf = async ({ node }: Life): Promise<number> => Number((await node.client.getBlock()).timestamp);
const epochNow = async (life: Life): Promise<number> => Number(await emission(life, "epochOf", await nowOf(life)));
const endOf = async (life: Life, epoch: number): Promise<number> => Number(await emission(life, "epochEnd", epoch));

async function create(life: Life): Promise<void> {
  const { hands, of, salt, validators, node } = life;
  const { organiser } = of;
  const addresses = addressesOf(life);
  const token = node.deployment.testDollar;
  if (token === undefined) throw new TypeError("the local profile has test dollars");
  const config = {
    name: "A model",
    symbol: "MODEL",
    uri: "ipfs://terms",
    organiser: organiser.address,
    ...settings,
    ...timing,
    bootstrapMaxEpochs: 1_000_000,
    governor: { ...settings.governor, votingPeriod: 20 },
    validators: validators.map(({ address }) => address),
    threshold: 2,
    capital: { token, priceFloor: 10_000n, price: 20_000n, minimum: 1_000_000n },
  };
  await hands.send(organiser, createModel, { addresses, config, salt });
  life.modelId = asModelId(await registered(life, "modelIdOf", [organiser.address, salt, modelTermsHash(config)]));
  life.shares = (await registered(life, "sharesOf", [life.modelId])) as Address;
  life.governor = (await registered(life, "governorOf", [life.modelId])) as Address;

  const { modelId } = life;
  const run = { definition: hashOf("definition"), initialCheckpoint: hashOf("checkpoint 0"), fragments: 4 };
  const builds = [hashOf("build")];
  const runConfig = { ...run, poster: organiser.address, builds, params, min: lowest, max: highest };
  await hands.send(organiser, registerRun, { addresses, modelId, salt, config: runConfig });
  const { runRegistry } = addresses;
  life.runId = asRunId(await word(hands.ask(runRegistry, runRegistryAbi, "runIdOf", [modelId, salt])));
}

/** A round is trained and anchored; somebody buys shares of the same epoch. @returns the epoch */
async function contribute(life: Life): Promise<number> {
  const { hands, of, node, modelId, runId } = life;
  const addresses = addressesOf(life);
  const { capitalSale: sale, testDollar } = node.deployment;
  const token = testDollar!;
  const parentHead = (await word(
    hands.ask(addresses.checkpointRegistry, checkpointRegistryAbi, "headOf", [runId]),
  )) as Hex;
  const digests = { checkpointDigest: hashOf("checkpoint 1"), receiptsRoot: hashOf("receipts") };
  await hands.send(of.organiser, postHead, { addresses, runId, parentHead, round: 1n, paramsVersion: 1, ...digests });

  await node.mint(of.buyer.address, dollars);
  await hands.send(of.buyer, allowCapital, { token, sale, amount: dollars });
  // With an epoch before it, not at the last moment of one. A node that makes blocks for transactions alone has an old clock.
  await node.past(await nowOf(life));
  let epoch = await epochNow(life);
  if ((await endOf(life, epoch)) - (await nowOf(life)) < timing.epochLength / 2)
    await node.past(await endOf(life, epoch));
  epoch = await epochNow(life);
  const beneficiary = of.buyer.address;
  await hands.send(of.buyer, depositCapital, { sale, modelId, epoch: BigInt(epoch), beneficiary, amount: dollars });
  return epoch;
}

/**
 * Posts a root of all epochs that are over.
 * @param more.kind of `rewardKind`, compute if not said: a root of revenue is no run's
 * @returns what waits for its window, and how its leaves are claimed
 */
async function post(
  life: Life,
  leaves: readonly [RewardLeaf, RewardLeaf],
  { bond, kind = rewardKind.compute }: { readonly bond?: bigint; readonly kind?: number } = {},
) {
  const { hands, modelId, node, validators, of } = life;
  const [active, runId] = kind === rewardKind.compute ? [life.active, life.runId] : [life.shared, asRunId(zeroHash)];
  const addresses = addressesOf(life);
  await node.past(await endOf(life, Math.max(await epochNow(life), active.toEpoch + 1)));
  const to = (await epochNow(life)) - 1;
  const end = await endOf(life, to);
  const index = active.index + 1;
  const { root, total, proofs } = await hands.tree({ modelId, index, kind }, leaves);
  const late = Math.max(0, (await nowOf(life)) - end) + 120;
  const attestation: Attestation = {
    kind,
    modelId,
    index: BigInt(index),
    fromEpoch: BigInt(active.toEpoch + 1),
    toEpoch: BigInt(to),
    runId,
    head: zeroHash,
    epochDigest: hashOf(`epochs to ${to}`),
    previousRoot: active.root,
    root,
    total,
    setVersion: 1,
    blockNumber: 1n,
    blockHash: hashOf("block"),
    deadline: BigInt(end + timing.postingDelay * Math.ceil(late / timing.postingDelay)),
  };
  const signatures: Hex[] = [];
  for (const signer of validators.slice(0, 2))
    signatures.push(await hands.sign(signer, addresses.computeRewards, "Attestation", attestation));
  await hands.send(of.organiser, postRoot, { addresses, attestation, signatures, ...(bond !== undefined && { bond }) });
  const digest = (await word(
    hands.ask(addresses.computeRewards, computeRewardsAbi, "pending", [modelId, kind]),
  )) as Hex;
  return { attestation, digest, leaves, proofs, index };
}

/** Waits for a root's window and has its leaves paid. */
async function activate(life: Life, posted: Awaited<ReturnType<typeof post>>): Promise<void> {
  const { hands, node, modelId, of, shares } = life;
  const addresses = addressesOf(life);
  const { attestation, index, leaves, proofs } = posted;
  await node.past((await nowOf(life)) + timing.window);
  await hands.send(of.watcher, activateRoot, { addresses, attestation });
  life.active = { index, toEpoch: Number(attestation.toEpoch), root: attestation.root };
  for (const [i, holder] of [of.alice, of.bob].entries()) {
    const leaf = { index, amount: leaves[i]!.amount, proof: proofs[i]! };
    await hands.send(holder, claim, { addresses, modelId, beneficiary: holder.address, ...leaf });
    if (index === 1) await hands.send(holder, delegate, { shares, delegatee: holder.address });
  }
}

/** Two holders vote, and the vote ends. */
async function vote({ hands, node, of, governor }: Life, proposalId: bigint, support: VoteSupport): Promise<void> {
  const ask = async (functionName: string): Promise<bigint> =>
    BigInt(await word(hands.ask(governor, modelGovernorAbi, functionName, [proposalId])));
  await node.past(await ask("proposalSnapshot"));
  for (const holder of [of.alice, of.bob]) await hands.send(holder, castVote, { governor, proposalId, support });
  await node.past(await ask("proposalDeadline"));
}

/** The validators sign a root that pays somebody else; it is disputed, and the holders vote it down. */
async function dispute(life: Life): Promise<void> {
  const { hands, modelId, of } = life;
  const addresses = addressesOf(life);
  const { computeRewards } = addresses;
  const { digest } = await post(life, [
    { account: of.thief.address, amount: 600n * share },
    { account: of.organiser.address, amount: 50n * share },
  ]);
  const bond = BigInt(await word(hands.ask(computeRewards, computeRewardsAbi, "bondOf", [modelId, 1])));
  await hands.send(of.watcher, disputeRoot, { addresses, modelId, digest, evidence: hashOf("evidence"), bond });
  // The third word of a dispute is its vote.
  const proposalId = BigInt(await word(hands.ask(computeRewards, computeRewardsAbi, "disputeOf", [digest]), 2));
  await vote(life, proposalId, "against");
  await hands.send(of.watcher, settleDispute, { addresses, modelId, digest });
  await hands.send(of.watcher, withdrawBonds, { addresses, beneficiary: of.watcher.address });
  life.voided = digest;
}

/** The next root bears a bond and pays. */
async function payAfter(life: Life): Promise<void> {
  const { hands, modelId, of } = life;
  const { computeRewards } = addressesOf(life);
  const bond = BigInt(await word(hands.ask(computeRewards, computeRewardsAbi, "bondOf", [modelId, 1])));
  await activate(life, await post(life, leavesOf(life, 30n, 10n), { bond }));
  await hands.send(of.organiser, withdrawBonds, { addresses: addressesOf(life), beneficiary: of.organiser.address });
}

const leavesOf = ({ of }: Life, alice: bigint, bob: bigint): [RewardLeaf, RewardLeaf] => [
  { account: of.alice.address, amount: alice * share },
  { account: of.bob.address, amount: bob * share },
];

/** Alice proposes it, the holders accept it, and anybody carries it out. */
async function decide(life: Life, calls: readonly Call[], description: string): Promise<void> {
  const { hands, node, of, governor } = life;
  const proposer = of.alice.address;
  await hands.send(of.alice, propose, { governor, calls, description, proposer });
  const proposal: Proposal = proposalOf(calls, description, proposer);
  const content = [proposal.targets, proposal.values, proposal.calldatas, hashOf(proposal.description)];
  const proposalId = BigInt(await word(hands.ask(governor, modelGovernorAbi, "getProposalId", content)));
  await vote(life, proposalId, "for");
  await hands.send(of.watcher, queue, { governor, proposal });
  await node.past(BigInt(await word(hands.ask(governor, modelGovernorAbi, "proposalEta", [proposalId]))));
  await hands.send(of.watcher, execute, { governor, proposal });
}

/** The holders set parameters and grant a commit, by one proposal. */
async function govern(life: Life): Promise<void> {
  const { hands, node, of, modelId, runId } = life;
  const { codeGrants: grants } = node.deployment;
  const now = BigInt(await nowOf(life));
  const grant: Grant = {
    modelId,
    author: of.bob.address,
    repository: sha256(stringToHex(repository)),
    commit: hashOf("commit"),
    description: sha256(stringToHex("What it does.")),
    amount: GRANT,
    start: now,
    cliff: 0,
    duration: 0,
    setVersion: 0,
    deadline: now + 86_400n,
  };
  const calls: Call[] = [
    setParams.call({ addresses: addressesOf(life), runId, replaces: 1, params: decided }),
    approveGrantByVote.call({ grants, grant, repository }),
  ];
  await decide(life, calls, "Half the inner steps, and seven shares for a commit");
  await hands.send(of.watcher, claimGrant, { grants, modelId, id: grantIdOf(grant) });
}

/** A customer pays the model five dollars. */
async function earn({ hands, node, of, modelId }: Life): Promise<void> {
  const { revenueDeposits: revenue, testDollar } = node.deployment;
  const { customer } = of;
  await node.mint(customer.address, dollars);
  await hands.send(customer, allowRevenue, { token: testDollar!, revenue, amount: dollars });
  await hands.send(customer, depositRevenue, { revenue, modelId, amount: dollars });
}

/** The validators sign how it is shared; its window passes while the holders have the run go back. */
async function shareAndGoBack(life: Life): Promise<void> {
  const { hands, node, of, modelId } = life;
  const addresses = addressesOf(life);
  const kind = rewardKind.revenue;
  const leaves = [
    { account: of.alice.address, amount: SHARED[0] },
    { account: of.bob.address, amount: SHARED[1] },
  ] as const;
  const { attestation, index, proofs } = await post(life, leaves, { kind });
  const posted = await nowOf(life);
  await goBack(life);
  await node.past(posted + timing.window);
  await hands.send(of.watcher, activateRoot, { addresses, attestation });
  life.shared = { index, toEpoch: Number(attestation.toEpoch), root: attestation.root };
  for (const [i, { account, amount }] of leaves.entries())
    await hands.send(of.watcher, claim, {
      addresses,
      modelId,
      kind,
      beneficiary: account,
      index,
      amount,
      proof: proofs[i]!,
    });
}

/** The holders take the run back to its first checkpoint, and its next round is trained anew. */
async function goBack(life: Life): Promise<void> {
  const { hands, of, runId } = life;
  const addresses = addressesOf(life);
  const headNow = async (): Promise<Hex> =>
    (await word(hands.ask(addresses.checkpointRegistry, checkpointRegistryAbi, "headOf", [runId]))) as Hex;
  const call = rollback.call({
    addresses,
    runId,
    currentHead: await headNow(),
    round: 0n,
    checkpointDigest: hashOf("checkpoint 0"),
  });
  await decide(life, [call], "Back to the first checkpoint");
  await hands.send(of.organiser, postHead, {
    addresses,
    runId,
    parentHead: await headNow(),
    round: 1n,
    paramsVersion: 2,
    checkpointDigest: hashOf("checkpoint 1, trained anew"),
    receiptsRoot: hashOf("receipts of round 1, trained anew"),
  });
}

/** Shares that were bought are settled and fetched. */
async function fetchBought(life: Life, epoch: number): Promise<void> {
  const { hands, node, of, modelId } = life;
  const { capitalSale: sale } = node.deployment;
  await node.past(await endOf(life, epoch));
  await hands.send(of.watcher, settleSale, { sale, modelId });
  await hands.send(of.buyer, claimCapital, { sale, modelId, epoch: BigInt(epoch), beneficiary: of.buyer.address });
}

/** The organiser rents a machine of the watcher's, whose vouchers Alice signs: two of five dollars are earned, the rest comes back. */
async function rent(life: Life): Promise<void> {
  const { hands, node, of, salt } = life;
  const { computeEscrow: escrow, testDollar } = node.deployment;
  const token = testDollar!;
  const [renter, provider, machine, signer] = [of.organiser, of.watcher, of.thief, of.alice].map(
    ({ address }) => address,
  ) as [Address, Address, Address, Address];
  const terms = { renter, provider, machine, signer, token, notice: 1, salt };
  await node.mint(renter, dollars);
  await hands.send(of.organiser, allowEscrow, { escrow, token, amount: dollars });
  await hands.send(of.organiser, openEscrow, { escrow, terms, amount: dollars });
  const leaseId = (await word(hands.ask(escrow, computeEscrowAbi, "leaseIdOf", [terms]))) as Hex;
  for (const cumulative of [1_000_000n, EARNED]) {
    const voucher = { leaseId, cumulative, through: 1_800_000_000n };
    const signature = await hands.sign(of.alice, escrow, "Voucher", voucher);
    await hands.send(of.watcher, redeemVoucher, { escrow, terms, voucher, signature });
  }
  await hands.send(of.organiser, closeEscrow, { escrow, terms });
  await node.past((await nowOf(life)) + 1);
  await hands.send(of.watcher, withdrawEscrow, { escrow, terms });
}

/** All of it, stage by stage. */
export async function live(life: Life): Promise<void> {
  await create(life);
  const bought = await contribute(life);
  await activate(life, await post(life, leavesOf(life, 300n, 100n)));
  await fetchBought(life, bought);
  await dispute(life);
  await payAfter(life);
  await earn(life);
  await govern(life);
  await shareAndGoBack(life);
  await rent(life);
}
