/**
 * Roots that were disputed away, where the same comes of a computation again. Of one about which nothing was decided the same root is
 * posted anew, in other signatures' name. One that the holders voted against is not: something else must come of it, by other verdicts
 * or by a later epoch, whose root covers its epochs.
 */
import { type Attestation, structHash } from "@cotrain/sdk/protocol";

import { RetryableError } from "../base/index.ts";
import type { RunState } from "./machine/state.ts";
import type { Run } from "./run.ts";

interface Voided {
  readonly epoch: number;
  /** What it was computed from. */
  readonly from: string;
  readonly root: Attestation["root"];
}

/** What was computed last and is what the holders voted against. */
const voided = new WeakMap<Run, Voided>();

/** What a computation of an epoch that is over may differ by. */
const computedFrom = ({ verdictsAccepted, reverts, settledEpoch }: RunState): string =>
  [verdictsAccepted, reverts, settledEpoch].join("/");

const isLaterOver = ({ openEpochs }: RunState, epoch: number): boolean =>
  Object.entries(openEpochs).some(([later, { over }]) => over && Number(later) > epoch);

const stillVoided = (epoch: number): RetryableError =>
  new RetryableError(
    "ROOT_VOIDED",
    `The root of epoch ${epoch} is the one that the holders voted against: it is not posted again.`,
  );

/** Computing takes long: it is not begun while the same must come of it. @throws RetryableError `ROOT_VOIDED` */
export function requireNews(run: Run, epoch: number): void {
  const before = voided.get(run);
  const { state } = run.driver;
  if (before?.epoch === epoch && before.from === computedFrom(state) && !isLaterOver(state, epoch))
    throw stillVoided(epoch);
}

/** @throws RetryableError `ATTESTATION_RULED` where the attestation itself is the one: of another block it is another */
async function wasVoided({ facts, modules: { chain } }: Run, attestation: Attestation): Promise<boolean> {
  const { index, root, total, toEpoch } = attestation;
  const own = structHash("Attestation", attestation);
  let isVoided = false;
  for (const posted of await chain.rootsOf(facts.modelId)) {
    const isSame =
      posted.index === Number(index) &&
      posted.root === root &&
      posted.total === total &&
      posted.epoch === Number(toEpoch);
    const ruling = isSame ? await chain.rulingOn(posted.digest) : undefined;
    if (ruling !== undefined && ruling !== "stands" && posted.digest === own)
      throw new RetryableError(
        "ATTESTATION_RULED",
        `A dispute about this attestation of epoch ${toEpoch} has ended: it is made anew of the next block.`,
      );
    isVoided ||= ruling === "void";
  }
  return isVoided;
}

/**
 * Whether an epoch is left to the root of a later one, since the holders voted against what was computed.
 * @throws RetryableError `ROOT_VOIDED` where no later one is over; `ATTESTATION_RULED`
 */
export async function isLeftToLater(run: Run, epoch: number, attestation: Attestation): Promise<boolean> {
  if (!(await wasVoided(run, attestation))) return false;
  const { driver, modules } = run;
  const { root } = attestation;
  if (voided.get(run)?.root !== root)
    modules.logger.error(
      { epoch, root },
      "the holders voted against the root that is computed here: it is not posted again. Pay waits until a later epoch is over or other verdicts arrive; see whether this coordinator's own data are sound",
    );
  voided.set(run, { epoch, from: computedFrom(driver.state), root });
  if (isLaterOver(driver.state, epoch)) return true;
  throw stillVoided(epoch);
}
