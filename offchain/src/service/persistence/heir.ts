/** A state with the wallets of the one before, beside it until that is out of its place: `<state>.next`. */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { stateExists } from "./state.ts";

export const heirOf = (state: string): string => `${state}.next`;

/** Whether the next start takes it up. Otherwise what is there was left of a start that ended before it put the old state aside. */
export const isHeirDue = (state: string): boolean =>
  !existsSync(state) && stateExists(heirOf(state)) && existsSync(join(heirOf(state), "keys"));
