/** `cotrain stake conflict`: a validator that signed two statements which contradict each other loses stake, whoever shows both. */
import { formatAddress } from "../../base/index.ts";
import {
  contradictionText,
  lossForContradiction,
  namedWallet,
  readContradiction,
  reportContradiction,
  stakesAt,
} from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import {
  atPlace,
  type Place,
  type PlaceFlags,
  requireEntries,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";
import { coins, told } from "./stake.ts";

/** Of what is taken, who reports it gets this part, as StakeManager has it. */
const FEE_BPS = 500n;

interface Options extends PlaceFlags {
  readonly maxFee: number;
  readonly dryRun: boolean;
}

/** Holds the file against everything that can be asked, and reports it where that takes something. */
async function report(place: Place, file: string, options: Options) {
  const { stakes } = await stakesAt(place, "validator");
  const proven = await readContradiction(file, place);
  const { contradiction, signer } = proven;
  const found = { kind: contradiction.kind, validator: signer, words: contradictionText(contradiction) };
  const loss = await lossForContradiction(place, stakes, proven);
  const none = { ...found, amount: 0n, fee: 0n, reporter: null, transaction: null };
  if (loss === "punished") return { ...none, state: "before" } as const;
  if (loss === "nothing") return { ...none, state: "nothing" } as const;
  const would = { ...none, state: "would", amount: loss, fee: (loss * FEE_BPS) / 10_000n } as const;
  if (options.dryRun) return { ...would, reporter: place.entries[0]?.account ?? null };
  const [entry] = requireEntries(place, options);
  if (!entry) return would;
  const client = await signingAs(place, entry, options);
  const { event, receipt } = await reportContradiction(client, stakes, contradiction);
  const { amount, fee } = event;
  return {
    ...found,
    state: "slashed",
    amount,
    fee,
    reporter: entry.account,
    transaction: receipt.transactionHash,
  } as const;
}

function reportedText({
  state,
  validator,
  words,
  amount,
  fee,
  reporter,
  transaction,
}: Awaited<ReturnType<typeof report>>): string {
  const who = `${formatAddress(validator)} ${words}.`;
  if (state === "before") return `${who} It has lost stake for it already.`;
  if (state === "nothing") return `${who} It has nothing at stake.`;
  const whom = reporter === null ? "whoever reports it" : formatAddress(reporter);
  return state === "would"
    ? `${who} It would lose ${coins(amount)} of its stake; of these ${coins(fee)} would be for ${whom}, the rest for nobody. Nothing was sent.`
    : `${who} It lost ${coins(amount)} of its stake in ${transaction}; of these ${coins(fee)} are for ${whom} ("npx cotrain stake fees"), the rest for nobody.`;
}

/** `cotrain stake conflict`. */
export const stakeConflictCommand = defineCommand({
  name: "stake conflict",
  summary: "have a validator lose stake for two statements that contradict each other; anybody may",
  args: [{ name: "file", description: "both statements with their signatures, as watch and coordinators write it" }],
  options: {
    ...signingOptions,
    dryRun: toggle({ description: "say who would lose what, and who has the fee; send nothing", default: false }),
  },
  examples: [
    [
      "npx cotrain stake conflict conflict.json --dry-run",
      "holds both against each other, their signatures and the chain",
    ],
    ["npx cotrain stake conflict conflict.json", "sent by the first wallet of this directory, which has the fee"],
  ],
  notes: [
    "Two verdicts of one validator about one fragment of one head with two values, or two roots of the same epochs that are equal in all else. What a machine measured may differ, and to sign again under another deadline or block is honest. Each costs its part once. Who sees the report before it is in a block may send it as their own and take the fee.",
  ],
  async run({ args: [file = ""], options, output }) {
    const own = await namedWallet(options);
    const reported = await atPlace(
      options,
      own,
      (place) => report(place, file, options),
      unpinnedNotice(options, output),
    );
    const { words: _words, ...document } = reported;
    output.result(document, told(reportedText(reported)));
  },
});
