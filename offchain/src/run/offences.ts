/**
 * Signatures under roots that holders voided and rulings that they vetoed, as the chain has them: each costs its signer a part of the
 * stake, once anybody reports it. Who signed stands in the transaction that posted the one or proposed the other, so that nobody else
 * needs to be asked.
 */
import {
  disputeOutcome,
  disputeSettled,
  getAllLogs,
  postedSignatures,
  proposedSignatures,
  rootPosted,
  rulingProposed,
  rulingVetoed,
  setOf,
  slashVetoed,
  slashVoided,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type Attestation,
  domainFor,
  type Hex,
  type Ruling,
  structHash,
  toWire,
} from "@cotrain/sdk/protocol";

import { formatAddress } from "../base/index.ts";
import { type ChainConnection, recoverSigners, rootSigners, unlessUnknown, type WalletClient } from "../chain/index.ts";
import { attestationsContradict, attestationSubject, lossBy, type ProvenContradiction } from "./contradictions.ts";
import { type DisputesPlace, kindText } from "./disputes.ts";

/** Who signed what came to the chain with a quorum's signatures. */
interface Signed {
  /** What brought it there. */
  readonly transaction: Hex;
  /** Signatures of members of its set by who signed; empty where the transaction, or the node, does not show them. */
  readonly signatures: ReadonlyMap<Address, Hex>;
  /** How many more it takes: who sends it through a contract of his own may show some and hide others, and a
   * node may have the transaction no more. */
  readonly missing: number;
}

/** A root that the holders' vote voided. */
export interface VoidedRoot extends Signed {
  /** What it would have paid for, of `rewardKind`. */
  readonly kind: number;
  readonly index: number;
  readonly digest: Hex;
  readonly attestation: Attestation;
}

/** A ruling on a worker's receipt that holders vetoed. */
export interface VetoedRuling extends Signed {
  readonly ruling: Ruling;
}

/** What validators signed and holders refused. */
export type Refused = VoidedRoot | VetoedRuling;

export interface OffencesPlace extends Pick<DisputesPlace, "addresses" | "modelId" | "fromBlock"> {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
}

/** Who sends it decides what else stands in that transaction: only what recovers to a member of the set counts. */
async function membersIn(
  { connection, addresses, modelId }: OffencesPlace,
  { transaction, setVersion }: { readonly transaction: Hex; readonly setVersion: number },
  signaturesIn: (input: Hex) => readonly Hex[] | undefined,
  signersOf: (signatures: readonly Hex[]) => ReturnType<typeof recoverSigners>,
): Promise<Signed> {
  const [input, { validators, threshold }] = await connection.call((client) =>
    Promise.all([
      // Many nodes keep logs for ever and transactions for a while: what is gone of one must not hide what stands in others.
      unlessUnknown("TransactionNotFoundError", async () => (await client.getTransaction({ hash: transaction })).input),
      setOf(client, { addresses, modelId, version: setVersion }),
    ]),
  );
  const set = new Set(validators.map((member) => asAddress(member)));
  const found = await signersOf((input && signaturesIn(input)) ?? []);
  const signed = new Map(found.filter(([signer]) => set.has(signer)));
  return { transaction, signatures: signed, missing: Math.max(0, threshold - signed.size) };
}

function signersOfRoot(place: OffencesPlace, attestation: Attestation, transaction: Hex): Promise<Signed> {
  const { connection, addresses } = place;
  return membersIn(
    place,
    { transaction, setVersion: attestation.setVersion },
    (input) => postedSignatures(input, attestation),
    (signatures) => rootSigners(connection.chainId, addresses, attestation, signatures),
  );
}

function signersOfRuling(place: OffencesPlace, ruling: Ruling, transaction: Hex): Promise<Signed> {
  const domain = domainFor(place.connection.chainId, asAddress(place.addresses.validatorSet));
  return membersIn(
    place,
    { transaction, setVersion: ruling.setVersion },
    (input) => proposedSignatures(input, ruling),
    (signatures) => recoverSigners(domain, "Ruling", ruling, signatures),
  );
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
      signed: (await signersOfRoot(place, attestation, transaction)).signatures,
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
    if (voided.has(digest)) found.voided.push({ ...posted, ...(await signersOfRoot(place, attestation, transaction)) });
  }
  return found;
}

/** Roots of a model that a vote voided, oldest first. */
export const voidedRoots = async (place: OffencesPlace): Promise<readonly VoidedRoot[]> =>
  (await offencesInRoots(place)).voided;

/** Rulings of a model's validators that holders vetoed, oldest first. */
export async function vetoedRulings(place: OffencesPlace, stakes: Address): Promise<VetoedRuling[]> {
  const { connection, modelId, fromBlock } = place;
  const from = { from: BigInt(fromBlock) };
  const [vetoed, proposed] = await Promise.all([
    connection.call((client) => getAllLogs(client, rulingVetoed({ stakes, modelId }), from)),
    connection.call((client) => getAllLogs(client, rulingProposed({ stakes, modelId }), from)),
  ]);
  const over = new Set(vetoed.logs.map(({ args }) => `${args.worker}/${args.receiptHash}`));
  const found: VetoedRuling[] = [];
  for (const { args, transactionHash } of proposed.logs)
    if (over.has(`${args.worker}/${args.receiptHash}`))
      found.push({ ruling: args.ruling, ...(await signersOfRuling(place, args.ruling, transactionHash)) });
  return found;
}

/** What was refused, in words that follow "signed". */
export const refusedText = (refused: Refused): string =>
  "ruling" in refused
    ? `the ruling against ${formatAddress(asAddress(refused.ruling.accused))} on receipt ${refused.ruling.subject}, which holders vetoed`
    : `root ${refused.index} of ${kindText(refused.kind)} (attestation ${refused.digest}), which holders voided`;

/** What names a signature under it, whoever finds it. */
export const nameOfRefused = (refused: Refused, signer: Address): string =>
  `${"ruling" in refused ? structHash("Ruling", refused.ruling) : refused.digest}/${signer}`;

/** What reporting a signature would take of its signer. @throws as {@link lossBy} */
export const lossFor = (
  { connection }: Pick<OffencesPlace, "connection">,
  stakes: Address,
  refused: Refused,
  [account, signature]: readonly [Address, Hex],
): ReturnType<typeof lossBy> =>
  lossBy(() =>
    connection.call((client) =>
      "ruling" in refused
        ? slashVetoed.simulate(client, { stakes, ruling: refused.ruling, signature, account })
        : slashVoided.simulate(client, { stakes, attestation: refused.attestation, signature, account }),
    ),
  );

/** Reports it, and answers what it took. */
export const reportSignature = (client: WalletClient, stakes: Address, refused: Refused, signature: Hex) =>
  "ruling" in refused
    ? slashVetoed.sync(client, { stakes, ruling: refused.ruling, signature })
    : slashVoided.sync(client, { stakes, attestation: refused.attestation, signature });
