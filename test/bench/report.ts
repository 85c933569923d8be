/** What a measurement has to say: rows of one table. */

export interface Row {
  readonly what: string;
  readonly result: string;
  /** The goal in words; absent where there is none. */
  readonly goal?: string;
  /** Whether the goal is met; absent where there is none. Nothing is asserted: speed depends on who else computes. */
  readonly met?: boolean;
}

/** What every measurement is told. */
export interface BenchOptions {
  /** Seconds instead of minutes: for working on the benchmarks themselves. */
  readonly quick: boolean;
  /** A line for people while it runs. */
  readonly note: (line: string) => void;
  /** Tables of clouds that policies rent from, in the place of the synthetic market. */
  readonly catalogues?: readonly string[];
  /** Worlds of each cell of policies, in the place of the usual number. */
  readonly worlds?: number;
}

export const percent = (share: number, digits = 0): string => `${(100 * share).toFixed(digits)}%`;
export const times = (ratio: number): string => `${ratio.toFixed(2)}×`;
export const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;

/** The upper one where they are two. */
export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** A Markdown table. */
export function tableOf(rows: readonly Row[]): string {
  const verdict = ({ met }: Row): string => (met === undefined ? "" : met ? "met" : "missed");
  const lines = rows.map((row) => `| ${row.what} | ${row.goal ?? ""} | ${row.result} | ${verdict(row)} |`);
  return ["| what | goal | result | |", "|---|---|---|---|", ...lines].join("\n");
}
