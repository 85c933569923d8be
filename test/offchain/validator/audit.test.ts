/** The losses of a round's gate, measured again by a validator. What stands for a program's loss is a function of parameters. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  type Address,
  asDigest,
  canonicalJson,
  digestOfJson,
  MAX_MANIFEST_BYTES,
  type ScreeningFile,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { blobSourceOf } from "../../../offchain/src/run/index.ts";
import { type BlobStore, parseManifest } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { type AggregateCheckInput, auditGate, type AuditFinding } from "../../../offchain/src/validator/index.ts";
import { contracts } from "../run/ledger.ts";
import { headOf, runId } from "./heads.ts";
import {
  conformance,
  createInitial,
  createPublisher,
  lossOf,
  params,
  type RoundOptions,
  workers,
} from "../chain/world.ts";

const place = { chainId: 31_337, contracts, runId };
const addresses = workers.map(({ address }) => address.toLowerCase() as Address);
let directory: string;
let store: BlobStore;
let initial: Awaited<ReturnType<typeof createInitial>>;
let input: AggregateCheckInput;
let record: ScreeningFile;

/** Parameters by fragment after rounds from the same start, one if not said. */
async function trained(...rounds: RoundOptions[]): Promise<Float32Array[]> {
  const publisher = createPublisher(store, place, initial);
  for (const options of rounds.length > 0 ? rounds : [{}]) await publisher.round(options);
  return publisher.checkpoint().states.map((state) => state.params);
}

/** The last of some rounds from the same start, and its record. */
async function played(rounds: number): Promise<{ input: AggregateCheckInput; record: ScreeningFile }> {
  const publisher = createPublisher(store, place, initial);
  const heads = [headOf(0, initial.digest)];
  let documents: AggregateCheckInput["documents"] | undefined;
  for (let round = 1; round <= rounds; round++) {
    const { file, leaves } = await publisher.round();
    const { digest } = publisher.checkpoint();
    heads.push(headOf(round, digest));
    documents = { manifest: parseManifest(await store.get(digest, MAX_MANIFEST_BYTES)), file, leaves };
  }
  const screening = asDigest(documents!.manifest.screening!);
  const record = JSON.parse(new TextDecoder().decode(await store.get(screening))) as ScreeningFile;
  const { definition, build } = initial;
  const [head, parent, before] = [heads.at(-1)!, heads.at(-2)!, heads.slice(0, -1)];
  const admitted = async (digest: string): Promise<boolean> => digest === build;
  return { input: { head, parent, before, documents: documents!, definition, params, admitted, fragment: 0 }, record };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-audit-"));
  store = await openBlobStore(join(directory, "blobs"));
  initial = await createInitial(store, runId);
  ({ input, record } = await played(1));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The finding where the record's gate is another one. */
async function audited(
  gate: Partial<ScreeningFile["gate"]>,
  options: { conformance?: string; measure?: typeof lossOf } = {},
  of = { input, record },
): Promise<AuditFinding & { asked: number }> {
  const file: ScreeningFile = { ...of.record, gate: { ...of.record.gate, ...gate } };
  const { digest } = await store.put(new TextEncoder().encode(canonicalJson(file)));
  const { documents } = of.input;
  const measure = options.measure ?? lossOf;
  let asked = 0;
  const finding = await auditGate(
    {
      blobs: blobSourceOf(store),
      measure: async (parameters, { sequences }) => measure(parameters, sequences),
      conformance: async () => ((asked += 1), options.conformance ?? conformance),
    },
    {
      ...of.input,
      documents: { ...documents, manifest: { ...documents.manifest, screening: digest } },
    },
  );
  return { ...finding, asked };
}
/** A loss that rises with training, so that no pass holds. */
const rising: typeof lossOf = (parameters, sequences) =>
  lossOf(parameters, sequences) + (parameters[0]![0] === initial.states[0]!.params[0] ? 0 : 500_000);
const passOf = (after: number | null): ScreeningFile["gate"]["passes"] => [{ after, tried: [], leftOut: [] }];

// foundation 2
describe("an audit of a loss gate", () => {
  it("finds true losses true, without computing whose class the machine is of", async () => {
    expect(await audited({})).toMatchObject({ problem: "", losses: 2, asked: 0 });
  });

  it("finds a forged loss of θ, and of θ′", async () => {
    const { before, passes } = record.gate;
    const { after } = passes[0]!;
    for (const gate of [{ before: before! + 1_001 }, { before: before! - 1_001 }])
      expect((await audited(gate)).problem).toContain(
        `records ${gate.before} for the checkpoint before, where ${before}`,
      );
    for (const forged of [after! + 1_001, after! - 1_001])
      expect((await audited({ passes: passOf(forged) })).problem).toContain(
        `records ${forged} for pass 0, where ${after}`,
      );
  });

  it("allows another class the tolerance, its own none", async () => {
    const { before } = record.gate;
    const gate = { before: before! + 1_000 };
    const other = digestOfJson("a machine of another class");
    expect(await audited(gate, { conformance: other })).toMatchObject({ problem: "", asked: 1 });
    // Nor is it about the build's class: who measured honestly on another machine is no liar to those of that class.
    expect(await audited({ ...gate, conformance: other })).toMatchObject({ problem: "", asked: 1 });
    const foreign = await audited({ ...gate, conformance: other }, { conformance: other });
    expect(foreign).toMatchObject({ problem: expect.stringContaining("of its class"), asked: 1 });
    const own = await audited({ before: before! + 1 });
    expect(own).toMatchObject({ problem: expect.stringContaining("of its class"), asked: 1 });
    expect(own.evidence).not.toBe((await audited({})).evidence);
  });

  it("finds a loss that was invented to leave somebody out", async () => {
    const truth = lossOf(await trained(), record.gate.sequences);
    const passes = [
      {
        after: 9_000_000,
        tried: [{ first: 0, count: 2, without: false, loss: truth }],
        leftOut: [addresses[0]!],
      },
      ...passOf(truth),
    ];
    expect((await audited({ passes })).problem).toContain(`records 9000000 for pass 0, where ${truth} is measured`);
  });

  it("makes anew what was tried of some alone, and of all but some", async () => {
    const { sequences, before } = record.gate;
    const workers = addresses.toSorted();
    const tried: ScreeningFile["gate"]["passes"][number]["tried"] = [];
    for (const [first, count, without] of [
      [0, 0, false],
      [0, 2, false],
      [2, 1, false],
      [0, 2, true],
      [2, 1, true],
      [0, 1, true],
      [1, 1, true],
    ] as const) {
      // The others weigh what they weigh, times 0.
      const silent = workers.filter((_, i) => (i < first || i >= first + count) !== without);
      tried.push({ first, count, without, loss: rising(await trained({ silent }), sequences) });
    }
    const after = rising(await trained(), sequences);
    const passes = [{ after, tried, leftOut: [] }];
    expect(await audited({ before, passes }, { measure: rising })).toMatchObject({ problem: "", losses: 9, asked: 0 });
    const forged = [{ after, tried: tried.with(2, { ...tried[2]!, loss: tried[2]!.loss! - 5_000 }), leftOut: [] }];
    expect((await audited({ before, passes: forged }, { measure: rising })).problem).toContain(
      "pass 0 of 1 payloads from number 2 on",
    );
  });

  it("makes anew what was tried after the momentum was dropped without it, and before that with it", async () => {
    const second = await played(2);
    const { sequences, before } = second.record.gate;
    const base = (await trained({}))[0]![0];
    const harmful: typeof lossOf = (parameters, of) =>
      lossOf(parameters, of) + (parameters[0]![0] === base ? 0 : 500_000);
    const lossAfter = async (options: RoundOptions) => harmful(await trained({}, options), sequences);
    const [nobody, one] = [[...addresses], addresses.toSorted().slice(1)];
    const passes = [
      {
        after: await lossAfter({}),
        tried: [{ first: 0, count: 0, without: false, loss: await lossAfter({ silent: nobody }) }],
        leftOut: [],
      },
      {
        after: await lossAfter({ anew: true }),
        tried: [{ first: 0, count: 1, without: false, loss: await lossAfter({ anew: true, silent: one }) }],
        leftOut: [],
      },
    ];
    const found = await audited({ before, passes }, { measure: harmful }, second);
    expect(found).toMatchObject({ problem: "", losses: 5, asked: 0 });
    // Where nobody's loss does not say so, the momentum is in all of them.
    const kept = [{ ...passes[0]!, tried: [] }, passes[1]!];
    expect((await audited({ before, passes: kept }, { measure: harmful }, second)).problem).toContain("for pass 1,");
  });

  it("measures what a checkpoint has for a loss that is said to have none", async () => {
    const { before } = record.gate;
    expect((await audited({ before: null })).problem).toContain(
      `records null for the checkpoint before, where ${before}`,
    );
  });

  it("takes no number for a loss that is none, nor none for a number", async () => {
    const { after } = record.gate.passes[0]!;
    expect((await audited({ passes: passOf(null) })).problem).toContain(`records null for pass 0, where ${after}`);
    for (const nothing of [NaN, Infinity])
      expect((await audited({}, { measure: () => nothing })).problem).toContain("where null is measured");
  });

  it("has no finding where a shard is not to be had", async () => {
    const gone = input.documents.manifest.fragments[2]!.digest;
    const blobs = blobSourceOf(store);
    const found = auditGate(
      {
        blobs: {
          blob: async (run, digest, limit) => {
            if (digest === gone) throw new RangeError("It is nowhere.");
            return blobs.blob(run, digest, limit);
          },
        },
        measure: async (parameters, { sequences }) => lossOf(parameters, sequences),
        conformance: async () => conformance,
      },
      input,
    );
    await expect(found).rejects.toThrow("It is nowhere.");
  });
});
