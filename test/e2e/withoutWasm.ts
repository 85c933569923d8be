/** Loaded before a command (`node --import`): a machine on which WebAssembly cannot train, as where its memory does not suffice. */
import { EngineError } from "../../offchain/src/engine/errors.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";

Object.assign(devices.wasm, {
  open: () => Promise.reject(new EngineError("DEVICE_MISSING", "There is no WebAssembly here.")),
});
