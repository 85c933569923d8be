/**
 * A machine that its owner lets: takes leases that fit its offer, works once the deposit lies in the escrow, keeps the highest voucher,
 * leaves a renter who does not pay, and redeems. It believes the coordinator nothing but that a worker is a member. One turn does all
 * that is due; what fails is done at the next.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  type EscrowPlace,
  fromWire,
  hashLeaseOffer,
  leaseBounds,
  type LeaseOffer,
  type ListedOffer,
  type MachineOffer,
  type MachineSaid,
  type RenterWord,
  requireLeaseOffer,
  requireVoucher,
  type RunId,
  type SignedPass,
  signLeaseAccept,
  type SigningAccount,
  toWire,
  type Voucher,
} from "@cotrain/sdk/protocol";

import type { Clock } from "../../base/index.ts";
import type { Kept, Tenancy } from "./tenancy.ts";

/** A channel as the chain has it. */
export interface ChannelSeen {
  readonly deposit: bigint;
  /** What its vault holds: a token may have taken some. */
  readonly held: bigint;
  readonly paid: bigint;
  /** The highest voucher that was redeemed. */
  readonly earned: bigint;
  readonly closesAt: number | undefined;
}

export interface LendingModules {
  readonly place: EscrowPlace;
  readonly runId: RunId;
  readonly listed: ListedOffer;
  readonly machine: SigningAccount & { readonly address: Address };
  /** Seconds of notice with which it can still redeem. */
  readonly leastNotice: number;
  /** Ms between two redemptions while a lease lasts. */
  readonly redeemEvery: number;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly kept: Kept<Tenancy>;
  /** Calls the coordinator. */
  readonly call: (said: MachineSaid | null) => Promise<RenterWord | null>;
  /** How many workers that joined by these are members and alive. */
  readonly working: (passes: readonly SignedPass[]) => Promise<number>;
  readonly channel: (tenancy: Tenancy) => Promise<ChannelSeen | undefined>;
  readonly redeem: (tenancy: Tenancy, voucher: NonNullable<Tenancy["voucher"]>) => Promise<void>;
  /** Makes the workers run that have these passes, or none. */
  readonly run: (passes: readonly SignedPass[]) => Promise<void>;
  readonly tell: (sentence: string) => void;
}

/** How long a renter may take to open a channel after an answer was due, ms. */
const OPENS_WITHIN = 600_000;
/** Of work, ms, that is done before it is paid, beside a period. */
const SKEW = leaseBounds.skew * 1_000;
/** For so long, ms, beside a period, nothing may be paid, or a part of what it has, whatever the coordinator says of who works. */
const UNPAID = 600_000;
/** Of all the time in which it works, beside those, one part of so many may stay unpaid: a moment's pay now and then buys no lease. */
const UNPAID_PART = 8;
/** For so long, ms, a channel that is not there any more is looked for once a lease is over. */
const GONE = 3_600_000;
/** A channel is gone when so many looks in a row do not find it: nodes lag. */
const ABSENCES = 3;

interface Lending {
  /** Does what is due. */
  turn(): Promise<void>;
  tenancy(): Tenancy | undefined;
}

const wordsOf = (error: unknown): string => {
  if (!(error instanceof CotrainError)) throw error;
  return error.message.slice(0, 200);
};

/** Opens what is kept of a lease. @throws UserError `STATE_CORRUPTED` */
export const openLending = async (modules: LendingModules): Promise<Lending> =>
  new Lent(modules, await modules.kept.read());

const owedOf = (voucher: Tenancy["voucher"]): bigint => BigInt(voucher?.voucher.cumulative ?? 0);

class Lent implements Lending {
  readonly #modules: LendingModules;
  readonly #offer: MachineOffer;
  #lease: Tenancy | undefined;
  #turnedAt: number;
  #redeemedAt: number;
  /** A question that was refused is not looked at again. */
  #refused = "";
  /** When more was paid the last time, when the chain was last heard, and since when its channel is not there; by the monotonic clock. */
  #paidAt: number;
  #heardAt: number;
  #goneSince: number | undefined;
  #absences = 0;
  /** Its workers that worked at the last look, and when all of them last did, by the monotonic clock. */
  #working: number | undefined;
  #wholeAt: number;
  /** Ms in which it had its workers run, whatever the coordinator says of them, and what it was paid before; of this process. */
  #ranMs = 0;
  #paidBefore: bigint;

  constructor(modules: LendingModules, lease: Tenancy | undefined) {
    this.#modules = modules;
    this.#offer = fromWire("MachineOffer", modules.listed.offer);
    this.#lease = lease;
    this.#turnedAt = modules.clock.monotonic();
    this.#redeemedAt = this.#turnedAt;
    this.#paidAt = this.#turnedAt;
    this.#heardAt = this.#turnedAt;
    this.#wholeAt = this.#turnedAt;
    this.#paidBefore = owedOf(lease?.voucher ?? null);
  }

  tenancy(): Tenancy | undefined {
    return this.#lease;
  }

  async turn(): Promise<void> {
    const { clock, run } = this.#modules;
    const elapsed = clock.monotonic() - this.#turnedAt;
    this.#turnedAt += elapsed;
    const word = await this.#attempt("The coordinator", () => this.#call());
    if (word) await this.#attempt("What a renter says", () => this.#hear(word));
    await this.#count(elapsed);
    await this.#attempt("The escrow", () => this.#look());
    const why = this.#over();
    if (why !== undefined) await this.#end(why);
    const work = (): Promise<void> => run(this.#lease?.state === "working" ? this.#lease.passes : []);
    await work();
    await this.#attempt("The escrow", () => this.#redeem());
    // A channel that is closed shows where it is redeemed.
    await work();
  }

  /** What may fail without the rest: a coordinator or a chain that is away. */
  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#modules.tell(`${what}: ${wordsOf(error)}`);
      return undefined;
    }
  }

  #call(): Promise<RenterWord | null> {
    const lease = this.#lease;
    return this.#modules.call(
      lease === undefined
        ? null
        : { leaseId: lease.leaseId, state: lease.state, accept: lease.accept, words: lease.words },
    );
  }

  async #keep(change: Partial<Tenancy>): Promise<void> {
    if (this.#lease === undefined) return;
    const next = { ...this.#lease, ...change };
    await this.#modules.kept.write(next);
    this.#lease = next;
  }

  async #end(words: string): Promise<void> {
    this.#modules.tell(`Lease ${this.#lease?.leaseId} is over: ${words}`);
    await this.#keep({ state: "over", words: words.slice(0, 200) });
  }

  /** Whether nothing of its last lease could still be had. */
  #isSettled(): boolean {
    const lease = this.#lease;
    if (lease === undefined) return true;
    return lease.state === "over" && (lease.since === null || owedOf(lease.voucher) <= BigInt(lease.redeemed));
  }

  /** Looks at the channel while it works for it: one that is gone, or that nobody can read, pays nothing. */
  async #look(): Promise<void> {
    if (this.#lease?.state !== "working") return;
    const { clock, channel } = this.#modules;
    const seen = await channel(this.#lease);
    this.#heardAt = clock.monotonic();
    this.#absences = seen === undefined ? this.#absences + 1 : 0;
    if (this.#absences >= ABSENCES) await this.#end("Its channel is not there any more.");
  }

  async #hear(word: RenterWord): Promise<void> {
    if (this.#isSettled() && !word.end) await this.#consider(word);
    if (this.#lease === undefined || word.asked.offer.leaseId !== this.#lease.leaseId) return;
    await this.#take(word);
    if (word.end && this.#lease.state !== "over") await this.#end("Its renter ended it.");
    else await this.#attempt("The escrow", () => this.#begin(word));
  }

  /** Takes a lease that it is asked to, where that fits the offer. */
  async #consider({ terms, asked: { offer: wire, signature } }: RenterWord): Promise<void> {
    const { place, runId, machine, leastNotice, kept, clock, tell } = this.#modules;
    if (wire.leaseId === this.#lease?.leaseId || signature === this.#refused) return;
    const now = Math.floor(clock.now() / 1_000);
    let asked: LeaseOffer;
    try {
      asked = fromWire("LeaseOffer", wire);
      await requireLeaseOffer(asked, signature, { ...place, offer: this.#offer, terms, leastNotice, now });
      if (asked.runId !== runId)
        throw new CotrainError("LEASE_OFFER_OTHER", `The question is about run ${asked.runId}.`);
    } catch (error) {
      this.#refused = signature;
      tell(`A renter was refused: ${wordsOf(error)}`);
      return;
    }
    const accept = {
      leaseId: asked.leaseId,
      offer: hashLeaseOffer(asked),
      machine: machine.address,
      acceptedAt: BigInt(now),
    };
    const signed = await signLeaseAccept(machine, place, accept);
    const lease: Tenancy = {
      leaseId: asked.leaseId,
      terms,
      asked: { offer: wire, signature },
      accept: { accept: toWire("LeaseAccept", accept), signature: signed },
      state: "accepted",
      passes: [],
      voucher: null,
      workedMs: 0,
      since: null,
      redeemed: "0",
      words: "",
    };
    await kept.write(lease);
    this.#lease = lease;
    tell(`Lease ${asked.leaseId} of renter ${terms.renter} is accepted.`);
  }

  /** Keeps a voucher that is higher than the one before. */
  async #take({ voucher: said }: RenterWord): Promise<void> {
    const lease = this.#lease;
    // Before it has begun there is nothing to be paid: what a channel that never comes owes would keep it from the next lease.
    if (lease === undefined || said === null || lease.since === null) return;
    const { place, tell, clock } = this.#modules;
    const before = owedOf(lease.voucher);
    if (BigInt(said.voucher.cumulative) <= before) return;
    const deposit = BigInt(lease.asked.offer.deposit);
    try {
      const voucher: Voucher = fromWire("Voucher", said.voucher);
      await requireVoucher(voucher, said.signature, { ...place, terms: lease.terms, atLeast: before + 1n, deposit });
    } catch (error) {
      tell(`A voucher was refused: ${wordsOf(error)}`);
      return;
    }
    await this.#keep({ voucher: said });
    this.#paidAt = clock.monotonic();
  }

  /** Works once the deposit is there. */
  async #begin({ passes }: RenterWord): Promise<void> {
    const lease = this.#lease;
    if (lease?.state !== "accepted" || passes.length === 0) return;
    if (passes.length > this.#modules.listed.facts.gpus) {
      await this.#end(`Its renter names ${passes.length} workers for ${this.#modules.listed.facts.gpus} GPUs.`);
      return;
    }
    const channel = await this.#modules.channel(lease);
    const deposit = BigInt(lease.asked.offer.deposit);
    if (channel === undefined || channel.closesAt !== undefined) return;
    if (channel.deposit < deposit || channel.held < deposit) {
      await this.#end(`The escrow holds ${channel.held} of the ${deposit} that were agreed.`);
      return;
    }
    // Vouchers of a lease before, by the same terms, would pay for this one.
    if (channel.earned > 0n) {
      await this.#end(`Its channel was paid from before: ${channel.earned} of it are spent.`);
      return;
    }
    this.#paidAt = this.#modules.clock.monotonic();
    this.#heardAt = this.#paidAt;
    this.#wholeAt = this.#paidAt;
    this.#ranMs = 0;
    this.#paidBefore = owedOf(lease.voucher);
    this.#working = undefined;
    this.#absences = 0;
    this.#goneSince = undefined;
    await this.#keep({ state: "working", passes, since: Math.floor(this.#modules.clock.now()) });
    this.#modules.tell(`Lease ${lease.leaseId} is paid from a deposit of ${channel.deposit}: work begins.`);
  }

  /** Counts the time in which it worked, by the part of its workers that did at both ends of it: so its renter counts. */
  async #count(elapsed: number): Promise<void> {
    if (this.#lease?.state !== "working") return;
    this.#ranMs += elapsed;
    const { passes, workedMs } = this.#lease;
    const working = await this.#attempt("The coordinator", () => this.#modules.working(passes));
    if (working === undefined) return;
    const part = Math.min(working, this.#working ?? working);
    this.#working = working;
    if (working >= passes.length) this.#wholeAt = this.#modules.clock.monotonic();
    if (part > 0) await this.#keep({ workedMs: workedMs + Math.floor((elapsed * part) / passes.length) });
  }

  /** Why it works no longer; undefined while it does. */
  #over(): string | undefined {
    const lease = this.#lease;
    if (lease === undefined || lease.state === "over") return undefined;
    const { asked, since, workedMs, voucher } = lease;
    const now = this.#modules.clock.now();
    if (lease.state === "accepted")
      return now > Number(asked.offer.answerBy) * 1_000 + OPENS_WITHIN ? "No channel was opened for it." : undefined;
    if (since !== null && now > since + asked.offer.seconds * 1_000) return "Its time is over.";
    const monotonic = this.#modules.clock.monotonic();
    const longest = asked.offer.period * 1_000 + SKEW + UNPAID;
    if (monotonic - this.#heardAt > (this.#modules.leastNotice * 1_000) / 2)
      return "The chain could not be read for half the notice in which its renter could take the deposit back.";
    if (monotonic - this.#paidAt > longest)
      return "Nothing was paid for longer than a renter lets a silent machine live.";
    // A renter who is the coordinator too could say of all but one of its workers that they do not work.
    if (monotonic - this.#wholeAt > longest)
      return "A part of its workers alone were paid for longer than a renter lets a silent machine live.";
    // Or say that they work for a moment, again and again.
    const paidMs = Number(((owedOf(voucher) - this.#paidBefore) * 1_000n) / this.#offer.pricePerSecond);
    if (this.#ranMs - paidMs > longest + this.#ranMs / UNPAID_PART)
      return "Too little was paid for the time in which it had its workers run, whoever says that they did not work.";
    const unpaid = workedMs - asked.offer.period * 1_000 - SKEW;
    const due = unpaid <= 0 ? 0n : (this.#offer.pricePerSecond * BigInt(Math.floor(unpaid))) / 1_000n;
    // Not up to the deposit: of one that is a second's pay the rest would be worked for nothing.
    return owedOf(voucher) < due ? "Its renter does not pay any more." : undefined;
  }

  /** A channel that a reorganisation took pays nobody; after a while the machine is free for the next lease. */
  async #miss(lease: Tenancy): Promise<void> {
    const now = this.#modules.clock.monotonic();
    this.#goneSince ??= now;
    if (lease.state !== "over" || now - this.#goneSince < GONE) return;
    this.#modules.tell(`The channel of lease ${lease.leaseId} is not there any more: what it owed is lost.`);
    await this.#keep({ redeemed: String(owedOf(lease.voucher)) });
  }

  async #redeem(): Promise<void> {
    const { clock, redeemEvery, tell } = this.#modules;
    const lease = this.#lease;
    if (lease === undefined || lease.voucher === null || owedOf(lease.voucher) <= BigInt(lease.redeemed)) return;
    const channel = await this.#modules.channel(lease);
    if (channel === undefined) return this.#miss(lease);
    this.#goneSince = undefined;
    if (lease.state === "working" && channel.closesAt !== undefined) await this.#end("Its renter closes the channel.");
    const owed = owedOf(lease.voucher);
    // No more than the deposit is ever paid, and none of it once the rest was withdrawn.
    if (channel.paid >= (owed < channel.deposit ? owed : channel.deposit)) {
      await this.#keep({ redeemed: String(owed) });
      return;
    }
    if (this.#lease?.state !== "over" && clock.monotonic() - this.#redeemedAt < redeemEvery) return;
    await this.#modules.redeem(lease, lease.voucher);
    this.#redeemedAt = clock.monotonic();
    await this.#keep({ redeemed: lease.voucher.voucher.cumulative });
    tell(`${lease.voucher.voucher.cumulative} of lease ${lease.leaseId} are redeemed.`);
  }
}
