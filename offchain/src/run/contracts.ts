/**
 * Where contracts are that no document of a run names: a model's own, and those of a deployment that a wallet pays or is paid by. Who
 * pins a deployment has all of them from it and from the model's id alone; what its RPC says of them is only held against that.
 */
import {
  capitalSaleOf,
  codeGrantsOf,
  computeBudgetContractOf,
  governorOf,
  revenueDepositsOf,
  sharesOf,
  stakeManagerOf,
  timelockOf,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type ContractAddresses,
  type ModelContracts,
  modelContractsAt,
  type ModelId,
} from "@cotrain/sdk/protocol";

import { RetryableError } from "../base/index.ts";
import type { ChainConnection } from "../chain/index.ts";
import type { DeploymentFile } from "./local.ts";

/** What a deployment pins beside the contracts that documents name. */
export type Pins = Pick<
  DeploymentFile,
  "implementations" | "codeGrants" | "capitalSale" | "stakeManager" | "revenueDeposits" | "computeBudget"
>;

/** The pins of a deployment and nothing else. */
export const pinsOf = ({
  implementations,
  codeGrants,
  capitalSale,
  stakeManager,
  revenueDeposits,
  computeBudget,
}: Pins): Pins => ({ implementations, codeGrants, capitalSale, stakeManager, revenueDeposits, computeBudget });

/** Where contracts are looked for. */
export interface ContractsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: Readonly<ContractAddresses>;
  readonly modelId: ModelId;
  /** Undefined where nobody pins the deployment: then the RPC's word is taken. */
  readonly pins?: Pins | undefined;
}

const asked = {
  shares: sharesOf,
  governor: governorOf,
  timelock: timelockOf,
  codeGrants: codeGrantsOf,
  capitalSale: capitalSaleOf,
  stakeManager: stakeManagerOf,
  revenueDeposits: revenueDepositsOf,
  computeBudget: computeBudgetContractOf,
} as const;
type Asked = keyof typeof asked;

/** What the sentence of a refusal calls it. */
const names: Readonly<Record<Asked, string>> = {
  shares: "the model's shares are",
  governor: "the model's governor is",
  timelock: "the model's timelock is",
  codeGrants: "code is paid by",
  capitalSale: "shares are sold by",
  stakeManager: "stake is held by",
  revenueDeposits: "revenue is held by",
  computeBudget: "budgets are paid by",
};

function pinnedAt({ addresses, modelId }: ContractsPlace, pins: Pins): Readonly<Record<Asked, Address>> {
  const { modelShares: shares, modelGovernor: governor, modelTimelock: timelock } = pins.implementations;
  const { implementations: _, ...others } = pinsOf(pins);
  const own = modelContractsAt(addresses.modelRegistry, { shares, governor, timelock }, modelId);
  return { ...own, ...others };
}

/**
 * Where one of them is, in lower case; the zero address where there is none.
 * @throws RetryableError `CHAIN_RPC` where the RPC names another than the deployment that is pinned has; what the chain throws
 */
export async function contractAt(place: ContractsPlace, which: Asked): Promise<Address> {
  const { addresses, modelId, pins } = place;
  const said = asAddress(await place.connection.call((client) => asked[which](client, { addresses, modelId })));
  if (pins === undefined) return said;
  const pinned = pinnedAt(place, pins)[which];
  if (said === pinned) return pinned;
  throw new RetryableError(
    "CHAIN_RPC",
    `The chain's RPC says that ${names[which]} ${said}, and the deployment that is pinned gives ${pinned}: it lies, or has not come so far yet; name another with --rpc.`,
    { details: { what: which, said, pinned } },
  );
}

/** A model's own contracts. @throws as {@link contractAt} */
export async function ownContractsAt(place: ContractsPlace): Promise<ModelContracts> {
  const [shares, governor, timelock] = await Promise.all([
    contractAt(place, "shares"),
    contractAt(place, "governor"),
    contractAt(place, "timelock"),
  ]);
  return { shares, governor, timelock };
}
