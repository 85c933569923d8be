import { consentAsValidator, hasConsented, validatorUntil } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress, UserError, wrap } from "../../base/index.ts";
import { namedWallet } from "../../run/index.ts";
import { text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, type Place, sayUnpinnedModel, signingAs, signingOptions, unpinnedNotice } from "../place.ts";

interface Consent {
  readonly account: Address;
  /** Of the newest set, for which nothing needs to be said. */
  readonly member: boolean;
  readonly before: boolean;
  readonly consents: boolean;
  /** Null where nothing was sent. */
  readonly transaction: Hex | null;
}

/** What a wallet has said, and is to say. */
async function consentOf(
  { connection, addresses, modelId }: Place,
  account: Address,
  consents: boolean,
): Promise<Consent> {
  const of = { addresses, modelId, account };
  const member = (await connection.call((client) => validatorUntil(client, of))) === Infinity;
  const before = await connection.call((client) => hasConsented(client, of));
  return { account, member, before, consents: member ? before : consents, transaction: null };
}

const saying = (consents: boolean): string => (consents ? "consents to be a validator" : "consents to nothing");

function consentText({ account, member, before, consents, transaction }: Consent): string {
  const who = formatAddress(account);
  if (member) return `${who} is in the newest set of validators: there is nothing to consent to.`;
  if (before === consents) return `${who} ${saying(consents)} already.`;
  if (transaction === null) return `${who} ${saying(before)}; with --yes it ${saying(consents)}.`;
  return `${who} ${saying(consents)} from now on, by ${transaction}.`;
}

/** `cotrain validators consent`. */
export const validatorsConsentCommand = defineCommand({
  name: "validators consent",
  summary: "let holders take a wallet into their validators, whose sets hold what members staked",
  options: {
    ...signingOptions,
    state: text({
      value: "directory",
      description: "directory of the validator, or of the local state (default: .cotrain, .cotrain-validator)",
    }),
    withdraw: toggle({ description: "take it back, as long as no set has the wallet", default: false }),
    yes: toggle({ description: "send it", default: false }),
  },
  examples: [
    [
      "npx cotrain validators consent --yes --coordinator https://train.example.org --rpc https://rpc.example.org",
      "by the wallet of this directory's validator, which pays the gas",
    ],
    ["npx cotrain validators consent --withdraw --yes --wallet me.json --passphrase-file pass", "no more"],
  ],
  notes: [
    "Holders can propose as a validator whom they like, and only who has consented is taken in: once, so that who has left is not taken in again unasked. Stake of a validator waits until a set without it is in force, and nobody but the holders lets it go.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const said = await atPlace(
      options,
      own,
      async (place) => {
        if (place.entries.length === 0)
          throw new UserError(
            "WALLET_MISSING",
            "There is no validator's wallet here: name its directory with --state, or its keystore with --wallet and --passphrase-file.",
          );
        sayUnpinnedModel(place, output);
        const { addresses, modelId } = place;
        const made: Consent[] = [];
        for (const entry of place.entries) {
          const consent = await consentOf(place, entry.account, !options.withdraw);
          if (!options.yes || consent.before === consent.consents) made.push(consent);
          else {
            const client = await signingAs(place, entry, options);
            const { consents } = consent;
            const { receipt } = await consentAsValidator.sync(client, { addresses, modelId, consents });
            made.push({ ...consent, transaction: receipt.transactionHash });
          }
        }
        return made;
      },
      unpinnedNotice(options, output),
      { party: "validators" },
    );
    const columns = columnsOf(process.stdout);
    output.result(
      said,
      said.flatMap((consent) => wrap(consentText(consent), columns)),
    );
  },
});
