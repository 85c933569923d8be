/** Which class a machine belongs to follows from what it computed, not from what it says of itself. */
import { asAddress } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, expect, it } from "vitest";

import { type Harness, openHarness, runId } from "./harness.ts";

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness();
});
afterEach(() => harness.close());

// foundation 16: a wrong conformance value that is admitted
it("a machine that computes the organiser's bits is of its class; one that computes others is of another", async () => {
  const [same, other] = [harness.worker("31"), harness.worker("32")];
  await same.join();
  const conformance = `0x${"0d".repeat(32)}` as const;
  await other.join({ conformance });
  const { members } = await harness.client.run(runId);
  const classes = Object.fromEntries(members.map(({ worker, machineClass }) => [asAddress(worker), machineClass]));
  expect(classes).toEqual({ [same.address]: "exact-test", [other.address]: `other:${conformance}` });
});
