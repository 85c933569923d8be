/**
 * Which heads of a run stand. Rounds rise by one from head to head, and fall by a rollback alone, which names the checkpoint of an
 * earlier head anew: that head stands on, those of later rounds stand no more.
 */

interface Placed {
  readonly round: number;
}

/** Whether a head is a rollback, and leads to no checkpoint of its own. @param parent the head before it; checkpoint 0 has none */
export const isRollback = ({ round }: Placed, parent: Placed | undefined): boolean =>
  parent !== undefined && round <= parent.round;

/** Those that no later head takes back, rollbacks among them, by rounds that do not fall; and the others. */
function sorted<H extends Placed>(heads: readonly H[]): { readonly stack: readonly H[]; readonly rolledBack: Set<H> } {
  const stack: H[] = [];
  const rolledBack = new Set<H>();
  for (const head of heads) {
    for (let last = stack.at(-1); last && last.round > head.round; last = stack.at(-1)) {
      rolledBack.add(last);
      stack.pop();
    }
    stack.push(head);
  }
  return { stack, rolledBack };
}

/**
 * @param heads in the order of the chain, checkpoint 0 first
 * @returns the one that led to each checkpoint, by rounds that rise by one
 */
export const standingHeads = <H extends Placed>(heads: readonly H[]): readonly H[] =>
  sorted(heads).stack.filter((head, i, stack) => !isRollback(head, stack[i - 1]));

/** Those that stand no more. @param heads in the order of the chain, checkpoint 0 first */
export const rolledBackHeads = <H extends Placed>(heads: readonly H[]): ReadonlySet<H> => sorted(heads).rolledBack;
