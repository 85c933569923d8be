/** `cotrain checkpoint rollback` on a real node: what the holders are asked, and that the run goes back. */
import { headOf, modelContractsOf, rollback } from "@cotrain/sdk/actions";
import { expect, test } from "vitest";

import { type Listed, listedLines } from "../../../offchain/src/cli/commands/checkpointList.ts";
import { anchoredText } from "../../../offchain/src/cli/status/lines.ts";
import { rolledBackHeads, standingHeads, wordsOfCall, type WordsPlace } from "../../../offchain/src/run/index.ts";
import { digestOfText, postTexts } from "./postTexts.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere } from "./support.ts";

const stage = staged([]);
const at = () => ["--state", stage.state];
const digest = digestOfText;
const posted = (...checkpoints: readonly string[]) => postTexts(stage, ...checkpoints);

interface Shown {
  readonly title: string;
  readonly call: ShownCall & { readonly words: string };
}
const proposed = (round: number) => told<Shown>("checkpoint", "rollback", String(round), ...at(), "--dry-run");

test("a run goes back to a checkpoint that stands, and again", async () => {
  const { contracts: addresses, runId } = stage.world;
  const falseHead = await posted("one", "two", "false");
  const { title, call } = await proposed(1);
  expect(title).toBe(`rollback: from checkpoint 3, head ${falseHead}, to checkpoint 1, ${digest("one")}`);
  expect(call.words).toBe(
    `CheckpointRegistry has this run go back from head ${falseHead} to 1 completed rounds and on from checkpoint ${digest("one")}, which is the run's own of that round; once another head follows, it does nothing.`,
  );
  await stage.asHolders((timelock) => execute(stage.client, timelock, call));
  expect(await headOf(stage.client, { addresses, runId })).toMatchObject({ round: 1n, sequence: 4n });

  // What was rolled back is nothing to go back to.
  await posted("two, truly", "three");
  const again = await proposed(2);
  expect(again.title).toContain(`to checkpoint 2, ${digest("two, truly")}`);

  const list = await told<Listed[]>("checkpoint", "list", ...at());
  expect(list.map(({ round, rolledBack, rollback }) => [round, rolledBack ?? rollback ?? false])).toEqual([
    [0, false],
    [1, false],
    [2, true],
    [3, true],
    [1, true],
    [2, false],
    [3, false],
  ]);
  expect(listedLines(list, 80).filter((line) => line.startsWith("checkpoint "))).toEqual([
    expect.stringMatching(/^checkpoint 0, block/),
    expect.stringMatching(/^checkpoint 1, block/),
    expect.stringMatching(/^checkpoint 2 \(rolled back\), block/),
    expect.stringMatching(/^checkpoint 3 \(rolled back\), block/),
    expect.stringMatching(/^checkpoint back to 1, block/),
    expect.stringMatching(/^checkpoint 2, block/),
    expect.stringMatching(/^checkpoint 3, block/),
  ]);
  const status = await told<{ checkpoints: readonly { round: number; digest: string }[] }>("status", ...at());
  expect(status.checkpoints.map((each) => [each.round, each.digest])).toEqual([
    [0, expect.any(String)],
    [1, digest("one")],
    [2, digest("two, truly")],
    [3, digest("three")],
  ]);
  expect(anchoredText({ round: 3, sequence: 6 })).toContain("rolled back");
  expect(anchoredText({ round: 3, sequence: 3 })).not.toContain("rolled back");
});

test("a checkpoint that is none of the run's own is named as such", async () => {
  const { contracts: addresses, runId, modelId, fromBlock } = stage.world;
  const currentHead = await posted("one", "two");
  const contracts = await modelContractsOf(stage.client, { addresses, modelId });
  const connection: WordsPlace["connection"] = { call: (work) => work(stage.client) };
  const place: WordsPlace = { connection, addresses, contracts, runId, fromBlock };
  const wordsOf = async (round: bigint, checkpoint: string, where = place) => {
    const call = rollback.call({ addresses, runId, currentHead, round, checkpointDigest: digest(checkpoint) });
    return (await wordsOfCall(where, { target: call.to, value: 0n, data: call.data })).words;
  };
  expect(await wordsOf(1n, "one")).toContain(", which is the run's own of that round;");
  expect(await wordsOf(1n, "poisoned")).toContain(
    `${digest("poisoned")}, WHICH IS NOT THE RUN'S OWN of that round, ${digest("one")}:`,
  );
  expect(await wordsOf(7n, "one")).toContain("THE RUN HAS NO CHECKPOINT OF SO MANY ROUNDS");
  expect(await wordsOf(1n, "one", { ...place, fromBlock: undefined })).toContain("was not looked at");
});

test("once another head follows it does nothing", async () => {
  await posted("one", "two");
  const { call } = await proposed(1);
  await posted("three");
  await expect(stage.asHolders((timelock) => execute(stage.client, timelock, call))).rejects.toThrow(
    /reverted|StaleParent|success/,
  );
});

test.each([
  ["the newest", "2", "The run stands at checkpoint 2, and goes back to one before it that it has"],
  ["no number", "first", "A checkpoint is named by the number of completed rounds"],
])("is refused of %s", async (_, round, sentence) => {
  await posted("one", "two");
  expect((await cotrainHere(["checkpoint", "rollback", round, ...at(), "--dry-run"])).stderr).toContain(sentence);
});

const sequences = (of: Iterable<{ readonly sequence: number }>) => [...of].map(({ sequence }) => sequence);

test("of each round the head that led to it stands, and none that was rolled back", () => {
  const heads = [0, 1, 2, 3, 1, 2, 0, 1].map((round, sequence) => ({
    round,
    sequence,
    checkpointDigest: `of ${round}`,
  }));
  expect(sequences(standingHeads(heads.slice(0, 6)))).toEqual([0, 1, 5]);
  expect(sequences(standingHeads(heads))).toEqual([0, 7]);
  expect(standingHeads([])).toEqual([]);
  expect(sequences(rolledBackHeads(heads.slice(0, 6)))).toEqual([3, 2]);
  expect(sequences(rolledBackHeads(heads))).toEqual([3, 2, 5, 4, 1]);
});

test("a rollback to a checkpoint that the run does not have leads nowhere until another takes it back", () => {
  const names = ["0", "1", "2", "1 none", "2 b", "3 c", "2 b", "3 d", "1", "2 e", "1", "2 f"];
  const all = names.map((name, sequence) => {
    const [round, checkpointDigest = `of ${round}`] = name.split(" ");
    return { round: Number(round), sequence, checkpointDigest };
  });
  expect(sequences(standingHeads(all.slice(0, 8)))).toEqual([0, 1]);
  // The last one that leads nowhere is no head that was taken back: it is what is wrong.
  expect(sequences(rolledBackHeads(all.slice(0, 8)))).toEqual([2, 4, 5, 3, 7]);
  expect(sequences(standingHeads(all))).toEqual([0, 1, 11]);
  expect(sequences(rolledBackHeads(all))).toEqual([2, 4, 5, 3, 7, 6, 9]);
});
