/** The table of governed parameters, and what follows from it. */
import * as protocol from "@cotrain/sdk/protocol";
import { describe, expect, it, test } from "vitest";

const { defaultRunBounds, defaultRunParams, runParameters } = protocol;
const rows: readonly protocol.Parameter[] = runParameters;
const FRAGMENTS = 4;
const { min, max } = defaultRunBounds;

describe("the table", () => {
  it.each(rows)("$name is sound", ({ name, type, codes, ...row }) => {
    expect(rows.filter((other) => other.name === name)).toHaveLength(1);
    const largest = 2n ** BigInt(type.slice("uint".length)) - 1n;
    expect(BigInt(row.min)).toBeGreaterThanOrEqual(0n);
    expect(BigInt(row.default)).toBeGreaterThanOrEqual(BigInt(row.min));
    expect(BigInt(row.max)).toBeGreaterThanOrEqual(BigInt(row.default));
    expect(BigInt(row.limit ?? largest)).toBeGreaterThanOrEqual(BigInt(row.max));
    expect(BigInt(row.limit ?? 0)).toBeLessThanOrEqual(largest);
    expect(row.unit === "code").toBe(codes !== undefined);
    const meant: readonly (number | bigint)[] = Object.values(codes ?? [row.min, row.default, row.max]);
    expect(meant).toEqual(expect.arrayContaining([row.min, row.default, row.max]));
  });

  test("its rules name parameters of it, as one word of Solidity holds them", () => {
    for (const { of } of protocol.runParameterRules) expect(defaultRunParams).toHaveProperty(of);
    for (const { name } of rows) expect(name.length).toBeLessThanOrEqual(32);
  });

  test("what a run begins with and both ends of its bounds are allowed", () => {
    for (const params of [defaultRunParams, min, max])
      expect(() => protocol.checkRunParams(params, FRAGMENTS, defaultRunBounds)).not.toThrow();
  });
});

function refusal(name: string, type: string, value: bigint): string {
  const params = { ...defaultRunParams, [name]: type === "uint128" ? value : Number(value) };
  try {
    protocol.checkRunParams(params, FRAGMENTS, defaultRunBounds);
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

describe("a check against the bounds", () => {
  it.each(rows.filter(({ codes }) => !codes))("refuses $name on either side", ({ name, type, min, max }) => {
    const outside = [BigInt(min) - 1n, BigInt(max) + 1n];
    const must = `it must lie from ${min} to ${max}.`;
    expect(outside.map((value) => refusal(name, type, value))).toEqual(
      outside.map((value) => `${name} is ${value}; ${must}`),
    );
  });

  test("names words where a parameter has words, those that the bounds leave", () => {
    const params = { ...defaultRunParams, codec: 1 };
    const bounds = { ...defaultRunBounds, max: { ...defaultRunBounds.max, codec: 0 } };
    expect(() => protocol.checkRunParams(params, FRAGMENTS, bounds)).toThrow(
      "codec is int8-b256; this run allows fp32 alone.",
    );
    expect(refusal("codec", "uint8", 9n)).toBe("codec is 9; this run allows fp32, int8-b256 alone.");
  });

  test("comes before how parameters fit together, and what no bounds allow is refused without any", () => {
    const params = { ...defaultRunParams, innerSteps: 5_001 };
    expect(() => protocol.checkRunParams(params, FRAGMENTS, defaultRunBounds)).toThrow(/from 4 to 4096/);
    expect(() => protocol.checkRunParams(params, FRAGMENTS)).toThrow(
      "innerSteps is 5001; in a run of 4 fragments it must be a positive multiple of the fragments.",
    );
    expect(() => protocol.checkRunParams({ ...defaultRunParams, outerMomentumPpm: 1_000_000 }, FRAGMENTS)).toThrow(
      "outerMomentumPpm is 1000000; it must be at most 999999.",
    );
  });
});

const change = (after: Partial<protocol.RunParams>) =>
  protocol.parametersChange(defaultRunParams, { ...defaultRunParams, ...after });

test("no run that is made here may have more members than a coordinator judges in time", () => {
  expect(protocol.runParameters.find(({ name }) => name === "maxWorkers")?.max).toBe(256);
});

describe("texts", () => {
  it.each([
    ["innerSteps", 4_096, "4,096"],
    ["innerLrPpb", 3_000_000, "0.003"],
    ["outerLrPpm", 700_000, "0.7"],
    ["maxWorkers", 64, "64"],
    ["roundDeadline", 86_400, "86,400 s"],
    ["aggregatorBps", 5_050, "50.5%"],
    ["codec", 1, "int8-b256"],
    ["codec", 9, "code 9"],
    ["minStake", 1_500_000_000_000_000_000n, "1.5 coins"],
  ] as const)("of %s %s", (name, value, text) => {
    expect(protocol.parameterText(name, value)).toBe(text);
  });

  test("of a change name what changed, and nothing else", () => {
    expect(change({ innerSteps: 96 })).toBe("72 → 96 inner steps per round");
    expect(change({ minWorkers: 2 })).toBe("1 → 2 receipts that a round needs");
    expect(change({ rampRounds: 1, maxWorkers: 1 })).toBe("0 → 1 round of the ramp, 64 → 1 member at most");
    expect(change({ codec: 0, innerLrPpb: 1_000_000 })).toBe(
      "0.003 → 0.001 inner learning rate, int8-b256 → fp32 encoding of pseudo-gradients",
    );
    expect(change({})).toBe("");
  });
});
