/** Events of what is paid in a model's capital token, as events.ts has the others: shares that are sold, and revenue. */
import type { Address, Hex } from "viem";
import { capitalSaleAbi, revenueDepositsAbi } from "../abis/index.ts";
import { type AnyOf, narrowed } from "./narrowed.ts";

interface OfSale {
  /** Address of CapitalSale: `capitalSaleOf`. */
  readonly sale: Address;
  readonly modelId?: Hex;
  readonly epoch?: bigint;
}
type OfBuyer = OfSale & { readonly account?: AnyOf };

/** A model's capital token, for ever. */
export const saleOpened = ({ sale, modelId }: Omit<OfSale, "epoch">) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "SaleOpened" as const,
  args: narrowed({ modelId }),
});

export const saleTermsSet = ({ sale, modelId }: Omit<OfSale, "epoch">) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "SaleTermsSet" as const,
  args: narrowed({ modelId }),
});

export const capitalDeposited = ({ sale, modelId, epoch, account }: OfBuyer) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "Deposited" as const,
  args: narrowed({ modelId, epoch, account }),
});

export const saleSettled = ({ sale, modelId, epoch }: OfSale) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "SaleSettled" as const,
  args: narrowed({ modelId, epoch }),
});

/** An epoch that had reached its minimum was not settled in time. */
export const saleExpired = ({ sale, modelId, epoch }: OfSale) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "SaleExpired" as const,
  args: narrowed({ modelId, epoch }),
});

export const capitalClaimed = ({ sale, modelId, epoch, account }: OfBuyer) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "SharesClaimed" as const,
  args: narrowed({ modelId, epoch, account }),
});

export const capitalRefunded = ({ sale, modelId, epoch, account }: OfBuyer) => ({
  address: sale,
  abi: capitalSaleAbi,
  eventName: "Refunded" as const,
  args: narrowed({ modelId, epoch, account }),
});

interface OfRevenue {
  /** Address of RevenueDeposits: `revenueDepositsOf`. */
  readonly revenue: Address;
  readonly modelId?: Hex;
}

/** A model's vault for revenue, for ever. */
export const revenueOpened = ({ revenue, modelId }: OfRevenue) => ({
  address: revenue,
  abi: revenueDepositsAbi,
  eventName: "RevenueOpened" as const,
  args: narrowed({ modelId }),
});

/** Revenue that arrived; of nobody where it was sent without a deposit. */
export const revenueDeposited = ({
  revenue,
  modelId,
  epoch,
  payer,
}: OfRevenue & { readonly epoch?: bigint; readonly payer?: AnyOf }) => ({
  address: revenue,
  abi: revenueDepositsAbi,
  eventName: "RevenueDeposited" as const,
  args: narrowed({ modelId, epoch, payer }),
});

/** What an active root may pay. */
export const revenueSetAside = ({ revenue, modelId }: OfRevenue) => ({
  address: revenue,
  abi: revenueDepositsAbi,
  eventName: "RevenueSetAside" as const,
  args: narrowed({ modelId }),
});

/** Accounts that took less than they were owed, since the token took the rest. */
export const revenueLost = ({ revenue, modelId, account }: OfRevenue & { readonly account?: AnyOf }) => ({
  address: revenue,
  abi: revenueDepositsAbi,
  eventName: "RevenueLost" as const,
  args: narrowed({ modelId, account }),
});
