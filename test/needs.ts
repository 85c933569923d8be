/** What some tests need of the machine. Where it lacks they are left out and say why; in CI they fail. */
import { spawnSync } from "node:child_process";

import { BUN } from "./bun.ts";
import { CAST } from "./cast.ts";
import { chromium } from "./chromium.ts";
import { GETH } from "./geth.ts";
import { findTool, inCi } from "./goTool.ts";
import { KUBO } from "./kubo.ts";
import { findNpmTool } from "./npmTool.ts";
import { swiftShader } from "./swiftShader.ts";

const runs = (command: string, ...args: readonly string[]): boolean =>
  spawnSync(command, [...args], { stdio: "ignore" }).status === 0;

const needed = {
  linux: { there: () => process.platform === "linux", why: "it is for Linux alone" },
  root: { there: () => process.getuid?.() === 0, why: "it must make network namespaces, for which one is root" },
  mount: {
    // In CI nothing is asked: the test's own mount says why it failed (smallDisk.ts), and a question can fail on a busy machine.
    there: () => inCi() || runs("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"),
    why: "it mounts a small filesystem, for which one is root on Linux",
  },
  ip: { there: () => runs("ip", "-V"), why: '"ip" (iproute2) is not installed' },
  openssl: { there: () => runs("openssl", "version"), why: '"openssl" is not installed' },
  chrt: {
    there: () => process.platform === "linux" && runs("chrt", "--max"),
    why: '"chrt" (util-linux) is not installed',
  },
  prlimit: {
    there: () => process.platform === "linux" && runs("prlimit", "--version"),
    why: '"prlimit" (util-linux) is not installed',
  },
  python: { there: () => runs("python3", "--version"), why: '"python3" is not installed' },
  geth: {
    there: () => findTool(GETH) !== undefined,
    why: "geth is not there, nor go, with which .ci/run builds it",
    // .ci/run builds it where Go is, and fails where it is not: test/goTool.ts.
    optional: true,
  },
  kubo: {
    there: () => findTool(KUBO) !== undefined,
    why: "Kubo is not there, nor go, with which .ci/run builds it",
    optional: true,
  },
  bun: {
    there: () => findNpmTool(BUN) !== undefined,
    why: "Bun is not there: .ci/run fetches it from npm",
    optional: true,
  },
  cast: {
    there: () => findNpmTool(CAST) !== undefined,
    why: "Foundry's cast is not there: .ci/run fetches it from npm",
    optional: true,
  },
  chromium: {
    there: () => chromium() !== undefined,
    why: "Chromium is not there, nor apt-get, with which .ci/run fetches it",
    optional: true,
  },
  gpu: {
    there: () => swiftShader() !== undefined,
    why: "SwiftShader is not there, nor apt-get, with which .ci/run fetches it",
    optional: true,
  },
} as const;

export type Need = keyof typeof needed;

/**
 * Whether a test can be run here, for `describe.runIf` and `test.runIf`; prints "not run: why" when it cannot.
 * @throws in CI, for what must run there
 */
export function canRun(what: string, ...needs: readonly Need[]): boolean {
  const missing = needs.find((need) => !needed[need].there());
  if (missing === undefined) return true;
  if (inCi() && !("optional" in needed[missing]))
    throw new Error(`${what} must run in CI and cannot: ${needed[missing].why}.`);
  process.stderr.write(`not run: ${what}: ${needed[missing].why}\n`);
  return false;
}
