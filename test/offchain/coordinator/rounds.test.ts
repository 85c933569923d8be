import { afterEach, describe, expect, it } from "vitest";

import { fromWire, recoverSigner } from "@cotrain/sdk/protocol";
import { domain, type Harness, hashOf, openHarness, runId, until } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

describe("rounds", () => {
  it("opens when enough workers are there, closes when all have submitted, and opens the next at once", async () => {
    harness = await openHarness();
    const [a, b] = [harness.worker("31"), harness.worker("32")];
    await a.join();
    expect((await harness.client.run(runId)).phase).toBe("Waiting");
    await b.join();
    const view = await harness.client.run(runId);
    expect(view).toMatchObject({ phase: "Training", round: 0, current: { innerSteps: 4, assigned: 2, received: 0 } });

    const { prepared, reply } = await a.train();
    const ack = fromWire("Ack", reply.ack);
    expect(ack.receiptHash).toBe(hashOf(prepared.receipt));
    expect(ack.tokens).toBe(4n * 2n * 16n);
    expect(await recoverSigner(domain, "Ack", ack, reply.signature)).toBe(view.poster);
    expect(await a.submit(prepared)).toEqual(reply);

    await b.train();
    await until(() => harness.run.driver.state.round === 1, "round 1");
    expect(await a.submit(prepared)).toEqual(reply);
    const next = await harness.client.run(runId);
    expect(next).toMatchObject({ step: 4, tokens: "256", current: { round: 1, innerSteps: 8 } });
    await until(() => harness.chain.heads.length === 2, "the anchor");
    const { checkpoints } = await harness.client.checkpoints(runId);
    expect(checkpoints.map(({ digest }) => digest)).toEqual(
      harness.chain.heads.map(({ checkpointDigest }) => checkpointDigest),
    );
    const work = await a.work();
    expect(work).toMatchObject({
      kind: "train",
      lastOutcome: { round: 0, outcome: 0, receiptHash: hashOf(prepared.receipt) },
    });
  });
});
