/** Roots as anybody brings them on: the one in its window, which is activated after it, and one that validators signed, to be posted. */
import { activeRoot, getAllLogs, pendingRoot, rootPosted } from "@cotrain/sdk/actions";
import {
  type Address,
  type Attestation,
  type EpochList,
  type EpochView,
  fromWire,
  type Hex,
  structHash,
} from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../base/index.ts";
import { type ChainReader, rootSigners } from "../chain/index.ts";
import { kindText } from "./disputes.ts";
import type { RevenuePlace } from "./revenue.ts";
import { MAX_SIGNATURES } from "./signatures.ts";

/** What was posted of the root of a kind that is in its window; undefined where none is. @throws RetryableError `CHAIN_RPC` */
export async function waitingRoot({ connection, addresses, modelId, fromBlock }: RevenuePlace, kind: number) {
  const of = { addresses, modelId, kind };
  const pending = await connection.call((client) => pendingRoot(client, of));
  if (!pending) return undefined;
  const { logs } = await connection.call((client) => getAllLogs(client, rootPosted(of), { from: BigInt(fromBlock) }));
  const posted = logs
    .map(({ args }) => args.attestation)
    .findLast((each) => structHash("Attestation", each) === pending.digest);
  if (!posted)
    throw new RetryableError(
      "CHAIN_RPC",
      `The node does not tell the posting of the root in its window, ${pending.digest}.`,
    );
  return { ...pending, attestation: posted };
}

/** What a quorum of the validators in force signed, and nobody has posted. */
export interface QuorumRoot {
  readonly attestation: Attestation;
  /** By who signed, ascending, as the contract takes them. */
  readonly signatures: ReadonlyMap<Address, Hex>;
  readonly threshold: number;
}

export interface QuorumRootPlace extends RevenuePlace {
  readonly reader: Pick<ChainReader, "chainId" | "validators" | "rulingOn">;
}

/** Signatures of members, ascending: what a coordinator serves besides is nobody's. */
async function membersOf(
  { reader, addresses }: QuorumRootPlace,
  attestation: Attestation,
  signatures: EpochView["signatures"],
  validators: readonly Address[],
): Promise<ReadonlyMap<Address, Hex>> {
  const served = signatures.slice(0, MAX_SIGNATURES).map(({ signature }) => signature);
  const signed = await rootSigners(reader.chainId, addresses, attestation, served);
  return new Map(signed.filter(([signer]) => validators.includes(signer)).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The root that comes next, as a quorum signed it.
 * @param published what the run's coordinator serves of its epochs; nothing in it is believed but signatures
 * @throws UserError `ROOT_POSTED` where one is in its window, `ROOT_NONE`, `ROOT_UNSIGNED`
 */
export async function signedRoot(place: QuorumRootPlace, kind: number, { epochs }: EpochList): Promise<QuorumRoot> {
  const { connection, addresses, modelId, reader } = place;
  const of = { addresses, modelId, kind };
  const pending = await connection.call((client) => pendingRoot(client, of));
  if (pending)
    throw new UserError(
      "ROOT_POSTED",
      `Root ${pending.index} of ${kindText(kind)} is posted already, and none beside it can be.`,
    );
  const active = await connection.call((client) => activeRoot(client, of));
  const index = (active?.index ?? 0) + 1;
  const { validators, threshold, version } = await reader.validators(modelId);
  let most = -1;
  for (const view of epochs.toReversed()) {
    const attestation = fromWire("Attestation", view.attestation);
    const { modelId: model, setVersion } = attestation;
    if (model !== modelId || attestation.kind !== kind || Number(attestation.index) !== index) continue;
    // What a dispute has ended is never taken again, nor what another set signed.
    const isGone = (await reader.rulingOn(structHash("Attestation", attestation))) !== undefined;
    if (setVersion !== version || isGone) continue;
    const signatures = await membersOf(place, attestation, view.signatures, validators);
    if (signatures.size >= threshold) return { attestation, signatures, threshold };
    most = Math.max(most, signatures.size);
  }
  if (most < 0)
    throw new UserError(
      "ROOT_NONE",
      `The coordinator publishes no root ${index} of ${kindText(kind)} that could be posted now.`,
    );
  throw new UserError(
    "ROOT_UNSIGNED",
    `Root ${index} of ${kindText(kind)} is signed by ${most} of the ${threshold} validators that it takes.`,
  );
}
