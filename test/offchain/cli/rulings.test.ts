/** What validators rule against a worker, on a real node: shown, vetoed by the holders, or carried out by anybody; and what a veto costs. */
import { stakeManagerAbi } from "@cotrain/sdk/abis";
import {
  currentSetVersion,
  depositStake,
  proposeRuling,
  reporterFeesOf,
  rulingOf,
  stakeManagerOf,
  modelContractsOf,
  stakeOf,
  vetoRuling,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  asDigest,
  domainFor,
  type Hex,
  hashReceipt,
  type Receipt,
  type Ruling,
  rulingOnWork,
  typedDataOf,
} from "@cotrain/sdk/protocol";
import {
  concat,
  createWalletClient,
  decodeFunctionData,
  encodeFunctionData,
  getAddress,
  http,
  parseEther,
  slice,
  zeroHash,
} from "viem";
import { expect, test } from "vitest";

import { connect } from "../../../offchain/src/chain/index.ts";
import { isSound, type Seen } from "../../../offchain/src/cli/watching.ts";
import { createOffenceWatch, offenceText, vetoedRulings, wordsOfCall } from "../../../offchain/src/run/index.ts";
import { accountOf, keyOf, validators } from "../chain/world.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const account = accountOf("worker-1");
const worker = asAddress(account.address);
const stage = staged(["worker-1"], { young: true });
const { by, pins } = stage;
const at = () => ["--state", stage.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const digestOf = (name: string) => asDigest(keyOf(name));

/** Validators accuse the worker of one receipt. @returns its hash */
async function accused(round: bigint): Promise<Hex> {
  const { client, world } = stage;
  const { contracts: addresses, modelId, runId, chainId } = world;
  const stakes = await stakeManagerOf(client, { addresses });
  const receipt: Receipt = {
    runId,
    round,
    worker,
    beneficiary: worker,
    assignmentId: 1n,
    attempt: 1,
    assignment: digestOf("assignment"),
    steps: 64,
    paramsVersion: 1,
    build: digestOf("build"),
    baseDigest: digestOf("checkpoint"),
    commitment: zeroHash,
    leaves: 1,
    payloadDigest: digestOf("payload"),
  };
  const ruling: Ruling = {
    ...rulingOnWork,
    modelId,
    subject: hashReceipt(receipt),
    accused: worker,
    evidence: digestOf("evidence"),
    setVersion: await currentSetVersion(client, { addresses, modelId }),
    deadline: (await client.getBlock()).timestamp + 600n,
  };
  const receipts = domainFor(chainId, asAddress(addresses.runRegistry));
  const rulings = domainFor(chainId, asAddress(addresses.validatorSet));
  await proposeRuling.sync(senderAt(), {
    stakes,
    ruling,
    receipt,
    receiptSignature: await account.signTypedData(typedDataOf(receipts, "Receipt", receipt)),
    signatures: await Promise.all(validators.map((each) => each.signTypedData(typedDataOf(rulings, "Ruling", ruling)))),
  });
  return ruling.subject;
}
const senderAt = () => createWalletClient({ account, transport: http(stage.node.url), pollingInterval: 20 });

/** The worker has ten coins at stake, and holders may decide. */
async function prepared(): Promise<void> {
  const { client, world } = stage;
  const { contracts: addresses, modelId } = world;
  await client.setBalance({ address: worker, value: parseEther("20") });
  const stakes = await stakeManagerOf(client, { addresses });
  await depositStake.sync(senderAt(), { stakes, modelId, role: "worker", staker: worker, amount: parseEther("10") });
  await stage.endBootstrap();
}
async function stakeNow(): Promise<bigint> {
  const { contracts: addresses, modelId } = stage.world;
  const stakes = await stakeManagerOf(stage.client, { addresses });
  return (await stakeOf(stage.client, { stakes, modelId, role: "worker", staker: worker })).active;
}

/** What holders are told of a veto. */
async function vetoWords(receiptHash: Hex): Promise<string> {
  const { contracts: addresses, chainId, modelId, runId } = stage.world;
  const contracts = await modelContractsOf(stage.client, { addresses, modelId });
  const stakes = await stakeManagerOf(stage.client, { addresses });
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const { to, data } = vetoRuling.call({ stakes, modelId, worker, receiptHash });
  const place = { connection, addresses, contracts, stakeManager: stakes, runId };
  return (await wordsOfCall(place, { target: to, value: 0n, data })).words;
}

interface Shown {
  readonly title: string;
  readonly call: ShownCall & { readonly words: string };
}
interface Ruled {
  readonly receipt: string;
  readonly state: string;
  readonly amount: string;
  readonly vetoEnds: number;
}
const rulings = (...flags: readonly string[]) => told<Ruled[]>("stake", "rulings", ...flags);

test("holders veto one ruling in words, and anybody carries the other out once nobody can veto it any more", async () => {
  const { client, world } = stage;
  const { contracts: addresses, modelId } = world;
  expect((await cotrainHere(["stake", "rulings", ...at()])).stdout).toBe(
    "Validators of this model have ruled against no worker.\n",
  );
  await prepared();
  const [vetoed, passed] = [await accused(1n), await accused(2n)];
  expect(await rulings("--last", "1", ...pins())).toMatchObject([{ receipt: passed, state: "proposed" }]);
  const shown = flat((await cotrainHere(["stake", "rulings", ...at()])).stdout);
  expect(shown).toContain(
    `Validators ruled that ${getAddress(worker)} loses 1 coins of its stake for receipt ${vetoed}; what they found has sha256 ${digestOf("evidence")}. Holders may veto it until`,
  );

  const unknown = await cotrainHere(["stake", "veto", `0x${"11".repeat(32)}`, "--dry-run", ...at()]);
  expect(verdictOf(unknown)).toEqual(refusal(1, "Validators of this model have ruled on no receipt"));
  const { title, call } = await told<Shown>("stake", "veto", vetoed, "--dry-run", ...at());
  expect(title).toBe(`ruling vetoed: ${getAddress(worker)} keeps 1 coins of its stake`);
  expect(call.words).toContain(`StakeManager vetoes the validators' ruling on receipt ${vetoed}`);
  expect(call.words).toContain("the worker keeps the 1 coins of its stake that it would lose");
  // Who knows that he will be ruled against may have the veto voted on before.
  expect(await vetoWords(`0x${"11".repeat(32)}`)).toContain(
    "not there now: if it is proposed before this is carried out, it takes nothing for ever",
  );
  await stage.asHolders((timelock) => execute(client, timelock, call));
  expect(await vetoWords(vetoed)).toContain("which is vetoed: nothing changes");
  const stakes = await stakeManagerOf(client, { addresses });
  expect(await rulingOf(client, { stakes, modelId, worker, receiptHash: vetoed })).toMatchObject({ state: "vetoed" });
  expect(verdictOf(await cotrainHere(["stake", "veto", vetoed, "--dry-run", ...at()]))).toEqual(
    refusal(1, "All that is asked for is in force"),
  );
  expect(verdictOf(await cotrainHere(["stake", "execute", vetoed, ...at(), ...by("worker-1")]))).toEqual(
    refusal(1, `The ruling on receipt ${vetoed} is vetoed already.`),
  );

  expect(verdictOf(await cotrainHere(["stake", "execute", passed, ...at(), ...by("worker-1")]))).toEqual(
    refusal(75, `Holders may veto the ruling on receipt ${passed} until`),
  );
  const [{ vetoEnds }] = (await rulings("--last", "1", ...at())) as [Ruled];
  await client.setNextBlockTimestamp({ timestamp: BigInt(vetoEnds) });
  await client.mine({ blocks: 1 });
  expect(await stakeNow()).toBe(parseEther("10"));
  const done = await told("stake", "execute", passed, ...by("worker-1"), ...pins(), "--max-fee=1");
  expect(done).toMatchObject({ state: "executed", amount: expect.any(String) });
  expect(await stakeNow()).toBeLessThan(parseEther("10"));
  const after = flat((await cotrainHere(["stake", "rulings", ...at()])).stdout);
  expect(after).toContain("Holders have vetoed it: it takes nothing.");
  expect(after).toContain("It was executed.");
  const late = await cotrainHere(["stake", "veto", passed, "--dry-run", ...at()]);
  expect(verdictOf(late)).toEqual(refusal(1, `The ruling on receipt ${passed} was executed`));
});

/** Two coins of one of those who sign, paid for by the worker. */
async function validatorStakes(stakes: Hex, staker: Hex): Promise<void> {
  const { modelId } = stage.world;
  await depositStake.sync(senderAt(), { stakes, modelId, role: "validator", staker, amount: parseEther("2") });
}

/** What is found of vetoed rulings where the transactions that proposed them show other signatures. */
async function foundWith(stakes: Hex, others: (signatures: Hex) => Hex) {
  const { world, client } = stage;
  const shown = {
    ...client,
    getTransaction: async (asked: { readonly hash: Hex }) => {
      const found = await client.getTransaction(asked);
      const { functionName, args } = decodeFunctionData({ abi: stakeManagerAbi, data: found.input });
      if (functionName !== "proposeRuling") throw new RangeError(functionName);
      const data = [args[0], args[1], args[2], others(args[3])] as const;
      return { ...found, input: encodeFunctionData({ abi: stakeManagerAbi, functionName, args: data }) };
    },
  };
  const call = (work: (chain: never) => Promise<unknown>) => work(shown as never);
  const connection = { chainId: world.chainId, call: call as never };
  const place = { connection, addresses: world.contracts, modelId: world.modelId, fromBlock: 0 };
  return (await vetoedRulings(place, stakes)).map(({ missing, signatures }) => [missing, [...signatures.keys()]]);
}

/** What a watcher saw that found nothing. */
const SOUND = { false: [], heads: { looked: 0, findings: [] }, problems: [], falseRoots: [] } as unknown as Seen;

interface Slashed {
  readonly signatures: readonly { readonly validator: string; readonly state: string }[];
}

test("who signed a ruling that holders vetoed loses stake, once, and whoever reports it has the fee", async () => {
  const { client, world, node } = stage;
  const { contracts: addresses, modelId, chainId } = world;
  const stakes = await stakeManagerOf(client, { addresses });
  const [staking, poor] = validators.map(({ address }) => asAddress(address)) as [Address, Address];
  await prepared();
  await validatorStakes(stakes, staking);
  const [vetoed] = [await accused(1n), await accused(2n)];
  // What holders have not refused, or not yet, costs nobody anything.
  expect(await told("stake", "slash", "--dry-run", ...at())).toEqual({ signatures: [], hidden: [] });
  const veto = vetoRuling.call({ stakes, modelId, worker, receiptHash: vetoed });
  await stage.asHolders((timelock) => execute(client, timelock, { target: veto.to, data: veto.data }));

  const words = `${getAddress(staking)} signed the ruling against ${getAddress(worker)} on receipt ${vetoed}, which holders vetoed, and would lose 0.2 coins of its stake`;
  const dry = flat((await cotrainHere(["stake", "slash", "--dry-run", ...at()])).stdout);
  expect(dry).toContain(`${words}. Nothing was sent.`);
  expect(dry).toContain(`${getAddress(poor)} signed the ruling`);
  expect(dry).toContain("and has nothing at stake.");
  // Whoever watches hears of whom it costs something.
  const connection = await connect({ rpcUrl: node.url, chainId });
  const watch = createOffenceWatch(
    { connection, addresses, modelId, fromBlock: 0 },
    {
      stakes,
      members: async () => ({ inForce: [], before: [] }),
      heard: async () => [],
      write: () => Promise.reject(new Error("Nothing is to be written.")),
    },
  );
  const offences = await watch.look();
  expect(offences).toMatchObject([{ kind: "vetoed", validator: staking, amount: parseEther("0.2"), file: null }]);
  expect(offenceText(offences[0]!, (wei) => `${Number(wei) / 1e18} coins`)).toBe(
    `${words}, a twentieth of which is for whoever reports it ("npx cotrain stake slash").`,
  );
  expect(isSound({ ...SOUND, offences })).toBe(true);

  // Who proposes a ruling may hide who signed, and put a stranger's signature beside theirs.
  const strange = `0x${"11".repeat(64)}1b` as const;
  const [[missing, found] = []] = await foundWith(stakes, (signatures) => concat([strange, slice(signatures, 0, 65)]));
  expect(missing).toBe(1);
  expect(found).toHaveLength(1);

  const { signatures } = await told<Slashed>("stake", "slash", ...by("worker-1"), ...pins(), "--max-fee=1");
  const lost = { kind: "ruling", receipt: vetoed, state: "slashed", amount: String(parseEther("0.2")) };
  expect(signatures.find(({ validator }) => asAddress(validator) === staking)).toMatchObject(lost);
  expect(signatures.filter(({ state }) => state === "nothing")).toHaveLength(2);
  const { active } = await stakeOf(client, { stakes, modelId, role: "validator", staker: staking });
  expect(active).toBe(parseEther("1.8"));
  expect(await reporterFeesOf(client, { stakes, reporter: worker })).toBe(parseEther("0.01"));
  const again = await told<Slashed>("stake", "slash", ...by("worker-1"), ...pins());
  expect(again.signatures.map(({ state }) => state).toSorted()).toEqual(["before", "nothing", "nothing"]);
  expect(await watch.look()).toEqual([]);
});
