/**
 * A copy of the tracked tree in a temporary directory, to break something in it and see which test notices. Files of packages
 * are this tree's under other names; the workspaces are the copy's own, so that what is broken in them is what its tests import.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");

/** Files that git knows, also those that are new and not ignored, below these paths. */
export function filesOf(...paths: readonly string[]): string[] {
  const list = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ...paths], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (list.status !== 0) throw new TypeError(`git ls-files failed: ${list.stderr}`);
  return list.stdout
    .split("\0")
    .filter((file) => file !== "" && existsSync(join(root, file)))
    .toSorted();
}

export interface Copy {
  readonly directory: string;
  readonly read: (file: string) => string;
  readonly write: (file: string, text: string) => void;
  /** Runs an installed program in the copy; answers its exit code and what it printed. */
  readonly run: (program: string, args: readonly string[], minutes?: number) => Promise<Ran>;
  readonly remove: () => void;
}

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

export function copyTree(): Copy {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-copy-"));
  const put = (from: string): void => {
    mkdirSync(dirname(join(directory, from)), { recursive: true });
    cpSync(join(root, from), join(directory, from), { recursive: true });
  };
  for (const file of filesOf()) put(file);
  // Hardhat compiles again only what differs.
  for (const made of ["artifacts", "cache"]) if (existsSync(join(root, made))) put(made);
  for (const place of ["node_modules", "offchain/node_modules", "sdk/node_modules"])
    if (existsSync(join(root, place))) linkAll(join(root, place), join(directory, place));
  return {
    directory,
    read: (file) => readFileSync(join(directory, file), "utf8"),
    write: (file, text) => writeFileSync(join(directory, file), text),
    run: (program, args, minutes = 10) => runIn(directory, program, args, minutes),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/**
 * A folder's files under other names, links in it as they are: Node takes a package for the place that it really lies at, so
 * packages that lay outside would find other packages there, and an engine's process may read the tree that it starts in alone.
 */
function linkAll(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [old, made] = [join(from, entry.name), join(to, entry.name)];
    // What tools write down there between their runs is each tree's own.
    if (entry.name.startsWith(".vite") || entry.name === ".cache") continue;
    if (entry.isDirectory()) linkAll(old, made);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(old), made);
    else linkOrCopy(old, made);
  }
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    // The temporary directory lies on another disk.
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  }
}

function runIn(directory: string, program: string, args: readonly string[], minutes: number): Promise<Ran> {
  return new Promise((done, fail) => {
    const child = spawn(join(directory, "node_modules/.bin", program), [...args], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: minutes * 60_000,
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-200_000);
      });
    child.on("error", fail);
    child.on("close", (code) => done({ code, output }));
  });
}
