/** What ends the processes of a tree when the one that started them is killed: the other end of guardProcess.ts. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Guard {
  /** A process is there that must not stay behind. */
  add(pid: number): void;
  /** It ended. */
  remove(pid: number): void;
  close(): void;
}

/** Its process begins with the first one guarded, and again should somebody kill it. */
export function createGuard(): Guard {
  const pids = new Set<number>();
  let guard: ChildProcess | undefined;
  let closed = false;
  const ensure = (): void => {
    if (guard || closed) return;
    const started = spawn(process.execPath, [fileURLToPath(new URL("./guardProcess.ts", import.meta.url))], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      windowsHide: true,
    });
    guard = started;
    started.unref();
    started.stdin?.on("error", () => undefined);
    if (started.stdin && "unref" in started.stdin && typeof started.stdin.unref === "function") started.stdin.unref();
    const lost = (): void => {
      if (guard !== started) return;
      guard = undefined;
      if (pids.size > 0) ensure();
    };
    started.once("exit", lost);
    started.once("error", lost);
    for (const pid of pids) started.stdin?.write(`+${pid}\n`);
  };
  return {
    add: (pid) => {
      pids.add(pid);
      if (guard) guard.stdin?.write(`+${pid}\n`);
      else ensure();
    },
    remove: (pid) => {
      pids.delete(pid);
      guard?.stdin?.write(`-${pid}\n`);
    },
    close: () => {
      closed = true;
      guard?.stdin?.end();
      guard = undefined;
    },
  };
}
