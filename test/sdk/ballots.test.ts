/** What holders sign and others send: votes, delegations; and wallets that are contracts (ERC-1271). */
import {
  concatHex,
  createClient,
  custom,
  getAddress,
  type Hex,
  hashTypedData,
  numberToHex,
  parseSignature,
} from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, share, stranger, type World } from "./world.ts";

let world: World;
let proposalId: bigint;
beforeAll(async () => {
  world = await createWorld({ votingPeriod: 36_000 });
  const { clientOf, addresses, modelId, shares } = world;
  await holders(world);
  const tree = await world.reward([{ account: wallet, amount: 50n * share }]);
  const entry = tree.proofOf(wallet)!;
  const { index } = tree;
  await actions.claim.sync(clientOf(stranger), { addresses, modelId, beneficiary: wallet, index, ...entry });
  await asWallet(actions.delegate.call({ shares, delegatee: wallet }));
  proposalId = await proposed("Pause");
});
afterAll(() => world.close());

/** A wallet that is a contract, once it has code. */
const wallet = "0x00000000000000000000000000000000000a11e7" as const;

const rpc = (method: string, ...params: unknown[]): Promise<unknown> => world.request({ method, params } as never);

async function asWallet({ to, data }: actions.ProposalCall): Promise<void> {
  await rpc("hardhat_setBalance", wallet, numberToHex(10n ** 18n));
  await rpc("hardhat_impersonateAccount", wallet);
  await rpc("eth_sendTransaction", { from: wallet, to, data });
}

/** Code that answers as ERC-1271 has it that this one digest is signed, by whatever signature. */
const standsBy = (digest: Hex): Hex =>
  concatHex(["0x7f", digest, "0x600435", "0x14", "0x631626ba7e", "0x60e01b", "0x02", "0x600052", "0x60206000f3"]);
const throwing: Hex = "0x60006000fd";
const silent: Hex = "0x00";

async function proposed(description: string): Promise<bigint> {
  const { client, clientOf, addresses, runId, governor } = world;
  const calls = [actions.setStatus.call({ addresses, runId, status: 1 })];
  const { event } = await actions.propose.sync(clientOf(alice), { governor, calls, description });
  const { proposalId: id } = event;
  await world.advanceTo(1n + (await actions.proposalSnapshot(client, { governor, proposalId: id })));
  return id;
}

const votes = () => actions.proposalVotes(world.client, { governor: world.governor, proposalId });

describe("a ballot", () => {
  it("is signed by a holder and sent by anybody, once", async () => {
    await isolated(world, async () => {
      const { client, clientOf, governor } = world;
      const before = await client.request({ method: "eth_getTransactionCount", params: [alice.address, "latest"] });
      const signed = await actions.signBallot(clientOf(alice), { governor, proposalId, support: "for" });
      expect(signed.ballot).toEqual({ proposalId, support: "for", voter: alice.address, nonce: 0n });
      const { result } = await actions.castVoteBySig.simulate(clientOf(stranger), { governor, ...signed });
      expect(result).toBe(300n * share);
      const { event } = await actions.castVoteBySig.sync(clientOf(stranger), { governor, ...signed });
      expect(event).toMatchObject({ voter: alice.address, proposalId, support: 1, weight: 300n * share, reason: "" });
      expect(await client.request({ method: "eth_getTransactionCount", params: [alice.address, "latest"] })).toBe(
        before,
      );
      expect(await actions.ballotNonce(client, { governor, account: alice.address })).toBe(1n);
      await expect(actions.castVoteBySig(clientOf(stranger), { governor, ...signed })).rejects.toBeInstanceOf(
        errors.GovernorInvalidSignatureError,
      );
      const again = await actions.signBallot(clientOf(alice), { governor, proposalId, support: "against" });
      await expect(actions.castVoteBySig(clientOf(stranger), { governor, ...again })).rejects.toBeInstanceOf(
        errors.GovernorAlreadyCastVoteError,
      );
    });
  });

  it("has its reason signed too", async () => {
    await isolated(world, async () => {
      const { clientOf, governor } = world;
      const vote = { governor, proposalId, support: "abstain", reason: "Too early" } as const;
      const { ballot, signature } = await actions.signBallot(clientOf(bob), vote);
      for (const reason of ["Too late", "", undefined])
        await expect(
          actions.castVoteBySig(clientOf(stranger), {
            governor,
            ballot: { proposalId, support: "abstain", voter: bob.address, ...(reason !== undefined && { reason }) },
            signature,
          }),
        ).rejects.toBeInstanceOf(errors.GovernorInvalidSignatureError);
      const { event } = await actions.castVoteBySig.sync(clientOf(stranger), { governor, ballot, signature });
      expect(event).toMatchObject({ voter: bob.address, support: 2, weight: 100n * share, reason: "Too early" });
    });
  });

  it("is worth nothing with a field changed, for another governor or on another chain", async () => {
    await isolated(world, async () => {
      const { client, clientOf, governor } = world;
      const other = await proposed("Pause, said twice");
      const signed = await actions.signBallot(clientOf(alice), { governor, proposalId, support: "for" });
      const { ballot, signature } = signed;
      const refused = (args: Omit<actions.SignedBallotArgs, "governor">) =>
        expect(actions.castVoteBySig(clientOf(stranger), { governor, ...args })).rejects.toBeInstanceOf(
          errors.GovernorInvalidSignatureError,
        );
      await refused({ ballot: { ...ballot, support: "against" }, signature });
      await refused({ ballot: { ...ballot, proposalId: other }, signature });
      await refused({ ballot: { ...ballot, voter: bob.address }, signature });
      const data = await actions.ballotToSign(client, { governor, ...ballot });
      for (const domain of [
        { ...data.domain, chainId: 1 },
        { ...data.domain, verifyingContract: world.shares },
        { ...data.domain, name: "Another model" },
      ])
        await refused({ ballot, signature: await alice.signTypedData({ ...data, domain }) });
      const later = await actions.ballotToSign(client, { governor, ...ballot, nonce: 1n });
      await refused({ ballot, signature: await alice.signTypedData(later) });
      expect((await votes()).for).toBe(0n);
      await actions.castVoteBySig.sync(clientOf(stranger), { governor, ...signed });
    });
  });

  it("takes the nonce of another that was not sent, so that one of the two counts", async () => {
    await isolated(world, async () => {
      const { clientOf, governor } = world;
      const kept = await actions.signBallot(clientOf(alice), { governor, proposalId, support: "for" });
      const other = await proposed("Pause, said twice");
      const sent = await actions.signBallot(clientOf(alice), { governor, proposalId: other, support: "for" });
      expect(sent.ballot.nonce).toBe(kept.ballot.nonce);
      await actions.castVoteBySig.sync(clientOf(stranger), { governor, ...sent });
      await expect(actions.castVoteBySig(clientOf(stranger), { governor, ...kept })).rejects.toBeInstanceOf(
        errors.GovernorInvalidSignatureError,
      );
      // Whoever holds a ballot back cannot keep its voter from voting.
      const { event } = await actions.castVote.sync(clientOf(alice), { governor, proposalId, support: "against" });
      expect(event.weight).toBe(300n * share);
    });
  });

  it("is not made for a chain or a contract that is not meant", async () => {
    const { client, governor, shares } = world;
    const ballot = { proposalId, support: "for", voter: alice.address, nonce: 0n } as const;
    await expect(actions.ballotToSign(client, { governor, chainId: 1, ...ballot })).rejects.toMatchObject({
      code: "SIGNING_DOMAIN",
      message: expect.stringContaining("and chain 1 is meant"),
    });
    // A node that has the shares answer in the governor's place.
    const request = (({ method, params }: { method: string; params?: [{ to: Hex }, ...unknown[]] }) =>
      world.request({
        method,
        params: method === "eth_call" && params ? [{ ...params[0], to: shares }, ...params.slice(1)] : params,
      } as never)) as never;
    const lied = createClient({ transport: custom({ request }) });
    await expect(actions.ballotToSign(lied, { governor, ...ballot })).rejects.toMatchObject({ code: "SIGNING_DOMAIN" });
  });
});

describe("a wallet that is a contract", () => {
  it("holds, delegates and votes like any account, and has its ballots sent by others", async () => {
    await isolated(world, async () => {
      const { client, clientOf, governor, shares } = world;
      expect(await actions.votesOf(client, { shares, account: wallet })).toBe(50n * share);
      const ballot = { proposalId, support: "for", voter: wallet, nonce: 0n } as const;
      const data = await actions.ballotToSign(client, { governor, ...ballot });
      const signature = "0x1234";
      const signed = { account: wallet, data, signature } as const;
      expect(await actions.isSignedBy(client, signed)).toBe(false);
      for (const code of [throwing, silent, standsBy(`0x${"11".repeat(32)}`)]) {
        await rpc("hardhat_setCode", wallet, code);
        expect(await actions.isSignedBy(client, signed)).toBe(false);
        await expect(actions.castVoteBySig(clientOf(stranger), { governor, ballot, signature })).rejects.toBeInstanceOf(
          errors.GovernorInvalidSignatureError,
        );
      }
      await rpc("hardhat_setCode", wallet, standsBy(hashTypedData(data)));
      expect(await actions.isSignedBy(client, signed)).toBe(true);
      const { event } = await actions.castVoteBySig.sync(clientOf(stranger), { governor, ballot, signature });
      expect(event).toMatchObject({ voter: getAddress(wallet), weight: 50n * share });
      expect((await votes()).for).toBe(50n * share);
    });
  });

  it("decides by its code, whoever has the key of its address (EIP-7702)", async () => {
    await isolated(world, async () => {
      const { client, clientOf, governor } = world;
      const { ballot, signature } = await actions.signBallot(clientOf(bob), { governor, proposalId, support: "for" });
      const data = await actions.ballotToSign(client, { governor, ...ballot });
      expect(await actions.isSignedBy(client, { account: bob.address, data, signature })).toBe(true);
      await rpc("hardhat_setCode", bob.address, silent);
      expect(await actions.isSignedBy(client, { account: bob.address, data, signature })).toBe(false);
      await expect(actions.castVoteBySig(clientOf(stranger), { governor, ballot, signature })).rejects.toBeInstanceOf(
        errors.GovernorInvalidSignatureError,
      );
    });
  });
});

it("a signature of a key has one form, as the contracts take it", async () => {
  const { client, clientOf, governor } = world;
  const { ballot, signature } = await actions.signBallot(clientOf(bob), { governor, proposalId, support: "for" });
  const data = await actions.ballotToSign(client, { governor, ...ballot });
  const of = (account: Hex, form: Hex) => actions.isSignedBy(client, { account, data, signature: form });
  expect(await of(bob.address, signature)).toBe(true);
  expect(await of(alice.address, signature)).toBe(false);
  const { r, s, yParity } = parseSignature(signature);
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const high = numberToHex(order - BigInt(s), { size: 32 });
  for (const form of [
    concatHex([r, high, numberToHex(28 - yParity)]),
    concatHex([r, s, numberToHex(yParity, { size: 1 })]),
    concatHex([r, s]),
    "0x",
    `0x${"00".repeat(64)}1b`,
  ] as const) {
    expect(await of(bob.address, form)).toBe(false);
    await expect(
      actions.castVoteBySig(clientOf(stranger), { governor, ballot, signature: form }),
    ).rejects.toBeInstanceOf(errors.GovernorInvalidSignatureError);
  }
});

it("a delegation is signed by a holder and sent by anybody, once", async () => {
  await isolated(world, async () => {
    const { client, clientOf, shares } = world;
    const expiry = BigInt(await world.now()) + 100n;
    const signed = await actions.signDelegation(clientOf(alice), { shares, delegatee: bob.address, expiry });
    const { event } = await actions.delegateBySig.sync(clientOf(stranger), { shares, ...signed });
    expect(event).toMatchObject({ delegator: alice.address, toDelegate: bob.address });
    expect(await actions.votesOf(client, { shares, account: bob.address })).toBe(400n * share);
    await expect(actions.delegateBySig(clientOf(stranger), { shares, ...signed })).rejects.toBeInstanceOf(
      errors.InvalidAccountNonceError,
    );
    const back = await actions.signDelegation(clientOf(alice), { shares, delegatee: alice.address, expiry });
    await world.advanceTo(expiry + 1n);
    await expect(actions.delegateBySig(clientOf(stranger), { shares, ...back })).rejects.toBeInstanceOf(
      errors.VotesExpiredSignatureError,
    );
  });
});
