/** Which class a machine belongs to follows from what it computed, not from what it says of itself. */
import { asAddress } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, expect, it } from "vitest";

import { machineClassOf, partsOfClass } from "../../../offchain/src/run/index.ts";
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

const classOf = (deviceClass: string, due: `0x${string}`, found = due) =>
  machineClassOf({ deviceClass, conformance: due }, found);

it("devices of a kind that compute different bits are of different classes, though each has its build", () => {
  const [one, another] = [`0x${"0a".repeat(32)}`, `0x${"0b".repeat(32)}`] as const;
  for (const kind of ["webgpu", "cuda", "arm64-linux", "other"])
    expect([classOf(kind, one), classOf(kind, another)]).toEqual([`${kind}:${one}`, `${kind}:${another}`]);
  // Another program has another value on the same machines.
  expect([classOf("exact-x86", one), classOf("exact-x86", another)]).toEqual(["exact-x86", "exact-x86"]);
  // GPUs may compute other bits every time.
  expect(classOf("webgpu", one, another)).toBe(`webgpu:${another}`);
  expect(classOf("exact-x86", one, another)).toBe(`other:${another}`);
  // What was proposed may be as long as it likes; a member's view has room for 200 characters.
  expect(classOf("g".repeat(200), one).length).toBeLessThanOrEqual(200);
  expect(classOf(`${"g".repeat(99)}🖥`, one).isWellFormed()).toBe(true);
  expect(partsOfClass(classOf("webgpu", one))).toEqual({ name: "webgpu", value: one });
  expect(partsOfClass("exact-x86")).toEqual({ name: "exact-x86", value: undefined });
});
