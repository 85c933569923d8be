/**
 * A run that stays up after its session: what becomes due to the wallets here is claimed all the same, so that nothing that they
 * earned waits for a command, and losses that are measured meanwhile are kept. Nothing is bought, paid or put to the vote.
 */
import { pause, unlessAborted } from "../base/index.ts";
import { lossKeeper } from "../run/index.ts";
import type { Logger } from "../service/index.ts";
import { followGrant } from "./code.ts";
import { patiently } from "./collector.ts";
import { claimAll, type LocalModel } from "./owners.ts";
import type { Prepared } from "./prepare.ts";
import { followRevenue } from "./revenue.ts";
import { currentView } from "./session.ts";

/** At rest the chain makes a block every few seconds at most. */
const CLAIM_EVERY_MS = 5_000;

/** How often the coordinator is asked for its losses. */
const LOSS_EVERY_MS = 1_000;

/** Claims until the model's signal ends it; only on a development chain, since elsewhere each claim costs money. */
export async function claimAtRest(prepared: Prepared, model: LocalModel, logger: Logger): Promise<void> {
  const { clock, signal, announce } = model;
  const { contributors, owners } = prepared;
  const say = (line: string): void => announce(line);
  const revenue = contributors && followRevenue(prepared, { customer: contributors.customer, owners }, say);
  const grant = contributors && followGrant(prepared, contributors.author, say);
  // Each by itself: what hinders one keeps nobody from the others.
  const duties = [
    patiently(async () => void (await claimAll(model)), "claiming", logger),
    ...(revenue ? [patiently(revenue.claim, "the claim of revenue", logger)] : []),
    ...(grant ? [patiently(() => grant.look(), "the claim of a grant", logger)] : []),
  ];
  try {
    while (!signal.aborted) {
      await clock.sleep(CLAIM_EVERY_MS, signal);
      for (const duty of prepared.local ? duties : []) await unlessAborted(duty(), signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Keeps the losses that are measured meanwhile, until the signal is aborted. */
export async function keepLosses(
  prepared: Prepared,
  { clock, signal }: Pick<LocalModel, "clock" | "signal">,
): Promise<void> {
  const keepLoss = lossKeeper({ state: prepared.state, sequence: prepared.definition.sequence });
  while (!signal.aborted) {
    const view = await unlessAborted(currentView(prepared), signal).catch(() => undefined);
    if (view) await keepLoss(view);
    await pause(clock, LOSS_EVERY_MS, signal);
  }
}
