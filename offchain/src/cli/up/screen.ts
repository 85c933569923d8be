/**
 * What `cotrain up` shows while it trains: a pure picture of the run (`drawScreen`) that a TTY redraws in place, and the
 * same facts as one plain line per round elsewhere (`plainLine`).
 */
import type { MemberView, RunView } from "@cotrain/sdk/protocol";

import {
  bar,
  bitsPerByte,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatShort,
  shortHex,
  sparkline,
} from "../format.ts";
import type { Output } from "../output.ts";
import { table } from "../output.ts";

export interface Screen {
  /** What is going on, e.g. "Training" or "Settling the last epoch". */
  readonly activity: string;
  readonly model: string;
  readonly parameters: number;
  readonly chainId: number;
  readonly elapsed: number;
  readonly goal: number;
  readonly bytesPerToken: number;
  readonly view: RunView | undefined;
  /** Training loss so far, nats per token, one value a round. */
  readonly losses: readonly number[];
  /** Newest on-chain happenings, oldest first, one of each named kind. */
  readonly happenings: readonly { readonly text: string; readonly kind?: string | undefined }[];
  /** The command line with which others join. */
  readonly joinCommand: string;
  /** Restarts and the like. */
  readonly warning: string | undefined;
}

const heldOutBits = (loss: { microBitsPerByte: number } | null): string =>
  loss === null ? "–" : (loss.microBitsPerByte / 1e6).toFixed(3);

function memberRow(member: MemberView, total: bigint): string[] {
  const progress = member.steps > 0 ? member.step / member.steps : 0;
  return [
    shortHex(member.worker),
    member.state,
    member.state === "training" ? `${bar(progress, 12)} ${String(member.step).padStart(3)}/${member.steps}` : "",
    member.loss === null ? "–" : member.loss.toFixed(3),
    member.tokensPerSecond === null ? "–" : formatCount(Math.round(member.tokensPerSecond)),
    formatPercent(BigInt(member.tokens), total),
  ];
}

const timesLess = (traffic: RunView["traffic"]): string => {
  const sent = traffic.up + traffic.down;
  return sent === 0 || traffic.synchronous === 0 ? "" : ` (${(traffic.synchronous / sent).toFixed(0)}× less)`;
};

/** Text and how it is painted. */
type Piece = string | readonly [style: Parameters<Output["paint"]>[0], text: string];

const textOf = (piece: Piece): string => (typeof piece === "string" ? piece : piece[1]);
const widthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, piece) => sum + textOf(piece).length, 0);

/** One line of at most `columns` characters: what does not fit is cut off, which a wrapped line would spoil the picture by. */
function fit(pieces: readonly Piece[], columns: number, paint: Output["paint"]): string {
  const tooLong = widthOf(pieces) > columns;
  let room = tooLong ? columns - 1 : columns;
  let line = "";
  for (const piece of pieces) {
    const text = textOf(piece).slice(0, room);
    room -= text.length;
    if (text !== "") line += typeof piece === "string" ? text : paint(piece[0], text);
  }
  return tooLong ? `${line}…` : line;
}

const LABEL = 10;
const label = (text: string): Piece => ["dim", text.padEnd(LABEL)];

/** @param columns of the terminal; no line is longer */
export function drawScreen(screen: Screen, paint: Output["paint"], columns: number): string {
  const known = [
    screen.model,
    screen.parameters > 0 ? `${formatShort(screen.parameters)} parameters` : "",
    screen.chainId > 0 ? `chain ${screen.chainId}` : "",
  ];
  const subject = known.filter((part) => part !== "").map((part) => ` · ${part}`);
  const lines: Piece[][] = [
    [
      ["bold", "cotrain"],
      ["dim", subject.join("")],
    ],
    [],
  ];
  const time = `${formatDuration(screen.elapsed)} of ${formatDuration(screen.goal)}`;
  const free = columns - LABEL - screen.activity.length - time.length - 3;
  const progress = free >= 8 ? `${bar(screen.elapsed / screen.goal, Math.min(24, free))} ` : "";
  lines.push([label("now"), ["bold", screen.activity], `  ${progress}${time}`]);
  const { view } = screen;
  if (view) {
    const steps =
      view.current === null
        ? ""
        : ` · ${view.current.received} of ${view.current.assigned} workers in · ${view.current.innerSteps} inner steps`;
    lines.push([label("round"), `${view.round}${steps}`]);
    const train: Piece[] = [
      label("loss"),
      view.loss.train === null
        ? "train – "
        : `train ${view.loss.train.toFixed(3)} nats/token, ${bitsPerByte(view.loss.train, screen.bytesPerToken).toFixed(3)} bits/byte `,
    ];
    lines.push([...train, ["cyan", sparkline(screen.losses, Math.max(0, Math.min(40, columns - widthOf(train))))]]);
    const first = view.loss.heldOutFirst;
    lines.push([
      label(""),
      `held-out ${heldOutBits(view.loss.heldOut)} bits/byte`,
      ["dim", first ? ` (${heldOutBits(first)} at the start)` : ""],
    ]);
    lines.push([
      label("speed"),
      `${formatCount(Math.round(view.tokensPerSecond))} tokens/s · ${formatShort(Number(view.tokens))} tokens so far`,
    ]);
    lines.push([
      label("traffic"),
      `${formatBytes(view.traffic.up + view.traffic.down)} sent · ${formatBytes(view.traffic.synchronous)} by synchronous data parallelism${timesLess(view.traffic)}`,
    ]);
    const total = view.members.reduce((sum, member) => sum + BigInt(member.tokens), 0n);
    const rows = [
      ["worker", "state", "inner steps", "loss", "tokens/s", "of all"],
      ...view.members.map((member) => memberRow(member, total)),
    ];
    const [head, ...body] = table(rows, [3, 4, 5]);
    lines.push([], [label(""), ["dim", head ?? ""]], ...body.map((row): Piece[] => [label(""), row]), []);
    if (view.anchored) {
      const transaction = view.anchored.transaction ? ` in transaction ${shortHex(view.anchored.transaction)}` : "";
      lines.push([label("on-chain"), `checkpoint of round ${view.anchored.round} anchored${transaction}`]);
    }
    if (screen.joinCommand) lines.push([label("join by"), screen.joinCommand]);
    for (const { text } of screen.happenings.slice(-4)) lines.push([label(""), text]);
  }
  if (screen.warning) lines.push([label(""), ["yellow", screen.warning]]);
  return lines.map((pieces) => fit(pieces, columns, paint)).join("\n");
}

/** The run in one line, for terminals that cannot be redrawn. */
export function plainLine(screen: Screen): string {
  const { view } = screen;
  if (!view) return screen.activity;
  const active = view.members.filter((member) => member.state !== "silent").length;
  const train = view.loss.train === null ? "–" : bitsPerByte(view.loss.train, screen.bytesPerToken).toFixed(3);
  return [
    screen.activity,
    `round ${view.round}`,
    `train ${train} held-out ${heldOutBits(view.loss.heldOut)} bits/byte`,
    `${formatCount(Math.round(view.tokensPerSecond))} tokens/s`,
    `${active} of ${view.members.length} workers`,
    `${formatBytes(view.traffic.up + view.traffic.down)} sent, ${formatBytes(view.traffic.synchronous)} by synchronous data parallelism`,
    view.anchored ? `anchored ${view.anchored.round}` : "nothing anchored yet",
  ].join(" · ");
}
