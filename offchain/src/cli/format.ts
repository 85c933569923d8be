/** Numbers, durations, addresses and bars as people read them. */
import { type Address, getAddress } from "viem";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const formatCount = (value: number | bigint): string => grouped.format(value);

/** 1,234 → "1.2 K", 2,100,000 → "2.1 M". */
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

const pad = (value: number): string => String(value).padStart(2, "0");

/** Milliseconds → "1:05" or "2:03:04". */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

/** 0x1234…cdef. */
export const shortHex = (hex: string): string => (hex.length <= 14 ? hex : `${hex.slice(0, 6)}…${hex.slice(-4)}`);

/** An address as people compare it: with the checksum of EIP-55 in its casing, as wallets and explorers show it. */
export const formatAddress = (address: string): Address => getAddress(address);

/** {@link formatAddress}, shortened. */
export const shortAddress = (address: string): string => shortHex(formatAddress(address));

/**
 * People count rounds from 1: round n makes checkpoint n of checkpoint n − 1. The protocol's structs name a round by the
 * checkpoint that it starts from.
 */
export const roundNumber = (startsFrom: number): number => startsFrom + 1;

/** Shares of each part in units of `unit`, rounded so that they add up to the rounded sum (method of the largest remainder). */
function apportion(parts: readonly bigint[], unit: bigint): bigint[] {
  const sum = parts.reduce((total, part) => total + part, 0n);
  const floors = parts.map((part) => part / unit);
  let missing = Number((sum + unit / 2n) / unit - floors.reduce((total, part) => total + part, 0n));
  const byRemainder = parts.map((part, index) => ({ index, rest: part % unit }));
  byRemainder.sort((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest > b.rest ? -1 : 1));
  for (const { index } of byRemainder) {
    if (missing <= 0) break;
    floors[index] = (floors[index] ?? 0n) + 1n;
    missing -= 1;
  }
  return floors;
}

/** A hundredth of a share, in wei. */
const CENT = 10n ** 16n;

const showCents = (cents: bigint): string => `${grouped.format(cents / 100n)}.${String(cents % 100n).padStart(2, "0")}`;

/** Share wei (18 decimals) → "1,234.56", to the nearest hundredth; less than half of one that is not nothing → "<0.01". */
export function formatShares(wei: bigint): string {
  const cents = (wei + CENT / 2n) / CENT;
  return cents === 0n && wei > 0n ? "<0.01" : showCents(cents);
}

/** {@link formatShares} of parts, so that what is shown adds up to what is shown of their sum. */
export const formatSharesAdding = (parts: readonly bigint[]): string[] => apportion(parts, CENT).map(showCents);

const showPermille = (permille: bigint): string => `${permille / 10n}.${permille % 10n}%`;

/** Part of a whole in percent with one decimal. */
export function formatPercent(part: bigint, whole: bigint): string {
  return whole === 0n ? "–" : showPermille((part * 1_000n + whole / 2n) / whole);
}

/** {@link formatPercent} of parts of a whole, so that what is shown adds up. */
export function formatPercentAdding(parts: readonly bigint[], whole: bigint): string[] {
  if (whole === 0n) return parts.map(() => "–");
  return apportion(
    parts.map((part) => part * 1_000n),
    whole,
  ).map(showPermille);
}

/** Nats per token → bits per byte of text. */
export const bitsPerByte = (natsPerToken: number, bytesPerToken: number): number =>
  natsPerToken / Math.LN2 / bytesPerToken;

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

/** Text in lines of at most `width` characters, broken between words; a longer word is broken where it must. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
    for (; line.length > width; line = line.slice(width)) lines.push(line.slice(0, width));
  }
  return line === "" ? lines : [...lines, line];
}

/** A command line in lines of at most `width` characters that a shell takes as one: broken between words, never cut. */
export function wrapCommand(command: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of command.split(" ")) {
    // Room for the backslash that says that it goes on.
    if (line !== "" && line.length + 1 + word.length > width - 2) {
      lines.push(`${line} \\`);
      line = `  ${word}`;
    } else line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

/**
 * Text of a stranger as a terminal may show it: without the control characters that move cursors, set clipboards or hide
 * lines (ECMA-48: C0 but newline and tab, DEL, C1).
 */
// oxlint-disable-next-line no-control-regex -- these are what it is about
export const printable = (text: string): string => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\uFFFD");
