import { defineConfig } from "vitest/config";

const conditions = ["cotrain-source", "node"];
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions, externalConditions: conditions } } };

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
          testTimeout: 600_000,
          hookTimeout: 600_000,
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
          include: ["test/e2e/**/*.test.ts"],
          exclude: ["test/e2e/finishedRun.test.ts"],
          sequence: { groupOrder: 3 },
          maxWorkers: 3,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
