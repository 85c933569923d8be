/** `cotrain rewards revoke`: takes back what wallets signed so that others are paid in their place. */
import { revokeClaimTo } from "@cotrain/sdk/actions";

import { formatAddress, shortAddress, UserError } from "../../base/index.ts";
import { namedWallet } from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { atPlace, requireEntries, signingAs, signingOptions } from "../place.ts";

export const rewardsRevokeCommand = defineCommand({
  name: "rewards revoke",
  summary: "void whatever a wallet signed so that others are paid in its place; each wallet pays its own gas",
  options: signingOptions,
  examples: [
    ["npx cotrain rewards revoke --wallet me.json --passphrase-file pass", "an order that fell into wrong hands"],
    ["npx cotrain rewards revoke", "for every worker's wallet of this directory"],
  ],
  notes: [
    "Orders of rewards claim --to are sent at once and serve an hour at the longest; those that an application asked a wallet to sign",
    "serve until their deadline, or until this. What was paid by one stays paid.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const revoked = await atPlace(
      options,
      own,
      async (place) => {
        const { addresses } = place;
        const entries = requireEntries(place, options);
        if (!place.pinned)
          throw new UserError(
            "REVOKE_UNPINNED",
            "Which contracts would forget what was signed is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
          );
        const made = [];
        for (const entry of entries) {
          const client = await signingAs(place, entry, options);
          await revokeClaimTo.simulate(client, { addresses });
          const { receipt } = await revokeClaimTo.sync(client, { addresses });
          made.push({ name: entry.name, account: formatAddress(entry.account), transaction: receipt.transactionHash });
        }
        return made;
      },
      undefined,
      { party: "workers" },
    );
    output.result(
      revoked,
      revoked.map(
        ({ name, account, transaction }) =>
          `${name} ${shortAddress(account)}: no order that it signed before pays anybody else, by ${transaction}.`,
      ),
    );
  },
});
