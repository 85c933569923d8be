/** A next run of one that validators judged: its rejected checkpoints and its suspended poster are told of, and go on by no oversight. */
import { cpSync } from "node:fs";
import { join } from "node:path";

import { isSuspended, registerRun, type RunConfig, setStatus } from "@cotrain/sdk/actions";
import {
  asAddress,
  domainFor,
  drawnFragment,
  type Hex,
  runStatus,
  SORTITION_DELAY_BLOCKS,
  sortitionSeed,
  toWire,
  typedDataOf,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { beforeAll, expect, test } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { connect, createReader, openChain, type PostedHead } from "../../../offchain/src/chain/index.ts";
import {
  blobSourceOf,
  nextRunOf,
  openLocalRun,
  rejectedBefore,
  saltAfter,
  takeUpNextRun,
  withEpochAccounts,
} from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { rejectedOf } from "../../../offchain/src/cli/rejected.ts";
import { publishEpoch, signaturesUnder } from "../chain/attested.ts";
import { pass } from "../chain/settle.ts";
import { fragments, poster, validators } from "../chain/world.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import { keepOrganiser } from "./organiser.ts";
import { registerWords } from "./registerWords.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

const stage = staged([], { young: true });
const at = () => ["--state", stage.state];
const next = (...line: readonly string[]) => ["run", "next", ...line, "--dry-run", "--announce", ...at()];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

beforeAll(() => keepOrganiser(stage.keys));

/** The holders end the run; the directory has what the world published, as its coordinator would. */
async function ended(): Promise<void> {
  const { contracts: addresses, runId } = stage.world;
  await stage.asHolders((account) =>
    setStatus.sync(stage.client, { addresses, runId, status: runStatus.finished, account, pollingInterval: 20 }),
  );
  cpSync(join(stage.node.directory, "blobs"), join(stage.state, "blobs"), { recursive: true });
}

async function placeOf() {
  const { contracts: addresses, modelId, runId, fromBlock, chainId } = stage.world;
  const { blobs } = await openLocalRun(stage.state);
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const reader = createReader(connection, { contracts: addresses, fromBlock });
  return { connection, reader, addresses, fromBlock, blobs, modelId, runId };
}

const registered = (config: RunConfig) => {
  const { contracts: addresses, modelId, runId } = stage.world;
  const call = { addresses, modelId, salt: saltAfter(runId), config };
  return stage.asHolders((account) => registerRun.sync(stage.client, { ...call, account, pollingInterval: 20 }));
};

async function refused(...line: readonly string[]): Promise<{ code: number | null; said: string }> {
  const { code, stderr } = await cotrainHere(next(...line));
  return { code, said: flat(stderr) };
}

/** A verdict of every validator that a head's fragments are not what its receipts make. */
function rejections({ head, block }: PostedHead, blockHash: Hex) {
  const { chainId, contracts, runId } = stage.world;
  const domain = domainFor(chainId, asAddress(contracts.runRegistry));
  return Promise.all(
    validators.map(async (account) => {
      const validator = asAddress(account.address);
      const index = drawnFragment(sortitionSeed(blockHash, head, validator), fragments);
      const kind = verdictKind.aggregate;
      const worker = asAddress(`0x${"0".repeat(40)}`);
      const struct = { runId, round: 0n, head, validator, kind, worker, index, value: 0n, evidence: zeroHash };
      const issued = { ...struct, issuedAt: BigInt(block) };
      const signature = await account.signTypedData(typedDataOf(domain, "Verdict", issued));
      return { verdict: toWire("Verdict", issued), signature };
    }),
  );
}

/** A round that everybody rejects and an honest one behind it, under a root that pays both as they deserve. */
async function rejectedThenPaid(): Promise<void> {
  const { world } = stage;
  const { contracts, modelId, runId, fromBlock, chainId, url: rpcUrl } = world;
  // Time stands between blocks: no deadline runs out while this machine is busy with something else.
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  const database = await openDatabase<JobSchema>(join(temporaryDirectory(), "jobs.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const options = { chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 };
  const chain = withEpochAccounts(await openChain(options, { account: poster, jobs }));
  const { head: parentHead } = await chain.head(runId);
  const forged = await world.publisher.round({ forge: (states) => states.forEach(({ params }) => params.fill(0)) });
  await chain.postHead({ ...forged.fields, parentHead }, "forged");
  await stage.client.mine({ blocks: Number(SORTITION_DELAY_BLOCKS) + 1 });
  const head = (await chain.headsSince(runId, 0)).at(-1)!;
  const verdicts = await rejections(head, (await chain.blockHash(head.block + Number(SORTITION_DELAY_BLOCKS)))!);
  const honest = await world.publisher.round();
  await chain.postHead({ ...honest.fields, parentHead: head.head }, "honest");
  await pass(stage.node, 16);
  const epoch = (await dueEpoch(chain, modelId))!;
  const result = await chain.computeEpoch({ modelId, epoch, verdicts }, world.blobs);
  if (result.kind === "nothing") throw new TypeError(result.reason);
  const { attestation } = result.computation;
  await publishEpoch(world, result.computation);
  const signatures = await signaturesUnder({ chainId, contracts }, attestation, validators);
  await chain.postRoot(attestation, signatures, "root");
  await pass(stage.node, 4);
  await chain.activateRoot(modelId, epoch, "activate");
  await chain.close();
  await database.close();
}

test("a poster that validators suspended is named again by nobody, and whoever votes is told of it", async () => {
  const { contracts: addresses, runId } = stage.world;
  const suspended = await cotrainHere(["poster", "suspend", "--yes", ...at(), ...stage.by("organiser")]);
  expect([suspended.code, await isSuspended(stage.client, { addresses, runId })]).toEqual([0, true]);
  await ended();
  const { code, said } = await refused();
  expect([code, said.includes(`suspended ${poster.address}, who posts run ${runId}`)]).toEqual([1, true]);
  expect((await refused("--poster", poster.address)).said).toContain("name another with --poster");

  const another = asAddress(`0x${"b7".repeat(20)}`);
  const place = await placeOf();
  const wanted = { changes: {}, leaveUnpaid: false, keepRejected: false };
  const made = await nextRunOf(place, { ...wanted, poster: another });
  expect(made.config.poster).toBe(another);
  await made.keep(place.blobs);
  expect(await registerWords(stage, { ...made.config, poster: poster.address })).toContain(
    "alone posts its heads, WHOM VALIDATORS SUSPENDED in the run before;",
  );
  const shown = await told<{ poster: Hex }>(...next("--poster", another));
  expect(shown.poster.toLowerCase()).toBe(another);
});

test("what validators rejected is told of the run that goes on from it, and is refused unless it is kept", async () => {
  const { runId } = stage.world;
  await rejectedThenPaid();
  await ended();
  const subject = `checkpoint 1 of run ${runId}`;
  const { code, said } = await refused();
  expect([code, said.includes(`Validators rejected ${subject}, from which the next run would go on`)]).toEqual([
    1,
    true,
  ]);
  const shown = await told<{ title: string; rejected: object }>(...next("--keep-rejected"));
  expect(shown.rejected).toEqual([{ runId, rounds: [1] }]);
  expect(shown.title).toContain(`though validators rejected ${subject}`);

  const place = await placeOf();
  const made = await nextRunOf(place, { changes: {}, leaveUnpaid: false, keepRejected: true });
  await made.keep(place.blobs);
  expect(await registerWords(stage, made.config)).toContain(
    `its checkpoint 2, AND GOES ON FROM ${subject}, WHICH VALIDATORS REJECTED;`,
  );

  // One that begins with other parameters has nothing of them, whatever its definition names.
  const before = await stage.client.snapshot();
  const [first] = await place.reader.headsSince(runId, 0);
  await registered({ ...made.config, initialCheckpoint: first!.checkpointDigest });
  const otherwise = { reader: (await placeOf()).reader, blobs: blobSourceOf(place.blobs) };
  expect(await rejectedBefore(otherwise, made.runId)).toEqual([]);
  await stage.client.revert({ id: before });

  await registered(made.config);
  const taken = await takeUpNextRun(await openLocalRun(stage.state), stage.node.url);
  expect(taken.said).toContain(`Validators rejected ${subject}, which is in what it trains.`);
  await taken.keep();

  const { reader, blobs } = await placeOf();
  // A checkpoint before it has nothing of it.
  const of = async (checkpoint?: string) => (await rejectedOf(reader, blobs, runId, checkpoint)).found;
  expect(await of()).toEqual({ rejected: [1], inherited: [] });
  expect(await of(first!.checkpointDigest)).toEqual({ rejected: [], inherited: [] });
  const { found, lines } = await rejectedOf(reader, blobs, made.runId);
  expect([found, lines]).toEqual([
    { rejected: [], inherited: [{ runId, rounds: [1] }] },
    [`Validators rejected ${subject}, from which this run goes on: what was put into the model there is still in it.`],
  ]);
  const status = await cotrainHere(["status", ...at()]);
  expect(flat(status.stdout)).toContain(`Validators rejected ${subject}`);
  expect(await told("status", ...at())).toMatchObject({ inherited: [{ runId, rounds: [1] }] });
  const walked = await cotrainHere(["verify", "--json", ...at()]);
  expect(walked.code).toBe(1);
  expect(JSON.parse(walked.stdout)).toMatchObject({ sound: false, inherited: [{ runId, rounds: [1] }], mismatch: 0 });
  const walkedLines = await cotrainHere(["verify", ...at()]);
  expect(flat(walkedLines.stdout)).toContain(`FAIL Validators rejected ${subject}`);
  // Whoever lost the documents that say what it goes on from is told no less.
  const source = blobSourceOf(blobs);
  await blobs.delete((await reader.headsSince(runId, 0)).at(-1)!.checkpointDigest);
  expect(await rejectedBefore({ reader: (await placeOf()).reader, blobs: source }, made.runId)).toEqual([
    { runId, rounds: [1] },
  ]);
}, 120_000);
