/** What the end of a round takes, from its last step to the acknowledgement, by what it took before: so much time is kept free for it. */

/** Where nothing was sent yet. */
const UNMEASURED_MS = 3_000;
/** Of the last so many the middle one counts, of two the longer one: one that waited for a coordinator that was away says little. */
const KEPT = 3;
/** A machine that became slower encodes and hashes more slowly; its link, which takes the rest, is as it was. */
const MAX_SLOWDOWN = 4;

export interface SendingTimes {
  /** θ came and was loaded in so many ms: the first guess at what the way back takes. */
  prepared(ms: number): void;
  /** A sending ended. @param stepMs what an inner step took before it */
  took(ms: number, stepMs: number): void;
  /** One was cut off after so long, and would have taken longer: that counts at once, since whoever is late again sends for nothing. */
  cut(ms: number, stepMs: number): void;
  /** What the next one takes. @param stepMs what an inner step takes now */
  expected(stepMs: number): number;
}

export function createSendingTimes(): SendingTimes {
  let guess = UNMEASURED_MS;
  let kept: readonly { readonly ms: number; readonly stepMs: number }[] = [];
  const expected = (now: number): number => {
    const times = kept.map(({ ms, stepMs }) => ms * Math.min(MAX_SLOWDOWN, Math.max(1, now / stepMs)));
    return times.toSorted((a, b) => a - b)[times.length >> 1] ?? guess;
  };
  return {
    prepared: (ms) => {
      guess = Math.max(UNMEASURED_MS, ms);
    },
    took: (ms, stepMs) => {
      kept = [...kept, { ms, stepMs }].slice(-KEPT);
    },
    cut: (ms, stepMs) => {
      kept = [{ ms: Math.max(ms, expected(stepMs)), stepMs }];
    },
    expected,
  };
}
