/** Which of the verdicts that a coordinator took count in the accounts of an epoch. */
import {
  type Address,
  domainFor,
  fromWire,
  recoverSigner,
  type RunId,
  type SignedVerdict,
  type Verdict,
  type VerdictForm,
  verdictFormOf,
  verdictKey,
} from "@cotrain/sdk/protocol";

import { RetryableError } from "../base/index.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import { drawnBy } from "./sortition.ts";

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Undefined for what has not the form of its kind. What is no voice changes nobody's pay: it counts whatever else it says. */
function formOf(struct: Verdict, head: PostedHead, fragments: number): VerdictForm | undefined {
  if (struct.runId !== head.runId || struct.round !== BigInt(Math.max(0, head.round - 1))) return undefined;
  const form = verdictFormOf(struct.kind);
  return form?.isVoice && form.problemOf(struct, fragments) !== "" ? undefined : form;
}

/** A node that lags, or lies, decides nothing about a verdict: without its block it would count for some and not for others. */
async function drawnOf(reader: ChainReader, head: PostedHead, drawer: Address, fragments: number): Promise<number> {
  const drawn = await drawnBy(reader, head, drawer, fragments);
  if (drawn !== undefined) return drawn;
  throw new RetryableError(
    "CHAIN_RPC",
    `The chain's RPC has no block yet that decides which fragments of head ${head.head} are drawn.`,
  );
}

/**
 * Well-formed, signed, about a head of these epochs, by a member of the set, the first of its key, and about an aggregate only
 * where sortition sent its validator, or the one whose finding it confirms; in one fixed order.
 * @throws RetryableError `CHAIN_RPC` where the block that decides about sortition is not to be had
 */
export async function countedVerdicts(
  reader: ChainReader,
  verdicts: readonly SignedVerdict[],
  links: readonly { readonly head: PostedHead }[],
  members: readonly Address[],
): Promise<SignedVerdict[]> {
  const domain = domainFor(reader.chainId, reader.contracts.runRegistry);
  const heads = new Map(links.map(({ head }) => [head.head as string, head]));
  const fragmentsOf = new Map<RunId, number>();
  for (const runId of new Set(links.map(({ head }) => head.runId)))
    fragmentsOf.set(runId, (await reader.run(runId)).fragments);
  const counted = new Map<string, SignedVerdict>();
  for (const signed of verdicts) {
    const { verdict } = signed;
    const head = heads.get(verdict.head);
    const key = verdictKey(verdict);
    if (!head || counted.has(key) || !members.includes(verdict.validator)) continue;
    const struct = fromWire("Verdict", verdict);
    const fragments = fragmentsOf.get(head.runId) ?? 0;
    const form = formOf(struct, head, fragments);
    if (!form) continue;
    const signer = await recoverSigner(domain, "Verdict", struct, signed.signature).catch(() => undefined);
    if (signer !== verdict.validator) continue;
    const drawer = form.drawerOf?.(struct);
    if (drawer && !members.includes(drawer)) continue;
    if (drawer && (await drawnOf(reader, head, drawer, fragments)) !== struct.index) continue;
    counted.set(key, signed);
  }
  return [...counted].sort(([a], [b]) => byText(a, b)).map(([, signed]) => signed);
}
