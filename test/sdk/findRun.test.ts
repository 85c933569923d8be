/** The one rule by which a worker, a validator and every command find the run that is meant. */
import { findRun } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

const idOf = (index: number) => `0x${index.toString(16).padStart(2, "0").repeat(32)}` as const;
const client = (...phases: readonly string[]) => ({
  url: "http://127.0.0.1:7700",
  runs: async () => ({ runs: phases.map((phase, i) => ({ runId: idOf(i), modelId: idOf(99), phase })) }),
});

it("the run that is asked for, in whichever casing, if the coordinator has it", async () => {
  expect(await findRun(client("Finished", "Training"), idOf(0))).toBe(idOf(0));
  expect(await findRun(client("Training", "Training"), `0x${"01".repeat(32).toUpperCase()}`)).toBe(idOf(1));
  await expect(findRun(client("Training"), idOf(7))).rejects.toMatchObject({
    code: "RUN_UNKNOWN",
    retryable: false,
    message: expect.stringMatching(
      /^The coordinator at http:\/\/127\.0\.0\.1:7700 has no run 0x0707.*leave --run out\.$/,
    ),
  });
});

it("else the only one that is not finished, else the only one", async () => {
  expect(await findRun(client("Finished", "Training"), undefined)).toBe(idOf(1));
  expect(await findRun(client("Finished"), undefined)).toBe(idOf(0));
});

it("of several none; where there is none yet it may be asked again", async () => {
  for (const phases of [
    ["Training", "Paused"],
    ["Finished", "Finished"],
  ])
    await expect(findRun(client(...phases), undefined)).rejects.toMatchObject({
      code: "RUN_AMBIGUOUS",
      retryable: false,
      message: expect.stringContaining(`has 2 runs (${idOf(0)}, ${idOf(1)}): name one with --run`),
    });
  await expect(findRun(client(), undefined)).rejects.toMatchObject({ code: "RUN_NONE", retryable: true });
});

it("of very many it names eight", async () => {
  const error = await findRun(client(...Array.from({ length: 50 }, () => "Training")), undefined).catch(
    (caught: Error) => caught,
  );
  expect(error).toMatchObject({ message: expect.stringMatching(/has 50 runs \((0x[0-9a-f]{64}, ){8}…\): name one/) });
});
