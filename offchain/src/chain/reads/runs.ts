/** What the contracts know of a run: its record, heads, posters and parameters. */
import { headOf, isSuspended, paramsOf, runCountOf, runOf, versionAt } from "@cotrain/sdk/actions";
import { RunRegistryUnknownRunError } from "@cotrain/sdk/errors";
import { type Address, asAddress, asHead, asModelId, type ModelId, type RunId, runIdOf } from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../../base/index.ts";
import { memo2 } from "../agreed.ts";
import type { ChainReader, PostedHead, RunRecord } from "../ports.ts";
import type { ContractEvents, ReadFrom } from "./events.ts";
import { type IsWhole, leftOut } from "./histories.ts";

/** A run's record; whose run it is follows from its id, whatever the RPC says. */
const runReader =
  ({ connection: { call, chainId }, addresses }: ReadFrom) =>
  async (runId: RunId): Promise<RunRecord> => {
    try {
      const { salt, ...found } = await call((chain) => runOf(chain, { addresses, runId }));
      const modelId = asModelId(found.modelId);
      if (runIdOf(BigInt(chainId), addresses.runRegistry, modelId, salt) !== runId)
        throw new RetryableError(
          "CHAIN_RPC",
          `The chain's RPC says that run ${runId} is one of model ${modelId}, whose it cannot be by its id: it lies, or the contract is another; name another RPC with --rpc.`,
          { details: { runId, modelId } },
        );
      return { ...found, runId, modelId, poster: asAddress(found.poster) };
    } catch (error) {
      if (!(error instanceof RunRegistryUnknownRunError)) throw error;
      throw new UserError("RUN_UNKNOWN", `There is no run ${runId} in the registry ${addresses.runRegistry}.`, {
        cause: error,
      });
    }
  };

export function readRuns(from: ReadFrom, events: ContractEvents) {
  const { connection, addresses, confirmations } = from;
  const { call } = connection;
  const run = runReader(from);
  const allRunsOf = async (modelId: ModelId) => {
    const count = await call((chain) => runCountOf(chain, { addresses, modelId }));
    const areAll = (runs: readonly unknown[]): boolean => confirmations > 0 || runs.length >= count;
    const runs = await events.runs(modelId, areAll);
    if (!areAll(runs)) throw leftOut();
    return runs;
  };
  const params = memo2(async (runId: RunId, version: number) => {
    const found = await call((chain) => paramsOf(chain, { addresses, runId, version }));
    if (found.innerSteps === 0)
      throw new UserError("PARAMS_UNKNOWN", `Run ${runId} has no parameters of version ${version}.`);
    return found;
  });
  return {
    head: async (runId) => {
      const { head, sequence, round } = await call((chain) => headOf(chain, { addresses, runId }));
      return { head: asHead(head), sequence: Number(sequence), round: Number(round) };
    },
    headsSince: async (runId, block, wanted) => {
      // What waits for confirmations is not there yet.
      const asked = confirmations === 0 ? wanted : undefined;
      const has: IsWhole<PostedHead> = (heads) => asked === undefined || heads.some(({ head }) => head === asked);
      await events.refreshTimes(runId);
      const heads = await events.heads(runId, has);
      if (!has(heads)) throw leftOut();
      return heads.filter((head) => head.block >= block);
    },
    run,
    runStatus: async (runId) => (await run(runId)).status,
    isSuspended: (runId) => call((chain) => isSuspended(chain, { addresses, runId })),
    runsOf: async (modelId) => (await allRunsOf(modelId)).map(({ runId }) => runId),
    postersOf: async (runId, wanted) => {
      const { modelId, poster } = await run(runId);
      const first = (await allRunsOf(modelId)).filter((registered) => registered.runId === runId);
      const before = [...first.map((registered) => registered.poster), poster];
      const changes = await events.posters(
        runId,
        (all) => wanted === undefined || before.includes(wanted) || all.includes(wanted),
      );
      return [...new Set<Address>([...before, ...changes])];
    },
    paramsInForce: async (runId) => {
      const { version } = await run(runId);
      return { version, params: await params(runId, version) };
    },
    paramsOf: params,
    paramsVersionAt: async (runId, time) =>
      time <= 0 ? 0 : call((chain) => versionAt(chain, { addresses, runId, timestamp: time })),
  } satisfies Partial<ChainReader>;
}
