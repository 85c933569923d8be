/** What signatures a root was posted with, or a ruling proposed, in a transaction that its sender filled with whatever he liked. */
import { postedSignatures, postRoot, proposedSignatures, proposeRuling } from "@cotrain/sdk/actions";
import {
  asDigest,
  asAddress,
  type Attestation,
  digestOfJson,
  type Hex,
  type Receipt,
  type Ruling,
} from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

const hash = digestOfJson("hash");
const attestation: Attestation = {
  kind: 1,
  modelId: hash,
  index: 1n,
  fromEpoch: 1n,
  toEpoch: 2n,
  runId: hash,
  head: hash,
  epochDigest: hash,
  previousRoot: hash,
  root: digestOfJson("root"),
  total: 1n,
  setVersion: 1,
  blockNumber: 1n,
  blockHash: hash,
  deadline: 1n,
};
const addresses = { computeRewards: `0x${"11".repeat(20)}` } as Parameters<typeof postRoot.call>[0]["addresses"];
const signatureOf = (byte: string): Hex => `0x${byte.repeat(65)}`;
const callOf = (of: Attestation, byte: string): string =>
  postRoot.call({ addresses, attestation: of, signatures: [signatureOf(byte)] }).data.slice(2);

it("are found behind others' and behind calls of another attestation, and not in those", () => {
  const other = callOf({ ...attestation, total: 2n }, "aa");
  const input: Hex = `0x12345678${other}${callOf(attestation, "bb")}${callOf(attestation, "cc")}`;
  expect(postedSignatures(input, attestation)).toEqual([signatureOf("bb"), signatureOf("cc")]);
  expect(postedSignatures(`0x${other}`, attestation)).toBeUndefined();
});

const worker = asAddress(`0x${"22".repeat(20)}`);
const ruling: Ruling = {
  modelId: hash,
  kind: 2,
  subject: hash,
  dispute: 0n,
  accused: worker,
  outcome: 1,
  evidence: hash,
  setVersion: 1,
  deadline: 1n,
};
const receipt: Receipt = {
  runId: hash,
  round: 1n,
  worker,
  beneficiary: worker,
  assignmentId: 1n,
  attempt: 1,
  assignment: asDigest(hash),
  steps: 64,
  paramsVersion: 1,
  build: hash,
  baseDigest: hash,
  commitment: hash,
  leaves: 1,
  payloadDigest: hash,
};
const proposalOf = (of: Ruling, byte: string): string =>
  proposeRuling
    .call({
      stakes: worker,
      ruling: of,
      receipt,
      receiptSignature: signatureOf("dd"),
      signatures: [signatureOf(byte), signatureOf("ee")],
    })
    .data.slice(2);

it("are the validators' of a ruling, and neither the worker's nor those of another ruling", () => {
  const other = proposalOf({ ...ruling, deadline: 2n }, "aa");
  const input: Hex = `0x12345678${other}${proposalOf(ruling, "bb")}`;
  expect(proposedSignatures(input, ruling)).toEqual([signatureOf("bb"), signatureOf("ee")]);
  expect(proposedSignatures(`0x${other}`, ruling)).toBeUndefined();
});
