/** ComputeRewards: roots of what epochs earned, their window, claims. */
import { type Address, type Client, concatHex, decodeFunctionResult, type Hex } from "viem";
import { computeRewardsAbi } from "../abis/index.ts";
import { rewardKind } from "../protocol/codes.ts";
import type { Attestation, ClaimTo } from "../protocol/typedData.ts";
import {
  type Addressed,
  callOf,
  type ClientArgs,
  defineRead,
  defineWrite,
  eventOf,
  eventsOf,
  findEvent,
  nothing,
  viewOf,
} from "./action.ts";
import type { ModelArgs } from "./models.ts";

/** A model's roots of one kind. */
export interface RootsArgs extends ModelArgs {
  /** What is paid for, of `rewardKind`; compute if not said. */
  readonly kind?: number;
}

const kindOf = ({ kind }: { readonly kind?: number }): number => kind ?? rewardKind.compute;

export interface PostRootArgs extends Addressed {
  readonly attestation: Attestation;
  /** By ascending signer. */
  readonly signatures: readonly Hex[];
  /** The bond that is due after a root that failed, in wei, or more: `bondOf` says whether; none if not said. The rest is credited. */
  readonly bond?: bigint;
}

/**
 * Posts a root for its window; anyone may, with enough signatures, and after a root that failed with a bond, which comes back when
 * this one is activated.
 * @throws DisputesBondTooLowError where a higher bond is due
 */
export const postRoot = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, attestation, signatures, bond }: PostRootArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "postRoot", [attestation, concatHex(signatures)], bond),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "RootPosted"),
});

export interface ActivateRootArgs extends Addressed {
  /** What was posted: the event `rootPosted` has it. */
  readonly attestation: Attestation;
}

/** Activates the pending root after its window and mints its total; anyone may. */
export const activateRoot = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, attestation }: ActivateRootArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "activate", [attestation]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "RootActivated"),
});

/** What one active root grants an account; a coordinator's `reward` answers these. */
export interface ClaimLeaf {
  /** The root's number. */
  readonly index: number;
  /** What the account earned in the root's epochs, in share wei. */
  readonly amount: bigint;
  readonly proof: readonly Hex[];
}

const leafOf = ({ index, amount, proof }: ClaimLeaf) => ({ index: BigInt(index), amount, proof });

export interface ClaimArgs extends RootsArgs, ClaimLeaf, Addressed {
  /** The account that is paid, whoever sends. */
  readonly beneficiary: Address;
}

/** Pays an account what one root grants it; anyone may send. To claim from several roots, `claimMany` costs much less. */
export const claim = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, beneficiary, index, amount, proof, ...roots }: ClaimArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "claim", [
      modelId,
      kindOf(roots),
      beneficiary,
      leafOf({ index, amount, proof }),
    ]),
  /** What is paid. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "claim", data }),
  /** Undefined where the root had paid the account. */
  extractEvent: (receipt) => findEvent(receipt, computeRewardsAbi, "Claimed"),
});

/** What is claimed for one account. */
export interface ClaimItem extends RootsArgs {
  /** The account that is paid, whoever sends. */
  readonly beneficiary: Address;
  readonly leaves: readonly ClaimLeaf[];
}

export interface ClaimManyArgs extends Addressed {
  readonly claims: readonly ClaimItem[];
}

/**
 * Many leaves in one transaction, with one transfer for each account. What had been paid before is passed over.
 * @example
 * const { leaves } = await createCoordinatorClient(url).reward(runId, beneficiary)
 * const earned = leaves.map((leaf) => ({ ...leaf, amount: BigInt(leaf.amount) }))
 * const unpaid = await unpaidLeaves(client, { addresses, modelId, account: beneficiary, leaves: earned })
 * await claimMany.sync(client, { addresses, claims: [{ modelId, beneficiary, leaves: unpaid }] })
 */
export const claimMany = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, claims }: ClaimManyArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "claimMany", [
      claims.map(({ modelId, beneficiary, leaves, ...roots }) => ({
        modelId,
        kind: kindOf(roots),
        account: beneficiary,
        leaves: leaves.map(leafOf),
      })),
    ]),
  /** What is paid for each claim. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "claimMany", data }),
  /** One event for each account that was paid something. */
  extractEvent: (receipt) => eventsOf(receipt, computeRewardsAbi, "Claimed"),
});

export interface ClaimToArgs extends Addressed {
  /** What the account signed; its nonce is `claimNonce`. */
  readonly order: ClaimTo;
  readonly leaves: readonly ClaimLeaf[];
  /** The account's; a contract's as ERC-1271 has it. */
  readonly signature: Hex;
}

/**
 * Pays what an account earned to whom it names by its signature; anyone may send. The order serves until its deadline, or until
 * the account revokes it.
 * @example
 * const order = { modelId, kind: rewardKind.compute, account, to, nonce: await claimNonce(client, { addresses, account }), deadline }
 * const signature = await wallet.signTypedData(typedDataOf(domainFor(chainId, addresses.computeRewards), "ClaimTo", order))
 * await claimTo.sync(client, { addresses, order, leaves, signature })
 */
export const claimTo = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, order, leaves, signature }: ClaimToArgs) =>
    callOf(addresses.computeRewards, computeRewardsAbi, "claimTo", [order, leaves.map(leafOf), signature]),
  /** What is paid. */
  decode: (data) => decodeFunctionResult({ abi: computeRewardsAbi, functionName: "claimTo", data }),
  /** Undefined where all had been paid. */
  extractEvent: (receipt) => findEvent(receipt, computeRewardsAbi, "Claimed"),
});

/** Voids every order for `claimTo` that the sender has signed. */
export const revokeClaimTo = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses }: Addressed) => callOf(addresses.computeRewards, computeRewardsAbi, "revokeClaimTo", []),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, computeRewardsAbi, "ClaimToRevoked"),
});

/** With what an account signs orders for `claimTo`. */
export const claimNonce = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, account }: { readonly account: Address } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "claimNonce", [account]),
});

/** A root that pays. */
export interface ActiveRoot {
  readonly root: Hex;
  /** What it may pay, in share wei. */
  readonly total: bigint;
  /** What it has paid. */
  readonly paid: bigint;
  /** Its number, from 1. */
  readonly index: number;
  /** The last epoch it covers. */
  readonly toEpoch: number;
}

/** The newest active root; undefined before the first. */
export const activeRoot = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "newest", [modelId, kindOf(roots)]),
  present: ([index, toEpoch, root]): ActiveRoot | undefined =>
    index === 0n ? undefined : { ...root, index: Number(index), toEpoch: Number(toEpoch) },
});

/** An active root of any number; undefined where there is none. */
export const rootAt = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, index, ...roots }: RootsArgs & { readonly index: number } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "rootAt", [modelId, kindOf(roots), BigInt(index)]),
  present: (root): Omit<ActiveRoot, "index" | "toEpoch"> | undefined => (BigInt(root.root) === 0n ? undefined : root),
});

/** A root in its window. */
export interface PendingRoot {
  /** Struct hash of its attestation, which the event `rootPosted` tells. */
  readonly digest: Hex;
  readonly index: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
  /** From when on it may be activated, chain seconds; undefined while it is disputed. */
  readonly activatableAt: number | undefined;
  /** When the age of its epochs is judged: its deadline, or that of one before it that failed, chain seconds. */
  readonly asOf: number;
}

/** What a disputed root says in place of a time. */
const FROZEN = 2 ** 48 - 1;

/** The root in its window; undefined without one. */
export const pendingRoot = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, modelId, ...roots }: RootsArgs & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "pending", [modelId, kindOf(roots)]),
  present: ({ activatableAt, ...root }): PendingRoot | undefined =>
    root.index === 0 ? undefined : { ...root, activatableAt: activatableAt === FROZEN ? undefined : activatableAt },
});

/** Which of 256 roots have paid an account: bit i is that of the root 256 × word + i. */
export const paidBits = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({
    addresses,
    modelId,
    account,
    word,
    ...roots
  }: RootsArgs & { readonly account: Address; readonly word: number } & Addressed) =>
    viewOf(addresses.computeRewards, computeRewardsAbi, "paidBits", [modelId, kindOf(roots), account, BigInt(word)]),
});

/** Which word of bits a root's is in. */
const wordOf = (index: number): number => Math.floor(index / 256);

/** Those of an account's leaves that have not been paid: one read for each 256 roots among them. */
export async function unpaidLeaves(
  client: Client,
  {
    leaves,
    ...args
  }: ClientArgs<RootsArgs & { readonly account: Address; readonly leaves: readonly ClaimLeaf[] } & Addressed>,
): Promise<ClaimLeaf[]> {
  const words = [...new Set(leaves.map(({ index }) => wordOf(index)))];
  const bits = new Map(
    await Promise.all(words.map(async (word) => [word, await paidBits(client, { ...args, word })] as const)),
  );
  return leaves.filter(({ index }) => ((bits.get(wordOf(index)) ?? 0n) >> BigInt(index % 256)) % 2n === 0n);
}
