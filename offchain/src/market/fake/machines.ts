/**
 * Machines of the fake provider: processes of this machine. Each runs its order's script in a directory of its own, with the order's
 * variables and a cache, as a container would. What it would fetch from npm it takes from this installation: the packages are
 * those of the same lockfile.
 */
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

import { UserError } from "../../base/index.ts";
import { shellWord } from "../../base/node/index.ts";
import { createSupervisor, type Logger } from "../../service/index.ts";

/** The tree that this process runs from, and whose packages machines get. */
const ownTree = resolve(import.meta.dirname, "../../../..");
/** What scripts of orders call. */
const PROGRAMS = ["sh", "curl", "tar", "sha256sum", "cp", "sed", "env"];
/** For a worker to leave what it does, ms. */
const STOP_MS = 20_000;

/** An environment file is read line by line, so that no list of processes shows what stands in it. */
const RUN = `unset npm_execpath npm_lifecycle_event
while IFS= read -r line; do export "$line"; done <environment
exec sh ./start.sh
`;

/** Links where it can, since a copy takes minutes: engines read their own tree alone, so that no name may lead elsewhere. */
const npmOf = (tree: string): string => `#!/bin/sh
[ "$1" = ci ] || exit 1
take() { cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2"; cp -a "$1" "$2"; }; }
take ${shellWord(join(tree, "node_modules"))} node_modules
rm -rf node_modules/.cache node_modules/.cotrain-installed
if [ -d ${shellWord(join(tree, "offchain/node_modules"))} ]; then take ${shellWord(join(tree, "offchain/node_modules"))} offchain/node_modules; fi
`;

/** What a machine is started with; of an order that was checked. */
export interface FakeOrder {
  readonly label: string;
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface FakeMachines {
  /** @param onEnd it does not run, and is not started again */
  start(order: FakeOrder, onEnd: () => void): void;
  /** Resolves when its processes have ended; its files are gone then. */
  stop(label: string): Promise<void>;
  stopAll(): Promise<void>;
}

/** @throws UserError `FAKE_MACHINES` where this machine cannot be several */
export function requireFakeMachines(environment: Readonly<Record<string, string | undefined>> = process.env): void {
  const places = (environment["PATH"] ?? "").split(delimiter);
  const missing = PROGRAMS.filter((program) => !places.some((place) => existsSync(join(place, program))));
  if (process.platform === "linux" && missing.length === 0) return;
  throw new UserError(
    "FAKE_MACHINES",
    process.platform === "linux"
      ? `Machines of the fake provider need ${missing.join(", ")}: install that first.`
      : "Machines of the fake provider are processes that Linux alone can run: use Linux.",
  );
}

/** @param directory theirs alone, emptied first; its file system should be that of this installation */
export function openFakeMachines(directory: string, logger: Logger, tree = ownTree): FakeMachines {
  rmSync(directory, { recursive: true, force: true });
  const [bin, logDirectory] = [join(directory, "bin"), join(directory, "logs")];
  for (const folder of [bin, logDirectory]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(bin, "npm"), npmOf(tree));
  chmodSync(join(bin, "npm"), 0o755);
  const supervisor = createSupervisor({ logger, logDirectory });
  const ends = new Map<string, () => void>();
  supervisor.events.on("state", ({ name, state }) => {
    if (state === "stopped" || state === "failed") ends.get(name)?.();
  });

  return {
    start: ({ label, script, environment }, onEnd) => {
      const place = join(directory, label);
      mkdirSync(join(place, "cache"), { recursive: true, mode: 0o700 });
      const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}\n`);
      for (const [name, text] of Object.entries({ environment: lines.join(""), "start.sh": script, "run.sh": RUN }))
        writeFileSync(join(place, name), text, { mode: 0o600 });
      ends.set(label, onEnd);
      const env = { PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`, JOIN_CACHE: join(place, "cache") };
      const spec = { name: label, command: "sh", args: ["./run.sh"], cwd: place, env, stopDeadline: STOP_MS };
      // What becomes of it the supervisor's events tell.
      supervisor.start(spec).catch(() => undefined);
    },
    stop: async (label) => {
      await supervisor.stop(label);
      rmSync(join(directory, label), { recursive: true, force: true });
    },
    stopAll: () => supervisor.stopAll(),
  };
}
