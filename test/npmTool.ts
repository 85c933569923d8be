/** Programs of other makes that some tests run, from npm: `.ci/run` fetches them before the part that needs them. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Prepared } from "./goTool.ts";

const LIMIT_MINUTES = 5;

export interface NpmTool {
  /** For people, and of the folder `~/.cache/cotrain-<name>` in lower case. */
  readonly name: string;
  readonly version: string;
  /** The package that has the program for this machine; undefined where there is none. */
  readonly package: string | undefined;
  /** Where the program is in the package. */
  readonly file: string;
}

const folderOf = ({ name, version }: NpmTool): string =>
  join(homedir(), `.cache/cotrain-${name.toLowerCase()}`, version);

/** Where it is; undefined where it is not. */
export function findNpmTool(tool: NpmTool): string | undefined {
  if (tool.package === undefined) return undefined;
  const executable = join(folderOf(tool), "node_modules", tool.package, tool.file);
  return existsSync(executable) ? executable : undefined;
}

/** Fetches it unless it is there. */
export function prepareNpmTool(tool: NpmTool): Prepared {
  const { name, version } = tool;
  if (tool.package === undefined) return { kind: "not run", words: `not run: fetching ${name}: not for this machine.` };
  if (findNpmTool(tool) !== undefined) return { kind: "ready", words: `${name} ${version} is there.` };
  const folder = folderOf(tool);
  mkdirSync(folder, { recursive: true });
  const { status } = spawnSync(
    "npm",
    [
      "install",
      "--no-save",
      "--ignore-scripts",
      "--no-fund",
      "--no-audit",
      `--prefix=${folder}`,
      `${tool.package}@${version}`,
    ],
    { stdio: ["ignore", "inherit", "inherit"], timeout: LIMIT_MINUTES * 60_000 },
  );
  return status === 0 && findNpmTool(tool) !== undefined
    ? { kind: "ready", words: `${name} ${version} was fetched.` }
    : { kind: "failed", words: `${name} ${version} could not be fetched: see above.` };
}
