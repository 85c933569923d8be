/** A worker's joins, each of which counts once, and what becomes of one that is under way when the worker is to stop. */
import type { CoordinatorClient, JoinReply, JoinRequest, RunView } from "@cotrain/sdk/protocol";
import { asDigest, asRunId, domainFor, zeroHash } from "@cotrain/sdk/protocol";
import { CoordinatorError } from "@cotrain/sdk/errors";
import { privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";

import { createRemote, type RunRecordReader } from "../../../offchain/src/worker/artefacts.ts";
import { followRun } from "../../../offchain/src/worker/governed.ts";
import { locateRun } from "../../../offchain/src/worker/locateRun.ts";

import type { RequestQueue } from "../../../offchain/src/worker/requestQueue.ts";
import { createSessionKeeper } from "../../../offchain/src/worker/session.ts";
import { createManualClock } from "../manualClock.ts";

const account = privateKeyToAccount(`0x${"22".repeat(32)}`);

const patient = { clock: createManualClock(0), backoff: { base: 1, maximum: 1 }, random: () => 0 };

/** @param client answers to its joins */
const keeperOf = (client: unknown, clock = createManualClock(1_790_000_000_000)) =>
  createSessionKeeper({
    client: client as CoordinatorClient,
    requestQueue: { enter: (work: () => unknown) => work() } as unknown as RequestQueue,
    account,
    domain: domainFor(31_337, account.address),
    membership: {
      runId: asRunId(zeroHash),
      beneficiary: account.address,
      pass: undefined,
      build: asDigest(zeroHash),
      conformance: zeroHash,
    },
    clock,
    backoff: { base: 1, maximum: 1 },
    random: () => 0,
    onJoin: () => undefined,
    onRetry: () => undefined,
  });

test("joins in the same millisecond are told apart; a clock that was set is followed", async () => {
  const clock = createManualClock(1_790_000_000_000);
  const issued: number[] = [];
  const client = {
    join: async (_run: string, { join }: JoinRequest): Promise<Partial<JoinReply>> => {
      issued.push(Number(join.issuedAt));
      return { protocol: 1, heartbeatSeconds: 5 };
    },
    session: () => ({}),
  };
  const keeper = keeperOf(client, clock);
  /** A call, by whose answer the coordinator does not know the session any more; that of the new join works. */
  const lostOnce = async (): Promise<void> => {
    let lost = false;
    const work = async (): Promise<void> => {
      if (lost) return;
      lost = true;
      throw new CoordinatorError(401, "SESSION_UNKNOWN", "Unknown.");
    };
    await keeper.once(work, new AbortController().signal);
  };
  const now = clock.now();
  await lostOnce();
  await lostOnce();
  expect(issued).toEqual([now, now + 1, now + 2]);
  clock.step(-3_600_000);
  await lostOnce();
  expect(issued.at(-1)).toBe(now - 3_600_000);
});

test("who is to stop waits for no join, and what one opens all the same is left", async () => {
  const joining = Promise.withResolvers<Partial<JoinReply>>();
  let left = 0;
  const keeper = keeperOf({
    join: () => joining.promise,
    session: () => ({ leave: async () => void (left += 1) }),
  });
  const stop = new AbortController();
  const waiting = [
    keeper.call("work", () => Promise.reject(new Error("never")), stop.signal),
    keeper.once(() => Promise.reject(new Error("never")), stop.signal),
  ];
  const reason = new Error("told to stop");
  stop.abort(reason);
  expect(await Promise.allSettled(waiting)).toEqual(waiting.map(() => ({ status: "rejected", reason })));
  const leaving = keeper.leave();
  expect(left).toBe(0);
  joining.resolve({ protocol: 1, heartbeatSeconds: 5 });
  await leaving;
  expect(left).toBe(1);
});

const located = (client: CoordinatorClient, retry: typeof patient & { signal: AbortSignal }) =>
  locateRun({}, client, { ...retry, onEvent: () => undefined });
const blobOf = (client: CoordinatorClient, retry: typeof patient & { signal: AbortSignal }) =>
  createRemote(client, asRunId(zeroHash), retry).blob(asDigest(zeroHash), 1);

test.each([
  ["a blob", "blob", blobOf],
  ["which runs there are", "runs", located],
  ["a run", "run", located],
] as const)("who is to stop does not wait until the coordinator tells %s", async (_what, silent, ask) => {
  const asked = Promise.withResolvers<void>();
  const client = {
    runs: async () => ({ runs: [{ runId: zeroHash, phase: "Training" }] }),
    [silent]: () => {
      asked.resolve();
      return new Promise<never>(() => undefined);
    },
  };
  const stop = new AbortController();
  const asking = ask(client as unknown as CoordinatorClient, { ...patient, signal: stop.signal });
  await asked.promise;
  const reason = new Error("told to stop");
  stop.abort(reason);
  await expect(asking).rejects.toBe(reason);
});

test("who is to stop does not wait until the chain tells whose work is anchored, and under which parameters", async () => {
  let asked = Promise.withResolvers<void>();
  const never = () => {
    asked.resolve();
    return new Promise<never>(() => undefined);
  };
  const view = { runId: zeroHash, poster: account.address } as unknown as RunView;
  const chain = { run: never, isSuspended: never, paramsOf: never } as unknown as RunRecordReader;
  for (const question of ["whyBarred", "paramsOf"] as const) {
    const stop = new AbortController();
    const run = followRun(view, {} as CoordinatorClient, chain, { ...patient, signal: stop.signal });
    asked = Promise.withResolvers();
    const asking = run[question](1);
    await asked.promise;
    stop.abort(new Error("told to stop"));
    expect(await asking).toBeUndefined();
  }
});
