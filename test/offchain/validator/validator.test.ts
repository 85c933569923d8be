/** A validator against a real chain and a coordinator that may lie. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { registerRun, setStatus, timelockOf } from "@cotrain/sdk/actions";
import { CoordinatorError } from "@cotrain/sdk/errors";
import {
  type Address,
  asHead,
  asRunId,
  canonicalJson,
  type CheckpointManifest,
  digestOfJson,
  domainFor,
  drawnFragment,
  type EpochView,
  fromWire,
  type Hex,
  SORTITION_DELAY_BLOCKS,
  sortitionSeed,
  type ReceiptsFile,
  recoverSigner,
  type RunId,
  runIdOf,
  runStatus,
  type RunView,
  type SignedVerdict,
  toWire,
  typedDataOf,
  verdictKey,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { createTestClient, createWalletClient, http } from "viem";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { type Clock, createRandom, systemClock, UserError } from "../../../offchain/src/base/index.ts";
import { type Chain, openChain, type RootView } from "../../../offchain/src/chain/index.ts";
import {
  type EpochComputation,
  withEpochAccounts,
  type EpochAccounts,
  readHeadDocuments,
} from "../../../offchain/src/run/index.ts";
import {
  type Logger,
  type Database,
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
} from "../../../offchain/src/service/index.ts";
import {
  openStatements,
  runValidator,
  statementMigrations,
  type StatementSchema,
  type ValidatorCoordinator,
  type ValidatorEvent,
  logEvent,
} from "../../../offchain/src/validator/index.ts";
import { absenceOf } from "../../../offchain/src/validator/absence.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import {
  createInitial,
  createPublisher,
  createWorld,
  fragments,
  params,
  poster,
  validators,
  type World,
} from "../chain/world.ts";
import { dueEpoch } from "../run/dueEpoch.ts";

const lower = (address: string): Address => address.toLowerCase() as Address;
const [me, another, late] = [validators[0]!, validators[1]!, validators[2]!];

let node: TestNode;
let world: World;
let chain: Chain & EpochAccounts;
let jobs: Database<JobSchema>;
let stop: () => Promise<void> = async () => undefined;

/** What a coordinator holds, as far as a validator sees it. */
const board = {
  verdicts: [] as SignedVerdict[],
  attestations: [] as { epoch: number; signature: `0x${string}` }[],
  epochs: [] as EpochView[],
  /** Answers nothing for a while. */
  away: false,
  /** Answers that it has none of these blobs, or with another error's code; how often it did. */
  withheld: new Map<string, number>(),
  /** Says of these of them that it has no time. */
  busy: new Set<string>(),
  answer: "BLOB_NOT_FOUND",
  /** Takes no verdicts. */
  deaf: false,
  /** Says that the chain drew another fragment. */
  behind: false,
  /** How often it was asked for its epochs, with which each look of a validator ends. */
  asked: 0,
};
const unreachable = (): CoordinatorError =>
  new CoordinatorError(0, "UNREACHABLE", "It does not answer.", { retryable: true });
const coordinator: ValidatorCoordinator = {
  run: async () => {
    if (board.away) throw unreachable();
    const run = await chain.run(world.runId);
    return {
      runId: world.runId,
      modelId: run.modelId,
      definition: run.definition,
      builds: [],
      phase: "Training",
    } as unknown as RunView;
  },
  epochs: async () => {
    board.asked += 1;
    return { epochs: board.epochs };
  },
  blob: async (_run, digest, limit) => {
    const withheld = board.withheld.get(digest);
    if (withheld !== undefined) {
      board.withheld.set(digest, withheld + 1);
      const code = board.busy.has(digest) ? "RATE_LIMITED" : board.answer;
      throw new CoordinatorError(404, code, `There is no blob ${digest}.`);
    }
    return world.store.get(digest, limit);
  },
  verdicts: async () => ({ verdicts: board.verdicts }),
  submitVerdict: async (_run, signed) => {
    if (board.away) throw unreachable();
    if (board.deaf) throw new CoordinatorError(503, "OVERLOADED", "It takes nothing now.", { retryable: true });
    if (board.behind) throw new CoordinatorError(409, "NOT_DRAWN", "It did not draw that.");
    const known = board.verdicts.find((each) => verdictKey(each.verdict) === verdictKey(signed.verdict));
    if (known)
      throw new CoordinatorError(
        409,
        known.verdict.value === signed.verdict.value ? "DUPLICATE" : "EQUIVOCATION",
        "Known.",
      );
    board.verdicts.push(signed);
    return { accepted: true };
  },
  submitAttestation: async (_run, epoch, { signature }) => {
    board.attestations.push({ epoch, signature });
    return { accepted: true };
  },
};

async function start(
  account = me,
  patience = 0,
  absence: number | "its own" = 3_600_000,
  clock: Clock = systemClock,
): Promise<{ events: ValidatorEvent[] }> {
  const events: ValidatorEvent[] = [];
  const database = await openDatabase<StatementSchema>(
    join(node.directory, `${account.address}.sqlite`),
    statementMigrations,
  );
  const controller = new AbortController();
  const running = runValidator(
    {
      runId: world.runId,
      signal: controller.signal,
      pollInterval: 40,
      patience,
      ...(absence !== "its own" && { absence }),
    },
    {
      reader: chain,
      coordinator,
      account,
      statements: openStatements(database),
      clock,
      onEvent: (event) => void events.push(event),
    },
  );
  stop = async () => {
    controller.abort(new UserError("STOPPED", "Stopped."));
    await running;
    await database.close();
    stop = async () => undefined;
  };
  return { events };
}

async function eventually<T>(what: string, look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 2_000; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(50);
  }
  throw new Error(`${what} did not come.`);
}

/** Until two looks are over that began after this: whatever the validator would do by now, it has done. */
async function looked(): Promise<void> {
  const before = board.asked;
  // The look that is on now, two whole ones, and the beginning of the next.
  await eventually("looks", () => (board.asked >= before + 4 ? true : undefined));
}

const development = () => createTestClient({ mode: "anvil", transport: http(node.url) });
/** A block so many seconds after the last. */
async function later(seconds: number): Promise<void> {
  const { timestamp } = await world.client.getBlock();
  await development().setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) });
  await development().mine({ blocks: 1 });
}

/** @returns the round's receipts */
async function post(
  options: Parameters<World["publisher"]["round"]>[0] = {},
  publisher = world.publisher,
): Promise<ReceiptsFile> {
  const { fields, file } = await publisher.round(options);
  const { head } = await chain.head(fields.runId);
  await chain.postHead({ ...fields, parentHead: head }, `head-${fields.runId}-${fields.round}`);
  return file;
}

/** Publishes an epoch as the coordinator does. */
async function publish(computation: EpochComputation): Promise<EpochView> {
  const { inputs, verdicts, rewards, manifest, attestation } = computation;
  for (const document of [inputs, verdicts, rewards, manifest])
    await world.store.put(new TextEncoder().encode(canonicalJson(document)));
  return {
    epoch: manifest.epoch,
    manifest: attestation.epochDigest,
    attestation: toWire("Attestation", attestation),
    signatures: [],
    state: "collecting",
    transaction: null,
  };
}
async function compute(epoch: number, verdicts: readonly SignedVerdict[]): Promise<EpochComputation> {
  const result = await chain.computeEpoch({ modelId: world.modelId, epoch, verdicts }, world.blobs);
  if (result.kind === "nothing") throw new Error(result.reason);
  return result.computation;
}
const about = (round: number, verdicts = board.verdicts): SignedVerdict[] =>
  verdicts.filter(({ verdict }) => verdict.kind === verdictKind.aggregate && verdict.round === String(round));

beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  // Time passes with blocks alone: no deadline is missed beside busy neighbours.
  await development().setBlockTimestampInterval({ interval: 1 });
  world = await createWorld(node.url, node.directory);
  jobs = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  const table = await openJobTable(jobs, { random: createRandom("jobs") });
  chain = withEpochAccounts(
    await openChain({ chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 }, { account: poster, jobs: table }),
  );
}, 60_000);
afterEach(() => stop());
afterAll(async () => {
  await chain?.close();
  await jobs?.close();
  await node?.close();
});

describe("a validator", () => {
  it("waits for the block that decides the sortition, then finds an honest fragment equal", async () => {
    await post();
    const { events } = await start();
    await looked();
    expect(about(0)).toEqual([]);
    await development().mine({ blocks: 2 });
    const [signed] = await eventually("the verdict", () => (about(0).length > 0 ? about(0) : undefined));
    expect(signed!.verdict).toMatchObject({
      value: "10000",
      validator: lower(me.address),
      head: (await chain.head(world.runId)).head,
    });
    expect(signed!.verdict.index).toBeLessThan(4);
    const domain = domainFor(world.chainId, world.contracts.runRegistry);
    expect(await recoverSigner(domain, "Verdict", fromWire("Verdict", signed!.verdict), signed!.signature)).toBe(
      lower(me.address),
    );
    expect(events).toContainEqual(expect.objectContaining({ type: "judged", round: 1, holds: true }));
  });

  it.each([
    ["a forged aggregate", (values: Float32Array) => void (values[0]! += 1)],
    ["an aggregate off by one bit", (values: Float32Array) => void (new Uint32Array(values.buffer)[0]! ^= 1)],
  ])("signs 0 for %s, in whichever fragment it was drawn", async (_name, change) => {
    const { round } = world.publisher.checkpoint();
    await post({ forge: (states) => states.forEach(({ params }) => change(params)) });
    await development().mine({ blocks: 2 });
    await start();
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict.value).toBe("0");
  });

  it("signs 0 for an outer state that does not follow", async () => {
    const { round } = world.publisher.checkpoint();
    await post({ forge: (states) => states.forEach(({ outer }) => void (outer[outer.length - 1]! += 0.5)) });
    await development().mine({ blocks: 2 });
    await start();
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict.value).toBe("0");
  });

  it("keeps what it has to say while the coordinator is away", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    await development().mine({ blocks: 2 });
    board.away = true;
    const { events } = await start();
    await eventually("a retry", () => events.find(({ type }) => type === "retrying"));
    board.away = false;
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict.value).toBe("10000");
  });

  it("says the same and nothing else after a restart", async () => {
    const before = structuredClone(board.verdicts);
    board.verdicts = [];
    await start();
    await looked();
    expect(board.verdicts).toEqual([]);
    board.verdicts = before;
  });

  // point 15
  it("has its say about the fragment that is drawn now when the chain went back", async () => {
    const before = structuredClone(board.verdicts);
    const [{ verdict: first }] = about(0) as [SignedVerdict];
    await start();
    const reader = chain.blockHash.bind(chain);
    let hash: `0x${string}` = zeroHash;
    for (
      let salt = 0;
      drawnFragment(sortitionSeed(hash, asHead(first.head), lower(me.address)), 4) === first.index;
      salt++
    )
      hash = digestOfJson({ salt });
    // Other blocks draw other fragments.
    Object.assign(chain, { blockHash: async () => hash });
    const again = () => about(0).find(({ verdict }) => verdict.index !== first.index);
    const { verdict } = await eventually("the verdict", again);
    await stop();
    Object.assign(chain, { blockHash: reader });
    expect(verdict).toMatchObject({ head: first.head, value: "10000" });
    expect(verdict.index).toBe(drawnFragment(sortitionSeed(hash, asHead(first.head), lower(me.address)), 4));
    // What it said before stands beside it; the chain decides which of the two counts.
    expect(about(0).map((each) => each.verdict.index)).toContain(first.index);
    board.verdicts = before;
  });

  it("refuses to sign a second value for one key", async () => {
    const database = await openDatabase<StatementSchema>(
      join(node.directory, `${me.address}.sqlite`),
      statementMigrations,
    );
    const statements = openStatements(database);
    const [{ verdict }] = about(0) as [SignedVerdict];
    let signed = 0;
    const sign = async (): Promise<`0x${string}`> => {
      signed += 1;
      return "0x";
    };
    await expect(statements.verdict({ ...verdict, value: "0" }, sign)).rejects.toMatchObject({
      code: "EQUIVOCATION_REFUSED",
    });
    expect((await statements.verdict({ ...verdict, issuedAt: "5" }, sign)).struct).toEqual(verdict);
    expect(signed).toBe(0);
    const epoch = await statements.attestation(
      {
        modelId: world.modelId,
        runId: world.runId,
        epoch: "9",
        epochDigest: verdict.head,
        head: verdict.head,
        previousRoot: verdict.head,
        root: verdict.head,
        totalCumulative: "1",
        setVersion: 1,
        deadline: "7",
      },
      sign,
    );
    await expect(statements.attestation({ ...epoch.struct, totalCumulative: "2" }, sign)).rejects.toMatchObject({
      code: "EQUIVOCATION_REFUSED",
    });
    await expect(
      statements.attestation({ ...epoch.struct, totalCumulative: "2", deadline: "19" }, sign),
    ).resolves.toBeDefined();
    expect(signed).toBe(2);
    await database.close();
  });
});

const refusal = async (view: EpochView): Promise<string> => {
  board.epochs = [];
  const { events } = await start();
  await looked();
  board.epochs = [view];
  const found = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
  expect(board.attestations).toEqual([]);
  return found.type === "refused" ? found.reason : "";
};

describe("an epoch", () => {
  let due: number;
  beforeAll(async () => {
    await later(16);
    due = (await dueEpoch(chain, world.modelId))!;
  });

  it("in which a head is rejected by one of three, and it found that it holds, is not signed", async () => {
    const others = board.verdicts.filter(({ verdict }) => verdict.round !== "0");
    const head = (await chain.headsSince(world.runId, 0)).find(({ round }) => round === 1)!;
    const hash = await chain.blockHash(head.block + Number(SORTITION_DELAY_BLOCKS));
    const struct = {
      runId: world.runId,
      round: 0n,
      head: head.head,
      validator: lower(another.address),
      kind: verdictKind.aggregate,
      worker: `0x${"0".repeat(40)}`,
      index: drawnFragment(sortitionSeed(hash!, head.head, lower(another.address)), fragments),
      value: 0n,
      evidence: zeroHash,
      issuedAt: 1n,
    } as const;
    const domain = domainFor(world.chainId, world.contracts.runRegistry);
    const signature = await another.signTypedData(typedDataOf(domain, "Verdict", struct));
    const denial = { verdict: toWire("Verdict", struct), signature };
    const view = await publish(await compute(due, [...others, denial]));
    expect(await refusal(view)).toContain("checkpoint 1 for not holding by the voices of 1 of 3 validators");
  });

  it.each<[string, (view: EpochView) => EpochView]>([
    ["root", (view) => ({ ...view, attestation: { ...view.attestation, root: `0x${"11".repeat(32)}` } })],
    ["total", (view) => ({ ...view, attestation: { ...view.attestation, totalCumulative: "1" } })],
    [
      "previousRoot",
      (view) => ({ ...view, attestation: { ...view.attestation, previousRoot: `0x${"11".repeat(32)}` } }),
    ],
    ["setVersion", (view) => ({ ...view, attestation: { ...view.attestation, setVersion: 2 } })],
    ["head", (view) => ({ ...view, attestation: { ...view.attestation, head: `0x${"11".repeat(32)}` } })],
    ["manifest", (view) => ({ ...view, attestation: { ...view.attestation, epochDigest: `0x${"11".repeat(32)}` } })],
  ])("whose %s is not what it computed is not signed", async (field, change) => {
    const view = await publish(await compute(due, board.verdicts));
    const reason = await refusal(change(view));
    expect(reason).toMatch(field === "manifest" ? /another manifest/ : new RegExp(`recomputed: .*${field}`));
  });

  it("that it computed the same is signed, once, and by nobody outside the set", async () => {
    // The second validator has its say first: what it finds forged must be counted in what it signs.
    const { round } = world.publisher.checkpoint();
    const ofAnother = () => board.verdicts.filter(({ verdict }) => verdict.validator === lower(another.address));
    await start(another);
    await eventually("its verdicts", () => (ofAnother().length === round ? true : undefined));
    await stop();
    const computation = await compute(due, board.verdicts);
    // Each about the fragment that sortition gave its validator, which no coordinator can foresee.
    for (const { verdict } of board.verdicts) {
      const head = (await chain.headsSince(world.runId, 0)).find((each) => each.head === verdict.head);
      const hash = await chain.blockHash(head!.block + Number(SORTITION_DELAY_BLOCKS));
      expect(verdict.index).toBe(drawnFragment(sortitionSeed(hash!, head!.head, verdict.validator), fragments));
    }
    expect(new Set(board.verdicts.map(({ verdict }) => verdict.index)).size).toBeGreaterThan(1);
    // The forged checkpoints earn nothing: all verdicts about them are 0.
    const paid = computation.inputs.epochs.flatMap(({ contributions }) =>
      contributions.map(({ contribution }) => BigInt(contribution)),
    );
    expect(paid.every((contribution) => contribution === BigInt((4 + 8) * 2 * 16 * 10_000))).toBe(true);
    const view = await publish(computation);
    board.epochs = [view];
    await start();
    const { signature } = await eventually("the attestation", () => board.attestations[0]);
    const domain = domainFor(world.chainId, world.contracts.computeRewards);
    expect(await recoverSigner(domain, "Attestation", computation.attestation, signature)).toBe(lower(me.address));
    await stop();

    // After a restart it gives the same signature again, without computing anew.
    board.attestations = [];
    await start();
    expect(await eventually("the attestation", () => board.attestations[0])).toMatchObject({ signature });
    await stop();

    board.attestations = [];
    const { events } = await start(poster);
    const outside = await eventually("word of it", () => events.find(({ type }) => type === "not-a-member"));
    const said: string[] = [];
    logEvent({ warn: (_: object, text: string) => said.push(text) } as unknown as Logger, outside);
    expect(said).toEqual([
      `${poster.address} is not in this run's validator set (the model's holders decide it): nothing it signs counts`,
    ]);
    await stop();
    expect(board.attestations).toEqual([]);

    await start(another);
    await eventually("the second", () => board.attestations[0]);
    const signatures = [
      { validator: lower(me.address), signature },
      { validator: lower(another.address), signature: board.attestations[0]!.signature },
    ];
    const posted = await chain.postRoot(computation.attestation, signatures, "root-1");
    expect(posted.root.root).toBe(computation.attestation.root);
  });
});

const forged: Parameters<typeof post>[0] = {
  forge: (states) => states.forEach(({ params }) => void (params[0]! += 1)),
};
const payloads = ({ receipts }: ReceiptsFile): string[] => receipts.map(({ receipt }) => receipt.payloadDigest);
const waits = (events: readonly ValidatorEvent[]): ValidatorEvent[] =>
  events.filter(
    (event) => event.type === "retrying" && event.what.startsWith("epoch") && event.reason.includes("judged"),
  );
const mine = (blocks: number): Promise<void> => development().mine({ blocks });
/** Ends the epoch with one block, after `blocks` blocks that belong to it. */
async function endEpoch(blocks = 2): Promise<number> {
  if (blocks > 0) await mine(blocks);
  await later(16);
  return (await dueEpoch(chain, world.modelId))!;
}
/** Activates the pending root. */
async function settle(): Promise<void> {
  const pending = await chain.pendingRoot(world.modelId);
  if (!pending) return;
  await later(5);
  await chain.activateRoot(world.modelId, pending.epoch, `activate-${pending.epoch}`);
}
/** Finishes the run and registers the model's next, as its holders would decide it. */
async function nextRun(): Promise<World["publisher"] & { readonly runId: RunId }> {
  const { modelId, contracts: addresses, chainId, client, store } = world;
  const timelock = await timelockOf(client, { addresses, modelId });
  await development().impersonateAccount({ address: timelock });
  await development().setBalance({ address: timelock, value: 10n ** 18n });
  const sender = createWalletClient({ account: timelock, transport: http(node.url), pollingInterval: 20 });
  const sync = { addresses, account: timelock, pollingInterval: 20 } as const;
  await setStatus.sync(sender, { ...sync, runId: world.runId, status: runStatus.finished });
  const salt = `0x${"22".repeat(32)}` as const;
  const runId = asRunId(runIdOf(BigInt(chainId), addresses.runRegistry, modelId, salt));
  const initial = await createInitial(store, runId);
  const config = {
    definition: digestOfJson(initial.definition),
    initialCheckpoint: initial.digest,
    fragments,
    poster: poster.address,
    builds: [initial.build],
    params,
    min: params,
    max: params,
  };
  await registerRun.sync(sender, { ...sync, modelId, salt, config });
  return { ...createPublisher(store, { chainId, contracts: addresses, runId }, initial), runId };
}
const attested = (): Promise<true> =>
  eventually("the attestation", () => (board.attestations.length > 0 ? true : undefined));

describe("an epoch whose checkpoints it has not judged", () => {
  beforeEach(async () => {
    await settle();
    board.epochs = [];
    board.attestations = [];
    board.withheld.clear();
    board.answer = "BLOB_NOT_FOUND";
    board.deaf = false;
    board.behind = false;
  });

  it("is not signed while the coordinator has no payloads to show, and refused when they show a forged checkpoint", async () => {
    const { round } = world.publisher.checkpoint();
    for (const digest of payloads(await post(forged))) board.withheld.set(digest, 0);
    const due = await endEpoch();
    const { events } = await start();
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await eventually("a word why", () => waits(events)[0]);
    await looked();
    expect(board.attestations).toEqual([]);
    expect(about(round)).toEqual([]);
    expect(waits(events)).toEqual([
      expect.objectContaining({ what: `epoch ${due}`, reason: expect.stringContaining(`(${round + 1})`) }),
    ]);

    board.withheld.clear();
    const refused = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
    expect(refused).toMatchObject({ reason: expect.stringContaining(`checkpoint ${round + 1} does not hold`) });
    expect(board.attestations).toEqual([]);

    // Computed again with the verdict, it is signed.
    expect(about(round)).toHaveLength(1);
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await attested();
  });

  it.each([
    ["are gone", "BLOB_NOT_FOUND"],
    ["come too long", "ANSWER_TOO_LARGE"],
    ["come as something else", "BLOB_MISMATCH"],
  ])(
    "is signed without a checkpoint whose documents %s, which is taken for not holding after a while",
    async (_, code) => {
      const { round } = world.publisher.checkpoint();
      await post();
      board.answer = code;
      board.withheld.set((await chain.headsSince(world.runId, 0)).at(-1)!.checkpointDigest, 0);
      const due = await endEpoch();
      await start(me, 0, 100);
      const [verdict] = await eventually("its verdict", () => (about(round).length > 0 ? about(round) : undefined));
      expect(verdict?.verdict.value).toBe("0");
      const computation = await compute(due, board.verdicts);
      expect(computation.inputs.epochs.at(-1)!.contributions).toEqual([]);
      board.epochs = [await publish(computation)];
      await attested();
    },
  );

  // Of many that are overdue a few are looked at in turn.
  it.each([2, 12])(
    "is signed without the last of %i whose documents went after it was judged, when its pay is overdue",
    async (heads) => {
      for (let n = 1; n < heads; n++) {
        world.publisher.checkpoint();
        await post();
      }
      const { round } = world.publisher.checkpoint();
      await post();
      const due = await endEpoch();
      const { events } = await start();
      const [verdict] = await eventually("its verdict", () => (about(round).length > 0 ? about(round) : undefined));
      expect(verdict?.verdict.value).toBe("10000");
      const [head] = (await chain.headsSince(world.runId, 0)).slice(-1);
      await stop();
      board.withheld.set(head!.checkpointDigest, 0);
      await later((await chain.schedule(world.modelId)).postingDelay);
      const again = await start(me, 0, 100);
      const confirmed = await eventually("what it says now", () =>
        board.verdicts.find(
          ({ verdict: { kind, head: of } }) => kind === verdictKind.confirmation && of === head!.head,
        ),
      );
      expect(confirmed.verdict).toMatchObject({ value: "0", validator: lower(me.address) });
      expect(again.events).toContainEqual(expect.objectContaining({ type: "confirmed", round: round + 1 }));
      expect(events).not.toContainEqual(expect.objectContaining({ type: "confirmed" }));
      const computation = await compute(due, board.verdicts);
      expect(computation.inputs.epochs.at(-1)!.contributions.length).toBeGreaterThan(0);
      board.epochs = [await publish(computation)];
      await attested();
    },
  );

  it("is rid of all of twelve whose documents went after they were judged, whatever is said of the first eight", async () => {
    const before = (await chain.headsSince(world.runId, 0)).length;
    for (let n = 0; n < 12; n++) await post();
    await endEpoch();
    const heads = (await chain.headsSince(world.runId, 0)).slice(before);
    const said = (kind: number, of = heads): number =>
      of.filter(({ head }) => board.verdicts.some(({ verdict }) => verdict.kind === kind && verdict.head === head))
        .length;
    await start();
    await eventually("the verdicts", () => (said(verdictKind.aggregate) === 12 ? true : undefined));
    await stop();
    await later((await chain.schedule(world.modelId)).postingDelay);
    for (const { checkpointDigest } of heads) board.withheld.set(checkpointDigest, 0);

    const time = { passed: 0 };
    const pendingRoot = chain.pendingRoot.bind(chain);
    const asked: number[] = [];
    let pending: RootView | undefined = {
      epoch: 1,
      root: zeroHash,
      totalCumulative: 0n,
      deadline: 0,
      activatableAt: 0,
    };
    Object.assign(chain, {
      pendingRoot: async () => {
        asked.push([...board.withheld.values()].reduce((sum, count) => sum + count, 0));
        return pending;
      },
    });
    /** One look at documents, so much later. */
    const after = async (ms: number): Promise<void> => {
      const times = asked.length;
      time.passed += ms;
      await eventually("a look", () => (asked.length > times ? true : undefined));
      const looks = board.asked;
      await eventually("its end", () => (board.asked > looks ? true : undefined));
    };
    /** Looks, a quarter of an hour apart, until it is so; a bound catches what never comes. */
    const quarters = async (isSo: () => boolean): Promise<void> => {
      for (let n = 0; n < 30 && !isSo(); n++) await after(900_000);
      expect(isSo()).toBe(true);
    };
    const hour = 3_600_000;
    try {
      const { events } = await start(me, 0, hour, { ...systemClock, monotonic: () => time.passed });
      // What a pending root pays needs nobody's look.
      await after(hour);
      await after(hour);
      expect([...board.withheld.values()].every((count) => count === 0)).toBe(true);
      pending = undefined;
      await quarters(() => [...board.withheld.values()].every((count) => count > 0));
      const [first, others] = [heads.slice(0, 8), heads.slice(8)];
      for (const { checkpointDigest } of first) board.busy.add(checkpointDigest);
      await after(hour);
      await quarters(() => said(verdictKind.confirmation, others) === 4);
      expect(said(verdictKind.confirmation)).toBe(4);
      board.busy.clear();
      await quarters(() => said(verdictKind.confirmation) === 12);
      // What is said is said.
      for (let n = 0; n < 4; n++) await after(60_000);
      expect(events.filter(({ type }) => type === "confirmed")).toHaveLength(12);
    } finally {
      Object.assign(chain, { pendingRoot });
      board.busy.clear();
    }
    expect(Math.max(...asked.slice(1).map((count, i) => count - asked[i]!))).toBeLessThanOrEqual(8);
  });

  it("has its say about no fragment that another block than now drew, and needs the records of all rounds that its rules look back on", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    await mine(2);
    const heads = await chain.headsSince(world.runId, 0);
    const { head, block } = heads.at(-1)!;
    const manifest = JSON.parse(
      new TextDecoder().decode(await world.store.get(heads.at(-4)!.checkpointDigest)),
    ) as CheckpointManifest;
    board.withheld.set(manifest.screening!, 0);
    const waiting = await start();
    await looked();
    expect(waiting.events).toContainEqual(
      expect.objectContaining({ type: "retrying", what: `checkpoint ${round + 1}` }),
    );
    expect(about(round)).toEqual([]);
    await stop();
    board.withheld.clear();

    const before = structuredClone(board.verdicts);
    const sortitionBlock = block + Number(SORTITION_DELAY_BLOCKS);
    const drawnIn = (hash: Hex): number => drawnFragment(sortitionSeed(hash, head, lower(me.address)), fragments);
    const reader = { blockHash: chain.blockHash.bind(chain), tip: chain.tip.bind(chain) };
    const now = (await chain.blockHash(sortitionBlock))!;
    let other: Hex = zeroHash;
    for (let salt = 0; drawnIn(other) === drawnIn(now); salt++) other = digestOfJson({ salt });
    let asked = 0;
    const firstOther = async (at: number): Promise<Hex | undefined> => {
      if (at !== sortitionBlock) return reader.blockHash(at);
      asked += 1;
      return asked === 1 ? other : now;
    };
    try {
      Object.assign(chain, { blockHash: firstOther });
      board.behind = true;
      const { events } = await start();
      await eventually("the judgement", () => events.find(({ type }) => type === "judged"));
      await looked();
      // Its coordinator saw another block: it is told again.
      expect(events.filter(({ type }) => type === "retrying")).toEqual([]);
      board.behind = false;
      await eventually("the verdict", () => about(round)[0]);
      expect(about(round).map(({ verdict }) => verdict.index)).toEqual([drawnIn(now)]);
      // The chain goes back once more while this validator runs.
      const tip = { ...(await reader.tip()), hash: other, parentHash: other };
      Object.assign(chain, { tip: async () => tip, blockHash: async () => other });
      await eventually("the verdict about what is drawn then", () =>
        about(round).find(({ verdict }) => verdict.index === drawnIn(other)),
      );
    } finally {
      Object.assign(chain, reader);
      await stop();
      board.verdicts = before;
    }
  });

  it("is signed though another attestation over its manifest was refused", async () => {
    await post();
    const due = await endEpoch();
    const { events } = await start();
    await eventually("its verdict", () => board.verdicts[0]);
    const view = await publish(await compute(due, board.verdicts));
    for (const setVersion of [2, view.attestation.setVersion])
      board.epochs.push({ ...view, attestation: { ...view.attestation, setVersion } });
    await attested();
    expect(events.filter(({ type }) => type === "refused")).toHaveLength(1);
  });

  it("is looked at again where it was refused by what a chain's node said that lagged", async () => {
    await post();
    const due = await endEpoch();
    const computeBudget = chain.computeBudget.bind(chain);
    const { events } = await start(me, 0, 100);
    await eventually("its verdict", () => board.verdicts.at(-1));
    const view = await publish(await compute(due, board.verdicts));
    try {
      Object.assign(chain, { computeBudget: async () => 1n });
      board.epochs = [view];
      await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
      await looked();
      expect(board.attestations).toEqual([]);
      Object.assign(chain, { computeBudget });
      await attested();
      expect(events.filter(({ type }) => type === "refused")).toHaveLength(1);
    } finally {
      Object.assign(chain, { computeBudget });
    }
  });

  it("is refused where it leaves out a verdict that a checkpoint does not hold, though the coordinator never took it", async () => {
    const { round } = world.publisher.checkpoint();
    await post(forged);
    const due = await endEpoch();
    board.deaf = true;
    const { events } = await start();
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await eventually("the judgement", () =>
      events.find((event) => event.type === "judged" && event.round === round + 1 && !event.holds),
    );
    const refused = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
    expect(refused).toMatchObject({ reason: expect.stringContaining(`checkpoint ${round + 1} does not hold`) });
    await looked();
    expect(board.attestations).toEqual([]);

    board.deaf = false;
    await eventually("the verdict", () => about(round)[0]);
    board.epochs = [await publish(await compute(due, board.verdicts))];
    await attested();
  });

  it("waits for the block that decides the sortition of its last checkpoint, and not longer", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    const due = await endEpoch(0);
    board.epochs = [await publish(await compute(due, board.verdicts))];
    const { events } = await start();
    await eventually("a word why", () => waits(events)[0]);
    await looked();
    expect(board.attestations).toEqual([]);
    await mine(1);
    await attested();
    expect(about(round)).toHaveLength(1);
    expect(waits(events)).toHaveLength(1);
  });

  it("is signed without the checkpoints that an active root covers, by one that comes late and finds nothing of them", async () => {
    const due = (await dueEpoch(chain, world.modelId))!;
    const computation = await compute(due, board.verdicts);
    await publish(computation);
    const { attestation } = computation;
    const signatures = await Promise.all(
      [me, another].map(async (account) => ({
        validator: lower(account.address),
        signature: await account.signTypedData(
          typedDataOf(domainFor(world.chainId, world.contracts.computeRewards), "Attestation", attestation),
        ),
      })),
    );
    await chain.postRoot(attestation, signatures, "root-2");
    await settle();

    const heads = await chain.headsSince(world.runId, 0);
    for (const { head, ...each } of heads.slice(1)) {
      const documents = await readHeadDocuments(chain, world.blobs, { head, ...each }, heads[each.sequence - 1]);
      for (const digest of payloads(documents.file!)) board.withheld.set(digest, 0);
    }
    await post();
    const next = await endEpoch();
    board.epochs = [await publish(await compute(next, board.verdicts))];
    const { events } = await start(late);
    await attested();
    expect(waits(events)).toEqual([]);
  });

  it("waits for documents a minute at least, and a posting delay, unless it is told otherwise, whatever is said in between", async () => {
    const time = { passed: 0 };
    const { round } = world.publisher.checkpoint();
    await post();
    await mine(2);
    board.withheld.set((await chain.headsSince(world.runId, 0)).at(-1)!.checkpointDigest, 0);
    await start(me, 0, "its own", { ...systemClock, monotonic: () => time.passed });
    await looked();
    const wait = absenceOf(await chain.schedule(world.modelId));
    for (const passed of [wait / 4, wait / 2, (wait / 4) * 3, wait - 1]) {
      // What says nothing about them takes nothing back.
      for (const answer of ["INTERNAL", "BLOB_NOT_FOUND"]) {
        board.answer = answer;
        time.passed = answer === "INTERNAL" ? passed - 1 : passed;
        await looked();
      }
    }
    expect(about(round)).toEqual([]);
    time.passed += 1;
    const [verdict] = await eventually("its verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(verdict!.verdict.value).toBe("0");
  });

  it("says of documents that they are gone when they were for so long, and counts anew when they were there", async () => {
    const time = { passed: 0 };
    const clock: Clock = { ...systemClock, monotonic: () => time.passed };
    const at = async (passed: number): Promise<void> => {
      time.passed = passed;
      await looked();
    };
    const { round } = world.publisher.checkpoint();
    await post();
    await endEpoch();
    const { head, checkpointDigest } = (await chain.headsSince(world.runId, 0)).at(-1)!;
    const confirmed = () =>
      board.verdicts.filter(({ verdict }) => verdict.kind === verdictKind.confirmation && verdict.head === head);
    board.withheld.set(checkpointDigest, 0);
    await start(me, 0, 1_000, clock);
    await at(1);
    // However long after it: one answer is a quarter at most.
    await at(5_000);
    await at(5_250);
    await at(5_500);
    expect(about(round)).toEqual([]);
    board.withheld.clear();
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict.value).toBe("10000");

    await later((await chain.schedule(world.modelId)).postingDelay);
    board.withheld.set(checkpointDigest, 0);
    await at(10_000);
    expect(confirmed()).toEqual([]);
    board.withheld.clear();
    await at(10_500);
    board.withheld.set(checkpointDigest, 0);
    await at(12_000);
    for (const quarter of [12_250, 12_500, 12_750]) await at(quarter);
    expect(confirmed()).toEqual([]);
    await at(13_000);
    expect(confirmed()).toHaveLength(1);
  });

  it("is not signed before the checkpoints of the model's other run in it are judged too", async () => {
    const publisher = await nextRun();
    const hidden = payloads(await post({}, publisher));
    for (const digest of hidden) board.withheld.set(digest, 0);
    const due = await endEpoch();
    board.epochs = [await publish(await compute(due, board.verdicts))];
    const { events } = await start();
    await eventually("a word why", () => waits(events)[0]);
    await looked();
    expect(board.attestations).toEqual([]);

    for (const digest of hidden) board.withheld.delete(digest);
    await attested();
    const [head] = (await chain.headsSince(publisher.runId, 0)).slice(1);
    expect(events).toContainEqual(expect.objectContaining({ type: "judged", head: head!.head, holds: true }));
    // The coordinator of one run takes no verdicts about another.
    expect(board.verdicts.filter(({ verdict }) => verdict.head === head!.head)).toEqual([]);
  });
});
