/**
 * Builds that may join a run: admitted by the registry, their programs in the blob store, their documents there or in the proposal.
 * Holders admit and withdraw. Somebody may have sent a document or a program as an upload before, as it is no secret: what a build
 * needs is noted before it is looked for, and does not go with that.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { asDigest, type Build, type Digest, MAX_BUILD_BYTES, MAX_BUILDS, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError } from "../base/index.ts";
import type { RunChain } from "../run/index.ts";
import { isDiskFull, type Logger } from "../service/index.ts";
import { BlobError, type BlobStore, parseBuild } from "../storage/index.ts";
import { kept, type Publishing } from "./publishing.ts";

/** The registry is asked again after this long, ms. */
const MAX_AGE = 10_000;
/** Answers kept, so that nobody fills memory by naming builds. */
const KEPT = 256;

export interface Builds {
  /** Those found admitted when they were last looked at. */
  readonly known: readonly Digest[];
  /** Whether one of those is or has a blob, or one that is being looked at: it stays, also while it cannot be noted. */
  needs(digest: Digest): boolean;
  /**
   * Looks at those that were ever admitted, oldest first, up to a bound. One that cannot be read is left out: others can be trained.
   * @returns how many are admitted and of no use here: unread, without a program, or of another definition
   * @throws RetryableError while the chain is away, or where its RPC names none
   */
  findAdmitted(): Promise<number>;
  /** @returns undefined for one that is not admitted, is of another definition, lacks its document or a program here, or is not what its programs are */
  find(digest: Digest): Promise<Build | undefined>;
}

interface Found {
  readonly admitted: boolean;
  /** Where it can be read, is of the run's definition and has its programs here, which are what it says. */
  readonly build: Build | undefined;
}

interface Answer extends Found {
  readonly at: number;
}

interface BuildsModules extends Pick<Publishing, "arriving" | "projections"> {
  readonly chain: RunChain;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What does not fit of a build's programs, which are here; empty where all does. */
  readonly problemOf: (build: Build) => Promise<string>;
}

/** Notes each document once. While the disk of the log is full none is: nobody is refused for that, and it is tried again. */
function notingOnce({ projections }: BuildsModules): Publishing["projections"] {
  const noted = new Set<Digest>();
  return {
    noteDocument: async (digest) => {
      if (noted.has(digest)) return;
      try {
        await projections.noteDocument(digest);
        noted.add(digest);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
      }
    },
  };
}

/** The document of an admitted build, of the blobs or else of the proposal that holders admitted it by. */
async function documentOf(runId: RunId, digest: Digest, { blobs, chain }: BuildsModules) {
  try {
    return await blobs.get(digest, MAX_BUILD_BYTES);
  } catch (error) {
    if (!(error instanceof BlobError) || error.code !== "BLOB_MISSING") throw error;
    const text = await chain.proposedBuild(runId, digest);
    return text === undefined ? undefined : new TextEncoder().encode(text);
  }
}

const programsOf = ({ graphs }: Build): Digest[] => Object.values(graphs).map((program) => asDigest(program));

/** What was found of builds, and what is being looked for. */
function createAnswers(modules: BuildsModules) {
  const { arriving, clock } = modules;
  const publishing = { arriving, projections: notingOnce(modules) };
  const answers = new Map<Digest, Answer>();
  const sought = new Set<readonly Digest[]>();
  return {
    of: (digest: Digest): Answer | undefined => answers.get(digest),
    known: (): Digest[] => [...answers].flatMap(([digest, { build }]) => (build ? [digest] : [])),
    needs: (digest: Digest): boolean =>
      [...sought].some((digests) => digests.includes(digest)) ||
      [...answers].some(([document, { build }]) => build && [document, ...programsOf(build)].includes(digest)),
    seek: async (digests: readonly Digest[], work: () => Promise<Found>): Promise<Found> => {
      sought.add(digests);
      try {
        return await kept(publishing, digests, work);
      } finally {
        sought.delete(digests);
      }
    },
    answer: (digest: Digest, found: Found): Found => {
      answers.set(digest, { at: clock.monotonic(), ...found });
      for (const [oldest, { build }] of answers) {
        if (answers.size <= KEPT) break;
        if (!build) answers.delete(oldest);
      }
      return found;
    },
  };
}

/** Whether a build is what its programs are: they are read once, and what is wrong with them is told once. */
function readingOnce({ problemOf, logger }: BuildsModules): (digest: Digest, build: Build) => Promise<boolean> {
  /** By digest, which says all of it. */
  const problems = new Map<Digest, string>();
  return async (digest, build) => {
    const known = problems.get(digest);
    if (known !== undefined) return known === "";
    const problem = await problemOf(build);
    if (problem !== "")
      logger.warn({ build: digest, problem }, "a build that is admitted is not what it says, and is left out");
    if (problems.size === KEPT) problems.clear();
    problems.set(digest, problem);
    return problem === "";
  };
}

export function createBuilds(runId: RunId, definition: Digest, modules: BuildsModules): Builds {
  const { blobs, chain, clock, logger } = modules;
  const { of, known, needs, seek, answer } = createAnswers(modules);
  const isWhatItSays = readingOnce(modules);

  /** What it finds it answers while it is sought: `needs` says without a gap that it stays. */
  async function ask(digest: Digest): Promise<Found> {
    if (!(await chain.isAdmitted(runId, digest))) return answer(digest, { admitted: false, build: undefined });
    return seek([digest], async () => {
      const document = await documentOf(runId, digest, modules);
      const build = document && parseBuild(document);
      if (!document || build?.definition !== definition) return answer(digest, { admitted: true, build: undefined });
      const programs = programsOf(build);
      return seek(programs, async () => {
        // Nobody else serves them, and the gate measures with them.
        for (const program of programs)
          if (!(await blobs.has(program))) return answer(digest, { admitted: true, build: undefined });
        if (!(await isWhatItSays(digest, build))) return answer(digest, { admitted: true, build: undefined });
        if (!(await blobs.has(digest))) {
          await blobs.put(document, { digest, maxBytes: MAX_BUILD_BYTES });
          logger.info({ build: digest }, "holders admitted a build, whose document their proposal has");
        }
        return answer(digest, { admitted: true, build });
      });
    });
  }

  async function findAdmitted(): Promise<number> {
    const admitted = await chain.buildsOf(runId);
    // No run is registered without one: who names none left it out.
    if (admitted.length === 0) throw new RetryableError("CHAIN_RPC", `The chain's RPC names no build of run ${runId}.`);
    let [useful, useless] = [0, 0];
    // What an RPC leaves out once is asked about as well.
    for (const digest of new Set([...admitted.slice(0, KEPT), ...known()])) {
      if (useful === MAX_BUILDS) break;
      try {
        const found = await look(digest);
        if (found.build) useful++;
        else if (found.admitted) useless++;
      } catch (error) {
        if (!(error instanceof CotrainError) || error.retryable) throw error;
        logger.warn({ err: error, build: digest }, "a build that is admitted cannot be read, and is left out");
        useless++;
      }
    }
    return useless;
  }

  async function look(digest: Digest): Promise<Found> {
    const before = of(digest);
    if (before && clock.monotonic() - before.at < MAX_AGE) return before;
    try {
      return await ask(digest);
    } catch (error) {
      // While the chain is away, who was admitted still is.
      if (before?.build && error instanceof CotrainError && error.retryable) return before;
      throw error;
    }
  }

  return {
    get known() {
      return known();
    },
    needs,
    find: async (digest) => (await look(digest)).build,
    findAdmitted,
  };
}
