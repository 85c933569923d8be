import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const conditions = ["cotrain-source", "node"];
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions, externalConditions: conditions } } };

/** Of the rooms: they start chain nodes, Kubo, engines, commands or Vitest dozens of times. Minutes, so that `.ci/run` alone has them. */
const processes = [
  "test/offchain/chain/{atRest,posting}.test.ts",
  "test/offchain/cli/{announcedBuild,badInput,marketFake,marketKeys,marketOwn,marketRent,marketShell,runCreate}.test.ts",
  "test/offchain/engine/host.test.ts",
  "test/offchain/run/settlement.test.ts",
  "test/offchain/storage/kuboStore.test.ts",
  "test/offchain/validator/{loss,unjudged}.test.ts",
  "test/thorough/tries.test.ts",
];
/** They replace modules, which files that share a process would notice. */
const mocks = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => join("test", file))
  .filter((file) => readFileSync(file, "utf8").includes("vi.mock("));

/**
 * What takes longest, in this order: begun last it would keep one core busy while the other has nothing left to do. Engines of
 * many threads are not among them, for the one run trains at the beginning.
 */
const longest = [
  "e2e/finishedRun",
  "offchain/run/creation",
  "offchain/coordinator/liveness",
  "offchain/coordinator/simulation",
  "e2e/devices",
  "e2e/builds",
  "e2e/publicChain",
  "e2e/rollback",
  "e2e/nextRun",
  "e2e/story",
  "e2e/geth",
  "e2e/communityMachine",
  "e2e/faults",
  "e2e/rentedRun",
  "e2e/clients",
  "e2e/marketDemo",
  "e2e/interrupt",
  "e2e/kuboRun",
  "e2e/developmentChain",
].map((name) => `/test/${name}.test.ts`);

const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
const isRun = ({ project }: TestSpecification): number => Number(project.name === "run");
const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = longest.findIndex((name) => moduleId.endsWith(name));
  return rank < 0 ? longest.length : rank;
};

/** Group by group, the one run first; then a project at a time, whose files share processes, and its longest files first. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted(
      (a, b) =>
        groupOf(a) - groupOf(b) ||
        isRun(b) - isRun(a) ||
        a.project.name.localeCompare(b.project.name) ||
        rankOf(a) - rankOf(b),
    );
  }
}

// Timeouts catch what hangs; they are no measure of speed, and two busy cores must not fail a test.
export default defineConfig({
  test: {
    // The one run and two of the rooms: it waits most of the time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        ...resolution,
        test: {
          name: "rooms",
          include: ["test/{offchain,sdk,deploy,thorough,simulation}/**/*.test.ts"],
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
        // One whole run made by `cotrain up`, and every command on what it left. It waits for the chain's clock most of the time,
        // so the rooms have their turn beside it.
        ...resolution,
        test: {
          name: "run",
          include: ["test/e2e/finishedRun.test.ts"],
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
          sequence: { groupOrder: 1 },
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
          sequence: { groupOrder: 2 },
          testTimeout: 1_800_000,
          hookTimeout: 1_800_000,
        },
      },
    ],
  },
});
