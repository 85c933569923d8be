/** Roots that somebody else disputed first: whoever watches recomputes them too, and tells those who vote what it found. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { digestOfJson, type Hex } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import type { ChainReader } from "../../../offchain/src/chain/index.ts";
import type { BlobSource } from "../../../offchain/src/run/index.ts";
import { anyOf } from "../../../offchain/src/validator/index.ts";
import { workers } from "../chain/world.ts";
import { createManualClock } from "../manualClock.ts";
import {
  client,
  compute,
  directory,
  dispute,
  disputes,
  journalOf,
  lessPaid,
  missing,
  open,
  postSigned,
  stageWatch,
  takeBack,
  watching,
  without,
  world,
} from "./watched.ts";

stageWatch();

/** Somebody who watches nothing disputes it. @returns what is voted on */
async function disputedByAnother(digest: Hex): Promise<bigint> {
  const chain = await journalOf(workers[1]);
  await chain.disputeRoot(world.modelId, digest, digestOfJson("for no reason"));
  return (await dispute(digest))!.proposalId;
}

/** Counts what is asked for. */
function counting() {
  const asked = { times: 0 };
  const blobs: BlobSource = { blob: (...request) => (asked.times++, world.blobs.blob(...request)) };
  return { asked, blobs };
}
const mine = () => client().mine({ blocks: 1 });

test("a false one is found false twice, told with what was found, and computed no more", async () => {
  const digest = await postSigned(await lessPaid());
  const proposalId = await disputedByAnother(digest);
  const { asked, blobs } = counting();
  const watch = await watching({ blobs });
  const open = { state: "open", digest, proposalId, index: 1 };
  const reason = expect.stringMatching(/^It differs from what was recomputed: /);
  expect(await watch.look()).toMatchObject({ ...open, found: "unsure", reason });
  expect(watch.written).toEqual([]);
  await mine();
  const told = await watch.look();
  const [evidence] = watch.written;
  expect(evidence).toMatchObject({ found: "false", digest });
  expect(told).toMatchObject({ ...open, found: "false", reason, evidence: digestOfJson(evidence) });
  const before = asked.times;
  expect(await watch.look()).toEqual(told);
  expect(asked.times).toBe(before);
  // A restart goes on with it; nothing is sent.
  expect(await (await watching()).look()).toEqual(told);
  expect(await disputes()).toHaveLength(1);
});

test("a true one is found to hold twice, and computed no more, over a restart too", async () => {
  const digest = await postSigned(await compute());
  await disputedByAnother(digest);
  const watch = await watching();
  expect(await watch.look()).toMatchObject({
    state: "open",
    found: "unsure",
    reason: expect.stringContaining("another one is needed"),
  });
  // Not in the same block.
  expect(await watch.look()).toMatchObject({ state: "open", found: "unsure" });
  await mine();
  expect(await watch.look()).toMatchObject({ state: "open", digest, found: "holds" });
  expect(watch.written).toEqual([]);
  const { asked, blobs } = counting();
  expect(await (await watching({ blobs })).look()).toMatchObject({ state: "open", found: "holds" });
  expect(asked.times).toBe(0);
});

test("one that was found before somebody disputed it is told at once", async () => {
  const digest = await postSigned(await lessPaid());
  const watch = await watching({ chain: "none" });
  await watch.look();
  await mine();
  expect(await watch.look()).toMatchObject({ state: "reported" });
  await disputedByAnother(digest);
  expect(await watch.look()).toMatchObject({ state: "open", found: "false" });
});

test("nothing is said of one of which an RPC lies, is away, or says two things", async () => {
  const digest = await postSigned(await compute());
  await disputedByAnother(digest);
  const honest = await open();
  const liar: ChainReader = { ...honest, computeBudget: async () => 5n };
  const lied = await watching({ reader: liar });
  expect(await lied.look()).toMatchObject({ state: "open", found: "unsure" });
  await mine();
  expect(await lied.look()).toMatchObject({
    state: "open",
    found: "unsure",
    reason: expect.stringContaining("A second one: the root holds."),
  });
  expect(lied.written).toEqual([]);
});

test("one that is not published is told so when that lasts", async () => {
  const computation = await lessPaid();
  const digest = await postSigned(computation);
  await disputedByAnother(digest);
  const clock = createManualClock();
  const blobs = anyOf([without(new Set([computation.attestation.epochDigest]), missing)]);
  const watch = await watching({ blobs, clock });
  for (let looks = 0; looks < 4; looks++) {
    expect(await watch.look()).toMatchObject({ state: "open", found: "unsure" });
    await clock.advance(500);
  }
  expect(await watch.look()).toMatchObject({ state: "open", found: "false" });
  expect(watch.written).toMatchObject([{ found: "unpublished", digest }]);
});

test("one is held against what stood when it was posted, whatever was taken back since", async () => {
  // Signers may put the deadline as far as they like.
  const computation = await compute();
  const { attestation } = computation;
  const far = { ...attestation, deadline: attestation.deadline + 1_200n };
  const digest = await postSigned({ ...computation, attestation: far });
  await disputedByAnother(digest);
  await takeBack(1);
  const watch = await watching();
  await watch.look();
  await mine();
  expect(await watch.look()).toMatchObject({ state: "open", digest, found: "holds" });
});

test("a memory that a version before wrote is read", async () => {
  const digest = await postSigned(await lessPaid());
  await (await watching()).look();
  const path = join(directory, "watch.json");
  const { roots, ...file } = JSON.parse(readFileSync(path, "utf8")) as { roots: object[] };
  const before = roots.map((root) => ({ ...root, disputed: digestOfJson("evidence") }));
  writeFileSync(path, JSON.stringify({ ...file, roots: before }));
  await mine();
  expect(await (await watching()).look()).toMatchObject({ state: "disputed", digest });
});
