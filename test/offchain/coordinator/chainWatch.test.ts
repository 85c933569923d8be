import { digestOfJson, runStatus, runParamsToWire } from "@cotrain/sdk/protocol";
import { beforeEach, describe, expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { RetryableError } from "../../../offchain/src/base/index.ts";
import { ChainWatch } from "../../../offchain/src/coordinator/chainWatch.ts";
import type { Run } from "../../../offchain/src/coordinator/run.ts";
import { params } from "../chain/world.ts";

/** What the RPC says now, of a chain whose every block is settled. */
let said: {
  status: number;
  suspended: boolean;
  poster: string;
  version: number;
  innerLrPpb: number;
  active: unknown;
  pending: unknown;
  posted: unknown[];
  roots: { epoch: number; root: string; digest: string }[];
  ruling: string | undefined;
  dispute: { digest: string; disputer: string; bond: bigint; proposalId: bigint; votesUntil: number } | undefined;
  level: number;
  sequence: number;
  /** By how many rounds the run was rolled back. */
  back: number;
  block: number;
};
let offered: { type: string }[];
/** What the log says at the level of errors. */
let complaints: string[];
/** The coordinator's own key. */
const own = `0x${"a1".repeat(20)}`;
/** Digests of disputes that were settled, and whether that is refused. */
let settled: string[];
let refuses: boolean;
/** What the coordinator knows. */
let state: Record<string, unknown> & { heads: unknown[]; epochs: unknown[] };
let look: () => Promise<string[]>;

beforeEach(() => {
  said = {
    status: runStatus.open,
    suspended: false,
    poster: own,
    version: 1,
    innerLrPpb: 1,
    active: undefined,
    pending: undefined,
    posted: [],
    roots: [],
    ruling: undefined,
    dispute: undefined,
    level: 1,
    sequence: 0,
    back: 0,
    block: 100,
  };
  offered = [];
  const chain = {
    paramsInForce: async () => ({ version: said.version, params: { ...params, innerLrPpb: said.innerLrPpb } }),
    runStatus: async () => said.status,
    isSuspended: async () => said.suspended,
    run: async () => ({ poster: said.poster }),
    head: async () => ({
      sequence: said.sequence,
      round: said.sequence - said.back,
      head: digestOfJson(said.sequence === 0 ? "head" : "late"),
    }),
    activeRoot: async () => said.active,
    pendingRoot: async () => said.pending,
    headsSince: async () => said.posted,
    rootsOf: async () => said.roots,
    rulingOn: async () => said.ruling,
    openDispute: async () => said.dispute,
    disputeCost: async () => ({ bond: 10n ** 18n, level: said.level, isDue: false }),
    settleDispute: async (_model: unknown, { digest }: { digest: string }) => {
      settled.push(digest);
      if (refuses) throw new RetryableError("CHAIN_UNREACHABLE", "away");
      return { ruling: "undecided" };
    },
    epochOf: async (_model: unknown, time: number) => Math.ceil(time / 10),
    epochEnd: async (_model: unknown, epoch: number) => 10 * epoch,
    schedule: async () => ({ window: 4 }),
    tip: async () => ({ block: said.block }),
    settledTime: async () => said.block,
    chainTime: async () => said.block,
    forget: () => undefined,
  };
  state = {
    nextParams: null,
    paramsVersion: 1,
    finished: false,
    pausedBy: { chain: false },
    heads: [],
    epochs: [],
    settledEpoch: 0,
    reverts: 0,
  };
  complaints = [];
  settled = [];
  refuses = false;
  const logger = {
    info: () => undefined,
    warn: () => undefined,
    error: (_fields: unknown, text: string) => void complaints.push(text),
  };
  const run = {
    runId: digestOfJson("run"),
    facts: { modelId: digestOfJson("model") },
    driver: { state, now: () => 0, submit: async (event: { type: string }) => void offered.push(event) },
    modules: { chain, logger, poster: { address: own.toUpperCase() }, clock: createManualClock() },
  } as unknown as Run;
  const watch = new ChainWatch(run);
  look = async () => {
    said.block += 1;
    await watch.look();
    return offered.map(({ type }) => type);
  };
});

describe("what an RPC says once", () => {
  it("of an active root is not believed: it could not be taken back", async () => {
    said.active = { epoch: 3, root: digestOfJson("root") };
    expect(await look()).toEqual([]);
    said.active = undefined;
    expect(await look()).toEqual([]);
    said.active = { epoch: 3, root: digestOfJson("root") };
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(["RootActivated"]);
  });

  it.each(["active", "pending"] as const)(
    "and ever again of an %s root of an epoch that is not over is not",
    async (name) => {
      said[name] = { epoch: 11, root: digestOfJson("root") };
      for (let block = 101; block < 110; block++) expect(await look()).toEqual([]);
      // By now it may be, and counts from here on.
      expect(await look()).toEqual([]);
      expect(await look()).toHaveLength(1);
    },
  );

  it("and again later, but not in between, is said once", async () => {
    for (const status of [runStatus.paused, runStatus.open, runStatus.paused]) {
      said.status = status;
      expect(await look()).toEqual([]);
    }
    expect(await look()).toEqual(["PauseRequested"]);
  });

  it("of a poster that is suspended pauses the run once it lasts, and it goes on only where it is that no more", async () => {
    said.suspended = true;
    expect(await look()).toEqual([]);
    said.suspended = false;
    expect(await look()).toEqual([]);
    said.suspended = true;
    expect(await look()).toEqual([]);
    expect(complaints).toEqual([]);
    expect(await look()).toEqual(["PauseRequested"]);
    const told = expect.stringContaining("the validators have suspended this run's poster") as string;
    expect(complaints).toEqual([told]);
    state["pausedBy"] = { chain: true };
    // Open by its status all the same: that alone lets nothing go on.
    expect(await look()).toEqual(["PauseRequested"]);
    expect(await look()).toEqual(["PauseRequested"]);
    said.suspended = false;
    expect(await look()).toEqual(["PauseRequested"]);
    expect(await look()).toEqual(["PauseRequested", "ResumeRequested"]);
    expect(complaints).toEqual([told]);
  });

  it("of a rollback pauses the run until it is carried out, and says so", async () => {
    Object.assign(said, { sequence: 5, back: 3 });
    await look();
    expect(await look()).toEqual(["PauseRequested"]);
    expect(complaints).toEqual([expect.stringContaining("the run was rolled back to checkpoint 2")]);
    state["pausedBy"] = { chain: true };
    Object.assign(said, { sequence: 6 });
    for (let i = 0; i < 3; i++) expect(await look()).toEqual(["PauseRequested"]);
    // A node that told of one where there was none.
    Object.assign(said, { back: 0 });
    await look();
    expect(await look()).toEqual(["PauseRequested", "ResumeRequested"]);
  });

  it("of another poster pauses the run of the one before, suspended or not, which another coordinator goes on with", async () => {
    said.suspended = true;
    await look();
    await look();
    state["pausedBy"] = { chain: true };
    // The contract is open for the new one, not for this.
    Object.assign(said, { suspended: false, poster: `0x${"b2".repeat(20)}` });
    for (let i = 0; i < 3; i++) expect(await look()).toEqual(["PauseRequested"]);
    expect(complaints.at(-1)).toMatch(/^the holders have named another poster, 0xb2b2/);
    said.poster = own;
    await look();
    expect(await look()).toEqual(["PauseRequested", "ResumeRequested"]);
    state["pausedBy"] = { chain: false };
    said.poster = `0x${"b2".repeat(20)}`;
    expect(await look()).toHaveLength(2);
    expect(await look()).toEqual(["PauseRequested", "ResumeRequested", "PauseRequested"]);
  });

  it("of when a pending root may be activated is not believed, and never more than the model's window", async () => {
    const root = { epoch: 3, root: digestOfJson("root") };
    for (const activatableAt of [10 ** 9, 5, 10 ** 9]) {
      said.pending = { ...root, activatableAt };
      expect(await look()).toEqual([]);
    }
    said.pending = { ...root, activatableAt: 10 ** 9 };
    expect(await look()).toEqual(["RootPosted"]);
    expect(offered).toMatchObject([{ activatableAt: 4 }]);
  });

  it("of a version's parameters says nothing of others that it names next", async () => {
    said.version = 2;
    for (const innerLrPpb of [10, 20]) {
      said.innerLrPpb = innerLrPpb;
      expect(await look()).toEqual([]);
    }
    expect(await look()).toEqual(["ParamsChanged"]);
    expect(offered).toMatchObject([{ params: runParamsToWire({ ...params, innerLrPpb: 20 }) }]);
  });
});

describe("a chain that went back", () => {
  beforeEach(() => {
    // The first is the one that the RPC names.
    state.heads = ["head", "lost"].map((text, sequence) => ({ head: digestOfJson(text), sequence, anchor: {} }));
  });

  it("is believed at the second sight", async () => {
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(["HeadReverted"]);
  });

  it("behind a head and a root at once is believed of both", async () => {
    state.epochs = [{ epoch: 1, state: "posted", root: digestOfJson("root") }];
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(["HeadReverted", "RootReverted"]);
  });

  it("is not, when it was there again in between", async () => {
    const { heads } = state;
    for (const known of [heads, heads.slice(0, 1), heads]) {
      state.heads = known;
      expect(await look()).toEqual([]);
    }
    expect(await look()).toEqual(["HeadReverted"]);
  });
});

it("a root that stands in the place of another of the same epoch is taken over when that one was found lost", async () => {
  const [was, is] = [digestOfJson("was"), digestOfJson("is")];
  state.epochs = [{ epoch: 3, state: "active", root: was }];
  state.settledEpoch = 3;
  said.active = { epoch: 3, root: is };
  expect(await look()).toEqual([]);
  expect(await look()).toEqual(["RootReverted"]);
  expect(offered).toMatchObject([{ epoch: 3, root: was, settledEpoch: 2 }]);
  Object.assign(state, { epochs: [], settledEpoch: 2 });
  expect(await look()).toHaveLength(1);
  expect(await look()).toEqual(["RootReverted", "RootActivated"]);
});

describe("a head's time that is told no more", () => {
  it.each([
    ["moves it when it was in another epoch", 1, 0, ["HeadsMoved"]],
    ["says nothing when it was in the same", 2, 0, []],
    ["says nothing of an epoch that is settled", 1, 2, []],
  ])("%s", async (_, epoch, settledEpoch, events) => {
    const named = ["head", "late"].map((text) => digestOfJson(text));
    state.heads = named.map((head, sequence) => ({ head, sequence, anchor: { epoch: sequence === 0 ? 1 : epoch } }));
    state.settledEpoch = settledEpoch;
    said.sequence = 1;
    said.posted = named.map((head, sequence) => ({ head, anchoredAt: sequence === 0 ? 5 : 15 }));
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(events);
    const moved = { head: named[1], sequence: 1, anchor: { anchoredAt: 15, epoch: 2 }, epochEnd: 20 };
    expect(offered).toMatchObject(events.map((type) => ({ type, heads: [moved] })));
  });

  it("moves all behind it that the chain has, whoever posted them, and nothing before it", async () => {
    const named = ["head", "before", "late", "rollback", "gone"].map((text) => digestOfJson(text));
    state.heads = named.map((head, sequence) => ({ head, sequence, anchor: { epoch: 1 }, given: sequence === 3 }));
    said.sequence = 4;
    said.posted = [5, 6, 15, 16].map((anchoredAt, sequence) => ({ head: named[sequence]!, anchoredAt }));
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(["HeadsMoved"]);
    const heads = [2, 3].map((sequence) => ({ head: named[sequence], sequence, anchor: { epoch: 2 } }));
    expect(offered).toMatchObject([{ heads }]);
  });

  it("moves nothing to a time before that of the head before it", async () => {
    const named = ["head", "before", "late"].map((text) => digestOfJson(text));
    state.heads = named.map((head, sequence) => ({ head, sequence, anchor: { epoch: 2 } }));
    said.sequence = 2;
    said.posted = [5, 15, 8].map((anchoredAt, sequence) => ({ head: named[sequence]!, anchoredAt }));
    expect(await look()).toEqual([]);
    await expect(look()).rejects.toMatchObject({ code: "CHAIN_MOVED" });
    expect(offered).toEqual([]);
  });
});

describe("a posted root that is not pending any more", () => {
  const root = digestOfJson("root");
  beforeEach(() => {
    state.epochs = [{ epoch: 1, state: "posted", root }];
    said.roots = [{ epoch: 1, root, digest: digestOfJson("attestation") }];
  });

  it.each(["void", "undecided"] as const)(
    "is no reorganisation where its dispute ended %s, once that lasts",
    async (ruling) => {
      said.ruling = ruling;
      expect(await look()).toEqual([]);
      said.ruling = undefined;
      expect(await look()).toEqual([]);
      said.ruling = ruling;
      expect(await look()).toEqual([]);
      expect(await look()).toEqual(["RootFailed"]);
      expect(offered).toMatchObject([{ epoch: 1, root, ruling }]);
    },
  );

  it("is one where no dispute about it has ended, or it stood", async () => {
    said.ruling = "stands";
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(["RootReverted"]);
  });

  it("is one where it was not posted as far as the chain tells", async () => {
    said.roots = [];
    said.ruling = "void";
    expect(await look()).toEqual([]);
    expect(await look()).toEqual(["RootReverted"]);
  });
});

describe("a root that is disputed", () => {
  const root = digestOfJson("root");
  beforeEach(() => {
    state.epochs = [{ epoch: 1, state: "posted", root }];
    said.pending = { epoch: 1, root, activatableAt: undefined };
    said.dispute = { digest: digestOfJson("attestation"), disputer: own, bond: 1n, proposalId: 1n, votesUntil: 103 };
  });

  it("is settled once, after its vote, and again where that failed", async () => {
    refuses = true;
    while (said.block < 103) await look();
    expect(settled).toEqual([]);
    await look();
    expect(settled).toHaveLength(1);
    await new Promise(setImmediate);
    refuses = false;
    await look();
    expect(settled).toEqual([said.dispute!.digest, said.dispute!.digest]);
    expect(offered).toEqual([]);
  });

  it.each([
    [2, 0],
    [3, 1],
  ])("is told of with an alarm where the bond is doubled %i times: %i", async (level, alarms) => {
    said.level = level;
    await look();
    await look();
    expect(complaints.filter((text) => text.startsWith("roots of this model are disputed again"))).toHaveLength(alarms);
  });
});
