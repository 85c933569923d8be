/** Whose a store of a Kubo node is: beside its blobs lies a mark, so that two that find it empty at one time do not both have it. */
import { cidOf } from "@cotrain/sdk/protocol";

import { sha256Bytes } from "../../base/index.ts";
import type { StoreClaims } from "../blobStore.ts";
import type { KuboNode } from "./kuboNode.ts";

/** Where the mark of a store is, by the store's directory. */
export const markIn = (directory: string): string => `${directory}/state`;

/** @returns whether the path names this CID by now, of whatever others tried at the same time */
async function isFirst(node: KuboNode, cid: string, path: string): Promise<boolean> {
  const failed = await node.linkFirst(cid, path).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const there = await node.cidAt(path);
  if (failed && there === undefined) throw failed.error;
  return there === cid;
}

export function claimsOf(node: KuboNode, directory: string): StoreClaims {
  const path = markIn(directory);
  return {
    isMade: async () => (await node.cidAt(path)) !== undefined,
    make: async (mark) => {
      const bytes = new TextEncoder().encode(mark);
      const there = await node.cidAt(path);
      if (there !== undefined) return there === cidOf(sha256Bytes(bytes));
      const cid = await node.add(bytes, bytes.length, `whose ${directory} is`);
      const isOurs = await isFirst(node, cid, path);
      if (!isOurs) await node.unpin(cid);
      return isOurs;
    },
  };
}
