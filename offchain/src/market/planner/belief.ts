/**
 * What is to be expected of a machine that nobody has measured, by others that were: those with such GPUs say most of its speed, those of its
 * cloud of its link, and all others the rest. Each says the less the fewer they are.
 */

/** What was measured of a machine, as shares of what was expected of it before; undefined where it is not known. */
export interface Seen {
  readonly gpu: string;
  readonly cloud: string;
  readonly speed: number;
  readonly up?: number | undefined;
  readonly down?: number | undefined;
}
export interface Expected {
  readonly speed: number;
  readonly up: number;
  readonly down: number;
}

/** So many machines that are as expected stand beside those that were measured. */
const PRIOR = 2;

const meanOf = (logs: readonly number[], around: number): number =>
  (logs.reduce((sum, each) => sum + each, 0) + PRIOR * around) / (logs.length + PRIOR);

/** A share by those of a group, drawn towards that of all. */
function shareOf(
  seen: readonly Seen[],
  of: (each: Seen) => number | undefined,
  isAlike: (each: Seen) => boolean,
): number {
  const logs = (some: readonly Seen[]): number[] =>
    some.flatMap((each) => {
      const share = of(each);
      return share !== undefined && share > 0 ? [Math.log(share)] : [];
    });
  return Math.exp(meanOf(logs(seen.filter(isAlike)), meanOf(logs(seen), 0)));
}

/** By what to multiply what is expected of a machine. */
export const expectedOf = (seen: readonly Seen[], { gpu, cloud }: Pick<Seen, "gpu" | "cloud">): Expected => ({
  speed: shareOf(
    seen,
    ({ speed }) => speed,
    (each) => each.gpu === gpu,
  ),
  up: shareOf(
    seen,
    ({ up }) => up,
    (each) => each.cloud === cloud,
  ),
  down: shareOf(
    seen,
    ({ down }) => down,
    (each) => each.cloud === cloud,
  ),
});

/** How far machines of a kind differ from each other, as deviations of the logarithm, until results say otherwise; and how much of it is hoped for. */
const spread = { speed: 0.2, link: 0.4, hope: 0.5 } as const;

/** A machine that nobody has measured, as it is tried: one that turns out bad is let go, so that it is taken for somewhat better than the middle. */
export const hopeful = <T extends { readonly speed: number; readonly up: number; readonly down: number }>(
  machine: T,
): T => ({
  ...machine,
  speed: machine.speed * Math.exp(spread.hope * spread.speed),
  up: machine.up * Math.exp(spread.hope * spread.link),
  down: machine.down * Math.exp(spread.hope * spread.link),
});
