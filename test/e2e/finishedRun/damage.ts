/** Damaged copies of the run. */
import { existsSync, truncateSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { expect, test } from "vitest";

import { contentOf, cotrain, cotrainHere, refusal, verdictOf } from "../../offchain/cli/support.ts";
import { copyOf, environment, flipByte, newest, nothingLeft, shardOf } from "./harness.ts";

export function damaged(): void {
  test("to a checkpoint: verify and the next start tell, an import mends it", async () => {
    const copy = copyOf();
    const car = join(dirname(copy), "model.car");
    await cotrainHere(["checkpoint", "export", car, "--state", copy]);
    const shard = await shardOf(copy, newest());
    flipByte(shard, 5_000);

    const verified = await cotrainHere(["verify", "--state", copy]);
    expect(verified.code).toBe(1);
    expect(verified.stdout).toMatch(new RegExp(`^FAIL +checkpoint .*\\n.*${basename(shard)} is corrupted`, "m"));
    expect(verified.stdout).toContain(" 1 wrong");
    expect(verdictOf(await cotrainHere(["generate", "--state", copy]))).toEqual(
      refusal(1, `${basename(shard)} is corrupted`),
    );
    const before = contentOf(join(copy, "blobs"));
    const again = ["up", "--state", copy, "--keep-payloads", "2h", "--for", "1s", "--exit"];
    expect(verdictOf(await cotrain(again, { environment }))).toEqual(
      refusal(
        1,
        `from which training goes on, is damaged in ${shard}: put a copy back with "npx cotrain checkpoint import FILE --state ${copy}"`,
      ),
    );
    expect(contentOf(join(copy, "blobs"))).toEqual(before);
    const half = join(dirname(copy), "half.car");
    expect((await cotrainHere(["checkpoint", "export", half, "--state", copy])).code).toBe(1);
    expect(existsSync(half)).toBe(false);

    expect((await cotrainHere(["checkpoint", "import", car, "--state", copy])).code).toBe(0);
    expect((await cotrainHere(["verify", "--state", copy])).code).toBe(0);
  });

  test("to the coordinator's database", async () => {
    const copy = copyOf();
    const database = join(copy, "coordinator", "coordinator.sqlite");
    writeFileSync(database, "not a database ".repeat(1_000));
    expect(verdictOf(await cotrain(["up", "--state", copy, "--for", "1s", "--exit"], { environment }))).toEqual(
      refusal(
        1,
        new RegExp(
          `${database} is damaged .*: put the state aside and start anew with "npm start -- --fresh .*--state ${copy}"`,
        ),
      ),
    );
    await nothingLeft();
  });

  test("to the chain's state and its copy", async () => {
    const copy = copyOf();
    const file = join(copy, "chain", "state.json");
    for (const each of [file, `${file}.previous`]) truncateSync(each, 5_000);
    for (const command of [["up", "--for", "1s", "--exit"], ["status"]]) {
      expect(verdictOf(await cotrain([...command, "--state", copy], { environment }))).toEqual(
        refusal(1, /state\.json is damaged and so is its copy .*: put the state aside and start anew/),
      );
    }
  });

  test("to deployment.json", async () => {
    const copy = copyOf();
    const file = join(copy, "deployment.json");
    for (const damage of ['{"chainId":', '{"chainId":31337}']) {
      writeFileSync(file, damage);
      expect(verdictOf(await cotrainHere(["verify", "--state", copy]))).toEqual(
        refusal(
          1,
          new RegExp(`${file} is .*: put the state aside and start anew with "npm start -- --fresh .*--state ${copy}"`),
        ),
      );
    }
  });
}
