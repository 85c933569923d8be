/**
 * How a life of a model is lived: through the SDK with viem, through the SDK with a signer of ethers, or by Foundry's cast, which
 * encodes, signs, sends, reads and hashes by itself and has of the SDK the names of functions alone.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { JsonRpcProvider, Wallet } from "ethers";
import type { Call, Write } from "@cotrain/sdk/actions";
import { fromEthersSigner } from "@cotrain/sdk/ethers";
import {
  domainFor,
  rewardKind,
  type RewardLeaf,
  rewardTree,
  type RewardTreeOf,
  type Struct,
  type StructName,
  typedDataOf,
} from "@cotrain/sdk/protocol";
import {
  type Abi,
  type AbiFunction,
  type AbiParameter,
  type Account,
  type Address,
  type Chain,
  type Client,
  createClient,
  getTypesForEIP712Domain,
  type Hex,
  http,
  toFunctionSignature,
  type Transport,
} from "viem";
import { readContract } from "viem/actions";

import type { ClientsNode, Holder } from "./node.ts";

/** A tree of two leaves: its root, what it pays, and each leaf's proof. */
interface Tree {
  readonly root: Hex;
  readonly total: bigint;
  readonly proofs: readonly Hex[][];
}

export interface Hands {
  /** Sends what a write of the SDK is, and waits for it. @throws where it reverts */
  readonly send: <Args>(from: Holder, write: Write<Args, unknown, unknown>, args: Args) => Promise<void>;
  /** Asks a view; answers the words of which its answer consists. */
  readonly ask: (address: Address, abi: Abi, functionName: string, args: readonly unknown[]) => Promise<string[]>;
  readonly sign: <N extends StructName>(by: Holder, contract: Address, name: N, struct: Struct<N>) => Promise<Hex>;
  readonly tree: (of: RewardTreeOf, leaves: readonly [RewardLeaf, RewardLeaf]) => Promise<Tree>;
  readonly close: () => void;
}

/** For JSON, which has no whole numbers of that size. */
const textual = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

const POLL = 100;

/** The words of what a view answers, one after the other. */
const wordsOf = (value: unknown): string[] =>
  typeof value === "object" && value !== null ? Object.values(value).flatMap(wordsOf) : [String(value)];

/** Through the SDK, whoever makes its clients. */
function sdkHands(
  { url, chainId }: ClientsNode,
  clientOf: (
    holder: Holder,
  ) => Client<Transport, Chain | undefined, Account> | Promise<Client<Transport, Chain | undefined, Account>>,
  close: () => void = () => undefined,
): Hands {
  const reader = createClient({ transport: http(url), cacheTime: 0 });
  return {
    send: async (from, write, args) => {
      await write.sync(await clientOf(from), args as never);
    },
    ask: async (address, abi, functionName, args) =>
      wordsOf(await readContract(reader, { address, abi, functionName, args })),
    sign: (by, contract, name, struct) => by.signTypedData(typedDataOf(domainFor(chainId, contract), name, struct)),
    tree: (of, leaves) => {
      const tree = rewardTree(of, leaves);
      const proofs = leaves.map(({ account }) => tree.proofOf(account)!.proof);
      return Promise.resolve({ root: tree.root, total: tree.total, proofs });
    },
    close,
  };
}

export const viemHands = (node: ClientsNode): Hands =>
  sdkHands(node, (account) =>
    createClient({ account, transport: http(node.url), pollingInterval: POLL, cacheTime: 0 }),
  );

export function ethersHands(node: ClientsNode): Hands {
  const provider = new JsonRpcProvider(node.url, node.chainId, {
    staticNetwork: true,
    cacheTimeout: -1,
    pollingInterval: POLL,
  });
  const hands = sdkHands(
    node,
    ({ key }) => fromEthersSigner(new Wallet(key, provider), { pollingInterval: POLL }),
    () => provider.destroy(),
  );
  return {
    ...hands,
    sign: async ({ key }, contract, name, struct) => {
      const { domain, types, message } = typedDataOf(domainFor(node.chainId, contract), name, struct);
      const own = types as unknown as Record<string, { name: string; type: string }[]>;
      return (await new Wallet(key).signTypedData(domain, own, message)) as Hex;
    },
  };
}

/** A value as cast reads it: lists in brackets, structs in parentheses, by the order of their members. */
function textOf(parameter: AbiParameter, value: unknown): string {
  const list = /^(.*)\[\d*\]$/.exec(parameter.type);
  if (list) {
    const item = { ...parameter, type: list[1] ?? "" };
    return `[${(value as readonly unknown[]).map((each) => textOf(item, each)).join(",")}]`;
  }
  if (!("components" in parameter)) return String(value);
  const members = value as Readonly<Record<string, unknown>>;
  return `(${parameter.components.map((each) => textOf(each, members[each.name ?? ""])).join(",")})`;
}

/** A type as signatures have it. */
const typeOf = (parameter: AbiParameter): string =>
  "components" in parameter
    ? `(${parameter.components.map(typeOf).join(",")})${parameter.type.slice("tuple".length)}`
    : parameter.type;

/** A function of a contract, of which there is one of its name. */
function functionOf(abi: Abi, functionName: string): AbiFunction {
  const found = abi.filter((item): item is AbiFunction => item.type === "function" && item.name === functionName);
  if (found.length !== 1) throw new TypeError(`the contract has one ${functionName}`);
  return found[0]!;
}

/** A function as cast is told of it, and its arguments. */
function toldTo(abi: Abi, functionName: string, args: readonly unknown[]): string[] {
  const item = functionOf(abi, functionName);
  return [toFunctionSignature(item), ...item.inputs.map((input, i) => textOf(input, args[i]))];
}

/** @param cast the program */
export function castHands({ url, chainId }: ClientsNode, cast: string): Hands {
  const run = async (...args: string[]): Promise<string> => {
    // It reads settings from the directory and from variables; here are none.
    const options = { cwd: "/", env: { HOME: "/nonexistent" }, maxBuffer: 2 ** 24 };
    const { stdout } = await promisify(execFile)(cast, args, options);
    return stdout.trim();
  };
  const rpc = ["--rpc-url", url] as const;
  const leafOf = async ({ modelId, index, kind }: RewardTreeOf, { account, amount }: RewardLeaf): Promise<Hex> => {
    const values = [kind ?? rewardKind.compute, modelId, index, account, amount].map(String);
    const encoded = await run("abi-encode", "f(uint8,bytes32,uint64,address,uint256)", ...values);
    return (await run("keccak", await run("keccak", encoded))) as Hex;
  };
  return {
    send: async (from, write, args) => {
      const { to, abi, functionName, args: values, value }: Call = write.call(args);
      const payment = value === undefined ? [] : ["--value", String(value)];
      const told = toldTo(abi, functionName, values);
      // As `gasWithRoom` of the SDK: the node estimates with the newest block's clock, and a new second is a new checkpoint of votes.
      const estimate = await run("estimate", ...rpc, "--from", from.address, ...payment, to, ...told);
      const gas = (BigInt(estimate) * 5n) / 4n + 75_000n;
      const signed = ["--private-key", from.key, "--poll-interval", "1", "--json", "--gas-limit", String(gas)];
      const receipt = await run("send", ...rpc, ...signed, ...payment, to, ...told);
      if ((JSON.parse(receipt) as { status: string }).status !== "0x1") throw new TypeError(`${functionName} reverted`);
    },
    ask: async (address, abi, functionName, args) => {
      const [signature = "", ...values] = toldTo(abi, functionName, args);
      const { outputs } = functionOf(abi, functionName);
      const answer = await run("call", ...rpc, address, `${signature}(${outputs.map(typeOf).join(",")})`, ...values);
      // A number is followed by its power of ten.
      return answer
        .replaceAll(/ \[[\d.e]+\]/g, "")
        .split(/[\s,()]+/)
        .filter((word) => word !== "");
    },
    sign: async ({ key }, contract, name, struct) => {
      const { types, ...rest } = typedDataOf(domainFor(chainId, contract), name, struct);
      const all = { EIP712Domain: getTypesForEIP712Domain({ domain: rest.domain }), ...types };
      const data = JSON.stringify({ ...rest, types: all }, textual);
      return (await run("wallet", "sign", "--private-key", key, "--data", data)) as Hex;
    },
    tree: async (of, leaves) => {
      const hashes = await Promise.all(leaves.map((leaf) => leafOf(of, leaf)));
      const [low = "", high = ""] = hashes.toSorted();
      const root = (await run("keccak", `0x${low.slice(2)}${high.slice(2)}`)) as Hex;
      return { root, total: leaves[0].amount + leaves[1].amount, proofs: [[hashes[1]!], [hashes[0]!]] };
    },
    close: () => undefined,
  };
}
