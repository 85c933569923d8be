/** What this validator says of heads: well-formed, signed, on its disk before anybody sees it, and sent until it is taken. */
import { CoordinatorError } from "@cotrain/sdk/errors";
import {
  type Address,
  toWire,
  typedDataOf,
  type Verdict,
  type VerdictForm,
  verdictForms,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { zeroAddress } from "viem";

import { InternalError, UserError } from "../base/index.ts";
import type { PostedHead } from "../chain/index.ts";
import type { Context } from "./context.ts";

/** What a check found, as its verdict says it; it names a worker where it is about one. */
export type Content = Pick<Verdict, "index" | "value" | "evidence"> & Partial<Pick<Verdict, "worker">>;

interface Kind {
  readonly kind: number;
  readonly wellFormed: VerdictForm;
}

/**
 * Signs a verdict and writes it down.
 * @throws UserError `EQUIVOCATION_REFUSED`, `BEFORE_JOURNAL`
 */
export async function say(
  { account, clock, descriptions, statements, validator, verdictDomain }: Context,
  { kind, wellFormed }: Kind,
  head: PostedHead,
  content: Content,
): Promise<void> {
  if (statements.isBefore(head.block))
    throw new UserError(
      "BEFORE_JOURNAL",
      `Checkpoint ${head.round} was anchored before this key's journal of signatures began: nothing is signed about it.`,
    );
  const verdict: Verdict = {
    runId: head.runId,
    // Checkpoint 0 has no round that led to it.
    round: BigInt(Math.max(0, head.round - 1)),
    head: head.head,
    validator,
    kind,
    worker: zeroAddress,
    ...content,
    issuedAt: BigInt(clock.now()),
  };
  const problem = wellFormed.problemOf(verdict, (await descriptions.of(head.runId)).fragments);
  if (problem !== "")
    throw new InternalError("VERDICT_MALFORMED", `A verdict of kind ${kind} is not signed: ${problem}.`);
  await statements.verdict(toWire("Verdict", verdict), () =>
    account.signTypedData(typedDataOf(verdictDomain, "Verdict", verdict)),
  );
}

const confirmation: Kind = {
  kind: verdictKind.confirmation,
  wellFormed: verdictForms[verdictKind.confirmation],
};

/** Says that what another validator drew does not hold. */
export async function deny(
  context: Context,
  head: PostedHead,
  { fragment, drawer }: { readonly fragment: number; readonly drawer: Address },
  { reason, evidence }: { readonly reason: string } & Pick<Content, "evidence">,
): Promise<void> {
  await say(context, confirmation, head, { index: fragment, value: 0n, evidence, worker: drawer });
  // What would be signed is decided anew: it is refused now.
  context.epochs.claimed.clear();
  context.emit({ type: "confirmed", head: head.head, round: head.round, fragment, drawer, reason });
}

/** A statement that the coordinator will not take whatever is tried. */
const settledAnswers = new Set(["DUPLICATE", "EQUIVOCATION"]);

/**
 * Sends what the coordinator has not taken yet.
 * @param open the run's heads in epochs that no active root covers
 */
export async function deliver(
  { coordinator, emit, run: { runId }, statements }: Context,
  open: ReadonlySet<string>,
): Promise<void> {
  for (const { key, struct, signature } of await statements.unsent()) {
    if (struct.runId !== runId) continue;
    try {
      await coordinator.submitVerdict(runId, { verdict: struct, signature });
    } catch (error) {
      if (!(error instanceof CoordinatorError)) throw error;
      if (error.retryable) throw error;
      // Said about a fragment that was drawn before the chain went back, and may be drawn again when it goes on.
      if (error.code === "NOT_DRAWN" && open.has(struct.head)) continue;
      // What is about a head whose epoch is settled is of no use to anybody any more.
      if (!settledAnswers.has(error.code) && open.has(struct.head)) {
        emit({ type: "retrying", what: `verdict ${key}`, reason: error.message });
        continue;
      }
    }
    await statements.accepted(key);
  }
}
