/** Which heads of a run stand: a rollback is a head of an earlier round, and takes the place of those from that round on. */

/**
 * @param heads in the order of the chain, checkpoint 0 first
 * @returns one of each round, by rising rounds
 */
export function standingHeads<H extends { readonly round: number }>(heads: readonly H[]): readonly H[] {
  const standing: H[] = [];
  for (const head of heads) {
    while (standing.length > 0 && standing.at(-1)!.round >= head.round) standing.pop();
    standing.push(head);
  }
  return standing;
}
