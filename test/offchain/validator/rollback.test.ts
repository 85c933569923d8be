/** What a validator owes of a run that went back: nothing of the rollback, and nothing of what it took back. */
import { asDigest, digestOfJson } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import type { PostedHead } from "../../../offchain/src/chain/index.ts";
import { computeEpoch } from "../../../offchain/src/run/index.ts";
import { BlobError } from "../../../offchain/src/storage/index.ts";
import { examine, type Finding } from "../../../offchain/src/validator/checks/aggregate.ts";
import type { Context } from "../../../offchain/src/validator/context.ts";
import { createHeadFollower } from "../../../offchain/src/validator/heads.ts";
import { accounts, createLedger, modelId, runs } from "../run/ledger.ts";
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

test("a head that is posted again is not found to hold where what was paid of its round is gone for good", async () => {
  const ledger = createLedger();
  ledger.add({ anchoredAt: 1_001, receipts: [] });
  ledger.add({ anchoredAt: 1_002, receipts: [{ account: accounts[0], tokens: 1n }] });
  ledger.now = 1_016;
  const result = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [] });
  if (result.kind === "nothing") throw new Error(result.reason);
  ledger.activate(result.computation);
  const parent = ledger.add({ anchoredAt: 1_017, round: 0, receipts: [] });
  const head = ledger.add({ anchoredAt: 1_018, receipts: [{ account: accounts[1], tokens: 1n }] });
  const lost = digestOfJson(result.computation.manifest);
  const found: Finding[] = [];
  let isGone = false;
  const { blobs } = ledger.modules;
  const context = {
    ...ledger.modules,
    blobs: {
      blob: async (...of: Parameters<typeof blobs.blob>) => {
        if (of[1] === lost) throw new BlobError("BLOB_MISSING", "It is gone.");
        return blobs.blob(...of);
      },
    },
    absences: { isGoneForGood: () => isGone, found: () => undefined },
    descriptions: { of: async () => ({ definition: {}, fragments: 4, digest: checkpoint }) },
    run: { runId: runs[0], modelId },
  } as unknown as Context;
  const look = () =>
    examine(context, { head, parent }, { fragment: 0, gate: false }, async (finding) => void found.push(finding));
  // It may come back.
  await expect(look()).rejects.toMatchObject({ code: "BLOB_MISSING" });
  isGone = true;
  await look();
  expect(found).toMatchObject([{ holds: false, reason: "It is gone." }]);
});
