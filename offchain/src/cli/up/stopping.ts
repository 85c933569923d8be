/** What is said to whoever stops a session, and when. */
import type { DaemonContext } from "../../service/index.ts";

const STOPPING = "Stopping. Ctrl-C once more ends it at once.";
/** After a second Ctrl-C; nothing follows it. */
export const ENDED = "Ended at once: the next start takes up what was under way.";

/**
 * Ending takes seconds: whoever pressed Ctrl-C is answered at once, and told what is kept when all that was started has ended.
 * To be called before anything is registered for the end.
 * @param clear takes away what is drawn in place
 * @param kept what is true of the state then
 * @returns to be called when the session is over: what ends after that was not stopped
 */
export function answerStop(
  daemon: Pick<DaemonContext, "signal" | "onShutdown">,
  says: { readonly clear: () => void; readonly kept: () => Promise<string>; readonly notice: (line: string) => void },
): () => void {
  let stopped = false;
  const answer = (): void => {
    stopped = true;
    says.clear();
    says.notice(STOPPING);
  };
  daemon.signal.addEventListener("abort", answer, { once: true });
  // The first that is registered is the last that runs.
  daemon.onShutdown("last word", async () => {
    if (stopped) says.notice(await says.kept());
  });
  return () => daemon.signal.removeEventListener("abort", answer);
}
