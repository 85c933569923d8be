/** Runs that are registered with other fragments than their definition has, on a real chain: what nobody recomputes nobody signs. */
import type { Definition } from "@cotrain/sdk/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { connect, openReader } from "../../../offchain/src/chain/index.ts";
import { computeEpoch, createHeadDocumentsCache, revenueAccounts, verifyRun } from "../../../offchain/src/run/index.ts";
import { createDescriptions } from "../../../offchain/src/validator/descriptions.ts";
import { createHeadWatch } from "../../../offchain/src/validator/index.ts";
import { createJudge } from "../../../offchain/src/validator/watch/judge.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { nextRun } from "../chain/nextRun.ts";
import { fragments, poster } from "../chain/world.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import {
  about,
  another,
  board,
  chain,
  closeWorld,
  compute,
  development,
  eventually,
  late,
  later,
  looked,
  me,
  openWorld,
  openWorldOf,
  post,
  publish,
  start,
  stop,
  world,
} from "./harness.ts";

afterEach(() => stop());

/** Of all fragments but the first the poster writes what it likes. */
const forged: Parameters<typeof post>[0] = {
  forge: (states) => {
    for (const { params } of states.slice(1)) params.fill(0);
  },
};

/** Publishes the epoch that is due, by the verdicts that there are. */
async function publishDue() {
  await later(16);
  const due = await dueEpoch(chain, world.modelId);
  if (due === undefined) throw new Error("No epoch is due.");
  const computation = await compute(due, board.verdicts);
  board.epochs = [await publish(computation)];
  return computation;
}

/** Who watches, by a connection of its own. */
async function watcher() {
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  const [reader, connection] = [
    await openReader({ rpcUrl, chainId, contracts, fromBlock }),
    await connect({ rpcUrl, chainId }),
  ];
  return {
    reader,
    judge: createJudge({ reader, revenue: revenueAccounts({ reader, connection, fromBlock }) }, world.blobs),
  };
}

/** Why nobody judges the heads of the world's run. */
const sentence = (): string =>
  `Run ${world.runId} has 1 fragments on-chain and ${fragments} in its definition: what validators draw is not what there is.`;

describe("a run of 4 fragments that is registered with 1", () => {
  beforeAll(() => openWorldOf({ fragments: 1 }), 60_000);
  afterAll(closeWorld);

  it("is not judged, and earns nothing; its validators live on", async () => {
    const { round } = world.publisher.checkpoint();
    await post(forged);
    await development().mine({ blocks: 2 });
    const { events } = await start();
    await eventually("the reason", () => events.find(({ type }) => type === "unfit"));
    await looked();
    expect(events).toEqual([{ type: "unfit", runId: world.runId, reason: sentence() }]);
    expect(about(round)).toEqual([]);
    await stop();

    await later(16);
    const due = await dueEpoch(chain, world.modelId);
    const pay = await computeEpoch(
      { reader: chain, blobs: world.blobs, documents: createHeadDocumentsCache(chain) },
      { modelId: world.modelId, epoch: due!, verdicts: [] },
    );
    expect(pay).toMatchObject({ kind: "nothing", reason: expect.stringContaining("Nobody earned anything") });
    expect([board.verdicts, board.attestations]).toEqual([[], []]);
    await expect(createDescriptions(chain, world.blobs).of(world.runId)).rejects.toMatchObject({
      name: "DocumentError",
      code: "DOCUMENT_FRAGMENTS",
    });
    for (const { reader, judge } of [await watcher(), await watcher()]) {
      const [parent, head] = await reader.headsSince(world.runId, 0);
      const found = { kind: "false", reason: sentence(), recomputed: null };
      expect(await judge.head({ head: head!, parent: parent! })).toEqual(found);
    }
  });

  it("is wrong for who verifies it, whatever its heads are", async () => {
    const walking = verifyRun({ reader: chain, blobs: world.blobs }, world.runId);
    let walked = await walking.next();
    while (!walked.done) walked = await walking.next();
    expect(walked.value.problems).toEqual([sentence()]);
  });
});

/** Its last fragment has the number after that. */
const withGap = (definition: Definition): Definition => ({
  ...definition,
  table: definition.table.map((entry) =>
    entry.fragment === fragments - 1 ? { ...entry, fragment: fragments } : entry,
  ),
});

describe.each([
  ["is registered with 1 of its 4 fragments", 1, (same: Definition) => same, "has 1 fragments on-chain and 4"],
  ["has a table that leaves a fragment out", fragments, withGap, "leaves out a fragment below its largest"],
])("a validator of another run than one that %s", (_, registered, change, why) => {
  beforeAll(openWorld, 60_000);
  afterAll(closeWorld);

  it("judges what it can, and signs the epoch, in which the unfit one earns nothing; who watches goes on", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    const next = await nextRun(world, registered, poster, change);
    await post(forged, next);
    await publishDue();
    await start();
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict).toMatchObject({ runId: world.runId, value: "10000" });
    board.epochs = [];
    const { inputs, attestation } = await publishDue();
    const runs = inputs.epochs.flatMap(({ heads }) => heads.map((head) => head.runId));
    expect(new Set(runs)).toEqual(new Set([world.runId]));
    await eventually("the signature", () => board.attestations.length > 0 || undefined);

    const signatures = await signaturesUnder(world, attestation, [me, another, late]);
    await chain.postRoot(attestation, signatures, "root-1");
    const { reader, judge } = await watcher();
    const pending = await reader.pendingRoot(world.modelId);
    expect(await judge.root(world.modelId, pending!)).toEqual({ kind: "holds" });
    expect(await createDescriptions(reader, world.blobs).whyUnfit(next.runId)).toContain(why);
    const heads = createHeadWatch(
      { reader, blobs: world.blobs, head: judge.head, revenue: { paidFalsely: async () => [] } },
      world.modelId,
      world.runId,
    );
    const { problems, findings } = await heads.look();
    expect(problems).toEqual([expect.stringContaining(why)]);
    expect(findings.some(({ head }) => head.runId === next.runId)).toBe(true);
    expect(findings.every(({ head }) => head.runId === next.runId)).toBe(true);
  });
});
