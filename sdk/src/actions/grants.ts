/** CodeGrants: what authors of code are paid, and who approves it. Emission says where the contract is: `codeGrantsOf`. */
import { type Address, concatHex, decodeFunctionResult, type Hex } from "viem";
import { codeGrantsAbi, emissionAbi } from "../abis/index.ts";
import { rewardKind } from "../protocol/codes.ts";
import type { Grant } from "../protocol/typedData.ts";
import {
  type Addressed,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  eventsOf,
  findEvent,
  nothing,
  viewOf,
} from "./action.ts";

/** Where grants are paid. */
export interface OfGrants {
  /** Address of CodeGrants. */
  readonly grants: Address;
}

/** One grant of a model. */
export interface GrantArgs extends OfGrants {
  readonly modelId: Hex;
  /** `grantIdOf` its terms. */
  readonly id: Hex;
}

/** Where a deployment's grants are paid. */
export const codeGrantsOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses }: Addressed) => viewOf(addresses.emission, emissionAbi, "distributorOf", [rewardKind.code]),
});

export interface ApproveGrantByVoteArgs extends OfGrants {
  /** Its setVersion is 0. */
  readonly grant: Grant;
  /** URL of the repository, of which the grant has the sha256. */
  readonly repository: string;
}

export interface ApproveGrantArgs extends ApproveGrantByVoteArgs {
  /** Its setVersion is that of the maintainers in force (`currentMaintainers`). */
  readonly grant: Grant;
  /** By ascending signer. */
  readonly signatures: readonly Hex[];
}

/**
 * Approves a grant that a quorum of maintainers has signed, and mints its amount; anyone may send.
 * @throws EmissionOverBudgetError where the code budgets are too small, and says how much there is
 * @example
 * const grants = await codeGrantsOf(client, { addresses })
 * const signature = await wallet.signTypedData(typedDataOf(domainFor(chainId, grants), "Grant", grant))
 * await approveGrant.sync(client, { grants, grant, repository, signatures: [signature] })
 */
export const approveGrant = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, grant, repository, signatures }: ApproveGrantArgs) =>
    callOf(grants, codeGrantsAbi, "approve", [grant, repository, concatHex(signatures)]),
  /** The grant's id. */
  decode: (data) => decodeFunctionResult({ abi: codeGrantsAbi, functionName: "approve", data }),
  extractEvent: (receipt) => eventOf(receipt, codeGrantsAbi, "GrantApproved"),
});

/** Approves a grant, without caps and veto; the timelock's to send. */
export const approveGrantByVote = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, grant, repository }: ApproveGrantByVoteArgs) =>
    callOf(grants, codeGrantsAbi, "approveByVote", [grant, repository]),
  /** The grant's id. */
  decode: (data) => decodeFunctionResult({ abi: codeGrantsAbi, functionName: "approveByVote", data }),
  extractEvent: (receipt) => eventOf(receipt, codeGrantsAbi, "GrantApproved"),
});

/** Pays an author what is due; anyone may send. */
export const claimGrant = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, modelId, id }: GrantArgs) => callOf(grants, codeGrantsAbi, "claim", [modelId, id]),
  /** What is paid. */
  decode: (data) => decodeFunctionResult({ abi: codeGrantsAbi, functionName: "claim", data }),
  /** Undefined where nothing was due. */
  extractEvent: (receipt) => findEvent(receipt, codeGrantsAbi, "GrantClaimed"),
});

/** Ends a grant and burns what is not due; the timelock's to send. Before `vetoEnds` that is all of it. */
export const revokeGrant = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, modelId, id }: GrantArgs) => callOf(grants, codeGrantsAbi, "revoke", [modelId, id]),
  decode: nothing,
  /** Undefined where nothing was left to burn. */
  extractEvent: (receipt) => findEvent(receipt, codeGrantsAbi, "GrantRevoked"),
});

/** All that one set of a model's maintainers approved. */
export interface GrantSetArgs extends OfGrants {
  readonly modelId: Hex;
  /** Number of the set. */
  readonly setVersion: number;
}

/**
 * Ends all grants that a set of maintainers approved, however many, and has it approve no more; the timelock's to send.
 * @throws ValidatorSetUnknownVersionError for a set that there is not
 */
export const voidGrantSet = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, modelId, setVersion }: GrantSetArgs) =>
    callOf(grants, codeGrantsAbi, "voidSet", [modelId, setVersion]),
  decode: nothing,
  /** Undefined where it was voided before. */
  extractEvent: (receipt) => findEvent(receipt, codeGrantsAbi, "GrantSetVoided"),
});

export interface BurnVoidedArgs extends OfGrants {
  readonly modelId: Hex;
  /** Of grants; those whose set is not voided are passed over. */
  readonly ids: readonly Hex[];
}

/** Burns what will never be due of grants whose set was voided; anyone may send. @throws CodeGrantsUnknownError */
export const burnVoidedGrants = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, modelId, ids }: BurnVoidedArgs) => callOf(grants, codeGrantsAbi, "burnVoided", [modelId, ids]),
  /** What is burned. */
  decode: (data) => decodeFunctionResult({ abi: codeGrantsAbi, functionName: "burnVoided", data }),
  /** One of each grant that was ended by it. */
  extractEvent: (receipt) => eventsOf(receipt, codeGrantsAbi, "GrantRevoked"),
});

export interface SetGrantCapsArgs extends OfGrants {
  readonly modelId: Hex;
  /** What maintainers may approve for one author in one epoch, in share wei. */
  readonly perAuthor: bigint;
  /** What they may approve in one epoch in all. */
  readonly perEpoch: bigint;
}

/** Sets what maintainers may approve; the timelock's to send. Both are 0 at first. */
export const setGrantCaps = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ grants, modelId, perAuthor, perEpoch }: SetGrantCapsArgs) =>
    callOf(grants, codeGrantsAbi, "setCaps", [modelId, perAuthor, perEpoch]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, codeGrantsAbi, "GrantCapsSet"),
});

/** A grant as it stands. Amounts are in share wei, times chain seconds. */
export interface GrantState {
  readonly author: Address;
  readonly start: number;
  /** Before this time nothing of it is due. */
  readonly vetoEnds: number;
  /** What is paid in all; of a revoked one what was due then. */
  readonly amount: bigint;
  readonly claimed: bigint;
  /** Seconds after the start. */
  readonly cliff: number;
  readonly duration: number;
  /** Number of the maintainers' set that approved it; 0 where the holders did. */
  readonly setVersion: number;
  /** Whether the holders ended it, alone or with its set, also where the rest is not burned yet. */
  readonly revoked: boolean;
}

/** A grant as it stands; undefined for one that was not approved. */
export const grantOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ grants, modelId, id }: GrantArgs) => viewOf(grants, codeGrantsAbi, "grantOf", [modelId, id]),
  present: (state): GrantState | undefined => (BigInt(state.author) === 0n ? undefined : state),
});

/** What of a grant is due at a time (chain seconds) if nobody revokes it or voids its set, claimed or not. @throws CodeGrantsUnknownError */
export const grantDueAt = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ grants, modelId, id, timestamp }: GrantArgs & { readonly timestamp: number }) =>
    viewOf(grants, codeGrantsAbi, "dueAt", [modelId, id, timestamp]),
});

/** When the holders ended all that a set of maintainers approved, chain seconds; undefined where they did not. */
export const grantSetVoidedAt = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ grants, modelId, setVersion }: GrantSetArgs) =>
    viewOf(grants, codeGrantsAbi, "voidedAt", [modelId, setVersion]),
  present: (time): number | undefined => (time === 0 ? undefined : time),
});

/** What `burnVoidedGrants` would burn of a grant, in share wei. @throws CodeGrantsUnknownError */
export const unburnedOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ grants, modelId, id }: GrantArgs) => viewOf(grants, codeGrantsAbi, "unburned", [modelId, id]),
});

/** What maintainers may approve in an epoch: for one author and in all. */
export const grantCapsOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ grants, modelId }: Omit<GrantArgs, "id">) => viewOf(grants, codeGrantsAbi, "capsOf", [modelId]),
});

/** What maintainers have approved in an epoch: for one author and in all. */
export const grantsApprovedIn = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({
    grants,
    modelId,
    epoch,
    author,
  }: Omit<GrantArgs, "id"> & { readonly epoch: bigint; readonly author: Address }) =>
    viewOf(grants, codeGrantsAbi, "approvedIn", [modelId, epoch, author]),
  present: ([byAuthor, inAll]) => ({ byAuthor, inAll }),
});
