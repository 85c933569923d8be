/**
 * Capital in a session on a development chain: one wallet buys shares for play money, once for each model, and fetches them when
 * the epoch is over. What was done stands on the chain alone, so that a session that was cut short is taken up where it was.
 */
import {
  batchCapital,
  capitalClaimed,
  capitalDeposited,
  claimCapital,
  getAllLogs,
  refundCapital,
  settleSale,
  unsettledSales,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { formatShares, UserError } from "../base/index.ts";
import type { WalletClient } from "../chain/index.ts";
import {
  type BuyingPlace,
  capitalAt,
  type CapitalSale,
  type CapitalToken,
  contractAt,
  depositInPresent,
  ensureDelegate,
  prepareDeposit,
  type SoldEpoch,
  soldEpoch,
  tokenText,
} from "../run/index.ts";
import type { Owner } from "./owners.ts";

/** What the buyer pays, in the smallest units of the test dollar: two dollars, 100 of an epoch's 150 shares at two cents. */
export const PAID = 2_000_000n;
/** Settlements of one transaction: others' epochs may wait before the buyer's own. */
const SETTLED_AT_ONCE = 8n;
/** What will not be otherwise in this session: the model sells nothing, or not for play money. */
const FINAL: ReadonlySet<string> = new Set(["CAPITAL_UNSOLD", "CAPITAL_FUNDS"]);

/** What a buyer paid and got, as the chain tells it. */
export interface Purchase {
  readonly token: CapitalToken;
  /** In the token's smallest units. */
  readonly paid: bigint;
  readonly epoch: bigint;
  readonly deposited: Hex;
  /** Of the shares: how many, in wei, and the transaction; undefined before. */
  readonly claimed: { readonly shares: bigint; readonly transaction: Hex } | undefined;
}

/** Where the one purchase of a buyer stands. */
interface Standing extends Omit<Purchase, "token"> {
  readonly sold: SoldEpoch;
  /** What is neither claimed nor paid back, in the token's smallest units. */
  readonly left: bigint;
}

/** The first deposit that the buyer made for itself; what others deposit for it is no purchase of its own. */
async function standingOf(place: BuyingPlace, capital: CapitalSale, buyer: Address): Promise<Standing | undefined> {
  const { connection, modelId, fromBlock } = place;
  const { sale } = capital;
  const from = { from: BigInt(fromBlock) };
  const about = { sale, modelId, account: buyer };
  const { logs } = await connection.call((client) => getAllLogs(client, capitalDeposited(about), from));
  const own = logs.find(({ args }) => asAddress(args.payer) === buyer);
  if (!own) return undefined;
  const { epoch, amount: paid } = own.args;
  const sold = await soldEpoch(place, capital, epoch, [buyer]);
  const claims = await connection.call((client) => getAllLogs(client, capitalClaimed({ ...about, epoch }), from));
  const [claim] = claims.logs;
  const claimed = claim && { shares: claim.args.shares, transaction: claim.transactionHash };
  return { epoch, paid, deposited: own.transactionHash, claimed, sold, left: sold.deposits[0]?.amount ?? 0n };
}

/** What the buyer bought; undefined where it did not, or was paid back. @throws UserError `CAPITAL_UNSOLD` */
export async function purchaseOf(place: BuyingPlace, buyer: Address): Promise<Purchase | undefined> {
  const capital = await capitalAt(place);
  const found = await standingOf(place, capital, buyer);
  if (!found || found.sold.state === "failed") return undefined;
  const { paid, epoch, deposited, claimed } = found;
  return { token: capital.token, paid, epoch, deposited, claimed };
}

/** What a session does of a purchase, a step at a time. */
export interface PurchaseFollower {
  /** Takes the next step, if there is one now. @throws what the chain does: the next look tries again */
  readonly look: () => Promise<void>;
  /** What it waits for. */
  readonly pending: () => readonly string[];
  /** Why nothing is bought, in a few words; undefined where something is, or will be. */
  readonly why: () => string | undefined;
}

/**
 * Settles what is due, the oldest epoch first, and fetches the shares with it once the own epoch is among it.
 * @returns the shares, in wei; undefined where others' epochs are still to be settled before
 */
async function fetchShares(
  { connection, modelId }: BuyingPlace,
  client: WalletClient,
  { sale }: CapitalSale,
  { epoch, sold }: Standing,
): Promise<bigint | undefined> {
  const beneficiary = asAddress(client.account.address);
  const { count } = await connection.call((reader) => unsettledSales(reader, { sale, modelId }));
  const before = sold.state === "due" ? count : 0n;
  const settled = Number(before < SETTLED_AT_ONCE ? before : SETTLED_AT_ONCE);
  const calls = [
    ...Array.from({ length: settled }, () => settleSale.call({ sale, modelId })),
    ...(before <= SETTLED_AT_ONCE ? [claimCapital.call({ sale, modelId, epoch, beneficiary })] : []),
  ];
  await batchCapital.simulate(client, { sale, calls });
  const { event } = await batchCapital.sync(client, { sale, calls });
  return event.claimed.find((each) => asAddress(each.account) === beneficiary && each.epoch === epoch)?.shares;
}

/** @param say told of what happened, in one line */
export function followPurchase(place: BuyingPlace, buyer: Owner, say: (line: string) => void): PurchaseFollower {
  const { client } = buyer;
  const account = asAddress(client.account.address);
  const { modelId } = place;
  let over = false;
  let why: string | undefined;
  let waits: readonly string[] = [];

  const end = (reason?: string): void => {
    [over, why, waits] = [true, reason, []];
  };

  async function buy(capital: CapitalSale): Promise<void> {
    const present = await soldEpoch(place, capital, capital.epoch, []);
    const refusal = refusalOf(present, capital);
    if (refusal !== undefined) return end(refusal);
    await prepareDeposit(place, client, capital, PAID, true);
    const deposit = { beneficiary: account, amount: PAID };
    const { event } = await depositInPresent(place, client, deposit, (found) => {
      const refused = refusalOf(found, capital);
      if (refused !== undefined) throw new UserError("CAPITAL_TERMS", refused);
    });
    waits = [saleText(event.epoch)];
    say(`${buyer.name} deposited ${tokenText(event.amount, capital.token)} for shares of epoch ${event.epoch}`);
  }

  async function claim(capital: CapitalSale, standing: Standing): Promise<void> {
    const shares = await fetchShares(place, client, capital, standing);
    if (shares === undefined) return;
    const { epoch, left } = standing;
    say(`${buyer.name} bought ${formatShares(shares)} shares of epoch ${epoch} for ${tokenText(left, capital.token)}`);
    end();
  }

  /** What the epoch did not sell: the money comes back, and nothing is bought in its place. */
  async function refund({ sale, token }: CapitalSale, { epoch, left }: Standing): Promise<void> {
    await refundCapital.sync(client, { sale, modelId, epoch, beneficiary: account });
    say(`${buyer.name} has ${tokenText(left, token)} of epoch ${epoch} back`);
    end(backText(epoch));
  }

  async function step(): Promise<void> {
    const capital = await capitalAt(place);
    const standing = await standingOf(place, capital, account);
    if (!standing) return buy(capital);
    const { sold, left, epoch } = standing;
    if (left === 0n) return end(sold.state === "failed" ? backText(epoch) : undefined);
    waits = [saleText(epoch)];
    // Before there is something to vote with: no other look finds shares without votes and chooses as well.
    await ensureDelegate(client, { shares: await contractAt(place, "shares"), account });
    if (sold.state === "due" || sold.state === "settled") await claim(capital, standing);
    else if (sold.state === "failed") await refund(capital, standing);
  }

  return {
    look: async () => {
      if (over) return;
      try {
        await step();
      } catch (error) {
        if (!(error instanceof UserError) || !FINAL.has(error.code)) throw error;
        end(error.message);
      }
    },
    pending: () => waits,
    why: () => why,
  };
}

const backText = (epoch: bigint): string => `what was paid in epoch ${epoch} came back`;
const saleText = (epoch: bigint): string => `the sale of epoch ${epoch}`;

/** Why the buyer's deposit would be refused, or paid back. */
function refusalOf({ epoch, forSale, minimum }: SoldEpoch, { token }: CapitalSale): string | undefined {
  if (forSale === 0n) return `epoch ${epoch} has no shares for sale`;
  return minimum > PAID
    ? `epoch ${epoch} pays back what brings in less than ${tokenText(minimum, token)}, and the buyer has ${tokenText(PAID, token)}`
    : undefined;
}
