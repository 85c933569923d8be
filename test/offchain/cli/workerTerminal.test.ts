/** A worker's own terminal: the picture, the lines, what the work is worth, and advice where nothing goes on. */
import { EventEmitter } from "node:events";
import { stripVTControlCharacters } from "node:util";

import { asAddress, asRunId, type MemberView, zeroHash } from "@cotrain/sdk/protocol";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { formatAddress, shortAddress } from "../../../offchain/src/base/index.ts";
import { createManualClock } from "../manualClock.ts";
import { allWork, workOf } from "../../../offchain/src/cli/work.ts";
import type { Terminal } from "../../../offchain/src/cli/up/display.ts";
import {
  adviceFor,
  afterEvent,
  blankWorker,
  drawWorker,
  type Standing,
  workerLine,
  type WorkerScreen,
} from "../../../offchain/src/cli/workerScreen.ts";
import { claimCommandFor, openWorkerTerminal } from "../../../offchain/src/cli/workerTerminal.ts";
import type { WorkerEvent } from "../../../offchain/src/worker/index.ts";
import { logEvent } from "../../../offchain/src/worker/node/daemon.ts";
import type { Logger } from "../../../offchain/src/service/index.ts";
import { eventually } from "../service/support.ts";
import { cotrain, temporaryDirectory } from "./support.ts";

/** The RPC that a coordinator tells of, and those that were asked. */
const stand = vi.hoisted(() => ({ told: "", asked: [] as string[] }));

vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  openRemoteRun: async () => ({ rpcUrl: stand.told, view: { members: [], accepted: { workers: 0, tokens: "0" } } }),
}));
vi.mock("../../../offchain/src/chain/index.ts", async (original) => ({
  ...(await original<object>()),
  connect: async ({ rpcUrl }: { rpcUrl: string }) => {
    stand.asked.push(rpcUrl);
    throw new Error("It is away.");
  },
}));

const worker = asAddress(`0x${"a1".repeat(20)}`);
const coordinator = "https://train.example.org";
const claim = claimCommandFor(coordinator, "https://rpc.example.org", undefined, undefined, undefined);
const plain = (_: unknown, text: string): string => text;
const share = 10n ** 18n;

const ready = { type: "ready", worker, beneficiary: worker, parameters: 919_000, conforms: true } as WorkerEvent;
const progress = {
  type: "progress",
  round: 22,
  step: 17,
  steps: 64,
  loss: 3.612,
  lossTokens: 15_360,
  tokensPerSecond: 8_575.4,
} as const;
const acknowledged = {
  type: "acknowledged",
  round: 22,
  tokens: 49_152,
  loss: 3.6,
  lossTokens: 15_360,
  tokensPerSecond: 8_500,
} as WorkerEvent;
const dropped = {
  type: "dropped",
  round: 22,
  assignmentId: 1,
  code: "COORDINATOR_UNREACHABLE",
  reason: "The coordinator does not answer.",
} as const;
const late = { type: "acknowledgedLate", round: 22, receiptHash: zeroHash, tokens: 49_152 } as const;
const retrying = {
  type: "retrying",
  what: "work",
  code: "COORDINATOR_UNREACHABLE",
  reason: "The coordinator does not answer.",
  waitMs: 1_100,
  withinMs: 4_000,
} as const;
const standing: Standing = {
  tokens: 1_000n,
  allTokens: 3_000n,
  earned: 700n * share,
  claimable: (700n * share) / 3n,
};

const after = (events: readonly WorkerEvent[], start: WorkerScreen = blankWorker(coordinator, claim)): WorkerScreen =>
  events.reduce((screen, event) => afterEvent(screen, event, 1_000), start);

const failed = (device: string, reason: string, next: string) =>
  ({ type: "deviceFailed", device, reason, next }) as const;

const claims = (from: string | null) => ({ type: "claims", from }) as const;

describe("the picture", () => {
  test("shows round, progress, speed, share, earned, claimable, and how to claim", () => {
    const joined = { type: "joined", again: false, heartbeatSeconds: 1 } as const;
    const screen = { ...after([ready, joined, acknowledged, progress]), standing };
    expect(drawWorker(screen, plain, 80, 1_000)).toBe(
      [
        "cotrain worker",
        "",
        `worker    ${shortAddress(worker)} for https://train.example.org`,
        "now       training █████▍░░░░░░░░░░░░░░ 17/64",
        "round     23 · 1 accepted, 49.2 K tokens",
        "loss      3.612 nats/token on its newest 15,360 tokens",
        "speed     8,575 tokens/s",
        "share     33.3…% of the run's work",
        "earned    700.00 shares, 233.33… claimable",
        "claim by  npm run cotrain -- rewards claim --coordinator \\",
        "            https://train.example.org --rpc https://rpc.example.org",
      ].join("\n"),
    );
  });

  test("does not say of what is not tried again that it is", () => {
    const what = "acknowledgement of round 1, asked for a last time";
    const last = { ...retrying, what, reason: "The round is closed.", waitMs: 0, withinMs: 0 };
    const shown = drawWorker(after([ready, retrying, last]), plain, 200, 1_000);
    expect(shown).toContain(`\nmissing   ${what}: The round is closed.`);
    expect(shown).not.toMatch(/retrying|[Tt]rying again/);
  });

  test("says what it does not know of what was earned", () => {
    const screen = { ...after([ready]), standing: { ...standing, missing: [2, 7] } };
    expect(drawWorker(screen, plain, 200, 1_000)).toContain(
      "earned    700.00 shares, 233.33… claimable, without 2 roots whose documents are not to be had now\n",
    );
  });

  test("shows what it computes with, and of each device that failed why", () => {
    const joined = { type: "joined", again: false, heartbeatSeconds: 1, device: "wasm" } as const;
    const events: WorkerEvent[] = [
      failed("cuda", "No libraries.", "webgpu"),
      failed("webgpu", "No GPU.", "wasm"),
      ready,
      joined,
      progress,
    ];
    const shown = drawWorker(after(events), plain, 100, 1_000).split("\n");
    expect(shown).toContain("speed     8,575 tokens/s on wasm");
    expect(shown.filter((line) => line.startsWith("device"))).toEqual([
      "device    The device cuda failed (No libraries): webgpu takes its place.",
      "device    The device webgpu failed (No GPU): wasm takes its place.",
    ]);
    const again = { type: "device", device: "cuda", why: "The device cuda, which failed, is tried again." } as const;
    expect(
      drawWorker(after([...events, again]), plain, 100, 1_000)
        .split("\n")
        .filter((line) => line.startsWith("device")),
    ).toEqual([
      "device    The device webgpu failed (No GPU): wasm takes its place.",
      "device    The device cuda, which failed, is tried again.",
    ]);
    expect(workerLine(after(events), { ...joined, again: true })).toBe("joined again, on wasm");
  });

  test("says from when on the coordinator claims, where it was asked to, or that it does not", () => {
    const shown = (event: WorkerEvent) => drawWorker(after([ready, event]), plain, 100, 1_000);
    expect(drawWorker(after([ready]), plain, 100, 1_000)).not.toContain("The coordinator claims");
    expect(shown(claims((5n * share).toString()))).toContain(
      "\n          The coordinator claims what is earned, from 5.00 shares on.",
    );
    expect(shown(claims(null))).toContain(
      "The coordinator claims for nobody: what is earned waits until it is claimed.",
    );
    expect(workerLine(after([ready]), claims(null))).toContain("claims for nobody");
  });

  test("shows of a payload on its way how many bytes are there", () => {
    const done = { ...progress, step: 64 };
    const sending = { type: "sending", round: 22, bytes: 14_000_000 } as const;
    const uploaded = { type: "uploaded", round: 22, fragment: 0, bytes: 3_500_000 } as const;
    const now = (...events: WorkerEvent[]): string | undefined =>
      drawWorker(after([ready, done, ...events]), plain, 80, 1_000)
        .split("\n")
        .find((line) => line.startsWith("now"));
    expect(now()).toBe("now       sending");
    expect(now(sending)).toBe("now       sending ░░░░░░░░░░░░░░░░░░░░ 0 B of 14.0 MB");
    expect(now(sending, uploaded)).toBe("now       sending █████░░░░░░░░░░░░░░░ 3.50 MB of 14.0 MB");
    expect(now(sending, uploaded, sending, uploaded)).toBe(now(sending, uploaded));
    expect(now(sending, uploaded, acknowledged)).toBe("now       waiting for the others");
  });

  test("says what is not known, and who is paid where it is another", () => {
    const beneficiary = asAddress(`0x${"b2".repeat(20)}`);
    const shown = drawWorker(after([{ ...ready, beneficiary } as WorkerEvent]), plain, 80, 0);
    expect(shown).toContain(`pays      ${shortAddress(beneficiary)}`);
    expect(shown).toContain("earned    not known yet");
    // The command would find nothing to claim for this machine's wallet.
    expect(shown).not.toContain("npm run cotrain -- rewards claim");
    expect(shown.replaceAll(/\s+/g, " ")).toContain(
      `claim What it earns belongs to ${shortAddress(beneficiary)}, and whoever claims it (rewards claim --account) pays that wallet.`,
    );
    expect(shown).not.toMatch(/undefined|NaN|null/);
  });

  test.each([50, 60, 80, 200])(
    "no line is longer than %i columns, and the claim command is whole or not there",
    (columns) => {
      const run = asRunId(`0x${"1".repeat(64)}`);
      const claimCommand = claimCommandFor(coordinator, "https://rpc.example.org", run, undefined, undefined);
      const screen = { ...after([ready, { ...retrying, reason: "word ".repeat(60) }]), claimCommand };
      const lines = drawWorker(screen, plain, columns, 120_000).split("\n");
      expect(lines.filter((line) => line.length > columns)).toEqual([]);
      const words = lines.map((line) => line.slice(10).replace(/ \\$/, "").trim()).join(" ");
      expect(words).toContain(columns < 80 ? "it is told when the worker ends" : claimCommand);
      expect(words.includes("rewards claim")).toBe(columns >= 80);
    },
  );
});

const sentence = (place: string): string =>
  `The device webgpu failed (The engine's process ended (SIGKILL)): ${place}.`;

test("which device was taken, and which failed, is told on the screen, in a line and in the log", () => {
  const device = { type: "device", device: "webgpu", why: "Trains on webgpu, the fastest." } as const;
  const gone = { type: "deviceFailed", device: "webgpu", reason: "The engine's process ended (SIGKILL)." } as const;
  const row = (event: WorkerEvent): string | undefined =>
    drawWorker(after([ready, progress, event]), plain, 200, 1_000)
      .split("\n")
      .find((line) => line.startsWith("device"));
  expect(row(device)).toBe("device    Trains on webgpu, the fastest.");
  expect(row({ ...gone, next: "cpu" })).toBe(`device    ${sentence("cpu takes its place")}`);
  const resting = sentence("cpu takes its place for 4 rounds, then it is tried again");
  expect(workerLine(after([ready]), { ...gone, next: "cpu", againIn: 4 })).toBe(resting);
  expect(workerLine(after([ready]), device)).toBe(device.why);
  expect(workerLine(after([ready]), { ...gone, next: null })).toBe(sentence("nothing takes its place"));
  const logged: unknown[] = [];
  const logger = { info: (...line: unknown[]) => logged.push(line), warn: (...line: unknown[]) => logged.push(line) };
  for (const event of [device, { ...gone, next: "webgpu" }]) logEvent(logger as unknown as Logger, event);
  expect(logged.map((line) => (line as string[])[1])).toEqual([device.why, sentence("it is opened once again")]);
});

test("a round whose acknowledgement came late is told as accepted, on the screen, in a line and in the log", () => {
  const lost = after([ready, progress, dropped]);
  expect(drawWorker(lost, plain, 200, 1_000)).toContain("\ndropped   round 23: The coordinator does not answer.");
  const shown = drawWorker(afterEvent(lost, late, 1_000), plain, 200, 1_000);
  expect(shown).toContain("\nround     23 · 1 accepted, 49.2 K tokens\n");
  expect(shown).not.toContain("dropped");
  // What was dropped since is so still.
  const again = after([ready, dropped, { ...dropped, round: 25 }, late]);
  expect(drawWorker(again, plain, 200, 1_000)).toContain("\ndropped   round 26: ");
  expect(workerLine(lost, late)).toBe("round 23 accepted, now that it was asked again");
  const logged: unknown[] = [];
  logEvent({ info: (...line: unknown[]) => logged.push(line) } as unknown as Logger, late);
  expect(logged).toEqual([
    [{ round: 23, receiptHash: zeroHash, tokens: 49_152 }, "round 23 acknowledged, now that it was asked again"],
  ]);
});

test("at rest no speed is shown, as the organiser shows none", () => {
  const resting = { type: "waiting", reason: "The run is paused." } as const;
  const shown = drawWorker(after([ready, acknowledged, resting]), plain, 80, 1_000);
  expect(shown).toContain("now       waiting: The run is paused.");
  expect(shown).toContain("speed     –");
});

test("the share counts a worker's tokens and everybody's of one moment", () => {
  const member = { worker, tokens: "500" } as MemberView;
  const view = { members: [member], accepted: { workers: 2, tokens: "1500" }, tokens: "400" };
  expect([workOf(view, worker), allWork(view)]).toEqual([500n, 1_500n]);
});

describe("what is tried again", () => {
  test("is one line each, and is advised about after a minute", () => {
    const screen = after([ready, retrying]);
    expect(workerLine(screen, retrying)).toBe("work: The coordinator does not answer. Trying again within 4 s.");
    expect(adviceFor(screen, 60_999)).toBeUndefined();
    expect(adviceFor(screen, 61_000)).toMatch(/failed for 1 min: see whether https:\/\/train\.example\.org\/health/);
  });

  test("says in whole seconds how soon, and never less than before while nothing works", () => {
    const failed = (what: string, waitMs: number, withinMs: number) => ({ ...retrying, what, waitMs, withinMs });
    const tries = [failed("work", 9, 500), failed("work", 1_990, 2_000), failed("heartbeat", 3, 1_000)];
    tries.push(failed("work", 4, 30_000), failed("work", 29_999, 30_000));
    let screen = after([ready]);
    const told = tries.map((event) => {
      screen = afterEvent(screen, event, 1_000);
      expect(drawWorker(screen, plain, 100, 1_000)).toContain(workerLine(screen, event)!);
      return /within (.*)\.$/.exec(workerLine(screen, event)!)?.[1];
    });
    expect(told).toEqual(["1 s", "2 s", "2 s", "30 s", "30 s"]);
    screen = after([progress, failed("work", 1, 500)], screen);
    expect(screen.retry?.within).toBe(1);
    expect(workerLine(after([failed("late", 0, 0)]), retrying)).not.toContain("Trying");
  });

  test("and given up in the end is not said to go on for ever", () => {
    expect(adviceFor(after([{ ...retrying, what: "run", patienceMs: 60_000 }]), 120_000)).toBeUndefined();
  });

  test("counts from its first failure, and is forgotten when something works", () => {
    const first = afterEvent(after([ready]), retrying, 5_000);
    expect(afterEvent(first, retrying, 50_000).retry?.since).toBe(5_000);
    expect(afterEvent(first, progress, 50_000).retry).toBeUndefined();
  });
});

/** Not a terminal. */
const pipe = Object.assign(new EventEmitter(), { isTTY: false, columns: 0, rows: 0, write: () => true });

function open(
  terminal: object,
  ask?: () => Promise<Standing>,
  rpc: string | null = "https://rpc.example.org",
  from = coordinator,
) {
  const clock = createManualClock();
  const controller = new AbortController();
  const notices: string[] = [];
  const opened = openWorkerTerminal({
    output: { notice: (line) => notices.push(line), paint: plain },
    clock,
    terminal: terminal as Terminal,
    coordinator: from,
    runId: undefined,
    rpc: rpc ?? undefined,
    deployment: undefined,
    state: undefined,
    signal: controller.signal,
    ...(ask && { standing: ask }),
  });
  onTestFinished(() => {
    controller.abort();
    opened.close();
  });
  return { opened, clock, notices };
}

describe("the terminal", () => {
  test("prints a line per notice where nothing can be redrawn, with what the work is worth", async () => {
    const asked = Promise.withResolvers<void>();
    const { opened, notices } = open(pipe, async () => {
      asked.resolve();
      return standing;
    });
    opened.onEvent(ready);
    await asked.promise;
    await Promise.resolve();
    opened.onEvent(progress);
    opened.onEvent(acknowledged);
    opened.close();
    expect(notices).toEqual([
      `0:00  worker ${shortAddress(worker)}, 919 K parameters`,
      "0:00  round 23 accepted · loss 3.600 on 15,360 tokens · 8,500 tokens/s · 33.3…% of the run's work · earned 700.00 shares, 233.33… claimable",
      "1 round was accepted, 49.2 K tokens. Claim what they earned with",
      `  ${claim}`,
    ]);
  });

  test("says farewell, with the command to claim, where the one round was acknowledged late", () => {
    const { opened, notices } = open(pipe, () => Promise.reject(new Error("away")));
    for (const event of [ready, dropped, late, { type: "left", reason: "The run is over." } as const])
      opened.onEvent(event);
    opened.close();
    expect(notices.slice(1)).toEqual([
      "0:00  round 23 dropped: The coordinator does not answer.",
      "0:00  round 23 accepted, now that it was asked again",
      "0:00  left: The run is over.",
      "1 round was accepted, 49.2 K tokens. Claim what they earned with",
      `  ${claim}`,
    ]);
  });

  test("names the RPC that the coordinator told of, as soon as it did, and claims nothing that is not there", async () => {
    const asked = Promise.withResolvers<void>();
    const { opened, notices } = open(
      pipe,
      async () => {
        asked.resolve();
        return { ...standing, earned: 0n, claimable: 0n, rpcUrl: "https://told.example.org" };
      },
      null,
    );
    opened.onEvent({ type: "joined", again: false, heartbeatSeconds: 1 });
    opened.onEvent(ready);
    await asked.promise;
    await Promise.resolve();
    opened.onEvent(acknowledged);
    opened.close();
    const told = claimCommandFor(coordinator, "https://told.example.org", undefined, undefined, undefined);
    expect(notices.join("\n")).not.toContain("--rpc URL");
    expect(notices.slice(0, 3)).toEqual([
      "0:00  joined",
      `0:00  worker ${shortAddress(worker)}, 919 K parameters`,
      `0:00  claim what it earns with ${told}`,
    ]);
    expect(notices.slice(-2)).toEqual([
      "1 round was accepted, 49.2 K tokens. Nothing can be claimed yet; when their epoch is settled, claim with",
      `  ${told}`,
    ]);
  });

  test.each([
    ["of this machine that a stranger's coordinator names is not asked", coordinator, "http://127.0.0.1:8545", false],
    ["elsewhere that it names is asked", coordinator, "https://rpc.example.org", true],
    ["of this machine that its own coordinator names is asked", "http://127.0.0.1:7700", "http://127.0.0.1:8545", true],
    ["of this machine that is written as IPv6 is not asked", coordinator, "http://[::ffff:127.0.0.1]:8545", false],
    ["of this machine with a path is not asked", "http://127.0.0.1:7700", "http://127.0.0.1:8080/delete/all", false],
    ["of the worker's cloud is not asked", coordinator, "http://169.254.169.254/latest", false],
    ["of the worker's network is not asked", coordinator, "http://192.168.1.1", false],
    ["of that network in another form is not asked", coordinator, "http://0xc0a80101/", false],
    ["of the network of a coordinator here is not asked", "http://127.0.0.1:7700", "http://10.0.0.1:8545", false],
    ["of a network of IPv6 is not asked", coordinator, "http://[fd00::1]:8545", false],
    ["at a public address is asked", coordinator, "http://1.1.1.1:8545", true],
  ])("an RPC %s", async (_what, from, told, isAsked) => {
    Object.assign(stand, { told, asked: [] });
    const { opened, clock } = open(pipe, undefined, null, from);
    opened.onEvent(ready);
    await eventually(() => clock.sleepers > 0, "the rest after asking");
    expect(stand.asked).toEqual(isAsked ? [told] : []);
  });

  test("an RPC of this machine that a stranger's coordinator names stands in no command", async () => {
    Object.assign(stand, { told: "http://127.0.0.1:8545", asked: [] });
    const { opened, clock, notices } = open(pipe, undefined, null);
    opened.onEvent({ type: "joined", again: false, heartbeatSeconds: 1 });
    opened.onEvent(ready);
    await eventually(() => clock.sleepers > 0, "the rest after asking");
    expect(notices.join("\n")).toContain("--rpc URL");
    expect(notices.join("\n")).not.toContain(stand.told);
  });

  test("says of what is claimed that it is", async () => {
    const asked = Promise.withResolvers<void>();
    const { opened, notices } = open(pipe, async () => {
      asked.resolve();
      return { ...standing, claimable: 0n };
    });
    opened.onEvent(ready);
    await asked.promise;
    await Promise.resolve();
    opened.onEvent(acknowledged);
    opened.close();
    expect(notices.slice(-2)).toEqual([
      "1 round was accepted, 49.2 K tokens. All that is settled is claimed; what is still to be settled, claim with",
      `  ${claim}`,
    ]);
  });

  test("leaves claiming to the wallet that is paid", () => {
    const beneficiary = asAddress(`0x${"b2".repeat(20)}`);
    const { opened, notices } = open(pipe, () => Promise.reject(new Error("away")));
    opened.onEvent({ ...ready, beneficiary } as WorkerEvent);
    opened.onEvent({ type: "joined", again: false, heartbeatSeconds: 1 });
    opened.onEvent(acknowledged);
    opened.close();
    expect(notices.join("\n")).not.toContain("npm run cotrain -- rewards claim");
    expect(notices.at(-1)).toBe(
      `1 round was accepted, 49.2 K tokens. What it earns belongs to ${shortAddress(beneficiary)}, and whoever claims it (rewards claim --account) pays that wallet.`,
    );
  });

  test("advises once, however often it is tried", async () => {
    const { opened, clock, notices } = open(pipe, () => Promise.reject(new Error("away")));
    opened.onEvent(retrying);
    clock.step(3_600_000);
    opened.onEvent(retrying);
    expect(notices.filter((line) => line.includes("/health"))).toEqual([]);
    clock.step(-7_200_000);
    await clock.advance(61_000);
    for (let tries = 0; tries < 3; tries++) opened.onEvent(retrying);
    expect(notices.filter((line) => line.includes("/health"))).toHaveLength(1);
    expect(notices).toHaveLength(6);
  });

  test("goes on when coordinator and chain cannot be asked", async () => {
    const { opened, notices } = open(pipe, () => Promise.reject(new Error("away")));
    opened.onEvent(ready);
    await Promise.resolve();
    opened.onEvent(acknowledged);
    expect(notices.at(-1)).toContain("earned not known yet");
  });

  test("redraws a picture on a terminal", () => {
    let written = "";
    const terminal = Object.assign(new EventEmitter(), {
      isTTY: true,
      columns: 90,
      rows: 30,
      write: (text: string) => {
        written += text;
        return true;
      },
    });
    const { opened, notices } = open(terminal, async () => standing);
    opened.onEvent(ready);
    opened.onEvent(progress);
    expect(stripVTControlCharacters(written)).toContain("17/64");
    expect(notices).toEqual([]);
    // Its farewell goes on between words; a shell takes the command as one.
    Object.assign(terminal, { columns: 80 });
    opened.onEvent(acknowledged);
    opened.close();
    expect(notices.length).toBeGreaterThan(2);
    expect(notices.filter((line) => line.length > 80)).toEqual([]);
    expect(notices.join("\n").replaceAll(/ \\\n +/g, " ")).toContain(
      "  npm run cotrain -- rewards claim --coordinator",
    );
  });
});

test("the claim command names the run and the wallet's place where they are not the usual ones, and what pins the contracts", () => {
  const run = asRunId(`0x${"ab".repeat(32)}`);
  expect(claimCommandFor(coordinator, undefined, run, "elsewhere", "its file.json")).toBe(
    `npm run cotrain -- rewards claim --coordinator ${coordinator} --rpc URL --run ${run} --state elsewhere --deployment "its file.json"`,
  );
});

/** Ends a worker as soon as it looks for its run. */
const stop = (stderr: string, child: { kill: (signal: NodeJS.Signals) => unknown }): void => {
  if (stderr.includes("looking for the run")) child.kill("SIGTERM");
};

test("--log json is JSON, --log text is not", async () => {
  const state = temporaryDirectory();
  const lines = async (log: string): Promise<string[]> => {
    const args = ["worker", "--coordinator", "http://127.0.0.1:9", "--state", `${state}/${log}`, "--log", log];
    return (await cotrain(args, { onStderr: stop })).stderr.trimEnd().split("\n");
  };
  for (const line of await lines("json")) expect(JSON.parse(line)).toMatchObject({ component: "worker" });
  expect((await lines("text"))[0]).toMatch(/^0:00 {2}looking for the run at http:\/\/127\.0\.0\.1:9$/);
});

test("addresses on it have the casing of EIP-55", () => {
  expect(workerLine(after([]), ready)).toContain(formatAddress(worker).slice(0, 6));
});

test("the log counts rounds from 1, as the screen does", () => {
  const said: string[] = [];
  const fields: object[] = [];
  const say = (values: object, text: string): void => {
    said.push(text);
    fields.push(values);
  };
  const logger = { info: say, debug: say } as unknown as Logger;
  logEvent(logger, { ...acknowledged, round: 0 } as WorkerEvent);
  logEvent(logger, { ...progress, round: 7 });
  expect(said).toEqual(["round 1 acknowledged: loss 3.600 on 15360 tokens", "progress"]);
  expect(fields).toMatchObject([{ round: 1 }, { round: 8 }]);
});
