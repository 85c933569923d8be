/**
 * A process of its own that outlives its supervisor by seconds: it reads from standard input which processes the supervisor
 * has (`+pid`, `-pid`, one a line), and when that input ends, as it does even when the supervisor is killed by -9, it ends
 * those that are left: SIGTERM, and SIGKILL two seconds later. Imports nothing, so that it starts at once.
 */
const GRACE_MS = 2_000;
const pids = new Set<number>();
let rest = "";

function signalAll(signal: "SIGTERM" | "SIGKILL"): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      pids.delete(pid);
    }
  }
}

process.stdin.setEncoding("utf8");
process.stdin.on("data", (text: string) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const pid = Number(line.slice(1));
    if (!Number.isSafeInteger(pid) || pid <= 1) continue;
    if (line.startsWith("+")) pids.add(pid);
    else pids.delete(pid);
  }
});
process.stdin.on("end", () => {
  signalAll("SIGTERM");
  const started = performance.now();
  const timer = setInterval(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, 0);
      } catch {
        pids.delete(pid);
      }
    }
    if (pids.size > 0 && performance.now() - started < GRACE_MS) return;
    signalAll("SIGKILL");
    clearInterval(timer);
  }, 50);
});
// The terminal's Ctrl-C is for the supervisor.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
