import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";

import { systemClock } from "../../../../offchain/src/base/index.ts";
import { silentLogger } from "../../../../offchain/src/service/processes/logging.ts";
import {
  createSupervisor,
  type ProcessSpec,
  type Supervisor,
  type SupervisorOptions,
} from "../../../../offchain/src/service/processes/supervisor.ts";
import { eventually, isAlive, nodeArgs, runProgram, temporaryDirectory } from "../support.ts";

function create(options: Partial<SupervisorOptions> = {}): Supervisor {
  const supervisor = createSupervisor({ logger: silentLogger(), restartDelay: 20, ...options });
  onTestFinished(() => supervisor.stopAll());
  return supervisor;
}

const daemon = (name: string, ...args: string[]): ProcessSpec => ({
  name,
  command: process.execPath,
  args: nodeArgs("daemon", ...args),
  ready: { kind: "message" },
});
const shell = (name: string, script: string): ProcessSpec => ({ name, command: "sh", args: ["-c", script] });

test("a process killed by -9 is started again and serves again", async () => {
  const supervisor = create();
  const states: string[] = [];
  supervisor.events.on("state", (status) => states.push(status.state));
  const first = await supervisor.start(daemon("worker"));
  expect(first).toMatchObject({ state: "ready", restarts: 0, details: { port: 1_234 } });
  process.kill(first.pid!, "SIGKILL");
  await eventually(
    () => supervisor.status()[0]?.restarts === 1 && supervisor.status()[0]?.state === "ready",
    "serves again",
  );
  const [second] = supervisor.status();
  expect(second?.pid).not.toBe(first.pid);
  expect(states).toEqual(["starting", "ready", "waiting", "starting", "ready"]);
  await supervisor.stop("worker");
  expect(supervisor.status()).toMatchObject([{ state: "stopped", pid: undefined, exit: { code: 0 } }]);
  expect(await isAlive(second!.pid!)).toBe(false);
});

test("after five restarts within a minute a process is given up, with its last words and its log", async () => {
  const logDirectory = await temporaryDirectory();
  const supervisor = create({ restartDelay: 1, logDirectory });
  const failed: unknown[] = [];
  supervisor.events.on("failed", (status, error) => failed.push(status.name, error));
  const ended = supervisor.start({
    ...shell("flaky", "echo about to fail; echo 'the disk is on fire' >&2; exit 3"),
    ready: { kind: "check", check: () => new Promise(() => undefined) },
  });
  const error = await ended.catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    name: "InternalError",
    code: "PROCESS_GAVE_UP",
    message: `flaky ended 6 times within a minute and was given up (last: the disk is on fire); see ${join(logDirectory, "flaky.log")}.`,
  });
  expect(failed).toEqual(["flaky", error]);
  expect(supervisor.status()).toMatchObject([{ state: "failed", restarts: 5 }]);
  expect((await readFile(join(logDirectory, "flaky.log"), "utf8")).match(/about to fail/g)?.length).toBe(6);
});

// Whatever the machine's clock is set to meanwhile.
test("restarts count for a minute, by a clock that nobody sets", async () => {
  const HOUR = 3_600_000;
  let wall = Date.now();
  const runs = join(await temporaryDirectory(), "runs");
  /** Fails so many times, then ends well. */
  const failing = (name: string, times: number): ProcessSpec =>
    shell(name, `echo >>${runs}-${name}; test $(wc -l <${runs}-${name}) -gt ${times} || exit 3`);
  const ahead = create({ restartDelay: 1, restartsPerMinute: 2, clock: { ...systemClock, now: () => (wall += HOUR) } });
  const never = { kind: "check", check: () => new Promise<void>(() => undefined) } as const;
  await expect(ahead.start({ ...failing("often", 6), ready: never })).rejects.toMatchObject({
    code: "PROCESS_GAVE_UP",
  });
  expect(ahead.status()).toMatchObject([{ restarts: 2 }]);

  // A minute and more lies between any two looks.
  let passed = 0;
  const monotonic = (): number => (passed += 60_001);
  const clock = { ...systemClock, now: () => (wall -= HOUR), monotonic };
  const behind = create({ restartDelay: 1, restartsPerMinute: 1, clock });
  await behind.start(failing("seldom", 4));
  await eventually(() => ["stopped", "failed"].includes(behind.status()[0]!.state), "the end");
  expect(behind.status()).toMatchObject([{ state: "stopped", restarts: 4 }]);
});

test("a user's mistake is not tried again: the child's own sentence and code come up", async () => {
  const supervisor = create();
  await expect(supervisor.start(daemon("coordinator", "user-error"))).rejects.toMatchObject({
    name: "UserError",
    code: "PRESET_UNKNOWN",
    message: "There is no preset huge.",
  });
  expect(supervisor.status()).toMatchObject([{ state: "failed", restarts: 0 }]);
});

test("one that is away (75) is tried again, then reported as worth another try", async () => {
  const supervisor = create({ restartsPerMinute: 1, restartDelay: 1 });
  await expect(supervisor.start(daemon("poster", "retryable"))).rejects.toMatchObject({
    code: "PROCESS_GAVE_UP",
    retryable: true,
    message: expect.stringContaining("The RPC is away") as string,
  });
});

test("a program that is not there is one sentence", async () => {
  await expect(create().start({ name: "chain", command: "/no/such/anvil" })).rejects.toMatchObject({
    name: "UserError",
    code: "PROCESS_NOT_STARTED",
    message: expect.stringContaining("/no/such/anvil could not be started") as string,
  });
});

test("one that never becomes ready is killed and counts as failed", async () => {
  const supervisor = create({ restartsPerMinute: 0 });
  await expect(
    supervisor.start({
      ...shell("chain", "exec sleep 60"),
      ready: { kind: "url", url: "http://127.0.0.1:9/" },
      readyTimeout: 150,
    }),
  ).rejects.toMatchObject({ message: expect.stringContaining("chain was not ready within 0.15 s") as string });
});

test("why one is started again is told with its state", async () => {
  const supervisor = create();
  const waiting = new Promise((told) => {
    supervisor.events.on("state", (status) => {
      if (status.state === "waiting") told(status);
    });
  });
  const ready = supervisor.start({
    ...shell("worker", "exec sleep 60"),
    ready: { kind: "check", check: () => new Promise(() => undefined) },
    readyTimeout: 150,
  });
  ready.catch(() => undefined);
  expect(await waiting).toMatchObject({ name: "worker", reason: "worker was not ready within 0.15 s." });
});

test("readiness by URL waits for a good answer", async () => {
  let answers = 0;
  const server = createServer((_request, response) => {
    response.statusCode = ++answers < 3 ? 503 : 200;
    response.end();
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  onTestFinished(() => void server.close());
  const status = await create().start({
    ...shell("chain", "exec sleep 60"),
    ready: { kind: "url", url: `http://127.0.0.1:${port}/` },
  });
  expect(status.state).toBe("ready");
  expect(answers).toBe(3);
});

test("what ends by itself with 0 is done and not started again", async () => {
  const supervisor = create();
  await supervisor.start(shell("once", "exit 0"));
  await eventually(() => supervisor.status()[0]?.state === "stopped", "stopped");
  expect(supervisor.status()[0]?.restarts).toBe(0);
});

test("all are stopped in the reverse order of their start, side by side within a group; the deaf are killed", async () => {
  const journal = join(await temporaryDirectory(), "journal");
  const supervisor = create();
  const ended: string[] = [];
  supervisor.events.on("state", (status) => {
    if (status.state === "stopped") ended.push(status.name);
  });
  await supervisor.start({ ...shell("chain", "trap '' TERM; while true; do sleep 0.05; done"), stopDeadline: 50 });
  await supervisor.start(daemon("coordinator", "serve", journal));
  await supervisor.startGroup([daemon("worker-1", "serve", journal), daemon("worker-2", "serve", journal)]);
  await supervisor.stopAll();
  expect(ended.slice(0, 2).toSorted()).toEqual(["worker-1", "worker-2"]);
  expect(ended.slice(2)).toEqual(["coordinator", "chain"]);
  expect(supervisor.status()[0]?.exit).toEqual({ code: null, signal: "SIGKILL" });
  await expect(supervisor.start(shell("late", "true"))).rejects.toMatchObject({ code: "PROCESS_NAME_TAKEN" });
});

test.runIf(process.platform === "linux")(
  "what ended while the supervisor itself stood still has stopped in time",
  async () => {
    const logger = silentLogger();
    const warned = vi.spyOn(logger, "warn");
    const supervisor = create({ logger });
    const { pid } = await supervisor.start({ ...daemon("worker"), stopDeadline: 100 });
    const done = supervisor.stop("worker");
    // Nothing is heard of here until long after the deadline, when the process is a zombie.
    const until = performance.now() + 200;
    while (performance.now() < until || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) continue;
    await done;
    expect(warned).not.toHaveBeenCalled();
    expect(supervisor.status()).toMatchObject([{ state: "stopped", exit: { code: 0 } }]);
  },
);

test("a stop during the pause before a restart is a stop", async () => {
  const supervisor = create({ restartDelay: 60_000 });
  await supervisor.start(shell("flaky", "sleep 0.05; exit 3"));
  await eventually(() => supervisor.status()[0]?.state === "waiting", "waiting");
  await supervisor.stop("flaky");
  expect(supervisor.status()[0]?.state).toBe("stopped");
});

test("when one of several cannot be started, it is said, and the others are stopped as any", async () => {
  const journal = join(await temporaryDirectory(), "journal");
  const specs = [
    daemon("good", "serve", journal),
    shell("bad", `until grep -q started ${journal}; do sleep 0.02; done; exit 1`),
  ];
  specs[1] = { ...specs[1]!, ready: { kind: "check", check: () => new Promise(() => undefined) } };
  const supervisor = create();
  await expect(supervisor.startGroup(specs)).rejects.toMatchObject({ code: "PROCESS_FAILED" });
  await supervisor.stopAll();
  const [, pid] = /started (\d+)/.exec(await readFile(journal, "utf8")) ?? [];
  expect(await isAlive(Number(pid))).toBe(false);
});

test("when the supervisor is killed by -9, no process is left, not even one that ignores SIGTERM", async () => {
  const tree = runProgram("tree");
  const [, daemonPid, foreignPid] = await tree.says(/pids (\d+) (\d+)/);
  const pids = [Number(daemonPid), Number(foreignPid)];
  expect(await Promise.all(pids.map(isAlive))).toEqual([true, true]);
  tree.child.kill("SIGKILL");
  await eventually(async () => !(await Promise.all(pids.map(isAlive))).some(Boolean), "both are gone");
});
