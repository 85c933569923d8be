/** The receipts of a round, held against the run's parameters, definition and builds, and their signatures. */
import {
  type Address,
  batchOf,
  type Build,
  type CheckpointManifest,
  commitmentLeaves,
  type Definition,
  digestOfJson,
  type Domain,
  domainFor,
  fromWire,
  hashReceipt,
  type Hex,
  innerStepsOf,
  type ReceiptLeaf,
  type ReceiptsFile,
  recoverSigner,
  type RunId,
  type RunParams,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { roundNumber } from "../base/index.ts";
import type { ChainReader, PostedHead } from "../chain/index.ts";
import { isCountable } from "../data/index.ts";
import { canBeWeighed } from "../diloco/index.ts";
import { overlap, trainedIn } from "./positions.ts";
import { DocumentError, type RunDocuments } from "./published.ts";

/** What the assignments of a round must be made of. */
export interface RoundRules {
  readonly definition: Pick<Definition, "sequence">;
  /** Of the version that the head names. */
  readonly params: RunParams;
  /** Manifest of the checkpoint that the round started from. */
  readonly before: Pick<CheckpointManifest, "step">;
  readonly documents: Pick<RunDocuments, "build">;
}

/** Ends a look at a worker's receipt unless something holds. */
type Require = (holds: boolean, what: string) => void;

type ReceiptEntry = ReceiptsFile["receipts"][number];

/** That an assignment is the one that was signed, of this round. */
function checkAssignment({ assignment, ...entry }: ReceiptEntry, head: PostedHead, require: Require): void {
  const receipt = fromWire("Receipt", entry.receipt);
  require(digestOfJson(assignment) === receipt.assignment, "the assignment is not the one that was signed");
  require(assignment.runId === head.runId &&
    assignment.round === head.round - 1 &&
    assignment.worker === entry.receipt.worker &&
    BigInt(assignment.assignmentId) === receipt.assignmentId &&
    assignment.attempt === receipt.attempt &&
    assignment.paramsVersion === receipt.paramsVersion &&
    assignment.base === receipt.baseDigest, "the assignment is another one");
  require(assignment.seed === head.runId, "the assignment has another order of the data than the run");
}

/** That an assignment is made of what the run's parameters, definition and build say: tokens are paid by it. */
function checkSteps(
  { assignment }: ReceiptEntry,
  round: number,
  build: Build,
  { definition, params, before }: RoundRules,
  require: Require,
): void {
  // Tokens are paid: nothing that they are counted by, or trained under, is the poster's to choose.
  const innerSteps = innerStepsOf(params, round);
  require(assignment.steps <=
    innerSteps, `it was assigned ${assignment.steps} steps, ${innerSteps} at most are those of the round`);
  const due = {
    batch: batchOf(build),
    sequence: definition.sequence,
    globalStep: before.step,
    innerLrPpb: params.innerLrPpb,
    codec: params.codec,
  };
  for (const key of Object.keys(due) as (keyof typeof due)[])
    require(assignment[key] === due[key], `its assignment has ${key} ${assignment[key]} where ${due[key]} is due`);
  require(assignment.ranges.every(isCountable), "its assignment has data past the last position that can be counted");
  // Exactly: both may be more than a double counts, and two sums that differ would be the same.
  const positions = assignment.ranges.reduce((sum, { count }) => sum + BigInt(count), 0n);
  require(positions ===
    BigInt(assignment.steps) *
      BigInt(
        assignment.batch,
      ), `its assignment has ${positions} positions for ${assignment.steps} steps of ${assignment.batch}`);
}

/** That a receipt claims what its assignment allows. @returns the tokens that it is paid for */
function checkClaim(
  { assignment, tokens: counted, ...entry }: ReceiptEntry,
  { segmentSteps }: Build,
  require: Require,
): bigint {
  const receipt = fromWire("Receipt", entry.receipt);
  require(receipt.steps > 0 && receipt.steps <= assignment.steps, "it claims more steps than were assigned");
  require(receipt.leaves === commitmentLeaves(receipt.steps, segmentSteps) &&
    receipt.commitment !== zeroHash, "its commitment is not the one to its steps");
  const tokens = BigInt(receipt.steps) * BigInt(assignment.batch) * BigInt(assignment.sequence);
  require(BigInt(counted) === tokens, `it counts ${counted} tokens where ${tokens} are due`);
  return tokens;
}

/** Accounts that posted for a run, looked up again for one that is not among them. */
async function postersOf(reader: ChainReader, runId: RunId): Promise<(signer: Address) => Promise<boolean>> {
  let posters = new Set(await reader.postersOf(runId));
  return async (signer) => {
    if (!posters.has(signer)) posters = new Set(await reader.postersOf(runId, signer));
    return posters.has(signer);
  };
}

/** That the worker signed a receipt and the poster acknowledged it. @returns its hash */
async function checkSignatures(
  entry: ReceiptEntry,
  tokens: bigint,
  domain: Domain,
  isPoster: (signer: Address) => Promise<boolean>,
  require: Require,
): Promise<Hex> {
  const receipt = fromWire("Receipt", entry.receipt);
  const ack = fromWire("Ack", entry.ack);
  const { worker } = entry.receipt;
  const receiptHash = hashReceipt(receipt);
  require(ack.runId === receipt.runId &&
    ack.round === receipt.round &&
    ack.worker === worker &&
    ack.receiptHash === receiptHash &&
    ack.tokens === tokens, "the acknowledgement is another one's");
  require((await recoverSigner(domain, "Receipt", receipt, entry.signature)) === worker, "the worker did not sign it");
  require(await isPoster(
    await recoverSigner(domain, "Ack", ack, entry.ackSignature),
  ), "the acknowledgement was not signed by the run's poster");
  return receiptHash;
}

/**
 * Checks every receipt of a round: what it says, that its assignment is one of the run's, who signed it, and that the poster
 * acknowledged it.
 * @returns the leaves of the receipts root
 * @throws DocumentError `DOCUMENT_RECEIPT`
 */
export async function verifyReceipts(
  reader: ChainReader,
  file: ReceiptsFile,
  head: PostedHead,
  parent: PostedHead,
  rules: RoundRules,
): Promise<ReceiptLeaf[]> {
  const domain = domainFor(reader.chainId, reader.contracts.runRegistry);
  const isPoster = await postersOf(reader, head.runId);
  const round = head.round - 1;
  const leaves: ReceiptLeaf[] = [];
  let previous = "";
  const fail = (worker: string, what: string): never => {
    const place = `Round ${roundNumber(round)} of run ${head.runId}, receipt of ${worker}`;
    throw new DocumentError("DOCUMENT_RECEIPT", `${place}: ${what}.`, { details: { head: head.head, worker } });
  };
  if (file.runId !== head.runId || file.round !== round)
    fail("all workers", `the file is of round ${roundNumber(file.round)} of run ${file.runId}`);
  const { maxWorkers } = rules.params;
  if (file.receipts.length > maxWorkers)
    fail("all workers", `there are ${file.receipts.length}, where ${maxWorkers} members at most may be`);
  // That each counts what is due is looked at below.
  const counted = file.receipts.reduce((sum, { tokens }) => sum + BigInt(tokens), 0n);
  if (!canBeWeighed(counted)) fail("all workers", `they count ${counted} tokens, more than can be weighed`);
  for (const entry of file.receipts) {
    const receipt = fromWire("Receipt", entry.receipt);
    const { worker } = entry.receipt;
    const require: Require = (holds, what) => void (holds || fail(worker, what));
    require(worker > previous, "receipts do not stand in ascending order of workers, one each");
    previous = worker;
    require(receipt.runId === head.runId && receipt.round === BigInt(round), "it is of another round");
    require(receipt.baseDigest === parent.checkpointDigest, "it started from another checkpoint");
    require(receipt.paramsVersion === head.paramsVersion, "it was made under other parameters than its head names");
    checkAssignment(entry, head, require);
    const build = await rules.documents.build(receipt.build);
    if (!build) return fail(worker, `its build ${receipt.build} was never admitted`);
    checkSteps(entry, round, build, rules, require);
    const tokens = checkClaim(entry, build, require);
    const receiptHash = await checkSignatures(entry, tokens, domain, isPoster, require);
    leaves.push({
      receiptHash,
      worker,
      beneficiary: receipt.beneficiary.toLowerCase() as Address,
      tokens,
      outcome: entry.outcome,
    });
  }
  // Of two that are given the same data the later would be called a copy.
  const twice = overlap(trainedIn(file));
  if (twice) fail(twice.worker, "it was given data that another had");
  return leaves;
}
