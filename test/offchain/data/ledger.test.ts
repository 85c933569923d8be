import type { Address, PositionRange } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import {
  balanceOf,
  checkSubmission,
  consumeAssignment,
  createLedger,
  type DataLedger,
  issueAssignment,
  type LedgerAssignment,
  LedgerError,
  positionsOf,
  reissueAssignment,
  returnAssignment,
  tokensOf,
} from "../../../offchain/src/data/index.ts";

const address = (i: number): Address => `0x${i.toString(16).padStart(40, "0")}`;
const [alice, bob] = [address(1), address(2)];
const answer = (assignment: LedgerAssignment, steps = assignment.steps) => ({ ...assignment, steps });
/** With a stream of its own for each assignment. */
const issue = (ledger: DataLedger, wish: Parameters<typeof issueAssignment>[1]) =>
  issueAssignment(ledger, wish, createRandom(`assignment ${ledger.nextAssignmentId}`));
const expand = (ranges: readonly PositionRange[]): number[] =>
  ranges.flatMap(({ start, count }) => Array.from({ length: count }, (_, i) => start + i));

/** As many free ranges of 96 positions as this, each behind a position that is trained. */
const riddled = (ranges: number): DataLedger => ({
  ...createLedger(),
  nextPosition: 97 * ranges,
  consumed: ranges,
  free: Array.from({ length: ranges }, (_, i) => ({ start: 97 * i + 1, count: 96 })),
});

/** Workers of which each does the first few of its steps, or none: what comes back lies apart from all else. */
const inParts = (from: DataLedger, rounds: number, seen: (ledger: DataLedger) => void): DataLedger => {
  let ledger = from;
  for (let round = 0; round < rounds; round++) {
    const random = createRandom(`part ${round}`);
    const given: LedgerAssignment[] = [];
    for (let i = 0; i < 24; i++) {
      const { ledger: issued, assignment } = issue(ledger, {
        worker: address(i),
        steps: 40,
        batch: i === 0 ? 64 : 1,
      });
      ledger = issued;
      given.push(assignment);
    }
    for (const assignment of random.shuffle(given)) {
      if (random.below(4) === 0) ledger = returnAssignment(ledger, assignment.assignmentId);
      else ledger = consumeAssignment(ledger, answer(assignment, 1 + random.below(3))).ledger;
    }
    balanceOf(ledger);
    seen(ledger);
  }
  return ledger;
};

describe("data ledger", () => {
  it("issues positions once and consumes a prefix; the rest can be drawn again", () => {
    const first = issue(createLedger(), { worker: alice, steps: 4, batch: 2 });
    expect(first.assignment).toMatchObject({ assignmentId: 0, attempt: 1, worker: alice, steps: 4, batch: 2 });
    const positions = expand(first.assignment.ranges);
    expect(new Set(positions).size).toBe(8);
    const second = issue(first.ledger, { worker: bob, steps: 1, batch: 2 });
    const done = consumeAssignment(second.ledger, answer(first.assignment, 3));
    expect(expand(done.consumed)).toEqual(positions.slice(0, 6));
    expect(balanceOf(done.ledger)).toEqual({ issued: 256, consumed: 6, open: 2, free: 248 });
    expect(expand(done.ledger.free)).toEqual(expect.arrayContaining(positions.slice(6)));
    expect(issue(done.ledger, { worker: alice, steps: 2, batch: 2 }).assignment.assignmentId).toBe(2);
  });

  it("draws from the whole of what may be issued, a piece here and a piece there, and each assignment otherwise", () => {
    const wish = { worker: alice, steps: 16, batch: 32 };
    const pieces = new Set<number>();
    const orders = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const { assignment } = issueAssignment(createLedger(), wish, createRandom(`draw ${i}`));
      const positions = expand(assignment.ranges);
      for (const position of positions) pieces.add(Math.floor(position / 512));
      expect(Math.max(...positions)).toBeLessThan(32 * 512);
      orders.add(positions.join());
    }
    expect(orders.size).toBe(200);
    expect(pieces.size).toBe(32);
    // The same stream gives the same.
    const again = issueAssignment(createLedger(), wish, createRandom("draw 7")).assignment;
    expect(issueAssignment(createLedger(), wish, createRandom("draw 7")).assignment).toEqual(again);
  });

  it("trains everything once: what was put up long ago is drawn sooner or later", () => {
    let ledger = createLedger();
    const trained = new Set<number>();
    for (let i = 0; i < 400; i++) {
      const { assignment, ledger: issued } = issueAssignment(
        ledger,
        { worker: alice, steps: 4, batch: 2 },
        createRandom(`round ${i}`),
      );
      ledger = consumeAssignment(issued, answer(assignment)).ledger;
      for (const position of expand(assignment.ranges)) trained.add(position);
    }
    expect(trained.size).toBe(400 * 8);
    const missing = Array.from({ length: 50 * 8 }, (_, position) => position).filter((each) => !trained.has(each));
    expect(missing).toEqual([]);
    // It stays small: about as many ranges as there are pieces to choose from.
    expect(ledger.free.length).toBeLessThan(2 * 256);
  });

  it("takes back the data of a lost worker and joins it with its neighbours", () => {
    let ledger = createLedger();
    for (let i = 0; i < 3; i++) ledger = issue(ledger, { worker: address(i), steps: 2, batch: 5 }).ledger;
    for (const id of [2, 0, 1]) ledger = returnAssignment(ledger, id);
    expect(ledger.free).toEqual([{ start: 0, count: ledger.nextPosition }]);
    expect(() => returnAssignment(ledger, 1)).toThrow(expect.objectContaining({ code: "ASSIGNMENT_CLOSED" }));
  });

  it("refuses an old attempt, another's assignment, a closed one, and steps that cannot be", () => {
    const { ledger, assignment } = issue(createLedger(), { worker: alice, steps: 4, batch: 2 });
    const again = reissueAssignment(ledger, assignment.assignmentId, bob);
    expect(again.assignment).toEqual({ ...assignment, attempt: 2, worker: bob });
    const refusal = (submission: Parameters<typeof checkSubmission>[1]): string => {
      try {
        checkSubmission(again.ledger, submission);
        return "accepted";
      } catch (error) {
        return error instanceof LedgerError ? error.code : "thrown";
      }
    };
    expect(refusal(answer(assignment))).toBe("ASSIGNMENT_SUPERSEDED");
    expect(refusal({ ...answer(again.assignment), worker: alice })).toBe("ASSIGNMENT_FOREIGN");
    expect(refusal({ ...answer(again.assignment), assignmentId: 1 })).toBe("ASSIGNMENT_CLOSED");
    for (const steps of [0, 5, -1, 1.5, Number.NaN])
      expect(refusal(answer(again.assignment, steps))).toBe("ASSIGNMENT_STEPS");
    expect(refusal({ ...answer(again.assignment), worker: bob.toUpperCase().replace("0X", "0x") as Address })).toBe(
      "accepted",
    );
    const done = consumeAssignment(again.ledger, answer(again.assignment));
    expect(() => consumeAssignment(done.ledger, answer(again.assignment))).toThrow(
      expect.objectContaining({ code: "ASSIGNMENT_CLOSED" }),
    );
  });

  it("keeps an assignment within 1,024 ranges, however scattered what came back is", () => {
    const scattered: DataLedger = {
      ...createLedger(),
      nextPosition: 120_000,
      consumed: 60_000,
      free: Array.from({ length: 60_000 }, (_, i) => ({ start: i * 2, count: 1 })),
    };
    const { ledger, assignment } = issue(scattered, { worker: alice, steps: 1500, batch: 1 });
    expect(assignment.ranges.length).toBeLessThanOrEqual(1024);
    const fresh = assignment.ranges.at(-1)!;
    expect(fresh.start).toBe(120_000);
    expect(fresh.count).toBeLessThan(750);
    expect(balanceOf(ledger)).toMatchObject({ consumed: 60_000, open: 1500 });
    // As many of them as it may have, where one piece alone would be more.
    const large = issue(scattered, { worker: alice, steps: 24_000, batch: 1 });
    expect(large.assignment.ranges.length).toBe(1024);
    expect(large.ledger.free.length).toBeLessThan(60_000 - 1_000);
  });

  it("draws few positions in few pieces: builds with small batches do not riddle what is put up for large ones", () => {
    const { ledger } = issue(createLedger(), { worker: alice, steps: 96, batch: 256 });
    const drawn = [1, 64, 65, 200, 512, 4_096].map(
      (steps) => issue(ledger, { worker: bob, steps, batch: 1 }).assignment,
    );
    expect(drawn.map(({ ranges }) => ranges.length)).toEqual([1, 1, 2, 4, 8, 8]);
  });

  it("keeps the free ranges below 8,192, whatever comes back of what was drawn", () => {
    let most = 0;
    inParts(riddled(8_100), 12, ({ free }) => (most = Math.max(most, free.length)));
    expect(most).toBeGreaterThan(8_150);
    expect(most).toBeLessThanOrEqual(8_192);
  });

  it("has fewer with every round where there are more", () => {
    const counts: number[] = [];
    inParts(riddled(10_000), 6, ({ free }) => counts.push(free.length));
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
    expect(counts.at(-1)).toBeLessThan(10_000);
  });

  it("notices a broken balance", () => {
    const ranges = [{ start: 0, count: 8 }];
    const open = [{ assignmentId: 0, attempt: 1, worker: alice, steps: 4, batch: 2, ranges }];
    const ledger: DataLedger = { nextPosition: 8, nextAssignmentId: 1, consumed: 0, free: [], open };
    expect(() => balanceOf({ ...ledger, consumed: 1 })).toThrow(/does not add up/);
    expect(() => balanceOf({ ...ledger, nextPosition: 10, free: [{ start: 7, count: 2 }] })).toThrow(/two places/);
    expect(() => balanceOf({ ...ledger, nextPosition: 10, free: [{ start: 10, count: 2 }] })).toThrow(/never issued/);
    expect(() => balanceOf({ ...ledger, nextAssignmentId: 0 })).toThrow(/out of order/);
    expect(() => balanceOf({ ...ledger, open: ledger.open.map((a) => ({ ...a, steps: 3 })) })).toThrow(/steps take/);
  });

  it("computes tokens", () => {
    expect(tokensOf({ steps: 64, batch: 8, sequence: 128 })).toBe(65_536);
  });

  it("loses nothing and counts nothing twice, whatever happens", () => {
    for (let run = 0; run < 60; run++) {
      const random = createRandom(`ledger ${run}`);
      let ledger = createLedger();
      const counted = new Set<number>();
      const old: LedgerAssignment[] = [];
      let refused = 0;
      for (let i = 0; i < 150; i++) {
        const before = JSON.stringify(ledger);
        const assignment = ledger.open.length > 0 ? random.pick(ledger.open) : undefined;
        const action = random.below(7);
        if (action <= 1 || !assignment) {
          const wish = { worker: address(random.below(5)), steps: 1 + random.below(6), batch: 1 + random.below(4) };
          ledger = issueAssignment(ledger, wish, random).ledger;
        } else if (action === 2) {
          old.push(assignment);
          ledger = reissueAssignment(ledger, assignment.assignmentId, address(random.below(5))).ledger;
        } else if (action === 3) {
          old.push(assignment);
          ledger = returnAssignment(ledger, assignment.assignmentId);
        } else if (action === 4 && old.length > 0) {
          // Somebody answers what is no longer theirs.
          const stale = random.pick(old);
          try {
            ledger = consumeAssignment(ledger, answer(stale)).ledger;
          } catch {
            refused++;
          }
          if (JSON.stringify(ledger) !== before)
            throw new TypeError(`run ${run}: a stale submission changed the ledger`);
        } else {
          old.push(assignment);
          const steps = 1 + random.below(assignment.steps);
          const done = consumeAssignment(ledger, answer(assignment, steps));
          const positions = expand(done.consumed);
          if (positions.some((position) => counted.has(position))) throw new TypeError(`run ${run}: counted twice`);
          for (const position of positions) counted.add(position);
          if (positions.join() !== positionsOf(assignment.ranges, 0, steps * assignment.batch).join()) {
            throw new TypeError(`run ${run}: what was consumed is not the prefix that was trained on`);
          }
          ledger = done.ledger;
        }
        balanceOf(ledger);
        // It lives in a JSON snapshot.
        ledger = JSON.parse(JSON.stringify(ledger)) as DataLedger;
      }
      const places = [...counted, ...expand(ledger.free), ...ledger.open.flatMap(({ ranges }) => expand(ranges))];
      expect(places.sort((a, b) => a - b)).toEqual(Array.from({ length: ledger.nextPosition }, (_, i) => i));
      expect(counted.size).toBe(ledger.consumed);
      expect(refused).toBeGreaterThan(0);
    }
  });
});
