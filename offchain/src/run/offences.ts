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
import {
  type Address,
  asAddress,
  type Attestation,
  domainFor,
  type Hex,
  recoverSigner,
  structHash,
  toWire,
} from "@cotrain/sdk/protocol";

import type { ChainConnection } from "../chain/index.ts";
import { attestationsContradict, attestationSubject, lossBy, type ProvenContradiction } from "./contradictions.ts";
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

export interface OffencesPlace extends Pick<DisputesPlace, "addresses" | "modelId" | "fromBlock"> {
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

/** What validators of a model signed and posted, and may lose stake for. */
export interface RootOffences {
  /** Oldest first. What nobody decided, or the organiser alone refused, is none. */
  readonly voided: readonly VoidedRoot[];
  /** Two roots of the same epochs under one signer's name. */
  readonly contradicting: readonly ProvenContradiction[];
}

type Posted = Omit<VoidedRoot, "signatures" | "missing">;

/** Who signed both of two roots that contradict each other. */
async function signersOfBoth(place: OffencesPlace, a: Posted, b: Posted): Promise<ProvenContradiction[]> {
  const [ofA, ofB] = await Promise.all(
    [a, b].map(async ({ attestation, transaction }) => ({
      attestation: toWire("Attestation", attestation),
      signed: (await signaturesIn(place, attestation, transaction)).signatures,
    })),
  );
  return [...(ofA?.signed ?? [])].flatMap(([signer, signature]): ProvenContradiction[] => {
    const other = ofB?.signed.get(signer);
    if (!ofA || !ofB || other === undefined) return [];
    const pair = [
      { attestation: ofA.attestation, signature },
      { attestation: ofB.attestation, signature: other },
    ] as const;
    return [{ signer, contradiction: { kind: "attestations", pair } }];
  });
}

/** All that the chain shows of them. */
export async function offencesInRoots(place: OffencesPlace): Promise<RootOffences> {
  const { connection, addresses, modelId, fromBlock } = place;
  const from = { from: BigInt(fromBlock) };
  const [settled, logs] = await Promise.all([
    connection.call((client) => getAllLogs(client, disputeSettled({ addresses, modelId }), from)),
    connection.call((client) => getAllLogs(client, rootPosted({ addresses, modelId }), from)),
  ]);
  const voided = new Set(
    settled.logs.flatMap(({ args }) => (args.outcome === disputeOutcome.void && args.voted ? [args.digest] : [])),
  );
  const found: { voided: VoidedRoot[]; contradicting: ProvenContradiction[] } = { voided: [], contradicting: [] };
  /** The first of each subject. */
  const bySubject = new Map<string, Posted>();
  for (const { args, transactionHash: transaction } of logs.logs) {
    const { kind, index, attestation } = args;
    const digest = structHash("Attestation", attestation);
    const posted = { kind, index: Number(index), digest, attestation, transaction };
    const subject = attestationSubject(attestation);
    const before = bySubject.get(subject) ?? posted;
    bySubject.set(subject, before);
    if (attestationsContradict(before.attestation, attestation))
      found.contradicting.push(...(await signersOfBoth(place, before, posted)));
    if (voided.has(digest)) found.voided.push({ ...posted, ...(await signaturesIn(place, attestation, transaction)) });
  }
  return found;
}

/** Roots of a model that a vote voided, oldest first. */
export const voidedRoots = async (place: OffencesPlace): Promise<readonly VoidedRoot[]> =>
  (await offencesInRoots(place)).voided;

/** What reporting a signature would take of its signer. @throws as {@link lossBy} */
export const lossFor = (
  { connection }: Pick<OffencesPlace, "connection">,
  { stakes, attestation, signature }: Parameters<typeof slashVoided.call>[0],
  account: Address,
): ReturnType<typeof lossBy> =>
  lossBy(() => connection.call((client) => slashVoided.simulate(client, { stakes, attestation, signature, account })));
