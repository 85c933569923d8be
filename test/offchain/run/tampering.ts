/** A run and its chain, told otherwise than they are. */
import {
  asDigest,
  canonicalJson,
  digestOfJson,
  domainFor,
  fromWire,
  hashReceipt,
  headHash,
  parseDocument,
  ReceiptsFile,
  receiptsRoot,
  sha256,
  type SignedVerdict,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { encodeEventTopics, zeroAddress } from "viem";

import { type ChainReader, type PostedHead } from "../../../offchain/src/chain/index.ts";
import { type BlobSource, drawnBy, type HeadReport, readHeadDocuments } from "../../../offchain/src/run/index.ts";
import { BlobError } from "../../../offchain/src/storage/index.ts";
import { fragments, validators } from "../chain/world.ts";
import { rpc, world, chain, lower, manifestOf } from "./settled.ts";

/** Blobs as a verified source gives them, but for one. */
export const without = (digest: string): BlobSource => ({
  blob: async (run, wanted, limit) => {
    if (wanted === digest) throw new BlobError("BLOB_MISSING", "It is nowhere.");
    return world.blobs.blob(run, wanted, limit);
  },
});
/** A source that hands out other bytes and does not say so. */
export const instead = (digest: string, bytes: Uint8Array): BlobSource => ({
  blob: async (run, wanted, limit) => (wanted === digest ? bytes : world.blobs.blob(run, wanted, limit)),
});
export const flipped = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice();
  copy[copy.length - 1]! ^= 1;
  return copy;
};
export const conditions = ({ reports }: { reports: HeadReport[] }) => reports.map(({ condition }) => condition);

/** A chain whose events say otherwise from round 2 on, every one with the hash of its fields and on the one before. */
export const retold = (change: Partial<PostedHead>): ChainReader => ({
  ...chain,
  headsSince: async (run, block) => {
    const told: PostedHead[] = [];
    for (const event of await chain.headsSince(run, block)) {
      const before = told.at(-1);
      const head = {
        ...event,
        ...(before && { parentHead: before.head, sequence: before.sequence + 1 }),
        ...(event.round === 2 && change),
      };
      const { checkpointRegistry: registry } = chain.contracts;
      const [sequence, round] = [BigInt(head.sequence), BigInt(head.round)];
      told.push({ ...head, head: headHash({ ...head, chainId: BigInt(chain.chainId), registry, sequence, round }) });
    }
    return told;
  },
});

/** The last head with its receipts changed, root, manifest and all made to fit: only what they say is wrong. */
export async function published(change: (file: ReceiptsFile) => void): Promise<unknown> {
  const heads = await chain.headsSince(world.runId, 0);
  const [parent, head] = [heads[1]!, heads[2]!];
  const { manifest } = await manifestOf(2);
  const original = parseDocument(
    "receipts",
    ReceiptsFile,
    JSON.parse(new TextDecoder().decode(await world.store.get(asDigest(manifest.receipts!)))),
  );
  const file = structuredClone(original);
  change(file);
  const bytes = new TextEncoder().encode(canonicalJson(file));
  const altered = new TextEncoder().encode(canonicalJson({ ...manifest, receipts: sha256(bytes) }));
  const blobs: BlobSource = {
    blob: async (run, digest, limit) =>
      digest === sha256(bytes) ? bytes : digest === sha256(altered) ? altered : world.blobs.blob(run, digest, limit),
  };
  const root = receiptsRoot(
    file.receipts.map(({ receipt, tokens, outcome }) => ({
      receiptHash: hashReceipt(fromWire("Receipt", receipt)),
      worker: receipt.worker,
      beneficiary: receipt.beneficiary,
      tokens: BigInt(tokens),
      outcome,
    })),
  );
  return readHeadDocuments(chain, blobs, { ...head, checkpointDigest: sha256(altered), receiptsRoot: root }, parent);
}

/** What validators say of a head. */
export const verdictsAbout = (head: PostedHead, value: bigint): Promise<SignedVerdict[]> =>
  Promise.all(
    validators.map(async (account) => {
      const struct: Verdict = {
        runId: head.runId,
        round: BigInt(head.round - 1),
        head: head.head,
        validator: lower(account.address),
        kind: verdictKind.aggregate,
        worker: lower(zeroAddress),
        index: (await drawnBy(chain, head, lower(account.address), fragments))!,
        value,
        evidence: digestOfJson("nothing"),
        issuedAt: 1n,
      };
      const domain = domainFor(world.chainId, world.contracts.runRegistry);
      const signature = await account.signTypedData(typedDataOf(domain, "Verdict", struct));
      return { verdict: toWire("Verdict", struct), signature };
    }),
  );

/** Leaves the events of a query out of answers, from the next transaction on or at once. @returns how often it did */
export function leaveOut(
  query: { readonly abi: unknown; readonly eventName: string },
  times: number,
  since: "now" | "sent",
): () => number {
  const [topic = ""] = encodeEventTopics(query as never) as string[];
  let begun = since === "now";
  let lies = 0;
  rpc.instead = (method, params) => {
    if (method === "eth_sendRawTransaction") begun = true;
    if (method !== "eth_getLogs" || !begun || lies >= times || !JSON.stringify(params).includes(topic))
      return undefined;
    lies += 1;
    return { result: [] };
  };
  return () => lies;
}
