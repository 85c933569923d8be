/** Which held-out losses of a run's picture compare with which. */
import type { RunView } from "@cotrain/sdk/protocol";

type Loss = RunView["loss"];

/** Held-out loss before any training. While nobody has measured checkpoint 0, the first loss known is of a trained one. */
export const heldOutUntrained = ({ heldOutFirst }: Loss): Loss["heldOut"] | undefined =>
  heldOutFirst?.round === 0 ? heldOutFirst : undefined;

/** {@link heldOutUntrained}, beside the newest: what is of checkpoint 0 itself stands for both. */
export const heldOutBefore = (loss: Loss): Loss["heldOut"] | undefined =>
  loss.heldOut?.round === 0 ? undefined : heldOutUntrained(loss);
