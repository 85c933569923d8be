/**
 * The private way to the embedded node: JSON-RPC over its socket in a directory of this user's alone, one answer a line.
 * Connects when it is first asked and again after the node was started again.
 */
import { connect, type Socket } from "node:net";

import { RetryableError, UserError } from "../base/index.ts";

/** A call that the node answered with an error of its own. */
export class NodeError extends UserError {
  override readonly name = "NodeError";
  /** As JSON-RPC has it: code, message, data. */
  readonly answer: { readonly code: number; readonly message: string };

  constructor(answer: { readonly code: number; readonly message: string }) {
    super("NODE_REFUSED", `The embedded chain refused a call: ${answer.message}.`);
    this.answer = answer;
  }
}

export interface NodeLink {
  /** @throws RetryableError `CHAIN_UNREACHABLE` without an answer; {@link NodeError} for one that is an error */
  request(method: string, params?: unknown): Promise<unknown>;
  close(): void;
}

export interface NodeLinkOptions {
  /** Ms until a call is given up; default 30,000. */
  readonly timeout?: number;
  /** Told whenever a connection was made. */
  readonly onConnect?: () => void;
}

/** Calls under way; more are refused. */
const MOST_PENDING = 1_024;
const MAX_ANSWER_BYTES = 64 << 20;

/** How often a call is made before it is given up that new blocks overtake. */
const OVERTAKEN_TRIES = 5;

/**
 * The embedded node keeps no history: it takes "latest" for a block's number and finds, when the next block is mined before it
 * reads, nothing left of it. The same call gets its answer at once.
 */
const isOvertaken = (error: unknown): boolean =>
  error instanceof NodeError && error.answer.message.includes("BlockOutOfRangeError");

const unreachable = (why: string, cause?: unknown): RetryableError =>
  new RetryableError("CHAIN_UNREACHABLE", `The embedded chain ${why}: try again in a moment.`, {
    ...(cause !== undefined && { cause }),
  });

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** Calls that wait for their answers, by id. */
class PendingCalls {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  get size(): number {
    return this.#pending.size;
  }

  /** @returns its id */
  add(call: Omit<Pending, "timer">, timeout: number): number {
    this.#lastId += 1;
    const id = this.#lastId;
    const timer = setTimeout(() => this.#take(id)?.reject(unreachable("did not answer in time")), timeout);
    this.#pending.set(id, { ...call, timer });
    return id;
  }

  #take(id: number): Pending | undefined {
    const call = this.#pending.get(id);
    this.#pending.delete(id);
    if (call) clearTimeout(call.timer);
    return call;
  }

  /** @returns false where the line is no JSON */
  answer(line: string): boolean {
    let message: { id?: unknown; result?: unknown; error?: { code: number; message: string } };
    try {
      message = JSON.parse(line) as typeof message;
    } catch {
      return false;
    }
    const call = typeof message.id === "number" ? this.#take(message.id) : undefined;
    if (message.error) call?.reject(new NodeError(message.error));
    else call?.resolve(message.result);
    return true;
  }

  /**
   * Gives up the call whose answer is too long: which it is stands at the answer's beginning. The others' answers come after it.
   * @returns false where it does not stand there
   */
  refuseLong(beginning: string): boolean {
    const [, id] = /^\s*\{\s*"jsonrpc":\s*"2\.0",\s*"id":\s*(\d+)/.exec(beginning) ?? [];
    if (id === undefined) return false;
    this.#take(Number(id))?.reject(new NodeError({ code: -32_005, message: "its answer is too long: ask for less" }));
    return true;
  }

  rejectAll(error: RetryableError): void {
    for (const id of this.#pending.keys()) this.#take(id)?.reject(error);
  }
}

interface LineReader {
  readonly onLine: (line: string) => void;
  /** Told the beginning of a line that becomes too long. @returns whether its rest is skipped and what follows is read */
  readonly onTooLong: (beginning: string) => boolean;
}

/** Reads answers, one a line, with a bound on each. */
function readLines(socket: Socket, { onLine, onTooLong }: LineReader): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  let skipping = false;
  socket.on("data", (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      parts.push(rest.subarray(0, end));
      if (!skipping) onLine(Buffer.concat(parts).toString());
      skipping = false;
      parts = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
    }
    bytes += rest.length;
    if (rest.length === 0 || skipping) return;
    parts.push(rest);
    if (bytes <= MAX_ANSWER_BYTES || !onTooLong(parts[0]!.subarray(0, 128).toString())) return;
    parts = [];
    skipping = true;
  });
}

/** @param path of the node's socket, or the name of its pipe on Windows */
export function openNodeLink(path: string, options: NodeLinkOptions = {}): NodeLink {
  const timeout = options.timeout ?? 30_000;
  const pending = new PendingCalls();
  let socket: Socket | undefined;
  let closed = false;

  const drop = (from: Socket, error: RetryableError): void => {
    from.destroy();
    if (socket !== from) return;
    socket = undefined;
    pending.rejectAll(error);
  };

  function open(): Socket {
    const opened = connect(path);
    opened.on("connect", () => options.onConnect?.());
    readLines(opened, {
      onLine: (line) => {
        if (!pending.answer(line)) drop(opened, unreachable("answered with something that is no JSON"));
      },
      onTooLong: (beginning) => {
        const refused = pending.refuseLong(beginning);
        if (!refused) drop(opened, unreachable("answered at too great a length"));
        return refused;
      },
    });
    opened.on("error", (error) => drop(opened, unreachable("does not answer", error)));
    opened.on("close", () => drop(opened, unreachable("ended")));
    // What waits for an answer has its timer; the socket alone keeps nothing alive.
    opened.unref();
    return opened;
  }

  const ask = (method: string, params: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(unreachable("is being shut down"));
      if (pending.size >= MOST_PENDING) return reject(unreachable("is asked too much at once"));
      const id = pending.add({ resolve, reject }, timeout);
      socket ??= open();
      socket.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    });

  return {
    request: async (method, params = []) => {
      for (let tries = 1; ; tries++) {
        try {
          return await ask(method, params);
        } catch (error) {
          if (tries === OVERTAKEN_TRIES || !isOvertaken(error)) throw error;
        }
      }
    },
    close: () => {
      closed = true;
      if (socket) drop(socket, unreachable("is being shut down"));
    },
  };
}
