/** A process that runs tests of a copy, begun anew when one hangs. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import type { Copy } from "./copy.ts";
import type { Answer, Asked } from "./testServer.ts";

/** Longer than any file of tests takes. */
const LIMIT_MS = 600_000;

export interface TestRunner {
  readonly read: (file: string) => string;
  readonly write: (file: string, text: string) => void;
  /** A file of tests, or the one of this name in it. */
  readonly run: (asked: Omit<Asked, "changed">) => Promise<Answer>;
  readonly close: () => void;
}

export function openTestRunner(copy: Copy): TestRunner {
  let server: ChildProcess | undefined;
  let changed: string[] = [];
  const end = (): void => {
    try {
      // With the processes that its tests began.
      if (server?.pid !== undefined) process.kill(-server.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
    server = undefined;
  };
  const ask = async (asked: Asked): Promise<Answer> => {
    if (server === undefined) {
      server = fork(join(copy.directory, "test/thorough/testServer.ts"), {
        cwd: copy.directory,
        detached: true,
        execArgv: [],
        stdio: ["ignore", "ignore", "ignore", "ipc"],
        // Each run begins processes that load the same packages.
        env: { ...process.env, NODE_COMPILE_CACHE: join(copy.directory, "node_modules/.cache/compiled") },
      });
      await next(server);
    }
    const answer = next(server);
    server.send(asked);
    return (await answer) as Answer;
  };
  return {
    read: copy.read,
    write: (file, text) => {
      copy.write(file, text);
      changed.push(file);
    },
    run: async (asked) => {
      const answer = ask({ ...asked, changed });
      changed = [];
      try {
        return await answer;
      } catch (error) {
        end();
        return { verdict: "could not run", said: String(error), took: {} };
      }
    },
    close: end,
  };
}

/** What the process says next; fails when it ends or says nothing. */
function next(server: ChildProcess): Promise<unknown> {
  const over = new AbortController();
  const signal = AbortSignal.any([AbortSignal.timeout(LIMIT_MS), over.signal]);
  const ended = once(server, "exit", { signal }).then(() => {
    throw new TypeError("the tests' process ended");
  });
  const said = once(server, "message", { signal }).then(([message]: unknown[]) => message);
  return Promise.race([said, ended]).finally(() => {
    for (const other of [said, ended]) other.catch(() => undefined);
    over.abort();
  });
}
