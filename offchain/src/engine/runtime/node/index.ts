/** engine/runtime/node: programs under Node, each engine in a process of its own. Start at devices.ts, then host/host.ts. */
export { deviceOf, devices, devicesHere } from "./devices.ts";
export { openEngineHost } from "./host/host.ts";
export { availableMemory } from "./machine.ts";
export { chooseDevices, inHardware, MEASURED, type Probe, probeDevices, ranked, requireDevice } from "./probe.ts";
