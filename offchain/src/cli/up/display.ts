/**
 * The picture of a session: redrawn in place on a terminal, plain lines elsewhere. What is said once (the chain's facts, the
 * join line) stays above the picture.
 */
import { createLogUpdate } from "log-update";

import { type Clock, formatDuration, wrap, wrapCommand } from "../../base/index.ts";
import { type Output, printableInColour } from "../output.ts";
import type { SessionDisplay } from "../../localnet/index.ts";
import { drawScreen, plainLine, type Screen } from "./screen.ts";

export interface Display extends SessionDisplay {
  readonly close: () => void;
  readonly closed: boolean;
}

/** What a picture is drawn on: stderr. */
export type Terminal = Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns" | "rows" | "on" | "off">;

export interface DisplayOptions {
  readonly output: Pick<Output, "notice" | "paint">;
  readonly clock: Clock;
  readonly terminal: Terminal;
}

/** Clears what is visible and goes to its corner; what was scrolled away stays. */
const CLEAR_SCREEN = "\u001B[2J\u001B[H";

/** The beginning of every session. */
const blank: Screen = {
  activity: "Starting",
  model: "",
  parameters: 0,
  chainId: 0,
  rpc: "",
  elapsed: 0,
  goal: undefined,
  waitsFor: [],
  bytesPerToken: 1,
  sequence: 0,
  view: undefined,
  losses: [],
  notices: [],
  joinCommand: "",
  statusCommand: "",
  listCommand: "",
  warning: undefined,
};

/** Redraws in place. A terminal that was resized has wrapped what stood there: it is cleared and drawn anew. */
export function openPicture(terminal: Terminal, picture: () => string) {
  const log = createLogUpdate(terminal as NodeJS.WriteStream);
  let said: string[] = [];
  const draw = (): void => log(printableInColour(picture()));
  // Not wrapped here: what the terminal wraps is copied from it as one line.
  const keep = (lines: readonly string[]): void => {
    log.clear();
    for (const line of lines) terminal.write(`${printableInColour(line)}\n`);
  };
  const onResize = (): void => {
    log.done();
    terminal.write(CLEAR_SCREEN);
    keep(said);
    draw();
  };
  terminal.on("resize", onResize);
  const timer = setInterval(draw, 250);
  return {
    draw,
    say(lines: readonly string[]): void {
      said = [...said, ...lines].slice(-100);
      keep(lines);
      draw();
    },
    close(): void {
      clearInterval(timer);
      terminal.off("resize", onResize);
      log.clear();
      log.done();
    },
  };
}

export function openDisplay(options: DisplayOptions): Display {
  const { output, clock, terminal } = options;
  // Some terminals (a job without a window) have no size; a picture cannot be redrawn in place there.
  const live = terminal.isTTY && terminal.columns > 0 && terminal.rows > 0;
  const started = clock.monotonic();
  const print = (text: string): void => output.notice(`${formatDuration(clock.monotonic() - started)}  ${text}`);
  let screen = blank;
  /** When the activity began, which time is shown from. */
  let since = clock.monotonic();
  const drawn = (): string =>
    // One row is the cursor's.
    drawScreen({ ...screen, elapsed: clock.monotonic() - since }, output.paint, terminal.columns, terminal.rows - 1);
  const picture = live ? openPicture(terminal, drawn) : undefined;
  let shown = "";
  let closed = false;
  const draw = (): void => {
    // What was closed is not drawn again under the lines that followed it.
    if (closed) return;
    if (picture) return picture.draw();
    const { round = -1, feeWait } = screen.view ?? {};
    const key = `${round} ${screen.activity} ${screen.waitsFor.join()} ${feeWait?.what ?? ""} ${feeWait?.since ?? ""}`;
    if (key === shown) return;
    shown = key;
    print(plainLine(screen));
  };
  return {
    update(change) {
      const { view } = change;
      const loss = view && view.round !== screen.view?.round ? view.loss.train : null;
      const begins = change.activity !== undefined && change.activity !== screen.activity;
      if (begins) since = clock.monotonic();
      if (!picture && !closed && change.warning !== undefined && change.warning !== screen.warning)
        print(change.warning);
      screen = {
        ...screen,
        ...(begins && { goal: undefined, waitsFor: [] }),
        ...change,
        losses: loss === null ? screen.losses : [...screen.losses, loss].slice(-2_000),
      };
      draw();
    },
    announce(notice, kind) {
      if (closed) return;
      const others = screen.notices.filter((each) => kind === undefined || each.kind !== kind);
      screen = { ...screen, notices: [...others, { text: notice, kind }].slice(-20) };
      if (!picture) print(notice);
    },
    withdraw(kind) {
      screen = { ...screen, notices: screen.notices.filter((each) => each.kind !== kind) };
    },
    say(lines) {
      if (closed) return;
      if (picture) picture.say(lines);
      else for (const each of lines) if (each !== "") print(each);
    },
    get closed() {
      return closed;
    },
    close() {
      if (closed) return;
      closed = true;
      picture?.close();
    },
  };
}

const RESTS = "The run is paused. All stays up until Ctrl-C, and others may join meanwhile.";

/** What is told after the summary of a run that stays up: who reads it then has no picture any more. */
export const restingLines = (...join: Parameters<typeof joinLines>): string[] => ["", ...joinLines(...join), RESTS];

/**
 * How others join, on lines of at most `columns` characters that are one command.
 * @param here the URL of the coordinator on this machine, where it is another
 */
export const joinLines = (command: string, columns: number, here?: string): string[] => [
  "others join with",
  ...wrapCommand(command, columns - 2).map((text) => `  ${text}`),
  ...(here === undefined ? [] : wrap(`programs on this machine reach the coordinator at ${here}`, columns)),
];
