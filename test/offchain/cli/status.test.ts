import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  asRunId,
  defaultRunBounds,
  defaultRunParams,
  type MemberView,
  RunContracts,
  type RunView,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { expect, it, onTestFinished, vi } from "vitest";

import { listedLines } from "../../../offchain/src/cli/commands/checkpointList.ts";
import { governedLines } from "../../../offchain/src/cli/commands/params.ts";
import { furtherCommand, recordedLoss, recordedText, versionsAtRest } from "../../../offchain/src/cli/status/atRest.ts";
import { decidedRows, heldOutText } from "../../../offchain/src/cli/status/lines.ts";
import { measuringRows, measuringShares, togetherRow } from "../../../offchain/src/cli/status/measuring.ts";
import { keptLine, memberLines, runningDocument, viewLines } from "../../../offchain/src/cli/status/running.ts";
import { createOutput, printableInColour } from "../../../offchain/src/cli/output.ts";
import { lossKeeper, readKeptLoss } from "../../../offchain/src/run/index.ts";
import type { RunFile } from "../../../offchain/src/service/index.ts";
import { writeMeasuring } from "../../../offchain/src/validator/measuring.ts";
import { poor, poorText, view as shownView } from "./pictures.ts";
import { temporaryDirectory } from "./support.ts";

const member = (byte: string, machineClass: string): MemberView => ({
  worker: `0x${byte.repeat(20)}`,
  beneficiary: `0x${byte.repeat(20)}`,
  machineClass,
  state: "training",
  round: 1,
  step: 1,
  steps: 8,
  loss: null,
  tokensPerSecond: null,
  tokens: "1024",
});

// foundation 15
it("status tells of each machine whether it computes as the organiser's does", () => {
  const accepted = { workers: 3, tokens: "3072" };
  const lines = memberLines({
    members: [
      member("31", "exact-x86"),
      member("32", `other:0x${"0d".repeat(32)}`),
      member("33", `webgpu:0x${"0e".repeat(32)}`),
    ],
    accepted,
  });
  expect(lines[1]).toMatch(/worker +state +computes as +tokens +of work/);
  expect(lines.find((line) => line.includes("0x3131"))).toMatch(/training +exact-x86 +1,024 +33.3…?%/);
  expect(lines.find((line) => line.includes("0x3232"))).toMatch(/training +other 0x0d0d…0d0d +1,024 +33.3…?%/);
  expect(lines.find((line) => line.includes("0x3333"))).toMatch(/training +webgpu 0x0e0e…0e0e +1,024 +33.3…?%/);
  expect(lines.join("\n")).not.toContain("left");
  expect(memberLines({ members: [], accepted: { workers: 0, tokens: "0" } })).toEqual([]);
});

it("status --json tells who has left and how fast it is now, as the lines do", () => {
  const working = { ...member("31", "exact-x86"), tokensPerSecond: 4_000.6 };
  const idle = { ...working, worker: `0x${"32".repeat(20)}` as const, state: "waiting" as const };
  const facts = { chainId: 31_337, rpc: "http://127.0.0.1:8545", contracts: {} };
  const documentWith = (members: MemberView[]) =>
    runningDocument({
      view: { ...shownView, members, accepted: { workers: 3, tokens: "5000" } },
      facts,
      checkpoints: [],
      sequence: 128,
      join: "",
      list: "",
    });
  const training = documentWith([working, idle]);
  expect(training).toMatchObject({ left: { workers: 1, tokens: "2952" }, tokensPerSecondNow: 4_001 });
  expect(training.members.map(({ tokensPerSecond }) => tokensPerSecond)).toEqual([4_000.6, null]);
  const paused = documentWith([idle]);
  expect(paused.tokensPerSecondNow).toBe(0);
  expect(paused.members.map(({ tokensPerSecond }) => tokensPerSecond)).toEqual([null]);
});

it("status counts who has left, so that its table adds up to all that was accepted", () => {
  const here = [member("31", "exact-x86"), { ...member("32", "exact-x86"), tokens: "0" }];
  expect(memberLines({ members: here, accepted: { workers: 2, tokens: "570368" } }).at(-1)).toMatch(
    /^left +1 worker +569,344 +99.8…%$/,
  );
  expect(memberLines({ members: here, accepted: { workers: 4, tokens: "570368" } }).at(-1)).toMatch(
    /^left +3 workers +569,344 +99.8…%$/,
  );
  expect(memberLines({ members: [], accepted: { workers: 1, tokens: "5" } }).at(-1)).toMatch(
    /^left +1 worker +5 +100.0%$/,
  );
});

const further = (settings: RunFile["settings"]): string =>
  furtherCommand({ state: "/tmp/run", file: { settings } as unknown as RunFile });

it("status at rest names the start that goes on with the run on the same devices", () => {
  expect(further({ device: "cuda:0,cuda:1" })).toBe("npm start -- --device cuda:0,cuda:1 --state /tmp/run");
  for (const settings of [undefined, {}, { device: null }])
    expect(further(settings)).toBe("npm start -- --state /tmp/run");
});

it("status at rest tells of parameters that no round had yet", () => {
  const heads = [{ paramsVersion: 1 }, { paramsVersion: 2 }];
  expect(versionsAtRest({ version: 2 }, heads)).toEqual({ paramsVersion: 2 });
  expect(versionsAtRest({ version: 3 }, heads)).toEqual({ paramsVersion: 2, nextParamsVersion: 3 });
  expect(decidedRows(3, 3)).toEqual([["decided", "parameters version 3, in force from round 3"]]);
});

const measured = (round: number, microBitsPerByte: number, sequences?: number) =>
  ({ round, microBitsPerByte, ...(sequences !== undefined && { sequences }) }) as RunView["loss"]["heldOut"];
const summed = (after: number | null, round: number | null) =>
  ({
    heldOut: {
      initial: null,
      after,
      checkpoints: { after: round },
      sequences: { initial: null, after: 8 },
      sequence: 128,
    },
  }) as unknown as NonNullable<Parameters<typeof recordedLoss>[0]>;

it("status at rest says the newest loss that was recorded: the last summary's, or that which a session showed since", async () => {
  const state = temporaryDirectory();
  const runId = asRunId(`0x${"5".repeat(64)}`);
  const keep = lossKeeper({ state, sequence: 128 });
  const picture = (heldOut: RunView["loss"]["heldOut"]) =>
    ({ runId, loss: { heldOut, heldOutFirst: measured(0, 3_820_000, 16) } }) as unknown as RunView;
  await keep(picture(null));
  expect(await readKeptLoss(state, runId)).toBeUndefined();
  await keep(picture(measured(9, 1_990_000, 64)));
  await keep(picture(measured(10, 1_980_000, 512)));
  const kept = await readKeptLoss(state, runId);
  expect(await readKeptLoss(state, `0x${"6".repeat(64)}`)).toBeUndefined();
  const shown = recordedLoss(undefined, kept);
  expect(shown && recordedText(shown)).toBe(
    "1.980 on 65,536 tokens (checkpoint 10, as a session last showed); at the start 3.820 on 2,048 tokens",
  );
  expect(recordedLoss(summed(2_000_000, 9), kept)).toMatchObject({ by: "session", round: 10 });
  expect(recordedLoss(summed(null, null), kept)).toMatchObject({ by: "session", round: 10 });
  expect(recordedLoss(summed(2_000_000, 11), kept)).toMatchObject({ by: "summary", round: 11 });
  // Of the summary's own checkpoint where more of the text was measured since.
  expect(recordedLoss(summed(2_000_000, 10), kept)).toMatchObject({ by: "session", round: 10 });
  const same = kept && { ...kept, loss: { microBitsPerByte: 2_000_000, sequences: 8 } };
  expect(recordedLoss(summed(2_000_000, 10), same)).toMatchObject({ by: "summary", round: 10 });
});

// foundation 18: the size of the sample beside each loss
it("status says on how many tokens each loss was measured, running and at rest", () => {
  const heldOut = {
    initial: 3_820_000,
    after: 1_980_000,
    checkpoints: { before: 0, after: 9 },
    sequences: { initial: 16, before: 1, after: 512 },
    sequence: 128,
  };
  const summary = { heldOut } as unknown as NonNullable<Parameters<typeof recordedLoss>[0]>;
  const heldOutAtRest = (of: typeof summary): string | undefined => {
    const found = recordedLoss(of, undefined);
    return found && recordedText(found);
  };
  expect(heldOutAtRest(summary)).toBe(
    "1.980 on 65,536 tokens (checkpoint 9, in the last summary); at the start 3.820 on 2,048 tokens",
  );
  const unmeasured = { ...summary.heldOut, initial: null, sequences: { ...heldOut.sequences, initial: null } };
  expect(heldOutAtRest({ ...summary, heldOut: unmeasured })).toBe(
    "1.980 on 65,536 tokens (checkpoint 9, in the last summary)",
  );
  expect(heldOutAtRest({ ...summary, heldOut: { ...summary.heldOut, after: null } })).toBeUndefined();
  const loss = { microBitsPerByte: 2_319_000, sequences: 64 };
  expect(heldOutText(loss, "checkpoint 7", loss, 128)).toBe(
    "2.319 on 8,192 tokens (checkpoint 7); at the start 2.319 on 8,192 tokens",
  );
  // Where the definition is not served, what the validator said of its sample is still there.
  expect(heldOutText(loss, "checkpoint 7", undefined, 0)).toBe("2.319 on 64 sequences (checkpoint 7)");
});

// foundation 13
it("status announces how long an auditor finds payloads and checkpoints", () => {
  const kept = { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 };
  expect(keptLine(kept)).toMatch(
    /^payloads until their root is active, the newest 8 checkpoints and .* of older ones$/,
  );
  expect(keptLine({ ...kept, payloadSeconds: 7_200 })).toMatch(/^payloads until 2h after their root is active/);
});

// foundation 20
it("status shows what share of the machine each validator's measuring and gate audits took, and may take", async () => {
  const state = await mkdtemp(join(tmpdir(), "cotrain-status-"));
  onTestFinished(() => rm(state, { recursive: true, force: true }));
  for (const what of ["heldOut", "audit"] as const)
    expect(await measuringShares(join(state, "none"), what)).toEqual({});
  for (const role of ["validator-1", "validator-2", "validator-3", "worker-1"]) await mkdir(join(state, role));
  await writeMeasuring(join(state, "validator-1"), "heldOut", { round: 7, share: 0.0312, atRest: false });
  await writeMeasuring(join(state, "validator-2"), "heldOut", { round: 6, share: 0.479, atRest: true });
  await writeMeasuring(join(state, "validator-2"), "audit", { round: 5, share: 0.0449, atRest: false });
  await writeFile(join(state, "validator-3", "measuring.json"), "{");
  const [measuring, auditing] = [await measuringShares(state, "heldOut"), await measuringShares(state, "audit")];
  expect(measuring).toEqual({
    "validator-1": { round: 7, share: 0.0312, atRest: false, atMost: 0.05 },
    "validator-2": { round: 6, share: 0.479, atRest: true, atMost: null },
  });
  expect(auditing).toEqual({ "validator-2": { round: 5, share: 0.0449, atRest: false, atMost: 0.05 } });
  const rows = [
    ["measuring took", "3.1% of the machine for evaluations, at most 5% (validator-1, checkpoint 7)"],
    ["", "47.9% of the machine for evaluations while the run was at rest (validator-2, checkpoint 6)"],
    ["gate audits took", "4.5% of the machine for evaluations, at most 5% (validator-2, checkpoint 5)"],
    [
      "together",
      "7.6% of the machine for evaluations where all measure or audit at once, at most 10%: the larger share of each, 3.1% (validator-1) + 4.5% (validator-2)",
    ],
  ];
  expect([
    ...measuringRows("measuring took", measuring),
    ...measuringRows("gate audits took", auditing),
    ...togetherRow([measuring, auditing]),
  ]).toEqual(rows);
  // The sum is of what is shown: 1.2% and 0.5%.
  const took = { round: 1, atRest: false, atMost: 0.05 };
  const kinds = [
    { "validator-1": { ...took, share: 0.0124 }, "validator-2": { ...took, share: 0.0054 } },
    { "validator-2": { ...took, share: 0.004 } },
  ];
  expect(togetherRow(kinds)[0]?.[1]).toMatch(/^1\.7% /);
  // One of them does one at a time, and at rest nothing else wants the machine.
  expect(togetherRow([measuring])).toEqual([]);
  const facts = { chainId: 31_337, rpc: "http://127.0.0.1:8545", contracts: {} };
  const run = { view: shownView, facts, checkpoints: [], sequence: 128, join: "", list: "", measuring, auditing };
  expect(runningDocument(run)).toMatchObject({ measuring, auditing });
  const lines = viewLines(run, Infinity).join("\n");
  for (const [label = "", text = ""] of rows)
    expect(lines).toMatch(new RegExp(`${label} +${text.replaceAll(/[.()+]/g, "\\$&")}`));
});

it("status shows the newest checkpoints' transactions and where all are to be had; --json has every one", () => {
  const checkpoints = Array.from({ length: 300 }, (_, round) => ({
    round,
    digest: `0x${"5".repeat(64)}` as const,
    transaction: `0x${"6".repeat(64)}` as const,
    block: round,
  }));
  const facts = { chainId: 31_337, rpc: "http://127.0.0.1:8545", contracts: {} };
  const run = { view: shownView, facts, checkpoints, sequence: 128, join: "", list: "npx cotrain checkpoint list" };
  const lines = viewLines(run, Infinity);
  expect(lines.filter((line) => line.includes("6".repeat(64)))).toHaveLength(8);
  expect(lines.join("\n")).toContain("292 earlier: npx cotrain checkpoint list");
  expect(runningDocument(run).checkpoints).toEqual(checkpoints);
});

/** How others join, as it is copied from the end of what status says. */
const typed = (lines: readonly string[]): string => lines.slice(lines.indexOf("others join with") + 1).join("\n");
const words = (lines: readonly string[]): string[] => lines.join(" ").split(/\s+/);
const hash = (digit: string) => `0x${digit.repeat(64)}` as const;

it("status and checkpoint list break no word on a terminal of 80 columns, and give hashes lines of their own", () => {
  const view = {
    runId: hash("1"),
    modelId: hash("2"),
    phase: "Training",
    round: 12,
    tokens: "1234567",
    accepted: { tokens: "1024", workers: 1 },
    paramsVersion: 2,
    params: { innerSteps: 48, codec: 1, downCodec: 0 },
    current: { round: 12, received: 1, assigned: 3 },
    checkpoint: { round: 12, digest: hash("3") },
    anchored: { round: 11, sequence: 11 },
    traffic: { up: 10 ** 9, down: 10 ** 9, synchronous: 10 ** 12, ring: 10 ** 11 },
    members: [member("31", "exact-x86")],
    loss: { heldOut: { round: 11, microBitsPerByte: 2_345_678, sequences: 512 }, heldOutFirst: null },
    kept: { payloadSeconds: 7_200, checkpoints: 8, checkpointBytes: 2 ** 31 },
    chainId: 31_337,
    rpcUrl: "http://127.0.0.1:8545",
    contracts: Object.fromEntries(Object.keys(RunContracts.properties).map((name) => [name, `0x${"4b".repeat(20)}`])),
  } as unknown as RunView;
  const idle = { ...member("32", "exact-x86"), round: null };
  const checkpoints = [{ round: 11, digest: hash("5"), transaction: hash("6"), block: 40 }];
  const join = `npm run cotrain -- worker --coordinator http://127.0.0.1:7700 --run ${hash("8")}`;
  const run = { view, checkpoints, sequence: 128, join, list: "npx cotrain checkpoint list" };
  const shownAt = (columns: number): string[] => viewLines(run, columns);
  const [wide, narrow] = [shownAt(Infinity), shownAt(80)];
  expect(wide.slice(-2)).toEqual(["others join with", `  ${join}`]);
  expect(viewLines({ ...run, here: "http://127.0.0.1:7701" }, Infinity).at(-1)).toBe(
    "programs on this machine reach the coordinator at http://127.0.0.1:7701",
  );
  for (const columns of [60, 80])
    expect(
      typed(shownAt(columns))
        .replaceAll(/ \\\n +/g, " ")
        .trim(),
    ).toBe(join);
  expect(wide.some((line) => line.length > 80)).toBe(true);
  expect(narrow.filter((line) => line.length > 80)).toEqual([]);
  expect(words(narrow).filter((word) => word !== "\\")).toEqual(words(wide));
  expect(narrow).toContain(`  ${hash("3")}`);
  const feeWait = { what: "fees", asked: "200000000000000000", allowed: "100000000000000000", since: 1 } as const;
  expect(
    viewLines({ ...run, view: { ...view, feeWait } }, Infinity).find((line) => line.includes("lower fees")),
  ).toMatch(/^ +checkpoint 12 waits for lower fees: the chain asks for 0\.2 coins .* --max-fee allows 0\.1 coins$/);
  // A root waits alone, whatever is anchored meanwhile.
  const bond = { ...feeWait, what: "bond" } as const;
  const lines = viewLines({ ...run, view: { ...view, feeWait: bond } }, Infinity).map((line) => line.trim());
  expect(lines.find((line) => line.includes("bond"))).toMatch(
    /pay waits: .* bears a bond of 0\.2 coins, and --bond-at-most allows 0\.1 coins$/,
  );
  const short = { ...bond, what: "bondCoins" } as const;
  expect(viewLines({ ...run, view: { ...view, poster: poor.poster, feeWait: short } }, Infinity).join(" ")).toMatch(
    /it may take 0\.2 coins, more than the poster's wallet 0x\w{40} has; send it at least 0\.1 coins/,
  );
  const lacking = { ...poor, contracts: view.contracts };
  expect(viewLines({ ...run, view: lacking }, Infinity).map((line) => line.trim())).toContain(poorText);
  expect(runningDocument({ ...run, view: lacking })).toMatchObject({ feeWait: poor.feeWait });
  // What a coordinator tells of is shown as what a directory knows, by the same names.
  const address = getAddress(`0x${"4b".repeat(20)}`);
  const labels = ["shares (ERC-20 with votes)", "governor", "timelock", "checkpoint registry", "run registry"];
  labels.push("model registry", "validator set", "emission", "compute rewards", "code grants", "capital sale");
  const rows = wide.filter((line) => line.endsWith(address)).map((line) => line.slice(0, -address.length).trimEnd());
  expect(rows).toEqual(labels);

  // What holders decided waits for the next round: after the open one, or the one that opens next.
  const decided = (rest: Partial<RunView>): string | undefined =>
    viewLines({ ...run, view: { ...view, ...rest } }, Infinity).find((line) => line.startsWith("decided"));
  expect(decided({})).toBeUndefined();
  expect(decided({ nextParamsVersion: 3 })).toMatch(/ {2}parameters version 3, in force from round 14$/);
  expect(decided({ nextParamsVersion: 3, current: null })).toMatch(/ {2}parameters version 3, in force from round 13$/);

  // The round that the screen calls 13 is 13 under --json.
  expect(wide.find((line) => line.startsWith("round"))).toContain("13 is open");
  expect(runningDocument({ ...run, view: { ...view, members: [...view.members, idle] } })).toMatchObject({
    round: 12,
    current: { round: 13, received: 1 },
    members: [{ round: 2 }, { round: null }],
    checkpoint: { round: 12 },
    loss: { heldOut: { round: 11 } },
  });

  const list = [
    { ...checkpoints[0]!, block: 123_456_789 },
    { round: 12, digest: hash("7"), transaction: null, block: null },
  ];
  expect(listedLines(list, Infinity)).toHaveLength(3);
  expect(listedLines(list, 80)).toEqual([
    "checkpoint 11, block 123456789",
    `  transaction ${hash("6")}`,
    `  digest      ${hash("5")}`,
    "checkpoint 12, block –",
    "  transaction not anchored yet",
    `  digest      ${hash("7")}`,
  ]);
});

it("sentences have each address in the casing of EIP-55 wherever they go, and file names and URLs as they are", () => {
  const address = getAddress(`0x${"ab".repeat(20)}`);
  const plain = address.toLowerCase();
  const told = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const printed = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  onTestFinished(() => void [told, printed].map((each) => each.mockRestore()));
  const output = createOutput(false);
  output.notice(`it pays ${plain}; keys/${plain}, ${plain}.json`);
  output.complain(`The receipt is of ${plain}.`);
  output.result({}, [`${plain}'s payload, ${hash("a")}`]);
  createOutput(true).result({ problem: `signed by ${plain}` }, []);
  expect(told.mock.calls.map(([text]) => String(text))).toEqual([
    `it pays ${address}; keys/${plain}, ${plain}.json\n`,
    `cotrain: The receipt is of ${address}.\n`,
  ]);
  const [lines, json] = printed.mock.calls.map(([text]) => String(text));
  expect(lines).toBe(`${address}'s payload, ${hash("a")}\n`);
  expect(JSON.parse(json ?? "")).toEqual({ problem: `signed by ${address}` });
  expect(printableInColour(`\u001b[36m${plain}\u001b[39m`)).toBe(`\u001b[36m${address}\u001b[39m`);
});

it("what --json prints has each address in the casing of EIP-55, hashes in lower case, and nothing else changed", () => {
  const address = getAddress(`0x${"ab".repeat(20)}`);
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  onTestFinished(() => write.mockRestore());
  createOutput(true).result(
    { a: [address.toLowerCase(), { b: `0x${"AB".repeat(20)}` }], hash: `0x${"AB".repeat(32)}`, data: "0xAB", sum: 5n },
    [],
  );
  expect(JSON.parse(String(write.mock.calls[0]?.[0]))).toEqual({
    a: [address, { b: address }],
    hash: `0x${"ab".repeat(32)}`,
    data: "0xAB",
    sum: "5",
  });
});

it("params is a table where there is room, and two short lines for each parameter where there is none", () => {
  const max = { ...defaultRunBounds.max, minStake: 5n * 10n ** 18n };
  const governed = { version: 3, params: defaultRunParams, min: defaultRunBounds.min, max };
  const [wide, narrow] = [governedLines(governed, 120), governedLines(governed, 60)];
  for (const lines of [wide, narrow])
    expect(lines.join(" ")).toContain("those named …Ppb in billionths, …Ppm in millionths, …Bps in");
  expect(wide).toContainEqual(expect.stringMatching(/^innerSteps +72 +4 to 4,096 +inner steps per round$/));
  expect(wide).toContainEqual(
    expect.stringMatching(/^minStake +0 coins +0 coins to 5 coins +stake that members need$/),
  );
  expect(wide).toContainEqual(expect.stringMatching(/^aggregator +mean +fixed/));
  expect(narrow.slice(0, 3)).toEqual(["version 3", "innerSteps: inner steps per round", "  72 (4 to 4,096)"]);
  expect(narrow.filter((line) => line.length > 80)).toEqual([]);
});
