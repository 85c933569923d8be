import { ruleDispute } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";

import { formatAddress, timeText, UserError, wrap } from "../../base/index.ts";
import { namedWallet, newestDisputes } from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, requireEntries, signingAs, signingOptions } from "../place.ts";
import { decidingAt } from "../proposing.ts";
import { kindOption } from "./disputes.ts";

const rulings = { stands: true, refused: false } as const;
const isRuling = (word: string): word is keyof typeof rulings => Object.hasOwn(rulings, word);

const what = {
  stands:
    "lets the root stand: it can be activated after its window, and who disputed it loses the bond. The contract takes that only after the window, and where no quorum of holders has voted",
  refused: "refuses the root as if nobody had voted: both bonds lose a fifth, and the epochs are computed again",
} as const;

/** `cotrain disputes rule`. */
export const disputesRuleCommand = defineCommand({
  name: "disputes rule",
  summary: "end the open dispute as the model's organiser, who may while it is in its bootstrap",
  args: [{ name: "ruling", description: "stands, or refused" }],
  options: {
    ...signingOptions,
    kind: kindOption,
    yes: toggle({ description: "send it; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain disputes rule refused", "says what that would be; sends nothing"],
    [
      "npx cotrain disputes rule refused --wallet organiser.json --passphrase-file pass --yes",
      "by the organiser's key",
    ],
  ],
  notes: [
    "Only of a dispute that was opened in the bootstrap, and until its vote is over: npx cotrain disputes list says until when. Recompute before you rule: npx cotrain watch --once says what does not hold.",
  ],
  async run({ args: [ruling = ""], options, output }) {
    if (!isRuling(ruling))
      throw new UserError(
        "RULING_FORM",
        `A ruling is "stands" or "refused", not ${JSON.stringify(ruling.slice(0, 100))}.`,
      );
    const own = await namedWallet(options);
    const { digest, text, account, transaction } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const kind = rewardKind[options.kind];
        const open = (await newestDisputes(place, 1, kind)).find(({ state }) => state === "open");
        if (!open)
          throw new UserError(
            "DISPUTE_NONE",
            `No dispute of this model about a root of ${options.kind} is open: there is nothing to rule on.`,
          );
        const { digest, rulableUntil, index } = open;
        const { timestamp } = await place.connection.call((client) => client.getBlock());
        if (rulableUntil === undefined || Number(timestamp) > rulableUntil)
          throw new UserError(
            "DISPUTE_HOLDERS",
            `The dispute about root ${index} is the holders' to decide${rulableUntil === undefined ? "" : ` since ${timeText(rulableUntil)}`}: "npx cotrain vote" votes on it.`,
          );
        const [entry] = requireEntries(place, options);
        const text = `${entry === undefined ? "The organiser" : formatAddress(entry.account)} ${what[ruling]}. It is root ${index} of ${options.kind}, attestation ${digest}, on which the organiser may rule until ${timeText(rulableUntil)}.`;
        const nothing = { digest, text, account: entry?.account ?? null, transaction: null };
        if (!options.yes || !entry) return nothing;
        if (!place.pinned)
          throw new UserError(
            "DISPUTE_UNPINNED",
            "Which dispute that is is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
          );
        const client = await signingAs(place, entry, options);
        const { addresses, modelId } = place;
        const call = { addresses, modelId, kind, digest, stands: rulings[ruling] };
        await ruleDispute.simulate(client, call);
        const { receipt } = await ruleDispute.sync(client, call);
        return { ...nothing, transaction: receipt.transactionHash };
      },
      undefined,
      { party: "organisers", ticking: true },
    );
    const columns = columnsOf(process.stdout);
    output.result({ digest, ruling, account, transaction }, [
      ...wrap(text, columns),
      ...wrap(
        transaction === null ? "Nothing was sent: --yes sends it." : `It was ruled so in ${transaction}.`,
        columns,
      ),
    ]);
  },
});
