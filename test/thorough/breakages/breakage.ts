/** A row of the table of breakages. */
export interface Breakage {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly instead: string;
  /** Each of these must fail. */
  readonly tests: readonly string[];
}
