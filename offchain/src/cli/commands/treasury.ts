/** `cotrain treasury`: what the holders have together, and paying somebody of it without a budget. */
import { asAddress } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, formatEther, type Hex } from "viem";

import { formatAddress, formatSharesExactly, UserError } from "../../base/index.ts";
import {
  budgetsContractOf,
  capitalTokenAt,
  contractAt,
  fundsOf,
  tokenAmount,
  tokenAt,
  tokenText,
} from "../../run/index.ts";
import { account, text } from "../../service/index.ts";
import { coinsOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention } from "../decision.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, placeOptions } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

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

/** `cotrain treasury show`. */
const treasuryShowCommand = defineCommand({
  name: "treasury show",
  summary: "what the treasury has: coins, shares and the token that shares are sold for, or one other token",
  options: { ...placeOptions, token: account({ description: "an ERC-20, which is shown alone" }) },
  examples: [
    ["npx cotrain treasury show", "coins, shares and the capital token of this directory's model"],
    [`npx cotrain treasury show --token 0x${"bb".repeat(20)}`, "any other token"],
  ],
  async run({ options, output }) {
    const { held, own } = await atPlace(options, undefined, async (place) => ({
      held: await heldOf(place, options.token),
      own: options.token === undefined ? await ownOf(place) : undefined,
    }));
    const { treasury, balance, token, told } = held;
    const { shares, capital } = own ?? {};
    output.result(
      {
        treasury,
        token: token ?? null,
        balance,
        shares: shares?.balance ?? null,
        capital: capital ? { token: capital.token, balance: capital.balance } : null,
      },
      factTable(
        [
          ["treasury", `${formatAddress(treasury)}, the model's timelock`],
          ["has", told(balance)],
          ...(shares ? [["and", `${formatSharesExactly(shares.balance)} shares`] as const] : []),
          ...(capital?.token
            ? [["and", `${capital.told(capital.balance)}, ${formatAddress(capital.token.address)}`] as const]
            : []),
        ],
        columnsOf(process.stdout),
      ),
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
const treasuryPayCommand = defineCommand({
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
    if (to === undefined || amount === undefined)
      throw new UserError("TREASURY_TERMS", "A payment needs --to and --amount.");
    await decide({ options, output }, (place) => paymentOf(place, { to, amount, token }));
  },
});

/** Commands about the treasury, in the order of `cotrain --help`. */
export const treasuryCommands = [treasuryShowCommand, treasuryPayCommand] as const;
