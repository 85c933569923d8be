import { openComputeBudget, revokeComputeBudget, scheduleOf, spendComputeBudget } from "@cotrain/sdk/actions";
import { ComputeBudgetExceededError } from "@cotrain/sdk/errors";
import { asAddress } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, formatUnits } from "viem";

import { formatAddress, shortAddress, shortHex, timeText, UserError, wrap } from "../../base/index.ts";
import {
  budgetsContractOf,
  budgetsOf,
  fundsOf,
  namedWallet,
  recordOf,
  type Spending,
  tokenAmount,
  tokenAt,
  tokenText,
} from "../../run/index.ts";
import { account, duration, text } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import { requireGiven } from "../missing.ts";
import { columnsOf, factTable, table } from "../output.ts";
import {
  atPlace,
  nowOf,
  type Place,
  placeOptions,
  requireEntries,
  shownAt,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

const DAY = 86_400_000;
/** What the contract takes of a text, in bytes. */
const MOST_TEXT = 256;

function standingText({ state }: Spending, now: number): string {
  if (state.revokedAt !== 0) return `ended at ${timeText(state.revokedAt)}`;
  const until = timeText(state.terms.expiry);
  return now > state.terms.expiry ? `over since ${until}` : `until ${until}`;
}

/** Whether nothing is paid of it any more. */
const isOver = ({ state: { revokedAt, terms } }: Spending, now: number): boolean =>
  revokedAt !== 0 || now > terms.expiry;

const documentOf = ({ id, state, token, left }: Spending) => ({
  id,
  recipient: state.terms.recipient,
  token,
  perEpoch: state.terms.perEpoch,
  expiry: state.terms.expiry,
  revokedAt: state.revokedAt === 0 ? null : state.revokedAt,
  left,
  spent: state.total,
});

/** @throws UserError `BUDGET_NUMBER`, `BUDGET_UNKNOWN` */
async function namedBudget(place: Place, named: string) {
  if (!/^[1-9]\d{0,9}$/.test(named))
    throw new UserError(
      "BUDGET_NUMBER",
      `A budget is named by its number, as "npx cotrain budget list" shows it, not by ${JSON.stringify(named.slice(0, 100))}.`,
    );
  const { budgets, all } = await budgetsOf(place);
  const budget = all.find(({ id }) => id === BigInt(named));
  if (budget) return { budgets, budget };
  throw new UserError("BUDGET_UNKNOWN", `This model has no budget ${named}: "npx cotrain budget list" shows all.`);
}

/** `cotrain budget list`. */
export const budgetListCommand = defineCommand({
  name: "budget list",
  summary: "what the holders let others spend from the treasury",
  options: placeOptions,
  examples: [["npx cotrain budget list", "the budgets of this directory's model, oldest first"]],
  async run({ options, output }) {
    const { all, now } = await shownAt(options, budgetsOf);
    output.result(
      all.map(documentOf),
      all.length === 0
        ? ["Nobody may spend from the treasury: the holders have opened no budget."]
        : table(
            [
              ["budget", "recipient", "an epoch", "left in this one", "spent in all", ""],
              ...all.map((budget) => [
                String(budget.id),
                shortAddress(budget.state.terms.recipient),
                tokenText(budget.state.terms.perEpoch, budget.token),
                formatUnits(budget.left, budget.token.decimals),
                formatUnits(budget.state.total, budget.token.decimals),
                standingText(budget, now),
              ]),
            ],
            [2, 3, 4],
          ),
    );
  },
});

/** `cotrain budget show`. */
export const budgetShowCommand = defineCommand({
  name: "budget show",
  summary: "one budget, and the record of what was paid of it",
  args: [{ name: "number", description: "its number, as budget list shows it" }],
  options: placeOptions,
  examples: [["npx cotrain budget show 1", "what it is for, and each payment"]],
  notes: [
    "What a budget is for and what was paid is shown as those who wrote it say: no contract knows whether it is so.",
  ],
  async run({ args: [named = ""], options, output }) {
    const { budget, record, funds, now } = await shownAt(options, async (place) => {
      const { budgets, budget } = await namedBudget(place, named);
      const [record, funds] = await Promise.all([
        recordOf(place, budgets, budget.id),
        fundsOf(place, budgets, budget.token),
      ]);
      return { budget, record, funds };
    });
    const { state, token, left } = budget;
    const over = isOver(budget, now);
    const payments = record.payments.map(({ epoch, amount, memo, transaction }) => [
      String(epoch),
      formatUnits(amount, token.decimals),
      shortHex(transaction),
      memo.replaceAll(/\s+/g, " "),
    ]);
    output.result({ ...documentOf(budget), ...record, treasury: { ...funds, token: undefined } }, [
      ...factTable(
        [
          ["budget", String(budget.id)],
          ["for", record.purpose.replaceAll(/\s+/g, " ")],
          ["recipient", formatAddress(state.terms.recipient)],
          ["token", formatAddress(token.address)],
          ["an epoch", `at most ${tokenText(state.terms.perEpoch, token)}${over ? ", as long as it lasted" : ""}`],
          // Of one that is over nothing is: neither that nor what others may still be paid is said beside it.
          ...(over ? [] : [["left", `${tokenText(left, token)} in this epoch`] as const]),
          ["spent", `${tokenText(state.total, token)} in all`],
          ["stands", standingText(budget, now)],
          [
            "treasury",
            `has ${tokenText(funds.balance, token)}${over ? "" : `, and lets budgets pay ${tokenText(funds.allowance, token)}`}`,
          ],
        ],
        columnsOf(process.stdout),
      ),
      "",
      ...(payments.length === 0
        ? ["Nothing was paid of it yet."]
        : table([["epoch", "paid", "transaction", "for"], ...payments], [0, 1])),
    ]);
  },
});

/** @throws UserError `BUDGET_TEXT` */
function requireText(option: string, value: string): string {
  if (new TextEncoder().encode(value).length <= MOST_TEXT) return value;
  throw new UserError("BUDGET_TEXT", `${option} has at most ${MOST_TEXT} bytes: say it in fewer words.`);
}

interface Wanted {
  readonly recipient: string;
  readonly token: string;
  readonly perEpoch: string;
  /** Seconds. */
  readonly within: number;
  readonly purpose: string;
}

async function openingOf(place: DecidingPlace, wanted: Wanted): Promise<Intention> {
  const { connection, addresses, modelId } = place;
  const budgets = await budgetsContractOf(place);
  const token = await tokenAt(place, asAddress(wanted.token));
  const perEpoch = tokenAmount(wanted.perEpoch, token);
  const [schedule, now] = await Promise.all([
    connection.call((client) => scheduleOf(client, { addresses, modelId })),
    nowOf(place),
  ]);
  const expiry = now + wanted.within;
  // No more than these epochs can spend; what is left of earlier budgets of the token stays allowed.
  const epochs = BigInt(Math.ceil(wanted.within / schedule.epochLength) + 1);
  const { allowance } = await fundsOf(place, budgets, token);
  const most = 2n ** 256n - 1n;
  const allowed = allowance + perEpoch * epochs > most ? most : allowance + perEpoch * epochs;
  const terms = { recipient: asAddress(wanted.recipient), token: token.address, perEpoch, expiry };
  return {
    ...intentionOf(
      place,
      openComputeBudget,
      { budgets, modelId, terms, purpose: wanted.purpose },
      {
        title: `budget opened: ${formatAddress(terms.recipient)} may spend ${tokenText(perEpoch, token)} an epoch until ${timeText(expiry)}`,
        document: { contract: budgets, ...terms, purpose: wanted.purpose, allowance: allowed },
      },
    ),
    // Some tokens, such as USDT, take no allowance in the place of another that is not 0.
    before: [...(allowance > 0n ? [0n] : []), allowed].map((amount) => ({
      to: token.address,
      value: 0n,
      data: encodeFunctionData({ abi: erc20Abi, functionName: "approve", args: [budgets, amount] }),
    })),
  };
}

/** `cotrain budget propose`. */
export const budgetProposeCommand = defineCommand({
  name: "budget propose",
  summary: "propose to the holders that somebody may spend from the treasury",
  options: {
    ...decisionOptions,
    recipient: account({ description: "who is paid, and alone may ask for it" }),
    token: account({ description: "the ERC-20 that is paid" }),
    perEpoch: text({ value: "amount", description: "what may be spent in one epoch, such as 100, in the token" }),
    within: duration({ description: "how long, from now on; a year at most", default: 90 * DAY }),
    purpose: text({ description: "what it is for, which stands in the public record" }),
  },
  examples: [
    [
      'npx cotrain budget propose --recipient 0x00000000000000000000000000000000000000aa --token 0x00000000000000000000000000000000000000bb --per-epoch 100 --purpose "GPUs of the spring"',
      "by the wallet of this directory that has the most votes",
    ],
  ],
  notes: [
    "What is left of one epoch is not added to the next. The proposal lets the contract ComputeBudget pay what the budget may spend in all, beside what budgets of the same token were allowed before. The holders may end it at once, by cotrain budget revoke.",
  ],
  async run({ options: { recipient, token, perEpoch, within, purpose, ...options }, output }) {
    const terms = requireGiven("A budget", "BUDGET_TERMS", { recipient, token, perEpoch, purpose });
    const wanted: Wanted = {
      ...terms,
      within: Math.floor(within / 1_000),
      purpose: requireText("--purpose", terms.purpose),
    };
    await decide({ options, output }, (place) => openingOf(place, wanted));
  },
});

async function endingOf(place: DecidingPlace, named: string): Promise<Intention> {
  const { modelId } = place;
  const { budgets, budget } = await namedBudget(place, named);
  const { id, state } = budget;
  const title = state.revokedAt === 0 ? `budget ${id} of ${formatAddress(state.terms.recipient)} ended at once` : "";
  return intentionOf(
    place,
    revokeComputeBudget,
    { budgets, modelId, id },
    { title, document: { contract: budgets, id } },
  );
}

/** `cotrain budget revoke`. */
export const budgetRevokeCommand = defineCommand({
  name: "budget revoke",
  summary: "propose to the holders that a budget ends at once",
  args: [{ name: "number", description: "its number, as budget list shows it" }],
  options: decisionOptions,
  examples: [["npx cotrain budget revoke 1", "by the wallet of this directory that has the most votes"]],
  async run({ args: [named = ""], options, output }) {
    await decide({ options, output }, (place) => endingOf(place, named));
  },
});

/** The contract's refusal, in the budget's own token. */
function exceeded({ id, token }: Spending, error: InstanceType<typeof ComputeBudgetExceededError>): UserError {
  const [, amount, left] = error.args as readonly bigint[];
  return new UserError(
    "BUDGET_EXCEEDED",
    `Budget ${id} leaves ${tokenText(left!, token)} in this epoch, not ${tokenText(amount!, token)}.`,
    { cause: error },
  );
}

/** `cotrain budget spend`. */
export const budgetSpendCommand = defineCommand({
  name: "budget spend",
  summary: "have this wallet, a budget's recipient, paid from the treasury",
  args: [{ name: "number", description: "its number, as budget list shows it" }],
  options: {
    ...signingOptions,
    amount: text({ value: "amount", description: "how much, in the budget's token, such as 12.5" }),
    memo: text({ description: "what it is spent on, which stands in the public record" }),
  },
  examples: [
    [
      'npx cotrain budget spend 1 --wallet me.json --amount 12.5 --memo "four H100, 1 to 7 May"',
      "paid to the wallet, which the budget names",
    ],
  ],
  async run({ args: [named = ""], options, output }) {
    const { amount: wanted, ...given } = requireGiven("A payment", "BUDGET_TERMS", {
      amount: options.amount,
      memo: options.memo,
    });
    const memo = requireText("--memo", given.memo);
    const own = await namedWallet(options);
    const { budget, amount, transaction } = await atPlace(
      options,
      own,
      async (place) => {
        const { budgets, budget } = await namedBudget(place, named);
        const recipient = asAddress(budget.state.terms.recipient);
        const entry = requireEntries(place, options).find((each) => asAddress(each.account) === recipient);
        if (!entry)
          throw new UserError(
            "BUDGET_OTHERS",
            `Budget ${budget.id} is ${formatAddress(recipient)}'s to spend: name that wallet with --wallet.`,
          );
        const amount = tokenAmount(wanted, budget.token);
        const client = await signingAs(place, entry, options);
        const call = { budgets, modelId: place.modelId, id: budget.id, amount, memo };
        try {
          await spendComputeBudget.simulate(client, call);
          const { receipt } = await spendComputeBudget.sync(client, call);
          return { budget, amount, transaction: receipt.transactionHash };
        } catch (error) {
          throw error instanceof ComputeBudgetExceededError ? exceeded(budget, error) : error;
        }
      },
      unpinnedNotice(options, output),
      { ticking: true },
    );
    const { token, state } = budget;
    output.result(
      { id: budget.id, recipient: state.terms.recipient, amount, memo, transaction },
      wrap(
        `${formatAddress(state.terms.recipient)} was paid ${tokenText(amount, token)} of budget ${budget.id} in ${transaction}.`,
        columnsOf(process.stdout),
      ),
    );
  },
});

/** Commands about budgets, in the order of `cotrain --help`. */
