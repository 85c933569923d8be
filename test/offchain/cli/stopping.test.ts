/** What whoever stops a session is told, in which order. */
import { expect, test } from "vitest";

import { answerStop } from "../../../offchain/src/cli/up/stopping.ts";

const STOPPING = "Stopping. Ctrl-C once more ends it at once.";

/** A session of which one process has to end. */
function session() {
  const told: string[] = [];
  const stop = new AbortController();
  const works: (() => Promise<void> | void)[] = [];
  const daemon = {
    signal: stop.signal,
    onShutdown: (_: string, work: () => Promise<void> | void) => void works.push(work),
  };
  const over = answerStop(daemon, {
    clear: () => void told.push("(cleared)"),
    kept: async () => "Stopped.",
    notice: (line) => void told.push(line),
  });
  daemon.onShutdown("processes", () => void told.push("(ended)"));
  const end = async () => {
    over();
    stop.abort();
    for (const work of works.toReversed()) await work();
  };
  return { told, stop, end };
}

test("a stop is answered at once, and what is kept is told when all has ended", async () => {
  const { told, stop, end } = session();
  stop.abort();
  expect(told).toEqual(["(cleared)", STOPPING]);
  await end();
  expect(told).toEqual(["(cleared)", STOPPING, "(ended)", "Stopped."]);
});

test("a session that ends by itself was not stopped", async () => {
  const { told, end } = session();
  await end();
  expect(told).toEqual(["(ended)"]);
});
