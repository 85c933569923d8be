/** What tests may want of a world's model that is not as in a local run. */
import type { ModelConfig } from "@cotrain/sdk/actions";

import type { Profile } from "../../../deploy/deployment.ts";
import { foundedBy, type foundersOf } from "../../../offchain/src/localnet/founders.ts";

/** How its holders decide, and who its founders are. */
export type WorldSettings = Partial<ModelConfig["governor"]> & {
  readonly founders?: ReturnType<typeof foundersOf>;
};

export const modelOf = (model: Profile["model"], { founders, ...governor }: WorldSettings): Profile["model"] => ({
  ...foundedBy(founders, model),
  governor: { ...model.governor, ...governor },
});
