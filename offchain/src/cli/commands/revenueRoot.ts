/** `cotrain revenue attest` and `activate`: validators sign what of revenue is set aside for whom, and anybody has it pay. */
import { postRoot } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";

import { timeText, UserError, wrap } from "../../base/index.ts";
import {
  beginRevenueRoot,
  namedWallet,
  readRevenueRoot,
  type Revenue,
  revenueAt,
  type RevenueStatement,
  tokenText,
  writeRevenueRoot,
} from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { activatedText, activateWaiting } from "../activating.ts";
import { lookAgain, signedByHand } from "../attesting.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, signingOptions, validatorStateOption } from "../place.ts";
import { passedText, passOn, type Quorum, requirePinned, signedRow } from "../quorum.ts";

/** What is signed, and by how many. */
function factsOf({ struct, computation, signatures, threshold }: RevenueStatement, { token }: Revenue): string[] {
  const { leaves } = computation.rewards;
  return factTable(
    [
      ["root", `${struct.index} of revenue, ${struct.root}`],
      ["epochs", `${struct.fromEpoch} to ${struct.toEpoch}`],
      [
        "sets aside",
        `${tokenText(struct.total, token)} for ${leaves.length} ${leaves.length === 1 ? "account" : "accounts"}`,
      ],
      ["until", timeText(Number(struct.deadline))],
      signedRow({ signatures }, threshold),
    ],
    columnsOf(process.stdout),
  );
}

/** Who signs and posts it. */
const quorumOf = (
  place: Place,
  { validators, threshold }: RevenueStatement,
  { first, lost }: { readonly first: boolean; readonly lost: boolean },
): Quorum<"Attestation", RevenueStatement> => ({
  name: "Attestation",
  signer: "validator",
  wallets: "a validator's directory with --state, or its keystore",
  members: validators,
  threshold,
  check: ({ struct }) => lookAgain(place, struct),
  guard: (signer, { struct }, sign) => signedByHand(place, signer, struct, { first, lost }, sign),
  write: writeRevenueRoot,
  send: async (client, { struct }, signatures) => {
    const call = { addresses: place.addresses, attestation: struct, signatures };
    await postRoot.simulate(client, call);
    const { receipt } = await postRoot.sync(client, call);
    return receipt.transactionHash;
  },
});

/** `cotrain revenue attest`. */
export const revenueAttestCommand = defineCommand({
  name: "revenue attest",
  summary: "sign the next root of revenue as a validator; who completes the quorum posts it",
  args: [{ name: "file", description: "the root, which goes from validator to validator; made if not there" }],
  options: {
    ...signingOptions,
    state: validatorStateOption,
    first: toggle({
      description:
        "where it has no journal of signatures yet: the wallet's key has never signed for this model, so that what names a block before now may be signed too",
      default: false,
    }),
    lost: toggle({
      description:
        "where the wallet's key has signed before and its journal of signatures is lost: begin a new one, which signs nothing that names a block before now",
      default: false,
    }),
    yes: toggle({ description: "sign it, and post it where that completes the quorum", default: false }),
  },
  examples: [
    ["npx cotrain revenue attest revenue.json", "what every validator of this directory's run would sign"],
    ["npx cotrain revenue attest revenue.json --yes", "signed, and posted once a quorum has signed"],
  ],
  notes: [
    "Each validator computes the root from its own chain, whatever the file says, looks at the chain a second time before it signs, and writes down what it signs in the journal of its validator's directory, or in one beside its wallet: nothing that contradicts what it signed before is signed. A validator that runs signs by itself, and has to be stopped first. After its window anybody activates it.",
  ],
  async run({ options, args, output }) {
    const [file = ""] = args;
    if (options.first && options.lost)
      throw new UserError(
        "USAGE",
        "--first says that the key has never signed, and --lost that it has: give one of them.",
      );
    const own = await namedWallet(options);
    const { revenue, passed } = await atPlace(
      options,
      own,
      async (place) => {
        requirePinned(place);
        const revenue = await revenueAt(place);
        const begun = (await readRevenueRoot(file, place, revenue)) ?? (await beginRevenueRoot(place, revenue));
        return { revenue, passed: await passOn(place, file, begun, quorumOf(place, begun, options), options) };
      },
      undefined,
      { party: "validators" },
    );
    const { statement } = passed;
    const { struct, threshold } = statement;
    const words =
      passed.kind === "sent"
        ? `Root ${struct.index} of revenue is posted, in ${passed.transaction}. Once its window is over, "npx cotrain revenue activate" has it pay.`
        : passedText(file, passed, { signer: "validator", threshold }, ": then its window begins");
    output.result(
      {
        file,
        index: struct.index,
        fromEpoch: struct.fromEpoch,
        toEpoch: struct.toEpoch,
        root: struct.root,
        total: struct.total,
        deadline: struct.deadline,
        signers: [...statement.signatures.keys()],
        threshold,
        transaction: passed.kind === "sent" ? passed.transaction : null,
      },
      [...factsOf(statement, revenue), ...wrap(words, columnsOf(process.stdout))],
    );
  },
});

/** `cotrain revenue activate`. */
export const revenueActivateCommand = defineCommand({
  name: "revenue activate",
  summary: "have the posted root of revenue pay, once its window is over; anybody may",
  options: signingOptions,
  examples: [["npx cotrain revenue activate", "sent by the first wallet of this directory"]],
  notes: ["A coordinator does so by itself. Where the newest root pays already, that is said, and nothing is sent."],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { activated, token } = await atPlace(
      options,
      own,
      async (place) => {
        const { token } = await revenueAt(place);
        return { token, activated: await activateWaiting(place, rewardKind.revenue, options) };
      },
      undefined,
      { ticking: true },
    );
    const { index, total, transaction } = activated;
    output.result(
      { index, total, token, transaction },
      wrap(activatedText(activated, rewardKind.revenue, tokenText(total, token)), columnsOf(process.stdout)),
    );
  },
});
