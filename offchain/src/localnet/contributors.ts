/**
 * What wallets of a development chain do beside training: one buys shares, one is granted some for code, one pays revenue, and a worker
 * puts coins at stake.
 */
import { asAddress } from "@cotrain/sdk/protocol";

import { PROGRAM_ROOT } from "../base/node/index.ts";
import type { Logger } from "../service/index.ts";
import { followPurchase } from "./capital.ts";
import { followGrant, offerGrant, type OfferedGrant } from "./code.ts";
import { createCollector, patiently } from "./collector.ts";
import type { LocalModel } from "./owners.ts";
import type { Prepared } from "./prepare.ts";
import { followRevenue } from "./revenue.ts";
import { followStake } from "./stake.ts";

/** Follows them, where there are any. */
export function followContributors(prepared: Prepared, { announce, clock }: LocalModel, logger: Logger) {
  const { contributors, owners } = prepared;
  if (!contributors) return undefined;
  const { buyer, author, customer } = contributors;
  const [worker] = owners;
  const stake = worker && followStake(prepared, worker, (line) => announce(line, "stake"));
  // What hinders it keeps nobody from claiming.
  const staking = patiently(async () => stake?.stake(), "a worker's stake", logger);
  const revenue = followRevenue(prepared, { customer, owners }, (line) => announce(line, "revenue"));
  const paying = createCollector(patiently(revenue.pay, "the payment of revenue", logger));
  const purchase = followPurchase(prepared, buyer, (line) => announce(line, "capital"));
  const grant = followGrant(prepared, author, (line) => announce(line, "code"));
  let last = false;
  const buying = createCollector(patiently(purchase.look, "the purchase of shares", logger));
  const granting = createCollector(patiently(() => grant.look(last), "the claim of a grant", logger));
  let noCode: string | undefined;
  /** A grant that failed when its proposal was carried out took the parameters along: the next goes without. */
  let alone: string | undefined;
  return {
    /** @param held whether wallets here have claimed shares, which share revenue */
    look(held: boolean): void {
      void buying.collect();
      void granting.collect();
      if (held) void paying.collect();
    },
    /** What the owners do one after the other with wallets that claim as well. */
    async own(): Promise<void> {
      await staking();
      await revenue.claim();
    },
    waitsFor: (): readonly string[] => purchase.pending(),
    /** What the session's proposal grants; undefined for nothing. */
    async offer(): Promise<OfferedGrant | undefined> {
      const request = { author: asAddress(author.client.account.address), clone: PROGRAM_ROOT, clock };
      const offered = alone === undefined ? await offerGrant(prepared, request) : { why: alone };
      noCode = "why" in offered ? offered.why : undefined;
      return "why" in offered ? undefined : offered;
    },
    /** What was decided with a grant may have come to be. */
    decided: (): void => grant.seek(),
    failed: (reason: string): void => void (alone = reason),
    /** Takes what is there by now. @returns whether all of it went through */
    async finish(): Promise<boolean> {
      last = true;
      const [bought, granted] = await Promise.all([buying.collectAnew(), granting.collectAnew()]);
      return bought && granted && purchase.pending().length === 0;
    },
    why: () => ({ noCapital: purchase.why(), noCode, noStake: stake?.why(), noRevenue: revenue.why() }),
  };
}
