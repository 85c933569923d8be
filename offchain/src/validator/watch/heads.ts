/**
 * Watches a run's heads: what stands behind each, as `verify` walks it, and as long as its payloads are kept whether every fragment is
 * what they make. Nobody's bond stops a false head: the validators' quorum suspends its poster, and holders take the run back. So it is
 * told, with what was found.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { epochAt, type ModelId, type RunId } from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../../base/index.ts";
import type { ChainReader, PostedHead } from "../../chain/index.ts";
import {
  type BlobSource,
  isRollback,
  type PaidFalsely,
  type RevenueAccounts,
  rolledBackHeads,
  verifyRun,
  WalkMemory,
} from "../../run/index.ts";
import type { Judge } from "./judge.ts";
import type { WhyUnnamed } from "./sources.ts";

/** A head that does not hold, or of which something is not to be had. */
export interface HeadFinding {
  readonly head: PostedHead;
  readonly condition: "mismatch" | "missing";
  /** One sentence for each thing that is wrong. */
  readonly problems: readonly string[];
}

export interface HeadsLook {
  /** What was found since the last look. */
  readonly findings: readonly HeadFinding[];
  /** Wrong about the run as a whole. */
  readonly problems: readonly string[];
  /** Active roots that are not what was due. */
  readonly falseRoots: readonly PaidFalsely[];
  /** What could not be looked at, in one sentence; undefined where all was. */
  readonly away: string | undefined;
  /** Heads that were looked at, of the run and those after it. */
  readonly looked: number;
}

export interface HeadWatch {
  /** @param tell is told of each finding at once: whoever serves slowly decides how long a look takes */
  look(tell?: (finding: HeadFinding) => void): Promise<HeadsLook>;
}

interface HeadModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly head: Judge["head"];
  readonly revenue: Pick<RevenueAccounts, "paidFalsely">;
  /** Of which runs what is published need not be to be had; left out, of none. */
  readonly whyUnnamed?: WhyUnnamed;
}

/** Heads of one look whose fragments are recomputed: what else a look tells is told in between. */
const AT_ONCE = 64;

const nothingSeen = { findings: [], problems: [], falseRoots: [], looked: 0 } as const;

/**
 * What is to be told of a run that cannot be walked, whatever the reason: it ends no walk of another.
 * @throws UserError `RUN_UNKNOWN`; what is no error of ours
 */
function awayOf(error: unknown): string {
  if (error instanceof CotrainError && error.code !== "RUN_UNKNOWN") return error.message;
  throw error;
}

type Tell = (finding: HeadFinding) => void;

/** What a walk found is told though what comes after is away: it was remembered, and no later look tells it. */
async function sparing(walkOn: (tell: Tell) => Promise<HeadsLook>, told: Tell = () => undefined): Promise<HeadsLook> {
  const findings: HeadFinding[] = [];
  const tell: Tell = (finding) => {
    findings.push(finding);
    told(finding);
  };
  try {
    return { ...(await walkOn(tell)), findings };
  } catch (error) {
    return { ...nothingSeen, findings, away: awayOf(error) };
  }
}

/** As one run's walk reads them, which heads of a run that was not named end, and whose word of other such runs `unnamed` keeps. */
const walkedBlobs = (
  { blobs, whyUnnamed }: Pick<HeadModules, "blobs" | "whyUnnamed">,
  walked: RunId,
  unnamed: Set<string>,
): BlobSource => ({
  async blob(runId, digest, limit) {
    try {
      return await blobs.blob(runId, digest, limit);
    } catch (error) {
      const why = error instanceof CotrainError ? await whyUnnamed?.(runId) : undefined;
      if (why === undefined) throw error;
      // The walk ends here, and begins here at the next look.
      if (runId === walked) throw new RetryableError("RUN_UNNAMED", why, { cause: error });
      unnamed.add(why);
      throw new UserError("BLOB_MISSING", why, { cause: error });
    }
  },
});

/** Watches the heads of one run. */
function createRunWatch(modules: HeadModules, modelId: ModelId, runId: RunId): HeadWatch {
  const { reader, head: judge, revenue } = modules;
  /** What was said in place of documents of runs that were not named. */
  const unnamed = new Set<string>();
  const blobs = walkedBlobs(modules, runId, unnamed);
  const memory = new WalkMemory();
  /** Whose fragments were recomputed, or found wrong. */
  const done = new Set<string>();

  /** Those whose payloads are kept and that were not recomputed yet. */
  async function owed(): Promise<{ head: PostedHead; parent: PostedHead }[]> {
    const [heads, schedule, active] = await Promise.all([
      reader.headsSince(runId, 0),
      reader.schedule(modelId),
      reader.activeRoot(modelId),
    ]);
    const isOpen = ({ anchoredAt }: PostedHead): boolean => epochAt(schedule, anchoredAt) > (active?.epoch ?? 0);
    const rolledBack = rolledBackHeads(heads);
    const open = heads.flatMap((head, i) => {
      const parent = heads[i - 1];
      const led = parent !== undefined && !isRollback(head, parent) && !rolledBack.has(head);
      return led && isOpen(head) ? [{ head, parent }] : [];
    });
    const names = new Set<string>(open.map(({ head }) => head.head));
    for (const name of done) if (!names.has(name)) done.delete(name);
    return open.filter(({ head }) => !done.has(head.head));
  }

  async function recompute(tell: Tell): Promise<string | undefined> {
    let away: string | undefined;
    for (const link of (await owed()).slice(0, AT_ONCE)) {
      const judgement = await judge(link);
      if (judgement.kind === "unread") away ??= judgement.reason;
      const isKept =
        judgement.kind !== "unpublished" || (await owed()).some(({ head }) => head.head === link.head.head);
      if (judgement.kind !== "unread") done.add(link.head.head);
      if (judgement.kind !== "false" && judgement.kind !== "unpublished") continue;
      // A root that pays for it may have become active meanwhile, after which its payloads need not be kept.
      if (!isKept) continue;
      const condition = judgement.kind === "false" ? "mismatch" : "missing";
      tell({ head: link.head, condition, problems: [judgement.reason] });
    }
    return away;
  }

  return { look: (told) => sparing(walkOn, told) };

  async function walkOn(tell: Tell): Promise<HeadsLook> {
    unnamed.clear();
    const walking = verifyRun({ reader, blobs, revenue }, runId, memory);
    for (;;) {
      const { done: isOver, value } = await walking.next();
      if (!isOver) {
        const { condition, problems } = value;
        if (condition !== "mismatch" && condition !== "missing") continue;
        tell({ head: value, condition, problems });
        // What is wrong with it was said.
        done.add(value.head);
        continue;
      }
      const away = value.away?.message ?? (await recompute(tell).catch(awayOf));
      const { falseRoots, heads: looked } = value;
      const [other] = unnamed;
      const problems = value.problems.filter((problem) => !unnamed.has(problem));
      return { ...nothingSeen, problems, falseRoots, away: away ?? other, looked };
    }
  }
}

/** Watches the heads of a run, and of those that the model has after it: who watches need not know of them. No run's walk waits for another's. */
export function createHeadWatch(modules: HeadModules, modelId: ModelId, runId: RunId): HeadWatch {
  const watches = new Map<RunId, HeadWatch>([[runId, createRunWatch(modules, modelId, runId)]]);
  const lookAt = async ([id, watch]: readonly [RunId, HeadWatch], tell: Tell | undefined): Promise<HeadsLook> => {
    try {
      return await watch.look(tell);
    } catch (error) {
      // Where several nodes answer at one address, one may not have a run yet that another has told of; or there is none.
      if (id === runId || !(error instanceof CotrainError) || error.code !== "RUN_UNKNOWN") throw error;
      watches.delete(id);
      return { ...nothingSeen, away: error.message };
    }
  };
  return {
    look: async (tell) => {
      const runs = await modules.reader.runsOf(modelId);
      for (const next of runs.slice(runs.indexOf(runId) + 1))
        if (!watches.has(next)) watches.set(next, createRunWatch(modules, modelId, next));
      const looks = await Promise.all([...watches].map((each) => lookAt(each, tell)));
      return {
        findings: looks.flatMap(({ findings }) => findings),
        problems: looks.flatMap(({ problems }) => problems),
        // Each run's walk tells those of the whole model.
        falseRoots: [
          ...new Map(looks.flatMap(({ falseRoots }) => falseRoots.map((root) => [root.digest, root]))).values(),
        ],
        away: looks.find(({ away }) => away !== undefined)?.away,
        looked: looks.reduce((sum, { looked }) => sum + looked, 0),
      };
    },
  };
}
