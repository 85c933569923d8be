/** Defences of `market/leases`. */
import type { Breakage } from "./breakage.ts";

const machine = ["test/offchain/market/leases/machine.test.ts"];
const ledger = ["test/offchain/market/leases/ledger.test.ts"];
const simulation = ["test/offchain/market/leases/simulation.test.ts"];

export const marketLeases: readonly Breakage[] = [
  {
    name: "a create without an answer is sent again after a crash",
    file: "offchain/src/market/leases/machine.ts",
    text: '{ ...inState(lease, "ambiguous", at), answeredAt: at }',
    instead: '{ ...inState(lease, "intended", at), sentAt: null }',
    tests: machine,
  },
  {
    name: "a create is sent before it is written down",
    file: "offchain/src/market/leases/keeper.ts",
    text: "if (Object.keys(rows).length > 0) await this.#modules.ledger.append({ type: event.type, at: book.now, rows });",
    instead:
      "if (Object.keys(rows).length > 0) void this.#modules.ledger.append({ type: event.type, at: book.now, rows }).catch(() => undefined);",
    tests: ledger,
  },
  {
    name: "one listing says that nothing was created",
    file: "offchain/src/market/leases/seen.ts",
    text: "const isOver = now.last > now.first && now.last - now.first >= terms.visibleWithin + step.rules.late;",
    instead: "const isOver = now.last >= now.first;",
    tests: machine,
  },
  {
    name: "one listing says that a machine is gone",
    file: "offchain/src/market/leases/seen.ts",
    text: "unseen !== null && unseen.last > unseen.first && unseen.last - unseen.first >= terms.visibleWithin",
    instead: "unseen !== null",
    tests: machine,
  },
  {
    name: "another key's empty listing says that machines are gone",
    file: "offchain/src/market/leases/seen.ts",
    text: "const mine = owned.filter((lease) => lease.identity === identity);",
    instead: "const mine = owned;",
    tests: machine,
  },
  {
    name: "a machine is gone although it is heard",
    file: "offchain/src/market/leases/machine.ts",
    text: "return isOpen(lease) && isNews ? putLease(step, { ...heard, unseen: null }) : step;",
    instead: "return isOpen(lease) && isNews ? putLease(step, heard) : step;",
    tests: machine,
  },
  {
    name: "an end that is refused is not asked for again",
    file: "offchain/src/market/leases/machine.ts",
    text: "const isDue = askedAt === null || at - askedAt >= step.rules.askAgain;",
    instead: "const isDue = askedAt === null;",
    tests: machine,
  },
  {
    name: "what a failed create left behind is forgotten",
    file: "offchain/src/market/leases/machine.ts",
    text: "if (instance !== null) {\n      const doomed",
    instead: "if (instance === undefined) {\n      const doomed",
    tests: machine,
  },
  {
    name: "a price above the quote is paid",
    file: "offchain/src/market/leases/seen.ts",
    text: "if (lease.perHour > lease.maximum) {",
    instead: "if (lease.perHour < 0n) {",
    tests: machine,
  },
  {
    name: "nothing is kept in hand for the time that an end takes",
    file: "offchain/src/market/leases/cost.ts",
    text: "return Math.max(at, seen, endable) + tail;",
    instead: "return Math.max(at, seen, endable) + tail * 0;",
    tests: simulation,
  },
  {
    name: "a budget that is nearly spent ends nothing",
    file: "offchain/src/market/leases/slots.ts",
    text: "if (exposureOn(step1.book, id, at, step1.rules) > cluster.budget)",
    instead: "if (exposureOn(step1.book, id, at, step1.rules) < 0n)",
    tests: machine,
  },
  {
    name: "a machine that nothing else ends is rented without a watchdog",
    file: "offchain/src/market/leases/slots.ts",
    text: "if (isWatched || cluster.acceptNoBackstop ||",
    instead: 'if (isWatched || offer.backstop === "none" ||',
    tests: machine,
  },
  {
    name: "a key that nothing uses is taken for what ends a machine",
    file: "offchain/src/market/leases/slots.ts",
    text: 'offer.backstop === "own") return',
    instead: 'offer.backstop === "scoped-key") return',
    tests: machine,
  },
  {
    name: "the time until its provider ends a machine is not in hand",
    file: "offchain/src/market/leases/cost.ts",
    text: "return left > most ? left : most;",
    instead: "return left < most ? left : most;",
    tests: machine,
  },
  {
    name: "machines of another installation are ended",
    file: "offchain/src/market/leases/seen.ts",
    text: "parseLabel(instance.label)?.installation === step.book.installation",
    instead: "parseLabel(instance.label) !== undefined",
    tests: machine,
  },
  {
    name: "a machine with a label that the ledger does not know runs on",
    file: "offchain/src/market/leases/machine.ts",
    text: "at - lease.since >= step.rules.quarantine",
    instead: "at - lease.since >= Infinity",
    tests: machine,
  },
  {
    name: "a slot has a second machine while the first may be there",
    file: "offchain/src/market/leases/slots.ts",
    text: ".filter((lease) => lease.cluster === cluster.id && isOpen(lease))\n      .map",
    instead: '.filter((lease) => lease.cluster === cluster.id && lease.state === "joined")\n      .map',
    tests: simulation,
  },
  {
    name: "a late machine's token is taken",
    file: "offchain/src/market/leases/state.ts",
    text: "return lease !== undefined && lease.doomed === null &&",
    instead: "return lease !== undefined ||",
    tests: machine,
  },
  {
    name: "a machine that was never listed counts at its quote",
    file: "offchain/src/market/leases/seen.ts",
    text: "lease.shown ? lease.perHour : lease.perHour * BigInt(step.rules.surprise)",
    instead: "lease.perHour",
    tests: machine,
  },
  {
    name: "the watchdog ends machines of others",
    file: "offchain/src/market/leases/watchdog.ts",
    text: "parseLabel(label)?.installation === installation",
    instead: "parseLabel(label)?.installation !== undefined",
    tests: ["test/offchain/market/leases/watchdog.test.ts"],
  },
  {
    name: "the watchdog ends machines while somebody keeps them",
    file: "offchain/src/market/leases/watchdog.ts",
    text: "if (silentFor <= patience) return",
    instead: "if (silentFor < 0) return",
    tests: ["test/offchain/market/leases/watchdog.test.ts"],
  },
  {
    name: "a sign that never changes is taken for a living watchdog",
    file: "offchain/src/market/leases/watchdog.ts",
    text: "return changedAt === undefined ? undefined : clock.monotonic() - changedAt;",
    instead: "return clock.monotonic() - (changedAt ?? clock.monotonic());",
    tests: ["test/offchain/market/leases/watchdog.test.ts"],
  },
];
