/** What validators sign: verdicts about heads, attestations of epochs. */
import {
  type Accepted,
  type Address,
  asHead,
  type AttestationRequest,
  fromWire,
  HELD_OUT_SEQUENCES,
  HELD_OUT_TURN_MS,
  heldOutSampleSize,
  measuringOrder,
  type SignedVerdict,
  type Struct,
  type Verdict,
  type VerdictForm,
  verdictFormOf,
} from "@cotrain/sdk/protocol";

import { drawnBy } from "../run/index.ts";
import { RefusedError } from "./errors.ts";
import { refusalOf } from "./machine/rules.ts";
import { fragmentCount, type HeadEntry, storedVerdictKey } from "./machine/state.ts";
import type { Run } from "./run.ts";

const accepted: Accepted = { accepted: true };

/** The set in force is read at most this often per run, ms. */
const SET_MAX_AGE = 5_000;
const sets = new WeakMap<Run, { readonly at: number; readonly validators: Promise<readonly Address[]> }>();

function validatorsOf(run: Run): Promise<readonly Address[]> {
  const now = run.modules.clock.monotonic();
  const known = sets.get(run);
  if (known && now - known.at < SET_MAX_AGE) return known.validators;
  const validators = run.modules.chain.validators(run.facts.modelId).then((set) => set.validators);
  sets.set(run, { at: now, validators });
  validators.catch(() => sets.delete(run));
  return validators;
}

/** @returns the form of its kind, which it has */
function checkForm(run: Run, verdict: Verdict, entry: HeadEntry): VerdictForm {
  const wrong = (what: string): never => {
    throw new RefusedError("WRONG_VERDICT", `Verdict of kind ${verdict.kind} about head ${verdict.head}: ${what}.`);
  };
  // The head's own round counts completed rounds, so its receipts are those of the round before; checkpoint 0 has none.
  const round = Math.max(0, entry.round - 1);
  if (Number(verdict.round) !== round) wrong(`its round is ${round}, not ${verdict.round}`);
  const form = verdictFormOf(verdict.kind);
  if (!form) return wrong("validators issue none of that kind");
  const problem = form.problemOf(verdict, fragmentCount(run.driver.state));
  return problem === "" ? form : wrong(problem);
}

/**
 * Measuring more sequences later is no contradiction: the index says how many were measured. Of whoever could name any number
 * one statement more would be kept for each.
 */
async function checkSample(run: Run, { verdict }: SignedVerdict): Promise<void> {
  const { available, batch } = await run.gate.describe();
  const sizes = Object.values(HELD_OUT_SEQUENCES).map((wanted) => heldOutSampleSize(available, wanted, batch));
  if (sizes.includes(verdict.index)) return;
  throw new RefusedError(
    "WRONG_VERDICT",
    `Verdict of kind ${verdict.kind} about head ${verdict.head}: of held-out sequences ${sizes.join(" or ")} are measured, not ${verdict.index}.`,
  );
}

/** Of whoever measures first what it says is shown, and measured by nobody else: that must not be who is quickest to lie. */
async function checkTurn(run: Run, { verdict }: SignedVerdict, { head }: HeadEntry): Promise<void> {
  const order = measuringOrder(asHead(verdict.head), await validatorsOf(run));
  const before = order.slice(0, order.indexOf(verdict.validator));
  const { verdicts, phase } = run.driver.state;
  const isSaid = Object.values(verdicts).some(
    ({ verdict: { kind, head, validator } }) =>
      kind === verdict.kind && head === verdict.head && before.includes(validator),
  );
  if (before.length === 0 || isSaid) return;
  const patience = HELD_OUT_TURN_MS[phase === "Paused" || phase === "Finished" ? "resting" : "running"];
  if (run.anchorAges.of(head) >= before.length * patience) return;
  throw new RefusedError(
    "OUT_OF_TURN",
    `The held-out loss of head ${verdict.head} is for ${before[0]} to measure; ${verdict.validator} is next when that was silent for long.`,
  );
}

/** Whoever could choose what it looks at would look where nothing is wrong, or where something is. */
async function checkSortition(run: Run, verdict: Verdict, drawer: Address, entry: HeadEntry): Promise<void> {
  const { chain } = run.modules;
  if (!(await validatorsOf(run)).includes(drawer)) {
    throw new RefusedError(
      "WRONG_VERDICT",
      `${drawer}, whose finding it confirms, is not one of the model's validators.`,
    );
  }
  const drawn =
    entry.anchor &&
    (await drawnBy(chain, { head: entry.head, block: entry.anchor.block }, drawer, run.facts.elements.length));
  if (drawn === verdict.index) return;
  if (drawn == null) {
    throw new RefusedError(
      "SORTITION_PENDING",
      `Which fragment of head ${verdict.head} is drawn is decided by a block that is still to come.`,
    );
  }
  throw new RefusedError(
    "NOT_DRAWN",
    `${drawer} drew fragment ${drawn} of head ${verdict.head}; its verdict is about fragment ${verdict.index}.`,
  );
}

/**
 * @param address whose request it is
 * @throws RefusedError; RetryableError `SIGNATURES_BUSY`
 */
export async function acceptVerdict(run: Run, signed: SignedVerdict, address: string): Promise<Accepted> {
  const { verdict, signature } = signed;
  const struct = fromWire("Verdict", verdict);
  if (verdict.runId !== run.runId) {
    throw new RefusedError("WRONG_RUN", `The verdict is about run ${verdict.runId}; this is run ${run.runId}.`);
  }
  if (!(await validatorsOf(run)).includes(verdict.validator)) {
    throw new RefusedError("NOT_A_VALIDATOR", `${verdict.validator} is not one of the model's validators.`);
  }
  const { validator: signer } = verdict;
  await run.modules.signatures.require({ domain: run.domain, name: "Verdict", struct, signature, signer }, address);
  const { driver } = run;
  const event = { type: "VerdictAccepted", verdict: signed } as const;
  const refusal = refusalOf(driver.state, event);
  if (refusal?.code === "DUPLICATE") return accepted;
  const counted = driver.state.verdicts[storedVerdictKey(verdict)];
  if (refusal?.code === "EQUIVOCATION" && counted) await run.contradicted.note(counted, signed);
  if (refusal) throw new RefusedError(refusal.code, refusal.message);
  const entry = driver.state.heads.find(({ head }) => head === verdict.head);
  if (entry) {
    const { drawerOf, isSample, isInTurn } = checkForm(run, struct, entry);
    if (drawerOf) await checkSortition(run, struct, drawerOf(struct), entry);
    if (isSample) await checkSample(run, signed);
    if (isInTurn) await checkTurn(run, signed, entry);
  }
  return settle(driver.submit(event));
}

/** Said twice at once: the second is as good as the first. */
async function settle(submitted: Promise<unknown>): Promise<Accepted> {
  try {
    await submitted;
  } catch (error) {
    if (!(error instanceof RefusedError) || error.code !== "DUPLICATE") throw error;
  }
  return accepted;
}

/**
 * @param address whose request it is
 * @throws RefusedError; RetryableError `SIGNATURES_BUSY`
 */
export async function acceptAttestation(
  run: Run,
  epoch: number,
  request: AttestationRequest,
  address: string,
): Promise<Accepted> {
  const { validator, signature } = request;
  const { driver } = run;
  const name = "Attestation";
  const { rewardsDomain: domain } = run;
  const verify = (struct: Struct<"Attestation">) =>
    run.modules.signatures.require({ domain, name, struct, signature, signer: validator }, address);
  const ofRevenue = await run.revenue?.accept(epoch, request, verify);
  if (ofRevenue) return ofRevenue;
  const record = driver.state.epochs.findLast(
    (each) => each.epoch === epoch && each.computed?.manifest === request.epochDigest && each.state !== "superseded",
  );
  if (!record?.computed) {
    throw new RefusedError(
      "EPOCH_UNKNOWN",
      `Epoch ${epoch} with manifest ${request.epochDigest} collects no attestations now.`,
    );
  }
  const { attestation, validators } = record.computed;
  if (!validators.includes(validator)) {
    throw new RefusedError(
      "NOT_A_VALIDATOR",
      `${validator} is not in version ${attestation.setVersion} of the model's validators.`,
    );
  }
  await verify(fromWire(name, attestation));
  // Enough others were faster.
  if (record.state !== "collecting") return accepted;
  return settle(
    driver.submit({ type: "AttestationAccepted", epoch, epochDigest: record.computed.manifest, validator, signature }),
  );
}
