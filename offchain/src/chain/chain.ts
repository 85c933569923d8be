/** The chain as the coordinator uses it: everything that is read, and postings that survive whatever happens. */
import {
  type Address,
  asModelId,
  type Digest,
  digestOfJson,
  type Hex,
  type ModelId,
  rewardKind,
  type Struct,
  toWire,
} from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

import { type Clock, RetryableError, systemClock, UserError } from "../base/index.ts";
import type { JobTable, Logger } from "../service/index.ts";
import { createBonds, DEFAULT_BOND_AT_MOST, replacementIn } from "./bonds.ts";
import { type ChainConnection, connect, type ConnectionOptions } from "./connection.ts";
import { type JournalOptions, openJournal } from "./journal.ts";
import type { ChainPort, ChainReader, Disputed, HeadFields, NextHead, Owed, RootReader } from "./ports.ts";
import {
  createPostingKinds,
  HEADS_AT_ONCE,
  posted,
  type PostingKinds,
  type RootPayload,
  ruledBefore,
} from "./postings.ts";
import { PostingWatch, type Reverted } from "./postingWatch.ts";
import { createReader, type ReaderOptions } from "./reader.ts";
import { rootsIn } from "./rootsIn.ts";

export type { Reverted } from "./postingWatch.ts";

export interface ChainOptions extends ConnectionOptions, ReaderOptions {
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Ms between checks that the chain still holds what was posted; default 2,000. */
  readonly watchInterval?: number;
  /** Wei that a root may bear as the bond that is due after one that failed, and that a dispute may cost; default a coin. */
  readonly bondAtMost?: bigint;
  /** Ends waiting for postings. */
  readonly signal?: AbortSignal;
}

export interface Chain extends ChainPort {
  /**
   * Disputes the root in its window, of compute if no other kind is said, with the bond that this costs; written down before it is sent, so that whoever asks again, after a
   * restart too, sends nothing twice. Resolves where it is disputed already, by whomever.
   * @param digest struct hash of the attestation
   * @param evidence sha256 of what was found
   * @throws RetryableError `DISPUTE_DEAR` above {@link ChainOptions.bondAtMost}, `DISPUTE_UNFUNDED`; UserError `DISPUTE_OTHER`,
   *   `DISPUTE_LATE`
   */
  disputeRoot(modelId: ModelId, digest: Hex, evidence: Digest, kind?: number): Promise<Disputed>;
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

/**
 * Connects and opens the posting journal of an account; unfinished postings of an earlier process go on at once.
 * @param modules.account the poster's key; nothing else may send from it meanwhile
 * @param modules.jobs the durable job table, see `openJobTable` of service
 * @param connected of these options, where it is there already
 * @throws UserError `WRONG_CHAIN`, `RPC_URL_INVALID`; RetryableError `CHAIN_UNREACHABLE`
 */
export async function openChain(
  options: ChainOptions & Pick<JournalOptions, "pollInterval" | "stuckAfter" | "gapPatience">,
  modules: { readonly account: LocalAccount; readonly jobs: JobTable },
  connected?: ChainConnection,
): Promise<Chain> {
  const connection = connected ?? (await connect(options));
  const reader = createReader(connection, options);
  const { logger, clock = systemClock, watchInterval: interval = 2_000 } = options;
  const bonds = createBonds({
    reader,
    clock,
    atMost: options.bondAtMost ?? DEFAULT_BOND_AT_MOST,
    maxFee: connection.maxFee,
    balance: () => connection.call((client) => client.getBalance({ address: modules.account.address })),
    replacedFrom: replacementIn(connection, options.contracts),
  });
  const kinds = createPostingKinds({ reader, addresses: options.contracts, bonds, journal: () => journal });
  const { heads, roots, activations, disputes, settlements, claims } = kinds;
  const journal = openJournal({ ...options, clock, connection, ...modules, kinds: Object.values(kinds) });
  const watch = new PostingWatch({ reader, journal, kinds, clock, logger, interval });

  return {
    ...reader,
    poster: journal.account,
    postHead: async (fields, key, following = []) => {
      // What goes along was settled when it was asked for first.
      const known = await journal.payloadOf(heads, key);
      const along = known ? known.following : await alongOf(heads, fields, following);
      const payload = { ...plainFields(fields), ...(along && { following: along }) };
      const result = await journal.submit(heads, key, payload, options.signal);
      watch.note({ kind: "head", runId: fields.runId, ...result });
      return result;
    },
    postRoot: async (attestation, signatures, key) => {
      const payload = await signedPayload(reader, attestation, signatures);
      // The journal would look for a posting of it that was there, and is for ever.
      const ruled = await ruledBefore(reader, payload.attestation);
      if (ruled) throw ruled;
      // The same effect may be asked for again with other signatures: that is another transaction, under another key.
      const own = `${key}/${digestOfJson(payload).slice(2, 18)}`;
      const result = await journal.submit(roots, own, payload, options.signal);
      watch.note(noteOf("root", payload.attestation, result.root.epoch));
      return posted(result);
    },
    activateRoot: async (modelId, epoch, key, kind = rewardKind.compute) => {
      const attestation = await postedAttestation(rootsIn(reader, kind), modelId, epoch);
      const payload = { modelId, epoch, attestation };
      // The same root may be posted anew in other signatures' name, after a dispute that decided nothing: that is another transaction.
      const own = `${key}/${digestOfJson(attestation).slice(2, 18)}`;
      const result = await journal.submit(activations, own, payload, options.signal);
      watch.note(noteOf("activation", attestation, epoch));
      return posted(result);
    },
    disputeRoot: (modelId, digest, evidence, kind) =>
      journal.submit(disputes, digest, { modelId, digest, evidence, ...ofKind(kind) }, options.signal),
    settleDispute: (...of) => journal.submit(settlements, of[1].digest, settlementOf(...of), options.signal),
    claimFor: async (modelId, owed, key, kind) => {
      const payload = { modelId, claims: owed.map(writtenOf), ...ofKind(kind) };
      await journal.submit(claims, key, payload, options.signal);
    },
    feeWait: () => journal.feeWait() ?? bonds.wait(),
    onReverted: (listener) => watch.onReverted(listener),
    close: async () => {
      await watch.stop();
      await journal.stop();
    },
  };
}

/** Of compute it is written as it was before other kinds were known here. */
const ofKind = (kind: number | undefined) => kind !== undefined && kind !== rewardKind.compute && { kind };

/** As JSON. */
const writtenOf = ({ account, leaves }: Owed) => ({
  account,
  leaves: leaves.map(({ index, amount, proof }) => ({ index, amount: amount.toString(), proof })),
});

const settlementOf = (...[modelId, { digest }, kind]: Parameters<ChainPort["settleDispute"]>) => ({
  modelId,
  digest,
  ...ofKind(kind),
});

/** What the watch is told of a posting. */
const noteOf = (
  kind: "root" | "activation",
  { kind: of, modelId }: RootPayload["attestation"],
  epoch: number,
): Reverted => ({ kind, of, modelId: asModelId(modelId), epoch });

/** With as many signatures as are needed, in the order of the set. @throws UserError `ATTESTATION_UNSIGNED` */
async function signedPayload(
  reader: ChainReader,
  attestation: Struct<"Attestation">,
  signatures: Parameters<ChainPort["postRoot"]>[1],
): Promise<RootPayload> {
  const { validators, threshold } = await reader.validators(attestation.modelId as ModelId, attestation.setVersion);
  const members = new Map(signatures.map(({ validator, signature }) => [validator.toLowerCase(), signature]));
  const sorted = validators.flatMap((validator) => members.get(validator) ?? []).slice(0, threshold);
  if (sorted.length < threshold)
    throw new UserError(
      "ATTESTATION_UNSIGNED",
      `Epoch ${attestation.toEpoch} has ${sorted.length} signatures of the set; ${threshold} are needed.`,
    );
  return { attestation: toWire("Attestation", attestation), signatures: sorted };
}

/** What was posted for an epoch: what is pending, else the newest. @throws RetryableError `CHAIN_MOVED` */
async function postedAttestation(
  reader: RootReader,
  modelId: ModelId,
  epoch: number,
): Promise<RootPayload["attestation"]> {
  const pending = await reader.pendingRoot(modelId);
  const posted =
    pending?.epoch === epoch ? pending : (await reader.rootsOf(modelId)).findLast((each) => each.epoch === epoch);
  if (!posted)
    throw new RetryableError(
      "CHAIN_MOVED",
      `No root of epoch ${epoch} of ${modelId} was posted that could be activated.`,
    );
  return toWire("Attestation", posted.attestation);
}

/** What goes into a head's transaction: nothing where the head is there already, as it is in the middle of a batch. */
async function alongOf(
  heads: PostingKinds["heads"],
  fields: HeadFields,
  following: readonly NextHead[],
): Promise<readonly NextHead[] | undefined> {
  if (following.length === 0) return undefined;
  // Where nobody answers, the posting waits by itself.
  const isThere = await heads.done(fields).then(Boolean, () => false);
  if (isThere) return undefined;
  const behind = following.slice(0, HEADS_AT_ONCE - 1);
  return behind.map(({ paramsVersion, checkpointDigest, receiptsRoot }) => ({
    paramsVersion,
    checkpointDigest,
    receiptsRoot,
  }));
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
