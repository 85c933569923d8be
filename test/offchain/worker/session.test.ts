/** A worker's joins, each of which counts once. */
import type { CoordinatorClient, JoinReply, JoinRequest } from "@cotrain/sdk/protocol";
import { asDigest, asRunId, domainFor, zeroHash } from "@cotrain/sdk/protocol";
import { CoordinatorError } from "@cotrain/sdk/errors";
import { privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";

import type { RequestQueue } from "../../../offchain/src/worker/requestQueue.ts";
import { createSessionKeeper, OWN_MACHINE } from "../../../offchain/src/worker/session.ts";
import { createManualClock } from "../manualClock.ts";

const account = privateKeyToAccount(`0x${"22".repeat(32)}`);

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
  const keeper = createSessionKeeper({
    client: client as unknown as CoordinatorClient,
    requestQueue: { enter: (work: () => unknown) => work() } as unknown as RequestQueue,
    account,
    domain: domainFor(31_337, account.address),
    membership: {
      runId: asRunId(zeroHash),
      beneficiary: account.address,
      lease: OWN_MACHINE,
      build: asDigest(zeroHash),
      conformance: zeroHash,
    },
    clock,
    backoff: { base: 1, maximum: 1 },
    random: () => 0,
    onJoin: () => undefined,
    onRetry: () => undefined,
  });
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
