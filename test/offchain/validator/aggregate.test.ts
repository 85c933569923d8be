/** What of a payload's header is compared before its numbers are used: each alone makes the verdict 0. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  asDigest,
  type Build,
  canonicalJson,
  type ContractAddresses,
  type Definition,
  digestOfJson,
  MAX_MANIFEST_BYTES,
  MAX_PAYLOAD_HEADER_BYTES,
  outcomeCode,
  type PayloadHeader,
  type ReceiptsFile,
  type ScreeningFile,
  weightingCode,
} from "@cotrain/sdk/protocol";
import { CoordinatorError } from "@cotrain/sdk/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { PostedHead } from "../../../offchain/src/chain/index.ts";
import { type BlobSource, blobSourceOf, type HeadDocuments } from "../../../offchain/src/run/index.ts";
import { BlobError, type BlobStore, parseManifest } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import {
  type AggregateFinding,
  type AggregateCheckInput,
  checkAggregate,
} from "../../../offchain/src/validator/index.ts";
import { accounts, contracts } from "../run/ledger.ts";
import { headOf, runId } from "./heads.ts";
import { DROPPED } from "../chain/gatePasses.ts";
import {
  createInitial,
  createPublisher,
  fragments,
  params,
  type RoundOptions,
  UNREADABLE,
  workers,
} from "../chain/world.ts";

const fragment = 1;
let directory: string;
let store: BlobStore;
let input: AggregateCheckInput;

interface Played {
  readonly blobs: BlobStore;
  readonly input: AggregateCheckInput;
}

/** The last of some rounds, whose payloads are always the same, in a store of its own. */
async function played(name: string, ...rounds: RoundOptions[]): Promise<Played> {
  const blobs = await openBlobStore(join(directory, name));
  const initial = await createInitial(blobs, runId);
  const definition: Definition = initial.definition;
  const place = { chainId: 31_337, contracts: contracts satisfies ContractAddresses, runId };
  const publisher = createPublisher(blobs, place, initial);
  const heads = [headOf(0, initial.digest)];
  let documents: HeadDocuments | undefined;
  for (const options of rounds.length > 0 ? rounds : [{}]) {
    const { file, leaves } = await publisher.round(options);
    const { digest, round } = publisher.checkpoint();
    heads.push(headOf(round, digest));
    documents = { manifest: parseManifest(await blobs.get(digest, MAX_MANIFEST_BYTES)), file, leaves };
  }
  const [head, parent, before] = [heads.at(-1)!, heads.at(-2)!, heads.slice(0, -1)];
  const admitted = async (digest: string): Promise<boolean> => digest === initial.build;
  return { blobs, input: { head, parent, before, documents: documents!, definition, params, admitted, fragment } };
}

/** What is found of it, whichever fragment is drawn. */
const findingsOf = ({ blobs, input: of }: Played): Promise<AggregateFinding[]> =>
  Promise.all(
    Array.from({ length: fragments }, (_, drawn) => checkAggregate(blobSourceOf(blobs), { ...of, fragment: drawn })),
  );
const inEvery = (finding: Partial<AggregateFinding>): unknown[] =>
  Array.from({ length: fragments }, () => expect.objectContaining(finding));

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-aggregate-"));
  ({ blobs: store, input } = await played("blobs"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it("weighs payloads by the steps of their receipts, where a run's parameters say so", async () => {
  const slow = workers[0]!.address.toLowerCase();
  const mixed = await played("weights", { steps: (worker) => (worker.toLowerCase() === slow ? 2 : 4) });
  expect(await findingsOf(mixed)).toEqual(inEvery({ holds: true, reason: "" }));
  const otherwise = { ...mixed, input: { ...mixed.input, params: { ...params, weighting: weightingCode.tokens } } };
  expect(await findingsOf(otherwise)).toEqual(inEvery({ holds: false }));
});

it.each(["weighting", "aggregator", "outerOptimizer"] as const)(
  "finds that no head holds where a run's parameters name a rule that is not known: %s",
  async (rule) => {
    const of = { ...input, params: { ...params, [rule]: 99 } };
    expect(await checkAggregate(blobSourceOf(store), of)).toMatchObject({
      holds: false,
      reason: expect.stringContaining("99 is not known here"),
    });
  },
);

const dropping = ({ gate }: ScreeningFile): void => void gate.passes.unshift(DROPPED);
it("makes what a round makes that went on without the momentum, where its record says so", async () => {
  const forgeScreening = dropping;
  const [due, undue] = [
    { anew: true, forgeScreening },
    { anew: false, forgeScreening },
  ];
  expect(await findingsOf(await played("due", {}, due))).toEqual(inEvery({ holds: true, reason: "" }));
  expect(await findingsOf(await played("undue", {}, undue))).toEqual(inEvery({ holds: false }));
  expect(await findingsOf(await played("anew", {}, { anew: true }))).toEqual(inEvery({ holds: false }));
});

/** The finding where the first worker's receipt names a payload with another header; its numbers stay. */
async function withHeader(
  change: (header: PayloadHeader) => PayloadHeader,
  written: (header: PayloadHeader) => string = canonicalJson,
): Promise<AggregateFinding> {
  const file: ReceiptsFile = input.documents.file!;
  const [first, ...others] = file.receipts;
  const bytes = await store.get(asDigest(first!.receipt.payloadDigest), MAX_PAYLOAD_HEADER_BYTES);
  const header = change(JSON.parse(new TextDecoder().decode(bytes)) as PayloadHeader);
  const { digest } = await store.put(new TextEncoder().encode(written(header)));
  const receipts = [{ ...first!, receipt: { ...first!.receipt, payloadDigest: digest } }, ...others];
  return checkAggregate(blobSourceOf(store), {
    ...input,
    documents: { ...input.documents, file: { ...file, receipts } },
  });
}
/** Changes one fragment's entry. */
const entry =
  (fields: Partial<PayloadHeader["fragments"][number]>, of = fragment) =>
  (header: PayloadHeader): PayloadHeader => ({
    ...header,
    fragments: header.fragments.map((part) => (part.index === of ? { ...part, ...fields } : part)),
  });

/** The finding where the record of the screening is another one. */
async function withScreening(change: (file: ScreeningFile) => void): Promise<AggregateFinding> {
  const { manifest } = input.documents;
  const bytes = await store.get(asDigest(manifest.screening!), MAX_MANIFEST_BYTES);
  const file = JSON.parse(new TextDecoder().decode(bytes)) as ScreeningFile;
  change(file);
  const { digest } = await store.put(new TextEncoder().encode(canonicalJson(file)));
  const documents = { ...input.documents, manifest: { ...manifest, screening: digest } };
  return checkAggregate(blobSourceOf(store), { ...input, documents });
}
const partOf = (file: ScreeningFile, worker = 0) => file.workers[worker]!.fragments[fragment]!;
const forged = (sketch: string): string => (sketch.startsWith("A") ? "B" : "A") + sketch.slice(1);

describe("a recomputed aggregate", () => {
  it("holds where every payload was made for it", async () => {
    for (const drawn of Array.from({ length: fragments }, (_, i) => i)) {
      expect(await checkAggregate(blobSourceOf(store), { ...input, fragment: drawn })).toMatchObject({ holds: true });
    }
    expect(await withHeader((header) => header)).toMatchObject({ holds: true, reason: "" });
    expect(
      await withHeader(
        (header) => header,
        (header) => `${canonicalJson(header)} `,
      ),
    ).toMatchObject({ holds: false, reason: expect.stringContaining("is malformed: ") });
  });

  it.each<[string, Partial<PayloadHeader>]>([
    ["run", { runId: digestOfJson("another run") }],
    ["round", { round: 1 }],
    ["worker", { worker: accounts[0] }],
    ["codec", { codec: params.codec + 1 }],
    ["table", { table: digestOfJson("another table") }],
  ])("does not hold where a payload names another %s, though its numbers fit", async (_name, fields) => {
    expect(await withHeader((header) => ({ ...header, ...fields }))).toMatchObject({
      holds: false,
      reason: expect.stringContaining("was made for something else"),
    });
  });

  it.each<[string, Partial<PayloadHeader["fragments"][number]>]>([
    ["was taken against another base", { base: digestOfJson("another base") }],
    ["has another number of elements", { elements: 1 }],
    ["has another length", { bytes: 1 }],
    ["is another fragment", { index: fragments }],
  ])("does not hold where the drawn fragment of a payload %s", async (_name, fields) => {
    expect(await withHeader(entry(fields))).toMatchObject({
      holds: false,
      reason: expect.stringContaining(`no such fragment ${fragment}`),
    });
  });

  it("says nothing about the fragments that were not drawn", async () => {
    expect(await withHeader(entry({ base: digestOfJson("another base") }, 0))).toMatchObject({ holds: true });
  });

  it("does not hold on a record that does not follow from its measurements", async () => {
    expect(await withScreening(() => undefined)).toMatchObject({ holds: true });
    for (const [change, reason] of [
      [(file: ScreeningFile) => (partOf(file).clipPpm = 400_000), "clipped by another factor"],
      [(file: ScreeningFile) => (file.workers[0]!.outcome = 5), "something else"],
      [(file: ScreeningFile) => (file.medians[0]! += 1), "medians"],
      [(file: ScreeningFile) => (file.gate.seed = digestOfJson("another")), "sample"],
      [(file: ScreeningFile) => (file.gate.passes[0]!.after = 9_000_000), "loss gate"],
      [(file: ScreeningFile) => file.workers.pop(), "every receipt"],
      [(file: ScreeningFile) => file.gate.sequences.reverse(), "other held-out sequences"],
      [(file: ScreeningFile) => (file.gate.sequences = [0, 1, 2, 3]), "other held-out sequences"],
      [(file: ScreeningFile) => (file.gate.build = digestOfJson("its own")), "never admitted"],
    ] as const)
      expect(await withScreening((file) => void change(file))).toMatchObject({
        holds: false,
        reason: expect.stringContaining(reason),
      });
  });

  it.each<[string, (own: Build) => Partial<Build>, string]>([
    ["of another definition", () => ({ definition: digestOfJson("another definition") }), "is of another definition"],
    ["for something else", ({ graphs }) => ({ graphs: { ...graphs, eval: graphs.step } }), "is one for step"],
    ["of other batches", ({ microBatch }) => ({ microBatch: 2 * microBatch }), "sequences of 17 tokens where"],
  ])("does not hold on a gate that was measured by an admitted program %s", async (_, change, reason) => {
    const { manifest } = input.documents;
    const file = JSON.parse(new TextDecoder().decode(await store.get(asDigest(manifest.screening!)))) as ScreeningFile;
    const own = JSON.parse(new TextDecoder().decode(await store.get(asDigest(file.gate.build)))) as Build;
    const put = async (document: object) => store.put(new TextEncoder().encode(canonicalJson(document)));
    const { digest: build } = await put({ ...own, ...change(own) });
    const { digest: screening } = await put({ ...file, gate: { ...file.gate, build } });
    const documents = { ...input.documents, manifest: { ...manifest, screening } };
    expect(
      await checkAggregate(blobSourceOf(store), { ...input, documents, admitted: async () => true }),
    ).toMatchObject({ holds: false, reason: expect.stringContaining(reason) });
  });

  it("does not hold on measurements that are not those of the payload", async () => {
    expect(await withScreening((file) => (partOf(file).sketch = forged(partOf(file).sketch)))).toMatchObject({
      holds: false,
      reason: expect.stringContaining("was measured as something else"),
    });
    expect(await withScreening((file) => void (file.theta[fragment]! += 1))).toMatchObject({
      holds: false,
      reason: expect.stringContaining("another norm"),
    });
  });

  it("of which somebody is left out for a measure holds in every fragment or in none", async () => {
    const victim = workers[1]!.address.toLowerCase();
    const of = (how: "sent" | "invented") => ({
      tooLarge: (worker: string) => (worker === victim ? how : undefined),
    });
    const [honest, forged] = [await played("large", of("sent")), await played("framed", of("invented"))];
    const reason = `The payload of ${victim} was measured as something else than it is, in fragment ${UNREADABLE}.`;
    expect(await findingsOf(honest)).toEqual(inEvery({ holds: true, reason: "" }));
    expect(await findingsOf(forged)).toEqual(inEvery({ holds: false, reason }));
    // So are the norms of the checkpoint's own fragments, by which all are bounded.
    const elsewhere = await played("theta", {
      ...of("sent"),
      forgeScreening: ({ theta }) => void (theta[(fragment + 1) % fragments]! += 1),
    });
    expect(await checkAggregate(blobSourceOf(elsewhere.blobs), elsewhere.input)).toMatchObject({
      holds: false,
      reason: expect.stringContaining("another norm"),
    });
  });

  it("does not hold without a record", async () => {
    const documents = { ...input.documents, manifest: { ...input.documents.manifest, screening: null } };
    expect(await checkAggregate(blobSourceOf(store), { ...input, documents })).toMatchObject({ holds: false });
  });

  it("of nobody's work has a record like any other", async () => {
    const nobody = { workers: [] };
    const honest = await played("nobody", {}, nobody);
    expect(await checkAggregate(blobSourceOf(honest.blobs), honest.input)).toMatchObject({ holds: true, reason: "" });
    const forgeries: [(file: ScreeningFile) => void, string][] = [
      [(file) => void (file.medians = file.medians.map(() => 0x3727c5ac)), "medians"],
      [(file) => void (file.theta[fragment]! += 1), "another norm"],
      [(file) => void (file.paramsVersion += 1), "other parameters"],
      [(file) => void (file.gate.before = 1), "loss gate"],
    ];
    for (const [i, [change, reason]] of forgeries.entries()) {
      const forged = await played(`nobody-${i}`, {}, { ...nobody, forgeScreening: change });
      expect(await checkAggregate(blobSourceOf(forged.blobs), forged.input)).toMatchObject({
        holds: false,
        reason: expect.stringContaining(reason),
      });
    }
  });

  it("is judged by the records of all heads of the chain before it", async () => {
    const { blobs, input: of } = await played("history", {}, {}, {});
    expect(await checkAggregate(blobSourceOf(blobs), of)).toMatchObject({ holds: true });
    const [zero, first, second] = of.before as [PostedHead, PostedHead, PostedHead];
    const bytes = await blobs.get(first.checkpointDigest);
    const manifest = parseManifest(bytes);
    const { screening } = parseManifest(await blobs.get(second.checkpointDigest));
    // None, or the record of another round.
    for (const change of [{ screening: null }, { screening }]) {
      const { digest } = await blobs.put(new TextEncoder().encode(canonicalJson({ ...manifest, ...change })));
      const before = [zero, { ...first, checkpointDigest: digest }, second];
      expect(await checkAggregate(blobSourceOf(blobs), { ...of, before })).toMatchObject({
        holds: false,
        reason: expect.stringContaining("Checkpoint 1 names no screening of its round"),
      });
    }
  });

  it("reads no more of a shard than the run's fragment table makes it", async () => {
    const bytes = await store.get(input.parent.checkpointDigest);
    const manifest = parseManifest(bytes);
    const grown = manifest.fragments.map((part) => {
      const [length, { offset }] = [2 ** 48, part.parameters];
      const parameters = { ...part.parameters, bytes: length };
      const outer = { ...part.outer, offset: offset + length, bytes: length };
      return { ...part, parameters, outer, bytes: offset + 2 * length };
    });
    const { digest } = await store.put(new TextEncoder().encode(canonicalJson({ ...manifest, fragments: grown })));
    const limits: number[] = [];
    const source: BlobSource = {
      blob: async (run, asked, limit) => (limits.push(limit), blobSourceOf(store).blob(run, asked, limit)),
    };
    const parent = { ...input.parent, checkpointDigest: digest };
    expect(await checkAggregate(source, { ...input, parent })).toMatchObject({
      holds: false,
      reason: expect.stringContaining(`has ${2 ** 48} bytes of parameters`),
    });
    expect(Math.max(...limits)).toBeLessThanOrEqual(MAX_MANIFEST_BYTES);
  });
});

// Outcomes 1 to 3: an acknowledged payload is left out because it cannot be read.
describe("a payload that is recorded as unreadable", () => {
  const victim = workers[1]!.address.toLowerCase();
  const ofVictim = (outcome: number) => (worker: string) => (worker === victim ? outcome : 0);
  const { payloadMissing, payloadMalformed, nonFinite } = outcomeCode;
  const judged = (file: ScreeningFile) => file.workers.find(({ worker }) => worker === victim)!;

  it.each([
    ["payloadMissing", payloadMissing],
    ["payloadMalformed", payloadMalformed],
    ["nonFinite", nonFinite],
  ])(
    "holds where it is %s, and is found forged whichever fragment was drawn where anybody can read it",
    async (name, outcome) => {
      const honest = await played(`honest-${outcome}`, { outcome: ofVictim(outcome) });
      const forged = await played(`forged-${outcome}`, { outcome: () => 0, forgeOutcome: ofVictim(outcome) });
      const reason = `Fragment ${UNREADABLE} of the payload of ${victim} is recorded as ${name}; it can be read.`;
      expect(await findingsOf(honest)).toEqual(inEvery({ holds: true, reason: "" }));
      expect(await findingsOf(forged)).toEqual(inEvery({ holds: false, reason }));
    },
  );

  it.each([
    [nonFinite, payloadMalformed, "nonFinite"],
    [payloadMalformed, payloadMissing, "payloadMalformed"],
  ])("must have the outcome that the parser gives: %i is not %i", async (outcome, said, is) => {
    const { blobs, input: of } = await played(`other-${outcome}`, {
      outcome: ofVictim(outcome),
      forgeOutcome: ofVictim(said),
    });
    expect(await checkAggregate(blobSourceOf(blobs), of)).toMatchObject({
      holds: false,
      reason: expect.stringContaining(`; it is ${is}.`),
    });
  });

  it("is not judged while what would show it is withheld, nor taken for missing from who does not answer", async () => {
    const forged = await played("withheld", { forgeOutcome: ofVictim(nonFinite) });
    const { receipt } = forged.input.documents.file!.receipts.find((each) => each.receipt.worker === victim)!;
    const header = JSON.parse(
      new TextDecoder().decode(await forged.blobs.get(asDigest(receipt.payloadDigest))),
    ) as PayloadHeader;
    const digest = asDigest(header.fragments[UNREADABLE]!.digest);
    await forged.blobs.delete(digest);
    await expect(checkAggregate(blobSourceOf(forged.blobs), forged.input)).rejects.toMatchObject({
      code: "BLOB_MISSING",
    });

    const missing = await played("away", { forgeOutcome: ofVictim(payloadMissing) });
    const source = blobSourceOf(missing.blobs);
    const away: BlobSource = {
      blob: async (run, asked, limit) => {
        if (asked === digest) throw new CoordinatorError(0, "UNREACHABLE", "It does not answer.", { retryable: true });
        return source.blob(run, asked, limit);
      },
    };
    await expect(checkAggregate(away, missing.input)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  it.each([
    ["a payload's header", payloadMalformed, undefined],
    ["the fragment that is said to be malformed", payloadMalformed, UNREADABLE],
    ["a fragment that was read", 0, fragment],
  ])("is not judged by an answer that is too long to be looked at, of %s", async (what, said, index) => {
    const { blobs, input: of } = await played(what, said === 0 ? {} : { forgeOutcome: ofVictim(said) });
    const { receipt } = of.documents.file!.receipts.find((each) => each.receipt.worker === victim)!;
    const payload = asDigest(receipt.payloadDigest);
    const { fragments: parts } = JSON.parse(new TextDecoder().decode(await blobs.get(payload))) as PayloadHeader;
    const long = index === undefined ? payload : parts[index]!.digest;
    const source = blobSourceOf(blobs);
    let code = "";
    const lying: BlobSource = {
      blob: async (run, asked, limit) => {
        if (asked === long) throw new CoordinatorError(200, code, "It is larger than allowed.");
        return source.blob(run, asked, limit);
      },
    };
    // What a coordinator calls an error is no more than its word.
    for (code of ["ANSWER_TOO_LARGE", "BLOB_TOO_LARGE"])
      await expect(checkAggregate(lying, of)).rejects.toMatchObject({ code });
  });

  it("holds where the reader itself finds the fragment longer than its header says", async () => {
    const { blobs, input: of } = await played("longer", { outcome: ofVictim(payloadMalformed) });
    const { receipt } = of.documents.file!.receipts.find((each) => each.receipt.worker === victim)!;
    const { fragments: parts } = JSON.parse(
      new TextDecoder().decode(await blobs.get(asDigest(receipt.payloadDigest))),
    ) as PayloadHeader;
    const source = blobSourceOf(blobs);
    const bounded: BlobSource = {
      blob: async (run, asked, limit) => {
        if (asked === parts[UNREADABLE]!.digest) throw new BlobError("BLOB_TOO_LARGE", "It is larger than allowed.");
        return source.blob(run, asked, limit);
      },
    };
    expect(await checkAggregate(bounded, of)).toMatchObject({ holds: true, reason: "" });
  });

  it("names the fragment, and has no measurements to be held against others", async () => {
    const { blobs, input: of } = await played("form", { outcome: ofVictim(nonFinite) });
    const bytes = await blobs.get(asDigest(of.documents.manifest.screening!));
    for (const [change, reason] of [
      [(file: ScreeningFile) => void delete judged(file).unreadable, "unreadable, but in no fragment"],
      [(file: ScreeningFile) => void (judged(file).unreadable = fragments), "unreadable, but in no fragment"],
      [(file: ScreeningFile) => void (judged(file).fragments = file.workers[0]!.fragments), "and was measured"],
      [(file: ScreeningFile) => void (file.workers[0]!.unreadable = 0), "a fragment that could not be read"],
      [(file: ScreeningFile) => void file.workers[0]!.fragments.pop(), "was judged unseen"],
    ] as const) {
      const file = JSON.parse(new TextDecoder().decode(bytes)) as ScreeningFile;
      change(file);
      const { digest } = await blobs.put(new TextEncoder().encode(canonicalJson(file)));
      const documents = { ...of.documents, manifest: { ...of.documents.manifest, screening: digest } };
      expect(await checkAggregate(blobSourceOf(blobs), { ...of, documents })).toMatchObject({
        holds: false,
        reason: expect.stringContaining(reason),
      });
    }
  });
});
