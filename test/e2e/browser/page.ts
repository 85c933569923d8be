/** What a page of the tests can do, and whatever else runs the engine as a browser does. It answers what JSON can say. */
import { CotrainError } from "@cotrain/sdk/errors";

import { conformance, type OpenEngine } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/browser/index.ts";
import { workerDevice } from "../../../offchain/src/worker/index.ts";
import { programs, train, using } from "../steps.ts";

type Name = keyof typeof devices;

/** Conformance value of a step program at an address. */
export async function conformanceOf(name: Name, address: string, threads: number): Promise<string> {
  const program = new Uint8Array(await (await fetch(address)).arrayBuffer());
  return conformance(devices[name].open, program, threads);
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

/** The code of the error with which an engine is not opened. */
export async function refusal(name: Name): Promise<string> {
  try {
    await (await devices[name].open({ programs, threads: 1 })).close();
    return "none";
  } catch (error) {
    if (error instanceof CotrainError) return error.code;
    throw error;
  }
}
