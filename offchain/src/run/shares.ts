/**
 * What holders have of a model, as the chain tells it at one block: shares, votes, who delegates to whom, and how it came about.
 * The history is read from events, a span of blocks at a time, and held against what the contract says: a node may leave some out.
 */
import { delegateChanged, getAllLogs, rewardClaimed, sharesTransferred } from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type ContractAddresses,
  type Hex,
  type ModelId,
  rewardKind,
} from "@cotrain/sdk/protocol";

import type { ChainConnection } from "../chain/index.ts";
import { type EventSort, noneOf, type ShareEvent, type ShareEventKind, sortOf } from "./shareEvents.ts";
import {
  contractsWithShares,
  foundersAt,
  type Minted,
  mintedAt,
  ofNewest,
  type SharesContracts,
  sharesAt,
} from "./sharesAt.ts";

/** Where holdings are looked at. */
export interface SharesPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly modelId: ModelId;
  /** The model's. */
  readonly shares: Address;
  /** Block at or before the first of the shares' contract. */
  readonly fromBlock: number;
}

/** Whose votes a holder has. */
interface Delegator {
  readonly account: Address;
  readonly balance: bigint;
}

export interface Holding {
  readonly account: Address;
  readonly balance: bigint;
  readonly votes: bigint;
  /** Whose votes the holder's shares are; the zero address for nobody's. */
  readonly delegate: Address;
  /** Others that delegate to the holder and have shares, most first. */
  readonly delegators: readonly Delegator[];
  /** Further ones that were not asked about. */
  readonly delegatorsMore: number;
  /** Newest events, oldest of them first: so many of each sort. */
  readonly events: readonly ShareEvent[];
  /** Events before these, by sort. */
  readonly earlier: Readonly<Record<EventSort, number>>;
  /** What all events add up to, in wei. */
  readonly summed: bigint;
  /** Where events and contract do not agree, in sentences. */
  readonly problems: readonly string[];
}

export interface Holdings {
  readonly block: bigint;
  readonly time: number;
  /** Shares in existence, in wei. */
  readonly supply: bigint;
  readonly contracts: SharesContracts;
  /** In wei, what these contracts have for those who earned, were granted or bought it, and the treasury: it is nobody's yet. */
  readonly waiting: Readonly<Record<"unclaimed" | "inGrants" | "inSale" | "inTreasury", bigint>>;
  /** In wei, what was minted for the model's founders when it was created; what of it is not paid is in grants. */
  readonly founders: bigint;
  /** In wei, what was ever minted beside it, by kind. */
  readonly minted: Minted;
  readonly holdings: readonly Holding[];
}

/** Blocks whose events are held at a time. */
const SPAN = 2_000n;
/** Delegators that are asked about: anybody may delegate to anybody. Those who came first, whom a crowd cannot push out. */
const MOST_DELEGATORS = 1_000;
/** Questions at a time: an RPC takes no thousands of requests at once. */
const ASKED_AT_ONCE = 16;
const NOBODY = 0n;

/** An event before it is somebody's. */
interface Raw {
  readonly block: bigint;
  readonly log: number;
  readonly transaction: Hex;
  readonly kind: "transfer" | "claim" | "delegation";
  /** Who sent, earned or delegates. */
  readonly account: Address;
  readonly from: Address;
  readonly to: Address;
  readonly amount: bigint;
}

type Numbered = Pick<Raw, "block" | "log">;
const inOrder = (a: Numbered, b: Numbered): number =>
  a.block === b.block ? a.log - b.log : a.block < b.block ? -1 : 1;

type Logged = { readonly blockNumber: bigint; readonly logIndex: number; readonly transactionHash: Hex };
const whereOf = ({ blockNumber, logIndex, transactionHash }: Logged) => ({
  block: blockNumber,
  log: logIndex,
  transaction: transactionHash,
});

/** All events of a span of blocks that are about some of these accounts, in their order, each once. */
async function eventsIn(
  { connection: { call }, addresses, modelId, shares }: SharesPlace,
  accounts: readonly Address[],
  span: { readonly from: bigint; readonly to: bigint },
): Promise<Raw[]> {
  const transfers = (side: object) =>
    call((client) => getAllLogs(client, sharesTransferred({ shares, ...side }), span));
  const delegations = (side: object) =>
    call((client) => getAllLogs(client, delegateChanged({ shares, ...side }), span));
  const [moved, chosen, claims] = await Promise.all([
    Promise.all([transfers({ from: accounts }), transfers({ to: accounts })]),
    Promise.all([
      delegations({ delegator: accounts }),
      delegations({ fromDelegate: accounts }),
      delegations({ toDelegate: accounts }),
    ]),
    call((client) => getAllLogs(client, rewardClaimed({ addresses, modelId, account: accounts }), span)),
  ]);
  const found = new Map<string, Raw>();
  const add = (raw: Raw): void => void found.set(`${raw.block}/${raw.log}`, raw);
  for (const { logs } of moved)
    for (const log of logs) {
      const { from, to, value } = log.args;
      // Anybody may send nothing in anybody's name, to an address that looks like another.
      if (value === 0n) continue;
      add({
        ...whereOf(log),
        kind: "transfer",
        account: asAddress(from),
        from: asAddress(from),
        to: asAddress(to),
        amount: value,
      });
    }
  for (const { logs } of chosen)
    for (const log of logs) {
      const { delegator, fromDelegate, toDelegate } = log.args;
      const [account, from, to] = [asAddress(delegator), asAddress(fromDelegate), asAddress(toDelegate)];
      add({ ...whereOf(log), kind: "delegation", account, from, to, amount: 0n });
    }
  for (const log of claims.logs) {
    const { account, to, amount, kind } = log.args;
    // Revenue is paid in another token.
    if (kind !== rewardKind.compute) continue;
    const earner = asAddress(account);
    add({ ...whereOf(log), kind: "claim", account: earner, from: earner, to: asAddress(to), amount });
  }
  return [...found.values()].toSorted(inOrder);
}

type Undated = Omit<ShareEvent, "time">;

/** Contracts that pay a model's shares out. */
interface Distributors {
  /** Of compute, whose claims may be paid to others than those who earned them. */
  readonly rewards: Address;
  /** Of code and capital: what they send is claimed, by whomever it was sent for. */
  readonly others: ReadonlySet<Address>;
}

function distributorsOf({ rewards, grants, sale }: SharesContracts): Distributors {
  // The zero address is none of them: from it shares are minted.
  return { rewards, others: new Set([grants, sale].filter((each) => !isNobody(each))) };
}

/** A holder's history as it is read. */
class History {
  readonly account: Address;
  readonly #distributors: Distributors;
  readonly #most: number;
  readonly #kept: Readonly<Record<EventSort, Undated[]>> = { own: [], claims: [], received: [], delegations: [] };
  readonly earlier = noneOf();
  balance = 0n;
  /** The delegate that the last event names; undefined before the first. */
  delegate: Address | undefined;
  readonly delegators = new Set<Address>();
  delegatorsMore = 0;

  /** @param most events of each sort that are kept */
  constructor(account: Address, distributors: Distributors, most: number) {
    this.account = account;
    this.#distributors = distributors;
    this.#most = most;
  }

  /** @param claimed transactions in which a claim of the account's was paid to it */
  add(raw: Raw, claimed: ReadonlySet<Hex>): void {
    const { account } = this;
    const { kind, from, to, amount } = raw;
    if (kind === "transfer" && from === account && to === account) this.#keep(raw, "sent to itself", to);
    else if (kind === "transfer" && from === account) {
      this.balance -= amount;
      this.#keep(raw, "sent", to);
    } else if (kind === "transfer" && to === account) {
      this.balance += amount;
      const { rewards, others } = this.#distributors;
      const isClaim = from === rewards ? claimed.has(raw.transaction) : others.has(from);
      this.#keep(raw, isClaim ? "claimed" : "received", from);
    } else if (kind === "claim" && raw.account === account && to !== account)
      this.#keep(raw, "claimed for another", to);
    else if (kind === "delegation") this.#delegated(raw);
  }

  #delegated(raw: Raw): void {
    const { account } = this;
    if (raw.account === account) {
      this.delegate = raw.to;
      this.#keep(raw, "delegated", raw.to);
    } else if (raw.from !== raw.to && raw.to === account) {
      if (this.delegators.size < MOST_DELEGATORS) this.delegators.add(raw.account);
      else this.delegatorsMore += 1;
      this.#keep(raw, "delegate of", raw.account);
    } else if (raw.from !== raw.to && raw.from === account) {
      if (!this.delegators.delete(raw.account)) this.delegatorsMore -= 1;
      this.#keep(raw, "delegate no more of", raw.account);
    }
  }

  #keep({ block, log, transaction, amount }: Raw, what: ShareEventKind, other: Address): void {
    const sort = sortOf({ what });
    const events = this.#kept[sort];
    events.push({ block, log, transaction, what, other, amount, balance: this.balance });
    if (events.length <= this.#most) return;
    events.shift();
    this.earlier[sort] += 1;
  }

  /** What is kept, in the chain's order. */
  get events(): Undated[] {
    return Object.values(this.#kept).flat().toSorted(inOrder);
  }
}

/** Answers to many questions, a few at a time. */
async function askAll<T, A>(asked: readonly T[], ask: (each: T) => Promise<A>): Promise<A[]> {
  const answers: A[] = [];
  for (let at = 0; at < asked.length; at += ASKED_AT_ONCE)
    answers.push(...(await Promise.all(asked.slice(at, at + ASKED_AT_ONCE).map(ask))));
  return answers;
}

/** What an account has at a block, as the contract says. */
interface Said {
  readonly balance: bigint;
  readonly votes: bigint;
  readonly delegate: Address;
  /** Of those that the events name as its delegators. */
  readonly delegators: readonly Delegator[];
}

function problemsOf({ account, balance, delegate, delegatorsMore }: History, said: Said): string[] {
  const own = said.delegate === account ? said.balance : 0n;
  const delegated = said.delegators.reduce((sum, each) => sum + each.balance, own);
  const chosen = delegate ?? asAddress(`0x${"0".repeat(40)}`);
  const events = `the events of ${account} that the node tells`;
  return [
    ...(balance === said.balance
      ? []
      : [`By ${events} it has ${balance} wei of shares, and by the contract ${said.balance}: some are left out.`]),
    ...(chosen === said.delegate
      ? []
      : [`By ${events} its delegate is ${chosen}, and by the contract ${said.delegate}: some are left out.`]),
    ...(delegatorsMore < 0 || (delegatorsMore === 0 ? delegated !== said.votes : delegated > said.votes)
      ? [`By ${events} its votes are ${delegated} wei, and by the contract ${said.votes}: some are left out.`]
      : []),
  ];
}

/** What contracts have for others. */
const waitingIn = (
  { rewards, grants, sale, treasury }: SharesContracts,
  { balanceOf }: Awaited<ReturnType<typeof sharesAt>>,
): Holdings["waiting"] => ({
  unclaimed: balanceOf(rewards),
  inGrants: balanceOf(grants),
  inSale: balanceOf(sale),
  inTreasury: balanceOf(treasury),
});

/**
 * What accounts have of a model at the newest block, and how it came about.
 * @param most newest events of each account that are kept, of each sort
 * @throws RetryableError of the chain
 */
export async function holdingsOf(place: SharesPlace, accounts: readonly Address[], most: number): Promise<Holdings> {
  const { connection, fromBlock } = place;
  const { call } = connection;
  const contracts = await contractsWithShares(connection, place.addresses, place.modelId);
  const founders = await foundersAt(connection, place.addresses, place.modelId);
  const distributors = distributorsOf(contracts);
  const histories = accounts.map((account) => new History(account, distributors, most));
  let from = BigInt(fromBlock);

  /** Events from where they were read to last. */
  async function readTo(block: bigint): Promise<void> {
    for (; from <= block; from += SPAN) {
      const to = from + SPAN - 1n < block ? from + SPAN - 1n : block;
      const raws = await eventsIn(place, accounts, { from, to });
      for (const history of histories) {
        const own = raws.filter(({ kind, account, to: paid }) => kind === "claim" && account === paid);
        const claimed = new Set(
          own.filter(({ account }) => account === history.account).map(({ transaction }) => transaction),
        );
        for (const raw of raws) history.add(raw, claimed);
      }
    }
    from = block + 1n;
  }

  const {
    number: block,
    timestamp,
    said,
    minted,
  } = await ofNewest(connection, async ({ number, timestamp }) => {
    await readTo(number);
    const asked = [...accounts, ...Object.values(contracts), ...histories.flatMap(({ delegators }) => [...delegators])];
    const [said, minted] = await Promise.all([sharesAt(place, asked, number), mintedAt(connection, place, number)]);
    return { number, timestamp, said, minted };
  });

  const blocks = [...new Set(histories.flatMap(({ events }) => events.map((event) => event.block)))];
  const dated = await askAll(blocks, (blockNumber) => call((client) => client.getBlock({ blockNumber })));
  const times = new Map(dated.map(({ number, timestamp: time }) => [number, Number(time)]));

  const holdings = histories.map((history): Holding => {
    const { account, earlier, delegatorsMore } = history;
    const delegators = [...history.delegators]
      .map((each) => ({ account: each, balance: said.balanceOf(each) }))
      .filter((each) => each.balance > 0n)
      .toSorted((a, b) => (a.balance === b.balance ? 0 : a.balance < b.balance ? 1 : -1));
    const has: Said = {
      balance: said.balanceOf(account),
      votes: said.votesOf(account),
      delegate: said.delegateOf(account),
      delegators,
    };
    return {
      account,
      ...has,
      delegatorsMore: Math.max(0, delegatorsMore),
      events: history.events.map((event) => ({ ...event, time: times.get(event.block) ?? 0 })),
      earlier,
      summed: history.balance,
      problems: problemsOf(history, has),
    };
  });
  const waiting = waitingIn(contracts, said);
  return { block, time: Number(timestamp), supply: said.supply, contracts, waiting, founders, minted, holdings };
}

/** Whether an address is nobody's: of a delegate that was never chosen, or of shares that were minted. */
export const isNobody = (account: Address): boolean => BigInt(account) === NOBODY;
