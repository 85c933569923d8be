/** A holder whose application is built on ethers v6: claim, delegate, propose, vote, queue, execute. */
import {
  BrowserProvider,
  Contract,
  type ContractTransactionResponse,
  type EventLog,
  FallbackProvider,
  Interface,
  NonceManager,
  VoidSigner,
  Wallet,
} from "ethers";
import { type Hex, toHex } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeRewardsAbi, errorsAbi, modelGovernorAbi, modelSharesAbi, runRegistryAbi } from "@cotrain/sdk/abis";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { fromEthersProvider, fromEthersSigner } from "@cotrain/sdk/ethers";
import { domainFor, type Join, recoverSigner, typedDataOf, zeroHash } from "@cotrain/sdk/protocol";
import { signMessage, signTypedData } from "viem/actions";
import { verifyMessage } from "viem";
import { alice, bob, createWorld, params, share, type World } from "./world.ts";

let world: World;
let provider: BrowserProvider;
let tree: Awaited<ReturnType<World["reward"]>>;

const walletOf = (account: typeof alice): Wallet => new Wallet(toHex(account.getHdKey().privateKey!), provider);

beforeAll(async () => {
  world = await createWorld();
  provider = new BrowserProvider({ request: (call) => world.request(call as never) }, undefined, {
    cacheTimeout: -1,
    pollingInterval: 10,
  });
  tree = await world.reward([
    { account: alice.address, amount: 300n * share },
    { account: bob.address, amount: 100n * share },
  ]);
});
afterAll(() => world.close());

/** An event's arguments from what ethers' `wait` gives. */
async function mined(sent: Promise<ContractTransactionResponse>, eventName: string) {
  const receipt = await (await sent).wait();
  const event = receipt?.logs.find((log): log is EventLog => "eventName" in log && log.eventName === eventName);
  return event?.args.toObject();
}

describe("the SDK's actions through ethers' signers", () => {
  it("carry one holder from the claim to the executed proposal", async () => {
    const { addresses, modelId, runId, shares, governor } = world;
    const client = await fromEthersSigner(walletOf(alice), { pollingInterval: 5 });
    const account = alice.address;

    const paid = await actions.claim.sync(client, {
      addresses,
      modelId,
      beneficiary: account,
      index: tree.index,
      ...tree.proofOf(account)!,
    });
    expect(paid.event).toMatchObject({ account, amount: 300n * share });
    await actions.delegate.sync(client, { shares, delegatee: account });
    expect(await actions.votesOf(client, { shares, account })).toBe(300n * share);

    const change = { ...params, innerSteps: 32 };
    const calls = [actions.setParams.call({ addresses, runId, replaces: 1, params: change })];
    const { event: proposal } = await actions.propose.sync(client, {
      governor,
      calls,
      description: "Half the inner steps",
    });
    expect(proposal.proposer).toBe(account);
    const { proposalId } = proposal;
    await world.advanceTo(1n + (await actions.proposalSnapshot(client, { governor, proposalId })));
    const vote = await actions.castVote.sync(client, { governor, proposalId, support: "for" });
    expect(vote.event.weight).toBe(300n * share);
    await expect(actions.castVote(client, { governor, proposalId, support: "for" })).rejects.toBeInstanceOf(
      errors.GovernorAlreadyCastVoteError,
    );
    await world.advanceTo(1n + (await actions.proposalDeadline(client, { governor, proposalId })));
    await actions.queue.sync(client, { governor, proposal });
    await world.advanceTo(await actions.proposalEta(client, { governor, proposalId }));
    const { receipt } = await actions.execute.sync(client, { governor, proposal });
    expect(actions.setParams.extractEvent(receipt)).toMatchObject({ version: 2, params: change });
    expect(await actions.currentParamsVersion(fromEthersProvider(provider), { addresses, runId })).toBe(2);
  });

  it("sign typed data and messages as the signer's account", async () => {
    const client = await fromEthersSigner(walletOf(alice));
    const join: Join = {
      runId: zeroHash,
      worker: alice.address,
      beneficiary: alice.address,
      lease: zeroHash,
      build: zeroHash,
      conformance: zeroHash,
      protocolMin: 1,
      protocolMax: 1,
      issuedAt: 2n ** 60n,
    };
    const domain = domainFor(31337, world.addresses.runRegistry);
    const signature = await signTypedData(client, typedDataOf(domain, "Join", join));
    expect(await recoverSigner(domain, "Join", join, signature)).toBe(alice.address.toLowerCase());
    const message = "Zwölf Boxkämpfer";
    const signed = await signMessage(client, { message });
    expect(await verifyMessage({ address: alice.address, message, signature: signed })).toBe(true);
  });

  it("work with a signer that keeps its own nonces", async () => {
    const client = await fromEthersSigner(new NonceManager(walletOf(bob)), { pollingInterval: 5 });
    const { shares } = world;
    await actions.delegate(client, { shares, delegatee: alice.address });
    const { event } = await actions.delegate.sync(client, { shares, delegatee: bob.address });
    expect(event.toDelegate).toBe(bob.address);
  });

  it("refuse, in one sentence, what cannot send", async () => {
    await expect(fromEthersSigner(new VoidSigner(alice.address))).rejects.toMatchObject({
      code: "PROVIDER_UNSUPPORTED",
      message: "The ethers signer has no provider; connect it to one.",
    });
    const own = new BrowserProvider({ request: (call) => world.request(call as never) });
    const fallback = new FallbackProvider([own]);
    expect(() => fromEthersProvider(fallback)).toThrow("The ethers provider does not speak JSON-RPC");
    await fallback.destroy();
  });
});

describe("ethers by itself, with the SDK's ABIs and calls", () => {
  it("carries another holder from the claim to the executed proposal", async () => {
    const { addresses, modelId, runId } = world;
    const signer = walletOf(bob);
    const rewards = new Contract(addresses.computeRewards, computeRewardsAbi, signer);
    const shares = new Contract(world.shares, modelSharesAbi, signer);
    const governor = new Contract(world.governor, modelGovernorAbi, signer);
    const runs = new Contract(addresses.runRegistry, runRegistryAbi, provider);

    const leaf = { index: tree.index, ...tree.proofOf(bob.address)! };
    const paid = await mined(rewards.getFunction("claim").send(modelId, 1, bob.address, leaf), "Claimed");
    expect(paid).toMatchObject({ account: bob.address, amount: 100n * share });
    await mined(shares.getFunction("delegate").send(bob.address), "DelegateChanged");
    expect(await shares.getFunction("getVotes").staticCall(bob.address)).toBe(100n * share);

    const before = await actions.currentParamsVersion(world.client, { addresses, runId });
    const setParams = actions.setParams.call({ addresses, runId, replaces: 2, params: { ...params, innerSteps: 16 } });
    const { targets, values, calldatas, description } = actions.proposalOf([setParams], "A quarter", bob.address);
    const created = await mined(
      governor.getFunction("propose").send(targets, values, calldatas, description),
      "ProposalCreated",
    );
    const proposal = { targets, values, calldatas, description };
    const proposalId = actions.proposalIdOf(proposal);
    expect(created?.["proposalId"]).toBe(proposalId);

    await world.advanceTo(1n + (await governor.getFunction("proposalSnapshot").staticCall(proposalId)));
    // A write's call is a transaction request that any ethers signer takes.
    const vote = actions.castVote.call({ governor: world.governor, proposalId, support: "for" });
    await (await signer.sendTransaction({ to: vote.to, data: vote.data })).wait();
    expect(await governor.getFunction("hasVoted").staticCall(proposalId, bob.address)).toBe(true);
    await world.advanceTo(1n + (await governor.getFunction("proposalDeadline").staticCall(proposalId)));
    const queued = actions.queue.call({ governor: world.governor, proposal });
    await (await signer.sendTransaction({ to: queued.to, data: queued.data })).wait();
    await world.advanceTo(await governor.getFunction("proposalEta").staticCall(proposalId));
    const executed = actions.execute.call({ governor: world.governor, proposal });
    await (await signer.sendTransaction({ to: executed.to, data: executed.data })).wait();

    const run = await runs.getFunction("runOf").staticCall(runId);
    expect(Number(run.version)).toBe(before + 1);
    const inForce = await runs.getFunction("paramsOf").staticCall(runId, run.version);
    expect(inForce.innerSteps).toBe(16n);
  });

  it("has its reverts decoded to the SDK's classes", async () => {
    const rewards = new Contract(world.addresses.computeRewards, computeRewardsAbi, walletOf(bob));
    const refused: unknown = await rewards
      .getFunction("claim")
      .send(world.modelId, 1, bob.address, { index: 9n, amount: 1n, proof: [] })
      .catch((error: unknown) => error);
    expect(errors.decodeError(refused)).toBeInstanceOf(errors.ComputeRewardsInvalidProofError);
  });

  it("reads the same errors from the merged ABI", () => {
    const merged = new Interface(errorsAbi);
    for (const item of errorsAbi) expect(merged.getError(item.name)?.selector).toMatch(/^0x[0-9a-f]{8}$/);
    const data = merged.encodeErrorResult("ComputeRewardsExpired", [1_700_000_000n]) as Hex;
    expect(errors.decodeRevertData(data)).toMatchObject({
      errorName: "ComputeRewardsExpired",
      message: "The attestation's deadline 2023-11-14T22:13:20.000Z has passed; validators must sign again.",
    });
  });
});
