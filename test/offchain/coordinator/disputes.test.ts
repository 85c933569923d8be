/** Roots that are disputed: what was not decided is posted anew, what the holders voted against is not, and pay goes on. */
import { structHash } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createLogger } from "../../../offchain/src/service/index.ts";
import { attest, elapse, type Harness, openPair, type TestWorker, trainFirstEpoch, validators } from "./harness.ts";

let harness: Harness;
let workers: readonly TestWorker[];
/** What the log says from warnings on. */
let told: string[];
beforeEach(async () => {
  told = [];
  const logger = createLogger({
    component: "test",
    level: "warn",
    pretty: false,
    destination: { write: (line: string) => void told.push((JSON.parse(line) as { msg: string }).msg) },
  });
  ({ harness, workers } = await openPair({ logger }));
  await trainFirstEpoch(harness, workers);
});
afterEach(() => harness.close());

const state = () => harness.run.driver.state;
const collecting = () => state().epochs.find(({ state: at }) => at === "collecting");
const digests = () => harness.chain.roots.map(({ attestation }) => structHash("Attestation", attestation));
const settlements = () => harness.chain.sent.filter((key) => key.startsWith("settle/"));

/** Two validators sign what is asked of them, and it is posted. */
async function post(): Promise<void> {
  const { roots } = harness.chain;
  const before = roots.length;
  await elapse(harness, () => collecting() !== undefined, "an attestation to be signed");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
  await elapse(harness, () => roots.length > before, "the root");
}

/** The pending root is disputed, and the vote on it ends so. */
async function dispute(outcome: "stands" | "void" | "undecided"): Promise<void> {
  harness.chain.outcome = outcome;
  harness.chain.dispute(10);
  await elapse(harness, () => harness.chain.disputed === undefined, "the end of the dispute");
}

describe("a root that is disputed", () => {
  it("is settled by the coordinator once its vote is over, and activated where it stands", async () => {
    await post();
    await dispute("stands");
    expect(settlements()).toEqual([`settle/${digests()[0]}`]);
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    expect(harness.chain.roots).toHaveLength(1);
    expect(told).toContain(
      "the root is disputed: holders vote on whether it stands, and pay of its epochs waits for that",
    );
  });

  it("and about which nothing is decided is posted anew under other signatures, and pays; never twice under the same", async () => {
    await post();
    await dispute("undecided");
    await elapse(harness, () => state().epochs.some(({ failed }) => failed), "that it is noted");
    // No reorganisation: what was signed is not sent again.
    expect(state().epochs.filter(({ failed }) => failed)).toMatchObject([{ epoch: 1, state: "superseded" }]);
    await post();
    const [first, second] = harness.chain.roots;
    expect(second!.root).toBe(first!.root);
    expect(new Set(digests()).size).toBe(2);
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    expect(harness.chain.roots).toHaveLength(2);
    expect(harness.chain.active).toMatchObject({ digest: digests()[1] });
  });

  it("again and again is told of as what somebody should look at", async () => {
    for (let i = 0; i < 3; i++) {
      await post();
      await dispute("undecided");
    }
    expect(told.filter((text) => text.startsWith("roots of this model are disputed again and again"))).toHaveLength(1);
    // Each was posted in time.
    expect(told.filter((text) => text.startsWith("the root before was not posted by its deadline"))).toEqual([]);
    await post();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
  });

  it("goes on after a restart of the coordinator, wherever that comes", async () => {
    await post();
    harness.chain.dispute(10);
    await harness.restart();
    await elapse(harness, () => harness.chain.disputed === undefined, "the end of the dispute");
    await harness.restart();
    await elapse(harness, () => collecting() !== undefined, "an attestation to be signed");
    await harness.restart();
    await post();
    await elapse(harness, () => state().settledEpoch === 1, "the activation");
    expect(harness.chain.active).toMatchObject({ digest: digests().at(-1) });
  });
});

describe("a bond that the poster may not put up", () => {
  it("is waited for, and the root is posted once it may", async () => {
    await post();
    await dispute("undecided");
    harness.chain.boundedLevel = 0;
    await elapse(harness, () => collecting() !== undefined, "an attestation to be signed");
    for (const validator of validators.slice(0, 2)) await attest(harness, validator);
    const posts = () => harness.chain.sent.filter((key) => key.startsWith("postRoot/")).length;
    const before = posts();
    await elapse(harness, () => posts() > before + 1, "tries");
    expect(harness.chain.roots).toHaveLength(1);
    harness.chain.boundedLevel = 10;
    await elapse(harness, () => state().settledEpoch > 0 || collecting() === undefined, "the root");
  });
});

describe("a root that the holders voted against", () => {
  it("is not posted again while nothing else comes of it, however long", async () => {
    await post();
    await dispute("void");
    await elapse(harness, () => state().epochs.some(({ failed }) => failed), "that it is noted");
    const start = harness.clock.monotonic();
    await elapse(harness, () => harness.clock.monotonic() - start > 300_000, "time");
    expect(harness.chain.roots).toHaveLength(1);
    expect(collecting()).toBeUndefined();
    const complaint = "the holders voted against the root that is computed here: it is not posted again.";
    expect(told.filter((text) => text.startsWith(complaint))).toHaveLength(1);
  });

  it("is followed by one that differs: that of a later epoch, which covers its epochs", async () => {
    await post();
    await dispute("void");
    await elapse(harness, () => state().epochs.some(({ failed }) => failed), "that it is noted");
    const before = state().round;
    for (const worker of workers) await worker.join();
    for (const worker of workers) await worker.train();
    await elapse(harness, () => state().round > before, "another round");
    await post();
    const [first, second] = harness.chain.roots;
    expect(second).toMatchObject({ fromEpoch: 1, index: 1 });
    expect(second!.epoch).toBeGreaterThan(first!.epoch);
    await elapse(harness, () => state().settledEpoch === second!.epoch, "the activation");
  });
});
