import { afterEach, expect, it } from "vitest";

import { asDigest } from "@cotrain/sdk/protocol";
import { release } from "../../../offchain/src/coordinator/retention.ts";
import { readManifest } from "../../../offchain/src/storage/index.ts";
import { attest, elapse, type Harness, openHarness, runId, until, validators } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

it("keeps checkpoint 0, the newest, and what validators may still need; deletes shards of the others but no manifest", async () => {
  harness = await openHarness();
  const state = () => harness.run.driver.state;
  const workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  const digests = [state().checkpoint.digest];
  const train = async (): Promise<void> => {
    for (const worker of workers) await worker.train();
    await until(
      () => state().heads.length === digests.length + 1 && state().heads.at(-1)?.anchor != null,
      "the anchor",
    );
    digests.push(state().checkpoint.digest);
  };
  /** Which checkpoints still have their shards. */
  const kept = async (): Promise<number[]> => {
    const rounds: number[] = [];
    for (const [round, digest] of digests.entries()) {
      const { fragments } = await readManifest(harness.blobs, digest);
      const there = await Promise.all(fragments.map((fragment) => harness.blobs.has(asDigest(fragment.digest))));
      if (there.every(Boolean)) rounds.push(round);
    }
    return rounds;
  };
  for (let round = 1; round <= 4; round++) await train();
  const options = { checkpointBytes: 0, checkpoints: 1 };
  await release(harness.run, options);
  // No root is active yet: validators may recompute all of it.
  expect(await kept()).toEqual([0, 1, 2, 3, 4]);

  const attested = async (): Promise<boolean> => (await harness.client.epochs(runId)).epochs[0]?.state === "collecting";
  await elapse(harness, attested, "the epoch");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
  await elapse(harness, () => state().settledEpoch === 1, "the activation");
  for (const worker of workers) await worker.join();
  await train();
  await release(harness.run, options);
  // The round in the open epoch starts from checkpoint 4.
  expect(await kept()).toEqual([0, 4, 5]);
  await release(harness.run, options);
  expect(await kept()).toEqual([0, 4, 5]);
});
