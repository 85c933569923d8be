/**
 * A build in the words of the proposal that would admit it. The registry keeps a digest alone; with the document in the proposal's
 * text, whoever votes reads what it is about, and whoever wants the document finds it on the chain.
 */
import { canonicalJson } from "./canonicalJson.ts";
import { sha256 } from "./digest.ts";
import { type Build, batchOf } from "./documents.ts";
import type { Digest, Hex } from "./ids.ts";

/** Bytes of a document in a proposal at most: a build's two names have 200 characters at most. */
const MAX_TOLD_BYTES = 4_096;

/** One line on a build: what computes it, and how. */
export const buildTitle = (build: Build): string =>
  `${build.deviceClass}, ${build.runtime}, ${batchOf(build)} sequences a step, ${build.precision}`;

/** What a proposal that would admit a build says: a title, and on a line of its own the document. */
export const buildProposalText = (build: Build): string =>
  `Admit a build: ${buildTitle(build)}\n\n${canonicalJson(build)}\n\n`;

/** Lines of a proposal that are held to be documents at most: ours has one, and whoever proposes may write a hundred thousand. */
const MAX_TOLD = 16;

/**
 * The documents of builds that a proposal has, by digest: lines of its description whose digest its calls name. A line that is too long
 * is none, nor are more than the first 16 that could be.
 * @param calldatas of the proposal's calls
 */
export function documentsInProposal(
  description: string,
  calldatas: readonly Hex[],
): { readonly digest: Digest; readonly text: string }[] {
  const documents: { readonly digest: Digest; readonly text: string }[] = [];
  let tried = 0;
  for (const [text] of description.matchAll(/(?<![^\n])\{[^\n]*/g)) {
    if (++tried > MAX_TOLD) break;
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > MAX_TOLD_BYTES) continue;
    const digest = sha256(bytes);
    if (calldatas.some((data) => data.toLowerCase().includes(digest.slice(2)))) documents.push({ digest, text });
  }
  return documents;
}
