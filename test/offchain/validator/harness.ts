/** A real chain, a coordinator that may lie, and validators between them. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CoordinatorError } from "@cotrain/sdk/errors";
import {
  type Address,
  canonicalJson,
  type EpochView,
  type ReceiptsFile,
  type RunView,
  type SignedVerdict,
  toWire,
  verdictKey,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { createTestClient, http } from "viem";

import { type Clock, createRandom, systemClock, UserError } from "../../../offchain/src/base/index.ts";
import { type Chain, openChain } from "../../../offchain/src/chain/index.ts";
import { type EpochComputation, withEpochAccounts, type EpochAccounts } from "../../../offchain/src/run/index.ts";
import {
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
} from "../../../offchain/src/validator/index.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { createWorld, poster, validators, type World } from "../chain/world.ts";
import type { WorldSettings } from "../chain/worldSettings.ts";

export const lower = (address: string): Address => address.toLowerCase() as Address;
export const [me, another, late] = [validators[0]!, validators[1]!, validators[2]!];

export let node: TestNode;
export let world: World;
export let chain: Chain & EpochAccounts;
let jobs: Database<JobSchema>;
export let stop: () => Promise<void> = async () => undefined;

const untouched = () => ({
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
  /** Never answers who asks for the run or its epochs. */
  silent: false,
  /** How often it was asked for its epochs, with which each look of a validator ends. */
  asked: 0,
  /** How often it was asked for the run. */
  ran: 0,
});

/** What a coordinator holds, as far as a validator sees it. */
export const board = untouched();
const unreachable = (): CoordinatorError =>
  new CoordinatorError(0, "UNREACHABLE", "It does not answer.", { retryable: true });
const never = (): Promise<never> => new Promise(() => undefined);
const coordinator: ValidatorCoordinator = {
  run: async () => {
    board.ran += 1;
    if (board.silent) return never();
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
    if (board.silent) return never();
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

type Run = Parameters<typeof runValidator>;

/** Runs a validator of this world, with statements of its own, until it is stopped. @param born where these begin, of a key that is older */
export async function runHere(
  statements: string,
  options: Omit<Run[0], "runId" | "signal">,
  modules: Omit<Run[1], "statements" | "onEvent">,
  born?: number,
): Promise<{ readonly events: ValidatorEvent[]; readonly end: () => Promise<void> }> {
  const events: ValidatorEvent[] = [];
  const database = await openDatabase<StatementSchema>(join(node.directory, statements), statementMigrations);
  const controller = new AbortController();
  const running = runValidator(
    { runId: world.runId, signal: controller.signal, ...options },
    { ...modules, statements: openStatements(database, { born }), onEvent: (event) => void events.push(event) },
  );
  const end = async (): Promise<void> => {
    const reason = new UserError("STOPPED", "Stopped.");
    controller.abort(reason);
    await running.catch((error: unknown) => {
      if (error !== reason) throw error;
    });
    await database.close();
  };
  return { events, end };
}

/** The same key with a journal that is new, as after the loss of its disk. */
export async function startAnew(name: string, born: number, reader: Run[1]["reader"] = chain) {
  const { events, end } = await runHere(
    name,
    { pollInterval: 40, patience: 0, absence: 3_600_000 },
    { reader, coordinator, account: me },
    born,
  );
  stop = async () => {
    await end();
    stop = async () => undefined;
  };
  return { events };
}

export async function start(
  account = me,
  patience = 0,
  absence: number | "its own" = 3_600_000,
  clock: Clock = systemClock,
): Promise<{ events: ValidatorEvent[] }> {
  const { events, end } = await runHere(
    `${account.address}.sqlite`,
    { pollInterval: 40, patience, ...(absence !== "its own" && { absence }) },
    { reader: chain, coordinator, account, clock },
  );
  stop = async () => {
    await end();
    stop = async () => undefined;
  };
  return { events };
}

export async function eventually<T>(what: string, look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 2_000; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(50);
  }
  throw new Error(`${what} did not come.`);
}

/** Until two looks are over that began after this: whatever the validator would do by now, it has done. */
export async function looked(): Promise<void> {
  const before = board.asked;
  // The look that is on now, two whole ones, and the beginning of the next.
  await eventually("looks", () => (board.asked >= before + 4 ? true : undefined));
}

export const development = () => createTestClient({ mode: "anvil", transport: http(node.url) });
/** A block so many seconds after the last. */
export async function later(seconds: number): Promise<void> {
  const { timestamp } = await world.client.getBlock();
  await development().setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) });
  await development().mine({ blocks: 1 });
}

/** @returns the round's receipts */
export async function post(
  options: Parameters<World["publisher"]["round"]>[0] = {},
  publisher = world.publisher,
): Promise<ReceiptsFile> {
  const { fields, file } = await publisher.round(options);
  const { head } = await chain.head(fields.runId);
  await chain.postHead({ ...fields, parentHead: head }, `head-${fields.runId}-${fields.round}`);
  return file;
}

/** Publishes an epoch as the coordinator does. */
export async function publish(computation: EpochComputation): Promise<EpochView> {
  const { inputs, verdicts, rewards, manifest, attestation } = computation;
  for (const document of [inputs, verdicts, rewards, manifest])
    await world.store.put(new TextEncoder().encode(canonicalJson(document)));
  return {
    epoch: manifest.toEpoch,
    manifest: attestation.epochDigest,
    attestation: toWire("Attestation", attestation),
    signatures: [],
    state: "collecting",
    transaction: null,
  };
}
export async function compute(epoch: number, verdicts: readonly SignedVerdict[]): Promise<EpochComputation> {
  const result = await chain.computeEpoch({ modelId: world.modelId, epoch, verdicts }, world.blobs);
  if (result.kind === "nothing") throw new Error(result.reason);
  return result.computation;
}
export const about = (round: number, verdicts = board.verdicts): SignedVerdict[] =>
  verdicts.filter(({ verdict }) => verdict.kind === verdictKind.aggregate && verdict.round === String(round));
/** Opens the chain and the world on it; its tests close it. */
export const openWorld = (): Promise<void> => openWorldOf({});
/** @param settings what of the world is not as in most tests */
export async function openWorldOf(settings: WorldSettings): Promise<void> {
  Object.assign(board, untouched());
  node = await createNode(0);
  await node.start();
  // Time passes with blocks alone: no deadline is missed beside busy neighbours.
  await development().setBlockTimestampInterval({ interval: 1 });
  world = await createWorld(node.url, node.directory, settings);
  jobs = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  const table = await openJobTable(jobs, { random: createRandom("jobs") });
  chain = withEpochAccounts(
    await openChain({ chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 }, { account: poster, jobs: table }),
  );
}
export async function closeWorld(): Promise<void> {
  await chain?.close();
  await jobs?.close();
  await node?.close();
}
