/** Which class a machine belongs to follows from what it computed, not from what it says of itself. */
import { afterEach, beforeEach, expect, it } from "vitest";

import { openHarness, type Harness } from "./harness.ts";

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness();
});
afterEach(() => harness.close());

it("a machine that computes the organiser's bits is of its class; one that computes others is of another", async () => {
  const [same, other] = [harness.worker("31"), harness.worker("32")];
  await same.join();
  const conformance = `0x${"0d".repeat(32)}` as const;
  await other.join({ conformance });
  const { members } = harness.run.driver.state;
  expect(members[same.address]?.machineClass).toBe("exact-test");
  expect(members[other.address]?.machineClass).toBe(`other:${conformance}`);
});
