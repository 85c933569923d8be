/** What shares that are sold cost, and revenue: rows of gas.test.ts. */
import {
  type Attestation,
  asDigest,
  asHead,
  asRunId,
  domainFor,
  type ModelId,
  rewardTree,
  typedDataOf,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { type Address, concatHex, type Hex, keccak256, type LocalAccount, stringToHex } from "viem";

import type { ContractName } from "../../deploy/deployment.ts";

interface Receipt {
  readonly gasUsed: bigint;
}
type Sent = [to: Address, name: ContractName, functionName: string, args: readonly unknown[]];

interface Measuring {
  readonly contracts: Readonly<
    Record<"computeRewards" | "emission" | "capitalSale" | "revenueDeposits" | "testDollar", Address>
  >;
  /** A model that sells shares for test dollars. */
  readonly modelId: ModelId;
  readonly accounts: readonly { readonly address: Address }[];
  /** Whom roots of revenue pay beside accounts 2 to 5. */
  readonly strangers: readonly Address[];
  readonly model: { readonly postingDelay: number; readonly window: number };
  readonly validators: readonly LocalAccount[];
  /** By the account of this index. */
  readonly send: (from: number, ...sent: Sent) => Promise<Receipt>;
  readonly read: (...sent: Sent) => Promise<unknown>;
  readonly row: (name: string, receipt: Receipt) => void;
  /** The next block has this time. */
  readonly at: (time: bigint) => Promise<unknown>;
  readonly now: () => Promise<bigint>;
}

/** The model's clock. */
function clockOf({ contracts: { emission }, modelId, read }: Measuring) {
  return {
    epochOf: async (time: bigint) => (await read(emission, "Emission", "epochOf", [modelId, Number(time)])) as bigint,
    endOf: async (epoch: bigint) => BigInt((await read(emission, "Emission", "epochEnd", [modelId, epoch])) as number),
  };
}

/** Each buyer has dollars and an allowance beforehand, and one of them some already. */
async function measureSale(measuring: Measuring): Promise<void> {
  const { contracts, modelId, accounts, send, row, at, now } = measuring;
  const { capitalSale, testDollar } = contracts;
  const { epochOf, endOf } = clockOf(measuring);
  const dollars = 100_000_000n;
  for (const buyer of [4, 5, 6]) {
    await send(buyer, testDollar, "TestDollar", "mint", [accounts[buyer]!.address, dollars]);
    await send(buyer, testDollar, "TestDollar", "approve", [capitalSale, 2n ** 256n - 1n]);
  }
  const epoch = (await epochOf(await now())) + 1n;
  const deposit = async (buyer: number, of: bigint, amount: bigint) =>
    send(buyer, capitalSale, "CapitalSale", "deposit", [modelId, of, accounts[buyer]!.address, amount]);
  await at(await endOf(epoch - 1n));
  row("deposit of capital, first of an epoch", await deposit(4, epoch, 1_000_000n));
  row("deposit of capital, another account's", await deposit(5, epoch, 1_000_000n));
  row("deposit of capital, the same account's", await deposit(5, epoch, 1_000_000n));
  await at(await endOf(epoch));
  await deposit(6, epoch + 1n, 10n);
  row("settle a sale", await send(2, capitalSale, "CapitalSale", "settle", [modelId]));
  for (const [buyer, when] of [
    [4, "first"],
    [5, "later"],
  ] as const)
    row(
      `claim what was bought, undelegated, ${when}`,
      await send(buyer, capitalSale, "CapitalSale", "claim", [modelId, epoch, accounts[buyer]!.address]),
    );
  await at(await endOf(epoch + 1n));
  row(
    "refund a deposit",
    await send(6, capitalSale, "CapitalSale", "refund", [modelId, epoch + 1n, accounts[6]!.address, 10n]),
  );
}

/** Two deposits of one customer, and a root of 1,024 leaves for each. */
async function measureRevenue(measuring: Measuring): Promise<void> {
  const { contracts, modelId, accounts, strangers, model, validators, send, read, row, at, now } = measuring;
  const { computeRewards, revenueDeposits, testDollar } = contracts;
  const { epochOf, endOf } = clockOf(measuring);
  await send(4, testDollar, "TestDollar", "approve", [revenueDeposits, 2n ** 256n - 1n]);
  const holders = [
    ...accounts.slice(2, 6).map(({ address }) => ({ account: address, amount: 100n })),
    ...strangers.map((account) => ({ account, amount: 10n })),
  ];
  const claimant = accounts[5]!.address;
  const call = async (functionName: string, args: readonly unknown[]) =>
    send(2, computeRewards, "ComputeRewards", functionName, args);
  let previousRoot: Hex = zeroHash;
  for (const [count, when] of (["first", "later"] as const).entries()) {
    const index = count + 1;
    const deposited = await send(4, revenueDeposits, "RevenueDeposits", "deposit", [modelId, 1_000_000n]);
    row(`deposit of revenue, ${when}`, deposited);
    const toEpoch = await epochOf(await now());
    const end = await endOf(toEpoch);
    const tree = rewardTree({ modelId, index, kind: 5 }, holders);
    const newest = (await read(computeRewards, "ComputeRewards", "newest", [modelId, 5])) as [bigint, bigint];
    const attestation: Attestation = {
      kind: 5,
      modelId,
      index: BigInt(index),
      fromEpoch: newest[1] + 1n,
      toEpoch,
      runId: asRunId(zeroHash),
      head: asHead(zeroHash),
      epochDigest: asDigest(keccak256(stringToHex(`revenue ${index}`))),
      previousRoot,
      root: tree.root,
      total: tree.total,
      setVersion: 1,
      blockNumber: 20_000_000n,
      blockHash: keccak256(stringToHex("block")),
      deadline: end + BigInt(model.postingDelay),
    };
    const data = typedDataOf(domainFor(31337, computeRewards), "Attestation", attestation);
    const signatures = concatHex(await Promise.all(validators.slice(0, 5).map((each) => each.signTypedData(data))));
    await at(end + 1n);
    row(`post root of revenue, 5 of 7, ${when}`, await call("postRoot", [attestation, signatures]));
    await at(end + 1n + BigInt(model.window));
    row(`activate root of revenue, ${when}`, await call("activate", [attestation]));
    const leaf = { index: BigInt(index), ...tree.proofOf(claimant)! };
    row(`claim revenue, depth 10, ${when}`, await call("claim", [modelId, 5, claimant, leaf]));
    previousRoot = tree.root;
  }
}

/** Of a model that sells shares: its sale, then its revenue. */
export async function measureMoney(measuring: Measuring): Promise<void> {
  await measureSale(measuring);
  await measureRevenue(measuring);
}
