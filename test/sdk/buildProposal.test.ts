/** The document of a build in the text of the proposal that would admit it. */
import { proposalOf } from "@cotrain/sdk/actions";
import {
  type Build,
  buildProposalText,
  digestOfJson,
  documentsInProposal,
  type Hex,
  sha256,
} from "@cotrain/sdk/protocol";
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
  runtime: 'onnxruntime 1.30.0\n{"version":1}\u2028{}',
  deviceClass: "x".repeat(200),
  segmentSteps: 0,
  conformance: hash,
};

/** A call that names a build. */
const admission = (digest: string): Hex => `0x12345678${digest.slice(2)}${"0".repeat(64)}`;
const admissions = (...texts: string[]): Hex[] => texts.map((text) => admission(sha256(Buffer.from(text))));

test("is found by its digest, beside the proposer's mark and whatever else is said", () => {
  const proposer = "0x00000000000000000000000000000000000000aa";
  const { description } = proposalOf([], `Please read:\n${buildProposalText(build)}`, proposer);
  expect(description).toMatch(/#proposer=0x0{38}aa$/);
  const admits = [admission(digestOfJson(build))];
  const found = documentsInProposal(description, admits).find(({ digest }) => digest === digestOfJson(build));
  expect(JSON.parse(found?.text ?? "null")).toEqual(build);
});

test("has a bound, and other lines are none", () => {
  const long = `{"a":"${"é".repeat(2_045)}"}`;
  expect(new TextEncoder().encode(long)).toHaveLength(4_098);
  expect(documentsInProposal(`${long}\nno {}\n\n`, admissions(long, "no {}", ""))).toEqual([]);
  const shorter = long.replace("é", "");
  expect(documentsInProposal(shorter, admissions(shorter))).toMatchObject([{ text: shorter }]);
});

test("is none whose digest no call names, and a proposal's first 16 lines that could be some are looked at", () => {
  const lines = Array.from({ length: 100_000 }, (_, i) => `{${i}`);
  const found = (...named: number[]) =>
    documentsInProposal(lines.join("\n"), admissions(...named.map((i) => lines[i]!))).map(({ text }) => text);
  expect(found()).toEqual([]);
  expect(found(0, 3, 15, 16, 99_999)).toEqual(["{0", "{3", "{15"]);
  const [call] = admissions("{3");
  expect(documentsInProposal("{3", [call!.toUpperCase().replace("X", "x") as Hex])).toHaveLength(1);
});
