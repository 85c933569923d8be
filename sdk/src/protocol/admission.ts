/** Who may join a run, as its parameters say. */
import { admissionCode } from "./codes.ts";
import type { RunParams } from "./parameters.ts";

/**
 * Whether a run's parameters admit a worker. A rule that this code does not know admits nobody.
 * @param active what of its stake admits it, in wei of the chain's coin: StakeManager's `activeOf`, as it is then
 */
export const isAdmittedBy = ({ admission, minStake }: Pick<RunParams, "admission" | "minStake">, active: bigint) =>
  admission === admissionCode.open || (admission === admissionCode.stake && active >= minStake);
