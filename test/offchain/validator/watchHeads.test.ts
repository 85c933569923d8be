/** Heads that whoever watches does not call false: of paid rounds, of those that were taken back; and what it remembers of roots. */
import { join } from "node:path";

import {
  asAddress,
  asRunId,
  digestOfJson,
  domainFor,
  type SignedVerdict,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { zeroAddress, zeroHash } from "viem";
import { describe, expect, it } from "vitest";

import { RetryableError } from "../../../offchain/src/base/index.ts";
import type { PostedHead } from "../../../offchain/src/chain/index.ts";
import type { BlobSource } from "../../../offchain/src/run/index.ts";
import { drawnBy } from "../../../offchain/src/run/sortition.ts";
import { openWatchMemory } from "../../../offchain/src/validator/index.ts";
import { fragments, validators } from "../chain/world.ts";
import {
  client,
  compute,
  directory,
  disputes,
  journalOf,
  missing,
  open,
  pass,
  payloadsOf,
  post,
  postSigned,
  slow,
  stageWatch,
  takeBack,
  watching,
  watchingHeads,
  without,
  world,
} from "./watched.ts";

stageWatch();

const forged: Parameters<typeof post>[1] = { forge: ([first]) => first!.params.fill(0, 0, 1) };

const digestOf = (number: number) => digestOfJson({ number });

async function activate(toEpoch: number): Promise<void> {
  await pass(5);
  await (await journalOf()).activateRoot(world.modelId, toEpoch, "activate");
}

/** That a head does not hold, by all validators but one. */
async function denials({ runId, round, head, block }: PostedHead): Promise<SignedVerdict[]> {
  const reader = await open();
  return Promise.all(
    validators.slice(1).map(async (account) => {
      const validator = account.address.toLowerCase() as Verdict["validator"];
      const struct: Verdict = {
        runId,
        round: BigInt(round - 1),
        head,
        validator,
        kind: verdictKind.aggregate,
        worker: zeroAddress,
        index: (await drawnBy(reader, { head, block }, validator, fragments))!,
        value: 0n,
        evidence: zeroHash,
        issuedAt: 1n,
      };
      const domain = domainFor(world.chainId, world.contracts.runRegistry);
      return {
        verdict: toWire("Verdict", struct),
        signature: await account.signTypedData(typedDataOf(domain, "Verdict", struct)),
      };
    }),
  );
}

describe("a root", () => {
  it("that rightly leaves a head unpaid which validators reject is disputed by nobody", async () => {
    await post(1, forged);
    await client().mine({ blocks: 5 });
    await pass(16);
    const head = (await (await open()).headsSince(world.runId, 0)).at(-1)!;
    const digest = await postSigned(await compute(await denials(head)));
    const watch = await watching();
    expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
    await client().mine({ blocks: 1 });
    expect(await watch.look()).toEqual({ state: "holds", digest, index: 1 });
    expect(await disputes()).toEqual([]);
  });

  it("is waited for as long as it is said, where that is longer than for a slow source", async () => {
    const computation = await compute();
    await postSigned(computation);
    const blobs = without(new Set([computation.attestation.epochDigest]), slow);
    expect(await (await watching({ blobs, absentPart: 1 })).look()).toMatchObject({ state: "absent", left: 4_000 });
  });

  it("is remembered among the newest thirty-two", async () => {
    const path = join(directory, "memory.json");
    const memory = await openWatchMemory(path);
    for (let number = 0; number < 40; number++) await memory.keep({ digest: digestOf(number), holds: true });
    for (const each of [memory, await openWatchMemory(path)]) {
      const kept = Array.from({ length: 40 }, (_, number) => each.of(digestOf(number)).holds === true);
      expect(kept).toEqual(Array.from({ length: 40 }, (_, number) => number >= 8));
    }
  });
});

it("who posted a run is remembered of the newest sixty-four, and anew where a source is new", async () => {
  const path = join(directory, "memory.json");
  const memory = await openWatchMemory(path);
  const [first, second] = [asAddress(`0x${"aa".repeat(20)}`), asAddress(`0x${"bb".repeat(20)}`)];
  const runs = Array.from({ length: 65 }, (_, number) => asRunId(digestOf(number)));
  for (const runId of runs) expect(await memory.posterNamed(runId, ["a", "b"], first)).toBe(first);
  const again = await openWatchMemory(path);
  expect(await again.posterNamed(runs[64]!, ["b"], second)).toBe(first);
  expect(await again.posterNamed(runs[64]!, ["b", "c"], second)).toBe(second);
  expect(await again.posterNamed(runs[0]!, ["a"], second)).toBe(second);
});

describe("a head", () => {
  it("whose payloads are gone is told until a root that pays for it is active, and not after that", async () => {
    const [, , payload] = await payloadsOf();
    const blobs = without(new Set([payload!]), missing);
    const watch = await watching({ blobs });
    const { findings } = await (await watchingHeads(watch)).look();
    expect(findings).toMatchObject([{ head: { round: 2 }, condition: "missing" }]);
    const computation = await compute();
    await postSigned(computation);
    await activate(Number(computation.attestation.toEpoch));
    expect(await (await watchingHeads(watch)).look()).toMatchObject({ findings: [], away: undefined });
  });

  it("of a round that was taken back is not recomputed", async () => {
    const watch = await watching();
    await post(1, forged);
    expect((await (await watchingHeads(watch)).look()).findings).toMatchObject([{ head: { round: 3 } }]);
    await takeBack(2);
    expect(await (await watchingHeads(watch)).look()).toMatchObject({ findings: [], away: undefined, looked: 5 });
  });

  it("that is not to be had is not told where a root that pays for it became active meanwhile", async () => {
    const computation = await compute();
    await postSigned(computation);
    let looked = 0;
    const heads = await watchingHeads({
      head: async () => {
        looked += 1;
        if (looked === 1) await activate(Number(computation.attestation.toEpoch));
        return { kind: "unpublished", reason: "Its payloads are gone." };
      },
    });
    expect(await heads.look()).toMatchObject({ findings: [], away: undefined });
    expect(looked).toBe(2);
  });

  it("that the walk finds wrong is told though what comes after is away; then all is looked at again", async () => {
    const [, , head] = await (await open()).headsSince(world.runId, 0);
    const blobs: BlobSource = without(new Set<string>([head!.checkpointDigest]), missing);
    let isAway = true;
    const { head: judge } = await watching({ blobs });
    const judging: typeof judge = (link) =>
      isAway ? Promise.reject(new RetryableError("CHAIN_UNREACHABLE", "The chain is away.")) : judge(link);
    const heads = await watchingHeads({ head: judging }, undefined, blobs);
    expect(await heads.look()).toMatchObject({
      findings: [{ head: { round: 2 } }],
      away: "The chain is away.",
      looked: 3,
    });
    isAway = false;
    expect(await heads.look()).toMatchObject({ findings: [], away: undefined });
  });

  it("of a next run that the registry does not know yet ends no watch", async () => {
    const reader = await open();
    const phantom = asRunId(`0x${"ee".repeat(32)}`);
    const runs = [[phantom], []];
    const lagging = { ...reader, runsOf: async () => [world.runId, ...(runs.shift() ?? [])] };
    const heads = await watchingHeads(await watching(), undefined, world.blobs, lagging);
    expect(await heads.look()).toMatchObject({ away: expect.stringContaining(phantom), looked: 3 });
    expect(await heads.look()).toMatchObject({ away: undefined });
  });

  it("that the walk finds wrong is told once", async () => {
    const [, , head] = await (await open()).headsSince(world.runId, 0);
    const blobs: BlobSource = without(new Set<string>([head!.checkpointDigest]), missing);
    const { findings } = await (await watchingHeads(await watching({ blobs }), undefined, blobs)).look();
    expect(findings).toMatchObject([{ head: { round: 2 } }]);
  });
});
