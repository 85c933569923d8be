/** In which order heads are posted where the chain lost some: a head lands only on its parent. */

/** Where the parent's own posting stands in the journal, if there is one. */
export type ParentPosting = "none" | "landed" | "open" | "ended";

/** By the newest head on-chain: this posting's parent, what it is to bring about itself, or neither. */
export function byNewest(newest: string, own: { readonly parent: string; readonly head: string }) {
  if (newest === own.parent) return "send";
  // Posted by somebody who is not waited for any more, and not confirmed yet.
  return newest === own.head ? "wait" : "askParent";
}

/**
 * Where the newest head does not tell: what the chain lost is posted again first, and may find its own parent lost in turn.
 * @param again whether the parent was made due again before: once, lest one that is refused for good be tried for ever
 */
export function byParent(isSeen: boolean, parent: ParentPosting, again: boolean): "send" | "wait" | "reopen" {
  if (isSeen || parent === "none" || parent === "landed") return "send";
  if (parent === "open") return "wait";
  return again ? "send" : "reopen";
}
