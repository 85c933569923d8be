/**
 * What training apart costs in tokens: many replicas learn less from a token than one does. Two parts: a batch that grows with the
 * replicas, against the critical batch, and the loss that DiLoCo gives away at equal tokens.
 */

/** Exponent of the loss's fall with tokens, until it is fitted to results of one's own. */
const BETA = 0.28;
/** Loss that no number of tokens removes, nats a token (Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556: 1.69). */
const IRREDUCIBLE = 1.69;

/** Parameters, loss by data parallel training, and by how many percent 2, 4 and 8 replicas of DiLoCo are above it. */
type LossRow = readonly [parameters: number, loss: number, two: number, four: number, eight: number];

/**
 * Held-out losses of Charles et al. 2025, "Scaling Laws for DiLoCo" (https://arxiv.org/abs/2503.09799), each at the tokens that
 * suit its size; entered without the paper at hand, to be held against it. Beyond the table's sizes its ends hold; beyond eight replicas each doubling adds as much as the last.
 */
const losses: readonly LossRow[] = [
  [35e6, 3.485, 0.7, 2.0, 3.9],
  [90e6, 3.167, 0.5, 1.4, 3.1],
  [180e6, 2.95, 0.3, 1.1, 2.3],
  [335e6, 2.784, 0.1, 0.8, 2.0],
  [550e6, 2.653, 0.1, 0.8, 1.7],
  [1.3e9, 2.46, 0.2, 0.5, 1.3],
  [2.4e9, 2.326, 0, 0.3, 1.1],
];

/** Excess of a row at so many replicas, as a share of the loss that can be removed at all. */
function excessOf([, loss, two, four, eight]: LossRow, replicas: number): number {
  const doublings = Math.log2(replicas);
  const at = [0, two, four, eight];
  const whole = Math.min(2, Math.floor(doublings));
  const [low = 0, high = 0] = [at[whole], at[whole + 1]];
  const percent = low + (high - low) * (doublings - whole);
  return ((percent / 100) * loss) / (loss - IRREDUCIBLE);
}

/** δ: relative excess of the reducible loss of `replicas` at equal tokens and global batch; 0 for one. */
export function excessLoss(replicas: number, parameters: number): number {
  if (replicas <= 1) return 0;
  const above = losses.findIndex(([size]) => size >= parameters);
  const upper = losses[above < 0 ? losses.length - 1 : above];
  const lower = losses[above <= 0 ? (above < 0 ? losses.length - 1 : 0) : above - 1];
  if (upper === undefined || lower === undefined) return 0;
  const span = Math.log(upper[0] / lower[0]);
  const share = span === 0 ? 0 : Math.log(parameters / lower[0]) / span;
  return excessOf(lower, replicas) * (1 - share) + excessOf(upper, replicas) * share;
}

/**
 * σ: effective tokens of a token, that is tokens of one replica with the same loss.
 * @param batch tokens of one replica's batch
 * @param criticalBatch tokens beyond which a larger batch learns no more from a token
 */
export const effectiveness = (replicas: number, parameters: number, batch: number, criticalBatch: number): number =>
  ((1 + batch / criticalBatch) / (1 + (replicas * batch) / criticalBatch)) *
  (1 + excessLoss(replicas, parameters)) ** (-1 / BETA);
