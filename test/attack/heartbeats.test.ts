/** Heartbeats are a member's word: whatever numbers it puts there, views and deadlines go by what can be. */
import {
  contentDigestHeader,
  type Heartbeat,
  type Hex,
  routes,
  sessionHeaders,
  sessionMac,
  asAddress,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { sha256Bytes } from "../../offchain/src/base/index.ts";
import { type Harness, openHarness, runId, type TestWorker } from "../offchain/coordinator/harness.ts";

let harness: Harness;
let honest: TestWorker;
let hostile: TestWorker;
let steps: number;
const said: Heartbeat = { round: 0, step: 2, loss: 3, lossTokens: 640, tokensPerSecond: 50, uploading: false };

beforeAll(async () => {
  harness = await openHarness();
  [honest, hostile] = [harness.worker("31"), harness.worker("40")];
  await honest.join();
  await hostile.join();
  ({ steps } = await hostile.assigned());
  await honest.session.heartbeat(said);
});
afterAll(() => harness.close());

const shown = async () => {
  const { members, loss, tokensPerSecond } = await harness.client.run(runId);
  const {
    step,
    loss: own,
    lossTokens: sample,
    tokensPerSecond: speed,
  } = members.find(({ worker }) => asAddress(worker) === hostile.address)!;
  const { train, trainTokens } = loss;
  return { train, trainTokens, tokensPerSecond, hostile: { step, loss: own, sample, tokensPerSecond: speed } };
};
const nothing = { step: 0, loss: null, sample: undefined, tokensPerSecond: null };

// foundation 8
describe("a heartbeat with absurd numbers", () => {
  it.each<[string, Partial<Heartbeat>]>([
    ["a loss of 1e300", { loss: 1e300 }],
    ["a loss of 101", { loss: 101 }],
    ["a loss below zero", { loss: -1e300 }],
    ["a speed of 1e300", { tokensPerSecond: 1e300 }],
    ["a speed below zero", { tokensPerSecond: -1 }],
  ])("says nothing where it has %s", async (_name, change) => {
    await hostile.session.heartbeat({ ...said, step: 0, loss: null, tokensPerSecond: null, ...change });
    expect(await shown()).toEqual({ train: 3, trainTokens: 640, tokensPerSecond: 50, hostile: nothing });
  });

  // Twenty steps of its two sequences of sixteen tokens.
  const most = 20 * 2 * 16;
  it.each([undefined, 0, most + 1, 1e10, Number.MAX_SAFE_INTEGER])(
    "says no loss where it is of %s tokens, and neither hides nor changes the run's and the size of its sample",
    async (lossTokens) => {
      const { lossTokens: _, ...beat } = said;
      const sample = lossTokens !== undefined && { lossTokens };
      await hostile.session.heartbeat({ ...beat, step: 0, loss: 9, ...sample, tokensPerSecond: null });
      expect(await shown()).toEqual({ train: 3, trainTokens: 640, tokensPerSecond: 50, hostile: nothing });
    },
  );

  it.each([1, most])("says its loss where it is of %i tokens, as is possible", async (lossTokens) => {
    await hostile.session.heartbeat({ ...said, step: 0, loss: 9, lossTokens });
    expect(await shown()).toMatchObject({
      train: 6,
      trainTokens: 640 + lossTokens,
      hostile: { loss: 9, sample: lossTokens },
    });
  });

  it("neither shows nor defers anything where it has more steps than were assigned, or is of another round", async () => {
    const before = harness.digest();
    for (const change of [{ step: steps + 1 }, { step: Number.MAX_SAFE_INTEGER }, { step: steps, round: 7 }]) {
      await hostile.session.heartbeat({ ...said, loss: null, tokensPerSecond: null, uploading: true, ...change });
      expect((await shown()).hostile).toEqual(nothing);
      // All that a deadline hears of heartbeats.
      expect(harness.run.presence.reports()).toEqual({ [honest.address]: { step: 2, uploading: false } });
    }
    expect(harness.digest()).toBe(before);
    await hostile.session.heartbeat({ ...said, step: steps });
    expect(harness.run.presence.reports()).toHaveProperty(hostile.address, { step: steps, uploading: false });
  });

  it("is refused where it has what is no number", async () => {
    await hostile.session.heartbeat({ ...said, step: 1, loss: 4 });
    const before = await shown();
    const join = harness.worker("41");
    let key: Hex | undefined;
    const opened = harness.run.presence.open.bind(harness.run.presence);
    Object.assign(harness.run.presence, { open: (worker: typeof join.address) => (key = opened(worker)) });
    await join.join();
    const bodies = [
      ["loss", "NaN"],
      ["loss", "1e999"],
      ["loss", "-1e999"],
      ["loss", '"3"'],
      ["lossTokens", "-1"],
      ["lossTokens", "0.5"],
      ["lossTokens", "null"],
      ["tokensPerSecond", "1e999"],
      ["step", "-1"],
      ["step", "1e300"],
      ["step", "0.5"],
      ["round", "1e999"],
    ] as const;
    for (const [index, [field, value]] of bodies.entries()) {
      const text = JSON.stringify({ ...said, [field]: "?" }).replace('"?"', value);
      const path = routes.heartbeat(runId);
      const input = { method: "POST", path, body: sha256Bytes(Buffer.from(text)), counter: index + 1 };
      const reply = await harness.app.inject({
        method: "POST",
        url: path,
        payload: text,
        headers: {
          "content-type": "application/json",
          [sessionHeaders.worker]: join.address,
          [sessionHeaders.counter]: String(input.counter),
          [sessionHeaders.mac]: await sessionMac(key!, input),
          [contentDigestHeader]: input.body,
        },
      });
      expect([field, value, reply.statusCode]).toEqual([field, value, 400]);
      expect(reply.json()).toMatchObject({ error: { code: expect.stringMatching(/^(JSON|REQUEST)_INVALID$/) } });
    }
    expect(harness.run.presence.heartbeatOf(join.address)).toBeUndefined();
    expect(await shown()).toEqual(before);
  });
});
