/** A validator that says two things of one fragment: the first counts, and both are shown and kept for whoever reports them. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { digestOfJson, drawnFragment, sortitionSeed } from "@cotrain/sdk/protocol";
import { expect, it, onTestFinished } from "vitest";

import { contradictionOfFile } from "../../../offchain/src/run/index.ts";
import { lower, openPair, runId, until, validators, verdictOf } from "./harness.ts";

it("both verdicts that contradict each other are written down and shown, over a restart too; measurements are not", async () => {
  const { harness, workers } = await openPair();
  onTestFinished(() => harness.close());
  for (const worker of workers) await worker.train();
  const head = () => harness.run.driver.state.heads.at(-1)!;
  await until(() => head().round === 1 && head().anchor !== null, "the anchored checkpoint");
  const [liar] = validators;
  const seed = sortitionSeed(digestOfJson(harness.chain.heads.at(-1)!.block + 2), head().head, lower(liar!.address));
  const said = async (value: bigint) => verdictOf(harness, liar!, { kind: 3, index: drawnFragment(seed, 4), value });
  const shown = async () => (await harness.client.verdicts(runId)).verdicts;
  const [holds, falls] = [await said(10_000n), await said(0n)];

  await harness.client.submitVerdict(runId, holds);
  for (const _ of ["once", "again"])
    await expect(harness.client.submitVerdict(runId, falls)).rejects.toMatchObject({ code: "EQUIVOCATION" });
  // What counts comes last.
  expect(await shown()).toEqual([holds, falls, holds]);
  const conflicts = join(harness.directory, "conflicts");
  const [name, ...others] = await readdir(conflicts);
  expect(others).toEqual([]);
  expect(await contradictionOfFile(join(conflicts, name!))).toEqual({ kind: "verdicts", pair: [holds, falls] });

  // A file that somebody damaged keeps it from nothing, and one about another run is not shown as if it were about this one.
  await writeFile(join(conflicts, "another.json"), "{}");
  const written = await readFile(join(conflicts, name!), "utf8");
  await writeFile(join(conflicts, "before.json"), written.replaceAll(runId, digestOfJson("the run before")));
  await harness.restart();
  expect((await shown()).slice(0, 2)).toEqual([holds, falls]);

  // What machines measure may differ.
  const drawn = async (value: bigint) => verdictOf(harness, liar!, { value });
  const { contradicted } = harness.run;
  await contradicted.note(await drawn(5n), await drawn(6n));
  expect(contradicted.statements()).toEqual([holds, falls]);
  // One validator fills neither memory nor disk.
  for (let index = 0; index < 40; index++) {
    const of = (value: bigint) => verdictOf(harness, liar!, { kind: 3, index, value });
    await contradicted.note(await of(0n), await of(10_000n));
  }
  expect(contradicted.statements()).toHaveLength(2 * 16);
});
