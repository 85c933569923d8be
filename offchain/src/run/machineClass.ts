/** The class that a member's machine belongs to, as documents and states have it: those of one replay each other exactly. */
import type { Build } from "@cotrain/sdk/protocol";

/** Of a machine of an exact class that computes something else, or of a processor that computes otherwise than all known classes. */
export const OTHER_CLASS = "other";
/** Classes whose devices all compute the same. Of any other the devices that compute one value do: GPUs by their makers, processors. */
const EXACT = /^exact-/;
/** Characters of a build's class, which is whatever was proposed, before the value. No log takes half of one. */
const MAX_NAME = 100;

/** @param conformance of the member's machine: the digest of what it computes in a test */
export function machineClassOf(
  { conformance: due, deviceClass }: Pick<Build, "conformance" | "deviceClass">,
  conformance: string,
): string {
  if (!EXACT.test(deviceClass)) return `${deviceClass.slice(0, MAX_NAME).toWellFormed()}:${conformance}`;
  return conformance === due ? deviceClass : `${OTHER_CLASS}:${conformance}`;
}

/** A class in two parts: its name, and the value that its machines compute where the name alone does not tell. */
export function partsOfClass(machineClass: string): { readonly name: string; readonly value: string | undefined } {
  const [, name, value] = /^(.*):(0x[0-9a-f]{64})$/s.exec(machineClass) ?? [];
  return { name: name ?? machineClass, value };
}
