/** Which roots holders have voided, as the chain tells it. */
import { disputeOutcome } from "@cotrain/sdk/actions";
import { asModelId, type Attestation } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import type { ReadFrom, RootEvents } from "../../../offchain/src/chain/reads/events.ts";
import { readRoots } from "../../../offchain/src/chain/reads/roots.ts";
import { keyOf } from "./world.ts";

const posted = {
  kind: 1,
  modelId: keyOf("model"),
  index: 3n,
  fromEpoch: 4n,
  toEpoch: 5n,
  root: keyOf("root"),
  total: 7n,
  blockNumber: 8n,
  deadline: 9n,
} as unknown as Attestation;

interface Ended {
  readonly outcome: number;
  readonly voted: boolean;
}

/** @param ended what the contract says of the one that was posted; undefined for nothing */
function isVoided(attestation: Attestation, ended: Ended | undefined): Promise<boolean> {
  const events = { roots: async () => [{ attestation: posted, digest: keyOf("digest") }] };
  const from = { connection: { call: async () => ended }, addresses: {} };
  return readRoots(from as unknown as ReadFrom, events as unknown as RootEvents, posted.kind).isVoided(
    asModelId(attestation.modelId),
    attestation,
  );
}

const { void: isVoid, stands, undecided } = disputeOutcome;

it("one that they voted against is, on whatever block and deadline", async () => {
  expect(await isVoided(posted, { outcome: isVoid, voted: true })).toBe(true);
  const again = { ...posted, blockNumber: 10n, deadline: 20n, epochDigest: keyOf("other"), previousRoot: keyOf("x") };
  expect(await isVoided(again, { outcome: isVoid, voted: true })).toBe(true);
});

it("one that nobody decided about, that stands, or that one court alone ruled on is not", async () => {
  expect(await isVoided(posted, undefined)).toBe(false);
  for (const outcome of [stands, undecided]) expect(await isVoided(posted, { outcome, voted: true })).toBe(false);
  expect(await isVoided(posted, { outcome: isVoid, voted: false })).toBe(false);
});

it.each(["kind", "index", "fromEpoch", "toEpoch", "root", "total"] as const)(
  "one of another %s is not",
  async (field) => {
    const other = { ...posted, [field]: field === "root" ? keyOf("other") : field === "kind" ? 5 : 99n };
    expect(await isVoided(other, { outcome: isVoid, voted: true })).toBe(false);
  },
);
