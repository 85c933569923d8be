/**
 * kill -9 of every kind of process of one `cotrain up`, as real processes, one case after the other on one run: worker,
 * coordinator at several moments, chain node, `up` itself, and Ctrl-C. Then the books: nothing twice, nothing lost.
 */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  asDigest,
  createCoordinatorClient,
  fromWire,
  hashReceipt,
  parseDocument,
  type PositionRange,
  ReceiptsFile,
  outcomeCode,
} from "@cotrain/sdk/protocol";
import { createPublicClient, http } from "viem";

import { systemClock } from "../../offchain/src/base/index.ts";
import {
  anvilCommand,
  DEVELOPMENT_CHAIN_ID,
  openChainDoor,
  openNodeLink,
  openReader,
} from "../../offchain/src/chain/index.ts";
import { layout, type LocalRun, openLocalRun, readerOptions } from "../../offchain/src/run/index.ts";
import { balanceOf } from "../../offchain/src/data/index.ts";
import { readRunFile } from "../../offchain/src/service/index.ts";
import type { RunEvent, RunState } from "../../offchain/src/coordinator/index.ts";
import { openReceiptJournal } from "../../offchain/src/worker/node/index.ts";
import {
  CLOSELY,
  follow,
  freePort,
  freeze,
  openStage,
  openWatch,
  type Running,
  setBackChain,
  signal,
  type Stage,
  until,
  type Watch,
} from "./harness.ts";

const WORKERS = ["worker-1", "worker-2", "worker-3"] as const;
const PROCESSES = ["chain", "coordinator", ...WORKERS, "validator-1", "validator-2", "validator-3"] as const;

/** Where the coordinator stood in its log when it was killed. */
interface Kill {
  readonly moment: string;
  readonly seq: number;
  readonly round: number;
  readonly openedAt: number;
}

let stage: Stage;
let up: Running;
let watch: Watch;
let ports: { coordinator: number; chain: number };
const kills: Kill[] = [];

const start = (): Running =>
  stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--for=600s",
    "--json",
    `--port=${ports.coordinator}`,
    `--chain-port=${ports.chain}`,
  ]);

const client = () => createCoordinatorClient(`http://127.0.0.1:${ports.coordinator}`, { timeout: 5_000 });

/** Until `up` says that rounds are made, or has ended. */
const training = (running: Running): Promise<boolean> =>
  until(
    "training",
    () => {
      const exit = running.exit();
      if (exit) assert.fail(`cotrain up ended with ${exit.code ?? exit.signal}: ${running.stderr()}`);
      return running.stderr().includes("Training · round");
    },
    { context: running.stderr },
  );

const within = (ranges: readonly PositionRange[], position: number): boolean =>
  ranges.some(({ start, count }) => position >= start && position < start + count);

const since = (from: number): RunEvent[] => watch.history.filter(({ seq }) => seq > from).map(({ event }) => event);

/** What became of the workers when the coordinator was killed and started again. */
interface Resumption {
  /** Who joined the next coordinator by itself, ascending. */
  readonly rejoined: readonly string[];
  /** Who was thrown out meanwhile. */
  readonly left: readonly string[];
  /** Worker processes that had to be started again. */
  readonly restarted: readonly string[];
}

const unharmed = (): Resumption => ({
  rejoined: Object.keys(watch.state().members).toSorted(),
  left: [],
  restarted: [],
});

/** Kills the coordinator at a moment, exactly: stopped there, looked at again, then killed. Waits for two rounds more. */
async function killCoordinator(
  moment: string,
  isNow: (state: RunState) => boolean,
  atDeath: () => unknown = () => undefined,
): Promise<Resumption> {
  const pid = stage.pidOf("coordinator");
  const workers = WORKERS.map((name) => [name, stage.pidOf(name)] as const);
  for (let exact = false; !exact;) {
    await follow(watch, moment, isNow, 300, CLOSELY);
    await freeze(pid);
    watch.look();
    exact = isNow(watch.state());
    signal(pid, exact ? "SIGKILL" : "SIGCONT");
  }
  await until("the coordinator's death", () => stage.processes().every((found) => found.pid !== pid));
  watch.look();
  atDeath();
  const seq = watch.seq();
  const { current, round } = watch.state();
  if (current) kills.push({ moment, seq, round, openedAt: current.openedAt });
  const rejoined = await follow(watch, `two rounds after the coordinator was killed ${moment}`, (state) => {
    const joined = new Set(since(seq).flatMap((event) => (event.type === "MemberJoined" ? [event.join.worker] : [])));
    return state.round >= round + 2 && joined.size >= WORKERS.length ? [...joined].toSorted() : undefined;
  });
  return {
    rejoined,
    left: since(seq).flatMap((event) => (event.type === "MemberLeft" ? [event.worker] : [])),
    restarted: workers.filter(([name, before]) => stage.pidOf(name) !== before).map(([name]) => name),
  };
}

/** Every transaction to the CheckpointRegistry, newest first, and whether a head came of it. */
async function postingsOf(run: LocalRun, url: string): Promise<{ readonly input: string; readonly posted: boolean }[]> {
  const chain = createPublicClient({ transport: http(url) });
  const registry = run.deployment.addresses.checkpointRegistry.toLowerCase();
  const found: { input: string; posted: boolean }[] = [];
  for (let number = await chain.getBlockNumber(); number > 0n; number--) {
    const { transactions } = await chain.getBlock({ blockNumber: number, includeTransactions: true });
    for (const { hash, to, input } of transactions) {
      if (to?.toLowerCase() !== registry) continue;
      const { logs } = await chain.getTransactionReceipt({ hash });
      found.push({ input, posted: logs.length > 0 });
    }
  }
  return found;
}

beforeAll(async () => {
  stage = openStage();
  ports = { coordinator: await freePort(), chain: await freePort() };
  up = start();
  await training(up);
  watch = openWatch(stage.state);
});
afterAll(async () => {
  watch?.close();
  await stage?.close();
});

describe("kill -9", () => {
  it("of a worker in a round: the round closes without it, its data is trained on later, it rejoins from the newest checkpoint", async () => {
    const file = await readRunFile(stage.state);
    const worker = (file?.wallets?.["worker-2"] ?? "").toLowerCase() as Address;
    const pid = stage.pidOf("worker-2");

    // The others have answered, this one stands still in the middle of its work: then it dies.
    const lost = await follow(
      watch,
      "a round in which only this worker's work is awaited",
      ({ current }, fresh) => {
        const work = current?.work[worker];
        const others = Object.values(current?.work ?? {}).filter(({ assignment }) => assignment.worker !== worker);
        if (work?.receipt || !work) signal(pid, "SIGCONT");
        else if (fresh.length > 0 && others.length === 2) signal(pid, "SIGSTOP");
        return work && !work.receipt && others.length === 2 && others.every(({ receipt }) => receipt !== null)
          ? { assignment: work.assignment, seq: watch.seq() }
          : undefined;
      },
      300,
      CLOSELY,
    );
    const { round, assignmentId, ranges } = lost.assignment;
    // Who would start it anew stands still meanwhile: where deadlines are long, a new one would still be in time.
    const up = stage.pidOf("up");
    signal(up, "SIGSTOP");
    try {
      signal(pid, "SIGKILL");
      await follow(watch, "the close of the round", (state) => state.round > round);
    } finally {
      signal(up, "SIGCONT");
    }

    await follow(watch, "rounds after the worker's death", (state) => state.round >= round + 3);
    const closed = watch.history.find(({ event }) => event.type === "CheckpointStored" && event.round === round);
    expect(Object.keys(closed?.before?.current?.work ?? {})).toHaveLength(2);
    expect(closed?.before?.current?.work[worker]).toBeUndefined();

    // Back in the ledger, or drawn by others, who train on them or have.
    const back = watch.history.find(
      ({ seq, after }) => seq > lost.seq && after.ledger.open.every((open) => open.assignmentId !== assignmentId),
    );
    const positions = ranges.flatMap(({ start, count }) => Array.from({ length: count }, (_, index) => start + index));
    const assignedLater = watch.history
      .filter(({ seq }) => seq >= (back?.seq ?? Infinity))
      .flatMap(({ after }) =>
        Object.values(after.current?.work ?? {})
          .filter((work) => work.receipt !== null && work.assignment.assignmentId > assignmentId)
          .flatMap((work) => work.assignment.ranges),
      );
    const { free, open } = watch.state().ledger;
    const out = open.flatMap((assignment) => assignment.ranges);
    expect(positions.filter((position) => !within([...free, ...out, ...assignedLater], position))).toEqual([]);
    expect(balanceOf(watch.state().ledger).issued).toBe(watch.state().ledger.nextPosition);

    const rejoined = await follow(watch, "the killed worker's next receipt", () =>
      watch.history.find(
        ({ seq, event }) => seq > lost.seq && event.type === "ReceiptAccepted" && event.receipt.worker === worker,
      ),
    );
    expect(stage.pidOf("worker-2")).not.toBe(pid);
    assert(rejoined.event.type === "ReceiptAccepted");
    expect(rejoined.event.receipt.baseDigest).toBe(rejoined.before?.checkpoint.digest);
  });

  it("of the coordinator in training: the next one goes on with the same round", async () => {
    const resumption = await killCoordinator(
      "in training",
      ({ current, recent }) =>
        current !== null &&
        // Half of what the round before took has passed: the workers are at it.
        Object.values(current.work).every(({ receipt, uploaded }) => receipt === null && uploaded === 0) &&
        Date.now() > current.openedAt + ((recent.at(-1)?.durableAt ?? 0) - (recent.at(-1)?.openedAt ?? 0)) / 2,
    );
    expect(resumption).toEqual(unharmed());
  });

  it("of the coordinator right after a receipt: it stays accepted", async () => {
    const resumption = await killCoordinator(
      "right after a receipt",
      ({ current }) =>
        watch.history.at(-1)?.event.type === "ReceiptAccepted" &&
        Object.values(current?.work ?? {}).some(({ receipt }) => receipt === null),
    );
    expect(resumption).toEqual(unharmed());
  });

  it("of the coordinator while it aggregates: the same round is closed", async () => {
    const resumption = await killCoordinator(
      "while it aggregates",
      ({ current }) => current !== null && current.syncs.some(({ status }) => status !== "Collecting"),
    );
    expect(resumption).toEqual(unharmed());
  });

  it("of the coordinator between send and confirmation of a posting: it is posted once", async () => {
    const sent = () =>
      watch.rows<{ id: number; key: string; state: string }>(
        "select id, key, state from jobs where kind = 'chain.head' and progress is not null and state = 'running' order by id desc limit 1",
      )[0];
    const jobs: NonNullable<ReturnType<typeof sent>>[] = [];
    const resumption = await killCoordinator(
      "while it posts",
      () => sent() !== undefined,
      () => jobs.push(...[sent() ?? []].flat()),
    );
    expect(resumption).toEqual(unharmed());
    const [job] = jobs;
    assert(job, "The coordinator died between two postings.");
    const anchored = await follow(
      watch,
      "the posting",
      () =>
        watch.rows<{ state: string; result: string }>(
          "select state, result from jobs where id = ? and state = 'done'",
          job.id,
        )[0],
    );
    expect(JSON.parse(anchored.result)).toMatchObject({ kind: "done" });
    // After four deaths: every transaction that was sent was needed.
    const postings = await postingsOf(await openLocalRun(stage.state), `http://127.0.0.1:${ports.chain}`);
    expect(postings.every(({ posted }) => posted)).toBe(true);
    expect(new Set(postings.map(({ input }) => input)).size).toBe(postings.length);
  });

  // foundation 17
  it("of the chain node, its last seconds lost: what they held is posted again", async () => {
    const file = layout(stage.state).chainState;
    const kept = `${file}.kept`;
    await until("a whole dump of the chain", () => {
      copyFileSync(file, kept);
      try {
        return JSON.parse(readFileSync(kept, "utf8")) !== null;
      } catch {
        return false;
      }
    });
    watch.look();
    const from = watch.seq();
    const later = await follow(watch, "two heads that this dump lacks", () => {
      const anchored = watch.history.filter(({ seq, event }) => seq > from && event.type === "HeadAnchored");
      return anchored.length >= 2 ? anchored : undefined;
    });
    const lost = later.at(-1)?.event;
    assert(lost?.type === "HeadAnchored");
    await setBackChain(stage, kept);

    const openPostings = () =>
      watch.rows<object>(
        "select id, key, state, attempts, progress, last_error from jobs where state <> 'done' limit 9",
      );
    // Whoever notices first, the journal's next posting or the coordinator's watch: the chain holds it again, from later on.
    const run = await openLocalRun(stage.state);
    const options = readerOptions(`http://127.0.0.1:${ports.chain}`, run.deployment.chainId, run.deployment);
    let found = "";
    const again = await until(
      "the lost head, posted again",
      async () => {
        try {
          const heads = await (await openReader(options)).headsSince(run.runId, 0);
          found = `heads up to ${heads.at(-1)?.sequence}`;
          return heads.find(({ sequence }) => sequence === lost.sequence);
        } catch (error) {
          if (!(error instanceof CotrainError) || !error.retryable) throw error;
          found = error.message;
          return undefined;
        }
      },
      { every: 200, context: () => `Head ${lost.sequence} was lost; ${found}; ${JSON.stringify(openPostings())}` },
    );
    expect(again.head).toBe(lost.head);
    expect(again.anchoredAt).toBeGreaterThan(lost.anchor.anchoredAt);
    watch.look();
    const { round } = watch.state();
    await follow(watch, "training that goes on", (state) => state.round > round);
  });

  it("of cotrain up: nothing is left behind, and the next start goes on with the run", async () => {
    const names = stage.processes().map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...PROCESSES, "up"]));

    const second = stage.cotrain(["up", "--state", stage.state, "--preset", "0.1m"]);
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.stdout()).toBe("");
    expect(second.stderr().trim().split("\n").at(-1)).toMatch(
      / is in use by another Cotrain process \(pid \d+\): .*\.$/,
    );

    up.kill("SIGKILL");
    expect(await up.exited).toEqual({ code: null, signal: "SIGKILL" });
    await stage.empty(15);
    watch.look();
    const { round, facts } = watch.state();

    up = start();
    await training(up);
    await follow(watch, "rounds after the next start", (state) => state.round >= round + 2);
    const view = await client().run(facts.runId);
    expect(view.round).toBeGreaterThan(round);
    expect(view.members).toHaveLength(WORKERS.length);
  });
});

describe("Ctrl-C in training", () => {
  it("ends everything with 130", async () => {
    up.kill("SIGINT");
    expect(await up.exited).toEqual({ code: 130, signal: null });
    await stage.empty(15);
    expect(up.stdout()).toBe("");
  });
});

describe("afterwards the books", () => {
  /** Accepted receipts whose payloads were not aggregated. */
  const leftOut: { round: number; worker: string; outcome: number; tokens: number }[] = [];

  it("show that each round which the coordinator died in was gone on with, and closed once", () => {
    watch.look();
    expect(kills.map(({ moment }) => moment)).toEqual(
      expect.arrayContaining(["in training", "right after a receipt", "while it aggregates"]),
    );
    for (const kill of kills) {
      const closings = watch.history.filter(
        ({ event }) => event.type === "CheckpointStored" && event.round === kill.round,
      );
      expect(closings).toHaveLength(1);
      // The time that the coordinator was away is added, so that nobody's round gets shorter.
      const away = watch.history
        .filter(({ seq }) => seq > kill.seq && seq < (closings[0]?.seq ?? 0))
        .reduce((sum, { event }) => sum + (event.type === "ClockStepped" ? event.at - event.was : 0), 0);
      expect(closings[0]?.before?.current?.openedAt).toBe(kill.openedAt + away);
    }
  });

  it("hold every acknowledged receipt under the head of its round, once", async () => {
    const run = await openLocalRun(stage.state);
    const published = new Set<string>();
    let count = 0;
    for (const { receipts } of watch.rows<{ receipts: string }>(
      "select receipts from coordinator_checkpoints where receipts is not null",
    )) {
      const bytes = await run.blobs.get(asDigest(receipts), 16 << 20);
      const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
      for (const { receipt, outcome, tokens } of parseDocument("receipts", ReceiptsFile, document).receipts) {
        const { round, worker } = receipt;
        if (outcome !== 0) leftOut.push({ round: Number(round), worker, outcome, tokens: Number(tokens) });
        published.add(hashReceipt(fromWire("Receipt", receipt)));
        count++;
      }
    }
    expect(published.size).toBe(count);
    const { round } = watch.state();
    let acknowledged = 0;
    for (const role of WORKERS) {
      const journal = await openReceiptJournal(join(stage.state, role, "receipts.sqlite"), systemClock);
      const rows = (await journal.list(run.runId)).filter(({ ack }) => ack !== null);
      await journal.close();
      // The open round has no head yet; the next start closes it.
      const closed = rows.filter(({ receipt }) => Number(receipt.round) < round);
      expect(closed.filter(({ receiptHash }) => !published.has(receiptHash))).toEqual([]);
      acknowledged += closed.length;
    }
    expect(acknowledged).toBeGreaterThan(3 * 8);
  });

  it("account for every position of the data", () => {
    const { ledger, facts, totals, current } = watch.state();
    const balance = balanceOf(ledger);
    const open = Object.values(current?.work ?? {}).map(({ receipt }) => receipt?.tokens ?? 0);
    const trained = [...Object.values(totals), ...open].reduce((sum, tokens) => sum + tokens, 0);
    // The screening may leave out a payload of an honest worker; what was acknowledged is there all the same.
    expect(leftOut.filter(({ outcome }) => outcome === outcomeCode.payloadMissing)).toEqual([]);
    if (leftOut.length > 0) console.warn("left out by the screening:", leftOut);
    const unused = leftOut.reduce((sum, { tokens }) => sum + tokens, 0);
    expect(balance.consumed * facts.sequence).toBe(trained + unused);
    expect(balance.issued).toBe(balance.consumed + balance.open + balance.free);
  });

  it("have one posting for each head, in order, and verify finds all sound", async () => {
    const run = await openLocalRun(stage.state);
    const url = `http://127.0.0.1:${ports.chain}`;
    // Any command would start the chain from its state; here it must stay for several questions.
    const node = anvilCommand({ stateFile: layout(stage.state).chainState, blockTime: 0 });
    const running = stage.run(node.command, node.args);
    await node.ready.check(AbortSignal.timeout(60_000));
    const door = await openChainDoor({
      link: openNodeLink(node.socket),
      port: { port: ports.chain, explicit: true },
    });
    const reader = await openReader(readerOptions(url, DEVELOPMENT_CHAIN_ID, run.deployment));
    const heads = await reader.headsSince(run.runId, 0);
    expect(heads.length).toBeGreaterThan(8);
    expect(heads.map(({ sequence }) => sequence)).toEqual(heads.map((_, index) => index));
    expect(heads.map(({ head }) => head)).toEqual(
      watch
        .rows<{ head: string }>("select head from coordinator_checkpoints order by sequence limit ?", heads.length)
        .map(({ head }) => head),
    );

    // Checkpoint 0 came with the registration. What lost its parent with the chain's last seconds may have been refused.
    const effective = (await postingsOf(run, url)).filter(({ posted }) => posted);
    expect(effective).toHaveLength(heads.length - 1);
    expect(new Set(effective.map(({ input }) => input)).size).toBe(effective.length);

    const verify = stage.cotrain(["verify", "--state", stage.state, "--json"]);
    expect(await verify.exited).toEqual({ code: 0, signal: null });
    expect(JSON.parse(verify.stdout())).toMatchObject({ sound: true, heads: heads.length, ok: heads.length });

    // The session buys shares once, whatever died between a deposit and its claim.
    const asking = stage.cotrain(["shares", "--state", stage.state, "--json"]);
    expect(await asking.exited).toEqual({ code: 0, signal: null });
    const { holdings } = JSON.parse(asking.stdout()) as { holdings: { account: string; balance: string }[] };
    const buyer = run.file.wallets?.["buyer"]?.toLowerCase();
    const bought = holdings.find(({ account }) => account.toLowerCase() === buyer);
    expect(bought?.balance).toBe(`100${"0".repeat(18)}`);
    await door.close();
    running.kill("SIGTERM");
    await running.exited;
    await stage.empty(15);
  });
});
