/** Contracts that a model's holders had distribute a kind in place of another. */
import { getAllLogs, successionOf, successorNamed } from "@cotrain/sdk/actions";
import { type Address, asAddress, mintedKind } from "@cotrain/sdk/protocol";

import { leftOut } from "../chain/index.ts";
import type { ContractsPlace } from "./contracts.ts";

/** A naming, as Emission tells it: `present` distributes until `from`, chain seconds, and `successor` from then on. */
export interface Naming {
  readonly kind: number;
  readonly present: Address;
  readonly successor: Address;
  readonly from: number;
}

/** A contract that distributes, or did. */
export interface Successor {
  readonly account: Address;
  /** From when on, chain seconds. */
  readonly from: number;
}

/**
 * Who took over, or will unless the holders take it back: of namings that another replaced before their time, nobody did.
 * @param namings of a model, in the order of the chain
 * @throws RetryableError `CHAIN_RPC` where one does not follow from the one before it: some are missing
 */
export function takenOver(namings: readonly Naming[]): Successor[] {
  const newest = new Map<number, Naming>();
  const found: Successor[] = [];
  const add = ({ successor, from }: Naming): void => void found.push({ account: asAddress(successor), from });
  for (const naming of namings) {
    const before = newest.get(naming.kind);
    newest.set(naming.kind, naming);
    if (before === undefined || before.present === naming.present) continue;
    if (before.successor !== naming.present) throw leftOut();
    add(before);
  }
  for (const naming of newest.values()) if (naming.successor !== naming.present) add(naming);
  return found;
}

/**
 * Those of a model, of all kinds.
 * @throws RetryableError `CHAIN_RPC` where the node leaves a naming out, as far as the others and the contract say
 */
export async function successorsOf({
  connection,
  addresses,
  modelId,
  fromBlock,
}: ContractsPlace & {
  /** Block at or before the contract's first. */
  readonly fromBlock: number;
}): Promise<Successor[]> {
  // Before the events: one that comes meanwhile is among them.
  const named = await connection.call((client) =>
    Promise.all(Object.values(mintedKind).map((kind) => successionOf(client, { addresses, modelId, kind }))),
  );
  const { logs } = await connection.call((client) =>
    getAllLogs(client, successorNamed({ addresses, modelId }), { from: BigInt(fromBlock) }),
  );
  const namings = logs.map(({ args: { kind, present, successor, from } }) => ({ kind, present, successor, from }));
  for (const [i, kind] of Object.values(mintedKind).entries()) {
    const one = named[i];
    const isTold = namings.some(
      (each) => each.kind === kind && each.successor === one?.successor && each.from === one.from,
    );
    if (one !== undefined && !isTold) throw leftOut();
  }
  return takenOver(namings);
}
