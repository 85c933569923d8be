/** Numbers, durations, addresses and bars as people read them. */
import { type Address, formatEther, getAddress } from "viem";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const formatCount = (value: number | bigint): string => grouped.format(value);

/** 1 → "1 round", 1,234 → "1,234 rounds". */
export const countOf = (value: number | bigint, noun: string): string =>
  `${formatCount(value)} ${noun}${BigInt(value) === 1n ? "" : "s"}`;

/** ["a", "b", "c"] → "a, b and c". */
export const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

/** 1,234 → "1.23 K", 2,100,000 → "2.10 M". */
export function formatShort(value: number): string {
  const units = ["", " K", " M", " G", " T"];
  let unit = 0;
  let rest = value;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? grouped.format(rest) : rest.toFixed(rest < 9.95 ? 2 : rest < 99.5 ? 1 : 0)}${units[unit]}`;
}

export const formatBytes = (bytes: number): string => {
  const text = formatShort(bytes);
  return text.includes(" ") ? `${text}B` : `${text} B`;
};

/** 1,234,567 millionths of a US dollar → "1.2346": dollars with four decimals, rounded up, so that nothing shown is below the bill. */
export function formatUsd(money: bigint): string {
  const parts = (money + 99n) / 100n;
  return `${parts / 10_000n}.${String(parts % 10_000n).padStart(4, "0")}`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** Milliseconds → "1:05" or "2:03:04". */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** The last second that a date can name. */
const LAST_SECOND = 8_640_000_000_000;

/** Chain seconds as people compare them; as they are where a lying node tells what no date can name. */
export const timeText = (seconds: number): string =>
  Math.abs(seconds) <= LAST_SECOND ? new Date(seconds * 1_000).toISOString() : `second ${seconds}`;

/** 0x1234…cdef. */
export const shortHex = (hex: string): string => (hex.length <= 14 ? hex : `${hex.slice(0, 6)}…${hex.slice(-4)}`);

/** An address as people compare it: with the checksum of EIP-55 in its casing, as wallets and explorers show it. */
export const formatAddress = (address: string): Address => getAddress(address);

/** A hash in the one casing that it is shown in, lower case; other text as it is. */
export const shownHash = (text: string): string => (/^0x[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : text);

/**
 * A sentence in which each address is as {@link formatAddress} has it; names of files and parts of URLs stay as they are. So does
 * an address in mixed case whose checksum does not fit: somebody mistyped it, and in any other casing it would be taken as correct.
 */
export const shownAddresses = (text: string): string =>
  text.replaceAll(/(?<![\w/\\.-])0x(?:[0-9a-f]{40}|[0-9A-F]{40})(?!\w|[/\\]|\.\w)/g, formatAddress);

/** {@link formatAddress}, shortened. */
export const shortAddress = (address: string): string => shortHex(formatAddress(address));

/** A hundredth of a share, in wei. */
const CENT = 10n ** 16n;

/** Dust that divisions of whole numbers leave: a billionth of the unit, so that three thirds of a share are shown as one. */
const DUST = 1_000_000_000n;

/**
 * Share wei (18 decimals) → "1,234.56", rounded down: equal amounts are shown as equal, and nobody is shown more than there is;
 * where digits follow, "…" says so ("233.33…", three of which are 700.00); less than a hundredth that is not nothing → "<0.01".
 */
export function formatShares(wei: bigint): string {
  const dust = CENT / DUST;
  const cents = (wei + dust) / CENT;
  if (cents === 0n && wei > 0n) return "<0.01";
  const cut = (wei + dust) % CENT > 2n * dust ? "…" : "";
  return `${grouped.format(cents / 100n)}.${String(cents % 100n).padStart(2, "0")}${cut}`;
}

/** Share wei → "1,234.5", to the last wei: what is shown so adds up to its total. */
export function formatSharesExactly(wei: bigint): string {
  const [whole = "", rest] = formatEther(wei).split(".");
  return `${grouped.format(BigInt(whole))}${rest === undefined ? "" : `.${rest}`}`;
}

/** Part of a whole in percent, rounded down; where further digits follow "…" says so. @param dust of `whole`, which is no matter */
function percentOf(part: bigint, whole: bigint, decimals: number, dust: bigint): string {
  if (whole === 0n) return "–";
  const unit = 10n ** BigInt(decimals);
  const parts = part * 100n * unit + dust;
  const units = parts / whole;
  const cut = parts % whole > 2n * dust ? "…" : "";
  return `${units / unit}.${String(units % unit).padStart(decimals, "0")}${cut}%`;
}

/** Part of a whole in percent with four decimals: "33.3333…%". */
export const formatPart = (part: bigint, whole: bigint): string => percentOf(part, whole, 4, 0n);

/** Part of a whole in percent with one decimal, but for the dust of divisions, as {@link formatShares}: "33.3…%". */
export const formatPercent = (part: bigint, whole: bigint): string => percentOf(part, whole, 1, whole / DUST);

const blocks = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `width` cells, filled to an eighth of a cell. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0)) * width * 8);
  const full = Math.floor(eighths / 8);
  return ("█".repeat(full) + (blocks[eighths % 8] ?? "")).padEnd(width, "░");
}

const levels = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** The last values as a curve of `width` cells; values that share a cell are averaged. */
export function sparkline(values: readonly number[], width: number): string {
  if (values.length === 0) return "";
  const cells = Math.min(width, values.length);
  const means = Array.from({ length: cells }, (_, cell) => {
    const part = values.slice(
      Math.floor((cell * values.length) / cells),
      Math.floor(((cell + 1) * values.length) / cells),
    );
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const low = Math.min(...means);
  const high = Math.max(...means);
  return means
    .map((value) => levels[high === low ? 0 : Math.round(((value - low) / (high - low)) * (levels.length - 1))])
    .join("");
}

/** Wei of coins that a flag names, to a billionth of one. */
export const weiOf = (coins: number): bigint => BigInt(Math.round(coins * 1e9)) * 10n ** 9n;

/** Four digits are as exact as an estimate is; rounded up, so that what is told suffices. */
export function formatCoins(wei: bigint): string {
  const unit = 10n ** BigInt(Math.max(0, wei.toString().length - 4));
  return formatEther(((wei + unit - 1n) / unit) * unit);
}
