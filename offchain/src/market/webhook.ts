/**
 * A webhook: what somebody should know of leases is posted to an address of theirs, in the order in which it happened. Delivery is tried
 * and not promised: it never holds up what ends machines, and what cannot be delivered is told where the process runs.
 */
import { setTimeout as later } from "node:timers";

import { type Clock, isLoopbackUrl, redactUrl, RetryableError, retrying, UserError } from "../base/index.ts";
import { readFileBounded } from "../base/node/index.ts";
import type { Alarm } from "./leases/events.ts";

export interface WebhookOptions {
  /** Whoever has it can post there: it stands in no message. */
  readonly url: URL;
  readonly clock: Clock;
  readonly random: () => number;
  /** Gives up what is not delivered. */
  readonly signal: AbortSignal;
  readonly onFault: (sentence: string) => void;
  /** Until an answer has begun, ms; default 10,000. */
  readonly timeout?: number;
}

export interface Webhook {
  /** Is handed on in its turn. Beyond 100 that wait the oldest is dropped. */
  tell(notice: Notice): void;
  /** All that waits is delivered or given up. */
  settled(): Promise<void>;
}

/** What is posted, with its sentence under the names that chat services show (`text`, `content`) too. */
export interface Notice extends Omit<Alarm, "type" | "what"> {
  /** ISO 8601. */
  readonly at: string;
  readonly what: Alarm["what"] | "watchdog";
}

const MAX_WAITING = 100;
const MAX_URL = 2_048;
const TRIES = 4;

/**
 * The address in a file, which is no argument of a command since its path is what allows to post.
 * @throws UserError `WEBHOOK`; as readFileBounded
 */
export async function webhookIn(file: string): Promise<URL> {
  const text = new TextDecoder().decode(await readFileBounded(file, MAX_URL)).trim();
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopbackUrl(text))))
    throw new UserError(
      "WEBHOOK",
      `The file of --webhook-file must hold one address that begins with https://, or is on this machine.`,
    );
  // fetch takes no address with a user in it.
  if (url.username !== "" || url.password !== "")
    throw new UserError("WEBHOOK", "The address in the file of --webhook-file cannot have a user or password in it.");
  return url;
}

const failed = (words: string, retryable: boolean) =>
  retryable ? new RetryableError("WEBHOOK", words) : new UserError("WEBHOOK", words);

async function post({ url, signal, timeout = 10_000 }: WebhookOptions, notice: Notice): Promise<void> {
  const ending = new AbortController();
  const timer = later(() => ending.abort(), timeout);
  try {
    const response = await fetch(url, {
      method: "POST",
      // Elsewhere nobody asked for it.
      redirect: "manual",
      signal: AbortSignal.any([ending.signal, signal]),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ version: 1, ...notice, text: notice.sentence, content: notice.sentence }),
    });
    // What it says is of no interest.
    await response.body?.cancel();
    if (!response.ok) throw failed(`it answered ${response.status}`, response.status === 429 || response.status >= 500);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RetryableError || error instanceof UserError) throw error;
    // No cause: the errors of fetch may quote the address.
    throw failed(ending.signal.aborted ? "it did not answer in time" : "there was no connection", true);
  } finally {
    clearTimeout(timer);
  }
}

/** A webhook that nothing was told yet. */
export function createWebhook(options: WebhookOptions): Webhook {
  const { url, clock, random, signal, onFault } = options;
  const waiting: Notice[] = [];
  const name = `The webhook ${redactUrl(url.href)}`;
  let work: Promise<void> | undefined;
  const deliver = async (): Promise<void> => {
    for (let notice = waiting.shift(); notice !== undefined; notice = waiting.shift()) {
      const next = notice;
      await retrying(() => post(options, next), {
        clock,
        random,
        signal,
        tries: TRIES,
        backoff: { base: 1_000, maximum: 15_000 },
      }).catch((error: unknown) => {
        if (!signal.aborted)
          onFault(`${name} was not told of ${next.what}: ${error instanceof Error ? error.message : "it failed"}.`);
      });
      if (signal.aborted) waiting.length = 0;
    }
    work = undefined;
  };
  return {
    tell(notice) {
      if (signal.aborted) return;
      waiting.push(notice);
      if (waiting.length > MAX_WAITING) {
        const dropped = waiting.shift();
        onFault(`${name} is slow: ${dropped?.what ?? "something"} was not told.`);
      }
      work ??= deliver();
    },
    settled: async () => work,
  };
}
