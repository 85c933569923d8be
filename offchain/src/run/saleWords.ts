/** What a proposal about a model's sale would do, in words, and what a model is called there. */
import { runOf, saleBookOf } from "@cotrain/sdk/actions";
import { type Address, asAddress, type ContractAddresses, type Hex, type RunId } from "@cotrain/sdk/protocol";
import { formatUnits } from "viem";

import type { ChainConnection } from "../chain/index.ts";
import { decimalsOf } from "./capital.ts";

/** Whose run and model it is about. */
interface SaleWordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  /** What sells shares, where that is known. */
  readonly capitalSale?: Address | undefined;
  readonly runId: RunId;
}

/** What a model is called: its id only where it is another than the run's. */
export async function modelText(
  { connection, addresses, runId }: Omit<SaleWordsPlace, "capitalSale">,
  modelId: Hex,
): Promise<string> {
  const { modelId: ours } = await connection.call((client) => runOf(client, { addresses, runId }));
  return modelId.toLowerCase() === ours.toLowerCase() ? "this model" : `another model, ${modelId},`;
}

/** Amounts of a model's capital token: in its smallest units, which are what is decided, and as the token itself would show them. */
async function amountsOf({ connection, capitalSale: sale }: SaleWordsPlace, modelId: Hex) {
  const decimals = await connection.call(async (client) => {
    const book = sale && (await saleBookOf(client, { sale, modelId }));
    return book ? decimalsOf(client, asAddress(book.token)) : 0;
  });
  return (amount: bigint): string =>
    decimals > 0 ? `${amount} (${formatUnits(amount, decimals)} with its decimals)` : String(amount);
}

/** What setting the terms of a sale would do. @param args of CapitalSale.setTerms */
export async function saleText(
  place: SaleWordsPlace,
  [id, replaces, price, minimum]: readonly unknown[],
): Promise<string> {
  const modelId = id as Hex;
  const text = await amountsOf(place, modelId);
  return `CapitalSale sells shares of ${await modelText(place, modelId)} from the next epoch on, in the place of terms ${String(replaces)}, for at least ${text(price as bigint)} of the smallest units of its capital token each, and pays an epoch back that brings in less than ${text(minimum as bigint)}.`;
}
