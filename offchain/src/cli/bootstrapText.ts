/** What whoever organises a young model could do with it, for those who would trust it. */
import { countOf, formatAddress, formatShares, timeText } from "../base/index.ts";
import type { BootstrapView } from "../chain/index.ts";

/** In one sentence: who it is, what that may do, and until when; nothing of a model whose bootstrap is over. */
export function bootstrapText(bootstrap: BootstrapView | null): string {
  if (bootstrap === null) return "";
  const { organiser, claimed, needed, epochs, latest } = bootstrap;
  return `The model is in bootstrap: its organiser ${formatAddress(organiser)} may replace a third of the validators an epoch, one window after it said so, and with a quorum of its own take all that is emitted, until workers have claimed ${formatShares(needed)} shares (${formatShares(claimed)} by now) and ${countOf(epochs, "epoch")} ${epochs === 1 ? "is" : "are"} over, ${timeText(latest)} at the latest: "npx cotrain bootstrap" tells what it has announced.`;
}
