/** The class of machines that a member's belongs to, as documents and states have it: those of one replay each other exactly. */
import type { Build } from "@cotrain/sdk/protocol";

const OTHER = "other:";

/** @param conformance of the member's machine: the digest of what it computes in a test */
export const machineClassOf = (
  { conformance: due, deviceClass }: Pick<Build, "conformance" | "deviceClass">,
  conformance: string,
): string => (conformance === due ? deviceClass : `${OTHER}${conformance}`);

/** The conformance of a machine that computes otherwise than its build does, undefined for one of a known class. */
export const conformanceOfOther = (machineClass: string): string | undefined =>
  machineClass.startsWith(OTHER) ? machineClass.slice(OTHER.length) : undefined;
