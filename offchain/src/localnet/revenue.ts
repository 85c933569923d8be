/**
 * Revenue in a session on a development chain: a customer pays the model in play money, once for each model, when somebody holds shares.
 * Validators and the coordinator share it out; the wallets here claim what they are owed, of whatever was paid.
 */
import { activeRoot, getAllLogs, revenueDeposited, unpaidLeaves } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex, rewardKind } from "@cotrain/sdk/protocol";

import { countOf, UserError } from "../base/index.ts";
import {
  type BuyingPlace,
  type CapitalToken,
  claimLeaves,
  payRevenue,
  prepareDeposit,
  type Revenue,
  revenueAt,
  revenueLeaves,
  tokenText,
} from "../run/index.ts";
import type { Owner } from "./owners.ts";

/** What the customer pays, in the smallest units of the test dollar: three dollars. */
export const REVENUE = 3_000_000n;
/** What will not be otherwise in this session: the model takes no revenue, or the customer has none to give. */
const FINAL: ReadonlySet<string> = new Set(["REVENUE_NONE", "CAPITAL_FUNDS"]);

/** What a customer paid, as the chain tells it. */
export interface Payment {
  /** In the token's smallest units. */
  readonly amount: bigint;
  readonly epoch: bigint;
  readonly transaction: Hex;
}

/** The first payment of a customer; undefined before. */
export async function paymentOf(
  { connection, modelId, fromBlock }: BuyingPlace,
  { revenue }: Pick<Revenue, "revenue">,
  customer: Address,
): Promise<Payment | undefined> {
  const about = revenueDeposited({ revenue, modelId, payer: customer });
  const { logs } = await connection.call((client) => getAllLogs(client, about, { from: BigInt(fromBlock) }));
  const [first] = logs;
  return first && { amount: first.args.amount, epoch: first.args.epoch, transaction: first.transactionHash };
}

/** What a session does of revenue. */
export interface RevenueFollower {
  /** Has the customer pay, if it never did. @throws what the chain does: the next time tries again */
  readonly pay: () => Promise<void>;
  /** Has the owners claim what the active roots owe them, each by its own wallet. @throws as `pay` */
  readonly claim: () => Promise<void>;
  /** Why nothing is paid, in a few words; undefined where something is, or will be. */
  readonly why: () => string | undefined;
}

/** @param say told of what happened, in one line */
export function followRevenue(
  place: BuyingPlace,
  { customer, owners }: { readonly customer: Owner; readonly owners: readonly Owner[] },
  say: (line: string) => void,
): RevenueFollower {
  const { connection, addresses, modelId } = place;
  const kind = rewardKind.revenue;
  let why: string | undefined;
  let paid = false;
  /** Number of the newest root of which all was claimed. */
  let claimed = 0;

  async function pay(): Promise<void> {
    const revenue = await revenueAt(place);
    const { token } = revenue;
    if (!(await paymentOf(place, revenue, asAddress(customer.client.account.address)))) {
      await prepareDeposit(place, customer.client, { sale: revenue.revenue, token }, REVENUE, true);
      const { event } = await payRevenue(place, customer.client, revenue, REVENUE);
      say(`${customer.name} paid ${tokenText(event.amount, token)}, which the holders of epoch ${event.epoch} share`);
    }
    paid = true;
  }

  async function claimFor(
    { client }: Owner,
    leavesOf: Awaited<ReturnType<typeof revenueLeaves>>["leavesOf"],
  ): Promise<bigint> {
    const account = asAddress(client.account.address);
    const where = { addresses, modelId, account, kind };
    const leaves = await unpaidLeaves(client, { ...where, leaves: leavesOf(account) });
    return (await claimLeaves(client, where, leaves)).amount;
  }

  const tellClaims = (amounts: readonly bigint[], token: CapitalToken): void => {
    const made = amounts.filter((amount) => amount > 0n);
    const sum = made.reduce((total, amount) => total + amount, 0n);
    if (sum > 0n) say(`${countOf(made.length, "wallet")} claimed ${tokenText(sum, token)} of revenue`);
  };

  async function claim(): Promise<void> {
    const active = await connection.call((client) => activeRoot(client, { addresses, modelId, kind }));
    const index = active?.index ?? 0;
    if (index === claimed) return;
    const revenue = await revenueAt(place);
    const newest = await connection.call((client) => client.getBlockNumber());
    const accounts = owners.map(({ client }) => asAddress(client.account.address));
    const { leavesOf } = await revenueLeaves(place, revenue, accounts, newest);
    tellClaims(await Promise.all(owners.map((owner) => claimFor(owner, leavesOf))), revenue.token);
    claimed = index;
  }

  return {
    pay: async () => {
      if (paid || why !== undefined) return;
      try {
        await pay();
      } catch (error) {
        if (!(error instanceof UserError) || !FINAL.has(error.code)) throw error;
        why = error.message;
      }
    },
    claim,
    why: () => why,
  };
}
