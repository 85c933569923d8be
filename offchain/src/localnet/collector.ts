/** Work that is done again and again beside the training: one time at a time, and whatever it throws ends no session. */
import type { Logger } from "../service/index.ts";

/** One collection at a time. @param claim tells whether it went through */
export function createCollector(claim: () => Promise<boolean>) {
  let going: Promise<boolean> | undefined;
  const collect = (): Promise<boolean> => {
    going ??= claim().finally(() => (going = undefined));
    return going;
  };
  return {
    collect,
    /** A collection that begins now: one that is going on may have looked before the last root became active. */
    async collectAnew(): Promise<boolean> {
      await going;
      return collect();
    },
  };
}

/** What work throws is written down, and it is tried again. @returns how to do it, which tells whether it went through */
export const patiently = (work: () => Promise<void>, what: string, logger: Logger) => async (): Promise<boolean> => {
  try {
    await work();
    return true;
  } catch (error) {
    logger.warn({ err: error }, `${what} failed and is tried again`);
    return false;
  }
};
