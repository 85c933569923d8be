/** What leaves a worker at the end of a round: encoded fragments, then the receipt that names them. */
import { CoordinatorError, CotrainError } from "@cotrain/sdk/errors";
import type { PayloadHeader, ReceiptReply } from "@cotrain/sdk/protocol";

import { roundNumber } from "../base/index.ts";
import { codecOf, type FlatParameters, type FragmentLayout } from "../diloco/index.ts";
import type { BaseCheckpoint } from "./base.ts";
import { type EncodedFragment, encodeFragment } from "./encode.ts";
import type { SignedReceipt } from "./receipt.ts";
import type { RoundWork } from "./roundWork.ts";
import { DivergedError } from "./training.ts";

/** Fragments on their way at the same time. */
const UPLOADS = 2;

type Sending = Pick<RoundWork, "assignment" | "context" | "signal">;

/**
 * Encodes fragment after fragment; each is sent as soon as it is encoded. `uploads` settles when all are acknowledged.
 * @param base its fragments become the residuals
 */
export async function encodeAndSend(
  { assignment, context, residual, signal }: RoundWork,
  base: BaseCheckpoint,
): Promise<{ encoded: EncodedFragment[]; uploads: Promise<unknown> }> {
  const encoded: EncodedFragment[] = [];
  const running: Promise<void>[] = [];
  /** θ_i is never here as a whole: while a fragment is encoded the next arrives. */
  const localOf = (layout: FragmentLayout | undefined): Promise<FlatParameters> | undefined => {
    const local = layout && context.trainer.parameters(layout.tensors.map(({ name }) => name));
    local?.catch(() => undefined);
    return local;
  };
  let arriving = localOf(context.layouts[0]);
  const codec = codecOf(assignment.codec);
  const total = context.layouts.reduce((sum, { elements }) => sum + codec.encodedLength(elements), 0);
  context.onEvent({ type: "sending", round: assignment.round, bytes: total });
  for (const [index, layout] of context.layouts.entries()) {
    signal.throwIfAborted();
    const local = await arriving!;
    arriving = localOf(context.layouts[index + 1]);
    const input = { codec: assignment.codec, layout, base: base.fragments[index]!, local, residual: residual[index] };
    const fragment = await encodeFragment(input).catch((error: unknown) => {
      if (!(error instanceof CotrainError) || error.code !== "CODEC_NON_FINITE") throw error;
      throw new DivergedError("TRAINING_DIVERGED", error.message, { cause: error });
    });
    encoded.push(fragment);
    // Not more on their way than a narrow uplink can use; a failure shows when all are awaited.
    await running.at(-UPLOADS)?.catch(() => undefined);
    const upload = send({ assignment, context, signal }, fragment);
    upload.catch(() => undefined);
    running.push(upload);
  }
  const uploads = Promise.all(running);
  uploads.catch(() => undefined);
  return { encoded, uploads };
}

async function send(
  { assignment, context, signal }: Sending,
  { index, bytes, digest }: EncodedFragment,
): Promise<void> {
  const { assignmentId, attempt, round } = assignment;
  const { session, onEvent } = context;
  const reply = await session.call(
    `upload of fragment ${index}`,
    (current) => current.uploadFragment(assignmentId, attempt, index, bytes, digest),
    signal,
  );
  if (reply.digest !== digest || reply.bytes !== bytes.length) {
    throw new CoordinatorError(
      200,
      "FRAGMENT_MISMATCH",
      `The coordinator took fragment ${index} of round ${roundNumber(round)} for ${reply.digest} instead of ${digest}.`,
    );
  }
  onEvent({ type: "uploaded", round, fragment: index, bytes: bytes.length });
}

/** A refusal of a receipt because its fragments are not there (any more): a coordinator that lost its disk, not our fault. */
const lacksFragments = (error: unknown): boolean =>
  error instanceof CoordinatorError && error.code === "FRAGMENT_MISSING";

/** Submits the receipt; fragments that the coordinator does not have any more are sent once more. */
export async function submit(
  { assignment, context, signal }: Sending,
  { receipt, signature }: SignedReceipt,
  header: PayloadHeader,
  encoded: readonly EncodedFragment[],
): Promise<ReceiptReply> {
  const once = (): Promise<ReceiptReply> =>
    context.session.call("receipt", (current) => current.submitReceipt({ receipt, signature, header }), signal);
  try {
    return await once();
  } catch (error) {
    if (!lacksFragments(error)) throw error;
    const total = encoded.reduce((sum, { bytes }) => sum + bytes.length, 0);
    context.onEvent({ type: "sending", round: assignment.round, bytes: total });
    for (const fragment of encoded) await send({ assignment, context, signal }, fragment);
    return once();
  }
}
