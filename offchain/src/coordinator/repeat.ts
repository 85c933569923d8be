/** What goes on by itself beside events and requests. */
import { CotrainError } from "@cotrain/sdk/errors";

import type { Clock } from "../base/index.ts";
import type { Logger } from "../service/index.ts";

export interface Repeated {
  readonly what: string;
  /** Ms between the end of one time and the next. */
  readonly interval: number;
  readonly work: () => Promise<void>;
}

/** Does something again and again until the signal; of failures in a row one is logged, of passing ones the second. */
export async function repeat(
  { what, interval, work }: Repeated,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await work();
      if (failures > 1) logger.info({ what, failures }, "works again");
      failures = 0;
    } catch (error) {
      failures += 1;
      const passing = error instanceof CotrainError && error.retryable;
      if (failures === (passing ? 2 : 1) && !signal.aborted) {
        const { code, message } =
          error instanceof CotrainError ? error : { code: "UNEXPECTED", message: String(error) };
        const particulars = passing ? { code, reason: message.split("\n")[0] } : { err: error };
        logger.warn({ what, ...particulars }, "failed, will be tried again");
      }
    }
    await clock.sleep(interval, signal).catch(() => undefined);
  }
}
