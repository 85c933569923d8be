/**
 * Renting community machines: each lease is a channel in ComputeEscrow, which is opened once the machine has accepted, and vouchers for
 * the time in which a worker of it was alive. What a lease is lies in a file before anything of it is said or sent, so that whoever comes
 * after a crash goes on with it; and what is in no file gets no voucher, so that nothing else can cost.
 */
import { readdirSync } from "node:fs";

import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  type EscrowPlace,
  fromWire,
  hashMachineOffer,
  type Hex,
  leaseBounds,
  leaseOfTerms,
  type LeaseTerms,
  type LeaseView,
  type MachineList,
  type RenterReply,
  type RenterWord,
  requireLeaseAccept,
  type RunId,
  type SignedPass,
  signLeaseOffer,
  signVoucher,
  type SigningAccount,
  toWire,
} from "@cotrain/sdk/protocol";
import { keccak256, stringToHex } from "viem";

import { type Clock, UserError } from "../../base/index.ts";
import { makeDirectories } from "../../base/node/index.ts";
import { providerError } from "../base/errors.ts";
import { parseLabel } from "../base/labels.ts";
import type { Instance, Order, RentedAccount, RentingTerms } from "../base/renting.ts";
import type { Community } from "./file.ts";
import { COMMUNITY, requireListed, usdOfAmount } from "./listing.ts";
import type { ChannelSeen } from "./lending.ts";
import { passesOf } from "./passes.ts";
import { depositOf, instanceOf, isAlive, newRented, owedOf, wordOf } from "./rented.ts";
import { keptIn, Rented } from "./tenancy.ts";

const TITLE = "Community machines";
/** How long a deposit that was sent may stay unseen, ms. */
const OPENS_WITHIN = 600_000;
/** For so long, ms, a channel that was opened or sent is looked for before it counts as never there. */
const GONE = 3_600_000;

const terms: RentingTerms = {
  nameMax: 60,
  keepsLabel: true,
  visibleWithin: 0,
  killWithin: 0,
  deletableWhileCreating: true,
  minimumSeconds: 0,
  granularitySeconds: 1,
  bootBilled: false,
  tellsBill: true,
  startsBy: "provider",
};

/** The chain, by the renter's wallet. */
export interface RenterChain {
  channel(terms: LeaseTerms): Promise<ChannelSeen | undefined>;
  /** What the wallet has of a token. */
  balance(token: Address): Promise<bigint>;
  open(terms: LeaseTerms, deposit: bigint): Promise<void>;
  close(terms: LeaseTerms): Promise<void>;
  withdraw(terms: LeaseTerms): Promise<void>;
  /** Seconds since 1970, of the newest block. */
  now(): Promise<number>;
}

interface CommunityModules {
  readonly community: Community;
  readonly runId: RunId;
  /** Where leases are kept. */
  readonly directory: string;
  /** Pays, signs vouchers and passes. */
  readonly renter: SigningAccount & { readonly address: Address };
  readonly clock: Pick<Clock, "now">;
  readonly coordinator: {
    machines(): Promise<MachineList>;
    word(offer: Hex, word: RenterWord): Promise<RenterReply>;
    lease(pass: SignedPass): Promise<LeaseView>;
  };
  readonly chain: RenterChain;
}

/** Community machines, as the leases see an account. */
export function communityAccount(modules: CommunityModules): RentedAccount {
  const { community, renter } = modules;
  const leases = new Channels(modules);
  const identity = `${COMMUNITY}:${asAddress(renter.address)}@${community.chainId}/${community.escrow}`;
  return {
    name: COMMUNITY,
    title: TITLE,
    terms,
    identity: () => Promise.resolve(identity),
    create: async (order) => leases.ask(order),
    get: async (id) => {
      const rented = await leases.byId(id);
      return rented === undefined || rented.state === "over" ? undefined : instanceOf(rented);
    },
    list: async () => {
      const open = (await leases.all()).filter(({ state }) => state !== "over");
      const tended = await Promise.all(open.map((rented) => leases.tend(rented)));
      return tended.filter(({ state }) => state !== "gone");
    },
    terminate: async (id) => {
      await leases.end(id);
      return "accepted";
    },
    bill: async ({ id }) => {
      const rented = await leases.byId(id);
      const token = community.tokens.find(({ address }) => address === rented?.terms.token);
      return rented === undefined || token === undefined ? undefined : usdOfAmount(owedOf(rented), token);
    },
  };
}

/** The channels of one renter, each in a file of its label. */
class Channels {
  readonly #modules: CommunityModules;
  readonly #place: EscrowPlace;
  readonly #signer: Address;
  /** Since when a lease's channel is not found, ms since 1970. */
  readonly #absent = new Map<string, number>();

  constructor(modules: CommunityModules) {
    this.#modules = modules;
    this.#place = { chainId: modules.community.chainId, escrow: modules.community.escrow };
    this.#signer = asAddress(modules.renter.address);
    makeDirectories(modules.directory, 0o700);
  }

  #fileOf(label: string) {
    return keptIn<Rented>(this.#modules.directory, label, Rented);
  }

  async all(): Promise<Rented[]> {
    const labels = readdirSync(this.#modules.directory).flatMap((name) => {
      const label = name.endsWith(".json") ? name.slice(0, -".json".length) : "";
      return parseLabel(label) === undefined ? [] : [label];
    });
    return (await Promise.all(labels.map((label) => this.#fileOf(label).read()))).filter((each) => each !== undefined);
  }

  async byId(leaseId: string): Promise<Rented | undefined> {
    return (await this.all()).find((each) => each.leaseId === leaseId);
  }

  async #keep(rented: Rented, change: Partial<Rented>): Promise<Rented> {
    const next = { ...rented, ...change };
    await this.#fileOf(rented.label).write(next);
    return next;
  }

  /** Says all there is to say; undefined where the machine cannot be told. */
  async #say(rented: Rented): Promise<RenterReply | undefined> {
    try {
      return await this.#modules.coordinator.word(rented.offer, wordOf(rented));
    } catch (error) {
      if (error instanceof CotrainError) return undefined;
      throw error;
    }
  }

  /** Does what is due, and says how it stands: what could not be done is due at the next look. */
  async tend(rented: Rented): Promise<Instance> {
    try {
      return instanceOf(await this.#tended(rented));
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      const kept = (await this.#fileOf(rented.label).read()) ?? rented;
      return { ...instanceOf(kept), words: error.message.slice(0, 200) };
    }
  }

  async #tended(rented: Rented): Promise<Rented> {
    const tending: { readonly [S in Rented["state"]]: () => Promise<Rented> } = {
      asked: () => this.#onAsked(rented),
      opening: () => this.#onOpening(rented),
      open: () => this.#onOpen(rented),
      ending: () => this.#onEnding(rented),
      over: () => Promise.resolve(rented),
    };
    return tending[rented.state]();
  }

  /** How many of its workers are alive. */
  async #alive({ passes }: Rented): Promise<number> {
    let alive = 0;
    for (const pass of passes) if (isAlive(await this.#modules.coordinator.lease(pass))) alive += 1;
    return alive;
  }

  /**
   * A voucher for the time in which workers were alive, by their part of all: a silence that is longer than a period is not paid beyond it.
   */
  async #pay(rented: Rented): Promise<Rented> {
    const { renter, clock } = this.#modules;
    // What was found silent is paid from when it is found alive again, so that a moment in each period earns no period.
    const alive = await this.#alive(rented);
    if (alive === 0) return rented.aliveAt === null ? rented : this.#keep(rented, { aliveAt: null, alive });
    const now = Math.floor(clock.now());
    const since = rented.aliveAt === null ? 0 : Math.max(0, now - rented.aliveAt);
    const paid = Math.min(since, rented.asked.offer.period * 1_000);
    // Those that were alive at both ends of it.
    const paidMs = rented.paidMs + Math.floor((paid * Math.min(alive, rented.alive)) / rented.passes.length);
    const earned = (BigInt(rented.pricePerSecond) * BigInt(paidMs)) / 1_000n;
    const cumulative = earned < depositOf(rented) ? earned : depositOf(rented);
    if (cumulative <= owedOf(rented)) return this.#keep(rented, { paidMs, aliveAt: now, alive });
    const voucher = {
      leaseId: leaseOfTerms(this.#place, rented.terms),
      cumulative,
      through: BigInt(Math.floor(now / 1_000)),
    };
    const signature = await signVoucher(renter, this.#place, voucher);
    // Before it is said: what was signed is never forgotten.
    const kept = { voucher: toWire("Voucher", voucher), signature };
    return this.#keep(rented, { paidMs, aliveAt: now, alive, voucher: kept });
  }

  /** As {@link Channels.#pay}; a coordinator that does not answer says of nobody that he is alive. */
  async #payWhereHeard(rented: Rented): Promise<Rented> {
    try {
      return await this.#pay(rented);
    } catch (error) {
      if (error instanceof CotrainError) return rented;
      throw error;
    }
  }

  async #onAsked(rented: Rented): Promise<Rented> {
    const now = Math.floor(this.#modules.clock.now() / 1_000);
    const asked = fromWire("LeaseOffer", rented.asked.offer);
    const said = (await this.#say(rented))?.said;
    if (said && said.state !== "over" && BigInt(now) <= asked.answerBy) {
      const accept = fromWire("LeaseAccept", said.accept.accept);
      const { terms } = rented;
      await requireLeaseAccept(accept, said.accept.signature, { ...this.#place, asked, terms, now });
      return this.#onOpening(await this.#keep(rented, { state: "opening", channel: "sent" }));
    }
    if (BigInt(now) <= asked.answerBy) return rented;
    return this.#keep(rented, { state: "ending", words: "The machine did not answer." });
  }

  async #onOpening(rented: Rented): Promise<Rented> {
    const { chain, clock } = this.#modules;
    // A lease has one channel ever, so that what was sent before a crash is never sent twice.
    if ((await chain.channel(rented.terms)) === undefined) {
      // The machine has turned to others by then: the deposit would wait for its notice for nothing.
      if (clock.now() > Number(rented.asked.offer.answerBy) * 1_000 + OPENS_WITHIN)
        return this.#keep(rented, { state: "ending", words: "Its channel could not be opened in time." });
      await chain.open(rented.terms, depositOf(rented));
    }
    const opened = await this.#keep(rented, { state: "open", channel: "there" });
    await this.#say(opened);
    return opened;
  }

  async #onOpen(rented: Rented): Promise<Rented> {
    // A coordinator that says nothing of its workers may still pass on what is said.
    const paid = await this.#payWhereHeard(rented);
    const said = (await this.#say(paid))?.said;
    if (said?.state !== "over") return paid;
    return this.#keep(paid, { state: "ending", words: `The machine left: ${said.words}`.slice(0, 200) });
  }

  async #onEnding(rented: Rented): Promise<Rented> {
    const { chain, clock } = this.#modules;
    await this.#say(rented);
    const channel = await chain.channel(rented.terms);
    if (channel === undefined) {
      // One that was there is looked for again, since nodes lag; and a deposit that was sent before a crash may still arrive.
      const since = this.#absent.get(rented.label) ?? clock.now();
      this.#absent.set(rented.label, since);
      const from = { none: -GONE, sent: Number(rented.asked.offer.answerBy) * 1_000, there: since }[rented.channel];
      if (clock.now() <= from + GONE) return rented;
      this.#absent.delete(rented.label);
      return this.#keep(rented, { state: "over" });
    }
    this.#absent.delete(rented.label);
    const found = rented.channel === "there" ? rented : await this.#keep(rented, { channel: "there" });
    if (channel.closesAt === undefined) {
      await chain.close(found.terms);
      return found;
    }
    if ((await chain.now()) < channel.closesAt) return found;
    if (channel.held > 0n) await chain.withdraw(found.terms);
    return this.#keep(found, { state: "over" });
  }

  /** Nothing more is paid but what it has earned by now. */
  async end(id: string): Promise<void> {
    const rented = await this.byId(id);
    if (rented === undefined || rented.state === "ending" || rented.state === "over") return;
    const paid = rented.state === "open" ? await this.#payWhereHeard(rented) : rented;
    const words = rented.state === "asked" ? "It was ended before it was rented." : "";
    await this.#say(await this.#keep(paid, { state: "ending", words }));
  }

  /** Asks a machine to take a lease. @throws UserError `ORDER`, and as an account's create */
  async ask(order: Order): Promise<Instance> {
    const { community, runId, renter, clock } = this.#modules;
    const { label } = order;
    if (parseLabel(label) === undefined) throw new UserError("ORDER", `${label.slice(0, 80)} is no label.`);
    const passes = passesOf(order, runId);
    const now = Math.floor(clock.now());
    const { offer, token } = await this.#found(order, now);
    const left = order.endsAt === undefined ? offer.maxSeconds : Math.ceil((order.endsAt - now) / 1_000);
    const seconds = Math.min(left, offer.maxSeconds);
    if (seconds < offer.minSeconds)
      throw providerError("validation", TITLE, `the machine is let for ${offer.minSeconds} seconds at the least`);
    const perHour = usdOfAmount(offer.pricePerSecond * 3_600n, token);
    if (perHour > order.maximumPerHour) throw providerError("validation", TITLE, "the machine has become dearer");
    const deposit = offer.pricePerSecond * BigInt(seconds);
    await this.#requireFunds(asAddress(offer.token), deposit);
    const about: LeaseTerms = {
      renter: this.#signer,
      provider: asAddress(offer.owner),
      machine: asAddress(offer.machine),
      signer: this.#signer,
      token: asAddress(offer.token),
      notice: community.notice,
      // A label is given once.
      salt: keccak256(stringToHex(label)),
    };
    const asked = {
      leaseId: leaseOfTerms(this.#place, about),
      offer: hashMachineOffer(offer),
      runId,
      seconds,
      period: leaseBounds.period,
      deposit,
      answerBy: BigInt(Math.floor(now / 1_000) + leaseBounds.answer),
    };
    const rented: Rented = {
      label,
      leaseId: asked.leaseId,
      offer: asked.offer,
      pricePerSecond: String(offer.pricePerSecond),
      perHour: String(perHour),
      terms: about,
      asked: {
        offer: toWire("LeaseOffer", asked),
        signature: await signLeaseOffer(renter, this.#place, asked),
      },
      passes,
      ...newRented,
      createdAt: now,
    };
    await this.#fileOf(label).write(rented);
    await this.#say(rented);
    return instanceOf(rented);
  }

  /** The machine of an order, as it is listed now. */
  async #found({ offer: wanted }: Order, now: number) {
    const { machines } = await this.#modules.coordinator.machines();
    const view = machines.find(({ offer }) => hashMachineOffer(fromWire("MachineOffer", offer)) === wanted.providerId);
    if (view === undefined || view.taken) throw providerError("capacity", TITLE, "the machine is not to be had now");
    return requireListed(view, this.#modules.community, now);
  }

  async #requireFunds(token: Address, deposit: bigint): Promise<void> {
    if ((await this.#modules.chain.balance(token)) >= deposit) return;
    const words = `the wallet has less than the deposit of ${deposit} smallest units of ${token}`;
    throw providerError("funds", TITLE, words);
  }
}
