/** Why work earned nothing, where people look: `rewards list` and the summary, with stand-ins for the run and its chain. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Address } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, test, vi } from "vitest";

import { formatAddress, RetryableError } from "../../../offchain/src/base/index.ts";
import type { Unpaid, UnpaidWork } from "../../../offchain/src/run/index.ts";
import { DocumentError } from "../../../offchain/src/run/published.ts";
import { rewardsListCommand } from "../../../offchain/src/cli/commands/rewards.ts";
import { shortAddress } from "../../../offchain/src/base/index.ts";
import { MOST_EPOCHS, restText, shownUnpaid } from "../../../offchain/src/cli/unpaid.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import type { TrainingSession } from "../../../offchain/src/localnet/session.ts";
import { drawSummary } from "../../../offchain/src/cli/up/summary.ts";
import { summarise } from "../../../offchain/src/cli/up/summarise.ts";
import { createManualClock, passTime } from "../manualClock.ts";
import { temporaryDirectory } from "./support.ts";

test("who looks for what earned nothing is advised no more epochs than there may be", () => {
  expect(restText("beyond", 16)).toMatch(/newest 16 epochs is not shown: --epochs 64 looks further back$/);
  expect(restText("beyond", MOST_EPOCHS / 4 + 1)).toContain(`--epochs ${MOST_EPOCHS} looks`);
  expect(restText("beyond", MOST_EPOCHS)).toMatch(/is not shown$/);
});

const stand = vi.hoisted(() => ({
  rewards: undefined as unknown,
  earned: 0n,
  round: 1,
  away: false,
  unfit: undefined as Error | undefined,
  missing: [] as number[],
}));

vi.mock("@cotrain/sdk/actions", async (original) => ({
  ...(await original<object>()),
  unpaidLeaves: async (_client: unknown, { leaves }: { readonly leaves: readonly unknown[] }) => leaves,
  governorOf: async () => "0x",
  proposalState: async () => "executed",
  // No root was ever disputed.
  getAllLogs: async () => ({ logs: [] }),
  // Of rewards list.
  balanceOf: async () => 0n,
  votesOf: async () => 0n,
}));
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  activeRewards: async () => stand.rewards,
  fitDefinition: async () => {
    if (stand.unfit) throw stand.unfit;
  },
  paidRoots: async () => {
    if (stand.away) throw new RetryableError("CHAIN_UNREACHABLE", "The chain is away.");
    return { false: [], unseen: [] };
  },
  // No root of revenue is active.
  revenueOwed: async () => undefined,
  contractAt: async () => `0x${"c3".repeat(20)}`,
  blobSourceOf: () => ({}),
  readerOptions: () => ({}),
  requireNamedDeployment: async () => undefined,
  openLocalRun: async () => ({
    state: "/nowhere",
    file: { chain: { embedded: true }, wallets: { "worker-1": own } },
    deployment: {},
  }),
  runNamed: (run: object) => run,
  withChain: (_run: unknown, work: (connection: object) => unknown) => work({ client: {} }),
}));
vi.mock("../../../offchain/src/chain/index.ts", async (original) => ({
  ...(await original<object>()),
  createReader: () => ({
    head: async () => {
      if (stand.away) throw new RetryableError("CHAIN_UNREACHABLE", "The chain is away.");
      return { round: stand.round, head: `head ${stand.round}` };
    },
  }),
  workOf: async () => new Map(),
}));
vi.mock("../../../offchain/src/cli/up/decisions.ts", () => ({
  acceptedProposals: async () => [],
  executedProposals: async () => ({ last: [], before: 0 }),
}));
vi.mock("../../../offchain/src/cli/up/ownership.ts", () => ({
  ownershipOf: async () => ({
    shares: {
      minted: "0",
      unclaimed: "0",
      inGrants: "0",
      inSale: "0",
      origins: { compute: "0", capital: "0", code: "0" },
    },
    holdingOf: () => ({ balance: 0n, votes: 0n }),
  }),
  contributedTo: async () => ({ capital: null, noCapital: "not sold", code: null, noCode: "no vote", pending: [] }),
}));
vi.mock("../../../offchain/src/cli/text.ts", () => ({
  promptFor: async () => "The",
  textFrom: () => ["text"],
}));

const own: Address = `0x${"a1".repeat(20)}`;
const other: Address = `0x${"b2".repeat(20)}`;
const work = (account: Address, epoch: number): UnpaidWork => ({
  epoch,
  round: 3,
  account,
  worker: account,
  tokens: 128n,
  reason: "copy",
});
const line = (name: string, account: Address): string =>
  `${name} ${shortAddress(account)}: nothing for round 3 (128 tokens): its update was a copy of another`;
const ownLine = line("worker-1", own);
const otherLine = line("elsewhere", other);

/** An active root under which this directory's worker and another account have work that earned nothing. */
function active(works: readonly UnpaidWork[] = [work(own, 2), work(other, 1)], rest: Unpaid["rest"] = "none"): void {
  const unpaid = async (epochs: number): Promise<Unpaid> => ({ works, rest: epochs > 16 ? "none" : rest });
  const through = { runId: undefined, head: "head 1" };
  const leavesOf = () => [{ index: 1, amount: stand.earned, proof: [] }];
  stand.rewards = { through, accounts: [own], missing: stand.missing, unpaid, leavesOf };
}
afterEach(() => {
  Object.assign(stand, {
    rewards: undefined,
    unfit: undefined,
    round: 1,
    missing: [],
    earned: 0n,
    settled: 4,
    rounds: [0, 1],
  });
});

/** What `rewards list` prints: the document, and the lines in one row of words. */
async function list(account?: Address, epochs = 16): Promise<{ rows: readonly { unpaid: unknown }[]; text: string }> {
  let [rows, text]: [unknown, string] = [[], ""];
  const result = (document: unknown, lines: readonly string[]): void => {
    [rows, text] = [document, lines.join(" ").replaceAll(/\s+/g, " ")];
  };
  const context = { options: { account, epochs }, args: [], output: { result } };
  await rewardsListCommand.run(context as unknown as Parameters<typeof rewardsListCommand.run>[0]);
  return { rows: rows as { unpaid: unknown }[], text };
}

const untold = async (): Promise<string> => (await list()).text.match(/The newest rounds .*/)?.[0] ?? "";

// foundation 10
describe("what earned nothing stands with its reason", () => {
  test("in rewards list, of everybody or of one account, in its text and in its document", async () => {
    active();
    const all = await list();
    expect(all.text).toContain(ownLine);
    expect(all.text).toContain(otherLine);
    const { account: _account, ...told } = work(own, 2);
    expect(all.rows.map(({ unpaid }) => unpaid)).toEqual([[told], [{ ...told, epoch: 1, worker: other }]]);
    const one = await list(other);
    expect(one.text).toContain(otherLine);
    expect(one.text).not.toContain(ownLine);
    expect(one.rows).toHaveLength(1);
  });

  test("in rewards list and in the summary, a dozen lines for people and how many more there are", async () => {
    active(Array.from({ length: 15 }, (_, epoch) => work(other, epoch)));
    const { text, rows } = await list();
    expect(text.split(otherLine)).toHaveLength(13);
    expect(text).toContain("and 3 more, all of them under --json");
    expect(rows[1]!.unpaid).toHaveLength(15);
    expect(shownUnpaid(["a", "b"], 80)).toEqual(["a", "b"]);
  });

  test("in rewards list of the newest epochs, which says that there may be more, and finds it", async () => {
    active([work(other, 3)], "beyond");
    const { text } = await list();
    expect(text).toContain(
      `${otherLine} what earned nothing before the newest 16 epochs is not shown: --epochs 64 looks further back`,
    );
    expect((await list(undefined, 64)).text).not.toContain("not shown");
    active([], "gone");
    expect((await list()).text).toMatch(/what earned nothing before that is not shown: its documents are not kept/);
  });

  test("in rewards list, as long as it is not settled, that it is not", async () => {
    active();
    expect(await untold()).toBe("");
    stand.round = 2;
    expect(await untold()).toBe(
      "The newest rounds are not settled yet: what they earned is here once their epoch is, which takes a run that is up.",
    );
    stand.rewards = undefined;
    expect(await untold()).not.toBe("");
    // For the sake of this line nothing fails.
    stand.away = true;
    expect(await untold()).toBe("");
    Object.assign(stand, { away: false, round: 0 });
    expect(await untold()).toBe("");
  });

  test("in rewards list, of rounds that nobody can judge, that they earn nothing and why", async () => {
    active();
    Object.assign(stand, { round: 2, unfit: new DocumentError("DOCUMENT_FRAGMENTS", "Run 0x7 has 4 fragments.") });
    expect(await untold()).toBe(
      "The newest rounds earn nothing, since nobody can judge them: Run 0x7 has 4 fragments.",
    );
    // What cannot be said now keeps nobody from the rest.
    stand.unfit = new RetryableError("CHAIN_RPC", "The chain is away.");
    expect(await untold()).toMatch(/^The newest rounds are not settled yet/);
    // Of what is settled nothing is asked.
    Object.assign(stand, { round: 1, unfit: new DocumentError("DOCUMENT_FRAGMENTS", "Run 0x7 has 4 fragments.") });
    expect(await untold()).toBe("");
  });

  test("in the summary of the session that it was trained in; which command shows earlier ones is said", async () => {
    const epoch: UnpaidWork = { ...work(own, 2), round: null, reason: "noBudget" };
    active([work(own, 7), { ...epoch, epoch: 6 }, { ...epoch, epoch: 5 }, { ...work(other, 2), round: 1 }]);
    const prepared = preparedIn(temporaryDirectory());
    const second = { ...session, first: { ...session.first, round: 1 } };
    const summary = await summarise(prepared, second, now);
    expect(summary.unpaid).toEqual([ownLine, expect.stringContaining("nothing for epoch 6 ")]);
    const shown = drawSummary(summary, (_, text) => text)
      .join(" ")
      .replaceAll(/\s+/g, " ");
    expect(shown).toMatch(/of earlier sessions: npx cotrain rewards list/);
    expect((await summarise(prepared, session, now)).unpaid).toHaveLength(4);
    expect(await summarise(prepared, session, now)).not.toHaveProperty("unpaidEarlier");
    active([work(own, 7)], "beyond");
    expect(await summarise(prepared, session, now)).toHaveProperty("unpaidEarlier");
  });

  test("in the summary, and there which wallet anchors nothing for want of coins", async () => {
    active();
    const poor = { ...view, poster: other, feeWait: { what: "coins", asked: "3", allowed: "1", since: 1 } };
    const prepared = preparedIn(temporaryDirectory());
    const poorly = { ...prepared, coordinator: { ...prepared.coordinator, run: async () => poor } };
    const { pending } = await summarise(poorly as unknown as Prepared, session, now);
    expect(pending.map(({ what }) => what)).toContainEqual(
      expect.stringMatching(`^checkpoint 2 waits for coins: .* wallet ${formatAddress(other)} has; send it at least `),
    );
  });

  test("and roots whose documents are not to be had, by number", async () => {
    active();
    expect((await list()).text).not.toContain("not to be had");
    stand.missing = [1, 2, 3, 7];
    active();
    expect((await list()).text).toContain("What roots 1–3, 7 granted is not shown");
    stand.missing = [2];
    active();
    expect((await list()).text).toContain("What root 2 granted is not shown");
  });

  test("in the summary, which is gathered again where the coordinator is away for a moment", async () => {
    active();
    const prepared = preparedIn(temporaryDirectory());
    let asked = 0;
    const run = async () => {
      asked += 1;
      if (asked <= 3) throw new RetryableError("UNREACHABLE", "The coordinator does not answer.");
      return view;
    };
    const restarting = { ...prepared, coordinator: { ...prepared.coordinator, run } } as unknown as Prepared;
    const clock = createManualClock();
    const summary = await passTime(clock, summarise(restarting, session, { ...now, clock }));
    expect(summary.unpaid).toEqual([ownLine, otherLine]);
  });

  test("in the summary, and there what is pending and what can be claimed", async () => {
    active();
    stand.earned = 5n * 10n ** 18n;
    const state = temporaryDirectory();
    const prepared = preparedIn(state);
    const summary = await summarise(prepared, session, now);
    expect(summary.unpaid).toEqual([ownLine, otherLine]);
    expect(summary.training).toMatchObject({ milliseconds: 2_000, sessionTokens: "256", tokensPerSecond: 128 });
    expect(summary.pending).toEqual([
      { what: "anchoring of checkpoint 2", due: null },
      { what: expect.stringMatching(/^checkpoint 2 waits for lower fees: .* 0\.3 coins/) as string, due: null },
      { what: "activation of the reward root of epoch 4", due: "1970-01-01T00:16:40.000Z" },
      { what: "reward root of epoch 5", due: "1970-01-01T00:33:20.000Z" },
      { what: "claims of epoch 5", due: "1970-01-01T00:33:25.000Z" },
      { what: "the held-out loss of checkpoint 2", due: null },
      { what: "the held-out loss of checkpoint 0", due: null },
      {
        what: expect.stringMatching(
          /^claim of 5\.00 shares that worker-1 earned, possible now: ".* rewards claim/,
        ) as string,
        due: null,
      },
    ]);
    expect(JSON.parse(readFileSync(join(state, "summary.json"), "utf8"))).toMatchObject({
      unpaid: summary.unpaid,
      pending: summary.pending,
    });
    // A time of the chain that no date can say ends no summary.
    const reader = {
      ...prepared.reader,
      pendingRoot: async () => ({ epoch: 4, activatableAt: 2 ** 48 - 1 }),
      epochEnd: async () => 2 ** 48 - 1,
    };
    const far = await summarise({ ...prepared, reader } as unknown as Prepared, session, now);
    for (const [what, second] of [
      ["activation of the reward root of epoch 4", "281474976710655"],
      ["reward root of epoch 5", "281474976710655"],
      ["claims of epoch 5", "281474976710660"],
    ])
      expect(far.pending).toContainEqual({ what, due: `second ${second}` });
  });
});

test("what was executed after the last round says from which round on it is in force", async () => {
  const decision = {
    proposalId: 7n,
    title: "fewer steps",
    votesFor: 1n,
    votesAgainst: 0n,
    executed: "0x1",
    paramsVersion: 2,
  };
  const proposalWith = async (seen: object, made: object = decision): Promise<unknown> => {
    const coordinator = { run: async () => ({ ...view, ...seen }), checkpoints: async () => ({ checkpoints: [] }) };
    const prepared = { ...preparedIn(temporaryDirectory()), coordinator } as unknown as Prepared;
    return (await summarise(prepared, { ...session, decision: made } as unknown as TrainingSession, now)).proposal;
  };
  expect(await proposalWith({})).not.toHaveProperty("appliesFromRound");
  expect(await proposalWith({ nextParamsVersion: 2 })).toMatchObject({ state: "executed", appliesFromRound: 3 });
  // The version is the decision's, whatever the round that is open runs under.
  for (const seen of [{}, { nextParamsVersion: 2 }, { paramsVersion: 3 }])
    expect(await proposalWith(seen)).toMatchObject({ paramsVersion: 2 });
  expect(await proposalWith({}, { ...decision, executed: undefined })).toMatchObject({ paramsVersion: null });
});

const view = {
  definition: `0x${"44".repeat(32)}`,
  builds: [`0x${"55".repeat(32)}`],
  checkpoint: { round: 2, digest: `0x${"22".repeat(32)}` },
  anchored: { round: 1 },
  feeWait: { what: "fees", asked: "300000000000000000", allowed: "1", since: 1 },
  round: 2,
  step: 8,
  tokens: "256",
  params: { codec: 1, downCodec: 0 },
  paramsVersion: 1,
  traffic: { up: 0, down: 0, synchronous: 0, ring: 0 },
  loss: { train: null, heldOut: null, heldOutFirst: null },
};
const session = {
  first: { ...view, round: 0 },
  milliseconds: 2_000,
  tokens: 256n,
  claims: new Map(),
} as unknown as TrainingSession;

const now = { clock: createManualClock(), signal: new AbortController().signal };

const preparedIn = (state: string): Prepared =>
  ({
    state,
    preset: "0.1m",
    data: { source: "a text" },
    definition: { sequence: 16 },
    addresses: { computeRewards: own },
    facts: { chainId: 1, rpc: "http://127.0.0.1:1", contracts: {} },
    runId: `0x${"11".repeat(32)}`,
    modelId: `0x${"33".repeat(32)}`,
    fromBlock: 0,
    connection: { call: async (work: (client: object) => unknown) => work({}) },
    coordinator: { run: async () => view, checkpoints: async () => ({ checkpoints: [] }) },
    owners: [{ name: "worker-1", client: { account: { address: own } } }],
    reader: {
      activeRoot: async () => ({ epoch: 3 }),
      pendingRoot: async () => ({ epoch: 4, activatableAt: 1_000 }),
      headsSince: async () => [{ round: 1, anchoredAt: 1 }],
      epochOf: async () => 5,
      epochEnd: async () => 2_000,
      schedule: async () => ({ window: 5 }),
    },
  }) as unknown as Prepared;
