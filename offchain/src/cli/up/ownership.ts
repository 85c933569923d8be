/**
 * A model's shares as a session's summary tells them, all of one moment, so that they add up: what each wallet has, what waits in the
 * contracts, and how all of it came about. And the one purchase and the one grant of a session on a development chain.
 */
import { getAllLogs, sharesOf, sharesTransferred } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import { zeroAddress } from "viem";

import { formatAddress, formatShares, timeText } from "../../base/index.ts";
import { grantTo, type Prepared, purchaseOf, type TrainingSession } from "../../localnet/index.ts";
import { commitOf, contractsWithShares, foundersAt, ofNewest, sharesAt } from "../../run/index.ts";
import { orNone } from "./earnings.ts";
import type { Summary } from "./summary.ts";

const sumOf = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, amount) => sum + amount, 0n);

/** What a contract has minted and not burned by a block: it mints to itself alone, and burns what is its own. */
async function broughtBy(prepared: Prepared, shares: Address, contract: Address, block: bigint): Promise<bigint> {
  const { connection, fromBlock } = prepared;
  // Where there is no such contract; shares that are minted come from this address.
  if (contract === zeroAddress) return 0n;
  const span = { from: BigInt(fromBlock), to: block };
  const moved = (side: object) =>
    connection.call((client) => getAllLogs(client, sharesTransferred({ shares, ...side }), span));
  const [minted, burned] = await Promise.all([
    moved({ from: zeroAddress, to: contract }),
    moved({ from: contract, to: zeroAddress }),
  ]);
  return sumOf(minted.logs.map(({ args }) => args.value)) - sumOf(burned.logs.map(({ args }) => args.value));
}

/** Shares at one moment. */
export interface Ownership {
  readonly shares: Omit<Summary["shares"], "name" | "symbol">;
  /** Of the accounts that were asked about, in wei. */
  readonly holdingOf: (account: string) => { readonly balance: bigint; readonly votes: bigint };
}

/** @param accounts whose holdings are wanted */
export async function ownershipOf(prepared: Prepared, accounts: readonly string[]): Promise<Ownership> {
  const { connection, addresses, modelId } = prepared;
  const { call } = connection;
  const shares = asAddress(await call((client) => sharesOf(client, { addresses, modelId })));
  const { rewards, grants, sale, treasury } = await contractsWithShares(connection, addresses, modelId);
  const mintedForFounders = await foundersAt(connection, addresses, modelId);
  const asked = [rewards, grants, sale, treasury, ...accounts.map(asAddress)];
  return ofNewest(connection, async ({ number: block }) => {
    const { supply, balanceOf, votesOf } = await sharesAt({ connection, shares }, asked, block);
    const brought = (contract: Address) => broughtBy(prepared, shares, contract, block);
    const [capital, granted, drawn] = await Promise.all([brought(sale), brought(grants), brought(treasury)]);
    // Of what was burned none is told as the founders' while there is code that it may be.
    const founders = granted < mintedForFounders ? granted : mintedForFounders;
    const code = granted - founders;
    return {
      shares: {
        minted: supply.toString(),
        unclaimed: balanceOf(rewards).toString(),
        inGrants: balanceOf(grants).toString(),
        inSale: balanceOf(sale).toString(),
        ...(balanceOf(treasury) > 0n && { inTreasury: balanceOf(treasury).toString() }),
        // What a node leaves out of the history is told as trained, so that all of it is told.
        origins: {
          compute: (supply - capital - granted - drawn).toString(),
          capital: capital.toString(),
          code: code.toString(),
          ...(founders > 0n && { founders: founders.toString() }),
          ...(drawn > 0n && { treasury: drawn.toString() }),
        },
      },
      holdingOf: (account) => ({ balance: balanceOf(asAddress(account)), votes: votesOf(asAddress(account)) }),
    };
  });
}

type Contributed = Pick<Summary, "capital" | "noCapital" | "code" | "noCode" | "pending">;

async function capitalOf(
  prepared: Prepared,
  { noCapital }: TrainingSession,
): Promise<Pick<Summary, "capital" | "noCapital" | "pending">> {
  const { contributors, reader, modelId } = prepared;
  const buyer = contributors && asAddress(contributors.buyer.client.account.address);
  const found = buyer && (await orNone(purchaseOf(prepared, buyer)));
  if (!found)
    return {
      capital: null,
      noCapital: noCapital ?? "nothing was bought in time, and the next start tries again",
      pending: [],
    };
  const { token, paid, epoch, deposited, claimed } = found;
  const what = `the shares that ${contributors.buyer.name} bought in epoch ${epoch}`;
  return {
    capital: {
      token: formatAddress(token.address),
      symbol: token.symbol,
      decimals: token.decimals,
      paid: paid.toString(),
      epoch: Number(epoch),
      deposited,
      shares: (claimed?.shares ?? 0n).toString(),
      transaction: claimed?.transaction ?? null,
    },
    noCapital: null,
    pending: claimed ? [] : [{ what, due: timeText(await reader.epochEnd(modelId, Number(epoch))) }],
  };
}

async function codeOf(
  prepared: Prepared,
  { noCode }: TrainingSession,
): Promise<Pick<Summary, "code" | "noCode" | "pending">> {
  const { contributors } = prepared;
  const author = contributors && asAddress(contributors.author.client.account.address);
  const grant = author && (await orNone(grantTo(prepared, author)))?.grant;
  if (!grant)
    return { code: null, noCode: noCode ?? "no proposal that grants something was carried out yet", pending: [] };
  const { id, terms, repository, state, transaction } = grant;
  const left = state.amount - state.claimed;
  const what = `claim of the last ${formatShares(left)} shares that ${contributors.author.name} was granted for code`;
  return {
    code: {
      id,
      commit: commitOf(terms.commit),
      repository,
      amount: state.amount.toString(),
      claimed: state.claimed.toString(),
      transaction,
    },
    noCode: null,
    pending: left === 0n ? [] : [{ what, due: timeText(state.start + state.duration) }],
  };
}

/** What was contributed beside work: capital and code, or why not, and what of it is still to come. */
export async function contributedTo(prepared: Prepared, session: TrainingSession): Promise<Contributed> {
  const [capital, code] = await Promise.all([capitalOf(prepared, session), codeOf(prepared, session)]);
  return { ...capital, ...code, pending: [...capital.pending, ...code.pending] };
}
