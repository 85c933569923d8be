/** Community machines and who rents them meet at a coordinator: who may list, speak and hear. */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  admissionCode,
  asAddress,
  callerOf,
  fromWire,
  hardwareOf,
  hashMachineOffer,
  type Hex,
  leaseKind,
  leaseOfTerms,
  type LeaseTerms,
  type MachineCall,
  type MachineOffer,
  type MachineSaid,
  regionOf,
  type RenterWord,
  signLeaseAccept,
  signLeaseOffer,
  signMachineOffer,
  signPass,
  toWire,
} from "@cotrain/sdk/protocol";
import { keccak256, stringToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { hearMachine } from "../../../offchain/src/coordinator/machines.ts";
import { domain, type Harness, openHarness, poster, runId, START } from "./harness.ts";

const [owner, machine, thief] = ["owner", "machine", "thief"].map((name) =>
  privateKeyToAccount(keccak256(stringToHex(name))),
) as [typeof poster, typeof poster, typeof poster];
const place = { chainId: domain.chainId, escrow: asAddress(`0x${"e5".repeat(20)}`) };
const token = asAddress(`0x${"70".repeat(20)}`);
const secret: Hex = `0x${"5e".repeat(32)}`;
const seconds = START / 1_000;

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness();
});
afterEach(() => harness.close());

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "accepted";
  } catch (error) {
    return error instanceof CotrainError ? error.code : String(error);
  }
};

async function callOf(change: Partial<MachineOffer> = {}, by = owner, word = secret, gpus = 1): Promise<MachineCall> {
  const facts = { gpu: "RTX 3090", gpus, vramGb: 24, cpus: 8, ramGb: 64, diskGb: 500, caller: callerOf(word) };
  const offer: MachineOffer = {
    owner: asAddress(owner.address),
    machine: asAddress(machine.address),
    hardware: hardwareOf(facts),
    token,
    pricePerSecond: 100n,
    minSeconds: 600,
    maxSeconds: 36_000,
    region: regionOf("here"),
    validUntil: BigInt(Math.floor(seconds) + 3_600),
    nonce: 1n,
    kind: leaseKind.paid,
    ...change,
  };
  const signature = await signMachineOffer(by, place, offer);
  return { escrow: place.escrow, offer: toWire("MachineOffer", offer), signature, facts, said: null };
}
const nameOf = ({ offer }: MachineCall): Hex => hashMachineOffer(fromWire("MachineOffer", offer));
const call = (body: MachineCall, word: Hex = secret) => harness.client.callOfMachine(runId, word, body);
const listed = async () => (await harness.client.machines(runId)).machines;

async function wordOf(offer: Hex, salt = "lease", by = poster, lasts = 3_600, due = 60): Promise<RenterWord> {
  const terms: LeaseTerms = {
    renter: asAddress(by.address),
    provider: asAddress(owner.address),
    machine: asAddress(machine.address),
    signer: asAddress(by.address),
    token,
    notice: 900,
    salt: keccak256(stringToHex(salt)),
  };
  const asked = {
    leaseId: leaseOfTerms(place, terms),
    offer,
    runId,
    seconds: lasts,
    period: 300,
    deposit: 360_000n,
    answerBy: BigInt(Math.floor(seconds) + due),
  };
  const signature = await signLeaseOffer(by, place, asked);
  return { terms, asked: { offer: toWire("LeaseOffer", asked), signature }, passes: [], voucher: null, end: false };
}
async function saidOf(word: RenterWord, state: MachineSaid["state"]): Promise<MachineSaid> {
  const { leaseId } = word.asked.offer;
  const accept = { leaseId, offer: word.asked.offer.offer, machine: asAddress(machine.address), acceptedAt: 1n };
  const signature = await signLeaseAccept(machine, place, accept);
  return { leaseId, state, accept: { accept: toWire("LeaseAccept", accept), signature }, words: "" };
}

const give = (body: MachineCall, word: RenterWord) => harness.client.wordOfRenter(runId, nameOf(body), word);
const say = async (to: MachineCall, passes: RenterWord["passes"]) =>
  give(to, { ...(await wordOf(nameOf(to), nameOf(to))), passes });
/** Of a call from that address. */
const hear = async (nonce: bigint, from: string) =>
  codeOf(hearMachine(harness.run, await callOf({ nonce }), secret, from));

describe("a machine", () => {
  it("is listed while it calls", async () => {
    const body = await callOf();
    expect(await call(body)).toEqual({ word: null });
    expect(await listed()).toMatchObject([{ offer: body.offer, taken: false }]);
    await harness.clock.advance(61_000);
    expect(await listed()).toEqual([]);
  });

  it("is listed with its secret, its owner's signature and its facts alone, and for as long as its offer stands", async () => {
    const body = await callOf();
    expect(await codeOf(call(body, `0x${"00".repeat(32)}`))).toBe("MACHINE_FOREIGN");
    expect(await codeOf(call({ ...body, facts: { ...body.facts, gpus: 8 } }))).toBe("MACHINE_FOREIGN");
    expect(await codeOf(call(await callOf({}, thief)))).toBe("BAD_SIGNATURE");
    expect(await codeOf(call(await callOf({ validUntil: 1n })))).toBe("MACHINE_OFFER_EXPIRED");
    expect(await codeOf(call({ ...body, escrow: token }))).toBe("BAD_SIGNATURE");
    expect(await listed()).toEqual([]);
  });

  it("is in nobody's way who offers it as his own", async () => {
    const body = await callOf();
    await call(body);
    const other: Hex = `0x${"07".repeat(32)}`;
    await call(await callOf({ owner: asAddress(thief.address), nonce: 9n }, thief, other), other);
    expect(await listed()).toHaveLength(2);
    const word = await wordOf(nameOf(body));
    await harness.client.wordOfRenter(runId, nameOf(body), word);
    expect(await call(body)).toMatchObject({ word: { asked: word.asked } });
  });

  it("is one of sixteen behind an address", async () => {
    for (let nonce = 0n; nonce < 16n; nonce++) await call(await callOf({ nonce }));
    expect(await codeOf(call(await callOf({ nonce: 16n })))).toBe("MACHINES_FULL");
  });

  it("is one of sixteen of a /64, of 32 of a /48, and of 64 of a /32", async () => {
    let nonce = 0n;
    const fill = async (most: number, next: (index: number) => string): Promise<void> => {
      for (let index = 0; index < most; index++) expect(await hear(nonce++, next(index))).toBe("accepted");
    };
    await fill(16, (index) => `2001:db8:1:1::${index + 1}`);
    expect(await hear(900n, "2001:db8:1:1:ffff::1")).toBe("MACHINES_FULL");
    await fill(16, (index) => `2001:db8:1:${index + 16}::1`);
    expect(await hear(900n, "2001:db8:1:ffff::1")).toBe("MACHINES_FULL");
    await fill(32, (index) => `2001:db8:${index + 16}::1`);
    expect(await hear(900n, "2001:db8:ffff::1")).toBe("MACHINES_FULL");
    expect(await hear(901n, "2001:db9::1")).toBe("accepted");
    // Those that call from elsewhere are still of where they were listed.
    for (let moved = 0n; moved < 16n; moved++) expect(await hear(moved, "192.0.2.1")).toBe("accepted");
    expect(await hear(900n, "2001:db8:1:1::1")).toBe("MACHINES_FULL");
    expect(await hear(900n, "192.0.2.1")).toBe("accepted");
  });
});

describe("a renter", () => {
  it("is heard by the machine alone, and hears it", async () => {
    const body = await callOf();
    await call(body);
    const word = await wordOf(nameOf(body));
    expect(await harness.client.wordOfRenter(runId, nameOf(body), word)).toMatchObject({ said: null });
    expect(await listed()).toMatchObject([{ taken: true }]);
    expect(JSON.stringify(await listed())).not.toContain(word.asked.signature);
    const said = await saidOf(word, "accepted");
    await call({ ...body, said });
    expect(await harness.client.wordOfRenter(runId, nameOf(body), word)).toMatchObject({ said });
  });

  it("is one that the coordinator was told of, who signed the question, about this machine and run", async () => {
    const body = await callOf();
    const name = nameOf(body);
    const word = await wordOf(name);
    const speak = (said: RenterWord, to = name) => codeOf(harness.client.wordOfRenter(runId, to, said));
    expect(await speak(word)).toBe("MACHINE_UNKNOWN");
    await call(body);
    expect(await speak(await wordOf(name, "lease", thief))).toBe("RENTER_UNKNOWN");
    expect(
      await speak({ ...word, asked: { ...word.asked, signature: (await saidOf(word, "over")).accept.signature } }),
    ).toBe("BAD_SIGNATURE");
    expect(await speak(await wordOf(keccak256("0x")))).toBe("LEASE_UNKNOWN");
    expect(await speak({ ...word, terms: { ...word.terms, notice: 1 } })).toBe("LEASE_UNKNOWN");
    expect(await call(body)).toEqual({ word: null });
  });

  it("asks for an answer that is due soon", async () => {
    const body = await callOf();
    await call(body);
    const years = await wordOf(nameOf(body), "lease", poster, 3_600, 3_153_600_000);
    expect(await codeOf(harness.client.wordOfRenter(runId, nameOf(body), years))).toBe("LEASE_UNKNOWN");
    expect(await listed()).toMatchObject([{ taken: false }]);
    const soon = await wordOf(nameOf(body), "lease", poster, 3_600, 110);
    expect(await codeOf(harness.client.wordOfRenter(runId, nameOf(body), soon))).toBe("accepted");
  });

  it("waits while another has the machine, until that is over", async () => {
    const body = await callOf();
    const name = nameOf(body);
    await call(body);
    const [first, second] = [await wordOf(name), await wordOf(name, "another")];
    await harness.client.wordOfRenter(runId, name, first);
    expect(await codeOf(harness.client.wordOfRenter(runId, name, second))).toBe("MACHINE_TAKEN");
    await call({ ...body, said: await saidOf(first, "working") });
    await harness.clock.advance(30_000);
    await call({ ...body, said: await saidOf(first, "working") });
    expect(await codeOf(harness.client.wordOfRenter(runId, name, second))).toBe("MACHINE_TAKEN");
    await call({ ...body, said: await saidOf(first, "over") });
    expect(await codeOf(harness.client.wordOfRenter(runId, name, second))).toBe("accepted");
  });
});

const stake = async (amount: bigint, account = asAddress(owner.address)): Promise<void> => {
  harness.chain.stakes.set(account, amount);
  // As long as an answer of the chain holds.
  await harness.clock.advance(10_000);
};
const passOf = (label: string) =>
  signPass(poster, domain, {
    runId,
    label,
    index: 0,
    beneficiary: asAddress(owner.address),
    notAfter: START + 3_600_000,
  });

/** The `count`th pass of a label, with an end that nobody would wait for. */
const passFor = (index: number, label = "endless") =>
  signPass(poster, domain, {
    runId,
    label,
    index,
    beneficiary: asAddress(owner.address),
    notAfter: Number.MAX_SAFE_INTEGER,
  });

describe("passes of a machine's lease", () => {
  const minStake = 5n;
  beforeEach(async () => {
    await harness.close();
    harness = await openHarness({ params: { admission: admissionCode.stake, minStake } });
    await stake(2n * minStake);
  });

  it("are as many as the machine has GPUs, however they are said", async () => {
    const body = await callOf({}, owner, secret, 2);
    await call(body);
    const word = await wordOf(nameOf(body));
    const [first, second, third] = [await passFor(0), await passFor(1), await passFor(2)];
    expect(await codeOf(give(body, { ...word, passes: [first, second, third] }))).toBe("PASSES_MANY");
    expect(await codeOf(give(body, { ...word, passes: [first, second] }))).toBe("accepted");
    expect(await codeOf(give(body, { ...word, passes: [third] }))).toBe("PASSES_MANY");
    expect(await codeOf(give(body, { ...word, passes: [second, first] }))).toBe("accepted");
    expect(await codeOf(harness.worker("31").joinBy(third))).toBe("STAKE_MISSING");
  });

  it("serve no longer once the machine says that it is over, and count no more", async () => {
    const body = await callOf();
    await call(body);
    const word = { ...(await wordOf(nameOf(body))), passes: [await passFor(0)] };
    await give(body, word);
    await harness.worker("31").joinBy(word.passes[0]!);
    await call({ ...body, said: await saidOf(word, "over") });
    const { members } = harness.run.driver.state;
    expect(members[harness.worker("31").address]).toMatchObject({ leaving: true });
    expect(await harness.client.lease(runId, { pass: word.passes[0]! })).toMatchObject({ ended: true });
    expect(await codeOf(harness.worker("32").joinBy(word.passes[0]!))).toBe("STAKE_MISSING");
    // Who says them again has them serve no more.
    await call({ ...body, said: await saidOf(word, "over") });
    await give(body, { ...word, passes: [await passFor(1)] });
    expect(await codeOf(harness.worker("33").joinBy(await passFor(1)))).toBe("STAKE_MISSING");
  });

  it("serve no longer once the renter says that it is over", async () => {
    const body = await callOf();
    await call(body);
    const [pass, word] = [await passFor(0), await wordOf(nameOf(body))];
    await give(body, { ...word, passes: [pass] });
    await give(body, { ...word, end: true });
    expect(await harness.client.lease(runId, { pass })).toMatchObject({ ended: true });
    expect(await codeOf(harness.worker("31").joinBy(pass))).toBe("STAKE_MISSING");
  });

  it("serve no longer than the machine can have its lease, whatever they say", async () => {
    const body = await callOf();
    await call(body);
    const word = { ...(await wordOf(nameOf(body), "short", poster, 60)), passes: [await passFor(0)] };
    await give(body, word);
    // An answer, a channel and the lease itself.
    await harness.clock.advance(60_000 + 600_000 + 60_000);
    await call(await callOf({ validUntil: BigInt(Math.floor(seconds) + 36_000) }));
    expect(await codeOf(harness.worker("31").joinBy(word.passes[0]!))).toBe("STAKE_MISSING");
  });
});

describe("a run that asks for stake", () => {
  const minStake = 5n;
  const renew = async (): Promise<void> => {
    await harness.close();
    harness = await openHarness({ params: { admission: admissionCode.stake, minStake } });
  };
  it("lists machines whose owner has it, one for each GPU, and hears those at work to the end", async () => {
    await renew();
    const body = await callOf();
    expect(await codeOf(call(body))).toBe("STAKE_MISSING");
    expect(await listed()).toEqual([]);
    await stake(minStake);
    expect(await codeOf(call(body))).toBe("accepted");
    expect(await codeOf(call(await callOf({}, owner, secret, 2)))).toBe("STAKE_MISSING");
    expect(await listed()).toMatchObject([{ offer: body.offer }]);
    await stake(minStake - 1n);
    expect(await codeOf(call({ ...body, said: await saidOf(await wordOf(nameOf(body)), "working") }))).toBe("accepted");
    expect(await codeOf(call(body))).toBe("STAKE_MISSING");
  });

  it("counts one stake once: the owner's own worker, and all machines that he lists", async () => {
    await renew();
    const own = harness.worker("77");
    const has = (workers: bigint) => stake(workers * minStake, own.address);
    const [one, two] = [
      await callOf({ owner: own.address, nonce: 1n }, own.account),
      await callOf({ owner: own.address, nonce: 2n }, own.account),
    ];
    await has(1n);
    const codes = await Promise.all([call(one), call(two)].map(codeOf));
    expect(codes.toSorted()).toEqual(["STAKE_MISSING", "accepted"]);
    const [first, second] = codes[0] === "accepted" ? [one, two] : [two, one];
    expect(await codeOf(own.join())).toBe("STAKE_MISSING");
    await has(2n);
    expect(await codeOf(own.join())).toBe("accepted");
    expect(await codeOf(call(second))).toBe("STAKE_MISSING");
    // A member that is not heard of is none for long.
    await own.work(0);
    await has(3n);
    expect(await codeOf(call(second))).toBe("accepted");
    await own.work(0);
    await has(2n);
    // Which of them is listed is the owner's to say.
    expect(await codeOf(call(first))).toBe("STAKE_MISSING");
    expect(await codeOf(call(second))).toBe("accepted");
    expect(await listed()).toMatchObject([{ offer: second.offer }]);
  });

  it("counts one stake once where two machines of an owner call in the same moment", async () => {
    await renew();
    await stake(minStake);
    const both = Promise.withResolvers<void>();
    let asked = 0;
    const { run } = harness;
    const requireOwner: typeof run.admission.requireOwner = async (account, params) => {
      await run.admission.requireOwner(account, params);
      asked += 1;
      if (asked === 2) both.resolve();
      await both.promise;
    };
    const together = { ...run, admission: { ...run.admission, requireOwner } };
    const calls = [await callOf({ nonce: 1n }), await callOf({ nonce: 2n })];
    const codes = await Promise.all(calls.map((body) => codeOf(hearMachine(together, body, secret, "192.0.2.1"))));
    expect(codes.toSorted()).toEqual(["STAKE_MISSING", "accepted"]);
    expect(await listed()).toHaveLength(1);
  });

  it("lists who only says that there is a lease where nobody else wants the place", async () => {
    await renew();
    const address = "192.0.2.1";
    const hearOf = async (body: MachineCall) => codeOf(hearMachine(harness.run, body, secret, address));
    const leased = async (nonce: bigint): Promise<MachineCall> => {
      const body = await callOf({ owner: asAddress(thief.address), nonce }, thief);
      return { ...body, said: await saidOf(await wordOf(nameOf(body)), "working") };
    };
    const claims: MachineCall[] = [];
    for (let nonce = 0n; nonce < 16n; nonce++) claims.push(await leased(nonce));
    for (const claim of claims) expect(await hearOf(claim)).toBe("accepted");
    // They make no room for each other.
    expect(await hearOf(await leased(16n))).toBe("MACHINES_FULL");
    // Of the first a renter of this coordinator's has spoken.
    const [first, second] = claims as [MachineCall, MachineCall];
    expect(await codeOf(give(first, await wordOf(nameOf(first))))).toBe("accepted");
    expect(await hearOf(first)).toBe("accepted");
    await stake(minStake);
    const staked = await callOf();
    expect(await hearOf(staked)).toBe("accepted");
    const names = (await listed()).map(({ offer }) => hashMachineOffer(fromWire("MachineOffer", offer)));
    expect(names).toHaveLength(16);
    expect(names).toContain(nameOf(first));
    expect(names).toContain(nameOf(staked));
    expect(names).not.toContain(nameOf(second));
  });

  it("takes the workers of a machine by its owner's, no more of them than he has it for", async () => {
    await renew();
    await stake(2n * minStake);
    const [body, other] = [await callOf(), await callOf({ nonce: 2n })];
    const [pass, second, foreign] = [await passOf("one"), await passOf("two"), await passOf("none")];
    await call(body);
    await call(other);
    await say(body, [pass]);
    expect(await codeOf(harness.worker("31").joinBy(foreign))).toBe("STAKE_MISSING");
    expect(await codeOf(harness.worker("31").joinBy(pass))).toBe("accepted");
    await say(other, [second]);
    // A machine that speaks in its renter's name takes back nothing.
    await say(body, []);
    await stake(2n * minStake - 1n);
    expect(await codeOf(harness.worker("32").joinBy(second))).toBe("STAKE_MISSING");
    // Who is in is in.
    expect(await codeOf(harness.worker("31").joinBy(pass))).toBe("accepted");
    await stake(2n * minStake);
    expect(await codeOf(harness.worker("32").joinBy(second))).toBe("accepted");
  });
});
