/** Heads whose documents nobody serves, of which a poster posts thousands in one transaction: so many are tried at each look. */
import { asDigest, digestOfJson } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import type { PostedHead } from "../../../offchain/src/chain/index.ts";
import { DocumentError } from "../../../offchain/src/run/index.ts";
import { BlobError } from "../../../offchain/src/storage/index.ts";
import { aggregateCheck, MOST_WITHOUT } from "../../../offchain/src/validator/checks/aggregate.ts";
import type { Context } from "../../../offchain/src/validator/context.ts";
import { headOf } from "./heads.ts";

const checkpoint = asDigest(digestOfJson("checkpoint"));

/** A validator that is asked to look at heads, of which those from `unserved` on are there for nobody, and others are none. */
function validator(unserved: (round: number) => boolean) {
  const judged = new Map<string, number>();
  let asked: number[] = [];
  const context = {
    absences: { isGoneForGood: () => false },
    audits: { sound: new Set(), again: new Map() },
    descriptions: {
      of: async () => ({ definition: {}, fragments: 1 }),
      sortitionOf: async () => ({ fragmentOf: () => 0, auditsGate: () => false }),
    },
    documents: {
      read: async (_: unknown, { round }: PostedHead) => {
        asked.push(round);
        if (unserved(round)) throw new BlobError("BLOB_MISSING", "It is nowhere.");
        throw new DocumentError("DOCUMENT_MALFORMED", "A document is malformed.");
      },
    },
    emit: () => undefined,
    heads: { judged },
    reader: { blockHash: async () => checkpoint },
    signal: new AbortController().signal,
    statements: { about: async () => [] },
    validator: `0x${"a1".repeat(20)}`,
  } as unknown as Context;
  const check = aggregateCheck(context);
  const look = async (rounds: readonly number[]): Promise<number[]> => {
    asked = [];
    const open = rounds.map((round) => ({ head: headOf(round, checkpoint), parent: headOf(round - 1, checkpoint) }));
    for await (const owed of check.due({ open } as never))
      await check.run(owed, async () => undefined).catch(() => undefined);
    return asked;
  };
  return { look, judged };
}
const rounds = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

it("heads without documents are tried so many at a look, each in its turn, and what comes after them before any a second time", async () => {
  const { look, judged } = validator((round) => round <= 40);
  expect(MOST_WITHOUT).toBe(16);
  const flood = rounds(1, 40);
  expect(await look(flood)).toEqual(rounds(1, 16));
  // An honest head comes meanwhile.
  const all = [...flood, 41];
  expect(await look(all)).toEqual(rounds(17, 16));
  expect(await look(all)).toEqual([...rounds(33, 8), 41, ...rounds(1, 8)]);
  expect([...judged.keys()]).toEqual([headOf(41, checkpoint).head]);
  expect(await look(all)).toEqual(rounds(9, 16));
});

it("heads that come to a finding are all looked at at once, however many they are", async () => {
  const { look, judged } = validator(() => false);
  expect(await look(rounds(1, 40))).toEqual(rounds(1, 40));
  expect(judged.size).toBe(40);
  expect(await look(rounds(1, 40))).toEqual([]);
});

it("heads that were taken back leave their places", async () => {
  const { look } = validator((round) => round <= 40);
  await look(rounds(1, 40));
  expect(await look([1, 2])).toEqual([1, 2]);
  expect(await look([1, ...rounds(17, 15)])).toEqual([...rounds(17, 15), 1]);
});
