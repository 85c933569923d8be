/** A community machine is offered, asked and answers: what each side signs, and what the other refuses. */
import * as protocol from "@cotrain/sdk/protocol";
import { type Address, keccak256, stringToHex, zeroAddress } from "viem";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";

const hashOf = (text: string): protocol.Hex => keccak256(stringToHex(text));
const accountOf = (name: string): PrivateKeyAccount => privateKeyToAccount(hashOf(name));
const [owner, machine, renter, signer, thief] = ["owner", "machine", "renter", "signer", "thief"].map(accountOf) as [
  PrivateKeyAccount,
  PrivateKeyAccount,
  PrivateKeyAccount,
  PrivateKeyAccount,
  PrivateKeyAccount,
];
const low = ({ address }: PrivateKeyAccount): Address => protocol.asAddress(address);
const now = 1_800_000_000;
const place = { chainId: 31_337, escrow: protocol.asAddress(`0x${"e5".repeat(20)}`) };
const token = protocol.asAddress(`0x${"70".repeat(20)}`);
const { leaseBounds, leaseKind } = protocol;

const offer: protocol.MachineOffer = {
  owner: low(owner),
  machine: low(machine),
  hardware: hashOf("hardware"),
  token,
  pricePerSecond: 300n,
  minSeconds: 600,
  maxSeconds: 86_400,
  region: protocol.regionOf("eu-west"),
  validUntil: BigInt(now + 3_600),
  nonce: 1n,
  kind: leaseKind.paid,
};
const terms: protocol.LeaseTerms = {
  renter: low(renter),
  provider: low(owner),
  machine: low(machine),
  signer: low(signer),
  token,
  notice: 900,
  salt: hashOf("lease"),
};
const asked: protocol.LeaseOffer = {
  leaseId: protocol.leaseOfTerms(place, terms),
  offer: protocol.hashMachineOffer(offer),
  runId: hashOf("run"),
  seconds: 7_200,
  period: 300,
  deposit: 90_000n,
  answerBy: BigInt(now + 60),
};

const refusal = (code: string) => ({ name: "ProtocolError", code });

describe("a machine's offer", () => {
  const check = async (change: Partial<protocol.MachineOffer> = {}, by = owner, at = now): Promise<void> => {
    const changed = { ...offer, ...change };
    await protocol.requireMachineOffer(changed, await protocol.signMachineOffer(by, place, changed), {
      ...place,
      now: at,
    });
  };
  const free = { kind: leaseKind.shares, pricePerSecond: 0n, token: zeroAddress };

  it("is its owner's, for shares or for a price", async () => {
    await expect(check()).resolves.toBeUndefined();
    await expect(check(free)).resolves.toBeUndefined();
    await expect(
      check({ minSeconds: 1, maxSeconds: leaseBounds.seconds, pricePerSecond: leaseBounds.price }),
    ).resolves.toBeUndefined();
    await expect(check({ minSeconds: 600, maxSeconds: 600, pricePerSecond: 1n })).resolves.toBeUndefined();
    await expect(check({}, machine)).rejects.toMatchObject(refusal("LEASE_OTHER_SIGNER"));
  });

  it.each([
    ["of no kind", { kind: 0 }],
    ["of a kind to come", { kind: 3 }],
    ["for no time", { minSeconds: 0 }],
    ["for less than the least", { maxSeconds: 599 }],
    ["for years", { maxSeconds: leaseBounds.seconds + 1 }],
    ["for shares and a price", { ...free, pricePerSecond: 1n }],
    ["for shares and a token", { ...free, token }],
    ["for nothing", { pricePerSecond: 0n }],
    ["for more than a deposit holds", { pricePerSecond: leaseBounds.price + 1n }],
    ["for no token", { token: zeroAddress }],
    ["from nowhere", { region: protocol.zeroHash }],
    ["from a region that is no name", { region: `0x45${"00".repeat(31)}` as const }],
    ["from a region with a hole", { region: `0x610061${"00".repeat(29)}` as const }],
    ["that stands for years", { validUntil: BigInt(now + leaseBounds.standing + 1) }],
  ])("%s is none", (_, change) => expect(check(change)).rejects.toMatchObject(refusal("MACHINE_OFFER_MALFORMED")));

  it("stands until its last second", async () => {
    await expect(check({}, owner, Number(offer.validUntil))).resolves.toBeUndefined();
    await expect(check({}, owner, Number(offer.validUntil) + 1)).rejects.toMatchObject(
      refusal("MACHINE_OFFER_EXPIRED"),
    );
    await expect(check({ validUntil: BigInt(now + leaseBounds.standing) })).resolves.toBeUndefined();
  });

  it("is of one contract on one chain", async () => {
    const signature = await protocol.signMachineOffer(owner, place, offer);
    await expect(protocol.requireMachineOffer(offer, signature, { ...place, chainId: 1, now })).rejects.toMatchObject(
      refusal("LEASE_OTHER_SIGNER"),
    );
    await expect(
      protocol.requireMachineOffer(offer, signature, { ...place, escrow: token, now }),
    ).rejects.toMatchObject(refusal("LEASE_OTHER_SIGNER"));
    await expect(protocol.requireMachineOffer(offer, "0x00", { ...place, now })).rejects.toMatchObject(
      refusal("MALFORMED_SIGNATURE"),
    );
  });

  it("names its region in letters", () => {
    for (const name of ["de", "eu-west", "a".repeat(32)])
      expect(protocol.regionName(protocol.regionOf(name))).toBe(name);
    for (const name of ["", "EU", "a b", "a".repeat(33)])
      expect(() => protocol.regionOf(name)).toThrow(expect.objectContaining({ code: "REGION_MALFORMED" }));
    expect(protocol.regionName("0xzz")).toBeUndefined();
  });
});

describe("what a machine is asked", () => {
  interface Change {
    readonly asked?: Partial<protocol.LeaseOffer>;
    readonly terms?: Partial<protocol.LeaseTerms>;
    readonly offer?: Partial<protocol.MachineOffer>;
    readonly by?: PrivateKeyAccount;
    readonly at?: number;
  }
  const check = async ({ by = signer, at = now, ...change }: Change = {}): Promise<void> => {
    const of = { ...offer, ...change.offer };
    const about = { ...terms, ...change.terms };
    const changed = {
      ...asked,
      leaseId: protocol.leaseOfTerms(place, about),
      offer: protocol.hashMachineOffer(of),
      ...change.asked,
    };
    await protocol.requireLeaseOffer(changed, await protocol.signLeaseOffer(by, place, changed), {
      ...place,
      offer: of,
      terms: about,
      leastNotice: 900,
      now: at,
    });
  };

  it("is taken where it is of its offer, within it and covered", async () => {
    await expect(check()).resolves.toBeUndefined();
    await expect(check({ asked: { seconds: offer.minSeconds } })).resolves.toBeUndefined();
    await expect(check({ asked: { seconds: offer.maxSeconds } })).resolves.toBeUndefined();
    await expect(check({ at: now + 60 })).resolves.toBeUndefined();
    const shares = { kind: leaseKind.shares, pricePerSecond: 0n, token: zeroAddress };
    await expect(
      check({ offer: shares, terms: { token: zeroAddress, notice: 1 }, asked: { deposit: 0n } }),
    ).resolves.toBeUndefined();
  });

  it.each<[string, Change, string]>([
    ["another lease", { asked: { leaseId: hashOf("other") } }, "LEASE_OFFER_OTHER"],
    ["another offer", { asked: { offer: hashOf("other") } }, "LEASE_OFFER_OTHER"],
    ["another machine", { terms: { machine: low(thief) } }, "LEASE_OFFER_OTHER"],
    ["pay for somebody else", { terms: { provider: low(thief) } }, "LEASE_OFFER_OTHER"],
    ["another token", { terms: { token: low(thief) } }, "LEASE_OFFER_OTHER"],
    ["too short a time", { asked: { seconds: 599 } }, "LEASE_OFFER_MALFORMED"],
    ["too long a time", { asked: { seconds: 86_401 } }, "LEASE_OFFER_MALFORMED"],
    ["no period", { asked: { period: 0 } }, "LEASE_OFFER_MALFORMED"],
    ["work for six minutes without pay", { asked: { period: 301, deposit: 900_000n } }, "LEASE_OFFER_MALFORMED"],
    ["work without cover", { asked: { deposit: 89_999n } }, "LEASE_OFFER_MALFORMED"],
    ["a notice too short to redeem in", { terms: { notice: 899 } }, "LEASE_OFFER_MALFORMED"],
    ["an answer tomorrow", { asked: { answerBy: BigInt(now + 121) } }, "LEASE_OFFER_MALFORMED"],
    ["an answer yesterday", { at: now + 61 }, "LEASE_OFFER_EXPIRED"],
    ["it by another key than its vouchers'", { by: thief }, "LEASE_OTHER_SIGNER"],
  ])("is refused where it asks for %s", (_, change, code) =>
    expect(check(change)).rejects.toMatchObject(refusal(code)),
  );
});

describe("what a machine answers", () => {
  const accept: protocol.LeaseAccept = {
    leaseId: asked.leaseId,
    offer: protocol.hashLeaseOffer(asked),
    machine: low(machine),
    acceptedAt: BigInt(now),
  };
  const check = async (change: Partial<protocol.LeaseAccept> = {}, by = machine, at = now): Promise<void> => {
    const changed = { ...accept, ...change };
    const signature = await protocol.signLeaseAccept(by, place, changed);
    await protocol.requireLeaseAccept(changed, signature, { ...place, asked, terms, now: at });
  };

  it("is to the question, in time, and its own", async () => {
    await expect(check()).resolves.toBeUndefined();
    await expect(check({}, machine, now + 60)).resolves.toBeUndefined();
    await expect(check({ leaseId: hashOf("other") })).rejects.toMatchObject(refusal("LEASE_ACCEPT_OTHER"));
    await expect(check({ offer: hashOf("other") })).rejects.toMatchObject(refusal("LEASE_ACCEPT_OTHER"));
    await expect(check({ machine: low(thief) }, thief)).rejects.toMatchObject(refusal("LEASE_ACCEPT_OTHER"));
    await expect(check({}, thief)).rejects.toMatchObject(refusal("LEASE_OTHER_SIGNER"));
    await expect(check({}, machine, now + 61)).rejects.toMatchObject(refusal("LEASE_ACCEPT_LATE"));
  });
});
