import { cpus, totalmem } from "node:os";

import { CotrainError } from "@cotrain/sdk/errors";

import { systemClock, wrap } from "../../base/index.ts";
import { type Device, measureSteps, parameterCount, presetNames, presets } from "../../engine/index.ts";
import { availableMemory, type DeviceName, deviceNames, devices } from "../../engine/runtime/node/index.ts";
import { needsOf } from "../../worker/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, table } from "../output.ts";

/** Of the preset that `npm start` takes. */
const MEASURED = "1m";
const MEASURE_MS = 3_000;

/** What to do about a device that is not there, by platform; people install drivers, not packages of ours. */
const remedies: Readonly<Partial<Record<DeviceName, string>>> = {
  webgpu:
    process.platform === "linux"
      ? "On Debian and Ubuntu: apt-get install libvulkan1 mesa-vulkan-drivers (AMD, Intel); NVIDIA's driver has Vulkan of its own."
      : "Install the maker's newest graphics driver.",
};

interface Diagnosis {
  readonly name: DeviceName;
  readonly runtime: string;
  /** Class of devices whose steps it can recompute bit for bit. */
  readonly class: string | null;
  readonly tokensPerSecond: number | null;
  /** Why it cannot be used, and what to do. */
  readonly missing: string | null;
}

async function diagnose(name: DeviceName): Promise<Diagnosis> {
  const device: Device = devices[name];
  try {
    const { tokensPerSecond } = await measureSteps(device, presets[MEASURED], {
      milliseconds: MEASURE_MS,
      clock: systemClock,
    });
    const known = { name, runtime: device.runtime(), class: device.exactness() };
    return { ...known, tokensPerSecond: Math.round(tokensPerSecond), missing: null };
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    const missing = [error.message, remedies[name]].filter((part) => part !== undefined).join(" ");
    return { name, runtime: device.runtime(), class: null, tokensPerSecond: null, missing };
  }
}

/** What a worker of each preset takes, in bytes. */
function memoryOfPresets(): { readonly name: string; readonly parameters: number; readonly memory: number }[] {
  return presetNames.map((name) => {
    const { model, microBatch } = presets[name];
    const parameters = parameterCount(model);
    const { vocabulary, sequence } = model;
    const { memory } = needsOf({ parameters, vocabulary, microBatch, sequence, model: { ...model } }, 0);
    return { name, parameters, memory };
  });
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** `cotrain doctor`. */
export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "what this machine can train with: speed of each device, memory for each preset, what is missing",
  options: {},
  examples: [["npx cotrain doctor", "before joining a run, or renting this machine to one"]],
  notes: ["Each device trains a model of a million parameters for three seconds, on one thread."],
  async run({ output }) {
    const found: Diagnosis[] = [];
    for (const name of deviceNames) found.push(await diagnose(name));
    const usable = found.filter(({ tokensPerSecond }) => tokensPerSecond !== null);
    const fastest = usable.toSorted((a, b) => (b.tokensPerSecond ?? 0) - (a.tokensPerSecond ?? 0))[0]?.name ?? null;
    const available = availableMemory();
    const memory = memoryOfPresets();
    const machine = { processor: cpus()[0]?.model.trim() ?? "", threads: cpus().length, memory: totalmem(), available };
    const columns = columnsOf(process.stdout);
    output.result({ machine, devices: found, presets: memory, fastest }, [
      `${machine.processor}, ${machine.threads} threads, ${gib(machine.memory)} (${gib(available)} available)`,
      "",
      ...table(
        [
          ["device", "tokens/s", "steps are those of", "runtime"],
          ...found.map((each) => [
            each.name,
            each.tokensPerSecond?.toLocaleString("en-US") ?? "–",
            each.class ?? "–",
            each.runtime,
          ]),
        ],
        [1],
      ),
      ...found.flatMap(({ name, missing }) => (missing === null ? [] : ["", ...wrap(`${name}: ${missing}`, columns)])),
      "",
      ...table(
        [
          ["preset", "parameters", "a worker takes", ""],
          ...memory.map(({ name, parameters, memory: bytes }) => [
            name,
            parameters.toLocaleString("en-US"),
            gib(bytes),
            bytes <= available ? "fits" : "does not fit",
          ]),
        ],
        [1, 2],
      ),
      "",
      fastest === null ? "No device can train here." : `Fastest: --device ${fastest}`,
    ]);
  },
});
