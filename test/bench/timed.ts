/** How long a call takes, by the clock and by the processor. */
import { cpuUsage } from "node:process";

interface Timed {
  readonly calls: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Milliseconds of processor time of this process. */
export function ownTime(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1_000;
}

/**
 * Runs `call` for about so long, after three calls of warming up.
 * @param cpuTime milliseconds of processor time of whoever does the work
 */
export async function timed(
  seconds: number,
  call: () => Promise<unknown>,
  cpuTime: () => number | Promise<number>,
): Promise<Timed> {
  for (let i = 0; i < 3; i++) await call();
  const start = performance.now();
  const cpu = await cpuTime();
  let calls = 0;
  while (performance.now() - start < seconds * 1000) {
    await call();
    calls++;
  }
  return { calls, seconds: (performance.now() - start) / 1000, cpuSeconds: ((await cpuTime()) - cpu) / 1000 };
}
