/** Programs and libraries out of Debian's packages, unpacked below ~/.cache without being installed. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Prepared } from "./goTool.ts";

const LIMIT_MINUTES = 5;

export interface DebianPackage {
  /** For people. */
  readonly name: string;
  readonly package: string;
  /** Whether the packages come with it that it needs and this machine lacks. */
  readonly complete?: boolean;
  /** Whether what is needed of it lies below a root. */
  readonly isThere: (root: string) => boolean;
}

const cacheOf = ({ package: name }: DebianPackage): string => join(homedir(), `.cache/cotrain-${name}`);

/** The root below which it lies: the system's, or where it was unpacked. */
export const rootOf = (wanted: DebianPackage): string | undefined => ["/", cacheOf(wanted)].find(wanted.isThere);

/** Fetches and unpacks the package unless it is there. */
export function prepareDebianPackage(wanted: DebianPackage): Prepared {
  const { name, package: archive, complete = false, isThere } = wanted;
  if (rootOf(wanted) !== undefined) return { kind: "ready", words: `${name} is there.` };
  const folder = cacheOf(wanted);
  /** What a command prints; undefined where it fails. */
  const ask = (command: string, ...args: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync(command, [...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8",
      timeout: LIMIT_MINUTES * 60_000,
    });
    return status === 0 ? stdout : undefined;
  };
  const run = (...command: readonly [string, ...string[]]): boolean => ask(...command) !== undefined;
  if (["apt-get", "dpkg-deb"].some((command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status !== 0))
    return { kind: "not run", words: `not run: unpacking ${name}: this is no Debian.` };
  mkdirSync(folder, { recursive: true });
  const download = (): boolean => {
    // A line for each that would be installed: 'URI' NAME_VERSION_ARCHITECTURE.deb SIZE HASH
    const lines = complete ? ask("apt-get", "install", "--print-uris", "-qq", "--no-install-recommends", archive) : "";
    const names = lines?.split("\n").flatMap((line) => line.split(" ")[1]?.split("_", 1) ?? []);
    return names !== undefined && run("apt-get", "download", "-q", ...new Set([archive, ...names]));
  };
  if (!download() && !(run("apt-get", "update", "-q") && download()))
    return { kind: "failed", words: `${name}: the package ${archive} could not be fetched: see above.` };
  const files = readdirSync(folder).filter((file) => file.endsWith(".deb"));
  const unpacked = files.every((file) => run("dpkg-deb", "-x", file, folder));
  for (const file of files) rmSync(join(folder, file));
  return unpacked && isThere(folder)
    ? { kind: "ready", words: `${name} was unpacked from ${archive}.` }
    : { kind: "failed", words: `${name}: ${archive} could not be unpacked, or holds something else: see above.` };
}
