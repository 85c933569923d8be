/** What a coordinator says reaches a terminal without control characters, whichever command prints it, and JSON as the same value. */
import { EventEmitter } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { defaultRunParams, runParamsToWire } from "@cotrain/sdk/protocol";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { printable, printableJson } from "../../offchain/src/base/index.ts";
import { createManualClock } from "../offchain/manualClock.ts";
import { createOutput, printableInColour } from "../../offchain/src/cli/output.ts";
import { openDisplay, type Terminal } from "../../offchain/src/cli/up/display.ts";
import { createLogger } from "../../offchain/src/service/index.ts";
import { contracts, modelContracts } from "../offchain/contracts.ts";
import { cotrainHere } from "../offchain/cli/support.ts";

/** Directions of text (embeddings, overrides, isolates, marks), and what has no shape: zero widths, fillers, a tag. */
const UNSEEN =
  "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u200b\u2060\ufeff\u00ad\u3164\u2800\u{e0041}\u2028";
/** Sets the title, clears the screen, hides what follows; in C0 and in C1; then a line of its own, and what turns text round. */
const HOSTILE = `ok\u001b]0;owned\u0007\u001b[2J\u001b[8m\u009b1A\u007f\rgone\ncotrain: all is well\u202e gpj.exe${UNSEEN}`;
const CONTROLS =
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u00ad\u3164\u2800\u{e0041}]/u;

const hash = (byte: string): string => `0x${byte.repeat(32)}`;
const address = (byte: string): string => `0x${byte.repeat(20)}`;
const view = {
  runId: hash("b1"),
  modelId: hash("b2"),
  chainId: 31_337,
  contracts: { ...contracts, ...modelContracts },
  rpcUrl: `http://x/${HOSTILE}`,
  deployment: { profile: "local", blocks: {} },
  definition: hash("d1"),
  builds: [hash("e1")],
  poster: address("11"),
  phase: "Training",
  round: 1,
  step: 1,
  tokens: "1",
  paramsVersion: 1,
  params: {
    ...runParamsToWire(defaultRunParams),
    innerSteps: 8,
    rampInnerSteps: 4,
    rampRounds: 1,
    innerLrPpb: 1,
    outerLrPpm: 1,
    outerMomentumPpm: 0,
    minWorkers: 1,
    maxWorkers: 4,
    roundDeadline: 60,
    codec: 1,
    aggregatorBps: 0,
  },
  checkpoint: { round: 1, digest: hash("c1") },
  anchored: null,
  current: null,
  members: [
    {
      worker: address("77"),
      beneficiary: address("77"),
      machineClass: HOSTILE,
      state: "training",
      round: 1,
      step: 1,
      steps: 8,
      loss: 1,
      tokensPerSecond: 1,
      tokens: "1",
    },
  ],
  accepted: { workers: 1, tokens: "1" },
  loss: { train: null, heldOut: null, heldOutFirst: null },
  tokensPerSecond: 1,
  traffic: { up: 1, down: 1, synchronous: 1, ring: 1 },
  kept: { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 1 },
};

/** @param answers whether it serves a run; else it answers everything with an error */
async function hostileCoordinator(answers: boolean): Promise<string> {
  const server = createServer((request, response) => {
    const say = (status: number, body: unknown): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (answers && request.url === "/v1/runs")
      return say(200, { runs: [{ runId: view.runId, modelId: view.modelId, phase: "Training" }] });
    if (answers && request.url === `/v1/runs/${view.runId}`) return say(200, view);
    if (answers && request.url?.split("?")[0]?.endsWith("/checkpoints"))
      return say(200, { checkpoints: [], next: null });
    return say(400, { error: { code: "BAD", message: HOSTILE + "x".repeat(100_000) } });
  });
  await new Promise<void>((listening) => void server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a command's terminal", () => {
  test("of a coordinator that answers", async () => {
    const coordinator = await hostileCoordinator(true);
    const { code, stdout } = await cotrainHere(["status", "--coordinator", coordinator]);
    expect(code).toBe(0);
    expect(stdout).toContain("\uFFFD[2J");
    // Also in the command that joins, which is copied into a shell.
    expect(stdout).toContain(`--rpc "http://x/ok\uFFFD`);
    expect(stdout).toContain("\uFFFDgone");
    expect(stdout).not.toMatch(CONTROLS);
    expect(stdout).not.toMatch(/^cotrain: all is well/m);

    const document = await cotrainHere(["status", "--coordinator", coordinator, "--json"]);
    expect(JSON.parse(document.stdout)).toMatchObject({ rpc: view.rpcUrl, members: [{ machineClass: HOSTILE }] });
    expect(document.stdout).not.toMatch(CONTROLS);
  });

  test("of one whose errors are hostile", async () => {
    const coordinator = await hostileCoordinator(false);
    const rpc = ["--rpc", "http://127.0.0.1:9"];
    for (const args of [["status"], ["verify", ...rpc], ["rewards", "list", ...rpc]]) {
      const { code, stdout, stderr } = await cotrainHere([...args, "--coordinator", coordinator]);
      expect(code).toBe(1);
      expect(stdout).toBe("");
      expect(stderr).toContain("cotrain: ok\uFFFD]0;owned\uFFFD");
      expect(stderr).not.toMatch(CONTROLS);
      expect(stderr).not.toMatch(/^cotrain: all is well/m);
      expect(stderr.length).toBeLessThan(2_000);
    }
  });
});

// What they do is paid by the wallet.
test("who claims is told that the contracts are a coordinator's word, before the chain is asked anything", async () => {
  const flags = ["--coordinator", await hostileCoordinator(true), "--rpc", "http://127.0.0.1:9", "--max-fee", "0.02"];
  const claim = await cotrainHere(["rewards", "claim", ...flags]);
  expect(claim).toMatchObject({ code: 75, stdout: "" });
  expect(claim.stderr).toMatch(/^The contracts are the coordinator's word alone, .* up to 0\.02 coins .* --deployment/);
});

describe("what leaves for a terminal", () => {
  test("shows where text was turned round or hidden, and leaves scripts and emoji whole", () => {
    for (const character of UNSEEN) expect(printable(`a${character}b`)).toBe("a\uFFFDb");
    expect(printable("cotrain\u200d claim\ufe0f")).toBe("cotrain\uFFFD claim\uFFFD");
    for (const text of ["می\u200cخواهم", "👩\u200d👧", "❤\ufe0f", "שלום, Größe\n\t→ 漢字"])
      expect(printable(text)).toBe(text);
    expect(printableJson(JSON.stringify({ [UNSEEN]: HOSTILE }))).not.toMatch(CONTROLS);
    expect(JSON.parse(printableJson(JSON.stringify({ [UNSEEN]: HOSTILE })))).toEqual({ [UNSEEN]: HOSTILE });
  });

  test("keeps of escape codes those alone that colours are made of", () => {
    const { isTTY } = process.stdout;
    onTestFinished(() => {
      process.stdout.isTTY = isTTY;
      vi.unstubAllEnvs();
      vi.restoreAllMocks();
    });
    vi.stubEnv("NO_COLOR", undefined);
    process.stdout.isTTY = true;
    const written: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
    vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
    const output = createOutput(false);
    output.result(undefined, [`${output.paint("green", "2.3")} ${HOSTILE}`]);
    output.text(HOSTILE);
    output.notice(HOSTILE);
    output.complain(HOSTILE);
    const [line = "", ...others] = written;
    const clean = printable(HOSTILE);
    const oneLine = clean.replace("\n", " ");
    expect(line).toBe(`\u001b[32m2.3\u001b[39m ${oneLine}\n`);
    expect(others).toEqual([clean, `${oneLine}\n`, `cotrain: ${clean.replace("\n", "\n  ")}\n`]);
    expect(printableInColour("\u001b[8mhidden\u001b[31mred\u001b[1;31m")).toBe(
      "\uFFFD[8mhidden\uFFFD[31mred\uFFFD[1;31m",
    );
  });

  test("is clean in the picture, and above it", () => {
    const written: string[] = [];
    const write = (text: string): boolean => written.push(text) > 0;
    const terminal = Object.assign(new EventEmitter(), {
      write,
      isTTY: true,
      columns: 80,
      rows: 40,
    }) as unknown as Terminal;
    const display = openDisplay({ output: createOutput(false), clock: createManualClock(), terminal });
    display.announce(HOSTILE);
    display.update({ activity: HOSTILE });
    display.say([HOSTILE]);
    display.close();
    const shown = written.join("");
    expect(shown).toContain("\uFFFD[2J");
    // What draws the picture moves the cursor itself; what it was given does not.
    for (const code of ["]0;owned", "[2J", "[8m"]) expect(shown).not.toContain(`\u001b${code}`);
    // oxlint-disable-next-line no-control-regex -- these are what it is about
    expect(shown).not.toMatch(/[\u0007\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/);
  });

  test("is clean in a log for people, and one of JSON says the same", () => {
    const lines: string[] = [];
    for (const pretty of [true, false]) {
      const logger = createLogger({
        component: "validator",
        pretty,
        destination: { write: (line) => lines.push(line) },
      });
      logger.warn({ reason: HOSTILE, [HOSTILE]: [HOSTILE] }, HOSTILE);
    }
    const [people = "", json = ""] = lines;
    // The colours are the logger's own, where there are any.
    // oxlint-disable-next-line no-control-regex -- these are what it is about
    expect(people.replaceAll(/\u001b\[\d+m/g, "")).not.toMatch(CONTROLS);
    expect(people).not.toContain("\u001b[8m");
    expect(json).not.toMatch(CONTROLS);
    expect(JSON.parse(json)).toMatchObject({ reason: HOSTILE, [HOSTILE]: [HOSTILE], msg: HOSTILE });
  });
});
