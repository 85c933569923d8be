/** A coordinator whose rounds take ten seconds each, as a session looks at it. */
import { defaultRunParams, type RunView, runParamsToWire } from "@cotrain/sdk/protocol";

import type { createManualClock } from "../manualClock.ts";

export const ROUND_MS = 10_000;
export const params = runParamsToWire(defaultRunParams);

export interface FakeRun {
  readonly coordinator: {
    readonly run: () => Promise<RunView>;
    readonly control: () => Promise<{ readonly accepted: boolean }>;
  };
  /** When it was told that the open round is the last: ms of the clock. */
  readonly closedAt: () => number;
}

/** @param view what else it shows at a time, beside the inner steps of the open round */
export function fakeRun(
  clock: ReturnType<typeof createManualClock>,
  view: (round: number) => { readonly innerSteps: number } & Partial<Record<keyof RunView, unknown>>,
): FakeRun {
  let closed = Infinity;
  return {
    coordinator: {
      run: async () => {
        const now = clock.monotonic();
        const round = Math.floor(Math.min(now, closed) / ROUND_MS);
        const { innerSteps, ...more } = view(round);
        const current = now < closed ? { round, innerSteps, assigned: 3, received: 2 } : null;
        const phase = current ? "Training" : "Paused";
        const checkpoint = { round };
        return {
          round,
          current,
          params,
          paramsVersion: 1,
          tokens: "0",
          phase,
          checkpoint,
          ...more,
        } as unknown as RunView;
      },
      control: async () => {
        closed = clock.monotonic() + 1_000;
        return { accepted: true };
      },
    },
    closedAt: () => closed,
  };
}
