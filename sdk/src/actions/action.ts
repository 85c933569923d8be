/**
 * What all actions are made of. A read is a function of (client, args) that asks a view of a contract. A write is such a
 * function that sends a transaction, and carries the rest of its life beside it: `call` (what is sent, for batches and
 * proposals), `simulate`, `sync` (send and wait) and `extractEvent`.
 */
import {
  type Abi,
  type Account,
  type Address,
  type Client,
  type ContractEventName,
  type ContractFunctionArgs,
  type ContractFunctionName,
  type ContractFunctionReturnType,
  encodeFunctionData,
  type EncodeFunctionDataParameters,
  type GetEventArgs,
  type Hash,
  type Hex,
  isAddressEqual,
  type Log,
  parseEventLogs,
  type ParseEventLogsParameters,
  type ReadContractParameters,
  type TransactionReceipt,
} from "viem";
import { parseAccount } from "viem/accounts";
import { call, estimateGas, readContract, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { addressesFor } from "../addresses.ts";
import { AccountMissingError, EventMissingError, TransactionRevertedError } from "../baseErrors.ts";
import { decodeError, withContractErrors } from "../decodeError.ts";
import type { ContractAddresses } from "../protocol/documents.ts";
import { gasWithRoom } from "./gas.ts";

/** Singletons' addresses; what they are asked about is in the rest of the arguments. */
export interface Addressed {
  readonly addresses: Readonly<ContractAddresses>;
}

/** Arguments of an action that has a client, from whose chain the addresses follow if they are not given. */
export type ClientArgs<Args> = Omit<Args, "addresses"> & { readonly addresses?: Readonly<ContractAddresses> };

/** At which state a read looks; the latest if not said. */
export interface ReadOptions {
  readonly blockNumber?: bigint;
}

export type ReadArgs<Args> = ClientArgs<Args & Addressed> & ReadOptions;

type Viewing = "view" | "pure";
type ViewName<abi extends Abi> = ContractFunctionName<abi, Viewing>;

/** A view of a contract before it is asked. */
export interface View<abi extends Abi, name extends ViewName<abi>> {
  readonly address: Address;
  readonly abi: abi;
  readonly functionName: name;
  readonly args: ContractFunctionArgs<abi, Viewing, name>;
}

/** The view of a contract's function. */
export const viewOf = <const abi extends Abi, name extends ViewName<abi>>(
  address: Address,
  abi: abi,
  functionName: name,
  args: ContractFunctionArgs<abi, Viewing, name>,
): View<abi, name> => ({ address, abi, functionName, args });

/** A time of a contract's that may be one that nobody knows yet: the last of its 48 bits is Infinity. */
export const timeOrNever = (time: number): number => (time === 2 ** 48 - 1 ? Number.POSITIVE_INFINITY : time);

/** @throws ContractError where the contract refuses */
export type Read<Args, Result> = (client: Client, args: ClientArgs<Args> & ReadOptions) => Promise<Result>;

/** What a read says of itself. */
export interface ReadDefinition<Args, abi extends Abi, name extends ViewName<abi>, Result> {
  /** Whether it asks a singleton, whose address may follow from the client's chain. */
  readonly addressed: boolean;
  readonly view: (args: Args) => View<abi, name>;
  /** Left out where the answer is what the contract returns. */
  readonly present?: (value: ContractFunctionReturnType<abi, Viewing, name>) => Result;
}

export function defineRead<
  Args,
  const abi extends Abi,
  name extends ViewName<abi>,
  Result = ContractFunctionReturnType<abi, Viewing, name>,
>({ addressed, view, present }: ReadDefinition<Args, abi, name, Result>): Read<Args, Result> {
  return async (client, args) => {
    const located = addressed ? { ...args, addresses: addressesFor(client, args.addresses) } : args;
    const { blockNumber } = args;
    const asked = {
      ...view(located as unknown as Args),
      ...(blockNumber === undefined ? {} : { blockNumber }),
    } as unknown as ReadContractParameters<abi, name>;
    const value = (await withContractErrors(readContract(client, asked))) as ContractFunctionReturnType<
      abi,
      Viewing,
      name
    >;
    return present ? present(value) : (value as Result);
  };
}

/** A contract call before it is sent: for `sendCalls` (EIP-5792), multicall, gas estimation and `propose` alike. */
export interface Call {
  readonly to: Address;
  /** The same as `to`, under the name that multicall reads. */
  readonly address: Address;
  readonly data: Hex;
  /** Coins that go along, in wei; left out where none do. */
  readonly value?: bigint;
  readonly abi: Abi;
  readonly functionName: string;
  readonly args: readonly unknown[];
}

/** The call of a contract's function. @param value coins that go along, in wei */
export function callOf<
  const abi extends Abi,
  name extends ContractFunctionName<abi, "nonpayable" | "payable">,
  args extends ContractFunctionArgs<abi, "nonpayable" | "payable", name>,
>(to: Address, abi: abi, functionName: name, args: args, value?: bigint): Call {
  const data = encodeFunctionData({ abi, functionName, args } as unknown as EncodeFunctionDataParameters);
  const content = { to, address: to, data, abi, functionName, args: args as readonly unknown[] };
  return value === undefined ? content : { ...content, value };
}

/** How a transaction is sent; what is left out is estimated, gas with room ({@link gasWithRoom}). */
export interface TransactionOptions {
  readonly account?: Account | Address;
  readonly nonce?: number;
  readonly gas?: bigint;
  readonly maxFeePerGas?: bigint;
  readonly maxPriorityFeePerGas?: bigint;
}

export interface SyncOptions {
  /** Blocks that must confirm the transaction, its own included. Default 1. */
  readonly confirmations?: number;
  /** Milliseconds to wait for it. */
  readonly timeout?: number;
  readonly pollingInterval?: number;
}

export type WriteArgs<Args> = ClientArgs<Args> & TransactionOptions;

/** What a transaction's logs are read from. */
export type ReceiptLike = Pick<TransactionReceipt, "logs"> | { readonly logs: readonly Log[] };

export interface Write<Args, Result, Event> {
  /** Whether it takes `addresses`. */
  readonly addressed: boolean;
  /** Sends the transaction. @throws ContractError where estimating gas shows that it would revert */
  (client: Client, args: WriteArgs<Args>): Promise<Hash>;
  /** What would be sent. */
  readonly call: (args: Args) => Call;
  /** Runs it without sending. @throws ContractError */
  readonly simulate: (
    client: Client,
    args: WriteArgs<Args>,
  ) => Promise<{ readonly result: Result; readonly call: Call }>;
  /** Sends it and waits until it is mined. @throws ContractError, TransactionRevertedError */
  readonly sync: (
    client: Client,
    args: WriteArgs<Args> & SyncOptions,
  ) => Promise<{ readonly receipt: TransactionReceipt; readonly event: Event }>;
  /**
   * The event that a transaction of this kind leaves, whoever wrote it: give it the logs of the contract's own address alone where
   * that calls contracts of others, as `sync` does. @throws EventMissingError
   */
  readonly extractEvent: (receipt: ReceiptLike) => Event;
}

/** What an action says of itself. */
export interface WriteDefinition<Args, Result, Event> {
  /** Whether it calls a singleton, whose address may follow from the client's chain. */
  readonly addressed: boolean;
  readonly call: (args: Args) => Call;
  /** From the return data of a simulation. */
  readonly decode: (data: Hex) => Result;
  readonly extractEvent: (receipt: ReceiptLike) => Event;
  /** Calls in it that each may move shares ({@link gasWithRoom}); 1 where it is left out. */
  readonly transfers?: (args: Args) => number;
  /** Completes arguments that follow from the sender. */
  readonly fromSender?: (args: Partial<Args>, sender: Address) => Partial<Args>;
}

/** Who sends or signs: the account that is given, else the client's. @throws AccountMissingError */
export function signerOf(client: Client, given?: Account | Address): Account {
  const account = given ?? client.account;
  if (!account) throw new AccountMissingError();
  return parseAccount(account);
}

/** What of a call the chain sees. */
const sentOf = ({ to, data, value }: Call) => ({ to, data, value });

/** Return data of an action that returns nothing. */
export const nothing = (): undefined => undefined;

export function defineWrite<Args, Result, Event>(
  definition: WriteDefinition<Args, Result, Event>,
): Write<Args, Result, Event> {
  const prepare = (client: Client, args: WriteArgs<Args>) => {
    const account = signerOf(client, args.account);
    const located = definition.addressed ? { ...args, addresses: addressesFor(client, args.addresses) } : args;
    const complete = located as unknown as Args;
    const given = definition.fromSender?.(complete, account.address);
    const call = definition.call(given ? { ...complete, ...given } : complete);
    return { account, call, transfers: definition.transfers?.(complete) };
  };

  const send = async (
    client: Client,
    { account, call: { to, data, value }, transfers }: ReturnType<typeof prepare>,
    args: TransactionOptions,
  ) => {
    const gas =
      args.gas ?? gasWithRoom(await withContractErrors(estimateGas(client, { account, to, data, value })), transfers);
    return withContractErrors(
      sendTransaction(client, {
        account,
        chain: client.chain ?? null,
        to,
        data,
        value,
        nonce: args.nonce,
        gas,
        maxFeePerGas: args.maxFeePerGas,
        maxPriorityFeePerGas: args.maxPriorityFeePerGas,
      }),
    );
  };

  const write = async (client: Client, args: WriteArgs<Args>): Promise<Hash> =>
    send(client, prepare(client, args), args);

  return Object.assign(write, {
    addressed: definition.addressed,
    call: definition.call,
    extractEvent: definition.extractEvent,
    async simulate(client: Client, args: WriteArgs<Args>) {
      const prepared = prepare(client, args);
      const { data = "0x" } = await withContractErrors(
        call(client, { account: prepared.account, ...sentOf(prepared.call) }),
      );
      return { result: definition.decode(data), call: prepared.call };
    },
    async sync(client: Client, args: WriteArgs<Args> & SyncOptions) {
      const prepared = prepare(client, args);
      const hash = await send(client, prepared, args);
      const { confirmations = 1, timeout, pollingInterval } = args;
      const receipt = await waitForTransactionReceipt(client, {
        hash,
        confirmations,
        ...(timeout === undefined ? {} : { timeout }),
        ...(pollingInterval === undefined ? {} : { pollingInterval }),
      });
      if (receipt.status === "reverted")
        throw new TransactionRevertedError(hash, await reasonOf(client, prepared, receipt));
      // Contracts that this one calls, a token say, may write what looks like its events.
      const logs = receipt.logs.filter(({ address }) => isAddressEqual(address, prepared.call.to));
      return { receipt, event: definition.extractEvent({ logs }) };
    },
  });
}

/** Why a mined transaction reverted: the same call on the state before its block, which is nearly always the state it met. */
async function reasonOf(
  client: Client,
  prepared: { readonly account: Account; readonly call: Call },
  receipt: TransactionReceipt,
): Promise<unknown> {
  try {
    const blockNumber = receipt.blockNumber - 1n;
    await call(client, { account: prepared.account, ...sentOf(prepared.call), blockNumber });
    return undefined;
  } catch (error) {
    return decodeError(error);
  }
}

/** Arguments of an event, all of them there. */
export type EventArgs<abi extends Abi, name extends ContractEventName<abi>> = GetEventArgs<
  abi,
  name,
  { EnableUnion: false; IndexedOnly: false; Required: true }
>;

/** Arguments of all events of a name in a receipt. */
export function eventsOf<const abi extends Abi, name extends ContractEventName<abi>>(
  receipt: ReceiptLike,
  abi: abi,
  eventName: name,
): readonly EventArgs<abi, name>[] {
  const options = { abi, eventName, logs: receipt.logs } as unknown as ParseEventLogsParameters;
  const logs = parseEventLogs(options) as unknown as readonly { readonly args: EventArgs<abi, name> }[];
  return logs.map((log) => log.args);
}

/** Arguments of the last event of a name in a receipt; undefined without one. */
export const findEvent = <const abi extends Abi, name extends ContractEventName<abi>>(
  receipt: ReceiptLike,
  abi: abi,
  eventName: name,
): EventArgs<abi, name> | undefined => eventsOf(receipt, abi, eventName).at(-1);

/** The same, of an event that must be there. @throws EventMissingError */
export function eventOf<const abi extends Abi, name extends ContractEventName<abi>>(
  receipt: ReceiptLike,
  abi: abi,
  eventName: name,
): EventArgs<abi, name> {
  const event = findEvent(receipt, abi, eventName);
  if (event === undefined) throw new EventMissingError(eventName);
  return event;
}
