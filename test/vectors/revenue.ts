/** How revenue is shared out, reckoned second by second: slower than the protocol's rule, and by another way. */
import { address } from "./basics.ts";

interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly amount: string;
  readonly time: string;
}
interface Epoch {
  readonly start: string;
  readonly end: string;
  readonly arrived: string;
}
interface Case {
  readonly name: string;
  readonly transfers: readonly Transfer[];
  readonly epochs: readonly Epoch[];
  readonly excluded: readonly string[];
  readonly available: string;
}

const nobody = `0x${"00".repeat(20)}`;
const [a, b, c] = [address("holder a"), address("holder b"), address("holder c")];
const treasury = address("a timelock");
const rewards = address("unclaimed shares");
const share = 10n ** 18n;

const move = (time: number, from: string, to: string, amount: bigint): Transfer => ({
  from,
  to,
  amount: String(amount),
  time: String(time),
});
const epoch = (start: number, end: number, arrived: bigint): Epoch => ({
  start: String(start),
  end: String(end),
  arrived: String(arrived),
});

const cases: readonly Case[] = [
  {
    name: "two who hold all the time, and what rounding leaves",
    transfers: [move(5, nobody, a, 2n * share), move(9, nobody, b, share)],
    epochs: [epoch(100, 116, 100n)],
    excluded: [treasury, rewards],
    available: "100",
  },
  {
    name: "shares that come, go, and are claimed within epochs, with one in which nothing arrived between them",
    transfers: [
      move(90, nobody, rewards, 30n * share),
      move(100, rewards, a, 10n * share),
      move(107, rewards, b, 10n * share + 1n),
      move(115, a, b, 4n * share),
      move(120, b, c, 7n * share),
      move(131, c, a, share),
      move(132, b, nobody, share),
      move(139, a, treasury, 2n * share),
      move(150, c, a, share),
    ],
    epochs: [epoch(100, 116, 1_000_003n), epoch(132, 148, 77n)],
    excluded: [treasury, rewards],
    available: "1000100",
  },
  {
    name: "nobody's shares count",
    transfers: [move(90, nobody, rewards, share), move(91, nobody, treasury, share)],
    epochs: [epoch(100, 116, 5_000_000n)],
    excluded: [treasury, rewards],
    available: "5000000",
  },
  {
    name: "what is less than a unit is the treasury's",
    transfers: [move(90, nobody, a, share), move(90, nobody, b, 1n), move(115, a, c, share)],
    epochs: [epoch(100, 116, 15n)],
    excluded: [treasury],
    available: "15",
  },
];

function amountsOf({ transfers, epochs, excluded, available }: Case) {
  const held = new Map<string, bigint>();
  const change = (who: string, by: bigint): void => void held.set(who, (held.get(who) ?? 0n) + by);
  const sums = new Map<string, bigint>();
  let left = BigInt(available);
  let next = 0;
  for (const { start, end, arrived } of epochs) {
    const seconds = new Map<string, bigint>();
    for (let second = 0; second < Number(end); second++) {
      for (; next < transfers.length && Number(transfers[next]!.time) === second; next++) {
        const { from, to, amount } = transfers[next]!;
        change(from, -BigInt(amount));
        change(to, BigInt(amount));
      }
      if (second < Number(start)) continue;
      for (const [who, balance] of held)
        if (who !== nobody && !excluded.includes(who)) seconds.set(who, (seconds.get(who) ?? 0n) + balance);
    }
    const whole = [...seconds.values()].reduce((sum, weight) => sum + weight, 0n);
    for (const [who, weight] of seconds) {
      const part = whole === 0n ? 0n : (BigInt(arrived) * weight) / whole;
      sums.set(who, (sums.get(who) ?? 0n) + part);
      left -= part;
    }
  }
  sums.set(treasury, left);
  return [...sums]
    .filter(([, amount]) => amount > 0n)
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .map(([account, amount]) => ({ account, amount: String(amount) }));
}

export const revenueVectors = () => cases.map((one) => ({ ...one, treasury, amounts: amountsOf(one) }));

/** What a root of the first case was computed from. */
export function revenueInputs(modelId: string) {
  const [first] = cases;
  const [only] = first!.epochs;
  const weightOf = (shares: bigint): string => String(shares * share * (BigInt(only!.end) - BigInt(only!.start)));
  const holders = [
    { account: a, weight: weightOf(2n), amount: "66" },
    { account: b, weight: weightOf(1n), amount: "33" },
  ].sort((x, y) => (x.account < y.account ? -1 : 1));
  return {
    version: 1,
    modelId,
    token: address("a token"),
    treasury,
    excluded: [treasury, rewards].sort(),
    available: "100",
    epochs: [
      {
        epoch: 7,
        start: Number(only!.start),
        end: Number(only!.end),
        arrived: only!.arrived,
        weight: weightOf(3n),
        holders,
      },
    ],
  };
}
