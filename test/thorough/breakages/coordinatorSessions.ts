/** Defences of sessions that are no member's: what they cost, and whose they are. */
import type { Breakage } from "./breakage.ts";

export const coordinatorSessions: readonly Breakage[] = [
  {
    name: "throw-away keys have limits of their own once a run is over",
    file: "offchain/src/coordinator/memberRequests.ts",
    text: "(runOf(request).presence.has(of(request)) ? chargeMember : chargeAddress)",
    instead: "(of(request) ? chargeMember : chargeAddress)",
    tests: ["test/attack/nat.test.ts"],
  },
  {
    name: "a join that somebody saw opens session after session once a run is over",
    file: "offchain/src/coordinator/presence.ts",
    text: "staleAmong(this.#former.get(worker)?.joins ?? [],",
    instead: "staleAmong([],",
    tests: ["test/offchain/coordinator/acknowledgements.test.ts"],
  },
  {
    name: "a join that somebody saw has its signature looked at again and again once a run is over",
    file: "offchain/src/coordinator/joins.ts",
    text: " ?? presence.staleFormer(join.worker, issuedAt)",
    instead: "",
    tests: ["test/offchain/coordinator/acknowledgements.test.ts"],
  },
];
