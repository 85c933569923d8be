/**
 * The conformance values of presets by class of devices, conformance.json: the digest of the state after the three steps of
 * engine/conformance.ts. Every machine that runs the tests so tries whether it belongs to the class that it claims. Of each preset,
 * those included that no one machine trains, the file also has the digest of the step itself, with products in fp32 and in fp16: no class
 * of devices is known for the latter yet, and a run that was made keeps its own for whoever proposes a build of it later.
 *
 * Written anew, where a preset's program changes, on a machine of class exact-x86 with 8 GiB, which takes minutes:
 *
 *     node --conditions=cotrain-source test/vectors/conformance.ts
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import type { Hex } from "@cotrain/sdk/protocol";

import {
  buildPrograms,
  classOf,
  conformance,
  type Device,
  halfStep,
  presetNames,
  presetOf,
  type PresetName,
} from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";

const file = fileURLToPath(new URL("conformance.json", import.meta.url));

/** Of which classes there are vectors, and of which presets: those that take minutes at most, and fit the addresses of WebAssembly. */
const presets = {
  "exact-x86": ["0.1m", "1m", "3.5m", "20m", "60m"],
  "exact-wasm": ["0.1m", "1m", "3.5m", "20m"],
} as const satisfies Readonly<Record<string, readonly PresetName[]>>;

/** Where the digests of steps stand, and of those with products in fp16. */
export const STEPS = "programs of steps";
export const HALF_STEPS = "programs of steps in fp16";

type Vectors = Readonly<Record<string, Readonly<Partial<Record<PresetName, Hex>>>>>;

const vectors = (): Vectors => JSON.parse(readFileSync(file, "utf8")) as Vectors;

/** The value that a preset has in a class; undefined where there is none. */
export const vectorOf = (deviceClass: string, preset: PresetName): Hex | undefined => vectors()[deviceClass]?.[preset];

export const halfStepOf = (preset: PresetName): Hex => {
  const { model, microBatch } = presetOf(preset);
  return halfStep(model, { microBatch }).digest;
};

const programOf = (preset: PresetName) => {
  const { model, microBatch } = presetOf(preset);
  return buildPrograms(model, { microBatch }).step;
};

export const stepOf = (preset: PresetName): Uint8Array => programOf(preset).bytes;
export const stepDigestOf = (preset: PresetName): Hex => programOf(preset).digest;

/**
 * Says what is wrong with a value: that a machine of an exact class has another than the vector. A machine of another class has
 * bits of its own, which is told and nothing wrong.
 */
export function mismatch(device: Device, preset: PresetName, value: Hex): string | undefined {
  // A processor that no class knows has bits of its own too.
  const deviceClass = classOf(device) ?? "other";
  const vector = vectorOf(deviceClass, preset);
  if (vector !== undefined)
    return value === vector ? undefined : `${preset} on ${device.name}: ${value} is not the vector of ${deviceClass}, ${vector}`;
  const twin = Object.entries(vectors()).find(([, values]) => values[preset] === value)?.[0];
  const told = twin === undefined ? "a new class" : `the same as ${twin}`;
  process.stderr.write(`conformance of ${preset}: ${deviceClass} on ${device.name} is ${told}: ${value}\n`);
  return undefined;
}

async function written(): Promise<Vectors> {
  const made: Record<string, Partial<Record<PresetName, Hex>>> = {};
  for (const device of [devices.cpu, devices.wasm]) {
    const deviceClass = device.exactness();
    if (!(deviceClass in presets)) throw new Error(`This machine is of class ${deviceClass}, of which there are no vectors.`);
    const values: Partial<Record<PresetName, Hex>> = {};
    for (const preset of presets[deviceClass as keyof typeof presets])
      values[preset] = await conformance(device.open, stepOf(preset));
    made[deviceClass] = values;
  }
  made[STEPS] = Object.fromEntries(presetNames.map((preset) => [preset, stepDigestOf(preset)]));
  made[HALF_STEPS] = Object.fromEntries(presetNames.map((preset) => [preset, halfStepOf(preset)]));
  return made;
}

if (import.meta.main) writeFileSync(file, `${JSON.stringify(await written(), null, 2)}\n`);
