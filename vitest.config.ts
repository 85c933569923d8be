import { defineConfig } from "vitest/config";

const conditions = ["cotrain-source"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["test/{offchain,sdk,e2e,deploy}/**/*.test.ts"],
    testTimeout: 30_000,
    maxWorkers: 2,
  },
});
