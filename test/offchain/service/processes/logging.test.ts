import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

import { createManualClock } from "../../manualClock.ts";
import { createLogger, openLogFile } from "../../../../offchain/src/service/processes/logging.ts";
import { temporaryDirectory } from "../support.ts";

function captured(pretty = false): { lines: string[]; logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  const logger = createLogger({
    component: "coordinator",
    pretty,
    level: "debug",
    destination: { write: (line) => lines.push(line) },
  });
  return { lines, logger };
}

test("lines are JSON with time, component and what was given", () => {
  const { lines, logger } = captured();
  logger.child({ component: "poster" }).info({ round: 7 }, "head posted");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: 30, component: "poster", round: 7, msg: "head posted" });
});

test("secrets are replaced wherever they stand, signatures and digests are not", () => {
  const { lines, logger } = captured();
  const secret = "0xDEADBEEF";
  logger.info({ key: secret, privateKey: secret, passphrase: secret, mac: secret, authorization: secret });
  logger.info({
    account: { privateKey: secret },
    request: { headers: { authorization: secret } },
    a: { b: { c: { sessionKey: secret } } },
  });
  logger.info({ signature: "0x51", digest: "0xd1" });
  expect(lines.join("")).not.toContain(secret);
  expect(lines.join("").match(/\[secret\]/g)?.length).toBe(8);
  expect(lines[2]).toContain('"signature":"0x51","digest":"0xd1"');
});

test("URLs show no user, path or query, in causes of errors either; this machine's keep their path", () => {
  const { lines, logger } = captured();
  const cause = new Error(
    "fetch failed: https://me:SECRET1@rpc.example.org:8443/v3/SECRET2?k=SECRET3\nRequest: wss://a.b/SECRET4",
  );
  logger.warn(
    { err: new Error("the chain is away", { cause }), rpc: "http://rpc.example.org/SECRET5" },
    "posting waits",
  );
  logger.info({ url: "http://127.0.0.1:7700/v1/runs?token=SECRET6" });
  expect(lines.join("")).not.toMatch(/SECRET/);
  expect(lines[0]).toContain("https://rpc.example.org:8443/…");
  expect(lines[1]).toContain("http://127.0.0.1:7700/v1/runs?…");
  const { err } = JSON.parse(lines[0] ?? "") as { err: { stack: string } };
  expect(err.stack).toContain("wss://a.b/…");
});

test("on a terminal the same line is for people", () => {
  const { lines, logger } = captured(true);
  logger.warn({ round: 7 }, "late");
  expect(lines.join("")).toMatch(/^\[\d\d:\d\d:\d\d\] .*WARN.*: .*late/);
  expect(lines.join("")).not.toContain('"msg"');
});

test("a log file is turned over before it grows beyond its limit", async () => {
  const path = join(await temporaryDirectory(), "logs", "worker-1.log");
  const file = openLogFile(path, 100);
  const logger = createLogger({ component: "x", destination: { write: () => undefined }, file });
  logger.info("first");
  file.write(`${"a".repeat(60)}\n`);
  file.write(`${"b".repeat(60)}\n`);
  expect(await readFile(path, "utf8")).toBe(`${"b".repeat(60)}\n`);
  expect(await readFile(`${path}.1`, "utf8")).toBe(`${"a".repeat(60)}\n`);
  file.close();
  file.write("after closing");
  const again = openLogFile(path, 100);
  again.write("c\n");
  expect(await readFile(path, "utf8")).toBe(`${"b".repeat(60)}\nc\n`);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  again.close();
});

test("a log that cannot be written loses lines and nothing else", () => {
  const file = openLogFile("/proc/cotrain/none.log");
  file.write("x");
  expect(file.lost).toBe(1);
  file.close();
});

// foundation 4
test("a message that is said again and again is held back, and told how often", async () => {
  const clock = createManualClock(1_000);
  const lines: { msg: string; times?: number }[] = [];
  const logger = createLogger({
    component: "c",
    pretty: false,
    clock,
    destination: { write: (line) => void lines.push(JSON.parse(line) as { msg: string }) },
  });
  const child = logger.child({ component: "c.part" });
  for (let i = 0; i < 26_999; i++) child.error({ i }, "events could not be written");
  // It is the same minute, whatever the clock is set to.
  clock.step(3_600_000);
  child.error("events could not be written");
  logger.info("something else");
  expect(lines.filter(({ msg }) => msg === "events could not be written")).toHaveLength(100);
  expect(lines.at(-1)?.msg).toBe("something else");
  await clock.advance(60_000);
  child.error("events could not be written");
  expect(lines.slice(-2)).toEqual([
    expect.objectContaining({ msg: "a message was left out", times: 26_900, message: "events could not be written" }),
    expect.objectContaining({ msg: "events could not be written" }),
  ]);
});
