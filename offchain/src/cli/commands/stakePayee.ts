import { setStakePayee } from "@cotrain/sdk/actions";

import { formatAddress, UserError } from "../../base/index.ts";
import { stakeStanding } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { addressNamed, signingAs, signingOptions } from "../place.ts";
import { byWallets, resultOf, roleOption } from "./stake.ts";

/** `cotrain stake payee`. */
export const stakePayeeCommand = defineCommand({
  name: "stake payee",
  summary: "name who alone is ever paid what a wallet has at stake: once, and for ever",
  args: [{ name: "address", description: "who is paid, whoever has the wallet's key then" }],
  options: {
    ...signingOptions,
    role: roleOption,
    yes: toggle({ description: "name it; without it, it is only said what that would be", default: false }),
  },
  examples: [
    [
      "npx cotrain stake payee 0x00000000000000000000000000000000000000aa",
      "says what that would be, for every worker's wallet of this directory",
    ],
    ["npx cotrain stake payee 0x00000000000000000000000000000000000000aa --role validator --yes", "for ever"],
  ],
  notes: [
    "For a key that lies on a machine which others may get at: whoever takes it gets none of the stake. Name it before you deposit. Nobody can name another afterwards, you neither.",
  ],
  async run({ args: [text = ""], options, output }) {
    const payee = addressNamed("A payee", "PAYEE_FORM", text);
    const done = await byWallets(options, output, async (place, book, entry) => {
      const { account } = entry;
      const { role } = options;
      const before = await stakeStanding(place, book, role, account);
      if (before.payee !== undefined)
        throw new UserError(
          "PAYEE_SET",
          `${formatAddress(account)} has named ${formatAddress(before.payee)} as the only one that is paid its stake as a ${role}, for ever.`,
        );
      const words = `only ${formatAddress(payee)} is ever paid of what ${formatAddress(account)} has at stake as a ${role}`;
      const nothing = { account, amount: 0n, transaction: null };
      if (!options.yes)
        return { ...nothing, text: `From then on ${words}, for ever. Nothing was sent: --yes names it.` };
      if (!place.pinned)
        throw new UserError(
          "STAKE_UNPINNED",
          "To which contract that is said is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
        );
      const client = await signingAs(place, entry, options);
      const call = { stakes: book.stakes, modelId: place.modelId, role, payee };
      await setStakePayee.simulate(client, call);
      const { receipt } = await setStakePayee.sync(client, call);
      return { ...nothing, transaction: receipt.transactionHash, text: `From now on ${words}, for ever.` };
    });
    resultOf(output, options, done, "There is no wallet that could name anybody.");
  },
});
