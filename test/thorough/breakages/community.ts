/** Defences of community machines: what either side checks before it works or pays. */
import type { Breakage } from "./breakage.ts";

const both = ["test/offchain/market/community.test.ts"];
const board = ["test/offchain/coordinator/machines.test.ts"];
const lending = "offchain/src/market/community/lending.ts";
const renting = "offchain/src/market/community/renting.ts";

export const community: readonly Breakage[] = [
  {
    name: "a machine works for a deposit that its token took away",
    file: lending,
    text: "if (channel.deposit < deposit || channel.held < deposit)",
    instead: "if (channel.deposit < deposit)",
    tests: both,
  },
  {
    name: "a machine works on for a renter who does not pay",
    file: lending,
    text: 'return owedOf(voucher) < (due < most ? due : most) ? "Its renter does not pay any more." : undefined;',
    instead: 'return owedOf(voucher) < 0n ? "Its renter does not pay any more." : undefined;',
    tests: both,
  },
  {
    name: "a machine keeps any voucher",
    file: lending,
    text: "await requireVoucher(voucher, said.signature, { ...place, terms: lease.terms, atLeast: before + 1n, deposit });",
    instead: "await Promise.resolve(deposit);",
    tests: both,
  },
  {
    name: "a machine does not redeem when its channel is closed",
    file: lending,
    text: 'if (lease.state === "working" && channel.closesAt !== undefined)',
    instead: 'if (lease.state === "working" && channel.closesAt === 0)',
    tests: both,
  },
  {
    name: "a machine that is alive for a moment in each period is paid for all of it",
    file: renting,
    text: "return rented.aliveAt === null ? rented : this.#keep(rented, { aliveAt: null });",
    instead: "return rented;",
    tests: ["test/offchain/market/community.test.ts"],
  },
  {
    name: "a time in which nobody looked is paid whole",
    file: renting,
    text: "Math.min(since, rented.asked.offer.period * 1_000)",
    instead: "since",
    tests: both,
  },
  {
    name: "a voucher is above the deposit",
    file: renting,
    text: "const cumulative = earned < depositOf(rented) ? earned : depositOf(rented);",
    instead: "const cumulative = earned;",
    tests: both,
  },
  {
    name: "a deposit is made twice after a crash",
    file: renting,
    text: "if ((await chain.channel(rented.terms)) === undefined) await chain.open",
    instead: "await chain.open",
    tests: both,
  },
  {
    name: "a machine is rented that has become dearer",
    file: renting,
    text: "if (perHour > order.maximumPerHour)",
    instead: "if (perHour < 0n)",
    tests: both,
  },
  {
    name: "a machine lists other hardware than its owner signed",
    file: "offchain/src/market/community/listing.ts",
    text: "if (hardwareOf(view.facts) !== offer.hardware)",
    instead: 'if (offer.hardware === "0x")',
    tests: both,
  },
  {
    name: "whoever has an offer speaks for its machine",
    file: "offchain/src/coordinator/machines.ts",
    text: "const isIts = machineSecret.test(secret) && callerOf(secret as Hex) === call.facts.caller;",
    instead: "const isIts = machineSecret.test(secret);",
    tests: board,
  },
  {
    name: "machines are listed without end",
    file: "offchain/src/coordinator/machines.ts",
    text: "if (machines.size >= MAX_MACHINES || behind >= MOST_BEHIND)",
    instead: "if (machines.size >= MAX_MACHINES)",
    tests: board,
  },
  {
    name: "a machine has two renters",
    file: "offchain/src/coordinator/machines.ts",
    text: "if (taken !== undefined && taken !== offer.leaseId)",
    instead: 'if (taken === "0x")',
    tests: board,
  },
  {
    name: "a stranger speaks to a machine",
    file: "offchain/src/coordinator/machines.ts",
    text: "if (!run.passes.renters.has(terms.signer))",
    instead: 'if (terms.signer === "0x")',
    tests: board,
  },
  {
    name: "a machine is listed without its owner's stake",
    file: "offchain/src/coordinator/machines.ts",
    text: "if (!isLeased(call))",
    instead: "if (call.facts.gpus === 0)",
    tests: board,
  },
  {
    name: "one stake is of all machines of an owner",
    file: "offchain/src/coordinator/machines.ts",
    text: "minStake: minStake * BigInt(workers)",
    instead: "minStake: workers > 0 ? minStake : 0n",
    tests: board,
  },
  {
    name: "a machine takes back the passes that count",
    file: "offchain/src/coordinator/passes.ts",
    text: "if (!isMember && (notAfter <= now || row?.ended === true))",
    instead:
      "if (![...run.machines.values()].some(({ word }) => word?.passes.some((pass) => leaseOfPass(pass) === lease)))",
    tests: board,
  },
  {
    name: "an owner's stake leaves, and who works for it is not heard",
    file: "offchain/src/coordinator/machines.ts",
    text: "if (!isLeased(call))",
    instead: "if (call.facts.gpus > 0)",
    tests: board,
  },
  {
    name: "an escrow of another making verifies",
    file: "offchain/src/chain/reads/models.ts",
    text: "...(escrow === undefined ? [] : await call((chain) => escrowWiring(chain, { escrow }))),",
    instead: "",
    tests: ["test/offchain/chain/escrowWiring.test.ts"],
  },
];
