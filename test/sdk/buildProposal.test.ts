/** The document of a build in the text of the proposal that would admit it. */
import { proposalOf } from "@cotrain/sdk/actions";
import { type Build, buildProposalText, digestOfJson, documentsInProposal } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

const hash = digestOfJson("something");
const build: Build = {
  version: 1,
  definition: hash,
  graphs: { step: hash, eval: hash, logits: hash },
  microBatch: 4,
  accumulation: 2,
  precision: "fp32",
  // What would be a document of its own on a line of its own.
  runtime: 'onnxruntime 1.30.0\n{"version":1}',
  deviceClass: "x".repeat(200),
  segmentSteps: 0,
  conformance: hash,
};

test("is found by its digest, beside the proposer's mark and whatever else is said", () => {
  const proposer = "0x00000000000000000000000000000000000000aa";
  const { description } = proposalOf([], `Please read:\n${buildProposalText(build)}`, proposer);
  expect(description).toMatch(/#proposer=0x0{38}aa$/);
  const found = documentsInProposal(description).find(({ digest }) => digest === digestOfJson(build));
  expect(JSON.parse(found?.text ?? "null")).toEqual(build);
});

test("has a bound, and other lines are none", () => {
  const long = `{"a":"${"é".repeat(2_045)}"}`;
  expect(new TextEncoder().encode(long)).toHaveLength(4_098);
  expect(documentsInProposal(`${long}\nno {}\n\n`)).toEqual([]);
  expect(documentsInProposal(long.replace("é", ""))).toMatchObject([{ text: long.replace("é", "") }]);
});
