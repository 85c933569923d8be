import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import type { Digest } from "@cotrain/sdk/protocol";
import {
  payloadsFrom,
  releasedCheckpoints,
  retentionWords,
  type StoredCheckpoint,
} from "../../../offchain/src/coordinator/retentionRules.ts";

const shard = (name: string, bytes = 10) => ({ digest: name as Digest, bytes });
/** Checkpoints 0 … 9 of two shards each, newest first. */
const checkpoints: readonly StoredCheckpoint[] = Array.from({ length: 10 }, (_, i) => 9 - i).map((round) => ({
  round,
  shards: [shard(`a${round}`), shard(`b${round}`)],
}));
const facts = { open: 7, settled: 8, newest: 9 };
const options = { payloads: 0, checkpoints: 1, checkpointBytes: 0 };
const released = (...[of, where, what]: Parameters<typeof releasedCheckpoints>): number[] =>
  releasedCheckpoints(of, where, what).released.map(({ round }) => round);

describe("what is kept", () => {
  it("are payloads of what is not paid, or not for long enough", () => {
    expect(payloadsFrom({ open: 7, settled: 8, newest: 9 })).toBe(7);
    expect(payloadsFrom({ open: 7, settled: 3, newest: 9 })).toBe(3);
  });

  it("are shards of checkpoint 0, of the newest, of those around rounds with payloads, of others while there is room", () => {
    expect(released(checkpoints, facts, options)).toEqual([6, 5, 4, 3, 2, 1]);
    expect(released(checkpoints, facts, { ...options, checkpoints: 5 })).toEqual([4, 3, 2, 1]);
    expect(released(checkpoints, { ...facts, settled: 2 }, options)).toEqual([1]);
    expect(released(checkpoints, facts, { ...options, checkpointBytes: 59 })).toEqual([4, 3, 2, 1]);
    expect(released(checkpoints, facts, { ...options, checkpointBytes: 60 })).toEqual([3, 2, 1]);
  });

  it("are shards that a checkpoint shares with one that stays, which take no room twice", () => {
    const same = checkpoints.map((each) => ({ ...each, shards: [shard("a"), shard(`b${each.round}`)] }));
    const { released: gone, kept } = releasedCheckpoints(same, facts, { ...options, checkpointBytes: 20 });
    expect(gone.map(({ round }) => round)).toEqual([4, 3, 2, 1]);
    expect([...kept].toSorted()).toEqual(["a", "b0", "b5", "b6", "b7", "b8", "b9"]);
  });
});

const row = (...cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

it("stands in docs/operations.md as the rules have it", () => {
  const table = [
    row("what stays", "until", "why"),
    "|---|---|---|",
    ...retentionWords.map(({ what, until, why }) => row(what, until, why)),
  ].join("\n");
  const page = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8");
  const [, after = ""] = page.split("<!-- retention -->\n");
  expect(after.split("\n\n")[0]).toBe(table);
});
