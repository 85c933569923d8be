/** Workers and validators put up stake, have it back after a while, and lose a part where they are proved to have lied. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import {
  admissionCode,
  asDigest,
  asHead,
  type Attestation,
  domainFor,
  hashReceipt,
  isAdmittedBy,
  offenceCode,
  type Receipt,
  type Ruling,
  rulingOnWork,
  structHash,
  typedDataOf,
  type Verdict,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { type Account, type Hex, zeroAddress } from "viem";
import { getBalance, getBlock } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { accept, holders, isolated } from "./holders.ts";
import {
  alice,
  bob,
  createWorld,
  hashOf,
  modelConfig,
  poster,
  share,
  stranger,
  validators,
  type World,
} from "./world.ts";

let world: World;
let stakes: `0x${string}`;
beforeAll(async () => {
  world = await createWorld({}, true);
  await holders(world);
  stakes = await actions.stakeManagerOf(world.client, { addresses: world.addresses });
});
afterAll(() => world.close());

const coin = 10n ** 18n;
const byStake = { admission: admissionCode.stake, minStake: 2n * coin };
const [validator] = validators as [(typeof validators)[number]];

const timelockDelay = modelConfig.governor.timelockDelay;

const logsOf = async (query: Parameters<typeof actions.getAllLogs>[1], from: bigint) =>
  (await actions.getAllLogs(world.client, query, { from })).logs.map((log) => log.args);

const put = (role: "worker" | "validator", account: Account, amount: bigint) =>
  actions.depositStake.sync(world.clientOf(stranger), {
    stakes,
    modelId: world.modelId,
    role,
    staker: account.address,
    amount,
  });

const activeOf = (role: "worker" | "validator", account: Account) =>
  actions.activeStakeOf(world.client, { stakes, modelId: world.modelId, role, staker: account.address });

it("stake admits a worker, leaves after a while, and is paid to whom the worker names", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId } = world;
    const mine = { stakes, modelId, role: "worker" } as const;
    const staker = { ...mine, staker: alice.address };
    const ofAlice = { ...mine, account: alice.address };
    expect(isAdmittedBy(byStake, await activeOf("worker", alice))).toBe(false);
    const { event, receipt } = await put("worker", alice, 3n * coin);
    expect(event).toEqual({ modelId, role: 0, account: alice.address, from: stranger.address, amount: 3n * coin });
    const from = receipt.blockNumber;
    expect(await logsOf(actions.stakeDeposited({ stakes, modelId, role: "worker" }), from)).toEqual([event]);
    expect(await logsOf(actions.stakeDeposited({ stakes, role: "validator" }), from)).toEqual([]);
    expect(isAdmittedBy(byStake, await activeOf("worker", alice))).toBe(true);
    expect(await actions.stakeLeavesAt(client, staker)).toBeUndefined();
    await expect(
      actions.requestStakeWithdrawal(clientOf(alice), { ...mine, amount: 4n * coin }),
    ).rejects.toBeInstanceOf(errors.StakeManagerTooLittleError);

    const asked = await actions.requestStakeWithdrawal.sync(clientOf(alice), { ...mine, amount: 2n * coin });
    expect(asked.event).toMatchObject({ amount: 2n * coin, leaving: 2n * coin });
    expect(await logsOf(actions.stakeWithdrawalRequested(ofAlice), from)).toEqual([asked.event]);
    expect(isAdmittedBy(byStake, await activeOf("worker", alice))).toBe(false);
    const { timestamp } = await getBlock(client, { blockNumber: asked.receipt.blockNumber });
    expect(await actions.stakeOf(client, staker)).toEqual({
      active: coin,
      leaving: 2n * coin,
      requestedAt: Number(timestamp),
      rulings: 0,
      ruled: 0n,
      payee: zeroAddress,
    });
    const leavesAt = (await actions.stakeLeavesAt(client, staker))!;
    expect(leavesAt).toBe(Number(timestamp) + (await actions.stakeWithdrawalDelay(client, mine)));
    const asValidator = { ...mine, role: "validator" } as const;
    expect(await actions.stakeWithdrawalDelay(client, asValidator)).toBe(leavesAt - Number(timestamp) + timelockDelay);
    const withdrawal = { ...mine, to: "0x00000000000000000000000000000000000000be" } as const;
    await expect(actions.withdrawStake(clientOf(alice), withdrawal)).rejects.toBeInstanceOf(
      errors.StakeManagerTooEarlyError,
    );
    await world.advanceTo(leavesAt);
    const paid = await actions.withdrawStake.sync(clientOf(alice), withdrawal);
    expect(paid.event).toMatchObject({ account: alice.address, amount: 2n * coin });
    expect(await logsOf(actions.stakeWithdrawn(ofAlice), from)).toEqual([paid.event]);
    expect(await getBalance(client, { address: withdrawal.to })).toBe(2n * coin);
    await expect(actions.withdrawStake.simulate(clientOf(alice), withdrawal)).rejects.toBeInstanceOf(
      errors.StakeManagerNothingLeavingError,
    );
  });
});

it("a deposit names a model and has an amount", async () => {
  const { clientOf } = world;
  const deposit = { stakes, modelId: world.modelId, role: "worker", staker: alice.address } as const;
  await expect(actions.depositStake(clientOf(bob), { ...deposit, amount: 0n })).rejects.toBeInstanceOf(
    errors.StakeManagerZeroError,
  );
  await expect(
    actions.depositStake.simulate(clientOf(bob), { ...deposit, modelId: hashOf("none"), amount: 1n }),
  ).rejects.toBeInstanceOf(errors.StakeManagerUnknownModelError);
  expect(actions.depositStake.call({ ...deposit, amount: 5n })).toMatchObject({ to: stakes, value: 5n });
  expect(actions.collectFees.call({ stakes, reporter: bob.address })).not.toHaveProperty("value");
});

it("a rule of admission that is not known admits nobody", () => {
  expect(isAdmittedBy({ admission: admissionCode.open, minStake: 5n }, 0n)).toBe(true);
  expect(isAdmittedBy({ admission: 9, minStake: 0n }, 10n)).toBe(false);
});

it("a key that lies on somebody's machine pays whom it named once, and nobody else", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId } = world;
    const mine = { stakes, modelId, role: "worker" } as const;
    const { event, receipt } = await actions.setStakePayee.sync(clientOf(alice), { ...mine, payee: bob.address });
    expect(event).toEqual({ modelId, role: 0, account: alice.address, payee: bob.address });
    expect(await logsOf(actions.stakePayeeSet({ ...mine, account: alice.address }), receipt.blockNumber)).toEqual([
      event,
    ]);
    await expect(actions.setStakePayee(clientOf(alice), { ...mine, payee: alice.address })).rejects.toBeInstanceOf(
      errors.StakeManagerPayeeSetError,
    );
    await put("worker", alice, coin);
    await actions.requestStakeWithdrawal.sync(clientOf(alice), { ...mine, amount: coin });
    await world.advanceTo((await actions.stakeLeavesAt(client, { ...mine, staker: alice.address }))!);
    await expect(actions.withdrawStake(clientOf(alice), { ...mine, to: alice.address })).rejects.toBeInstanceOf(
      errors.StakeManagerNotPayeeError,
    );
    const before = await getBalance(client, { address: bob.address });
    await actions.withdrawStake.sync(clientOf(alice), { ...mine, to: bob.address });
    expect(await getBalance(client, { address: bob.address })).toBe(before + coin);
  });
});

it("holders take in as a validator who has consented, once", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId, timelock } = world;
    const of = { addresses, modelId, account: bob.address };
    const next = {
      addresses,
      modelId,
      replaces: 1,
      validators: [...validators.slice(1).map(({ address }) => address), bob.address].sort((a, b) =>
        a.toLowerCase() < b.toLowerCase() ? -1 : 1,
      ),
      threshold: 2,
      account: timelock,
    };
    await world.advanceTo(BigInt(await world.now()) + BigInt(modelConfig.epochLength));
    await expect(actions.setValidators.simulate(client, next)).rejects.toBeInstanceOf(
      errors.ValidatorSetNoConsentError,
    );
    expect(await actions.hasConsented(client, of)).toBe(false);
    const { event, receipt } = await actions.consentAsValidator.sync(clientOf(bob), {
      addresses,
      modelId,
      consents: true,
    });
    expect(event).toEqual({ modelId, account: bob.address, consents: true });
    expect(await logsOf(actions.validatorConsent(of), receipt.blockNumber)).toEqual([event]);
    expect(await actions.hasConsented(client, of)).toBe(true);
    expect((await actions.setValidators.simulate(client, next)).result).toBe(2);
  });
});

it("a validator's stake stays while the newest set has it", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, modelId } = world;
    const mine = { stakes, modelId, role: "validator" } as const;
    await put("validator", validator, coin);
    await actions.requestStakeWithdrawal.sync(clientOf(validator), { ...mine, amount: coin });
    expect(await actions.validatorUntil(client, { addresses, modelId, account: validator.address })).toBe(Infinity);
    expect(await actions.validatorUntil(client, { addresses, modelId, account: bob.address })).toBeUndefined();
    expect(await actions.stakeLeavesAt(client, { ...mine, staker: validator.address })).toBe(Infinity);
    await expect(actions.withdrawStake(clientOf(validator), { ...mine, to: validator.address })).rejects.toBeInstanceOf(
      errors.StakeManagerStillValidatorError,
    );
  });
});

const signedVerdict = async (value: bigint, signer = validator, kind: number = verdictKind.aggregate) => {
  const struct: Verdict = {
    runId: world.runId,
    round: 0n,
    head: asHead(hashOf("head")),
    validator: validator.address,
    kind,
    worker: zeroAddress,
    index: 3,
    value,
    evidence: asDigest(hashOf("evidence")),
    issuedAt: value,
  };
  const data = typedDataOf(domainFor(31337, world.addresses.runRegistry), "Verdict", struct);
  return { struct, signature: await signer.signTypedData(data) };
};

it("two values of one thing cost a validator half, once, and pay who reports it", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId } = world;
    const [a, b] = [await signedVerdict(1n), await signedVerdict(2n)];
    await expect(actions.slashVerdicts(clientOf(bob), { stakes, a, b })).rejects.toBeInstanceOf(
      errors.StakeManagerNothingToSlashError,
    );
    await put("validator", validator, 3n * coin);
    await expect(actions.slashVerdicts(clientOf(bob), { stakes, a, b: a })).rejects.toBeInstanceOf(
      errors.StakeManagerNoConflictError,
    );
    // Two machines may measure two losses.
    const [x, y] = [
      await signedVerdict(1n, validator, verdictKind.loss),
      await signedVerdict(2n, validator, verdictKind.loss),
    ];
    await expect(actions.slashVerdicts(clientOf(bob), { stakes, a: x, b: y })).rejects.toBeInstanceOf(
      errors.StakeManagerNoConflictError,
    );
    const forged = await signedVerdict(2n, validators[1]);
    await expect(actions.slashVerdicts(clientOf(bob), { stakes, a, b: forged })).rejects.toBeInstanceOf(
      errors.StakeManagerNotSignedError,
    );
    const lost = (3n * coin) / 2n;
    expect((await actions.slashVerdicts.simulate(clientOf(bob), { stakes, a, b })).result).toBe(lost);
    const { event, receipt } = await actions.slashVerdicts.sync(clientOf(bob), { stakes, a, b });
    expect(event).toMatchObject({
      modelId,
      role: 1,
      account: validator.address,
      offence: offenceCode.verdicts,
      amount: lost,
      reporter: bob.address,
      fee: lost / 20n,
    });
    const from = receipt.blockNumber;
    const staker = { stakes, modelId, role: "validator", account: validator.address } as const;
    expect(await logsOf(actions.stakeSlashed(staker), from)).toEqual([event]);
    expect(await activeOf("validator", validator)).toBe(lost);
    expect(isAdmittedBy(byStake, lost)).toBe(false);
    await expect(actions.slashVerdicts(clientOf(alice), { stakes, a: b, b: a })).rejects.toBeInstanceOf(
      errors.StakeManagerPunishedError,
    );

    expect(await actions.reporterFeesOf(client, { stakes, reporter: bob.address })).toBe(lost / 20n);
    const fees = { stakes, reporter: bob.address };
    expect((await actions.collectFees.simulate(clientOf(alice), fees)).result).toBe(lost / 20n);
    const collected = await actions.collectFees.sync(clientOf(alice), fees);
    expect(collected.event).toEqual({ account: bob.address, amount: lost / 20n });
    expect(await logsOf(actions.feesCollected({ stakes, account: bob.address }), from)).toEqual([collected.event]);
    expect((await actions.collectFees.sync(clientOf(alice), fees)).event).toBeUndefined();
  });
});

it("two roots of the same epochs cost a validator half; what was not voided costs nothing", async () => {
  await isolated(world, async () => {
    const { clientOf, addresses } = world;
    await put("validator", validator, coin);
    const { attestation } = await world.attest([{ account: alice.address, amount: share }]);
    const domain = domainFor(31337, addresses.computeRewards);
    const signed = async (struct: Attestation) => ({
      struct,
      signature: await validator.signTypedData(typedDataOf(domain, "Attestation", struct)),
    });
    const a = await signed(attestation);
    const later = await signed({ ...attestation, root: hashOf("other"), deadline: attestation.deadline + 1n });
    const otherwise = await signed({ ...attestation, epochDigest: asDigest(hashOf("other")) });
    for (const honest of [later, otherwise])
      await expect(actions.slashAttestations(clientOf(bob), { stakes, a, b: honest })).rejects.toBeInstanceOf(
        errors.StakeManagerNoConflictError,
      );
    const b = await signed({ ...attestation, root: hashOf("other") });
    expect((await actions.slashAttestations.simulate(clientOf(bob), { stakes, a, b })).result).toBe(coin / 2n);
    const { event } = await actions.slashAttestations.sync(clientOf(bob), { stakes, a, b });
    expect(event).toMatchObject({ offence: offenceCode.attestations, amount: coin / 2n });
    await expect(
      actions.slashVoided(clientOf(bob), { stakes, attestation: a.struct, signature: a.signature }),
    ).rejects.toBeInstanceOf(errors.StakeManagerNotVoidedError);
  });
});

/** Holders have what it takes to decide. */
async function endBootstrap(): Promise<void> {
  const { client, clientOf, addresses, modelId } = world;
  const tree = await world.reward([
    { account: alice.address, amount: 60n * share },
    { account: bob.address, amount: 60n * share },
  ]);
  for (const holder of [alice, bob]) {
    const { index } = tree;
    const entry = tree.proofOf(holder.address)!;
    await actions.claim.sync(clientOf(holder), { addresses, modelId, beneficiary: holder.address, index, ...entry });
  }
  const bootstrap = await actions.bootstrapOf(client, { addresses });
  await actions.endBootstrap.sync(clientOf(stranger), { bootstrap, modelId });
}

/** What validators rule on, and the ruling. */
async function accusation(round: bigint): Promise<actions.ProposeRulingArgs> {
  const { addresses, client, modelId, runId } = world;
  const work: Receipt = {
    runId,
    round,
    worker: alice.address,
    beneficiary: alice.address,
    assignmentId: 1n,
    attempt: 1,
    assignment: asDigest(hashOf("assignment")),
    steps: 64,
    paramsVersion: 1,
    build: asDigest(hashOf("build")),
    baseDigest: asDigest(hashOf("checkpoint 0")),
    commitment: zeroHash,
    leaves: 1,
    payloadDigest: asDigest(hashOf("payload")),
  };
  const ruling: Ruling = {
    ...rulingOnWork,
    modelId,
    subject: hashReceipt(work),
    accused: alice.address,
    evidence: asDigest(hashOf("evidence")),
    setVersion: await actions.currentSetVersion(client, { addresses, modelId }),
    deadline: BigInt(await world.now()) + 600n,
  };
  const receipts = domainFor(31337, addresses.runRegistry);
  const rulings = domainFor(31337, addresses.validatorSet);
  return {
    stakes,
    ruling,
    receipt: work,
    receiptSignature: await alice.signTypedData(typedDataOf(receipts, "Receipt", work)),
    signatures: await Promise.all(
      validators.slice(0, 2).map((one) => one.signTypedData(typedDataOf(rulings, "Ruling", ruling))),
    ),
  };
}

it("what validators rule on a worker's receipt costs a tenth, unless the holders veto it", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId, governor } = world;
    await put("worker", alice, 10n * coin);
    const [first, second] = [await accusation(1n), await accusation(2n)];
    const worker = alice.address;
    const at = { stakes, modelId, worker, receiptHash: first.ruling.subject };
    const refused = async (args: actions.ProposeRulingArgs, error: unknown) =>
      expect(actions.proposeRuling(clientOf(bob), args)).rejects.toBeInstanceOf(error);
    await refused({ ...first, ruling: { ...first.ruling, kind: 1 } }, errors.StakeManagerBadRulingError);
    await refused(first, errors.StakeManagerInBootstrapError);
    await endBootstrap();
    await refused({ ...first, ruling: { ...first.ruling, deadline: 1n } }, errors.StakeManagerExpiredError);
    await refused({ ...first, ruling: { ...first.ruling, setVersion: 9 } }, errors.StakeManagerStaleSetError);
    await refused({ ...first, signatures: [] }, errors.ValidatorSetNoQuorumError);
    expect(await actions.rulingOf(client, at)).toBeUndefined();
    await expect(actions.executeRuling(clientOf(bob), at)).rejects.toBeInstanceOf(
      errors.StakeManagerRulingNotOpenError,
    );

    const { event, receipt } = await actions.proposeRuling.sync(clientOf(bob), first);
    const from = receipt.blockNumber;
    expect(event).toMatchObject({ modelId, worker, receiptHash: at.receiptHash, amount: coin, reporter: bob.address });
    expect(await logsOf(actions.rulingProposed({ stakes, modelId, worker }), from)).toEqual([event]);
    expect(await actions.rulingOf(client, at)).toEqual({
      reporter: bob.address,
      amount: coin,
      vetoEnds: event.vetoEnds,
      state: "proposed",
      hash: structHash("Ruling", first.ruling),
    });
    await refused(first, errors.StakeManagerPunishedError);
    await expect(actions.executeRuling(clientOf(bob), at)).rejects.toBeInstanceOf(errors.StakeManagerVetoOpenError);
    await actions.proposeRuling.sync(clientOf(poster), second);

    const other = { ...at, receiptHash: second.ruling.subject };
    const veto = actions.vetoRuling.call(other);
    const terms = { conflictBps: 10_000, voidedBps: 500, rulingBps: 200 };
    const set = actions.setSlashTerms.call({ stakes, modelId, replaces: 0, terms });
    const proposal = await accept(world, [veto, set], "veto");
    const executed = await actions.execute.sync(clientOf(stranger), { governor, proposal });
    const vetoed = actions.vetoRuling.extractEvent(executed.receipt);
    expect(vetoed).toEqual({ modelId, worker, receiptHash: other.receiptHash });
    expect(await logsOf(actions.rulingVetoed(other), from)).toEqual([vetoed]);
    expect(await logsOf(actions.slashTermsSet({ stakes, modelId }), from)).toEqual([
      { modelId, terms: { ...terms, version: 1 } },
    ]);
    expect(await actions.slashTermsOf(client, { stakes, modelId })).toEqual({ ...terms, version: 1 });
    const again = actions.setSlashTerms.simulate(client, {
      stakes,
      modelId,
      replaces: 0,
      terms,
      account: world.timelock,
    });
    await expect(again).rejects.toBeInstanceOf(errors.StakeManagerTermsReplacedError);
    expect((await actions.rulingOf(client, other))?.state).toBe("vetoed");
    await expect(actions.executeRuling(clientOf(bob), other)).rejects.toThrow("was vetoed before");

    const [, signature] = second.signatures as [Hex, Hex];
    const signer = validators[1]!;
    await put("validator", signer, 20n * coin);
    const vetoedOf = { stakes, ruling: second.ruling, signature };
    await expect(actions.slashVetoed(clientOf(bob), { ...vetoedOf, ruling: first.ruling })).rejects.toBeInstanceOf(
      errors.StakeManagerNotVetoedError,
    );
    // By the terms that hold then: a twentieth.
    expect((await actions.slashVetoed.simulate(clientOf(bob), vetoedOf)).result).toBe(coin);
    const paid = await actions.slashVetoed.sync(clientOf(bob), vetoedOf);
    expect(paid.event).toMatchObject({ account: signer.address, offence: offenceCode.vetoedRuling, amount: coin });

    await world.advanceTo(event.vetoEnds);
    const carried = await actions.executeRuling.sync(clientOf(stranger), at);
    expect(carried.event).toMatchObject({ offence: offenceCode.work, amount: coin, reporter: bob.address });
    expect(await activeOf("worker", alice)).toBe(9n * coin);
    const { addresses, shares, timelock } = world;
    const place = { addresses, contracts: { shares, governor, timelock } };
    const call = { target: stakes, data: veto.data };
    expect(actions.decodeCall({ ...place, stakeManager: stakes }, call)).toMatchObject({
      contract: "StakeManager",
      functionName: "vetoRuling",
    });
    expect(actions.decodeCall(place, call)).toBeUndefined();
  });
});
