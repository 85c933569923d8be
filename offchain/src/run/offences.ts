/**
 * Signatures under roots that holders voided, as the chain has them: each costs its signer a part of the stake, once anybody reports it.
 * Who signed a root stands in the transaction that posted it, so that nobody else needs to be asked.
 */
import {
  disputeOutcome,
  disputeSettled,
  getAllLogs,
  postedSignatures,
  rootPosted,
  setOf,
  slashVoided,
} from "@cotrain/sdk/actions";
import { StakeManagerNothingToSlashError, StakeManagerPunishedError } from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  type Attestation,
  domainFor,
  type Hex,
  recoverSigner,
  structHash,
} from "@cotrain/sdk/protocol";

import type { ChainConnection } from "../chain/index.ts";
import type { DisputesPlace } from "./disputes.ts";

/** A root that the holders' vote voided. */
export interface VoidedRoot {
  /** What it would have paid for, of `rewardKind`. */
  readonly kind: number;
  readonly index: number;
  readonly digest: Hex;
  readonly attestation: Attestation;
  /** What posted it. */
  readonly transaction: Hex;
  /** Signatures of members of its set by who signed; empty where the transaction does not show them. */
  readonly signatures: ReadonlyMap<Address, Hex>;
  /** How many more a root takes: who posts through a contract of his own may show some and hide others. */
  readonly missing: number;
}

interface OffencesPlace extends Pick<DisputesPlace, "addresses" | "modelId" | "fromBlock"> {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
}

/** Who posts a root decides what else stands in that transaction: only what recovers to a member of the root's set counts. */
async function signaturesIn(
  { connection, addresses, modelId }: OffencesPlace,
  attestation: Attestation,
  transaction: Hex,
): Promise<Pick<VoidedRoot, "signatures" | "missing">> {
  const [{ input }, { validators, threshold }] = await connection.call((client) =>
    Promise.all([
      client.getTransaction({ hash: transaction }),
      setOf(client, { addresses, modelId, version: attestation.setVersion }),
    ]),
  );
  const domain = domainFor(connection.chainId, asAddress(addresses.computeRewards));
  const set = new Set(validators.map((member) => asAddress(member)));
  const signed = new Map<Address, Hex>();
  for (const signature of postedSignatures(input, attestation) ?? []) {
    const signer = await recoverSigner(domain, "Attestation", attestation, signature).catch(() => undefined);
    if (signer !== undefined && set.has(signer)) signed.set(signer, signature);
  }
  return { signatures: signed, missing: Math.max(0, threshold - signed.size) };
}

/** Roots of a model that a vote voided, oldest first. What nobody decided, or the organiser alone refused, is none. */
export async function voidedRoots(place: OffencesPlace): Promise<VoidedRoot[]> {
  const { connection, addresses, modelId, fromBlock } = place;
  const from = { from: BigInt(fromBlock) };
  const [settled, posted] = await Promise.all([
    connection.call((client) => getAllLogs(client, disputeSettled({ addresses, modelId }), from)),
    connection.call((client) => getAllLogs(client, rootPosted({ addresses, modelId }), from)),
  ]);
  const voided = new Set(
    settled.logs.flatMap(({ args }) => (args.outcome === disputeOutcome.void && args.voted ? [args.digest] : [])),
  );
  const found: VoidedRoot[] = [];
  for (const { args, transactionHash: transaction } of posted.logs) {
    const { kind, index, attestation } = args;
    const digest = structHash("Attestation", attestation);
    if (!voided.has(digest)) continue;
    const signed = await signaturesIn(place, attestation, transaction);
    found.push({ kind, index: Number(index), digest, attestation, transaction, ...signed });
  }
  return found;
}

/** What reporting a signature would take of its signer, in wei; else why it takes nothing. @throws what is refused for other reasons */
export async function lossFor(
  { connection }: OffencesPlace,
  { stakes, attestation, signature }: Parameters<typeof slashVoided.call>[0],
  account: Address,
): Promise<bigint | "punished" | "nothing"> {
  try {
    const call = { stakes, attestation, signature, account };
    return (await connection.call((client) => slashVoided.simulate(client, call))).result;
  } catch (error) {
    if (error instanceof StakeManagerPunishedError) return "punished";
    if (error instanceof StakeManagerNothingToSlashError) return "nothing";
    throw error;
  }
}
