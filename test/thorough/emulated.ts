/**
 * Prints the conformance value of a preset, computed in this process: an engine's process of its own would be started by the system,
 * outside an emulation. Started by processors.ts.
 */
import { conformance, type PresetName } from "../../offchain/src/engine/index.ts";
import { openCpuEngine } from "../../offchain/src/engine/runtime/node/cpu.ts";
import { stepOf } from "../vectors/conformance.ts";

process.stdout.write(`${await conformance(openCpuEngine, stepOf(process.argv[2] as PresetName))}\n`);
