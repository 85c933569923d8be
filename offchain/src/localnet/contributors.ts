/** What two wallets of a development chain do beside those that train: one buys shares, the other is granted some for code. */
import { asAddress } from "@cotrain/sdk/protocol";

import { PROGRAM_ROOT } from "../base/node/index.ts";
import type { Logger } from "../service/index.ts";
import { followPurchase } from "./capital.ts";
import { followGrant, offerGrant, type OfferedGrant } from "./code.ts";
import { createCollector, patiently } from "./collector.ts";
import type { LocalModel } from "./owners.ts";
import type { Prepared } from "./prepare.ts";

/** Follows both, where there are any. */
export function followContributors(prepared: Prepared, { announce, clock }: LocalModel, logger: Logger) {
  const { contributors } = prepared;
  if (!contributors) return undefined;
  const { buyer, author } = contributors;
  const purchase = followPurchase(prepared, buyer, (line) => announce(line, "capital"));
  const grant = followGrant(prepared, author, (line) => announce(line, "code"));
  let last = false;
  const buying = createCollector(patiently(purchase.look, "the purchase of shares", logger));
  const granting = createCollector(patiently(() => grant.look(last), "the claim of a grant", logger));
  let noCode: string | undefined;
  /** A grant that failed when its proposal was carried out took the parameters along: the next goes without. */
  let alone: string | undefined;
  return {
    look(): void {
      void buying.collect();
      void granting.collect();
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
    why: () => ({ noCapital: purchase.why(), noCode }),
  };
}
