/** A run posted, settled and verified on a real node; then everything that can be tampered with is. */
import { CoordinatorError } from "@cotrain/sdk/errors";
import { authorisable, claim, rootActivated, rootPosted, unpaidLeaves } from "@cotrain/sdk/actions";
import {
  type Address,
  asDigest,
  canonicalJson,
  digestOfJson,
  type HeadHash,
  outcomeCode,
  type ReceiptsFile,
  rewardTree,
  type ScreeningFile,
} from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { chainError, type ChainReader, openReader, type PostedHead } from "../../../offchain/src/chain/index.ts";
import {
  type BlobSource,
  type EpochComputation,
  rejectedHeads,
  type LocalRun,
} from "../../../offchain/src/run/index.ts";
import { chosenCheckpoint } from "../../../offchain/src/cli/commands/checkpoint.ts";
import { anchorOf } from "../../../offchain/src/cli/commands/verify.ts";
import { rejectedLines } from "../../../offchain/src/cli/rejected.ts";
import { accountOf, poster, UNREADABLE, validators, workers } from "../chain/world.ts";
import { dueEpoch } from "./dueEpoch.ts";
import {
  node,
  rpc,
  world,
  chain,
  lower,
  clock,
  pass,
  post,
  compute,
  sign,
  verify,
  manifestOf,
  openSettled,
  closeSettled,
} from "./settled.ts";
import { without, instead, flipped, conditions, retold, published, verdictsAbout, leaveOut } from "./tampering.ts";

beforeAll(openSettled, 60_000);
afterAll(closeSettled);

describe("the reader", () => {
  it("agrees with the contracts on epochs, budgets and parameters", async () => {
    const schedule = await chain.schedule(world.modelId);
    expect(schedule).toMatchObject({ epochLength: 16, postingDelay: 12, window: 4 });
    const now = await chain.chainTime();
    const epoch = await chain.epochOf(world.modelId, now);
    expect(await chain.epochEnd(world.modelId, epoch)).toBeGreaterThan(now);
    expect(await chain.computeBudget(world.modelId, 1, now)).toBe(700n * 10n ** 18n);
    expect(await chain.paramsInForce(world.runId)).toMatchObject({
      version: 1,
      params: { innerSteps: 8, minStake: 0n },
    });
    expect(await chain.paramsVersionAt(world.runId, now)).toBe(1);
    expect(await chain.paramsVersionAt(world.runId, schedule.start - 1)).toBe(0);
    expect(await chain.postersOf(world.runId)).toEqual([lower(poster.address)]);
    expect(await chain.runsOf(world.modelId)).toEqual([world.runId]);
    expect(await chain.validators(world.modelId)).toEqual({
      version: 1,
      validators: validators.map(({ address }) => lower(address)),
      threshold: 2,
    });
    expect((await chain.headsSince(world.runId, 0)).map(({ round, sequence }) => [round, sequence])).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
    ]);
  });
  it("names a run that is not there", async () => {
    await expect(chain.run(`0x${"11".repeat(32)}` as typeof world.runId)).rejects.toMatchObject({
      code: "RUN_UNKNOWN",
    });
  });
});

describe("an epoch on-chain", () => {
  let first: EpochComputation;

  it("is computed, signed, posted, and activated after its window; wallets claim what it grants", async () => {
    expect(await dueEpoch(chain, world.modelId)).toBeUndefined();
    await pass(16);
    const due = await dueEpoch(chain, world.modelId);
    first = await compute(due!);
    const signatures = await sign(first);
    await expect(chain.postRoot(first.attestation, signatures.slice(0, 1), "root-short")).rejects.toMatchObject({
      code: "ATTESTATION_UNSIGNED",
    });
    const posted = await chain.postRoot(first.attestation, signatures.toReversed(), "root-1");
    expect(posted.root).toMatchObject({ root: first.attestation.root, epoch: due });
    expect(await chain.postRoot(first.attestation, signatures.slice(1), "root-again")).toEqual(posted);
    await expect(chain.activateRoot(world.modelId, due!, "activate-1")).rejects.toMatchObject({
      code: "WINDOW_OPEN",
      retryable: true,
    });
    await expect(compute(due!)).rejects.toMatchObject({ code: "ROOT_PENDING" });
    await pass(4);
    const activated = await chain.activateRoot(world.modelId, due!, "activate-1");
    expect(activated.root.total).toBe(first.attestation.total);
    expect(activated.transaction).toMatch(/^0x/);

    const leaves = first.rewards.leaves.map(({ account, amount }) => ({ account, amount: BigInt(amount) }));
    const worker = lower(workers[0]!.address);
    const { modelId } = world;
    const leaf = { index: 1, ...rewardTree({ modelId, index: 1 }, leaves).proofOf(worker)! };
    const addresses = world.contracts;
    await claim.sync(clock(), {
      addresses,
      account: workers[0]!,
      modelId,
      beneficiary: worker,
      ...leaf,
      pollingInterval: 20,
    });
    expect(await unpaidLeaves(clock(), { addresses, modelId, account: worker, leaves: [leaf] })).toEqual([]);
    const left = await authorisable(clock(), {
      addresses,
      modelId: world.modelId,
      kind: 1,
      from: 1n,
      to: BigInt(due!),
      asOf: await chain.chainTime(),
    });
    expect(left).toBe(0n);
  });

  it("adds to the one before, found through the chain", async () => {
    await post(1);
    await pass(16);
    const due = (await dueEpoch(chain, world.modelId))!;
    const second = await compute(due);
    expect(second.manifest).toMatchObject({
      previous: first.attestation.epochDigest,
      previousRoot: first.attestation.root,
    });
    expect(second.attestation).toMatchObject({ index: 2n, fromEpoch: first.attestation.toEpoch + 1n });
    await chain.postRoot(second.attestation, await sign(second), "root-2");
    await pass(4);
    const { root } = await chain.activateRoot(world.modelId, due, "activate-2");
    expect(root).toMatchObject({ epoch: due, root: second.attestation.root });
    // What was activated before is told as it was then.
    const epoch = Number(first.attestation.toEpoch);
    const before = await chain.activateRoot(world.modelId, epoch, "activate-1-again");
    expect(before.root).toMatchObject({ epoch, root: first.attestation.root });
    await post(1);
  });

  it("refused by the contract becomes its typed error", async () => {
    // One whose deadline is over is not sent at all.
    const deadline = BigInt((await chain.chainTime()) + 1_000);
    const attestation = { ...first.attestation, root: `0x${"22".repeat(32)}` as const, deadline };
    const other = { ...first, attestation };
    await expect(chain.postRoot(other.attestation, await sign(other), "root-late")).rejects.toMatchObject({
      details: { revert: expect.stringMatching(/^ComputeRewards/) as string },
    });
  });
});

describe("an account without coins", () => {
  it("is named, with its chain and what to do", async () => {
    const poor = accountOf("poor");
    const sent = claim.sync(clock(), {
      addresses: world.contracts,
      account: poor,
      modelId: world.modelId,
      beneficiary: lower(workers[0]!.address),
      index: 1,
      amount: 0n,
      proof: [],
      gas: 100_000n,
    });
    const error = await sent.then(
      () => undefined,
      (caught: unknown) => chainError(node.url, caught, world.chainId),
    );
    expect(error).toMatchObject({
      code: "CHAIN_UNFUNDED",
      message: `The account ${poor.address} has too few coins on chain ${world.chainId} to pay its fees: send it some, then try again.`,
    });
  });
});

const notNow = new RetryableError("UNREACHABLE", "It does not answer.");
/** A source that is away for one blob. */
const awayFor = (lost: string, blobs: BlobSource = world.blobs, away: Error = notNow): BlobSource => ({
  blob: async (run, wanted, limit) => {
    if (wanted === lost) throw away;
    return blobs.blob(run, wanted, limit);
  },
});

const shardOf = async (round: number) => (await manifestOf(round)).manifest.fragments[1]!.digest;
describe("verifying from the contracts alone", () => {
  it("finds an honest run whole and says which heads nobody has signed yet", async () => {
    const { reports, summary } = await verify();
    const none = { pruned: 0, rolledBack: 0, missing: 0, mismatch: 0, problems: [], falseRoots: [], away: null };
    expect(summary).toEqual({ heads: 5, ok: 5, unsigned: 1, verdictsRead: true, ...none });
    expect(reports.map(({ signed }) => signed)).toEqual([true, true, true, true, false]);
    expect(reports.every(({ bytes }) => bytes > 0)).toBe(true);
    expect(reports.map(({ receipts }) => receipts)).toEqual([0, 3, 3, 3, 3]);
  });

  it.each(["manifest", "receipts"] as const)("says that a %s is missing, however old", async (part) => {
    const { digest, manifest } = await manifestOf(2);
    const found = await verify(chain, without({ manifest: digest, receipts: manifest.receipts! }[part]));
    // Without a manifest nobody can tell what the rounds after it began from, nor by which records they are judged.
    const after = { manifest: "missing", receipts: "ok" }[part];
    expect(conditions(found)).toEqual(["ok", "ok", "missing", after, after]);
    expect(found.summary).toMatchObject({ pruned: 0, missing: part === "manifest" ? 3 : 1 });
  });

  it("tells a checkpoint whose shards are not kept any more from one that lacks what must be there", async () => {
    const old = await verify(chain, without(await shardOf(2)));
    expect(conditions(old)).toEqual(["ok", "ok", "pruned", "ok", "ok"]);
    expect(old.summary).toMatchObject({ ok: 4, pruned: 1, missing: 0, mismatch: 0, problems: [] });
    expect(old.reports[2]).toMatchObject({ problems: [], receipts: 3 });
    expect(conditions(await verify(chain, without(await shardOf(0))))).toEqual(["missing", "ok", "ok", "ok", "ok"]);
    expect(conditions(await verify(chain, without(await shardOf(4))))).toEqual(["ok", "ok", "ok", "ok", "missing"]);
    // What nobody has signed yet is still needed by those who shall.
    const unsigned: ChainReader = { ...chain, rootsOf: async () => [] };
    expect(conditions(await verify(unsigned, without(await shardOf(2))))).toEqual(["ok", "ok", "missing", "ok", "ok"]);
  });

  it("says so where a contract obeys another than it should", async () => {
    const wire = {
      what: "Emission.distributorOf compute",
      says: poster.address,
      expected: world.contracts.computeRewards,
    };
    const found = await verify({ ...chain, wrongWires: async () => [wire] });
    expect(found.summary.problems).toEqual([
      `The contracts obey others than they should: ${wire.what} is ${wire.says}, not ${wire.expected}.`,
    ]);
  });

  it("takes no source that is away for one that lacks something: the walk ends there, and names the blob", async () => {
    const { digest, manifest } = await manifestOf(2);
    for (const lost of [digest, manifest.receipts!, manifest.fragments[1]!.digest, manifest.screening!]) {
      const found = await verify(chain, awayFor(lost));
      expect(conditions(found)).toEqual(["ok", "ok"]);
      expect(found.summary).toMatchObject({ heads: 2, missing: 0, mismatch: 0, problems: [] });
      expect(found.summary.away).toMatchObject({
        code: "UNREACHABLE",
        retryable: true,
        message: `The walk ended at checkpoint 2, link 2, and what comes after was not looked at: the blob ${lost} cannot be had now: It does not answer.`,
      });
    }
    const nothing = await verify(chain, { blob: () => Promise.reject(notNow) });
    expect(nothing).toMatchObject({ reports: [], summary: { heads: 0, away: { code: "UNREACHABLE" } } });
    expect(nothing.summary.away!.message).toContain("ended before the first checkpoint");
    const mute: ChainReader = { ...chain, head: () => Promise.reject(notNow) };
    expect((await verify(mute)).summary).toMatchObject({ ok: 5, away: { code: "UNREACHABLE" } });
  });

  it.each([
    ["an IPFS node that refuses", new UserError("BLOB_STORE_REFUSED", "It is not for us.")],
    ["a proxy that does", new CoordinatorError(403, "NOT_A_COORDINATOR", "It is none.")],
    ["a coordinator that does", new CoordinatorError(403, "FORBIDDEN", "It is not for you.")],
  ])("takes no blob for wrong that %s to show: the walk ends there", async (_, refusal) => {
    const { digest } = await manifestOf(2);
    const found = await verify(chain, awayFor(digest, world.blobs, refusal));
    expect(conditions(found)).toEqual(["ok", "ok"]);
    expect(found.summary).toMatchObject({ missing: 0, mismatch: 0, away: { code: refusal.code, retryable: true } });
    expect(found.summary.away!.message).toContain(`the blob ${digest} cannot be had now`);
  });

  it.each(["NOT_FOUND", "BLOB_NOT_FOUND", "BLOB_MISMATCH", "ANSWER_TOO_LARGE"])(
    "goes on where a coordinator says %s of a blob",
    async (code) => {
      const { digest } = await manifestOf(4);
      const found = await verify(chain, awayFor(digest, world.blobs, new CoordinatorError(200, code, "It is so.")));
      const condition = code.endsWith("FOUND") ? "missing" : "mismatch";
      expect(conditions(found)).toEqual(["ok", "ok", "ok", "ok", condition]);
      expect(found.summary.away).toBeNull();
    },
  );

  it("keeps what it found of a checkpoint, and of the whole, before something was away", async () => {
    const { manifest } = await manifestOf(2);
    const [first, second] = manifest.fragments.map(({ digest }) => digest);
    const lie = instead(first!, flipped(await world.store.get(asDigest(first!))));
    const found = await verify(chain, awayFor(second!, lie));
    expect(conditions(found)).toEqual(["ok", "ok", "mismatch"]);
    expect(found.reports.map(({ complete }) => complete)).toEqual([true, true, false]);
    expect(found.summary).toMatchObject({ heads: 3, mismatch: 1, away: { code: "UNREACHABLE" } });
    const initial = (await manifestOf(0)).manifest.fragments.map(({ digest }) => digest);
    expect(conditions(await verify(chain, awayFor(initial[1]!, without(initial[0]!))))).toEqual(["missing"]);
    const { definition } = await chain.run(world.runId);
    const mute: ChainReader = { ...chain, rootsOf: () => Promise.reject(notNow) };
    const whole = await verify(mute, instead(definition, new Uint8Array(3)));
    expect(whole.summary).toMatchObject({ heads: 0, problems: [expect.any(String)], away: { code: "UNREACHABLE" } });
  });

  it("finds a wrong link under shards that are not kept", async () => {
    const { manifest } = await manifestOf(2);
    const reader: ChainReader = {
      ...chain,
      headsSince: async (run, block) =>
        (await chain.headsSince(run, block)).map((head) => (head.round === 2 ? { ...head, sequence: 7 } : head)),
    };
    const { reports } = await verify(reader, without(manifest.fragments[1]!.digest));
    expect(reports[2]!.condition).toBe("mismatch");
  });

  it.each(["parameters", "outer state"] as const)("finds changed %s in a shard", async (part) => {
    const { manifest } = await manifestOf(1);
    const fragment = manifest.fragments[0]!;
    const bytes = (await world.store.get(asDigest(fragment.digest))).slice();
    bytes[part === "parameters" ? fragment.parameters.offset : fragment.outer.offset]! ^= 1;
    expect(conditions(await verify(chain, instead(fragment.digest, bytes)))).toEqual([
      "ok",
      "mismatch",
      "ok",
      "ok",
      "ok",
    ]);
  });

  it("finds a changed manifest", async () => {
    const { digest, manifest } = await manifestOf(3);
    const bytes = new TextEncoder().encode(canonicalJson({ ...manifest, round: 2 }));
    expect(conditions(await verify(chain, instead(digest, bytes)))).toEqual(["ok", "ok", "ok", "mismatch", "ok"]);
    expect(conditions(await verify(chain, instead(digest, flipped(await world.store.get(digest)))))).toEqual([
      "ok",
      "ok",
      "ok",
      "mismatch",
      "mismatch",
    ]);
  });

  // foundation 2
  it.each<[string, (file: ScreeningFile) => void, string]>([
    ["held-out sequences", (file) => void file.gate.sequences.reverse(), "other held-out sequences"],
    ["seed", (file) => void (file.gate.seed = digestOfJson("own")), "not the one that the receipts choose"],
    ["build", (file) => void (file.gate.build = digestOfJson("own")), "never admitted"],
    ["outcome", (file) => void (file.workers[0]!.outcome = 5), "something else"],
    ["loss", (file) => void (file.gate.passes[0]!.after! += 1_000_000), "loss gate"],
    ["factor", (file) => void (file.workers[1]!.fragments[2]!.clipPpm = 5), "clipped by another factor"],
    ["norm of the checkpoint", (file) => void (file.theta[1]! += 1), "another norm"],
    ["learning rate", (file) => void (file.innerLrPpb += 1), "another learning rate"],
    ["median", (file) => void (file.medians[1]! ^= 1), "medians"],
  ])("finds a record of the screening that was changed: another %s", async (_name, change, words) => {
    const { screening } = (await manifestOf(2)).manifest;
    const file = JSON.parse(new TextDecoder().decode(await world.store.get(asDigest(screening!)))) as ScreeningFile;
    change(file);
    const { reports } = await verify(chain, instead(screening!, new TextEncoder().encode(canonicalJson(file))));
    expect(reports[2]).toMatchObject({ condition: "mismatch" });
    expect(reports[2]!.problems.join(" ")).toContain(words);
    expect(reports[1]).toMatchObject({ condition: "ok", problems: [] });
  });

  it("finds a definition that is another", async () => {
    const definition = { ...world.definition, initialParameters: `0x${"33".repeat(32)}` };
    const bytes = new TextEncoder().encode(canonicalJson(definition));
    const { definition: digest } = await chain.run(world.runId);
    const { reports } = await verify(chain, instead(digest, bytes));
    expect(reports[0]).toMatchObject({
      condition: "mismatch",
      problems: [expect.stringContaining("initial parameters")],
    });
  });

  it.each([
    ["checkpointDigest", `0x${"44".repeat(32)}`],
    ["parentHead", `0x${"44".repeat(32)}`],
    ["sequence", 7],
    ["paramsVersion", 2],
    ["receiptsRoot", `0x${"44".repeat(32)}`],
  ])("finds an event whose %s is not what its head was made of", async (field, value) => {
    const reader: ChainReader = {
      ...chain,
      headsSince: async (run, block) =>
        (await chain.headsSince(run, block)).map((head) => (head.round === 2 ? { ...head, [field]: value } : head)),
    };
    const { reports } = await verify(reader);
    expect(reports[2]!.condition).not.toBe("ok");
    expect(reports[2]!.problems.join(" ")).toContain("hash to");
  });

  it.each<[string, Partial<PostedHead>, string[]]>([
    ["nothing changed", {}, []],
    [
      "another parent",
      { parentHead: `0x${"44".repeat(32)}` as HeadHash },
      ["It does not continue the head before it."],
    ],
    ["a sequence left out", { sequence: 3 }, ["Its sequence 3 does not follow."]],
    ["a sequence again", { sequence: 1 }, ["Its sequence 1 does not follow."]],
  ])("walks links that hash rightly: %s", async (_name, change, problems) => {
    const { reports } = await verify(retold(change));
    expect(reports.map((report) => report.problems)).toEqual([[], [], problems, [], []]);
    expect(reports[2]!.condition).toBe(problems.length === 0 ? "ok" : "mismatch");
  });

  it("finds a registry whose head is not where its events lead", async () => {
    const reader: ChainReader = {
      ...chain,
      head: async () => ({ head: `0x${"55".repeat(32)}` as HeadHash, sequence: 4, round: 4 }),
    };
    expect((await verify(reader)).summary.problems).toHaveLength(1);
  });

  describe("receipts that a poster published and should not have", () => {
    const thief = lower(accountOf("thief").address);

    it.each<[string, (file: ReceiptsFile) => void]>([
      ["for another wallet", (file) => void (file.receipts[0]!.receipt.beneficiary = thief)],
      ["with more tokens than were trained", (file) => void (file.receipts[0]!.tokens = "999999")],
      ["with more steps than were assigned", (file) => void (file.receipts[0]!.receipt.steps = 99)],
      ["with another assignment", (file) => void (file.receipts[0]!.assignment.batch = 99)],
      ["signed by somebody else", (file) => void (file.receipts[0]!.signature = file.receipts[1]!.signature)],
      ["acknowledged by somebody else", (file) => void (file.receipts[0]!.ackSignature = file.receipts[0]!.signature)],
      ["with another's acknowledgement", (file) => void (file.receipts[0]!.ack = file.receipts[1]!.ack)],
      ["twice", (file) => void file.receipts.splice(1, 0, file.receipts[0]!)],
      ["out of order", (file) => void file.receipts.reverse()],
      ["of another round", (file) => void (file.round = 7)],
    ])("%s are found", async (_name, change) => {
      await expect(published(change)).rejects.toMatchObject({ code: "DOCUMENT_RECEIPT" });
    });
    it("and hold when nothing was changed", async () => {
      await expect(published(() => undefined)).resolves.toMatchObject({ leaves: [{}, {}, {}] });
    });
  });
});

const tailOf = async (...source: Parameters<typeof verify>) => (await verify(...source)).reports.slice(-4);

// These rounds come after all that the tests before count.
describe("verifying rounds of which somebody was left out for a norm", () => {
  it("measures the payloads while they must be there", async () => {
    const victim = lower(workers[1]!.address);
    const of = (how: "sent" | "invented") => (worker: Address) => (worker === victim ? how : undefined);
    await post(1, { tooLarge: of("sent") });
    await post(1, { tooLarge: of("invented") });
    expect((await tailOf()).slice(-2).map(({ condition, problems }) => [condition, ...problems])).toEqual([
      ["ok"],
      ["mismatch", `The payload of ${victim} was measured as something else than it is, in fragment ${UNREADABLE}.`],
    ]);
  });
});

describe("verifying rounds with payloads that are said to be unreadable", () => {
  const victim = lower(workers[1]!.address);
  const ofVictim = (outcome: number) => (worker: Address) => (worker === victim ? outcome : 0);

  it("finds the record forged where anybody can read the payload", async () => {
    await post(1, { outcome: ofVictim(outcomeCode.payloadMissing) });
    await post(1, { outcome: ofVictim(outcomeCode.nonFinite) });
    await post(1, { forgeOutcome: ofVictim(outcomeCode.payloadMissing) });
    await post(1, { outcome: ofVictim(outcomeCode.payloadMalformed), forgeOutcome: ofVictim(outcomeCode.nonFinite) });
    const sentence = `Fragment ${UNREADABLE} of the payload of ${victim} is recorded as`;
    expect((await tailOf()).map(({ condition, problems }) => [condition, ...problems])).toEqual([
      ["ok"],
      ["ok"],
      ["mismatch", `${sentence} payloadMissing; it can be read.`],
      ["mismatch", `${sentence} nonFinite; it is payloadMalformed.`],
    ]);
  });

  it("misses the payload until validators have signed, and not when it need not be kept any more", async () => {
    const { round } = await chain.head(world.runId);
    const { manifest } = await manifestOf(round - 2);
    const file = JSON.parse(
      new TextDecoder().decode(await world.store.get(asDigest(manifest.receipts!))),
    ) as ReceiptsFile;
    const { payloadDigest } = file.receipts.find(({ receipt }) => receipt.worker === victim)!.receipt;
    expect((await tailOf(chain, without(asDigest(payloadDigest))))[1]).toMatchObject({ condition: "missing" });
    const head = (await chain.headsSince(world.runId, 0)).at(-3)!;
    const [root] = await chain.rootsOf(world.modelId);
    const signed: ChainReader = { ...chain, rootsOf: async () => [{ ...root!, head: head.head }] };
    expect((await tailOf(signed, without(asDigest(payloadDigest))))[1]).toMatchObject({
      condition: "ok",
      problems: [],
    });
  });
});

/** An RPC that leaves postings of roots out hides no rejection of a head: once not at all, for ever not unnoticed. */
async function leavesRootsOut(rejected: PostedHead): Promise<void> {
  const { contracts, chainId, fromBlock, modelId, runId } = world;
  const fresh = () => openReader({ contracts, chainId, fromBlock, rpcUrl: rpc.url, retries: 0 });
  const posted = rootPosted({ addresses: contracts, modelId });
  const honest = (await verify()).summary;
  const once = leaveOut(posted, 1, "now");
  expect((await verify(await fresh())).summary).toEqual(honest);
  expect(once()).toBe(1);
  leaveOut(posted, 1, "now");
  const heads = await rejectedHeads(await fresh(), world.blobs, runId);
  expect(heads.map(({ head }) => head)).toEqual([rejected.head]);
  leaveOut(posted, Infinity, "now");
  const active = (await chain.activeRoot(modelId))!.root;
  const pending = (await chain.pendingRoot(modelId))!.digest;
  expect((await verify(await fresh())).summary.problems).toEqual(
    [pending, active].map((root) => expect.stringContaining(`leaves out the posting of the root ${root}`) as string),
  );
  await expect(rejectedHeads(await fresh(), world.blobs, runId)).rejects.toMatchObject({ code: "CHAIN_RPC" });
  rpc.instead = () => undefined;
  // One that no contract names any more is named by the manifest of the next.
  const [first, ...others] = await chain.rootsOf(modelId);
  const hiding: ChainReader = { ...chain, rootsOf: async () => others };
  expect((await verify(hiding)).summary.problems).toEqual([expect.stringContaining(first!.root)]);
  // Nor does it help that this one cannot be had just then.
  const asked = new Set<string>();
  const shy: BlobSource = {
    blob: async (run, wanted, limit) => {
      if (!others.some(({ epochDigest }) => epochDigest === wanted) || asked.has(wanted))
        return world.blobs.blob(run, wanted, limit);
      asked.add(wanted);
      throw notNow;
    },
  };
  expect((await verify(hiding, shy)).summary).toMatchObject({ heads: 0, away: { code: "UNREACHABLE" } });
}

describe("verifying a checkpoint that validators rejected", () => {
  it("says so, though it is anchored, and all its signatures hold", async () => {
    await post(2);
    await clock().mine({ blocks: 2 });
    await pass(16);
    const [before, last] = (await chain.headsSince(world.runId, 0)).slice(-2) as [PostedHead, PostedHead];
    expect((await tailOf()).at(-1)).toMatchObject({ condition: "ok", problems: [] });
    const said = [...(await verdictsAbout(before, 0n)), ...(await verdictsAbout(last, 10_000n))];
    const due = (await dueEpoch(chain, world.modelId))!;
    const computation = await compute(due, said);
    await chain.postRoot(computation.attestation, await sign(computation), "root-rejected");
    expect((await tailOf()).slice(-2)).toMatchObject([
      { condition: "mismatch", problems: [expect.stringContaining("Validators found that it does not hold")] },
      { condition: "ok", problems: [], signed: true },
    ]);
    // Whoever was handed it as a model learns as much.
    const { reports } = await verify();
    const problemsOf = ({ checkpointDigest, round }: PostedHead) => anchorOf(reports, checkpointDigest, round).problems;
    expect(problemsOf(before)).toEqual([expect.stringContaining("Validators found that it does not hold")]);
    expect(problemsOf(last)).toEqual([]);
    expect(problemsOf({ ...last, round: before.round })).toEqual(["Its checkpoint is not anchored in the run."]);
    await leavesRootsOut(before);
    const rejected = await rejectedHeads(chain, world.blobs, world.runId);
    expect(rejected.map(({ head }) => head)).toEqual([before.head]);
    // Who is away for them has not said that there are none.
    for (const lost of [computation.attestation.epochDigest, computation.manifest.verdicts])
      await expect(rejectedHeads(chain, awayFor(lost), world.runId)).rejects.toBe(notNow);
    // Who is away on the way there does not hide it.
    const early = await verify(chain, awayFor((await manifestOf(2)).digest));
    expect(early.summary).toMatchObject({ mismatch: 1, verdictsRead: true, away: { code: "UNREACHABLE" } });
    expect(early.reports.at(-1)).toMatchObject({ head: before.head, complete: false, problems: [expect.any(String)] });
    // Whoever hides what was said hides that it was.
    const hidden = await verify(chain, without(asDigest(computation.manifest.verdicts)));
    expect(hidden.summary.problems).toHaveLength(1);
    const lines = rejectedLines(rejected, [before, last], last.checkpointDigest);
    expect(lines).toEqual([expect.stringContaining(`checkpoint ${before.round} does not hold`)]);
    const run = {
      file: { chain: { chainId: world.chainId, rpcUrl: node.url, embedded: false } },
      deployment: { chainId: world.chainId, addresses: world.contracts, blocks: {} },
      runId: world.runId,
      blobs: world.store,
    } as unknown as LocalRun;
    for (const named of [undefined, before.checkpointDigest, last.checkpointDigest]) {
      const told: string[] = [];
      expect(await chosenCheckpoint(run, named, (line) => told.push(line))).toBe(named ?? last.checkpointDigest);
      expect(told).toEqual(lines);
    }
    expect(rejectedLines([last], [before, last], before.checkpointDigest)).toEqual([]);
  });
});

it("an RPC that leaves out an event of a root holds up neither its posting nor its activation", async () => {
  const { contracts: addresses, modelId } = world;
  await pass(4);
  await chain.activateRoot(modelId, (await chain.pendingRoot(modelId))!.epoch, "activate-rejected");
  await post(1);
  await pass(16);
  const due = (await dueEpoch(chain, modelId))!;
  const computation = await compute(due);
  const roots = leaveOut(rootPosted({ addresses, modelId }), 1, "sent");
  const { root } = await chain.postRoot(computation.attestation, await sign(computation), "root-left-out");
  expect([root.root, roots()]).toEqual([computation.attestation.root, 1]);
  await pass(4);
  const activations = leaveOut(rootActivated({ addresses, modelId }), 1, "sent");
  const activated = await chain.activateRoot(modelId, due, "activation-left-out");
  expect([activated.root.root, activations()]).toEqual([root.root, 1]);
  await post(1);
});
