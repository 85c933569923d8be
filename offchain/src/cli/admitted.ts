/** Builds that a proposal would admit, held against their programs: a title that looks usual says nothing of what is paid by them. */
import { decodeCall } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import { asDigest, type Build, documentsInProposal, EXACT_SEGMENT_STEPS, MAX_BUILD_BYTES } from "@cotrain/sdk/protocol";

import { foreignIn, problemOfBuild, type RunBuild, withPassed } from "../run/index.ts";
import { parseBuild } from "../storage/index.ts";
import type { DecidingPlace } from "./proposing.ts";
import type { ToldProposal } from "./voting.ts";

type Of = Pick<DecidingPlace, "addresses" | "contracts" | "runId" | "blobs">;

/** A build's document, of the proposal's text or else of the run's blobs. @throws what the source throws; ProtocolError */
async function documentOf(place: Of, { proposal }: Pick<ToldProposal, "proposal">, build: string): Promise<Build> {
  const told = documentsInProposal(proposal.description, proposal.calldatas).find(({ digest }) => digest === build);
  if (told) return parseBuild(new TextEncoder().encode(told.text));
  return parseBuild(await place.blobs.blob(place.runId, asDigest(build), MAX_BUILD_BYTES));
}

type Known = () => Promise<readonly Pick<RunBuild, "admitted" | "document">[]>;

/** Programs of a build that are nobody's whom the run trusts by now. */
async function strangeIn(place: Of, build: Build, known: Known): Promise<readonly (keyof Build["graphs"])[]> {
  const foreign = await foreignIn(place, build);
  if (foreign.length === 0) return [];
  const admitted = (await known()).filter((each) => each.admitted);
  return foreign.filter((kind) => !admitted.some(({ document }) => document?.graphs[kind] === build.graphs[kind]));
}

/** Sentences about one build. */
async function unfit(place: Of, digest: string, build: Build, known: Known): Promise<string[]> {
  const problem = await problemOfBuild(place, build);
  if (problem !== "") return [`Build ${digest} is not what it says: ${problem}. Nobody is given work by it.`];
  const sentences: string[] = [];
  const strange = await strangeIn(place, build, known);
  if (strange.length > 0)
    sentences.push(
      `Build ${digest} has a program that nobody here knows: its program for ${strange.join(", ")} is neither what this version makes of the run's definition nor an admitted build's. What it computes, now and later, nobody sees by its form.`,
    );
  const { segmentSteps } = build;
  if (![0, EXACT_SEGMENT_STEPS].includes(segmentSteps))
    sentences.push(
      `Build ${digest} has its workers hash all of their state after every ${segmentSteps === 1 ? "step" : `${segmentSteps} steps`}; builds of this version have it after every ${EXACT_SEGMENT_STEPS}, or at a round's ends alone. More often slows them down, less often leaves more to replay.`,
    );
  return sentences;
}

/**
 * Sentences about builds that are not what they say, of which that cannot be told, or of which nobody knows what they compute, among those
 * that it would admit to this run.
 * @param known the builds of the run
 */
export async function unfitAmong(
  place: Of,
  told: Pick<ToldProposal, "proposal" | "calls">,
  known: Known,
): Promise<string[]> {
  const sentences: string[] = [];
  const { targets, values, calldatas } = told.proposal;
  const calls = targets
    .slice(0, told.calls.length)
    .map((target, i) => ({ target, value: values[i] ?? 0n, data: calldatas[i] ?? "0x" }));
  // What the governor relays to the timelock is queued there without another vote.
  for (const call of withPassed(place, calls)) {
    const decoded = decodeCall(place, call);
    if (decoded?.contract !== "RunRegistry" || decoded.functionName !== "admitBuild") continue;
    const [runId, build, admitted] = decoded.args.map((arg) => String(arg).toLowerCase());
    if (runId !== place.runId.toLowerCase() || build === undefined || admitted !== "true") continue;
    try {
      const document = await documentOf(place, told, build);
      sentences.push(...(await unfit(place, build, document, known)));
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      sentences.push(`Nobody could say here whether build ${build} is what it says: ${error.message}`);
    }
  }
  return sentences;
}
