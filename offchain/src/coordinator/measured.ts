/** What a member's machine was measured to do: training by its accepted receipts, its link by what came and went. */
import type { Address, LeaseView } from "@cotrain/sdk/protocol";

import { codecOf } from "../diloco/index.ts";
import { flopPerToken } from "../engine/index.ts";
import { parametersOf } from "./machine/state.ts";
import type { Run } from "./run.ts";

/** Transfers are at most so much of a round: what is left is training even where they were measured beside others. */
const MOST_TRANSFER = 0.75;

/** FLOP of a token of a run's model; undefined where it tells no such shape. */
function flopOf({ definition: { model, sequence }, facts }: Run): number | undefined {
  const { layers, width } = model;
  if (typeof layers !== "number" || typeof width !== "number") return undefined;
  const flop = flopPerToken(parametersOf(facts), { layers, width, sequence });
  return Number.isFinite(flop) && flop > 0 ? flop : undefined;
}

/** @returns null before its first receipt, and of a model whose shape is not told */
export function measuredOf(run: Run, worker: Address): LeaseView["measured"] {
  const { driver, facts, transfers, definition } = run;
  const { state } = driver;
  const member = state.members[worker];
  const flop = flopOf(run);
  if (member?.pace == null || !member.measured || flop === undefined) return null;
  const [up, down] = [transfers.rate(worker, "up"), transfers.rate(worker, "down")];
  const codec = codecOf(state.params.codec);
  const sent = facts.elements.reduce((sum, elements) => sum + codec.encodedLength(elements), 0);
  const seconds = (up === null ? 0 : sent / up) + (down === null ? 0 : (4 * parametersOf(facts)) / down);
  const steps = state.current?.work[worker]?.assignment.steps ?? state.params.innerSteps;
  // Of a step, with its part of what is sent and fetched in a round.
  const whole = member.pace / 1e6;
  const step = Math.max(whole - seconds / Math.max(1, steps), whole * (1 - MOST_TRANSFER));
  const flops = Math.round((member.batch * definition.sequence * flop) / step);
  return Number.isSafeInteger(flops) && flops > 0 ? { flops, up, down } : null;
}
