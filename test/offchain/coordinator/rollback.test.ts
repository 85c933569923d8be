/** Holders take a run back to an earlier checkpoint: the coordinator goes on from there, and what it lost counts nowhere. */
import {
  asDigest,
  type Digest,
  digestOfJson,
  outcomeCode,
  type ReceiptsFile,
  type ScreeningFile,
} from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it } from "vitest";

import { balanceOf } from "../../../offchain/src/data/index.ts";
import { blobSourceOf, createRecordReader, problemOfRecord } from "../../../offchain/src/run/index.ts";
import { readManifest } from "../../../offchain/src/storage/index.ts";
import { EPOCH } from "./fakeChain.ts";
import {
  elapse,
  type Harness,
  type HarnessOptions,
  openPair,
  params,
  type Prepared,
  runId,
  type TestWorker,
  until,
} from "./harness.ts";
import { createLogger } from "../../../offchain/src/service/index.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

/** A run of so many rounds, each of them anchored. */
async function trained(rounds: number, options?: HarnessOptions) {
  const { harness: opened, workers } = await openPair(options);
  harness = opened;
  for (let round = 1; round <= rounds; round++) await anchorRound(opened, workers);
  return { harness: opened, workers, chain: opened.chain };
}

const stateOf = ({ run }: Harness) => run.driver.state;

/** The next round, and its head on-chain. */
async function anchorRound(of: Harness, workers: readonly TestWorker[]): Promise<void> {
  const { sequence } = of.chain.heads.at(-1)!;
  for (const worker of workers) await worker.train();
  await anchoredBehind(of, sequence);
}

async function anchoredBehind(of: Harness, sequence: number): Promise<void> {
  await until(() => of.chain.heads.at(-1)!.sequence > sequence, "the posting");
  await until(() => stateOf(of).heads.every(({ anchor }) => anchor !== null), "the anchor");
}

const wentBack = (of: Harness) =>
  elapse(of, () => stateOf(of).rollbacks === 1 && stateOf(of).phase === "Training", "the rollback");
const roundsOf = ({ chain }: Harness): number[] => chain.heads.map(({ round }) => round);

/** What the tokens of the members add up to. */
const counted = (of: Harness): number => Object.values(stateOf(of).totals).reduce((sum, tokens) => sum + tokens, 0);

/** Sends payloads that were made for another assignment. */
async function sendAgain(worker: TestWorker, { payloads, header: { fragments } }: Prepared): Promise<void> {
  const made = worker.prepare(await worker.assigned());
  const places = made.header.fragments.map((each, f) => ({ ...each, digest: fragments[f]!.digest }));
  const header = { ...made.header, fragments: places };
  const again = { ...made, payloads, header, receipt: { ...made.receipt, payloadDigest: digestOfJson(header) } };
  await worker.upload(again);
  await worker.submit(again);
}

/** The record of the newest round, and what everybody says of it by the records that these heads name. */
async function newestRecord(of: Harness, change: (file: ScreeningFile) => ScreeningFile = (file) => file) {
  const read = async (digest: string | null): Promise<unknown> =>
    JSON.parse(new TextDecoder().decode(await of.blobs.get(asDigest(digest ?? ""), 1 << 24)));
  const { screening, receipts } = await readManifest(of.blobs, of.chain.heads.at(-1)!.checkpointDigest);
  const file = (await read(screening)) as ScreeningFile;
  const { definition } = of.run;
  const check = { definition, params, paramsVersion: 1, receipts: (await read(receipts)) as ReceiptsFile };
  const source = blobSourceOf(of.blobs);
  const heads = of.chain.heads.slice(0, -1);
  const problem = problemOfRecord(createRecordReader(source), heads, { ...check, file: change(file) });
  return { file, problem: await problem };
}

describe("a rollback", () => {
  it.each([
    ["that comes while a round is trained", false],
    ["that came while the coordinator was down", true],
  ])("%s is carried out", async (_, down) => {
    const { harness: at, workers, chain } = await trained(3);
    const [a, b] = workers;
    const target = chain.heads[1]!;
    const data = stateOf(at).ledger.consumed;
    // Of the round under way one has delivered, the other not.
    await a.train();
    const late = b.prepare(await b.assigned());
    await b.upload(late);
    chain.back(1);
    if (down) {
      await at.restart();
      for (const worker of workers) await worker.join();
    }
    await wentBack(at);

    const state = stateOf(at);
    expect(state).toMatchObject({
      round: 1,
      checkpoint: { round: 1, digest: target.checkpointDigest },
      current: { round: 1, base: target.checkpointDigest },
    });
    expect(state.checkpoint.tokens).toBe(256);
    expect(counted(at)).toBe(256);
    expect(balanceOf(state.ledger).consumed).toBeLessThan(data);
    expect(state.heads.filter(({ rolledBack }) => rolledBack).map(({ sequence }) => sequence)).toEqual([2, 3]);
    // What was made for the round that is gone is not taken.
    await expect(b.submit(late)).rejects.toMatchObject({ code: expect.stringMatching(/^STALE_/) });

    for (let round = 2; round <= 3; round++) await anchorRound(at, workers);
    expect(roundsOf(at)).toEqual([0, 1, 2, 3, 1, 2, 3]);
    expect(counted(at)).toBe(stateOf(at).checkpoint.tokens);
    const { checkpoints } = await at.client.checkpoints(runId);
    expect(checkpoints.map(({ round, sequence }) => [round, sequence])).toEqual([
      [0, 0],
      [1, 1],
      [2, 5],
      [3, 6],
    ]);
    const manifest = await readManifest(at.blobs, chain.heads[5]!.checkpointDigest);
    expect(manifest.parent).toBe(target.checkpointDigest);
  });

  it("has the next round judged by the records of all rounds that its rules look back on", async () => {
    const { harness: at, workers, chain } = await trained(3);
    const { screenings } = stateOf(at);
    expect(screenings.length).toBeGreaterThan(1);
    await anchorRound(at, workers);
    chain.back(3);
    await wentBack(at);
    expect(stateOf(at)).toMatchObject({ round: 3, screenings });
  });

  it("gives the data of what was lost out again, and deletes the shards of its checkpoints", async () => {
    const { harness: at, workers, chain } = await trained(2);
    const shardsOf = async (digest: Digest) =>
      (await readManifest(at.blobs, digest)).fragments.map(({ digest: d }) => d);
    const [lost] = await shardsOf(chain.heads[2]!.checkpointDigest);
    const [kept] = await shardsOf(chain.heads[1]!.checkpointDigest);
    const { nextPosition } = stateOf(at).ledger;
    chain.back(1);
    await wentBack(at);
    await elapse(at, async () => !(await at.blobs.has(lost as Digest)), "the deletion");
    expect(await at.blobs.has(kept as Digest)).toBe(true);
    await anchorRound(at, workers);
    expect(stateOf(at).ledger.nextPosition).toBe(nextPosition);
  });

  it("takes nothing from who had nothing counted in a lost round, since its payload was left out", async () => {
    const { harness: at, workers, chain } = await trained(1);
    const [a, b] = workers;
    const { totals } = stateOf(at);
    const { prepared } = await a.train();
    await at.blobs.delete(asDigest(prepared.header.fragments[2]!.digest));
    await b.train();
    await anchoredBehind(at, 1);
    expect(stateOf(at).totals).toEqual({ ...totals, [b.address]: 128 + 256 });
    chain.back(1);
    await wentBack(at);
    expect(stateOf(at).totals).toEqual(totals);
  });

  it("takes from who worked what all lost rounds counted, however many they are", async () => {
    const { harness: at, workers, chain } = await trained(1);
    const { totals } = stateOf(at);
    for (let round = 2; round <= 3; round++) await anchorRound(at, workers);
    // Checkpoints are read by 256: as where 255 rounds whose receipts nobody kept had lain before the last one, which begins a page.
    const { kysely } = at.database;
    const last = await kysely
      .selectFrom("coordinator_checkpoints")
      .selectAll()
      .where("round", "=", 3)
      .executeTakeFirstOrThrow();
    await kysely.updateTable("coordinator_checkpoints").set({ round: 258 }).where("round", "=", 3).execute();
    const between = Array.from({ length: 255 }, (_, i) => ({ ...last, round: 3 + i, receipts: null }));
    await kysely.insertInto("coordinator_checkpoints").values(between).execute();
    chain.back(1);
    await wentBack(at);
    expect(stateOf(at).totals).toEqual(totals);
  });

  it("pays nobody for what was handed in before it, in whichever of the rounds that are lost", async () => {
    const { harness: at, workers, chain } = await trained(1);
    const [a, b] = workers;
    const old: Prepared[] = [];
    for (let round = 2; round <= 4; round++) {
      const { sequence } = chain.heads.at(-1)!;
      for (const worker of workers) old.push((await worker.train()).prepared);
      await anchoredBehind(at, sequence);
    }
    chain.back(1);
    await wentBack(at);
    // Its own of the same round, and another's of the round after and of the round before; who trains anew is paid.
    for (const [i, round, worker] of [
      [0, 1, a],
      [5, 3, b],
      [3, 2, b],
    ] as const) {
      const { sequence } = chain.heads.at(-1)!;
      await sendAgain(a, old[i]!);
      await b.train();
      await anchoredBehind(at, sequence);
      const { file, problem } = await newestRecord(at);
      const outcomes = new Map(file.workers.map((entry) => [entry.worker, entry]));
      expect(outcomes.get(a.address)).toMatchObject({
        outcome: outcomeCode.copy,
        copyOf: { round, worker: worker.address },
      });
      expect(outcomes.get(b.address)).toMatchObject({ outcome: 0, copyOf: null });
      expect(problem).toBe("");
    }
    // Nobody is called a copyist of what no round had.
    const accused = await newestRecord(at, (file) => ({
      ...file,
      workers: file.workers.map((entry) =>
        entry.copyOf ? { ...entry, copyOf: { ...entry.copyOf, round: 1 } } : entry,
      ),
    }));
    expect(accused.problem).toContain("it repeats nobody");
  });

  it("of a stranger's head loses nothing: the rounds that were trained meanwhile follow behind it", async () => {
    const { harness: at, workers, chain } = await trained(1);
    chain.steal();
    for (let round = 2; round <= 3; round++) {
      for (const worker of workers) await worker.train();
      await until(() => stateOf(at).round === round, "the round");
    }
    const own = stateOf(at)
      .heads.slice(2)
      .map(({ checkpoint }) => checkpoint);
    expect(roundsOf(at)).toEqual([0, 1, 2]);
    chain.back(1);
    await elapse(at, () => stateOf(at).heads.every(({ anchor }) => anchor !== null), "the anchors");
    expect(stateOf(at)).toMatchObject({ round: 3, rollbacks: 1 });
    expect(roundsOf(at)).toEqual([0, 1, 2, 1, 2, 3]);
    expect(chain.heads.slice(4).map(({ checkpointDigest }) => checkpointDigest)).toEqual(own);
    await anchorRound(at, workers);
    expect(roundsOf(at).at(-1)).toBe(4);
  });

  it("to a checkpoint whose shards are gone is told, and carried out once they are there", async () => {
    const told: string[] = [];
    const logger = createLogger({
      component: "test",
      level: "error",
      destination: { write: (line) => void told.push(line) },
    });
    const { harness: at, chain } = await trained(2, { logger });
    const { fragments } = await readManifest(at.blobs, chain.heads[1]!.checkpointDigest);
    const digest = fragments[0]!.digest as Digest;
    const bytes = await at.blobs.get(digest, 1 << 20);
    await at.blobs.delete(digest);
    chain.back(1);
    await elapse(at, () => told.some((line) => line.includes("is not kept here any more")), "the complaint");
    expect(stateOf(at)).toMatchObject({ pausedBy: { chain: true } });
    expect(stateOf(at).rollbacks).toBeUndefined();
    await at.blobs.put(bytes);
    await wentBack(at);
  });

  it("is not believed of an RPC that tells of it once", async () => {
    const { harness: at, workers, chain } = await trained(2);
    chain.back(1);
    let asked = 0;
    const head = chain.head.bind(chain);
    chain.head = async (run) => ((asked += 1), head(run));
    await elapse(at, () => asked > 0, "a look");
    chain.rewind(2);
    for (let look = 0; look < 5; look++) await at.clock.advance(1_000);
    await anchorRound(at, workers);
    expect(stateOf(at).rollbacks).toBeUndefined();
    expect(roundsOf(at)).toEqual([0, 1, 2, 3]);
  });

  it("is not posted again where the chain loses it, but waited for", async () => {
    const { harness: at, workers, chain } = await trained(2);
    chain.back(1);
    await wentBack(at);
    const back = chain.heads.at(-1)!;
    chain.rewind(2);
    for (let look = 0; look < 5; look++) await at.clock.advance(1_000);
    expect(stateOf(at).heads.at(-1)).toMatchObject({ head: back.head, given: true });
    chain.heads.push(back);
    await anchorRound(at, workers);
  });

  it("that the chain loses with the round behind it is waited for, and the round posted again behind it", async () => {
    const { harness: at, workers, chain } = await trained(2);
    chain.back(1);
    await wentBack(at);
    await anchorRound(at, workers);
    const [back, next] = chain.heads.slice(-2) as [(typeof chain.heads)[number], (typeof chain.heads)[number]];
    expect(roundsOf(at)).toEqual([0, 1, 2, 1, 2]);
    chain.rewind(2);
    for (let look = 0; look < 5; look++) await at.clock.advance(1_000);
    expect(roundsOf(at)).toEqual([0, 1, 2]);
    chain.heads.push(back);
    await elapse(at, () => chain.heads.at(-1)!.head === next.head, "the round");
    await until(() => stateOf(at).heads.every(({ anchor }) => anchor !== null), "its anchor");
    expect(stateOf(at)).toMatchObject({ round: 2, rollbacks: 1 });
    await anchorRound(at, workers);
    expect(roundsOf(at)).toEqual([0, 1, 2, 1, 2, 3]);
  });

  it("that the chain has again in another epoch is moved there, with the round behind it", async () => {
    const { harness: at, workers, chain } = await trained(2);
    chain.back(1);
    await wentBack(at);
    await anchorRound(at, workers);
    const moved = chain.heads.slice(-2).map((head) => ({ ...head, anchoredAt: head.anchoredAt + EPOCH }));
    while ((await chain.chainTime()) < moved[1]!.anchoredAt) await at.clock.advance(1_000);
    await elapse(at, () => stateOf(at).epochs.at(-1)?.state === "collecting", "the computed epoch");
    const { epoch, pass } = stateOf(at).epochs.at(-1)!;
    const was = stateOf(at).heads.slice(-2);
    chain.heads.splice(-2, 2, ...moved);
    const times = () =>
      stateOf(at)
        .heads.slice(-2)
        .map(({ anchor }) => anchor?.anchoredAt);
    await elapse(at, () => times().every((time, i) => time === moved[i]!.anchoredAt), "their new times");
    for (const [i, { head, anchor, given }] of stateOf(at).heads.slice(-2).entries())
      expect({ head, epoch: anchor!.epoch, given }).toEqual({
        head: was[i]!.head,
        epoch: was[i]!.anchor!.epoch + 1,
        given: was[i]!.given,
      });
    // What was computed of where they were is signed by nobody.
    const computed = stateOf(at).epochs.find((each) => each.epoch === epoch && each.pass === pass);
    expect(computed).toMatchObject({ state: "superseded" });
    expect(stateOf(at)).toMatchObject({ round: 2, rollbacks: 1 });
    for (const worker of workers) await worker.join();
    await anchorRound(at, workers);
    expect(roundsOf(at)).toEqual([0, 1, 2, 1, 2, 3]);
  });
});
