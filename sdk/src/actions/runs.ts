/** RunRegistry: runs, their governed parameters, admitted builds, posters and status. */
import { type Client, decodeFunctionResult, type Hex } from "viem";
import type { Address } from "viem";
import { runRegistryAbi } from "../abis/index.ts";
import type { Digest, ModelId, RunId } from "../protocol/ids.ts";
import type { RunParams } from "../protocol/parameters.ts";
import type { RunBounds } from "../protocol/params.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventOf, nothing, type ReadArgs, viewOf } from "./action.ts";

/** All that a run is registered with; see IRunRegistry.RunConfig. */
export interface RunConfig {
  readonly definition: Hex;
  /** Digest of checkpoint 0's manifest. */
  readonly initialCheckpoint: Hex;
  readonly fragments: number;
  readonly poster: Address;
  readonly builds: readonly Hex[];
  readonly params: RunParams;
  /** Bounds of every parameter, for ever. */
  readonly min: RunParams;
  readonly max: RunParams;
}

export interface RegisterRunArgs extends Addressed {
  readonly modelId: Hex;
  readonly salt: Hex;
  readonly config: RunConfig;
}

/** Registers a run and records its checkpoint 0: the organiser for a model's first run, its timelock for every later one. */
export const registerRun = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, salt, config }: RegisterRunArgs) =>
    callOf(addresses.runRegistry, runRegistryAbi, "registerRun", [modelId, salt, config]),
  decode: (data) => decodeFunctionResult({ abi: runRegistryAbi, functionName: "registerRun", data }) as RunId,
  extractEvent: (receipt) => eventOf(receipt, runRegistryAbi, "RunRegistered"),
});

export interface RunArgs {
  readonly runId: Hex;
}

export interface SetParamsArgs extends Addressed, RunArgs {
  /** Version in force (`currentParamsVersion`), on which the decision is made: of two such decisions the first holds. */
  readonly replaces: number;
  readonly params: RunParams;
}

/**
 * Puts new parameters in force; the timelock's to send, so use it in a proposal.
 * @example propose(client, { governor, calls: [setParams.call({ addresses, runId, replaces, params })], description })
 * @throws RunRegistryParamsReplacedError where others came into force meanwhile
 */
export const setParams = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, replaces, params }: SetParamsArgs) =>
    callOf(addresses.runRegistry, runRegistryAbi, "setParams", [runId, replaces, params]),
  decode: (data) => decodeFunctionResult({ abi: runRegistryAbi, functionName: "setParams", data }),
  extractEvent: (receipt) => eventOf(receipt, runRegistryAbi, "RunParamsSet"),
});

export interface AdmitBuildArgs extends Addressed, RunArgs {
  readonly build: Hex;
  readonly admitted: boolean;
}

/** Admits a build or refuses it from now on; the timelock's to send. */
export const admitBuild = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, build, admitted }: AdmitBuildArgs) =>
    callOf(addresses.runRegistry, runRegistryAbi, "admitBuild", [runId, build, admitted]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, runRegistryAbi, "BuildAdmitted"),
});

export interface SetPosterArgs extends Addressed, RunArgs {
  readonly poster: Address;
}

/** Changes the posting key; the timelock's to send. */
export const setPoster = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, poster }: SetPosterArgs) =>
    callOf(addresses.runRegistry, runRegistryAbi, "setPoster", [runId, poster]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, runRegistryAbi, "PosterSet"),
});

export interface SetStatusArgs extends Addressed, RunArgs {
  /** `runStatus` of the protocol. */
  readonly status: number;
}

/** Pauses, opens or finishes a run; the timelock's to send. */
export const setStatus = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, status }: SetStatusArgs) =>
    callOf(addresses.runRegistry, runRegistryAbi, "setStatus", [runId, status]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, runRegistryAbi, "StatusSet"),
});

/** A run as RunRegistry holds it. */
export interface Run {
  readonly modelId: ModelId;
  /** With which it was registered: its id is `runIdOf` this and the model. */
  readonly salt: Hex;
  readonly definition: Digest;
  readonly poster: Address;
  /** `runStatus` of the protocol. */
  readonly status: number;
  readonly fragments: number;
  /** Number of the latest parameters. */
  readonly version: number;
}

/** @throws RunRegistryUnknownRunError */
export const runOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId }: RunArgs & Addressed) => viewOf(addresses.runRegistry, runRegistryAbi, "runOf", [runId]),
  present: (run): Run => ({ ...run, modelId: run.modelId as ModelId, definition: run.definition as Digest }),
});

/** Number of the latest parameters. @throws RunRegistryUnknownRunError */
export const currentParamsVersion = async (client: Client, args: ReadArgs<RunArgs>): Promise<number> =>
  (await runOf(client, args)).version;

/** Parameters of a version; all zero for one that does not exist. */
export const paramsOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId, version }: RunArgs & { readonly version: number } & Addressed) =>
    viewOf(addresses.runRegistry, runRegistryAbi, "paramsOf", [runId, version]),
  present: (params): RunParams => params,
});

/** The bounds with which the run was registered. */
export const boundsOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId }: RunArgs & Addressed) =>
    viewOf(addresses.runRegistry, runRegistryAbi, "boundsOf", [runId]),
  present: ([min, max]): RunBounds => ({ min, max }),
});

/** Version of the parameters in force at a time (chain seconds); 0 before the run's registration. */
export const versionAt = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId, timestamp }: RunArgs & { readonly timestamp: number } & Addressed) =>
    viewOf(addresses.runRegistry, runRegistryAbi, "versionAt", [runId, timestamp]),
});

/** Whether workers may run this build. */
export const isAdmitted = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId, build }: RunArgs & { readonly build: Hex } & Addressed) =>
    viewOf(addresses.runRegistry, runRegistryAbi, "isAdmitted", [runId, build]),
});

/** The model's run that is not finished; zero without one. */
export const openRunOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: Addressed & { readonly modelId: Hex }) =>
    viewOf(addresses.runRegistry, runRegistryAbi, "openRunOf", [modelId]),
  present: (run) => run as RunId,
});

/** How many runs the model has registered. */
export const runCountOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: { readonly modelId: Hex } & Addressed) =>
    viewOf(addresses.runRegistry, runRegistryAbi, "runCountOf", [modelId]),
});
