import { createClient, custom } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  type ClaimTo,
  domainFor,
  headHash,
  modelContractsAt,
  modelIdOf,
  rewardTree,
  runIdOf,
  typedDataOf,
  zeroHash,
  structHash,
} from "@cotrain/sdk/protocol";
import { accept, holders, isolated } from "./holders.ts";
import {
  alice,
  bob,
  createWorld,
  hashOf,
  modelConfig,
  organiser,
  params,
  poster,
  runConfig,
  share,
  stranger,
  type World,
} from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const head = (round: bigint, parentHead: `0x${string}`) => ({
  addresses: world.addresses,
  runId: world.runId,
  parentHead,
  round,
  paramsVersion: 1,
  checkpointDigest: hashOf(`checkpoint ${round}`),
  receiptsRoot: hashOf(`receipts ${round}`),
});

describe("a model", () => {
  it("has the id that was known before, its three contracts and its clock", async () => {
    const { client, addresses, modelId } = world;
    const args = { addresses, modelId };
    const terms = actions.modelTermsHash(world.createdFrom);
    expect(modelId).toBe(modelIdOf(31337n, addresses.modelRegistry, organiser.address, zeroHash, terms));
    const { modelShares: shares, modelGovernor: governor, modelTimelock: timelock } = world.implementations;
    expect(modelContractsAt(addresses.modelRegistry, { shares, governor, timelock }, modelId)).toEqual({
      shares: asAddress(world.shares),
      governor: asAddress(world.governor),
      timelock: asAddress(world.timelock),
    });
    expect(await actions.organiserOf(client, args)).toBe(organiser.address);
    expect(await actions.scheduleOf(client, args)).toMatchObject({ epochLength: modelConfig.epochLength, window: 4 });
    expect(await actions.timelockOf(client, args)).toBe(world.timelock);
    expect(await actions.governorSettings(client, { governor: world.governor })).toEqual({
      votingDelay: 1n,
      votingPeriod: 6n,
      lateQuorumVoteExtension: 2n,
      timelockDelay: 3n,
      proposalThreshold: share,
      // A tenth of the shares that there are: none yet.
      maxProposalThreshold: 0n,
      quorumBps: 1_000n,
      quorumFloor: share,
      // Thirty days less epoch, posting delay and window.
      maxVoteLength: 2_592_000n - 16n - 12n - 4n,
    });
    const [minimum, maximum] = await actions.settingLimits(client, { addresses });
    expect(minimum.window).toBeLessThan(maximum.window);
  });

  it("cannot be made twice", async () => {
    const { clientOf, addresses, modelId, createdFrom } = world;
    const again = actions.createModel(clientOf(organiser), { addresses, config: createdFrom, salt: zeroHash });
    await expect(again).rejects.toBeInstanceOf(errors.ModelRegistryModelExistsError);
    await expect(again).rejects.toMatchObject({ code: "MODEL_REGISTRY_MODEL_EXISTS", args: [modelId] });
  });

  it("has validators and budgets", async () => {
    const { client, addresses, modelId } = world;
    expect(await actions.currentSetVersion(client, { addresses, modelId })).toBe(1);
    expect(await actions.newestSetVersion(client, { addresses, modelId })).toBe(1);
    expect(await actions.setOf(client, { addresses, modelId })).toMatchObject({
      version: 1,
      validators: modelConfig.validators,
      threshold: 2,
    });
    await expect(actions.setOf(client, { addresses, modelId, version: 9 })).rejects.toBeInstanceOf(
      errors.ValidatorSetUnknownVersionError,
    );
    expect(await actions.budgetOf(client, { addresses, modelId, epoch: 1n })).toMatchObject({
      perEpoch: modelConfig.epochBudget,
      computeBps: 7_000,
    });
    expect(await actions.authorisedThrough(client, { addresses, modelId, kind: 1 })).toBe(0n);
    expect(await actions.yearlyCapOf(client, { addresses, modelId })).toBe(modelConfig.yearlyCap);
    const at = await world.now();
    expect(await actions.authorisable(client, { addresses, modelId, kind: 1, from: 1n, to: 1n, asOf: at })).toBe(
      (modelConfig.epochBudget * 7_000n) / 10_000n,
    );
  });
});

describe("a run", () => {
  it("is registered with its parameters and checkpoint 0", async () => {
    const { client, addresses, runId, modelId } = world;
    const args = { addresses, runId };
    expect(runId).toBe(runIdOf(31337n, addresses.runRegistry, modelId, zeroHash));
    expect(await actions.runOf(client, args)).toEqual({
      modelId,
      salt: zeroHash,
      definition: runConfig.definition,
      poster: poster.address,
      status: 0,
      fragments: 4,
      version: 1,
    });
    expect(await actions.currentParamsVersion(client, args)).toBe(1);
    expect(await actions.paramsOf(client, { ...args, version: 1 })).toEqual(params);
    expect(await actions.boundsOf(client, args)).toEqual({ min: runConfig.min, max: runConfig.max });
    expect(await actions.versionAt(client, { ...args, timestamp: 1 })).toBe(0);
    expect(await actions.versionAt(client, { ...args, timestamp: await world.now() })).toBe(1);
    expect(await actions.isAdmitted(client, { ...args, build: hashOf("build") })).toBe(true);
    expect(await actions.isAdmitted(client, { ...args, build: hashOf("another") })).toBe(false);
    expect(await actions.openRunOf(client, { addresses, modelId })).toBe(runId);
    expect(await actions.runCountOf(client, { addresses, modelId })).toBe(1);
    await expect(actions.runOf(client, { addresses, runId: zeroHash })).rejects.toBeInstanceOf(
      errors.RunRegistryUnknownRunError,
    );
  });

  it("is a hash chain that recomputes: simulate, write, extractEvent, and the same again", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId } = world;
      const first = await actions.headOf(client, { addresses, runId });
      const zero = {
        chainId: 31337n,
        registry: addresses.checkpointRegistry,
        parentHead: zeroHash,
        runId,
        sequence: 0n,
        round: 0n,
        paramsVersion: 1,
        checkpointDigest: runConfig.initialCheckpoint as typeof zeroHash,
        receiptsRoot: zeroHash,
      };
      expect(first).toEqual({ head: headHash(zero), sequence: 0n, round: 0n });

      const link = head(1n, first.head);
      const { result } = await actions.postHead.simulate(clientOf(poster), link);
      const { event, receipt } = await actions.postHead.sync(clientOf(poster), link);
      const expected = headHash({
        ...zero,
        ...link,
        parentHead: first.head,
        sequence: 1n,
        checkpointDigest: link.checkpointDigest as typeof zeroHash,
      });
      expect(event).toMatchObject({ head: expected, sequence: 1n, round: 1n });
      expect(result).toBe(expected);
      expect(actions.postHead.extractEvent(receipt)).toEqual(event);
      expect(await actions.headOf(client, { addresses, runId })).toEqual({ head: expected, sequence: 1n, round: 1n });

      const again = await actions.postHead.sync(clientOf(poster), link);
      expect(again.event).toBeUndefined();
    });
  });

  it("takes several links at once, passes over those that are there, and tells what was added", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId } = world;
      const { head: parentHead } = await actions.headOf(client, { addresses, runId });
      const { event: first } = await actions.postHead.sync(clientOf(poster), head(1n, parentHead));
      const { addresses: _, runId: __, parentHead: ___, round, ...one } = head(1n, parentHead);
      const batch = { addresses, runId, parentHead, round, heads: [one, one, { ...one, receiptsRoot: hashOf("3") }] };
      const { result } = await actions.postHeads.simulate(clientOf(poster), batch);
      const { event } = await actions.postHeads.sync(clientOf(poster), batch);
      expect(event.map((each) => [each.sequence, each.round, each.receiptsRoot])).toEqual([
        [2n, 2n, one.receiptsRoot],
        [3n, 3n, hashOf("3")],
      ]);
      expect(event[0]!.parentHead).toBe(first!.head);
      expect(event[1]!.head).toBe(result);
      expect(await actions.headOf(client, { addresses, runId })).toEqual({ head: result, sequence: 3n, round: 3n });
      expect((await actions.postHeads.sync(clientOf(poster), batch)).event).toEqual([]);
    });
  });

  it("refuses a stranger, an old round and a stale parent, each with its own error", async () => {
    const { client, clientOf, addresses, runId } = world;
    const { head: parent } = await actions.headOf(client, { addresses, runId });
    await expect(actions.postHead(clientOf(stranger), head(1n, parent))).rejects.toBeInstanceOf(
      errors.CheckpointRegistryNotPosterError,
    );
    await expect(actions.postHead(clientOf(poster), head(0n, parent))).rejects.toBeInstanceOf(
      errors.CheckpointRegistryRoundNotNextError,
    );
    await expect(actions.postHead.simulate(clientOf(poster), head(1n, hashOf("x")))).rejects.toBeInstanceOf(
      errors.CheckpointRegistryStaleParentError,
    );
  });

  it("explains a transaction that was mined and reverted", async () => {
    const { clientOf, addresses, runId, modelId } = world;
    const sent = actions.setStatus.sync(clientOf(stranger), { addresses, runId, status: 1, gas: 200_000n });
    await expect(sent).rejects.toBeInstanceOf(errors.TransactionRevertedError);
    await expect(sent).rejects.toMatchObject({
      cause: { errorName: "ModelAuthorityUnauthorized", args: [modelId, stranger.address] },
    });
  });

  it("has setters that only the timelock may use", async () => {
    const { clientOf, addresses, runId, modelId } = world;
    const client = clientOf(stranger);
    const refused = errors.ModelAuthorityUnauthorizedError;
    const base = { addresses, runId };
    await expect(actions.setParams(client, { ...base, replaces: 1, params })).rejects.toBeInstanceOf(refused);
    await expect(actions.setPoster(client, { ...base, poster: stranger.address })).rejects.toBeInstanceOf(refused);
    const build = hashOf("another");
    await expect(actions.admitBuild(client, { ...base, build, admitted: true })).rejects.toBeInstanceOf(refused);
    await expect(
      actions.setBudget(client, { addresses, modelId, replaces: 1, perEpoch: 1n, bps: [10_000, 0, 0, 0] }),
    ).rejects.toBeInstanceOf(refused);
    await expect(
      actions.setValidators(client, {
        addresses,
        modelId,
        replaces: 1,
        validators: modelConfig.validators,
        threshold: 2,
      }),
    ).rejects.toBeInstanceOf(refused);
    await expect(
      actions.registerRun(client, { addresses, modelId, salt: hashOf("second"), config: runConfig }),
    ).rejects.toBeInstanceOf(errors.ContractError);
  });
});

describe("rewards", () => {
  const leaves = [
    { account: alice.address, amount: 300n * share },
    { account: bob.address, amount: 100n * share },
  ];

  it("are posted by a quorum, activated after the window and claimed once", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, modelId, shares } = world;
      const { attestation, signatures } = await world.attest(leaves);
      const anyone = clientOf(stranger);
      await expect(
        actions.postRoot(anyone, { addresses, attestation, signatures: signatures.slice(0, 1) }),
      ).rejects.toBeInstanceOf(errors.ValidatorSetNoQuorumError);
      await expect(
        actions.postRoot(anyone, { addresses, attestation, signatures: signatures.toReversed() }),
      ).rejects.toBeInstanceOf(errors.ValidatorSetBadSignerError);
      await expect(actions.activateRoot(anyone, { addresses, attestation })).rejects.toBeInstanceOf(
        errors.ComputeRewardsNothingPendingError,
      );
      expect(await actions.pendingRoot(client, { addresses, modelId })).toBeUndefined();

      const posted = await actions.postRoot.sync(anyone, { addresses, attestation, signatures });
      expect(posted.event).toMatchObject({ modelId, kind: 1, index: 1n, attestation: { root: attestation.root } });
      expect(await actions.pendingRoot(client, { addresses, modelId })).toMatchObject({
        digest: structHash("Attestation", attestation),
        index: 1,
        fromEpoch: 1,
        toEpoch: Number(attestation.toEpoch),
      });
      const early = actions.activateRoot(anyone, { addresses, attestation });
      await expect(early).rejects.toBeInstanceOf(errors.ComputeRewardsWindowOpenError);
      await expect(early).rejects.toMatchObject({ retryable: true });

      await world.advanceTo(posted.event.activatableAt);
      const activated = await actions.activateRoot.sync(anyone, { addresses, attestation });
      expect(activated.event).toMatchObject({ root: attestation.root, total: 400n * share });
      expect(await actions.activeRoot(client, { addresses, modelId })).toEqual({
        root: attestation.root,
        total: 400n * share,
        paid: 0n,
        index: 1,
        toEpoch: Number(attestation.toEpoch),
      });
      expect(await actions.activeRoot(client, { addresses, modelId, kind: 2 })).toBeUndefined();
      expect(await actions.rootAt(client, { addresses, modelId, index: 2 })).toBeUndefined();

      const tree = rewardTree({ modelId, index: 1 }, leaves);
      const entry = tree.proofOf(alice.address)!;
      const item = { modelId, beneficiary: alice.address, index: 1, ...entry };
      await expect(actions.claim(anyone, { addresses, ...item, amount: entry.amount + 1n })).rejects.toBeInstanceOf(
        errors.ComputeRewardsInvalidProofError,
      );
      expect((await actions.claim.simulate(anyone, { addresses, ...item })).result).toBe(300n * share);
      const paid = await actions.claim.sync(anyone, { addresses, ...item });
      expect(paid.event).toMatchObject({ account: alice.address, amount: 300n * share });
      expect((await actions.claim.sync(anyone, { addresses, ...item })).event).toBeUndefined();

      const of = (account: Address) => [{ index: 1, ...tree.proofOf(account)! }];
      const unpaid = (account: Address) =>
        actions.unpaidLeaves(client, { addresses, modelId, account, leaves: of(account) });
      expect([await unpaid(alice.address), await unpaid(bob.address)]).toEqual([[], of(bob.address)]);
      const claims = [alice, bob].map(({ address }) => ({ modelId, beneficiary: address, leaves: of(address) }));
      expect((await actions.claimMany.simulate(anyone, { addresses, claims })).result).toEqual([0n, 100n * share]);
      const both = await actions.claimMany.sync(anyone, { addresses, claims });
      expect(both.event).toMatchObject([{ account: bob.address, amount: 100n * share, roots: [1n] }]);
      expect(await unpaid(bob.address)).toEqual([]);
      expect(await actions.rootAt(client, { addresses, modelId, index: 1 })).toMatchObject({ paid: 400n * share });
      expect(await actions.balanceOf(client, { shares, account: alice.address })).toBe(300n * share);
      expect(await actions.totalSupply(client, { shares })).toBe(400n * share);
    });
  });

  it("are paid to whom the account names, until it revokes what it signed", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, modelId, shares } = world;
      const first = await world.reward(leaves);
      const second = await world.reward(leaves);
      const of = (trees: readonly (typeof first)[]) =>
        trees.map((tree) => ({ index: tree.index, ...tree.proofOf(alice.address)! }));
      const account = alice.address;
      const order: ClaimTo = {
        modelId,
        kind: 1,
        account,
        to: `0x${"c0".repeat(20)}`,
        nonce: await actions.claimNonce(client, { addresses, account }),
        deadline: BigInt((await world.now()) + 1_000),
      };
      const signature = await alice.signTypedData(
        typedDataOf(domainFor(31337, addresses.computeRewards), "ClaimTo", order),
      );
      const anyone = clientOf(stranger);
      const paid = await actions.claimTo.sync(anyone, { addresses, order, leaves: of([first]), signature });
      expect(paid.event).toMatchObject({ account, amount: 300n * share });
      expect(await actions.balanceOf(client, { shares, account: order.to })).toBe(300n * share);
      const forged = { addresses, order: { ...order, to: stranger.address }, leaves: of([second]), signature };
      await expect(actions.claimTo(anyone, forged)).rejects.toBeInstanceOf(errors.ComputeRewardsOrderNotSignedError);
      expect((await actions.revokeClaimTo.sync(clientOf(alice), { addresses })).event).toMatchObject({ nonce: 1n });
      await expect(
        actions.claimTo(anyone, { addresses, order, leaves: of([second]), signature }),
      ).rejects.toBeInstanceOf(errors.ComputeRewardsOrderRevokedError);
    });
  });

  it("cannot be signed for an epoch that is not over", async () => {
    await isolated(world, async () => {
      const { clientOf, addresses } = world;
      const { attestation, signatures } = await world.attest(leaves);
      const next = { ...attestation, toEpoch: attestation.toEpoch + 5n, deadline: attestation.deadline + 80n };
      await expect(
        actions.postRoot(clientOf(stranger), { addresses, attestation: next, signatures }),
      ).rejects.toMatchObject({ code: "COMPUTE_REWARDS_EPOCH_NOT_OVER", retryable: true });
    });
  });
});

describe("governance", () => {
  const change = { ...params, innerSteps: 128 };

  it("changes a run parameter: delegate, propose, vote, queue, execute", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId, shares, governor, timelock } = world;
      await holders(world);
      expect(await actions.votesOf(client, { shares, account: alice.address })).toBe(300n * share);
      expect(await actions.delegateOf(client, { shares, account: bob.address })).toBe(bob.address);

      const calls = [actions.setParams.call({ addresses, runId, replaces: 1, params: change })];
      const description = "Twice the inner steps";
      await expect(actions.propose(clientOf(stranger), { governor, calls, description })).rejects.toBeInstanceOf(
        errors.GovernorInsufficientProposerVotesError,
      );

      const proposed = await actions.propose.sync(clientOf(alice), { governor, calls, description });
      const { proposalId } = proposed.event;
      const proposal = actions.proposalOf(calls, description, alice.address);
      expect(proposal.description).toBe(`${description} #proposer=${alice.address.toLowerCase()}`);
      expect(actions.proposalIdOf(proposal)).toBe(proposalId);
      expect(await actions.proposalProposer(client, { governor, proposalId })).toBe(alice.address);
      // A front-runner cannot make alice's proposal its own.
      await expect(
        actions.propose(clientOf(bob), { governor, calls, description, proposer: alice.address }),
      ).rejects.toBeInstanceOf(errors.GovernorRestrictedProposerError);
      await expect(actions.propose(clientOf(alice), { governor, calls, description })).rejects.toBeInstanceOf(
        errors.GovernorUnexpectedProposalStateError,
      );

      expect(await actions.proposalState(client, { governor, proposalId })).toBe("pending");
      const snapshot = await actions.proposalSnapshot(client, { governor, proposalId });
      await world.advanceTo(snapshot + 1n);
      expect(await actions.proposalState(client, { governor, proposalId })).toBe("active");
      const vote = { governor, proposalId, support: "for" } as const;
      const cast = await actions.castVote.sync(clientOf(alice), { ...vote, reason: "It trains better" });
      expect(cast.event).toMatchObject({ voter: alice.address, weight: 300n * share, reason: "It trains better" });
      await expect(actions.castVote(clientOf(alice), vote)).rejects.toBeInstanceOf(errors.GovernorAlreadyCastVoteError);
      await actions.castVote.sync(clientOf(bob), { ...vote, support: "against" });
      expect(await actions.proposalVotes(client, { governor, proposalId })).toEqual({
        for: 300n * share,
        against: 100n * share,
        abstain: 0n,
      });
      expect(await actions.hasVoted(client, { governor, proposalId, account: bob.address })).toBe(true);
      expect(await actions.quorumAt(client, { governor, timepoint: snapshot })).toBe(40n * share);

      await expect(actions.queue(clientOf(stranger), { governor, proposal })).rejects.toMatchObject({
        message: `Proposal ${proposalId} is active; it must be succeeded.`,
      });
      await world.advanceTo((await actions.proposalDeadline(client, { governor, proposalId })) + 1n);
      expect(await actions.proposalState(client, { governor, proposalId })).toBe("succeeded");
      const queued = await actions.queue.sync(clientOf(stranger), { governor, proposal });
      expect(queued.event.proposalId).toBe(proposalId);
      await expect(actions.execute(clientOf(stranger), { governor, proposal })).rejects.toBeInstanceOf(
        errors.TimelockUnexpectedOperationStateError,
      );
      await world.advanceTo(await actions.proposalEta(client, { governor, proposalId }));
      const { event, receipt } = await actions.execute.sync(clientOf(stranger), { governor, proposal: proposed.event });
      expect(event.proposalId).toBe(proposalId);
      expect(actions.setParams.extractEvent(receipt)).toMatchObject({ runId, version: 2, params: change });
      expect(await actions.proposalState(client, { governor, proposalId })).toBe("executed");
      expect(await actions.currentParamsVersion(client, { addresses, runId })).toBe(2);
      expect(await actions.paramsOf(client, { addresses, runId, version: 2 })).toEqual(change);
      expect(timelock).not.toBe(governor);

      const from = 0n;
      const made = await actions.getAllLogs(client, actions.proposalCreated({ governor }), { from });
      expect(made.logs.map((log) => log.args.description)).toEqual([proposal.description]);
      const votes = await actions.getAllLogs(client, actions.voteCast({ governor, voter: bob.address }), { from });
      expect(votes.logs.map((log) => [log.args.support, log.args.weight])).toEqual([[0, 100n * share]]);
      for (const query of [actions.proposalQueued({ governor }), actions.proposalExecuted({ governor })]) {
        const { logs } = await actions.getAllLogs(client, query, { from });
        expect(logs.map((log) => log.args.proposalId)).toEqual([proposalId]);
      }
      expect((await actions.getAllLogs(client, actions.proposalCanceled({ governor }), { from })).logs).toEqual([]);
      const ofModel = { addresses, modelId: world.modelId };
      const posted = await actions.getAllLogs(client, actions.rootPosted(ofModel), { from });
      const activated = await actions.getAllLogs(client, actions.rootActivated(ofModel), { from });
      expect(activated.logs.map((log) => log.args.root)).toEqual(posted.logs.map((log) => log.args.attestation.root));
      const claims = await actions.getAllLogs(client, actions.rewardClaimed({ ...ofModel, account: bob.address }), {
        from,
      });
      expect(claims.logs.map((log) => log.args.amount)).toEqual([100n * share]);
    });
  });

  it("shows the reason deep inside: a change out of bounds fails in timelock and governor with the registry's error", async () => {
    await isolated(world, async () => {
      const { clientOf, addresses, runId, governor } = world;
      await holders(world);
      const bad = { ...params, innerSteps: 2_048 };
      const proposal = await accept(
        world,
        [actions.setParams.call({ addresses, runId, replaces: 1, params: bad })],
        "Too many",
      );
      const executed = actions.execute(clientOf(stranger), { governor, proposal });
      await expect(executed).rejects.toBeInstanceOf(errors.RunRegistryParamOutOfBoundsError);
      await expect(executed).rejects.toThrow("The run parameter innerSteps is 2048; it must lie from 4 to 1024.");
    });
  });

  it("can be withdrawn by the proposer before voting begins", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId, governor } = world;
      await holders(world);
      const calls = [actions.setStatus.call({ addresses, runId, status: 1 })];
      const { event } = await actions.propose.sync(clientOf(alice), { governor, calls, description: "Pause" });
      await expect(actions.cancel(clientOf(bob), { governor, proposal: event })).rejects.toBeInstanceOf(
        errors.GovernorUnableToCancelError,
      );
      await actions.cancel.sync(clientOf(alice), { governor, proposal: event });
      expect(await actions.proposalState(client, { governor, proposalId: event.proposalId })).toBe("canceled");
    });
  });

  it("knows no proposal that was never made", async () => {
    const { client, governor } = world;
    await expect(actions.proposalState(client, { governor, proposalId: 1n })).rejects.toBeInstanceOf(
      errors.GovernorNonexistentProposalError,
    );
  });

  it("needs to know the proposer of a proposal", () => {
    expect(() => actions.propose.call({ governor: world.governor, calls: [], description: "" })).toThrow(
      errors.AccountMissingError,
    );
  });
});

describe("events", () => {
  it("are read page by page, not before they are confirmed, and on from the cursor", async () => {
    await isolated(world, async () => {
      const { client, clientOf, addresses, runId, blocks } = world;
      const query = actions.headPosted({ addresses, runId });
      const from = BigInt(blocks.checkpointRegistry);
      const { head: first } = await actions.headOf(client, { addresses, runId });
      const { result: second } = await actions.postHead.simulate(clientOf(poster), head(1n, first));
      await actions.postHead.sync(clientOf(poster), head(1n, first));

      const all = await actions.getAllLogs(client, query, { from, range: 1 });
      expect(all.logs.map((log) => log.args.sequence)).toEqual([0n, 1n]);

      const confirmed = await actions.getAllLogs(client, query, { from, confirmations: 1 });
      expect(confirmed.logs.map((log) => log.args.sequence)).toEqual([0n]);
      await actions.postHead.sync(clientOf(poster), head(2n, second));
      const next = await actions.getLogPage(client, query, { from: confirmed.cursor, confirmations: 1 });
      expect(next.logs.map((log) => log.args.head)).toEqual([second]);
      expect(next.done).toBe(true);
      const rest = await actions.getLogPage(client, query, { from: next.cursor });
      expect(rest.logs.map((log) => log.args.round)).toEqual([2n]);
      const none = await actions.getLogPage(client, query, { from: rest.cursor });
      expect(none).toEqual({ logs: [], cursor: rest.cursor, done: true });

      const bounded = await actions.getAllLogs(client, query, { from, to: confirmed.cursor.next - 1n });
      expect(bounded.logs.length).toBe(1);
    });
  });

  it("notice that the chain lost the cursor's block", async () => {
    const { client, clientOf, addresses, runId, blocks } = world;
    const query = actions.headPosted({ addresses, runId });
    const from = BigInt(blocks.checkpointRegistry);
    const { head: first } = await actions.headOf(client, { addresses, runId });
    let cursor: actions.LogCursor | undefined;
    await isolated(world, async () => {
      await actions.postHead.sync(clientOf(poster), head(1n, first));
      ({ cursor } = await actions.getAllLogs(client, query, { from }));
    });
    await isolated(world, async () => {
      const lost = actions.getLogPage(client, query, { from: cursor! });
      await expect(lost).rejects.toMatchObject({ code: "CHAIN_REORGANISED", retryable: true });
      await actions.postHead.sync(clientOf(poster), { ...head(1n, first), receiptsRoot: hashOf("others") });
      await expect(actions.getLogPage(client, query, { from: cursor! })).rejects.toBeInstanceOf(
        errors.ChainReorganisedError,
      );
    });
  });

  it("are found for models, runs and validators", async () => {
    const { client, addresses, modelId, runId } = world;
    const from = 0n;
    const created = await actions.getAllLogs(client, actions.modelCreated({ addresses }), { from });
    expect(created.logs.map((log) => log.args.modelId)).toEqual([modelId]);
    const runs = await actions.getAllLogs(client, actions.runRegistered({ addresses, modelId }), { from });
    expect(runs.logs.map((log) => log.args.runId)).toEqual([runId]);
    const sets = await actions.getAllLogs(client, actions.runParamsSet({ addresses, runId }), { from });
    expect(sets.logs.map((log) => log.args.params)).toEqual([params]);
    const chosen = await actions.getAllLogs(client, actions.validatorsSet({ addresses, modelId }), { from });
    expect(chosen.logs.map((log) => log.args.validators)).toEqual([modelConfig.validators]);
    const other = await actions.getAllLogs(client, actions.headPosted({ addresses, runId: zeroHash }), { from });
    expect(other.logs).toEqual([]);
  });

  it("are asked for in smaller ranges where a node refuses large ones", async () => {
    const { request, addresses } = world;
    const spans: number[] = [];
    const picky = createClient({
      cacheTime: 0,
      transport: custom(
        {
          async request(call: { method: string; params: [{ fromBlock: string; toBlock: string }] }) {
            if (call.method === "eth_getLogs") {
              const span = Number(call.params[0].toBlock) - Number(call.params[0].fromBlock) + 1;
              spans.push(span);
              if (span > 3) throw { code: -32005, message: "query exceeds 3 blocks" };
            }
            return request(call as never);
          },
        },
        { retryCount: 0 },
      ),
    });
    const found = await actions.getAllLogs(picky, actions.headPosted({ addresses }), { from: 0n, range: 16 });
    expect(found.logs.length).toBe(1);
    expect(spans[0]).toBeGreaterThan(3);
    expect(spans.at(-1)).toBeLessThanOrEqual(3);
  });
});
