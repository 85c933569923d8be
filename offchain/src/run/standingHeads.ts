/**
 * Which heads of a run stand. Rounds rise by one from head to head, and fall by a rollback alone, which names the checkpoint of an
 * earlier head anew: that head stands on, those of later rounds stand no more. The contract takes any digest: a rollback to one that
 * the run does not have leads nowhere, and what is posted on it stands for nothing, until a further rollback takes it back.
 */

interface Placed {
  readonly round: number;
  readonly checkpointDigest: string;
}

/** Whether a head is a rollback, and leads to no checkpoint of its own. @param parent the head before it; checkpoint 0 has none */
export const isRollback = ({ round }: Pick<Placed, "round">, parent: Pick<Placed, "round"> | undefined): boolean =>
  parent !== undefined && round <= parent.round;

function sorted<H extends Placed>(
  heads: readonly H[],
): { readonly standing: readonly H[]; readonly rolledBack: Set<H>; readonly toNowhere: Set<H> } {
  const stack: { readonly head: H; readonly back: boolean }[] = [];
  const rolledBack = new Set<H>();
  const toNowhere = new Set<H>();
  /** The rollback to nowhere that nothing has taken back yet. */
  let astray: H | undefined;
  for (const [i, head] of heads.entries()) {
    for (let last = stack.at(-1); last && last.head.round > head.round; last = stack.at(-1)) {
      rolledBack.add(last.head);
      stack.pop();
    }
    const back = isRollback(head, heads[i - 1]);
    if (back) {
      if (astray) rolledBack.add(astray);
      const target = stack.findLast((each) => !each.back && each.head.round === head.round)?.head;
      astray = target?.checkpointDigest === head.checkpointDigest ? undefined : head;
      if (astray) toNowhere.add(astray);
    }
    if (!astray) stack.push({ head, back });
    else if (head !== astray) rolledBack.add(head);
  }
  return { standing: stack.filter(({ back }) => !back).map(({ head }) => head), rolledBack, toNowhere };
}

/**
 * @param heads in the order of the chain, checkpoint 0 first
 * @returns the one that led to each checkpoint, by rounds that rise by one
 */
export const standingHeads = <H extends Placed>(heads: readonly H[]): readonly H[] => sorted(heads).standing;

/**
 * Those that do not stand: that a later rollback took back, or that were posted on one that leads nowhere.
 * @param heads in the order of the chain, checkpoint 0 first
 */
export const rolledBackHeads = <H extends Placed>(heads: readonly H[]): ReadonlySet<H> => sorted(heads).rolledBack;

/**
 * Rollbacks to a checkpoint that the run does not have.
 * @param heads in the order of the chain, checkpoint 0 first
 */
export const rollbacksToNowhere = <H extends Placed>(heads: readonly H[]): ReadonlySet<H> => sorted(heads).toNowhere;
