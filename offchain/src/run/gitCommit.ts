/** A commit as a local clone has it: Git is asked, which alone reads every form of a repository. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { promisify } from "node:util";

import { UserError } from "../base/index.ts";

const PATIENCE_MS = 20_000;
/** Of a commit's text: a message may be of any length. */
const MOST_BYTES = 1 << 20;

/** What a commit says of itself. */
export interface LocalCommit {
  readonly author: string;
  /** First line of its message. */
  readonly subject: string;
}

/** What makes Git look elsewhere than in the clone. */
const elsewhere: ReadonlySet<string> = new Set([
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_COMMON_DIR",
  "GIT_NAMESPACE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_CONFIG_PARAMETERS",
  "GIT_REPLACE_REF_BASE",
]);

/**
 * A clone is somebody else's: what it lacks is not fetched, by whatever program its configuration names, and no commit stands for
 * another. Where Git itself lies is the system's matter; on Windows the working directory is no such place.
 */
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !elsewhere.has(name.toUpperCase()))),
  NoDefaultCurrentDirectoryInExePath: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_ALLOW_PROTOCOL: "",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_OPTIONAL_LOCKS: "0",
});

async function git(directory: string, args: readonly string[]): Promise<Buffer> {
  const options = {
    timeout: PATIENCE_MS,
    maxBuffer: MOST_BYTES,
    windowsHide: true,
    env: environment(),
    encoding: "buffer",
  } as const;
  const { stdout } = await promisify(execFile)(
    "git",
    ["-C", directory, "-c", "core.fsmonitor=false", ...args],
    options,
  );
  return stdout;
}

/** Of the two forms of ids, the longer is SHA-256. */
const idOf = (bytes: Buffer, digits: number): string =>
  createHash(digits === 64 ? "sha256" : "sha1")
    .update(`commit ${bytes.length}\0`)
    .update(bytes)
    .digest("hex");

/**
 * @param commit its whole id
 * @throws UserError `CLONE_MISSING` where Git finds no repository, `COMMIT_MISSING` where the clone has no such commit,
 *   `COMMIT_FORGED` where it has something else under that id
 */
export async function commitIn(clone: string, commit: string): Promise<LocalCommit> {
  const directory = resolve(clone);
  try {
    await git(directory, ["rev-parse", "--git-dir"]);
  } catch (cause) {
    throw new UserError("CLONE_MISSING", `Git finds no repository in ${directory}: name a clone with --clone.`, {
      cause,
    });
  }
  let bytes: Buffer;
  try {
    bytes = await git(directory, ["cat-file", "commit", commit]);
  } catch (cause) {
    throw new UserError(
      "COMMIT_MISSING",
      `The clone in ${directory} has no commit ${commit}: fetch it, or the grant names what the repository does not have.`,
      { cause },
    );
  }
  // Git reads what lies under an id without hashing it.
  if (idOf(bytes, commit.length) !== commit.toLowerCase())
    throw new UserError(
      "COMMIT_FORGED",
      `What the clone in ${directory} has as commit ${commit} is not that commit: its bytes hash to another id, so do not trust this clone.`,
    );
  const [head = "", ...message] = bytes.toString("utf8").split("\n\n");
  const author = /^author (.*) \d+ [+-]\d{4}$/m.exec(head)?.[1] ?? "nobody";
  return { author, subject: message.join("\n\n").split("\n", 1)[0] ?? "" };
}

const line = (output: Buffer): string => output.toString("utf8").trim();

/**
 * The commit that a clone stands at, where the directory is the clone's own top: one that lies in another repository's would have
 * that one's commit. Undefined where it is no clone, or Git is not there.
 */
export async function commitOfClone(directory: string): Promise<string | undefined> {
  try {
    const within = line(await git(resolve(directory), ["rev-parse", "--show-prefix"]));
    return within === "" ? await headCommitOf(directory) : undefined;
  } catch {
    return undefined;
  }
}

/** The URL that a clone names as its origin, as it stands in its own settings; undefined where it names none. */
export async function originOf(clone: string): Promise<string | undefined> {
  try {
    return line(await git(resolve(clone), ["config", "--local", "--get", "remote.origin.url"])) || undefined;
  } catch {
    return undefined;
  }
}

/** Host and path of a repository's URL: how it is fetched, as whom, and what stands behind its name make no other of it. */
function placeOf(url: string): string {
  const bare = url
    .trim()
    .replace(/^[a-z][a-z+]*:\/\//i, "")
    .replace(/^[^@/]*@/, "")
    // As scp names it: host:path.
    .replace(/^([^/:]+):(?!\d+\/)/, "$1/");
  const [host = "", ...path] = bare
    .replace(/\/+$/, "")
    .replace(/\.git$/, "")
    .split("/");
  return [host.toLowerCase(), ...path.filter((part) => part !== "")].join("/");
}

/** Whether two URLs name one repository, as far as their letters tell. */
export const isSameRepository = (one: string, other: string): boolean => placeOf(one) === placeOf(other);

/** The commit that a clone stands at. @throws UserError `CLONE_MISSING` */
export async function headCommitOf(clone: string): Promise<string> {
  const directory = resolve(clone);
  try {
    return line(await git(directory, ["rev-parse", "--verify", "HEAD"]));
  } catch (cause) {
    throw new UserError("CLONE_MISSING", `Git finds no commit in ${directory}: name a clone with --clone.`, { cause });
  }
}
