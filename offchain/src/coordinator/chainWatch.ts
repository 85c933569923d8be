/**
 * What changes on-chain without the coordinator: parameters and status that the holders decided, and a chain that went
 * backwards. Read periodically; what differs from the journal becomes an event.
 */
import { runParamsToWire, runStatus } from "@cotrain/sdk/protocol";

import { RefusedError } from "./errors.ts";
import type { Unstamped } from "./machine/events.ts";
import type { Run } from "./run.ts";
import { rootActivated, rootPosted } from "./settlement.ts";

export interface ChainWatch {
  /** Looks once. Rejects when the chain is away. */
  look(): Promise<void>;
}

/** A reorganisation is believed when it was seen twice, since nodes behind one address may lag behind each other. */
const SIGHTINGS = 2;

export function createChainWatch(run: Run): ChainWatch {
  const { driver, facts, runId } = run;
  const { chain, logger } = run.modules;
  const sightings = new Map<string, number>();
  let foreign: string | undefined;

  async function offer(event: Unstamped): Promise<void> {
    try {
      await driver.submit(event);
      logger.info({ event: event.type }, "the chain changed");
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  /** Whether something odd was seen often enough in a row; forgets all other oddities. */
  function confirmed(what: string): boolean {
    const count = (sightings.get(what) ?? 0) + 1;
    sightings.clear();
    sightings.set(what, count);
    return count >= SIGHTINGS;
  }

  async function lookAtGovernance(): Promise<void> {
    const { version, params } = await chain.paramsInForce(runId);
    const { nextParams, paramsVersion } = driver.state;
    if (version > (nextParams?.version ?? paramsVersion)) {
      await offer({ type: "ParamsChanged", version, params: runParamsToWire(params) });
    }
    const status = await chain.runStatus(runId);
    if (status === runStatus.finished && !driver.state.finished) await offer({ type: "RunFinished" });
    if (status === runStatus.paused && !driver.state.pausedBy.chain)
      await offer({ type: "PauseRequested", by: "chain" });
    if (status === runStatus.open && driver.state.pausedBy.chain) await offer({ type: "ResumeRequested", by: "chain" });
  }

  async function lookAtHeads(): Promise<boolean> {
    const before = driver.state;
    const last = before.heads.findLast(({ anchor }) => anchor !== null);
    const now = await chain.head(runId);
    if (!last || now.sequence >= last.sequence) {
      if (last && now.sequence === last.sequence && now.head !== last.head) warnForeign(now.head);
      return false;
    }
    const entry = before.heads.find(({ head, sequence }) => head === now.head && sequence === now.sequence);
    if (!entry) {
      warnForeign(now.head);
      return false;
    }
    if (confirmed(`head/${now.sequence}/${before.reverts}`)) {
      await offer({ type: "HeadReverted", head: entry.head, sequence: entry.sequence });
    }
    return true;
  }

  function warnForeign(head: string): void {
    if (foreign === head) return;
    foreign = head;
    logger.error({ head }, "the chain holds a head of this run that this coordinator did not make");
  }

  async function lookAtRoots(): Promise<boolean> {
    const before = driver.state;
    const [active, pending] = await Promise.all([chain.activeRoot(facts.modelId), chain.pendingRoot(facts.modelId)]);
    const settled = active?.epoch ?? 0;
    if (active && settled > before.settledEpoch) await offer(rootActivated(active));
    const journal = before.epochs.findLast(
      ({ epoch, state }) => epoch > settled && (state === "posted" || state === "active"),
    );
    if (journal?.root && pending?.root !== journal.root) {
      if (confirmed(`root/${journal.epoch}/${before.reverts}`)) {
        await offer({ type: "RootReverted", epoch: journal.epoch, root: journal.root, settledEpoch: settled });
      }
      return true;
    }
    if (journal?.root && journal.state === "active") {
      // Activated once, pending again: the activation alone was lost.
      if (!confirmed(`activation/${journal.epoch}/${before.reverts}`)) return true;
      await offer({ type: "RootReverted", epoch: journal.epoch, root: journal.root, settledEpoch: settled });
    }
    if (pending && pending.epoch > driver.state.settledEpoch) await offer(rootPosted(pending, null));
    return false;
  }

  return {
    look: async () => {
      await lookAtGovernance();
      const odd = [await lookAtHeads(), await lookAtRoots()];
      if (!odd.includes(true)) sightings.clear();
    },
  };
}
