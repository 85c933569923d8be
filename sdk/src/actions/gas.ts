/** Gas that a transaction may take at most, by EIP-7825. */
const MOST_GAS = 2n ** 24n;

/**
 * A node estimates on a state, and with a clock, that the transaction does not meet: shares write a checkpoint of votes for each
 * second, and where the newest block's second has one, it is estimated to be written over, while the next block's is a new one. A
 * transfer writes three at most, each a new slot and the length (EIP-2929: 22,100 + 2,900).
 */
const CHECKPOINTS = 3n * 25_000n;

/** The limit of a transaction that was estimated to take so much gas: a quarter more, and what new checkpoints take. */
export const gasWithRoom = (estimate: bigint): bigint => {
  const gas = (estimate * 5n) / 4n + CHECKPOINTS;
  return gas < MOST_GAS ? gas : MOST_GAS;
};
