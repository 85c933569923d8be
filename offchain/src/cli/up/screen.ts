/**
 * What `cotrain up` shows while it trains: a pure picture of the run (`drawScreen`) that a TTY redraws in place, and the
 * same facts as one plain line per round elsewhere (`plainLine`).
 */
import { codecCode, type MemberView, type RunView } from "@cotrain/sdk/protocol";

import {
  bar,
  bitsPerByte,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatShort,
  roundNumber,
  shortAddress,
  sparkline,
  wrapCommand,
} from "../format.ts";
import type { Output } from "../output.ts";
import { table } from "../output.ts";

export interface Screen {
  /** What is going on, e.g. "Training" or "Settling the last epoch". */
  readonly activity: string;
  readonly model: string;
  readonly parameters: number;
  readonly chainId: number;
  /** The chain's RPC as it may be shown. */
  readonly rpc: string;
  readonly elapsed: number;
  readonly goal: number;
  readonly bytesPerToken: number;
  /** Tokens of a sequence. */
  readonly sequence: number;
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

type HeldOut = RunView["loss"]["heldOut"];

const heldOutBits = (loss: HeldOut): string => (loss === null ? "–" : (loss.microBitsPerByte / 1e6).toFixed(3));

/** Held-out loss before any training. While nobody has measured checkpoint 0, the first loss known is of a trained one. */
export const heldOutUntrained = ({ heldOutFirst }: RunView["loss"]): RunView["loss"]["heldOut"] | undefined =>
  heldOutFirst?.round === 0 ? heldOutFirst : undefined;

/** On how much text a held-out figure rests. */
export const sampleOf = (sequences: number | null, sequence: number): string =>
  sequences === null || sequence === 0 ? "" : ` on ${formatCount(sequences * sequence)} tokens`;

/** Who trains at this moment; what the others report is about work that is over. */
const isActive = ({ state }: MemberView): boolean => state === "training" || state === "uploading";

const speedOf = (member: MemberView): number =>
  isActive(member) && member.tokensPerSecond !== null ? Math.round(member.tokensPerSecond) : 0;

/** Tokens a second of the workers that train at this moment: the sum of what the picture shows of each. */
export function liveSpeed(view: RunView): { readonly tokensPerSecond: number; readonly workers: number } {
  const active = view.members.filter(isActive);
  return { tokensPerSecond: active.reduce((sum, member) => sum + speedOf(member), 0), workers: active.length };
}

function memberRow(member: MemberView, share: string): string[] {
  const progress = member.steps > 0 ? member.step / member.steps : 0;
  return [
    shortAddress(member.worker),
    member.state,
    member.state === "training" ? `${bar(progress, 8)} ${String(member.step).padStart(3)}/${member.steps}` : "",
    member.loss === null ? "–" : member.loss.toFixed(3),
    speedOf(member) === 0 ? "–" : formatCount(speedOf(member)),
    share,
  ];
}

const codecNames = { [codecCode.fp32]: "fp32, uncompressed", [codecCode["int8-b256"]]: "int8" };
const codecName = (code: number): string => codecNames[code as keyof typeof codecNames] ?? `codec ${code}`;

/**
 * What was moved and what two ways of synchronous data parallelism would have: each worker sends its fp32 gradient to a server
 * and fetches the mean at every step (8 bytes a parameter and step), or the n workers of a round pass bf16 gradients round a
 * ring, each sending 2 (n − 1)/n × 2 bytes a parameter and step.
 */
export function trafficLines(view: {
  readonly traffic: RunView["traffic"];
  readonly params: Pick<RunView["params"], "codec" | "downCodec">;
}): string[] {
  const { up, down, synchronous, ring } = view.traffic;
  const sent = up + down;
  const times = (baseline: number): string => (sent === 0 ? "" : ` (${(baseline / sent).toFixed(0)}×)`);
  return [
    `${formatBytes(sent)}: ${formatBytes(up)} up (${codecName(view.params.codec)}), ${formatBytes(down)} down (${codecName(view.params.downCodec)})`,
    // Before anything was trained there is nothing to compare with; a worker alone has no ring.
    ...(synchronous > 0
      ? [`${formatBytes(synchronous)}${times(synchronous)} if every step went in fp32 both ways`]
      : []),
    ...(ring > 0 ? [`${formatBytes(ring)}${times(ring)} by a ring all-reduce in bf16`] : []),
  ];
}

/** Text and how it is painted. */
type Piece = string | readonly [style: Parameters<Output["paint"]>[0], text: string];
/** A line, and how soon it gives way on a terminal that is too low: the highest first, 0 never. */
interface Line {
  readonly pieces: readonly Piece[];
  readonly spare: number;
}

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

/** A line broken between words, its other lines under where its text begins; too narrow a terminal gets it cut instead. */
function flow({ pieces, spare }: Line, columns: number): Line[] {
  if (widthOf(pieces) <= columns || columns < 4 * LABEL) return [{ pieces, spare }];
  const [first = "", ...rest] = pieces;
  const lines: Piece[][] = [[first]];
  let width = textOf(first).length;
  for (const piece of rest)
    for (const word of textOf(piece).split(/(?= )/)) {
      const fresh = width > LABEL && width + word.length > columns;
      if (fresh) {
        lines.push([label("")]);
        width = LABEL;
      }
      const text = fresh ? word.trimStart() : word;
      lines.at(-1)?.push(typeof piece === "string" ? text : [piece[0], text]);
      width += text.length;
    }
  return lines.map((each) => line(each, spare));
}

/** As many lines as `rows` has room for. */
function fitHeight(lines: readonly Line[], rows: number): readonly Line[] {
  const kept = [...lines];
  for (let spare = 9; spare > 0; spare--)
    for (let at = kept.length - 1; at >= 0 && kept.length > rows; at--)
      if (kept[at]?.spare === spare) kept.splice(at, 1);
  return kept;
}

const LABEL = 10;
const label = (text: string): Piece => ["dim", text.padEnd(LABEL)];
const line = (pieces: readonly Piece[], spare = 0): Line => ({ pieces, spare });

function lossLines({ view, bytesPerToken, losses, sequence }: Screen & { view: RunView }, columns: number): Line[] {
  const { train, heldOut } = view.loss;
  const untrained = heldOutUntrained(view.loss);
  const pieces: Piece[] = [
    label("loss"),
    train === null
      ? "train – "
      : `train ${train.toFixed(3)} nats/token, ${bitsPerByte(train, bytesPerToken).toFixed(3)} bits/byte of the newest steps `,
  ];
  const curve = sparkline(losses, Math.max(0, Math.min(40, columns - widthOf(pieces))));
  return [
    line([...pieces, ["cyan", curve]]),
    ...flow(
      line([
        label(""),
        `held-out ${heldOutBits(heldOut)} bits/byte${heldOut ? sampleOf(heldOut.sequences, sequence) : ""}${untrained ? ";" : ""}`,
        [
          "dim",
          untrained
            ? ` at the start ${heldOutBits(untrained)}${sampleOf(untrained.sequences, sequence).replace(" tokens", "")}`
            : "",
        ],
      ]),
      columns,
    ),
  ];
}

function workerLines(view: RunView): Line[] {
  const total = view.members.reduce((sum, { tokens }) => sum + BigInt(tokens), 0n);
  const rows = [
    ["worker", "state", "inner steps", "loss", "tokens/s", "of work"],
    ...view.members.map((member) => memberRow(member, formatPercent(BigInt(member.tokens), total))),
  ];
  const [head, ...body] = table(rows, [3, 4, 5]);
  return [
    line([], 9),
    line([label(""), ["dim", head ?? ""]]),
    ...body.map((row, index) => line([label(""), row], index < 3 ? 0 : 5)),
    line([], 9),
  ];
}

function runLines(screen: Screen & { view: RunView }, columns: number): Line[] {
  const { view } = screen;
  const { current, anchored } = view;
  const round = current
    ? `${roundNumber(current.round)} · ${current.received} of ${current.assigned} workers in · ${current.innerSteps} inner steps`
    : `${view.round} completed`;
  const { tokensPerSecond, workers } = liveSpeed(view);
  const traffic = trafficLines(view);
  const lines: Line[] = [
    ...flow(line([label("round"), round]), columns),
    ...lossLines(screen, columns),
    ...flow(
      line([
        label("speed"),
        `${formatCount(tokensPerSecond)} tokens/s by ${workers} active · ${formatShort(Number(view.tokens))} tokens so far`,
      ]),
      columns,
    ),
    ...traffic.flatMap((text, index) =>
      flow(line([label(index === 0 ? "traffic" : ""), text], index === 0 ? 0 : 4), columns),
    ),
    ...workerLines(view),
    ...flow(line([label("on-chain"), `chain ${screen.chainId}, RPC ${screen.rpc}`], 3), columns),
  ];
  if (anchored) {
    lines.push(line([label(""), `checkpoint ${anchored.round} is anchored in the transaction`]));
    if (anchored.transaction) lines.push(line([label(""), anchored.transaction]));
  }
  for (const { text } of screen.happenings.slice(-4)) lines.push(...flow(line([label(""), text], 6), columns));
  for (const [index, text] of wrapCommand(screen.joinCommand, columns - LABEL).entries())
    if (text !== "") lines.push(line([label(index === 0 ? "join by" : ""), text], 2));
  return lines;
}

/**
 * @param columns of the terminal; no line is longer
 * @param rows of the terminal; what matters least is left out of a picture that is higher
 */
export function drawScreen(screen: Screen, paint: Output["paint"], columns: number, rows = Infinity): string {
  const known = [screen.model, screen.parameters > 0 ? `${formatShort(screen.parameters)} parameters` : ""];
  const subject = known.filter((part) => part !== "").map((part) => ` · ${part}`);
  const time = `${formatDuration(screen.elapsed)} of ${formatDuration(screen.goal)}`;
  const free = columns - LABEL - screen.activity.length - time.length - 3;
  const progress = free >= 8 ? `${bar(screen.elapsed / screen.goal, Math.min(24, free))} ` : "";
  const { view } = screen;
  const lines: Line[] = [
    line([
      ["bold", "cotrain"],
      ["dim", subject.join("")],
    ]),
    line([], 9),
    line([label("now"), ["bold", screen.activity], `  ${progress}${time}`]),
    ...(view ? runLines({ ...screen, view }, columns) : []),
    ...(screen.warning ? flow(line([label(""), ["yellow", screen.warning]]), columns) : []),
  ];
  return fitHeight(lines, rows)
    .map(({ pieces }) => fit(pieces, columns, paint))
    .join("\n");
}

/** The run in one line, for terminals that cannot be redrawn. */
export function plainLine(screen: Screen): string {
  const { view } = screen;
  if (!view) return screen.activity;
  const { tokensPerSecond, workers } = liveSpeed(view);
  const { train, heldOut } = view.loss;
  const bits = train === null ? "–" : bitsPerByte(train, screen.bytesPerToken).toFixed(3);
  const { anchored } = view;
  return [
    screen.activity,
    view.current ? `round ${roundNumber(view.current.round)}` : `${view.round} rounds completed`,
    `train ${bits} held-out ${heldOutBits(heldOut)} bits/byte${heldOut ? sampleOf(heldOut.sequences, screen.sequence) : ""}`,
    `${formatCount(tokensPerSecond)} tokens/s by ${workers} of ${view.members.length} workers`,
    `${formatBytes(view.traffic.up + view.traffic.down)} moved${view.traffic.synchronous === 0 ? "" : `, ${formatBytes(view.traffic.synchronous)} if every step went in fp32 both ways`}`,
    anchored
      ? `checkpoint ${anchored.round} anchored${anchored.transaction ? ` in ${anchored.transaction}` : ""}`
      : "nothing anchored yet",
  ].join(" · ");
}
