import { balanceOf, delegate, delegateOf } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { countOf, formatAddress, formatShares, UserError, wrap } from "../../base/index.ts";
import { contractAt, isNobody, namedWallet } from "../../run/index.ts";
import { duration, parseAddress, text, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import {
  type DelegationOutcome,
  delegationText,
  requireFlags,
  sharesNotice,
  signToFile,
  submitFile,
} from "../delegations.ts";
import { columnsOf } from "../output.ts";
import {
  atPlace,
  type Place,
  requireEntries,
  sayUnpinnedModel,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";
import { outlines } from "./outlines.ts";

const SELF = "self";

/** Whom a word names; undefined for each wallet itself. @throws UserError `DELEGATE_FORM` */
function delegateeOf(word: string): Address | undefined {
  if (word === SELF) return undefined;
  const address = parseAddress(word);
  if (address === undefined)
    throw new UserError(
      "DELEGATE_FORM",
      `Shares are delegated to an address, 0x and 40 hex digits, not all zero and with the right checksum if any, or to self, not to ${JSON.stringify(word.slice(0, 100))}.`,
    );
  return asAddress(address);
}

interface Choice {
  readonly name: string;
  readonly account: Address;
  readonly balance: bigint;
  readonly before: Address;
  readonly delegate: Address;
  /** Null where nothing was sent. */
  readonly transaction: Hex | null;
}

/** What a wallet has chosen, and would choose. */
async function choiceOf(
  { connection: { call } }: Place,
  shares: Address,
  { name, account }: Place["entries"][number],
  named: Address | undefined,
): Promise<Choice> {
  const [balance, before] = await Promise.all([
    call((client) => balanceOf(client, { shares, account })),
    call((client) => delegateOf(client, { shares, account })),
  ]);
  return { name, account, balance, before: asAddress(before), delegate: named ?? account, transaction: null };
}

const toWhom = (account: Address, { account: own }: Choice): string =>
  account === own ? "itself" : isNobody(account) ? "nobody" : formatAddress(account);

function choiceText(choice: Choice): string {
  const { name, account, balance, before, transaction } = choice;
  const who = `${name} ${formatAddress(account)} with ${formatShares(balance)} shares`;
  const [from, to] = [toWhom(before, choice), toWhom(choice.delegate, choice)];
  if (before === choice.delegate) return `${who} delegates to ${to} already.`;
  if (transaction === null) return `${who} delegates to ${from}, and would to ${to}.`;
  return `${who} delegated to ${from}, and now does to ${to}: ${transaction}`;
}

const linesOf = (choice: Choice): string[] => wrap(choiceText(choice), columnsOf(process.stdout));

/** `cotrain delegate`. */
export const delegateCommand = defineCommand({
  ...outlines.delegate,
  options: {
    ...signingOptions,
    dryRun: toggle({ description: "show what would change, and send nothing", default: false }),
    yes: toggle({ description: "give the votes to somebody else", default: false }),
    sign: text({ value: "file", description: "sign it into a file that somebody else may send, and send nothing" }),
    within: duration({ description: "with --sign: how long it may be sent", default: 86_400_000 }),
    submit: text({ value: "file", description: "send what a holder has signed; a wallet here pays the gas" }),
  },
  examples: [
    ["npx cotrain delegate self", "every worker's wallet of this directory votes with its own shares"],
    [`npx cotrain delegate 0x${"a9".repeat(20)} --yes`, "somebody else votes with them from now on"],
    [
      `npx cotrain delegate 0x${"a9".repeat(20)} --yes --wallet me.json --passphrase-file pass --coordinator https://train.example.org --rpc https://rpc.example.org`,
      "with those of one wallet, in somebody else's run",
    ],
    [
      `npx cotrain delegate 0x${"a9".repeat(20)} --yes --sign votes.json --wallet me.json --passphrase-file pass`,
      "signed by a wallet that needs no coins",
    ],
    ["npx cotrain delegate --submit votes.json", "sent by somebody else, who pays the gas"],
  ],
  notes: [
    "Shares stay the wallet's; who votes with them can be changed at any time, and counts for proposals whose voting begins later. To give votes to somebody else takes --yes; without it nothing is sent.",
  ],
  async run({ args: [word], options, output }) {
    requireFlags(word, options);
    const named = word === undefined ? undefined : delegateeOf(word);
    const own = await namedWallet(options);
    const sends = !options.dryRun && (named === undefined || options.yes);
    const { sign, submit } = options;
    const file = sign ?? submit;
    if (file !== undefined) {
      const work = async (place: Place): Promise<DelegationOutcome> => {
        const shares = await contractAt(place, "shares");
        return submit === undefined
          ? signToFile(place, shares, { ...options, file, named, signs: sends })
          : submitFile(place, shares, { ...options, file, sends });
      };
      const outcome = await atPlace(options, own, work, unpinnedNotice(options, output));
      output.result(outcome, wrap(delegationText(outcome), columnsOf(process.stdout)));
      return;
    }
    const choices = await atPlace(
      options,
      own,
      async (place) => {
        const entries = requireEntries(place, options);
        sayUnpinnedModel(place, output);
        const shares = await contractAt(place, "shares");
        const made: Choice[] = [];
        for (const entry of entries) {
          const choice = await choiceOf(place, shares, entry, named);
          if (!sends || choice.before === choice.delegate) made.push(choice);
          else {
            // Before the key is opened; what is pinned is no node's word.
            if (!place.pins && !output.json) output.notice(sharesNotice(shares));
            const client = await signingAs(place, entry, options);
            const { receipt } = await delegate.sync(client, { shares, delegatee: choice.delegate });
            const sent = { ...choice, transaction: receipt.transactionHash };
            made.push(sent);
            // At once, since the next may fail; what follows does not repeat it.
            output.text(
              linesOf(sent)
                .map((line) => `${line}\n`)
                .join(""),
            );
          }
        }
        return made;
      },
      unpinnedNotice(options, output),
    );
    const unsent = choices.filter(({ transaction }) => transaction === null);
    const left = unsent.filter(({ before, delegate: to }) => before !== to).length;
    output.result(choices, [
      ...unsent.flatMap(linesOf),
      ...(left === 0
        ? []
        : wrap(
            `Nothing was sent: ${countOf(left, "wallet")} would change${options.dryRun ? "" : ", with --yes"}.`,
            columnsOf(process.stdout),
          )),
    ]);
  },
});
