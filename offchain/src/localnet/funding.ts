/** What a start costs on a chain whose coins are worth something: estimated and checked before anything is sent. */
import { type Address, formatEther } from "viem";

import { formatAddress, formatCoins, RetryableError, UserError } from "../base/index.ts";

/**
 * Gas of a first start: the contracts (deploy/deployment.ts), the model, the run and the first checkpoint. A test holds it
 * against the compiled contracts and the table of gas.
 */
export const FIRST_START_GAS = 30_000_000n;
/** Gas of a session of a run that stands: a hundred checkpoints and a root. */
export const SESSION_GAS = 5_000_000n;
/** Above this, in wei, a start is confirmed by --yes. */
export const UNASKED_LIMIT = 10n ** 17n;

/** Prices rise between the estimate and the last transaction. */
const withHeadroom = (wei: bigint): bigint => (wei * 5n) / 4n;

export const estimateCost = (gasPrice: bigint, started: boolean): bigint =>
  withHeadroom(gasPrice * (started ? SESSION_GAS : FIRST_START_GAS));

export interface Payer {
  readonly address: Address;
  readonly chainId: number;
  readonly balance: bigint;
  /** What it will have to pay, wei. */
  readonly cost: bigint;
  /** Of a run that is registered already. */
  readonly started: boolean;
  /** --yes. */
  readonly confirmed: boolean;
}

/** @throws RetryableError `WALLET_UNFUNDED`; UserError `COST_UNCONFIRMED`. Nothing was sent then. */
export function requireAffordable({ address, chainId, balance, cost, started, confirmed }: Payer): void {
  const what = started ? "A session with a hundred checkpoints" : "The first start, which deploys the contracts,";
  const estimate = `${what} costs about ${formatCoins(cost)} at the present price of gas`;
  if (balance < cost)
    throw new RetryableError(
      "WALLET_UNFUNDED",
      `The organiser's wallet ${formatAddress(address)} has ${balance === 0n ? "no coins" : `${formatEther(balance)} coins`} on chain ${chainId} to pay fees with. ${estimate}: send at least ${formatCoins(cost - balance)}, then run the same command again.`,
    );
  if (cost > UNASKED_LIMIT && !confirmed)
    throw new UserError(
      "COST_UNCONFIRMED",
      `${estimate} on chain ${chainId}, paid by ${formatAddress(address)}: confirm with --yes to spend more than ${formatEther(UNASKED_LIMIT)}; nothing was sent.`,
    );
}
