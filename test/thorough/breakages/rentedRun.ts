/** Defences of rented machines that join a run: passes, the software that they fetch, and what is proved before anything is spent. */
import type { Breakage } from "./breakage.ts";

const passes = ["test/offchain/coordinator/passes.test.ts"];
const renting = ["test/offchain/cli/rentedRun.test.ts"];

export const rentedRun: readonly Breakage[] = [
  {
    name: "a pass lets a second key in",
    file: "offchain/src/coordinator/machine/rules.ts",
    text: "if (known && known.worker !== null && known.worker !== worker)",
    instead: "if (known && known.worker === null && known.worker !== null)",
    tests: passes,
  },
  {
    name: "an ended lease lets its machine in",
    file: "offchain/src/coordinator/machine/rules.ts",
    text: "if (known?.ended && (known.worker !== worker || !state.members[worker]))",
    instead: "if (known?.ended && known.worker !== null && known.worker !== worker)",
    tests: passes,
  },
  {
    name: "whose lease is ended cannot hand in what it has",
    file: "offchain/src/coordinator/machine/rules.ts",
    text: "if (known?.ended && (known.worker !== worker || !state.members[worker]))",
    instead: "if (known?.ended)",
    tests: passes,
  },
  {
    name: "whose lease is ended goes on getting work",
    file: "offchain/src/coordinator/machine/dealing.ts",
    text: "!member.silent && !member.leaving && state",
    instead: "!member.silent && state",
    tests: passes,
  },
  {
    name: "leases that are over are remembered for ever",
    file: "offchain/src/coordinator/machine/leases.ts",
    text: "if (notAfter <= at) delete",
    instead: "if (notAfter <= 0) delete",
    tests: passes,
  },
  {
    name: "anybody gives passes",
    file: "offchain/src/coordinator/passes.ts",
    text: "if (!renters.has(pass.renter))",
    instead: "if (renters.size === 0)",
    tests: passes,
  },
  {
    name: "a pass that is over is taken",
    file: "offchain/src/coordinator/passes.ts",
    text: "if (Number(pass.notAfter) <= run.modules.clock.now())",
    instead: "if (Number(pass.notAfter) < 0)",
    tests: passes,
  },
  {
    name: "a pass is taken with whatever signature once it was seen",
    file: "offchain/src/coordinator/passes.ts",
    text: "const name = canonicalJson(signed);",
    instead: "const name = canonicalJson(pass);",
    tests: passes,
  },
  {
    name: "a machine with a pass earns for whom it likes",
    file: "offchain/src/coordinator/passes.ts",
    text: "if (join.lease === leaseOfPass(pass) && join.beneficiary === pass.pass.beneficiary) return;",
    instead: "if (join.lease === leaseOfPass(pass)) return;",
    tests: passes,
  },
  {
    name: "the coordinator's software is for ended leases too",
    file: "offchain/src/coordinator/api/leases.ts",
    text: "if (run.driver.state.leases?.[lease]?.ended)",
    instead: 'if (lease === "0x")',
    tests: passes,
  },
  {
    name: "money is spent on machines that cannot reach the coordinator",
    file: "offchain/src/cli/rentedRun.ts",
    text: "if (!own && !isPublic)",
    instead: "if (!own && url === undefined)",
    tests: renting,
  },
  {
    name: "a rented machine runs whatever it was sent",
    file: "offchain/src/market/base/joining.ts",
    text: "sha256sum -c - >/dev/null",
    instead: "cat >/dev/null",
    tests: renting,
  },
  {
    name: "a machine on which nothing trains is paid for",
    file: "offchain/src/cli/rentedRun.ts",
    text: "if (!end && report && cannotTrain(report))",
    instead: "if (end && report && cannotTrain(report))",
    tests: renting,
  },
  {
    name: "a machine whose worker is silent beats",
    file: "offchain/src/cli/rentedRun.ts",
    text: "member && heardMs !== null && heardMs <= ALIVE",
    instead: "member",
    tests: renting,
  },
  {
    name: "the pass of a machine that was given up goes on",
    file: "offchain/src/cli/rentedRun.ts",
    text: "const end = !mayJoin(keeper.book(), label);",
    instead: "const end = false;",
    tests: renting,
  },
  {
    name: "work that is finished costs without a limit",
    file: "offchain/src/market/leases/slots.ts",
    text: "if (cluster.stopping !== null && (cluster.stopping.drainMs === 0 || !isOver)) return step1;",
    instead: "if (cluster.stopping !== null) return step1;",
    tests: ["test/offchain/market/leases/machine.test.ts"],
  },
];
