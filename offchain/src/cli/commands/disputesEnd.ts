/** `cotrain disputes settle` and `withdraw`: a dispute ends as its vote did, and bonds come back. */
import { settleDispute, withdrawBonds } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";

import { RetryableError, timeText, UserError, wrap } from "../../base/index.ts";
import { bondCredits, leaning, namedWallet, openDisputeOf } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { fetchingOptions, fetchOwed } from "../fetching.ts";
import { columnsOf } from "../output.ts";
import { atPlace, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";
import { decidingAt } from "../proposing.ts";
import { kindOption } from "./disputes.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

const endings = {
  stands: "its root stands, and can be activated after its window",
  void: "its root is void by the holders' vote",
  undecided: "its root is refused, since nothing was decided",
} as const;

/** `cotrain disputes settle`. */
export const disputesSettleCommand = defineCommand({
  name: "disputes settle",
  summary: "end the open dispute as its vote did, once that is over",
  options: {
    ...signingOptions,
    kind: kindOption,
    dryRun: toggle({ description: "say how it would end, and send nothing", default: false }),
  },
  examples: [["npx cotrain disputes settle", "sent by the first wallet of this directory, which pays the gas alone"]],
  notes: [
    "A coordinator settles disputes of its model by itself. Anybody may; before the vote is over it is said until when (exit code 75).",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { digest, ruling, transaction } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const open = await openDisputeOf(place, rewardKind[options.kind]);
        if (!open)
          throw new UserError(
            "DISPUTE_NONE",
            `No dispute of this model about a root of ${options.kind} is open: there is nothing to settle.`,
          );
        const { digest, standing, call } = open;
        const { timestamp } = await place.connection.call((client) => client.getBlock());
        if (timestamp <= standing.deadline)
          throw new RetryableError(
            "DISPUTE_EARLY",
            `Holders vote on the dispute about attestation ${digest} until ${timeText(standing.deadline)}: it can be settled after that.`,
          );
        const ruling = leaning(standing);
        if (options.dryRun) return { digest, ruling, transaction: null };
        const [entry] = requireEntries(place, options);
        if (!entry) throw new UserError("WALLET_MISSING", "There is no wallet that could pay the gas.");
        const client = await signingAs(place, entry, options);
        await settleDispute.simulate(client, call);
        const { receipt } = await settleDispute.sync(client, call);
        return { digest, ruling, transaction: receipt.transactionHash };
      },
      unpinnedNotice(options, output),
      { ticking: true },
    );
    output.result(
      { digest, ruling, transaction },
      told(
        transaction === null
          ? `Nothing was sent: settled now, the dispute about attestation ${digest} ends so that ${endings[ruling]}.`
          : `The dispute about attestation ${digest} has ended in ${transaction}: ${endings[ruling]}. "npx cotrain disputes withdraw" fetches what bonds brought${ruling === "void" ? ', and "npx cotrain stake slash" has those who signed it lose stake' : ""}.`,
      ),
    );
  },
});

/** `cotrain disputes withdraw`. */
export const disputesWithdrawCommand = defineCommand({
  name: "disputes withdraw",
  summary: "fetch the coins that bonds brought: those that came back, and what was won",
  options: fetchingOptions("coins"),
  examples: [["npx cotrain disputes withdraw", "for every wallet of this directory, sent by the first"]],
  run: async ({ options, output }) =>
    fetchOwed(
      { options, output },
      async (place) => ({
        due: (accounts) => bondCredits(place, accounts),
        pay: (client, beneficiary) => withdrawBonds.sync(client, { addresses: place.addresses, beneficiary }),
      }),
      { what: "", none: "No bond has coins to fetch." },
    ),
});
