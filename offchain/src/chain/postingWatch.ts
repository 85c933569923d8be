/**
 * Looks from time to time whether the chain still holds the newest of what was posted; if not, everything of its kind that is
 * missing is made due again, oldest first. A node that lost its last second is seen here even when nothing new is posted.
 */
import type { HeadHash, ModelId, RunId } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";
import type { Logger } from "../service/index.ts";
import type { Journal } from "./journal.ts";
import type { ChainReader } from "./ports.ts";
import type { PostingKinds } from "./postings.ts";
import { rootsIn } from "./rootsIn.ts";

/** What was posted and is no longer there; the journal posts it again by itself. */
export type Reverted =
  | {
      readonly kind: "head";
      readonly runId: RunId;
      readonly head: HeadHash;
      readonly sequence: number;
      readonly round: number;
    }
  | {
      readonly kind: "root" | "activation";
      /** What it pays for, of `rewardKind`. */
      readonly of: number;
      readonly modelId: ModelId;
      readonly epoch: number;
    };

interface WatchModules {
  readonly reader: ChainReader;
  readonly journal: Pick<Journal, "finished" | "reopen">;
  readonly kinds: PostingKinds;
  readonly clock: Clock;
  readonly logger: Logger | undefined;
  /** Ms between looks. */
  readonly interval: number;
}

const subjectOf = (item: Reverted): string =>
  item.kind === "head" ? item.runId : `${item.kind}:${item.of}:${item.modelId}`;
const rank = (item: Reverted): number => (item.kind === "head" ? item.sequence : item.epoch);

export class PostingWatch {
  readonly #modules: WatchModules;
  readonly #listeners = new Set<(reverted: Reverted) => void>();
  /** By subject. */
  readonly #newest = new Map<string, Reverted>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(modules: WatchModules) {
    this.#modules = modules;
    this.#running = this.#loop().catch((error: unknown) =>
      modules.logger?.error({ err: error }, "watching the chain ended"),
    );
  }

  /** Something was posted. */
  note(item: Reverted): void {
    const known = this.#newest.get(subjectOf(item));
    if (!known || rank(item) >= rank(known)) this.#newest.set(subjectOf(item), item);
  }

  onReverted(listener: (reverted: Reverted) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #loop(): Promise<void> {
    const { clock, logger, interval } = this.#modules;
    await this.#start();
    while (!this.#stopping.signal.aborted) {
      try {
        for (const [subject, item] of this.#newest) {
          if (await this.#isThere(item)) continue;
          await this.#reopenMissing(item);
          // It is noted again when it is posted again; something newer may have been noted meanwhile.
          if (this.#newest.get(subject) === item) this.#newest.delete(subject);
        }
      } catch (error) {
        // The chain is away: what it lost shows when it is back.
        logger?.debug({ err: error }, "the chain could not be watched");
      }
      await clock.sleep(interval, this.#stopping.signal).catch(() => undefined);
    }
  }

  async #start(): Promise<void> {
    const { journal, kinds } = this.#modules;
    for (const { payload, result } of await journal.finished(kinds.heads))
      this.note({ kind: "head", runId: payload.runId, ...result });
    for (const { payload, result } of await journal.finished(kinds.roots)) {
      const { kind: of, modelId } = payload.attestation;
      this.note({ kind: "root", of, modelId: modelId as ModelId, epoch: result.root.epoch });
    }
    for (const { payload } of await journal.finished(kinds.activations)) {
      const { modelId, epoch, attestation } = payload;
      this.note({ kind: "activation", of: attestation.kind, modelId, epoch });
    }
  }

  async #isSeen(item: Reverted): Promise<boolean> {
    const { reader } = this.#modules;
    if (item.kind === "head") return (await reader.headsSince(item.runId, 0)).some(({ head }) => head === item.head);
    const { rootsOf, activationsOf } = rootsIn(reader, item.of);
    const events = await (item.kind === "root" ? rootsOf(item.modelId) : activationsOf(item.modelId));
    return events.some(({ epoch }) => epoch >= item.epoch);
  }

  async #isThere(item: Reverted): Promise<boolean> {
    if (await this.#isSeen(item)) return true;
    // The RPC may have left it out.
    this.#modules.reader.forget(item.kind === "head" ? item.runId : item.modelId);
    return this.#isSeen(item);
  }

  async #reopenMissing(lost: Reverted): Promise<void> {
    const { reader, journal, kinds } = this.#modules;
    if (lost.kind === "head") {
      const { runId } = lost;
      const there = new Set<string>((await reader.headsSince(runId, 0)).map(({ head }) => head));
      for (const { key, payload, result } of await journal.finished(kinds.heads)) {
        if (payload.runId !== runId || there.has(result.head)) continue;
        if (await journal.reopen(kinds.heads.kind, key)) this.#notify({ kind: "head", runId, ...result });
      }
      return;
    }
    const { modelId } = lost;
    const finished = (
      lost.kind === "root" ? await journal.finished(kinds.roots) : await journal.finished(kinds.activations)
    ).filter(({ payload: { attestation } }) => attestation.modelId === modelId && attestation.kind === lost.of);
    const { kind } = lost.kind === "root" ? kinds.roots : kinds.activations;
    for (const { key, result } of finished) {
      if (result.root.epoch >= lost.epoch && (await journal.reopen(kind, key))) this.#notify(lost);
    }
  }

  #notify(item: Reverted): void {
    this.#modules.logger?.warn({ ...item }, "the chain went back behind a posting; it is posted again");
    for (const listener of this.#listeners) listener(item);
  }
}
