/**
 * The postings of one account on a chain that a seed decides: transactions that are lost on their way, handed in twice, dropped
 * from the pool, stuck below the fees, overtaken by others, and taken back with their blocks; an RPC that goes away, leaves out
 * events, asks too much and estimates gas that no block has, or too little; an account whose coins are gone and come back; coins that
 * must go along, of which there are more or fewer each time; and a process that ends between any two steps. What it leaves are its jobs.
 */
import { expect } from "vitest";

import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import type {
  AnswerOf,
  Ask,
  AskName,
  Ending,
  PostingProgress,
  Refused,
} from "../../../offchain/src/chain/posting/asks.ts";
import type { PostingEffect, PostingEvent } from "../../../offchain/src/chain/posting/events.ts";
import { type Account, openAccount, type PostingRules, step } from "../../../offchain/src/chain/posting/machine.ts";
import { byNewest, byParent } from "../../../offchain/src/chain/posting/order.ts";
import { isPossibleGas } from "../../../offchain/src/chain/posting/price.ts";

type Hash = `0x${string}`;

interface Transaction {
  readonly hash: Hash;
  readonly nonce: number;
  readonly maxFeePerGas: bigint;
  readonly tip: bigint;
  readonly gas: bigint;
  /** Coins that go along. */
  readonly value: bigint;
  /** Number of the posting whose effect it brings about; null: somebody else sent it from the account. */
  readonly effect: number | null;
}
interface Block {
  /** Of the account, with whether they reverted. */
  readonly transactions: readonly { readonly transaction: Transaction; readonly reverted: boolean }[];
  /** Effects that landed in it, whoever brought them about. */
  readonly landed: readonly number[];
}
interface Job {
  readonly id: number;
  state: "ready" | "done";
  progress: PostingProgress | null;
  ending: Ending | null;
  dueAt: number;
}

const POSTINGS = 12;
/** What an effect takes, what the pool asks for, and what a block has. */
const GAS = 80_000n;
const INTRINSIC_GAS = 40_000n;
const BLOCK_GAS = 10_000_000n;
/** Wrong estimates: impossible, refused by the pool, too little for the effect, and more than it takes. */
const WRONG = [0n, 10_000n, 24_000n, 50_000n, 1_000_000n, 9_000_000n, 16_000_000n, 20_000_000n];
/** Wei of an account that can pay for all, and of one that can for a first transaction while the fees are low. */
const RICH = 10n ** 18n;
const POOR = GAS * 30n;
/** Bonds that are due, the last of which is more than may be put up. */
const BONDS = [0n, 20n, 1_000n];
const BOND_AT_MOST = 100n;
const rules: PostingRules = {
  pollInterval: 250,
  stuckAfter: 4_000,
  gapPatience: 1_500,
  confirmations: 0,
  maxFee: 10n ** 17n,
};

export const counted = () => ({
  sent: 0,
  replaced: 0,
  nonceTaken: 0,
  nonceLost: 0,
  away: 0,
  dear: 0,
  poor: 0,
  misestimated: 0,
  crashes: 0,
  reorgs: 0,
  dropped: 0,
  overtaken: 0,
  refused: 0,
  reopened: 0,
  reverted: 0,
  unbonded: 0,
});
export type Counts = ReturnType<typeof counted>;

const refusedBy = (revert: string | null, retryable: boolean): Refused => ({
  kind: "refused",
  code: revert ?? "POSTING_REVERTED",
  message: "",
  retryable,
  revert,
});

/** As nodes ask of a replacement's fees. */
const isMore = (now: bigint, before: bigint): boolean => now * 10n >= before * 11n;

/** A node of the chain. Effect k lands once, after effect k − 1: every other transaction reverts. */
class Node {
  blocks: Block[] = [{ transactions: [], landed: [] }];
  readonly pool = new Map<number, Transaction>();
  baseFee = 10n;
  /** Of the account. */
  balance = RICH;
  /** What must go along with each effect, to the wei. */
  bond = 0n;

  /** Effects on-chain, in their order: as many as have landed. */
  get landed(): number {
    return this.blocks.reduce((sum, { landed }) => sum + landed.length, 0);
  }
  get latest(): number {
    return this.blocks.reduce((sum, { transactions }) => sum + transactions.length, 0);
  }
  get pending(): number {
    let next = this.latest;
    while (this.pool.has(next)) next += 1;
    return next;
  }
  /** As after what waits in the pool. */
  get pendingLanded(): number {
    let landed = this.landed;
    for (let nonce = this.latest; nonce < this.pending; nonce++)
      if (this.isDone(this.pool.get(nonce)!, landed)) landed += 1;
    return landed;
  }
  /** Whether a transaction brings its effect about, after so many others. */
  isDone({ effect, gas, value }: Transaction, landed: number): boolean {
    return effect === landed && gas >= GAS && value === this.bond;
  }
  blockOf(effect: number): number {
    return this.blocks.findIndex(({ landed }) => landed.includes(effect));
  }
  take(transaction: Transaction): void {
    const { nonce, maxFeePerGas, tip, gas } = transaction;
    if (nonce < this.latest || gas < INTRINSIC_GAS || gas > BLOCK_GAS || gas * maxFeePerGas > this.balance) return;
    const old = this.pool.get(nonce);
    if (!old || (isMore(maxFeePerGas, old.maxFeePerGas) && isMore(tip, old.tip))) this.pool.set(nonce, transaction);
  }
  /** @param overtakes whether somebody else brings the next effect about first */
  mine(overtakes: boolean): void {
    const landed: number[] = [];
    const transactions: Block["transactions"][number][] = [];
    const before = this.landed;
    const first = this.latest;
    if (overtakes && before < POSTINGS) landed.push(before);
    for (let nonce = first; ; nonce++) {
      const transaction = this.pool.get(nonce);
      if (!transaction || transaction.maxFeePerGas < this.baseFee) break;
      this.pool.delete(nonce);
      const reverted = transaction.effect !== null && !this.isDone(transaction, before + landed.length);
      if (transaction.effect !== null && !reverted) landed.push(transaction.effect);
      transactions.push({ transaction, reverted });
    }
    this.blocks.push({ transactions, landed });
  }
  /** The last blocks are gone; of what they held some waits again. */
  rewind(depth: number, keeps: () => boolean): void {
    for (const { transactions } of this.blocks.splice(Math.max(1, this.blocks.length - depth)))
      for (const { transaction } of transactions) if (keeps()) this.take(transaction);
    for (const nonce of this.pool.keys()) if (nonce < this.latest) this.pool.delete(nonce);
  }
}

/** @returns how many landed */
export function simulate(seed: string | number, actions: number, total: Counts): number {
  const random: Random = createRandom(`postings/${seed}`);
  const chance = (share: number): boolean => random.float() < share;
  const own: PostingRules = { ...rules, confirmations: random.below(3) };
  const node = new Node();
  const made = new Map<Hash, Transaction>();
  const jobs: Job[] = [];
  let now = 1_000;
  let faults = true;
  let away = false;
  let mute = false;

  // The process: all of this is lost with it.
  let account: Account = openAccount(own);
  let asked: { readonly ask: Ask; readonly dueAt: number } | undefined;
  let reopened = new Set<number>();
  let quoted: number | undefined;
  /** What a transaction may take, by the account's coins when they were asked for. */
  let means = 0n;
  /** Since when the newest transaction of the posting in work could be mined as far as the process was told; by job. */
  let minable = new Map<number, number>();

  const fail = (sentence: string): never => expect.fail(`seed ${seed}, at ${now} ms: ${sentence}`);
  const workOf = (): Job => jobs.find(({ id }) => id === account.work?.job) ?? fail("nothing is worked on");
  const isThere = (effect: number): boolean => {
    const block = node.blockOf(effect);
    return block >= 0 && block + own.confirmations < node.blocks.length;
  };

  function submit(): void {
    const lost = jobs.find(({ state, ending }) => state === "done" && ending?.kind === "refused");
    if (lost) reopen(lost);
    else if (jobs.length < POSTINGS)
      jobs.push({ id: jobs.length, state: "ready", progress: null, ending: null, dueAt: now });
  }
  function reopen(job: Job): void {
    if (job.state !== "done") return;
    total.reopened += 1;
    Object.assign(job, { state: "ready", ending: null, dueAt: now });
  }
  /** chain.ts looks whether the chain still holds what was posted. */
  function watch(): void {
    if (away || mute) return;
    for (const job of jobs) if (job.state === "done" && job.ending?.kind === "done" && !isThere(job.id)) reopen(job);
  }
  function crash(): void {
    total.crashes += 1;
    account = openAccount(own);
    asked = undefined;
    reopened = new Set();
    quoted = undefined;
    minable = new Map();
  }

  /** What is asked, of the chain as it is now. */
  const carriers: { readonly [N in AskName]: (ask: Extract<Ask, { readonly name: N }>, job: Job) => AnswerOf<N> } = {
    look: ({ anew }, { id }) => ({
      found: isThere(id) && (!mute || (anew !== undefined && chance(0.5))) ? { result: { effect: id } } : null,
    }),
    prepare: (_ask, { id }) => {
      const newest = String(node.landed - 1);
      const first = byNewest(newest, { parent: String(id - 1), head: String(id) });
      if (node.bond > BOND_AT_MOST) {
        total.unbonded += 1;
        return { ready: refusedBy("BOND_TOO_HIGH", true) };
      }
      if (first !== "askParent") return { ready: first };
      const parent = jobs[id - 1];
      const stands = !parent ? "none" : isThere(parent.id) ? "landed" : parent.state === "ready" ? "open" : "ended";
      if (stands === "landed") reopened.delete(id - 1);
      const ready = byParent(node.blockOf(id - 1) >= 0, stands, reopened.has(id - 1));
      if (ready !== "reopen") return { ready };
      reopened.add(id - 1);
      reopen(parent!);
      return { ready: "wait" };
    },
    quote: ({ gas }) => {
      if (gas === "first") quoted = node.pending;
      means = node.balance < own.maxFee ? node.balance : own.maxFee;
      const asked = { gas: gas === "known" ? null : GAS, maxFeePerGas: 2n * node.baseFee + 2n, tip: 2n };
      return { nonce: gas === "first" ? node.pending : null, asked, balance: node.balance };
    },
    sign: ({ nonce, price }, { id, progress }) => {
      const last = account.work?.progress ? progress?.sent.at(-1) : undefined;
      if (account.work?.progress === null && nonce !== quoted)
        fail(`posting ${id} takes nonce ${nonce}, not ${quoted}`);
      if (account.work?.progress && nonce !== progress?.nonce) fail(`a replacement of posting ${id} has another nonce`);
      const raised = (before: string): bigint => price.gas * ((BigInt(before) * 9n) / 8n + 1n);
      if (
        last &&
        !(isMore(price.maxFeePerGas, BigInt(last.maxFeePerGas)) && isMore(price.tip, BigInt(last.tip))) &&
        raised(last.maxFeePerGas) <= means &&
        raised(last.tip) <= own.maxFee / 4n
      )
        fail(`a replacement of posting ${id} pays too little`);
      if (price.gas * price.maxFeePerGas > means) fail(`posting ${id} pays more than is allowed, or there`);
      const hash: Hash = `0x${(made.size + 1).toString(16).padStart(64, "0")}`;
      const fees = { maxFeePerGas: price.maxFeePerGas, tip: price.tip };
      made.set(hash, { hash, nonce, effect: id, gas: price.gas, value: node.bond, ...fees });
      const sent = { gas: String(price.gas), maxFeePerGas: String(price.maxFeePerGas), tip: String(price.tip) };
      return { sent: { hash, raw: hash, ...sent } };
    },
    note: ({ progress }, job) => {
      const nonces = new Set(progress.sent.map(({ hash }) => made.get(hash)?.nonce));
      if (nonces.size !== 1 || !nonces.has(progress.nonce)) fail(`posting ${job.id} notes transactions of two nonces`);
      job.progress = structuredClone(progress);
      return {};
    },
    broadcast: ({ raw }, { id, progress }) => {
      if (!progress?.sent.some((sent) => sent.raw === raw)) fail(`posting ${id} sends what is not written down`);
      const transaction = made.get(raw)!;
      if (!faults || !chance(0.15)) node.take(transaction);
      if (faults && chance(0.1)) node.take(transaction);
      return {};
    },
    receipts: ({ hashes }) => {
      for (const hash of hashes)
        for (const [block, { transactions }] of node.blocks.entries()) {
          const found = transactions.find(({ transaction }) => transaction.hash === hash);
          if (found) return { mined: { hash, block, reverted: found.reverted } };
        }
      return { mined: null };
    },
    tip: () => ({ block: node.blocks.length - 1 }),
    reason: (_ask, { id }) => ({ refused: id === node.landed ? null : refusedBy("StaleParent", false) }),
    nonce: ({ at }) => ({ next: node[at] }),
    known: ({ hash }) => ({
      known:
        [...node.pool.values()].some((transaction) => transaction.hash === hash) ||
        node.blocks.some(({ transactions }) => transactions.some(({ transaction }) => transaction.hash === hash)),
    }),
    rest: () => ({}),
  };

  function answered(ask: Ask, job: Job): PostingEvent {
    const time = { at: now, wall: now };
    const asksChain = ask.name !== "rest" && ask.name !== "note" && ask.name !== "sign";
    if (asksChain && (away || (faults && chance(0.02)))) {
      // What was handed in may have arrived all the same.
      if (ask.name === "broadcast" && chance(0.5)) carriers.broadcast(ask, job);
      return { type: "failed", fault: { kind: "away" }, ...time };
    }
    // What would go along is asked for each time.
    if ((ask.name === "quote" || ask.name === "sign") && node.bond > BOND_AT_MOST)
      return { type: "failed", fault: { kind: "unknown" }, ...time };
    if (ask.name === "quote" && ask.gas !== "known" && faults && chance(0.2)) {
      total.misestimated += 1;
      const gas = random.pick(WRONG);
      if (!isPossibleGas(gas)) return { type: "failed", fault: { kind: "away" }, ...time };
      const { nonce, asked, balance } = carriers.quote(ask, job);
      return { type: "quote", nonce, asked: { ...asked, gas }, balance, ...time };
    }
    const landed = { first: node.pendingLanded, latest: node.landed, known: job.id };
    if (ask.name === "quote" && landed[ask.gas] !== job.id)
      return {
        type: "failed",
        fault: { kind: "final", reverts: true, refused: refusedBy("StaleParent", false) },
        ...time,
      };
    const answer = (carriers[ask.name] as (ask: Ask, job: Job) => AnswerOf<AskName>)(ask, job);
    return { type: ask.name, ...answer, ...time } as PostingEvent;
  }

  /** As far as the process is told, the newest transaction is the next to be mined: it is replaced in time. */
  function judge(event: PostingEvent, effects: readonly PostingEffect[], { id, progress }: Job): void {
    if (event.type === "nonce" && progress && event.next < progress.nonce) minable.delete(id);
    if (event.type === "nonce" && progress && event.next === progress.nonce && !minable.has(id)) minable.set(id, now);
    if (effects.some((effect) => effect.type === "notify" && effect.what === "nonceLost")) minable.delete(id);
    const rests = effects.length === 1 && effects[0]!.type === "ask" && effects[0]!.name === "rest";
    const since = minable.get(id) ?? now;
    if (
      (event.type === "known" || event.type === "broadcast") &&
      rests &&
      now - since > own.stuckAfter + own.pollInterval
    )
      fail(`posting ${id} is stuck for ${now - since} ms`);
  }

  function advance(event: PostingEvent): void {
    const { state, effects } = step(account, event);
    const id = event.type === "claimed" ? event.job : account.work!.job;
    const job = jobs[id]!;
    judge(event, effects, job);
    account = state;
    asked = undefined;
    for (const effect of effects) {
      if (effect.type === "notify") {
        total[effect.what] += 1;
        if (effect.what === "sent" || effect.what === "replaced") minable.set(id, now);
      } else if (effect.type === "ask")
        asked = { ask: effect, dueAt: now + (effect.name === "rest" ? effect.ms : random.below(20)) };
      else if (effect.type === "end") {
        Object.assign(job, { state: "done", ending: effect.ending });
        minable.delete(id);
        if (effect.ending.kind === "refused") {
          total.refused += 1;
          if (isThere(id) && !mute && effect.ending.code !== "BOND_TOO_HIGH")
            fail(`posting ${id} is refused, and its effect is there`);
        }
        if (effect.ending.kind === "done" && !isThere(id)) fail(`posting ${id} ended without its effect`);
      } else if (effect.type === "later") {
        job.dueAt = now + effect.ms;
        if (effect.ms === own.pollInterval) minable.delete(id);
      } else {
        // The job table tries again.
        if (event.type !== "failed" || event.fault.kind !== "unknown") fail("what never happens here");
        job.dueAt = now + own.pollInterval;
        minable.delete(id);
      }
    }
  }

  function work(): void {
    if (asked) {
      if (asked.dueAt > now) now = asked.dueAt;
      advance(answered(asked.ask, workOf()));
      return;
    }
    const job = jobs.find(({ state }) => state !== "done");
    if (!job) return;
    now = Math.max(now, job.dueAt);
    advance({ type: "claimed", job: job.id, progress: structuredClone(job.progress), at: now, wall: now });
  }

  function happen(): void {
    const dice = random.float();
    if (dice < 0.2) submit();
    else if (dice < 0.4) watch();
    else if (dice < 0.5) now += random.below(2_000);
    else if (dice < 0.58) crash();
    else if (dice < 0.66) {
      total.reorgs += 1;
      node.rewind(1 + random.below(4), () => chance(0.6));
    } else if (dice < 0.73) {
      const nonces = [...node.pool.keys()];
      if (nonces.length === 0) return;
      total.dropped += 1;
      node.pool.delete(random.pick(nonces));
    } else if (dice < 0.75) {
      total.overtaken += 1;
      node.mine(true);
    } else if (dice < 0.77) {
      const hash: Hash = `0x${(made.size + 1).toString(16).padStart(64, "0")}`;
      const transaction = {
        hash,
        nonce: node.pending,
        maxFeePerGas: node.baseFee * 4n,
        tip: 4n,
        gas: GAS,
        value: 0n,
        effect: null,
      };
      made.set(hash, transaction);
      node.take(transaction);
    } else if (dice < (away ? 0.92 : 0.8)) away = !away;
    else if (dice < (mute ? 0.92 : 0.83)) mute = !mute;
    else if (dice < (node.balance === RICH ? 0.86 : 0.92)) node.balance = node.balance === RICH ? POOR : RICH;
    else if (dice < (node.bond > 0n ? 0.945 : 0.93)) node.bond = random.pick(BONDS);
    // Ever more than was paid, less again, or more than is allowed.
    else node.baseFee = chance(0.6) ? 10n : chance(0.8) ? node.baseFee * 3n : 10n ** 12n;
  }

  function act(): void {
    const dice = random.float();
    if (dice < 0.86) work();
    else if (dice < 0.9) {
      now += random.below(2_000);
      const before = node.blocks.length;
      node.mine(false);
      total.reverted += node.blocks[before]!.transactions.filter(({ reverted }) => reverted).length;
    } else if (faults) happen();
    else if (chance(0.5)) submit();
    else watch();
  }

  for (let i = 0; i < actions; i++) act();
  // Nothing fails any more: all that was asked for lands, in order, and stays.
  faults = false;
  away = false;
  mute = false;
  node.balance = RICH;
  node.baseFee = 10n;
  node.bond = 0n;
  const isOver = (): boolean =>
    jobs.length === POSTINGS &&
    jobs.every(({ state, ending, id }) => state === "done" && ending?.kind === "done" && isThere(id));
  for (let i = 0; !isOver(); i++) {
    if (i > 20_000)
      fail(
        `not all lands: ${JSON.stringify({ jobs, landed: node.landed, latest: node.latest, pending: node.pending })}`,
      );
    act();
  }
  const landed = node.blocks.flatMap((block) => block.landed);
  expect(landed, `seed ${seed}: each lands once, in order`).toEqual(jobs.map(({ id }) => id));
  return landed.length;
}
