/**
 * The unmodified geth that `test/e2e/geth.test.ts` runs on, built from its Go module where it is not there: `.ci/run` does so
 * before the part that needs it. $GETH names another.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const GETH_VERSION = "1.17.10";
const GETH_FOLDER = join(homedir(), ".cache/cotrain-geth");
/** No build takes nearly as long. */
const LIMIT_MINUTES = 20;

export interface Geth {
  readonly kind: "ready" | "not run" | "failed";
  /** One sentence. */
  readonly words: string;
}

/** What a geth says of itself; undefined where there is none that runs. */
function versionOf(command: string): string | undefined {
  const { status, stdout } = spawnSync(command, ["version"], { encoding: "utf8" });
  return status === 0 ? /^Version: (\S+?)(-stable)?$/m.exec(stdout)?.[1] : undefined;
}

/** Where a geth is that runs. */
export const findGeth = (): string | undefined =>
  [process.env["GETH"], join(GETH_FOLDER, "geth"), "geth"].find(
    (command) => command !== undefined && versionOf(command) !== undefined,
  );

/**
 * Builds geth unless the one of that version is there.
 * @param folder where it lies
 * @param go the command
 */
export function prepareGeth(folder = GETH_FOLDER, go = "go"): Geth {
  const named = process.env["GETH"];
  if (named !== undefined) return { kind: "ready", words: `geth is ${named}, as $GETH says.` };
  const file = join(folder, "geth");
  if (versionOf(file) === GETH_VERSION) return { kind: "ready", words: `geth ${GETH_VERSION} is there.` };
  if (spawnSync(go, ["version"], { stdio: "ignore" }).status !== 0)
    return { kind: "not run", words: 'not run: building geth: "go" is not installed.' };
  const started = performance.now();
  mkdirSync(folder, { recursive: true });
  const { status, error } = spawnSync(go, ["install", `github.com/ethereum/go-ethereum/cmd/geth@v${GETH_VERSION}`], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, GOBIN: folder },
    timeout: LIMIT_MINUTES * 60_000,
  });
  const seconds = Math.round((performance.now() - started) / 1_000);
  if (status === 0 && versionOf(file) === GETH_VERSION)
    return { kind: "ready", words: `geth ${GETH_VERSION} was built in ${seconds} s.` };
  const why = error?.message ?? (status === 0 ? "what was built does not run" : "see above");
  return { kind: "failed", words: `geth ${GETH_VERSION} could not be built in ${seconds} s: ${why}.` };
}
