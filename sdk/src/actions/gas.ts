/** Gas that a transaction may take at most, by EIP-7825. */
const MOST_GAS = 2n ** 24n;

/**
 * A node estimates on a state, and with a clock, that the transaction does not meet: shares write a checkpoint of votes for each
 * second, and where the newest block's second has one, it is estimated to be written over, while the next block's is a new one. A
 * transfer writes three at most, each a new slot and the length (EIP-2929: 22,100 + 2,900).
 */
const CHECKPOINTS = 3n * 25_000n;

/**
 * The limit of a transaction that was estimated to take so much gas: a quarter more, and what new checkpoints take. Room alone is
 * never more than EIP-7825 allows; where the estimate is, the chain has another rule, and less would fail.
 * @param transfers calls in it that each may write the checkpoints of a transfer
 */
export const gasWithRoom = (estimate: bigint, transfers = 1): bigint => {
  if (estimate > MOST_GAS) return estimate;
  const gas = (estimate * 5n) / 4n + CHECKPOINTS * BigInt(transfers);
  return gas < MOST_GAS ? gas : MOST_GAS;
};
