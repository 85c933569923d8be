/** What a watcher says of what it found, and the code that it ends with. */
import { asRunId, rewardKind } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { InternalError, RetryableError, systemClock, timeText } from "../../../offchain/src/base/index.ts";
import { lookInLoops } from "../../../offchain/src/cli/looking.ts";
import type { Output } from "../../../offchain/src/cli/output.ts";
import { createTelling, depthOf, exitCodeOf, type RootsLook } from "../../../offchain/src/cli/watching.ts";
import type { WatchFinding } from "../../../offchain/src/validator/index.ts";

const digest = `0x${"11".repeat(32)}` as const;
const evidence = `0x${"22".repeat(32)}` as never;
const root = { digest, index: 4 };
const reason = "It pays a thief.";
const runId = asRunId(`0x${"33".repeat(32)}`);

interface Look {
  readonly root?: () => Promise<WatchFinding>;
  readonly level?: number;
}
const rootsLook = ({ root = async () => ({ state: "idle" }), level = 0 }: Look): RootsLook["compute"] => ({
  root,
  cost: async () => ({ bond: 10n ** 18n, level, isDue: false }),
});

const noHeads = { looked: 0, findings: [], problems: [], falseRoots: [], away: undefined };

/** @param json where a program reads, to which nothing is said before the end */
function listening(json = false) {
  const said: string[] = [];
  const output: Output = {
    json,
    result: (_, lines) => void said.push(...lines),
    text: () => undefined,
    notice: () => undefined,
    complain: () => undefined,
    paint: (_, text) => text,
  };
  return { said, telling: createTelling(output, (of) => `evidence of ${of}`) };
}

/** One look. @param kind of the root, of `rewardKind` */
async function lookedAt(look: Look, kind: number = rewardKind.compute) {
  const { said, telling } = listening();
  const of = (wanted: number) => rootsLook(kind === wanted ? look : {});
  await Promise.all([
    telling.root("compute", of(rewardKind.compute)),
    telling.root("revenue", of(rewardKind.revenue)),
    telling.heads(async () => noHeads),
    telling.acts(async () => ({ acts: [], more: 0 })),
    telling.offences(async () => []),
  ]);
  // The kind that was not asked about.
  const none = "No root is in its window.";
  return { said: said.filter((line) => line !== none), code: exitCodeOf(telling.seen()) };
}
const found = (finding: WatchFinding, kind?: number) => lookedAt({ root: async () => finding }, kind);

test("of a root that was voided it says where whoever signed it is brought to account, and of no other", async () => {
  for (const ruling of ["void", "stands", "undecided"]) {
    const { said } = await found({ state: "settled", digest, ruling });
    expect(said).toHaveLength(1);
    const slash = 'settled here: void. What that costs who signed it says "npx cotrain stake slash --dry-run".';
    expect(said[0]!.includes("slash")).toBe(ruling === "void");
    expect(said[0]!.includes(slash)).toBe(ruling === "void");
  }
});

const open = { state: "open", ...root, settles: 0, proposalId: 77n } as const;
describe.each([
  ["of work", rewardKind.compute, "Root 4 (attestation"],
  ["of revenue", rewardKind.revenue, "Root 4 of revenue (attestation"],
])("a root %s that somebody disputed", (_, kind, named) => {
  test("and that is false ends it with 1, with what was found and how to vote", async () => {
    const { said, code } = await found({ ...open, found: "false", reason, evidence }, kind);
    expect(code).toBe(1);
    expect(said[0]).toContain(`FAIL   ${named}`);
    expect(said[0]).toContain(`${reason} What was found is in evidence of ${digest}.`);
    expect(said[0]).toContain('vote against the root ("npx cotrain vote 77 against"; "npx cotrain disputes list"');
  });

  test("and that holds ends it with 0, and voters are told to let it stand", async () => {
    const { said, code } = await found({ ...open, found: "holds" }, kind);
    expect(code).toBe(0);
    expect(said[0]).toContain(`${named} ${digest}) is disputed, and holds`);
    expect(said[0]).toContain('let it stand ("npx cotrain vote 77 for"; "npx cotrain disputes list"');
  });

  test("and of which nothing can be said yet ends it with 75", async () => {
    const { said, code } = await found({ ...open, found: "unsure", reason }, kind);
    expect(code).toBe(75);
    expect(said[0]).toContain(`whether it holds cannot be told yet: ${reason} Holders vote until`);
    expect(said[0]).toContain('("npx cotrain disputes list")');
    expect(said[0]).not.toContain("FAIL");
  });
});

test.each<[string, number, WatchFinding]>([
  ["is false and whose window is over", 1, { state: "late", ...root, reason }],
  ["is to be disputed", 1, { state: "reported", ...root, reason, evidence, why: "--yes is not given" }],
  ["was disputed", 1, { state: "disputed", ...root, reason, evidence }],
  ["seems to be false", 75, { state: "suspect", ...root, reason }],
  ["is false by one look alone", 75, { state: "inconsistent", ...root, reason }],
  ["is not to be had", 75, { state: "absent", ...root, reason, left: 1_000 }],
  ["could not be read", 75, { state: "unread", ...root, reason }],
  ["is of a run whose coordinator nobody named", 75, { state: "unnamed", ...root, reason, runId, until: 0 }],
  ["holds", 0, { state: "holds", ...root }],
])("a root that %s has it end with %i", async (_, code, finding) => {
  const seen = await found(finding);
  expect(seen.code).toBe(code);
  expect(seen.said[0]!.startsWith("FAIL   Root 4 (attestation")).toBe(code === 1);
});

test("a chain that is away has it end with 75", async () => {
  expect(await lookedAt({ root: away })).toEqual({
    said: ["Not all could be looked at: It does not answer."],
    code: 75,
  });
});

test("of a root whose run's coordinator nobody named it says until when that can be mended", async () => {
  const { said } = await found({ state: "unnamed", ...root, reason, runId, until: 1_000 });
  expect(said[0]).toContain("was not recomputed, and is not disputed for what is missing: It pays a thief. After ");
  expect(said[0]).toContain(`${timeText(1_000)} nobody can dispute it.`);
});

const away = () => Promise.reject(new RetryableError("AWAY", "It does not answer."));

const broken = () => Promise.reject(new InternalError("TABLE_INVALID", "The table has a gap."));

const nobody = () => Promise.reject(new TypeError("The table has a gap."));

test.each([
  ["of ours", broken, "Not all could be looked at: The table has a gap."],
  [
    "of nobody's",
    nobody,
    "Not all could be looked at: This is a defect of Cotrain, please report it: TypeError: The table has a gap.",
  ],
])("what ends one look by an error %s that nobody foresaw is told once, and ends no other", async (_, look, words) => {
  const { said, telling } = listening();
  let roots = 0;
  const root = async (): Promise<WatchFinding> => {
    roots += 1;
    return { state: "idle" };
  };
  const ending = new AbortController();
  const looks = [
    () => telling.heads(look),
    async () => {
      await telling.root("compute", rootsLook({ root }));
      if (roots === 3) ending.abort();
    },
  ];
  await lookInLoops(looks, { every: 1, once: false, clock: systemClock, signal: ending.signal });
  expect(roots).toBe(3);
  expect(said.filter((line) => line.includes("gap"))).toEqual([words]);
  expect(exitCodeOf(telling.seen())).toBe(75);
});

test("what keeps all looks from ending is told once, and what was away is so until a look ends", async () => {
  const { said, telling } = listening();
  const root = { root: away, cost: away };
  const none = [telling.root("compute", root), telling.root("revenue", root), telling.heads(away)];
  await Promise.all([...none, telling.acts(away), telling.offences(away)]);
  expect(said).toEqual(["Not all could be looked at: It does not answer."]);
  await Promise.all([telling.root("compute", rootsLook({})), telling.root("revenue", rootsLook({}))]);
  expect(exitCodeOf(telling.seen())).toBe(75);
  await telling.heads(async () => noHeads);
  await Promise.all([telling.acts(async () => ({ acts: [], more: 0 })), telling.offences(async () => [])]);
  expect(telling.seen()).toMatchObject({ away: null, root: { state: "idle" } });
  expect(exitCodeOf(telling.seen())).toBe(0);
});

test.each([false, true])("a false head is told as it is found, with whose it is (--json: %s)", async (json) => {
  const { said, telling } = listening(json);
  const head = { runId, round: 7, head: `0x${"44".repeat(32)}`, transaction: `0x${"55".repeat(32)}` } as never;
  // The look itself never ends: a slow source decides how long it takes.
  void telling.heads((tell) => {
    tell({ head, condition: "mismatch", problems: ["It is another one."] });
    return new Promise(() => undefined);
  });
  const line = expect.stringMatching(
    `^FAIL {3}checkpoint 7 of run ${runId}, head 0x4.*: It is another one\\. No bond .*rollback 6"`,
  );
  expect(said).toEqual(json ? [] : [line]);
  expect(telling.seen().heads.findings).toMatchObject([{ condition: "mismatch" }]);
  expect(exitCodeOf(telling.seen())).toBe(1);
});

test("that roots are disputed again and again is told from the third doubling of the bond on", async () => {
  expect((await lookedAt({ level: 2 })).said).toEqual([]);
  const alarm = expect.stringMatching(/^FAIL .*doubled 3 times since roots before were disputed/);
  expect((await lookedAt({ level: 3 })).said).toEqual([alarm]);
});

test("two looks are twelve blocks apart but on a chain for trying things out, if not otherwise said", () => {
  expect([depthOf(undefined, 8453), depthOf(undefined, 31_337)]).toEqual([12, 1]);
  expect([depthOf(3, 8453), depthOf(3, 31_337)]).toEqual([3, 3]);
});
