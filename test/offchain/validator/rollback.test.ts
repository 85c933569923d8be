/** What a validator owes of a run that went back: nothing of the rollback, and nothing of what it took back. */
import { asDigest, digestOfJson } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import type { PostedHead } from "../../../offchain/src/chain/index.ts";
import type { Context } from "../../../offchain/src/validator/context.ts";
import { createHeadFollower } from "../../../offchain/src/validator/heads.ts";
import { headOf, runId } from "./heads.ts";

const validator = `0x${"a1".repeat(20)}`;
const checkpoint = asDigest(digestOfJson("checkpoint"));

/** Heads of these rounds. */
const headsOf = (...rounds: readonly number[]): PostedHead[] =>
  rounds.map((round, sequence) => ({ ...headOf(sequence, checkpoint), sequence, round }));

test("heads to be judged are those of rounds that stand", async () => {
  const heads = headsOf(0, 1, 2, 1, 2, 3);
  const context = {
    absences: { keep: () => undefined },
    audits: { sound: new Set() },
    claims: { keep: () => undefined },
    descriptions: { whyUnfit: async () => undefined },
    emit: () => undefined,
    heads: { judged: new Map(), links: new Map(), followed: new Set() },
    reader: {
      tip: async () => ({ block: 9, hash: checkpoint, parentHash: checkpoint }),
      headsSince: async () => heads,
      activeRoot: async () => undefined,
      validators: async () => ({ validators: [validator], version: 1 }),
    },
    run: { runId, modelId: runId },
    validator,
    schedule: { start: 0, epochLength: 16 },
    statements: { isBefore: () => false },
  } as unknown as Context;
  const look = await createHeadFollower(context).look();
  expect(look?.open.map(({ head, parent }) => [head.sequence, parent.sequence])).toEqual([
    [1, 0],
    [4, 3],
    [5, 4],
  ]);
  // Verdicts that were signed before are sent all the same.
  expect(look?.unsettled.size).toBe(6);
});
