import { describe, expect, test } from "vitest";

import {
  type Address,
  asAddress,
  asRunId,
  type Assignment,
  type Build,
  type Digest,
  digestOfJson,
  runParamsFromWire,
} from "@cotrain/sdk/protocol";

import { UserError } from "../../../offchain/src/base/index.ts";
import { fragmentLayouts } from "../../../offchain/src/diloco/index.ts";
import { putDocument } from "../../../offchain/src/storage/index.ts";
import type { WorkerEvent, WorkerModules } from "../../../offchain/src/worker/index.ts";
import { poster } from "./coordinatorDouble.ts";
import { publishEngineRun, publishPlainRun } from "./fixture.ts";
import { baseDigest, beforeAndAfterEach, home, of, run, start, until, w } from "./workerHarness.ts";

beforeAndAfterEach();

/** What a chain records of the fixture's run. */
const recorded = () => ({
  definition: w.fixture.definitionDigest,
  fragments: fragmentLayouts(w.fixture.definition.table).length,
  poster: asAddress(poster.address),
});

/** A chain that records the fixture's run, whichever is asked for. */
const soundChain = (over: Partial<NonNullable<WorkerModules["chain"]>> = {}): NonNullable<WorkerModules["chain"]> => ({
  run: () => Promise.resolve(recorded()),
  isSuspended: () => Promise.resolve(false),
  isAdmitted: () => Promise.resolve(true),
  postersOf: () => Promise.resolve([poster.address.toLowerCase() as Address]),
  paramsOf: () => Promise.resolve(runParamsFromWire(w.fixture.params)),
  ...over,
});

/** Ends a worker that waits, or is given more work than it should be. */
const stopsAfter =
  (work: number) =>
  (event: WorkerEvent): void => {
    w.events.push(event);
    if (event.type === "waiting" || of("assigned").length > work) w.stop.abort();
  };

/** Whose acknowledgements count; of an accepted receipt it is said once the worker has heard of the next round. */
async function whenRoundIsOver(): Promise<Address[]> {
  const beats = w.double.beats.length;
  if (w.double.receipts.length > 0)
    await until("a heartbeat has named the next round", () => w.double.beats.length >= beats + 2);
  return [poster.address.toLowerCase() as Address];
}

/** The poster that is no other: who asks for it once a receipt was accepted is stopped meanwhile. */
function stopsWhenAccepted(): undefined {
  if (w.double.receipts.length > 0) w.stop.abort();
}

describe("what it refuses", () => {
  test("wrong bytes of the base, after asking again", async () => {
    await start();
    const { fragments } = JSON.parse(new TextDecoder().decode(await w.store.get(await baseDigest()))) as {
      fragments: { digest: Digest }[];
    };
    // The part that is served is corrupted in its middle.
    w.double.faults.corrupt = fragments[0]!.digest;
    await expect(run()).rejects.toMatchObject({ code: "BLOB_MISMATCH", retryable: false });
    expect(w.double.receipts).toHaveLength(0);
  });

  test("wrong bytes of a program", async () => {
    await start();
    w.double.faults.corrupt = w.fixture.build.graphs.step as Digest;
    await expect(run()).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    expect(w.double.joins).toHaveLength(0);
  });

  test("data of which the manifest counts more than its shards hold", async () => {
    await start({ fixture: await publishPlainRun(w.store, 1_000) });
    // Who does not refuse them joins, and would go on for ever.
    const refused = run({}, { onEvent: ({ type }) => type === "joined" && w.stop.abort() });
    await expect(refused).rejects.toMatchObject({ code: "DATA_INVALID" });
    expect(w.double.joins).toHaveLength(0);
  });

  test("an acknowledgement of fewer tokens", async () => {
    await start();
    w.double.faults.bendAck = (ack) => ({ ...ack, tokens: ack.tokens - 1n });
    await expect(run()).rejects.toMatchObject({ code: "ACK_WRONG", retryable: false });
  });

  test("an acknowledgement that the poster did not sign", async () => {
    await start();
    w.double.faults.forgeAck = true;
    await expect(run()).rejects.toMatchObject({ code: "ACK_SIGNER" });
  });

  test("an acknowledgement that the poster did not sign, also where its round closes while it is verified", async () => {
    await start({ rounds: 3 });
    w.double.faults.forgeAck = true;
    await expect(run({}, { chain: soundChain({ postersOf: whenRoundIsOver }) })).rejects.toMatchObject({
      code: "ACK_SIGNER",
    });
    expect(of("dropped")).toEqual([]);
  });

  test("such a one that comes late, also where the worker is asked to stop while it is verified", async () => {
    await start({ rounds: 3 });
    w.double.faults.forgeAck = true;
    w.double.faults.beforeReply = () => new Promise(() => undefined);
    w.double.faults.dismissAfter = 1;
    Object.defineProperty(w.double.faults, "poster", { get: stopsWhenAccepted });
    await expect(run()).rejects.toMatchObject({ code: "ACK_SIGNER" });
    expect(of("dropped").map(({ code }) => code)).toEqual(["UNANSWERED"]);
  });

  test("a run that does not fit into memory, before anything large is fetched", async () => {
    await start();
    const surroundings = { availableMemory: () => 1_000, freeDisk: () => Promise.resolve(1e12) };
    const refused = run({}, { home: home(surroundings) });
    await expect(refused).rejects.toMatchObject({ code: "MEMORY_SHORT" });
    await expect(refused).rejects.toThrow(/needs about .* of memory/);
  });

  test("a run none of whose builds fits, each by its own micro-batches; one that fits is trained", async () => {
    const fixture = await publishEngineRun(w.store, "0.1m", { accumulation: 2 });
    const { accumulation: _, ...single } = fixture.build;
    /** What it says that it needs, or why else it ended. */
    const refusal = async (builds: readonly Build[], memory = 1_000): Promise<unknown> => {
      const digests = await Promise.all(builds.map((build) => putDocument(w.store, build)));
      w.fixture = { ...fixture, build: builds[0]!, buildDigest: digests[0]! };
      await w.double?.close();
      await start({ builds: digests });
      const surroundings = { availableMemory: () => memory, freeDisk: () => Promise.resolve(1e12) };
      const opened = new UserError("OPENED", "A build was opened.");
      const others = { home: home(surroundings), openTrainer: () => Promise.reject(opened) };
      return run({}, others).catch(({ details, code }: UserError) => details?.["needed"] ?? code);
    };
    const needed = Number(await refusal([single]));
    expect(await refusal([fixture.build])).toBeGreaterThan(needed);
    expect(await refusal([{ ...single, precision: "fp16" }])).toBeGreaterThan(needed);
    expect(await refusal([{ ...single, microBatch: 1 << 12 }, single], needed)).toBe("OPENED");
    expect(await refusal([{ ...single, microBatch: 1 << 12 }], needed)).toBeGreaterThan(needed);
  });

  test.each<[string, Partial<Assignment>, string, RegExp]>([
    [
      "of more steps than its round has",
      { steps: 2 ** 30, ranges: [{ start: 0, count: 2 ** 31 }] },
      "ASSIGNMENT_UNFIT",
      /has 1073741824 steps; its round has 8/,
    ],
    ["at another learning rate", { innerLrPpb: 4_290_000_000 }, "ASSIGNMENT_UNFIT", /learning rate of 4290000000 ppb/],
    ["past the last position", { ranges: [{ start: 2 ** 53 - 2, count: 8 }] }, "ASSIGNMENT_UNFIT", /can be counted/],
    ["of another codec", { codec: 0 }, "ASSIGNMENT_UNFIT", /has codec 0; the run's is 1/],
    ["at another place of the schedule", { globalStep: 8 }, "CHECKPOINT_FOREIGN", /is of inner step 0, not 8/],
  ])("an assignment %s", async (_name, change, code, words) => {
    await start();
    w.double.faults.bendAssignment = (assignment) => ({ ...assignment, ...change });
    await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  });

  test("an assignment that nobody can hold, under parameters that the coordinator makes up", async () => {
    await start({ steps: 2 ** 30 });
    await expect(run()).rejects.toMatchObject({
      code: "ASSIGNMENT_UNFIT",
      message: expect.stringMatching(/token ids; 268435456 at most can be held/),
    });
  });

  test("an assignment under parameters that nobody tells, without ending over it", async () => {
    await start();
    w.double.faults.bendAssignment = (assignment) => ({ ...assignment, paramsVersion: 2 });
    const working = run();
    await until("it waits", () => of("waiting").some(({ reason }) => /does not tell the parameters 2/.test(reason)));
    w.double.faults.bendAssignment = undefined;
    await w.double.closeRound();
    w.double.rounds = 2;
    w.double.faults.dismissAfter = 1;
    expect((await working).rounds).toBe(1);
  });

  test("an assignment under parameters that are not the chain's", async () => {
    await start({ steps: 64 });
    const chain = soundChain();
    await expect(run({}, { chain })).rejects.toMatchObject({
      code: "ASSIGNMENT_UNFIT",
      message: expect.stringMatching(/has 64 steps; its round has 8/),
    });
  });

  test("a definition that the chain does not record", async () => {
    await start();
    const record = { ...recorded(), definition: w.fixture.buildDigest };
    const chain = soundChain({ run: () => Promise.resolve(record) });
    await expect(run({}, { chain })).rejects.toMatchObject({ code: "RUN_FOREIGN" });
  });

  test.each([1, 4])("a definition of which the chain counts %d fragments", async (fragments) => {
    await start();
    const chain = soundChain({ run: () => Promise.resolve({ ...recorded(), fragments }) });
    await expect(run({}, { chain })).rejects.toMatchObject({
      code: "RUN_FOREIGN",
      message: expect.stringContaining(`a definition of 2 fragments, of which the chain has ${fragments}`),
    });
    expect(w.double.joins).toEqual([]);
  });

  test("a run that is sound, but another than it was told to train", async () => {
    await start();
    const wanted = asRunId(`0x${"77".repeat(32)}`);
    // The double answers about its own run, whichever is asked for.
    const lying: typeof fetch = (input, init) => {
      const runs = [{ runId: wanted, modelId: w.fixture.modelId, phase: "Training" }];
      return new URL(input).pathname === "/v1/runs" ? Promise.resolve(Response.json({ runs })) : fetch(input, init);
    };
    const chain = soundChain();
    await expect(run({ runId: wanted }, { chain, fetch: lying })).rejects.toMatchObject({
      code: "RUN_FOREIGN",
      message: expect.stringContaining(`answers about ${w.fixture.runId}`),
    });
    expect(w.double.joins).toEqual([]);
  });

  const other = asAddress(`0x${"bb".repeat(20)}`);
  test.each([
    ["suspended", { isSuspended: () => Promise.resolve(true) }, /have suspended this run's poster/],
    [
      "dismissed",
      { run: () => Promise.resolve({ ...recorded(), poster: other }) },
      /The run's poster is 0xbb.* by the chain/,
    ],
  ])("work for a poster that is %s, though it was the run's", async (_what, over, sentence) => {
    await start();
    await run({}, { chain: soundChain(over), onEvent: stopsAfter(0) });
    expect(w.double.receipts).toEqual([]);
    expect(of("waiting").map(({ reason }) => reason)).toEqual([expect.stringMatching(sentence)]);
  });

  test("a poster that is suspended while it works", async () => {
    await start({ rounds: 3 });
    let asked = 0;
    const isSuspended = () => Promise.resolve(++asked > 1);
    await run({}, { chain: soundChain({ isSuspended }), onEvent: stopsAfter(1) });
    expect(of("assigned")).toHaveLength(1);
    expect(w.double.receipts).toHaveLength(1);
  });

  test("a run of which no build is admitted, but not one of which holders withdrew some", async () => {
    await start();
    const withdrawn = digestOfJson("withdrawn");
    const naming: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (!new URL(input).pathname.endsWith(`/v1/runs/${w.fixture.runId}`)) return response;
      const view = (await response.json()) as { builds: string[] };
      return Response.json({ ...view, builds: [withdrawn, ...view.builds] });
    };
    const isAdmitted = (_: unknown, build: string) => Promise.resolve(build !== withdrawn);
    const working = run(
      {},
      {
        chain: soundChain({ isAdmitted }),
        fetch: naming,
        openTrainer: ({ build }) => Promise.reject(new Error(`opens ${build.digest}`)),
      },
    );
    await expect(working).rejects.toThrow(`opens ${w.fixture.buildDigest}`);
    const none = soundChain({ isAdmitted: () => Promise.resolve(false) });
    await expect(run({}, { chain: none })).rejects.toMatchObject({
      code: "RUN_FOREIGN",
      message: expect.stringContaining("no admitted build"),
    });
  });

  test("a receipt that the coordinator refuses for good does not end the worker", async () => {
    await start({ rounds: 2 });
    w.double.faults.refuseReceipt = { status: 422, code: "PAYLOAD_MALFORMED" };
    const working = run();
    await until("it is dropped", () => of("dropped").length === 1);
    expect(of("dropped")[0]!.code).toBe("PAYLOAD_MALFORMED");
    w.double.faults.refuseReceipt = undefined;
    w.double.faults.dismissAfter = 1;
    await w.double.closeRound();
    expect((await working).rounds).toBe(1);
  });

  test.each([
    ["refuseReceipt", "TOO_MANY_RECEIPTS", 1],
    ["refuseUpload", "TOO_MANY_UPLOADS", 2],
  ] as const)("what was sent too often is dropped after a few tries: %s", async (fault, code, calls) => {
    await start({ rounds: 2 });
    w.double.faults[fault] = { status: 429, code };
    const working = run();
    await until("it is dropped", () => of("dropped").length === 1);
    expect(of("dropped")[0]).toMatchObject({ code, reason: `Refused: ${code}.` });
    const tried = of("retrying").filter((event) => event.code === code).length;
    expect(tried).toBeGreaterThanOrEqual(3);
    expect(tried).toBeLessThanOrEqual(3 * calls);
    w.double.faults[fault] = undefined;
    w.double.faults.dismissAfter = 1;
    await w.double.closeRound();
    expect((await working).rounds).toBe(1);
  });

  test("what was sent too often does not end the worker, however many rounds it happens in", async () => {
    await start({ rounds: 8 });
    w.double.faults.refuseReceipt = { status: 429, code: "TOO_MANY_RECEIPTS" };
    const working = run();
    working.catch(() => undefined);
    for (let rounds = 1; rounds <= 6; rounds++) {
      await until("it is dropped", () => of("dropped").length === rounds);
      if (rounds === 6) Object.assign(w.double.faults, { refuseReceipt: undefined, dismissAfter: 1 });
      await w.double.closeRound();
    }
    expect((await working).rounds).toBe(1);
  });
});
