/** The summary's last part: what to do next, by commands that work as they stand. */
import { commandFor, PROGRAM_ROOT, startCommand, typedPath } from "../../base/node/index.ts";
import { EVERY_CHECKPOINT, type Summary } from "./summary.ts";

/** What there is to look at. */
interface Happened extends Pick<Summary, "capital" | "code" | "stake" | "revenue" | "dispute"> {
  /** Whether anybody ever disputed anything of the model's, in whichever session. */
  readonly hadDispute: boolean;
}

/** Digits that name a grant among others. */
const GRANT_DIGITS = 10;

const codeCommands = (state: string, id: string): Summary["commands"] => [
  { command: commandFor(state, "code", "list"), what: "what code was paid" },
  {
    command: commandFor(state, "code", "show", id.slice(0, 2 + GRANT_DIGITS), "--clone", typedPath(PROGRAM_ROOT)),
    what: "that this clone has the commit",
  },
];

/** Lines that work as they stand; the prompt is the one that the text above them begins with. */
export const commandsFor = (
  state: string,
  prompt: string,
  again: readonly string[],
  { capital, code, stake, revenue, dispute, hadDispute }: Happened,
): Summary["commands"] => [
  { command: startCommand(state, ...again), what: "train this run further" },
  { command: commandFor(state, "status"), what: "where the run stands" },
  { command: commandFor(state, "checkpoint", "list"), what: EVERY_CHECKPOINT },
  { command: commandFor(state, "verify"), what: "check every checkpoint on-chain" },
  { command: commandFor(state, "generate", "--prompt", prompt), what: "let the model write" },
  { command: commandFor(state, "rewards", "list"), what: "what each wallet earned" },
  { command: commandFor(state, "rewards", "claim"), what: "claim it" },
  { command: commandFor(state, "shares"), what: "who owns the model" },
  { command: commandFor(state, "proposals", "list"), what: "what its holders decide" },
  ...(capital ? [{ command: commandFor(state, "capital", "list"), what: "what was bought" }] : []),
  ...(code ? codeCommands(state, code.id) : []),
  ...(revenue ? [{ command: commandFor(state, "revenue", "list"), what: "what it earned" }] : []),
  ...(hadDispute ? [{ command: commandFor(state, "disputes", "list"), what: "how disputes ended" }] : []),
  ...(stake ? [{ command: commandFor(state, "stake", "show"), what: "what is at stake" }] : []),
  ...(dispute?.stakes.some(({ lost }) => lost !== "0")
    ? [{ command: commandFor(state, "stake", "show", "--role", "validator"), what: "what validators have at stake" }]
    : []),
  { command: commandFor(state, "checkpoint", "export", "model.car"), what: "take the newest checkpoint with you" },
];
