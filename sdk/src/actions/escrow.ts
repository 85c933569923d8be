/**
 * ComputeEscrow: channels that pay for rented machines, a deposit and vouchers each. It is a contract of its own, which no other names:
 * a deployment's record has its address. Amounts are in the smallest units of the channel's token, times chain seconds.
 */
import { type Address, type Client, decodeFunctionResult, erc20Abi, getContractAddress, type Hex } from "viem";
import { readContract } from "viem/actions";
import { computeEscrowAbi, tokenVaultAbi } from "../abis/index.ts";
import type { LeaseTerms } from "../protocol/leases.ts";
import type { Voucher } from "../protocol/typedData.ts";
import { callOf, defineRead, defineWrite, eventOf, findEvent, nothing, type ReadOptions, viewOf } from "./action.ts";
import { type AnyOf, narrowed } from "./eventQueries.ts";
import type { Wire } from "./wiring.ts";

/** Where channels are. */
export interface OfEscrow {
  /** Address of ComputeEscrow. */
  readonly escrow: Address;
}

/** The channel of one lease. */
export interface EscrowArgs extends OfEscrow {
  /** All of them, as the channel was opened: they make the lease's id. */
  readonly terms: LeaseTerms;
}

export interface AllowEscrowArgs extends OfEscrow {
  readonly token: Address;
  /** What may be taken of the sender's, in place of what might before. */
  readonly amount: bigint;
}

/** Lets ComputeEscrow take tokens of the sender's, as a deposit wants it. Tokens that answer nothing serve too. */
export const allowEscrow = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ escrow, token, amount }: AllowEscrowArgs) => callOf(token, erc20Abi, "approve", [escrow, amount]),
  decode: nothing,
  extractEvent: nothing,
});

export interface DepositEscrowArgs extends EscrowArgs {
  /** What is sent: ComputeEscrow must have an allowance of it. What arrives counts. */
  readonly amount: bigint;
}

/**
 * Opens the channel of a lease; its renter's to send.
 * @throws ComputeEscrowNotRenterError, ComputeEscrowOpenedBeforeError, ComputeEscrowBadNoticeError, ComputeEscrowNothingArrivedError
 * @example
 * await allowEscrow.sync(client, { escrow, token: terms.token, amount: 5_000_000n })
 * const { event } = await openEscrow.sync(client, { escrow, terms, amount: 5_000_000n })
 */
export const openEscrow = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ escrow, terms, amount }: DepositEscrowArgs) => callOf(escrow, computeEscrowAbi, "open", [terms, amount]),
  /** The lease's id. */
  decode: (data) => decodeFunctionResult({ abi: computeEscrowAbi, functionName: "open", data }),
  extractEvent: (receipt) => eventOf(receipt, computeEscrowAbi, "ChannelOpened"),
});

/** Adds to a channel that nobody has closed; anyone may send. @throws ComputeEscrowUnknownError, ComputeEscrowClosesError */
export const topUpEscrow = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ escrow, terms, amount }: DepositEscrowArgs) => callOf(escrow, computeEscrowAbi, "topUp", [terms, amount]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeEscrowAbi, "ChannelFunded"),
});

export interface RedeemVoucherArgs extends EscrowArgs {
  readonly voucher: Pick<Voucher, "cumulative" | "through">;
  /** The signer's: `signVoucher`. */
  readonly signature: Hex;
}

/**
 * Redeems a voucher and pays the provider what it has earned; anyone may send. Serves until the rest is withdrawn.
 * @throws ComputeEscrowUnknownError, ComputeEscrowBadSignerError
 */
export const redeemVoucher = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ escrow, terms, voucher: { cumulative, through }, signature }: RedeemVoucherArgs) =>
    callOf(escrow, computeEscrowAbi, "redeem", [terms, cumulative, through, signature]),
  /** What the provider was sent. */
  decode: (data) => decodeFunctionResult({ abi: computeEscrowAbi, functionName: "redeem", data }),
  /** What came of it: nothing was earned by a voucher that is no higher; of `unpaid` the token refused the payment. */
  extractEvent: (receipt) => ({
    redeemed: findEvent(receipt, computeEscrowAbi, "VoucherRedeemed"),
    paid: findEvent(receipt, computeEscrowAbi, "ProviderPaid"),
    unpaid: findEvent(receipt, computeEscrowAbi, "ProviderUnpaid"),
  }),
});

/** Closes a channel: its renter and its signer with notice, its provider at once. @throws ComputeEscrowMayNotCloseError */
export const closeEscrow = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ escrow, terms }: EscrowArgs) => callOf(escrow, computeEscrowAbi, "close", [terms]),
  /** From when on the rest may be withdrawn. */
  decode: (data) => decodeFunctionResult({ abi: computeEscrowAbi, functionName: "close", data }),
  /** Undefined where it was closed before, no later than by this. */
  extractEvent: (receipt) => findEvent(receipt, computeEscrowAbi, "ChannelClosing"),
});

/** Sends the renter what no voucher took; anyone may send. @throws ComputeEscrowOpenError, ComputeEscrowNoticeRunsError */
export const withdrawEscrow = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ escrow, terms }: EscrowArgs) => callOf(escrow, computeEscrowAbi, "withdraw", [terms]),
  /** What was sent. */
  decode: (data) => decodeFunctionResult({ abi: computeEscrowAbi, functionName: "withdraw", data }),
  /** Undefined where nothing was left. */
  extractEvent: (receipt) => findEvent(receipt, computeEscrowAbi, "RestWithdrawn"),
});

/** A channel as it stands. */
export interface EscrowChannel {
  /** What arrived; once the rest was withdrawn, what the provider had earned. */
  readonly deposit: bigint;
  /** The highest voucher that was redeemed, within the deposit, and what the provider was sent of it. */
  readonly earned: bigint;
  readonly paid: bigint;
  readonly openedAt: number;
  /** From when on the rest may be withdrawn; undefined while nobody has closed it. */
  readonly closesAt: number | undefined;
}

/**
 * A channel as it stands; undefined where there is none. Whether its vault (`escrowVaultAt`) holds as much is the token's to say: it
 * may have taken some.
 */
export const escrowChannelOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ escrow, leaseId }: OfEscrow & { readonly leaseId: Hex }) =>
    viewOf(escrow, computeEscrowAbi, "channelOf", [leaseId]),
  present: ({ closesAt, ...channel }): EscrowChannel | undefined =>
    channel.openedAt === 0 ? undefined : { ...channel, closesAt: closesAt === 0 ? undefined : closesAt },
});

/** What the contract says of its vaults: they must be of its own making and obey it alone. */
export async function escrowWiring(client: Client, { escrow, ...options }: OfEscrow & ReadOptions): Promise<Wire[]> {
  const made = getContractAddress({ from: escrow, nonce: 1n });
  const [implementation, keeper] = await Promise.all([
    readContract(client, {
      address: escrow,
      abi: computeEscrowAbi,
      functionName: "vaultImplementation",
      ...options,
    }),
    readContract(client, { address: made, abi: tokenVaultAbi, functionName: "keeper", ...options }),
  ]);
  return [
    { what: "ComputeEscrow.vaultImplementation", says: implementation, expected: made },
    { what: "What the vaults of ComputeEscrow obey", says: keeper, expected: escrow },
  ];
}

interface OfChannelEvents extends OfEscrow {
  readonly leaseId?: Hex;
}

const channelEvent = <
  const name extends
    | "ChannelFunded"
    | "VoucherRedeemed"
    | "ProviderPaid"
    | "ProviderUnpaid"
    | "ChannelClosing"
    | "RestWithdrawn",
>(
  { escrow, leaseId }: OfChannelEvents,
  eventName: name,
) => ({ address: escrow, abi: computeEscrowAbi, eventName, args: narrowed({ leaseId }) });

/** Channels that were opened, with all their terms, as a query for logs; so with the next six. */
export const channelOpened = ({
  escrow,
  leaseId,
  renter,
  provider,
}: OfChannelEvents & { readonly renter?: AnyOf; readonly provider?: AnyOf }) => ({
  address: escrow,
  abi: computeEscrowAbi,
  eventName: "ChannelOpened" as const,
  args: narrowed({ leaseId, renter, provider }),
});

export const channelFunded = (of: OfChannelEvents) => channelEvent(of, "ChannelFunded");

export const voucherRedeemed = (of: OfChannelEvents) => channelEvent(of, "VoucherRedeemed");

export const providerPaid = (of: OfChannelEvents) => channelEvent(of, "ProviderPaid");

/** Payments that the token refused: they stay due. */
export const providerUnpaid = (of: OfChannelEvents) => channelEvent(of, "ProviderUnpaid");

export const channelClosing = (of: OfChannelEvents) => channelEvent(of, "ChannelClosing");

export const restWithdrawn = (of: OfChannelEvents) => channelEvent(of, "RestWithdrawn");
