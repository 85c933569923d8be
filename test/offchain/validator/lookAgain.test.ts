/** Whether a validator that looks at documents again looks at what was paid of a round before its run went back, too. */
import { digestOfJson } from "@cotrain/sdk/protocol";
import { expect, test, vi } from "vitest";

import { computeEpoch } from "../../../offchain/src/run/index.ts";
import { BlobError } from "../../../offchain/src/storage/index.ts";
import type { Context } from "../../../offchain/src/validator/context.ts";
import type { Look } from "../../../offchain/src/validator/heads.ts";
import { createLookAgain } from "../../../offchain/src/validator/lookAgain.ts";
import { accounts, createLedger, modelId, runs } from "../run/ledger.ts";

// All of a head's own is there.
vi.mock("../../../offchain/src/run/documents.ts", async (original) => ({
  ...(await original<object>()),
  readHeadDocuments: async () => ({}),
}));

const validator = `0x${"a1".repeat(20)}`;

test("a head that was found to hold holds no more where what was paid of its round before is gone", async () => {
  const ledger = createLedger();
  ledger.add({ anchoredAt: 1_001, receipts: [] });
  ledger.add({ anchoredAt: 1_002, receipts: [{ account: accounts[0], tokens: 1n }] });
  ledger.now = 1_016;
  const result = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [] });
  if (result.kind === "nothing") throw new Error(result.reason);
  ledger.activate(result.computation);
  const parent = ledger.add({ anchoredAt: 1_017, round: 0, receipts: [] });
  const head = ledger.add({ anchoredAt: 1_018, receipts: [{ account: accounts[1], tokens: 1n }] });
  ledger.now = 2_000;
  const lost = digestOfJson(result.computation.manifest);
  let isGone = false;
  const told: unknown[] = [];
  const { blobs, reader } = ledger.modules;
  const found: string[] = [];
  const context = {
    ...ledger.modules,
    reader: { ...reader, pendingRoot: async () => undefined, chainTime: async () => 2_000 },
    blobs: {
      blob: async (...of: Parameters<typeof blobs.blob>) => {
        if (isGone && of[1] === lost) throw new BlobError("BLOB_MISSING", "It is gone.");
        return blobs.blob(...of);
      },
    },
    absence: 0,
    absences: { isGoneForGood: () => false, found: (of: { head: string }) => void found.push(of.head) },
    clock: { monotonic: () => 1 },
    emit: (event: unknown) => void told.push(event),
    heads: { judged: new Map([[head.head, 0]]), links: new Map([[head.head, { head, parent }]]) },
    run: { runId: runs[0], modelId },
    schedule: await reader.schedule(modelId),
    signal: new AbortController().signal,
    statements: { about: async () => [] },
    validator,
  } as unknown as Context;
  const lookAgain = createLookAgain(context);
  await lookAgain({ members: [validator], settled: 1 } as unknown as Look);
  expect([told, found]).toEqual([[], [head.head]]);
  isGone = true;
  await lookAgain({ members: [validator], settled: 1 } as unknown as Look);
  expect(told).toMatchObject([{ type: "retrying", reason: "It is gone." }]);
  expect(found).toEqual([head.head]);
});
