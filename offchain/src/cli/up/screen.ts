/**
 * What `cotrain up` shows while it trains: a pure picture of the run (`drawScreen`) that a TTY redraws in place, and the
 * same facts as one plain line per round elsewhere (`plainLine`).
 */
import type { MemberView, RunView } from "@cotrain/sdk/protocol";

import {
  roundNumber,
  bar,
  countOf,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatShort,
  shortAddress,
  shortHex,
  sparkline,
  wrapCommand,
} from "../../base/index.ts";
import { bitsPerByte } from "../../data/index.ts";
import type { Stage } from "../../localnet/index.ts";
import { heldOutBefore, partsOfClass } from "../../run/index.ts";
import { feeWaitText } from "../feeWait.ts";
import { type Block as BlockOf, fitHeight } from "../height.ts";
import { type Output, type Style, table } from "../output.ts";
import { allWork, leftWork } from "../work.ts";
import { trafficLines } from "./traffic.ts";

export interface Screen extends Stage {
  /** Since the activity began, ms. */
  readonly elapsed: number;
  /** Training loss so far, nats per token, one value a round. */
  readonly losses: readonly number[];
  /** Newest on-chain notices, oldest first, one of each named kind. */
  readonly notices: readonly { readonly text: string; readonly kind?: string | undefined }[];
}

type HeldOut = RunView["loss"]["heldOut"];

const heldOutBits = (loss: HeldOut): string => (loss === null ? "–" : (loss.microBitsPerByte / 1e6).toFixed(3));

/** On how much text a held-out figure rests. @param sequence tokens of a sequence, 0 where that is not known */
export function sampleOf(sequences: number | null, sequence: number): string {
  if (sequences === null) return "";
  return sequence === 0 ? ` on ${formatCount(sequences)} sequences` : ` on ${formatCount(sequences * sequence)} tokens`;
}

/** On how much text the training loss rests, and whose is not in it: who has nothing accepted weighs nothing beside those who have. */
function trainedOn({ loss: { trainTokens }, members }: RunView): string {
  const told = members.filter(({ loss, lossTokens }) => loss !== null && lossTokens !== undefined);
  const fresh = told.filter(({ tokens }) => BigInt(tokens) === 0n).length;
  const without =
    fresh === 0 || fresh === told.length ? "" : `, without ${countOf(fresh, "worker")} of whom nothing is accepted yet`;
  return `${trainTokens === undefined ? " of the newest steps" : ` on ${formatCount(trainTokens)} tokens`}${without}`;
}

const heldOutText = (loss: HeldOut, sequence: number): string =>
  `${heldOutBits(loss)} bits/byte${loss ? `${sampleOf(loss.sequences, sequence)} (checkpoint ${loss.round})` : ""}`;

/** Who trains at this moment; what the others report is about work that is over. */
export const isActive = ({ state }: MemberView): boolean => state === "training" || state === "uploading";

const speedOf = (member: MemberView): number =>
  isActive(member) && member.tokensPerSecond !== null ? Math.round(member.tokensPerSecond) : 0;

/** Tokens a second of the workers that train at this moment: the sum of what the picture shows of each. */
export function liveSpeed(view: RunView): { readonly tokensPerSecond: number; readonly workers: number } {
  const active = view.members.filter(isActive);
  return { tokensPerSecond: active.reduce((sum, member) => sum + speedOf(member), 0), workers: active.length };
}

/** Text and how it is painted. */
type Piece = string | readonly [style: Style, text: string];
type Line = readonly Piece[];
type Block = BlockOf<Line>;

const textOf = (piece: Piece): string => (typeof piece === "string" ? piece : piece[1]);
const widthOf = (line: Line): number => line.reduce((sum, piece) => sum + textOf(piece).length, 0);

/** One line of at most `columns` characters. What is not wrapped already, on a terminal of next to no columns, is cut. */
function fit(line: Line, columns: number, paint: Output["paint"]): string {
  const tooLong = widthOf(line) > columns;
  let room = tooLong ? columns - 1 : columns;
  let shown = "";
  for (const piece of line) {
    const text = textOf(piece).slice(0, room);
    room -= text.length;
    if (text !== "") shown += typeof piece === "string" ? text : paint(piece[0], text);
  }
  return tooLong ? `${shown}…` : shown;
}

/** Words with the spaces before them. Of a hash that has no room both ends are shown; any other word goes on in the next line. */
function wordsOf(text: string, room: number): string[] {
  return text.split(/(?= )/).flatMap((word) => {
    if (word.trimStart().length <= room) return [word];
    const short = word.replaceAll(/0x[\da-f]{40,}/gi, shortHex);
    return short.trimStart().length <= room ? [short] : (short.match(new RegExp(`.{1,${room}}`, "gu")) ?? []);
  });
}

/** A line broken between words, its other lines under where its text begins; too narrow a terminal gets it cut instead. */
function flow(line: Line, columns: number): Line[] {
  if (widthOf(line) <= columns || columns < 4 * LABEL) return [line];
  const [first = "", ...rest] = line;
  const lines: Piece[][] = [[first]];
  let width = textOf(first).length;
  for (const piece of rest)
    for (const word of wordsOf(textOf(piece), columns - LABEL)) {
      const fresh = width > LABEL && width + word.length > columns;
      if (fresh) {
        lines.push([label("")]);
        width = LABEL;
      }
      const text = fresh ? word.trimStart() : word;
      lines.at(-1)?.push(typeof piece === "string" ? text : [piece[0], text]);
      width += text.length;
    }
  return lines;
}

const LABEL = 10;
const label = (text: string): Piece => ["dim", text.padEnd(LABEL)];
const block = (lines: readonly Line[], spare: number): Block => ({ lines, spare });

/** What gives way on a low terminal, the last first: what is done now never does. */
const order = [
  "now",
  "round",
  "title",
  "warning",
  "loss",
  "speed",
  "waits",
  "anchor",
  "held-out",
  "workers",
  "traffic",
  "subject",
  "join hint",
  "join",
  "chain",
  "baselines",
  "more workers",
  "notices",
  "hints",
  "gaps",
] as const;
const spareOf = (what: (typeof order)[number]): number => order.indexOf(what);
const gap = block([[]], spareOf("gaps"));

/** Fewer cells of a curve say nothing. */
const LEAST_CURVE = 4;

function lossBlocks({ view, bytesPerToken, losses, sequence }: Screen & { view: RunView }, columns: number): Block[] {
  const { train, heldOut } = view.loss;
  const untrained = heldOutBefore(view.loss);
  const text =
    train === null
      ? "train – "
      : `train ${train.toFixed(3)} nats/token, ${bitsPerByte(train, { tokens: 1, bytes: bytesPerToken }).toFixed(3)} bits/byte${trainedOn(view)} `;
  const lines = flow([label("loss"), text], columns);
  const room = columns - widthOf(lines.at(-1) ?? []);
  const curve: Line = room < LEAST_CURVE ? [] : [["cyan", sparkline(losses, Math.min(40, room))]];
  return [
    block([...lines.slice(0, -1), [...(lines.at(-1) ?? []), ...curve]], spareOf("loss")),
    block(heldOutLines(heldOut, untrained, sequence, columns), spareOf("held-out")),
  ];
}

/** Each loss with what it rests on and the checkpoint that it is of; side by side where there is room. */
function heldOutLines(heldOut: HeldOut, untrained: HeldOut | undefined, sequence: number, columns: number): Line[] {
  const newest: Line = [label(""), `held-out ${heldOutText(heldOut, sequence)}${untrained ? ";" : ""}`];
  if (!untrained) return flow(newest, columns);
  const start = `at the start ${heldOutBits(untrained)}${sampleOf(untrained.sequences, sequence).replace(" tokens", "")}`;
  const beside: Line = [...newest, ["dim", ` ${start}`]];
  return widthOf(beside) <= columns
    ? [beside]
    : [...flow(newest, columns), ...flow([label(""), ["dim", start]], columns)];
}

/** A column of the table of workers. */
interface Column {
  readonly head: string;
  readonly of: (member: MemberView) => string;
  readonly right?: boolean;
}

const stepsOf = ({ state, step, steps }: MemberView): string =>
  state === "training" ? `${String(step).padStart(3)}/${steps}` : "";
const columnOf = {
  worker: { head: "worker", of: ({ worker }) => shortAddress(worker) },
  state: { head: "state", of: ({ state }) => state },
  class: { head: "class", of: ({ machineClass }) => partsOfClass(machineClass).name },
  progress: {
    head: "inner steps",
    of: (member) =>
      member.state === "training"
        ? `${bar(member.steps > 0 ? member.step / member.steps : 0, 8)} ${stepsOf(member)}`
        : "",
  },
  steps: { head: "steps", of: stepsOf },
  loss: { head: "loss", of: ({ loss }) => (loss === null ? "–" : loss.toFixed(3)), right: true },
  speed: {
    head: "tokens/s",
    of: (member) => (speedOf(member) === 0 ? "–" : formatCount(speedOf(member))),
    right: true,
  },
} as const satisfies Record<string, Column>;

const { worker, state, progress, steps, loss, speed } = columnOf;
/** What the table shows beside the share of the work, on ever narrower terminals, and what it says of what is missing. */
const layouts: readonly (readonly [columns: readonly Column[], missing: string])[] = [
  [[worker, state, progress, loss, speed], ""],
  [[worker, state, steps, loss, speed], ""],
  [[worker, state, steps, speed], "loss"],
  [[worker, state, speed], "inner steps and loss"],
  [[worker, speed], "state, inner steps and loss"],
];

/** What they compute with, where that is not the same for all. */
const mixedLayouts: typeof layouts = layouts
  .slice(0, 2)
  .map(([columns, missing]) => [[worker, columnOf.class, ...columns.slice(1)], missing]);

/** Rows of the table that stay on a terminal that is too low. */
const LEAST_ROWS = 3;

/** The table of workers with so many rows; who has no row is counted, so that the shares add up to the whole. */
function workerTable(view: RunView, columns: number, shown: number): Line[] {
  const all = allWork(view);
  const rest = view.members.slice(shown);
  const left = leftWork(view);
  const others: [who: string, tokens: bigint][] = [
    ...(rest.length > 0
      ? [[`${rest.length} more`, rest.reduce((sum, { tokens }) => sum + BigInt(tokens), 0n)] as [string, bigint]]
      : []),
    ...(left.workers > 0 ? [[`${left.workers} left`, left.tokens] as [string, bigint]] : []),
  ];
  const draw = (layout: readonly Column[]): string[] =>
    table(
      [
        [...layout.map(({ head }) => head), "of work"],
        ...view.members
          .slice(0, shown)
          .map((member) => [...layout.map((column) => column.of(member)), formatPercent(BigInt(member.tokens), all)]),
        ...others.map(([who, tokens]) => [who, ...layout.slice(1).map(() => ""), formatPercent(tokens, all)]),
      ],
      [...layout.flatMap(({ right }, index) => (right ? [index] : [])), layout.length],
    );
  const room = columns - LABEL;
  const mixed = new Set(view.members.map(({ machineClass }) => machineClass)).size > 1;
  const drawn = [...(mixed ? mixedLayouts : []), ...layouts].map(([layout, missing]) => ({
    rows: draw(layout),
    missing,
  }));
  const { rows, missing } = drawn.find((each) => each.rows.every((row) => row.length <= room)) ?? drawn.at(-1)!;
  const [head = "", ...body] = rows;
  return [
    [label(""), ["dim", head]],
    ...body.map((row): Line => [label(""), row]),
    ...(missing === "" ? [] : flow([label(""), ["dim", `a wider terminal shows ${missing}, too`]], columns)),
  ];
}

/** On how much text the losses in the table rest, each worker's on its own newest; nothing where it has no room for losses. */
function sampleBlock(view: RunView, columns: number): Block {
  const sizes = view.members.flatMap(({ lossTokens = [] }) => lossTokens);
  const [heads = []] = workerTable(view, columns, view.members.length);
  if (sizes.length === 0 || !heads.some((piece) => textOf(piece).includes(` ${loss.head} `))) return block([], 0);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)].map((size) => formatCount(size));
  const size = least === most ? most : `${least} to ${most}`;
  return block(flow([label(""), ["dim", `loss of each on its newest ${size} tokens`]], columns), spareOf("hints"));
}

function workerBlock(view: RunView, columns: number): Block {
  const count = view.members.length;
  const whole = workerTable(view, columns, count);
  if (count <= LEAST_ROWS + 1) return block(whole, spareOf("workers"));
  const least = (excess: number): number => Math.max(LEAST_ROWS, count - excess - 1);
  return {
    lines: whole,
    spare: spareOf("more workers"),
    // One row more than what is too many: the one that counts them.
    shorter: (excess) => block(workerTable(view, columns, least(excess)), spareOf("workers")),
  };
}

/** The command with which others join: whole, or where to see it. */
function joinBlock({ joinCommand, statusCommand }: Screen, columns: number): Block {
  if (joinCommand === "") return block([], 0);
  const hint = block(flow([label("join by"), `a command that ${statusCommand} shows`], columns), spareOf("join hint"));
  const command = wrapCommand(joinCommand, columns - LABEL);
  if (command.some((text) => text.length > columns - LABEL)) return hint;
  return {
    lines: command.map((text, index): Line => [label(index === 0 ? "join by" : ""), text]),
    spare: spareOf("join"),
    shorter: () => hint,
  };
}

function runBlocks(screen: Screen & { view: RunView }, columns: number): Block[] {
  const { view } = screen;
  const { current, anchored } = view;
  const round = current
    ? `${roundNumber(current.round)} · ${current.received} of ${current.assigned} workers in · up to ${current.innerSteps} inner steps`
    : `${view.round} completed`;
  const { tokensPerSecond, workers } = liveSpeed(view);
  const speed = `${formatCount(tokensPerSecond)} tokens/s by ${workers} active · ${formatShort(Number(view.tokens))} tokens in closed rounds`;
  const text = (name: string, ...pieces: readonly Piece[]): Line[] => flow([label(name), ...pieces], columns);
  const dear = feeWaitText(view);
  const anchor = anchored ? text("", `checkpoint ${anchored.round} is anchored in the transaction`) : [];
  const transaction = anchored?.transaction ? text("", anchored.transaction) : [];
  return [
    block(text("round", round), spareOf("round")),
    ...lossBlocks(screen, columns),
    block(text("speed", speed), spareOf("speed")),
    ...trafficLines(view).map((line, index) =>
      index === 0 ? block(text("traffic", line), spareOf("traffic")) : block(text("", line), spareOf("baselines")),
    ),
    gap,
    workerBlock(view, columns),
    sampleBlock(view, columns),
    gap,
    block(text("on-chain", `chain ${screen.chainId}, RPC ${screen.rpc}`), spareOf("chain")),
    block([...anchor, ...transaction], spareOf("anchor")),
    ...(transaction.length > 0 ? [block(text("", `all: ${screen.listCommand}`), spareOf("hints"))] : []),
    ...(dear ? [block(text("", ["yellow", dear]), spareOf("warning"))] : []),
    ...screen.notices.slice(-4).map((notice) => block(text("", notice.text), spareOf("notices"))),
    joinBlock(screen, columns),
  ];
}

const waitsText = (waitsFor: readonly string[]): string => `waits for ${waitsFor.join(", ")}`;

/** What is done now, and for how long. */
function nowBlocks({ activity, elapsed, goal, waitsFor }: Screen, columns: number): Block[] {
  const waits = waitsFor.length > 0;
  const of = goal === undefined ? "" : ` of ${waits ? "at most " : ""}${formatDuration(goal)}`;
  const time = `${formatDuration(elapsed)}${of}`;
  const free = goal === undefined ? 0 : columns - LABEL - activity.length - time.length - 3;
  const done = goal !== undefined && free >= 8 ? `${bar(elapsed / goal, Math.min(24, free))} ` : "";
  return [
    block(flow([label("now"), ["bold", activity], `  ${done}${time}`], columns), spareOf("now")),
    ...(waits ? [block(flow([label(""), waitsText(waitsFor)], columns), spareOf("waits"))] : []),
  ];
}

/**
 * @param columns of the terminal; no line is longer
 * @param rows of the terminal; what matters least is left out of a picture that is higher
 */
export function drawScreen(screen: Screen, paint: Output["paint"], columns: number, rows = Infinity): string {
  const known = [screen.model, screen.parameters > 0 ? `${formatShort(screen.parameters)} parameters` : ""];
  const subject = known.filter((part) => part !== "").map((part) => ` · ${part}`);
  const { view } = screen;
  const name = ["bold", "cotrain"] as const;
  const title = flow([name, ["dim", subject.join("")]], columns);
  const blocks: Block[] = [
    title.length === 1
      ? block(title, spareOf("title"))
      : { lines: title, spare: spareOf("subject"), shorter: () => block([[name]], spareOf("title")) },
    gap,
    ...nowBlocks(screen, columns),
    ...(view ? runBlocks({ ...screen, view }, columns) : []),
    ...(screen.warning ? [block(flow([label(""), ["yellow", screen.warning]], columns), spareOf("warning"))] : []),
  ];
  return fitHeight(blocks, rows)
    .map((line) => fit(line, columns, paint))
    .join("\n");
}

/** The run in one line, for terminals that cannot be redrawn. */
export function plainLine(screen: Screen): string {
  const { view } = screen;
  const activity = screen.waitsFor.length > 0 ? `${screen.activity}, ${waitsText(screen.waitsFor)}` : screen.activity;
  if (!view) return activity;
  const { tokensPerSecond, workers } = liveSpeed(view);
  const { train, heldOut } = view.loss;
  const bits =
    train === null
      ? "–"
      : `${bitsPerByte(train, { tokens: 1, bytes: screen.bytesPerToken }).toFixed(3)}${trainedOn(view)}`;
  const { anchored } = view;
  return [
    activity,
    view.current ? `round ${roundNumber(view.current.round)}` : `${countOf(view.round, "round")} completed`,
    `train ${bits}, held-out ${heldOutText(heldOut, screen.sequence)}`,
    `${formatCount(tokensPerSecond)} tokens/s by ${workers} of ${view.members.length} workers`,
    `${formatBytes(view.traffic.up + view.traffic.down)} moved${view.traffic.synchronous === 0 ? "" : `, ${formatBytes(view.traffic.synchronous)} if every step went in fp32 both ways`}`,
    anchored
      ? `checkpoint ${anchored.round} anchored${anchored.transaction ? ` in ${anchored.transaction}` : ""}`
      : "nothing anchored yet",
    ...[feeWaitText(view) ?? []].flat(),
  ].join(" · ");
}
