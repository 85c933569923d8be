/** How long the leases wait, and how much they keep in hand; all in milliseconds but counts. */
export interface Rules {
  /** Between two looks at everything. */
  readonly lookEvery: number;
  /** From the death of whoever keeps the leases to the first call of the watchdog that ends them, or between two looks: the longer. */
  readonly detection: number;
  /** For asking to end a machine, repetitions included. */
  readonly kill: number;
  /** More of it for each machine of the same account, since providers take one after the other. */
  readonly killEach: number;
  /** Between two requests to end one machine. */
  readonly askAgain: number;
  /** For a create that was given up to be carried out all the same. */
  readonly late: number;
  /** To boot and to join; a machine that is started over SSH has as long again from then on. */
  readonly provisioning: number;
  /** Between two tries to start a machine over SSH, and how many there are. */
  readonly startAgain: number;
  readonly startTries: number;
  /** Without a heartbeat. */
  readonly silence: number;
  /** Between two sights of a machine without work, for the time between them to count as idle. */
  readonly idleGap: number;
  /** For a cluster to have its minimum. */
  readonly assembly: number;
  /** Before a machine with a label that the ledger does not know is ended. */
  readonly quarantine: number;
  /** An offer without stock, an account that refuses. */
  readonly retryOffer: number;
  /** A host that was bad. */
  readonly blockHost: number;
  /** After which offers are asked for again. */
  readonly quotesFor: number;
  /** Before the time that was paid is over, for a machine to be paid for longer; and until it is asked for again where it was refused. */
  readonly extendBefore: number;
  readonly extendAgain: number;
  /** For a bill after the end. */
  readonly billing: number;
  /** Since the last look of a watchdog. */
  readonly watchdogFresh: number;
  /** Creates of one account between two looks. */
  readonly createsAtOnce: number;
  /** What a machine that nobody has seen yet may cost, as a multiple of its quote. */
  readonly surprise: number;
  /** Machines that a cluster lets go for new plans, for each of its slots. */
  readonly replacements: number;
  /** By how much a price may be above its quote, in percent. */
  readonly dearer: number;
}

const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000];

export const defaultRules: Rules = {
  lookEvery: 30 * SECOND,
  detection: 5 * MINUTE,
  kill: 3 * MINUTE,
  killEach: 5 * SECOND,
  askAgain: 30 * SECOND,
  late: 30 * SECOND,
  provisioning: 20 * MINUTE,
  startAgain: MINUTE,
  startTries: 8,
  silence: 10 * MINUTE,
  idleGap: 5 * MINUTE,
  assembly: 30 * MINUTE,
  quarantine: 15 * MINUTE,
  retryOffer: 10 * MINUTE,
  blockHost: 24 * HOUR,
  quotesFor: 5 * MINUTE,
  extendBefore: 15 * MINUTE,
  extendAgain: 5 * MINUTE,
  billing: 24 * HOUR,
  watchdogFresh: 2 * MINUTE,
  createsAtOnce: 4,
  surprise: 2,
  replacements: 4,
  dearer: 5,
};
