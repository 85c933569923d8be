/**
 * Two statements of one validator that contradict each other: whoever reports both has it lose a part of its stake, and a fee. They go
 * from hand to hand as a file, so that nothing in it is believed which the signatures do not say.
 */
import { slashAttestations, slashVerdicts } from "@cotrain/sdk/actions";
import { ProtocolError, StakeManagerNothingToSlashError, StakeManagerPunishedError } from "@cotrain/sdk/errors";
import {
  type Address,
  Address20,
  asAddress,
  asRunId,
  type Attestation,
  type ContractAddresses,
  type Digest,
  digestOfJson,
  domainFor,
  fromWire,
  type Hex,
  isVoice,
  type ModelId,
  recoverSigner,
  Signature65,
  SignedVerdict,
  structHash,
  type Verdict,
  verdictKind,
  wireSchema,
  type WireStruct,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";

import { UserError } from "../base/index.ts";
import type { ChainConnection, ChainReader, WalletClient } from "../chain/index.ts";
import { readStateFile, writeStateFile } from "../service/index.ts";

/** An attestation and a signature under it, as they are written down. */
interface SignedAttestation {
  readonly attestation: WireStruct<"Attestation">;
  readonly signature: Hex;
}

/** Both statements, as they are written down. */
export type Contradiction =
  | { readonly kind: "verdicts"; readonly pair: readonly [SignedVerdict, SignedVerdict] }
  | { readonly kind: "attestations"; readonly pair: readonly [SignedAttestation, SignedAttestation] };

const two = { minItems: 2, maxItems: 2 } as const;

const ContradictionFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    /** For which contract they were signed: RunRegistry for verdicts, ComputeRewards for attestations. */
    contract: Address20,
    verdicts: Type.Optional(Type.Array(SignedVerdict, two)),
    attestations: Type.Optional(
      Type.Array(
        Type.Object(
          { attestation: wireSchema("Attestation"), signature: Signature65 },
          { additionalProperties: false },
        ),
        two,
      ),
    ),
  },
  { additionalProperties: false },
);

/** Where statements were signed for. */
export interface StatementsPlace {
  readonly chainId: number;
  readonly contracts: Pick<ContractAddresses, "runRegistry" | "computeRewards">;
}

/** What verdicts must have in common to contradict each other, as StakeManager takes it. */
export const verdictSubject = ({ runId, head, validator, kind, worker, index }: WireStruct<"Verdict">): string =>
  [runId, head, validator, kind, worker, index].join("/");

/** Likewise of attestations: all but what is paid and what proves it. */
export const attestationSubject = (attestation: Attestation): string =>
  structHash("Attestation", { ...attestation, root: zeroHash, total: 0n, epochDigest: zeroHash });

/** Whether two verdicts contradict each other; what a machine measures may differ. */
export const verdictsContradict = (a: WireStruct<"Verdict">, b: WireStruct<"Verdict">): boolean =>
  isVoice(a.kind) && verdictSubject(a) === verdictSubject(b) && a.value !== b.value;

/** Whether two attestations do: two manifests of one root pay the same. */
export const attestationsContradict = (a: Attestation, b: Attestation): boolean =>
  attestationSubject(a) === attestationSubject(b) && (a.root !== b.root || a.total !== b.total);

/** What names it, however often and in whatever order its statements are found. */
export const nameOfContradiction = ({ kind, pair: [a] }: Contradiction, signer: Address): Digest =>
  digestOfJson([
    kind,
    signer,
    "verdict" in a ? verdictSubject(a.verdict) : attestationSubject(fromWire("Attestation", a.attestation)),
  ]);

const contractOf = ({ contracts }: StatementsPlace, kind: Contradiction["kind"]): Address =>
  asAddress(kind === "verdicts" ? contracts.runRegistry : contracts.computeRewards);

/** Who signed a verdict or an attestation; undefined where nobody did. @throws ProtocolError where it is none */
export async function signerOf(
  place: StatementsPlace,
  signed: SignedVerdict | SignedAttestation,
): Promise<Address | undefined> {
  if ("verdict" in signed) {
    const domain = domainFor(place.chainId, contractOf(place, "verdicts"));
    const struct = fromWire("Verdict", signed.verdict);
    return recoverSigner(domain, "Verdict", struct, signed.signature).catch(() => undefined);
  }
  const domain = domainFor(place.chainId, contractOf(place, "attestations"));
  const struct = fromWire("Attestation", signed.attestation);
  return recoverSigner(domain, "Attestation", struct, signed.signature).catch(() => undefined);
}

/** What is wrong with a contradiction by itself, as a clause, or who signed both. @throws ProtocolError where one is no statement */
async function heldAgainstItself(
  place: StatementsPlace,
  { kind, pair }: Contradiction,
): Promise<{ readonly signer: Address } | { readonly problem: string }> {
  const contradict =
    kind === "verdicts"
      ? verdictsContradict(pair[0].verdict, pair[1].verdict)
      : attestationsContradict(
          fromWire("Attestation", pair[0].attestation),
          fromWire("Attestation", pair[1].attestation),
        );
  if (!contradict)
    return {
      problem:
        kind === "verdicts"
          ? "its verdicts do not contradict each other: they are about two things, say the same, or say what was measured, which may differ"
          : "its attestations do not contradict each other: they differ in more than what is paid, or pay the same",
    };
  const [signer, other] = await Promise.all([signerOf(place, pair[0]), signerOf(place, pair[1])]);
  if (signer === undefined || signer !== other)
    return { problem: `they are signed by ${signer ?? "nobody"} and by ${other ?? "nobody"}, not by one key` };
  if (kind === "verdicts" && signer !== pair[0].verdict.validator)
    return { problem: `they name ${pair[0].verdict.validator}, and ${signer} signed them` };
  return { signer };
}

/** A contradiction that was held against itself and the chain. */
export interface ProvenContradiction {
  readonly contradiction: Contradiction;
  /** Who signed both. */
  readonly signer: Address;
}

interface ReportingPlace {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
  readonly reader: Pick<ChainReader, "run">;
  readonly addresses: ContractAddresses;
  readonly modelId: ModelId;
}

const REMEDY = "have it sent again, or name another file";

/** What a file of one's own holds, of which nothing is asked. @throws UserError `STATE_CORRUPTED` */
export async function contradictionOfFile(path: string): Promise<Contradiction | undefined> {
  const file = await readStateFile(path, ContradictionFile, REMEDY);
  return file && contradictionIn(file);
}

/**
 * Reads both statements and holds them against each other, their signatures and the chain.
 * @throws UserError `CONFLICT_MISSING`, `CONFLICT_INVALID`; `CONFLICT_OTHER` where they are about another chain, contract or model
 */
export async function readContradiction(path: string, place: ReportingPlace): Promise<ProvenContradiction> {
  const file = await readStateFile(path, ContradictionFile, REMEDY);
  if (!file) throw new UserError("CONFLICT_MISSING", `There is no file ${path}: name one with both statements.`);
  const { connection, reader, addresses, modelId } = place;
  const invalid = (what: string, cause?: unknown): UserError =>
    new UserError("CONFLICT_INVALID", `${path} proves nothing: ${what}.`, cause === undefined ? {} : { cause });
  const contradiction = contradictionIn(file);
  if (!contradiction) throw invalid("it has to hold two verdicts, or two attestations, and not both");
  const where = { chainId: connection.chainId, contracts: addresses };
  const other = (of: string): UserError =>
    new UserError("CONFLICT_OTHER", `${path} is ${of}: name the run that it is about, or another file.`);
  const contract = contractOf(where, contradiction.kind);
  if (file.chainId !== where.chainId || file.contract !== contract)
    throw other(
      `for contract ${file.contract} on chain ${file.chainId}, not for ${contract} on chain ${where.chainId}`,
    );
  try {
    const held = await heldAgainstItself(where, contradiction);
    if ("problem" in held) throw invalid(held.problem);
    const of =
      contradiction.kind === "verdicts"
        ? (await reader.run(asRunId(contradiction.pair[0].verdict.runId))).modelId
        : contradiction.pair[0].attestation.modelId;
    if (of !== modelId) throw other(`about model ${of}, not about ${modelId}`);
    return { contradiction, signer: held.signer };
  } catch (error) {
    if (error instanceof ProtocolError) throw invalid(error.message.replace(/\.$/, ""), error);
    throw error;
  }
}

/** What a file holds; undefined where that is not two of one kind. */
function contradictionIn({ verdicts, attestations }: Static<typeof ContradictionFile>): Contradiction | undefined {
  if ((verdicts === undefined) === (attestations === undefined)) return undefined;
  const [a, b] = verdicts ?? [];
  if (a && b) return { kind: "verdicts", pair: [a, b] };
  const [x, y] = (attestations ?? []) as SignedAttestation[];
  return x && y ? { kind: "attestations", pair: [x, y] } : undefined;
}

export const writeContradiction = (path: string, place: StatementsPlace, { kind, pair }: Contradiction) =>
  writeStateFile(path, ContradictionFile, {
    version: 1,
    chainId: place.chainId,
    contract: contractOf(place, kind),
    ...(kind === "verdicts" ? { verdicts: [...pair] } : { attestations: [...pair] }),
  });

const callOf = (stakes: Address, { kind, pair }: Contradiction) =>
  kind === "verdicts"
    ? ({ kind, args: { stakes, a: verdictOf(pair[0]), b: verdictOf(pair[1]) } } as const)
    : ({ kind, args: { stakes, a: attestationOf(pair[0]), b: attestationOf(pair[1]) } } as const);
const verdictOf = ({ verdict, signature }: SignedVerdict): { readonly struct: Verdict; readonly signature: Hex } => ({
  struct: fromWire("Verdict", verdict),
  signature,
});
const attestationOf = ({ attestation, signature }: SignedAttestation) => ({
  struct: fromWire("Attestation", attestation),
  signature,
});

/** What a report would take of an account, in wei; else why it takes nothing. @throws what is refused for other reasons */
export async function lossBy(
  simulate: () => Promise<{ readonly result: bigint }>,
): Promise<bigint | "punished" | "nothing"> {
  try {
    return (await simulate()).result;
  } catch (error) {
    if (error instanceof StakeManagerPunishedError) return "punished";
    if (error instanceof StakeManagerNothingToSlashError) return "nothing";
    throw error;
  }
}

/** What reporting it would take of its signer. @throws as `lossBy` */
export function lossForContradiction(
  { connection }: Pick<ReportingPlace, "connection">,
  stakes: Address,
  { contradiction, signer: account }: ProvenContradiction,
): ReturnType<typeof lossBy> {
  const { kind, args } = callOf(stakes, contradiction);
  return lossBy(() =>
    connection.call((client) =>
      kind === "verdicts"
        ? slashVerdicts.simulate(client, { ...args, account })
        : slashAttestations.simulate(client, { ...args, account }),
    ),
  );
}

/** Reports it, and answers what it took. */
export function reportContradiction(client: WalletClient, stakes: Address, contradiction: Contradiction) {
  const { kind, args } = callOf(stakes, contradiction);
  return kind === "verdicts" ? slashVerdicts.sync(client, args) : slashAttestations.sync(client, args);
}

/** What the statements say, in half a sentence. */
export function contradictionText({ kind, pair }: Contradiction): string {
  if (kind === "attestations") {
    const [{ attestation: a }, { attestation: b }] = pair;
    return `signed two roots of epochs ${a.fromEpoch} to ${a.toEpoch} that are equal in all else: ${a.root} of ${a.total} wei and ${b.root} of ${b.total} wei`;
  }
  const [{ verdict: a }, { verdict: b }] = pair;
  const about =
    a.kind === verdictKind.confirmation ? `what ${a.worker} drew, fragment ${a.index}` : `fragment ${a.index}`;
  return `signed two verdicts about ${about} of head ${a.head}: ${a.value} and ${b.value} of 10000`;
}
