/**
 * `npm run chaos -- --minutes 30 --seed N`: a small run whose processes are killed by `kill -9` or stood still at random, drawn
 * from a seed: chain, coordinator, workers, validators and `up` itself. Afterwards it must train on, settle, verify, and leave
 * no process. It prints what it did; ends with 0, or with one sentence and 1. Linux, like all that finds processes by a mark.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { createRandom } from "../../offchain/src/base/index.ts";
import { freePort, openStage, openWatch, readJson, root, type Running, signal, until } from "./harness.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "2" }, seed: { type: "string", default: String(Date.now()) } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= 600)) {
  process.stderr.write(`chaos: --minutes must be a number above 0, 600 at most, not "${values.minutes}".\n`);
  process.exit(1);
}
const random = createRandom(`chaos ${values.seed}`);
const stage = openStage();
const ports = { coordinator: await freePort(), chain: await freePort() };
const started = Date.now();
/** The supervisor gives a process up that ends more often than five times a minute, which is as it should be. */
const KILLS_A_MINUTE = 4;
/** The coordinator twice: it has the most to lose. */
const TARGETS = "chain coordinator coordinator worker-1 worker-2 worker-3 validator-1 validator-2 validator-3 up".split(
  " ",
);

class Fault extends Error {}

function say(what: string): void {
  process.stdout.write(`${((Date.now() - started) / 1_000).toFixed(1).padStart(7)} s  ${what}\n`);
}

const up = (...args: readonly string[]): Running =>
  stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--json",
    // The second implementation wants to see all of it.
    "--keep-payloads=1d",
    "--keep-checkpoints=100000",
    `--port=${ports.coordinator}`,
    `--chain-port=${ports.chain}`,
    ...args,
  ]);
const forHours = (): Running => up("--for=600m");

async function training(running: Running): Promise<void> {
  await until(
    "training",
    () => {
      const exit = running.exit();
      if (exit) throw new Fault(`cotrain up ended with ${exit.code ?? exit.signal}: ${running.stderr().slice(-2_000)}`);
      return running.stderr().includes("Training · round");
    },
    { seconds: 300, every: 100, context: () => running.stderr().slice(-2_000) },
  );
}

/** Closed rounds of the log, as another process sees them. */
function round(): number {
  const watch = openWatch(stage.state);
  try {
    watch.look();
    return watch.state().round;
  } finally {
    watch.close();
  }
}

interface Done {
  kills: number;
  stops: number;
  starts: number;
}

/** Kills of each process in the last minute. */
const recent = new Map<string, number[]>();
function mayKill(name: string): boolean {
  const times = (recent.get(name) ?? []).filter((time) => Date.now() - time < 60_000);
  recent.set(name, times);
  return times.length < KILLS_A_MINUTE;
}

async function strike(running: Running, done: Done): Promise<Running> {
  const name = TARGETS[random.below(TARGETS.length)] ?? "coordinator";
  const kills = random.below(3) > 0;
  const stillness = 200 + random.below(5_000);
  const found = stage.processes().find((each) => each.name === name);
  if (!found) {
    say(`${name} is not there at this moment`);
    return running;
  }
  if (kills && mayKill(name)) {
    done.kills += 1;
    recent.get(name)?.push(Date.now());
    say(`kill -9 ${name} (${found.pid})`);
    signal(found.pid, "SIGKILL");
    if (name !== "up") return running;
    await running.exited;
    await stage.empty(60);
    recent.clear();
    done.starts += 1;
    const next = forHours();
    await training(next);
    say("up was started again, and trains");
    return next;
  }
  done.stops += 1;
  say(`SIGSTOP ${name} (${found.pid}) for ${stillness} ms`);
  signal(found.pid, "SIGSTOP");
  await sleep(stillness);
  signal(found.pid, "SIGCONT");
  return running;
}

async function settle(running: Running): Promise<void> {
  const before = round();
  say(`at round ${before}; now it is left alone, and must train on`);
  await until("two rounds more", () => round() >= before + 2, { seconds: 300, every: 500 });
  running.kill("SIGINT");
  const ended = await running.exited;
  if (ended.code !== 130 && ended.code !== 0)
    throw new Fault(`up ended with ${ended.code ?? ended.signal} when told to: ${running.stderr().slice(-2_000)}`);
  await stage.empty(60);
  say("a last short session, which settles");
  const last = up("--for=1s", "--exit");
  const { code } = await last.exited;
  if (code !== 0) throw new Fault(`the last session ended with ${code}: ${last.stderr().slice(-2_000)}`);
  await stage.empty(60);
}

async function verify(): Promise<void> {
  const verifying = stage.cotrain(["verify", "--state", stage.state, "--json"]);
  const { code } = await verifying.exited;
  const { sound, heads, mismatch, missing } = JSON.parse(verifying.stdout() || "{}") as Record<string, unknown>;
  if (code !== 0 || sound !== true)
    throw new Fault(`cotrain verify ended with ${code}: ${JSON.stringify({ sound, heads, mismatch, missing })}`);
  say(`cotrain verify: ${String(heads)} checkpoints, all sound`);
  await stage.empty(60);
}

/** Whatever died between a deposit and its claim, the session's shares were bought once, and fetched. */
async function bought(): Promise<void> {
  const { wallets } = readJson<{ wallets: { buyer: string } }>(join(stage.state, "run.json"));
  const asking = stage.cotrain(["shares", "--address", wallets.buyer, "--state", stage.state, "--json"]);
  const { code } = await asking.exited;
  const { holdings = [] } = JSON.parse(asking.stdout() || "{}") as { holdings?: { balance: string }[] };
  const [buyer] = holdings;
  if (code !== 0 || buyer?.balance !== `100${"0".repeat(18)}`)
    throw new Fault(`the buyer has ${String(buyer?.balance)} wei of shares: ${asking.stderr().slice(-2_000)}`);
  say("the shares that were bought were bought once");
  await stage.empty(60);
}

/** The second implementation's word on the run; where Python is missing it says "not run", and in CI fails. */
async function recompute(): Promise<void> {
  const required = process.env["CI"] === "true" ? ["--required"] : [];
  const script = join(root, "test/interop/run.ts");
  const flags = ["--conditions=cotrain-source", script, "--state", stage.state, "--complete", ...required];
  const running = stage.run(process.execPath, flags);
  const { code } = await running.exited;
  if (code !== 0)
    throw new Fault(`npm run interop ended with ${code}: ${(running.stdout() + running.stderr()).slice(-3_000)}`);
  say(running.stdout().trimEnd().split("\n").at(-1) ?? "");
  await stage.empty(60);
}

/** The ends of the logs, for whoever has to find out. */
function logs(): string {
  return ["up", "coordinator", "chain"]
    .map((name) => join(stage.state, "logs", `${name}.log`))
    .filter((file) => existsSync(file))
    .map((file) => `${file}:\n${readFileSync(file, "utf8").slice(-3_000)}`)
    .join("\n");
}

const done: Done = { kills: 0, stops: 0, starts: 0 };
try {
  process.stdout.write(`chaos: ${minutes} minutes, seed ${values.seed}, in ${root}\n`);
  let running = forHours();
  await training(running);
  const end = Date.now() + minutes * 60_000;
  while (Date.now() < end) {
    await sleep(500 + random.below(6_000));
    const exit = running.exit();
    if (exit) throw new Fault(`up ended by itself with ${exit.code ?? exit.signal}: ${running.stderr().slice(-2_000)}`);
    running = await strike(running, done);
  }
  await settle(running);
  await verify();
  await bought();
  await recompute();
  process.stdout.write(
    `chaos: ${done.kills} kills, ${done.stops} standstills, ${done.starts} new starts in ${minutes} minutes; the run trained on, settled and verifies; no process is left\n`,
  );
} catch (error) {
  process.stderr.write(
    `${logs()}\nchaos: ${error instanceof Error ? error.message : String(error)} (seed ${values.seed})\n`,
  );
  process.exitCode = 1;
} finally {
  await stage.close();
}
