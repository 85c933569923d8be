import { asHead, defaultScreening, digestOfJson, outcomeCode, zeroHash } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import { isMalformed } from "../../../offchain/src/run/published.ts";
import {
  pastScreenings,
  problemOfRecord,
  problemOfScreening,
  type RecordReader,
  type ScreeningCheck,
} from "../../../offchain/src/run/screening.ts";

describe("the records that a round is judged by", () => {
  it("are those of the newest rounds before it, the newest first", async () => {
    const before = Array.from({ length: 13 }, (_, round) => ({ head: asHead(digestOfJson(round)), round }));
    const read = (async ({ round }: { round: number }) => ({ round: round - 1 })) as unknown as RecordReader;
    const found = async (heads: number, history: number): Promise<number[]> =>
      (await pastScreenings(read, before.slice(0, heads) as never, history)).map(({ round }) => round);
    expect(await found(13, 8)).toEqual([11, 10, 9, 8, 7, 6, 5, 4]);
    expect(await found(3, 8)).toEqual([1, 0]);
    expect(await found(1, 8)).toEqual([]);
  });
});

/** A round whose two workers are said to repeat payloads of rounds that the run went back behind. */
function repeating() {
  const [first, second] = ["31", "32"].map((byte) => `0x${byte.repeat(20)}`);
  const sent = [first, second].map((worker, i) => ({ worker, fragments: [], of: { round: i, worker } }));
  const of = { runId: zeroHash, round: 0 };
  const heads = [0, 1, 2, 0].map((round, sequence) => ({
    head: asHead(digestOfJson({ sequence })),
    sequence,
    round,
    checkpointDigest: digestOfJson({ round }),
  }));
  const left = { steps: 8, outcome: outcomeCode.payloadMissing, unreadable: 0, fragments: [] };
  return {
    before: heads as never,
    recordOf: ({ round }: { round: number }) => ({ round: round - 1, workers: [sent[round - 1]] }),
    given: {
      definition: { screening: defaultScreening, table: [{ name: "a", shape: [2], fragment: 0 }] },
      params: { innerLrPpb: 7 },
      paramsVersion: 1,
      file: {
        ...of,
        paramsVersion: 1,
        innerLrPpb: 7,
        theta: [1],
        workers: sent.map(({ worker, of: copyOf }) => ({ ...left, worker, copyOf })),
      },
      receipts: {
        ...of,
        receipts: sent.map(({ worker }, i) => ({
          receipt: { worker, steps: 8 },
          outcome: left.outcome,
          ack: { acceptedAt: String(i) },
        })),
      },
    } as unknown as Omit<ScreeningCheck, "past" | "lost">,
  };
}

describe("a record that rests on rounds that the run went back behind", () => {
  const away = new UserError("BLOB_NOT_FOUND", "It is not here.");
  const { before, recordOf, given } = repeating();
  const judged = (...lost: number[]): Promise<string> => {
    const read = (async (head: { round: number }) => {
      if (lost.includes(head.round)) throw away;
      return recordOf(head);
    }) as unknown as RecordReader;
    return problemOfRecord(read, before, given);
  };

  it("is judged where what it names is there", async () => {
    expect(await judged()).toContain("it repeats nobody");
  });

  it.each([1, 2])("is not judged while one of two that it names is away: that of checkpoint %i", async (round) => {
    await expect(judged(round)).rejects.toBe(away);
  });
});

describe("a round's record", () => {
  it("does not hold where it is of another run, says other steps than a receipt, or lacks a norm", () => {
    const of = { runId: zeroHash, round: 3 };
    const worker = `0x${"31".repeat(20)}`;
    const entry = { worker, steps: 8, outcome: 0, fragments: [{}] };
    const receipt = { receipt: { worker, steps: 8 }, outcome: 0, ack: { acceptedAt: "5" } };
    const record = { ...of, paramsVersion: 1, innerLrPpb: 7, theta: [], workers: [entry] };
    const check = (change: object): string =>
      problemOfScreening({
        definition: { screening: defaultScreening, table: [{ name: "a", shape: [2], fragment: 0 }] },
        params: { innerLrPpb: 7 },
        paramsVersion: 1,
        file: { ...record, ...change },
        receipts: { ...of, receipts: [receipt] },
        past: [],
      } as unknown as ScreeningCheck);
    expect(check({ runId: digestOfJson("other") })).toBe("The screening is of another round.");
    expect(check({ workers: [{ ...entry, steps: 7 }] })).toContain("says something else of");
    expect(check({})).toBe("The screening does not have the norm of each fragment.");
  });

  it("does not hold where two receipts were accepted at one time: neither is the earlier", () => {
    const of = { runId: zeroHash, round: 3 };
    const check = (...times: string[]): string =>
      problemOfScreening({
        definition: { screening: defaultScreening, table: [{ name: "a", shape: [2], fragment: 0 }] },
        params: {},
        paramsVersion: 1,
        file: { ...of, paramsVersion: 1, workers: [] },
        receipts: { ...of, receipts: times.map((acceptedAt) => ({ ack: { acceptedAt } })) },
        past: [],
      } as unknown as ScreeningCheck);
    expect(check("5", "6", "5")).toBe("Two receipts were accepted at one time.");
    expect(check("5", "6")).toBe("The screening does not judge every receipt.");
  });
});

it("a document is malformed where it is too large, and not where it is not to be had", () => {
  for (const code of ["JSON_INVALID", "JSON_TOO_LARGE", "BLOB_TOO_LARGE"])
    expect([code, isMalformed(new UserError(code, "It is."))]).toEqual([code, true]);
  for (const code of ["BLOB_NOT_FOUND", "ANSWER_TOO_LARGE"])
    expect([code, isMalformed(new UserError(code, "It is."))]).toEqual([code, false]);
});
