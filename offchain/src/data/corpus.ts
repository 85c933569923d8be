/** What a corpus is, and which of its documents are held out. */
import { createRandom } from "../base/index.ts";

/** Text in documents, which may be read any number of times and is the same each time. */
export interface Corpus {
  /** One line that says what it is; stands in the data manifest. */
  readonly source: string;
  /** Documents in a fixed order; joined they are the text, separators included. */
  documents(): AsyncIterable<string>;
}

/** One document in this many is held out. */
const HELD_OUT_EVERY = 20;

/**
 * Decides which documents are held out: of every {@link HELD_OUT_EVERY} consecutive ones, one drawn from the seed.
 * @returns whether document `index` is held out
 */
export function heldOutBy(seed: string): (index: number) => boolean {
  const drawn: number[] = [];
  const random = createRandom(seed).split("held-out");
  return (index) => {
    const group = Math.floor(index / HELD_OUT_EVERY);
    while (drawn.length <= group) drawn.push(random.below(HELD_OUT_EVERY));
    return index % HELD_OUT_EVERY === drawn[group];
  };
}
