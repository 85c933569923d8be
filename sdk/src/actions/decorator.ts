/** All actions on one client: `client.extend(cotrainActions({ addresses }))`. Import single actions to keep a bundle small. */
import type { Client } from "viem";
import { addressesFor } from "../addresses.ts";
import type { ContractAddresses } from "../protocol/documents.ts";
import type { Call, ClientArgs, SyncOptions, Write, WriteArgs } from "./action.ts";
import { reads, writes } from "./all.ts";

/** A write whose client, and addresses where it was given some, are settled. */
export interface BoundWrite<Args, Result, Event> {
  (args: WriteArgs<Args>): ReturnType<Write<Args, Result, Event>>;
  readonly call: (args: ClientArgs<Args>) => Call;
  readonly simulate: (args: WriteArgs<Args>) => ReturnType<Write<Args, Result, Event>["simulate"]>;
  readonly sync: (args: WriteArgs<Args> & SyncOptions) => ReturnType<Write<Args, Result, Event>["sync"]>;
  readonly extractEvent: Write<Args, Result, Event>["extractEvent"];
}

type BoundReads = {
  readonly [K in keyof typeof reads]: (typeof reads)[K] extends (client: Client, args: infer Args) => infer Result
    ? (args: Args) => Result
    : never;
};
type BoundWrites = {
  readonly [K in keyof typeof writes]: (typeof writes)[K] extends Write<infer Args, infer Result, infer Event>
    ? BoundWrite<Args, Result, Event>
    : never;
};
export type CotrainActions = BoundReads & BoundWrites;

type AnyArgs = Readonly<Record<string, unknown>>;
type AnyRead = (client: Client, args: AnyArgs) => Promise<unknown>;
type AnyWrite = Write<AnyArgs, unknown, unknown>;

export interface CotrainActionsOptions {
  /** Needed on chains without a published deployment, local ones above all. */
  readonly addresses?: Readonly<ContractAddresses>;
}

/**
 * @example
 * const client = createWalletClient({ account, chain, transport: http() }).extend(cotrainActions({ addresses }))
 * const { head } = await client.headOf({ runId })
 */
export function cotrainActions({ addresses }: CotrainActionsOptions = {}) {
  const located = (args: AnyArgs = {}): AnyArgs => (addresses ? { addresses, ...args } : args);
  return (client: Client): CotrainActions => {
    const bindRead = (read: AnyRead) => (args?: AnyArgs) => read(client, located(args));
    const bindWrite = (write: AnyWrite) =>
      Object.assign((args: AnyArgs) => write(client, located(args)), {
        call: (args: AnyArgs) =>
          write.call(
            write.addressed
              ? { ...args, addresses: addressesFor(client, (args["addresses"] ?? addresses) as ContractAddresses) }
              : args,
          ),
        simulate: (args: AnyArgs) => write.simulate(client, located(args)),
        sync: (args: AnyArgs) => write.sync(client, located(args)),
        extractEvent: write.extractEvent,
      });
    return Object.fromEntries([
      ...Object.entries(reads).map(([name, read]) => [name, bindRead(read as unknown as AnyRead)]),
      ...Object.entries(writes).map(([name, write]) => [name, bindWrite(write as unknown as AnyWrite)]),
    ]) as CotrainActions;
  };
}
