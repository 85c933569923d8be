/**
 * Whose signature something has. To find out takes a millisecond or two of the process's only thread, and of strangers anybody
 * may ask for it: theirs wait for turns, so many at a time, which networks take, see networks.ts of service.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  type Domain,
  type Hex,
  recoverSigner,
  type Struct,
  type StructName,
} from "@cotrain/sdk/protocol";

import { RetryableError } from "../base/index.ts";
import { addressPrefixes, emptyNetwork, putIn, sizeOf, takeFirst, takeLast } from "../service/index.ts";
import { RefusedError } from "./errors.ts";

/** Ms from one turn to the next: a sixth of the thread, and 64 workers that join at once are through in a second. */
const TURN_MS = 10;
/** With so many waiting, the last of the fullest network is told to come again. */
const MOST_WAITING = 256;

export interface Signatures {
  /**
   * @param from the address of a stranger; undefined for a member under its session, who is bounded by what it may do there
   * @throws RefusedError `BAD_SIGNATURE`; RetryableError `SIGNATURES_BUSY`
   */
  require<N extends StructName>(
    signed: {
      readonly domain: Domain;
      readonly name: N;
      readonly struct: Struct<N>;
      readonly signature: Hex;
      readonly signer: Address;
    },
    from?: string,
  ): Promise<void>;
}

interface Turn {
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/** @param turnMs for tests */
export function createSignatures(turnMs = TURN_MS): Signatures {
  const waiting = emptyNetwork<Turn>();
  let resting = false;

  const next = (): void => {
    const turn = takeFirst(waiting);
    resting = turn !== undefined;
    if (!turn) return;
    setTimeout(next, turnMs);
    turn.begin();
  };

  const turn = (from: string): Promise<void> =>
    new Promise((begin, refuse) => {
      putIn(waiting, addressPrefixes(from), { begin, refuse });
      if (sizeOf(waiting) > MOST_WAITING) {
        const busy = new RetryableError("SIGNATURES_BUSY", "Too many joins at once: try again in a moment.");
        takeLast(waiting)?.refuse(busy);
      }
      if (!resting) next();
    });

  return {
    require: async ({ domain, name, struct, signature, signer }, from) => {
      if (from !== undefined) await turn(from);
      let found: Address | undefined;
      try {
        found = await recoverSigner(domain, name, struct, signature);
      } catch (error) {
        if (!(error instanceof CotrainError)) throw error;
      }
      if (found === signer) return;
      throw new RefusedError(
        "BAD_SIGNATURE",
        `The signature of this ${name} is ${found ? `by ${found}` : "malformed"}, not by ${signer}.`,
      );
    },
  };
}
