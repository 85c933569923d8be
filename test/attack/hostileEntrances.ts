/** Every way by which a program of somebody else's comes into this machine, fed with any bytes. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { asModelId, type Digest } from "@cotrain/sdk/protocol";

import { UserError } from "../../offchain/src/base/index.ts";
import { writeFileDurable } from "../../offchain/src/base/node/index.ts";
import { checkpointImportCommand } from "../../offchain/src/cli/commands/checkpoint.ts";
import { createOutput } from "../../offchain/src/cli/output.ts";
import { textFrom } from "../../offchain/src/cli/text.ts";
import { createGateMeter } from "../../offchain/src/coordinator/gateMeter.ts";
import { fragmentLayouts } from "../../offchain/src/diloco/index.ts";
import { openCpuEngine } from "../../offchain/src/engine/runtime/node/cpu.ts";
import { conformance, readSignature } from "../../offchain/src/engine/index.ts";
import { devices, openEngineHost } from "../../offchain/src/engine/runtime/node/index.ts";
import { problemOfPrograms, proveBuild } from "../../offchain/src/run/index.ts";
import { bundleModel, exportModel, putDocument } from "../../offchain/src/storage/index.ts";
import { createLossMeter } from "../../offchain/src/validator/index.ts";
import { contracts } from "../offchain/contracts.ts";
import { runId, type ServedRun } from "../offchain/validator/servedRun.ts";
import { trainerOn, type TrainerInput } from "../../offchain/src/worker/index.ts";

/** Enough for good programs, whatever else this machine does. */
export const MEMORY = 4 * 2 ** 30;

/** Stores a build whose programs are all these bytes. */
async function buildOf({ store, material }: ServedRun, program: Uint8Array): Promise<Digest> {
  const { digest: graph } = await store.put(program);
  const build = { ...material.build, graphs: { step: graph, eval: graph, logits: graph } };
  return putDocument(store, build);
}

/** A CAR of the model with these bytes as its programs, read by `cotrain checkpoint import` into an empty directory. */
async function importing(world: ServedRun, program: Uint8Array): Promise<void> {
  const { store, checkpoint, directory } = world;
  const model = await bundleModel(store, {
    chainId: 31_337,
    contracts,
    modelId: asModelId(`0x${"78".repeat(32)}`),
    runId,
    checkpoint,
    build: await buildOf(world, program),
  });
  const file = join(directory, "model.car");
  await writeFileDurable(file, exportModel(store, model));
  const state = join(directory, "imported", model.digest.slice(2, 18));
  await mkdir(join(directory, "imported"), { recursive: true });
  await checkpointImportCommand.run({
    options: { state, checkpoint: undefined },
    args: [file],
    output: { ...createOutput(true), result: () => undefined },
  } as never);
}

/** Entrance by name; each must refuse what is hostile. */
export function entrancesOf(world: ServedRun): Readonly<Record<string, (program: Uint8Array) => Promise<unknown>>> {
  const { store, material, checkpoint, url, directory } = world;
  const { definition, definitionDigest } = material;
  const loss = createLossMeter({ coordinator: url, cache: join(directory, "cache") });
  const { signal: never } = new AbortController();
  const trainer = { definition, layouts: fragmentLayouts(definition.table) };
  const trained = { digest: material.buildDigest, document: material.build };
  return {
    "the reading of a signature": async (program) => readSignature(program, MEMORY),
    "the engine itself": (program) => openCpuEngine({ programs: { step: program }, threads: 1, memory: MEMORY }),
    "the engine's process": (program) => openEngineHost({ programs: { step: program }, threads: 1, memory: MEMORY }),
    conformance: (program) => conformance(openEngineHost, program),
    "a worker's trainer": (program) =>
      trainerOn(devices.cpu)({
        description: trainer,
        build: trained,
        program,
        threads: 1,
        signal: never,
      } as unknown as TrainerInput),
    "a validator's held-out loss": async (program) => {
      const build = await buildOf(world, program);
      const request = { runId, definition: definitionDigest, build, checkpoint, sequences: 4 };
      return loss.measure(request, new AbortController().signal);
    },
    "the coordinator's gate": async (program) => {
      const build = await buildOf(world, program);
      const gate = createGateMeter(store, definition, { known: [build] });
      try {
        return await gate.describe();
      } finally {
        await gate.close();
      }
    },
    "cotrain generate": async (program) => {
      const build = await buildOf(world, program);
      const options = { prompt: "the", tokens: 1, temperature: 1, topK: 4, seed: 1, threads: 1 };
      return textFrom({ blobs: store, definition: definitionDigest, build, checkpoint, ...options }).next();
    },
    "cotrain checkpoint import": (program) => importing(world, program),
    "the look at a build's programs": async (program) => {
      const problem = await problemOfPrograms({ blob: async () => program }, runId, material.build, definition);
      if (problem !== "") throw new UserError("BUILD_UNFIT", `The build is refused: ${problem}.`);
    },
    "cotrain builds propose": async (program) => {
      const known = { digest: material.buildDigest, admitted: true, since: 0, document: material.build };
      const blobs = { blob: async () => program };
      return proveBuild({ blobs, runId }, { builds: [known], device: devices.cpu, steps: 3, reference: devices.cpu });
    },
  };
}
