/**
 * Signs epochs: each when this validator computed the same, and judged all that is paid there, by itself and in others' places. Roots
 * of revenue are published beside them.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  asRunId,
  type Digest,
  digestOfJson,
  type EpochHead,
  type EpochView,
  fromWire,
  rewardKind,
  type RunId,
  toWire,
  typedDataOf,
} from "@cotrain/sdk/protocol";

import { DocumentError, laterBlock, patienceOn } from "../run/index.ts";
import { decide, type Decision } from "./attest.ts";
import type { Claim } from "./claims.ts";
import { attempt, type Context } from "./context.ts";
import { lookAgainAfter } from "./lookAgain.ts";
import type { Statement } from "./statements.ts";

/** One manifest may be published under many attestations, of which one is right. */
const keyOf = ({ epoch, manifest, attestation }: EpochView): Digest => digestOfJson({ epoch, manifest, attestation });

/** Looks at all epochs that the coordinator publishes. */
export async function signEpochs(context: Context): Promise<readonly EpochView[]> {
  const { epochs } = await context.coordinator.epochs(context.run.runId);
  for (const epoch of epochs) await attempt(context, `epoch ${epoch.epoch}`, () => attestOrRefuse(context, epoch));
  return epochs;
}

/** Forgets what it knows of epochs that are not published any more. */
export function keepEpochs({ epochs: { claimed, refused, seen } }: Context, published: readonly EpochView[]): void {
  const keys = new Set(published.map(keyOf));
  for (const known of [refused, seen]) for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
  for (const manifest of claimed.keys())
    if (!published.some((epoch) => epoch.manifest === manifest)) claimed.delete(manifest);
}

/**
 * An active root covers it by now; another value was signed before, which stands, or may have been; or what is said of revenue is not
 * what the chain says.
 */
const FINAL: ReadonlySet<string> = new Set([
  "EPOCH_SUPERSEDED",
  "EQUIVOCATION_REFUSED",
  "BEFORE_JOURNAL",
  "REVENUE_NONE",
  "REVENUE_NOTHING",
  "REVENUE_PENDING",
  "REVENUE_STALE",
  "REVENUE_OTHER",
  "REVENUE_VOIDED",
]);

async function attestOrRefuse(context: Context, view: EpochView): Promise<void> {
  try {
    await (view.attestation.kind === rewardKind.revenue ? attestRevenue(context, view) : attest(context, view));
  } catch (error) {
    if (!(error instanceof CotrainError) || !(FINAL.has(error.code) || error instanceof DocumentError)) throw error;
    refuse(context, view, error.message);
  }
}

/** Who signs again what was void, on another block or deadline, has holders vote on it again. */
const VOIDED = "Holders have voided this root by a vote: it is not signed again.";

/** Why an epoch will not be signed though all is equal: of these heads nothing is said, since an earlier journal may have said else. */
async function whyNever({ reader, statements }: Context, unjudged: readonly EpochHead[]): Promise<string | undefined> {
  for (const { head, round, runId } of unjudged) {
    const posted = (await reader.headsSince(asRunId(runId), 0)).find((each) => each.head === head);
    if (posted && statements.isBefore(posted.block))
      return `It pays for checkpoint ${round}, which was anchored before this key's journal of signatures began: others have to sign it.`;
  }
  return undefined;
}

/** Whether it collects signatures, has not this validator's, and was not refused just now. */
const isOpen = ({ clock, epochs: { refused }, validator }: Context, view: EpochView): boolean =>
  view.state === "collecting" &&
  clock.monotonic() >= (refused.get(keyOf(view)) ?? 0) &&
  !view.signatures.some((signature) => signature.validator === validator);

async function attest(context: Context, view: EpochView): Promise<void> {
  const { account, attestationDomain, heads, reader, run, statements } = context;
  const { claimed, waiting } = context.epochs;
  if (!isOpen(context, view)) return;
  const unjudged = waiting.get(view.manifest)?.filter(({ head }) => !heads.judged.has(head)) ?? [];
  // Nothing was learnt since: to compute it again would end the same.
  if (unjudged.length > 0) return wait(context, view, unjudged);
  const open = claimed.get(view.manifest);
  if (open && (await settle(context, view, open))) return;
  const wire = view.attestation;
  let statement = await statements.knownAttestation(wire);
  if (statement?.struct.epochDigest !== wire.epochDigest) {
    const decision = await decideOn(context, view);
    if (decision.kind === "refuse") return refuse(context, view, decision.reason);
    if (decision.kind === "wait") {
      const why = await whyNever(context, decision.unjudged);
      return why ? refuse(context, view, why) : wait(context, view, decision.unjudged);
    }
    if (await reader.isVoided(run.modelId, decision.attestation)) return refuse(context, view, VOIDED);
    if (!open && (await settle(context, view, decision.claims))) return;
    const { attestation } = decision;
    statement = await statements.attestation(toWire("Attestation", attestation), () =>
      account.signTypedData(typedDataOf(attestationDomain, "Attestation", attestation)),
    );
  }
  await send(context, view, statement);
}

/** Sends what was signed of an epoch. */
async function send(
  { coordinator, emit, run, validator }: Context,
  { epoch, attestation: { epochDigest, root } }: EpochView,
  { signature }: Pick<Statement<unknown>, "signature">,
): Promise<void> {
  await coordinator.submitAttestation(run.runId, epoch, { epochDigest, validator, signature });
  emit({ type: "attested", epoch, root });
}

/** Revenue follows from the chain alone: no head is judged for it, and no document read. */
async function attestRevenue(context: Context, view: EpochView): Promise<void> {
  const { account, attestationDomain, statements } = context;
  if (!isOpen(context, view) || !(await isSeenTwice(context, view))) return;
  const attestation = fromWire("Attestation", view.attestation);
  const statement = await statements.attestation(view.attestation, () =>
    account.signTypedData(typedDataOf(attestationDomain, "Attestation", attestation)),
  );
  await send(context, view, statement);
}

/**
 * Whether two looks found a root of revenue to be what the chain says, the second in a later block and by a reader that remembers
 * nothing: one answer that lies has nobody sign. Nothing waits for that block; it is looked for at each look of the validator.
 */
async function isSeenTwice(
  { clock, epochs: { seen }, reader, revenue, run }: Context,
  view: EpochView,
): Promise<boolean> {
  if (!revenue) return false;
  const [key, attestation] = [keyOf(view), fromWire("Attestation", view.attestation)];
  let isTime = seen.get(key);
  if (!isTime) {
    await revenue.check(run.modelId, attestation);
    isTime = await laterBlock(reader, { clock, patience: patienceOn(reader.chainId) });
    seen.set(key, isTime);
  }
  if (!(await isTime())) return false;
  await revenue.checkAgain(run.modelId, attestation);
  return true;
}

function decideOn(
  { blobs, descriptions, documents, heads, reader, run, sortitionOf, statements, validator }: Context,
  view: EpochView,
): Promise<Decision> {
  const modules = {
    reader,
    blobs,
    documents,
    validator,
    verdictsAbout: (head: EpochHead["head"]) => statements.about(head),
    drawn: (head: EpochHead["head"]) => heads.judged.get(head),
    sortitionOf,
    isUnfit: async (runId: RunId) => (await descriptions.whyUnfit(runId)) !== undefined,
  };
  return decide(modules, run.modelId, run.runId, view);
}

/** Signs nothing for a while: what it was held against may have come from a node that lags. Said once. */
function refuse(context: Context, view: EpochView, reason: string): void {
  const { refused, seen } = context.epochs;
  const key = keyOf(view);
  seen.delete(key);
  if (!refused.has(key)) context.emit({ type: "refused", epoch: view.epoch, reason });
  refused.set(key, context.clock.monotonic() + lookAgainAfter(context));
}

/** Leaves a manifest for a later look, when the heads that it pays have this validator's verdicts. */
function wait(
  { emit, epochs: { waiting }, heads }: Context,
  { epoch, manifest }: EpochView,
  unjudged: readonly EpochHead[],
): void {
  if (!waiting.has(manifest)) {
    const rounds = unjudged.map(({ round }) => round).join(", ");
    const reason = `It pays checkpoints that this validator has not judged yet (${rounds}); it is signed when they are.`;
    emit({ type: "retrying", what: `epoch ${epoch}`, reason });
  }
  waiting.set(manifest, unjudged);
  for (const head of unjudged) heads.followed.add(asRunId(head.runId));
}

/** Looks at what others deny or are silent about. @returns whether the manifest is left for a later look */
async function settle(
  { claims, emit, epochs: { claimed } }: Context,
  { epoch, manifest }: EpochView,
  before: readonly Claim[],
): Promise<boolean> {
  const told = claimed.has(manifest);
  claimed.set(manifest, before);
  const open = await claims.settle(before);
  // Something was found that does not hold.
  if (!claimed.has(manifest)) return true;
  claimed.set(manifest, open);
  if (open.length === 0) return false;
  const rounds = [...new Set(open.map(({ head }) => head.round))].join(", ");
  const reason = `Others deny what they drew of these checkpoints that it pays, or have not told of it yet: ${rounds}. It is signed when this validator has looked in their place.`;
  if (!told) emit({ type: "looking", what: `epoch ${epoch}`, reason });
  return true;
}
