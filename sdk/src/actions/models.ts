/** ModelRegistry: creating models and finding their contracts. */
import { type AbiParametersToPrimitiveTypes, type ExtractAbiFunction } from "abitype";
import { type Client, decodeFunctionResult, encodeAbiParameters, getAbiItem, type Hex, keccak256 } from "viem";
import { modelRegistryAbi } from "../abis/index.ts";
import type { ModelContracts, ModelId } from "../protocol/ids.ts";

export type { ModelContracts } from "../protocol/ids.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventOf, type ReadArgs, viewOf } from "./action.ts";

/** All that a model is created from; see IModelRegistry.ModelConfig. Shares in wei, times in seconds. */
export type ModelConfig = AbiParametersToPrimitiveTypes<
  ExtractAbiFunction<typeof modelRegistryAbi, "createModel">["inputs"]
>[0];

export interface CreateModelArgs extends Addressed {
  readonly config: ModelConfig;
  /** Tells the models of one sender apart that are created from the same. */
  readonly salt: Hex;
}

/**
 * Creates a model with its shares, governor and timelock.
 * @example const { event } = await createModel.sync(client, { addresses, config, salt })
 */
export const createModel = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, config, salt }: CreateModelArgs) =>
    callOf(addresses.modelRegistry, modelRegistryAbi, "createModel", [config, salt]),
  decode: (data) => decodeFunctionResult({ abi: modelRegistryAbi, functionName: "createModel", data }) as ModelId,
  extractEvent: (receipt) => eventOf(receipt, modelRegistryAbi, "ModelCreated"),
});

export interface ModelArgs {
  readonly modelId: Hex;
}

/** keccak256(abi.encode(config)): what of a model's terms goes into its id (`modelIdOf`). */
export function modelTermsHash(config: ModelConfig): Hex {
  const [input] = getAbiItem({ abi: modelRegistryAbi, name: "createModel" }).inputs;
  return keccak256(encodeAbiParameters([input], [config]));
}

/** The model's shares, an ERC-20 with votes; the zero address for a model that does not exist. So with the next three. */
export const sharesOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.modelRegistry, modelRegistryAbi, "sharesOf", [modelId]),
});

/** The model's governor. */
export const governorOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.modelRegistry, modelRegistryAbi, "governorOf", [modelId]),
});

/** The timelock that commands the model. */
export const timelockOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.modelRegistry, modelRegistryAbi, "timelockOf", [modelId]),
});

/** Who registers the model's first run. */
export const organiserOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.modelRegistry, modelRegistryAbi, "organiserOf", [modelId]),
});

/** Shares, governor and timelock at once. */
export async function modelContractsOf(client: Client, args: ReadArgs<ModelArgs>): Promise<ModelContracts> {
  const [shares, governor, timelock] = await Promise.all([
    sharesOf(client, args),
    governorOf(client, args),
    timelockOf(client, args),
  ]);
  return { shares, governor, timelock };
}

/** The model's clock: start and lengths in seconds; start 0 for a model that does not exist. */
export const scheduleOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: ModelArgs & Addressed) =>
    viewOf(addresses.modelRegistry, modelRegistryAbi, "scheduleOf", [modelId]),
});

const limits = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.modelRegistry, modelRegistryAbi, "limits", []),
});

/** Bounds of every setting of every model: [minimum, maximum]. */
export const settingLimits = (client: Client, args: ReadArgs<object> = {}) => limits(client, args);
