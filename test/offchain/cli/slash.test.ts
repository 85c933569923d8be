/** `cotrain stake slash` and `fees` on a real node: signers of what holders voided lose stake, whoever reports it, and nobody else. */
import { computeRewardsAbi } from "@cotrain/sdk/abis";
import { disputeOf, pendingRoot, reporterFeesOf, stakeManagerOf, stakeOf } from "@cotrain/sdk/actions";
import { asAddress, domainFor, structHash, typedDataOf } from "@cotrain/sdk/protocol";
import {
  concat,
  decodeFunctionData,
  encodeFunctionData,
  getAddress,
  type Hex,
  parseEther,
  slice,
  TransactionNotFoundError,
} from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { voidedRoots } from "../../../offchain/src/run/index.ts";
import { settleLater } from "../chain/settle.ts";
import { accountOf, validators } from "../chain/world.ts";
import { type Holders, openHolders } from "./holders.ts";
import { told } from "./staged.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

let holders: Holders;
beforeAll(async () => (holders = await openHolders()), 120_000);
afterAll(() => holders.close());

const at = () => ["--state", holders.state];
/** From a directory that knows neither run nor wallet. */
const elsewhere = (name: string) => [
  ...holders.pins,
  ...holders.keysOf(name),
  "--max-fee=1",
  "--state",
  temporaryDirectory(),
];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
/** Two of three sign what is posted. */
const [staking, poor] = validators.map(({ address }) => getAddress(address));

interface Slashed {
  readonly signatures: readonly {
    readonly validator: string;
    readonly state: string;
    readonly amount: string;
    readonly fee: string;
    readonly root: number;
    readonly kind: string;
    readonly transaction: string | null;
  }[];
  readonly hidden: readonly unknown[];
}
interface Watched {
  readonly sound: boolean;
  readonly offences: readonly { readonly kind: string; readonly amount: string }[];
}
const byValidator = ({ signatures }: Slashed) =>
  Object.fromEntries(signatures.map((each) => [getAddress(each.validator), each]));

async function goTo(timestamp: number): Promise<void> {
  await holders.client.setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
  await holders.client.mine({ blocks: 1 });
}

async function stakeOfValidator(account: string) {
  const { contracts: addresses, modelId } = holders.world;
  const stakes = await stakeManagerOf(holders.client, { addresses });
  const { active } = await stakeOf(holders.client, {
    stakes,
    modelId,
    role: "validator",
    staker: asAddress(account),
  });
  return { stakes, active };
}

/** The data of a posting with other signatures. */
function withOthers(input: Hex, others: (signatures: Hex) => Hex): Hex {
  const { functionName, args } = decodeFunctionData({ abi: computeRewardsAbi, data: input });
  if (functionName !== "postRoot") throw new RangeError(functionName);
  return encodeFunctionData({ abi: computeRewardsAbi, functionName, args: [args[0], others(args[1])] });
}

/**
 * What is found of voided roots where a transaction that posted one shows other signatures than those that counted.
 * @param others undefined of a node that has the transaction no more
 */
async function foundWith(others: ((signatures: Hex) => Hex) | undefined) {
  const { world, client } = holders;
  const shown = {
    ...client,
    getTransaction: async (asked: { readonly hash: Hex }) => {
      if (!others) throw new TransactionNotFoundError(asked);
      const found = await client.getTransaction(asked);
      return { ...found, input: withOthers(found.input, others) };
    },
  };
  const call = (work: (chain: never) => Promise<unknown>) => work(shown as never);
  const connection = { chainId: world.chainId, call: call as never };
  return voidedRoots({ connection, addresses: world.contracts, modelId: world.modelId, fromBlock: 0 });
}
const countsWith = async (others: ((signatures: Hex) => Hex) | undefined) =>
  (await foundWith(others)).map(({ missing, signatures }) => [missing, signatures.size]);
const first = (signatures: Hex): Hex => slice(signatures, 0, 65);

/** Ends the open dispute as its votes stand. */
async function settled(): Promise<void> {
  const { disputes } = await told<{ disputes: readonly { deadline: number }[] }>("disputes", "list", ...at());
  await goTo(disputes[0]!.deadline + 1);
  expect(await cotrainHere(["disputes", "settle", ...at()])).toMatchObject({ code: 0 });
}

test("who signed a root that holders voided loses stake, once, whoever reports it; who disputed it has the fee", async () => {
  const { world, client, wallets } = holders;
  const { contracts: addresses } = world;
  const deposit = ["stake", "deposit", "2", "--role", "validator", "--for", staking!, "--yes", ...at()];
  expect(await cotrainHere([...deposit, ...holders.keysOf("worker-1")])).toMatchObject({ code: 0 });
  const signed = await settleLater({ url: world.url, directory: temporaryDirectory() }, world, "false");
  const digest = structHash("Attestation", signed);
  expect(flat((await cotrainHere(["stake", "slash", ...at()])).stdout)).toContain(
    "Holders have voided no root of this model, and vetoed no ruling: nobody loses anything.",
  );
  // From its last second on nobody is told that it could be disputed.
  const open = await client.snapshot();
  await goTo((await pendingRoot(client, { addresses, modelId: world.modelId }))!.activatableAt!);
  const late = await cotrainHere(["disputes", "open", ...at()]);
  expect(late.code).toBe(1);
  expect(flat(late.stderr)).toContain("The window of root 2 is over: nobody can dispute it any more.");
  await client.revert({ id: open });
  expect(await cotrainHere(["disputes", "open", "--yes", ...at(), ...holders.keysOf("worker-2")])).toMatchObject({
    code: 0,
  });

  // What nobody decides proves nobody wrong.
  const undecided = await client.snapshot();
  await settled();
  expect((await disputeOf(client, { addresses, digest }))!.voted).toBe(false);
  expect(await told<Slashed>("stake", "slash", "--dry-run", ...at())).toEqual({ signatures: [], hidden: [] });
  await client.revert({ id: undecided });

  const { disputes } = await told<{ disputes: readonly { snapshot: number; proposalId: string }[] }>(
    "disputes",
    "list",
    ...at(),
  );
  await goTo(disputes[0]!.snapshot + 1);
  expect(await cotrainHere(["vote", disputes[0]!.proposalId, "against", ...at()])).toMatchObject({ code: 0 });
  await settled();

  const dry = await cotrainHere(["stake", "slash", "--dry-run", ...at()]);
  expect(flat(dry.stdout)).toContain(
    `${staking} signed root 2 of compute (attestation ${digest}), which holders voided, and would lose 0.2 coins of its stake. Nothing was sent.`,
  );
  expect(flat(dry.stdout)).toContain(`${poor} signed root 2`);
  expect(flat(dry.stdout)).toContain("and has nothing at stake.");
  expect((await stakeOfValidator(staking!)).active).toBe(parseEther("2"));
  // Whoever watches hears of those that it costs something.
  const watched = await told<Watched>("watch", "--once", ...at());
  expect(watched).toMatchObject({ sound: true, offences: [{ kind: "voided", validator: staking, file: null }] });
  expect(watched.offences[0]!.amount).toBe(String(parseEther("0.2")));
  const heard = await cotrainHere(["watch", "--once", ...at()]);
  expect(flat(heard.stdout)).toContain(
    `${staking} signed root 2 of compute (attestation ${digest}), which holders voided, and would lose 0.2 coins of its stake once anybody reports it ("npx cotrain stake slash").`,
  );

  expect(await told<Slashed>("stake", "slash", "--dry-run", ...at())).toMatchObject({ hidden: [] });
  expect(await countsWith(first)).toEqual([[1, 1]]);
  // Whoever posts through a contract of his own may put a stranger's beside it.
  const domain = domainFor(world.chainId, asAddress(addresses.computeRewards));
  const strange = await accountOf("stranger").signTypedData(typedDataOf(domain, "Attestation", signed));
  expect(await countsWith((signatures) => concat([strange, first(signatures)]))).toEqual([[1, 1]]);

  // Many nodes keep a transaction for a while alone, and its logs for ever: what one hides hides no other.
  expect(await countsWith(undefined)).toEqual([[2, 0]]);

  const telling = [`--coordinator=${await tellingCoordinator(world, client)}`, `--rpc=${world.url}`];
  const seen = await cotrainHere(["stake", "slash", "--dry-run", ...telling, "--state", temporaryDirectory()]);
  expect(seen).toMatchObject({ code: 0, stderr: expect.stringContaining("the coordinator's word alone") });

  const done = byValidator(await told<Slashed>("stake", "slash", ...elsewhere("worker-1")));
  const lost = { state: "slashed", kind: "compute", root: 2, amount: String(parseEther("0.2")) };
  expect(done[staking!]).toMatchObject({ ...lost, fee: String(parseEther("0.01")) });
  expect((await stakeOfValidator(staking!)).active).toBe(parseEther("1.8"));
  expect(done[poor!]).toMatchObject({ state: "nothing", amount: "0", transaction: null });
  const again = byValidator(await told<Slashed>("stake", "slash", ...at()));
  expect(again[staking!]).toMatchObject({ state: "before", amount: "0", transaction: null });
  expect(await told<Watched>("watch", "--once", ...at())).toMatchObject({ offences: [] });
  expect((await stakeOfValidator(staking!)).active).toBe(parseEther("1.8"));

  // Who disputed it is paid, whoever reported the signatures.
  const disputer = wallets["worker-2"]!;
  const { stakes } = await stakeOfValidator(staking!);
  const fees = parseEther("0.01");
  expect(await reporterFeesOf(client, { stakes, reporter: disputer })).toBe(fees);
  const due = { account: getAddress(disputer), amount: String(fees) };
  expect(await told("stake", "fees", "--dry-run", ...at())).toEqual([{ ...due, transaction: null }]);
  const before = await client.getBalance({ address: disputer });
  const paid = await told("stake", "fees", "--account", disputer, ...elsewhere("worker-1"));
  expect(paid).toEqual([{ ...due, transaction: expect.stringMatching(/^0x\w{64}$/) }]);
  expect((await client.getBalance({ address: disputer })) - before).toBe(fees);
  expect((await cotrainHere(["stake", "fees", ...at()])).stdout).toBe("There are no fees for offences to fetch.\n");
});
