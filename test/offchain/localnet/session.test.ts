/** How long a session trains, when its holders vote, and the picture on a terminal that changes its size. */
import { EventEmitter } from "node:events";
import { stripVTControlCharacters } from "node:util";

import { asRunId, type RunView, zeroHash } from "@cotrain/sdk/protocol";
import * as fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { RetryableError } from "../../../offchain/src/base/index.ts";
import { understood } from "../cli/lines.ts";
import { promptIn } from "../../../offchain/src/cli/text.ts";
import { columnsOf } from "../../../offchain/src/cli/output.ts";
import { type Display, joinLines, openDisplay, type Terminal } from "../../../offchain/src/cli/up/display.ts";
import { type LocalModel, proposalNews } from "../../../offchain/src/localnet/owners.ts";
import type { Screen } from "../../../offchain/src/cli/up/screen.ts";
import { createCollector } from "../../../offchain/src/localnet/collector.ts";
import { activitiesOf, type Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { keepLosses } from "../../../offchain/src/localnet/resting.ts";
import {
  isLastRound,
  LAST_ROUND,
  outstanding,
  reasonAgainstVote,
  runSession,
  type TrainingSession,
  SETTLE_MS,
  UNCLAIMED,
  unmeasured,
} from "../../../offchain/src/localnet/session.ts";
import { readKeptLoss } from "../../../offchain/src/run/index.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "../cli/support.ts";

describe("the length of a session", () => {
  test("training ends by --for where rounds are of one length, and not a whole round sooner", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 31, max: 600 }), (length, goal) => {
        const at = (elapsed: number) => {
          const completed = Math.floor(elapsed / length);
          return { elapsed, completed, roundSince: completed * length, goal };
        };
        let elapsed = 0;
        while (!isLastRound(at(elapsed))) elapsed += 1;
        const end = at(elapsed).roundSince + length;
        // The run is looked at once a unit: a first round of half the session may end between two looks.
        expect(end).toBeLessThanOrEqual(goal + 2);
        expect(end + length).toBeGreaterThanOrEqual(goal);
      }),
    );
  });

  test("a first round that has taken more than half of --for is the last", () => {
    expect(isLastRound({ elapsed: 22, completed: 0, roundSince: 0, goal: 45 })).toBe(false);
    expect(isLastRound({ elapsed: 23, completed: 0, roundSince: 0, goal: 45 })).toBe(true);
  });

  test("a session of no length is refused before anything is made", async () => {
    const directory = temporaryDirectory();
    const ended = await cotrainHere(["up", "--for", "0s", "--state", `${directory}/state`]);
    expect(verdictOf(ended)).toEqual(refusal(1, "--for must be longer than nothing: try 45s, 3m or 1h."));
  });
});

const lossOf = (round: number) => ({ round, microBitsPerByte: 3_000_000 - round, sequences: 64 });

const viewOf = (heldOut: number | null, heldOutFirst: number | null): RunView =>
  ({
    checkpoint: { round: 7 },
    loss: {
      train: null,
      heldOut: heldOut === null ? null : lossOf(heldOut),
      heldOutFirst: heldOutFirst === null ? null : lossOf(heldOutFirst),
    },
  }) as RunView;

describe("the end of a session waits for held-out losses", () => {
  test.each([
    ["nothing is measured", null, null, true, [7, 0]],
    ["the newest checkpoint alone is measured, first of all", 7, 7, true, [0]],
    ["the newest and checkpoint 0 are measured", 7, 0, true, []],
    ["an older one is the newest measured", 6, 0, true, [7]],
    ["a later session has the newest, and nobody ever measured checkpoint 0", 7, 3, false, []],
  ])("when %s", (_, heldOut, heldOutFirst, fromTheStart, missing) => {
    expect(unmeasured(viewOf(heldOut, heldOutFirst), fromTheStart)).toEqual(
      missing.map((round) => `the held-out loss of checkpoint ${round}`),
    );
  });
});

test.each([
  [null, []],
  [{ round: 6, assigned: 3, received: 1 }, ["2 of 3 workers in round 7"]],
  [{ round: 6, assigned: 3, received: 3 }, ["the checkpoint that round 7 makes"]],
])("the open round %j is waited for as %j", (current, waitsFor) => {
  expect(outstanding({ current } as Pick<RunView, "current">)).toEqual(waitsFor);
});

/** Enough of a coordinator's picture for a session. */
const pictureOf = (change: Partial<RunView>): RunView =>
  ({
    round: 0,
    phase: "Training",
    tokens: "0",
    paramsVersion: 1,
    params: { innerSteps: 30 },
    checkpoint: { round: 0 },
    anchored: null,
    current: { round: 0, innerSteps: 30, assigned: 3, received: 2 },
    loss: { heldOut: null, heldOutFirst: null },
    ...change,
  }) as unknown as RunView;

/**
 * @param step by which the clock is set while the session trains, and again while it settles
 * @param rewards what is answered to who asks for them while the session settles
 * @param awayFor how long the coordinator is away when it is to pause, ms
 * @param closesIn ms from then until the last round closes
 */
async function settle(step: number, awayFor = 0, rewards?: Promise<undefined>, closesIn = 5_000) {
  const clock = createManualClock();
  const pauses: number[] = [];
  const closing = { at: Infinity };
  const told: string[] = [];
  const prepared = {
    local: true,
    window: 4,
    runId: "0x",
    state: "",
    definition: { sequence: 128 },
    operatorToken: "",
    lost: new AbortController().signal,
    coordinator: {
      run: async () => {
        if (clock.monotonic() < closing.at) return pictureOf({});
        // Paused, with a checkpoint of which nothing ever is heard on-chain.
        const checkpoint = { round: 1, digest: "0x" } as const;
        return pictureOf({ phase: "Paused", current: null, round: 1, tokens: "640", checkpoint });
      },
      control: async () => {
        pauses.push(clock.monotonic());
        if (clock.monotonic() - pauses[0]! < awayFor) throw new RetryableError("UNREACHABLE", "Away.");
        closing.at = clock.monotonic() + closesIn;
        return { accepted: true };
      },
    },
  } as unknown as Prepared;
  let collections = 0;
  const localModel = {
    clock,
    signal: new AbortController().signal,
    owners: [],
    rewards: () => {
      collections += 1;
      return (clock.monotonic() < closing.at ? undefined : rewards) ?? Promise.resolve(undefined);
    },
    announce: (text: string, kind?: string) => {
      told.push(text);
      if (kind !== undefined) standing.set(kind, text);
    },
  };
  const standing = new Map<string, string>();
  const late: string[] = [];
  const shown = new Set<string>();
  let began: number | undefined;
  const torn: Partial<Screen>[] = [];
  let [activity, goal]: [unknown, unknown] = [undefined, undefined];
  const update = (change: Partial<Screen>): void => {
    // Nobody waits for a round that is over: the two are never shown together.
    if (change.view?.current === null && (change.waitsFor ?? ["workers in round"]).join().includes("workers in round"))
      torn.push(change);
    if (change.activity === "Training") began ??= clock.monotonic();
    if (change.activity !== undefined) [activity, goal] = [change.activity, change.goal];
    if (activity === "Settling" && standing.size > 0) late.push(...standing.values());
    for (const what of change.waitsFor ?? []) shown.add(`${String(activity)} (${String(goal)}): ${what}`);
  };
  const display = { update, withdraw: (kind: string) => standing.delete(kind) } as unknown as Display;
  const ended: TrainingSession[] = [];
  const end = runSession(prepared, localModel as unknown as LocalModel, display, {
    goal: 20_000,
    vote: false,
    logger: silentLogger(),
  }).then((session) => ended.push(session));
  const failed: unknown[] = [];
  end.catch((error: unknown) => failed.push(error));
  while (ended.length + failed.length === 0 && clock.monotonic() < 600_000) {
    if ([3_000, 20_000].includes(clock.monotonic())) clock.step(step);
    await clock.advance(500);
  }
  expect(ended.length + failed.length).toBe(1);
  await end;
  expect(torn).toEqual([]);
  // What was told of the open round is gone with it.
  expect(late).not.toContain(LAST_ROUND);
  return {
    session: ended[0]!,
    adds: clock.monotonic() - closing.at,
    trained: closing.at - (began ?? 0),
    told,
    shown: [...shown],
    collections,
  };
}

describe("settling", () => {
  test("ends half a minute after the last round's close, whatever never comes: the anchor, the pay, the measurement", async () => {
    const { session, adds, told, shown } = await settle(0);
    // Of half a minute, five seconds are left for the last claims, which go through at once here.
    expect(adds).toBeGreaterThanOrEqual(25_000);
    expect(adds).toBeLessThanOrEqual(26_000);
    expect(SETTLE_MS).toBe(30_000);
    // The first round takes longer than half of the session: the second is not begun, ten seconds before the end.
    expect(told).toEqual(["no vote, as --no-vote asks", LAST_ROUND]);
    expect(LAST_ROUND).toMatch(/would not end within --for$/);
    expect(session).toMatchObject({ noVote: expect.stringContaining("--no-vote") });
    expect(shown).toEqual([
      `Settling (${SETTLE_MS}): the anchor of checkpoint 1 and its epoch's reward root`,
      `Settling (${SETTLE_MS}): the held-out loss of checkpoint 1`,
      `Settling (${SETTLE_MS}): the held-out loss of checkpoint 0`,
      `Settling (${SETTLE_MS}): the claims of what was earned`,
    ]);
  });

  test("comes after the time in which tokens were trained, of which the closing round's is a part", async () => {
    const { session, trained } = await settle(0);
    expect(session.tokens).toBe(640n);
    expect(session.milliseconds).toBeGreaterThanOrEqual(trained);
    expect(session.milliseconds).toBeLessThanOrEqual(trained + 500);
  });

  test("comes after the last round: that is trained like the others, and what is left of it after --for is waited for", async () => {
    // It begins to be the last at half of --for: up to its close by the end nothing else is shown.
    expect((await settle(0)).shown.join()).not.toContain("in round 1");
    const { shown, adds } = await settle(0, 0, undefined, 15_000);
    expect(shown[0]).toBe("Closing the last round (60000): 1 of 3 workers in round 1");
    expect(adds).toBeLessThanOrEqual(SETTLE_MS);
  });

  test("counts a round that closes in its course, and the time that it took; it is waited for by name", async () => {
    const { session, trained, adds, shown } = await settle(0, 0, undefined, 80_000);
    expect(session.tokens).toBe(640n);
    expect(session.milliseconds).toBeGreaterThanOrEqual(trained);
    expect(session.milliseconds).toBeLessThanOrEqual(trained + 1_000);
    // The last round had a minute to close in, and ten seconds of the half minute after it.
    expect(adds).toBeLessThanOrEqual(SETTLE_MS - 9_000);
    expect(shown).toContain(`Settling (${SETTLE_MS}): 1 of 3 workers in round 1`);
  });

  test("ends as soon where claims never answer, and says that they can be made later", async () => {
    const { session, adds, told } = await settle(0, 0, new Promise(() => undefined));
    expect(adds).toBeGreaterThanOrEqual(SETTLE_MS);
    expect(adds).toBeLessThanOrEqual(SETTLE_MS + 2_000);
    expect(told.at(-1)).toBe(UNCLAIMED);
    expect(session.claims.size).toBe(0);
  });

  test("begins all the same where the coordinator is away when it is to pause: it is asked until it answers", async () => {
    expect((await settle(0, 20_000)).adds).toBeLessThanOrEqual(SETTLE_MS + 2_000);
    // The last round then has its minute to close in from that answer on.
    const { shown } = await settle(0, 20_000, undefined, 55_000);
    expect(shown).toContain("Closing the last round (60000): 1 of 3 workers in round 1");
    expect(shown).not.toContain(`Settling (${SETTLE_MS}): 1 of 3 workers in round 1`);
    // Until a round would have closed at the latest.
    await expect(settle(0, 60_500)).rejects.toMatchObject({ code: "UNREACHABLE" });
  });

  test.each([3_600_000, -3_600_000])("and the session are as long when the clock is set by %i ms", async (step) => {
    const undisturbed = await settle(0);
    expect(undisturbed.collections).toBeGreaterThan(20);
    expect(await settle(step)).toEqual(undisturbed);
  });
});

test("a session of a run that has ended trains nothing and holds no vote: it settles, and says what comes next", async () => {
  const clock = createManualClock();
  const told: string[] = [];
  const view = pictureOf({ phase: "Finished", current: null });
  const lost = new AbortController().signal;
  const coordinator = { run: async () => view, control: async () => ({ accepted: true }) };
  const prepared = { over: true, window: 4, state: "", definition: {}, lost, coordinator } as unknown as Prepared;
  const model = { clock, signal: lost, owners: [], announce: (line: string) => told.push(line) };
  const display = { update: () => undefined, withdraw: () => undefined } as unknown as Display;
  const options = { goal: 60_000, vote: true, logger: silentLogger() };
  const ended: TrainingSession[] = [];
  void runSession(prepared, model as unknown as LocalModel, display, options).then((session) => ended.push(session));
  while (ended.length === 0 && clock.monotonic() < 60_000) await clock.advance(500);
  expect(ended).toMatchObject([{ tokens: 0n, noVote: "the run has ended" }]);
  expect(told.join()).toContain('"npx cotrain run next" registers');
});

test("a session ends at once with why the coordinator was given up, though nobody answers any more", async () => {
  const lost = new AbortController();
  const unanswered = { run: () => new Promise(() => undefined) };
  const definition = { sequence: 128 };
  const prepared = {
    local: true,
    window: 4,
    lost: lost.signal,
    coordinator: unanswered,
    definition,
  } as unknown as Prepared;
  const model = { clock: createManualClock(), signal: new AbortController().signal } as unknown as LocalModel;
  const display = { update: () => undefined } as unknown as Display;
  const options = { goal: 20_000, vote: false, logger: silentLogger() };
  const session = runSession(prepared, model, display, options);
  const gaveUp = new RetryableError("PROCESS_GAVE_UP", "coordinator ended 6 times within a minute and was given up.");
  lost.abort(gaveUp);
  const unheard = new Promise((resolve) => setImmediate(resolve, "goes on"));
  await expect(Promise.race([session, unheard])).rejects.toBe(gaveUp);
});

test("the newest held-out loss that a session has shown is kept where the session is cut short", async () => {
  const state = temporaryDirectory();
  const stop = new AbortController();
  const heldOut = { round: 7, microBitsPerByte: 2_100_000, sequences: 64 };
  const run = async () => pictureOf({ runId: asRunId(zeroHash), loss: { heldOut, heldOutFirst: null } as never });
  const prepared = {
    local: true,
    window: 4,
    state,
    definition: { sequence: 128 },
    lost: new AbortController().signal,
    coordinator: { run },
  } as unknown as Prepared;
  const model = { clock: createManualClock(), signal: stop.signal } as unknown as LocalModel;
  const display = {
    update: ({ view }: Partial<Screen>) => {
      if (view) stop.abort(new RetryableError("STOPPED", "It was."));
    },
  };
  const options = { goal: 20_000, vote: false, logger: silentLogger() };
  await expect(runSession(prepared, model, display as unknown as Display, options)).rejects.toMatchObject({
    code: "STOPPED",
  });
  expect(await readKeptLoss(state, asRunId(zeroHash))).toMatchObject({
    round: 7,
    loss: { microBitsPerByte: 2_100_000, sequences: 64 },
    untrained: null,
    sequence: 128,
  });
});

/** Of a clock on which no time passes, and which lets others run. */
const sleep = () => new Promise<void>((resolve) => void setImmediate(resolve));

test("a held-out loss that is measured while a run rests after its session is kept", async () => {
  const state = temporaryDirectory();
  const stop = new AbortController();
  const measured = { round: 3, microBitsPerByte: 2_532_000, sequences: 64 };
  // The coordinator is away for a moment in between.
  const told = [{ heldOut: null }, undefined, { heldOut: measured }];
  const run = async () => {
    if (told.length === 0) stop.abort();
    const loss = told.shift();
    if (!loss) throw new RetryableError("AWAY", "It is started again.");
    return pictureOf({ runId: asRunId(zeroHash), loss: { ...loss, heldOutFirst: null } as never });
  };
  const prepared = { state, definition: { sequence: 128 }, coordinator: { run } } as unknown as Prepared;
  await keepLosses(prepared, { clock: { ...createManualClock(), sleep }, signal: stop.signal });
  expect(await readKeptLoss(state, asRunId(zeroHash))).toMatchObject({
    round: 3,
    loss: { microBitsPerByte: 2_532_000 },
  });
});

test("what the last root pays is claimed though a collection that knew nothing of it was going on", async () => {
  let active = 1;
  const claimed: number[] = [];
  const asked: (() => void)[] = [];
  const collector = createCollector(async () => {
    const root = active;
    await new Promise<void>((answer) => asked.push(answer));
    claimed.push(root);
    return true;
  });
  const usual = collector.collect();
  expect(collector.collect()).toBe(usual);
  active = 2;
  const last = collector.collectAnew();
  asked[0]?.();
  await expect.poll(() => asked.length).toBe(2);
  asked[1]?.();
  expect(await last).toBe(true);
  expect(claimed).toEqual([1, 2]);
});

test("a session that goes on with a run deploys nothing and says so", () => {
  expect(Object.values(activitiesOf({ runId: `0x${"1".repeat(64)}` })).join()).not.toMatch(/Deploy|Compil/);
  expect(activitiesOf(undefined).contracts).toBe("Deploying the contracts");
  expect(activitiesOf({}).contracts).toBe("Deploying the contracts");
});

const voteOf = (...flags: readonly string[]): unknown => understood(["up", ...flags])?.flags["vote"];

describe("the vote", () => {
  test("is asked for by --vote and against by --no-vote; without either there is no word", () => {
    expect([voteOf("--vote"), voteOf("--no-vote"), voteOf()]).toEqual([true, false, undefined]);
  });

  test.each([
    ["the first session of the usual length", undefined, 180_000, true, 1, undefined],
    ["the shortest that has one by itself", undefined, 90_000, true, 1, undefined],
    ["a short first session", undefined, 45_000, true, 1, /^a session shorter than 90s has no time for a vote; --vote/],
    ["a session after a decision", undefined, 180_000, true, 2, /--vote lets them decide again$/],
    ["a short one that is told to", true, 45_000, true, 1, undefined],
    ["a later one that is told to", true, 180_000, true, 5, undefined],
    ["one that is told not to", false, 180_000, true, 1, /--no-vote/],
    ["a chain where it takes days", true, 180_000, false, 1, /takes days/],
  ] as const)("%s", (_, vote, goal, local, version, reason) => {
    const told = reasonAgainstVote(vote, goal, local, version);
    expect(told ?? "held").toMatch(reason ?? /^held$/);
  });
});

/** A terminal that keeps what was written to it. */
class FakeTerminal extends EventEmitter {
  isTTY = true;
  columns = 100;
  rows = 40;
  written = "";
  write(text: string): boolean {
    this.written += text;
    return true;
  }
}

function open(terminal: FakeTerminal) {
  const clock = createManualClock();
  const notices: string[] = [];
  const display = openDisplay({
    output: { notice: (line) => notices.push(line), paint: (_, text) => text },
    clock,
    terminal: terminal as unknown as Terminal,
  });
  onTestFinished(() => display.close());
  return { display, notices, clock };
}

describe("the display", () => {
  test("on a resize the screen is cleared and drawn anew, with what was said before", () => {
    const terminal = new FakeTerminal();
    const { display } = open(terminal);
    display.update({ activity: "Training" });
    display.say(["chain id  31337"]);
    terminal.written = "";
    terminal.columns = 60;
    terminal.emit("resize");
    const cleared = terminal.written.indexOf("\u001B[2J\u001B[H");
    expect(cleared).toBeGreaterThanOrEqual(0);
    const after = stripVTControlCharacters(terminal.written.slice(cleared));
    expect(after.split("\n").filter((line) => line.startsWith("now "))).toHaveLength(1);
    expect(after).toMatch(/chain id {2}31337[^]*now {7}Training/);
    display.close();
    expect(terminal.listenerCount("resize")).toBe(0);
  });

  test("the time beside an activity moves, whatever is done, and counts from its beginning", async () => {
    const terminal = new FakeTerminal();
    const { display, clock } = open(terminal);
    const shownAt = async (ms: number): Promise<string> => {
      await clock.advance(ms);
      terminal.written = "";
      // As the timer does.
      terminal.emit("resize");
      return /now {7}(.*)/.exec(stripVTControlCharacters(terminal.written))?.[1] ?? "";
    };
    display.update({ activity: "Compiling the contracts" });
    expect(await shownAt(7_000)).toBe("Compiling the contracts  0:07");
    expect(await shownAt(61_000)).toBe("Compiling the contracts  1:08");
    display.update({ activity: "Training", goal: 60_000 });
    expect(await shownAt(2_000)).toMatch(/^Training {2}[^0]+ 0:02 of 1:00$/);
    display.update({ activity: "Training" });
    // Also while the coordinator is away and tells nothing.
    expect(await shownAt(3_000)).toMatch(/0:05 of 1:00$/);
    display.update({ waitsFor: ["the others"] });
    expect(await shownAt(1_000)).toMatch(/0:06 of at most 1:00$/);
    display.update({ activity: "Settling" });
    expect(await shownAt(9_000)).toBe("Settling  0:09");
  });

  test("what stays above the picture is not wrapped by us: a terminal copies it as one line", () => {
    const terminal = Object.assign(new FakeTerminal(), { columns: 60 });
    const { display } = open(terminal);
    display.update({ activity: "Training" });
    const run = `0x${"1".repeat(64)}`;
    display.say(joinLines(`npm run cotrain -- worker --coordinator http://127.0.0.1:7700 --run ${run}`, 60));
    expect(stripVTControlCharacters(terminal.written)).toContain(run);
    terminal.written = "";
    terminal.emit("resize");
    expect(stripVTControlCharacters(terminal.written)).toContain(run);
  });

  test("once closed it is not drawn again under what is said after it", () => {
    const terminal = new FakeTerminal();
    const { display } = open(terminal);
    display.update({ activity: "Training" });
    display.close();
    expect(display.closed).toBe(true);
    terminal.written = "";
    display.update({ activity: "Closing the last round" });
    expect(terminal.written).toBe("");
  });

  test("where nothing can be redrawn, lines are printed once each", () => {
    const { display, notices } = open(Object.assign(new FakeTerminal(), { isTTY: false }));
    display.update({ activity: "Training" });
    display.update({ activity: "Training" });
    display.say(["chain id  31337"]);
    display.announce("worker-1 proposed");
    expect(notices).toEqual(["0:00  Training", "0:00  chain id  31337", "0:00  worker-1 proposed"]);
  });

  test("a process that was given up is told there, once", () => {
    const { display, notices } = open(Object.assign(new FakeTerminal(), { isTTY: false }));
    display.update({ activity: "Training" });
    const warning = "worker-1 ended 6 times within a minute and was given up.";
    for (const change of [{ warning }, { warning }, { activity: "Training" }]) display.update(change);
    expect(notices).toEqual(["0:00  Training", `0:00  ${warning}`]);
  });

  test("that checkpoints wait for lower fees begins a line of its own", () => {
    const { display, notices } = open(Object.assign(new FakeTerminal(), { isTTY: false }));
    const told = pictureOf({ members: [], traffic: { up: 0, down: 0, synchronous: 0, ring: 0 } });
    const feeWait = { what: "fees", asked: "2", allowed: "1", since: 5 } as const;
    display.update({ activity: "Training", view: told });
    for (const view of [{ ...told, feeWait }, { ...told, feeWait }, told]) display.update({ view });
    expect(notices.map((line) => line.includes("checkpoint 0 waits for lower fees"))).toEqual([false, true, false]);
    // So does that it is for want of coins by now.
    const poor = { ...told, poster: `0x${"ab".repeat(20)}` as const, feeWait: { ...feeWait, what: "coins" as const } };
    for (const view of [{ ...told, feeWait }, poor, poor]) display.update({ view });
    expect(notices.slice(3).map((line) => line.includes("waits for coins"))).toEqual([false, true]);
  });

  test("what happens to a proposal names it, and on a terminal only its newest step stays", () => {
    const terminal = new FakeTerminal();
    const loss = { train: null, heldOut: null, heldOutFirst: null };
    const view = {
      members: [],
      accepted: { workers: 0, tokens: "0" },
      loss,
      params: { codec: 1, downCodec: 0 },
      round: 8,
      traffic: { up: 0, down: 0, synchronous: 0, ring: 0 },
      tokens: "0",
    };
    const { display } = open(terminal);
    const title = "48 → 64 inner steps per round, proposed in round 6";
    const steps = [
      proposalNews.proposed("worker-1", title),
      proposalNews.voted(1),
      proposalNews.voted(3),
      proposalNews.accepted(),
      proposalNews.executed(title),
    ];
    for (const each of steps) expect(each).toMatch(/propos/);
    for (const each of steps) display.announce(each, "proposal");
    terminal.written = "";
    display.update({ view: { ...view, current: null, anchored: null } as unknown as RunView });
    const shown = stripVTControlCharacters(terminal.written).replaceAll(/\s+/g, " ");
    expect(steps.filter((each) => shown.includes(each))).toEqual([proposalNews.executed(title)]);
  });

  test("the join line is one command, whatever the width", () => {
    const command = `npm run cotrain -- worker --coordinator http://127.0.0.1:7700 --run 0x${"1".repeat(64)}`;
    for (const width of [60, 80, 100, Infinity]) {
      const [head, ...lines] = joinLines(command, width);
      expect(head).toBe("others join with");
      expect(lines.map((line) => line.trim().replace(/ \\$/, "")).join(" ")).toBe(command);
    }
    expect(columnsOf({ isTTY: true, columns: 80 })).toBe(80);
    expect(columnsOf({ isTTY: false, columns: 0 })).toBe(Infinity);
  });
});

describe("a prompt that fits the data", () => {
  test.each([
    ["half a sentence. The old miller saw a boat. More.", "The old miller saw"],
    ["no sentence at all", "no sentence at all"],
    ['ended. "Quoted $(rm) `x`" he said. He went home to the river.', "He went home to"],
    ["", "The"],
    ["… — !!!", "The"],
    ["один. Старый мельник увидел лодку утром.", "Старый мельник увидел лодку"],
  ])("%j → %j", (text, prompt) => {
    expect(promptIn(text)).toBe(prompt);
  });

  test("is safe between a shell's quotes, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(promptIn(text)).toMatch(/^[^"$`\\\n!]+$/);
      }),
    );
  });
});
