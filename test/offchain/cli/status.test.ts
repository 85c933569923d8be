import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { MemberView } from "@cotrain/sdk/protocol";
import { expect, it, onTestFinished } from "vitest";

import { keptLine, measuringRows, measuringShares, memberLines } from "../../../offchain/src/cli/commands/status.ts";
import { writeMeasuring } from "../../../offchain/src/validator/measuring.ts";

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

// point 15
it("status tells of each machine whether it computes as the organiser's does", () => {
  const lines = memberLines([member("31", "exact-x86"), member("32", `other:0x${"0d".repeat(32)}`)]);
  expect(lines[1]).toMatch(/worker +state +computes as +tokens/);
  expect(lines.find((line) => line.includes("0x3131"))).toMatch(/training +exact-x86 +1,024/);
  expect(lines.find((line) => line.includes("0x3232"))).toMatch(/training +other 0x0d0d…0d0d +1,024/);
  expect(memberLines([])).toEqual([]);
});

// point 13
it("status announces how long an auditor finds payloads and checkpoints", () => {
  const kept = { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 };
  expect(keptLine(kept)).toMatch(
    /^payloads until their root is active, the newest 8 checkpoints and .* of older ones$/,
  );
  expect(keptLine({ ...kept, payloadSeconds: 7_200 })).toMatch(/^payloads until 2h after their root is active/);
});

// point 20
it("status shows what share of the machine each validator's measuring took", async () => {
  const state = await mkdtemp(join(tmpdir(), "cotrain-status-"));
  onTestFinished(() => rm(state, { recursive: true, force: true }));
  expect(await measuringShares(join(state, "none"))).toEqual({});
  for (const role of ["validator-1", "validator-2", "validator-3", "worker-1"]) await mkdir(join(state, role));
  await writeMeasuring(join(state, "validator-1"), { round: 7, share: 0.0312 });
  await writeMeasuring(join(state, "validator-2"), { round: 6, share: 0 });
  await writeFile(join(state, "validator-3", "measuring.json"), "{");
  const shares = await measuringShares(state);
  expect(shares).toEqual({ "validator-1": { round: 7, share: 0.0312 }, "validator-2": { round: 6, share: 0 } });
  expect(measuringRows(shares)).toEqual([
    ["measuring took", "3.1% of the machine (validator-1, checkpoint 7)"],
    ["", "0.0% of the machine (validator-2, checkpoint 6)"],
  ]);
});
