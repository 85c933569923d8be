/** Which lines of a picture stay on a terminal that is too low for all of them. */

/** Lines that stand or go together. */
export interface Block<Line> {
  readonly lines: readonly Line[];
  /** How soon it gives way: the highest first, 0 never. */
  readonly spare: number;
  /** What stands in its place then, less spare than it; by default nothing. @param excess lines that are too many */
  readonly shorter?: (excess: number) => Block<Line>;
}

/** Lines of at most `rows` in all. What never gives way is cut at its end, on a terminal of next to no rows. */
export function fitHeight<Line>(blocks: readonly Block<Line>[], rows: number): Line[] {
  const kept = [...blocks];
  const excess = (): number => kept.reduce((sum, { lines }) => sum + lines.length, 0) - rows;
  const most = Math.max(0, ...blocks.map(({ spare }) => spare));
  for (let spare = most; spare > 0; spare--)
    for (let at = kept.length - 1; at >= 0 && excess() > 0; at--) {
      const block = kept[at];
      if (block?.spare !== spare) continue;
      const shorter = block.shorter?.(excess());
      kept.splice(at, 1, ...(shorter ? [shorter] : []));
    }
  return kept.flatMap(({ lines }) => lines).slice(0, Math.max(1, rows));
}
