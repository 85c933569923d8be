/** Files between a machine and its owner: what the machine is, and what it is let for. */
import { type Address, Address20, asAddress, ListedOffer, MachineFacts } from "@cotrain/sdk/protocol";
import { type TSchema, Type } from "typebox";

import { UserError } from "../../base/index.ts";
import { readJsonBounded } from "../../base/node/index.ts";
import { findMiss } from "../../service/index.ts";

const MAX_BYTES = 16 << 10;
const MachineFile = Type.Object({ machine: Address20, facts: MachineFacts }, { additionalProperties: false });

async function read<T>(path: string, form: TSchema): Promise<T> {
  const value = await readJsonBounded(path, MAX_BYTES);
  const miss = findMiss(form, value);
  if (miss !== undefined) throw new UserError("MACHINE_FILE", `${path}: ${miss}.`);
  return value as T;
}

/** @throws UserError `MACHINE_FILE`, and as readJsonBounded */
export async function readMachine(path: string): Promise<{ readonly machine: Address; readonly facts: MachineFacts }> {
  const { machine, facts } = await read<{ machine: Address; facts: MachineFacts }>(path, MachineFile);
  return { machine: asAddress(machine), facts };
}

/** @throws as {@link readMachine} */
export const readListedOffer = (path: string): Promise<ListedOffer> => read<ListedOffer>(path, ListedOffer);
