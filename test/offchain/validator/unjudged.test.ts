/** Epochs whose checkpoints a validator has not judged yet, or whose documents are late or gone. */

import {
  type CheckpointManifest,
  digestOfJson,
  drawnFragment,
  type Hex,
  SORTITION_DELAY_BLOCKS,
  sortitionSeed,
  type ReceiptsFile,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { type Clock, systemClock } from "../../../offchain/src/base/index.ts";
import type { PendingRootView } from "../../../offchain/src/chain/index.ts";
import { readHeadDocuments } from "../../../offchain/src/run/index.ts";
import { type ValidatorEvent } from "../../../offchain/src/validator/index.ts";
import { absenceOf } from "../../../offchain/src/validator/absence.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { nextRun } from "../chain/nextRun.ts";
import { fragments } from "../chain/world.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import {
  lower,
  world,
  chain,
  stop,
  board,
  start,
  eventually,
  looked,
  development,
  later,
  post,
  publish,
  compute,
  about,
  openWorld,
  closeWorld,
  me,
  another,
  late,
} from "./harness.ts";

beforeAll(openWorld, 60_000);
afterEach(() => stop());
afterAll(closeWorld);

const forged: Parameters<typeof post>[0] = {
  forge: (states) => states.forEach(({ params }) => void (params[0]! += 1)),
};
const payloads = ({ receipts }: ReceiptsFile): string[] => receipts.map(({ receipt }) => receipt.payloadDigest);
const waits = (events: readonly ValidatorEvent[]): ValidatorEvent[] =>
  events.filter(
    (event) => event.type === "retrying" && event.what.startsWith("epoch") && event.reason.includes("judged"),
  );
const mine = (blocks: number): Promise<void> => development().mine({ blocks });
/** Ends the epoch with one block, after `blocks` blocks that belong to it. */
async function endEpoch(blocks = 2): Promise<number> {
  if (blocks > 0) await mine(blocks);
  await later(16);
  return (await dueEpoch(chain, world.modelId))!;
}
/** Activates the pending root. */
async function settle(): Promise<void> {
  const pending = await chain.pendingRoot(world.modelId);
  if (!pending) return;
  await later(5);
  await chain.activateRoot(world.modelId, pending.epoch, `activate-${pending.epoch}`);
}
/** A validator that finds the epoch published, says why it waits, and signs nothing. */
async function unsigned(due: number): Promise<ValidatorEvent[]> {
  board.epochs = [await publish(await compute(due, board.verdicts))];
  const { events } = await start();
  await eventually("a word why", () => waits(events)[0]);
  await looked();
  expect(board.attestations).toEqual([]);
  return events;
}
const attested = (): Promise<true> =>
  eventually("the attestation", () => (board.attestations.length > 0 ? true : undefined));

describe("an epoch whose checkpoints it has not judged", () => {
  beforeAll(async () => {
    // Somebody has earned something before.
    await post();
    await endEpoch();
  });
  beforeEach(async () => {
    await settle();
    board.epochs = [];
    board.attestations = [];
    board.withheld.clear();
    board.answer = "BLOB_NOT_FOUND";
    board.deaf = false;
    board.behind = false;
  });

  it("is not signed while the coordinator has no payloads to show, and refused when they show a forged checkpoint", async () => {
    const { round } = world.publisher.checkpoint();
    for (const digest of payloads(await post(forged))) board.withheld.set(digest, 0);
    const due = await endEpoch();
    const { events } = await start();
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await eventually("a word why", () => waits(events)[0]);
    await looked();
    expect(board.attestations).toEqual([]);
    expect(about(round)).toEqual([]);
    expect(waits(events)).toEqual([
      expect.objectContaining({ what: `epoch ${due}`, reason: expect.stringContaining(`(${round + 1})`) }),
    ]);

    board.withheld.clear();
    const refused = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
    expect(refused).toMatchObject({ reason: expect.stringContaining(`checkpoint ${round + 1} does not hold`) });
    expect(board.attestations).toEqual([]);

    // Computed again with the verdict, it is signed.
    expect(about(round)).toHaveLength(1);
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await attested();
  });

  it.each([
    ["are gone", "BLOB_NOT_FOUND"],
    ["come too long", "ANSWER_TOO_LARGE"],
    ["come as something else", "BLOB_MISMATCH"],
  ])(
    "is signed without a checkpoint whose documents %s, which is taken for not holding after a while",
    async (_, code) => {
      const { round } = world.publisher.checkpoint();
      await post();
      board.answer = code;
      board.withheld.set((await chain.headsSince(world.runId, 0)).at(-1)!.checkpointDigest, 0);
      const due = await endEpoch();
      await start(me, 0, 100);
      const [verdict] = await eventually("its verdict", () => (about(round).length > 0 ? about(round) : undefined));
      expect(verdict?.verdict.value).toBe("0");
      const computation = await compute(due, board.verdicts);
      expect(computation.inputs.epochs.at(-1)!.contributions).toEqual([]);
      board.epochs = [await publish(computation)];
      await attested();
    },
  );

  // Of many that are overdue a few are looked at in turn.
  it.each([2, 12])(
    "is signed without the last of %i whose documents went after it was judged, when its pay is overdue",
    async (heads) => {
      for (let n = 1; n < heads; n++) {
        world.publisher.checkpoint();
        await post();
      }
      const { round } = world.publisher.checkpoint();
      await post();
      const due = await endEpoch();
      const { events } = await start();
      const [verdict] = await eventually("its verdict", () => (about(round).length > 0 ? about(round) : undefined));
      expect(verdict?.verdict.value).toBe("10000");
      const [head] = (await chain.headsSince(world.runId, 0)).slice(-1);
      await stop();
      board.withheld.set(head!.checkpointDigest, 0);
      await later((await chain.schedule(world.modelId)).postingDelay);
      const again = await start(me, 0, 100);
      const confirmed = await eventually("what it says now", () =>
        board.verdicts.find(
          ({ verdict: { kind, head: of } }) => kind === verdictKind.confirmation && of === head!.head,
        ),
      );
      expect(confirmed.verdict).toMatchObject({ value: "0", validator: lower(me.address) });
      expect(again.events).toContainEqual(expect.objectContaining({ type: "confirmed", round: round + 1 }));
      expect(events).not.toContainEqual(expect.objectContaining({ type: "confirmed" }));
      const computation = await compute(due, board.verdicts);
      expect(computation.inputs.epochs.at(-1)!.contributions.length).toBeGreaterThan(0);
      board.epochs = [await publish(computation)];
      await attested();
    },
  );

  it("is rid of all of twelve whose documents went after they were judged, whatever is said of the first eight", async () => {
    const before = (await chain.headsSince(world.runId, 0)).length;
    for (let n = 0; n < 12; n++) await post();
    await endEpoch();
    const heads = (await chain.headsSince(world.runId, 0)).slice(before);
    const said = (kind: number, of = heads): number =>
      of.filter(({ head }) => board.verdicts.some(({ verdict }) => verdict.kind === kind && verdict.head === head))
        .length;
    await start();
    await eventually("the verdicts", () => (said(verdictKind.aggregate) === 12 ? true : undefined));
    await stop();
    await later((await chain.schedule(world.modelId)).postingDelay);
    for (const { checkpointDigest } of heads) board.withheld.set(checkpointDigest, 0);

    const time = { passed: 0 };
    const pendingRoot = chain.pendingRoot.bind(chain);
    const asked: number[] = [];
    let pending: PendingRootView | undefined = {
      index: 1,
      fromEpoch: 1,
      epoch: 1,
      root: zeroHash,
      total: 0n,
      deadline: 0,
      activatableAt: 0,
    };
    Object.assign(chain, {
      pendingRoot: async () => {
        asked.push([...board.withheld.values()].reduce((sum, count) => sum + count, 0));
        return pending;
      },
    });
    /** One look at documents, so much later. */
    const after = async (ms: number): Promise<void> => {
      const times = asked.length;
      time.passed += ms;
      await eventually("a look", () => (asked.length > times ? true : undefined));
      const looks = board.asked;
      await eventually("its end", () => (board.asked > looks ? true : undefined));
    };
    /** Looks, a quarter of an hour apart, until it is so; a bound catches what never comes. */
    const quarters = async (isSo: () => boolean): Promise<void> => {
      for (let n = 0; n < 30 && !isSo(); n++) await after(900_000);
      expect(isSo()).toBe(true);
    };
    const hour = 3_600_000;
    try {
      const { events } = await start(me, 0, hour, { ...systemClock, monotonic: () => time.passed });
      // What a pending root pays needs nobody's look.
      await after(hour);
      await after(hour);
      expect([...board.withheld.values()].every((count) => count === 0)).toBe(true);
      pending = undefined;
      await quarters(() => [...board.withheld.values()].every((count) => count > 0));
      const [first, others] = [heads.slice(0, 8), heads.slice(8)];
      for (const { checkpointDigest } of first) board.busy.add(checkpointDigest);
      await after(hour);
      await quarters(() => said(verdictKind.confirmation, others) === 4);
      expect(said(verdictKind.confirmation)).toBe(4);
      board.busy.clear();
      await quarters(() => said(verdictKind.confirmation) === 12);
      // What is said is said.
      for (let n = 0; n < 4; n++) await after(60_000);
      expect(events.filter(({ type }) => type === "confirmed")).toHaveLength(12);
    } finally {
      Object.assign(chain, { pendingRoot });
      board.busy.clear();
    }
    expect(Math.max(...asked.slice(1).map((count, i) => count - asked[i]!))).toBeLessThanOrEqual(8);
  });

  it("has its say about no fragment that another block than now drew, and needs the records of all rounds that its rules look back on", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    await mine(2);
    const heads = await chain.headsSince(world.runId, 0);
    const { head, block } = heads.at(-1)!;
    const manifest = JSON.parse(
      new TextDecoder().decode(await world.store.get(heads.at(-4)!.checkpointDigest)),
    ) as CheckpointManifest;
    board.withheld.set(manifest.screening!, 0);
    const waiting = await start();
    await looked();
    expect(waiting.events).toContainEqual(
      expect.objectContaining({ type: "retrying", what: `checkpoint ${round + 1}` }),
    );
    expect(about(round)).toEqual([]);
    await stop();
    board.withheld.clear();

    const before = structuredClone(board.verdicts);
    const sortitionBlock = block + Number(SORTITION_DELAY_BLOCKS);
    const drawnIn = (hash: Hex): number => drawnFragment(sortitionSeed(hash, head, lower(me.address)), fragments);
    const reader = { blockHash: chain.blockHash.bind(chain), tip: chain.tip.bind(chain) };
    const now = (await chain.blockHash(sortitionBlock))!;
    let other: Hex = zeroHash;
    for (let salt = 0; drawnIn(other) === drawnIn(now); salt++) other = digestOfJson({ salt });
    let asked = 0;
    const firstOther = async (at: number): Promise<Hex | undefined> => {
      if (at !== sortitionBlock) return reader.blockHash(at);
      asked += 1;
      return asked === 1 ? other : now;
    };
    try {
      Object.assign(chain, { blockHash: firstOther });
      board.behind = true;
      const { events } = await start();
      await eventually("the judgement", () => events.find(({ type }) => type === "judged"));
      await looked();
      // Its coordinator saw another block: it is told again.
      expect(events.filter(({ type }) => type === "retrying")).toEqual([]);
      board.behind = false;
      await eventually("the verdict", () => about(round)[0]);
      expect(about(round).map(({ verdict }) => verdict.index)).toEqual([drawnIn(now)]);
      // The chain goes back once more while this validator runs.
      const tip = { ...(await reader.tip()), hash: other, parentHash: other };
      Object.assign(chain, { tip: async () => tip, blockHash: async () => other });
      await eventually("the verdict about what is drawn then", () =>
        about(round).find(({ verdict }) => verdict.index === drawnIn(other)),
      );
    } finally {
      Object.assign(chain, reader);
      await stop();
      board.verdicts = before;
    }
  });

  it("is signed though another attestation over its manifest was refused", async () => {
    await post();
    const due = await endEpoch();
    const { events } = await start();
    await eventually("its verdict", () => board.verdicts[0]);
    const view = await publish(await compute(due, board.verdicts));
    for (const setVersion of [2, view.attestation.setVersion])
      board.epochs.push({ ...view, attestation: { ...view.attestation, setVersion } });
    await attested();
    expect(events.filter(({ type }) => type === "refused")).toHaveLength(1);
  });

  it("is looked at again where it was refused by what a chain's node said that lagged", async () => {
    await post();
    const due = await endEpoch();
    const computeBudget = chain.computeBudget.bind(chain);
    const { events } = await start(me, 0, 100);
    await eventually("its verdict", () => board.verdicts.at(-1));
    const view = await publish(await compute(due, board.verdicts));
    try {
      Object.assign(chain, { computeBudget: async () => 1n });
      board.epochs = [view];
      await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
      await looked();
      expect(board.attestations).toEqual([]);
      Object.assign(chain, { computeBudget });
      await attested();
      expect(events.filter(({ type }) => type === "refused")).toHaveLength(1);
    } finally {
      Object.assign(chain, { computeBudget });
    }
  });

  it("is refused where it leaves out a verdict that a checkpoint does not hold, though the coordinator never took it", async () => {
    const { round } = world.publisher.checkpoint();
    await post(forged);
    const due = await endEpoch();
    board.deaf = true;
    const { events } = await start();
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await eventually("the judgement", () =>
      events.find((event) => event.type === "judged" && event.round === round + 1 && !event.holds),
    );
    const refused = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
    expect(refused).toMatchObject({ reason: expect.stringContaining(`checkpoint ${round + 1} does not hold`) });
    await looked();
    expect(board.attestations).toEqual([]);

    board.deaf = false;
    await eventually("the verdict", () => about(round)[0]);
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await attested();
  });

  it("waits for the block that decides the sortition of its last checkpoint, and not longer", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    const due = await endEpoch(0);
    const events = await unsigned(due);
    await mine(1);
    await attested();
    expect(about(round)).toHaveLength(1);
    expect(waits(events)).toHaveLength(1);
  });

  it("is signed without the checkpoints that an active root covers, by one that comes late and finds nothing of them", async () => {
    const due = (await dueEpoch(chain, world.modelId))!;
    const computation = await compute(due, board.verdicts);
    await publish(computation);
    const { attestation } = computation;
    const signatures = await signaturesUnder(world, attestation, [me, another]);
    await chain.postRoot(attestation, signatures, "root-2");
    await settle();

    const heads = await chain.headsSince(world.runId, 0);
    for (const { head, ...each } of heads.slice(1)) {
      const documents = await readHeadDocuments(chain, world.blobs, { head, ...each }, heads[each.sequence - 1]);
      for (const digest of payloads(documents.file!)) board.withheld.set(digest, 0);
    }
    await post();
    const next = await endEpoch();
    board.epochs = [await publish(await compute(next, board.verdicts))];
    const { events } = await start(late);
    await attested();
    expect(waits(events)).toEqual([]);
  });

  it("waits for documents a minute at least, and a posting delay, unless it is told otherwise, whatever is said in between", async () => {
    const time = { passed: 0 };
    const { round } = world.publisher.checkpoint();
    await post();
    await mine(2);
    board.withheld.set((await chain.headsSince(world.runId, 0)).at(-1)!.checkpointDigest, 0);
    await start(me, 0, "its own", { ...systemClock, monotonic: () => time.passed });
    await looked();
    const wait = absenceOf(await chain.schedule(world.modelId));
    for (const passed of [wait / 4, wait / 2, (wait / 4) * 3, wait - 1]) {
      // What says nothing about them takes nothing back.
      for (const answer of ["INTERNAL", "BLOB_NOT_FOUND"]) {
        board.answer = answer;
        time.passed = answer === "INTERNAL" ? passed - 1 : passed;
        await looked();
      }
    }
    expect(about(round)).toEqual([]);
    time.passed += 1;
    const [verdict] = await eventually("its verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(verdict!.verdict.value).toBe("0");
  });

  it("says of documents that they are gone when they were for so long, and counts anew when they were there", async () => {
    const time = { passed: 0 };
    const clock: Clock = { ...systemClock, monotonic: () => time.passed };
    const at = async (passed: number): Promise<void> => {
      time.passed = passed;
      await looked();
    };
    const { round } = world.publisher.checkpoint();
    await post();
    await endEpoch();
    const { head, checkpointDigest } = (await chain.headsSince(world.runId, 0)).at(-1)!;
    const confirmed = () =>
      board.verdicts.filter(({ verdict }) => verdict.kind === verdictKind.confirmation && verdict.head === head);
    board.withheld.set(checkpointDigest, 0);
    await start(me, 0, 1_000, clock);
    await at(1);
    // However long after it: one answer is a quarter at most.
    await at(5_000);
    await at(5_250);
    await at(5_500);
    expect(about(round)).toEqual([]);
    board.withheld.clear();
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict.value).toBe("10000");

    await later((await chain.schedule(world.modelId)).postingDelay);
    board.withheld.set(checkpointDigest, 0);
    await at(10_000);
    expect(confirmed()).toEqual([]);
    board.withheld.clear();
    await at(10_500);
    board.withheld.set(checkpointDigest, 0);
    await at(12_000);
    for (const quarter of [12_250, 12_500, 12_750]) await at(quarter);
    expect(confirmed()).toEqual([]);
    await at(13_000);
    expect(confirmed()).toHaveLength(1);
  });

  it("is not signed before the checkpoints of the model's other run in it are judged too", async () => {
    const publisher = await nextRun(world);
    const hidden = payloads(await post({}, publisher));
    for (const digest of hidden) board.withheld.set(digest, 0);
    const due = await endEpoch();
    const events = await unsigned(due);

    for (const digest of hidden) board.withheld.delete(digest);
    await attested();
    const [head] = (await chain.headsSince(publisher.runId, 0)).slice(1);
    expect(events).toContainEqual(expect.objectContaining({ type: "judged", head: head!.head, holds: true }));
    // The coordinator of one run takes no verdicts about another.
    expect(board.verdicts.filter(({ verdict }) => verdict.head === head!.head)).toEqual([]);
  });
});
