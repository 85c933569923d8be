/** The passes by which a rented machine's workers join. */
import { parsePass, type RunId, type SignedPass } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { PASS_VARIABLE } from "../base/joining.ts";
import type { Order } from "../base/renting.ts";

/** Those of an order. @throws UserError `ORDER` where there are none, or some are of another run */
export function passesOf({ environment }: Order, runId: RunId): SignedPass[] {
  const passes = Object.entries(environment)
    .filter(([name]) => name.startsWith(PASS_VARIABLE))
    .map(([, text]) => parsePass(text));
  if (passes.length === 0 || passes.some(({ pass }) => pass.runId !== runId))
    throw new UserError(
      "ORDER",
      `Community machines train for run ${runId} of their coordinator, and do nothing else.`,
    );
  return passes;
}
