/** A device as a worker uses it, under Node and in a browser: what it claims, what it multiplies in, how trainers are opened on it. */
import { classOf, type Device, placeOf, takesHalf } from "../engine/index.ts";
import { trainerOn } from "./deviceTrainer.ts";
import type { WorkerModules } from "./options.ts";

/** A device, and how trainers are opened on it. */
export interface WorkerDevice extends Pick<
  WorkerModules,
  "deviceClass" | "openTrainer" | "place" | "ownMemory" | "takesHalf"
> {
  readonly name: string;
}

export const workerDevice = (device: Device): WorkerDevice => ({
  name: device.name,
  deviceClass: classOf(device),
  takesHalf: () => takesHalf(device),
  place: placeOf(device.name),
  ownMemory: device.ownMemory,
  openTrainer: trainerOn(device),
});
