/** A run whose data are published and do not add up: what is there and cannot be what it should be is judged, and not waited for. */
import { asDigest, type DataManifest, type Definition } from "@cotrain/sdk/protocol";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { connect, openReader } from "../../../offchain/src/chain/index.ts";
import { revenueAccounts } from "../../../offchain/src/run/index.ts";
import { putDocument } from "../../../offchain/src/storage/index.ts";
import { createJudge } from "../../../offchain/src/validator/watch/judge.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { nextRun } from "../chain/nextRun.ts";
import { poster, workers } from "../chain/world.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import {
  another,
  board,
  chain,
  closeWorld,
  compute,
  development,
  eventually,
  late,
  later,
  me,
  openWorld,
  post,
  publish,
  start,
  stop,
  world,
} from "./harness.ts";

beforeAll(openWorld, 60_000);
afterEach(() => stop());
afterAll(closeWorld);

/** Its manifest counts a token more than there are. */
async function withOneMore(definition: Definition): Promise<Definition> {
  const bytes = await world.store.get(asDigest(definition.data));
  const data = JSON.parse(new TextDecoder().decode(bytes)) as DataManifest;
  const train = { ...data.train, tokens: data.train.tokens + 1 };
  return { ...definition, data: await putDocument(world.store, { ...data, train }) };
}

const why = "has data that nobody can train on: The train split of data manifest";

test("a validator finds that its heads do not hold, and signs no root that pays for them, which is false", async () => {
  await post();
  const next = await nextRun(world, undefined, poster, withOneMore);
  // Of a round of one nobody has to count the sequences to compute its pay.
  await post({ workers: [workers[0]!] }, next);
  // What decides who draws what.
  await development().mine({ blocks: 2 });
  await later(16);
  const epoch = (await dueEpoch(chain, world.modelId))!;
  const lie = await compute(epoch, []);
  // Of the next it is told by the root that pays for it.
  board.epochs = [await publish(lie)];
  const { events } = await start();
  const judged = await eventually("the judgement", () =>
    events.find((event) => event.type === "judged" && !event.holds),
  );
  expect(judged).toMatchObject({ reason: expect.stringContaining(why) });
  expect(events).toContainEqual(expect.objectContaining({ type: "judged", holds: true }));
  await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
  expect(board.attestations).toEqual([]);

  await chain.postRoot(lie.attestation, await signaturesUnder(world, lie.attestation, [me, another, late]), "root-1");
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  const reader = await openReader({ rpcUrl, chainId, contracts, fromBlock });
  const revenue = revenueAccounts({ reader, connection: await connect({ rpcUrl, chainId }), fromBlock });
  const found = await createJudge({ reader, revenue }, world.blobs).root(
    world.modelId,
    (await reader.pendingRoot(world.modelId))!,
  );
  expect(found).toMatchObject({ kind: "false", reason: expect.stringContaining(why) });
});
