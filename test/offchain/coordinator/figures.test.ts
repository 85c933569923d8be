/** Figures that people see: of a run with rests, of members that trained unlike much, of measurements of unlike size. */
import { type Address, asHead, type Hex, type MemberView, measuringOrder, zeroHash } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { heldOutOf } from "../../../offchain/src/coordinator/machine/heldOut.ts";
import type { RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { tokensPerSecond, trainLoss } from "../../../offchain/src/coordinator/views.ts";
import { play } from "./liveness.ts";

const { state } = play({
  actors: [{ kind: "honest", pace: 50 }],
  params: { minWorkers: 1, roundDeadline: 20 },
  time: 20_000,
});

const roundOf = (number: number, openedAt: number, tokens: number) => ({
  round: number,
  openedAt,
  durableAt: openedAt + 10_000,
  tokens,
  workers: 1,
});
const speedOf = (recent: RunState["recent"]) => tokensPerSecond({ ...state, recent, current: null }, []);

describe("speed", () => {
  it("is that of the rounds since the run last rested", () => {
    expect(speedOf([roundOf(0, 0, 1_000), roundOf(1, 10_000, 3_000)])).toBe(200);
    // An hour's rest is no slow round, and what was before it says nothing about now.
    expect(speedOf([roundOf(0, 0, 1_000), roundOf(1, 3_600_000, 5_000), roundOf(2, 3_610_000, 5_000)])).toBe(500);
  });
});

const member = (byte: string, over: Partial<MemberView>): MemberView => ({
  worker: `0x${byte.repeat(20)}`,
  beneficiary: `0x${byte.repeat(20)}`,
  machineClass: "exact-x86",
  state: "training",
  round: 1,
  step: 1,
  steps: 8,
  loss: null,
  tokensPerSecond: null,
  tokens: "0",
  ...over,
});

it("speed before the first round is over is what those say who train", () => {
  const members = [
    member("31", { tokensPerSecond: 100 }),
    member("32", { tokensPerSecond: 30 }),
    member("33", {}),
    member("34", { tokensPerSecond: 5_000, state: "waiting" }),
    member("35", { tokensPerSecond: 5_000, state: "uploading" }),
    member("36", { tokensPerSecond: 5_000, state: "silent" }),
  ];
  expect(tokensPerSecond({ ...state, recent: [], current: null }, members)).toBe(130);
});

const nobody: Address = `0x${"0".repeat(40)}`;

describe("training loss", () => {
  it("weighs by the tokens that each member trained; who has not said any counts for nothing", () => {
    const members = [
      { loss: 2, lossTokens: 640, tokens: "3000" },
      { loss: 6, lossTokens: 320, tokens: "1000" },
      { loss: null, tokens: "9000" },
    ];
    expect(trainLoss(members)).toEqual({ train: 3, trainTokens: 960 });
    expect(trainLoss([])).toEqual({ train: null });
  });

  it("of who has nothing accepted counts for nothing beside those who have, and all alike while nobody has", () => {
    const newcomer = { loss: 9, lossTokens: 640, tokens: "0" };
    const trained = { loss: 2, lossTokens: 320, tokens: "3000" };
    expect(trainLoss([newcomer, trained, newcomer])).toEqual({ train: 2, trainTokens: 320 });
    expect(trainLoss([newcomer, { ...newcomer, loss: 3 }])).toEqual({ train: 6, trainTokens: 1_280 });
    // Who has trained and says nothing is no reason to say nothing of the others.
    expect(trainLoss([newcomer, { loss: null, tokens: "3000" }])).toEqual({ train: 9, trainTokens: 640 });
  });

  // foundation 18: the size of the sample beside each loss
  it("stands with the tokens that it rests on; one that does not say them does not count", () => {
    const told = { loss: 2, lossTokens: 20_480, tokens: "3000" };
    const silent = { loss: null, lossTokens: 512, tokens: "1000" };
    expect(trainLoss([told, { ...told, lossTokens: 1_280 }, silent])).toEqual({ train: 2, trainTokens: 21_760 });
    expect(trainLoss([told, { loss: 5, tokens: "3000" }])).toEqual({ train: 2, trainTokens: 20_480 });
  });
});

// foundation 18: the size of the sample beside each loss
describe("held-out loss", () => {
  it("is the lower median of the validators, each by the largest sample that it measured", () => {
    const { head, round } = state.heads.at(-1)!;
    const verdict = (validator: number, sequences: number, value: number) => {
      const address: Address = `0x${String(validator).repeat(40)}`;
      const fields = { runId: state.facts.runId, round: "0", head, validator: address, kind: 4, index: sequences };
      const rest = {
        worker: nobody,
        value: String(value),
        evidence: zeroHash,
        issuedAt: "1",
      };
      return [`${validator}/${sequences}`, { verdict: { ...fields, ...rest }, signature: "0x" as Hex }] as const;
    };
    const measured = (...all: ReturnType<typeof verdict>[]) =>
      heldOutOf({ heads: state.heads, verdicts: Object.fromEntries(all) }, "newest");
    const small = [verdict(1, 8, 10), verdict(2, 8, 11), verdict(3, 8, 12)];
    const large = [verdict(1, 64, 900), verdict(2, 64, 800), verdict(3, 64, 700), verdict(4, 64, 600)];
    expect(measured(...small, ...large)).toEqual({ round, microBitsPerByte: 700, sequences: 64 });
    // Who claims the larger sample is one voice all the same.
    expect(measured(verdict(1, 512, 1), verdict(2, 64, 800), verdict(3, 64, 810))).toMatchObject({
      microBitsPerByte: 800,
      sequences: 64,
    });
    // Of two, whoever the head's order names first.
    const two = [verdict(1, 512, 1), verdict(2, 64, 800)] as const;
    const [first] = measuringOrder(
      asHead(head),
      two.map(([, each]) => each.verdict.validator),
    );
    const drawn = two.find(([, each]) => each.verdict.validator === first)!;
    expect(measured(...two)).toMatchObject({ microBitsPerByte: Number(drawn[1].verdict.value) });
    // In whatever order they came.
    expect(measured(...large, ...small)).toEqual({ round, microBitsPerByte: 700, sequences: 64 });
  });
});
