/** What the contracts are designed against, and what holds it off. */

/** One defence, taken out: the test that stands for it must fail. */
export interface Defence {
  /** A source of the contracts, or of OpenZeppelin's as node_modules has it. */
  readonly file: string;
  /** Stands once in the file: one or more statements, or an expression. */
  readonly text: string;
  /**
   * What stands there without the defence. Where it holds `{{off}}`, which is true where the defence is taken out, it takes the
   * text's place as it is; elsewhere it is what runs in the text's place.
   */
  readonly instead: string;
  /** The test that must fail: the file's name in test/contracts without its ending, and the function. */
  readonly test: readonly [file: string, name: string];
}

export interface Attack {
  /** A finding's letter and number first, where it has them. */
  readonly name: string;
  /** Names of rows of `breakages`: what no contract can hold off, and the other programs do. */
  readonly breakages?: readonly string[];
  readonly defences: readonly Defence[];
}

/** @param test as `File test_name` */
export function without(file: string, text: string, test: `${string} test${string}`, instead = ""): Defence {
  const [suite = "", name = ""] = test.split(" ");
  return { file, text, instead, test: [suite, name] };
}
