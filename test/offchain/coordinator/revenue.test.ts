/** Roots of revenue by themselves, on a real node: computed, signed by validators that computed the same, posted, activated. */
import { join } from "node:path";

import { runRegistryAbi } from "@cotrain/sdk/abis";
import {
  bondOf,
  currentSetVersion,
  disputeRoot,
  getAllLogs,
  modelContractsOf,
  newestSetVersion,
  pendingRoot,
  registerRun,
  type RegisterRunArgs,
  runRegistered,
  setStatus,
  setValidators,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  asRunId,
  type AttestationRequest,
  digestOfJson,
  domainFor,
  type EpochView,
  fromWire,
  rewardKind,
  type RunId,
  runStatus,
} from "@cotrain/sdk/protocol";
import { decodeFunctionData, encodeFunctionData, erc20Abi, type Log, pad, toEventSelector } from "viem";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createRandom, UserError } from "../../../offchain/src/base/index.ts";
import { type Chain, connect, openChain } from "../../../offchain/src/chain/index.ts";
import type { FetchFunction } from "../../../offchain/src/chain/transport.ts";
import { createRevenueDuty, type RevenueDuty } from "../../../offchain/src/coordinator/revenue.ts";
import { type RevenueAccounts, revenueAccounts, withEpochAccounts } from "../../../offchain/src/run/index.ts";
import {
  type Database,
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import type { Context } from "../../../offchain/src/validator/context.ts";
import { keepEpochs, signEpochs } from "../../../offchain/src/validator/epochs.ts";
import type { ValidatorEvent } from "../../../offchain/src/validator/events.ts";
import { openStatements, statementMigrations, type StatementSchema } from "../../../offchain/src/validator/index.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { accountOf, poster, validators } from "../chain/world.ts";
import { capitalStage } from "../cli/capitalStage.ts";
import { execute, staged, told } from "../cli/staged.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { createManualClock } from "../manualClock.ts";

const buyer = asAddress(accountOf("buyer").address);
const stage = staged(["buyer", "stranger"]);
const { by } = stage;
const { nextEpoch, dollarsOf, overBy } = capitalStage(stage);
const at = () => ["--state", stage.state];

let chain: Chain;
let accounts: RevenueAccounts;
let duty: RevenueDuty;
let databases: Database<JobSchema | StatementSchema>[];

/** What the shares' logs are asked for with. */
const TRANSFER = toEventSelector("Transfer(address,address,uint256)");
const stranger = asAddress(accountOf("stranger").address);
interface Answer {
  readonly result?: readonly Log[];
}
/** Whether the RPC leaves out of its logs that shares went to the stranger. */
let isLying = false;
const rpc: FetchFunction = async (input, init) => {
  const answer = await fetch(input, init);
  const body = typeof init?.body === "string" ? init.body : "";
  if (!isLying || !body.includes("eth_getLogs") || !body.includes(TRANSFER)) return answer;
  const honest = (await answer.json()) as Answer | Answer[];
  const lied = [honest].flat().map((each) => ({
    ...each,
    result: each.result?.filter(({ topics }) => topics[2] !== pad(stranger) || topics[0] !== TRANSFER),
  }));
  return Response.json(Array.isArray(honest) ? lied : lied[0]);
};

beforeEach(async () => {
  const { chainId, contracts, fromBlock, runId } = stage.world;
  const options = { chainId, contracts, fromBlock, rpcUrl: stage.node.url, pollInterval: 20, fetch: rpc };
  isLying = false;
  const database = await openDatabase<JobSchema>(join(temporaryDirectory(), "journal.sqlite"), jobMigrations);
  databases = [database as never];
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const connection = await connect(options);
  chain = await openChain(options, { account: poster, jobs }, connection);
  accounts = revenueAccounts({ reader: chain, connection, fromBlock });
  duty = dutyOf(runId);
});
afterEach(async () => {
  await chain.close();
  for (const database of databases) await database.close();
});

const dutyOf = (runId: RunId, by = accounts): RevenueDuty =>
  createRevenueDuty({ modelId: stage.world.modelId, runId }, 1, {
    chain: withEpochAccounts(chain),
    logger: silentLogger(),
    accounts: by,
  });

/** The run finishes, and another one like it begins. */
async function nextRun(): Promise<RunId> {
  const { contracts: addresses, modelId, runId, fromBlock } = stage.world;
  const { logs } = await getAllLogs(stage.client, runRegistered({ addresses, modelId }), { from: BigInt(fromBlock) });
  const { input: data } = await stage.client.getTransaction({ hash: logs[0]!.transactionHash });
  const [, , config] = decodeFunctionData({ abi: runRegistryAbi, data }).args as readonly unknown[];
  return stage.asHolders(async (account) => {
    const by = { addresses, account, pollingInterval: 20 };
    await setStatus.sync(stage.client, { ...by, runId, status: runStatus.finished });
    const like = { modelId, salt: digestOfJson("next"), config: config as RegisterRunArgs["config"] };
    const { event } = await registerRun.sync(stage.client, { ...by, ...like });
    return asRunId(event.runId);
  });
}

/** The buyer holds all shares that there are. */
async function buyShares(): Promise<void> {
  await nextEpoch();
  const { epoch } = await told<{ epoch: string }>("capital", "deposit", "2", ...at(), ...by("buyer"), "--yes");
  await overBy(BigInt(epoch));
  await told("capital", "claim", ...at(), ...by("buyer"));
}

/** A customer pays in an epoch that is over then. */
async function earn(amount: string): Promise<void> {
  await nextEpoch();
  const paid = await told<{ epoch: number }>("revenue", "deposit", amount, ...at(), ...by("stranger"), "--yes");
  await overBy(BigInt(paid.epoch));
}

const accept = (request: AttestationRequest, epoch: number, verify = async () => {}) =>
  duty.accept(epoch, request, verify);

/** A validator's process. @param chainId of a chain on which later blocks are waited for; default the development chain's */
async function validatorOf(index: number, chainId = chain.chainId) {
  const account = validators[index]!;
  const { modelId, runId } = stage.world;
  const events: ValidatorEvent[] = [];
  const sent: AttestationRequest[] = [];
  const database = await openDatabase<StatementSchema>(
    join(temporaryDirectory(), "statements.sqlite"),
    statementMigrations,
  );
  databases.push(database as never);
  let published: readonly EpochView[] = [];
  const clock = createManualClock(0);
  const context = {
    account,
    attestationDomain: domainFor(chain.chainId, chain.contracts.computeRewards),
    clock,
    coordinator: {
      epochs: async () => ({ epochs: published }),
      submitAttestation: async (_run: string, epoch: number, request: AttestationRequest) => {
        sent.push(request);
        await accept(request, epoch);
      },
    },
    emit: (event: ValidatorEvent) => void events.push(event),
    epochs: { refused: new Map(), waiting: new Map(), claimed: new Map(), seen: new Map() },
    reader: { ...chain, chainId },
    revenue: accounts,
    run: { runId, modelId },
    signal: new AbortController().signal,
    absence: 1_000,
    statements: openStatements(database),
    validator: account.address.toLowerCase() as Address,
  };
  const look = async (views: readonly EpochView[]): Promise<void> => {
    published = views;
    keepEpochs(context as unknown as Context, await signEpochs(context as unknown as Context));
  };
  return { clock, events, look, sent };
}

/** Looks as a validator does at what is published. */
async function validatorLooks(index: number, published: readonly EpochView[]) {
  const validator = await validatorOf(index);
  await validator.look(published);
  return validator;
}

const pending = () => {
  const { contracts: addresses, modelId } = stage.world;
  return pendingRoot(stage.client, { addresses, modelId, kind: rewardKind.revenue });
};

/** Looks until something is so. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  await expect
    .poll(
      async () => {
        await duty.look();
        return isSo();
      },
      { interval: 20, timeout: 10_000 },
    )
    .toBe(true);
}

test("what a customer paid goes to the holders, and nobody has to lift a hand", async () => {
  await buyShares();
  await earn("1.5");
  await duty.look();
  const view = duty.published()!;
  expect(view).toMatchObject({ state: "collecting", attestation: { kind: 5, index: "1", total: "1500000" } });
  expect((await validatorLooks(0, [view])).events).toMatchObject([{ type: "attested", epoch: view.epoch }]);
  // Who has signed does not sign again.
  expect((await validatorLooks(0, [duty.published()!])).sent).toEqual([]);
  await duty.look();
  expect(await pending()).toBeUndefined();
  await validatorLooks(2, [duty.published()!]);
  await until(async () => (await pending()) !== undefined && duty.published() === undefined);

  const { activatableAt } = (await pending())!;
  await duty.look();
  expect(await pending()).toBeDefined();
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(activatableAt!) });
  await stage.client.mine({ blocks: 1 });
  await until(async () => (await pending()) === undefined);
  await told("revenue", "claim", ...at(), ...by("buyer"));
  expect(await dollarsOf(buyer)).toBe(1_500_000n);

  const { modelId } = stage.world;
  const roots = chain.rootsOfKind(rewardKind.revenue);
  expect([(await roots.rootsOf(modelId)).length, (await roots.activationsOf(modelId)).length]).toEqual([1, 1]);
  expect([await chain.rootsOf(modelId), await chain.activationsOf(modelId)]).toEqual([[], []]);
  await duty.look();
  expect(duty.published()).toBeUndefined();
});

test("a dispute about it is ended when its vote is over, and the next root shares the money out", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const kind = rewardKind.revenue;
  await buyShares();
  await earn("1.5");
  await duty.look();
  for (const index of [0, 1, 2]) await validatorLooks(index, [duty.published()!]);
  await until(async () => (await pending()) !== undefined);
  const { digest } = (await pending())!;
  const { bond } = await bondOf(stage.client, { addresses, modelId, kind });
  await disputeRoot.sync(stage.client, {
    addresses,
    modelId,
    kind,
    digest,
    bond,
    evidence: digestOfJson("what was found"),
    account: accountOf("stranger"),
    pollingInterval: 20,
  });
  const { votesUntil } = (await chain.rootsOfKind(kind).openDispute(modelId))!;
  await duty.look();
  expect(await pending()).toMatchObject({ digest });

  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(votesUntil + 1) });
  await stage.client.mine({ blocks: 1 });
  await until(async () => (await pending()) === undefined);
  // Nobody voted, so that nothing was decided.
  expect(await chain.rulingOn(digest)).toBe("undecided");
  await nextEpoch();
  await until(async () => duty.published() !== undefined);
  expect(duty.published()).toMatchObject({ attestation: { kind, index: "1", total: "1500000" } });
});

test("too little makes nobody work, and is shared with what comes after it", async () => {
  await buyShares();
  let asked = 0;
  const counted = {
    ...accounts,
    next: (...args: Parameters<RevenueAccounts["next"]>) => (asked++, accounts.next(...args)),
  };
  duty = dutyOf(stage.world.runId, counted);
  await earn("0.5");
  for (let i = 0; i < 3; i++) await duty.look();
  expect([duty.published(), asked]).toEqual([undefined, 1]);
  await earn("0.5");
  await duty.look();
  expect(duty.published()).toMatchObject({ attestation: { total: "1000000" } });
});

test("a root that nobody signed in time is computed anew, and so is one after somebody else's", async () => {
  await earn("1");
  await duty.look();
  const { attestation: first } = duty.published()!;
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(first.deadline) + 1n });
  await stage.client.mine({ blocks: 1 });
  await duty.look();
  const second = duty.published()!;
  expect(BigInt(second.attestation.deadline)).toBeGreaterThan(BigInt(first.deadline));

  const attestation = fromWire("Attestation", second.attestation);
  const signatures = await signaturesUnder(stage.world, attestation, validators.slice(0, 2));
  await chain.postRoot(attestation, signatures, "by hand");
  await duty.look();
  expect(duty.published()).toBeUndefined();
});

test("a root that validators may sign no more, for others have replaced them, is computed anew for those", async () => {
  await earn("1");
  await duty.look();
  const first = duty.published()!;
  const { contracts: addresses, modelId } = stage.world;
  const replaces = await newestSetVersion(stage.client, { addresses, modelId });
  const members = validators.slice(1).map(({ address }) => address);
  const set = { addresses, modelId, replaces, validators: members, threshold: 2 };
  await stage.asHolders((account) => setValidators.sync(stage.client, { ...set, account, pollingInterval: 20 }));
  const deadline = BigInt(first.attestation.deadline);
  // The set takes force before the root's time is over.
  for (let now = 0n; (await currentSetVersion(stage.client, { addresses, modelId })) === replaces;) {
    ({ timestamp: now } = await stage.client.getBlock());
    expect(now).toBeLessThan(deadline);
    await stage.client.setNextBlockTimestamp({ timestamp: now + 1n });
    await stage.client.mine({ blocks: 1 });
  }
  await duty.look();
  expect(duty.published()!.attestation).toMatchObject({ setVersion: replaces + 1, index: first.attestation.index });
});

test("a validator signs nothing that its chain does not say", async () => {
  await earn("1");
  await duty.look();
  const view = duty.published()!;
  for (const [change, words] of [
    [{ total: "999999" }, "is not what this chain says"],
    [{ root: view.manifest }, "is not what this chain says"],
    [{ modelId: view.manifest }, "is not what this chain says"],
    [{ blockHash: view.manifest }, "that is not there"],
    [{ deadline: "1" }, "could be posted until"],
    [{ deadline: String(2n ** 40n) }, "could be posted for too long"],
  ] as const) {
    const { events, sent } = await validatorLooks(1, [{ ...view, attestation: { ...view.attestation, ...change } }]);
    expect(sent).toEqual([]);
    expect(events).toMatchObject([{ type: "refused", reason: expect.stringContaining(words) as string }]);
  }
});

const later = () => stage.client.mine({ blocks: 1 });

/** Nine tenths of the shares are the stranger's; the roots as the chain says and as the lie has it. */
async function lied() {
  await buyShares();
  const { contracts: addresses, modelId } = stage.world;
  const { shares } = await modelContractsOf(stage.client, { addresses, modelId });
  const token = { address: shares, abi: erc20Abi } as const;
  const balance = await stage.client.readContract({ ...token, functionName: "balanceOf", args: [buyer] });
  await stage.client.impersonateAccount({ address: buyer });
  const args = [stranger, (balance * 9n) / 10n] as const;
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args });
  await execute(stage.client, buyer, { target: shares, data });
  await earn("1.5");
  isLying = true;
  await duty.look();
  isLying = false;
  const falseView = duty.published()!;
  duty = dutyOf(stage.world.runId);
  await duty.look();
  const view = duty.published()!;
  expect(view.attestation.root).not.toBe(falseView.attestation.root);
  return { view, falseView };
}

describe("before a validator's process signs", () => {
  /** A chain that is no development chain, of which nobody knows who answers for it. */
  const PUBLIC = 8453;

  const refused = { type: "refused", reason: expect.stringContaining("is not what this chain says") as string };

  test("two looks found the root, and a lie at either has nothing signed", async () => {
    const { view, falseView } = await lied();
    const { clock, events, look, sent } = await validatorOf(0, PUBLIC);
    isLying = true;
    await look([falseView]);
    expect([events, sent]).toEqual([[], []]);
    isLying = false;
    await later();
    await look([falseView]);
    expect([events, sent]).toMatchObject([[refused], []]);
    // What one look found then has to be found anew.
    await clock.advance(60_000);
    isLying = true;
    await look([falseView]);
    isLying = false;
    await clock.advance(60_000);
    await later();
    await look([falseView]);
    expect(sent).toEqual([]);

    await look([view]);
    isLying = true;
    await later();
    await look([view]);
    expect(sent).toEqual([]);

    // Nor is the first one left out.
    isLying = false;
    const other = await validatorOf(1, PUBLIC);
    await other.look([falseView]);
    expect([other.events, other.sent]).toMatchObject([[refused], []]);
  });

  test("one look alone has nothing signed on a development chain, either", async () => {
    const { falseView } = await lied();
    const check: RevenueAccounts["check"] = async (...of) => {
      isLying = true;
      await honest.check(...of);
      isLying = false;
    };
    const honest = accounts;
    accounts = { ...honest, check };
    expect(await validatorLooks(0, [falseView])).toMatchObject({ events: [refused], sent: [] });
  });

  test("the second look is of a later block, for which nothing waits", async () => {
    await earn("1");
    await duty.look();
    const view = duty.published()!;
    const { events, look, sent } = await validatorOf(0, PUBLIC);
    await look([view]);
    await look([view]);
    expect([events, sent]).toEqual([[], []]);
    await later();
    await look([view]);
    expect(events).toMatchObject([{ type: "attested", epoch: view.epoch }]);
  });

  test("a minute in which no block comes stands for one, and what is published no more is forgotten", async () => {
    await earn("1");
    await duty.look();
    const view = duty.published()!;
    const { clock, look, sent } = await validatorOf(0, PUBLIC);
    await look([view]);
    await clock.advance(60_000);
    await look([]);
    await look([view]);
    expect(sent).toEqual([]);
    await clock.advance(60_000);
    await look([view]);
    expect(sent).toHaveLength(1);
  });

  test("a root that holders voided is not signed again", async () => {
    await earn("1");
    await duty.look();
    const honest = accounts;
    const voided = new UserError("REVENUE_VOIDED", "Holders have voided this root by a vote.");
    accounts = { ...honest, checkAgain: () => Promise.reject(voided) };
    const { events, sent } = await validatorLooks(0, [duty.published()!]);
    expect([events, sent]).toMatchObject([[{ type: "refused", reason: voided.message }], []]);
  });
});

test("only a validator's signature of the root that is asked for counts", async () => {
  await earn("1");
  await duty.look();
  const view = duty.published()!;
  const validator = validators[0]!.address.toLowerCase() as Address;
  const request: AttestationRequest = { epochDigest: view.manifest, validator, signature: `0x${"11".repeat(65)}` };
  expect(await accept({ ...request, epochDigest: view.attestation.root }, view.epoch)).toBeUndefined();
  expect(await accept(request, view.epoch + 1)).toBeUndefined();
  await expect(accept({ ...request, validator: buyer }, view.epoch)).rejects.toMatchObject({ code: "NOT_A_VALIDATOR" });
  const wrong = new Error("signed by nobody");
  await expect(accept(request, view.epoch, () => Promise.reject(wrong))).rejects.toBe(wrong);
  expect(duty.published()!.signatures).toEqual([]);
});

test("a validator waits for a block that its chain has not confirmed", async () => {
  await earn("1");
  await duty.look();
  const { modelId, fromBlock } = stage.world;
  const attestation = fromWire("Attestation", duty.published()!.attestation);
  const connection = await connect({ rpcUrl: stage.node.url, chainId: chain.chainId });
  const careful = revenueAccounts({ reader: { ...chain, confirmations: 2 }, connection, fromBlock });
  // It may be another block yet, in which shares are somebody else's.
  const early = { code: "BLOCK_NOT_FINAL", retryable: true };
  await expect(careful.check(modelId, attestation)).rejects.toMatchObject(early);
  await stage.client.mine({ blocks: 1 });
  await expect(careful.check(modelId, attestation)).rejects.toMatchObject(early);
  await stage.client.mine({ blocks: 1 });
  await careful.check(modelId, attestation);
});

test("of a model's runs the newest one's coordinator makes roots of revenue", async () => {
  await earn("1");
  await duty.look();
  const first = duty.published()!;
  const next = dutyOf(await nextRun());
  await duty.look();
  expect(duty.published()).toBeUndefined();
  const validator = validators[0]!.address.toLowerCase() as Address;
  const request: AttestationRequest = { epochDigest: first.manifest, validator, signature: `0x${"11".repeat(65)}` };
  expect(await accept(request, first.epoch)).toBeUndefined();
  await next.look();
  const { attestation } = next.published()!;
  expect(attestation).toMatchObject({ kind: 5, index: "1", total: "1000000" });

  // What is posted is not the other one's to activate, either.
  const struct = fromWire("Attestation", attestation);
  await chain.postRoot(struct, await signaturesUnder(stage.world, struct, validators.slice(0, 2)), "by hand");
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt((await pending())!.activatableAt!) });
  await stage.client.mine({ blocks: 1 });
  for (let looks = 0; looks < 3; looks++) await duty.look();
  expect(await pending()).toBeDefined();
  await until(async () => (await next.look(), (await pending()) === undefined));
});
