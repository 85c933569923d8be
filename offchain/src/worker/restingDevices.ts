/** Devices of a worker that failed: which of the others takes their place, and when one is tried again. */

/** Rounds until a device is tried again; twice as many each time that it fails anew, up to the most. */
const FIRST_REST = 4;
const LONGEST_REST = 256;

interface Rest {
  /** Rounds that it rests, and how many rounds were accepted when that is over. */
  readonly rounds: number;
  readonly until: number;
}

const NEVER: Rest = { rounds: Infinity, until: Infinity };

interface Succession {
  /** Which device takes the place, the same for one that is opened once again; undefined: none does. */
  readonly next: number | undefined;
  /** Rounds until the one that failed is tried again. */
  readonly againIn?: number;
}

interface RestingDevices {
  /** @param mayPass or else it cannot train this run, however often it is tried */
  failed(device: number, rounds: number, mayPass: boolean): Succession;
  /** The first device that does not rest; the last one never does. @param rounds that were accepted so far */
  first(rounds: number): number;
}

/** @param count devices, by number, the best first */
export function createRestingDevices(count: number): RestingDevices {
  const rests = new Map<number, Rest>();
  /** Rounds that were accepted when the last device was lost. */
  let lostAt: number | undefined;
  const first = (rounds: number): number => {
    const ready = Array.from({ length: count - 1 }, (_, device) => (rests.get(device)?.until ?? 0) <= rounds);
    const found = ready.indexOf(true);
    return found < 0 ? count - 1 : found;
  };
  const rest = (device: number, rounds: number): number => {
    const before = rests.get(device);
    // One that trained for longer than it had rested was well again.
    const well = !before || rounds - before.until > before.rounds;
    const length = well ? FIRST_REST : Math.min(LONGEST_REST, 2 * before.rounds);
    rests.set(device, { rounds: length, until: rounds + length });
    return length;
  };
  return {
    first,
    failed: (device, rounds, mayPass) => {
      if (device === count - 1) {
        const again = lostAt !== rounds;
        lostAt = rounds;
        return { next: again ? device : undefined };
      }
      if (mayPass) return { againIn: rest(device, rounds), next: first(rounds) };
      rests.set(device, NEVER);
      return { next: first(rounds) };
    },
  };
}
