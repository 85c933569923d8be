/** Bootstrap: when a young model's is over, and what its organiser announces and does until then. */
import { type Address, decodeFunctionResult, encodeAbiParameters, type Hex, keccak256, zeroHash } from "viem";
import { bootstrapAbi, computeRewardsAbi } from "../abis/index.ts";
import {
  type Addressed,
  type Call,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  findEvent,
  nothing,
  viewOf,
} from "./action.ts";
import { narrowed } from "./eventQueries.ts";
import type { ModelArgs } from "./models.ts";

/** Address of Bootstrap. */
export const bootstrapOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.computeRewards, computeRewardsAbi, "bootstrap", []),
});

export interface BootstrapArgs extends ModelArgs {
  /** Address of Bootstrap: `bootstrapOf`. */
  readonly bootstrap: Address;
}

/** Ends a model's bootstrap once its terms are met; anyone may. Where it has ended it leaves no event. */
export const endBootstrap = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ bootstrap, modelId }: BootstrapArgs) => callOf(bootstrap, bootstrapAbi, "end", [modelId]),
  decode: nothing,
  extractEvent: (receipt) => findEvent(receipt, bootstrapAbi, "BootstrapEnded"),
});

/**
 * When a model's bootstrap is over: shares claimed at the least, in wei, and epochs; and after how many epochs, whatever was claimed.
 * `endedAt` is 0 while it is not, else chain seconds.
 */
export const bootstrapTerms = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, modelId }: BootstrapArgs) => viewOf(bootstrap, bootstrapAbi, "termsOf", [modelId]),
});

/** What workers must have claimed by now for its end: the terms' shares, or two quorums where that is more, in share wei. */
export const bootstrapNeeded = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, modelId }: BootstrapArgs) => viewOf(bootstrap, bootstrapAbi, "neededOf", [modelId]),
});

/** What workers have claimed, as Bootstrap counts it, in share wei. */
export const bootstrapClaimed = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, modelId }: BootstrapArgs) => viewOf(bootstrap, bootstrapAbi, "claimedOf", [modelId]),
});

export interface ActArgs extends BootstrapArgs {
  /** What is done and where: the `call` of `setValidators`, `setMaintainers`, `setPoster`, `admitBuild`, `registerRun` or `setStatus` that finishes, or opens a paused run. */
  readonly act: Pick<Call, "to" | "data">;
}

/**
 * Says what the organiser will do one window later; the organiser's to send, in bootstrap. One act stands at a time of each function
 * and of the run or model that it concerns.
 * @example
 * const act = setPoster.call({ addresses, runId, poster })
 * const { event } = await announceAct.sync(organiser, { bootstrap, modelId, act })
 * await carryOutAct.sync(organiser, { bootstrap, modelId, act }) // once event.readyAt is past
 * @throws BootstrapActRefusedError, BootstrapActStandsError, BootstrapOverError, BootstrapNotOrganiserError
 */
export const announceAct = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ bootstrap, modelId, act }: ActArgs) =>
    callOf(bootstrap, bootstrapAbi, "announce", [modelId, act.to, act.data]),
  /** From when on it may be done, chain seconds. */
  decode: (data) => decodeFunctionResult({ abi: bootstrapAbi, functionName: "announce", data }),
  extractEvent: (receipt) => eventOf(receipt, bootstrapAbi, "ActAnnounced"),
});

/** Takes an announcement back; the organiser's to send. @throws BootstrapNotAnnouncedError */
export const withdrawAct = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ bootstrap, modelId, act }: ActArgs) =>
    callOf(bootstrap, bootstrapAbi, "withdraw", [modelId, act.to, act.data]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, bootstrapAbi, "ActWithdrawn"),
});

/**
 * Does what was announced a window ago, and less than 21 days before that; the organiser's to send, in bootstrap.
 * @throws BootstrapTooEarlyError, BootstrapNotAnnouncedError, BootstrapExpiredError, BootstrapOverError; what the act itself throws
 */
export const carryOutAct = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ bootstrap, modelId, act }: ActArgs) =>
    callOf(bootstrap, bootstrapAbi, "carryOut", [modelId, act.to, act.data]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, bootstrapAbi, "ActCarriedOut"),
});

export interface RequireVotableArgs {
  /** Address of Bootstrap: `bootstrapOf`. */
  readonly bootstrap: Address;
  readonly calls: readonly Pick<Call, "to" | "data" | "value">[];
}

/**
 * Holds calls to what a model's votes may do by now; `simulate` it with the model's governor as the account, which asks the same of
 * each proposal.
 * @throws BootstrapVoteRefusedError
 */
export const requireVotable = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ bootstrap, calls }: RequireVotableArgs) =>
    callOf(bootstrap, bootstrapAbi, "requireVotable", [
      calls.map(({ to }) => to),
      calls.map(({ value = 0n }) => value),
      calls.map(({ data }) => data),
    ]),
  decode: nothing,
  extractEvent: (receipt) => findEvent(receipt, bootstrapAbi, "BootstrapEnded"),
});

/** What names an act of a model's organiser, as Bootstrap's `actOf` has it. */
export const actNameOf = ({ modelId, act }: Pick<ActArgs, "modelId" | "act">): Hex =>
  keccak256(
    encodeAbiParameters([{ type: "bytes32" }, { type: "address" }, { type: "bytes" }], [modelId, act.to, act.data]),
  );

/** From when on what an organiser announced may be done, chain seconds; undefined where it is not announced, was withdrawn or is done. */
export const announcedAct = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, ...args }: ActArgs) => viewOf(bootstrap, bootstrapAbi, "readyAtOf", [actNameOf(args)]),
  present: (readyAt): number | undefined => (readyAt === 0 ? undefined : readyAt),
});

/** What names the act that stands where this one would be announced, or stood there until it expired; undefined for none. */
export const standingAct = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ bootstrap, modelId, act }: ActArgs) =>
    viewOf(bootstrap, bootstrapAbi, "standingOf", [modelId, act.to, act.data]),
  present: (act): Hex | undefined => (act === zeroHash ? undefined : act),
});

interface ActsQuery {
  readonly bootstrap: Address;
  /** Of this model; of all where it is left out. */
  readonly modelId?: Hex;
}

/** Acts that organisers announced, as a query for logs: of one model, or of all. */
export const actAnnounced = ({ bootstrap, modelId }: ActsQuery) => ({
  address: bootstrap,
  abi: bootstrapAbi,
  eventName: "ActAnnounced" as const,
  args: narrowed({ modelId }),
});

/** Acts that organisers took back. */
export const actWithdrawn = ({ bootstrap, modelId }: ActsQuery) => ({
  address: bootstrap,
  abi: bootstrapAbi,
  eventName: "ActWithdrawn" as const,
  args: narrowed({ modelId }),
});

/** Acts that organisers carried out. */
export const actCarriedOut = ({ bootstrap, modelId }: ActsQuery) => ({
  address: bootstrap,
  abi: bootstrapAbi,
  eventName: "ActCarriedOut" as const,
  args: narrowed({ modelId }),
});
