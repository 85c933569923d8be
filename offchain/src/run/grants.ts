/**
 * Grants for code: what the chain says of them, and one on its way from maintainer to maintainer: a file with its terms, the texts
 * that they name by digest, and who has signed. It comes from others, so that nothing in it is believed which the chain, a digest or
 * a signature does not say.
 */
import {
  currentMaintainers,
  epochOf,
  getAllLogs,
  grantApproved,
  grantCapsOf,
  grantDueAt,
  grantOf,
  grantsApprovedIn,
  grantSetVoidedAt,
  type GrantState,
  maintainersOf,
  unburnedOf,
} from "@cotrain/sdk/actions";
import { CodeGrantsAboveAuthorCapError, CodeGrantsAboveEpochCapError, type CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  Address20,
  asAddress,
  domainFor,
  type Grant,
  grantIdOf,
  type Hex,
  type ModelId,
  Signature65,
  toWire,
  wireSchema,
} from "@cotrain/sdk/protocol";
import { Type } from "typebox";
import { sha256, stringToHex, zeroAddress } from "viem";

import { type Clock, timeText, UserError } from "../base/index.ts";
import { shellWord } from "../base/node/index.ts";
import type { ChainConnection } from "../chain/index.ts";
import { contractAt, type ContractsPlace } from "./contracts.ts";
import { readStateFile, writeStateFile } from "../service/index.ts";
import { MAX_SIGNATURES, type SignedStatement, signersOfFile, structOfFile } from "./signatures.ts";

/** Bytes of a URL that the contract takes, and characters of a text that a file may have. */
const MAX_REPOSITORY = 256;
const MAX_DESCRIPTION = 2_000;
/** Whoever has a quorum's signatures may use them until the deadline: that is no matter of months, s. */
const MOST_SECONDS = 90 * 86_400;

const GrantFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    codeGrants: Address20,
    repository: Type.String({ minLength: 1, maxLength: MAX_REPOSITORY }),
    description: Type.String({ maxLength: MAX_DESCRIPTION }),
    grant: wireSchema("Grant"),
    signatures: Type.Array(Signature65, { maxItems: MAX_SIGNATURES }),
  },
  { additionalProperties: false },
);

/** Where grants are looked for. */
export interface GrantsPlace extends ContractsPlace {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
  /** Block at or before the contract's first. */
  readonly fromBlock: number;
}

/** What the chain says of who approves a model's grants. */
export interface GrantFacts {
  readonly modelId: ModelId;
  readonly chainId: number;
  readonly grants: Address;
  /** Of the maintainers in force; 0 where there are none. */
  readonly setVersion: number;
  readonly maintainers: readonly Address[];
  readonly threshold: number;
  /** Time of the newest block, s. */
  readonly now: number;
  /** The same, or this machine's where a node says that it is later than that: so nobody signs for years. */
  readonly earliest: number;
}

/** @throws UserError `CODE_UNPAID` where the deployment pays nobody for code */
export async function grantsContractOf(place: ContractsPlace): Promise<Address> {
  const grants = await contractAt(place, "codeGrants");
  if (grants !== zeroAddress) return grants;
  throw new UserError(
    "CODE_UNPAID",
    "The contracts of this run pay nobody for code: their Emission names no CodeGrants.",
  );
}

export async function grantFacts(place: GrantsPlace, clock: Clock): Promise<GrantFacts> {
  const { connection, addresses, modelId } = place;
  const grants = await grantsContractOf(place);
  const setVersion = await connection.call((client) => currentMaintainers(client, { addresses, modelId }));
  const none = { maintainers: [], threshold: 0 };
  const { maintainers, threshold } =
    setVersion === 0
      ? none
      : await connection.call((client) => maintainersOf(client, { addresses, modelId, version: setVersion }));
  const now = Number((await connection.call((client) => client.getBlock())).timestamp);
  return {
    modelId,
    chainId: connection.chainId,
    grants,
    setVersion,
    maintainers: maintainers.map(asAddress),
    threshold,
    now,
    earliest: Math.min(now, Math.floor(clock.now() / 1_000)),
  };
}

/** Of a cap; it may have been lowered below what was approved before. */
const left = (cap: bigint, used: bigint): bigint => (cap > used ? cap - used : 0n);

/**
 * What the contract would say of what maintainers approve of this grant in the present epoch, by their caps; undefined where they may.
 * A vote of the holders is not held to them.
 */
export async function capsRefusal(
  { connection, addresses, modelId }: GrantsPlace,
  { grants, now }: GrantFacts,
  { author, amount }: Pick<Grant, "author" | "amount">,
): Promise<CotrainError | undefined> {
  const epoch = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp: now }));
  const [caps, approved] = await Promise.all([
    connection.call((client) => grantCapsOf(client, { grants, modelId })),
    connection.call((client) => grantsApprovedIn(client, { grants, modelId, epoch, author })),
  ]);
  const [forAuthor, inAll] = [left(caps.perAuthor, approved.byAuthor), left(caps.perEpoch, approved.inAll)];
  if (amount > forAuthor) return new CodeGrantsAboveAuthorCapError([author, amount, forAuthor]);
  return amount > inAll ? new CodeGrantsAboveEpochCapError([amount, inAll]) : undefined;
}

/** A grant that maintainers are to sign, and their signatures by who signed, ascending. */
export interface GrantDraft extends SignedStatement<"Grant"> {
  readonly id: Hex;
  readonly repository: string;
  readonly description: string;
}

/** What somebody asks for. */
export interface GrantTerms {
  readonly author: Address;
  readonly repository: string;
  /** As Git writes it: 40 or 64 hex digits. */
  readonly commit: string;
  readonly description: string;
  /** Share wei. */
  readonly amount: bigint;
  /** Chain seconds; now if left out. */
  readonly start?: number | undefined;
  /** Seconds after the start. */
  readonly cliff: number;
  readonly duration: number;
  /** Seconds for which it may be approved. */
  readonly within: number;
}

const digestOfText = (text: string): Hex => sha256(stringToHex(text));

/** Git's id in a word of the chain: one of SHA-1 has zeros behind it. @throws UserError `COMMIT_FORM` */
function commitWord(commit: string): Hex {
  if (/^([\da-f]{40}|[\da-f]{64})$/.test(commit)) return `0x${commit.padEnd(64, "0")}`;
  throw new UserError(
    "COMMIT_FORM",
    `A commit is named by its whole id, 40 or 64 hex digits as "git rev-parse HEAD" prints it, not by ${JSON.stringify(commit.slice(0, 100))}.`,
  );
}

/** Git's id of a word of the chain. */
export const commitOf = (word: Hex): string => (/0{24}$/.test(word) ? word.slice(2, 42) : word.slice(2));

function refuseTerms(what: string): never {
  throw new UserError("GRANT_TERMS", `${what}.`);
}

/** @throws UserError `GRANT_TERMS`, `COMMIT_FORM` */
export function beginGrant(facts: GrantFacts, terms: GrantTerms): GrantDraft {
  const { author, repository, description, amount, cliff, duration, within } = terms;
  if (new TextEncoder().encode(repository).length > MAX_REPOSITORY)
    refuseTerms(`A repository's URL has at most ${MAX_REPOSITORY} bytes`);
  if (description.length > MAX_DESCRIPTION) refuseTerms(`A description has at most ${MAX_DESCRIPTION} characters`);
  if (cliff > duration) refuseTerms("--cliff is at most --duration");
  if (within < 1 || within > MOST_SECONDS)
    refuseTerms("A grant may be approved for one second to 90 days: say how long with --within");
  const struct: Grant = {
    modelId: facts.modelId,
    author,
    repository: digestOfText(repository),
    commit: commitWord(terms.commit),
    description: digestOfText(description),
    amount,
    start: BigInt(terms.start ?? facts.earliest),
    cliff,
    duration,
    setVersion: facts.setVersion,
    deadline: BigInt(facts.earliest + within),
  };
  return {
    domain: domainFor(facts.chainId, facts.grants),
    id: grantIdOf(struct),
    struct,
    repository,
    description,
    signatures: new Map(),
  };
}

/**
 * Reads a grant and holds it against the chain; undefined where there is no such file.
 * @param by who is to approve it. For which set of maintainers it was written, and who of them signed, is nothing to the holders:
 *   for them it is read without signatures
 * @throws UserError `GRANT_INVALID` where the file is none, says of its texts what is not so, or has a signature of nobody in the
 *   set; `GRANT_STALE` where it can be approved no more
 */
export async function readGrant(
  path: string,
  facts: GrantFacts,
  by: "maintainers" | "holders",
): Promise<GrantDraft | undefined> {
  const remedy = "have it sent again, or begin anew with another file";
  const file = await readStateFile(path, GrantFile, remedy);
  if (!file) return undefined;
  const invalid = (what: string): UserError => new UserError("GRANT_INVALID", `${path} ${what}: ${remedy}.`);
  const domain = domainFor(facts.chainId, facts.grants);
  const named = { path, code: "GRANT_INVALID", remedy };
  const struct = structOfFile(named, "Grant", file.grant);
  if (file.chainId !== facts.chainId || file.codeGrants !== facts.grants || struct.modelId !== facts.modelId)
    throw new UserError(
      "GRANT_INVALID",
      `${path} is of model ${struct.modelId} of ${file.codeGrants} on chain ${file.chainId}, not of model ${facts.modelId} of ${facts.grants} on chain ${facts.chainId}: name that run, or another file.`,
    );
  if (digestOfText(file.repository) !== struct.repository) throw invalid("names another repository than its terms do");
  if (digestOfText(file.description) !== struct.description)
    throw invalid("describes something else than its terms do");
  requireFresh(path, struct, facts);
  const { repository, description } = file;
  const draft = { domain, id: grantIdOf(struct), struct, repository, description };
  if (by === "holders") return { ...draft, signatures: new Map() };
  requireSet(path, struct, facts);
  const signatures = await signersOfFile(named, { domain, name: "Grant", struct }, file.signatures, {
    of: "maintainers",
    addresses: facts.maintainers,
  });
  return { ...draft, signatures };
}

/** Maintainers sign for their own set alone, which is named in what they sign. */
function requireSet(path: string, struct: Grant, { setVersion }: GrantFacts): void {
  if (struct.setVersion === setVersion) return;
  const written =
    struct.setVersion === 0
      ? "was written before there were maintainers"
      : `is for set ${struct.setVersion} of the maintainers`;
  throw new UserError(
    "GRANT_STALE",
    `${path} ${written}, but set ${setVersion} is in force, which cannot sign it: put it to the holders with "npx cotrain code approve-by-vote ${shellWord(path)}" (--again where its commit was granted before), or begin anew with another file.`,
  );
}

function requireFresh(path: string, struct: Grant, { now, earliest }: GrantFacts): void {
  const stale = (what: string): never => {
    throw new UserError("GRANT_STALE", `${path} ${what}: begin anew with another file.`);
  };
  if (struct.deadline < now) stale(`could be approved until ${timeText(Number(struct.deadline))}`);
  if (struct.deadline > earliest + MOST_SECONDS) stale("could be approved for more than 90 days");
}

export const writeGrant = (path: string, { domain, struct, repository, description, signatures }: GrantDraft) =>
  writeStateFile(path, GrantFile, {
    version: 1,
    chainId: domain.chainId,
    codeGrants: domain.verifyingContract,
    repository,
    description,
    grant: toWire("Grant", struct),
    signatures: [...signatures.values()],
  });

/** Whether it is a founder's: no other grant names no commit. */
export const isFounders = ({ terms }: Pick<GrantApproval, "terms">): boolean => BigInt(terms.commit) === 0n;

/** A grant as its approval tells of it. */
export interface GrantApproval {
  readonly id: Hex;
  readonly terms: Grant;
  readonly repository: string;
  readonly transaction: Hex;
}

/** A grant that was approved, as it stands now. */
export interface ApprovedGrant extends GrantApproval {
  readonly state: GrantState;
  /** What is due now, claimed or not, in share wei. */
  readonly due: bigint;
  /** When the holders ended all that its set of maintainers approved, chain seconds; undefined where they did not. */
  readonly voidedAt: number | undefined;
  /** What will never be due of it and was not burned yet, in share wei. */
  readonly unburned: bigint;
}

/**
 * Grants of a model, oldest first.
 * @param chosen those that are looked at, of all; each costs two requests, and three where its set was voided
 */
export async function approvedGrants(
  place: GrantsPlace,
  chosen: (all: readonly GrantApproval[]) => readonly GrantApproval[] = (all) => all,
): Promise<{ readonly grants: Address; readonly all: ApprovedGrant[] }> {
  const { connection, modelId, fromBlock } = place;
  const grants = await grantsContractOf(place);
  const { logs } = await connection.call((client) =>
    getAllLogs(client, grantApproved({ grants, modelId }), { from: BigInt(fromBlock) }),
  );
  const approvals = logs.map(({ args: { id, grant, repository }, transactionHash }) => ({
    id,
    terms: grant,
    repository,
    transaction: transactionHash,
  }));
  const timestamp = Number((await connection.call((client) => client.getBlock())).timestamp);
  const voided = new Map<number, number | undefined>([[0, undefined]]);
  const all: ApprovedGrant[] = [];
  for (const approval of chosen(approvals)) {
    const { id } = approval;
    const { setVersion } = approval.terms;
    if (!voided.has(setVersion))
      voided.set(
        setVersion,
        await connection.call((client) => grantSetVoidedAt(client, { grants, modelId, setVersion })),
      );
    const voidedAt = voided.get(setVersion);
    const [state, due, unburned] = await Promise.all([
      connection.call((client) => grantOf(client, { grants, modelId, id })),
      connection.call((client) => grantDueAt(client, { grants, modelId, id, timestamp })),
      voidedAt === undefined ? 0n : connection.call((client) => unburnedOf(client, { grants, modelId, id })),
    ]);
    if (state) all.push({ ...approval, state, due, voidedAt, unburned });
  }
  return { grants, all };
}

/** What was approved for a draft's commit: the draft itself, and others of which something is left to their authors. */
export async function grantsOfCommit(
  place: GrantsPlace,
  { id, struct: { commit } }: { readonly id: Hex; readonly struct: Pick<Grant, "commit"> },
): Promise<{ readonly same: ApprovedGrant | undefined; readonly others: readonly ApprovedGrant[] }> {
  const { all } = await approvedGrants(place, (made) => made.filter(({ terms }) => terms.commit === commit));
  return {
    same: all.find((grant) => grant.id === id),
    others: all.filter((grant) => grant.id !== id && grant.state.amount > 0n),
  };
}
