/** Heads that are wrong where no validator looked: they are told, and no root is false for them, since honest validators sign it. */
import { asDigest, digestOfJson, type PayloadHeader, rewardKind } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import type { ChainReader } from "../../../offchain/src/chain/index.ts";
import { workers } from "../chain/world.ts";
import {
  client,
  compute,
  disputes,
  drawing,
  journalOf,
  missing,
  open,
  pass,
  payloadsOf,
  post,
  postSigned,
  stageWatch,
  watching,
  watchingHeads,
  without,
  world,
} from "./watched.ts";

stageWatch();

const forged: Parameters<typeof post>[1] = { forge: ([first]) => first!.params.fill(0, 0, 1) };
const nobody = (drawn: readonly (number | undefined)[]): boolean => !drawn.includes(0);
const mine = () => client().mine({ blocks: 1 });

test("a root that pays for a head which is forged where nobody drew it is disputed by nobody, and the head told", async () => {
  await post(1, forged);
  await drawing(nobody);
  await pass(16);
  const digest = await postSigned(await compute());
  const watch = await watching();
  const heads = await watchingHeads(watch);
  expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
  // What the root's look found to hold hides nothing of what it did not look at.
  const { findings } = await heads.look();
  const problems = [expect.stringMatching(/^Fragment 0 is /)];
  expect(findings).toMatchObject([{ head: { round: 3 }, condition: "mismatch", problems }]);
  await mine();
  expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
  expect(await disputes()).toEqual([]);
});

test("who votes on a root that somebody disputed for such a head is told that it holds", async () => {
  await post(1, forged);
  await drawing(nobody);
  await pass(16);
  const digest = await postSigned(await compute());
  const by = await journalOf(workers[1]);
  await by.disputeRoot(world.modelId, digest, digestOfJson("Fragment 0 is forged."), rewardKind.compute);
  const watch = await watching();
  expect(await watch.look()).toMatchObject({ state: "open", found: "unsure" });
  await mine();
  expect(await watch.look()).toMatchObject({ state: "open", digest, found: "holds" });
});

test("nothing follows for a root while nobody knows who draws what of a head that it pays for", async () => {
  await post(1, forged);
  await drawing((drawn) => drawn.includes(0));
  await pass(16);
  const digest = await postSigned(await compute());
  const honest = await open();
  const [head] = (await honest.headsSince(world.runId, 0)).slice(-1);
  let knows = false;
  const reader: ChainReader = {
    ...honest,
    blockHash: async (block) => (block === head!.block + 2 && !knows ? undefined : honest.blockHash(block)),
  };
  const watch = await watching({ reader });
  const reason = expect.stringContaining(head!.head);
  expect(await watch.look()).toMatchObject({ state: "unread", digest, reason });
  knows = true;
  expect(await watch.look()).toMatchObject({ state: "suspect", digest });
});

test("a root is not disputed for what is withheld of a payload where nobody drew it, and the head is told", async () => {
  await drawing(nobody);
  const payload = asDigest((await payloadsOf())[0]!);
  const header = JSON.parse(new TextDecoder().decode(await world.store.get(payload))) as PayloadHeader;
  const blobs = without(new Set([header.fragments[0]!.digest]), missing);
  const digest = await postSigned(await compute());
  const watch = await watching({ blobs });
  expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
  const { findings } = await (await watchingHeads(watch)).look();
  expect(findings).toMatchObject([{ head: { round: 2 }, condition: "missing" }]);
});
