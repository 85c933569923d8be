/** Events of what is paid, sold and put up, as queries like those of events.ts. */
import type { Address, Hex } from "viem";
import { capitalSaleAbi, codeGrantsAbi, emissionAbi, revenueDepositsAbi, stakeManagerAbi } from "../abis/index.ts";
import { type StakeRole, stakeRoleCode } from "../protocol/codes.ts";
import type { Addressed } from "./action.ts";
import { type AnyOf, narrowed } from "./eventQueries.ts";

/** Who should distribute a kind from a time on, as holders named them: `kind` of `rewardKind`. */
export const successorNamed = ({
  addresses,
  modelId,
  kind,
}: Addressed & { readonly modelId?: Hex; readonly kind?: number }) => ({
  address: addresses.emission,
  abi: emissionAbi,
  eventName: "SuccessorNamed" as const,
  args: narrowed({ modelId, kind }),
});

interface OfGrants {
  /** Address of CodeGrants: `codeGrantsOf`. */
  readonly grants: Address;
  readonly modelId?: Hex;
  readonly id?: Hex;
  readonly author?: Address;
}

export const grantApproved = ({ grants, modelId, id, author }: OfGrants) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantApproved" as const,
  args: narrowed({ modelId, id, author }),
});

export const grantClaimed = ({ grants, modelId, id, author }: OfGrants) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantClaimed" as const,
  args: narrowed({ modelId, id, author }),
});

export const grantRevoked = ({ grants, modelId, id, author }: OfGrants) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantRevoked" as const,
  args: narrowed({ modelId, id, author }),
});

export const grantSetVoided = ({ grants, modelId }: Pick<OfGrants, "grants" | "modelId">) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantSetVoided" as const,
  args: narrowed({ modelId }),
});

export const grantCapsSet = ({ grants, modelId }: Pick<OfGrants, "grants" | "modelId">) => ({
  address: grants,
  abi: codeGrantsAbi,
  eventName: "GrantCapsSet" as const,
  args: narrowed({ modelId }),
});

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

interface OfStakes {
  /** Address of StakeManager: `stakeManagerOf`. */
  readonly stakes: Address;
  readonly modelId?: Hex;
}
type OfStaker = OfStakes & { readonly role?: StakeRole; readonly account?: AnyOf };
type OfRuling = OfStakes & { readonly worker?: AnyOf; readonly receiptHash?: Hex };

const ofStaker = ({ modelId, role, account }: OfStaker) =>
  narrowed({ modelId, role: role === undefined ? undefined : stakeRoleCode[role], account });

export const stakeDeposited = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "StakeDeposited" as const,
  args: ofStaker({ stakes, ...of }),
});

export const stakePayeeSet = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "PayeeSet" as const,
  args: ofStaker({ stakes, ...of }),
});

export const stakeWithdrawalRequested = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "WithdrawalRequested" as const,
  args: ofStaker({ stakes, ...of }),
});

export const stakeWithdrawn = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "StakeWithdrawn" as const,
  args: ofStaker({ stakes, ...of }),
});

/** Somebody was punished: `offenceCode` has the names of what for. */
export const stakeSlashed = ({ stakes, ...of }: OfStaker) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "StakeSlashed" as const,
  args: ofStaker({ stakes, ...of }),
});

export const rulingProposed = ({ stakes, modelId, worker, receiptHash }: OfRuling) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "RulingProposed" as const,
  args: narrowed({ modelId, worker, receiptHash }),
});

export const rulingVetoed = ({ stakes, modelId, worker, receiptHash }: OfRuling) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "RulingVetoed" as const,
  args: narrowed({ modelId, worker, receiptHash }),
});

export const feesCollected = ({
  stakes,
  account,
}: Pick<OfStakes, "stakes"> & {
  readonly account?: AnyOf;
}) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "FeesCollected" as const,
  args: narrowed({ account }),
});

export const slashTermsSet = ({ stakes, modelId }: OfStakes) => ({
  address: stakes,
  abi: stakeManagerAbi,
  eventName: "SlashTermsSet" as const,
  args: narrowed({ modelId }),
});
