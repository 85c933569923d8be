/** Python packages by their hashes, in an environment outside the clone. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** No list of packages takes nearly as long. */
const LIMIT_MS = 1_200_000;

/** Why there is no environment here. */
export class NoPython extends Error {}

/** Python of at least 3.11, which numpy asks for. */
function findPython(): string {
  for (const command of ["python3", "python"]) {
    const { status, stdout } = spawnSync(command, ["-c", "import sys, venv; print(*sys.version_info[:2])"], {
      encoding: "utf8",
    });
    const [major = 0, minor = 0] = (stdout ?? "").trim().split(" ").map(Number);
    if (status === 0 && (major > 3 || (major === 3 && minor >= 11))) return command;
  }
  throw new NoPython("there is no Python 3.11 or newer here");
}

const pythonIn = (environment: string): string =>
  process.platform === "win32" ? join(environment, "Scripts/python.exe") : join(environment, "bin/python");

export const cacheOf = (name: string): string =>
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), `cotrain-${name}`);

/**
 * Python with the packages of a list, made once for each list.
 * @param requirements a file for pip, with hashes
 * @throws NoPython
 */
export function openEnvironment(requirements: string, cache: string): string {
  const python = findPython();
  const { stdout: version } = spawnSync(python, ["--version"], { encoding: "utf8" });
  const name = createHash("sha256").update(version).update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const environment = join(cache, name);
  if (existsSync(environment)) return pythonIn(environment);
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(join(cache, "new-"));
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
  const steps = [
    [python, "-m", "venv", fresh],
    [pythonIn(fresh), ...install, "--require-hashes", "-r", requirements],
  ] as const;
  for (const [command, ...args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: LIMIT_MS });
    if (status === 0) continue;
    rmSync(fresh, { recursive: true, force: true });
    throw new NoPython(
      `the Python packages could not be installed: ${stderr?.trim().split("\n").at(-1) ?? "no answer"}`,
    );
  }
  try {
    renameSync(fresh, environment);
  } catch (error) {
    // Another process was first.
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(environment)) throw error;
  }
  return pythonIn(environment);
}
