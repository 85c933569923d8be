/** A member that sends what is not sound is not heard for a while. */
import type { Address } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { type ApiCode, RefusedError } from "../../../offchain/src/coordinator/errors.ts";
import { createOffences, type Offences } from "../../../offchain/src/coordinator/scans.ts";

const member: Address = `0x${"a1".repeat(20)}`;

// foundation 6
it("the pause doubles with each offence, up to ten minutes", async () => {
  const clock = createManualClock(0);
  const offences = createOffences(clock, 1);
  const offend = (): Promise<string> =>
    offences
      .watch(member, () => Promise.reject(new RefusedError("NON_FINITE", "Not a number.")))
      .then(
        () => "heard",
        (error: { code: string }) => error.code,
      );
  const pauses: number[] = [];
  for (let n = 0; n < 7; n++) {
    expect(await offend()).toBe("NON_FINITE");
    let seconds = 0;
    while ((await offences.watch(member, async () => "heard").catch(() => "paused")) === "paused") {
      await clock.advance(1_000);
      seconds += 1;
    }
    pauses.push(seconds);
  }
  expect(pauses).toEqual([30, 60, 120, 240, 480, 600, 600]);
});

/** Asks as often as this, each time refused with this code. @returns the codes */
async function refusedWith(offences: Offences, code: ApiCode, times: number): Promise<string[]> {
  const codes: string[] = [];
  for (let n = 0; n < times; n++) {
    const refused = offences.watch(member, () => Promise.reject(new RefusedError(code, "No.")));
    codes.push(await refused.catch((error: { code: string }) => error.code));
  }
  return codes;
}
const same = (code: ApiCode, times: number): string[] => Array.from({ length: times }, () => code);

// foundation 6
it.each([
  "RUN_UNKNOWN",
  "RUN_FINISHED",
  "NOT_A_MEMBER",
  "SESSION_UNKNOWN",
  "STALE_ROUND",
  "STALE_ATTEMPT",
  "STALE_COUNTER",
  "ALREADY_SUBMITTED",
  "TOO_MANY_RECEIPTS",
  "TOO_MANY_UPLOADS",
] as const)("what an honest member runs into is no offence, however often (%s)", async (code) => {
  expect(await refusedWith(createOffences(createManualClock(0)), code, 100)).toEqual(same(code, 100));
});

// foundation 6
it("seven offences are forgiven, and all of them forgotten after half an hour without another", async () => {
  const clock = createManualClock(0);
  const offences = createOffences(clock);
  expect(await refusedWith(offences, "WRONG_SHAPE", 7)).toEqual(same("WRONG_SHAPE", 7));
  await clock.advance(1_799_000);
  expect(await refusedWith(offences, "WRONG_SHAPE", 2)).toEqual(["WRONG_SHAPE", "TOO_MANY_FAILURES"]);
  await clock.advance(1_800_000);
  expect(await refusedWith(offences, "WRONG_SHAPE", 9)).toEqual([...same("WRONG_SHAPE", 8), "TOO_MANY_FAILURES"]);
});
