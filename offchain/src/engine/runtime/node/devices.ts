/** The devices that programs run on under Node. */
import { availableParallelism } from "node:os";

import type { Device } from "../device.ts";
import { openEngineHost } from "./host/host.ts";
import { availableMemory, deviceClass, runtimeVersion } from "./machine.ts";

export const devices = {
  cpu: {
    name: "cpu",
    runtime: runtimeVersion,
    exactness: deviceClass,
    threads: availableParallelism,
    availableMemory,
    open: openEngineHost,
  },
} satisfies Readonly<Record<string, Device>>;
