/**
 * The summary after training: one document (written to `.cotrain/summary.json`, printed under --json) and its picture.
 */
import { factLines } from "../facts.ts";
import { type Static, Type } from "typebox";
import { formatUnits } from "viem";

import {
  countOf,
  formatCount,
  formatDuration,
  formatPercent,
  formatShares,
  formatShort,
  shortAddress,
  wrap,
  wrapCommand,
} from "../../base/index.ts";
import { type Output, table } from "../output.ts";
import { shownUnpaid } from "../unpaid.ts";
import { Disputed, disputedBlock } from "./disputed.ts";
import { Rented, rentedBlock } from "./rented.ts";
import { indent, inTransaction, Nullable, ROOM, Text, Whole } from "./fields.ts";
import { Money, revenueLines, stakeLines } from "./money.ts";
import { sampleOf } from "./screen.ts";
import { trafficLines } from "./traffic.ts";

export const Summary = Type.Object({
  version: Type.Literal(5),
  finishedAt: Text,
  chainId: Whole,
  /** As it may be shown. */
  rpc: Text,
  /** The deployment's contracts and the model's own by name, in the casing of EIP-55. */
  contracts: Type.Record(Text, Text),
  model: Type.Object({ modelId: Text, runId: Text, name: Text, preset: Text, parameters: Whole, text: Text }),
  training: Type.Object({
    /** How many rounds were completed before this session and after it, steps of the schedule and tokens since the run began. */
    firstRound: Whole,
    rounds: Whole,
    steps: Whole,
    tokens: Text,
    /** Of this session: from the first round's opening to the last round's close. */
    milliseconds: Whole,
    sessionTokens: Text,
    tokensPerSecond: Type.Number(),
    traffic: Type.Object({ up: Whole, down: Whole, synchronous: Whole, ring: Whole }),
    /** As `codecCode`: payloads up, parameters down. */
    codec: Whole,
    downCodec: Whole,
  }),
  /**
   * Micro-bits per byte of held-out text, signed by the validators: of checkpoint 0, at the start of this session, at its end;
   * each of a checkpoint and on so many sequences of `sequence` tokens. What is `before` may be of an earlier checkpoint than
   * the session began from, where nobody had measured that one.
   */
  heldOut: Type.Object({
    initial: Nullable(Whole),
    before: Nullable(Whole),
    after: Nullable(Whole),
    checkpoints: Type.Object({ before: Nullable(Whole), after: Nullable(Whole) }),
    sequences: Type.Object({ initial: Nullable(Whole), before: Nullable(Whole), after: Nullable(Whole) }),
    sequence: Whole,
  }),
  /** The same prompt, seed and settings: by checkpoint 0, and by the newest. */
  sample: Type.Object({ prompt: Text, before: Text, after: Text }),
  checkpoints: Type.Array(
    Type.Object({
      round: Whole,
      sequence: Nullable(Whole),
      digest: Text,
      transaction: Nullable(Text),
      block: Nullable(Whole),
    }),
  ),
  /** Amounts in share wei. Wallets that are not this machine's are named "elsewhere". */
  wallets: Type.Array(
    Type.Object({
      name: Text,
      account: Text,
      /** In the newest checkpoint, trained for this account. */
      tokens: Text,
      earned: Text,
      claimed: Text,
      /** Shares held now. */
      balance: Text,
      votes: Text,
      transaction: Nullable(Text),
    }),
  ),
  /** This session's work that earned nothing, and why, one line each. */
  unpaid: Type.Array(Text),
  /** The command that shows what earned nothing before, where something did or may have. */
  unpaidEarlier: Type.Optional(Text),
  /**
   * In wei, all of one moment. `minted` is the supply. Of it `unclaimed` waits for those who earned it, `inGrants` for authors of code,
   * `inSale` for buyers, and `inTreasury` belongs to all holders; all else is held. `origins` add up to it: what was minted for each kind of contribution and not burned.
   */
  shares: Type.Object({
    name: Text,
    symbol: Text,
    minted: Text,
    unclaimed: Text,
    inGrants: Text,
    inSale: Text,
    /** Left out where there is nothing. */
    inTreasury: Type.Optional(Text),
    /** The last two are left out where nothing was minted for them. */
    origins: Type.Object({
      compute: Text,
      capital: Text,
      code: Text,
      founders: Type.Optional(Text),
      treasury: Type.Optional(Text),
    }),
  }),
  /** What this machine's buyer paid, in the smallest units of the token, and the shares that it got for it, in wei: 0 until then. */
  capital: Nullable(
    Type.Object({
      token: Text,
      symbol: Text,
      decimals: Whole,
      paid: Text,
      epoch: Whole,
      /** The transaction of the deposit, and the one that brought the shares. */
      deposited: Text,
      shares: Text,
      transaction: Nullable(Text),
    }),
  ),
  /** Why nothing was bought, where nothing was. */
  noCapital: Nullable(Text),
  /** What this machine's author was granted, in share wei, how much of it was paid, and the transaction that approved it. */
  code: Nullable(
    Type.Object({ id: Text, commit: Text, repository: Text, amount: Text, claimed: Text, transaction: Text }),
  ),
  /** Why nothing was granted, where nothing was. */
  noCode: Nullable(Text),
  ...Money.properties,
  ...Disputed.properties,
  ...Rented.properties,
  /** Why there was no vote in this session, where there was none. */
  noVote: Nullable(Text),
  proposal: Nullable(
    Type.Object({
      id: Text,
      title: Text,
      state: Text,
      votesFor: Text,
      votesAgainst: Text,
      /** Supply at the proposal's snapshot, which votes are a part of; null before voting began. */
      supply: Nullable(Text),
      executed: Nullable(Text),
      /** The version of the parameters that it made; null unless it was executed. */
      paramsVersion: Nullable(Whole),
      /** First round that ran under it, counted from 1: round n makes checkpoint n. */
      appliedInRound: Nullable(Whole),
      /** The round that will be the first under it, where it still waits for that. */
      appliesFromRound: Type.Optional(Whole),
    }),
  ),
  /** What holders decided before, oldest first, each with the transaction that executed it; and how many before those. */
  decided: Type.Array(Type.Object({ title: Text, transaction: Text })),
  decidedBefore: Type.Optional(Whole),
  /** What has not happened yet on this chain, and when it can (ISO 8601). */
  pending: Type.Array(Type.Object({ what: Text, due: Nullable(Text) })),
  commands: Type.Array(Type.Object({ command: Text, what: Text })),
});
export type Summary = Static<typeof Summary>;

const bits = (microBits: number | null): string => (microBits === null ? "not measured" : (microBits / 1e6).toFixed(3));

/** Characters before a checkpoint's transaction. */
const INDEX = 12;
/** Every checkpoint that this session made, with its transaction, for which there is just room; earlier ones are counted. */
function checkpointRows(summary: Summary): string[][] {
  const { firstRound } = summary.training;
  const shown = summary.checkpoints.filter(({ round }) => firstRound === 0 || round > firstRound);
  const rows = shown.map(({ round, transaction }) => [String(round), transaction ?? "not anchored yet"]);
  const before = summary.checkpoints.length - shown.length;
  const { command } = summary.commands.find(({ what }) => what === EVERY_CHECKPOINT) ?? {};
  const earlier = command === undefined ? `${before} earlier` : `${before} earlier, all: ${command}`;
  // What is longer than a line stands below, among what to do next.
  return before === 0 ? rows : [["…", earlier.length > ROOM - INDEX ? `${before} earlier` : earlier], ...rows];
}

/** Why there is no code where there was no vote. */
const VOTE_NEEDED = "that takes a vote, which this session did not hold";

/** Digits by which a commit is told. */
const COMMIT_DIGITS = 12;

/** What the command is for that lists all checkpoints. */
export const EVERY_CHECKPOINT = "every checkpoint with its transaction";

function trainingLines({ training, heldOut }: Summary, paint: Output["paint"]): string[] {
  const now = training.rounds - training.firstRound;
  const { before, after } = heldOut.checkpoints;
  // A measurement of what the session began from, or of what was before it, tells nothing of what it trained.
  const none = after === null || (after <= training.firstRound && after < training.rounds);
  const figure = (when: "initial" | "before" | "after"): string =>
    `${bits(heldOut[when])}${sampleOf(heldOut.sequences[when], heldOut.sequence)}`;
  const { traffic: bytes, codec, downCodec } = training;
  const traffic = trafficLines({ traffic: bytes, params: { codec, downCodec } });
  return indent([
    `${countOf(training.rounds, "round")} (${formatCount(now)} now), ${formatCount(BigInt(training.tokens))} tokens; step ${formatCount(training.steps)} of the schedule`,
    `${formatCount(BigInt(training.sessionTokens))} tokens in ${formatDuration(training.milliseconds)}: ${formatCount(Math.round(training.tokensPerSecond))} tokens/s`,
    `held-out bits/byte ${figure("before")} → ${none ? "not measured yet" : paint("green", figure("after"))}`,
    ...(before === null || before === training.firstRound
      ? []
      : [`      the first of checkpoint ${before}; the session began from checkpoint ${training.firstRound}`]),
    ...(none || after === training.rounds
      ? []
      : [`      the last of checkpoint ${after}; checkpoint ${training.rounds} is not measured yet`]),
    ...(heldOut.initial === heldOut.before ? [] : [`      ${figure("initial")} before any training`]),
    `moved ${traffic[0]}`,
    ...traffic.slice(1).map((line) => `      ${line}`),
  ]);
}

/** What can be expected of a text by a model of this size after this much training. */
const expectation = ({ model, training }: Summary): string =>
  `${formatShort(model.parameters)} parameters that have seen ${formatShort(Number(training.tokens))} tokens know frequent words and what often follows them, no sense yet: that takes a larger --preset and hours.`;

function sampleLines(summary: Summary): string[] {
  const { before, after } = summary.sample;
  const prompt = summary.sample.prompt;
  return indent([
    `before any training, from “${prompt}”:`,
    ...indent(wrap(prompt + before, 74)),
    `after ${countOf(summary.training.rounds, "round")}, from the same prompt and seed:`,
    ...indent(wrap(prompt + after, 74)),
    ...wrap(expectation(summary), ROOM),
  ]);
}

const restOf = (all: bigint, known: bigint): bigint => (all > known ? all - known : 0n);

/** Work and ownership side by side. */
function ownerLines({ wallets, training, shares }: Summary, paint: Output["paint"]): string[] {
  const sumOf = (key: "tokens" | "balance"): bigint =>
    wallets.reduce((total, wallet) => total + BigInt(wallet[key]), 0n);
  const [all, supply] = [BigInt(training.tokens), BigInt(shares.minted)];
  const waiting = [
    ["unclaimed", BigInt(shares.unclaimed)],
    ["in grants", BigInt(shares.inGrants)],
    ["in sale", BigInt(shares.inSale)],
    ["in treasury", BigInt(shares.inTreasury ?? 0)],
  ] as const;
  const inContracts = waiting.reduce((total, [, amount]) => total + amount, 0n);
  const others = { tokens: restOf(all, sumOf("tokens")), balance: restOf(supply, sumOf("balance") + inContracts) };
  const work = (tokens: bigint): string[] => [formatCount(tokens), formatPercent(tokens, all)];
  const owned = (balance: bigint): string[] => [formatShares(balance), formatPercent(balance, supply)];
  const rows = wallets.map((wallet) => [
    wallet.name,
    shortAddress(wallet.account),
    ...work(BigInt(wallet.tokens)),
    formatShares(BigInt(wallet.earned)),
    ...owned(BigInt(wallet.balance)),
  ]);
  if (others.tokens > 0n || others.balance > 0n)
    rows.push(["others", "", ...work(others.tokens), "–", ...owned(others.balance)]);
  for (const [what, amount] of waiting) if (amount > 0n) rows.push([what, "", "–", "–", "–", ...owned(amount)]);
  const head = ["wallet", "", "tokens", "of work", "earned", "holds", "owns"];
  const lines = table([head, ...rows], [2, 3, 4, 5, 6]);
  return indent(lines.map((line, index) => (index === 0 ? paint("dim", line) : line)));
}

type OriginRow = readonly [kind: string, wei: bigint, what: string];

/** Of whom the rest of a kind is, and what tells it one by one. */
const others = { capital: 'other deposits: "capital list"', code: 'other grants: "code list"' } as const;

/** What came of this machine's one contribution of a kind, beside what is known of it, and all else of that kind. */
function partRows(kind: "capital" | "code", all: bigint, known: bigint | null, what: string): OriginRow[] {
  if (known === null) return [[kind, all, ""]];
  const rest = restOf(all, known);
  return [[kind, all - rest, what], ...(rest > 0n ? [[`other ${kind}`, rest, others[kind]] as const] : [])];
}

/** A row where something was minted for it. */
const wholeRow = (kind: string, wei: string | undefined, what: string) =>
  wei === undefined ? [] : [[kind, BigInt(wei), what] as const];

/** How shares came about, by kind of contribution; what each adds up to is all of them. */
function originLines({ shares, capital, noCapital, code, noCode, noVote }: Summary, paint: Output["paint"]): string[] {
  const supply = BigInt(shares.minted);
  const { origins } = shares;
  const bought = capital
    ? `${formatUnits(BigInt(capital.paid), capital.decimals)} ${capital.symbol} paid in epoch ${capital.epoch}${capital.transaction ? "" : ", not fetched yet"}`
    : "";
  const granted = code ? `for commit ${code.commit.slice(0, COMMIT_DIGITS)}` : "";
  const rows = [
    ["training", BigInt(origins.compute), "for rounds that count"] as const,
    ...partRows("capital", BigInt(origins.capital), capital && BigInt(capital.shares), bought),
    ...partRows("code", BigInt(origins.code), code && BigInt(code.amount), granted),
    ...wholeRow("founders", origins.founders, "when the model was created"),
    ...wholeRow("treasury", origins.treasury, "drawn by the holders"),
  ].map(([kind, wei, what]) => [kind, formatShares(wei), formatPercent(wei, supply), what]);
  const lines = table([["from", "shares", "of all", ""], ...rows], [1, 2]);
  return indent([
    ...(supply === 0n ? [] : lines.map((line, index) => (index === 0 ? paint("dim", line) : line))),
    ...(capital?.transaction ? inTransaction("bought", capital.transaction) : []),
    ...(code ? inTransaction("granted", code.transaction) : []),
    ...(noCapital === null ? [] : wrap(`no capital: ${noCapital}`, ROOM)),
    // Why there was no vote is told with what the holders decided.
    ...(noCode === null ? [] : wrap(`no code: ${noCode === noVote ? VOTE_NEEDED : noCode}`, ROOM)),
  ]);
}

function decisionLines(summary: Summary): string[] {
  const earlier = summary.decided.flatMap(({ title, transaction }) => [
    ...wrap(`earlier: ${title}, executed in the transaction`, ROOM),
    transaction,
  ]);
  const before = summary.decidedBefore ? [`… ${summary.decidedBefore} earlier, all: npx cotrain proposals list`] : [];
  return indent([...newestDecision(summary), ...earlier, ...before]);
}

function newestDecision({ proposal, shares, noVote }: Summary): string[] {
  if (!proposal)
    return wrap(
      shares.minted === "0" ? "nothing yet: there are no shares to vote with" : (noVote ?? "nothing in this session"),
      ROOM,
    );
  const from = proposal.appliedInRound ?? proposal.appliesFromRound;
  const yet = proposal.appliedInRound === null ? ", the next one" : "";
  const applied = from === undefined ? "" : `, in force from round ${from}${yet}`;
  const supply = proposal.supply === null ? undefined : BigInt(proposal.supply);
  const part = (votes: string): string =>
    `${formatShares(BigInt(votes))}${supply === undefined ? "" : ` (${formatPercent(BigInt(votes), supply)})`}`;
  const of = supply === undefined ? "" : ` of ${formatShares(supply)} shares when voting began`;
  return [
    ...wrap(proposal.title, ROOM),
    `${proposal.state}${applied}`,
    ...wrap(`${part(proposal.votesFor)} for, ${part(proposal.votesAgainst)} against${of}`, ROOM),
    ...(proposal.executed ? ["executed in the transaction", proposal.executed] : []),
  ];
}

/** What to do and the command beside it; where some line has no room for both, the command below it. */
function commandLines({ commands }: Summary): string[] {
  const beside = table(commands.map(({ command, what }) => [command, what]));
  if (beside.every((line) => line.length <= ROOM)) return beside;
  return commands.flatMap(({ command, what }) => [what, ...indent(wrapCommand(command, ROOM - 2))]);
}

function unpaidBlock({ unpaid, unpaidEarlier }: Summary, heading: (text: string) => string): string[] {
  const earlier = unpaidEarlier === undefined ? [] : wrap(`of earlier sessions: ${unpaidEarlier}`, ROOM);
  // Whoever compares tokens with steps, or traffic with its baselines, would find them too many.
  const counted = unpaid.length === 0 ? [] : ["steps and traffic above count this work all the same"];
  const lines = [...shownUnpaid(unpaid, ROOM), ...counted, ...earlier];
  return lines.length === 0 ? [] : [heading("What earned nothing, and why"), ...indent(lines), ""];
}

export function drawSummary(summary: Summary, paint: Output["paint"]): string[] {
  const heading = (text: string): string => paint("bold", text);
  const { shares } = summary;
  const since = (due: string): string => (due <= summary.finishedAt ? ` since ${due}` : ` ${due}`);
  const pending = summary.pending.map(({ what, due }) => `${what}${due ? `, due${since(due)}` : ""}`);
  return [
    "",
    heading(`${summary.model.name}: trained together, owned together`),
    ...trainingLines(summary, paint),
    "",
    heading("What it writes"),
    ...sampleLines(summary),
    "",
    heading("Where it stands on-chain"),
    ...indent(factLines(summary)),
    "",
    heading("Checkpoints and their transactions"),
    ...indent(table(checkpointRows(summary), [0])),
    "",
    heading(`Who owns it: ${shares.name} (${shares.symbol}), ${formatShares(BigInt(shares.minted))} shares`),
    ...ownerLines(summary, paint),
    "",
    heading("How its shares came about"),
    ...originLines(summary, paint),
    "",
    heading("What it earned, and who gets it"),
    ...revenueLines(summary, paint),
    "",
    heading("What is at stake"),
    ...stakeLines(summary),
    "",
    ...unpaidBlock(summary, heading),
    ...disputedBlock(summary, heading, paint),
    ...rentedBlock(summary, heading, paint),
    heading("What the holders decided"),
    ...decisionLines(summary),
    ...(pending.length > 0 ? ["", heading("Pending"), ...indent(pending.flatMap((line) => wrap(line, ROOM)))] : []),
    "",
    heading("What to do next"),
    ...indent(commandLines(summary)),
    "",
  ];
}
