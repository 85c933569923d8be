/** A chain in this process with Cotrain deployed, one model and one run: where the SDK's stories begin. */
import { network } from "hardhat";
import {
  type Account,
  createClient,
  createPublicClient,
  createWalletClient,
  custom,
  type EIP1193RequestFn,
  keccak256,
  stringToHex,
} from "viem";
import { getBlock } from "viem/actions";
import { mnemonicToAccount } from "viem/accounts";
import {
  activateRoot,
  activeRoot,
  createModel,
  currentSetVersion,
  epochEnd,
  epochOf,
  headOf,
  modelContractsOf,
  type ModelConfig,
  postHead,
  postRoot,
  registerRun,
  type RunConfig,
  scheduleOf,
} from "@cotrain/sdk/actions";
import {
  defaultRunParams,
  asModelId,
  asRunId,
  type Attestation,
  domainFor,
  type Hex,
  type RunParams,
  rewardKind,
  rewardTree,
  type RewardLeaf,
  typedDataOf,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { deploy, ensureBuilt, profileFor } from "../../deploy/deployment.ts";
import { endBootstrapAt } from "../grownUp.ts";

/** Hardhat's accounts, all of them funded. */
const accountOf = (index: number) =>
  mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: index });

export const organiser = accountOf(0);
export const poster = accountOf(1);
export const alice = accountOf(2);
export const bob = accountOf(3);
export const stranger = accountOf(4);
export const validators = [5, 6, 7]
  .map(accountOf)
  .sort((a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1));

export const share = 10n ** 18n;
export const hashOf = (label: string): Hex => keccak256(stringToHex(label));

export const params: RunParams = {
  ...defaultRunParams,
  innerSteps: 64,
  rampInnerSteps: 8,
  rampRounds: 2,
  innerLrPpb: 2_000_000,
  outerLrPpm: 700_000,
  outerMomentumPpm: 700_000,
  minWorkers: 1,
  maxWorkers: 64,
  roundDeadline: 60,
  codec: 1,
  aggregatorBps: 0,
  mixingBps: 10_000,
};

const settings = profileFor("local", 31337).model;
export const modelConfig: ModelConfig = {
  name: "A model",
  symbol: "MODEL",
  uri: "ipfs://terms",
  organiser: organiser.address,
  ...settings,
  validators: validators.map((account) => account.address),
  threshold: 2,
};

/** How the world's model sells shares: for test dollars, at two cents at the least. */
export const saleTerms = { priceFloor: 10_000n, price: 20_000n, minimum: 1_000_000n } as const;

export const runConfig: RunConfig = {
  definition: hashOf("definition"),
  initialCheckpoint: hashOf("checkpoint 0"),
  fragments: 4,
  poster: poster.address,
  builds: [hashOf("build")],
  params,
  min: { ...params, innerSteps: 4, innerLrPpb: 1 },
  max: { ...params, innerSteps: 1_024, innerLrPpb: 100_000_000 },
};

export type World = Awaited<ReturnType<typeof createWorld>>;

/**
 * @param governor settings of its model's votes that are not the local profile's, whose votes are over in seconds
 * @param young whether its model is in bootstrap, where its holders may decide little
 */
export async function createWorld(governor: Partial<ModelConfig["governor"]> = {}, young = false) {
  await ensureBuilt();
  const connection = await network.create({ override: { throwOnTransactionFailures: false } });
  const request = ((call: { method: string; params?: unknown[] }) =>
    connection.provider.request(call)) as EIP1193RequestFn;
  const transport = custom({ request }, { retryCount: 0 });
  const settings = { transport, pollingInterval: 5, cacheTime: 0 };
  const client = createClient(settings);
  const clientOf = (account: Account) => createClient({ ...settings, account });
  const deployment = await deploy({
    walletClient: createWalletClient({ ...settings, account: organiser }),
    publicClient: createPublicClient(settings),
    profile: "local",
  });
  const {
    addresses,
    implementations,
    blocks,
    codeGrants,
    capitalSale,
    stakeManager,
    revenueDeposits,
    computeBudget,
    computeEscrow,
    testDollar,
  } = deployment;

  const now = async (): Promise<number> => Number((await getBlock(client)).timestamp);
  /** Mines a block at a time, or does nothing if it is past. */
  const advanceTo = async (timestamp: number | bigint): Promise<void> => {
    if (Number(timestamp) <= (await now())) return;
    await connection.provider.request({ method: "evm_setNextBlockTimestamp", params: [Number(timestamp)] });
    await connection.provider.request({ method: "evm_mine" });
  };

  if (!testDollar) throw new TypeError("the local profile has test dollars");
  const createdFrom: ModelConfig = {
    ...modelConfig,
    governor: { ...modelConfig.governor, ...governor },
    ...(young && { bootstrapShares: 500n * share, bootstrapEpochs: 2 }),
    capital: { token: testDollar, ...saleTerms },
  };
  const created = await createModel.sync(clientOf(organiser), { addresses, config: createdFrom, salt: zeroHash });
  const modelId = asModelId(created.event.modelId);
  if (!young) await endBootstrapAt(client, request, { addresses, modelId });
  const registered = await registerRun.sync(clientOf(organiser), {
    addresses,
    modelId,
    salt: zeroHash,
    config: runConfig,
  });
  const runId = asRunId(registered.event.runId);
  const contracts = await modelContractsOf(client, { addresses, modelId });

  /** Anchors a head, waits for the epoch to end and has a root of these leaves signed. */
  async function attest(leaves: readonly RewardLeaf[]): Promise<{ attestation: Attestation; signatures: Hex[] }> {
    const { head: parentHead, round } = await headOf(client, { addresses, runId });
    const fields = {
      addresses,
      runId,
      parentHead,
      round: round + 1n,
      paramsVersion: 1,
      checkpointDigest: hashOf(`checkpoint ${round + 1n}`),
      receiptsRoot: hashOf(`receipts ${round + 1n}`),
    };
    const { result: head } = await postHead.simulate(clientOf(poster), fields);
    await postHead.sync(clientOf(poster), fields);
    const epoch = await epochOf(client, { addresses, modelId, timestamp: await now() });
    const end = await epochEnd(client, { addresses, modelId, epoch });
    const { postingDelay } = await scheduleOf(client, { addresses, modelId });
    await advanceTo(end);
    const active = await activeRoot(client, { addresses, modelId });
    const index = (active?.index ?? 0) + 1;
    const tree = rewardTree({ modelId, index }, leaves);
    const attestation: Attestation = {
      kind: rewardKind.compute,
      modelId,
      index: BigInt(index),
      fromEpoch: BigInt((active?.toEpoch ?? 0) + 1),
      toEpoch: epoch,
      runId,
      head,
      epochDigest: hashOf("epoch manifest"),
      previousRoot: active?.root ?? zeroHash,
      root: tree.root,
      total: tree.total,
      setVersion: await currentSetVersion(client, { addresses, modelId }),
      blockNumber: 1n,
      blockHash: hashOf("block"),
      deadline: BigInt(end + postingDelay),
    };
    const domain = domainFor(31337, addresses.computeRewards);
    const signatures = await Promise.all(
      validators.slice(0, 2).map((account) => account.signTypedData(typedDataOf(domain, "Attestation", attestation))),
    );
    return { attestation, signatures };
  }

  /** Makes a root of these leaves the active one, so that they can be claimed. */
  async function reward(leaves: readonly RewardLeaf[]) {
    const { attestation, signatures } = await attest(leaves);
    const { event } = await postRoot.sync(clientOf(stranger), { addresses, attestation, signatures });
    await advanceTo(event.activatableAt);
    await activateRoot.sync(clientOf(stranger), { addresses, attestation });
    const index = Number(attestation.index);
    return { ...rewardTree({ modelId, index }, leaves), index };
  }

  return {
    request,
    client,
    clientOf,
    addresses,
    blocks,
    modelId,
    runId,
    ...contracts,
    createdFrom,
    implementations,
    codeGrants,
    capitalSale,
    stakeManager,
    revenueDeposits,
    computeBudget,
    escrow: computeEscrow,
    sale: capitalSale,
    testDollar,
    now,
    advanceTo,
    attest,
    reward,
    close: () => connection.close(),
  };
}
