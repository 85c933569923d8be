/** A validator reads the documents of a head once a look, also where they are none: the largest take seconds. */
import { asHead, digestOfJson } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { DocumentError } from "../../../offchain/src/run/index.ts";
import { examine, type Finding } from "../../../offchain/src/validator/checks/aggregate.ts";
import type { Context } from "../../../offchain/src/validator/context.ts";

it.each([true, false])("that measures losses (%s) reads malformed documents once", async (measures) => {
  let reads = 0;
  const context = {
    audits: { sound: new Set(), again: new Map() },
    blobs: {},
    descriptions: { of: async () => ({ definition: {} }) },
    documents: {
      read: async () => {
        reads += 1;
        throw new DocumentError("DOCUMENT_MALFORMED", "A document is malformed.");
      },
    },
    loss: measures ? {} : undefined,
  } as unknown as Context;
  const head = { head: asHead(digestOfJson("head")), runId: digestOfJson("run"), round: 1 };
  const found: Finding[] = [];
  const link = { head, parent: undefined } as never;
  await examine(context, link, { fragment: 0, gate: false }, async (finding) => void found.push(finding));
  expect(found).toMatchObject([{ holds: false, reason: "A document is malformed." }]);
  expect(reads).toBe(1);
});
