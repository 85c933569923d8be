/** Defences of `worker`. */
import type { Breakage } from "./breakage.ts";

export const worker: readonly Breakage[] = [
  {
    name: "the acknowledgement of an accepted receipt is not asked for again",
    file: "offchain/src/worker/settling.ts",
    text: "  for (const row of await receipts.unanswered(context.runId)) {",
    instead: "  for (const row of (await receipts.unanswered(context.runId)).slice(64)) {",
    tests: ["test/offchain/worker/sessions.test.ts"],
  },
  {
    name: "what is being sent is dropped at any heartbeat",
    file: "offchain/src/worker/heartbeats.ts",
    text: "if (uploading || (work?.assignmentId === assignmentId && work.attempt === attempt)) return undefined;",
    instead: "if (!uploading && work?.assignmentId === assignmentId && work.attempt === attempt) return undefined;",
    tests: ["test/offchain/worker/sessions.test.ts"],
  },
  {
    name: "a worker takes a run of any poster",
    file: "offchain/src/worker/artefacts.ts",
    text: "if (!posters.includes(asAddress(view.poster)))",
    instead: "if (posters.length === 0)",
    tests: ["test/offchain/worker/describeRun.test.ts"],
  },
  {
    name: "a worker takes a definition that the chain does not name",
    file: "offchain/src/worker/artefacts.ts",
    text: "if (record.definition !== view.definition)",
    instead: "if (record.definition === undefined)",
    tests: ["test/offchain/worker/describeRun.test.ts"],
  },
  {
    name: "a worker takes as many steps as it is told",
    file: "offchain/src/worker/checkAssignment.ts",
    text: "if (assignment.steps > innerSteps) refuse",
    instead: "if (assignment.steps > 2 ** 31 + innerSteps) refuse",
    tests: ["test/offchain/worker/refusals.test.ts"],
  },
  {
    name: "a worker trains at any place of the schedule",
    file: "offchain/src/worker/base.ts",
    text: "if (manifest.step !== assignment.globalStep)",
    instead: "if (manifest.step > assignment.globalStep)",
    tests: ["test/offchain/worker/refusals.test.ts"],
  },
  {
    name: "all fragments of a payload go up at once",
    file: "offchain/src/worker/sending.ts",
    text: "const UPLOADS = 2;",
    instead: "const UPLOADS = 9;",
    tests: ["test/offchain/worker/engine.test.ts"],
  },
  {
    name: "a worker's patience with a coordinator that is away goes by the clock that is set",
    file: "offchain/src/worker/locateRun.ts",
    text: "saysRetryable(error) && clock.monotonic() < giveUpAt",
    instead: "saysRetryable(error) && clock.now() < giveUpAt",
    tests: ["test/offchain/worker/sessions.test.ts"],
  },
  {
    name: "a worker's speed is told by the clock that is set",
    file: "offchain/src/worker/training.ts",
    text: "const now = clock.monotonic();",
    instead: "const now = clock.now() - (Date.now() - clock.monotonic());",
    tests: ["test/offchain/worker/runWorker.test.ts"],
  },
  {
    name: "a worker takes the first build, whatever its device",
    file: "offchain/src/worker/chooseBuild.ts",
    text: "(document.deviceClass === deviceClass ? 0 : 1)",
    instead: "0",
    tests: ["test/offchain/worker/chooseBuild.test.ts"],
  },
  {
    name: "a build that holders withdrew shuts workers out of its run",
    file: "offchain/src/worker/artefacts.ts",
    text: "if (chain && !(await chain.isAdmitted(runId, digest))) continue;",
    instead: "if (chain && !(await chain.isAdmitted(runId, digest))) throw foreign(digest);",
    tests: ["test/offchain/worker/refusals.test.ts"],
  },
];
