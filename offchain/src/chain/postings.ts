/** The kinds of postings: what each looks for on-chain, what must come first, and what it sends. */
import {
  activateRoot,
  type ClaimLeaf,
  claimMany,
  disputeRoot,
  postHead,
  postHeads,
  postRoot,
  settleDispute,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asModelId,
  type ContractAddresses,
  type Digest,
  fromWire,
  type HeadHash,
  type Hex,
  headHash,
  type ModelId,
  rewardKind,
  structHash,
  type WireStruct,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../base/index.ts";
import type { Bonds } from "./bonds.ts";
import type { Journal, PostingKind } from "./journal.ts";
import type {
  ChainReader,
  Disputed,
  DisputeEnd,
  HeadFields,
  HeadPosting,
  NextHead,
  Owed,
  PostedRoot,
  RootPosting,
} from "./ports.ts";
import { byNewest, byParent, type ParentPosting } from "./posting/order.ts";
import { rootsIn } from "./rootsIn.ts";

/** Heads that one transaction holds at most: so it takes no more gas than a root's, which `--max-fee` must allow as well. */
export const HEADS_AT_ONCE = 16;

/** A head, and those that go into its transaction. */
interface HeadPayload extends HeadFields {
  /** None of them where it is left out. */
  readonly following?: readonly NextHead[];
}
export interface RootPayload {
  readonly attestation: WireStruct<"Attestation">;
  readonly signatures: readonly Hex[];
}
interface ActivationPayload {
  readonly modelId: ModelId;
  readonly epoch: number;
  readonly attestation: WireStruct<"Attestation">;
}
interface DisputePayload {
  readonly modelId: ModelId;
  /** Of the attestation. */
  readonly digest: Hex;
  /** sha256 of what was found. */
  readonly evidence: Digest;
  /** Of the root; left out for compute. */
  readonly kind?: number;
}
interface SettlementPayload {
  readonly modelId: ModelId;
  readonly digest: Hex;
  /** Of the root; left out for compute. */
  readonly kind?: number;
}
interface ClaimsPayload {
  readonly modelId: ModelId;
  /** Of the roots; left out for compute. */
  readonly kind?: number;
  readonly claims: readonly {
    readonly account: Address;
    readonly leaves: readonly (Omit<ClaimLeaf, "amount"> & { readonly amount: string })[];
  }[];
}
/** A RootPosting as JSON. */
interface RootResult {
  readonly transaction: Hex | null;
  readonly block: number | null;
  readonly root: Omit<RootPosting["root"], "total"> & { readonly total: string };
}

export interface PostingKinds {
  readonly heads: PostingKind<HeadPayload, HeadPosting>;
  readonly roots: PostingKind<RootPayload, RootResult>;
  readonly activations: PostingKind<ActivationPayload, RootResult>;
  readonly disputes: PostingKind<DisputePayload, Disputed>;
  readonly settlements: PostingKind<SettlementPayload, DisputeEnd>;
  readonly claims: PostingKind<ClaimsPayload, object>;
}

interface PostingModules {
  readonly reader: ChainReader;
  readonly addresses: ContractAddresses;
  readonly bonds: Pick<Bonds, "due" | "ofDispute">;
  /** The journal that the kinds are opened with. */
  readonly journal: () => Pick<Journal, "all" | "isOpen" | "reopen">;
}

function resultOf(event: PostedRoot): RootResult {
  const { index, root, total, fromEpoch, epoch, activatableAt, deadline, transaction, block } = event;
  return {
    transaction,
    block,
    root: { index, root, total: total.toString(), fromEpoch, epoch, activatableAt, deadline },
  };
}

export const posted = (result: RootResult): RootPosting => ({
  ...result,
  root: { ...result.root, total: BigInt(result.root.total) },
});

/**
 * The oldest posting of a head that the chain lacks, which stands before those behind it in the queue. A run that went back has
 * several of the same round; a head behind a rollback that is lost has none, and waits for whoever carries the rollback out.
 */
function postingOf<P extends HeadFields>(
  wanted: string,
  headOf: (fields: P, parentSequence: number) => HeadHash,
  seen: readonly Pick<HeadPosting, "head" | "sequence">[],
  all: readonly { readonly key: string; readonly payload: P }[],
) {
  const known = new Map<string, number>([[zeroHash, -1], ...seen.map((at) => [at.head, at.sequence] as const)]);
  return all.find(({ payload }) => {
    const parent = known.get(payload.parentHead);
    if (parent === undefined) return false;
    const head = headOf(payload, parent);
    known.set(head, parent + 1);
    return head === wanted;
  });
}

function headPostings({ reader, addresses, journal }: PostingModules): PostingKinds["heads"] {
  /** The head that these fields make, wherever its parent is known. */
  const expectedHead = (fields: HeadFields, parentSequence: number): HeadHash =>
    headHash({
      ...fields,
      chainId: BigInt(reader.chainId),
      registry: addresses.checkpointRegistry,
      sequence: BigInt(parentSequence + 1),
      round: BigInt(fields.round),
    });
  /** Keys of those made due again for the sake of their children. */
  const reopened = new Set<string>();

  const parentStands = async (key: string, payload: HeadFields): Promise<ParentPosting> => {
    if (await heads.done(payload)) return "landed";
    return (await journal().isOpen(heads.kind, key)) ? "open" : "ended";
  };
  const heads: PostingKind<HeadPayload, HeadPosting> = {
    kind: "chain.head",
    done: async (fields, anew) => {
      if (anew !== undefined) reader.forget(fields.runId, anew);
      const events = await reader.headsSince(fields.runId, 0);
      const found = events.findLast(
        (event) =>
          event.parentHead === fields.parentHead &&
          event.round === fields.round &&
          event.paramsVersion === fields.paramsVersion &&
          event.checkpointDigest === fields.checkpointDigest &&
          event.receiptsRoot === fields.receiptsRoot,
      );
      if (!found) return undefined;
      const { head, sequence, round, transaction, block } = found;
      return { head, sequence, round, transaction, block };
    },
    prepare: async (fields) => {
      const { runId, parentHead: parent } = fields;
      const current = await reader.head(runId);
      const head = expectedHead(fields, current.sequence - 1);
      const first = byNewest(current.head, { parent, head });
      if (first !== "askParent") return first;
      const seen = await reader.headsSince(runId, 0);
      const isSeen = seen.some((event) => event.head === parent);
      const before = isSeen ? undefined : postingOf(parent, expectedHead, seen, await journal().all(heads));
      const stands = before ? await parentStands(before.key, before.payload) : "none";
      if (before && stands === "landed") reopened.delete(before.key);
      const ready = byParent(isSeen, stands, before !== undefined && reopened.has(before.key));
      if (ready !== "reopen" || !before) return ready === "wait" ? "wait" : "send";
      if (!(await journal().reopen(heads.kind, before.key))) return "send";
      reopened.add(before.key);
      return "wait";
    },
    call: ({ following = [], ...fields }) => {
      const { runId, parentHead, paramsVersion, checkpointDigest, receiptsRoot } = fields;
      const round = BigInt(fields.round);
      if (following.length === 0) return postHead.call({ addresses, ...fields, round });
      const batch = [{ paramsVersion, checkpointDigest, receiptsRoot }, ...following];
      return postHeads.call({ addresses, runId, parentHead, round, heads: batch });
    },
    // The contract takes all of a batch or nothing: the others are posted in their turn.
    less: ({ following = [], ...fields }) => (following.length === 0 ? undefined : fields),
  };
  return heads;
}

const digestOf = (attestation: RootPayload["attestation"]): Hex =>
  structHash("Attestation", fromWire("Attestation", attestation));

/** Whether a dispute has ended so that the attestation is never taken again. */
const hasFailed = async (reader: ChainReader, digest: Hex): Promise<boolean> =>
  ["void", "undecided"].includes((await reader.rulingOn(digest)) ?? "");

/** Why an attestation is never taken again, `ATTESTATION_RULED`; undefined where it may be. */
export const ruledBefore = async (
  reader: ChainReader,
  attestation: RootPayload["attestation"],
): Promise<UserError | undefined> =>
  (await hasFailed(reader, digestOf(attestation)))
    ? new UserError(
        "ATTESTATION_RULED",
        `A dispute about this attestation of epoch ${attestation.toEpoch} has ended: its root needs other signatures, under another block.`,
      )
    : undefined;

/** The newest of these that was not disputed away: what was is there for ever, and is posted by nobody again. */
async function newestStanding(reader: ChainReader, events: readonly PostedRoot[]): Promise<PostedRoot | undefined> {
  for (const event of events.toReversed()) if (!(await hasFailed(reader, event.digest))) return event;
  return undefined;
}

function rootPostings({ reader, addresses, bonds }: PostingModules): PostingKinds["roots"] {
  return {
    kind: "chain.root",
    done: async ({ attestation }, anew) => {
      const modelId = asModelId(attestation.modelId);
      if (anew !== undefined) reader.forget(modelId, anew);
      const events = (await rootsIn(reader, attestation.kind).rootsOf(modelId)).filter(
        ({ index, root }) => index === Number(attestation.index) && root === attestation.root,
      );
      const event = await newestStanding(reader, events);
      return event && resultOf(event);
    },
    prepare: async ({ attestation }) => {
      const [epoch, deadline] = [attestation.toEpoch, Number(attestation.deadline)];
      const ruled = await ruledBefore(reader, attestation);
      if (ruled) return ruled;
      if ((await reader.chainTime()) > deadline)
        return new UserError(
          "ATTESTATION_EXPIRED",
          `The attestation of epoch ${epoch} could be posted until ${deadline}.`,
        );
      try {
        await bonds.due(asModelId(attestation.modelId), attestation.kind);
      } catch (error) {
        if (error instanceof RetryableError && error.code.startsWith("BOND_")) return error;
        throw error;
      }
      return "send";
    },
    coins: ({ attestation }) => bonds.due(asModelId(attestation.modelId), attestation.kind),
    call: ({ attestation, signatures }) =>
      postRoot.call({ addresses, attestation: fromWire("Attestation", attestation), signatures }),
  };
}

function activationPostings({ reader, addresses }: PostingModules): PostingKinds["activations"] {
  return {
    kind: "chain.activation",
    done: async ({ modelId, epoch, attestation }, anew) => {
      if (anew !== undefined) reader.forget(modelId, anew);
      const { activationsOf, rootsOf } = rootsIn(reader, attestation.kind);
      const event = (await activationsOf(modelId)).find((activation) => activation.epoch >= epoch);
      // Of the events alone, which are confirmed: the contract's state is what a node says it is.
      const found =
        event &&
        (await rootsOf(modelId, event.root)).findLast((each) => each.index === event.index && each.root === event.root);
      if (!found) return undefined;
      return { ...resultOf(found), transaction: event.transaction, block: event.block };
    },
    prepare: async ({ modelId, epoch, attestation }) => {
      const { pendingRoot } = rootsIn(reader, attestation.kind);
      const [pending, now] = await Promise.all([pendingRoot(modelId), reader.chainTime()]);
      if (!pending)
        return (await hasFailed(reader, digestOf(attestation)))
          ? new RetryableError("ROOT_FAILED", `The root of epoch ${epoch} was disputed and did not stand.`)
          : "send";
      if (pending.activatableAt === undefined)
        return new RetryableError(
          "ROOT_DISPUTED",
          `The root of epoch ${epoch} is disputed, and the holders vote on it.`,
        );
      if (now < pending.activatableAt)
        return new RetryableError(
          "WINDOW_OPEN",
          `The root of epoch ${epoch} is in its window until ${pending.activatableAt}; it is ${now}.`,
        );
      return "send";
    },
    call: ({ attestation }) => activateRoot.call({ addresses, attestation: fromWire("Attestation", attestation) }),
  };
}

/** Whether an attestation is disputed, by whomever, or was. */
async function wasDisputed(reader: ChainReader, payload: DisputePayload): Promise<boolean> {
  const { modelId, digest, kind = rewardKind.compute } = payload;
  const open = await rootsIn<"openDispute">(reader, kind).openDispute(modelId);
  return open?.digest === digest || (await reader.rulingOn(digest)) !== undefined;
}

function disputePostings({ reader, addresses, bonds }: PostingModules): PostingKinds["disputes"] {
  return {
    kind: "chain.dispute",
    // There is one dispute of an attestation, ever: whose it is makes no difference to the root.
    done: async (payload) => ((await wasDisputed(reader, payload)) ? { digest: payload.digest } : undefined),
    prepare: async ({ modelId, digest, kind = rewardKind.compute }) => {
      const { pendingRoot } = rootsIn<"pendingRoot">(reader, kind);
      const [pending, now] = await Promise.all([pendingRoot(modelId), reader.chainTime()]);
      if (pending?.digest !== digest)
        return new UserError("DISPUTE_OTHER", `The root of attestation ${digest} is not in its window any more.`);
      if (pending.activatableAt === undefined || now >= pending.activatableAt)
        return new UserError("DISPUTE_LATE", `The window of the root of attestation ${digest} is over.`);
      try {
        await bonds.ofDispute(modelId, kind);
      } catch (error) {
        if (error instanceof RetryableError && error.code.startsWith("DISPUTE_")) return error;
        throw error;
      }
      return "send";
    },
    coins: ({ modelId, kind = rewardKind.compute }) => bonds.ofDispute(modelId, kind),
    call: (payload) => disputeRoot.call({ addresses, ...payload, bond: 0n }),
  };
}

function settlementPostings({ reader, addresses }: PostingModules): PostingKinds["settlements"] {
  return {
    kind: "chain.settlement",
    done: async ({ digest }) => {
      const ruling = await reader.rulingOn(digest);
      return ruling && { ruling };
    },
    // A late quorum moves the end of a vote, and what the contract refuses for now is tried again before all that stands behind it.
    prepare: async ({ modelId, digest, kind = rewardKind.compute }) => {
      const { openDispute } = rootsIn<"openDispute">(reader, kind);
      const [open, now] = await Promise.all([openDispute(modelId), reader.chainTime()]);
      return open?.digest === digest && now <= open.votesUntil
        ? new RetryableError("DISPUTE_EARLY", `Holders vote on the dispute until ${open.votesUntil}; it is ${now}.`)
        : "send";
    },
    call: (payload) => settleDispute.call({ addresses, ...payload }),
  };
}

const owedIn = ({ claims }: ClaimsPayload): Owed[] =>
  claims.map(({ account, leaves }) => ({
    account,
    leaves: leaves.map(({ amount, ...leaf }) => ({ ...leaf, amount: BigInt(amount) })),
  }));

function claimPostings({ reader, addresses }: PostingModules): PostingKinds["claims"] {
  return {
    kind: "chain.claims",
    yields: true,
    done: async (payload) => {
      for (const owed of owedIn(payload))
        if ((await reader.unpaidOf(payload.modelId, owed, payload.kind)).length > 0) return undefined;
      return {};
    },
    // The contract passes over what somebody else claims meanwhile.
    prepare: async () => "send",
    call: (payload) => {
      const { modelId, kind = rewardKind.compute } = payload;
      const claims = owedIn(payload).map(({ account, leaves }) => ({ modelId, kind, beneficiary: account, leaves }));
      return claimMany.call({ addresses, claims });
    },
  };
}

export const createPostingKinds = (modules: PostingModules): PostingKinds => ({
  heads: headPostings(modules),
  roots: rootPostings(modules),
  activations: activationPostings(modules),
  disputes: disputePostings(modules),
  settlements: settlementPostings(modules),
  claims: claimPostings(modules),
});
