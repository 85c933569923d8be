/**
 * What changes on-chain without the coordinator: parameters and status that the holders decided, and a chain that went
 * backwards. Read periodically; what differs from the journal becomes an event.
 */
import { canonicalJson, runParamsToWire, runStatus } from "@cotrain/sdk/protocol";

import type { PendingRootView, RootView } from "../chain/index.ts";
import { createDisputeWatch, type DisputeWatch } from "./disputeWatch.ts";
import { RefusedError } from "./errors.ts";
import type { Unstamped } from "./machine/events.ts";
import type { HeadEntry, RunState } from "./machine/state.ts";
import { anchorOf, type Run, type RunModules } from "./run.ts";
import { findRollback, rollbacksIn, rollbacksKnown } from "./rollback.ts";
import { rootActivated, rootPosted } from "./settlement.ts";

/** Where no blocks come, as on a chain that makes them for transactions alone, so long stands for another block. */
const NO_BLOCK_MS = 60_000;

/** One look at what stops, moves or ends a run, or cannot be taken back once it is believed. */
interface Look {
  /** Whether every look since an earlier block has seen this, and that block has its confirmations: as heads are believed. */
  readonly lasts: (what: string) => Promise<boolean>;
  /** Forgets what was not seen in this look. */
  readonly end: () => void;
}

function createLooks({ chain, clock }: Pick<RunModules, "chain" | "clock">): () => Promise<Look> {
  /** The first of the looks in a row that have seen something; time in chain seconds, `at` monotonic ms. */
  let firsts = new Map<string, { readonly block: number; readonly time: number; readonly at: number }>();
  return async () => {
    // Asked before what is looked at, which so is of this block or a newer one.
    const [{ block }, settled] =
      firsts.size > 0 ? await Promise.all([chain.tip(), chain.settledTime()]) : [{ block: 0 }, 0];
    const seen: typeof firsts = new Map();
    return {
      lasts: async (what) => {
        const first = firsts.get(what);
        if (!first) {
          const [tip, time] = await Promise.all([chain.tip(), chain.chainTime()]);
          seen.set(what, { block: tip.block, time, at: clock.monotonic() });
          return false;
        }
        seen.set(what, first);
        return block > first.block ? settled >= first.time : clock.monotonic() - first.at >= NO_BLOCK_MS;
      },
      end: () => void (firsts = seen),
    };
  };
}

/** A reorganisation is believed when it was seen twice, since nodes behind one address may lag behind each other. */
const SIGHTINGS = 2;

/** Whether something odd is seen often enough in a row. */
type Confirmed = (what: string) => boolean;

export class ChainWatch {
  readonly #run: Run;
  readonly #begin: () => Promise<Look>;
  /** What was odd in the last look, and in how many looks in a row. */
  #sightings: ReadonlyMap<string, number> = new Map();
  #foreign: string | undefined;
  #absurd: string | undefined;
  /** What was said of why this poster may anchor nothing. */
  #barred: string | undefined;
  /** Why the run cannot go on here from where it was rolled back to. */
  #stuck: string | undefined;
  readonly #disputes: DisputeWatch;

  constructor(run: Run) {
    this.#run = run;
    this.#begin = createLooks(run.modules);
    this.#disputes = createDisputeWatch(run);
  }

  /** Looks once. Rejects when the chain is away. */
  async look(): Promise<void> {
    const look = await this.#begin();
    await this.#lookAtParams(look);
    await this.#lookAtRollback(look);
    await this.#lookAtStatus(look);
    // All that is odd in one look counts, each by itself: a chain that went back lacks heads and roots at once.
    const seen = new Map<string, number>();
    const confirmed: Confirmed = (what) => {
      const count = (this.#sightings.get(what) ?? 0) + 1;
      seen.set(what, count);
      return count >= SIGHTINGS;
    };
    await this.#lookAtHeads(confirmed);
    await this.#lookAtTimes(confirmed);
    await this.#lookAtRoots(look, confirmed);
    look.end();
    this.#sightings = seen;
  }

  async #offer(event: Unstamped): Promise<void> {
    const { driver, modules } = this.#run;
    try {
      await driver.submit(event);
      modules.logger.info({ event: event.type }, "the chain changed");
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  async #lookAtParams({ lasts }: Look): Promise<void> {
    const { runId, driver, modules } = this.#run;
    const { chain } = modules;
    const { version, params } = await chain.paramsInForce(runId);
    const { nextParams, paramsVersion } = driver.state;
    if (version > (nextParams?.version ?? paramsVersion) && !(await this.#isAbsurd(version))) {
      const wire = runParamsToWire(params);
      if (await lasts(`params/${version}/${canonicalJson(wire)}`))
        await this.#offer({ type: "ParamsChanged", version, params: wire });
    }
  }

  async #lookAtStatus({ lasts }: Look): Promise<void> {
    const { runId, driver, modules } = this.#run;
    const [status, barred] = await Promise.all([modules.chain.runStatus(runId), this.#whyBarred()]);
    if (status === runStatus.finished && !driver.state.finished && (await lasts("finished")))
      await this.#offer({ type: "RunFinished" });
    const stopped = status === runStatus.paused || barred !== undefined;
    if (barred === undefined) this.#barred = undefined;
    else if (barred !== this.#barred && (await lasts(`barred/${barred}`))) {
      this.#barred = barred;
      modules.logger.error({ run: runId }, barred);
    }
    if (stopped && !driver.state.pausedBy.chain && (await lasts("paused")))
      await this.#offer({ type: "PauseRequested", by: "chain" });
    if (status === runStatus.open && !stopped && driver.state.pausedBy.chain && (await lasts("open")))
      await this.#offer({ type: "ResumeRequested", by: "chain" });
  }

  /** Goes on from the checkpoint that the holders went back to, once that lasts. */
  async #lookAtRollback({ lasts }: Look): Promise<void> {
    const { runId, driver, modules } = this.#run;
    const head = await modules.chain.head(runId);
    this.#stuck = undefined;
    if (rollbacksIn(head) <= rollbacksKnown(driver.state) || !(await lasts(`rollback/${head.head}`))) return;
    const found = await findRollback(this.#run);
    if (typeof found === "string") this.#stuck = found;
    else if (found) await this.#offer(found);
  }

  /** Why the contract takes no head of this coordinator; undefined where it does. */
  async #whyBarred(): Promise<string | undefined> {
    const { runId, modules } = this.#run;
    const { chain, poster: own } = modules;
    const [{ poster }, suspended, head] = await Promise.all([
      chain.run(runId),
      chain.isSuspended(runId),
      chain.head(runId),
    ]);
    if (poster.toLowerCase() !== own.address.toLowerCase())
      return `the holders have named another poster, ${poster}: no round opens and nothing is anchored here; start a coordinator on this state with that wallet`;
    if (rollbacksIn(head) > rollbacksKnown(this.#run.driver.state))
      return `${this.#stuck ?? `the run was rolled back to checkpoint ${head.round}`}: no round opens and nothing is anchored here`;
    return suspended
      ? "the validators have suspended this run's poster: no round opens and nothing is anchored until the holders name another"
      : undefined;
  }

  /** A version takes a transaction of the holders': there are not more of them than blocks. */
  async #isAbsurd(version: number): Promise<boolean> {
    const { block: blocks } = await this.#run.modules.chain.tip();
    if (version <= blocks) return false;
    this.#warnAbsurd(`version ${version} of the parameters`, { blocks });
    return true;
  }

  /** The contracts take no root of an epoch that is not over. */
  async #isAhead({ epoch }: RootView): Promise<boolean> {
    const { facts, modules } = this.#run;
    const { chain } = modules;
    const [end, time] = await Promise.all([chain.epochEnd(facts.modelId, epoch), chain.chainTime()]);
    if (end <= time) return false;
    this.#warnAbsurd(`a root of epoch ${epoch}`, { end, time });
    return true;
  }

  #warnAbsurd(what: string, context: object): void {
    const { logger } = this.#run.modules;
    if (this.#absurd !== what) logger.error({ what, ...context }, "the RPC names what cannot be: it is not believed");
    this.#absurd = what;
  }

  async #lookAtHeads(confirmed: Confirmed): Promise<void> {
    const { runId, driver, modules } = this.#run;
    const before = driver.state;
    const last = before.heads.findLast(({ anchor }) => anchor !== null);
    const now = await modules.chain.head(runId);
    if (!last || now.sequence >= last.sequence) {
      if (last && now.sequence === last.sequence && now.head !== last.head) this.#warnForeign(now.head);
      return;
    }
    const entry = before.heads.find(({ head, sequence }) => head === now.head && sequence === now.sequence);
    if (!entry) {
      this.#warnForeign(now.head);
      return;
    }
    if (confirmed(`head/${now.sequence}/${before.reverts}`)) {
      await this.#offer({ type: "HeadReverted", head: entry.head, sequence: entry.sequence });
    }
  }

  /**
   * From the first head that stands in another epoch than the log has it in, all are where the chain has them now: it went back, or
   * their time is told no more. Nothing is posted for that, so that it goes for links of others, rollbacks, too.
   */
  async #lookAtTimes(confirmed: Confirmed): Promise<void> {
    const { facts, runId, driver, modules } = this.#run;
    const { chain } = modules;
    const { heads, settledEpoch } = driver.state;
    const posted = await chain.headsSince(runId, 0);
    const isThere = ({ anchor, head, sequence }: HeadEntry): boolean =>
      anchor !== null && posted[sequence]?.head === head;
    for (const entry of heads) {
      if (entry.sequence === 0 || !isThere(entry)) continue;
      const [was, is] = [entry.anchor!.epoch, await chain.epochOf(facts.modelId, posted[entry.sequence]!.anchoredAt)];
      if (was === is || Math.max(was, is) <= settledEpoch) continue;
      if (!confirmed(`time/${entry.sequence}/${was}/${is}`)) return;
      const moved = await Promise.all(
        heads
          .filter((each) => each.sequence >= entry.sequence && isThere(each))
          .map(async ({ head, sequence }) => {
            const before = posted[sequence - 1]?.anchoredAt;
            return { head, sequence, ...(await anchorOf(chain, facts.modelId, posted[sequence]!, before)) };
          }),
      );
      await this.#offer({ type: "HeadsMoved", heads: moved });
      return;
    }
  }

  #warnForeign(head: string): void {
    if (this.#foreign === head) return;
    this.#foreign = head;
    this.#run.modules.logger.error({ head }, "the chain holds a head of this run that this coordinator did not make");
  }

  async #lookAtRoots(look: Look, confirmed: Confirmed): Promise<void> {
    const { facts, driver, modules } = this.#run;
    const { chain } = modules;
    const { lasts } = look;
    const before = driver.state;
    const [active, pending] = await Promise.all([chain.activeRoot(facts.modelId), chain.pendingRoot(facts.modelId)]);
    const settled = active?.epoch ?? 0;
    if (active && settled > before.settledEpoch) {
      // Until it is believed, nothing can be said of what was posted after it.
      if ((await this.#isAhead(active)) || !(await lasts(`active/${settled}/${active.root}`))) return;
      await this.#offer(rootActivated(active));
    }
    const lost = lostRoot(before, active, pending);
    if (lost && !(await this.#giveUp(lost, settled, look, confirmed))) return;
    if (pending) await this.#lookAtPending(pending, look);
  }

  async #lookAtPending(pending: PendingRootView, { lasts }: Look): Promise<void> {
    if (pending.activatableAt === undefined) await this.#disputes.look(pending.epoch);
    if (isKnown(this.#run.driver.state, pending) || (await this.#isAhead(pending))) return;
    if (await lasts(`pending/${pending.epoch}/${pending.root}/${pending.activatableAt}`))
      await this.#offer(await rootPosted(this.#run, pending, null));
  }

  /** What the chain does not hold any more: a root that was disputed away, or one that a reorganisation took. @returns whether to look on */
  async #giveUp(lost: LostRoot, settled: number, { lasts }: Look, confirmed: Confirmed): Promise<boolean> {
    const { epoch, root, what } = lost;
    const ruling = what === "root" ? await this.#disputes.failureOf(lost) : undefined;
    if (ruling) {
      if (await lasts(`failed/${epoch}/${root}/${ruling}`))
        await this.#offer({ type: "RootFailed", epoch, root, ruling });
      return false;
    }
    if (!confirmed(`${what}/${epoch}/${this.#run.driver.state.reverts}`)) return false;
    await this.#offer({ type: "RootReverted", epoch, root, settledEpoch: Math.min(settled, epoch - 1) });
    return what !== "root";
  }
}

type LostRoot = NonNullable<ReturnType<typeof lostRoot>>;

/** What the journal has after the chain's active root, or in its place, and the chain has not: a root, or its activation alone. */
function lostRoot({ epochs }: RunState, active: RootView | undefined, pending: RootView | undefined) {
  const settled = active?.epoch ?? 0;
  const journal = epochs.findLast(
    ({ epoch, root, state }) =>
      (epoch > settled && (state === "posted" || state === "active")) ||
      (epoch === settled && root !== active?.root && state === "active"),
  );
  if (!journal?.root) return undefined;
  const { epoch, root } = journal;
  if (pending?.root !== root) return { what: "root", epoch, root } as const;
  // Activated once, pending again.
  return journal.state === "active" ? ({ what: "activation", epoch, root } as const) : undefined;
}

/** Whether a pending root is settled, or in the journal as posted. */
const isKnown = ({ epochs, settledEpoch }: RunState, pending: RootView): boolean =>
  pending.epoch <= settledEpoch ||
  epochs.some(({ epoch, root, state }) => epoch === pending.epoch && root === pending.root && state === "posted");
