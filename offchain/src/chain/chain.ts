/** The chain as the coordinator uses it: everything that is read, and postings that survive whatever happens. */
import { activateRoot, postHead, postRoot } from "@cotrain/sdk/actions";
import {
  type Address,
  asModelId,
  digestOfJson,
  fromWire,
  type HeadHash,
  type Hex,
  headHash,
  type ModelId,
  type RunId,
  toWire,
  type WireStruct,
} from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

import { type Clock, RetryableError, systemClock, UserError } from "../base/index.ts";
import type { JobTable, Logger } from "../service/index.ts";
import { connect, type ConnectionOptions } from "./connection.ts";
import { type JournalOptions, openJournal, type PostingKind } from "./journal.ts";
import type { ChainPort, ChainReader, HeadFields, HeadPosting, PostedRoot, RootPosting } from "./ports.ts";
import { createReader, type ReaderOptions } from "./reader.ts";

export interface ChainOptions extends ConnectionOptions, ReaderOptions {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Ms between checks that the chain still holds what was posted; default 2,000. */
  readonly watchInterval?: number;
  /** Ends waiting for postings. */
  readonly signal?: AbortSignal;
}

/** What was posted and is no longer there; the journal posts it again by itself. */
export type Reverted =
  | {
      readonly kind: "head";
      readonly runId: RunId;
      readonly head: HeadHash;
      readonly sequence: number;
      readonly round: number;
    }
  | { readonly kind: "root" | "activation"; readonly modelId: ModelId; readonly epoch: number };

export interface Chain extends ChainPort {
  /** The account that posts, lower case. */
  readonly poster: Address;
  /** Told whenever the chain went back behind a posting. @returns how to unsubscribe */
  onReverted(listener: (reverted: Reverted) => void): () => void;
  /** Ends postings where they are; the next start goes on. */
  close(): Promise<void>;
}

/** Connects for reading alone. @throws as `connect` */
export async function openReader(options: ConnectionOptions & ReaderOptions): Promise<ChainReader> {
  return createReader(await connect(options), options);
}

interface RootPayload {
  readonly attestation: WireStruct<"Attestation">;
  readonly signatures: readonly Hex[];
}
interface ActivationPayload {
  readonly modelId: ModelId;
  readonly epoch: number;
}
/** A RootPosting as JSON. */
interface RootResult {
  readonly transaction: Hex | null;
  readonly block: number | null;
  readonly root: Omit<RootPosting["root"], "totalCumulative"> & { readonly totalCumulative: string };
}

function resultOf(event: PostedRoot): RootResult {
  const { root, epoch, activatableAt, deadline, totalCumulative, transaction, block } = event;
  return {
    transaction,
    block,
    root: { root, epoch, activatableAt, deadline, totalCumulative: totalCumulative.toString() },
  };
}

const posted = (result: RootResult): RootPosting => ({
  ...result,
  root: { ...result.root, totalCumulative: BigInt(result.root.totalCumulative) },
});

/**
 * Connects and opens the posting journal of an account; unfinished postings of an earlier process go on at once.
 * @param modules.account the poster's key; nothing else may send from it meanwhile
 * @param modules.jobs the durable job table, see `openJobTable` of service
 * @throws UserError `WRONG_CHAIN`, `RPC_URL_INVALID`; RetryableError `CHAIN_UNREACHABLE`
 */
export async function openChain(
  options: ChainOptions & Pick<JournalOptions, "pollInterval" | "stuckAfter" | "gapPatience">,
  modules: { readonly account: LocalAccount; readonly jobs: JobTable },
): Promise<Chain> {
  const connection = await connect(options);
  const reader = createReader(connection, options);
  const addresses = options.contracts;
  const clock = options.clock ?? systemClock;

  /** The head that these fields make, wherever its parent is known. */
  const expectedHead = (fields: HeadFields, parentSequence: number): HeadHash =>
    headHash({
      ...fields,
      chainId: BigInt(options.chainId),
      registry: addresses.checkpointRegistry,
      sequence: BigInt(parentSequence + 1),
      round: BigInt(fields.round),
    });

  /** Heads made due again for the sake of their children; once, lest one that is refused for good be tried for ever. */
  const reopened = new Set<string>();
  const heads: PostingKind<HeadFields, HeadPosting> = {
    kind: "chain.head",
    done: async (fields, anew) => {
      if (anew) reader.forget(fields.runId);
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
      const { head, sequence, round, transaction, block, anchoredAt } = found;
      return { head, sequence, round, transaction, block, anchoredAt };
    },
    prepare: async (fields) => {
      const current = await reader.head(fields.runId);
      if (current.head === fields.parentHead) return "send";
      // Posted by somebody who is not waited for any more, and not confirmed yet.
      if (current.head === expectedHead(fields, current.sequence - 1)) return "wait";
      const events = await reader.headsSince(fields.runId, 0);
      if (events.some(({ head }) => head === fields.parentHead)) return "send";
      // The chain lost the head before this one: it is posted again first, and may find its own parent lost in turn.
      // The oldest posting of it, which stands before this one in the queue.
      const before = (await journal.all(heads)).find(
        ({ payload }) => payload.runId === fields.runId && payload.round === fields.round - 1,
      );
      if (!before) return "send";
      if (await heads.done(before.payload)) reopened.delete(before.key);
      else if (await journal.isOpen(heads.kind, before.key)) return "wait";
      else if (!reopened.has(before.key) && (await journal.reopen(heads.kind, before.key))) {
        reopened.add(before.key);
        return "wait";
      }
      return "send";
    },
    call: (fields) => postHead.call({ addresses, ...fields, round: BigInt(fields.round) }),
  };

  const roots: PostingKind<RootPayload, RootResult> = {
    kind: "chain.root",
    done: async ({ attestation }, anew) => {
      const modelId = asModelId(attestation.modelId);
      if (anew) reader.forget(modelId);
      const event = (await reader.rootsOf(modelId)).findLast(
        ({ epoch, root }) => epoch === Number(attestation.epoch) && root === attestation.root,
      );
      return event && resultOf(event);
    },
    prepare: async () => "send",
    call: ({ attestation, signatures }) =>
      postRoot.call({ addresses, attestation: fromWire("Attestation", attestation), signatures }),
  };

  const activations: PostingKind<ActivationPayload, RootResult> = {
    kind: "chain.activation",
    done: async ({ modelId, epoch }, anew) => {
      if (anew) reader.forget(modelId);
      const event = (await reader.activationsOf(modelId)).find((activation) => activation.epoch >= epoch);
      // Of the events alone, which are confirmed: the contract's state is what a node says it is.
      const found =
        event &&
        (await reader.rootsOf(modelId)).findLast((each) => each.epoch === event.epoch && each.root === event.root);
      if (!found) return undefined;
      return { ...resultOf(found), transaction: event.transaction, block: event.block };
    },
    prepare: async ({ modelId, epoch }) => {
      const [pending, now] = await Promise.all([reader.pendingRoot(modelId), reader.chainTime()]);
      if (pending && now < pending.activatableAt)
        return new RetryableError(
          "WINDOW_OPEN",
          `The root of epoch ${epoch} is in its window until ${pending.activatableAt}; it is ${now}.`,
        );
      return "send";
    },
    call: ({ modelId }) => activateRoot.call({ addresses, modelId }),
  };

  const journal = openJournal({
    ...options,
    clock,
    connection,
    account: modules.account,
    jobs: modules.jobs,
    kinds: [heads, roots, activations],
  });

  const watch = watchPostings({ reader, journal, heads, roots, activations, options, clock });

  return {
    ...reader,
    poster: journal.account,
    postHead: async (fields, key) => {
      const result = await journal.submit(heads, key, plainFields(fields), options.signal);
      watch.note({ kind: "head", runId: fields.runId, ...result });
      return result;
    },
    postRoot: async (attestation, signatures, key) => {
      const { validators, threshold } = await reader.validators(attestation.modelId as ModelId, attestation.setVersion);
      const members = new Map(signatures.map(({ validator, signature }) => [validator.toLowerCase(), signature]));
      const sorted = validators.flatMap((validator) => members.get(validator) ?? []).slice(0, threshold);
      if (sorted.length < threshold)
        throw new UserError(
          "ATTESTATION_UNSIGNED",
          `Epoch ${attestation.epoch} has ${sorted.length} signatures of the set; ${threshold} are needed.`,
        );
      const payload: RootPayload = { attestation: toWire("Attestation", attestation), signatures: sorted };
      // The same effect may be asked for again with other signatures: that is another transaction, under another key.
      const result = await journal.submit(
        roots,
        `${key}/${digestOfJson(payload).slice(2, 18)}`,
        payload,
        options.signal,
      );
      watch.note({ kind: "root", modelId: attestation.modelId as ModelId, epoch: result.root.epoch });
      return posted(result);
    },
    activateRoot: async (modelId, epoch, key) => {
      const result = await journal.submit(activations, key, { modelId, epoch }, options.signal);
      watch.note({ kind: "activation", modelId, epoch });
      return posted(result);
    },
    feeWait: () => journal.feeWait(),
    onReverted: watch.onReverted,
    close: async () => {
      await watch.stop();
      await journal.stop();
    },
  };
}

/** The fields alone, whatever else the caller's object has: they are the journal's record. */
const plainFields = ({
  runId,
  parentHead,
  round,
  paramsVersion,
  checkpointDigest,
  receiptsRoot,
}: HeadFields): HeadFields => ({
  runId,
  parentHead,
  round,
  paramsVersion,
  checkpointDigest,
  receiptsRoot,
});

interface WatchModules {
  readonly reader: ChainReader;
  readonly journal: ReturnType<typeof openJournal>;
  readonly heads: PostingKind<HeadFields, HeadPosting>;
  readonly roots: PostingKind<RootPayload, RootResult>;
  readonly activations: PostingKind<ActivationPayload, RootResult>;
  readonly options: ChainOptions;
  readonly clock: Clock;
}

/**
 * Looks from time to time whether the chain still holds the newest of what was posted; if not, everything of its kind that is
 * missing is made due again, oldest first. A node that lost its last second is seen here even when nothing new is posted.
 */
function watchPostings({ reader, journal, heads, roots, activations, options, clock }: WatchModules) {
  const listeners = new Set<(reverted: Reverted) => void>();
  const newest = new Map<string, Reverted>();
  const stopping = new AbortController();
  const keyOf = (item: Reverted): string => (item.kind === "head" ? item.runId : `${item.kind}:${item.modelId}`);
  const rank = (item: Reverted): number => (item.kind === "head" ? item.sequence : item.epoch);
  const note = (item: Reverted): void => {
    const known = newest.get(keyOf(item));
    if (!known || rank(item) >= rank(known)) newest.set(keyOf(item), item);
  };
  const told = (item: Reverted): void => {
    options.logger?.warn({ ...item }, "the chain went back behind a posting; it is posted again");
    for (const listener of listeners) listener(item);
  };

  const isSeen = async (item: Reverted): Promise<boolean> => {
    if (item.kind === "head") return (await reader.headsSince(item.runId, 0)).some(({ head }) => head === item.head);
    const events = await (item.kind === "root" ? reader.rootsOf(item.modelId) : reader.activationsOf(item.modelId));
    return events.some(({ epoch }) => epoch >= item.epoch);
  };
  const isThere = async (item: Reverted): Promise<boolean> => {
    if (await isSeen(item)) return true;
    // The RPC may have left it out.
    reader.forget(item.kind === "head" ? item.runId : item.modelId);
    return isSeen(item);
  };
  const reopenMissing = async (lost: Reverted): Promise<void> => {
    if (lost.kind === "head") {
      const there = new Set<string>((await reader.headsSince(lost.runId, 0)).map(({ head }) => head));
      for (const { key, payload, result } of await journal.finished(heads)) {
        if (payload.runId !== lost.runId || there.has(result.head)) continue;
        if (await journal.reopen(heads.kind, key)) told({ kind: "head", runId: lost.runId, ...result });
      }
      return;
    }
    const [kind, finished] =
      lost.kind === "root"
        ? ([
            roots.kind,
            (await journal.finished(roots)).filter(({ payload }) => payload.attestation.modelId === lost.modelId),
          ] as const)
        : ([
            activations.kind,
            (await journal.finished(activations)).filter(({ payload }) => payload.modelId === lost.modelId),
          ] as const);
    for (const { key, result } of finished) {
      if (result.root.epoch < lost.epoch) continue;
      if (await journal.reopen(kind, key)) told(lost);
    }
  };

  const start = async (): Promise<void> => {
    for (const { payload, result } of await journal.finished(heads))
      note({ kind: "head", runId: payload.runId, ...result });
    for (const { payload, result } of await journal.finished(roots))
      note({ kind: "root", modelId: payload.attestation.modelId as ModelId, epoch: result.root.epoch });
    for (const { payload } of await journal.finished(activations))
      note({ kind: "activation", modelId: payload.modelId, epoch: payload.epoch });
  };
  const loop = async (): Promise<void> => {
    await start();
    while (!stopping.signal.aborted) {
      try {
        for (const [key, item] of newest) {
          if (await isThere(item)) continue;
          await reopenMissing(item);
          // It is noted again when it is posted again; something newer may have been noted meanwhile.
          if (newest.get(key) === item) newest.delete(key);
        }
      } catch (error) {
        // The chain is away: what it lost shows when it is back.
        options.logger?.debug({ err: error }, "the chain could not be watched");
      }
      await clock.sleep(options.watchInterval ?? 2_000, stopping.signal).catch(() => undefined);
    }
  };
  const running = loop().catch((error: unknown) => options.logger?.error({ err: error }, "watching the chain ended"));
  return {
    note,
    onReverted: (listener: (reverted: Reverted) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}
