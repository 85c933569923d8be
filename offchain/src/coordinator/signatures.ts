/**
 * Whose signature something has. To find out takes a millisecond or two of the process's only thread, and of strangers anybody
 * may ask for it: theirs wait for turns, so many at a time, and networks take turns.
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
import { addressPrefixes } from "../service/index.ts";
import { RefusedError } from "./errors.ts";

/** Ms from one turn to the next: a sixth of the thread, and 64 workers that join at once are through in a second. */
const TURN_MS = 10;
/** With so many waiting, the last of the network with most of them is told to come again. */
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
  /** Those who wait by network, whose turn it is first. */
  const networks = new Map<string, Turn[]>();
  let waiting = 0;
  let resting = false;

  const next = (): void => {
    resting = false;
    const [first] = networks;
    if (!first) return;
    const [network, turns] = first;
    networks.delete(network);
    if (turns.length > 1) networks.set(network, turns);
    waiting -= 1;
    resting = true;
    setTimeout(next, turnMs).unref();
    turns.shift()?.begin();
  };

  const turn = (from: string): Promise<void> =>
    new Promise((begin, refuse) => {
      const network = addressPrefixes(from)[0]!;
      const turns = networks.get(network) ?? [];
      turns.push({ begin, refuse });
      networks.set(network, turns);
      waiting += 1;
      if (waiting > MOST_WAITING) {
        const fullest = [...networks.values()].reduce((most, each) => (each.length > most.length ? each : most));
        waiting -= 1;
        fullest.pop()?.refuse(new RetryableError("SIGNATURES_BUSY", "Too many joins at once: try again in a moment."));
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
