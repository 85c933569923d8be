/**
 * @cotrain/sdk/ethers: all actions for applications built on ethers v6. A signer or provider of ethers becomes a viem client;
 * the signer goes on signing and its provider goes on talking to the node. (`abis` and every write's `call` work with ethers
 * as they are: `new Contract(address, modelGovernorAbi, signer)`, `signer.sendTransaction({ to, data })`.)
 */
import type { JsonRpcApiProvider, Provider, Signer, TransactionRequest, TypedDataField } from "ethers";
import {
  type Account,
  type Chain,
  type Client,
  createClient,
  custom,
  type CustomTransport,
  type Hex,
  hexToBytes,
} from "viem";
import { CotrainError } from "./baseErrors.ts";

export interface FromEthersOptions {
  /** Lets actions find a published deployment; else pass `addresses`. */
  readonly chain?: Chain;
  /** Milliseconds between looks for a receipt; viem's default if not said. */
  readonly pollingInterval?: number;
}

type Request = { readonly method: string; readonly params?: unknown };

/** A provider that speaks JSON-RPC: JsonRpcProvider, BrowserProvider, WebSocketProvider and the like. */
function rpcOf(provider: Provider | null): JsonRpcApiProvider {
  if (provider !== null && "send" in provider && typeof provider.send === "function")
    return provider as JsonRpcApiProvider;
  throw new CotrainError(
    "PROVIDER_UNSUPPORTED",
    provider === null
      ? "The ethers signer has no provider; connect it to one."
      : "The ethers provider does not speak JSON-RPC; use JsonRpcProvider, BrowserProvider or WebSocketProvider.",
  );
}

/** ethers wraps a node's error into one of its own; viem wants the node's. */
function nodeError(error: unknown): unknown {
  if (typeof error !== "object" || error === null) return error;
  const { info, error: inner } = error as { readonly info?: { readonly error?: unknown }; readonly error?: unknown };
  return info?.error ?? inner ?? error;
}

/** Numbers of a JSON-RPC transaction to ethers' names. */
function transactionOf(request: Readonly<Record<string, unknown>>): TransactionRequest {
  const { gas, ...rest } = request;
  return { ...rest, ...(gas === undefined ? {} : { gasLimit: gas as string }) };
}

/** What the signer answers itself; undefined for what is the provider's. */
function signed(signer: Signer, { method, params }: Request): Promise<unknown> | undefined {
  const [first, second] = (params ?? []) as readonly unknown[];
  switch (method) {
    case "eth_accounts":
    case "eth_requestAccounts":
      return signer.getAddress().then((address) => [address]);
    case "eth_sendTransaction":
      return signer
        .sendTransaction(transactionOf(first as Readonly<Record<string, unknown>>))
        .then((response) => response.hash);
    case "personal_sign":
      return signer.signMessage(hexToBytes(first as Hex));
    case "eth_signTypedData_v4": {
      const { domain, types, message } = JSON.parse(second as string) as {
        readonly domain: Record<string, string | number>;
        readonly types: Record<string, TypedDataField[]>;
        readonly message: Record<string, unknown>;
      };
      const own = Object.fromEntries(Object.entries(types).filter(([name]) => name !== "EIP712Domain"));
      return signer.signTypedData(domain, own, message);
    }
    default:
      return undefined;
  }
}

function transportOf(provider: JsonRpcApiProvider, signer?: Signer) {
  return custom({
    async request(request: Request) {
      try {
        const params = (request.params ?? []) as unknown[];
        return await ((signer && signed(signer, request)) ?? provider.send(request.method, params));
      } catch (error) {
        throw nodeError(error);
      }
    },
  });
}

const settings = ({ chain, pollingInterval }: FromEthersOptions) => ({
  ...(chain ? { chain } : {}),
  ...(pollingInterval === undefined ? {} : { pollingInterval }),
});

/**
 * A client for reads.
 * @example const head = await headOf(fromEthersProvider(new JsonRpcProvider(url)), { addresses, runId })
 * @throws CotrainError PROVIDER_UNSUPPORTED
 */
export function fromEthersProvider(provider: Provider, options: FromEthersOptions = {}): Client<CustomTransport> {
  return createClient({ transport: transportOf(rpcOf(provider)), ...settings(options) }) as Client<CustomTransport>;
}

/**
 * A client for reads and writes that the signer signs and its provider sends.
 * @example await claim.sync(await fromEthersSigner(signer), { addresses, modelId, beneficiary, index, amount, proof })
 * @throws CotrainError PROVIDER_UNSUPPORTED
 */
export async function fromEthersSigner(
  signer: Signer,
  options: FromEthersOptions = {},
): Promise<Client<CustomTransport, Chain | undefined, Account>> {
  const provider = rpcOf(signer.provider);
  const account = (await signer.getAddress()) as Hex;
  return createClient({ account, transport: transportOf(provider, signer), ...settings(options) }) as Client<
    CustomTransport,
    Chain | undefined,
    Account
  >;
}
