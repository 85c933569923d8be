/** What the contracts know of a run's builds, where the node that is asked lags behind the one that told of them. */
import { asDigest, asModelId, asRunId, type Digest, digestOfJson } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import type { History } from "../../../offchain/src/chain/history.ts";
import { readBuilds } from "../../../offchain/src/chain/reads/builds.ts";
import type { ContractEvents, ReadFrom } from "../../../offchain/src/chain/reads/events.ts";
import { histories } from "../../../offchain/src/chain/reads/histories.ts";
import { createManualClock } from "../manualClock.ts";

const runId = asRunId(digestOfJson("run"));
const governor = `0x${"ab".repeat(20)}`;
const [build, another] = [asDigest(digestOfJson("build")), asDigest(digestOfJson("another"))];

/** Histories that tell all that there is when they are made anew for the so-manieth time, and less before. */
function lagging<T>(all: readonly T[], readings: number) {
  let made = 0;
  const read = histories((_of: string): History<T> => {
    const told = ++made > readings ? all : all.slice(0, -1);
    return Object.assign(async () => told, { before: () => never() });
  });
  return { read, made: () => made };
}
const never = (): never => {
  throw new TypeError("nobody asks for this");
};

function open(readings: number, isAdmitted = true) {
  const proposed = lagging(
    [another, build].map((digest) => ({ digest, text: `the text of ${digest}` })),
    readings,
  );
  const admitted = lagging<Digest>([another, build], readings);
  // Whatever is asked: who the model is, and its governor; or whether a build is admitted.
  const call = async (work: { toString(): string }) => {
    const text = work.toString();
    if (text.includes("isAdmitted")) return isAdmitted;
    return text.includes("governorOf") ? governor : { modelId: asModelId(digestOfJson("model")) };
  };
  const clock = createManualClock();
  const from = { connection: { call }, addresses: {}, clock } as unknown as ReadFrom;
  const events = { admissions: admitted.read, proposedDocuments: proposed.read } as unknown as ContractEvents;
  return { ...readBuilds(from, events), proposed, admitted, clock };
}

describe("a node that lags", () => {
  it("is asked for a proposal's document once more, from the beginning, where it left it out", async () => {
    const { proposedBuild, proposed, clock } = open(1);
    expect(await proposedBuild(runId, another)).toBe(`the text of ${another}`);
    expect(proposed.made()).toBe(1);
    expect(await proposedBuild(runId, build)).toBe(`the text of ${build}`);
    expect(proposed.made()).toBe(2);
    // What is known is not read again; what nobody proposed is, but not each time that somebody asks.
    await proposedBuild(runId, build);
    expect(proposed.made()).toBe(2);
    const minutes = [0, 9, 1, 19, 1, 39, 1];
    const made: number[] = [];
    for (const each of minutes) {
      await clock.advance(each * 60_000);
      expect(await proposedBuild(runId, asDigest(digestOfJson("never")))).toBeUndefined();
      made.push(proposed.made());
    }
    expect(made).toEqual([3, 3, 4, 4, 5, 5, 6]);
  });

  it("is asked for an admission once more, and is not believed where the contract says that there is one", async () => {
    const once = open(1);
    expect(await once.buildsOf(runId, build)).toEqual([another, build]);
    await expect(open(9).buildsOf(runId, build)).rejects.toMatchObject({ code: "CHAIN_RPC" });
    expect(await open(9, false).buildsOf(runId, build)).toEqual([another]);
    const plain = open(9);
    expect([await plain.buildsOf(runId, undefined), plain.admitted.made()]).toEqual([[another], 1]);
  });
});
