/** A run that went back to an earlier checkpoint: what stands behind its heads, what is trained anew, what is paid and what is not. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  asAddress,
  type Digest,
  digestOfJson,
  domainFor,
  type EpochInputs,
  headHash,
  type Hex,
  type VerdictsFile,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { zeroAddress } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { ChainReader, PostedHead } from "../../../offchain/src/chain/index.ts";
import {
  beginRuling,
  blobSourceOf,
  computeEpoch,
  createHeadDocumentsCache,
  DocumentError,
  type EpochComputation,
  type HeadReport,
  pastScreenings,
  readHeadDocuments,
  requireTurns,
  unpaidWork,
  verifyRun,
  WalkMemory,
} from "../../../offchain/src/run/index.ts";
import { BlobError, putDocument } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { createInitial, createPublisher, fragments, params, poster, type Publisher, workers } from "../chain/world.ts";
import { accounts, contracts, createLedger, type Ledger, modelId, runs } from "./ledger.ts";

const [runId] = runs;
let directory: string;
let publisher: Publisher;
let initial: Awaited<ReturnType<typeof createInitial>>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-rollback-"));
  const store = await openBlobStore(join(directory, "blobs"));
  initial = await createInitial(store, runId);
  publisher = createPublisher(store, { chainId: 31_337, contracts, runId }, initial);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** A chain in memory that takes whatever is posted. */
function chainOf() {
  const heads: PostedHead[] = [];
  const post = (fields: { round: number; checkpointDigest: Digest; receiptsRoot: Hex; paramsVersion?: number }) => {
    const { round, checkpointDigest, receiptsRoot, paramsVersion = 1 } = fields;
    const parentHead = heads.at(-1)?.head ?? zeroHash;
    const place = { runId, sequence: heads.length, round, paramsVersion, checkpointDigest, receiptsRoot, parentHead };
    const head = headHash({
      ...place,
      chainId: 31_337n,
      registry: contracts.checkpointRegistry,
      sequence: BigInt(place.sequence),
      round: BigInt(round),
    });
    const block = { block: 1, blockHash: zeroHash, logIndex: heads.length, transaction: zeroHash, anchoredAt: 1 };
    heads.push({ ...place, ...block, head });
    return heads.at(-1)!;
  };
  const reader = {
    chainId: 31_337,
    contracts,
    postersOf: async () => [poster.address.toLowerCase()],
    run: async () => ({ runId, fragments, definition: digestOfJson(initial.definition) }),
    buildsOf: async () => [initial.build],
    paramsOf: async () => params,
    pendingRoot: async () => undefined,
    activeRoot: async () => undefined,
    wrongWires: async () => [],
    rootsOf: async () => [],
    headsSince: async () => [...heads],
    head: async () => heads.at(-1)!,
  } as unknown as ChainReader;
  post({ round: 0, checkpointDigest: initial.digest, receiptsRoot: zeroHash });
  /** A round whose workers were given data from this place on. */
  const train = async (dataFrom: number) => post((await publisher.round({ dataFrom })).fields);
  const back = (round: number, checkpointDigest: Digest) => {
    publisher.back(round);
    // A rollback is under the newest parameters, whatever the round was that led to its checkpoint.
    return post({ round, checkpointDigest, receiptsRoot: zeroHash, paramsVersion: 2 });
  };
  return { heads, reader, post, train, back };
}

const blobs = () => blobSourceOf(publisher.store);
type Chain = ReturnType<typeof chainOf>;

/** Two rounds, of which the second is taken back, and two after it, the first with the data of the one that was. */
async function wentBack(): Promise<Chain> {
  const chain = chainOf();
  publisher.back(0);
  const first = await chain.train(1);
  await chain.train(4);
  chain.back(1, first.checkpointDigest);
  await chain.train(4);
  await chain.train(7);
  return chain;
}

async function walked({ reader }: Chain, memory?: WalkMemory): Promise<HeadReport[]> {
  const reports: HeadReport[] = [];
  for await (const report of verifyRun({ reader, blobs: blobs() }, runId, memory)) reports.push(report);
  return reports;
}

describe("a run that went back", () => {
  it("holds for who walks it: what it went back behind is told, and the rest goes on from the checkpoint that stands", async () => {
    const reports = await walked(await wentBack());
    expect(reports.flatMap(({ problems }) => problems)).toEqual([]);
    expect(reports.map(({ condition }) => condition)).toEqual(["ok", "ok", "rolledBack", "ok", "ok", "ok"]);
    expect(reports.map(({ receipts }) => receipts > 0)).toEqual([false, true, false, false, true, true]);
  });

  it("is walked anew by who had got beyond the checkpoint that stands", async () => {
    const chain = chainOf();
    publisher.back(0);
    const memory = new WalkMemory();
    const first = await chain.train(1);
    await chain.train(4);
    await walked(chain, memory);
    chain.back(1, first.checkpointDigest);
    await chain.train(4);
    expect((await walked(chain, memory)).flatMap(({ problems }) => problems)).toEqual([]);
  });

  it("is read head by head, whoever has the heads before or not", async () => {
    const { reader, heads } = await wentBack();
    const cache = createHeadDocumentsCache(reader);
    for (const [i, head] of heads.entries())
      await expect(cache.read(blobs(), head, heads[i - 1])).resolves.toBeDefined();
    expect(await cache.read(blobs(), heads[3]!, heads[2])).toMatchObject({ file: null, leaves: [], target: heads[1] });
  });

  it("is not trained on data again that the rounds before it had", async () => {
    const chain = chainOf();
    publisher.back(0);
    const first = await chain.train(1);
    await chain.train(4);
    chain.back(1, first.checkpointDigest);
    await chain.train(1);
    expect((await walked(chain)).map(({ problems }) => problems.join())).toEqual([
      "",
      "",
      "",
      "",
      expect.stringContaining("was given data that an earlier round had"),
    ]);
  });

  it("does not go back to a checkpoint that it does not have", async () => {
    const chain = chainOf();
    publisher.back(0);
    await chain.train(1);
    const second = await chain.train(4);
    chain.back(1, second.checkpointDigest);
    const reading = readHeadDocuments(chain.reader, blobs(), chain.heads[3]!, chain.heads[2]);
    await expect(reading).rejects.toMatchObject({ code: "DOCUMENT_MANIFEST" });
    chain.back(0, initial.digest);
    chain.post({ round: 0, checkpointDigest: initial.digest, receiptsRoot: zeroHash });
    // What the run went back behind is nothing to go back to, but a checkpoint may be gone back to twice.
    const again = readHeadDocuments(chain.reader, blobs(), chain.heads[5]!, chain.heads[4]);
    await expect(again).resolves.toMatchObject({ target: chain.heads[0] });
  });

  it("does not go back to a checkpoint that it went back behind", async () => {
    const chain = chainOf();
    publisher.back(0);
    const behind = await chain.train(1);
    chain.back(0, initial.digest);
    await chain.train(4);
    await chain.train(7);
    chain.back(1, behind.checkpointDigest);
    const reading = readHeadDocuments(chain.reader, blobs(), chain.heads[5]!, chain.heads[4]);
    await expect(reading).rejects.toMatchObject({
      code: "DOCUMENT_MANIFEST",
      message: expect.stringContaining("it goes back to a checkpoint that the run does not have"),
    });
  });

  it("is judged by the rounds that stand", async () => {
    const { heads } = await wentBack();
    const read: number[] = [];
    await pastScreenings(async ({ sequence }) => (read.push(sequence), {} as never), heads.slice(0, 5), 8);
    expect(read).toEqual([4, 1]);
  });
});

const [a, b] = accounts;
async function compute(ledger: Ledger, epoch: number): Promise<EpochComputation | string> {
  const result = await computeEpoch(ledger.modules, { modelId, epoch, verdicts: [] });
  return result.kind === "nothing" ? result.reason : result.computation;
}
const earned = (found: EpochComputation | string) =>
  typeof found === "string" ? found : found.rewards.leaves.map(({ account, amount }) => [account, Number(amount)]);

const work = (account: (typeof accounts)[number], receiptHash?: Hex) => ({
  receipts: [{ account, tokens: 1n, ...(receiptHash && { receiptHash }) }],
});
const receipt = digestOfJson("receipt");
/** A root whose signers wrote other documents. */
function republished(root: EpochComputation, other: Partial<Pick<EpochComputation, "inputs" | "verdicts">>) {
  const made = { ...root, ...other };
  const { inputs, verdicts } = made;
  const manifest = { ...root.manifest, inputs: digestOfJson(inputs), verdicts: digestOfJson(verdicts) };
  return { ...made, manifest, attestation: { ...root.attestation, epochDigest: digestOfJson(manifest) } };
}
const schedule = { start: 0, epochLength: 16, postingDelay: 12, window: 4 };
const publish = (document: unknown): Promise<Digest> => putDocument(publisher.store, document);

describe("work of a round that was rolled back", () => {
  it("earns nothing, and the work that takes its place does, by whichever root covers them", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [] });
    ledger.add({ anchoredAt: 1_002, ...work(a) });
    ledger.add({ anchoredAt: 1_003, ...work(b) });
    ledger.add({ anchoredAt: 1_004, round: 1, receipts: [] });
    ledger.now = 1_016;
    const found = await compute(ledger, 1);
    expect(earned(found)).toEqual([[a, 1_000]]);
    // What is signed still says through which head.
    expect(found).toMatchObject({ manifest: { head: ledger.heads[3]!.head } });

    // Of a later epoch, too; by the block that signers name.
    ledger.add({ anchoredAt: 1_020, ...work(b, receipt) });
    ledger.add({ anchoredAt: 1_021, round: 0, receipts: [] });
    ledger.add({ anchoredAt: 1_022, ...work(b, receipt) });
    ledger.now = 1_032;
    expect(earned(await compute(ledger, 2))).toEqual([[b, 1_000]]);
    expect(earned(await compute(ledger, 1))).toEqual("Nobody earned anything in the epochs 1 to 1.");
    const block = { number: 1_016, hash: ledger.blockHash(1_016)! };
    const before = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [], block });
    expect(before).toMatchObject({ computation: { rewards: { leaves: [{ account: a }] } } });
  });

  it("is said to be rolled back, but where the root that covers it paid it before", async () => {
    const { heads, reader } = await wentBack();
    const verdicts = await publish({ version: 1, modelId, verdicts: [] });
    /** What is told of a root that covers all heads and pays these. */
    const unpaid = async (paid: readonly PostedHead[]) => {
      const entries = paid.map(({ head, sequence, round, paramsVersion, checkpointDigest, receiptsRoot }) => ({
        runId,
        head,
        sequence,
        round,
        paramsVersion,
        checkpointDigest,
        receiptsRoot,
        anchoredAt: 1,
        minParamsVersion: 1,
      }));
      const epochs: EpochInputs["epochs"] = [{ epoch: 1, budget: "1000", heads: entries, contributions: [] }];
      const manifest = await publish({
        version: 1,
        modelId,
        kind: 1,
        index: 1,
        fromEpoch: 1,
        toEpoch: 1,
        runId,
        head: heads.at(-1)!.head,
        finished: [],
        previous: null,
        previousRoot: zeroHash,
        root: zeroHash,
        total: "1000",
        inputs: await publish({ version: 1, modelId, epochs }),
        verdicts,
        rewards: zeroHash,
      });
      const modules = { reader: { ...reader, schedule: async () => schedule }, blobs: blobs() };
      const { works, rest } = await unpaidWork(modules, runId, manifest);
      expect(rest).toBe("none");
      return works.map(({ epoch, round, reason }) => [epoch, round, reason]);
    };
    const [, first, lost, , second, third] = heads;
    const told = await unpaid([first!, second!, third!]);
    expect(told.length).toBeGreaterThan(0);
    expect(new Set(told.map(String))).toEqual(new Set(["1,2,rolledBack"]));
    expect(await unpaid([first!, lost!, second!, third!])).toEqual([]);
  });

  it("stays paid where a root that is active paid it, and is paid no second time", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [] });
    ledger.add({ anchoredAt: 1_002, ...work(a, receipt) });
    ledger.now = 1_016;
    ledger.activate((await compute(ledger, 1)) as EpochComputation);
    ledger.add({ anchoredAt: 1_017, round: 0, receipts: [] });
    ledger.add({ anchoredAt: 1_018, ...work(b) });
    ledger.now = 1_032;
    expect(earned(await compute(ledger, 2))).toEqual([[b, 1_000]]);

    // Nor does who posts a paid round again end the pay of others.
    ledger.heads.pop();
    ledger.add({ anchoredAt: 1_018, ...work(a, receipt) });
    ledger.add({ anchoredAt: 1_019, ...work(b) });
    expect(earned(await compute(ledger, 2))).toEqual([[b, 1_000]]);
  });

  it("is read of no rollback: who takes a run back to what it does not have, or to what nobody has, ends no pay", async () => {
    const ledger = createLedger();
    const { documents } = ledger.modules;
    const read: number[] = [];
    const modules = {
      ...ledger.modules,
      documents: {
        read: (...of: Parameters<typeof documents.read>) => (read.push(of[1].sequence), documents.read(...of)),
      },
    };
    ledger.add({ anchoredAt: 1_001, receipts: [] });
    ledger.add({ anchoredAt: 1_002, ...work(a) });
    ledger.add({ anchoredAt: 1_003, ...work(b) });
    ledger.add({ anchoredAt: 1_004, round: 1, astray: true, receipts: [] });
    // On what is not there nothing is trained that counts.
    ledger.add({ anchoredAt: 1_005, ...work(b) });
    ledger.now = 1_016;
    expect(earned(await compute({ ...ledger, modules }, 1))).toEqual([[a, 1_000]]);
    expect(read).toEqual([1]);

    ledger.add({ anchoredAt: 1_020, round: 1, receipts: [] });
    ledger.add({ anchoredAt: 1_021, ...work(b) });
    ledger.now = 1_032;
    read.length = 0;
    const both = await compute({ ...ledger, modules }, 2);
    expect(new Map(earned(both) as [string, number][])).toEqual(
      new Map([
        [a, 1_000],
        [b, 1_000],
      ]),
    );
    expect(read).toEqual([1, 6]);
  });
});

/** Round 1 was paid, taken back, and is posted again. */
async function postedAgain() {
  const ledger = createLedger();
  ledger.add({ anchoredAt: 1_001, receipts: [] });
  ledger.add({ anchoredAt: 1_002, ...work(a, receipt) });
  ledger.now = 1_016;
  const root = (await compute(ledger, 1)) as EpochComputation;
  ledger.activate(root);
  ledger.add({ anchoredAt: 1_017, round: 0, receipts: [] });
  const head = ledger.add({ anchoredAt: 1_018, ...work(a, receipt) });
  ledger.now = 1_032;
  return { ledger, root, head };
}
const without = ({ modules }: Ledger, lost: Digest, instead?: Uint8Array) => ({
  ...modules,
  blobs: {
    blob: async (...of: Parameters<typeof modules.blobs.blob>) => {
      if (of[1] !== lost) return modules.blobs.blob(...of);
      if (instead) return instead;
      throw new BlobError("BLOB_MISSING", "It is gone.");
    },
  },
});

describe("what was paid of a round before a run went back", () => {
  it("is among what stands behind the head: who judges it finds that it is gone, or is none", async () => {
    const { ledger, root, head } = await postedAgain();
    await expect(requireTurns(ledger.modules, modelId, head)).resolves.toBeUndefined();
    const lost = digestOfJson(root.manifest);
    await expect(requireTurns(without(ledger, lost), modelId, head)).rejects.toMatchObject({ code: "BLOB_MISSING" });
    const none = requireTurns(without(ledger, lost, new TextEncoder().encode("{}")), modelId, head);
    await expect(none).rejects.toMatchObject({ name: "DocumentError", code: "DOCUMENT_MALFORMED" });
    // Of a round that is posted for the first time nothing was paid before.
    const first = ledger.add({ anchoredAt: 1_033, ...work(b) });
    await expect(requireTurns(without(ledger, lost), modelId, first)).resolves.toBeUndefined();
  });

  it("is what a root says that it paid: what it left out earns when it is posted again", async () => {
    const { ledger, root } = await postedAgain();
    expect(earned(await compute(ledger, 2))).toBe("Nobody earned anything in the epochs 2 to 2.");
    const [epoch] = root.inputs.epochs;
    const inputs = { ...root.inputs, epochs: [{ ...epoch!, heads: epoch!.heads.slice(0, 1) }] };
    ledger.roots.length = 0;
    ledger.active = undefined;
    ledger.activate(republished(root, { inputs }));
    expect(earned(await compute(ledger, 2))).toEqual([[a, 1_000]]);
  });

  it("is nothing under a head that validators rejected", async () => {
    const { ledger, root } = await postedAgain();
    const verdict = {
      runId: runs[0],
      round: "0",
      head: ledger.heads[1]!.head,
      kind: verdictKind.aggregate,
      worker: zeroAddress,
      index: 0,
      value: "0",
      evidence: zeroHash,
      validator: accounts[2],
      issuedAt: "0",
    };
    const verdicts: VerdictsFile = { ...root.verdicts, verdicts: [{ verdict, signature: `0x${"11".repeat(65)}` }] };
    ledger.roots.length = 0;
    ledger.active = undefined;
    ledger.activate(republished(root, { verdicts }));
    expect(earned(await compute(ledger, 2))).toEqual([[a, 1_000]]);
  });
});

describe("a ruling on work of a run that went back", () => {
  const worker = asAddress(workers[0]!.address);
  const facts = {
    modelId,
    chainId: 31_337,
    stakes: zeroAddress,
    receipts: domainFor(31_337, contracts.runRegistry),
    rulings: domainFor(31_337, contracts.validatorSet),
    setVersion: 1,
    validators: [],
    threshold: 1,
    rulingBps: 1,
    now: 1,
    earliest: 1,
  };
  /** The receipt that a ruling is begun on. */
  async function ruledOn({ reader }: Chain, turn: { readonly checkpoint?: number; readonly head?: Hex }): Promise<Hex> {
    const wanted = { worker, evidence: zeroHash, within: 60, ...turn };
    return (await beginRuling({ reader, runId, blobs: blobs() }, facts, wanted)).struct.subject;
  }
  async function receiptOf({ heads, reader }: Chain, at: number): Promise<Hex> {
    const { leaves } = await readHeadDocuments(reader, blobs(), heads[at]!, heads[at - 1]);
    return leaves.find((leaf) => leaf.worker === worker)!.receiptHash;
  }

  it("is begun on what led to the checkpoint that it went back to, and on each turn of a round that was made anew", async () => {
    const chain = chainOf();
    publisher.back(0);
    const first = await chain.train(1);
    const old = await chain.train(4);
    const [ofFirst, ofOld] = [await receiptOf(chain, 1), await receiptOf(chain, 2)];
    chain.back(1, first.checkpointDigest);
    expect(await ruledOn(chain, { checkpoint: 1 })).toBe(ofFirst);
    // Nothing stands of round 2: its newest turn.
    expect(await ruledOn(chain, { checkpoint: 2 })).toBe(ofOld);
    await chain.train(7);
    const ofNew = await receiptOf(chain, 4);
    expect(await ruledOn(chain, { checkpoint: 1 })).toBe(ofFirst);
    expect(await ruledOn(chain, { checkpoint: 2 })).toBe(ofNew);
    // The old turn may have been paid before the run went back.
    expect(await ruledOn(chain, { head: old.head })).toBe(ofOld);
    expect(await ruledOn(chain, { checkpoint: 2, head: old.head })).toBe(ofOld);
    expect(new Set([ofFirst, ofOld, ofNew]).size).toBe(3);
  });

  it("is begun on no rollback, on the first checkpoint, or on a head of another round", async () => {
    const chain = await wentBack();
    for (const turn of [
      { checkpoint: 0 },
      { checkpoint: 9 },
      { head: chain.heads[3]!.head },
      { checkpoint: 1, head: chain.heads[2]!.head },
    ])
      await expect(ruledOn(chain, turn)).rejects.toMatchObject({ code: "RULING_CHECKPOINT" });
  });
});

describe("a run whose heads nobody can judge", () => {
  it("earns nothing, and those before and after it do", async () => {
    const ledger = createLedger();
    const { documents } = ledger.modules;
    const read: typeof documents.read = async (source, head, parent) => {
      if (head.runId !== runs[1]) return documents.read(source, head, parent);
      throw new DocumentError(isMalformed ? "DOCUMENT_DEFINITION" : "DOCUMENT_FRAGMENTS", "unfit");
    };
    const modules = { ...ledger.modules, documents: { read } };
    let isMalformed = false;
    ledger.add({ anchoredAt: 1_001, receipts: [] });
    ledger.add({ anchoredAt: 1_002, ...work(a) });
    ledger.add({ run: 1, anchoredAt: 1_003, receipts: [] });
    ledger.add({ run: 1, anchoredAt: 1_004, ...work(b) });
    ledger.now = 1_016;
    for (isMalformed of [false, true]) {
      const found = await compute({ ...ledger, modules }, 1);
      expect(earned(found)).toEqual([[a, 1_000]]);
      expect(found).toMatchObject({ inputs: { epochs: [{ heads: [{ sequence: 0 }, { sequence: 1 }] }] } });
    }
  });
});
