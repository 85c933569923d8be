/** A member that sends what is not sound is not heard for a while. */
import type { Address } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { createManualClock } from "../../../offchain/src/base/index.ts";
import { RefusedError } from "../../../offchain/src/coordinator/errors.ts";
import { createOffences } from "../../../offchain/src/coordinator/scans.ts";

it("the pause doubles with each offence, up to ten minutes", async () => {
  const clock = createManualClock(0);
  const offences = createOffences(clock, 1);
  const member: Address = `0x${"a1".repeat(20)}`;
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
