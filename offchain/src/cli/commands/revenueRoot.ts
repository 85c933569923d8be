/** `cotrain revenue attest` and `activate`: validators sign what of revenue is set aside for whom, and anybody has it pay. */
import { activateRoot, postRoot } from "@cotrain/sdk/actions";

import { timeText, UserError, wrap } from "../../base/index.ts";
import {
  beginRevenueRoot,
  namedWallet,
  pendingRevenueRoot,
  readRevenueRoot,
  type Revenue,
  revenueAt,
  type RevenueStatement,
  tokenText,
  writeRevenueRoot,
} from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, validatorStateOption } from "../place.ts";
import { passedText, passOn, type Quorum, requirePinned } from "../quorum.ts";

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
      ["signed", `by ${signatures.size} of the ${threshold} validators that it takes`],
    ],
    columnsOf(process.stdout),
  );
}

/** Who signs and posts it. */
const quorumOf = (
  { addresses }: Place,
  { validators, threshold }: RevenueStatement,
): Quorum<"Attestation", RevenueStatement> => ({
  name: "Attestation",
  signer: "validator",
  wallets: "a validator's directory with --state, or its keystore",
  members: validators,
  threshold,
  write: writeRevenueRoot,
  send: async (client, { struct }, signatures) => {
    const call = { addresses, attestation: struct, signatures };
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
    yes: toggle({ description: "sign it, and post it where that completes the quorum", default: false }),
  },
  examples: [
    ["npx cotrain revenue attest revenue.json", "what every validator of this directory's run would sign"],
    ["npx cotrain revenue attest revenue.json --yes", "signed, and posted once a quorum has signed"],
  ],
  notes: [
    "Each validator computes the root from its own chain, whatever the file says, and signs nothing else. After its window anybody activates it.",
  ],
  async run({ options, args, output }) {
    const [file = ""] = args;
    const own = await namedWallet(options);
    const { revenue, passed } = await atPlace(
      options,
      own,
      async (place) => {
        requirePinned(place);
        const revenue = await revenueAt(place);
        const begun = (await readRevenueRoot(file, place, revenue)) ?? (await beginRevenueRoot(place, revenue));
        return { revenue, passed: await passOn(place, file, begun, quorumOf(place, begun), options) };
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
  async run({ options, output }) {
    const own = await namedWallet(options);
    const { index, transaction, total, token } = await atPlace(options, own, async (place) => {
      const [entry] = requireEntries(place, options);
      const { token, now } = await revenueAt(place);
      const pending = await pendingRevenueRoot(place);
      if (!pending) throw new UserError("REVENUE_NOTHING", "No root of revenue is posted and waits to pay.");
      const { attestation, activatableAt, index } = pending;
      if (activatableAt === undefined)
        throw new UserError(
          "REVENUE_DISPUTED",
          `Root ${index} of revenue is disputed: "npx cotrain vote" has the vote on it.`,
        );
      if (now < activatableAt)
        throw new UserError("REVENUE_WINDOW", `Root ${index} of revenue can pay from ${timeText(activatableAt)} on.`);
      if (!entry) throw new UserError("WALLET_MISSING", "Name a wallet that sends it with --wallet.");
      const client = await signingAs(place, entry, options);
      const call = { addresses: place.addresses, attestation };
      await activateRoot.simulate(client, call);
      const { receipt, event } = await activateRoot.sync(client, call);
      return { index, total: event.total, token, transaction: receipt.transactionHash };
    });
    output.result({ index, total, token, transaction }, [
      `Root ${index} of revenue pays ${tokenText(total, token)}, since ${transaction}.`,
    ]);
  },
});
