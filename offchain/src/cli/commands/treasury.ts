/** `cotrain treasury`: what the holders have together, and paying somebody of it without a budget. */
import { authorisable, budgetOf, epochOf } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import { type Address, asAddress, rewardKind } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, formatEther, type Hex } from "viem";

import { formatAddress, formatSharesExactly, UserError, wrap } from "../../base/index.ts";
import {
  budgetsContractOf,
  capitalTokenAt,
  contractAt,
  fundsOf,
  revenueOwed,
  tokenAmount,
  tokenAt,
  tokenText,
} from "../../run/index.ts";
import { account, text } from "../../service/index.ts";
import { coinsOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention } from "../decision.ts";
import { requireGiven } from "../missing.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, placeOptions } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";
import { revenueHints } from "../revenueClaims.ts";
import { hintLines, hintsOf, paidAt, standing } from "./rewards.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

type TreasuryPlace = Pick<DecidingPlace, "connection" | "addresses" | "modelId" | "fromBlock">;

/** What the treasury has of a token, or of the chain's coin. */
async function heldOf(place: TreasuryPlace, named?: string) {
  const treasury = await contractAt(place, "timelock");
  if (named === undefined) {
    const balance = await place.connection.call((client) => client.getBalance({ address: treasury }));
    return { treasury, balance, token: undefined, told: (amount: bigint) => `${formatEther(amount)} coins` };
  }
  const token = await tokenAt(place, asAddress(named));
  const { balance } = await fundsOf(place, await budgetsContractOf(place), token);
  return { treasury, balance, token, told: (amount: bigint) => tokenText(amount, token) };
}

/** What a treasury comes by without anybody's asking: shares of its own model, and the token that these are sold for. */
async function ownOf(place: TreasuryPlace) {
  const sold = await capitalTokenAt(place);
  const [shares, capital] = await Promise.all([
    contractAt(place, "shares").then((address) => heldOf(place, address)),
    sold && heldOf(place, sold.address),
  ]);
  return { shares, capital };
}

/** What a vote could have minted to the treasury now: its part of the epochs of 30 days that was not drawn; and what each epoch adds. */
async function drawableOf({ connection, addresses, modelId }: TreasuryPlace) {
  const of = { addresses, modelId };
  const asOf = Number((await connection.call((client) => client.getBlock())).timestamp);
  const epoch = await connection.call((client) => epochOf(client, { ...of, timestamp: asOf }));
  const kind = rewardKind.treasury;
  const [shares, { perEpoch, treasuryBps }] = await Promise.all([
    connection.call((client) => authorisable(client, { ...of, kind, from: 1n, to: epoch, asOf })),
    connection.call((client) => budgetOf(client, { ...of, epoch })),
  ]);
  return { shares, perEpoch: (perEpoch * BigInt(treasuryBps)) / 10_000n };
}

const drawableText = ({ shares, perEpoch }: Awaited<ReturnType<typeof drawableOf>>): string =>
  `${formatSharesExactly(shares)} shares of its part of the emission, by a vote ("npx cotrain emission draw" proposes it); each epoch adds ${formatSharesExactly(perEpoch)}, and what is not drawn within 30 days of its epoch is never minted`;

/** Shares that active roots pay the treasury for machines that it rented; undefined, with why, where the documents are not to be had. */
async function earnedOf(place: Place, treasury: Address) {
  try {
    const paid = await paidAt(place, [treasury]);
    const { claimable } = await standing(paid, treasury);
    return { shares: claimable, hints: hintLines({ ...hintsOf(paid), unsettled: false }) };
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return { shares: undefined, hints: told(`What waits for it of shares is not known here: ${error.message}`) };
  }
}

/** What active roots pay the treasury, and nobody has claimed for it yet. */
async function waitingOf(place: Place, treasury: Address) {
  const owed = await revenueOwed(place, [treasury]);
  const { shares, hints } = await earnedOf(place, treasury);
  return {
    shares,
    revenue: owed && { token: owed.revenue.token, amount: (await owed.of(treasury)).claimable },
    hints: [...hints, ...(owed ? revenueHints(owed, false) : [])],
  };
}

function waitingLines(
  { shares = 0n, revenue, hints }: Awaited<ReturnType<typeof waitingOf>>,
  treasury: Address,
): string[] {
  const parts = [
    ...(shares > 0n ? [`${formatSharesExactly(shares)} shares`] : []),
    ...(revenue && revenue.amount > 0n ? [`${tokenText(revenue.amount, revenue.token)} of revenue`] : []),
  ];
  // Revenue is computed from the chain alone, and shares from documents that may not be to be had.
  const command = `npx cotrain ${shares > 0n ? "rewards" : "revenue"} claim --account ${formatAddress(treasury)}`;
  const text =
    parts.length === 0 ? "" : `Nobody has claimed ${parts.join(" and ")} for it yet: "${command}" does, by any wallet.`;
  return [...told(text), ...hints];
}

/** `cotrain treasury show`. */
export const treasuryShowCommand = defineCommand({
  name: "treasury show",
  summary:
    "what the treasury has and may still draw: coins, shares and the token that shares are sold for, or one other token",
  options: { ...placeOptions, token: account({ description: "an ERC-20, which is shown alone" }) },
  examples: [
    ["npx cotrain treasury show", "coins, shares and the capital token of this directory's model"],
    [`npx cotrain treasury show --token 0x${"bb".repeat(20)}`, "any other token"],
  ],
  async run({ options, output }) {
    const { held, own, waiting, drawable } = await atPlace(options, undefined, async (place) => {
      const held = await heldOf(place, options.token);
      if (options.token !== undefined) return { held };
      const [own, drawable] = [await ownOf(place), await drawableOf(place)];
      return { held, own, drawable, waiting: await waitingOf(place, held.treasury) };
    });
    const { treasury, balance, token, told: amountText } = held;
    const { shares, capital } = own ?? {};
    output.result(
      {
        treasury,
        token: token ?? null,
        balance,
        shares: shares?.balance ?? null,
        capital: capital ? { token: capital.token, balance: capital.balance } : null,
        drawable: drawable ?? null,
        unclaimed: waiting ? { shares: waiting.shares ?? null, revenue: waiting.revenue ?? null } : null,
      },
      [
        ...factTable(
          [
            ["treasury", `${formatAddress(treasury)}, the model's timelock`],
            ["has", amountText(balance)],
            ...(shares ? [["and", `${formatSharesExactly(shares.balance)} shares`] as const] : []),
            ...(capital?.token
              ? [["and", `${capital.told(capital.balance)}, ${formatAddress(capital.token.address)}`] as const]
              : []),
            ...(drawable ? [["may draw", drawableText(drawable)] as const] : []),
          ],
          columnsOf(process.stdout),
        ),
        ...(waiting ? waitingLines(waiting, treasury) : []),
      ],
    );
  },
});

/** That a token pays: those that answer false do not, and some answer nothing. @throws UserError `TREASURY_REFUSED` */
function requirePaid(answer: Hex | undefined, token: string): void {
  if (answer === undefined || BigInt(answer) === 1n) return;
  throw new UserError("TREASURY_REFUSED", `${token} would not pay that: it answers so.`);
}

async function paymentOf(
  place: DecidingPlace,
  wanted: { readonly to: string; readonly amount: string; readonly token: string | undefined },
): Promise<Intention> {
  const { treasury, balance, token, told } = await heldOf(place, wanted.token);
  const to = asAddress(wanted.to);
  const amount = token ? tokenAmount(wanted.amount, token) : coinsOf(wanted.amount);
  if (amount > balance)
    throw new UserError("TREASURY_SHORT", `The treasury has ${told(balance)}, and ${told(amount)} are asked for.`);
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [to, amount] });
  const call = token ? { to: token.address, data } : { to, data: "0x" as const, value: amount };
  return {
    title: `treasury: ${told(amount)} paid to ${formatAddress(to)}`,
    call,
    document: { treasury, token: token ?? null, to, amount },
    rehearse: async () => {
      const { data: answer } = await place.connection.call((client) => client.call({ account: treasury, ...call }));
      if (token) requirePaid(answer, token.symbol);
    },
  };
}

/** `cotrain treasury pay`. */
export const treasuryPayCommand = defineCommand({
  name: "treasury pay",
  summary: "propose to the holders that the treasury pays somebody once",
  options: {
    ...decisionOptions,
    to: account({ description: "who is paid" }),
    token: account({ description: "an ERC-20 (default: the chain's coin)" }),
    amount: text({ value: "amount", description: "how much, such as 12.5" }),
  },
  examples: [
    [
      `npx cotrain treasury pay --to 0x${"aa".repeat(20)} --amount 12.5 --token 0x${"bb".repeat(20)} --reason "what root 7 left short"`,
      "by the wallet of this directory that has the most votes",
    ],
  ],
  notes: ["Who is to be paid again and again gets a budget, which holders may end at once: cotrain budget propose."],
  async run({ options: { to, token, amount, ...options }, output }) {
    const terms = requireGiven("A payment", "TREASURY_TERMS", { to, amount });
    await decide({ options, output }, (place) => paymentOf(place, { ...terms, token }));
  },
});

/** Commands about the treasury, in the order of `cotrain --help`. */
