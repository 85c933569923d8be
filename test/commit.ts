/** The commit of this tree, by which samples are drawn: another one tries others, and the same one the same. */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

/** 40 hex digits; "unknown" where git does not say. */
export const commitOf = (): string =>
  // Null where there is no git.
  (
    spawnSync("git", ["rev-parse", "HEAD"], { cwd: resolve(import.meta.dirname, ".."), encoding: "utf8" }).stdout ?? ""
  ).trim() || "unknown";
