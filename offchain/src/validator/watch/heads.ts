/**
 * Watches a run's heads: what stands behind each, as `verify` walks it, and as long as its payloads are kept whether every fragment is
 * what they make. Nobody's bond stops a false head: the validators' quorum suspends its poster. So it is told, with what was found.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { epochAt, type ModelId, type RunId } from "@cotrain/sdk/protocol";

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
  look(): Promise<HeadsLook>;
}

interface HeadModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly head: Judge["head"];
  readonly revenue: Pick<RevenueAccounts, "paidFalsely">;
}

/** Heads of one look whose fragments are recomputed: roots are looked at in between. */
const AT_ONCE = 64;

const nothingSeen = { findings: [], problems: [], falseRoots: [], looked: 0 } as const;

/** What is to be told of what may be there later. @throws anything else */
function awayOf(error: unknown): string {
  if (error instanceof CotrainError && error.retryable) return error.message;
  throw error;
}

/** What a walk found is told though what comes after is away: it was remembered, and no later look tells it. */
async function sparing(walkOn: (findings: HeadFinding[]) => Promise<HeadsLook>): Promise<HeadsLook> {
  const findings: HeadFinding[] = [];
  try {
    return await walkOn(findings);
  } catch (error) {
    return { ...nothingSeen, findings, away: awayOf(error) };
  }
}

/** Watches the heads of one run. */
function createRunWatch(
  { reader, blobs, head: judge, revenue }: HeadModules,
  modelId: ModelId,
  runId: RunId,
): HeadWatch {
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

  async function recompute(findings: HeadFinding[]): Promise<string | undefined> {
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
      findings.push({ head: link.head, condition, problems: [judgement.reason] });
    }
    return away;
  }

  return { look: () => sparing(walkOn) };

  async function walkOn(findings: HeadFinding[]): Promise<HeadsLook> {
    const walking = verifyRun({ reader, blobs, revenue }, runId, memory);
    for (;;) {
      const { done: isOver, value } = await walking.next();
      if (!isOver) {
        const { condition, problems } = value;
        if (condition !== "mismatch" && condition !== "missing") continue;
        findings.push({ head: value, condition, problems });
        // What is wrong with it was said.
        done.add(value.head);
        continue;
      }
      const away = value.away?.message ?? (await recompute(findings).catch(awayOf));
      const { problems, falseRoots, heads: looked } = value;
      return { findings, problems, falseRoots, away, looked };
    }
  }
}

/** Watches the heads of a run, and of those that the model has after it: who watches need not know of them. */
export function createHeadWatch(modules: HeadModules, modelId: ModelId, runId: RunId): HeadWatch {
  const watches = new Map<RunId, HeadWatch>([[runId, createRunWatch(modules, modelId, runId)]]);
  return {
    look: async () => {
      const runs = await modules.reader.runsOf(modelId);
      for (const next of runs.slice(runs.indexOf(runId) + 1))
        if (!watches.has(next)) watches.set(next, createRunWatch(modules, modelId, next));
      const looks: HeadsLook[] = [];
      for (const [id, watch] of watches)
        looks.push(
          await watch.look().catch((error: unknown) => {
            // Where several nodes answer at one address, one may not have a run yet that another has told of; or there is none.
            if (id === runId || !(error instanceof CotrainError) || error.code !== "RUN_UNKNOWN") throw error;
            watches.delete(id);
            return { ...nothingSeen, away: error.message };
          }),
        );
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
