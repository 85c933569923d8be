/** Workers are admitted by their stake where holders have decided so: what a slow, lying or absent chain does to whom. */
import { type Address, admissionCode, type ModelId } from "@cotrain/sdk/protocol";
import { parseEther } from "viem";
import { afterEach, describe, expect, it } from "vitest";

import { RetryableError } from "../../../offchain/src/base/index.ts";
import { createAdmission } from "../../../offchain/src/coordinator/admission.ts";
import { createManualClock } from "../manualClock.ts";
import { elapse, type Harness, lower, openHarness } from "./harness.ts";

const params = { admission: admissionCode.stake, minStake: parseEther("0.5") };
const account = (i: number): Address => `0x${i.toString(16).padStart(40, "0")}`;
const worker = account(0xa1);

function admissionBy(activeStake: (worker: Address) => Promise<bigint>) {
  const clock = createManualClock(0);
  const asked: Address[] = [];
  const chain = {
    activeStake: (_model: unknown, of: Address) => {
      asked.push(of);
      return activeStake(of);
    },
  };
  return { clock, asked, admission: createAdmission(`0x${"11".repeat(32)}` as ModelId, { chain, clock }) };
}

describe("a run that asks for stake", () => {
  it("admits who has it, and says to others how much is missing, and how it is put up", async () => {
    let active = params.minStake;
    const { admission, clock } = admissionBy(async () => active);
    await admission.require(worker, params);
    active = parseEther("0.2");
    await clock.advance(10_000);
    const refused = admission.require(worker, params);
    await expect(refused).rejects.toMatchObject({ code: "STAKE_MISSING" });
    await expect(refused).rejects.toThrow('has 0.2 that are not leaving: "npx cotrain stake deposit 0.3 --yes"');
    active = params.minStake;
    await clock.advance(10_000);
    await admission.require(worker, params);
  });

  it("asks nothing where everybody is admitted, and admits nobody by a rule that it does not know", async () => {
    const { admission, asked } = admissionBy(async () => params.minStake);
    await admission.require(worker, { ...params, admission: admissionCode.open });
    expect(asked).toEqual([]);
    await expect(admission.require(worker, { ...params, admission: 7 })).rejects.toMatchObject({
      code: "STAKE_MISSING",
    });
  });

  it("asks the chain twice for an answer, which holds for a while, and for one at a time of one worker", async () => {
    const { admission, asked, clock } = admissionBy(async () => params.minStake);
    await Promise.all([admission.require(worker, params), admission.require(worker, params)]);
    await admission.require(worker, params);
    expect(asked).toEqual([worker, worker]);
    await clock.advance(10_000);
    await admission.require(worker, params);
    expect(asked).toHaveLength(4);
  });

  it("admits nobody by an answer that the next one does not confirm", async () => {
    const answers = [params.minStake, 0n, params.minStake, params.minStake];
    const { admission } = admissionBy(async () => answers.shift()!);
    await expect(admission.require(worker, params)).rejects.toMatchObject({ code: "STAKE_UNKNOWN" });
    await admission.require(worker, params);
  });

  it("admits nobody while the chain is away, and asks again at once", async () => {
    let away = true;
    const { admission } = admissionBy(async () => {
      if (away) throw new RetryableError("CHAIN_UNREACHABLE", "away");
      return params.minStake;
    });
    await expect(admission.require(worker, params)).rejects.toMatchObject({ code: "STAKE_UNKNOWN" });
    away = false;
    await admission.require(worker, params);
  });

  it("lets nobody wait long for a chain that is slow, and nobody else for whom it is asked about", async () => {
    const { admission, clock } = admissionBy((of) =>
      of === worker ? new Promise<bigint>(() => undefined) : Promise.resolve(params.minStake),
    );
    const slow = admission.require(worker, params);
    slow.catch(() => undefined);
    await admission.require(account(1), params);
    await clock.advance(5_000);
    await expect(slow).rejects.toMatchObject({ code: "STAKE_UNKNOWN" });
  });

  it("refuses at once where more strangers wait for a slow chain than have room, and keeps no more of them than that", async () => {
    let isSlow = true;
    const waiting: (() => void)[] = [];
    const { admission, asked, clock } = admissionBy(async () => {
      if (isSlow) await new Promise<void>((resolve) => waiting.push(resolve));
      return params.minStake;
    });
    const all = Array.from({ length: 200 }, (_, i) =>
      admission.require(account(i + 1), params).then(
        () => true,
        () => false,
      ),
    );
    expect(await all[199]).toBe(false);
    expect(asked.length).toBeLessThanOrEqual(4);
    isSlow = false;
    for (const each of waiting) each();
    await clock.advance(1);
    expect((await Promise.all(all)).filter(Boolean).length).toBeLessThanOrEqual(68);
    for (let i = 0; i < 3_000; i++) await admission.require(account(10_000 + i), params);
    const before = asked.length;
    await admission.require(account(10_000), params);
    expect(asked.length).toBe(before + 2);
    await admission.require(account(12_999), params);
    expect(asked.length).toBe(before + 2);
  });
});

describe("a coordinator whose run asks for stake", () => {
  let harness: Harness;
  afterEach(() => harness.close());

  it("refuses a worker without it, and takes it once it has", async () => {
    harness = await openHarness({ params });
    const joining = harness.worker("31");
    await expect(joining.join()).rejects.toMatchObject({ code: "STAKE_MISSING", status: 403 });
    expect(Object.keys(harness.run.driver.state.members)).toEqual([]);
    harness.chain.stakes.set(lower(joining.address), params.minStake);
    await harness.clock.advance(10_000);
    await joining.join();
    expect(Object.keys(harness.run.driver.state.members)).toEqual([lower(joining.address)]);
    // Who is in is asked again only when it joins again.
    harness.chain.stakes.clear();
    await elapse(harness, () => harness.clock.monotonic() >= 13_000, "time");
    expect(Object.keys(harness.run.driver.state.members)).toEqual([lower(joining.address)]);
  });
});
