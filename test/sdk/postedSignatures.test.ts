/** What signatures a root was posted with, in a transaction that its sender filled with whatever he liked. */
import { postedSignatures, postRoot } from "@cotrain/sdk/actions";
import { type Attestation, digestOfJson, type Hex } from "@cotrain/sdk/protocol";
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
