/** What tests may want of a world's model that is not as in a local run. */
import type { ModelConfig } from "@cotrain/sdk/actions";

import type { Profile } from "../../../deploy/deployment.ts";
import { foundedBy, type foundersOf } from "../../../offchain/src/localnet/founders.ts";

type Governor = ModelConfig["governor"];

/** How its holders decide, who its founders are, and whether it is in bootstrap, where holders may decide little. */
export interface WorldSettings extends Partial<Governor> {
  readonly founders?: ReturnType<typeof foundersOf>;
  readonly young?: boolean;
  /** The run is registered with as many, whatever its definition's table has. */
  readonly fragments?: number;
}

export function modelOf(model: Profile["model"], settings: WorldSettings): Profile["model"] {
  const names = Object.keys(model.governor) as (keyof Governor)[];
  const governor = Object.fromEntries(names.map((name) => [name, settings[name] ?? model.governor[name]]));
  return {
    ...foundedBy(settings.founders, model),
    governor: governor as unknown as Governor,
    // More than these worlds' workers claim.
    ...(settings.young && { bootstrapShares: 500n * 10n ** 18n, bootstrapEpochs: 2 }),
  };
}
