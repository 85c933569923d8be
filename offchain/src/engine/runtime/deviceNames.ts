/** The devices of a machine by name, as options and messages have them. What they are stands in node/devices.ts. */
export const deviceNames = ["cpu", "wasm", "webgpu", "cuda"] as const;
export type DeviceName = (typeof deviceNames)[number];

/** What stands for the fastest device of a machine. */
export const AUTO = "auto";

/** What people write for a device: its name, and where there are several which, counted from 0. */
export const DEVICE_FORM = /^(cpu|wasm|webgpu|cuda)(?::(\d{1,2}))?$/;
