/** Gathers what the summary tells of stake and revenue, from the chain alone. */
import { getAllLogs, revenueDeposited, timelockOf, unpaidLeaves } from "@cotrain/sdk/actions";
import { type Address, asAddress, rewardKind } from "@cotrain/sdk/protocol";

import { formatAddress, timeText, UserError } from "../../base/index.ts";
import { paymentOf, type Prepared, stakedBy, type TrainingSession } from "../../localnet/index.ts";
import { type Revenue, revenueAt, revenueLeaves, stakesAt, stakeStanding, tokenText } from "../../run/index.ts";
import type { Money } from "./money.ts";
import type { Summary } from "./summary.ts";

/** Undefined where the deployment or the model has nothing of the kind. */
export async function orNone<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

async function stakeOf(prepared: Prepared, { noStake }: TrainingSession): Promise<Pick<Money, "stake" | "noStake">> {
  const [worker] = prepared.contributors ? prepared.owners : [];
  const book = worker && (await orNone(stakesAt(prepared, "worker")));
  const account = worker && asAddress(worker.client.account.address);
  const transaction = book && account && (await stakedBy(prepared, book.stakes, account));
  if (!transaction) return { stake: null, noStake: noStake ?? "no coins were put up in time" };
  const { active, leaving } = await stakeStanding(prepared, book, "worker", account);
  return {
    stake: {
      name: worker.name,
      account: formatAddress(account),
      active: active.toString(),
      leaving: leaving.toString(),
      transaction,
    },
    noStake: null,
  };
}

const sumOf = (leaves: readonly { readonly amount: bigint }[]) => leaves.reduce((sum, { amount }) => sum + amount, 0n);

type Parts = NonNullable<Money["revenue"]>["parts"];

/** What active roots share among the wallets here, the treasury, and all others. */
async function partsOf(prepared: Prepared, revenue: Revenue, setAside: bigint): Promise<Parts> {
  const { connection, addresses, modelId, owners } = prepared;
  if (setAside === 0n) return [];
  const newest = await connection.call((client) => client.getBlockNumber());
  const treasury = asAddress(await connection.call((client) => timelockOf(client, { addresses, modelId })));
  const named: { readonly name: string; readonly account: Address }[] = [
    ...owners.map(({ name, client }) => ({ name, account: asAddress(client.account.address) })),
    { name: "treasury", account: treasury },
  ];
  const accounts = named.map(({ account }) => account);
  const { leavesOf } = await revenueLeaves(prepared, revenue, accounts, newest);
  const parts = await Promise.all(
    named.map(async ({ name, account }) => {
      const leaves = leavesOf(account);
      const where = { addresses, modelId, account, kind: rewardKind.revenue, leaves };
      const unpaid = await connection.call((client) => unpaidLeaves(client, where));
      return { name, account, amount: sumOf(leaves), claimed: sumOf(leaves) - sumOf(unpaid) };
    }),
  );
  const rest = setAside - sumOf(parts);
  return [
    ...parts
      .filter(({ amount }) => amount > 0n)
      .map(({ name, account, amount, claimed }) => ({
        name,
        account: formatAddress(account),
        amount: amount.toString(),
        // Whoever likes has the treasury paid: `revenue claim --account` with its address.
        claimed: account === treasury ? null : claimed.toString(),
      })),
    ...(rest > 0n ? [{ name: "others", account: null, amount: rest.toString(), claimed: null }] : []),
  ];
}

/** What no root has set aside yet: a coordinator waits until it is a token (`--revenue-at-least`), and then for the end of its last epoch. */
async function waitingOf(
  { connection, reader, modelId, fromBlock }: Prepared,
  { revenue, token, epoch }: Revenue,
  rest: bigint,
): Promise<Summary["pending"][number]> {
  if (rest < 10n ** BigInt(token.decimals))
    return {
      what: `${tokenText(rest, token)} of revenue, shared out with what comes next once it is 1 ${token.symbol} in all`,
      due: null,
    };
  const about = revenueDeposited({ revenue, modelId });
  const { logs } = await connection.call((client) => getAllLogs(client, about, { from: BigInt(fromBlock) }));
  const last = Number(logs.at(-1)?.args.epoch ?? epoch);
  const [end, { window }] = [await reader.epochEnd(modelId, last), await reader.schedule(modelId)];
  return { what: `the root that shares ${tokenText(rest, token)} out`, due: timeText(end + window) };
}

async function revenueOf(
  prepared: Prepared,
  { noRevenue }: TrainingSession,
): Promise<Pick<Money, "revenue" | "noRevenue"> & Pick<Summary, "pending">> {
  const { contributors } = prepared;
  const revenue = contributors && (await orNone(revenueAt(prepared)));
  const book = revenue?.book;
  if (!revenue || !book || book.arrived === 0n)
    return {
      revenue: null,
      noRevenue: noRevenue ?? "no wallet here had claimed shares in time, and the next start tries again",
      pending: [],
    };
  const { token } = revenue;
  const { customer } = contributors;
  const payment = await paymentOf(prepared, revenue, asAddress(customer.client.account.address));
  const parts = await partsOf(prepared, revenue, book.setAside);
  const rest = book.arrived - book.setAside;
  const left = parts.filter(({ amount, claimed }) => claimed !== null && claimed !== amount);
  return {
    revenue: {
      token: formatAddress(token.address),
      symbol: token.symbol,
      decimals: token.decimals,
      arrived: book.arrived.toString(),
      setAside: book.setAside.toString(),
      payment: payment
        ? {
            payer: customer.name,
            amount: payment.amount.toString(),
            epoch: Number(payment.epoch),
            transaction: payment.transaction,
          }
        : null,
      parts,
    },
    noRevenue: null,
    pending: [
      ...(rest > 0n ? [await waitingOf(prepared, revenue, rest)] : []),
      ...(left.length > 0
        ? [{ what: `claim of revenue by ${left.map(({ name }) => name).join(", ")}, possible now`, due: null }]
        : []),
    ],
  };
}

/** What is at stake and what was earned, or why nothing, and what of it is still to come. */
export async function moneyOf(prepared: Prepared, session: TrainingSession): Promise<Money & Pick<Summary, "pending">> {
  const [stake, revenue] = await Promise.all([stakeOf(prepared, session), revenueOf(prepared, session)]);
  return { ...stake, ...revenue };
}
