/** `cotrain stake slash` and `fees`: who signed what holders voided or vetoed loses stake, and who found it out is paid. */
import { collectFees, reporterFeesOf } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress } from "../../base/index.ts";
import type { WalletClient } from "../../chain/index.ts";
import {
  kindText,
  lossFor,
  namedWallet,
  type Refused,
  refusedText,
  reportSignature,
  stakesAt,
  vetoedRulings,
  voidedRoots,
} from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { fetchingOptions, fetchOwed } from "../fetching.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";
import { coins, told } from "./stake.ts";

/** What became of one signature. */
interface Reported {
  readonly refused: Refused;
  readonly validator: Address;
  /** "before" where somebody reported it earlier. */
  readonly state: "slashed" | "would" | "before" | "nothing";
  readonly amount: bigint;
  /** Of the amount, who disputed the root or reported the ruling gets it. */
  readonly fee: bigint;
  readonly transaction: Hex | null;
}

function reportedText({ refused, validator, state, amount, fee, transaction }: Reported): string {
  const who = `${formatAddress(validator)} signed ${refusedText(refused)}`;
  if (state === "before") return `${who}, and has lost stake for it already.`;
  if (state === "nothing") return `${who}, and has nothing at stake.`;
  if (state === "would") return `${who}, and would lose ${coins(amount)} of its stake. Nothing was sent.`;
  const whose = "ruling" in refused ? "who reported it" : "who disputed it";
  return `${who}, and lost ${coins(amount)} of its stake in ${transaction}; of these ${coins(fee)} are for ${whose} ("npx cotrain stake fees").`;
}

function hiddenText(refused: Refused): string {
  const { signatures, missing, transaction } = refused;
  const who = signatures.size === 0 ? "Who signed" : `Who else signed, ${missing} at the least,`;
  return `${who} ${refusedText(refused)}, cannot be read from ${transaction}, which ${"ruling" in refused ? "proposed" : "posted"} it.`;
}

/** What it is, for programs. */
const factsOf = (refused: Refused) =>
  "ruling" in refused
    ? { kind: "ruling", worker: refused.ruling.accused, receipt: refused.ruling.subject }
    : { kind: kindText(refused.kind), root: refused.index, digest: refused.digest };

/** @param client undefined where nothing is to be sent */
async function reportAll(
  place: Place,
  stakes: Address,
  all: readonly Refused[],
  client: WalletClient | undefined,
): Promise<Reported[]> {
  const reported: Reported[] = [];
  for (const refused of all)
    for (const signed of refused.signatures) {
      const [validator, signature] = signed;
      const loss = await lossFor(place, stakes, refused, signed);
      const none = { refused, validator, fee: 0n, transaction: null };
      if (loss === "punished") reported.push({ ...none, state: "before", amount: 0n });
      else if (loss === "nothing") reported.push({ ...none, state: "nothing", amount: 0n });
      else if (!client) reported.push({ ...none, state: "would", amount: loss });
      else {
        const { event, receipt } = await reportSignature(client, stakes, refused, signature);
        const { amount, fee } = event;
        reported.push({ refused, validator, state: "slashed", amount, fee, transaction: receipt.transactionHash });
      }
    }
  return reported;
}

/** `cotrain stake slash`. */
export const stakeSlashCommand = defineCommand({
  name: "stake slash",
  summary: "have validators lose stake for what they signed and holders voided or vetoed; anybody may",
  options: {
    ...signingOptions,
    dryRun: toggle({ description: "say who would lose what, and send nothing", default: false }),
  },
  examples: [
    [
      "npx cotrain stake slash --dry-run",
      "who signed voided roots and vetoed rulings of this directory's model, and what it costs them",
    ],
    ["npx cotrain stake slash", "sent by the first wallet of this directory, which pays the gas alone"],
  ],
  notes: [
    "Who signed a root stands in the transaction that posted it, who signed a ruling on a worker in the one that proposed it. A root that nobody decided about, or that the organiser alone refused, costs nobody anything; each signature costs its part once, whoever reports it. What is leaving is lost like the rest, until it is fetched.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { all, reported } = await atPlace(
      options,
      own,
      async (place) => {
        const { stakes } = await stakesAt(place, "validator");
        const all = [...(await voidedRoots(place)), ...(await vetoedRulings(place, stakes))];
        const [entry] = options.dryRun ? [] : requireEntries(place, options);
        const client = entry && (await signingAs(place, entry, options));
        return { all, reported: await reportAll(place, stakes, all, client) };
      },
      unpinnedNotice(options, output),
    );
    const hidden = all.filter(({ missing }) => missing > 0);
    output.result(
      {
        signatures: reported.map(({ refused, ...rest }) => ({ ...factsOf(refused), ...rest })),
        hidden: hidden.map((refused) => {
          const { transaction, missing } = refused;
          return { ...factsOf(refused), transaction, missing };
        }),
      },
      [
        ...reported.flatMap((each) => told(reportedText(each))),
        ...hidden.flatMap((root) => told(hiddenText(root))),
        ...(all.length === 0
          ? told("Holders have voided no root of this model, and vetoed no ruling: nobody loses anything.")
          : []),
      ],
    );
  },
});

/** `cotrain stake fees`. */
export const stakeFeesCommand = defineCommand({
  name: "stake fees",
  summary: "fetch what there is for whoever found offences out: a twentieth of what they cost",
  options: fetchingOptions("fees"),
  examples: [["npx cotrain stake fees", "for every wallet of this directory, sent by the first"]],
  run: async ({ options, output }) =>
    fetchOwed(
      { options, output },
      async (place) => {
        const { stakes } = await stakesAt(place, "validator");
        return {
          due: async (accounts) => {
            const all = [];
            for (const account of accounts) {
              const amount = await place.connection.call((chain) =>
                reporterFeesOf(chain, { stakes, reporter: account }),
              );
              all.push({ account, amount });
            }
            return all.filter(({ amount }) => amount > 0n);
          },
          pay: (client, reporter) => collectFees.sync(client, { stakes, reporter }),
        };
      },
      { what: " of fees", none: "There are no fees for offences to fetch." },
    ),
});
