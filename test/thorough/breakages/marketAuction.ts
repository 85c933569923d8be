/** What could go wrong with machines of an auction: limits, and times that are set and raised. */
import type { Breakage } from "./breakage.ts";

const auction = ["test/offchain/market/auction.test.ts"];
const extending = ["test/offchain/market/leases/extending.test.ts"];
const traps = ["test/offchain/market/renting/traps.test.ts"];
const told = ["test/offchain/cli/marketAuction.test.ts"];

export const marketAuction: readonly Breakage[] = [
  {
    name: "what others paid is a limit although nobody said so",
    file: "offchain/src/market/offer.ts",
    text: "percent === undefined\n    ? offers",
    instead: "percent === -1\n    ? offers",
    tests: auction,
  },
  {
    name: "a limit is raised once more",
    file: "offchain/src/market/offer.ts",
    text: "auction !== true || firm ||",
    instead: "auction !== true ||",
    tests: auction,
  },
  {
    name: "a bid is taken that is a little above the limit",
    file: "offchain/src/market/leases/slots.ts",
    text: "isLimit(offer) ? 0 : rules.dearer",
    instead: "rules.dearer",
    tests: auction,
  },
  {
    name: "a plan's limit follows what others pay by now",
    file: "offchain/src/market/requote.ts",
    text: "offer !== undefined && isLimit(offer) ? limitedTo(offer, BigInt(perHour)) : offer",
    instead: "perHour === undefined ? undefined : offer",
    tests: auction,
  },
  {
    name: "a plan's limit follows what others pay while it is rented",
    file: "offchain/src/market/requote.ts",
    text: "return limit === undefined ? offer : limitedTo(offer, limit);",
    instead: "return limit === undefined ? offer : limitedTo(offer, offer.price.perHour ?? limit);",
    tests: auction,
  },
  {
    name: "a limit is told as a price",
    file: "offchain/src/market/offer.ts",
    text: "? `at most ${priceText(money)}`",
    instead: "? priceText(money)",
    tests: [...auction, ...told],
  },
  {
    name: "a plan forgets at which percentage it was made",
    file: "offchain/src/cli/planning.ts",
    text: "? { auction: options.auction }",
    instead: "? {}",
    tests: told,
  },
  {
    name: "a new plan counts with no limit although its cluster was rented at one",
    file: "offchain/src/cli/commands/marketReplan.ts",
    text: "auctioned(catalogue.offers, one.auction)",
    instead: "auctioned(catalogue.offers, given.auction)",
    tests: ["test/offchain/cli/marketReplan.test.ts"],
  },
  {
    name: "a deployment of Akash runs until somebody ends it",
    file: "offchain/src/market/adapters/renting/akash.ts",
    text: "runtimeLimitHours: FIRST_HOURS, deposit",
    instead: "deposit",
    tests: traps,
  },
  {
    name: "what Akash's console has of a time is not read back",
    file: "offchain/src/market/adapters/renting/akash.ts",
    text: "=== hours) return;",
    instead: ">= 0) return;\n  if (hours > 0) return;",
    tests: traps,
  },
  {
    name: "a time at Akash is raised by hours and not to a total",
    file: "offchain/src/market/adapters/renting/akash.ts",
    text: "runtimeLimitHours: total",
    instead: "runtimeLimitHours: total - 1",
    tests: traps,
  },
  {
    name: "less is put down than an hour at the limit costs",
    file: "offchain/src/market/money.ts",
    text: "return needed > least ? needed : least;",
    instead: "return least;",
    tests: [...auction, ...traps],
  },
  {
    name: "what was put down and not used counts as spent",
    file: "offchain/src/market/leases/cost.ts",
    text: "deposit === undefined && lease.extendedSeconds !== undefined",
    instead: "lease.extendedSeconds !== undefined",
    tests: extending,
  },
  {
    name: "what is put down for a machine that nobody ends is not in hand",
    file: "offchain/src/market/leases/cost.ts",
    text: "larger(used, depositFor(maximum, prepaidSeconds, deposit))",
    instead: "used",
    tests: extending,
  },
  {
    name: "an hour more of a machine that nobody ends is not in hand",
    file: "offchain/src/market/leases/extending.ts",
    text: "lease.backedUntil + seconds * 1_000",
    instead: "lease.backedUntil + seconds * 0",
    tests: extending,
  },
  {
    name: "a machine that is sent later is backed for less than its hour",
    file: "offchain/src/market/leases/slots.ts",
    text: "(lease.backedUntil ?? 0) + at - lease.since",
    instead: "(lease.backedUntil ?? 0)",
    tests: extending,
  },
  {
    name: "a deployment that Akash's console does not close is forgotten",
    file: "offchain/src/market/adapters/renting/akash.ts",
    text: 'rowOf(answer).flag("data.success") === true;',
    instead: 'rowOf(answer).flag("data.success") !== undefined;',
    tests: ["test/offchain/market/renting/traps.test.ts"],
  },
];
