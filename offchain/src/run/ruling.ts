/**
 * A ruling of a model's validators on a worker's work, which costs it a part of its stake, on its way from validator to validator: a
 * file with what they sign, the worker's own receipt and who has signed. It comes from others, so that nothing in it is believed which
 * the chain or a signature does not say.
 */
import { rulingOf, stakeOf } from "@cotrain/sdk/actions";
import { ProtocolError } from "@cotrain/sdk/errors";
import {
  type Address,
  Address20,
  asAddress,
  asDigest,
  asRunId,
  type Domain,
  domainFor,
  fromWire,
  hashReceipt,
  type Hex,
  type ModelId,
  type Receipt,
  recoverSigner,
  type Ruling,
  rulingOnWork,
  Signature65,
  toWire,
  wireSchema,
} from "@cotrain/sdk/protocol";
import { Type } from "typebox";

import { type Clock, UserError } from "../base/index.ts";
import type { ChainConnection, ChainReader, PostedHead } from "../chain/index.ts";
import { readStateFile, writeStateFile } from "../service/index.ts";
import { readHeadDocuments } from "./documents.ts";
import type { BlobSource } from "./ports.ts";
import {
  MAX_SIGNATURES,
  MOST_SECONDS,
  requireSignedFor,
  requireUsable,
  type SignedStatement,
  signersOfFile,
  structOfFile,
} from "./signatures.ts";
import { type StakesPlace, stakesAt } from "./stakes.ts";
import { isRollback, rolledBackHeads } from "./standingHeads.ts";

const RulingFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    stakeManager: Address20,
    ruling: wireSchema("Ruling"),
    receipt: wireSchema("Receipt"),
    receiptSignature: Signature65,
    signatures: Type.Array(Signature65, { maxItems: MAX_SIGNATURES }),
  },
  { additionalProperties: false },
);

/** Where rulings are looked for. */
export interface RulingsPlace extends StakesPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly reader: ChainReader;
}

/** What the chain says of a model whose validators may rule. */
export interface RulingFacts {
  readonly modelId: ModelId;
  readonly chainId: number;
  readonly stakes: Address;
  /** Of what the worker signed, and of what validators sign. */
  readonly receipts: Domain;
  readonly rulings: Domain;
  readonly setVersion: number;
  readonly validators: readonly Address[];
  readonly threshold: number;
  /** What the worker loses of its stake, in basis points. */
  readonly rulingBps: number;
  /** Time of the newest block, s. */
  readonly now: number;
  /** The same, or this machine's where a node says that it is later than that: so nobody signs for years. */
  readonly earliest: number;
}

/** @throws UserError `STAKE_NONE` */
export async function rulingFacts(place: RulingsPlace, clock: Clock): Promise<RulingFacts> {
  const { reader, addresses, modelId } = place;
  const { stakes, terms, now } = await stakesAt(place, "worker");
  const set = await reader.validators(modelId);
  return {
    modelId,
    chainId: reader.chainId,
    stakes,
    receipts: domainFor(reader.chainId, asAddress(addresses.runRegistry)),
    rulings: domainFor(reader.chainId, asAddress(addresses.validatorSet)),
    setVersion: set.version,
    validators: set.validators,
    threshold: set.threshold,
    rulingBps: terms.rulingBps,
    now,
    earliest: Math.min(now, Math.floor(clock.now() / 1_000)),
  };
}

/** A ruling on a worker's receipt, and the signatures of validators by who signed, ascending. */
export interface RulingDraft extends SignedStatement<"Ruling"> {
  readonly receipt: Receipt;
  /** The worker's. */
  readonly receiptSignature: Hex;
}

/** Which turn of a round a ruling is on. */
interface Turn {
  /** Completed rounds of the checkpoint that it led to. */
  readonly checkpoint?: number | undefined;
  /** The head of one turn, which may have been rolled back: by default the one that stands, else the newest. */
  readonly head?: Hex | undefined;
}

/** What a turn is called in an error. */
const turnText = ({ checkpoint, head }: Turn): string =>
  [
    ...(checkpoint === undefined ? [] : [`checkpoint ${checkpoint}`]),
    ...(head === undefined ? [] : [`head ${head}`]),
  ].join(" by ");

/**
 * The head that a round led to, and the one before it. A rollback names a checkpoint that some round before it led to.
 * @throws UserError `RULING_CHECKPOINT`
 */
async function turnOf(
  { reader, runId }: Pick<RulingsPlace, "reader" | "runId">,
  turn: Turn,
): Promise<{ readonly head: PostedHead; readonly parent: PostedHead }> {
  const heads = await reader.headsSince(runId, 0);
  const rolledBack = rolledBackHeads(heads);
  const turns = heads.flatMap((head, i) => {
    const parent = heads[i - 1];
    const isMeant =
      (turn.checkpoint === undefined || head.round === turn.checkpoint) &&
      (turn.head === undefined || head.head === turn.head);
    return parent && isMeant && !isRollback(head, parent) ? [{ head, parent }] : [];
  });
  const found = turns.findLast(({ head }) => !rolledBack.has(head)) ?? turns.at(-1);
  if (found) return found;
  throw new UserError(
    "RULING_CHECKPOINT",
    `No round of run ${runId} led to a ${turnText(turn)} that is anchored: "npx cotrain checkpoint list --json" has those that are, and "npx cotrain verify --json" those of somebody else's run.`,
  );
}

/**
 * A new ruling, on the receipt of a worker for the round that led to a checkpoint, as the run published it.
 * @param wanted.checkpoint, head which turn of which round: one of them at least
 * @param wanted.evidence sha256 of what shows why, zeros for nothing
 * @param wanted.within how long it may be used, s
 * @throws UserError `RULING_LONG`, `RULING_CHECKPOINT`, `RULING_RECEIPT`; what reading the round's documents throws
 */
export async function beginRuling(
  place: Pick<RulingsPlace, "reader" | "runId"> & { readonly blobs: BlobSource },
  facts: RulingFacts,
  wanted: Turn & {
    readonly worker: Address;
    readonly evidence: Hex;
    readonly within: number;
  },
): Promise<RulingDraft> {
  const { worker, evidence, within } = wanted;
  if (within < 1 || within > MOST_SECONDS)
    throw new UserError("RULING_LONG", "A ruling may be used for one second to 30 days: say how long with --within.");
  const { head, parent } = await turnOf(place, wanted);
  const { file } = await readHeadDocuments(place.reader, place.blobs, head, parent);
  const entry = file?.receipts.find(({ receipt }) => asAddress(receipt.worker) === worker);
  if (!entry)
    throw new UserError(
      "RULING_RECEIPT",
      `${worker} has no receipt among those of checkpoint ${head.round}: name another worker, or another checkpoint.`,
    );
  const receipt = fromWire("Receipt", entry.receipt);
  const struct: Ruling = {
    ...rulingOnWork,
    modelId: facts.modelId,
    subject: hashReceipt(receipt),
    accused: worker,
    evidence: asDigest(evidence),
    setVersion: facts.setVersion,
    deadline: BigInt(facts.earliest + within),
  };
  return { domain: facts.rulings, struct, receipt, receiptSignature: entry.signature, signatures: new Map() };
}

/**
 * Reads a ruling and holds it against the chain; undefined where there is no such file.
 * @throws UserError `RULING_INVALID` where the file is none, is about another model, has a receipt that the accused did not sign, or a
 *   signature of nobody in the set; `RULING_STALE` where it can be used no more
 */
export async function readRuling(
  path: string,
  { reader }: Pick<RulingsPlace, "reader">,
  facts: RulingFacts,
): Promise<RulingDraft | undefined> {
  const remedy = "have it sent again, or name another file to begin a ruling";
  const file = await readStateFile(path, RulingFile, remedy);
  if (!file) return undefined;
  const named = { path, code: "RULING_INVALID", remedy };
  const invalid = (what: string): UserError => new UserError("RULING_INVALID", `${path} ${what}: ${remedy}.`);
  const struct = structOfFile(named, "Ruling", file.ruling);
  const receipt = structOfFile(named, "Receipt", file.receipt);
  const { chainId, stakes } = facts;
  requireSignedFor(
    named,
    { chainId: file.chainId, contract: file.stakeManager, subject: `model ${struct.modelId}` },
    { chainId, contract: stakes, subject: `model ${facts.modelId}` },
  );
  const { kind, outcome, dispute } = rulingOnWork;
  if (struct.kind !== kind || struct.outcome !== outcome || struct.dispute !== dispute)
    throw invalid("is no ruling against work");
  const worker = asAddress(struct.accused);
  if (struct.subject !== hashReceipt(receipt) || worker !== asAddress(receipt.worker))
    throw invalid("has another receipt than the one that it rules on");
  if ((await reader.run(asRunId(receipt.runId))).modelId !== facts.modelId)
    throw invalid("is on work for another model");
  const signer = await recoverSigner(facts.receipts, "Receipt", receipt, file.receiptSignature).catch(
    (error: unknown) => {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    },
  );
  if (signer !== worker) throw invalid("has a receipt that the accused did not sign");
  requireUsable(path, "RULING_STALE", struct, facts);
  const signatures = await signersOfFile(named, { domain: facts.rulings, name: "Ruling", struct }, file.signatures, {
    of: "validators",
    addresses: facts.validators,
  });
  return { domain: facts.rulings, struct, receipt, receiptSignature: file.receiptSignature, signatures };
}

export const writeRuling = (
  path: string,
  { stakes, chainId }: RulingFacts,
  { struct, receipt, receiptSignature, signatures }: RulingDraft,
): Promise<void> =>
  writeStateFile(path, RulingFile, {
    version: 1,
    chainId,
    stakeManager: stakes,
    ruling: toWire("Ruling", struct),
    receipt: toWire("Receipt", receipt),
    receiptSignature,
    signatures: [...signatures.values()],
  });

/** What a ruling would take of a worker's stake now, wei: a part of what the open ones leave, rounded up as the contract does. */
export async function rulingCost(
  { connection, modelId }: Pick<RulingsPlace, "connection" | "modelId">,
  { stakes, rulingBps }: Pick<RulingFacts, "stakes" | "rulingBps">,
  worker: Address,
): Promise<bigint> {
  const { active, leaving, ruled } = await connection.call((client) =>
    stakeOf(client, { stakes, modelId, role: "worker", staker: worker }),
  );
  return ((active + leaving - ruled) * BigInt(rulingBps) + 9_999n) / 10_000n;
}

/** Before when nobody carries a ruling out that was proposed, chain seconds; undefined where the chain has none. */
export async function vetoEndsOf(
  { connection, modelId }: Pick<RulingsPlace, "connection" | "modelId">,
  { stakes }: Pick<RulingFacts, "stakes">,
  { struct: { accused: worker, subject: receiptHash } }: Pick<RulingDraft, "struct">,
): Promise<number | undefined> {
  const ruling = await connection.call((client) => rulingOf(client, { stakes, modelId, worker, receiptHash }));
  return ruling?.vetoEnds;
}
