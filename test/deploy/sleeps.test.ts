/** That no test sleeps to show that something does not happen: each place that waits for real time is listed with what for. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root } from "../attack/rows.ts";

/** Places in a file that wait, and what for. What comes is looked for again and again; what does not come is never waited for. */
const waits: Readonly<Record<string, readonly [places: number, what: string]>> = {
  "e2e/acceptance.ts": [1, "looks until the processes of a session are gone"],
  "e2e/chaos.ts": [2, "lets a run train until the next kill, and a process stand still"],
  "e2e/harness.ts": [2, "looks for what must come; kills until nothing is left"],
  "e2e/processes.test.ts": [1, "keeps a child alive that is found and killed"],
  "e2e/workerCoordinator.test.ts": [2, "looks for what must come; lets a slow clock flow"],
  "interop/run.ts": [2, "looks for a summary; a process that does not end is killed"],
  "offchain/base/clock.test.ts": [2, "sleeps that are aborted: the system's clock is what is tested"],
  "offchain/chain/atRest.test.ts": [3, "looks for blocks of a chain that goes on by itself"],
  "offchain/chain/posting.test.ts": [1, "looks for what must come"],
  "offchain/coordinator/harness.ts": [2, "looks for what must come; lets what was woken end, while time stands"],
  "offchain/engine/host.test.ts": [1, "looks until a process is gone"],
  "offchain/service/smallDisk.ts": [1, "mounts again where that was refused"],
  "offchain/service/support.ts": [1, "looks for what must come"],
  "offchain/validator/harness.ts": [1, "looks for what must come"],
  "offchain/worker/coordinatorDouble.ts": [2, "is the coordinator that a worker waits for, and one that hangs"],
  "offchain/worker/deviceTrainer.test.ts": [2, "is a device whose steps take time"],
  "offchain/worker/fixture.ts": [1, "is a trainer whose steps take time"],
  "offchain/worker/runWorker.test.ts": [1, "is an upload that takes time"],
  "offchain/worker/workerHarness.ts": [1, "looks for what must come"],
};

/** Calls that wait, by whatever name the file knows them. */
function waitsIn(text: string): number {
  const imported = text.matchAll(/\bsetTimeout(?: as (\w+))?\b[^}]*\} from "node:timers\/promises"/g);
  const names = [
    "setTimeout",
    "Atomics\\.wait",
    "systemClock\\.sleep",
    ...[...imported].map(([, name]) => name ?? "setTimeout"),
  ];
  return [...text.matchAll(new RegExp(`(?<![.\\w"'\`])(?:${names.join("|")})\\(`, "g"))].length;
}

test("only what is listed waits for real time", () => {
  // The bench measures; the thorough tests and this one hold texts of tests.
  const files = globSync("**/*.ts", {
    cwd: join(root, "test"),
    exclude: ["bench/**", "thorough/**", "deploy/sleeps.test.ts"],
  });
  const found = files
    .map((file) => [file, waitsIn(readFileSync(join(root, "test", file), "utf8"))] as const)
    .filter(([, places]) => places > 0);
  expect(Object.fromEntries(found)).toEqual(
    Object.fromEntries(Object.entries(waits).map(([file, [places]]) => [file, places])),
  );
});

test.each([
  ['import { setTimeout as nap } from "node:timers/promises";\nawait nap(300);', 1],
  ['import { setTimeout } from "node:timers/promises";\nawait setTimeout(300);', 1],
  ["await new Promise((resolve) => setTimeout(resolve, 300));\nawait systemClock.sleep(300);", 2],
  ["Atomics.wait(cells, 0, 0, 300);", 1],
  ['await clock.sleep(10);\nsocket.setTimeout(2_000);\nvi.useFakeTimers({ toFake: ["setTimeout"] });', 0],
])("%s waits", (text, places) => expect(waitsIn(text)).toBe(places));
