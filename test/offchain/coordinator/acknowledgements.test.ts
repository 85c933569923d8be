/** Acknowledgements that did not reach their workers, asked for after a run's end. */
import { afterEach, expect, it } from "vitest";

import { routes } from "@cotrain/sdk/protocol";

import { type Harness, openHarness, openPair, runId, type TestWorker, until } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

async function two(): Promise<[TestWorker, TestWorker]> {
  const pair = await openPair();
  ({ harness } = pair);
  return pair.workers;
}
const state = () => harness.run.driver.state;

// foundation 9
it("that a coordinator's death lost is given to a member still, however late after the run's end", async () => {
  const [a, b] = await two();
  const { prepared, reply } = await a.train();
  await harness.run.driver.submit({ type: "RunFinished" });
  // Also while the last round is open a member comes back to its work.
  await harness.restart();
  await harness.clock.advance(1_000);
  await b.join();
  await b.train();
  await until(() => state().phase === "Finished", "the end");
  await harness.restart();
  await harness.clock.advance(16_000);
  await harness.run.presence.check();
  await a.join();
  expect(await a.submit(prepared)).toEqual(reply);
});

it("that a worker's death lost is given to who was silent while the last round was open", async () => {
  const [a, b] = await two();
  const { prepared, reply } = await a.train();
  await harness.run.driver.submit({ type: "RunFinished" });
  await harness.clock.advance(8_000);
  await b.join();
  await harness.clock.advance(8_000);
  await harness.run.presence.check();
  await b.train();
  await until(() => state().phase === "Finished", "the end");
  await a.join();
  expect(await a.submit(prepared)).toEqual(reply);
});

it("that a worker's end lost is given to who left with it unanswered, and comes back after the run's end: no member, and without work", async () => {
  const [a, b] = await two();
  const { prepared, reply } = await a.train();
  await a.session.leave();
  await b.train();
  await harness.run.driver.submit({ type: "RunFinished" });
  await until(() => state().phase === "Finished", "the end");
  await harness.restart();
  harness.admitted.splice(0);
  await harness.clock.advance(1_000);
  await a.join();
  expect(await a.work()).toMatchObject({ kind: "leave" });
  await a.session.heartbeat({ round: 0, step: 1, loss: 3, lossTokens: 64, tokensPerSecond: null, uploading: false });
  expect(await a.submit(prepared)).toEqual(reply);
  expect(Object.keys(state().members)).toEqual([b.address]);
  expect(harness.run.presence.heartbeatOf(a.address)).toBeUndefined();
  // So many sessions are kept, whoever asks for them; who loses one opens another.
  for (let other = 0; other < 1_024; other++)
    harness.run.presence.openFormer(`0x${String(other).padStart(40, "0")}`, 1);
  await expect(a.submit(prepared)).rejects.toMatchObject({ code: "SESSION_UNKNOWN" });
  await a.join();
  expect(await a.submit(prepared)).toEqual(reply);
});

it("a join that somebody saw opens no session after the run's end, has no signature looked at and ends none", async () => {
  harness = await openHarness({ params: { minWorkers: 1 } });
  const worker = harness.worker("40");
  await harness.run.driver.submit({ type: "RunFinished" });
  const { app } = harness;
  const inject = app.inject.bind(app) as (options: object) => ReturnType<typeof app.inject>;
  let seen: object | undefined;
  Object.assign(app, {
    inject: (options: { url: string }) => {
      if (options.url === routes.join(runId)) seen = options;
      return inject(options);
    },
  });
  const replay = async () => (await inject(seen!)).json<{ error?: { code: string } }>();
  const beat = { round: 0, step: 0, loss: null, tokensPerSecond: null, uploading: false };
  await worker.join();
  expect(await replay()).toMatchObject({ error: { code: "STALE_JOIN" } });
  const unsigned = worker.join({ issuedAt: BigInt(harness.clock.now()) }, harness.worker("41").account);
  await expect(unsigned).rejects.toMatchObject({ code: "STALE_JOIN" });
  await worker.session.heartbeat(beat);
  // A join from the future is not newer, and counts once all the same.
  await worker.join({ issuedAt: BigInt(harness.clock.now() + 60_000) });
  const future = seen;
  await harness.clock.advance(1_000);
  await worker.join();
  seen = future;
  expect(await replay()).toMatchObject({ error: { code: "STALE_JOIN" } });
  await worker.session.heartbeat(beat);
});
