/**
 * A small run made once by `cotrain up`, on a user's own text and with a worker that joins with a wallet of its own; then
 * every command on what it left: the state at rest, copies of it, damaged copies.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { Value } from "typebox/value";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { commitOfClone } from "../../offchain/src/run/index.ts";
import { readRunFile } from "../../offchain/src/service/index.ts";
import { contentOf, cotrain, refusal, root, verdictOf } from "../offchain/cli/support.ts";
import {
  announced,
  book,
  copyOf,
  environment,
  first,
  joined,
  left,
  makeRun,
  me,
  nothingLeft,
  removeRun,
  run,
  state,
  summary,
} from "./finishedRun/harness.ts";
import { commandsAtRest } from "./finishedRun/commands.ts";
import { ownCoordinator } from "./finishedRun/coordinator.ts";
import { damaged } from "./finishedRun/damage.ts";
import { sweep } from "./finishedRun/sweep.ts";

beforeAll(makeRun);
afterAll(removeRun);

const sum = (...amounts: readonly string[]): bigint => amounts.reduce((total, each) => total + BigInt(each), 0n);

describe("up", () => {
  test("ends with 0, prints one document, and leaves no process", async () => {
    expect(first.code).toBe(0);
    expect(Value.Check(Summary, summary)).toBe(true);
    expect(JSON.parse(readFileSync(join(state, "summary.json"), "utf8"))).toEqual(summary);
    await nothingLeft();
  });

  test("trains on the user's own text with the preset and the workers asked for", () => {
    expect(summary.model).toMatchObject({ preset: "0.1m", text: expect.stringContaining("book.txt") });
    expect(summary.training.rounds).toBeGreaterThan(0);
    expect(summary.heldOut.after ?? Infinity).toBeLessThan(summary.heldOut.initial ?? 0);
    expect(summary.wallets.map(({ name }) => name)).toEqual(["worker-1", "buyer", "author", "elsewhere"]);
    expect(summary.wallets.at(-1)?.account).toBe(me);
  });

  test("pays, and applies what holders decided", () => {
    const [own, , , elsewhere] = summary.wallets;
    expect(BigInt(own?.earned ?? 0)).toBeGreaterThan(0n);
    // What becomes claimable in a session's last seconds may wait: then the summary says so, and by which command it is claimed.
    const waits = summary.pending.filter(({ what }) =>
      /^claim of .* shares that worker-1 earned, possible now/.test(what),
    );
    expect(waits).toHaveLength(left() > 0n ? 1 : 0);
    expect(BigInt(own?.claimed ?? 0)).toBeGreaterThan(0n);
    expect(BigInt(elsewhere?.earned ?? 0)).toBeGreaterThan(0n);
    expect(elsewhere?.claimed).toBe("0");
    expect(summary.proposal).toMatchObject({ state: "executed", appliedInRound: expect.any(Number) });
    expect(BigInt(summary.proposal?.supply ?? 0)).toBeGreaterThanOrEqual(BigInt(summary.proposal?.votesFor ?? 0));
    expect(
      summary.pending.filter(
        ({ what }) => !/epoch|granted for code|that shares|of revenue|that worker-1 earned/.test(what),
      ),
    ).toEqual([]);
  });

  test("has capital and code contributed beside work, and all shares add up", async () => {
    const { capital, code, shares, wallets, proposal } = summary;
    expect(capital).toMatchObject({ paid: "2000000", symbol: "TESTUSD", shares: `100${"0".repeat(18)}` });
    const [, buyer, author] = wallets;
    expect(buyer).toMatchObject({ balance: capital?.shares, votes: capital?.shares });
    // The commit of the clone that runs here is what is paid for, and what the proposal names.
    expect(code).toMatchObject({ commit: await commitOfClone(root), amount: `50${"0".repeat(18)}` });
    expect(proposal?.title).toContain(`and 50.00 shares for commit ${code?.commit.slice(0, 12)}, `);
    expect(code?.transaction).toBe(proposal?.executed);
    expect(author).toMatchObject({ balance: code?.claimed, votes: code?.claimed });
    const { minted, unclaimed, inGrants, inSale, inTreasury = "0", origins } = shares;
    expect(sum(origins.compute, origins.capital, origins.code)).toBe(BigInt(minted));
    expect(origins).toMatchObject({ capital: capital?.shares, code: code?.amount });
    expect(sum(...wallets.map(({ balance }) => balance), unclaimed, inGrants, inSale, inTreasury)).toBe(BigInt(minted));
  });

  test("is paid revenue, which its holders share, and has a worker's coins at stake; what is shared adds up", () => {
    const { stake, revenue } = summary;
    expect(stake).toMatchObject({ name: "worker-1", active: `1${"0".repeat(15)}`, leaving: "0" });
    expect(revenue).toMatchObject({ symbol: "TESTUSD", payment: { payer: "customer", amount: "3000000" } });
    expect(BigInt(revenue?.arrived ?? 0)).toBe(3_000_000n);
    expect(sum(...(revenue?.parts ?? []).map(({ amount }) => amount))).toBe(BigInt(revenue?.setAside ?? -1));
    for (const { claimed, amount } of revenue?.parts ?? []) expect([amount, null]).toContain(claimed);
  });

  test("takes free ports where the default ones are taken, and writes them to run.json", async () => {
    const ports = (await readRunFile(state))?.ports ?? {};
    expect(Object.keys(ports).sort()).toEqual(["chain", "coordinator"]);
    expect(ports["chain"]).not.toBe(8_545);
    expect(ports["coordinator"]).not.toBe(7_700);
  });

  test("announces how long payloads and checkpoints are kept", () => {
    expect(announced.kept).toEqual({ payloadSeconds: 7_200, checkpoints: 5, checkpointBytes: 3 * 2 ** 30 });
  });

  test("shows plain lines where there is no terminal", () => {
    const lines = first.stderr.trimEnd().split("\n");
    expect(lines.filter((line) => !/^\d+:\d\d {2}/.test(line))).toEqual([]);
    expect(first.stderr).not.toContain("\u001b");
  });

  test("a worker of another wallet ends with 130 by Ctrl-C", () => {
    expect(joined.code).toBe(130);
  });

  const otherBook = join(root, "docs/protocol.md");
  test.each([
    ["preset", "1m", "preset 0.1m, not 1m"],
    ["data", otherBook, `data ${book}, not ${otherBook}`],
    ["rpc", "http://127.0.0.1:9", "the embedded chain, not http://127.0.0.1:9"],
  ])("refuses another --%s than that of the run", async (key, value, what) => {
    const before = contentOf(state);
    expect(verdictOf(await run("up", "--exit", `--${key}`, value))).toEqual(
      refusal(
        1,
        `This state holds a run with ${what}: leave --${key} out to go on with it, or start anew with "npm start -- --fresh --preset ${key === "preset" ? value : "0.1m"} --data ${key === "data" ? value : book}${key === "rpc" ? ` --rpc ${value}` : ""} --state ${state}".`,
      ),
    );
    expect(contentOf(state)).toEqual(before);
  });
});

describe("commands on a run at rest start its chain and end it", () => {
  commandsAtRest();
});
describe("a coordinator of its own", () => {
  sweep();
  ownCoordinator();
});
describe("damage", () => {
  damaged();
});

test("--fresh puts the state aside and begins anew; Ctrl-C ends it with 130 and leaves no process", async () => {
  const copy = copyOf();
  const ended = await cotrain(["up", "--state", copy, "--fresh", "--preset", "0.1m", "--for", "1s", "--exit"], {
    environment,
    onStderr: (stderr, child) => {
      if (stderr.includes("Registering model and run")) child.kill("SIGINT");
    },
  });
  expect(ended.code).toBe(130);
  const archived = readdirSync(dirname(copy)).find((name) => /^state\.\d{8}T\d{6}Z$/.test(name));
  expect(ended.stderr).toContain(`The old state was put aside as ${join(dirname(copy), archived ?? "?")}.`);
  expect(existsSync(join(dirname(copy), archived ?? "", "summary.json"))).toBe(true);
  expect(existsSync(join(copy, "summary.json"))).toBe(false);
  await nothingLeft();
});
