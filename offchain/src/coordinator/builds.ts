/**
 * Builds that may join a run: admitted by the registry, their documents in the blob store or in the proposal. Holders admit and
 * withdraw. Somebody may have sent a document or a program as an upload before, as it is no secret: what a build needs is noted, and
 * does not go with that.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { asDigest, type Build, type Digest, MAX_BUILD_BYTES, MAX_BUILDS, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError } from "../base/index.ts";
import type { RunChain } from "../run/index.ts";
import { isDiskFull, type Logger } from "../service/index.ts";
import { BlobError, type BlobStore, parseBuild } from "../storage/index.ts";
import { documentsOf, type Publishing } from "./publishing.ts";

/** The registry is asked again after this long, ms. */
const MAX_AGE = 10_000;
/** Answers kept, so that nobody fills memory by naming builds. */
const KEPT = 256;

export interface Builds {
  /** Those found admitted when they were last looked at. */
  readonly known: readonly Digest[];
  /**
   * Looks at those that were ever admitted, oldest first, up to a bound. One that cannot be read is left out: others can be trained.
   * @returns how many are admitted and of no use here: unread, or of another definition
   * @throws RetryableError while the chain is away, or where its RPC names none
   */
  findAdmitted(): Promise<number>;
  /** @returns undefined for one that is not admitted, is of another definition or has no document here */
  find(digest: Digest): Promise<Build | undefined>;
}

interface Found {
  readonly admitted: boolean;
  /** Where it can be read and is of the run's definition. */
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

/** A build's document, of the blobs or else of the proposal that holders admitted it by, which is kept from then on. */
function readingOf(runId: RunId, modules: BuildsModules, projections: Publishing["projections"]) {
  const { arriving, chain, blobs, logger } = modules;
  const documents = documentsOf({ arriving, projections, modules });
  async function proposed(digest: Digest): Promise<Uint8Array | undefined> {
    const text = await chain.proposedBuild(runId, digest);
    if (text === undefined) return undefined;
    const bytes = new TextEncoder().encode(text);
    // Programs have to be here: nobody else serves them.
    for (const program of Object.values(parseBuild(bytes).graphs))
      if ((await blobs.size(asDigest(program))) === undefined) return undefined;
    await documents.put(bytes, { digest, maxBytes: MAX_BUILD_BYTES });
    logger.info({ build: digest }, "holders admitted a build, whose document their proposal has");
    return bytes;
  }
  return async (digest: Digest): Promise<Uint8Array | undefined> => {
    try {
      return await blobs.get(digest, MAX_BUILD_BYTES);
    } catch (error) {
      if (!(error instanceof BlobError) || error.code !== "BLOB_MISSING") throw error;
      return proposed(digest);
    }
  };
}

export function createBuilds(runId: RunId, definition: Digest, modules: BuildsModules): Builds {
  const { chain, clock, logger } = modules;
  const projections = notingOnce(modules);
  const documentOf = readingOf(runId, modules, projections);
  const answers = new Map<Digest, Answer>();

  async function ask(digest: Digest): Promise<Found> {
    if (!(await chain.isAdmitted(runId, digest))) return { admitted: false, build: undefined };
    const document = await documentOf(digest);
    const build = document && parseBuild(document);
    if (build?.definition !== definition) return { admitted: true, build: undefined };
    for (const needed of [digest, ...Object.values(build.graphs)]) await projections.noteDocument(asDigest(needed));
    return { admitted: true, build };
  }

  const known = (): Digest[] => [...answers].flatMap(([digest, { build }]) => (build ? [digest] : []));

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
    const answer = answers.get(digest);
    if (answer && clock.monotonic() - answer.at < MAX_AGE) return answer;
    let found: Found;
    try {
      found = await ask(digest);
    } catch (error) {
      // While the chain is away, who was admitted still is.
      if (answer?.build && error instanceof CotrainError && error.retryable) return answer;
      throw error;
    }
    answers.set(digest, { at: clock.monotonic(), ...found });
    for (const [oldest, { build }] of answers) {
      if (answers.size <= KEPT) break;
      if (!build) answers.delete(oldest);
    }
    return found;
  }

  return {
    get known() {
      return known();
    },
    find: async (digest) => (await look(digest)).build,
    findAdmitted,
  };
}
