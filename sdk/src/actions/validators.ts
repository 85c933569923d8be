/** ValidatorSet: who signs for a model, and who maintains its code. */
import { type Address, type Client, concatHex, decodeFunctionResult, type Hex } from "viem";
import { validatorSetAbi } from "../abis/index.ts";
import {
  type Addressed,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  nothing,
  type ReadArgs,
  timeOrNever,
  viewOf,
} from "./action.ts";

export interface SetValidatorsArgs extends Addressed {
  readonly modelId: Hex;
  /** Newest set (`newestSetVersion`), in force or not, on which the decision is made: of two such decisions the first holds. */
  readonly replaces: number;
  /** Strictly ascending. */
  readonly validators: readonly Address[];
  readonly threshold: number;
}

/**
 * Chooses the next set, which counts after one full window; the timelock's to send.
 * @throws ValidatorSetReplacedError where another was chosen meanwhile; ValidatorSetNoConsentError where who comes did not say so
 */
export const setValidators = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, replaces, validators, threshold }: SetValidatorsArgs) =>
    callOf(addresses.validatorSet, validatorSetAbi, "setValidators", [modelId, replaces, validators, threshold]),
  decode: (data) => decodeFunctionResult({ abi: validatorSetAbi, functionName: "setValidators", data }),
  extractEvent: (receipt) => eventOf(receipt, validatorSetAbi, "ValidatorsSet"),
});

/** Says whether the sender may be taken into the next set that it is not in yet, for this one time: a set holds its members' stake. */
export const consentAsValidator = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, consents }: Addressed & { readonly modelId: Hex; readonly consents: boolean }) =>
    callOf(addresses.validatorSet, validatorSetAbi, "consent", [modelId, consents]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, validatorSetAbi, "ValidatorConsent"),
});

/** Whether an account may be taken into the next set that it is not in yet. */
export const hasConsented = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, account }: Addressed & { readonly modelId: Hex; readonly account: Address }) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "hasConsented", [modelId, account]),
});

/** Version of the set in force; 0 for a model that does not exist. */
export const currentSetVersion = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: { readonly modelId: Hex } & Addressed) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "currentVersion", [modelId]),
});

/** Version of the set that was chosen last, in force or not; 0 for a model that does not exist. */
export const newestSetVersion = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: { readonly modelId: Hex } & Addressed) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "latestVersion", [modelId]),
});

/**
 * Until when an account is a validator, chain seconds, past or to come: from then on sets without it are in force. Undefined for
 * one that never was, Infinity for one of the newest set.
 */
export const validatorUntil = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, account }: Addressed & { readonly modelId: Hex; readonly account: Address }) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "memberUntil", [modelId, account]),
  present: (time): number | undefined => (time === 0 ? undefined : timeOrNever(time)),
});

export interface ValidatorSet {
  readonly version: number;
  /** Ascending. */
  readonly validators: readonly Address[];
  /** Signatures needed. */
  readonly threshold: number;
  /** From when on the set counts, chain seconds. */
  readonly effectiveAt: number;
}

const setOfVersion = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, version }: Addressed & { readonly modelId: Hex; readonly version: number }) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "setOf", [modelId, version]),
});

/** A set; the one in force if no version is given. @throws ValidatorSetUnknownVersionError */
export async function setOf(
  client: Client,
  args: ReadArgs<{ readonly modelId: Hex; readonly version?: number }>,
): Promise<ValidatorSet> {
  const version = args.version ?? (await currentSetVersion(client, args));
  const [validators, threshold, effectiveAt] = await setOfVersion(client, { ...args, version });
  return { version, validators, threshold, effectiveAt };
}

export interface SetMaintainersArgs extends Addressed {
  readonly modelId: Hex;
  /** Newest set (`newestMaintainers`) on which the decision is made; 0 where there is none. */
  readonly replaces: number;
  /** Strictly ascending. */
  readonly maintainers: readonly Address[];
  readonly threshold: number;
}

/**
 * Chooses the next set of maintainers, which counts after one full window; the timelock's to send.
 * @throws ValidatorSetReplacedError where another was chosen meanwhile
 */
export const setMaintainers = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, replaces, maintainers, threshold }: SetMaintainersArgs) =>
    callOf(addresses.validatorSet, validatorSetAbi, "setMaintainers", [modelId, replaces, maintainers, threshold]),
  decode: (data) => decodeFunctionResult({ abi: validatorSetAbi, functionName: "setMaintainers", data }),
  extractEvent: (receipt) => eventOf(receipt, validatorSetAbi, "MaintainersSet"),
});

/** Version of the maintainers in force; 0 for none. */
export const currentMaintainers = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: { readonly modelId: Hex } & Addressed) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "currentMaintainers", [modelId]),
});

/** Version of the maintainers that were chosen last, in force or not; 0 for none. */
export const newestMaintainers = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId }: { readonly modelId: Hex } & Addressed) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "latestMaintainers", [modelId]),
});

/** A set of maintainers. @throws ValidatorSetUnknownVersionError */
export const maintainersOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, version }: { readonly modelId: Hex; readonly version: number } & Addressed) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "maintainersOf", [modelId, version]),
  present: ([maintainers, threshold, effectiveAt]) => ({ maintainers, threshold, effectiveAt }),
});

/** How many members of a set signed a digest. @throws ValidatorSetBadSignerError */
export const countSigners = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({
    addresses,
    modelId,
    version,
    digest,
    signatures,
  }: Addressed & {
    readonly modelId: Hex;
    readonly version: number;
    readonly digest: Hex;
    /** By ascending signer. */
    readonly signatures: readonly Hex[];
  }) =>
    viewOf(addresses.validatorSet, validatorSetAbi, "countSigners", [modelId, version, digest, concatHex(signatures)]),
  present: ([count, size]) => ({ count: Number(count), size: Number(size) }),
});
