import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { defineConfig } from "vitest/config";

const conditions = ["cotrain-source", "node"];
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions, externalConditions: conditions } } };

/** Of the rooms: they start chain nodes, Kubo, engines or commands dozens of times. Minutes, so that `.ci/run` alone has them. */
const processes = [
  "test/offchain/chain/{atRest,posting}.test.ts",
  "test/offchain/cli/badInput.test.ts",
  "test/offchain/engine/host.test.ts",
  "test/offchain/run/settlement.test.ts",
  "test/offchain/storage/kuboStore.test.ts",
  "test/offchain/validator/{loss,unjudged}.test.ts",
];
/** They replace modules, which files that share a process would notice. */
const mocks = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => join("test", file))
  .filter((file) => readFileSync(file, "utf8").includes("vi.mock("));

// Timeouts catch what hangs; they are no measure of speed, and two busy cores must not fail a test.
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        ...resolution,
        test: {
          name: "rooms",
          include: ["test/{offchain,sdk,deploy,thorough}/**/*.test.ts"],
          exclude: [...processes, ...mocks],
          // Loading modules again for each file takes a third of the time.
          isolate: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...resolution,
        test: {
          name: "mocks",
          include: mocks,
          exclude: processes,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        // One whole run made by `cotrain up`, and every command on what it left: the last part of `npm test`.
        ...resolution,
        test: {
          name: "run",
          include: ["test/e2e/finishedRun.test.ts"],
          sequence: { groupOrder: 1 },
          testTimeout: 1_800_000,
          hookTimeout: 1_800_000,
        },
      },
      {
        // What a hostile stranger may try, each against the real thing on loopback: `npm run attack`.
        ...resolution,
        test: {
          name: "attack",
          include: ["test/attack/**/*.test.ts"],
          sequence: { groupOrder: 2 },
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        // Other runs as real processes, which mostly wait: after everything else, in `.ci/run` alone.
        ...resolution,
        test: {
          name: "processes",
          include: ["test/e2e/**/*.test.ts", ...processes],
          exclude: ["test/e2e/finishedRun.test.ts"],
          sequence: { groupOrder: 3 },
          maxWorkers: 3,
          testTimeout: 1_800_000,
          hookTimeout: 1_800_000,
        },
      },
    ],
  },
});
