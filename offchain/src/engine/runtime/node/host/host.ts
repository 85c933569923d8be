/**
 * An engine in a process of its own: programs come from strangers, so they run where no key is, and this process goes on
 * answering heartbeats while ONNX Runtime computes. The only entrance to the engine for other rooms. Tensors cross as raw
 * bytes; the training state stays on the other side.
 */
import type { ChildProcess } from "node:child_process";
import { Duplex } from "node:stream";

import type { Engine, EngineOptions, TrainOptions } from "../../../engine.ts";
import { closedBy, EngineClosedError, EngineError, RuntimeError } from "../../../errors.ts";
import { loopPeak } from "../../../loop.ts";
import { readSignature, type ProgramOutline } from "../../../signature.ts";
import type { OpenEngine, Place } from "../../device.ts";
import { blocks } from "../blocks.ts";
import { availableMemory } from "../machine.ts";
import { programMemory } from "../placeMemory.ts";
import { createSender, receive } from "./frames.ts";
import { unpackError, type Method, type Request } from "./messages.ts";
import { allowanceFor, boundMemory, requireHostMemory } from "./memory.ts";
import { giveWay, yieldAlways } from "./priority.ts";
import { spawnEngine } from "./spawn.ts";
import { checkReply, layoutOf, readRemark, readReply, replyBytes, type Layout } from "./replies.ts";

/** What waits for the process to stand, beside the calls, which are numbered from 0. */
const STANDING = -1;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly progress: TrainOptions["progress"];
}

/** Distributes over the union, so that each request keeps its own fields. */
type Unnumbered<Message> = Message extends Request ? Omit<Message, "id"> : never;

interface Connection {
  /** Resolves when the process has said that it stands. */
  readonly standing: Promise<unknown>;
  readonly send: (request: Unnumbered<Request>, id?: number, progress?: TrainOptions["progress"]) => Promise<unknown>;
  /** A number that no call has yet. */
  readonly number: () => number;
  readonly ended: () => boolean;
  readonly kill: (error: EngineClosedError) => void;
}

/** How long a process may take to give back what it holds, ms: of a large model on a busy machine that is seconds. */
const CLOSE_MS = 30_000;

/** Bytes of the process's own last words that are kept for an error's cause. */
const LAST_WORDS = 4096;

/**
 * Inspects the programs, starts a process and opens an engine in it. Errors of the engine reject the call that met them; a
 * process that dies rejects all calls, and later ones, with EngineClosedError. It ends with this process, however that ends.
 * @throws what `openEngine` throws
 */
export const openEngineHost: OpenEngine = (options) => openHost("cpu", options);

/**
 * {@link openEngineHost} with what computes in it.
 * @param index of several, for a place that has any
 * @param patience with a process that is to close, ms; then it is killed
 * @param environment of the process, beside what it gets of this one's
 */
export const engineHostOn =
  (place: Place, index = 0, patience = CLOSE_MS, environment: Readonly<Record<string, string>> = {}): OpenEngine =>
  (options) =>
    openHost(place, options, index, patience, environment);

async function openHost(
  place: Place,
  { signal, ...given }: EngineOptions,
  index = 0,
  patience = CLOSE_MS,
  environment: Readonly<Record<string, string>> = {},
): Promise<Engine> {
  const options = { ...given, memory: given.memory ?? (await programMemory(place, index)) };
  const outlines = inspected(options);
  requireHostMemory(place, outlines, availableMemory());
  const layout = layoutOf(outlines);
  if (signal?.aborted) throw closedBy(signal);
  const { child, leaveDirectory } = spawnEngine(place, index, environment);
  const connection = connect(child, layout);
  signal?.addEventListener("abort", () => connection.kill(closedBy(signal)), { once: true });
  let remark: string | undefined;
  try {
    await connection.standing;
    leaveDirectory();
    if (child.pid !== undefined) {
      const peaks = outlines.map(peakAt(place));
      await boundMemory(child.pid, allowanceFor(place, peaks, options.threads, availableMemory()));
      if (options.yields) await yieldAlways(child.pid);
      else if (options.givesWay) await giveWay(child.pid);
    }
    remark = readRemark(await connection.send({ call: "open", options }));
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return { ...engineOver(layout, child.pid, connection, patience), remark };
}

/** Bytes that a call of a program takes at a place, many steps in one included. */
const peakAt =
  (place: Place) =>
  (outline: ProgramOutline): number => {
    const { peak } = outline.model;
    const looped = outline.signature.kind === "step" ? loopPeak(outline) : peak;
    return looped <= (blocks[place]?.memory ?? 0) ? looped : peak;
  };

function connect(child: ChildProcess, layout: Layout): Connection {
  const [, , stderr, stream] = child.stdio;
  if (!(stream instanceof Duplex)) throw new RuntimeError("ENGINE_PROCESS", "The engine's process has no channel.");
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let ended: EngineClosedError | undefined;
  let lastWords = "";

  const end = (error: EngineClosedError): void => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
    keepAlive(child, false);
  };
  const kill = (error: EngineClosedError): void => {
    end(error);
    child.kill("SIGKILL");
  };
  stderr?.on("data", (text: Buffer) => (lastWords = (lastWords + text.toString("utf8")).slice(-LAST_WORDS)));
  for (const part of [child, ...child.stdio]) {
    part?.on("error", (cause: Error) =>
      end(new EngineClosedError("The engine's process cannot be reached.", { cause })),
    );
  }
  child.on("close", (code, signal) => {
    const how = signal ?? `code ${code}`;
    end(new EngineClosedError(`The engine's process ended (${how}).`, lastWords ? { cause: lastWords } : {}));
  });

  const take = (message: unknown): void => {
    const reply = readReply(message);
    const id = reply.kind === "ready" ? STANDING : reply.id;
    const call = waiting.get(id);
    if (!call) return;
    if (reply.kind === "progress") {
      call.progress?.(reply.done, reply.newest);
      return;
    }
    waiting.delete(id);
    if (waiting.size === 0) keepAlive(child, false); // an idle engine keeps no process alive
    if (reply.kind === "error") call.reject(unpackError(reply.error));
    else call.resolve(reply.kind === "result" ? reply.result : undefined);
  };
  receive(
    stream,
    () => replyBytes(layout),
    take,
    (cause) => kill(new EngineClosedError("The engine's process sent what is no answer.", { cause })),
  );
  const post = createSender(stream);
  return {
    standing: new Promise((resolve, reject) => {
      waiting.set(STANDING, { resolve, reject, progress: undefined });
    }),
    send: (request, id = nextId++, progress) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended);
        waiting.set(id, { resolve, reject, progress });
        keepAlive(child, true);
        post({ ...request, id }).catch((cause: unknown) =>
          kill(new EngineClosedError("A call cannot be sent to the engine's process.", { cause })),
        );
      }),
    number: () => nextId++,
    ended: () => ended !== undefined,
    kill,
  };
}

/** Whether this process waits for the other. */
function keepAlive(child: ChildProcess, yes: boolean): void {
  for (const part of [child, ...child.stdio] as ({ ref?: () => void; unref?: () => void } | null)[]) {
    if (yes) part?.ref?.();
    else part?.unref?.();
  }
}

/** Every program through the inspection, before anything is started. */
function inspected({ programs, memory }: EngineOptions & { readonly memory: number }): ProgramOutline[] {
  const outlines = Object.values(programs).map((bytes) => readSignature(bytes, memory));
  if (outlines.length === 0) throw new EngineError("PROGRAM_MISSING", "An engine needs at least one program.");
  return outlines;
}

function engineOver(
  layout: Layout,
  pid: number | undefined,
  { send, number, ended, kill }: Connection,
  patience: number,
): Engine {
  /** The process answers a method with that method's result, which is checked before anybody believes it. */
  const call =
    <Name extends Method>(name: Name) =>
    async (...given: Parameters<Engine[Name]>): Promise<Awaited<ReturnType<Engine[Name]>>> =>
      checkReply(layout, name, await send({ call: name, given }), given) as Awaited<ReturnType<Engine[Name]>>;
  return {
    shapes: layout.shapes,
    tensors: layout.parameters,
    pid,
    step: call("step"),
    train: async (input, { progress, signal } = {}) => {
      const id = number();
      const stop = (): void => void send({ call: "stop", train: id }).catch(() => undefined);
      const training = send({ call: "train", input }, id, progress);
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
      try {
        return checkReply(layout, "train", await training) as Awaited<ReturnType<Engine["train"]>>;
      } finally {
        signal?.removeEventListener("abort", stop);
      }
    },
    evaluate: call("evaluate"),
    logits: call("logits"),
    parameters: call("parameters"),
    setParameters: call("setParameters"),
    optimizerState: call("optimizerState"),
    setOptimizerState: call("setOptimizerState"),
    resetOptimizer: call("resetOptimizer"),
    save: call("save"),
    restore: call("restore"),
    stateDigest: call("stateDigest"),
    cpuTime: call("cpuTime"),
    close: async () => {
      if (ended()) return;
      const late = setTimeout(() => kill(new EngineClosedError()), patience);
      try {
        await call("close")();
      } catch (error) {
        // Gone, or the runtime cannot let go of what it holds: it ends here all the same.
        if (!(error instanceof EngineClosedError || error instanceof RuntimeError)) throw error;
      } finally {
        clearTimeout(late);
        kill(new EngineClosedError());
      }
    },
  };
}
