/** `cotrain disputes settle` and `withdraw`: a dispute ends as its vote did, and bonds come back. */
import { settleDispute, withdrawBonds } from "@cotrain/sdk/actions";
import { type Address, type Hex, rewardKind } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { formatAddress, RetryableError, timeText, UserError, wrap } from "../../base/index.ts";
import { bondCredits, leaning, namedWallet, openDisputeOf } from "../../run/index.ts";
import { account as accountOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
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

interface Fetched {
  readonly account: Address;
  readonly amount: bigint;
  readonly transaction: Hex | null;
}

/** `cotrain disputes withdraw`. */
export const disputesWithdrawCommand = defineCommand({
  name: "disputes withdraw",
  summary: "fetch the coins that bonds brought: those that came back, and what was won",
  options: {
    ...signingOptions,
    account: accountOption({
      description: "whose coins are fetched, whoever sends (default: those of the wallets here)",
    }),
    dryRun: toggle({ description: "say what there is, and send nothing", default: false }),
  },
  examples: [["npx cotrain disputes withdraw", "for every wallet of this directory, sent by the first"]],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const fetched = await atPlace(
      options,
      own,
      async (place) => {
        const entries = requireEntries(place, options);
        const wanted = options.account === undefined ? entries.map(({ account }) => account) : [options.account];
        const credits = await bondCredits(place, wanted);
        const [entry] = entries;
        const made: Fetched[] = [];
        if (options.dryRun || !entry || credits.length === 0)
          return credits.map((credit) => ({ ...credit, transaction: null }));
        const client = await signingAs(place, entry, options);
        for (const { account } of credits) {
          const { receipt, event } = await withdrawBonds.sync(client, {
            addresses: place.addresses,
            beneficiary: account,
          });
          made.push({ account, amount: event?.amount ?? 0n, transaction: receipt.transactionHash });
        }
        return made;
      },
      unpinnedNotice(options, output),
    );
    output.result(
      fetched,
      fetched.length === 0
        ? ["No bond has coins to fetch."]
        : fetched.flatMap(({ account, amount, transaction }) =>
            told(
              transaction === null
                ? `${formatAddress(account)} would be paid ${formatEther(amount)} coins; nothing was sent.`
                : `${formatAddress(account)} was paid ${formatEther(amount)} coins in ${transaction}.`,
            ),
          ),
    );
  },
});
