/**
 * A model's next run on a real node: made of what the last one ended with, refused where that is not over, paid or whole, told to who
 * decides, announced by the organiser of a young model, and taken up by the directory whose run is over.
 */
import { cpSync } from "node:fs";
import { join } from "node:path";

import { admitBuild, openRunOf, registerRun, type RunConfig, runOf, setPoster, setStatus } from "@cotrain/sdk/actions";
import { asDigest, type Definition, digestOfJson, type Hex, runStatus } from "@cotrain/sdk/protocol";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";

import { connect, createReader } from "../../../offchain/src/chain/index.ts";
import {
  blobSourceOf,
  nextRunOf,
  openLocalRun,
  readRunEnd,
  registeredAfter,
  saltAfter,
  takeUpNextRun,
} from "../../../offchain/src/run/index.ts";
import { openRoleDirectory } from "../../../offchain/src/service/index.ts";
import { parseBuild, putDocument, readCheckpoint, readManifest } from "../../../offchain/src/storage/index.ts";
import { settle } from "../chain/settle.ts";
import { keepOrganiser } from "./organiser.ts";
import { postTexts } from "./postTexts.ts";
import { registerWords } from "./registerWords.ts";
import { staged, told } from "./staged.ts";
import { cotrain, cotrainHere } from "./support.ts";

const stage = staged(["worker-1"], { young: true });
const at = () => ["--state", stage.state];
const byOrganiser = () => [...at(), ...stage.by("organiser")];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const next = (...line: readonly string[]) => ["run", "next", ...line];

beforeAll(() => keepOrganiser(stage.keys));

/** The directory has what the world published, as its coordinator would. */
beforeEach(() => cpSync(join(stage.node.directory, "blobs"), join(stage.state, "blobs"), { recursive: true }));

/** The holders end the run, as nobody is there to count votes. */
async function ended(): Promise<void> {
  const { contracts: addresses, runId } = stage.world;
  const status = runStatus.finished;
  await stage.asHolders((account) =>
    setStatus.sync(stage.client, { addresses, runId, status, account, pollingInterval: 20 }),
  );
}

async function refused(...line: readonly string[]): Promise<{ code: number | null; said: string }> {
  const { code, stderr } = await cotrainHere([...next(...line), "--dry-run", ...at()]);
  return { code, said: flat(stderr) };
}

interface Shown {
  readonly title: string;
  readonly runId: Hex;
  readonly definition: Hex;
  readonly initialCheckpoint: Hex;
  readonly builds: readonly Hex[];
  readonly step: string;
  readonly readyAt: number;
  readonly call: { readonly words: string };
}

describe("is refused", () => {
  test("while the last run goes on", async () => {
    const { code, said } = await refused();
    expect(code).toBe(1);
    expect(said).toContain(`Run ${stage.world.runId} has not ended, and a model has one run at a time`);
  });

  test("until a root pays what it earned last, unless that is given up", async () => {
    await postTexts(stage, "one");
    await ended();
    const { code, said } = await refused();
    expect(code).toBe(75);
    expect(said).toMatch(/no active root covers epoch \d+, in which its checkpoint 1 was anchored/);
    // Then what lacks is the checkpoint itself, which here is no more than its name.
    expect((await refused("--leave-unpaid")).said).not.toContain("no active root");
  });

  test("after a run that has other fragments on-chain than in its definition", async () => {
    await ended();
    const place = await placeOf();
    const { reader, runId } = place;
    const other: typeof reader = { ...reader, run: async (id) => ({ ...(await reader.run(id)), fragments: 8 }) };
    await expect(
      nextRunOf({ ...place, reader: other }, { changes: {}, leaveUnpaid: false, keepRejected: false }),
    ).rejects.toMatchObject({
      code: "DOCUMENT_FRAGMENTS",
      message: expect.stringContaining(`Run ${runId} has 8 fragments on-chain and 4 in its definition`),
    });
  });

  test("with parameters that the last run's bounds do not allow", async () => {
    await ended();
    const { code, said } = await refused("innerSteps=5000");
    expect([code, said.includes("innerSteps")]).toEqual([1, true]);
  });

  test("where the shards of its last checkpoint are not whole", async () => {
    await ended();
    const { blobs } = await openLocalRun(stage.state);
    const { fragments } = await readManifest(blobs, stage.world.publisher.checkpoint().digest);
    await blobs.delete(asDigest(fragments[1]!.digest));
    const { code, said } = await refused();
    expect([code, said.includes("is not whole here")]).toEqual([1, true]);
  });

  test("elsewhere than where its blobs are", async () => {
    await ended();
    const { code, stderr } = await cotrainHere([...next("--dry-run"), ...stage.pins()]);
    expect([code, flat(stderr).includes("make it in the directory whose coordinator serves the run")]).toEqual([
      1,
      true,
    ]);
  });
});

async function placeOf() {
  const { contracts: addresses, modelId, runId, fromBlock, chainId } = stage.world;
  const { blobs } = await openLocalRun(stage.state);
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const reader = createReader(connection, { contracts: addresses, fromBlock });
  return { connection, reader, addresses, fromBlock, blobs, modelId, runId };
}

const wordsOf = (config: RunConfig): Promise<string> => registerWords(stage, config);

test("is told with what it begins with, who posts it, and its bounds", async () => {
  await ended();
  const place = await placeOf();
  const { reader, blobs, runId } = place;
  const made = await nextRunOf(place, { changes: {}, leaveUnpaid: false, keepRejected: false });
  await made.keep(blobs);
  const told = await wordsOf(made.config);
  expect(told).toContain(
    `it begins with exactly what run ${runId} ended with, its checkpoint ${made.end.manifest.round};`,
  );
  expect(told).toContain("alone posts its heads, who did so before; its bounds are those of the run before;");

  expect(told).toContain("its builds have the programs of the run before;");

  // What workers begin with is checkpoint 0, whatever a definition says.
  const swapped = await wordsOf({ ...made.config, initialCheckpoint: digestOfJson("others") });
  expect(swapped).toContain(`it begins with PARAMETERS OTHER THAN THOSE THAT RUN ${runId} ENDED WITH`);

  const { definition } = await readRunEnd({ reader, blobs: blobSourceOf(blobs) }, runId);
  const untrained: Definition = { ...definition, initialParameters: digestOfJson("others") };
  const poster = `0x${"b7".repeat(20)}` as const;
  const max = { ...made.config.max, innerSteps: 5_000 };
  const another = await wordsOf({ ...made.config, definition: await putDocument(blobs, untrained), poster, max });
  expect(another).toContain(`it begins with PARAMETERS OTHER THAN THOSE THAT RUN ${runId} ENDED WITH`);
  expect(another).toMatch(
    /alone posts its heads, WHERE 0x[\da-fA-F]{40} DID before; its upper bounds are OTHERS, for ever: /,
  );
  const elsewhere: Definition = { ...definition, initialParameters: made.end.parameters, data: digestOfJson("others") };
  const [build] = made.config.builds;
  const other = await wordsOf({ ...made.config, definition: await putDocument(blobs, elsewhere) });
  expect(other).toContain(`its checkpoint ${made.end.manifest.round}, and its definition has ANOTHER data;`);
  expect(other).toContain(`its builds ${build} are NOT KNOWN FROM THE RUN BEFORE, and may have OTHER PROGRAMS;`);
  const absent = await wordsOf({ ...made.config, definition: digestOfJson("nowhere") });
  expect(absent).toContain("WHAT IT BEGINS WITH CANNOT BE SEEN");

  // No contract looks at the table.
  expect(told).toContain("it has 4 fragments, as its definition;");
  expect(await wordsOf({ ...made.config, fragments: 1 })).toContain(
    "IT HAS 1 FRAGMENTS, AND ITS DEFINITION 4: NO WORKER",
  );
  const table = definition.table.map((entry) => (entry.fragment === 3 ? { ...entry, fragment: 4 } : entry));
  const gap = await putDocument(blobs, { ...definition, table });
  expect(await wordsOf({ ...made.config, definition: gap })).toContain(
    "ITS DEFINITION LEAVES OUT A FRAGMENT BELOW ITS LARGEST: NO WORKER",
  );
  expect(absent).toContain("WHETHER ITS DEFINITION HAS 4 FRAGMENTS WAS NOT SEEN (");
});

test("a directory goes on with the programs that it had, where the next run has them", async () => {
  await ended();
  const place = await placeOf();
  const { addresses, modelId, runId, reader, blobs } = place;
  const made = await nextRunOf(place, { changes: {}, leaveUnpaid: false, keepRejected: false });
  await made.keep(blobs);
  const asHolders = { addresses, pollingInterval: 20 };
  const registration = { modelId, salt: saltAfter(runId), config: made.config };
  await stage.asHolders((account) => registerRun.sync(stage.client, { ...asHolders, ...registration, account }));

  const [build] = await reader.buildsOf(runId);
  const first = parseBuild(await blobs.get(build!));
  const own = { ...first, runtime: "another" };
  const before = await openLocalRun(stage.state);
  const settings = { ...before.file.settings, build: await putDocument(blobs, own) };
  const taken = async () => {
    const { run } = await takeUpNextRun({ ...before, file: { ...before.file, settings } }, stage.node.url);
    return [run.runId, run.file.settings?.["build"]];
  };
  expect(await taken()).toEqual([made.runId, made.config.builds[0]]);
  const its = digestOfJson({ ...own, definition: made.config.definition });
  const admission = { runId: made.runId, build: its, admitted: true };
  await stage.asHolders((account) => admitBuild.sync(stage.client, { ...asHolders, ...admission, account }));
  expect(await taken()).toEqual([made.runId, its]);
});

test("is announced, registered a window later, and taken up: it begins with the bits that the last one ended with", async () => {
  const { contracts: addresses, modelId, runId, url } = stage.world;
  await settle(stage.node, stage.world);
  await ended();
  cpSync(join(stage.node.directory, "blobs"), join(stage.state, "blobs"), { recursive: true });
  const before = await openLocalRun(stage.state);
  const last = stage.world.publisher.checkpoint();
  expect(last.round).toBe(1);

  const shown = await told<Shown>(...next("innerSteps=16", "--announce", "--dry-run"), ...at());
  expect(shown.title).toBe(`next run, from checkpoint 1 of run ${runId}: 8 → 16 inner steps per round`);
  expect(await before.blobs.size(asDigest(shown.definition))).toBeUndefined();

  const announced = await told<Shown>(...next("innerSteps=16", "--announce"), ...byOrganiser());
  expect(announced).toMatchObject({ step: "announce", runId: shown.runId, initialCheckpoint: shown.initialCheckpoint });
  expect(await takeUpNextRun(before, url)).toMatchObject({ run: before, said: undefined });
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(announced.readyAt) });
  await stage.client.mine({ blocks: 1 });
  expect(await told<Shown>(...next("innerSteps=16", "--announce"), ...byOrganiser())).toMatchObject({
    step: "carryOut",
  });
  expect(await openRunOf(stage.client, { addresses, modelId })).toBe(shown.runId);
  expect(await runOf(stage.client, { addresses, runId: shown.runId })).toMatchObject({ definition: shown.definition });
  const again = await told<{ registered: Hex }>(...next(), ...at());
  expect(again.registered).toBe(shown.runId);

  // Where its documents are not, nothing is taken up, and that is said.
  for (const needed of [asDigest(shown.initialCheckpoint), asDigest(shown.definition)]) {
    const bytes = await before.blobs.get(needed);
    await before.blobs.delete(needed);
    const elsewhere = await takeUpNextRun(before, url);
    expect([elsewhere.run, elsewhere.said?.includes("its documents are not in")]).toEqual([before, true]);
    await before.blobs.put(bytes);
  }

  // Nor where another posts: whoever has not that key would serve neither.
  const { poster } = await runOf(stage.client, { addresses, runId });
  const posts = async (who: Hex) =>
    stage.asHolders((account) =>
      setPoster.sync(stage.client, { addresses, runId: shown.runId, poster: who, account, pollingInterval: 20 }),
    );
  await posts(`0x${"b7".repeat(20)}`);
  const foreign = await takeUpNextRun(before, url);
  expect([foreign.run, foreign.said?.includes("posts its heads, not")]).toEqual([before, true]);
  expect((await openLocalRun(stage.state)).runId).toBe(runId);
  await posts(poster);

  // Nor by a second coordinator, which is refused.
  const served = await openRoleDirectory(stage.state, "coordinator", { create: true });
  const second = await cotrain(["coordinator", ...byOrganiser()]);
  expect([second.code, flat(second.stderr).includes("is in use by another Cotrain process")]).toEqual([1, true]);
  expect((await openLocalRun(stage.state)).runId).toBe(runId);
  served.close();

  const { said, keep } = await takeUpNextRun(before, url);
  expect(said).toContain(`goes on with run ${shown.runId}, from its checkpoint 1.`);
  // Until it has opened nothing is written down.
  expect((await openLocalRun(stage.state)).runId).toBe(runId);
  await keep();
  const after = await openLocalRun(stage.state);
  expect([after.runId, after.earlier]).toEqual([shown.runId, [runId]]);
  // A node that lags shows the old one alone, which is nothing to go on with.
  const lagging = { ...after, reader: { runsOf: async () => [runId] } };
  expect(await registeredAfter(lagging as unknown as Parameters<typeof registeredAfter>[0])).toBeUndefined();
  const { table } = stage.world.definition;
  const begun = await readCheckpoint(after.blobs, asDigest(shown.initialCheckpoint), table);
  expect(begun.states).toEqual(last.states);
  expect(begun.manifest).toMatchObject({ runId: shown.runId, round: 0, step: 0, tokens: "0", parent: null });

  const walked = await told<{ origin: object; sound: boolean }>("verify", ...at());
  expect(walked).toMatchObject({ sound: true, origin: { after: runId, round: 1, continues: true } });
  expect(await told("verify", ...at(), "--run", runId)).toMatchObject({ sound: true, runId, origin: null, ok: 2 });
  const lines = await cotrainHere(["verify", ...at()]);
  expect(flat(lines.stdout)).toContain(`The run began with exactly what run ${runId} ended with, its checkpoint 1.`);
  const { params } = await told<{ params: { innerSteps: number } }>("params", ...at());
  expect(params.innerSteps).toBe(16);
  expect(await told("params", ...at(), "--run", runId)).toMatchObject({ params: { innerSteps: 8 } });
}, 120_000);
