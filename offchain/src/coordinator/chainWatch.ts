/**
 * What changes on-chain without the coordinator: parameters and status that the holders decided, and a chain that went
 * backwards. Read periodically; what differs from the journal becomes an event.
 */
import { canonicalJson, runParamsToWire, runStatus } from "@cotrain/sdk/protocol";

import type { RootView } from "../chain/index.ts";
import { RefusedError } from "./errors.ts";
import type { Unstamped } from "./machine/events.ts";
import type { Run, RunModules } from "./run.ts";
import { rootActivated, rootPosted } from "./settlement.ts";

export interface ChainWatch {
  /** Looks once. Rejects when the chain is away. */
  look(): Promise<void>;
}

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

export function createChainWatch(run: Run): ChainWatch {
  const { driver, facts, runId } = run;
  const { chain, logger } = run.modules;
  const begin = createLooks(run.modules);
  /** What was odd in the last look, and in how many looks in a row. */
  let sightings: ReadonlyMap<string, number> = new Map();
  let foreign: string | undefined;
  let absurd: string | undefined;

  async function offer(event: Unstamped): Promise<void> {
    try {
      await driver.submit(event);
      logger.info({ event: event.type }, "the chain changed");
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  /** Whether something odd is seen often enough in a row. */
  type Confirmed = (what: string) => boolean;

  async function lookAtGovernance({ lasts }: Look): Promise<void> {
    const { version, params } = await chain.paramsInForce(runId);
    const { nextParams, paramsVersion } = driver.state;
    if (version > (nextParams?.version ?? paramsVersion) && !(await isAbsurd(version))) {
      const wire = runParamsToWire(params);
      if (await lasts(`params/${version}/${canonicalJson(wire)}`))
        await offer({ type: "ParamsChanged", version, params: wire });
    }
    const status = await chain.runStatus(runId);
    if (status === runStatus.finished && !driver.state.finished && (await lasts("finished")))
      await offer({ type: "RunFinished" });
    if (status === runStatus.paused && !driver.state.pausedBy.chain && (await lasts("paused")))
      await offer({ type: "PauseRequested", by: "chain" });
    if (status === runStatus.open && driver.state.pausedBy.chain && (await lasts("open")))
      await offer({ type: "ResumeRequested", by: "chain" });
  }

  /** A version takes a transaction of the holders': there are not more of them than blocks. */
  async function isAbsurd(version: number): Promise<boolean> {
    const { block: blocks } = await chain.tip();
    if (version <= blocks) return false;
    warnAbsurd(`version ${version} of the parameters`, { blocks });
    return true;
  }

  /** The contracts take no root of an epoch that is not over. */
  async function isAhead({ epoch }: RootView): Promise<boolean> {
    const [end, time] = await Promise.all([chain.epochEnd(facts.modelId, epoch), chain.chainTime()]);
    if (end <= time) return false;
    warnAbsurd(`a root of epoch ${epoch}`, { end, time });
    return true;
  }

  function warnAbsurd(what: string, context: object): void {
    if (absurd !== what) logger.error({ what, ...context }, "the RPC names what cannot be: it is not believed");
    absurd = what;
  }

  async function lookAtHeads(confirmed: Confirmed): Promise<void> {
    const before = driver.state;
    const last = before.heads.findLast(({ anchor }) => anchor !== null);
    const now = await chain.head(runId);
    if (!last || now.sequence >= last.sequence) {
      if (last && now.sequence === last.sequence && now.head !== last.head) warnForeign(now.head);
      return;
    }
    const entry = before.heads.find(({ head, sequence }) => head === now.head && sequence === now.sequence);
    if (!entry) {
      warnForeign(now.head);
      return;
    }
    if (confirmed(`head/${now.sequence}/${before.reverts}`)) {
      await offer({ type: "HeadReverted", head: entry.head, sequence: entry.sequence });
    }
  }

  function warnForeign(head: string): void {
    if (foreign === head) return;
    foreign = head;
    logger.error({ head }, "the chain holds a head of this run that this coordinator did not make");
  }

  async function lookAtRoots({ lasts }: Look, confirmed: Confirmed): Promise<void> {
    const before = driver.state;
    const [active, pending] = await Promise.all([chain.activeRoot(facts.modelId), chain.pendingRoot(facts.modelId)]);
    const settled = active?.epoch ?? 0;
    if (active && settled > before.settledEpoch) {
      // Until it is believed, nothing can be said of what was posted after it.
      if ((await isAhead(active)) || !(await lasts(`active/${settled}/${active.root}`))) return;
      await offer(rootActivated(active));
    }
    const journal = before.epochs.findLast(
      ({ epoch, state }) => epoch > settled && (state === "posted" || state === "active"),
    );
    if (journal?.root && pending?.root !== journal.root) {
      if (confirmed(`root/${journal.epoch}/${before.reverts}`)) {
        await offer({ type: "RootReverted", epoch: journal.epoch, root: journal.root, settledEpoch: settled });
      }
      return;
    }
    if (journal?.root && journal.state === "active") {
      // Activated once, pending again: the activation alone was lost.
      if (!confirmed(`activation/${journal.epoch}/${before.reverts}`)) return;
      await offer({ type: "RootReverted", epoch: journal.epoch, root: journal.root, settledEpoch: settled });
    }
    const { epochs, settledEpoch } = driver.state;
    const known = epochs.some(
      ({ epoch, root, state }) => epoch === pending?.epoch && root === pending.root && state === "posted",
    );
    if (!pending || pending.epoch <= settledEpoch || known || (await isAhead(pending))) return;
    if (await lasts(`pending/${pending.epoch}/${pending.root}`)) await offer(rootPosted(pending, null));
  }

  return {
    look: async () => {
      const look = await begin();
      await lookAtGovernance(look);
      // All that is odd in one look counts, each by itself: a chain that went back lacks heads and roots at once.
      const seen = new Map<string, number>();
      const confirmed: Confirmed = (what) => {
        const count = (sightings.get(what) ?? 0) + 1;
        seen.set(what, count);
        return count >= SIGHTINGS;
      };
      await lookAtHeads(confirmed);
      await lookAtRoots(look, confirmed);
      look.end();
      sightings = seen;
    },
  };
}
