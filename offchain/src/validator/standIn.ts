/** Looks in others' places at what they drew, where an epoch pays for it and they deny it or say nothing. */
import { type Finding, AUDIT_AGAIN, examine } from "./checks/aggregate.ts";
import type { Claim, Draw } from "./claims.ts";
import { attempt, type Context } from "./context.ts";
import { deny } from "./verdicts.ts";

export async function standIn(context: Context, claim: Claim, draw: Draw): Promise<void> {
  await attempt(context, `checkpoint ${claim.head.round}, in ${claim.by}'s place`, () => look(context, claim, draw));
}

/** Looks at what another validator drew, and says so if it does not hold either. */
async function look(context: Context, { head: { head: name }, drawer }: Claim, draw: Draw): Promise<void> {
  const { audits, claims, clock, heads, patience } = context;
  const link = heads.links.get(name);
  if (!link) return;
  const { fragment } = draw;
  const key = `${name}/${fragment}`;
  if (clock.monotonic() < (audits.again.get(key) ?? 0)) return;
  const report = async (finding: Finding): Promise<void> => {
    audits.again.delete(key);
    if (finding.holds) claims.found(name, draw);
    else await deny(context, link.head, { fragment, drawer }, finding);
  };
  try {
    await examine(context, link, draw, report);
  } catch (error) {
    audits.again.set(key, clock.monotonic() + Math.min(AUDIT_AGAIN, patience));
    throw error;
  }
}
