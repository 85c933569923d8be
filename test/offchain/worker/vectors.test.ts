/** What a worker commits to and signs for, against the protocol's vectors. */
import { readFileSync } from "node:fs";

import {
  type Address,
  asDigest,
  Assignment,
  Definition,
  domainFor,
  type Hex,
  parseDocument,
  PayloadHeader,
  ReceiptsFile,
  toWire,
} from "@cotrain/sdk/protocol";
import { keccak256, stringToBytes } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, test } from "vitest";

import { float32Of } from "../../../offchain/src/base/index.ts";
import { fragmentLayouts, gatherFragment, tensorViews } from "../../../offchain/src/diloco/index.ts";
import { digestState } from "../../../offchain/src/engine/index.ts";
import { blake3Of, createCommitment, fedDigests, segmentEnds, verifyAck } from "../../../offchain/src/worker/index.ts";
import { payloadHeader, receiptOf, signReceipt } from "../../../offchain/src/worker/receipt.ts";
import { type ProtocolVectors, vectorsPath } from "../../vectors/generate.ts";

const { round } = JSON.parse(readFileSync(vectorsPath, "utf8")) as ProtocolVectors;
const { commitment } = round;
const bytesFrom = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.slice(2), "hex"));
const valuesFrom = (hex: string): Float32Array => float32Of(bytesFrom(hex));
const vectorOf = (name: string) => round.documents.findLast((vector) => vector.name === name)!;

const { table } = parseDocument("definition", Definition, vectorOf("Definition").document);
const layouts = fragmentLayouts(table);
const fedOf = ({ tokens, learningRates, optimizerStep }: (typeof commitment.segments)[number]) =>
  fedDigests(new Uint16Array(bytesFrom(tokens).buffer), learningRates.map(Number), Number(optimizerStep));
/** A residual as the worker keeps it, by fragment. */
const byFragment = (tensors: readonly string[]) => {
  const values = new Map(table.map(({ name }, i) => [name, valuesFrom(tensors[i]!)]));
  return layouts.map((layout) => gatherFragment(values, layout));
};

describe("the commitment", () => {
  test.each(commitment.states)("hashes the state after optimizer step $optimizerStep", (vector) => {
    const named = (list: readonly string[], prefix: string) =>
      list.map((hex, i) => {
        const { name, shape } = table[i % table.length]!;
        return { name: prefix + name, shape, data: valuesFrom(hex) };
      });
    const state = {
      parameters: named(vector.parameters, ""),
      optimizer: { step: Number(vector.optimizerStep), tensors: named(vector.optimizer, "adam.") },
    };
    const residual = tensorViews(byFragment(vector.residual), layouts, table);
    expect(digestState(state, residual)).toBe(vector.state);
  });

  test.each(commitment.segments)("hashes what was fed from optimizer step $optimizerStep on", (vector) => {
    expect(fedOf(vector)).toEqual({ data: vector.dataDigest, scalars: vector.scalarsDigest });
  });

  test("hashes the new residual tensor by tensor in parameter order", async () => {
    const { tensors, digest } = commitment.newResidual;
    expect(await blake3Of(tensorViews(byFragment(tensors), layouts, table))).toBe(digest);
  });

  test("has a state each 32 steps in an exact class, and at the end alone where others compare by tolerance", () => {
    expect(segmentEnds(70, 32)).toEqual([32, 64, 70]);
    expect(segmentEnds(70, 0)).toEqual([70]);
  });

  test("of these has the vector's leaves and root", () => {
    expect(segmentEnds(Number(commitment.steps), Number(commitment.segmentSteps))).toEqual(
      commitment.segmentEnds.map(Number),
    );
    const [start, ...after] = commitment.states;
    const end = after.pop()!;
    const builder = createCommitment();
    builder.start(Number(start!.optimizerStep), start!.state as Hex);
    for (const [i, { optimizerStep, state }] of after.entries())
      builder.segment(Number(optimizerStep), state as Hex, fedOf(commitment.segments[i]!));
    const { root, leaves } = builder.finish({
      step: Number(end.optimizerStep),
      endState: end.state as Hex,
      baseDigest: asDigest(commitment.baseDigest),
      newResidual: commitment.newResidual.digest as Hex,
      payloadDigest: asDigest(commitment.payloadDigest),
    });
    expect(root).toBe(commitment.root);
    const words = leaves.map(({ j, step, state, data, scalars, update }) => [
      BigInt(j),
      step,
      state,
      data,
      scalars,
      update,
    ]);
    expect(words.map((leaf) => leaf.map((word) => BigInt(word)))).toEqual(
      commitment.leaves.map(({ encoded }) =>
        (encoded.slice(2).match(/.{64}/g) ?? []).map((word) => BigInt(`0x${word}`)),
      ),
    );
  });
});

describe("what a worker signs for", () => {
  const domain = domainFor(Number(round.chainId), round.runRegistry as Address);
  const assignment = parseDocument("assignment", Assignment, vectorOf("Assignment").document);
  const [entry] = parseDocument("receipts", ReceiptsFile, vectorOf("ReceiptsFile").document).receipts;

  test("is the payload's header by its digest", () => {
    const vector = vectorOf("PayloadHeader");
    const { fragments } = parseDocument("payload header", PayloadHeader, vector.document);
    const { header, payloadDigest } = payloadHeader({
      assignment,
      table: asDigest(parseDocument("payload header", PayloadHeader, vector.document).table),
      fragments,
    });
    expect(header).toEqual(vector.document);
    expect(payloadDigest).toBe(vector.digest);
  });

  test("is a receipt that becomes the vector's, signature and hash included, and whose acknowledgement holds", async () => {
    const receipt = receiptOf({
      assignment,
      steps: assignment.steps,
      beneficiary: entry!.receipt.beneficiary,
      build: asDigest(vectorOf("Build").digest),
      commitment: commitment.root as Hex,
      leaves: commitment.leaves.length,
      payloadDigest: asDigest(vectorOf("PayloadHeader").digest),
    });
    expect(toWire("Receipt", receipt)).toEqual(entry!.receipt);
    const keys = ["key of one worker", "key of another worker"].map((label) => keccak256(stringToBytes(label)));
    const account = keys
      .map((key) => privateKeyToAccount(key))
      .find(({ address }) => address.toLowerCase() === assignment.worker)!;
    const signed = await signReceipt(account, domain, receipt);
    expect(signed).toEqual({
      receipt: entry!.receipt,
      signature: entry!.signature,
      receiptHash: entry!.ack.receiptHash,
    });
    const reply = { ack: entry!.ack, signature: entry!.ackSignature };
    const ack = await verifyAck(
      domain,
      round.poster as Address,
      {
        ...assignment,
        receiptHash: signed.receiptHash,
        tokens: assignment.steps * assignment.batch * assignment.sequence,
      },
      reply,
    );
    expect(toWire("Ack", ack)).toEqual(entry!.ack);
  });
});
