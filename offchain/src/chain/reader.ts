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
  realisationAdmitted,
  rootActivated,
  rootPosted,
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
  type Hex,
  type ModelId,
  rewardKind,
  type RunId,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { ChainConnection } from "./connection.ts";
import { endOfEpoch, epochAt } from "./epoch.ts";
import { createHistory } from "./history.ts";
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
}

/** One result per key, kept while it was a success. */
function memo<K, T>(load: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const known = new Map<K, Promise<T>>();
  return (key) => {
    const found = known.get(key);
    if (found) return found;
    const loading = load(key);
    known.set(key, loading);
    loading.catch(() => known.delete(key));
    return loading;
  };
}

/** A function of two arguments as one of a tuple's text, so that `memo` compares by value. */
function memo2<A extends string, T>(load: (a: A, b: number) => Promise<T>): (a: A, b: number) => Promise<T> {
  const byFirst = memo(async (a: A) => memo((b: number) => load(a, b)));
  return async (a, b) => (await byFirst(a))(b);
}

/** One history per run or model, made when it is first asked for. */
const histories = <K, T>(make: (key: K) => () => Promise<readonly T[]>): ((key: K) => Promise<readonly T[]>) => {
  const known = new Map<K, () => Promise<readonly T[]>>();
  return (key) => {
    const history = known.get(key) ?? make(key);
    known.set(key, history);
    return history();
  };
};
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

  const timeOf = memo(async (hash: Hex) =>
    Number((await call((chain) => chain.getBlock({ blockHash: hash }))).timestamp),
  );

  const shared = { connection, fromBlock, confirmations };

  const headsOf = histories((runId: RunId) =>
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
            anchoredAt: await timeOf(blockHash),
          })),
        ),
    }),
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
      query: realisationAdmitted({ addresses, runId }),
      map: (logs) => logs.filter(({ args }) => args.admitted).map(({ args }) => asDigest(args.realisation)),
    }),
  );

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
    headsSince: async (runId, block) => (await headsOf(runId)).filter((head) => head.block >= block),
    run,
    runStatus: async (runId) => (await run(runId)).status,
    runsOf: async (modelId) => (await runsOf(modelId)).map(({ runId }) => runId),
    postersOf: async (runId) => {
      const [{ modelId, poster }, changes] = await Promise.all([run(runId), postersSince(runId)]);
      const first = (await runsOf(modelId)).filter((registered) => registered.runId === runId);
      return [...new Set<Address>([...first.map((registered) => registered.poster), ...changes, poster])];
    },
    isAdmitted: (runId, realisation) => call((chain) => isAdmitted(chain, { addresses, runId, realisation })),
    realisationsOf: async (runId) => [...new Set(await admissions(runId))],
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
    rootsOf: async (modelId) => [...(await rootsOf(modelId))],
    activationsOf: async (modelId) => [...(await activationsOf(modelId))],
  };
}
