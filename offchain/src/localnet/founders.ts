/** What the founders of a new run's model are paid, as the line asks for it. */
import { getAddress, isAddress, parseEther } from "viem";

import type { FoundersSettings, Profile } from "../../../deploy/deployment.ts";
import { UserError } from "../base/index.ts";

const YEAR = 365 * 86_400;
/** As companies pay theirs: over four years, nothing in the first. */
const [CLIFF, DURATION] = [YEAR, 4 * YEAR];

/**
 * Founders of "0xab…=1000".
 * @returns undefined where nobody is named
 * @throws UserError `FOUNDERS_INVALID`
 */
export function foundersOf(words: readonly string[] | undefined): FoundersSettings | undefined {
  if (words === undefined) return undefined;
  const list = words.map((word) => {
    const [account = "", shares = ""] = word.split("=");
    if (!isAddress(account))
      throw new UserError(
        "FOUNDERS_INVALID",
        `${account} in --founders is no address, by its checksum: copy it again.`,
      );
    const amount = parseEther(shares);
    if (amount > 0n) return { account: getAddress(account), amount };
    throw new UserError(
      "FOUNDERS_INVALID",
      `--founders gives ${account} no shares: name more than 0, or leave it out.`,
    );
  });
  if (new Set(list.map(({ account }) => account)).size < list.length)
    throw new UserError("FOUNDERS_INVALID", "--founders names an address twice: add its shares up.");
  return { list, cliff: CLIFF, duration: DURATION };
}

/** A model with these founders: what they get is added to the cap, so that the first year's epochs keep their budget. */
export function foundedBy(founders: FoundersSettings | undefined, model: Profile["model"]): Profile["model"] {
  if (!founders) return model;
  const minted = founders.list.reduce((sum, { amount }) => sum + amount, 0n);
  return { ...model, founders, yearlyCap: model.yearlyCap + minted };
}
