/**
 * A root that pays somebody what others earned, as a coordinator and a quorum of validators who conspire would make it: it is for a
 * session that shows what becomes of such a root, and needs the keys of a quorum, which the machine of a local run has.
 */
import { postRoot } from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type Attestation,
  type ContractAddresses,
  digestOfJson,
  domainFor,
  type Hex,
  type ModelId,
  type RunId,
  structHash,
  typedDataOf,
} from "@cotrain/sdk/protocol";
import type { PrivateKeyAccount } from "viem/accounts";

import { UserError } from "../base/index.ts";
import type { ChainReader, WalletClient } from "../chain/index.ts";
import {
  blobSourceOf,
  computeEpoch,
  createHeadDocumentsCache,
  type EpochComputation,
  leavesOf,
  rewardTreeOf,
} from "../run/index.ts";
import { type BlobStore, putDocument } from "../storage/index.ts";

/** A validator whose key is here. */
export interface Signer {
  readonly name: string;
  readonly account: PrivateKeyAccount;
}

/** Where roots are posted. */
export interface RootsPlace {
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly reader: ChainReader;
  readonly blobs: BlobStore;
}

/** What a thief takes of whom. */
export interface Theft {
  readonly victim: Address;
  readonly amount: bigint;
}

/** A false root in its window. */
export interface FalseRoot extends Theft {
  readonly thief: Address;
  readonly attestation: Attestation;
  readonly digest: Hex;
  readonly signatures: readonly (Signer & { readonly signature: Hex })[];
  readonly transaction: Hex;
  readonly block: bigint;
}

/**
 * What would be signed if a half of the largest part were the thief's. All else is as it was earned: the total is within the budget,
 * and the documents are those of the root.
 */
export function withTheft(
  { manifest, rewards, attestation, ...rest }: EpochComputation,
  thief: Address,
): Theft & { readonly computation: EpochComputation } {
  const amounts = new Map(rewards.leaves.map(({ account, amount }) => [asAddress(account), BigInt(amount)]));
  const [victim, most] = [...amounts].reduce((largest, each) => (each[1] > largest[1] ? each : largest));
  const amount = most / 2n;
  amounts.set(victim, most - amount);
  amounts.set(thief, (amounts.get(thief) ?? 0n) + amount);
  const other = { ...rewards, leaves: leavesOf(amounts) };
  const { root, total } = rewardTreeOf(other);
  const made = { ...manifest, root, total: total.toString(), rewards: digestOfJson(other) };
  const signed = { ...attestation, root, total, epochDigest: digestOfJson(made) };
  return { victim, amount, computation: { ...rest, rewards: other, manifest: made, attestation: signed } };
}

/** As many of these as a quorum takes, in the order of the set, in which the contract wants their signatures. @throws UserError `DEMO_QUORUM` */
export async function quorumOf(
  { reader, modelId }: Pick<RootsPlace, "reader" | "modelId">,
  signers: readonly Signer[],
): Promise<Signer[]> {
  const { validators, threshold } = await reader.validators(modelId);
  const here = new Map(signers.map((signer) => [asAddress(signer.account.address), signer]));
  const quorum = validators.flatMap((member) => here.get(member) ?? []).slice(0, threshold);
  if (quorum.length === threshold) return quorum;
  throw new UserError(
    "DEMO_QUORUM",
    `This machine has the keys of ${quorum.length} of the model's validators, and ${threshold} sign a root: nobody here can sign a false one.`,
  );
}

/** What makes the false root: it has to be faster than the coordinator with the true one, and reads ahead what it will need. */
export interface Forger {
  /** Reads what stands behind the heads that no root pays yet. */
  readonly readAhead: () => Promise<void>;
  /**
   * Posts a false root in the place of the one that is due for the newest head, and finds again one whose answer was lost: it may be
   * mined later, and left alone it would pay.
   * @returns undefined where that is not due yet
   * @throws UserError `DEMO_SLOW` where the true one is posted
   */
  readonly post: () => Promise<FalseRoot | undefined>;
}

/** @param client the thief's, which pays the gas */
export function createForger(place: RootsPlace, client: WalletClient, quorum: readonly Signer[]): Forger {
  const { reader, modelId, runId } = place;
  const blobs = blobSourceOf(place.blobs);
  const documents = createHeadDocumentsCache(reader);
  let sent: Sent | undefined;
  const keep = (made: Sent): void => void (sent = made);
  const roots = async () => {
    const [pending, active] = await Promise.all([reader.pendingRoot(modelId), reader.activeRoot(modelId)]);
    return { pending, paidThrough: pending?.epoch ?? active?.epoch ?? 0 };
  };
  return {
    readAhead: async () => {
      const [heads, { paidThrough }] = await Promise.all([reader.headsSince(runId, 0), roots()]);
      for (const [i, head] of heads.entries())
        if ((await reader.epochOf(modelId, head.anchoredAt)) > paidThrough)
          await documents.read(blobs, head, heads[i - 1]);
    },
    post: async () => {
      const newest = (await reader.headsSince(runId, 0)).at(-1);
      if (!newest) return undefined;
      const epoch = await reader.epochOf(modelId, newest.anchoredAt);
      const { pending, paidThrough } = await roots();
      const found = sent && (await mined(place, sent));
      if (found) return found;
      if (epoch <= paidThrough)
        throw new UserError(
          "DEMO_SLOW",
          "the coordinator was faster with the true root, and the next session may show it",
        );
      // One after the other.
      if (pending || (await reader.settledTime()) < (await reader.epochEnd(modelId, epoch))) return undefined;
      const result = await computeEpoch({ reader, blobs, documents }, { modelId, epoch, verdicts: [] });
      return result.kind === "computed" ? postInstead(place, client, quorum, result.computation, keep) : undefined;
    },
  };
}

/** What may be on the chain once it was sent. */
type Sent = Omit<FalseRoot, "transaction" | "block">;

/** @returns undefined where it is not there, or not yet */
async function mined({ reader, modelId }: RootsPlace, sent: Sent): Promise<FalseRoot | undefined> {
  const found = (await reader.rootsOf(modelId)).find((root) => root.digest === sent.digest);
  return found && { ...sent, transaction: found.transaction, block: BigInt(found.block) };
}

/**
 * Publishes, signs and posts what a thief has of what was earned.
 * @param keep told of it before it is sent
 */
async function postInstead(
  place: RootsPlace,
  client: WalletClient,
  quorum: readonly Signer[],
  honest: EpochComputation,
  keep: (made: Sent) => void,
): Promise<FalseRoot> {
  const { chainId, addresses, blobs } = place;
  const thief = asAddress(client.account.address);
  const { computation, ...theft } = withTheft(honest, thief);
  const { inputs, verdicts, rewards, manifest, attestation } = computation;
  for (const document of [inputs, verdicts, rewards, manifest]) await putDocument(blobs, document);
  const statement = typedDataOf(domainFor(chainId, addresses.computeRewards), "Attestation", attestation);
  const signatures = await Promise.all(
    quorum.map(async (signer) => ({ ...signer, signature: await signer.account.signTypedData(statement) })),
  );
  const digest = structHash("Attestation", attestation);
  const made = { ...theft, thief, attestation, digest, signatures };
  keep(made);
  const post = { addresses, attestation, signatures: signatures.map(({ signature }) => signature) };
  const { receipt } = await postRoot.sync(client, post);
  return { ...made, transaction: receipt.transactionHash, block: receipt.blockNumber };
}
