/** Blobs of a source that is busy at times. */
import { CoordinatorError } from "@cotrain/sdk/errors";
import { asDigest, asRunId } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { turn, UserError } from "../../../offchain/src/base/index.ts";
import { patientBlobs, rememberingBlobs } from "../../../offchain/src/run/index.ts";
import { anyOf } from "../../../offchain/src/validator/index.ts";
import { createManualClock } from "../manualClock.ts";

const [runId, digest] = [asRunId(`0x${"ab".repeat(32)}`), asDigest(`0x${"cd".repeat(32)}`)];

/** One blob of a source that fails so. @returns when it was asked, and when its answer came, ms */
async function ask(failure: (now: number) => Error | undefined) {
  const clock = createManualClock();
  const asked: number[] = [];
  const told: string[] = [];
  const blobs = {
    blob: async () => {
      asked.push(clock.monotonic());
      const error = failure(clock.monotonic());
      if (error) throw error;
      return new Uint8Array(1);
    },
  };
  const { signal } = new AbortController();
  const onRetry = ({ code }: { code: string }): void => void told.push(code);
  const answer = patientBlobs(blobs, { clock, random: () => 0, signal, onRetry })
    .blob(runId, digest, 1)
    .then(
      () => "had",
      (error: unknown) => error,
    );
  // Only then does it wait for the clock.
  await turn();
  for (let i = 0; i < 50; i++) await clock.advance(5_000);
  return { asked, told, answer: await answer };
}

const limited = (details?: Record<string, number>) =>
  new CoordinatorError(429, "RATE_LIMITED", "Too many.", { retryable: true, ...(details && { details }) });

test("a walk of more blobs than a minute allows gets through", async () => {
  const { answer, told } = await ask((now) => (now < 60_000 ? limited() : undefined));
  expect({ answer, told }).toEqual({ answer: "had", told: ["RATE_LIMITED"] });
});

test("the wait that a source names is waited, and no longer than a minute", async () => {
  expect((await ask((now) => (now === 0 ? limited({ retryAfterSeconds: 42 }) : undefined))).asked).toEqual([0, 42_000]);
  expect((await ask((now) => (now === 0 ? limited({ retryAfterSeconds: 1e9 }) : undefined))).asked).toEqual([
    0, 60_000,
  ]);
});

test("who stays away is given up after two minutes, and what cannot be tried again at once", async () => {
  const away = limited();
  const { answer, asked } = await ask(() => away);
  expect(answer).toBe(away);
  expect(asked.at(-1)).toBeGreaterThanOrEqual(120_000);
  expect(asked.at(-1)).toBeLessThan(140_000);
  const gone = new UserError("BLOB_MISSING", "It is nowhere.");
  expect(await ask(() => gone)).toEqual({ answer: gone, asked: [0], told: [] });
});

const come = () => new Uint8Array(1);
const pruned = (): never => {
  throw new CoordinatorError(404, "BLOB_NOT_FOUND", "There is no such blob.");
};

test.each([
  ["119 s of waits before", 0, 119_000, 6, come, "SOURCE_SLOW"],
  ["290 s of its answer for", 290_000, 0, 3, come, "SOURCE_SLOW"],
  ["nothing before", 0, 0, 1_000, come, undefined],
  ["119 s of waits before it says that there is none, for", 0, 119_000, 6, pruned, "SOURCE_SLOW"],
  ["290 s to say that there is none, for", 290_000, 0, 3, pruned, "SOURCE_SLOW"],
  ["nothing to say that there is none, for", 0, 0, 1_000, pruned, undefined],
])(
  "who takes %s each blob holds a walk up for no longer than ten minutes",
  async (_, answer, busy, most, say, ends) => {
    const clock = createManualClock();
    let had = 0;
    let until = 0;
    const blobs = {
      blob: async () => {
        if (clock.monotonic() < until) throw limited();
        if (answer > 0) await clock.sleep(answer);
        return say();
      },
    };
    const patient = patientBlobs(blobs, { clock, random: () => 0, signal: new AbortController().signal });
    const walk = async (): Promise<unknown> => {
      for (; had < 1_000; had++) {
        until = clock.monotonic() + busy;
        // A walk goes on without a shard that is pruned.
        await patient.blob(runId, digest, 1).catch((error: unknown) => {
          if (!(error instanceof CoordinatorError && error.code === "BLOB_NOT_FOUND")) throw error;
        });
      }
      return undefined;
    };
    const ended = walk().catch(({ code }: { code: string }) => code);
    await turn();
    for (let i = 0; i < 200; i++) await clock.advance(5_000);
    expect(had).toBeLessThanOrEqual(most);
    expect(await ended).toBe(ends);
  },
);

test("who was too slow is not asked again, where others have what it delays", async () => {
  const clock = createManualClock();
  const seen = { asked: 0, ended: false };
  const delaying = {
    blob: async () => {
      seen.asked += 1;
      await clock.sleep(290_000);
      return come();
    },
  };
  const patient = patientBlobs(delaying, { clock, random: () => 0, signal: new AbortController().signal });
  const both = anyOf([patient, { blob: async () => come() }]);
  const walk = async (): Promise<void> => {
    for (let had = 0; had < 1_000; had++) await both.blob(runId, digest, 1);
  };
  void walk().then(() => (seen.ended = true));
  await turn();
  for (let i = 0; i < 200 && !seen.ended; i++) await clock.advance(5_000);
  expect(seen).toEqual({ asked: 3, ended: true });
});

test("what is remembered is asked for once, by all who want it at once, within its bound", async () => {
  const asked: string[] = [];
  let fails = false;
  const source = rememberingBlobs(
    {
      blob: async (_run, of, limit) => {
        asked.push(of.slice(2, 4));
        await turn();
        if (fails || limit < 4) throw new UserError("BLOB_TOO_LARGE", "It is too large.");
        return new Uint8Array(4);
      },
    },
    8,
  );
  const get = async (byte: string, limit = 4) =>
    (await source.blob(runId, asDigest(`0x${byte.repeat(32)}`), limit)).length;
  expect(await Promise.all([get("aa"), get("aa"), get("bb")])).toEqual([4, 4, 4]);
  expect(await get("aa")).toBe(4);
  expect(asked).toEqual(["aa", "bb"]);
  // Its limit is each caller's own.
  await expect(get("aa", 3)).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
  // The oldest is forgotten.
  await get("cc");
  asked.length = 0;
  await get("bb");
  await get("aa");
  expect(asked).toEqual(["aa"]);
  // What could not be had is asked for again.
  fails = true;
  await expect(get("dd")).rejects.toMatchObject({ code: "BLOB_TOO_LARGE" });
  fails = false;
  expect(await get("dd")).toBe(4);
});
