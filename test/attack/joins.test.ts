/** Keys cost nothing: whoever makes many may take every place of a run, and must not keep them, nor hold its rounds up. */
import { asAddress, type ErrorBody, routes, type Struct, toWire, zeroHash } from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import { afterEach, describe, expect, it } from "vitest";

import { isCollecting } from "../../offchain/src/coordinator/machine/dealing.ts";
import { type Harness, openHarness, runId, type TestWorker, until } from "../offchain/coordinator/harness.ts";

const DEADLINE = 20;

let harness: Harness;
afterEach(() => harness.close());

/** Throw-away keys. */
const crowd = (count: number, from?: (i: number) => string): TestWorker[] =>
  Array.from({ length: count }, (_, i) => harness.worker((0x40 + i).toString(16), from ? { from: from(i) } : {}));

const state = () => harness.run.driver.state;
const joined = async (worker: TestWorker): Promise<string> => {
  try {
    await worker.join();
    return "joined";
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return `${error.code}${error.retryable ? ", try again" : ""}`;
  }
};

/** A second passes in which everybody in the run says that it works, and how far it is. */
async function second(members: readonly TestWorker[], step = 0): Promise<void> {
  // What is computed takes no time here.
  await until(() => state().current !== null && isCollecting(state().current!), "a round that takes work");
  for (const member of members) {
    if (!state().members[member.address]) continue;
    const beat = { round: state().round, step, loss: 3, tokensPerSecond: 1, uploading: false };
    await member.session.heartbeat(beat);
  }
  await harness.clock.advance(1_000);
  await new Promise(setImmediate);
}

/** Trains when there is work. @returns whether there was */
async function trainIfDue(worker: TestWorker): Promise<boolean> {
  if (!state().members[worker.address]) return false;
  const due = await worker.work();
  if (due.kind !== "train") return false;
  await worker.train();
  return true;
}

// foundation 5, foundation 3
describe("members that only say that they work", () => {
  it("lose their places to newcomers that train, while who delivers keeps its own, and rounds go on", async () => {
    harness = await openHarness({ params: { minWorkers: 1, maxWorkers: 16, roundDeadline: DEADLINE, rampRounds: 0 } });
    const [first, ...newcomers] = ["31", "32", "33", "34"].map((byte) => harness.worker(byte));
    const hostile = crowd(15);
    await first!.join();
    await first!.train();
    await until(() => state().round === 1, "the first round");
    for (const each of hostile) expect(await joined(each)).toBe("joined");
    expect(await joined(newcomers[0]!)).toBe("RUN_FULL, try again");

    const honest = [first!, ...newcomers];
    const rounds = new Map(honest.map((worker) => [worker.address, 0]));
    const missing = () => newcomers.filter(({ address }) => !state().members[address]);
    // Each of the crowd may hold two rounds up to their deadline; then it makes room and sits on the bench.
    for (let elapsed = 0; elapsed < 12 * DEADLINE && Math.min(...rounds.values()) < 3; elapsed++) {
      for (const worker of missing()) await joined(worker);
      for (const worker of honest) {
        if (await trainIfDue(worker)) rounds.set(worker.address, rounds.get(worker.address)! + 1);
      }
      await second([...honest, ...hostile]);
    }
    expect(missing()).toEqual([]);
    expect(Math.min(...rounds.values())).toBeGreaterThanOrEqual(3);
    const place = (await harness.client.run(runId)).members.find(({ worker }) => asAddress(worker) === first!.address);
    expect(Number(place!.tokens)).toBeGreaterThan(0);
  });

  it("cannot hold up a round by boasting: who never delivered is not waited for longer than the others need", async () => {
    harness = await openHarness({ params: { minWorkers: 1, roundDeadline: DEADLINE, rampRounds: 0 } });
    const [honest, boaster] = [harness.worker("31"), harness.worker("40")];
    await honest.join();
    await honest.train();
    await until(() => state().round === 1, "the first round");
    await boaster.join();
    await honest.train();
    await until(() => state().round === 2, "the round with both");
    const opened = harness.clock.now();
    const ends: number[] = [];
    harness.run.driver.onChange((after, _event, before) => {
      if (before && after.round > before.round) ends.push(harness.clock.now() - opened);
    });
    for (let elapsed = 0; elapsed < 10 * DEADLINE && ends.length < 8; elapsed++) {
      await trainIfDue(honest);
      await second([honest, boaster], state().current?.innerSteps);
    }
    // The honest one needs a second or two; nobody waits more than half as long again and 3 s, in any round.
    const longest = Math.max(...ends.map((end, i) => end - (ends[i - 1] ?? 0)));
    expect(ends).toHaveLength(8);
    expect(longest).toBeLessThanOrEqual(7_000);
    expect(state().members[boaster.address]).toMatchObject({ measured: false });
    expect(state().members[boaster.address]!.misses).toBe(2);
  });
});

describe("a crowd of keys that waits for places", () => {
  it.each([
    ["behind one address", () => "198.51.100.7"],
    ["that owns a /48 of IPv6", (i: number) => `2001:db8:7:${i.toString(16)}::1`],
    ["that owns a /24 of IPv4", (i: number) => `198.51.100.${i}`],
  ])("%s lets a single newcomer elsewhere go second, whose queue is its own", async (_what, from) => {
    harness = await openHarness({ params: { minWorkers: 1, maxWorkers: 2 } });
    const [first, other] = [harness.worker("31"), harness.worker("32")];
    await first.join();
    await other.join();
    const hostile = crowd(60, from);
    const newcomer = harness.worker("33", { from: "203.0.113.9" });
    for (const each of hostile) expect(await joined(each)).toBe("RUN_FULL, try again");
    expect(await joined(newcomer)).toBe("RUN_FULL, try again");
    await first.session.leave();
    expect(await joined(newcomer)).toBe("RUN_FULL, try again");
    expect(await joined(hostile[0]!)).toBe("joined");
    await other.session.leave();
    expect(await joined(hostile[1]!)).toBe("RUN_FULL, try again");
    expect(await joined(newcomer)).toBe("joined");
  });
});

describe("who owns a network", () => {
  it.each([
    ["elsewhere", "203.0.113.9"],
    ["in the same wider network", "2001:db8:8::9"],
  ])(
    "floods the coordinator with joins, of which few are looked at, and keeps nobody %s from joining",
    async (_, from) => {
      harness = await openHarness({ params: { minWorkers: 1 } });
      const [forged, honest] = [harness.worker("40"), harness.worker("31", { from })];
      const join: Struct<"Join"> = {
        runId,
        worker: forged.address,
        beneficiary: forged.address,
        lease: zeroHash,
        build: harness.build,
        conformance: zeroHash,
        protocolMin: 1,
        protocolMax: 1,
        issuedAt: BigInt(harness.clock.now()),
      };
      const payload = { join: toWire("Join", join), signature: `0x${"11".repeat(64)}1b` };
      const codes: string[] = [];
      const flood = Array.from({ length: 1_000 }, async (_, i) => {
        const remoteAddress = `2001:db8:7:${i.toString(16)}::1`;
        const reply = await harness.app.inject({ method: "POST", url: routes.join(runId), remoteAddress, payload });
        codes.push(reply.json<ErrorBody>().error.code);
      });
      await until(() => codes.includes("SIGNATURES_BUSY"), "more than may wait");
      expect(await joined(honest)).toBe("joined");
      // It was not the last in a line of hundreds.
      expect(codes.filter((code) => code === "BAD_SIGNATURE").length).toBeLessThan(100);
      await Promise.all(flood);
      expect(new Set(codes)).toEqual(new Set(["BAD_SIGNATURE", "SIGNATURES_BUSY"]));
      expect(codes.filter((code) => code === "BAD_SIGNATURE").length).toBeLessThan(500);
    },
  );
});

describe("many honest workers", () => {
  it("behind one address join, all 64 of them", async () => {
    harness = await openHarness({ params: { minWorkers: 64, maxWorkers: 64 } });
    const workers = crowd(64);
    for (const worker of workers) expect(await joined(worker)).toBe("joined");
    expect(Object.keys(state().current?.work ?? {}).length).toBe(64);
  });
});
