/** `cotrain run create`: a run out of a file, which stands and is not trained. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { cotrain, refusal, root, temporaryDirectory, verdictOf } from "./support.ts";

test("a run is made of what the file says, and is not made again", { timeout: 900_000 }, async () => {
  const directory = temporaryDirectory();
  const state = join(directory, "state");
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8").repeat(4);
  writeFileSync(join(directory, "text.txt"), text);
  writeFileSync(join(directory, "run.yaml"), "run:\n  data: text.txt\n  innerSteps: 24\nmarket:\n  budget: 5\n");
  const create = () =>
    cotrain(["run", "create", "-f", join(directory, "run.yaml"), "--preset=0.1m", `--state=${state}`, "--json"]);
  const { code, stdout, stderr } = await create();
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("Registering model and run …") });
  const made = JSON.parse(stdout) as { readonly runId: string; readonly modelId: string };
  const kept = JSON.parse(readFileSync(join(state, "run.json"), "utf8")) as Record<string, unknown>;
  expect(kept).toMatchObject({
    runId: made.runId,
    modelId: made.modelId,
    settings: { preset: "0.1m", data: join(directory, "text.txt"), innerSteps: 24 },
  });
  expect(verdictOf(await create())).toEqual(refusal(1, new RegExp(`holds the run ${made.runId}: name another`)));
  const other = ["run", "create", "--preset=0.1m", `--data=${join(directory, "none.txt")}`, `--state=${state}2`];
  expect(verdictOf(await cotrain(other))).toEqual(refusal(1, /none\.txt/));
});
