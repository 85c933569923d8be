/** `cotrain stake`: coins that workers and validators put up, and lose where they are proved to have lied. */
import { depositStake, requestStakeWithdrawal, withdrawStake } from "@cotrain/sdk/actions";
import { StakeManagerTooEarlyError } from "@cotrain/sdk/errors";
import type { Address, Hex, StakeRole } from "@cotrain/sdk/protocol";
import { formatEther, isAddressEqual } from "viem";

import { formatAddress, formatDuration, timeText, UserError, wrap } from "../../base/index.ts";
import { isRevert, type WalletClient } from "../../chain/index.ts";
import { namedWallet, type StakeBook, stakesAt, type StakeStanding, stakeStanding } from "../../run/index.ts";
import { account as accountOption, choice, toggle } from "../../service/index.ts";
import { coinsOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable, type Output } from "../output.ts";
import {
  atPlace,
  type Place,
  placeOptions,
  requireEntries,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";

export const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));
export const coins = (wei: bigint): string => `${formatEther(wei)} coins`;

export const roleOption = choice(["worker", "validator"] as const, {
  description: "what for it is staked",
  default: "worker",
});
const dryRunOption = toggle({ description: "show what would be done, and send nothing", default: false });

const parties = { worker: "workers", validator: "validators" } as const;

const bps = (part: number): string => `${part / 100}%`;

const bookLines = ({ stakes, delay, terms, minStake }: StakeBook, role: StakeRole): string[] =>
  factTable(
    [
      ["contract", formatAddress(stakes)],
      [
        "needed",
        role === "validator"
          ? "nothing by the contracts: holders choose who validates"
          : minStake === undefined
            ? "nothing: the run admits every worker"
            : `${coins(minStake)} that are not leaving, by every worker of the run`,
      ],
      ["delay", `${formatDuration(delay * 1_000)} from when it is asked for, by the settings in force`],
      [
        "lost",
        role === "validator"
          ? `${bps(terms.conflictBps)} for two statements that contradict each other, ${bps(terms.voidedBps)} for a signature under a root that holders voided, or a ruling that they vetoed`
          : `${bps(terms.rulingBps)} for work that validators ruled against and holders did not veto`,
      ],
    ],
    columnsOf(process.stdout),
  );

/** From when on what is leaving may be fetched, in words. */
function leavingText({ role, leaving, leavesAt, rulings }: StakeStanding, now: number): string {
  if (leaving === 0n) return "nothing is leaving";
  const what = `${coins(leaving)} are leaving`;
  if (rulings > 0)
    return `${what}, but not while ${rulings} of the validators' rulings against it ${rulings === 1 ? "is" : "are"} open`;
  if (leavesAt === undefined || leavesAt === Infinity)
    return `${what}, but not while the account is a validator: the time runs from when a set without it is in force`;
  // No dispute holds a worker.
  const unless = role === "worker" ? "" : ", unless a root is disputed then or was voided lately";
  return leavesAt <= now
    ? `${what} and may be fetched ("npx cotrain stake withdraw")${unless}`
    : `${what} and may be fetched from ${timeText(leavesAt)} on${unless}`;
}

/** A wallet of this directory by its name, and by its address as everybody else. */
function whoText({ entries }: Pick<Place, "entries">, account: Address): string {
  const own = entries.find((entry) => isAddressEqual(entry.account, account));
  return own === undefined || own.name === "wallet" ? formatAddress(account) : `${own.name} ${formatAddress(account)}`;
}

function standingText(standing: StakeStanding, { minStake, now }: StakeBook, place: Pick<Place, "entries">): string {
  const { account, role, active, validatorUntil, payee } = standing;
  const admits =
    role === "worker" && minStake !== undefined
      ? active >= minStake
        ? ", which admits it to the run"
        : `, which does not admit it: ${coins(minStake - active)} are missing ("npx cotrain stake deposit ${formatEther(minStake - active)} --yes", by its wallet or with --for ${formatAddress(account)})`
      : "";
  const member =
    role === "validator" && validatorUntil !== undefined && validatorUntil > now
      ? ` It is a validator${validatorUntil === Infinity ? "" : ` until ${timeText(validatorUntil)}`}.`
      : "";
  const paid = payee === undefined ? "" : ` Only ${formatAddress(payee)} is ever paid of it.`;
  return `${whoText(place, account)} has ${coins(active)} at stake as a ${role}${admits}; ${leavingText(standing, now)}.${member}${paid}`;
}

const documentOf = ({ account, role, active, leaving, rulings, leavesAt, validatorUntil, payee }: StakeStanding) => ({
  account,
  role,
  active,
  leaving,
  rulings,
  // What nobody knows yet is no number.
  leavesAt: leavesAt === undefined || leavesAt === Infinity ? null : leavesAt,
  isValidator: validatorUntil === Infinity,
  payee: payee ?? null,
});

/** `cotrain stake show`. */
export const stakeShowCommand = defineCommand({
  name: "stake show",
  summary: "what wallets have at stake, what of it is leaving and from when on, and what the run asks for",
  options: {
    ...placeOptions,
    role: roleOption,
    account: accountOption({ description: "whose stake is shown (default: this directory's wallets of the role)" }),
  },
  examples: [
    ["npx cotrain stake show", "of the workers' wallets of this directory"],
    ["npx cotrain stake show --role validator", "of the validators'"],
  ],
  async run({ options, output }) {
    const { role } = options;
    const { book, standings, entries } = await atPlace(
      options,
      undefined,
      async (place) => {
        const book = await stakesAt(place, role);
        const accounts =
          options.account === undefined ? place.entries.map(({ account }) => account) : [options.account];
        const standings: StakeStanding[] = [];
        for (const account of accounts) standings.push(await stakeStanding(place, book, role, account));
        return { book, standings, entries: place.entries };
      },
      undefined,
      { party: parties[role] },
    );
    const { stakes, delay, minStake, terms } = book;
    output.result(
      { contract: stakes, role, minStake: minStake ?? null, delay, terms, stakes: standings.map(documentOf) },
      [...bookLines(book, role), ...standings.flatMap((standing) => told(standingText(standing, book, { entries })))],
    );
  },
});

/** One thing that was done, or would be, for one account. */
interface Done {
  readonly account: Address;
  readonly amount: bigint;
  /** Null where nothing was sent. */
  readonly transaction: Hex | null;
  /** In words. */
  readonly text: string;
}

type StakingFlags = Parameters<typeof atPlace>[0] &
  Parameters<typeof namedWallet>[0] &
  Parameters<typeof signingAs>[2] & { readonly role: StakeRole };

/** What a command does by each wallet of a role, one after the other. */
export async function byWallets(
  options: StakingFlags,
  output: Output,
  work: (place: Place, book: StakeBook, entry: Place["entries"][number]) => Promise<Done | undefined>,
  most = Infinity,
): Promise<Done[]> {
  const own = await namedWallet(options);
  return atPlace(
    options,
    own,
    async (place) => {
      const entries = requireEntries(place, options);
      const book = await stakesAt(place, options.role);
      const done: Done[] = [];
      for (const entry of entries.slice(0, most)) {
        const one = await work(place, book, entry);
        if (!one) continue;
        done.push(one);
        // At once, since the next may fail.
        if (one.transaction !== null && !output.json)
          output.notice(`${whoText(place, one.account)}: ${one.transaction}`);
      }
      return done;
    },
    unpinnedNotice(options, output),
    { party: parties[options.role], ticking: true },
  );
}

export const resultOf = (
  output: Output,
  { role }: { readonly role: StakeRole },
  done: readonly Done[],
  none: string,
): void =>
  output.result(
    done.map(({ account, amount, transaction }) => ({ account, role, amount, transaction })),
    done.length === 0 ? told(none) : done.flatMap(({ text }) => told(text)),
  );

/** `cotrain stake deposit`. */
export const stakeDepositCommand = defineCommand({
  name: "stake deposit",
  summary: "put coins at stake; each wallet of the role for itself",
  args: [{ name: "amount", description: "coins, such as 0.5" }],
  options: {
    ...signingOptions,
    role: roleOption,
    for: accountOption({ description: "whose stake it becomes, paid by the first wallet (default: each its own)" }),
    yes: toggle({ description: "deposit; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain stake deposit 0.5", "says what that would be, and sends nothing"],
    ["npx cotrain stake deposit 0.5 --yes", "by every worker's wallet of this directory, for itself"],
    ["npx cotrain stake deposit 2 --role validator --wallet me.json --passphrase-file pass --yes", "by one validator"],
  ],
  notes: [
    "Stake can be had back, after a delay (stake show). Who is proved to have lied loses a part of it. Whoever pays, the account alone has it back.",
  ],
  async run({ args: [text = ""], options, output }) {
    const amount = coinsOf(text);
    const deposit = async (place: Place, book: StakeBook, entry: Place["entries"][number]): Promise<Done> => {
      const account = options.for ?? entry.account;
      const [who, whose] = [
        whoText(place, entry.account),
        account === entry.account ? "itself" : whoText(place, account),
      ];
      const { payee } = await stakeStanding(place, book, options.role, account);
      const back = payee === undefined ? "they come back" : `they come back to ${formatAddress(payee)} alone,`;
      const words = `puts ${coins(amount)} at stake for ${whose} as a ${options.role}; ${back} ${formatDuration(book.delay * 1_000)} after they are asked for at the earliest, and a part is lost where the account is proved to have lied`;
      if (!options.yes)
        return { account, amount, transaction: null, text: `${who} ${words}. Nothing was sent: --yes deposits it.` };
      if (!place.pinned)
        throw new UserError(
          "STAKE_UNPINNED",
          "Whom the wallet would pay is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
        );
      const client = await signingAs(place, entry, options);
      const { stakes } = book;
      const call = { stakes, modelId: place.modelId, role: options.role, staker: account, amount };
      const { receipt } = await depositStake.sync(client, call);
      const after = await stakeStanding(place, book, options.role, account);
      return { account, amount, transaction: receipt.transactionHash, text: standingText(after, book, place) };
    };
    resultOf(
      output,
      options,
      await byWallets(options, output, deposit, options.for === undefined ? Infinity : 1),
      "There is no wallet that could pay.",
    );
  },
});

/** `cotrain stake request`. */
export const stakeRequestCommand = defineCommand({
  name: "stake request",
  summary: "ask for stake back: it admits nobody from now on, and may be fetched after a delay",
  args: [{ name: "amount", description: "coins, such as 0.5, or all" }],
  options: { ...signingOptions, role: roleOption, dryRun: dryRunOption },
  examples: [
    ["npx cotrain stake request all", "of every worker's wallet of this directory"],
    ["npx cotrain stake request 0.5 --dry-run", "says from when on half a coin of each could be fetched"],
  ],
  notes: [
    "A second request begins the delay of all that is leaving anew: fetch what is due first. Of a validator the delay runs from when a set without it is in force.",
  ],
  async run({ args: [text = ""], options, output }) {
    const wanted = text === "all" ? undefined : coinsOf(text);
    const request = async (
      place: Place,
      book: StakeBook,
      entry: Place["entries"][number],
    ): Promise<Done | undefined> => {
      const { account } = entry;
      const { role } = options;
      const before = await stakeStanding(place, book, role, account);
      const amount = wanted ?? before.active;
      if (before.active === 0n) return undefined;
      if (amount > before.active)
        throw new UserError(
          "STAKE_LITTLE",
          `${whoText(place, account)} has ${coins(before.active)} at stake as a ${role} that are not leaving, and ${coins(amount)} are asked for.`,
        );
      const again = before.leaving > 0n ? `; ${coins(before.leaving)} that are leaving begin to wait anew` : "";
      if (options.dryRun)
        return {
          account,
          amount,
          transaction: null,
          text: `${whoText(place, account)} would ask for ${coins(amount)}, which may be fetched ${formatDuration(book.delay * 1_000)} later at the earliest${again}. Nothing was sent.`,
        };
      const client = await signingAs(place, entry, options);
      const { receipt } = await requestStakeWithdrawal.sync(client, {
        stakes: book.stakes,
        modelId: place.modelId,
        role,
        amount,
      });
      const after = await stakeStanding(place, book, role, account);
      return { account, amount, transaction: receipt.transactionHash, text: standingText(after, book, place) };
    };
    const done = await byWallets(options, output, request);
    const none = `No wallet here has anything at stake as a ${options.role} that is not leaving.`;
    if (done.length === 0) throw new UserError("STAKE_NOTHING", none);
    resultOf(output, options, done, none);
  },
});

/** Why the contract pays nothing out now; what is leaving says itself when it may be fetched. @throws what is no refusal of its */
async function refusalOf(
  client: WalletClient,
  call: Parameters<typeof withdrawStake.call>[0],
  standing: StakeStanding,
  now: number,
): Promise<string | undefined> {
  try {
    await withdrawStake.simulate(client, call);
    return undefined;
  } catch (error) {
    const leaving = leavingText(standing, now);
    const { leavesAt = Infinity, rulings } = standing;
    const isTold = error instanceof StakeManagerTooEarlyError && rulings === 0 && leavesAt > now && leavesAt < Infinity;
    if (isTold) return leaving;
    if (isRevert(error)) return `${leaving}. ${error.message}`;
    throw error;
  }
}

/** `cotrain stake withdraw`. */
export const stakeWithdrawCommand = defineCommand({
  name: "stake withdraw",
  summary: "fetch the stake that has waited long enough",
  options: {
    ...signingOptions,
    role: roleOption,
    to: accountOption({
      description: "who gets the coins (default: whom the account named for ever, else each wallet)",
    }),
    dryRun: dryRunOption,
  },
  examples: [["npx cotrain stake withdraw", "of every worker's wallet of this directory"]],
  notes: [
    "What must wait is left where it is, and it is said until when, or for what. Where that is all there is the command ends with 75.",
  ],
  async run({ options, output }) {
    const { role, dryRun } = options;
    // Whoever is never paid there need not try again.
    let elsewhere = false;
    const withdraw = async (
      place: Place,
      book: StakeBook,
      entry: Place["entries"][number],
    ): Promise<Done | undefined> => {
      const { account } = entry;
      const standing = await stakeStanding(place, book, role, account);
      if (standing.leaving === 0n) return undefined;
      const { leaving: amount } = standing;
      const client = await signingAs(place, entry, options);
      const call = { stakes: book.stakes, modelId: place.modelId, role, to: options.to ?? standing.payee ?? account };
      const why = await refusalOf(client, call, standing, book.now);
      elsewhere ||= standing.payee !== undefined && call.to !== standing.payee;
      if (why !== undefined || dryRun)
        return {
          account,
          amount: 0n,
          transaction: null,
          text:
            why === undefined
              ? `${whoText(place, account)} would be paid ${coins(amount)}. Nothing was sent.`
              : `${whoText(place, account)}: ${why.replace(/\.$/, "")}.`,
        };
      const { receipt, event } = await withdrawStake.sync(client, call);
      return {
        account,
        amount: event.amount,
        transaction: receipt.transactionHash,
        text: `${whoText(place, call.to)} was paid ${coins(event.amount)} of the stake of ${whoText(place, account)}, in ${receipt.transactionHash}.`,
      };
    };
    const done = await byWallets(options, output, withdraw);
    resultOf(
      output,
      options,
      done,
      `Nothing of a wallet's here that is at stake as a ${role} is leaving: "npx cotrain stake request" asks for it.`,
    );
    if (dryRun || done.length === 0 || done.some(({ transaction }) => transaction !== null)) return 0;
    return elsewhere ? 1 : 75;
  },
});
