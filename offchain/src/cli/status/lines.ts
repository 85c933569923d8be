/** What status says of a run whether it trains or not: checkpoints, held-out loss, states that were put aside. */
import type { CheckpointList, RunView } from "@cotrain/sdk/protocol";

import { formatBytes, roundNumber } from "../../base/index.ts";
import { commandFor } from "../../base/node/index.ts";
import { table } from "../output.ts";
import type { PutAside } from "../putAside.ts";
import { sampleOf } from "../up/screen.ts";

export const listCommand = (state: string): string => commandFor(state, "checkpoint", "list");

/** Checkpoints whose transactions are shown; `--json` has all. */
const SHOWN_CHECKPOINTS = 8;

export type Checkpoint = Pick<CheckpointList["checkpoints"][number], "round" | "digest" | "transaction" | "block">;

/** @param list the command that lists all */
export function checkpointLines(checkpoints: readonly Checkpoint[], list: string): string[] {
  const shown = checkpoints.slice(-SHOWN_CHECKPOINTS);
  const rows = shown.map(({ round, transaction }) => [String(round), transaction ?? "not anchored yet"]);
  const earlier = checkpoints.length - shown.length;
  if (earlier > 0) rows.unshift(["…", `${earlier} earlier: ${list}`]);
  return rows.length === 0 ? [] : ["", "checkpoints and their transactions", ...table(rows, [0])];
}

/** The next round that opens, counted from 1. */
export const nextRoundOf = ({ round, current }: Pick<RunView, "round" | "current">): number =>
  roundNumber(round) + (current ? 1 : 0);

/**
 * Parameters that holders decided and no round had yet.
 * @param version undefined where none wait
 * @param from the first round that runs under them, counted from 1
 */
export const decidedRows = (version: number | undefined, from: number): [string, string][] =>
  version === undefined ? [] : [["decided", `parameters version ${version}, in force from round ${from}`]];

export const putAsideLines = (state: string, states: readonly PutAside[]): string[] =>
  states.length === 0
    ? []
    : [
        "",
        `old states that --fresh put aside; "${commandFor(state, "clean")}" removes them`,
        ...table(states.map(({ path, bytes }) => [path, formatBytes(bytes)])),
      ];

export type Loss = { readonly microBitsPerByte: number; readonly sequences: number | null };

/**
 * Held-out loss with what it rests on, beside that before any training.
 * @param of which checkpoint it is of
 */
export const heldOutText = (newest: Loss, of: string, untrained: Loss | null | undefined, sequence: number): string =>
  [newest, ...(untrained ? [untrained] : [])]
    .map(({ microBitsPerByte, sequences }, index) => {
      const figure = `${(microBitsPerByte / 1e6).toFixed(3)}${sampleOf(sequences, sequence)}`;
      return index === 0 ? `${figure} (${of})` : `at the start ${figure}`;
    })
    .join("; ");

/** Where the chain has the newest head. Links outnumber rounds where the run was taken back. */
export const anchoredText = ({ round, sequence }: { readonly round: number; readonly sequence: number }): string =>
  `checkpoint ${round}, link ${sequence}${sequence > round ? "; the run was rolled back on its way there" : ""}`;
