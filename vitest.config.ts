import { defineConfig } from "vitest/config";

const conditions = ["cotrain-source"];
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
          include: ["test/{offchain,sdk,deploy}/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // What a hostile stranger may try, each against the real thing on loopback: `npm run attack`.
        ...resolution,
        test: {
          name: "attack",
          include: ["test/attack/**/*.test.ts"],
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Whole runs as real processes, which mostly wait: after everything else.
        ...resolution,
        test: {
          name: "processes",
          include: ["test/e2e/**/*.test.ts"],
          sequence: { groupOrder: 2 },
          maxWorkers: 3,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
