/** A pending root is disputed: bonds, the holders' vote, the organiser in bootstrap. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { structHash, zeroHash } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";
import { getBalance } from "viem/actions";

import { holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, organiser, share, stranger, type World } from "./world.ts";

const bond = share / 100n;
const evidence = hashOf("what was found");

let world: World;
beforeAll(async () => {
  world = await createWorld({}, true);
  await holders(world);
});
afterAll(() => world.close());

/** A root that is in its window. */
async function pending(label: bigint, withBond?: bigint) {
  const { addresses, clientOf } = world;
  const { attestation, signatures } = await world.attest([{ account: stranger.address, amount: label }]);
  const args = { addresses, attestation, signatures, ...(withBond === undefined ? {} : { bond: withBond }) };
  await actions.postRoot.sync(clientOf(bob), args);
  return { attestation, digest: structHash("Attestation", attestation) };
}

it("freezes a root, and the holders void it; the next bears a bond, which comes back", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId, governor } = world;
    const args = { addresses, modelId };
    const { attestation, digest } = await pending(7n);
    expect(await actions.bondOf(client, args)).toEqual({ bond, level: 0, isDue: false });
    expect(await actions.disputeOf(client, { addresses, digest })).toBeUndefined();
    expect(await actions.disputedRoot(client, args)).toEqual({ digest: undefined, voidedAt: 0 });
    const wanted = { ...args, digest, evidence, bond };
    const refused = async (change: object, error: unknown) =>
      expect(actions.disputeRoot(clientOf(stranger), { ...wanted, ...change })).rejects.toBeInstanceOf(error);
    await refused({ bond: bond - 1n }, errors.DisputesBondTooLowError);
    await refused({ digest: zeroHash }, errors.DisputesOtherAttestationError);
    await refused({ kind: 2 }, errors.DisputesNothingPendingError);
    expect(actions.disputeRoot.call(wanted)).toMatchObject({ to: addresses.computeRewards, value: bond });
    const { result } = await actions.disputeRoot.simulate(clientOf(stranger), wanted);

    const { event, receipt } = await actions.disputeRoot.sync(clientOf(stranger), { ...wanted, bond: bond + 5n });
    expect(event).toMatchObject({ modelId, kind: 1, index: 2n, disputer: stranger.address, bond, digest });
    expect(event.proposalId).toBe(result);
    expect(await actions.disputedRoot(client, args)).toEqual({ digest, voidedAt: 0 });
    const rest = { addresses, beneficiary: stranger.address };
    expect((await actions.withdrawBonds.sync(clientOf(bob), rest)).event).toMatchObject({ amount: 5n });
    const { logs } = await actions.getAllLogs(client, actions.rootDisputed(args), { from: receipt.blockNumber });
    expect(logs.map((log) => log.args)).toEqual([event]);
    expect(await actions.pendingRoot(client, args)).toMatchObject({ digest, activatableAt: undefined });
    await expect(actions.activateRoot(clientOf(bob), { addresses, attestation })).rejects.toBeInstanceOf(
      errors.DisputesOpenError,
    );
    const named = { ...args, digest };
    await expect(actions.settleDispute(clientOf(bob), { ...named, kind: 2 })).rejects.toBeInstanceOf(
      errors.DisputesUnknownError,
    );
    const early = actions.settleDispute(clientOf(bob), named);
    await expect(early).rejects.toBeInstanceOf(errors.DisputesNotDecidedError);
    await expect(early).rejects.toMatchObject({ retryable: true });

    const { proposalId } = event;
    await world.advanceTo(1n + (await actions.proposalSnapshot(client, { governor, proposalId })));
    await actions.castVote.sync(clientOf(alice), { governor, proposalId, support: "against" });
    await world.advanceTo(1n + (await actions.proposalDeadline(client, { governor, proposalId })));
    const settled = await actions.settleDispute.sync(clientOf(bob), named);
    const { void: isVoid } = actions.disputeOutcome;
    expect(settled.event).toMatchObject({ digest, outcome: isVoid, voted: true, won: 0n, burned: 0n });
    expect((await actions.settleDispute.sync(clientOf(bob), named)).event).toBeUndefined();
    expect(await actions.pendingRoot(client, args)).toBeUndefined();
    const ended = await actions.disputeOf(client, { addresses, digest });
    expect(ended).toMatchObject({ outcome: isVoid, voted: true, disputer: stranger.address, bond, proposalId });
    expect(await actions.disputedRoot(client, args)).toEqual({ digest: undefined, voidedAt: ended!.endedAt });

    const due = 2n * bond;
    expect(await actions.bondOf(client, args)).toEqual({ bond: due, level: 1, isDue: true });
    expect(await actions.ageJudgedAt(client, args)).toBe(Number(attestation.deadline));
    await expect(pending(8n)).rejects.toBeInstanceOf(errors.DisputesBondTooLowError);
    const next = await pending(9n, due);
    expect(await actions.backingOf(client, args)).toEqual({ backer: bob.address, amount: due });
    await world.advanceTo((await actions.pendingRoot(client, args))!.activatableAt!);
    await actions.activateRoot.sync(clientOf(stranger), { addresses, attestation: next.attestation });
    expect(await actions.backingOf(client, args)).toBeUndefined();
    expect(await actions.bondCreditOf(client, { addresses, account: bob.address })).toBe(due);

    expect(await actions.bondCreditOf(client, { addresses, account: stranger.address })).toBe(bond);
    const before = await getBalance(client, stranger);
    const payee = { addresses, beneficiary: stranger.address };
    expect((await actions.withdrawBonds.sync(clientOf(bob), payee)).event).toEqual({
      account: stranger.address,
      amount: bond,
    });
    expect(await getBalance(client, stranger)).toBe(before + bond);
    expect((await actions.withdrawBonds.sync(clientOf(bob), payee)).event).toBeUndefined();
  });
});

it("is ruled on by the organiser in bootstrap, which ends once and not before its time", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId } = world;
    const args = { addresses, modelId };
    const bootstrap = await actions.bootstrapOf(client, { addresses });
    expect(await actions.bootstrapTerms(client, { bootstrap, modelId })).toEqual({
      shares: 500n * share,
      epochs: 2,
      maxEpochs: 1_971_000,
      endedAt: 0,
    });
    expect(await actions.bootstrapNeeded(client, { bootstrap, modelId })).toBe(500n * share);
    expect(await actions.bootstrapClaimed(client, { bootstrap, modelId })).toBe(400n * share);
    await expect(actions.endBootstrap(clientOf(alice), { bootstrap, modelId })).rejects.toBeInstanceOf(
      errors.BootstrapNotOverError,
    );

    const { attestation, digest } = await pending(7n);
    await actions.disputeRoot.sync(clientOf(stranger), { ...args, digest, evidence, bond });
    const ruling = { ...args, digest, stands: true };
    await expect(actions.ruleDispute(clientOf(alice), ruling)).rejects.toBeInstanceOf(errors.DisputesNotCourtError);
    await expect(actions.ruleDispute(clientOf(organiser), { ...ruling, digest: zeroHash })).rejects.toBeInstanceOf(
      errors.DisputesNotRulableError,
    );
    await expect(actions.ruleDispute(clientOf(organiser), ruling)).rejects.toBeInstanceOf(
      errors.DisputesRuledTooEarlyError,
    );
    await world.advanceTo((await actions.disputeOf(client, { addresses, digest }))!.activatableAt);
    const { event } = await actions.ruleDispute.sync(clientOf(organiser), ruling);
    const { stands } = actions.disputeOutcome;
    expect(event).toMatchObject({ outcome: stands, voted: false, won: bond / 2n, burned: bond / 2n });
    await actions.activateRoot.sync(clientOf(stranger), { addresses, attestation });
  });
});

it("costs what the holders say", async () => {
  const { client, clientOf, addresses, modelId } = world;
  const { version: replaces, ...terms } = await actions.bondTerms(client, { addresses, modelId });
  expect({ replaces, ...terms }).toEqual({ replaces: 1, base: bond, setAt: 0 });
  const decision = { addresses, modelId, replaces, base: 2n * bond };
  await expect(actions.setDisputeBond(clientOf(alice), decision)).rejects.toBeInstanceOf(
    errors.ModelAuthorityUnauthorizedError,
  );
});
