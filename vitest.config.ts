import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

import { finishedRun, firstOfRooms, long, ofRooms } from "./test/processFiles.ts";

const conditions = ["cotrain-source", "node"];
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions, externalConditions: conditions } } };

/** They replace modules, which files that share a process would notice. */
const mocks = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => join("test", file))
  .filter((file) => readFileSync(file, "utf8").includes("vi.mock("));

/**
 * What takes longest, in this order: begun last it would keep one core busy while the other has nothing left to do. Engines of
 * many threads are not among them, for the one run trains at the beginning.
 */
const longest = [finishedRun, ...firstOfRooms, ...long].map((file) => `/${file}`);

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
          exclude: [...ofRooms, ...mocks],
          // Loading modules again for each file takes a third of the time.
          isolate: false,
          setupFiles: ["test/leaveAsFound.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
      {
        ...resolution,
        test: {
          name: "mocks",
          include: mocks,
          exclude: [...ofRooms],
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
          include: [finishedRun],
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
          include: ["test/e2e/**/*.test.ts", ...ofRooms],
          exclude: [finishedRun],
          sequence: { groupOrder: 2 },
          testTimeout: 1_800_000,
          hookTimeout: 1_800_000,
        },
      },
    ],
  },
});
