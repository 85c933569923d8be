/** What a watcher says of what it found, and the code that it ends with. */
import { rewardKind } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { RetryableError } from "../../../offchain/src/base/index.ts";
import type { Output } from "../../../offchain/src/cli/output.ts";
import { createTelling, depthOf, exitCodeOf, type RootsLook } from "../../../offchain/src/cli/watching.ts";
import type { WatchFinding } from "../../../offchain/src/validator/index.ts";

const digest = `0x${"11".repeat(32)}` as const;
const evidence = `0x${"22".repeat(32)}` as never;
const root = { digest, index: 4 };
const reason = "It pays a thief.";

interface Look {
  readonly root?: () => Promise<WatchFinding>;
  readonly level?: number;
}
const rootsLook = ({ root = async () => ({ state: "idle" }), level = 0 }: Look): RootsLook["compute"] => ({
  root,
  cost: async () => ({ bond: 10n ** 18n, level, isDue: false }),
});

/** One look. @param kind of the root, of `rewardKind` */
async function lookedAt(look: Look, kind: number = rewardKind.compute) {
  const said: string[] = [];
  const output: Output = {
    json: false,
    result: (_, lines) => void said.push(...lines),
    text: () => undefined,
    notice: () => undefined,
    complain: () => undefined,
    paint: (_, text) => text,
  };
  const telling = createTelling(output, (of) => `evidence of ${of}`);
  const of = (wanted: number) => rootsLook(kind === wanted ? look : {});
  await telling.look(
    { compute: of(rewardKind.compute), revenue: of(rewardKind.revenue) },
    async () => ({ looked: 0, findings: [], problems: [], falseRoots: [], away: undefined }),
    async () => ({ acts: [], more: 0 }),
    async () => [],
  );
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
  ["holds", 0, { state: "holds", ...root }],
])("a root that %s has it end with %i", async (_, code, finding) => {
  const seen = await found(finding);
  expect(seen.code).toBe(code);
  expect(seen.said[0]!.startsWith("FAIL   Root 4 (attestation")).toBe(code === 1);
});

test("a chain that is away has it end with 75", async () => {
  const away = lookedAt({ root: () => Promise.reject(new RetryableError("AWAY", "It does not answer.")) });
  expect(await away).toEqual({ said: ["Not all could be looked at: It does not answer."], code: 75 });
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
