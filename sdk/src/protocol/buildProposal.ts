/**
 * A build in the words of the proposal that would admit it. The registry keeps a digest alone; with the document in the proposal's
 * text, whoever votes reads what it is about, and whoever wants the document finds it on the chain.
 */
import { canonicalJson } from "./canonicalJson.ts";
import { sha256 } from "./digest.ts";
import { type Build, batchOf } from "./documents.ts";
import type { Digest } from "./ids.ts";

/** Bytes of a document in a proposal at most: a build's two names have 200 characters at most. */
const MAX_TOLD_BYTES = 4_096;

/** One line on a build: what computes it, and how. */
export const buildTitle = (build: Build): string =>
  `${build.deviceClass}, ${build.runtime}, ${batchOf(build)} sequences a step, ${build.precision}`;

/** What a proposal that would admit a build says: a title, and on a line of its own the document. */
export const buildProposalText = (build: Build): string =>
  `Admit a build: ${buildTitle(build)}\n\n${canonicalJson(build)}\n\n`;

/** What could be documents in a proposal's description, by digest; a line that is too long is none. */
export function documentsInProposal(description: string): { readonly digest: Digest; readonly text: string }[] {
  return description.split("\n").flatMap((text) => {
    const bytes = new TextEncoder().encode(text);
    return text.startsWith("{") && bytes.length <= MAX_TOLD_BYTES ? [{ digest: sha256(bytes), text }] : [];
  });
}
