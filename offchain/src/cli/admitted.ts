/** Builds that a proposal would admit, held against their programs: a title that looks usual says nothing of what is paid by them. */
import { decodeCall } from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import { type Build, documentsInProposal, MAX_BUILD_BYTES, asDigest } from "@cotrain/sdk/protocol";

import { problemOfBuild } from "../run/index.ts";
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

/** Sentences about builds that are not what they say, or of which that cannot be told, among those that it would admit to this run. */
export async function unfitAmong(place: Of, told: Pick<ToldProposal, "proposal" | "calls">): Promise<string[]> {
  const sentences: string[] = [];
  const { targets, calldatas } = told.proposal;
  for (const [i, target] of targets.slice(0, told.calls.length).entries()) {
    const decoded = decodeCall(place, { target, data: calldatas[i] ?? "0x" });
    if (decoded?.contract !== "RunRegistry" || decoded.functionName !== "admitBuild") continue;
    const [runId, build, admitted] = decoded.args.map((arg) => String(arg).toLowerCase());
    if (runId !== place.runId.toLowerCase() || build === undefined || admitted !== "true") continue;
    try {
      const problem = await problemOfBuild(place, await documentOf(place, told, build));
      if (problem !== "") sentences.push(`Build ${build} is not what it says: ${problem}. Nobody is given work by it.`);
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      sentences.push(`Nobody could say here whether build ${build} is what it says: ${error.message}`);
    }
  }
  return sentences;
}
