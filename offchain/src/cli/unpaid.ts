/** What earned nothing and why, as lines for people. */
import { zeroReasons } from "@cotrain/sdk/protocol";

import type { Unpaid, UnpaidWork } from "../run/index.ts";
import { countOf, formatCount, shortAddress, wrap } from "../base/index.ts";

/** Newest epochs that `rewards list` looks through at most. */
export const MOST_EPOCHS = 4_096;

/** Lines that people are shown; the rest is counted. */
const SHOWN = 12;

/**
 * One line per account, epoch and reason: all of them.
 * @param nameOf how an account is called here
 */
export function unpaidLines(unpaid: readonly UnpaidWork[], nameOf: (account: string) => string | undefined): string[] {
  const groups = new Map<string, UnpaidWork[]>();
  for (const work of unpaid) {
    const key = [work.account, work.epoch, work.reason, work.round === null].join();
    groups.set(key, [...(groups.get(key) ?? []), work]);
  }
  return [...groups.values()].map((works) => {
    const [first] = works;
    const { account, epoch, reason } = first!;
    const rounds = works.flatMap(({ round }) => (round === null ? [] : [round])).toSorted((a, b) => a - b);
    const which = [...new Set(rounds)];
    const what = which.length === 0 ? `epoch ${epoch}` : `${which.length === 1 ? "round" : "rounds"} ${runsOf(which)}`;
    const tokens = formatCount(works.reduce((sum, work) => sum + work.tokens, 0n));
    return `${nameOf(account) ?? "elsewhere"} ${shortAddress(account)}: nothing for ${what} (${tokens} tokens): ${zeroReasons[reason]}`;
  });
}

/** As many of the lines as people are shown, each wrapped, and how many more there are. */
export function shownUnpaid(lines: readonly string[], columns: number): string[] {
  const more = lines.length - SHOWN;
  const shown = more > 0 ? [...lines.slice(0, SHOWN), `and ${more} more, all of them under --json`] : lines;
  return shown.flatMap((line) => wrap(line, columns));
}

/** What is not among the lines, and how to see it; empty where all is. @param epochs that were looked through */
export function restText(rest: Unpaid["rest"], epochs: number): string {
  if (rest === "none") return "";
  if (rest === "gone") return "what earned nothing before that is not shown: its documents are not kept any more";
  return `what earned nothing before the newest ${countOf(epochs, "epoch")} is not shown${epochs < MOST_EPOCHS ? `: --epochs ${Math.min(4 * epochs, MOST_EPOCHS)} looks further back` : ""}`;
}

/** 1, 2, 3, 7 → "1–3, 7". */
export function runsOf(sorted: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of sorted) {
    const last = runs.at(-1);
    if (last && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}–${to}`)).join(", ");
}
