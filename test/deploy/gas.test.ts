/**
 * What each operation costs, as a whole transaction with its calldata, and how large each contract is, against the tables in
 * test/contracts/gas.json. `UPDATE_GAS=1` writes them anew. Signatures and ids change with the code, and with them the zero bytes of calldata:
 * that is what the tolerance allows for.
 */
import { readFile, writeFile } from "node:fs/promises";
import { modelTermsHash } from "@cotrain/sdk/actions";
import {
  defaultRunParams,
  asDigest,
  asHead,
  asRunId,
  type Attestation,
  domainFor,
  type Grant,
  grantIdOf,
  hashReceipt,
  modelIdOf,
  type Receipt,
  rewardTree,
  runParameters,
  type Ruling,
  rulingOnWork,
  type RunParams,
  structHash,
  type Suspend,
  typedDataOf,
  type Verdict,
} from "@cotrain/sdk/protocol";
import { network } from "hardhat";
import {
  type Abi,
  type Address,
  concatHex,
  createPublicClient,
  createWalletClient,
  custom,
  decodeEventLog,
  encodeFunctionData,
  type Hex,
  keccak256,
  sha256,
  stringToHex,
  zeroAddress,
} from "viem";
import { mnemonicToAccount, privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import { loadArtifact } from "../../deploy/artifacts.ts";
import { type ContractName, deploy, ensureBuilt, profileFor } from "../../deploy/deployment.ts";
import { compiler } from "../../hardhat.config.ts";
import { measureEscrow } from "./gasOfEscrow.ts";
import { measureMoney } from "./gasOfMoney.ts";
import { measurePlain } from "./gasOfPlain.ts";
import { measureTreasury } from "./gasOfTreasury.ts";

const table = new URL("../contracts/gas.json", import.meta.url);
const tolerance = 600;
/** What a chain takes of a contract at most (EIP-170), less what a mend of a deployed protocol may need. */
const largest = 24_576 - 1_024;
const contracts = [
  "ModelRegistry",
  "ModelShares",
  "ModelGovernor",
  "ModelTimelock",
  "RunRegistry",
  "CheckpointRegistry",
  "ValidatorSet",
  "Emission",
  "ComputeRewards",
  "CodeGrants",
  "CapitalSale",
  "RevenueDeposits",
  "StakeManager",
  "Bootstrap",
  "ComputeBudget",
  "ComputeEscrow",
  "DeterministicDeployer",
] as const satisfies readonly ContractName[];

async function sizes(): Promise<Record<string, number>> {
  const measured = contracts.map(async (name) => {
    const { deployedBytecode } = await loadArtifact(name);
    return [name, (deployedBytecode.length - 2) / 2] as const;
  });
  return Object.fromEntries(await Promise.all(measured));
}
const share = 10n ** 18n;
const hash = (text: string): Hex => keccak256(stringToHex(text));
const salt = hash("gas");

const params: RunParams = {
  ...defaultRunParams,
  innerSteps: 64,
  rampInnerSteps: 8,
  rampRounds: 6,
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

/** Hardhat's own accounts: organiser, poster, holders. */
const accounts = Array.from({ length: 8 }, (_, index) =>
  mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: index }),
);
const validators = Array.from({ length: 7 }, (_, index) => privateKeyToAccount(hash(`validator ${index}`))).sort(
  (a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1),
);

async function measure(): Promise<Record<string, number>> {
  await ensureBuilt();
  const connection = await network.create({ override: { initialDate: new Date(1_800_000_000_000) } });
  const transport = custom({ request: (call) => connection.provider.request(call) });
  const publicClient = createPublicClient({ transport, pollingInterval: 5 });
  const walletOf = (index: number) => createWalletClient({ account: accounts[index]!, transport });
  const deployment = await deploy({ publicClient, walletClient: walletOf(0), profile: "local" });
  const { addresses, codeGrants, capitalSale, revenueDeposits, stakeManager, computeBudget, testDollar } = deployment;
  const { model } = profileFor("local", 31337);

  const abis = new Map<ContractName, Abi>();
  const abiOf = async (name: ContractName): Promise<Abi> => {
    const abi = abis.get(name) ?? (await loadArtifact(name)).abi;
    abis.set(name, abi);
    return abi;
  };
  const send = async (
    from: number,
    to: Address,
    name: ContractName,
    functionName: string,
    args: readonly unknown[],
    value = 0n,
  ) => {
    const data = encodeFunctionData({ abi: await abiOf(name), functionName, args });
    const transaction = await walletOf(from).sendTransaction({ chain: null, to, data, value });
    const receipt = await publicClient.waitForTransactionReceipt({ hash: transaction });
    expect(receipt.status).toBe("success");
    return receipt;
  };
  const read = async (to: Address, name: ContractName, functionName: string, args: readonly unknown[]) =>
    publicClient.readContract({ address: to, abi: await abiOf(name), functionName, args });
  const now = async (): Promise<bigint> => (await publicClient.getBlock()).timestamp;
  /** The next block has this time. */
  const at = (time: bigint) =>
    connection.provider.request({ method: "evm_setNextBlockTimestamp", params: [Number(time)] });

  const rows: Record<string, number> = {};
  const row = (name: string, receipt: { readonly gasUsed: bigint }): void => {
    rows[name] = Number(receipt.gasUsed);
  };

  const start = (await now()) + 10n;
  await at(start);
  const config = {
    name: "Gas",
    symbol: "GAS",
    uri: "ipfs://terms",
    organiser: accounts[0]!.address,
    ...model,
    // Over by the time that validators rule.
    bootstrapShares: model.governor.quorumFloor,
    bootstrapEpochs: 1,
    validators: validators.map(({ address }) => address),
    threshold: 5,
  };
  row("createModel", await send(0, addresses.modelRegistry, "ModelRegistry", "createModel", [config, salt]));
  const selling = {
    ...config,
    capital: { token: testDollar!, priceFloor: 10_000n, price: 20_000n, minimum: 1_000_000n },
  };
  row(
    "createModel, which sells shares",
    await send(0, addresses.modelRegistry, "ModelRegistry", "createModel", [selling, hash("selling")]),
  );
  const founded = {
    ...config,
    yearlyCap: model.yearlyCap + 2_000n * share,
    founders: {
      list: accounts.slice(2, 4).map(({ address: account }) => ({ account, amount: 1_000n * share })),
      cliff: 365 * 86_400,
      duration: 4 * 365 * 86_400,
    },
  };
  row(
    "createModel, with two founders",
    await send(0, addresses.modelRegistry, "ModelRegistry", "createModel", [founded, hash("founded")]),
  );
  const idOf = (of: typeof config | typeof selling, named: Hex) =>
    modelIdOf(31337n, addresses.modelRegistry, accounts[0]!.address, named, modelTermsHash(of));
  const modelId = idOf(config, salt);
  const of = async (what: string) => (await read(addresses.modelRegistry, "ModelRegistry", what, [modelId])) as Address;
  const [shares, governor] = [await of("sharesOf"), await of("governorOf")];

  const run = {
    definition: hash("definition"),
    initialCheckpoint: hash("checkpoint 0"),
    fragments: 4,
    poster: accounts[1]!.address,
    builds: [hash("cpu")],
    params,
    min: { ...params, innerSteps: 4 },
    max: { ...params, innerSteps: 1_024 },
  };
  row("registerRun", await send(0, addresses.runRegistry, "RunRegistry", "registerRun", [modelId, salt, run]));
  const runId = asRunId((await read(addresses.runRegistry, "RunRegistry", "runIdOf", [modelId, salt])) as Hex);

  for (const [round, name] of ["post head, first", "post head, later", "post head, later"].entries()) {
    const [parent] = (await read(addresses.checkpointRegistry, "CheckpointRegistry", "headOf", [runId])) as [Hex];
    const args = [runId, parent, BigInt(round + 1), 1, hash(`checkpoint ${round}`), hash(`receipts ${round}`)];
    row(name, await send(1, addresses.checkpointRegistry, "CheckpointRegistry", "post", args));
  }

  const [parent, , last] = (await read(addresses.checkpointRegistry, "CheckpointRegistry", "headOf", [runId])) as [
    Hex,
    bigint,
    bigint,
  ];
  const batch = Array.from({ length: 16 }, (_, index) => ({
    paramsVersion: 1,
    checkpointDigest: hash(`checkpoint ${index} of many`),
    receiptsRoot: hash(`receipts ${index} of many`),
  }));
  const many = [runId, parent, last + 1n, batch];
  row("post 16 heads at once", await send(1, addresses.checkpointRegistry, "CheckpointRegistry", "postMany", many));

  // 1,024 leaves: proofs of depth 10. Accounts 2 to 5 hold, of whom 3 and 5 delegate to themselves before they claim.
  const amounts = new Map(
    accounts.slice(2, 6).map(({ address }, index) => [address, [300n, 40n, 20n, 5n][index]! * share]),
  );
  const strangers = Array.from(
    { length: 1_020 },
    (_, index): Address => `0x${(index + 0x1000000).toString(16).padStart(40, "0")}`,
  );
  const treeOf = (index: number) =>
    rewardTree({ modelId, index }, [
      ...[...amounts].map(([account, amount]) => ({ account, amount })),
      ...strangers.map((account) => ({ account, amount: share / 10n })),
    ]);
  for (const delegating of [3, 5])
    await send(delegating, shares, "ModelShares", "delegate", [accounts[delegating]!.address]);

  const trees: ReturnType<typeof treeOf>[] = [];
  let previousRoot: Hex = hash("").replace(/./g, (digit, index: number) => (index < 2 ? digit : "0")) as Hex;
  for (const [index, when] of (["first", "later"] as const).entries()) {
    const epoch = BigInt(index + 1);
    const tree = treeOf(index + 1);
    const end = start + epoch * BigInt(model.epochLength);
    const attestation: Attestation = {
      kind: 1,
      modelId,
      index: epoch,
      fromEpoch: epoch,
      toEpoch: epoch,
      runId,
      head: asHead(hash("head")),
      epochDigest: asDigest(hash(`epoch ${index}`)),
      previousRoot,
      root: tree.root,
      total: tree.total,
      setVersion: 1,
      blockNumber: 20_000_000n,
      blockHash: hash("block"),
      deadline: end + BigInt(model.postingDelay),
    };
    const domain = domainFor(31337, addresses.computeRewards);
    const signatures = await Promise.all(
      validators
        .slice(0, 5)
        .map((validator) => validator.signTypedData(typedDataOf(domain, "Attestation", attestation))),
    );
    await at(end + 1n);
    const posted = await send(2, addresses.computeRewards, "ComputeRewards", "postRoot", [
      attestation,
      concatHex(signatures),
    ]);
    row(`post root, 5 of 7, ${when}`, posted);
    expect(decodeEventLog({ abi: await abiOf("ComputeRewards"), ...posted.logs[0]! }).eventName).toBe("RootPosted");
    expect(structHash("Attestation", attestation)).toMatch(/^0x/);
    await at(end + 1n + BigInt(model.window));
    row(`activate root, ${when}`, await send(2, addresses.computeRewards, "ComputeRewards", "activate", [attestation]));
    for (const [holder, kind] of [
      [2, "undelegated"],
      [3, "self-delegated"],
      [4, undefined],
      [5, undefined],
    ] as const) {
      const { address } = accounts[holder]!;
      const leaf = { index: epoch, ...tree.proofOf(address)! };
      expect(leaf.proof).toHaveLength(10);
      const args = [modelId, 1, address, leaf];
      const claimed = await send(holder, addresses.computeRewards, "ComputeRewards", "claim", args);
      if (kind) row(`claim, depth 10, ${kind}, ${when}`, claimed);
    }
    previousRoot = tree.root;
    trees.push(tree);
  }
  // Of accounts that were never paid: what a further root of the same account takes is the difference.
  for (const roots of [1, 2]) {
    const account = strangers[roots]!;
    const leaves = trees.slice(0, roots).map((tree, at) => ({ index: BigInt(at + 1), ...tree.proofOf(account)! }));
    const claims = [{ modelId, kind: 1, account, leaves }];
    const claimed = await send(2, addresses.computeRewards, "ComputeRewards", "claimMany", [claims]);
    row(`claimMany, depth 10, undelegated, ${roots === 1 ? "1 root" : `${roots} roots`}, first`, claimed);
  }

  // Before anybody decides: a proposal that ends it would pay for that.
  const bootstrap = (await read(addresses.computeRewards, "ComputeRewards", "bootstrap", [])) as Address;
  row("end bootstrap", await send(2, bootstrap, "Bootstrap", "end", [modelId]));

  // A quorum is a tenth of the supply of about 934; 5 votes are too few, 600 are enough.
  await send(2, shares, "ModelShares", "delegate", [accounts[2]!.address]);
  const call = encodeFunctionData({
    abi: await abiOf("RunRegistry"),
    functionName: "setParams",
    args: [runId, 1, { ...params, innerSteps: 128 }],
  });
  const proposal = [[addresses.runRegistry], [0n], [call], "H = 128"] as const;
  const proposed = (await now()) + 2n;
  await at(proposed);
  row(
    `propose (setParams, ${runParameters.length + 2} words)`,
    await send(3, governor, "ModelGovernor", "propose", proposal),
  );
  const short = encodeFunctionData({
    abi: await abiOf("RunRegistry"),
    functionName: "setPoster",
    args: [runId, accounts[1]!.address],
  });
  row(
    "propose (setPoster, 2 words)",
    await send(3, governor, "ModelGovernor", "propose", [[addresses.runRegistry], [0n], [short], "Poster"]),
  );
  const described = [...proposal.slice(0, 3), hash("H = 128")];
  const id = await read(governor, "ModelGovernor", "hashProposal", described);
  for (const [index, [voter, name]] of (
    [
      [5, "castVote, before the quorum"],
      [2, "castVote, reaching the quorum"],
      [3, "castVote, after the quorum"],
    ] as const
  ).entries()) {
    await at(proposed + 2n + BigInt(index));
    row(name, await send(voter, governor, "ModelGovernor", "castVote", [id, 1]));
  }
  await at(proposed + 10n);
  row("queue", await send(3, governor, "ModelGovernor", "queue", described));
  await at(proposed + 14n);
  row("execute (setParams)", await send(3, governor, "ModelGovernor", "execute", described));
  expect(await read(addresses.runRegistry, "RunRegistry", "versionAt", [runId, Number(proposed) + 14])).toBe(2);

  // As the SDK proposes: what names its proposer needs no mark that nobody may cancel it.
  const named = `Poster #proposer=${accounts[3]!.address.toLowerCase()}`;
  row(
    "propose (setPoster, 2 words), naming its proposer",
    await send(3, governor, "ModelGovernor", "propose", [[addresses.runRegistry], [0n], [short], named]),
  );

  const suspension: Suspend = {
    runId,
    poster: accounts[1]!.address.toLowerCase() as Address,
    head: asHead(hash("head")),
    setVersion: 1,
    deadline: (await now()) + 60n,
  };
  const registry = addresses.checkpointRegistry;
  const signed = typedDataOf(domainFor(31337, registry), "Suspend", suspension);
  const quorum = await Promise.all(validators.slice(0, 5).map((validator) => validator.signTypedData(signed)));
  row("suspend, 5 of 7", await send(2, registry, "CheckpointRegistry", "suspend", [suspension, concatHex(quorum)]));

  // The timelock speaks for itself: how it comes to decide is measured above.
  const timelock = await of("timelockOf");
  await connection.provider.request({ method: "hardhat_impersonateAccount", params: [timelock] });
  await connection.provider.request({ method: "hardhat_setBalance", params: [timelock, "0xde0b6b3a7640000"] });
  const decide = async (to: Address, name: ContractName, functionName: string, args: readonly unknown[]) => {
    const data = encodeFunctionData({ abi: await abiOf(name), functionName, args });
    const hash = await connection.provider.request({
      method: "eth_sendTransaction",
      params: [{ from: timelock, to, data }],
    });
    const receipt = await publicClient.waitForTransactionReceipt({ hash: hash as Hex });
    expect(receipt.status).toBe("success");
    return receipt;
  };
  const maintainers = validators.slice(0, 3);
  const members = maintainers.map(({ address }) => address);
  await decide(addresses.validatorSet, "ValidatorSet", "setMaintainers", [modelId, 0, members, 2]);
  await decide(codeGrants, "CodeGrants", "setCaps", [modelId, 0, 100n * share, 100n * share]);
  const inForce = (await now()) + BigInt(model.window);
  await at(inForce);
  const repository = "https://example.org/cotrain.git";
  const grant: Grant = {
    modelId,
    author: accounts[6]!.address,
    repository: sha256(stringToHex(repository)),
    commit: hash("commit"),
    description: hash("description"),
    amount: 2n * share,
    start: inForce,
    cliff: 0,
    duration: 10_000,
    setVersion: 1,
    deadline: inForce + 60n,
  };
  const terms = typedDataOf(domainFor(31337, codeGrants), "Grant", grant);
  const approval = await Promise.all(maintainers.slice(0, 2).map((maintainer) => maintainer.signTypedData(terms)));
  const approved = await send(2, codeGrants, "CodeGrants", "approve", [grant, repository, concatHex(approval)]);
  row("approve grant, 2 of 3, first", approved);
  const grantId = grantIdOf(grant);
  for (const [index, when] of ["first", "later"].entries()) {
    await at(inForce + 1_000n * BigInt(index + 1));
    row(`claim grant, undelegated, ${when}`, await send(2, codeGrants, "CodeGrants", "claim", [modelId, grantId]));
  }
  row("revoke grant (without the vote)", await decide(codeGrants, "CodeGrants", "revoke", [modelId, grantId]));
  const second = { ...grant, commit: hash("another"), deadline: inForce + 10_000n };
  const ofAnother = typedDataOf(domainFor(31337, codeGrants), "Grant", second);
  const signedByTwo = await Promise.all(
    maintainers.slice(0, 2).map((maintainer) => maintainer.signTypedData(ofAnother)),
  );
  await send(2, codeGrants, "CodeGrants", "approve", [second, repository, concatHex(signedByTwo)]);
  row("void a set's grants (without the vote)", await decide(codeGrants, "CodeGrants", "voidSet", [modelId, 1]));
  const burn = [modelId, [grantIdOf(second)]];
  row("burn what is voided, 1 grant", await send(2, codeGrants, "CodeGrants", "burnVoided", burn));

  const sold = { capitalSale, revenueDeposits, testDollar: testDollar!, ...addresses };
  await measureMoney({
    contracts: sold,
    modelId: idOf(selling, hash("selling")),
    accounts,
    strangers,
    model,
    validators,
    send,
    read,
    row,
    at,
    now,
  });

  // Stake of a worker (account 6) and of a validator.
  const worker = accounts[6]!;
  const stake = async (functionName: string, args: readonly unknown[], value = 0n) =>
    send(6, stakeManager, "StakeManager", functionName, args, value);
  for (const when of ["first", "later"])
    row(`deposit of stake, ${when}`, await stake("deposit", [modelId, 0, worker.address], 100n * share));
  await stake("deposit", [modelId, 1, validators[0]!.address], 100n * share);
  const verdict: Verdict = {
    runId,
    round: 0n,
    head: asHead(hash("head")),
    validator: validators[0]!.address,
    kind: 3,
    worker: zeroAddress,
    index: 3,
    value: 1n,
    evidence: asDigest(hash("evidence")),
    issuedAt: 1n,
  };
  const conflict: unknown[] = [];
  for (const value of [1n, 2n]) {
    const struct = { ...verdict, value };
    const data = typedDataOf(domainFor(31337, addresses.runRegistry), "Verdict", struct);
    conflict.push(struct, await validators[0]!.signTypedData(data));
  }
  row("slash for two verdicts, first of a reporter", await stake("slashVerdicts", conflict));
  const receipt: Receipt = {
    runId,
    round: 0n,
    worker: worker.address,
    beneficiary: worker.address,
    assignmentId: 1n,
    attempt: 1,
    assignment: asDigest(hash("assignment")),
    steps: 64,
    paramsVersion: 1,
    build: asDigest(hash("cpu")),
    baseDigest: asDigest(hash("checkpoint 0")),
    commitment: hash("commitment"),
    leaves: 1,
    payloadDigest: asDigest(hash("payload")),
  };
  const ruling: Ruling = {
    ...rulingOnWork,
    modelId,
    subject: hashReceipt(receipt),
    accused: worker.address,
    evidence: asDigest(hash("evidence")),
    setVersion: 1,
    deadline: (await now()) + 60n,
  };
  const ofReceipt = typedDataOf(domainFor(31337, addresses.runRegistry), "Receipt", receipt);
  const ofRuling = typedDataOf(domainFor(31337, addresses.validatorSet), "Ruling", ruling);
  const ruled = await Promise.all(validators.slice(0, 5).map((validator) => validator.signTypedData(ofRuling)));
  const proposedRuling = [ruling, receipt, await worker.signTypedData(ofReceipt), concatHex(ruled)];
  row("propose a ruling, 5 of 7", await stake("proposeRuling", proposedRuling));
  const on = [modelId, worker.address, ruling.subject];
  row("consent as a validator", await send(6, addresses.validatorSet, "ValidatorSet", "consent", [modelId, true]));
  row("request stake", await stake("requestWithdrawal", [modelId, 0, 50n * share]));
  await at((await now()) + BigInt(model.window) + 1_000_000n);
  row("execute a ruling", await stake("executeRuling", on));
  row("withdraw stake", await stake("withdraw", [modelId, 0, worker.address]));
  row("collect fees", await stake("collectFees", [worker.address]));
  // A third root, which the holders void, and the next one, which bears a bond.
  const rewards = addresses.computeRewards;
  const { disputeBond, postingDelay, window } = model;
  const attested = async (label: string) => {
    const time = await now();
    const toEpoch = ((await read(addresses.emission, "Emission", "epochOf", [modelId, Number(time)])) as bigint) - 1n;
    const end = BigInt((await read(addresses.emission, "Emission", "epochEnd", [modelId, toEpoch])) as number);
    const attestation: Attestation = {
      kind: 1,
      modelId,
      index: 3n,
      fromEpoch: 3n,
      toEpoch,
      runId,
      head: asHead(hash("head")),
      epochDigest: asDigest(hash(label)),
      previousRoot,
      root: hash(label),
      total: 1n,
      setVersion: 1,
      blockNumber: 20_000_000n,
      blockHash: hash("block"),
      deadline: end + (1n + (time + 5n - end) / BigInt(postingDelay)) * BigInt(postingDelay),
    };
    const data = typedDataOf(domainFor(31337, rewards), "Attestation", attestation);
    const signatures = await Promise.all(validators.slice(0, 5).map((validator) => validator.signTypedData(data)));
    return {
      attestation,
      signatures: concatHex(signatures),
      dispute: [modelId, 1, structHash("Attestation", attestation), hash("evidence")],
    };
  };
  const wrong = await attested("wrong");
  await send(2, rewards, "ComputeRewards", "postRoot", [wrong.attestation, wrong.signatures]);
  row("dispute a root", await send(6, rewards, "ComputeRewards", "dispute", wrong.dispute, disputeBond));
  const digest = structHash("Attestation", wrong.attestation);
  const { proposalId } = (await read(rewards, "ComputeRewards", "disputeOf", [digest])) as { proposalId: bigint };
  await at((await now()) + 2n);
  await send(2, governor, "ModelGovernor", "castVote", [proposalId, 0]);
  await at(1n + ((await read(governor, "ModelGovernor", "proposalDeadline", [proposalId])) as bigint));
  row("settle a dispute, void", await send(2, rewards, "ComputeRewards", "settleDispute", [modelId, 1, digest]));
  const right = await attested("right");
  row(
    "post root, 5 of 7, with a bond",
    await send(2, rewards, "ComputeRewards", "postRoot", [right.attestation, right.signatures], 2n * disputeBond),
  );
  row("withdraw what bonds brought", await send(2, rewards, "ComputeRewards", "withdraw", [accounts[6]!.address]));
  await at((await now()) + BigInt(window));
  row("activate root, with a bond", await send(2, rewards, "ComputeRewards", "activate", [right.attestation]));

  const nextEpoch = async () => at((await now()) + BigInt(model.epochLength));
  const contracts = { ...addresses, computeBudget, shares, recipient: accounts[7]!.address };
  await measureTreasury({ contracts, modelId, runId, decide, send, read, row, now, epoch: nextEpoch });
  const { computeEscrow: escrow } = deployment;
  await measureEscrow({ escrow, token: testDollar!, accounts, send, row, now, at });
  const raw = async (from: number, to: Address | null, data: Hex) => {
    const hash = await walletOf(from).sendTransaction({ chain: null, to, data });
    return publicClient.waitForTransactionReceipt({ hash });
  };
  const target = addresses.runRegistry;
  await measurePlain({ shares, settings: model.governor, target, long: call, short, send: raw, row, now, at });
  return rows;
}

describe("gas", () => {
  it("of every operation is what the table says", async () => {
    const rows = await measure();
    const bytes = await sizes();
    if (process.env["UPDATE_GAS"] === "1") {
      const about = `gasUsed of whole transactions, calldata included: solc ${compiler}, 200 runs, no viaIR, hardfork osaka.`;
      await writeFile(table, `${JSON.stringify({ about, rows, bytes }, null, 2)}\n`);
    }
    type Tables = Readonly<Record<"rows" | "bytes", Record<string, number>>>;
    const { rows: expected, bytes: known } = JSON.parse(await readFile(table, "utf8")) as Tables;
    expect(bytes).toEqual(known);
    expect(Object.keys(rows)).toEqual(Object.keys(expected));
    const changed = Object.entries(rows).filter(([name, gas]) => Math.abs(gas - expected[name]!) > tolerance);
    expect(Object.fromEntries(changed)).toEqual({});
  });

  it("leaves every contract a margin below what chains take", async () => {
    await ensureBuilt();
    expect(Object.entries(await sizes()).filter(([, size]) => size > largest)).toEqual([]);
  });
});
