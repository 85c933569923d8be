/** What validators rule against a worker, on a real node: shown, vetoed by the holders, or carried out by anybody. */
import {
  currentSetVersion,
  depositStake,
  proposeRuling,
  rulingOf,
  stakeManagerOf,
  modelContractsOf,
  stakeOf,
  vetoRuling,
} from "@cotrain/sdk/actions";
import {
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
import { createWalletClient, getAddress, http, parseEther, zeroHash } from "viem";
import { expect, test } from "vitest";

import { connect } from "../../../offchain/src/chain/index.ts";
import { wordsOfCall } from "../../../offchain/src/run/index.ts";
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
