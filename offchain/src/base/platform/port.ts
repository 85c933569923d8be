/**
 * What rooms that also run in a browser need of the place they run in. `#platform` in package.json chooses the implementation:
 * node.ts under Node, web.ts elsewhere.
 */

/** A hash that is fed piece by piece. */
export interface HashState {
  update(bytes: Uint8Array): unknown;
  /** Of all bytes so far; once, at the end. */
  digest(): Uint8Array;
}

export interface Platform {
  readonly sha256: () => HashState;
  readonly blake3: () => HashState;
  /** Lets what else waits for this thread have its turn: timers, messages, sockets. */
  readonly turn: () => Promise<void>;
}
