/** What the contracts know of a model: its own contracts, epochs, validators and reward roots. */
import {
  activeRoot,
  ageJudgedAt,
  authorisable,
  currentSetVersion,
  deploymentWiring,
  disputeOf,
  disputeOutcome,
  distributorsOf,
  foundersOf,
  misWired,
  modelContractsOf,
  modelWiring,
  pendingRoot,
  scheduleOf,
  setOf,
} from "@cotrain/sdk/actions";
import {
  asAddress,
  type Attestation,
  endOfEpoch,
  epochAt,
  type Hex,
  type ModelId,
  rewardKind,
} from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../../base/index.ts";
import { memo, memo2 } from "../agreed.ts";
import type { ChainReader, ModelSchedule, PostedRoot, ValidatorSetView } from "../ports.ts";
import type { ContractEvents, ReadFrom } from "./events.ts";

/** What of an attestation holders decide about; all else is another block, head or deadline. */
const contents = ["kind", "index", "fromEpoch", "toEpoch", "root", "total"] as const;

async function isVoided(
  { call, addresses }: Pick<ReadFrom["connection"], "call"> & Pick<ReadFrom, "addresses">,
  posted: readonly PostedRoot[],
  attestation: Attestation,
): Promise<boolean> {
  for (const { attestation: before, digest } of posted) {
    if (contents.some((field) => before[field] !== attestation[field])) continue;
    const dispute = await call((chain) => disputeOf(chain, { addresses, digest }));
    if (dispute?.outcome === disputeOutcome.void && dispute.voted) return true;
  }
  return false;
}

const wrongWires = async (
  { call, addresses }: Pick<ReadFrom["connection"], "call"> & Pick<ReadFrom, "addresses">,
  modelId: ModelId,
) =>
  misWired([
    ...(await call((chain) => deploymentWiring(chain, { addresses }))),
    ...(await call((chain) => modelWiring(chain, { addresses, modelId }))),
  ]);

export function readModels({ connection: { call }, addresses }: ReadFrom, events: ContractEvents) {
  const schedule = memo(async (modelId: ModelId): Promise<ModelSchedule> => {
    const found = await call((chain) => scheduleOf(chain, { addresses, modelId }));
    if (found.start === 0)
      throw new UserError("MODEL_UNKNOWN", `There is no model ${modelId} in the registry ${addresses.modelRegistry}.`);
    return found;
  });
  const sets = memo2(async (modelId: ModelId, version: number): Promise<ValidatorSetView> => {
    const found = await call((chain) => setOf(chain, { addresses, modelId, version }));
    return { version, validators: found.validators.map(asAddress), threshold: found.threshold };
  });
  // The contract keeps the struct hash alone; what it is the hash of never changes.
  const signed = memo2(async (modelId: ModelId, digest: Hex): Promise<PostedRoot> => {
    const isThere = (roots: readonly PostedRoot[]): boolean => roots.some((root) => root.digest === digest);
    const found = (await events.newRoots(modelId, isThere)).findLast((root) => root.digest === digest);
    if (!found)
      throw new RetryableError("CHAIN_RPC", `The chain's RPC leaves out the posting of the attestation ${digest}.`, {
        details: { digest },
      });
    return found;
  });
  return {
    modelContracts: (modelId) => call((chain) => modelContractsOf(chain, { addresses, modelId })),
    distributors: () => call((chain) => distributorsOf(chain, { addresses })),
    founders: (modelId) => call((chain) => foundersOf(chain, { addresses, modelId })),
    wrongWires: (modelId) => wrongWires({ call, addresses }, modelId),
    schedule,
    epochOf: async (modelId, time) => epochAt(await schedule(modelId), time),
    epochEnd: async (modelId, epoch) => endOfEpoch(await schedule(modelId), epoch),
    computeBudget: (modelId, epoch, asOf) => {
      const one = { from: BigInt(epoch), to: BigInt(epoch) };
      return call((chain) => authorisable(chain, { addresses, modelId, kind: rewardKind.compute, ...one, asOf }));
    },
    validators: async (modelId, version) => {
      const wanted = version ?? (await call((chain) => currentSetVersion(chain, { addresses, modelId })));
      if (wanted === 0)
        throw new UserError("MODEL_UNKNOWN", `Model ${modelId} has no validators in ${addresses.validatorSet}.`);
      return sets(modelId, wanted);
    },
    activeRoot: async (modelId) => {
      const found = await call((chain) => activeRoot(chain, { addresses, modelId }));
      return found && { index: found.index, root: found.root, total: found.total, epoch: found.toEpoch };
    },
    pendingRoot: async (modelId) => {
      const found = await call((chain) => pendingRoot(chain, { addresses, modelId }));
      if (!found) return undefined;
      const { index, root, total, fromEpoch, epoch, deadline, attestation, digest } = await signed(
        modelId,
        found.digest,
      );
      const { activatableAt } = found;
      return { index, root, total, fromEpoch, epoch, activatableAt, deadline, attestation, digest };
    },
    ageJudgedAt: async (modelId) => {
      const time = await call((chain) => ageJudgedAt(chain, { addresses, modelId }));
      return time === 0 ? undefined : time;
    },
    rootsOf: async (modelId, wanted) => [
      ...(await events.roots(modelId, (all) => wanted === undefined || all.some(({ root }) => root === wanted))),
    ],
    isVoided: async (modelId, attestation) => {
      const posted = await events.roots(modelId, () => true);
      return isVoided({ call, addresses }, posted, attestation);
    },
    activationsOf: async (modelId) => [...(await events.activations(modelId))],
  } satisfies Partial<ChainReader>;
}
