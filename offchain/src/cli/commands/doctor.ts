import { cpus, totalmem } from "node:os";

import { shortHex, wrap } from "../../base/index.ts";
import { loadTokenizer } from "../../data/node/index.ts";
import {
  conformanceOf1m,
  parameterCount,
  placeOf,
  presetNames,
  presetOf,
  presetsFor,
  stateElements,
  tensorSpecs,
} from "../../engine/index.ts";
import { availableMemory, MEASURED, type Probe, probeDevices, ranked } from "../../engine/runtime/node/index.ts";
import { fits, needsOf } from "../../worker/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, tableWithin } from "../output.ts";
import { outlines } from "./outlines.ts";

const MEASURE_MS = 3_000;

interface Diagnosis {
  readonly name: string;
  readonly runtime: string;
  /** What computes, where the system tells. */
  readonly adapter: string | null;
  /** Class of devices whose steps it can recompute bit for bit, by what it computes; for one of no known class its own, by its value. */
  readonly class: string | null;
  /** What it computes of the preset 1m. */
  readonly conformance: string | null;
  readonly tokensPerSecond: number | null;
  /** Threads that it was measured on; null where a GPU computes. */
  readonly threads: number | null;
  /** Bytes that are left of its own memory, or of the machine's where it has none; null where the system does not tell. */
  readonly memory: number | null;
  /** Whether that is its own. */
  readonly ownMemory: boolean;
  /** Why it cannot be used, or is not by itself, and what to do. */
  readonly missing: string | null;
}

/** The class that computes a value, whatever a device claims. */
export const classOfValue = (value: string): string =>
  Object.entries(conformanceOf1m).find(([, known]) => known === value)?.[0] ?? `other:${value}`;

async function diagnosisOf({ device, adapter, tokensPerSecond, threads, value, missing }: Probe): Promise<Diagnosis> {
  const there = tokensPerSecond !== undefined;
  const memory = device.ownMemory ? await device.ownMemory() : device.availableMemory();
  return {
    name: device.name,
    runtime: device.runtime(),
    adapter: adapter?.name ?? null,
    class: value === undefined ? null : classOfValue(value),
    conformance: value ?? null,
    tokensPerSecond: there ? Math.round(tokensPerSecond) : null,
    threads: threads ?? null,
    memory: (there ? memory : undefined) ?? null,
    ownMemory: device.ownMemory !== undefined,
    missing: missing ?? null,
  };
}

interface PresetNeeds {
  readonly name: string;
  readonly parameters: number;
  /** Bytes of the machine's memory that a worker on the processor takes. */
  readonly memory: number;
  /** The same where a GPU computes, without the driver's own. */
  readonly besideGpu: number;
  /** Bytes of the GPU's memory then. */
  readonly step: number;
  /** The same with products in fp16, as a run's build may have them. */
  readonly stepInHalf: number;
  /** By device whether they are there; null where the system does not tell. */
  readonly fits: Readonly<Record<string, boolean | null>>;
}

/**
 * What presets take, and whether these devices of a machine have it.
 * @param available bytes of the machine's memory
 */
export function needsOfPresets(
  found: readonly Pick<Diagnosis, "name" | "tokensPerSecond" | "memory" | "ownMemory">[],
  available: number,
): PresetNeeds[] {
  const there = found.filter(({ tokensPerSecond }) => tokensPerSecond !== null);
  return presetNames.map((name) => {
    const { model, microBatch, accumulation, optimizer } = presetOf(name);
    const state = stateElements(optimizer, tensorSpecs(model));
    const parameters = parameterCount(model);
    const { vocabulary, sequence } = model;
    const size = { parameters, state, vocabulary, microBatch, accumulation, sequence, model: { ...model } };
    const { memory } = needsOf(size, 0);
    const { memory: besideGpu, own: step } = needsOf(size, 0, "webgpu");
    const { own: stepInHalf } = needsOf({ ...size, precision: "fp16" }, 0, "webgpu");
    const byDevice = there.map((device) => {
      const room = { host: available, own: device.ownMemory ? device.memory : undefined };
      return [device.name, fits(needsOf(size, 0, placeOf(device.name)), room)] as const;
    });
    return { name, parameters, memory, besideGpu, step, stepInHalf, fits: Object.fromEntries(byDevice) };
  });
}

/** Small steps in MiB, as docs/operations.md has them: of 0.1m no tenth of a GiB is left. */
const memoryText = (bytes: number): string => {
  const mebibytes = Math.round(bytes / 2 ** 20);
  return mebibytes < 1_000 ? `${mebibytes} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
};
const told = (enough: boolean | null | undefined): string => (enough === true ? "fits" : enough === false ? "no" : "?");

/** Speeds are of the preset that is measured, each on the threads beside it. */
export const deviceTable = (found: readonly Diagnosis[], columns: number): string[] =>
  tableWithin(
    columns,
    [
      ["device", "threads", `tokens/s (${MEASURED})`, "memory", "steps are those of", "runtime"],
      ...found.map(({ name, threads, tokensPerSecond, memory, class: exactness, runtime }) => [
        name,
        threads?.toLocaleString("en-US") ?? "–",
        tokensPerSecond?.toLocaleString("en-US") ?? "–",
        memory === null ? "–" : memoryText(memory),
        exactness === null ? "–" : exactness.replace(/0x\w+$/, shortHex),
        runtime,
      ]),
    ],
    [1, 2, 3],
  );

/** What a worker of each preset takes of the machine and of a GPU, and which devices have it. */
export function presetTable(needs: readonly PresetNeeds[], columns: number): string[] {
  const devices = Object.keys(needs[0]?.fits ?? {});
  return tableWithin(
    columns,
    [
      ["preset", "parameters", "a worker", "with GPU", "GPU fp32", "GPU fp16", ...devices],
      ...needs.map(({ name, parameters, memory, besideGpu, step, stepInHalf, fits: enough }) => [
        name,
        parameters.toLocaleString("en-US"),
        memoryText(memory),
        memoryText(besideGpu),
        memoryText(step),
        memoryText(stepInHalf),
        ...devices.map((device) => told(enough[device])),
      ]),
    ],
    [1, 2, 3, 4, 5],
  );
}

function remarks({ name, adapter, missing }: Diagnosis): string[] {
  if (missing !== null) return [`${name}: ${missing}`];
  return adapter === null ? [] : [`${name} computes with ${adapter}.`];
}

/** `cotrain doctor`. */
export const doctorCommand = defineCommand({
  ...outlines.doctor,
  options: {},
  examples: [["npx cotrain doctor", "before joining a run, or renting this machine to one"]],
  notes: [
    "Each device trains a model of a million parameters for three seconds, on as many threads as a worker takes by itself; one that does not answer is given up. All of it takes less than a minute, or longer beside other work.",
    "Whose steps a device can recompute is told by what it computes of the same model: the conformance value of a known class, or one of its own.",
    "What a worker takes of the machine is its own process and its engine's; with a GPU it is less, and a step has the GPU's memory. A preset fits where both the machine and the device have the memory: WebAssembly 4 GiB of addresses, a GPU its own. With products in fp16, as a run may have a build for GPUs, a step takes other memory, and a worker takes such a build where it fits. What a container may have counts, not what its machine has.",
  ],
  async run({ output }) {
    if (!output.json)
      output.notice(
        "Each device that is here trains for three seconds: less than a minute in all, longer beside other work.",
      );
    const probes = await probeDevices({ milliseconds: MEASURE_MS });
    const found = await Promise.all(probes.map(diagnosisOf));
    const fastest = ranked(probes)[0]?.device.name ?? null;
    const available = availableMemory();
    const needs = needsOfPresets(found, available);
    const machine = { processor: cpus()[0]?.model.trim() ?? "", threads: cpus().length, memory: totalmem(), available };
    const columns = columnsOf(process.stdout);
    const { vocabulary } = await loadTokenizer();
    output.result({ machine, measured: MEASURED, devices: found, presets: needs, fastest }, [
      `${machine.processor}, ${machine.threads} threads, ${memoryText(machine.memory)} (${memoryText(available)} available)`,
      "",
      ...deviceTable(found, columns),
      ...found.flatMap(remarks).flatMap((remark) => ["", ...wrap(remark, columns)]),
      "",
      ...presetTable(needs, columns),
      "",
      ...wrap(
        `npm start trains ${presetsFor(vocabulary).join(", ")}: the others need a larger tokenizer than the one of ${vocabulary.toLocaleString("en-US")} tokens that is shipped.`,
        columns,
      ),
      "",
      fastest === null ? "No device can train here." : `--device auto takes ${fastest}.`,
    ]);
  },
});
