/**
 * An engine in a thread of its own, so that the process goes on answering heartbeats while ONNX Runtime computes (it
 * blocks its thread for the length of a step).
 */
import { Worker } from "node:worker_threads";

import "./noTelemetry.ts";
import type { Engine, EngineOptions, TrainOptions } from "./engine.ts";
import { EngineClosedError, RuntimeError } from "./errors.ts";
import { unpackError, type Method, type Reply, type Request } from "./hostMessages.ts";

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly progress: TrainOptions["progress"];
}

/** Distributes over the union, so that each request keeps its own fields. */
type Unnumbered<Message> = Message extends Request ? Omit<Message, "id"> : never;

/**
 * Starts a thread and opens an engine in it. Errors of the engine reject the call that met them; a thread that dies
 * rejects all calls, and later ones, with EngineClosedError.
 * @throws what `openEngine` throws
 */
export async function openEngineHost(options: EngineOptions): Promise<Engine> {
  const source = import.meta.url.endsWith(".ts");
  const thread = new Worker(new URL(source ? "./hostThread.ts" : "./hostThread.js", import.meta.url), {
    name: "engine",
    ...(source && { execArgv: ["--conditions=cotrain-source"] }),
  });
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let ended: EngineClosedError | undefined;

  const end = (error: EngineClosedError): void => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
    thread.unref();
  };
  thread.on("error", (cause) => end(new EngineClosedError("The engine's thread died.", { cause })));
  thread.on("exit", () => end(new EngineClosedError()));
  thread.on("message", (reply: Reply) => {
    const call = waiting.get(reply.id);
    if (!call) return;
    if (reply.kind === "progress") {
      call.progress?.(reply.done, reply.result);
      return;
    }
    waiting.delete(reply.id);
    if (waiting.size === 0) thread.unref(); // an idle engine keeps no process alive
    if (reply.kind === "result") call.resolve(reply.result);
    else call.reject(unpackError(reply.error));
  });

  const send = (request: Unnumbered<Request>, id = nextId++, progress?: TrainOptions["progress"]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      waiting.set(id, { resolve, reject, progress });
      thread.ref();
      try {
        thread.postMessage({ ...request, id }, []);
      } catch (cause) {
        waiting.delete(id);
        reject(new RuntimeError("ENGINE_THREAD", "The call cannot be sent to the engine's thread.", { cause }));
      }
    });
  /** The thread answers a method with that method's result. */
  const call =
    <Name extends Method>(name: Name) =>
    async (...given: Parameters<Engine[Name]>): Promise<Awaited<ReturnType<Engine[Name]>>> =>
      (await send({ call: name, given })) as Awaited<ReturnType<Engine[Name]>>;

  let layout: Pick<Engine, "shapes" | "tensors">;
  try {
    layout = (await send({ call: "open", options })) as typeof layout;
  } catch (error) {
    await thread.terminate();
    throw error;
  }
  return {
    ...layout,
    step: call("step"),
    train: async (input, { progress, signal } = {}) => {
      const id = nextId++;
      const stop = (): void => void send({ call: "stop", train: id }).catch(() => undefined);
      const training = send({ call: "train", input }, id, progress);
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
      try {
        return (await training) as Awaited<ReturnType<Engine["train"]>>;
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
    close: async () => {
      if (ended) return;
      const closing = call("close")();
      await closing;
      await thread.terminate();
    },
  };
}
