/** What a page of the tests can do, and whatever else runs the engine as a browser does. It answers what JSON can say. */
import { CotrainError } from "@cotrain/sdk/errors";

import { conformance, type OpenEngine } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/browser/index.ts";
import { workerDevice } from "../../../offchain/src/worker/index.ts";
import { programs, rows, textOf, train, using } from "../steps.ts";

type Name = keyof typeof devices;

/** Conformance value of a step program at an address. */
export async function conformanceOf(name: Name, address: string, threads: number): Promise<string> {
  const program = new Uint8Array(await (await fetch(address)).arrayBuffer());
  return conformance(devices[name].open, program, threads);
}

/** Of the step program at an address: the mean of as many steps as begin within so many seconds, once one was taken. */
export async function secondsPerStep(name: Name, address: string, threads: number, seconds: number): Promise<number> {
  const step = new Uint8Array(await (await fetch(address)).arrayBuffer());
  const engine = await devices[name].open({ programs: { step }, threads });
  try {
    const { batch, tokensPerSequence, vocabulary } = engine.shapes.step!;
    await engine.setParameters(
      engine.tensors.map(({ shape }) => {
        const size = shape.reduce((product, length) => product * length, 1);
        return Float32Array.from({ length: size }, (_, i) => ((i % 101) - 50) / 1_000);
      }),
    );
    const tokens = Int32Array.from({ length: batch * tokensPerSequence }, (_, i) => (i * 31) % vocabulary);
    const input = { tokens, learningRate: 1e-4 };
    await engine.step(input);
    const startedAt = performance.now();
    let steps = 0;
    while (performance.now() - startedAt < seconds * 1_000) {
      await engine.step(input);
      steps++;
    }
    return (performance.now() - startedAt) / 1_000 / steps;
  } finally {
    await engine.close();
  }
}

/** Whether ONNX Runtime gets the threads that it is told to take: without isolation it takes one. */
export const mayShareMemory = async (): Promise<boolean> => typeof SharedArrayBuffer !== "undefined";

export const threadsOf = async (name: Name): Promise<number> => devices[name].threads();

export const runtimeOf = async (name: Name): Promise<string> => devices[name].runtime();

/** Losses of the first steps, and digests of the state: after them, after one step more, and when what was saved is there again. */
export const training = (name: Name, steps: number): Promise<{ losses: number[]; digests: string[] }> =>
  using(devices[name].open, 1, async (engine) => {
    const losses = (await train(engine, 0, steps)).map(({ loss }) => loss);
    const saved = await engine.save();
    const digests: string[] = [await engine.stateDigest()];
    await train(engine, steps, steps + 1);
    digests.push(await engine.stateDigest());
    await engine.restore(saved);
    return { losses, digests: [...digests, await engine.stateDigest()] };
  });

/** As in a page where things go on: calls after the third event that a timer made, whatever the thread computes meanwhile. */
function afterThreeEvents(call: () => void): () => void {
  let fired = 0;
  const timer = setInterval(() => {
    if (++fired === 3) call();
  }, 1);
  return () => clearInterval(timer);
}

/**
 * How many steps are done when a page stops them from a timer: of one call that is due so many, or of as many calls of one step. A
 * page that is held up hears its timer after all of them.
 */
export const stepsUntilStopped = (name: Name, due: number, inOneCall: boolean): Promise<number> =>
  using(devices[name].open, 1, async (engine) => {
    const stop = new AbortController();
    const quiet = afterThreeEvents(() => stop.abort());
    const text = textOf("page", due * rows);
    const steps = inOneCall ? due : 1;
    let done = 0;
    while (done < due && !stop.signal.aborted) {
      const tokens = text.subarray(done * rows, (done + steps) * rows);
      done += (await engine.train({ tokens, learningRate: 1e-3 }, { signal: stop.signal })).length;
    }
    quiet();
    return done;
  });

/** What becomes of a training, of a later call and of an opening when an engine's own signal ends it; then another engine trains. */
export async function endedBySignal(
  name: Name,
  due: number,
): Promise<{ codes: string[]; steps: number; after: number }> {
  const ending = new AbortController();
  const open: OpenEngine = (options) => devices[name].open({ ...options, signal: ending.signal });
  let steps = 0;
  const codes = await using(open, 1, async (engine) => {
    const input = { tokens: textOf("page", due * rows), learningRate: 1e-3 };
    const quiet = afterThreeEvents(() => ending.abort());
    const trained = await codeOf(engine.train(input, { progress: (done) => (steps = done) }));
    quiet();
    return [trained, await codeOf(engine.stateDigest())];
  });
  codes.push(await codeOf(open({ programs, threads: 1 })));
  const after = await using(devices[name].open, 1, (engine) => train(engine, 0, 1));
  return { codes, steps, after: after.length };
}

/** What a device says of itself beside how many threads there are. */
export const claimsOf = async (name: Name): Promise<{ exact: boolean; exactness: string; allThreads: boolean }> => {
  const { exact, exactness, threads } = devices[name];
  return { exact, exactness: exactness(), allThreads: threads() === navigator.hardwareConcurrency };
};

/** Whether a worker in the page takes builds with products in fp16 on a device, and whether the device was asked. */
export async function takesHalf(name: Name): Promise<{ takes: boolean | undefined; asked: boolean }> {
  let asked = false;
  const open: OpenEngine = (options) => {
    asked = true;
    return devices[name].open(options);
  };
  const takes = await workerDevice({ ...devices[name], open }).takesHalf?.();
  return { takes, asked };
}

/** The code of the error with which work fails. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    if (error instanceof CotrainError) return error.code;
    throw error;
  }
}

/** The code of the error with which an engine is not opened. */
export const refusal = (name: Name): Promise<string> =>
  codeOf(devices[name].open({ programs, threads: 1 }).then((engine) => engine.close()));
