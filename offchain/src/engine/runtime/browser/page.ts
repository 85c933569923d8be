/** What a page knows of its machine, which is little. */
import { env } from "onnxruntime-web/wasm";

/** Name and version of ONNX Runtime's package, as a build states it. */
export const runtimeVersion = (): string => `onnxruntime-web ${env.versions.web}`;

/** Threads share memory, which a page may only where it is isolated (headers COOP and COEP). */
export const threads = (): number => (typeof SharedArrayBuffer === "undefined" ? 1 : navigator.hardwareConcurrency);

/** A page is told of no memory; a WebAssembly module has addresses of 32 bits. */
export const availableMemory = (): number => 2 ** 32;

/** A page is not told what it takes of the processor: the time that has passed, ms. */
export const elapsedTime = (): number => performance.now();
