/** At which places steps are taken many in a call; known to the engine's process, and to its host, which bounds its memory. */
import type { Place } from "../device.ts";
import type { Blocks } from "../port.ts";

export const blocks: Readonly<Partial<Record<Place, Blocks>>> = {
  // A call costs beside a small step: a quarter of 0.1m's time, a tenth of 1m's (test/bench/README.md). A loop's state is there
  // twice more, which counts beside large ones.
  cpu: { ms: 500, memory: 256 << 20 },
  // onnxruntime-node keeps no tensors on such a GPU: parameters and state cross with every call.
  cuda: { ms: 5_000, memory: Infinity },
};
