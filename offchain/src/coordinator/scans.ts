/**
 * Reading payloads to see whether they are sound: outside the run's lock, one at a time, and each fragment once, since a
 * digest's bytes do not change. And a count of what each member sent that was not: who goes on is not listened to for a while.
 */
import { type Address, asDigest, type Digest, type PayloadHeader } from "@cotrain/sdk/protocol";
import pLimit from "p-limit";

import { type Backoff, backoffBound, type Clock, errnoOf, RetryableError } from "../base/index.ts";
import { inspectPayload, PayloadError } from "../diloco/index.ts";
import { isLost } from "../run/index.ts";
import type { BlobStore } from "../storage/index.ts";
import { type ApiCode, RefusedError } from "./errors.ts";
import { sourceOfBlob } from "./payloadSource.ts";

/** Fragments whose result is remembered; the oldest goes. */
const KEPT = 8_192;

type Result = { readonly code: ApiCode; readonly message: string } | null;

/** A fragment that was here: the store has lost it, which is no mistake of who sent it. */
class LostFragmentError extends RefusedError {
  constructor(message: string, cause: unknown) {
    super("FRAGMENT_MISSING", message, { cause });
  }
}

export interface PayloadScans {
  /** @throws RefusedError WRONG_SHAPE, NON_FINITE, FRAGMENT_MISSING; RetryableError `BLOB_UNREADABLE` */
  check(header: PayloadHeader): Promise<void>;
  /** Of a fragment that was deleted: it is looked at again when a receipt names it. */
  forget(digest: Digest): void;
}

export function createPayloadScans(blobs: BlobStore): PayloadScans {
  const results = new Map<string, Promise<Result>>();
  const one = pLimit(1);

  async function scan(codec: number, digest: Digest, elements: number): Promise<Result> {
    try {
      await using blob = await blobs.open(digest, { again: false });
      const { norm } = await inspectPayload(codec, sourceOfBlob(blob), elements);
      if (!Number.isFinite(norm)) throw new PayloadError("PAYLOAD_VALUE", "Its values do not have a finite norm.");
      return null;
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      return { code: error.code === "PAYLOAD_LENGTH" ? "WRONG_SHAPE" : "NON_FINITE", message: error.message };
    }
  }

  function resultOf(codec: number, digest: Digest, elements: number): Promise<Result> {
    const key = `${codec}/${elements}/${digest}`;
    const known = results.get(key);
    if (known) return known;
    const result = one(() => scan(codec, digest, elements));
    results.set(key, result);
    // What could not be read is no result.
    result.catch(() => results.delete(key));
    const [oldest] = results.keys();
    if (results.size > KEPT && oldest !== undefined) results.delete(oldest);
    return result;
  }

  return {
    check: async ({ codec, fragments }) => {
      for (const { index, digest, elements } of fragments) {
        let result: Result;
        try {
          result = await resultOf(codec, asDigest(digest), elements);
        } catch (error) {
          const name = `Fragment ${index} of the payload, ${digest},`;
          // What is lost is sent again, which mends it.
          if (isLost(error)) throw new LostFragmentError(`${name} is not here.`, error);
          if (errnoOf(error) === undefined) throw error;
          throw new RetryableError("BLOB_UNREADABLE", `${name} cannot be read.`, { cause: error });
        }
        if (result) throw new RefusedError(result.code, `Fragment ${index} of the payload: ${result.message}`);
      }
    },
    forget: (digest) => {
      for (const key of results.keys()) if (key.endsWith(`/${digest}`)) results.delete(key);
    },
  };
}

/** What an honest member may run into: it was late, or its coordinator has forgotten it. */
const innocent: ReadonlySet<ApiCode> = new Set([
  "RUN_UNKNOWN",
  "RUN_FINISHED",
  "NOT_A_MEMBER",
  "SESSION_UNKNOWN",
  "STALE_ROUND",
  "STALE_ATTEMPT",
  "STALE_COUNTER",
  "ALREADY_SUBMITTED",
  "WORK_UNDONE",
  "TOO_MANY_FAILURES",
  "TOO_MANY_RECEIPTS",
  "TOO_MANY_UPLOADS",
]);

/** So many are forgiven; a version that differs, a disk that flips bits. */
const FORGIVEN = 8;
const BANS: Backoff = { base: 30_000, maximum: 600_000 };
/** After so long without another all is forgotten. */
const FORGET_MS = 1_800_000;
const MOST_MEMBERS = 1_024;

export interface Offences {
  /**
   * Does what a member asked and counts it when it is refused.
   * @throws RefusedError TOO_MANY_FAILURES without trying, while the member is not listened to; and as `work` does
   */
  watch<T>(member: Address, work: () => Promise<T>): Promise<T>;
}

export function createOffences(clock: Clock, forgiven: number = FORGIVEN): Offences {
  const records = new Map<Address, { count: number; at: number; until: number }>();
  return {
    watch: async (member, work) => {
      const now = clock.monotonic();
      const record = records.get(member);
      if (record && now < record.until) {
        throw new RefusedError(
          "TOO_MANY_FAILURES",
          `${member} sent ${record.count} things that are not sound: it is heard again in ${Math.ceil((record.until - now) / 1_000)} s.`,
        );
      }
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof RefusedError) || error instanceof LostFragmentError || innocent.has(error.code))
          throw error;
        const earlier = records.get(member);
        const count = (earlier && clock.monotonic() - earlier.at < FORGET_MS ? earlier.count : 0) + 1;
        const ban = count < forgiven ? 0 : backoffBound(count - forgiven, BANS);
        records.delete(member);
        records.set(member, { count, at: clock.monotonic(), until: clock.monotonic() + ban });
        const [oldest] = records.keys();
        if (records.size > MOST_MEMBERS && oldest !== undefined) records.delete(oldest);
        throw error;
      }
    },
  };
}
