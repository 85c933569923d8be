/** Under rejected heads may stand anything: of what work earned nothing there, little is read. */
import { canonicalJson, digestOfJson, sha256, type Verdict, toWire, verdictKind } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { computeEpoch, unpaidWork } from "../../../offchain/src/run/index.ts";
import { BlobError } from "../../../offchain/src/storage/index.ts";
import { accounts, createLedger, modelId, runs } from "./ledger.ts";

it("of rejected heads two are read for each epoch that is looked through, whatever their number", async () => {
  const ledger = createLedger();
  ledger.add({ anchoredAt: 1_000, receipts: [] });
  for (let n = 1; n <= 5; n++)
    ledger.add({ anchoredAt: 1_000 + n, receipts: [{ account: accounts[0], tokens: 100n }] });
  ledger.now = 1_017;
  const result = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [] });
  if (result.kind === "nothing") throw new Error(result.reason);
  const { manifest, inputs, verdicts } = result.computation;

  const published = new Map<string, Uint8Array>();
  const publish = (document: unknown): string => {
    const bytes = new TextEncoder().encode(canonicalJson(document));
    published.set(sha256(bytes), bytes);
    return sha256(bytes);
  };
  const denialOf = ({ runId, round, head }: (typeof ledger.heads)[number]) => {
    const verdict: Verdict = {
      runId,
      round: BigInt(round - 1),
      head,
      validator: accounts[1],
      kind: verdictKind.aggregate,
      worker: `0x${"0".repeat(40)}`,
      index: 0,
      value: 0n,
      evidence: digestOfJson("nothing"),
      issuedAt: 1n,
    };
    return { verdict: toWire("Verdict", verdict), signature: `0x${"00".repeat(65)}` };
  };
  publish(inputs);
  const denials = publish({ ...verdicts, verdicts: ledger.heads.slice(1).map(denialOf) });
  const digest = publish({ ...manifest, verdicts: denials });

  /** Checkpoints of rejected heads that are asked for, of which none is to be had. */
  const readWithin = async (epochs: number): Promise<[number, string]> => {
    const rejected = new Set<string>(ledger.heads.slice(1).map(({ checkpointDigest }) => checkpointDigest));
    const asked: string[] = [];
    const blob = async (_run: string, wanted: string): Promise<Uint8Array> => {
      if (rejected.has(wanted)) asked.push(wanted);
      const found = published.get(wanted);
      if (!found) throw new BlobError("BLOB_MISSING", `No blob ${wanted}.`);
      return found;
    };
    const { rest } = await unpaidWork({ reader: ledger.modules.reader, blobs: { blob } }, runs[0], digest, epochs);
    return [asked.length, rest];
  };
  expect(await readWithin(1)).toEqual([2, "beyond"]);
  expect(await readWithin(2)).toEqual([4, "beyond"]);
  expect(await readWithin(3)).toEqual([5, "none"]);
});
