/**
 * A second engine of JavaScript and WebAssembly beside V8, JavaScriptCore, for the tests of bits: Bun, from npm. `.ci/run` fetches it
 * before the part that needs it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Prepared } from "./goTool.ts";

const VERSION = "1.4.5";
const LIMIT_MINUTES = 5;
const cache = join(homedir(), ".cache/cotrain-bun", VERSION);

const machines: Readonly<Record<string, string>> = { "linux-x64": "linux-x64", "linux-arm64": "linux-aarch64" };
const name = machines[`${process.platform}-${process.arch}`];
const executable = join(cache, `node_modules/@oven/bun-${name}/bin/bun`);

/** Where it is; undefined where it is not. */
export const bun = (): string | undefined => (name !== undefined && existsSync(executable) ? executable : undefined);

/** Fetches it unless it is there. */
export function prepareBun(): Prepared {
  if (name === undefined) return { kind: "not run", words: "not run: fetching Bun: not for this machine." };
  if (bun() !== undefined) return { kind: "ready", words: `Bun ${VERSION} is there.` };
  mkdirSync(cache, { recursive: true });
  const { status } = spawnSync(
    "npm",
    [
      "install",
      "--no-save",
      "--ignore-scripts",
      "--no-fund",
      "--no-audit",
      `--prefix=${cache}`,
      `@oven/bun-${name}@${VERSION}`,
    ],
    { stdio: ["ignore", "inherit", "inherit"], timeout: LIMIT_MINUTES * 60_000 },
  );
  return status === 0 && bun() !== undefined
    ? { kind: "ready", words: `Bun ${VERSION} was fetched.` }
    : { kind: "failed", words: `Bun ${VERSION} could not be fetched: see above.` };
}
