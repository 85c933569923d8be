/**
 * Money as integers of a millionth of a US dollar (µUSD), and the parsers that make them out of what providers write: cents,
 * decimal strings, JSON numbers, a GPU's share, a block's, a gigabyte-month's. No float takes part: a JSON number is taken by the
 * shortest text that names it, which for up to 15 digits is what was sent. What one pays is rounded up, so that nothing shown is
 * ever below the bill.
 */
import { UserError } from "../base/index.ts";

/** Millionths of a US dollar. */
export type MicroUsd = bigint;

/** `digits` × 10^−`scale`, exactly. */
export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

const DECIMAL = /^(\d{1,24})(?:\.(\d{1,40}))?(?:e([+-]?\d{1,2}))?$/i;

/**
 * A decimal that is not negative, out of text or of a JSON number.
 * @returns undefined for everything else: signs, hex, infinities, more digits than any price has
 */
export function parseDecimal(value: unknown): Decimal | undefined {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") return undefined;
  const match = DECIMAL.exec(text.trim());
  if (!match) return undefined;
  const [, whole = "", rest = "", exponent = "0"] = match;
  const scale = rest.length - Number(exponent);
  const digits = BigInt(whole + rest);
  return scale < 0 ? { digits: digits * 10n ** BigInt(-scale), scale: 0 } : { digits, scale };
}

/** Hours of a month in prices by the month: 365 × 24 ÷ 12. */
const HOURS_PER_MONTH = 730n;
/** Akash's blocks in an hour, at six seconds each. */
const BLOCKS_PER_HOUR = 600n;

/** What a provider's figure is of, as the factor to µUSD of the unit that is kept: the hour, the gigabyte-month, the gigabyte. */
const units = {
  /** US dollars: an hour, a gigabyte-month, a gigabyte. */
  usd: 1_000_000n,
  /** US cents. */
  cents: 10_000n,
  /** US dollars of a gigabyte in an hour, kept by the month. */
  usdPerGbHour: 1_000_000n * HOURS_PER_MONTH,
  /** Akash's `uact`, a millionth of a dollar. */
  uact: 1n,
  /** The same in a block. */
  uactPerBlock: BLOCKS_PER_HOUR,
} as const;
export type MoneyUnit = keyof typeof units;

/** More than any machine costs in an hour or any gigabyte in a month: 100,000 dollars. */
const MOST: MicroUsd = 100_000_000_000n;

/** `numerator ÷ denominator`, rounded up; neither is negative. */
const ceilDiv = (numerator: bigint, denominator: bigint): bigint => (numerator + denominator - 1n) / denominator;

/**
 * µUSD of a provider's figure, rounded up.
 * @param times how many of what is priced: GPUs of a machine whose price is by the GPU
 * @returns undefined for what is no decimal or more than anything costs
 */
export function microUsdOf(value: unknown, unit: MoneyUnit, times = 1): MicroUsd | undefined {
  const decimal = parseDecimal(value);
  if (!decimal || !Number.isSafeInteger(times) || times < 1) return undefined;
  const money = ceilDiv(decimal.digits * units[unit] * BigInt(times), 10n ** BigInt(decimal.scale));
  return money > MOST ? undefined : money;
}

/**
 * µUSD/h of an Akash bid.
 * @param denom what the amount is of; only `uact` has a fixed rate
 * @throws UserError `PRICE_UNIT`
 */
export function microUsdOfBid(amount: string, denom: string, times = 1): MicroUsd | undefined {
  if (denom !== "uact")
    throw new UserError(
      "PRICE_UNIT",
      `A price in ${JSON.stringify(denom.slice(0, 80))} has no rate to US dollars: only uact has.`,
    );
  return microUsdOf(amount, "uactPerBlock", times);
}

/** The highest Akash bid, `uact` in a block, that is not above a price by the hour. */
export const bidBelow = (perHour: MicroUsd): bigint => perHour / BLOCKS_PER_HOUR;

/** µUSD in an hour of `gigabytes` whose price is by the month, rounded up. */
export const storagePerHour = (perGbMonth: MicroUsd, gigabytes: number): MicroUsd =>
  ceilDiv(perGbMonth * BigInt(gigabytes), HOURS_PER_MONTH);

/** µUSD that are put down for so many seconds at a price by the hour, and at the least. */
export const depositFor = (perHour: MicroUsd, seconds: number, least: MicroUsd): MicroUsd => {
  const needed = ceilDiv(perHour * BigInt(seconds), 3_600n);
  return needed > least ? needed : least;
};

/** Dollars as JSON has them, for providers that take a price: exact to the millionth. */
export const dollarsOf = (money: MicroUsd): number => Number(money) / 1_000_000;

/** 1,234,567 µUSD → "1.234567": dollars exactly. */
export const exactUsd = (money: MicroUsd): string =>
  `${money / 1_000_000n}.${String(money % 1_000_000n).padStart(6, "0")}`;
