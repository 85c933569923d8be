/** Runs in a worker thread: an engine that is driven by messages. Started by host.ts alone. */
import { parentPort, type Transferable } from "node:worker_threads";

import { openEngine, type Engine } from "./engine.ts";
import { EngineClosedError, RuntimeError } from "./errors.ts";
import { packError, type Reply, type Request } from "./hostMessages.ts";

const port = parentPort;
if (!port) throw new RuntimeError("ENGINE_THREAD", "hostThread is started by openEngineHost only.");

let engine: Engine | undefined;
const trainings = new Map<number, AbortController>();

const opened = (): Engine => {
  if (!engine) throw new EngineClosedError();
  return engine;
};

async function answer(request: Request): Promise<unknown> {
  switch (request.call) {
    case "open": {
      engine = await openEngine(request.options);
      return { shapes: engine.shapes, tensors: engine.tensors };
    }
    case "train": {
      const { id, input } = request;
      const controller = new AbortController();
      trainings.set(id, controller);
      try {
        const progress = (done: number, result: { loss: number; gradientNorm: number }): void =>
          port?.postMessage({ id, kind: "progress", done, result } satisfies Reply);
        return await opened().train(input, { progress, signal: controller.signal });
      } finally {
        trainings.delete(id);
      }
    }
    case "stop":
      trainings.get(request.train)?.abort();
      return undefined;
    default: {
      // The host's types made `given` the parameters of `call`; a message cannot carry that knowledge.
      const call = opened()[request.call] as (...given: readonly unknown[]) => Promise<unknown>;
      return call(...request.given);
    }
  }
}

/** Buffers of the arrays in a result: copies that nobody here needs any more, so they move instead of being copied. */
function buffersOf(value: unknown, found: Transferable[] = []): Transferable[] {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.push(value.buffer);
  } else if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) buffersOf(part, found);
  }
  return found;
}

port.on("message", (request: Request) => {
  const { id } = request;
  answer(request).then(
    (result) => port.postMessage({ id, kind: "result", result } satisfies Reply, buffersOf(result)),
    (error: unknown) => port.postMessage({ id, kind: "error", error: packError(error) } satisfies Reply),
  );
});
