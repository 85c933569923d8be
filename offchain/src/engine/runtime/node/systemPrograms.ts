/**
 * Programs that come with the system or a driver, by the places where only its owner can put them. A bare name is looked up in PATH
 * and, on Windows, in the working directory before it: who starts a worker in a directory of somebody else's would run his.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { posix, win32 } from "node:path";
import { promisify } from "node:util";

import { unlessAborted } from "../../../base/core.ts";
import { EngineError } from "../../errors.ts";

/** Drivers of GPUs besides the usual ones: NixOS, Windows' Linux, Kubernetes' device plug-in. */
const UNIX = [
  "/usr/bin",
  "/bin",
  "/usr/sbin",
  "/sbin",
  "/run/current-system/sw/bin",
  "/usr/lib/wsl/lib",
  "/usr/local/nvidia/bin",
];
/** Under what Windows calls SystemRoot. */
const WINDOWS = ["System32", "System32\\WindowsPowerShell\\v1.0"];

/** What it needs of the environment: where its libraries are. */
const ENVIRONMENT = ["LD_LIBRARY_PATH", "SystemRoot", "LANG"];

/** A system, as far as {@link systemProgram} asks. */
export interface ProgramPlaces {
  /** As in os.platform(). */
  readonly platform: string;
  /** Windows' own directory. */
  readonly root: string | undefined;
  exists(path: string): boolean;
}

const thisSystem = (): ProgramPlaces => ({
  platform: process.platform,
  root: process.env["SystemRoot"],
  exists: existsSync,
});

/** Where a program is; undefined where the system has none. */
export function systemProgram(name: string, system: ProgramPlaces = thisSystem()): string | undefined {
  const windows = system.platform === "win32";
  const { root = "" } = system;
  if (windows && !/^[a-z]:\\/i.test(root)) return undefined;
  const candidates = windows
    ? WINDOWS.map((place) => win32.join(root, place, `${name}.exe`))
    : UNIX.map((place) => posix.join(place, name));
  return candidates.find((path) => system.exists(path));
}

/**
 * Runs one to its end, or so long: then it is killed and no more waited for. One that asks a driver that hangs heeds no signal, as long as
 * the driver keeps it.
 * @param timeout ms; without one it is waited for
 * @returns what it writes
 * @throws where the system has none, it fails, or is late
 */
export async function runSystemProgram(name: string, args: readonly string[], timeout = 0): Promise<string> {
  const path = systemProgram(name);
  if (path === undefined) throw new EngineError("PROGRAM_NONE", `This system has no program ${name}.`);
  const env = Object.fromEntries(ENVIRONMENT.flatMap((key) => (key in process.env ? [[key, process.env[key]]] : [])));
  const cwd = process.platform === "win32" ? process.env["SystemRoot"] : "/";
  const options = { timeout, killSignal: "SIGKILL", windowsHide: true, env, cwd } as const;
  const running = promisify(execFile)(path, [...args], options);
  if (timeout === 0) return (await running).stdout;
  try {
    return (await unlessAborted(running, AbortSignal.timeout(timeout))).stdout;
  } catch (error) {
    // Whoever gave it up may end before it does.
    running.child.unref();
    throw error;
  }
}
