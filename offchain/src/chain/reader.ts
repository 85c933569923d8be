/** Everything that is read of the contracts, in the terms of ports.ts. What can never change is read once. */
import {
  activeRoot,
  authorisable,
  currentSetVersion,
  headOf,
  headPosted,
  isAdmitted,
  modelContractsOf,
  paramsOf,
  pendingRoot,
  posterSet,
  buildAdmitted,
  rootActivated,
  rootPosted,
  runCountOf,
  runOf,
  runRegistered,
  scheduleOf,
  setOf,
  versionAt,
} from "@cotrain/sdk/actions";
import { RunRegistryUnknownRunError } from "@cotrain/sdk/errors";
import {
  type Address,
  asAddress,
  asDigest,
  asHead,
  asModelId,
  asRunId,
  type ContractAddresses,
  type Digest,
  endOfEpoch,
  epochAt,
  type ModelId,
  rewardKind,
  type RunId,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { type Clock, RetryableError, systemClock, UserError } from "../base/index.ts";
import { createBlockTimes, memo, memo2 } from "./agreed.ts";
import type { ChainConnection } from "./connection.ts";
import { createHistory, type History } from "./history.ts";
import type {
  ActivatedRoot,
  ChainReader,
  ModelSchedule,
  PostedHead,
  PostedRoot,
  RootView,
  RunRecord,
  ValidatorSetView,
} from "./ports.ts";

export interface ReaderOptions {
  readonly contracts: ContractAddresses;
  /** Block from which on the contracts exist (the least of `Deployment.blocks`); logs are read from there. */
  readonly fromBlock: number;
  /** Blocks above the one that holds an event before it is believed; default 0, for chains without reorgs. */
  readonly confirmations?: number;
  readonly clock?: Clock;
}

type IsWhole<T> = (items: readonly T[]) => boolean;
interface Histories<K, T> {
  (key: K, isWhole?: IsWhole<T>): Promise<readonly T[]>;
  /** The next look reads from a block on. */
  forget(key: K, block: number): void;
}
/**
 * One history per run or model, made when it is first asked for. A node that lags behind the one that told the tip leaves events
 * out, which no later reading would bring: what is not whole is read anew from the beginning, once.
 */
const histories = <K, T>(make: (key: K) => History<T>, isChain: IsWhole<T> = () => true): Histories<K, T> => {
  const known = new Map<K, History<T>>();
  const historyOf = (key: K): History<T> => {
    const history = known.get(key) ?? make(key);
    known.set(key, history);
    return history;
  };
  const read = async (key: K, isWhole: IsWhole<T> = () => true): Promise<readonly T[]> => {
    const history = historyOf(key);
    const items = await history();
    if (isChain(items) && isWhole(items)) return items;
    // Unless somebody else did.
    if (known.get(key) === history) known.delete(key);
    const second = historyOf(key);
    const anew = await second();
    if (isChain(anew)) return anew;
    if (known.get(key) === second) known.delete(key);
    throw leftOut();
  };
  const forget = (key: K, block: number): void => {
    const history = known.get(key);
    if (history) known.set(key, history.before(block));
  };
  return Object.assign(read, { forget });
};
const leftOut = (): RetryableError =>
  new RetryableError("CHAIN_RPC", "The chain's RPC leaves out events that there must be: they are read again.");
/** Heads without one that is left out between others: each names the one before. */
const isHeadChain: IsWhole<PostedHead> = (heads) =>
  heads.every(
    ({ sequence, parentHead }, i) => sequence === i && parentHead === (i === 0 ? zeroHash : heads[i - 1]?.head),
  );
/** A root as the SDK reads it, undefined where there is none. */
function rootView(found: RootView | undefined): RootView | undefined {
  if (!found || found.epoch === 0) return undefined;
  const { root, totalCumulative, epoch, activatableAt, deadline } = found;
  return { root, totalCumulative, epoch, activatableAt, deadline };
}

/** Makes the reader. */
export function createReader(connection: ChainConnection, options: ReaderOptions): ChainReader {
  const { contracts, fromBlock } = options;
  const { call } = connection;
  const addresses = contracts;
  const confirmations = options.confirmations ?? 0;

  const latest = () => call((chain) => chain.getBlock({ blockTag: "latest" }));

  const clock = options.clock ?? systemClock;
  const times = createBlockTimes(
    async (hash) => Number((await call((chain) => chain.getBlock({ blockHash: hash }))).timestamp),
    clock,
  );

  const shared = { connection, fromBlock, confirmations, clock };

  const headsOf = histories(
    (runId: RunId) =>
      createHistory({
        ...shared,
        query: headPosted({ addresses, runId }),
        map: (logs): Promise<PostedHead[]> =>
          Promise.all(
            logs.map(async ({ args, blockNumber, blockHash, logIndex, transactionHash }) => ({
              runId,
              head: asHead(args.head),
              parentHead: asHead(args.parentHead),
              sequence: Number(args.sequence),
              round: Number(args.round),
              paramsVersion: args.paramsVersion,
              checkpointDigest: asDigest(args.checkpointDigest),
              receiptsRoot: args.receiptsRoot,
              block: Number(blockNumber),
              blockHash,
              logIndex,
              transaction: transactionHash,
              anchoredAt: await times.timeOf(runId, Number(blockNumber), blockHash),
            })),
          ),
      }),
    isHeadChain,
  );
  const rootsOf = histories((modelId: ModelId) =>
    createHistory({
      ...shared,
      query: rootPosted({ addresses, modelId }),
      map: (logs): PostedRoot[] =>
        logs.map(({ args, blockNumber, transactionHash }) => ({
          modelId,
          epoch: Number(args.epoch),
          root: args.root,
          runId: asRunId(args.runId),
          head: asHead(args.head),
          epochDigest: asDigest(args.epochDigest),
          totalCumulative: args.totalCumulative,
          setVersion: args.setVersion,
          deadline: Number(args.deadline),
          activatableAt: args.activatableAt,
          block: Number(blockNumber),
          transaction: transactionHash,
        })),
    }),
  );
  const activationsOf = histories((modelId: ModelId) =>
    createHistory({
      ...shared,
      query: rootActivated({ addresses, modelId }),
      map: (logs): ActivatedRoot[] =>
        logs.map(({ args, blockNumber, transactionHash }) => ({
          modelId,
          epoch: Number(args.epoch),
          root: args.root,
          totalCumulative: args.totalCumulative,
          minted: args.minted,
          block: Number(blockNumber),
          transaction: transactionHash,
        })),
    }),
  );
  const runsOf = histories((modelId: ModelId) =>
    createHistory({
      ...shared,
      query: runRegistered({ addresses, modelId }),
      map: (logs) => logs.map(({ args }) => ({ runId: asRunId(args.runId), poster: asAddress(args.poster) })),
    }),
  );
  const postersSince = histories((runId: RunId) =>
    createHistory({
      ...shared,
      query: posterSet({ addresses, runId }),
      map: (logs) => logs.map(({ args }) => asAddress(args.poster)),
    }),
  );

  const admissions = histories((runId: RunId) =>
    createHistory({
      ...shared,
      query: buildAdmitted({ addresses, runId }),
      map: (logs) => logs.filter(({ args }) => args.admitted).map(({ args }) => asDigest(args.build)),
    }),
  );

  const admits = (runId: RunId, build: Digest): Promise<boolean> =>
    call((chain) => isAdmitted(chain, { addresses, runId, build }));

  const allRunsOf = async (modelId: ModelId) => {
    const count = await call((chain) => runCountOf(chain, { addresses, modelId }));
    const areAll = (runs: readonly unknown[]): boolean => confirmations > 0 || runs.length >= count;
    const runs = await runsOf(modelId, areAll);
    if (!areAll(runs)) throw leftOut();
    return runs;
  };

  const schedule = memo(async (modelId: ModelId): Promise<ModelSchedule> => {
    const found = await call((chain) => scheduleOf(chain, { addresses, modelId }));
    if (found.start === 0)
      throw new UserError("MODEL_UNKNOWN", `There is no model ${modelId} in the registry ${contracts.modelRegistry}.`);
    return found;
  });

  const run = async (runId: RunId): Promise<RunRecord> => {
    try {
      const found = await call((chain) => runOf(chain, { addresses, runId }));
      return { ...found, runId, modelId: asModelId(found.modelId), poster: asAddress(found.poster) };
    } catch (error) {
      if (!(error instanceof RunRegistryUnknownRunError)) throw error;
      throw new UserError("RUN_UNKNOWN", `There is no run ${runId} in the registry ${contracts.runRegistry}.`, {
        cause: error,
      });
    }
  };

  const params = memo2(async (runId: RunId, version) => {
    const found = await call((chain) => paramsOf(chain, { addresses, runId, version }));
    if (found.innerSteps === 0)
      throw new UserError("PARAMS_UNKNOWN", `Run ${runId} has no parameters of version ${version}.`);
    return found;
  });

  const sets = memo2(async (modelId: ModelId, version): Promise<ValidatorSetView> => {
    const found = await call((chain) => setOf(chain, { addresses, modelId, version }));
    return { version, validators: found.validators.map(asAddress), threshold: found.threshold };
  });

  return {
    chainId: connection.chainId,
    contracts,
    confirmations,
    chainTime: async () => Number((await latest()).timestamp),
    settledTime: async () => {
      const newest = await latest();
      const settled = newest.number - BigInt(confirmations);
      if (confirmations === 0) return Number(newest.timestamp);
      return settled < 0n ? 0 : Number((await call((chain) => chain.getBlock({ blockNumber: settled }))).timestamp);
    },
    tip: async () => {
      const { number, hash, parentHash } = await latest();
      return { block: Number(number), hash, parentHash };
    },
    blockHash: (block) =>
      call(async (chain) => {
        try {
          return (await chain.getBlock({ blockNumber: BigInt(block) })).hash;
        } catch (error) {
          if (error instanceof Error && error.name === "BlockNotFoundError") return undefined;
          throw error;
        }
      }),
    head: async (runId) => {
      const { head, sequence, round } = await call((chain) => headOf(chain, { addresses, runId }));
      return { head: asHead(head), sequence: Number(sequence), round: Number(round) };
    },
    headsSince: async (runId, block, wanted) => {
      // What waits for confirmations is not there yet.
      const asked = confirmations === 0 ? wanted : undefined;
      const has: IsWhole<PostedHead> = (heads) => asked === undefined || heads.some(({ head }) => head === asked);
      const changed = await times.changed(runId);
      if (changed !== undefined) headsOf.forget(runId, changed);
      const heads = await headsOf(runId, has);
      if (!has(heads)) throw leftOut();
      return heads.filter((head) => head.block >= block);
    },
    run,
    runStatus: async (runId) => (await run(runId)).status,
    runsOf: async (modelId) => (await allRunsOf(modelId)).map(({ runId }) => runId),
    postersOf: async (runId, wanted) => {
      const { modelId, poster } = await run(runId);
      const first = (await allRunsOf(modelId)).filter((registered) => registered.runId === runId);
      const before = [...first.map((registered) => registered.poster), poster];
      const changes = await postersSince(
        runId,
        (all) => wanted === undefined || before.includes(wanted) || all.includes(wanted),
      );
      return [...new Set<Address>([...before, ...changes])];
    },
    isAdmitted: admits,
    buildsOf: async (runId, wanted) => {
      const has: IsWhole<Digest> = (all) => wanted === undefined || all.includes(wanted);
      const all = await admissions(runId, has);
      if (wanted !== undefined && !has(all) && (await admits(runId, wanted))) throw leftOut();
      return [...new Set(all)];
    },
    paramsInForce: async (runId) => {
      const { version } = await run(runId);
      return { version, params: await params(runId, version) };
    },
    paramsOf: params,
    paramsVersionAt: async (runId, time) =>
      time <= 0 ? 0 : call((chain) => versionAt(chain, { addresses, runId, timestamp: time })),
    modelContracts: (modelId) => call((chain) => modelContractsOf(chain, { addresses, modelId })),
    schedule,
    epochOf: async (modelId, time) => epochAt(await schedule(modelId), time),
    epochEnd: async (modelId, epoch) => endOfEpoch(await schedule(modelId), epoch),
    computeBudget: (modelId, epoch, asOf) =>
      call((chain) =>
        authorisable(chain, {
          addresses,
          modelId,
          kind: rewardKind.compute,
          from: BigInt(epoch),
          to: BigInt(epoch),
          asOf,
        }),
      ),
    validators: async (modelId, version) => {
      const wanted = version ?? (await call((chain) => currentSetVersion(chain, { addresses, modelId })));
      if (wanted === 0)
        throw new UserError("MODEL_UNKNOWN", `Model ${modelId} has no validators in ${contracts.validatorSet}.`);
      return sets(modelId, wanted);
    },
    activeRoot: async (modelId) => rootView(await call((chain) => activeRoot(chain, { addresses, modelId }))),
    pendingRoot: async (modelId) => rootView(await call((chain) => pendingRoot(chain, { addresses, modelId }))),
    rootsOf: async (modelId, wanted) => [
      ...(await rootsOf(modelId, (all) => wanted === undefined || all.some(({ root }) => root === wanted))),
    ],
    activationsOf: async (modelId) => [...(await activationsOf(modelId))],
    forget: (of, block = 0) => {
      times.forget();
      headsOf.forget(of as RunId, block);
      rootsOf.forget(of as ModelId, block);
      activationsOf.forget(of as ModelId, block);
    },
  };
}
