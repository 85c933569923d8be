/** `cotrain code revoke`, `revoke-set` and `burn`: how holders end what was granted for code. */
import { burnVoidedGrants, grantSetVoidedAt, revokeGrant, voidGrantSet } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { countOf, formatAddress, formatSharesExactly, UserError, wrap } from "../../base/index.ts";
import { approvedGrants, grantsContractOf, isFounders, namedWallet } from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import { columnsOf } from "../output.ts";
import { atPlace, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";
import { namedGrant } from "./code.ts";

/** @throws UserError `GRANT_DUE` where nothing would be burned; what {@link namedGrant} throws */
async function revocationOf(place: DecidingPlace, named: string): Promise<Intention> {
  const { modelId } = place;
  const { grants, grant } = await namedGrant(place, named);
  const { id, terms, state, due } = grant;
  const left = state.amount - due;
  if (left === 0n)
    throw new UserError(
      "GRANT_DUE",
      state.revoked ? `Grant ${id} was ended before.` : `All of grant ${id} is due: there is nothing of it to burn.`,
    );
  return intentionOf(
    place,
    revokeGrant,
    { grants, modelId, id },
    {
      // Short enough to be shown whole, whatever is left.
      title: `grant of a ${isFounders(grant) ? "founder" : "commit"} revoked: ${id} to ${formatAddress(terms.author)}, ${formatEther(left)} shares not due yet`,
      document: { contract: grants, id, author: terms.author, amount: state.amount, due },
    },
  );
}

/** `cotrain code revoke`. */
export const codeRevokeCommand = defineCommand({
  name: "code revoke",
  summary: "propose to the holders that a grant ends: what is not due by then is burned",
  args: [{ name: "grant", description: "its id, or the first digits of it, as code list shows it" }],
  options: decisionOptions,
  examples: [
    [
      'npx cotrain code revoke 0x5a1f09 --reason "It breaks the loader"',
      "by the wallet of this directory that has the most votes",
    ],
  ],
  notes: [
    "Of what maintainers approved nothing is due before a whole vote could be over (code show says until when): a revocation that is executed by then burns all of it. What is due stays its author's.",
  ],
  async run({ args: [named = ""], options, output }) {
    await decide({ options, output }, (place) => revocationOf(place, named));
  },
});

/** Sets are counted from 1, in 32 bits. @throws UserError `SET_FORM` */
function setOf(named: string): number {
  const version = /^[1-9]\d{0,9}$/.test(named) ? Number(named) : 0;
  if (version >= 1 && version < 2 ** 32) return version;
  throw new UserError(
    "SET_FORM",
    `A set of maintainers is named by its number, from 1 on, as "npx cotrain code show" has it, not by ${JSON.stringify(named.slice(0, 100))}.`,
  );
}

async function endOf(place: DecidingPlace, setVersion: number): Promise<Intention> {
  const { connection, modelId } = place;
  const grants = await grantsContractOf(place);
  const args = { grants, modelId, setVersion };
  const voidedAt = await connection.call((client) => grantSetVoidedAt(client, args));
  const title = voidedAt === undefined ? `all that maintainer set ${setVersion} approved ended` : "";
  return intentionOf(place, voidGrantSet, args, { title, document: { contract: grants, setVersion } });
}

/** `cotrain code revoke-set`. */
export const codeRevokeSetCommand = defineCommand({
  name: "code revoke-set",
  summary: "propose to the holders that all ends which one set of maintainers approved, however much it is",
  args: [{ name: "number", description: "the set's number, as code show has it" }],
  options: decisionOptions,
  examples: [["npx cotrain code revoke-set 2", "by the wallet of this directory that has the most votes"]],
  notes: [
    "The set approves no more then, in force or not: name other maintainers too (maintainers propose). What is not due is burned by code burn, which anybody may send.",
  ],
  async run({ args: [named = ""], options, output }) {
    const setVersion = setOf(named);
    await decide({ options, output }, (place) => endOf(place, setVersion));
  },
});

/** Grants that one transaction burns at the most. */
const MOST_GRANTS = 64;

/** `cotrain code burn`. */
export const codeBurnCommand = defineCommand({
  name: "code burn",
  summary: "burn what will never be due of grants whose set of maintainers the holders ended",
  options: signingOptions,
  examples: [["npx cotrain code burn", "sent by the first wallet of this directory; anybody may"]],
  notes: ["Until it is burned it counts in every quorum, and nobody can vote with it."],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { burned, transactions } = await atPlace(
      options,
      own,
      async (place) => {
        const [entry] = requireEntries(place, options);
        const { modelId } = place;
        const { grants, all } = await approvedGrants(place);
        const ids = all.filter(({ unburned }) => unburned > 0n).map(({ id }) => id);
        const burned: { readonly id: Hex; readonly shares: bigint }[] = [];
        const transactions: Hex[] = [];
        if (!entry || ids.length === 0) return { burned, transactions };
        const client = await signingAs(place, entry, options);
        for (let from = 0; from < ids.length; from += MOST_GRANTS) {
          const call = { grants, modelId, ids: ids.slice(from, from + MOST_GRANTS) };
          await burnVoidedGrants.simulate(client, call);
          const { receipt, event } = await burnVoidedGrants.sync(client, call);
          burned.push(...event.map(({ id, burned: shares }) => ({ id, shares })));
          transactions.push(receipt.transactionHash);
        }
        return { burned, transactions };
      },
      unpinnedNotice(options, output),
    );
    const sum = burned.reduce((total, { shares }) => total + shares, 0n);
    output.result(
      { burned, transactions },
      wrap(
        transactions.length === 0
          ? "There is nothing to burn."
          : `${formatSharesExactly(sum)} shares of ${countOf(burned.length, "grant")} were burned in ${transactions.join(", ")}.`,
        columnsOf(process.stdout),
      ),
    );
  },
});
