/** Defences about machines that cost and have no work, what is learnt of creates, and what a book forgets. */
import type { Breakage } from "./breakage.ts";

const idle = ["test/offchain/market/leases/idle.test.ts"];
const renting = ["test/offchain/cli/rentedRun.test.ts"];
const passes = ["test/offchain/coordinator/passes.test.ts"];
const creates = ["test/offchain/market/creates.test.ts"];
const forgetting = ["test/offchain/market/leases/forgetting.test.ts"];
const file = "offchain/src/market/leases/idle.ts";

export const marketIdle: readonly Breakage[] = [
  {
    name: "a coordinator that was away makes machines idle",
    file,
    text: "if (!idle || at - idle.seenAt > gap)",
    instead: "if (!idle || at - idle.seenAt > gap * 1_000)",
    tests: idle,
  },
  {
    name: "a machine in the time that is paid at the least is idle",
    file,
    text: "terms.minimumSeconds * 1_000) return null;",
    instead: "terms.minimumSeconds * 0) return null;",
    tests: idle,
  },
  {
    name: "an idle machine is ended although nobody wanted that",
    file,
    text: "return ends ? endIdle(next,",
    instead: "return ends || idle.since > 0 ? endIdle(next,",
    tests: idle,
  },
  {
    name: "another machine is rented in the place of an idle one",
    file,
    text: "{ ...cluster.again, [lease.slot]: null }",
    instead: "{ ...cluster.again }",
    tests: idle,
  },
  {
    name: "that a machine is idle is told at each look",
    file,
    text: "idle: { ...idle, told: true }",
    instead: "idle: { ...idle, told: false }",
    tests: idle,
  },
  {
    name: "an idle machine is paid for longer and then ended",
    file: "offchain/src/market/leases/extending.ts",
    text: " || endsIdleBy(lease, cluster, until);",
    instead: " || (endsIdleBy(lease, cluster, until) && isNaN(until));",
    tests: idle,
  },
  {
    name: "a machine of which one worker has no work is idle",
    file: "offchain/src/cli/meeting.ts",
    text: "if (views.some((view) => isAlive(view) && view.working !== false)) break;",
    instead: "if (views.some(isAlive)) break;",
    tests: renting,
  },
  {
    name: "a worker that hands nothing in counts as one at work",
    file: "offchain/src/coordinator/passes.ts",
    text: "&& members[worker]?.misses === 0;",
    instead: "&& members[worker] !== undefined;",
    tests: passes,
  },
  {
    name: "work whose time is over counts as work",
    file: "offchain/src/coordinator/passes.ts",
    text: "&& modules.clock.now() < current.deadline;",
    instead: "&& modules.clock.now() > 0;",
    tests: passes,
  },
  {
    name: "creates of long ago say what would come of one now",
    file: "offchain/src/market/creates.ts",
    text: "now - sentAt > CREATES_DAYS * 86_400_000",
    instead: "now - sentAt > CREATES_DAYS * 864_000_000",
    tests: creates,
  },
  {
    name: "what was given up here counts as a create that failed",
    file: "offchain/src/market/creates.ts",
    text: "doomed.reason) ? true : undefined;",
    instead: "doomed.reason) || doomed.at > 0;",
    tests: creates,
  },
  {
    name: "creates that failed do not count where a cluster is planned",
    file: "offchain/src/market/planner/machines.ts",
    text: "if (creates === undefined) return expected;",
    instead: "if (creates === undefined || creates.tried > 0) return expected;",
    tests: creates,
  },
  {
    name: "an offer is lost for ever by creates that failed",
    file: "offchain/src/market/planner/machines.ts",
    text: "return Math.min(Math.max(expected, mostMissing), found);",
    instead: "return creates.failed > 30 ? 0.99 : Math.min(Math.max(expected, mostMissing), found);",
    tests: creates,
  },
  {
    name: "a cluster that is planned again tries what lately came to no machine",
    file: "offchain/src/market/replan.ts",
    text: "const reading = { now, sample: false, mode: task.mode, createsOf };",
    instead: "const reading = { now, sample: false, mode: task.mode, createsOf: createsOf && undefined };",
    tests: ["test/offchain/market/replan.test.ts"],
  },
  {
    name: "without a plan the cheapest offer is rented first, whatever came of creates there",
    file: "offchain/src/cli/wanted.ts",
    text: "shown: firstChoices(offers, createsOf, (until - now) / 1_000),",
    instead: "shown: firstChoices(offers, createsOf && undefined, (until - now) / 1_000),",
    tests: ["test/offchain/cli/marketRent.test.ts"],
  },
  {
    name: "what is waited for does not count where there is no plan",
    file: "offchain/src/market/firstChoice.ts",
    text: "? (perHour * seconds) / (seconds - wait)",
    instead: "? perHour + 0 * wait",
    tests: creates,
  },
  {
    name: "a book never forgets what is over",
    file: "offchain/src/market/leases/machine.ts",
    text: "let next = { ...step, book: withoutOld(step.book, at) };",
    instead: "let next = { ...step, book: withoutOld(step.book, 0 * at) };",
    tests: forgetting,
  },
  {
    name: "a book remembers machines without end",
    file: "offchain/src/market/leases/forgetting.ts",
    text: "index >= forgettingRules.most || ",
    instead: "(index >= forgettingRules.most && since < 0) || ",
    tests: forgetting,
  },
  {
    name: "what a cluster has spent is forgotten while it goes on",
    file: "offchain/src/market/leases/forgetting.ts",
    text: "!isOpen(lease) && isOver(lease) && ",
    instead: "!isOpen(lease) && (isOver(lease) || now > 0) && ",
    tests: forgetting,
  },
  {
    name: "a machine that costs is forgotten",
    file: "offchain/src/market/leases/forgetting.ts",
    text: "!isOpen(lease) && isOver(lease) && ",
    instead: "(!isOpen(lease) || now > 0) && isOver(lease) && ",
    tests: forgetting,
  },
  {
    name: "what a ledger forgot is read again at the next start",
    file: "offchain/src/market/leases/ledger.ts",
    text: "const book = withoutOld(all, now());",
    instead: "const book = withoutOld(all, 0 * now());",
    tests: forgetting,
  },
  {
    name: "what machines have cost is forgotten with them",
    file: "offchain/src/cli/commands/marketLeases.ts",
    text: "const book = await ledger.whole();",
    instead: "const book = await ledger.read();",
    tests: ["test/offchain/cli/marketCost.test.ts"],
  },
];
