/** The engine's process: an engine driven by messages. Started by host.ts alone; holds no keys and knows no files. */
import { once } from "node:events";
import { Socket } from "node:net";
import { Worker } from "node:worker_threads";

import type { Engine } from "../../../engine.ts";
import { EngineClosedError } from "../../../errors.ts";
import type { OpenEngine, Place } from "../../device.ts";
import { createSender, giveBackAll, receive } from "./frames.ts";
import { packError, type Reply, type Request } from "./messages.ts";

/** File descriptor of the channel; 0 is the lifeline. */
const CHANNEL = 3;

// A terminal's Ctrl-C is for the host, which ends this process when its own work is done.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

const source = import.meta.url.endsWith(".ts");
const lifeline = new Worker(new URL(source ? "./lifeline.ts" : "./lifeline.js", import.meta.url), {
  resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
});
await once(lifeline, "message");
lifeline.unref();

const channel = new Socket({ fd: CHANNEL });
const post = createSender(channel);
const send = (reply: Reply): void => void post(reply).catch(() => process.exit(1));
channel.on("close", () => process.exit(0));

/** What computes: the host names one in the command line, and which of several; no other library is loaded. */
const openers: Readonly<Record<Place, (index: number) => Promise<OpenEngine>>> = {
  cpu: async () => (await import("../cpu.ts")).openCpuEngine,
  wasm: async () => (await import("../wasm.ts")).openWasmEngine,
  webgpu: async () => (await import("../webgpu.ts")).openWebgpuEngine,
  cuda: async (index) => (await import("../cuda.ts")).cudaEngineOn(index),
};
const open = await openers[process.argv[2] as Place](Number(process.argv[3]));

let engine: Engine | undefined;
const trainings = new Map<number, AbortController>();

const opened = (): Engine => {
  if (!engine) throw new EngineClosedError();
  return engine;
};

async function answer(request: Request): Promise<unknown> {
  switch (request.call) {
    case "open": {
      engine = await open(request.options);
      return engine.remark;
    }
    case "train": {
      const { id, input } = request;
      const controller = new AbortController();
      trainings.set(id, controller);
      try {
        return await opened().train(input, {
          progress: (done, newest) => send({ id, kind: "progress", done, newest }),
          signal: controller.signal,
        });
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
      try {
        return await call(...request.given);
      } finally {
        // The engine has copied what it keeps, of parameters all of them.
        giveBackAll(request.given);
      }
    }
  }
}

receive(
  channel,
  () => Number.MAX_SAFE_INTEGER, // the host is trusted
  (message) => {
    const request = message as Request;
    const { id } = request;
    answer(request).then(
      (result) => send({ id, kind: "result", result }),
      (error: unknown) => send({ id, kind: "error", error: packError(error) }),
    );
  },
  () => process.exit(1),
);
send({ kind: "ready" });
