/**
 * The summary after training: one document (written to `.cotrain/summary.json`, printed under --json) and its picture.
 */
import { type Static, Type } from "typebox";

import { formatBytes, formatCount, formatDuration, formatPercent, formatShares, shortHex, wrap } from "../format.ts";
import { type Output, table } from "../output.ts";

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const Text = Type.String();
const Whole = Type.Integer({ minimum: 0 });

export const Summary = Type.Object({
  version: Type.Literal(1),
  finishedAt: Text,
  chainId: Whole,
  rpc: Text,
  model: Type.Object({ modelId: Text, runId: Text, name: Text, preset: Text, parameters: Whole, text: Text }),
  training: Type.Object({
    /** Completed rounds before and after this session, inner steps and tokens since the run began. */
    firstRound: Whole,
    rounds: Whole,
    steps: Whole,
    tokens: Text,
    /** Of this session. */
    milliseconds: Whole,
    tokensPerSecond: Type.Number(),
    traffic: Type.Object({ up: Whole, down: Whole, synchronous: Whole }),
  }),
  /** Micro-bits per byte of held-out text, signed by the validators: of checkpoint 0, at the start of this session, at its end. */
  heldOut: Type.Object({ initial: Nullable(Whole), before: Nullable(Whole), after: Nullable(Whole) }),
  sample: Type.Object({ prompt: Text, text: Text }),
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
      /** Trained so far; null for who has left the run. */
      tokens: Nullable(Text),
      earned: Text,
      claimed: Text,
      votes: Text,
      transaction: Nullable(Text),
    }),
  ),
  shares: Type.Object({ name: Text, symbol: Text, minted: Text }),
  proposal: Nullable(
    Type.Object({
      id: Text,
      title: Text,
      state: Text,
      votesFor: Text,
      votesAgainst: Text,
      executed: Nullable(Text),
      paramsVersion: Nullable(Whole),
      appliedInRound: Nullable(Whole),
    }),
  ),
  /** What has not happened yet on this chain, and when it can (ISO 8601). */
  pending: Type.Array(Type.Object({ what: Text, due: Nullable(Text) })),
  commands: Type.Array(Type.Object({ command: Text, what: Text })),
});
export type Summary = Static<typeof Summary>;

const bits = (microBits: number | null): string => (microBits === null ? "not measured" : (microBits / 1e6).toFixed(3));

/** Every checkpoint of this session with its transaction, which leaves room for no more in 80 columns; earlier ones are counted. */
function checkpointRows(summary: Summary): string[][] {
  const from = summary.training.firstRound;
  const shown = summary.checkpoints.filter(({ round }) => round >= from);
  const rows = shown.map(({ round, transaction }) => [`round ${round}`, transaction ?? "not anchored yet"]);
  const before = summary.checkpoints.length - shown.length;
  return before === 0 ? rows : [[`${before} earlier`, "see npx cotrain verify"], ...rows];
}

export function drawSummary(summary: Summary, paint: Output["paint"]): string[] {
  const { training, heldOut } = summary;
  const heading = (text: string): string => paint("bold", text);
  const sent = training.traffic.up + training.traffic.down;
  const lines = [
    "",
    heading(`${summary.model.name}: trained together, owned together`),
    `  ${formatCount(training.rounds)} rounds (${formatCount(training.rounds - training.firstRound)} now), ${formatCount(training.steps)} inner steps, ${formatCount(BigInt(training.tokens))} tokens`,
    `  ${formatCount(Math.round(training.tokensPerSecond))} tokens/s over ${formatDuration(training.milliseconds)}`,
    `  held-out bits/byte ${bits(heldOut.before)} → ${paint("green", bits(heldOut.after))}${heldOut.initial !== heldOut.before ? ` (${bits(heldOut.initial)} before any training)` : ""}`,
    `  ${formatBytes(sent)} sent; ${formatBytes(training.traffic.synchronous)} by synchronous data parallelism`,
    "",
    heading("What it writes"),
    ...wrap(`${summary.sample.prompt}${summary.sample.text}`, 76).map((line) => `  ${line}`),
    "",
    heading(`Checkpoints and their transactions on chain ${summary.chainId}`),
  ];
  lines.push(...table(checkpointRows(summary)).map((line) => `  ${line}`));
  const total = BigInt(training.tokens);
  const wallets = summary.wallets.map((wallet) => [
    wallet.name,
    shortHex(wallet.account),
    wallet.tokens === null ? "–" : formatCount(BigInt(wallet.tokens)),
    wallet.tokens === null ? "–" : formatPercent(BigInt(wallet.tokens), total),
    formatShares(BigInt(wallet.earned)),
    formatShares(BigInt(wallet.claimed)),
    formatShares(BigInt(wallet.votes)),
  ]);
  const columns = ["wallet", "", "tokens", "of all", "earned", "claimed", "votes"];
  lines.push(
    "",
    heading(
      `Who owns it: ${summary.shares.name} (${summary.shares.symbol}), ${formatShares(BigInt(summary.shares.minted))} shares`,
    ),
    ...table([columns, ...wallets], [2, 3, 4, 5, 6]).map(
      (line, index) => `  ${index === 0 ? paint("dim", line) : line}`,
    ),
    "",
    heading("What the holders decided"),
  );
  const { proposal } = summary;
  if (proposal) {
    const applied = proposal.appliedInRound === null ? "" : `, in force since round ${proposal.appliedInRound}`;
    lines.push(
      `  ${proposal.title}`,
      `  ${proposal.state}${applied}; ${formatShares(BigInt(proposal.votesFor))} for, ${formatShares(BigInt(proposal.votesAgainst))} against`,
    );
    if (proposal.executed) lines.push(`  ${proposal.executed}`);
  } else if (summary.shares.minted === "0") lines.push("  nothing yet: there were no shares to vote with");
  else lines.push("  nothing in this session");
  if (summary.pending.length > 0) {
    lines.push("", heading("Pending"));
    lines.push(...summary.pending.map((item) => `  ${item.what}${item.due ? `, due ${item.due}` : ""}`));
  }
  lines.push("", heading("What to do next"));
  lines.push(...table(summary.commands.map((item) => [item.command, item.what])).map((line) => `  ${line}`), "");
  return lines;
}
