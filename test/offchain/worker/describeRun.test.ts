import { asRunId, canonicalJson, digestOfJson, type RunView } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { type Artefacts, describeRun, type RunRecordReader } from "../../../offchain/src/worker/artefacts.ts";
import { definitionOf } from "../storage/fixtures.ts";

const runId = asRunId(digestOfJson("run"));
const [own, other] = [digestOfJson("own"), digestOfJson("other")];
const [poster, stranger] = [`0x${"aa".repeat(20)}`, `0x${"bb".repeat(20)}`] as const;
const fetched = new Error("fetched");
const artefacts = { get: () => Promise.reject(fetched) } as unknown as Artefacts;
const chain = {
  run: async () => ({ definition: own }),
  postersOf: async () => [poster],
} as unknown as RunRecordReader;

it.each([
  ["its definition is another than the chain's", { definition: other, poster }, /another definition than the chain/],
  ["its poster is none that the chain names", { definition: own, poster: stranger }, /poster 0xbb.* does not name/],
])("a run is refused before anything is fetched where %s", async (_what, told, message) => {
  const view = { runId, builds: [], ...told } as unknown as RunView;
  await expect(describeRun(view, artefacts, chain)).rejects.toMatchObject({
    code: "RUN_FOREIGN",
    message: expect.stringMatching(message),
  });
});

it("a run whose fragments leave out a number is refused in a sentence", async () => {
  const whole = definitionOf(own);
  const definition = { ...whole, table: whole.table.map((entry, i) => ({ ...entry, fragment: i === 0 ? 0 : 2 })) };
  const view = { runId, builds: [], definition: own, poster } as unknown as RunView;
  const serving = { get: async () => new TextEncoder().encode(canonicalJson(definition)) } as unknown as Artefacts;
  await expect(describeRun(view, serving, undefined)).rejects.toMatchObject({
    code: "RUN_FOREIGN",
    message: expect.stringContaining("whose table leaves out a fragment"),
  });
});

it("a run of the chain's own definition and poster is fetched", async () => {
  const view = { runId, builds: [], definition: own, poster } as unknown as RunView;
  await expect(describeRun(view, artefacts, chain)).rejects.toBe(fetched);
});
