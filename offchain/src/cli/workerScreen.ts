/**
 * What `cotrain worker` shows to whoever lends the machine: what it does now, what that is worth, how to claim it. A fold of
 * the worker's events (`afterEvent`) and a pure picture of the outcome (`drawWorker`), or a line per notice (`workerLine`).
 */
import {
  roundNumber,
  bar,
  countOf,
  formatBytes,
  formatCount,
  formatPercent,
  formatShares,
  formatShort,
  shortAddress,
  wrap,
  wrapCommand,
} from "../base/index.ts";
import { deviceFailedText, type WorkerEvent } from "../worker/index.ts";
import { type Block, fitHeight } from "./height.ts";
import type { Output } from "./output.ts";

/** What the work is worth, as far as it can be asked. */
export interface Standing {
  /** Accepted tokens of this worker, and of all. */
  readonly tokens: bigint;
  readonly allTokens: bigint;
  /** Shares in wei, undefined where they could not be asked for. */
  readonly earned: bigint | undefined;
  readonly claimable: bigint | undefined;
  /** Roots whose documents are not to be had: what they grant is in neither. */
  readonly missing?: readonly number[] | undefined;
  /** The RPC that was asked, which serves to claim too. */
  readonly rpcUrl?: string | undefined;
}

export interface WorkerScreen {
  readonly coordinator: string;
  readonly activity: string;
  readonly worker: string | undefined;
  /** Who is paid where it is not the worker itself. */
  readonly beneficiary: string | undefined;
  /** As the protocol counts: the checkpoint that the open round starts from. */
  readonly round: number | undefined;
  readonly step: number;
  readonly steps: number;
  readonly loss: number | undefined;
  /** Tokens that the loss is the mean of. */
  readonly lossTokens: number;
  readonly tokensPerSecond: number | undefined;
  /** Rounds and tokens that were accepted from this process. */
  readonly rounds: number;
  readonly tokens: number;
  readonly standing: Standing | undefined;
  /** Of the payload that is being sent, bytes. */
  readonly upload: { readonly sent: number; readonly total: number } | undefined;
  /**
   * What is tried again; `since`: when it began to fail; `within`: how soon it is tried, s, never less than before;
   * `endless`: until the worker is ended.
   */
  readonly retry:
    | {
        readonly what: string;
        readonly reason: string;
        readonly since: number;
        readonly within: number;
        readonly endless: boolean;
      }
    | undefined;
  /** The last work that was for nothing, and why. */
  readonly dropped: { readonly round: number; readonly reason: string } | undefined;
  /** What it computes with, once it has joined. */
  readonly computesWith: string | undefined;
  /** Why that, where it was not simply named. */
  readonly device: string | undefined;
  /** By device how it failed, until it is tried again. */
  readonly failures: Readonly<Record<string, string>>;
  /** What the coordinator claims of itself, where it was asked to. */
  readonly claims: string | undefined;
  readonly claimCommand: string;
  /** Whether it names an RPC; else `URL` stands for one. */
  readonly rpcKnown: boolean;
}

export const blankWorker = (coordinator: string, claimCommand: string, rpcKnown = true): WorkerScreen => ({
  coordinator,
  activity: "starting",
  worker: undefined,
  beneficiary: undefined,
  round: undefined,
  step: 0,
  steps: 0,
  loss: undefined,
  lossTokens: 0,
  tokensPerSecond: undefined,
  rounds: 0,
  tokens: 0,
  standing: undefined,
  upload: undefined,
  retry: undefined,
  dropped: undefined,
  computesWith: undefined,
  device: undefined,
  failures: {},
  claims: undefined,
  claimCommand,
  rpcKnown,
});

const claimsText = ({ from }: { readonly from: string | null }): string =>
  from === null
    ? "The coordinator claims for nobody: what is earned waits until it is claimed."
    : `The coordinator claims what is earned, from ${formatShares(BigInt(from))} shares on.`;

/** What an event changes of the picture, beside what is tried again. */
type Changes = {
  readonly [K in WorkerEvent["type"]]?: (
    event: WorkerEvent & { readonly type: K },
    screen: WorkerScreen,
  ) => Partial<WorkerScreen>;
};

const changes: Changes = {
  preparing: ({ what }) => ({ activity: what }),
  ready: ({ worker, beneficiary }) => ({
    activity: "joining",
    worker,
    beneficiary: beneficiary === worker ? undefined : beneficiary,
  }),
  joined: ({ device }) => ({ activity: "waiting for the next round", computesWith: device }),
  claims: (event) => ({ claims: claimsText(event) }),
  waiting: ({ reason }) => ({ activity: `waiting: ${reason}`, step: 0, steps: 0, tokensPerSecond: undefined }),
  assigned: ({ round, steps }) => ({ activity: "training", round, step: 0, steps, upload: undefined }),
  progress: ({ round, step, steps, loss, lossTokens, tokensPerSecond }) => ({
    activity: step >= steps ? "sending" : "training",
    round,
    step,
    steps,
    loss,
    lossTokens,
    tokensPerSecond,
  }),
  sending: ({ bytes }) => ({ activity: "sending", upload: { sent: 0, total: bytes } }),
  uploaded: ({ bytes }, { upload }) => ({ upload: upload && { ...upload, sent: upload.sent + bytes } }),
  acknowledged: ({ tokens, loss, lossTokens, tokensPerSecond }, screen) => ({
    activity: "waiting for the others",
    rounds: screen.rounds + 1,
    tokens: screen.tokens + tokens,
    loss,
    lossTokens,
    tokensPerSecond,
    dropped: undefined,
  }),
  // Its round was told as dropped when the first answer was lost.
  acknowledgedLate: ({ round, tokens }, screen) => ({
    rounds: screen.rounds + 1,
    tokens: screen.tokens + tokens,
    // Another one may have been dropped since.
    dropped: screen.dropped?.round === round ? undefined : screen.dropped,
  }),
  dropped: ({ round, reason }) => ({
    activity: "waiting for the next round",
    dropped: { round, reason },
  }),
  device: ({ device, why }, { failures }) => ({
    device: why,
    failures: Object.fromEntries(Object.entries(failures).filter(([failed]) => failed !== device)),
  }),
  deviceFailed: (event, { failures }) => ({
    activity: event.next === null ? "ending" : "starting again",
    device: undefined,
    failures: { ...failures, [event.device]: deviceFailedText(event) },
    step: 0,
    steps: 0,
    tokensPerSecond: undefined,
  }),
  left: () => ({ activity: "has left" }),
};

function retryAfter(
  before: WorkerScreen["retry"],
  event: WorkerEvent & { readonly type: "retrying" },
  now: number,
): WorkerScreen["retry"] {
  const { what, reason, withinMs, patienceMs } = event;
  // What is tried beside it may have failed less often; what nobody waits for has no "within".
  const within = withinMs === 0 ? 0 : Math.max(before?.within ?? 0, Math.ceil(withinMs / 1_000));
  return { what, reason, since: before?.since ?? now, within, endless: patienceMs === undefined };
}

/** The picture after an event. @param now ms, of the event */
export function afterEvent(screen: WorkerScreen, event: WorkerEvent, now: number): WorkerScreen {
  if (event.type === "retrying") return { ...screen, retry: retryAfter(screen.retry, event, now) };
  const change = changes[event.type] as
    | ((event: WorkerEvent, screen: WorkerScreen) => Partial<WorkerScreen>)
    | undefined;
  // Whatever else happens: what was tried again has worked.
  return { ...screen, ...change?.(event, screen), retry: undefined };
}

/** Longer than this something is wrong that does not pass by itself. */
const ADVISE_AFTER_MS = 60_000;

/**
 * What to look at when the same thing has failed for a minute, undefined before; of what is given up, the error at the end tells.
 */
export const adviceFor = ({ retry, coordinator }: WorkerScreen, now: number): string | undefined =>
  retry === undefined || !retry.endless || now - retry.since < ADVISE_AFTER_MS
    ? undefined
    : `This has failed for ${Math.floor((now - retry.since) / 60_000)} min: see whether ${coordinator}/health answers from this machine, and ask who runs it. The worker goes on trying; Ctrl-C ends it, and nothing that was accepted is lost.`;

function shareText({ standing }: WorkerScreen): string {
  if (!standing) return "–";
  return `${formatPercent(standing.tokens, standing.allTokens)} of the run's work`;
}

function earnedText({ standing }: WorkerScreen): string {
  if (standing?.earned === undefined) return "not known yet";
  const claimable = standing.claimable === undefined ? "" : `, ${formatShares(standing.claimable)} claimable`;
  const length = standing.missing?.length ?? 0;
  const missing = length === 0 ? "" : `, without ${countOf(length, "root")} whose documents are not to be had now`;
  return `${formatShares(standing.earned)} shares${claimable}${missing}`;
}

/** Who is paid where it is not this machine. */
export const elsewhereText = (beneficiary: string): string =>
  `What it earns belongs to ${shortAddress(beneficiary)}, and whoever claims it (rewards claim --account) pays that wallet.`;

const LABEL = 10;

/** The command as a shell takes it; a terminal that would cut a word of it is told where it stands whole. */
function claimLines({ claimCommand }: WorkerScreen, width: number): string[] {
  const lines = wrapCommand(claimCommand, width);
  return lines.every((line) => line.length <= width)
    ? lines
    : wrap("a command longer than this terminal is wide: it is told when the worker ends", width);
}

function progressText({ activity, step, steps, upload }: WorkerScreen): string {
  if (activity === "training" && steps > 0) return `  ${bar(step / steps, 20)} ${step}/${steps}`;
  if (activity !== "sending" || !upload) return "";
  const { sent, total } = upload;
  return `  ${bar(sent / total, 20)} ${formatBytes(sent)} of ${formatBytes(total)}`;
}

function speedText({ tokensPerSecond, computesWith }: WorkerScreen): string {
  const speed = tokensPerSecond === undefined ? "–" : `${formatCount(Math.round(tokensPerSecond))} tokens/s`;
  return computesWith === undefined ? speed : `${speed} on ${computesWith}`;
}

/** What gives way on a low terminal, the last first: what it does now never does. */
const order = [
  "now",
  "title",
  "retrying",
  "advice",
  "worker",
  "round",
  "dropped",
  "share",
  "earned",
  "failures",
  "speed",
  "claim",
  "claims",
  "pays",
  "loss",
  "device",
  "gap",
] as const;

const block = (what: (typeof order)[number], lines: readonly string[]): Block<string> => ({
  lines,
  spare: order.indexOf(what),
});

/**
 * @param columns of the terminal; no line is longer
 * @param now ms
 * @param rows of the terminal; what matters least is left out of a picture that is higher
 */
export function drawWorker(
  screen: WorkerScreen,
  paint: Output["paint"],
  columns: number,
  now: number,
  rows = Infinity,
): string {
  const width = Math.max(20, columns - LABEL);
  const { activity, round, loss, lossTokens, retry, dropped, device, failures, claims, worker, beneficiary } = screen;
  const row = (what: (typeof order)[number], name: string, lines: readonly string[]): Block<string> =>
    block(
      what,
      lines.map((line, index) => `${paint("dim", (index === 0 ? name : "").padEnd(LABEL))}${line}`),
    );
  const rounds = `${round === undefined ? "–" : roundNumber(round)} · ${screen.rounds} accepted, ${formatShort(screen.tokens)} tokens`;
  const lossText =
    loss === undefined ? "–" : `${loss.toFixed(3)} nats/token on its newest ${formatCount(lossTokens)} tokens`;
  const advice = adviceFor(screen, now);
  const blocks = [
    block("title", [paint("bold", "cotrain worker")]),
    block("gap", [""]),
    row("worker", "worker", wrap(`${worker ? shortAddress(worker) : "–"} for ${screen.coordinator}`, width)),
    ...(beneficiary ? [row("pays", "pays", [shortAddress(beneficiary)])] : []),
    row("now", "now", wrap(`${activity}${progressText(screen)}`, width)),
    row("round", "round", wrap(rounds, width)),
    row("loss", "loss", wrap(lossText, width)),
    row("speed", "speed", [speedText(screen)]),
    row("share", "share", wrap(shareText(screen), width)),
    row("earned", "earned", wrap(earnedText(screen), width)),
    beneficiary
      ? row("claim", "claim", wrap(elsewhereText(beneficiary), width))
      : row("claim", "claim by", claimLines(screen, width)),
    ...(claims ? [row("claims", "", wrap(claims, width))] : []),
    ...Object.values(failures).map((text) => row("failures", "device", wrap(text, width))),
    ...(device ? [row("device", "device", wrap(device, width))] : []),
    ...(dropped
      ? [row("dropped", "dropped", wrap(`round ${roundNumber(dropped.round)}: ${dropped.reason}`, width))]
      : []),
    ...(retry
      ? [
          row(
            "retrying",
            retry.within === 0 ? "missing" : "retrying",
            wrap(`${retry.what}: ${retry.reason}${againText(retry)}`, width),
          ),
        ]
      : []),
    ...(advice ? [row("advice", "", wrap(advice, width))] : []),
  ];
  return fitHeight(blocks, rows).join("\n");
}

/** How soon it is tried again; of what is asked with the next work, nothing. */
const againText = (retry: WorkerScreen["retry"]): string =>
  retry === undefined || retry.within === 0 ? "" : ` Trying again within ${retry.within} s.`;

function joinedLine(
  { beneficiary, rpcKnown, claimCommand }: WorkerScreen,
  { again, device }: WorkerEvent & { readonly type: "joined" },
): string {
  if (again) return device === undefined ? "joined again" : `joined again, on ${device}`;
  if (beneficiary) return `joined. ${elsewhereText(beneficiary)}`;
  return rpcKnown ? `joined; claim what it earns with ${claimCommand}` : "joined";
}

/** What is worth a line where nothing can be redrawn, undefined for what is not. @param screen after the event */
export function workerLine(screen: WorkerScreen, event: WorkerEvent): string | undefined {
  switch (event.type) {
    case "preparing":
      return event.what;
    case "ready":
      return `worker ${shortAddress(event.worker)}, ${formatShort(event.parameters)} parameters`;
    case "joined":
      return joinedLine(screen, event);
    case "claims":
      return claimsText(event);
    case "acknowledged":
      return [
        `round ${roundNumber(event.round)} accepted`,
        `loss ${event.loss.toFixed(3)} on ${formatCount(event.lossTokens)} tokens`,
        `${formatCount(Math.round(event.tokensPerSecond))} tokens/s`,
        shareText(screen),
        `earned ${earnedText(screen)}`,
      ].join(" · ");
    case "acknowledgedLate":
      return `round ${roundNumber(event.round)} accepted, now that it was asked again`;
    case "dropped":
      return `round ${roundNumber(event.round)} dropped: ${event.reason}`;
    case "retrying":
      return `${event.what}: ${event.reason}${againText(screen.retry)}`;
    case "device":
      return event.why;
    case "deviceFailed":
      return deviceFailedText(event);
    case "left":
      return `left: ${event.reason}`;
    default:
      return undefined;
  }
}
