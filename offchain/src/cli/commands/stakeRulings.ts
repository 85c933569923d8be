/** `cotrain stake rulings`, `veto` and `execute`: what validators ruled against workers, and what holders make of it. */
import { executeRuling, vetoRuling } from "@cotrain/sdk/actions";

import { formatAddress, RetryableError, timeText, UserError } from "../../base/index.ts";
import { namedWallet, newestRulings, rulingOn, stakesAt, type WorkRuling } from "../../run/index.ts";
import { integer } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, intentionOf } from "../decision.ts";
import {
  atPlace,
  nowOf,
  placeOptions,
  requireEntries,
  shownAt,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";
import { coins, told } from "./stake.ts";

const receiptArgument = { name: "receipt", description: "hash of the worker's receipt, as stake rulings shows it" };

function standsText({ receipt, state, vetoEnds }: WorkRuling, now: number): string {
  if (state === "vetoed")
    return 'Holders have vetoed it: it takes nothing. What that costs who signed it says "npx cotrain stake slash --dry-run".';
  if (state === "executed") return "It was executed.";
  return now < vetoEnds
    ? `Holders may veto it until ${timeText(vetoEnds)} ("npx cotrain stake veto ${receipt}").`
    : `Nobody vetoed it by ${timeText(vetoEnds)}: anybody may execute it ("npx cotrain stake execute ${receipt}").`;
}

const rulingText = (ruling: WorkRuling, now: number): string =>
  `Validators ruled that ${formatAddress(ruling.worker)} loses ${coins(ruling.amount)} of its stake for receipt ${ruling.receipt}; what they found has sha256 ${ruling.evidence}. ${standsText(ruling, now)}`;

/** `cotrain stake rulings`. */
export const stakeRulingsCommand = defineCommand({
  name: "stake rulings",
  summary: "what validators ruled against workers, and until when holders may veto it",
  options: {
    ...placeOptions,
    last: integer(1, 1_000, { description: "how many, the newest first", default: 20 }),
  },
  examples: [["npx cotrain stake rulings", "of this directory's model"]],
  async run({ options, output }) {
    const { rulings, now } = await shownAt(options, async (place) => {
      const { stakes } = await stakesAt(place, "worker");
      return { rulings: await newestRulings(place, stakes, options.last) };
    });
    output.result(
      rulings,
      rulings.length === 0
        ? told("Validators of this model have ruled against no worker.")
        : rulings.flatMap((ruling) => told(rulingText(ruling, now))),
    );
  },
});

/** `cotrain stake veto`. */
export const stakeVetoCommand = defineCommand({
  name: "stake veto",
  summary: "propose to the holders that a ruling against a worker takes nothing, for ever",
  args: [receiptArgument],
  options: decisionOptions,
  examples: [
    [`npx cotrain stake veto 0x${"e1".repeat(32)}`, "by the wallet of this directory that has the most votes"],
  ],
  notes: [
    'A ruling waits for a vote and the timelock\'s delay: propose its veto soon. Each validator that signed a vetoed ruling may lose what a voided root costs ("npx cotrain stake slash").',
  ],
  async run({ args: [receipt = ""], options, output }) {
    await decide({ options, output }, async (place) => {
      const { modelId } = place;
      const { stakes } = await stakesAt(place, "worker");
      const ruling = await rulingOn(place, stakes, receipt);
      if (ruling.state === "executed")
        throw new UserError(
          "RULING_EXECUTED",
          `The ruling on receipt ${ruling.receipt} was executed: nobody can veto it.`,
        );
      const { worker, receipt: receiptHash, amount } = ruling;
      const title =
        ruling.state === "vetoed" ? "" : `ruling vetoed: ${formatAddress(worker)} keeps ${coins(amount)} of its stake`;
      const document = { contract: stakes, worker, receipt: receiptHash, amount };
      return intentionOf(place, vetoRuling, { stakes, modelId, worker, receiptHash }, { title, document });
    });
  },
});

/** `cotrain stake execute`. */
export const stakeExecuteCommand = defineCommand({
  name: "stake execute",
  summary: "carry out a ruling that holders let pass; anybody may",
  args: [receiptArgument],
  options: signingOptions,
  examples: [[`npx cotrain stake execute 0x${"e1".repeat(32)}`, "sent by the first wallet of this directory"]],
  async run({ args: [receipt = ""], options, output }) {
    const own = await namedWallet(options);
    const { ruling, transaction } = await atPlace(
      options,
      own,
      async (place) => {
        const { modelId } = place;
        const { stakes } = await stakesAt(place, "worker");
        const ruling = await rulingOn(place, stakes, receipt);
        const { worker, receipt: receiptHash, state, vetoEnds } = ruling;
        if (state !== "proposed")
          throw new UserError("RULING_DECIDED", `The ruling on receipt ${receiptHash} is ${state} already.`);
        if ((await nowOf(place)) < vetoEnds)
          throw new RetryableError(
            "RULING_EARLY",
            `Holders may veto the ruling on receipt ${receiptHash} until ${timeText(vetoEnds)}: it can be executed after that.`,
          );
        const [entry] = requireEntries(place, options);
        if (!entry) throw new UserError("WALLET_MISSING", "There is no wallet that could pay the gas.");
        const client = await signingAs(place, entry, options);
        const { receipt: mined } = await executeRuling.sync(client, { stakes, modelId, worker, receiptHash });
        return { ruling, transaction: mined.transactionHash };
      },
      unpinnedNotice(options, output),
      { ticking: true },
    );
    output.result(
      { ...ruling, state: "executed", transaction },
      told(
        `${formatAddress(ruling.worker)} lost ${coins(ruling.amount)} of its stake for receipt ${ruling.receipt} in ${transaction}.`,
      ),
    );
  },
});
