/** How it is known that a process which was started serves. */
import type { ChildProcess } from "node:child_process";
import { setTimeout as sleepUnref } from "node:timers/promises";

import { isChildMessage } from "./lifecycle.ts";

export type Readiness =
  /** It says so itself, see DaemonContext.ready. */
  | { readonly kind: "message" }
  /** This URL answers with a 2xx. */
  | { readonly kind: "url"; readonly url: string }
  /** This resolves; it may be called again after each restart. */
  | { readonly kind: "check"; readonly check: (signal: AbortSignal) => Promise<void> }
  /** It was started. */
  | { readonly kind: "started" };

/** What a process sends when it becomes ready, e.g. its port. */
export type ReadyDetails = Readonly<Record<string, string | number>>;

/**
 * Watches a process that was started just now.
 * @param signal aborted when it has ended
 * @returns resolves when it serves, never where it does not; rejects as its check does
 */
export function whenReady(ready: Readiness, started: ChildProcess, signal: AbortSignal): Promise<ReadyDetails> {
  return new Promise((resolve, reject) => {
    const serves = (): void => resolve({});
    if (ready.kind === "started") started.once("spawn", serves);
    if (ready.kind === "url") void pollUrl(ready.url, signal).then((answered) => answered && serves());
    if (ready.kind === "check") ready.check(signal).then(serves, reject);
    if (ready.kind === "message")
      started.on("message", (message) => {
        if (isChildMessage(message) && message.type === "cotrain:ready") resolve(message.details);
      });
  });
}

async function pollUrl(url: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]) });
      await response.body?.cancel();
      if (response.ok) return true;
    } catch {
      // Not up yet; that is what polling is for.
    }
    await sleepUnref(100, undefined, { ref: false });
  }
  return false;
}
