/**
 * Prints the conformance value of a preset on the CPU or on WebAssembly, computed in this process: an engine's process of its own would
 * be started by the system, outside an emulation. Started by processors.ts.
 */
import { conformance, type OpenEngine, type PresetName } from "../../offchain/src/engine/index.ts";
import { stepOf } from "../vectors/conformance.ts";

const opens: Readonly<Record<string, () => Promise<OpenEngine>>> = {
  cpu: async () => (await import("../../offchain/src/engine/runtime/node/cpu.ts")).openCpuEngine,
  wasm: async () => (await import("../../offchain/src/engine/runtime/node/wasm.ts")).openWasmEngine,
};

const [preset, device = "cpu"] = process.argv.slice(2);
process.stdout.write(`${await conformance(await opens[device]!(), stepOf(preset as PresetName))}\n`);
// A pool of WebAssembly's threads would keep it.
process.exit(0);
