/** How revenue is shared out: by what accounts held in its epoch, averaged over time, in whole numbers. */
import { array, assert, bigInt, nat, property, record } from "fast-check";
import type { Address } from "viem";
import { expect, it } from "vitest";
import {
  holdingWeights,
  MAX_REVENUE_ACCOUNTS,
  revenueParts,
  revenueShares,
  type ShareTransfer,
} from "@cotrain/sdk/protocol";

const account = (n: number): Address => `0x${n.toString(16).padStart(40, "0")}`;
const nobody = account(0);
const [alice, bob, treasury, contract] = [account(0xa), account(0xb), account(0xcc), account(0xc0)];
const minted = (to: Address, amount: bigint, time: number): ShareTransfer => ({ from: nobody, to, amount, time });
const sent = (from: Address, to: Address, amount: bigint, time: number): ShareTransfer => ({ from, to, amount, time });
const epoch = { start: 100, end: 200 };
const weightsOf = (transfers: readonly ShareTransfer[], ...epochs: { start: number; end: number }[]) =>
  holdingWeights(transfers, epochs.length === 0 ? [epoch] : epochs).map((each) => Object.fromEntries(each));
const byText = ([a]: readonly [string, bigint], [b]: readonly [string, bigint]): number => (a < b ? -1 : 1);
const terms = { available: 1_000n, treasury };

it("who holds all the time counts for all of it", () => {
  expect(weightsOf([minted(alice, 3n, 5), minted(bob, 1n, 99)])).toEqual([{ [alice]: 300n, [bob]: 100n }]);
});

it("what comes and goes within an epoch counts from and to its second", () => {
  expect(weightsOf([minted(alice, 10n, 100), sent(alice, bob, 4n, 150), sent(bob, alice, 1n, 199)])).toEqual([
    { [alice]: 10n * 50n + 6n * 49n + 7n, [bob]: 4n * 49n + 3n },
  ]);
});

/** Else whoever sees a payment come would take of it what others held their shares for. */
it("who buys just before an epoch's end gets of it what that second is worth", () => {
  const [weights] = holdingWeights([minted(alice, 100n, 0), sent(alice, bob, 100n, 199)], [epoch]);
  const { parts } = revenueParts({ arrived: 1_000n, weights: weights! }, []);
  expect(parts.map(({ amount }) => amount)).toEqual([990n, 10n]);
});

it("an epoch begins at its start and ends before its end", () => {
  expect(weightsOf([minted(alice, 1n, 199)])).toEqual([{ [alice]: 1n }]);
  expect(weightsOf([minted(alice, 1n, 200)])).toEqual([{}]);
  expect(weightsOf([minted(alice, 1n, 0), sent(alice, bob, 1n, 100)])).toEqual([{ [bob]: 100n }]);
});

it("each epoch counts by itself, whatever lies between", () => {
  const transfers = [minted(alice, 2n, 0), sent(alice, bob, 1n, 250), minted(bob, 5n, 310), sent(bob, nobody, 1n, 999)];
  expect(weightsOf(transfers, epoch, { start: 300, end: 400 }, { start: 500, end: 600 })).toEqual([
    { [alice]: 200n },
    { [alice]: 100n, [bob]: 100n + 5n * 90n },
    { [alice]: 100n, [bob]: 600n },
  ]);
});

it("transfers that are left out are noticed where somebody sends what it has not", () => {
  expect(() => weightsOf([minted(alice, 1n, 0), sent(bob, alice, 1n, 1)])).toThrow(
    expect.objectContaining({ code: "TRANSFERS_LEFT_OUT" }),
  );
});

it("letters' case makes no second account", () => {
  const upper = `0x${"AB".repeat(20)}` as const;
  const lower = upper.toLowerCase() as Address;
  expect(weightsOf([minted(upper, 2n, 0), sent(lower, bob, 1n, 150)])).toEqual([{ [lower]: 150n, [bob]: 50n }]);
  const [weights] = holdingWeights([minted(lower, 2n, 0)], [epoch]);
  expect(revenueParts({ arrived: 9n, weights: weights! }, [upper])).toEqual({ weight: 0n, parts: [] });
});

it("the protocol's own contracts get nothing, and take nobody's part", () => {
  const [weights] = holdingWeights([minted(alice, 1n, 0), minted(contract, 99n, 0), minted(treasury, 5n, 0)], [epoch]);
  const { weight, parts } = revenueParts({ arrived: 1_000n, weights: weights! }, [contract, treasury]);
  expect(weight).toBe(100n);
  expect(parts).toEqual([{ account: alice, weight: 100n, amount: 1_000n }]);
});

it("where nobody holds shares that count all is the treasury's", () => {
  const { parts } = revenueParts({ arrived: 1_000n, weights: new Map([[contract, 5n]]) }, [contract]);
  expect(revenueShares([parts], terms)).toEqual(new Map([[treasury, 1_000n]]));
});

it("what rounding leaves, and what roots before it left, is the treasury's", () => {
  const weights = new Map([
    [alice, 1n],
    [bob, 2n],
  ]);
  const { parts } = revenueParts({ arrived: 100n, weights }, []);
  expect(revenueShares([parts, parts], { ...terms, available: 207n })).toEqual(
    new Map([
      [alice, 66n],
      [bob, 132n],
      [treasury, 9n],
    ]),
  );
  expect(() => revenueShares([parts], { ...terms, available: 98n })).toThrow(
    expect.objectContaining({ code: "REVENUE_ABOVE_AVAILABLE" }),
  );
});

it("of more accounts than a root pays those with the greatest amounts are paid", () => {
  const parts = Array.from({ length: MAX_REVENUE_ACCOUNTS + 2 }, (_, i) => ({
    account: account(i + 1_000),
    weight: 1n,
    // The third is the least; the last of the others, which are equal, goes with it.
    amount: i === 2 ? 1n : 5n,
  }));
  const available = BigInt(parts.length) * 5n;
  const shares = revenueShares([parts], { available, treasury });
  expect(shares.size).toBe(MAX_REVENUE_ACCOUNTS + 1);
  expect([parts[2], parts.at(-1), parts.at(-2)].map((part) => shares.has(part!.account))).toEqual([false, false, true]);
  expect(shares.get(treasury)).toBe(available - BigInt(MAX_REVENUE_ACCOUNTS) * 5n);
});

/** A second reckoning, second by second. */
it("weights are the sums of what is held in each second, and all that is available is shared", () => {
  const step = record({
    from: nat({ max: 3 }),
    to: nat({ max: 3 }),
    part: nat({ max: 100 }),
    wait: nat({ max: 9 }),
  });
  assert(
    property(array(step, { maxLength: 40 }), bigInt({ min: 0n, max: 10n ** 12n }), (steps, arrived) => {
      const held = new Map<Address, bigint>();
      const transfers: ShareTransfer[] = [];
      const seconds = new Map<Address, bigint>();
      let time = 95;
      const passTo = (next: number): void => {
        for (; time < next; time++)
          if (time >= epoch.start && time < epoch.end)
            for (const [who, balance] of held) seconds.set(who, (seconds.get(who) ?? 0n) + balance);
      };
      for (const { from, to, part, wait } of steps) {
        passTo(time + wait);
        const source = account(from);
        const amount = from === 0 ? BigInt(part) : ((held.get(source) ?? 0n) * BigInt(part)) / 100n;
        if (from !== 0) held.set(source, (held.get(source) ?? 0n) - amount);
        if (to !== 0) held.set(account(to), (held.get(account(to)) ?? 0n) + amount);
        transfers.push(sent(source, account(to), amount, time));
      }
      passTo(epoch.end);
      const [weights] = holdingWeights(transfers, [epoch]);
      const expected = new Map([...seconds].filter(([, weight]) => weight > 0n));
      expect(new Map([...weights!].toSorted(byText))).toEqual(new Map([...expected].toSorted(byText)));
      const { parts } = revenueParts({ arrived, weights: weights! }, [account(1)]);
      const shares = revenueShares([parts], { available: arrived, treasury });
      expect([...shares.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(arrived);
    }),
  );
});
