/** Who watches roots on a real node: what is disputed, what is not, and what is remembered of it. */
import { cidOf, createCoordinatorClient, digestOfJson, type Digest } from "@cotrain/sdk/protocol";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";

import { RetryableError } from "../../../offchain/src/base/index.ts";
import { type ChainReader } from "../../../offchain/src/chain/index.ts";
import { type BlobSource, withEpochAccounts } from "../../../offchain/src/run/index.ts";
import { anyOf } from "../../../offchain/src/validator/index.ts";
import { payingFirst, publishEpoch, withLeaves } from "../chain/attested.ts";
import { nextRun } from "../chain/nextRun.ts";
import { createManualClock } from "../manualClock.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import {
  away,
  client,
  compute,
  dispute,
  disputes,
  drawing,
  ETHER,
  journalOf,
  lessPaid,
  missing,
  open,
  pass,
  payloadsOf,
  post,
  postSigned,
  settled,
  slow,
  stageWatch,
  watcher,
  watching,
  watchingHeads,
  without,
  world,
} from "./watched.ts";

stageWatch();

describe("a root that is what its epochs earned", () => {
  it("is disputed by nobody, and computed twice", async () => {
    let asked = 0;
    const blobs: BlobSource = { blob: (...request) => (asked++, world.blobs.blob(...request)) };
    const watch = await watching({ blobs });
    expect(await watch.look()).toEqual({ state: "idle" });
    const digest = await postSigned(await compute());
    expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
    const once = asked;
    expect(once).toBeGreaterThan(0);
    // The second look is some blocks later.
    expect(await watch.look()).toMatchObject({ state: "holds" });
    expect(asked).toBe(once);
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
    const twice = asked;
    expect(twice).toBeGreaterThan(once);
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "holds" });
    expect(asked).toBe(twice);
    expect(await disputes()).toEqual([]);
  });

  it("is disputed by nobody where one RPC lies and another does not", async () => {
    const digest = await postSigned(await compute());
    const honest = await open();
    const reader: ChainReader = { ...honest, computeBudget: async () => 5n };
    const watch = await watching({ reader });
    expect(await watch.look()).toMatchObject({ state: "suspect", digest });
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({
      state: "inconsistent",
      reason: expect.stringContaining("A second one: the root holds."),
    });
    // It is no step nearer to a dispute than before.
    expect(await watch.look()).toMatchObject({ state: "suspect" });
    expect({ disputes: await disputes(), written: watch.written }).toEqual({ disputes: [], written: [] });
  });

  it("is disputed by nobody where the chain went elsewhere between two looks", async () => {
    const digest = await postSigned(await compute());
    const honest = await open();
    const liar: ChainReader = { ...honest, computeBudget: async () => 5n };
    const moved: ChainReader = { ...liar, blockHash: async () => digest };
    const watch = await watching({ reader: liar, second: async () => moved });
    await watch.look();
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "inconsistent" });
    expect(await disputes()).toEqual([]);
  });

  it("is disputed by nobody while the chain is away", async () => {
    await postSigned(await compute());
    const clock = createManualClock();
    const reader: ChainReader = { ...(await open()), computeBudget: () => Promise.reject(away()) };
    const watch = await watching({ reader, clock });
    for (let looks = 0; looks < 20; looks++) {
      expect(await watch.look()).toMatchObject({ state: "unread" });
      await clock.advance(1_000);
    }
    expect(await disputes()).toEqual([]);
  });

  it("is disputed by nobody where its documents come slowly for less than seven eighths of the window", async () => {
    const computation = await compute();
    const digest = await postSigned(computation);
    const clock = createManualClock();
    const hidden = without(new Set([computation.attestation.epochDigest]), slow);
    let isSlow = true;
    const blobs: BlobSource = { blob: (...request) => anyOf([isSlow ? hidden : world.blobs]).blob(...request) };
    const watch = await watching({ blobs, clock });
    // Of the window of 4 s.
    for (let left = 3_500; left > 0; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    isSlow = false;
    expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
    expect(await disputes()).toEqual([]);
  });
});

describe("a false root", () => {
  it.each([
    ["pays an account what it did not earn", (first: bigint) => first / 2n + 1n],
    ["pays less than what was earned", () => 1n],
  ])("that %s is disputed when it was found twice", async (_, amount) => {
    const honest = await compute();
    const first = BigInt(honest.rewards.leaves[0]!.amount);
    const lied = withLeaves(honest, payingFirst(amount(first)));
    await publishEpoch(world, lied);
    const digest = await postSigned(lied);
    const watch = await watching();
    const reason = expect.stringMatching(/^It differs from what was recomputed: epochDigest .*root .*total /);
    expect(await watch.look()).toMatchObject({ state: "suspect", digest, reason });
    // Not in the same block.
    expect(await watch.look()).toMatchObject({ state: "suspect" });
    expect(await disputes()).toEqual([]);
    await client().mine({ blocks: 1 });
    const found = await watch.look();
    expect(found).toMatchObject({ state: "disputed", digest, index: 1, reason });
    const evidence = watch.written[0]!;
    expect(evidence).toMatchObject({ found: "false", digest, recomputed: { root: honest.attestation.root } });
    expect(await disputes()).toMatchObject([{ args: { digest, evidence: digestOfJson(evidence) } }]);
    expect((await dispute(digest))!.disputer).toBe(watcher.address);

    // Whoever begins anew disputes nothing again, and ends the dispute when its vote is over.
    const { settles } = (await watch.look()) as { state: "open"; settles: number };
    const again = await watching();
    expect(await again.look()).toMatchObject({ state: "open", digest, settles });
    // The last second of the vote is one of it.
    await client().setNextBlockTimestamp({ timestamp: BigInt(settles) });
    await client().mine({ blocks: 1 });
    expect(await again.look()).toMatchObject({ state: "open", digest, settles });
    await client().setNextBlockTimestamp({ timestamp: BigInt(settles + 1) });
    await client().mine({ blocks: 1 });
    expect(await again.look()).toEqual({ state: "settled", digest, ruling: "undecided" });
    expect(await again.look()).toEqual({ state: "idle" });
    expect(await disputes()).toHaveLength(1);
  });

  it("that was to be disputed before a restart is disputed after it, once", async () => {
    const digest = await postSigned(await lessPaid());
    const chain = await journalOf();
    const cut = await watching({
      // The process ends after it has written down what it sends.
      chain: { ...chain, disputeRoot: () => Promise.reject(new RetryableError("STOPPED", "It is over.")) },
    });
    await cut.look();
    await client().mine({ blocks: 1 });
    expect(await cut.look()).toMatchObject({ state: "reported", why: "It is over." });
    await chain.end();
    const after = await watching();
    expect(await after.look()).toMatchObject({ state: "disputed", digest });
    expect(await disputes()).toHaveLength(1);
  });

  it("is reported where nothing may be spent, and not computed again", async () => {
    const digest = await postSigned(await lessPaid());
    let asked = 0;
    const blobs: BlobSource = { blob: (...request) => (asked++, world.blobs.blob(...request)) };
    const watch = await watching({ chain: "none", blobs });
    await watch.look();
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "reported", digest, why: "no wallet is named" });
    const before = asked;
    expect(await watch.look()).toMatchObject({ state: "reported" });
    expect(asked).toBe(before);
    expect(await disputes()).toEqual([]);
  });

  it.each([
    ["a bond is dearer than allowed", watcher, ETHER / 1_000n, "A dispute costs a bond of"],
    ["the wallet has too little", privateKeyToAccount(`0x${"7a".repeat(32)}`), ETHER, "the wallet has 0 and needs"],
  ])("is reported where %s", async (_, account, most, why) => {
    await postSigned(await lessPaid());
    const watch = await watching({ chain: await journalOf(account, most) });
    await watch.look();
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "reported", why: expect.stringContaining(why) });
    expect(await disputes()).toEqual([]);
  });

  it("is disputed though an RPC lied at one look, so that it seemed to hold, and over a restart", async () => {
    const honest = await open();
    let lies = true;
    const reader: ChainReader = {
      ...honest,
      computeBudget: async (...request) => (await honest.computeBudget(...request)) / (lies ? 2n : 1n),
    };
    const epoch = (await dueEpoch(honest, world.modelId))!;
    const lied = await withEpochAccounts(reader).computeEpoch(
      { modelId: world.modelId, epoch, verdicts: [] },
      world.blobs,
    );
    if (lied.kind === "nothing") throw new Error(lied.reason);
    await publishEpoch(world, lied.computation);
    const digest = await postSigned(lied.computation);
    expect(await (await watching({ reader, chain: "none" })).look()).toMatchObject({ state: "holds", digest });
    lies = false;
    await client().mine({ blocks: 1 });
    const watch = await watching({ reader });
    const reason = expect.stringContaining("A first look found that it holds. A second one: It differs");
    expect(await watch.look()).toMatchObject({ state: "inconsistent", reason });
    expect(await watch.look()).toMatchObject({ state: "suspect" });
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "disputed", digest });
  });

  it("is not taken to hold where the chain went elsewhere between two looks, or the second saw nothing", async () => {
    const digest = await postSigned(await compute());
    const honest = await open();
    const moved: ChainReader = { ...honest, blockHash: async () => digest };
    let second = moved;
    const watch = await watching({ second: async () => second });
    const look = async () => {
      const { state } = await watch.look();
      await client().mine({ blocks: 1 });
      return state;
    };
    expect([await look(), await look()]).toEqual(["holds", "inconsistent"]);
    second = { ...honest, computeBudget: () => Promise.reject(away()) };
    expect([await look(), await look()]).toEqual(["holds", "unread"]);
    expect(await disputes()).toEqual([]);
  });

  it("whose window is over is told, and costs nothing", async () => {
    await postSigned(await lessPaid());
    await pass(4);
    expect(await (await watching()).look()).toMatchObject({ state: "late" });
    expect(await disputes()).toEqual([]);
  });

  it("that pays for a head which its payloads do not make, as a validator drew it, is disputed, and the head told", async () => {
    await post(1, { forge: ([first]) => first!.params.fill(0, 0, 1) });
    await drawing(([first, second, third]) => first !== 0 && second !== 0 && third === 0);
    await pass(16);
    const digest = await postSigned(await compute());
    const watch = await watching();
    const reason = expect.stringMatching(/^It pays for checkpoint 3, head .*does not hold: Fragment 0 is /);
    expect(await watch.look()).toMatchObject({ state: "suspect", reason });
    const heads = await watchingHeads(watch);
    const { findings, looked } = await heads.look();
    expect(findings).toMatchObject([{ head: { round: 3 }, condition: "mismatch" }]);
    expect(looked).toBe(4);
    expect(await heads.look()).toMatchObject({ findings: [], looked: 0 });
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "disputed", digest, reason });
  });
});

describe("a head of the model's next run", () => {
  it("is looked at by who watches the run before, and told where it is false", async () => {
    const heads = await watchingHeads(await watching());
    expect(await heads.look()).toMatchObject({ findings: [], looked: 3 });
    const next = await nextRun(world);
    expect(await heads.look()).toMatchObject({ findings: [], looked: 1 });
    await post(1, {}, next);
    expect(await heads.look()).toMatchObject({ findings: [], looked: 1, away: undefined });
    await post(1, { forge: ([first]) => first!.params.fill(0, 0, 1) }, next);
    const { findings, looked } = await heads.look();
    expect(findings).toMatchObject([{ head: { round: 2, runId: next.runId }, condition: "mismatch" }]);
    expect(looked).toBe(1);
    expect(await heads.look()).toMatchObject({ findings: [], looked: 0 });
  });

  it("does not have what is false in the model told twice", async () => {
    await nextRun(world);
    const watch = await watching();
    const root = { digest: settled };
    const heads = await watchingHeads(watch, { paidFalsely: async () => [root as never] });
    expect((await heads.look()).falseRoots).toEqual([root]);
  });
});

describe("a root of which something is not published", () => {
  it.each([
    ["the manifest, by a source that has it not", "epochDigest", missing],
    ["the tree, by a source that does not answer", "rewards", away],
    ["the inputs, by a source that has them not", "inputs", missing],
  ] as const)("%s, is disputed when that lasts for its part of the window", async (_, what, error) => {
    const computation = await compute();
    const { attestation, manifest } = computation;
    const digest = await postSigned(computation);
    const clock = createManualClock();
    const withheld = what === "epochDigest" ? attestation.epochDigest : manifest[what];
    const blobs = anyOf([without(new Set([withheld]), error), without(new Set([withheld]), missing)]);
    const watch = await watching({ blobs, clock });
    // Half of the window of 4 s.
    expect(await watch.look()).toMatchObject({ state: "absent", left: 2_000 });
    // However long nobody looked, one look says little.
    await clock.advance(100_000);
    expect(await watch.look()).toMatchObject({ state: "absent", left: 1_500 });
    for (const left of [1_000, 500]) {
      await clock.advance(500);
      // Whoever begins anew goes on with it.
      expect(await (await watching({ blobs, clock, chain: "none" })).look()).toMatchObject({ state: "absent", left });
    }
    await clock.advance(500);
    const last = await watching({ blobs, clock });
    expect(await last.look()).toMatchObject({ state: "disputed", digest });
    expect(last.written).toMatchObject([{ found: "unpublished", recomputed: null }]);
    expect(await disputes()).toHaveLength(1);
  });

  it("is disputed whatever a coordinator calls that, also slow", async () => {
    const lied = await lessPaid();
    const { attestation } = lied;
    const digest = await postSigned(lied);
    const cid = cidOf(attestation.epochDigest as Digest);
    const error = { code: "SOURCE_SLOW", message: "Later." };
    const { blob } = createCoordinatorClient("http://coordinator.test", {
      fetch: async (input) =>
        String(input instanceof Request ? input.url : input).endsWith(cid)
          ? Response.json({ error }, { status: 404 })
          : Response.json({}, { status: 404 }),
    });
    const withheld = new Set<string>([attestation.epochDigest]);
    const coordinator: BlobSource = {
      blob: (...request) => (withheld.has(request[1]) ? blob(...request) : world.blobs.blob(...request)),
    };
    const clock = createManualClock();
    const watch = await watching({ blobs: anyOf([coordinator, without(withheld, missing)]), clock });
    for (let left = 2_000; left > 0; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    expect(await watch.look()).toMatchObject({ state: "disputed", digest });
  });

  it("is disputed where a source is slow for seven eighths of the window, or so and away in turn", async () => {
    const lied = await lessPaid();
    const { attestation } = lied;
    const digest = await postSigned(lied);
    const withheld = new Set([attestation.epochDigest]);
    const clock = createManualClock();
    let error = slow;
    const watch = await watching({ blobs: anyOf([without(withheld, () => error())]), clock });
    for (let left = 3_500; left > 1_500; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    // Its absence begins now, with half of the window's patience; what it was slow for counts on.
    error = missing;
    for (const left of [1_500, 1_000, 500]) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    expect(await watch.look()).toMatchObject({ state: "disputed", digest });
  });

  it("is not disputed where any other source has it", async () => {
    const computation = await compute();
    const digest = await postSigned(computation);
    const { epochDigest } = computation.attestation;
    const blobs = anyOf([without(new Set([epochDigest]), missing), world.blobs]);
    expect(await (await watching({ blobs })).look()).toEqual({ state: "holds", digest, index: 1 });
  });

  it("is disputed for a payload, too, which nobody can recompute a head without", async () => {
    const [, , payload] = await payloadsOf();
    await postSigned(await compute());
    const clock = createManualClock();
    const watch = await watching({ blobs: anyOf([without(new Set([payload!]), missing)]), clock });
    expect(await watch.look()).toMatchObject({ state: "absent", reason: expect.stringContaining(payload!) });
  });

  it("is not let go by who serves its documents at every other look", async () => {
    const computation = await lessPaid();
    const digest = await postSigned(computation);
    const { epochDigest } = computation.attestation;
    const clock = createManualClock();
    const hidden = anyOf([without(new Set([epochDigest]), missing)]);
    let hides = false;
    const blobs: BlobSource = { blob: (...request) => (hides ? hidden : world.blobs).blob(...request) };
    const watch = await watching({ blobs, clock });
    expect(await watch.look()).toMatchObject({ state: "suspect" });
    hides = true;
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toMatchObject({ state: "absent" });
    hides = false;
    expect(await watch.look()).toMatchObject({ state: "disputed", digest });
  });

  it("is not let go by who withholds it until patience ends, and at the last look serves a false one", async () => {
    const computation = await lessPaid();
    const digest = await postSigned(computation);
    const clock = createManualClock();
    const hidden = anyOf([without(new Set([computation.attestation.epochDigest]), missing)]);
    let hides = true;
    const blobs: BlobSource = { blob: (...request) => (hides ? hidden : world.blobs).blob(...request) };
    const second = (): Promise<ChainReader> => {
      hides = false;
      return open();
    };
    const watch = await watching({ blobs, clock, second });
    for (let left = 2_000; left > 0; left -= 500) {
      expect(await watch.look()).toMatchObject({ state: "absent", left });
      await clock.advance(500);
    }
    expect(await watch.look()).toMatchObject({ state: "disputed", digest });
    expect(watch.written).toMatchObject([{ found: "unpublished" }]);
  });
});
