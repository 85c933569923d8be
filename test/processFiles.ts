/** Which tests start real processes, and which of them take minutes each. */
import { readdirSync } from "node:fs";
import { join } from "node:path";

const E2E = "test/e2e";
/** One whole run, which `npm test` has. */
export const finishedRun = `${E2E}/finishedRun.test.ts`;

/** Of the rooms: they start chain nodes, Kubo, engines, commands or Vitest dozens of times. */
export const ofRooms: readonly string[] = [
  ...["atRest", "posting"].map((name) => `offchain/chain/${name}`),
  ...[
    "announcedBuild",
    "badInput",
    "marketAkash",
    "marketFake",
    "marketKeys",
    "marketOwn",
    "marketPrime",
    "marketRent",
    "marketShell",
    "runCreate",
  ].map((name) => `offchain/cli/${name}`),
  "offchain/engine/host",
  "offchain/run/settlement",
  "offchain/storage/kuboStore",
  ...["loss", "unjudged"].map((name) => `offchain/validator/${name}`),
  "thorough/tries",
].map((name) => `test/${name}.test.ts`);

/** What takes longest of the rooms' other tests. */
export const firstOfRooms: readonly string[] = ["run/creation", "coordinator/liveness", "coordinator/simulation"].map(
  (name) => `test/offchain/${name}.test.ts`,
);

/** Whole runs and stories of several minutes each, those that take longest first. */
export const long: readonly string[] = [
  "devices",
  "story",
  "nextRun",
  "builds",
  "publicChain",
  "rollback",
  "communityMachine",
  "rentedRun",
  "faults",
  "geth",
  "clients",
  "marketDemo",
  "interrupt",
  "kuboRun",
  "developmentChain",
].map((name) => `${E2E}/${name}.test.ts`);

/** All short ones. */
export function short(): string[] {
  const runs = readdirSync(join(import.meta.dirname, "e2e"))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${E2E}/${name}`);
  return [...ofRooms, ...runs.filter((file) => file !== finishedRun && !long.includes(file))];
}
