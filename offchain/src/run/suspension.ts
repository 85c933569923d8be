/**
 * A suspension on its way from validator to validator: a file with what they sign and who has signed. It comes from others, so
 * that nothing in it is believed which the chain or a signature does not say.
 */
import {
  type Address,
  Address20,
  asAddress,
  asHead,
  type Domain,
  domainFor,
  type HeadHash,
  type RunId,
  Signature65,
  type Suspend,
  toWire,
  wireSchema,
} from "@cotrain/sdk/protocol";
import { Type } from "typebox";

import { type Clock, UserError } from "../base/index.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import { readStateFile, writeStateFile } from "../service/index.ts";
import {
  MAX_SIGNATURES,
  MOST_SECONDS,
  requireSignedFor,
  requireUsable,
  type SignedStatement,
  signersOfFile,
  structOfFile,
} from "./signatures.ts";

const SuspensionFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    checkpointRegistry: Address20,
    suspension: wireSchema("Suspend"),
    signatures: Type.Array(Signature65, { maxItems: MAX_SIGNATURES }),
  },
  { additionalProperties: false },
);

/** What the chain says of a run whose poster may be suspended. */
export interface SuspensionFacts {
  readonly runId: RunId;
  readonly chainId: number;
  readonly registry: Address;
  readonly poster: Address;
  readonly suspended: boolean;
  readonly setVersion: number;
  readonly validators: readonly Address[];
  readonly threshold: number;
  /** Time of the newest block, s. */
  readonly now: number;
  /** The same, or this machine's where a node says that it is later than that: so nobody signs for years. */
  readonly earliest: number;
  readonly heads: readonly PostedHead[];
}

export async function suspensionFacts(reader: ChainReader, runId: RunId, clock: Clock): Promise<SuspensionFacts> {
  const { modelId, poster } = await reader.run(runId);
  const [suspended, set, now, heads] = await Promise.all([
    reader.isSuspended(runId),
    reader.validators(modelId),
    reader.chainTime(),
    reader.headsSince(runId, 0),
  ]);
  return {
    runId,
    chainId: reader.chainId,
    registry: asAddress(reader.contracts.checkpointRegistry),
    poster,
    suspended,
    setVersion: set.version,
    validators: set.validators,
    threshold: set.threshold,
    now,
    earliest: Math.min(now, Math.floor(clock.now() / 1_000)),
    heads,
  };
}

/** A suspension, and the signatures of validators by who signed, ascending. */
export interface Suspension extends SignedStatement<"Suspend"> {
  /** The head that shows why. */
  readonly head: PostedHead;
}

const domainOf = ({ chainId, registry }: SuspensionFacts): Domain => domainFor(chainId, registry);

function requireHead({ heads, runId }: SuspensionFacts, head: HeadHash | undefined): PostedHead {
  const posted = head === undefined ? heads.at(-1) : heads.find((each) => each.head === head);
  if (posted) return posted;
  throw new UserError(
    "HEAD_UNKNOWN",
    `${head ?? "What the node tells"} is no confirmed head of run ${runId}: name one with --head; "npx cotrain checkpoint list --json" has them.`,
  );
}

/**
 * A new suspension of who posts now.
 * @param head the head that shows why; if left out the newest
 * @param seconds how long it may be used
 * @throws UserError `HEAD_UNKNOWN`, `SUSPENSION_LONG`
 */
export function beginSuspension(facts: SuspensionFacts, head: HeadHash | undefined, seconds: number): Suspension {
  const { runId, poster, setVersion, earliest } = facts;
  if (seconds < 1 || seconds > MOST_SECONDS)
    throw new UserError(
      "SUSPENSION_LONG",
      "A suspension may be used for one second to 30 days: say how long with --within.",
    );
  const shown = requireHead(facts, head);
  const deadline = BigInt(earliest + seconds);
  const struct: Suspend = { runId, poster, head: shown.head, setVersion, deadline };
  return { domain: domainOf(facts), struct, head: shown, signatures: new Map() };
}

/**
 * Reads a suspension and holds it against the chain; undefined where there is no such file.
 * @throws UserError `SUSPENSION_INVALID` where the file is none, or has a signature of nobody in the set; `SUSPENSION_STALE`
 *   where it can be used no more; `HEAD_UNKNOWN`
 */
export async function readSuspension(path: string, facts: SuspensionFacts): Promise<Suspension | undefined> {
  const remedy = "have it sent again, or name another file to begin a suspension";
  const file = await readStateFile(path, SuspensionFile, remedy);
  if (!file) return undefined;
  const domain = domainOf(facts);
  const named = { path, code: "SUSPENSION_INVALID", remedy };
  const struct = structOfFile(named, "Suspend", file.suspension);
  const { chainId, registry } = facts;
  requireSignedFor(
    named,
    { chainId: file.chainId, contract: file.checkpointRegistry, subject: `run ${struct.runId}` },
    { chainId, contract: registry, subject: `run ${facts.runId}` },
  );
  requireFresh(path, struct, facts);
  const head = requireHead(facts, asHead(struct.head));
  const signatures = await signersOfFile(named, { domain, name: "Suspend", struct }, file.signatures, {
    of: "validators",
    addresses: facts.validators,
  });
  return { domain, struct, head, signatures };
}

function requireFresh(path: string, struct: Suspend, facts: SuspensionFacts): void {
  const { poster, runId } = facts;
  if (struct.poster !== poster)
    throw new UserError(
      "SUSPENSION_STALE",
      `${path} suspends ${struct.poster}, but who posts for run ${runId} is ${poster}: name another file to begin anew.`,
    );
  requireUsable(path, "SUSPENSION_STALE", struct, facts);
}

export const writeSuspension = (path: string, { domain, struct, signatures }: Suspension): Promise<void> =>
  writeStateFile(path, SuspensionFile, {
    version: 1,
    chainId: domain.chainId,
    checkpointRegistry: domain.verifyingContract,
    suspension: toWire("Suspend", struct),
    signatures: [...signatures.values()],
  });
